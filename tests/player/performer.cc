#include "player/performer.h"

#include <stdexcept>

#include "player/xml_tree.h"
#include "xmpp/core/namespaces.h"
#include "xmpp/core/stanza.h"

namespace play {

using xmpp::net::IoResult;

// BareLink
// -----------------------------------------------------------------------------------------------

BareLink::BareLink(xmpp::net::Reactor& reactor, std::unique_ptr<xmpp::net::ByteChannel> channel,
                   std::deque<Notice>& inbox)
    : Flushable([](Flushable* self) { static_cast<BareLink*>(self)->flush(); }),
      reactor_(reactor),
      channel_(std::move(channel)),
      inbox_(inbox),
      watch_{&on_ready, this} {
  reactor_.watch(*channel_, watch_);
}

BareLink::~BareLink() {
  if (channel_) reactor_.unwatch(*channel_, watch_);
}

void BareLink::send(std::string_view bytes) {
  out_ += bytes;
  reactor_.mark_dirty(*this);
}

void BareLink::on_ready(void* self, xmpp::net::Readiness readiness) {
  auto& link = *static_cast<BareLink*>(self);
  if (xmpp::net::has(readiness, xmpp::net::Readiness::writable)) link.reactor_.mark_dirty(link);
  link.read();
}

void BareLink::read() {
  const auto buffer = reactor_.read_buffer();
  while (channel_) {
    const IoResult result = channel_->read(buffer);
    if (result.status == IoResult::Status::would_block) return;
    if (result.status == IoResult::Status::ok) {
      parse({buffer.data(), result.bytes});
    } else {
      end(result.status == IoResult::Status::closed ? "end of input" : "reset");
    }
  }
}

void BareLink::parse(std::string_view bytes) {
  using Event = xmpp::xml::StreamParser::Event;
  parser_.feed(bytes);
  for (;;) {
    switch (parser_.next()) {
      case Event::need_bytes:
        return;
      case Event::element: {
        const auto document = parser_.take_document();
        const auto root = document.root();
        if (root.name() == "error" && root.ns() == "http://etherx.jabber.org/streams") {
          const auto condition = root.first_child();
          inbox_.push_back(
              {Notice::Kind::stream_error, condition ? std::string(condition.name()) : "none"});
        } else {
          inbox_.push_back({Notice::Kind::stanza, std::string(root.raw())});
        }
        break;
      }
      case Event::error:
        inbox_.push_back({Notice::Kind::ended, "the server sent what is not XML"});
        return;
      case Event::open:
      case Event::text:
      case Event::close:
        break;
    }
  }
}

void BareLink::flush() {
  while (channel_ && !out_.empty()) {
    const iovec part{out_.data(), out_.size()};
    const IoResult result = channel_->writev({&part, 1});
    if (result.status == IoResult::Status::would_block) return;
    if (result.status != IoResult::Status::ok) {
      out_.clear();  // what the server said before it went is still read
      return;
    }
    out_.erase(0, result.bytes);
  }
}

void BareLink::end(std::string why) {
  reactor_.unwatch(*channel_, watch_);
  channel_.reset();
  inbox_.push_back({Notice::Kind::ended, std::move(why)});
}

// Performer
// ----------------------------------------------------------------------------------------------

Performer::Performer(Stage& stage, const Actor& actor)
    : stage_(stage), actor_(actor), passwords_(xmpp::sasl::make_salted_password_cache(4)) {}

Performer::~Performer() = default;

void Performer::connect(bool pauses, std::optional<xmpp::StreamPolicy::Resumption> resumption) {
  auto jid = xmpp::Jid::parse(actor_.jid);
  if (!jid) throw std::runtime_error("not an address: " + actor_.jid);
  auto policy = std::make_shared<xmpp::StreamPolicy>();
  policy->domain = std::string(jid->domain());
  policy->jid = jid->bare();
  policy->resource = std::string(jid->resource());
  policy->password = xmpp::Secret(actor_.password);
  policy->tls = stage_.tls_policy();
  policy->plain_without_tls = true;
  if (!actor_.mechanism.empty()) policy->mechanism = actor_.mechanism;
  policy->password_cache = passwords_.get();
  policy->pause_before_authentication = pauses;
  policy->nonzas = {xmpp::ns::sm};
  if (resumption) resumption->jid = *jid;
  policy->resumption = std::move(resumption);
  has_resumed_ = false;
  is_bound_ = false;
  is_ready_ = false;
  failure_.clear();
  inbox_.clear();
  bare_.reset();
  link_ = std::make_unique<xmpp::ClientLink>(stage_.reactor(), stage_.connect(), stage_.tls(),
                                             std::move(policy), stage_.rng(), *this);
  link_->start();
}

void Performer::open_bare() {
  inbox_.clear();
  link_.reset();
  bare_ = std::make_unique<BareLink>(stage_.reactor(), stage_.connect(), inbox_);
}

void Performer::log_in() {
  is_ready_ = false;
  link_->stream().start_authentication();
  link_->touch();
}

void Performer::send(std::string_view bytes) {
  if (bare_) {
    bare_->send(bytes);
  } else if (link_ && !link_->is_ended()) {
    link_->stream().output().append(bytes);
    link_->touch();
  } else {
    throw std::runtime_error(actor_.name + " is not connected");
  }
}

void Performer::close() {
  if (bare_) {
    bare_->send("</stream:stream>");
  } else if (link_ && !link_->is_ended()) {
    link_->stream().close();
    link_->touch();
  }
}

void Performer::drop() {
  if (link_) link_->drop();
  bare_.reset();
}

void Performer::on_event(xmpp::Event event) {
  if (auto* received = std::get_if<xmpp::StanzaReceived>(&event)) {
    std::string text;
    xmpp::write_stanza(text, received->parsed.stanza, xmpp::ns::client);
    inbox_.push_back({Notice::Kind::stanza, std::move(text)});
  } else if (auto* nonza = std::get_if<xmpp::NonzaReceived>(&event)) {
    inbox_.push_back({Notice::Kind::stanza, std::string(nonza->document.root().raw())});
  } else if (auto* resumed = std::get_if<xmpp::Resumed>(&event)) {
    has_resumed_ = true;
    inbox_.push_back(
        {Notice::Kind::stanza, "<resumed h='" + std::to_string(resumed->handled) + "'/>"});
  } else if (auto* bound = std::get_if<xmpp::Bound>(&event)) {
    jid_ = bound->jid;
    is_bound_ = true;
  } else if (xmpp::is<xmpp::ReadyToAuthenticate>(event)) {
    is_ready_ = true;
  } else if (auto* failed = std::get_if<xmpp::StreamFailed>(&event)) {
    on_failed(*failed);
  }
}

void Performer::on_failed(const xmpp::StreamFailed& failed) {
  failure_ = failed.sasl_failure   ? std::string(to_string(*failed.sasl_failure))
             : failed.bind_failure ? std::string(to_string(failed.bind_failure->condition))
                                   : std::string(to_string(failed.error.condition));
  if (failed.by_peer) {
    inbox_.push_back({Notice::Kind::stream_error, std::string(to_string(failed.error.condition))});
  }
}

void Performer::on_link_ended(std::optional<xmpp::LinkFailure> failure) {
  if (failure && failure_.empty()) failure_ = failure->text;
  inbox_.push_back({Notice::Kind::ended, failure ? failure->text : "in order"});
}

}  // namespace play
