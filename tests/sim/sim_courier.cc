#include "sim/sim_courier.h"

#include <charconv>

#include "xmpp/core/namespaces.h"

namespace sim {

namespace {

std::uint32_t number_of(const std::optional<std::string>& text) {
  std::uint32_t number = 0;
  if (text) std::from_chars(text->data(), text->data() + text->size(), number);
  return number;
}

}  // namespace

Courier::Courier(SimWorld& world, Transcript& transcript, std::string name,
                 const xmpp::Jid& full_jid, bool has_sm, std::uint64_t seed)
    : world_(world),
      transcript_(transcript),
      name_(std::move(name)),
      jid_(full_jid),
      has_sm_(has_sm),
      rng_(seed),
      reactor_(world.make_reactor()),
      passwords_(xmpp::sasl::make_salted_password_cache(4)),
      keepalive_([this] { keep_alive(); }) {}

Courier::~Courier() = default;

void Courier::connect(const LinkQuality& quality) {
  auto policy = std::make_shared<xmpp::StreamPolicy>();
  policy->domain = std::string(jid_.domain());
  policy->jid = jid_.bare();
  policy->password = xmpp::Secret(std::string(kPassword));
  policy->resource = std::string(jid_.resource());
  policy->tls = xmpp::StreamPolicy::Tls::none;
  policy->password_cache = passwords_.get();
  policy->nonzas = {xmpp::ns::sm};
  if (!id_.empty()) policy->resumption = {id_, received_, jid_};
  note(id_.empty() ? "connects" : "connects to resume");
  is_away_ = is_leaving_ = has_resumed_ = false;
  auto channel = world_.connect(quality);
  channel_ = channel.get();
  link_ = std::make_unique<xmpp::ClientLink>(reactor_, std::move(channel), xmpp::LinkTls{},
                                             std::move(policy), rng_, *this);
  link_->start();
}

void Courier::send(const xmpp::Stanza& stanza) {
  unacknowledged_.push_back(stanza);
  link_->stream().send(stanza);
  link_->touch();
}

void Courier::cut() {
  note("is cut");
  if (channel_ != nullptr) channel_->cut();
  end();
}

void Courier::fall_silent() {
  note("falls silent");
  if (channel_ != nullptr) channel_->silence();
  channel_ = nullptr;
  link_->drop();
  end();
}

void Courier::keep_alive() {
  if (!is_bound_ || world_.server().limits().idle_timeout == Duration::zero()) return;
  link_->stream().send_keepalive();
  link_->touch();
  reactor_.timers().set(keepalive_, world_.now() + kKeepalive);
}

void Courier::leave() {
  note("leaves");
  // What comes after this <a/> is not looked at, and so comes again.
  if (is_counting_) link_->stream().send_ack(received_);
  is_leaving_ = true;
  link_->stream().close();
  link_->touch();
}

void Courier::on_event(xmpp::Event event) {
  if (auto* received = std::get_if<xmpp::StanzaReceived>(&event)) {
    if (is_leaving_ && has_sm_) return;
    if (is_counting_) ++received_;
    std::string text;
    xmpp::write_stanza(text, received->parsed.stanza, xmpp::ns::client);
    note(text);
    on_stanza(*this, received->parsed.stanza);
  } else if (auto* nonza = std::get_if<xmpp::NonzaReceived>(&event)) {
    on_nonza(nonza->document.root());
  } else if (auto* resumed = std::get_if<xmpp::Resumed>(&event)) {
    has_resumed_ = true;
    acknowledge(resumed->handled);
    // After a crash of its machine a server may know less than it said: both go on from there, or
    // the last stanzas would seem unacknowledged at the next resumption, and come twice.
    if (acknowledged_ != resumed->handled && on_forgotten) on_forgotten(*this);
    acknowledged_ = resumed->handled;
  } else if (auto* failed = std::get_if<xmpp::ResumptionFailed>(&event)) {
    note("cannot resume");
    if (failed->handled) acknowledge(*failed->handled);
    id_.clear();
  } else if (xmpp::is<xmpp::Bound>(event)) {
    on_bound();
  } else if (auto* over = std::get_if<xmpp::StreamFailed>(&event)) {
    const auto condition = to_string(over->error.condition);
    note("stream error " + std::string(condition));
    if (on_stream_error) on_stream_error(*this, condition);
    id_.clear();
    end();
  } else if (xmpp::is<xmpp::Closed>(event)) {
    note("is closed");
    if (is_leaving_) {
      is_away_ = true;
      // A plain stream that was closed in order was read to its end.
      if (!has_sm_) acknowledge(static_cast<std::uint32_t>(unacknowledged_.size()));
    }
    id_.clear();
    end();
  }
}

void Courier::on_bound() {
  note(has_resumed_ ? "has resumed" : "is bound");
  is_bound_ = true;
  keep_alive();
  if (has_resumed_) {
    for (const xmpp::Stanza& stanza : unacknowledged_) link_->stream().send(stanza);
    if (!unacknowledged_.empty()) link_->stream().request_ack();
    link_->touch();
    return;
  }
  if (on_fresh_stream) on_fresh_stream(*this);
  unacknowledged_.clear();
  id_.clear();
  is_counting_ = false;
  received_ = acknowledged_ = 0;
  if (has_sm_) link_->stream().send_nonza("<enable xmlns='urn:xmpp:sm:3' resume='true'/>");
  send(xmpp::Stanza::presence(xmpp::StanzaType::available));
}

void Courier::on_nonza(xmpp::xml::Element element) {
  if (element.name() == "enabled") {
    is_counting_ = true;
    id_ = element.attr("id").value_or("");
  } else if (element.name() == "r") {
    link_->stream().send_ack(received_);
    link_->touch();
  } else if (element.name() == "a") {
    acknowledge(number_of(element.attr("h")));
  }
}

void Courier::acknowledge(std::uint32_t handled) {
  while (static_cast<std::int32_t>(handled - acknowledged_) > 0 && !unacknowledged_.empty()) {
    ++acknowledged_;
    const xmpp::Stanza stanza = std::move(unacknowledged_.front());
    unacknowledged_.pop_front();
    on_acknowledged(*this, stanza.id());
  }
}

void Courier::on_link_ended(std::optional<xmpp::LinkFailure> failure) {
  note(failure ? "lost the connection: " + failure->text : "ended");
  channel_ = nullptr;
  end();
}

void Courier::end() {
  is_bound_ = false;
  keepalive_.cancel();
}

}  // namespace sim
