// Link until a session is bound: what is offered, the proof of identity, the move to the account's
// owner, the resource. What comes after is in link.cc.
#include "core/authentication.h"
#include "core/host_facts.h"
#include "core/link.h"
#include "core/ownership.h"
#include "core/server.h"
#include "core/worker.h"
#include "xmpp/net/dns.h"
#include "xmppd/hooks.h"

namespace xmppd {

using xmpp::StanzaCondition;
using xmpp::StreamCondition;
using xmpp::log::kv;

namespace {

// Requests before authentication that may wait for their answers (a registration costs PBKDF2).
constexpr std::size_t kUnansweredMax = 4;

const xmpp::log::Context kLog{.component = "c2s"};

void log_storage_failure(const StorageError& error) {
  xmpp::log::warn(kLog, "account look-up failed: check the database", {kv("error", error.text)});
}

// A link on its way to the owner of its account.
struct MovingLink final : xmpp::net::Mail {
  MovingLink(Worker& destination, std::unique_ptr<Link> what, xmpp::Jid who)
      : Mail(&deliver), worker(destination), link(std::move(what)), jid(std::move(who)) {}
  static void deliver(Mail* mail, bool run) {
    std::unique_ptr<MovingLink> self(static_cast<MovingLink*>(mail));
    if (run) self->worker.take_over(std::move(self->link), self->jid);
  }
  Worker& worker;
  std::unique_ptr<Link> link;
  xmpp::Jid jid;
};

}  // namespace

void Link::on_header(const xmpp::HeaderReceived& header) {
  host_ = worker_->find_host(header.to);
  if (host_ == nullptr) {
    stream_.fail({StreamCondition::host_unknown, {}});
    return;
  }
  stream_.accept(make_offer());
}

xmpp::StreamOffer Link::make_offer() const {
  xmpp::StreamOffer offer;
  offer.domain = std::string(host_->name());
  const bool is_secure = stream_.is_secure();
  offer.tls_available =
      !is_secure && entrance_->service == Service::c2s && entrance_->tls != TlsMode::none;
  offer.tls_required = !is_secure && entrance_->tls == TlsMode::required;
  const auto& auth = host_->profile_.config().auth;
  offer_mechanisms(offer, auth, host_->facts_->common_hashes(), is_secure, stream_.tls_facts());
  offer.scram_secret = server_.sasl_secret();
  offer.scram_iterations = auth.scram_iterations;
  // A registration carries a password as a login does.
  const bool may_tell_secrets = is_secure || auth.plain_without_tls;
  if (may_tell_secrets) {
    for (const auto& ns : host_->profile_.preauth_iq()) offer.preauth_iq.push_back(ns);
  }
  for (const auto& feature : host_->profile_.stream_features()) {
    if (!feature.after_authentication && !may_tell_secrets) continue;
    (feature.after_authentication ? offer.after_auth_features : offer.before_auth_features)
        .push_back(host_->profile_.markup_of(feature, *host_));
  }
  return offer;
}

void Link::on_start_tls() {
  // What was asked in the clear is not answered under TLS, before the new stream's header.
  forget_answers();
  // <proceed/> must leave in the clear before the engine takes over.
  ciphertext_.append(std::move(stream_.output()));
  tls_ = xmpp::TlsEngine::make_server(server_.tls_context(), xmpp::net::to_a_labels(host_->name()));
  want_flush();
}

void Link::on_authenticated(const xmpp::Authenticated& event) {
  xmpp::log::info(
      kLog, "authenticated",
      {kv("jid", event.jid.str()), kv("mechanism", event.mechanism), kv("address", address_)});
  forget_answers();
  watch_.is_patient = false;
  auto owner = owner_of(event.jid, server_.worker_count());
  if (owner == worker_->index()) {
    // While the client asks for its resource.
    (void)worker_->activator().activate(event.jid, *host_);
    stream_.continue_authenticated(event.jid);
    return;
  }
  // Leaves this worker; what is unread waits inside the stream. The mail is published at the end of
  // the turn, after everything here has let go of `this`.
  detach();
  auto& destination = server_.worker(owner);
  auto self = worker_->release(*this);
  worker_->send_mail(owner, new MovingLink(destination, std::move(self), event.jid));
}

void Link::arrive(Worker& owner, const xmpp::Jid& jid) {
  stream_.set_rng(owner.rng());
  host_ = owner.find_host(jid.domain());
  has_held_ = false;  // goes on below
  attach(owner);
  if (host_ == nullptr) {
    fail({StreamCondition::host_gone, {}});
    return;
  }
  (void)owner.activator().activate(jid, *host_);
  stream_.continue_authenticated(jid);
  pump();
  // What the engine had decrypted before the move; the socket will not report it again.
  if (tls_ && !is_dead_ && !is_closing_ && !has_held_) feed_tls({});
}

std::uint32_t Link::key_generation_of(std::string_view username) const {
  const auto jid = xmpp::Jid::make(username, host_->name());
  return jid ? server_.key_generations().of(*jid) : 0;
}

void Link::note_keys(std::uint32_t generation, const xmpp::sasl::ScramKeys& keys) {
  proved_ = std::make_unique<ProvedKeys>(ProvedKeys{generation, keys});
}

bool Link::are_keys_current() const noexcept {
  return !proved_ || proved_->generation == server_.key_generations().of(stream_.jid());
}

xmpp::Task<bool> Link::confirm_keys() {
  while (!are_keys_current()) {
    const auto generation = server_.key_generations().of(stream_.jid());
    auto pending = find_account(server_.storage(), worker_->reactor(), stream_.jid().local(),
                                std::string(host_->name()));
    auto found = co_await pending;
    if (!found) {
      log_storage_failure(found.error());
      fail({StreamCondition::resource_constraint, {}});
      co_return false;
    }
    const auto* stored = found->has_value() ? (**found).find_keys(proved_->keys.hash) : nullptr;
    if (stored == nullptr || !(*stored == proved_->keys)) {
      // It may come back and prove what counts now.
      fail({StreamCondition::not_authorized,
            found->has_value() ? "Password changed" : "Account deleted"});
      co_return false;
    }
    proved_->generation = generation;
  }
  co_return true;
}

// Hooks of the session's own sending want to know the account, too.
xmpp::Task<void> Link::bind(std::string resource) {
  auto outcome = ActivationOutcome::failed;
  do {
    if (!are_keys_current()) {
      auto confirming = confirm_keys();
      const bool is_confirmed = co_await std::move(confirming);
      if (!is_confirmed) co_return;
    }
    auto activating = worker_->activator().activate(stream_.jid(), *host_);
    const auto found = co_await activating;
    outcome = found;
    // Or they changed while the account was read.
  } while (outcome == ActivationOutcome::ready && !are_keys_current());
  switch (outcome) {
    case ActivationOutcome::ready:
      bind_active(resource);
      break;
    case ActivationOutcome::absent:
      // Removed since it logged in; told like those that were bound.
      fail({StreamCondition::not_authorized, "Account deleted"});
      break;
    case ActivationOutcome::failed:
      stream_.refuse_bind(StanzaCondition::resource_constraint);
      break;
  }
  if (!is_closing_) pump();
}

void Link::bind_active(const std::string& resource) {
  auto& limits = server_.limits();
  auto jid =
      stream_.jid().bare().with_resource(resource.empty() ? worker_->rng().hex(8) : resource);
  if (!jid) {
    stream_.refuse_bind({StanzaCondition::bad_request, std::string(to_string(jid.error()))});
    return;
  }
  if (Account* known = worker_->accounts().find(*jid)) {
    if (Session* old = known->find_session(jid->resource())) {
      // RFC 6120 7.7.2.2: the newer one wins. The old session must be gone before there is a second
      // one of that name.
      if (old->is_detached()) {
        Session::end(old->take_detached());
      } else {
        Link& link = *old->link_;
        link.fail({StreamCondition::conflict, "Replaced by a new connection"});
        link.end_session();
      }
    }
  }
  if (Account* known = worker_->accounts().find(*jid)) {
    // Who is here now goes before who may come back.
    if (known->sessions().size() >= limits.sessions_per_account && !known->detached_.empty()) {
      Session::end(known->detached_.front()->take_detached());
    }
  }
  Account& account = worker_->accounts().get_or_make(*jid, *host_);
  if (account.sessions().size() >= limits.sessions_per_account) {
    stream_.refuse_bind({StanzaCondition::resource_constraint, "Too many sessions"});
    return;
  }
  worker_->accounts().forget_absent(*jid);
  session_ = std::make_unique<Session>(account, *jid, this);
  proved_.reset();
  account.sessions_.push_back(session_.get());
  worker_->count_session(1);
  Bound hook{*session_};
  (void)host_->profile_.hooks().fire(hook);
  stream_.bound(*jid);
  update_deadline();
}
void Link::on_unauthenticated_iq(xmpp::Stanza stanza) {
  IqCall call{.request = std::move(stanza),
              .host = *host_,
              .target = Target::unauthenticated,
              .address = address_,
              .is_loopback = connection().is_loopback,
              .is_secure = stream_.is_secure(),
              .address_key = address_key_};
  auto request = call.request;
  const auto refuse = [&](StanzaCondition condition) {
    auto refusal = xmpp::make_error(request, condition);
    refusal.envelope().to = {};
    stream_.send(refusal);
    on_output();
  };
  // Nobody but its host answers who is not known yet.
  const auto& to = request.to();
  if (to && !(to.is_domain() && to.domain() == host_->name())) {
    return refuse(StanzaCondition::not_allowed);
  }
  if (unanswered_ >= kUnansweredMax) return refuse(StanzaCondition::resource_constraint);
  ++unanswered_;
  // The link may be gone or moved when the answer comes.
  if (!handle_) handle_ = std::make_shared<Link*>(this);
  auto reply = [handle = handle_](xmpp::Stanza answer) {
    Link* link = *handle;
    if (link == nullptr) return;
    --link->unanswered_;
    if (link->is_closing_) return;
    answer.envelope().to = {};
    link->stream_.send(answer);
    link->on_output();
  };
  if (!worker_->router().answer_unauthenticated(std::move(call), reply)) {
    reply(xmpp::make_error(request, StanzaCondition::service_unavailable));
  }
}

// Authentication
// -----------------------------------------------------------------------------------------

LoginThrottle::Attempt Link::attempt_of(std::string_view username) const {
  return {.username = username,
          .host = host_->name(),
          .address = address_key_,
          .is_loopback = connection().is_loopback};
}

bool Link::is_throttled(std::string_view username) {
  const auto now = worker_->reactor().now();
  if (server_.login_throttle().is_open(attempt_of(username), server_.limits(), now)) return false;
  server_.refusals().logins.fetch_add(1, std::memory_order_relaxed);
  stream_.refuse(xmpp::sasl::SaslCondition::temporary_auth_failure,
                 "Too many wrong passwords; try again later");
  return true;
}

void Link::on_authentication_failed(const xmpp::AuthenticationFailed& failed) {
  xmpp::log::info(kLog, "authentication failed",
                  {kv("user", failed.username), kv("mechanism", failed.mechanism),
                   kv("condition", to_string(failed.condition)), kv("address", address_)});
  // Nobody guesses by malformed messages.
  const bool is_guess = failed.counts_as_failed_password &&
                        failed.condition == xmpp::sasl::SaslCondition::not_authorized;
  if (!is_guess || host_ == nullptr) return;
  server_.login_throttle().note_failure(attempt_of(failed.username), server_.limits(),
                                        worker_->reactor().now());
}

void Link::refresh_facts() {
  if (!host_->facts_->claim_refresh(worker_->reactor().now())) return;
  const std::string name(host_->name());
  server_.storage().read_then(
      worker_->reactor(), name,
      [facts = host_->facts_](StorageResult<HostFactsRecord> found) {
        if (found) facts->set(found->common_hashes, std::move(found->counts));
      },
      [](Tx& tx, const std::string& host) { return load_host_facts(tx, host); }, name);
}

xmpp::Task<void> Link::look_up_keys(std::string username, xmpp::sasl::ScramHash hash) {
  const auto generation = key_generation_of(username);
  auto pending =
      find_account(server_.storage(), worker_->reactor(), username, std::string(host_->name()));
  auto found = co_await pending;
  auto lookup = lookup_of(found);
  if (!found) log_storage_failure(found.error());
  const xmpp::sasl::ScramKeys* keys =
      found && found->has_value() ? (**found).find_keys(hash) : nullptr;
  // A mechanism is offered only if all accounts have its keys; one that was made meanwhile may not.
  if (keys == nullptr && lookup != xmpp::sasl::Lookup::failed) lookup = xmpp::sasl::Lookup::unknown;
  xmpp::sasl::ScramKeys shown;
  if (keys != nullptr) {
    shown = *keys;
    note_keys(generation, shown);
  } else {
    // Unknown users seem to have a count that others have.
    shown.iterations = host_->facts_->fake_iterations(
        server_.sasl_secret(), username, host_->profile_.config().auth.scram_iterations);
  }
  refresh_facts();
  stream_.provide_keys(lookup, shown);
  pump();
}

xmpp::Task<void> Link::check_password(std::string username, xmpp::Secret password) {
  const auto generation = key_generation_of(username);
  auto pending =
      find_account(server_.storage(), worker_->reactor(), username, std::string(host_->name()));
  auto found = co_await pending;
  auto lookup = lookup_of(found);
  if (!found) log_storage_failure(found.error());
  if (lookup != xmpp::sasl::Lookup::failed) {
    // Unknown users take as long as known ones.
    // Any hash will do: an imported account may have but one.
    constexpr auto kHash = xmpp::sasl::ScramHash::sha256;
    const auto* stored = found->has_value() ? (**found).find_keys(kHash) : nullptr;
    if (stored == nullptr && found->has_value() && !(**found).keys.empty()) {
      stored = &(**found).keys.front();
    }
    auto keys =
        stored != nullptr
            ? *stored
            : xmpp::sasl::fake_scram_keys(
                  server_.sasl_secret(), username, kHash,
                  host_->facts_->fake_iterations(server_.sasl_secret(), username,
                                                 host_->profile_.config().auth.scram_iterations));
    refresh_facts();
    auto verdict = verify_off_worker(server_.offload(), worker_->reactor(), keys, password);
    auto is_right = co_await verdict;
    if (!is_right) {
      lookup = xmpp::sasl::Lookup::failed;
    } else if (!*is_right) {
      lookup = xmpp::sasl::Lookup::unknown;
    } else if (lookup == xmpp::sasl::Lookup::found) {
      note_keys(generation, keys);
      upgrade_keys(server_, worker_->reactor(), worker_->rng(), **found, keys,
                   host_->profile_.config().auth.scram_iterations, std::move(password));
    }
  }
  stream_.password_verified(lookup);
  pump();
}

}  // namespace xmppd
