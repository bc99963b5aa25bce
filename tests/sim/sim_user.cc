#include "sim/sim_user.h"

#include <array>
#include <cinttypes>
#include <cstdio>

#include "xmpp/base/hash.h"
#include "xmpp/core/namespaces.h"

namespace sim {

void Transcript::add(Instant at, std::string_view who, std::string_view what) {
  std::string line = std::to_string(at.time_since_epoch().count());
  line.append(" ").append(who).append(" ").append(what);
  digest_ = xmpp::siphash64({digest_, ++lines_}, line);
  if (trace_ != nullptr) std::fprintf(trace_, "%s\n", line.c_str());
}

std::string Transcript::digest() const {
  std::array<char, 24> text{};
  std::snprintf(text.data(), text.size(), "%016" PRIx64, digest_);
  return text.data();
}

SimUser::SimUser(SimWorld& world, Transcript& transcript, std::string name,
                 const xmpp::Jid& full_jid, std::uint64_t seed)
    : world_(world),
      transcript_(transcript),
      name_(std::move(name)),
      jid_(full_jid),
      rng_(seed),
      reactor_(world.make_reactor()),
      passwords_(xmpp::sasl::make_salted_password_cache(4)),
      keepalive_([this] { keep_alive(); }) {
  auto policy = std::make_shared<xmpp::StreamPolicy>();
  policy->domain = std::string(full_jid.domain());
  policy->jid = full_jid.bare();
  policy->password = xmpp::Secret(std::string(kPassword));
  policy->resource = std::string(full_jid.resource());
  policy->tls = xmpp::StreamPolicy::Tls::none;
  policy->password_cache = passwords_.get();
  policy_ = std::move(policy);
}

SimUser::~SimUser() = default;

void SimUser::connect(const LinkQuality& quality) {
  ++life_;
  note("connects");
  auto channel = world_.connect(quality);
  channel_ = channel.get();
  link_ = std::make_unique<xmpp::ClientLink>(reactor_, std::move(channel), xmpp::LinkTls{}, policy_,
                                             rng_, *this);
  link_->start();
}

void SimUser::send(const xmpp::Stanza& stanza) {
  link_->stream().send(stanza);
  link_->touch();
}

void SimUser::send_nonza(std::string_view markup) {
  link_->stream().send_nonza(markup);
  link_->touch();
}

void SimUser::set_password(const std::string& password) {
  passwords_ = xmpp::sasl::make_salted_password_cache(4);
  auto policy = std::make_shared<xmpp::StreamPolicy>(*policy_);
  policy->password = xmpp::Secret(password);
  policy->password_cache = passwords_.get();
  policy->pause_before_authentication = false;
  policy_ = std::move(policy);
}

void SimUser::pause_next() {
  auto policy = std::make_shared<xmpp::StreamPolicy>(*policy_);
  policy->pause_before_authentication = true;
  policy_ = std::move(policy);
}

void SimUser::start_authentication() {
  link_->stream().start_authentication();
  link_->touch();
}

void SimUser::close() {
  note("closes");
  link_->stream().close();
  link_->touch();
  end_life();
}

void SimUser::cut() {
  note("is cut");
  channel_->cut();
  end_life();
}

void SimUser::vanish() {
  note("vanishes");
  channel_ = nullptr;
  link_->drop();
  end_life();
}

void SimUser::fall_silent() {
  note("falls silent");
  if (channel_ != nullptr) channel_->silence();
  channel_ = nullptr;
  link_->drop();
  end_life();
}

void SimUser::keep_alive() {
  if (!is_bound_ || world_.server().limits().idle_timeout == Duration::zero()) return;
  link_->stream().send_keepalive();
  link_->touch();
  reactor_.timers().set(keepalive_, world_.now() + kKeepalive);
}

void SimUser::on_event(xmpp::Event event) {
  if (auto* received = std::get_if<xmpp::StanzaReceived>(&event)) {
    const auto& stanza = received->parsed.stanza;
    std::string text;
    xmpp::write_stanza(text, stanza, xmpp::ns::client);
    note(text);
    if (stanza.is_presence() && stanza.type() == xmpp::StanzaType::available &&
        stanza.from() == jid_ && is_bound_ && !awaited_status_.empty() &&
        stanza.child_text("status") == awaited_status_) {
      is_available_ = true;
    }
    if (on_stanza) on_stanza(*this, stanza);
  } else if (auto* bound = std::get_if<xmpp::Bound>(&event)) {
    note("is bound as " + std::string(bound->jid.str()));
    is_bound_ = true;
    keep_alive();
    if (on_bound) on_bound(*this);
  } else if (xmpp::is<xmpp::ReadyToAuthenticate>(event)) {
    if (on_ready) on_ready(*this);
  } else if (auto* failed = std::get_if<xmpp::StreamFailed>(&event)) {
    note("stream error " + std::string(to_string(failed->error.condition)) +
         (failed->by_peer ? " from the server" : " of its own"));
    if (on_stream_error) on_stream_error(*this, *failed);
    end_life();
  } else if (xmpp::is<xmpp::Closed>(event)) {
    note("is closed");
    end_life();
  }
}

void SimUser::on_link_ended(std::optional<xmpp::LinkFailure> failure) {
  note(failure ? "lost the connection: " + failure->text : "ended");
  channel_ = nullptr;
  end_life();
}

void SimUser::end_life() {
  if (!is_bound_) return;
  is_bound_ = false;
  keepalive_.cancel();
  becomes_unavailable();
  if (on_end) on_end(*this);
}

}  // namespace sim
