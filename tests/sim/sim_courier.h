// Courier: a client that counts and acknowledges stanzas (XEP-0198), takes up its stream again
// after its connection broke, and sends again what the server had not dealt with; or a plain one,
// which only ever leaves in order.
//
// Thread-safety: one thread.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "sim/sim_user.h"
#include "sim/sim_world.h"
#include "xmpp/client/client_link.h"

namespace sim {

class Courier final : public xmpp::LinkObserver {
 public:
  Courier(SimWorld& world, Transcript& transcript, std::string name, const xmpp::Jid& full_jid,
          bool has_sm, std::uint64_t seed);
  ~Courier();

  [[nodiscard]] const std::string& name() const noexcept { return name_; }
  [[nodiscard]] const xmpp::Jid& jid() const noexcept { return jid_; }
  [[nodiscard]] bool has_sm() const noexcept { return has_sm_; }
  [[nodiscard]] bool is_bound() const noexcept { return is_bound_ && !is_leaving_; }
  [[nodiscard]] bool is_connected() const noexcept { return link_ && !link_->is_ended(); }
  // Has left in order, and the server agreed: whatever comes for it is stored.
  [[nodiscard]] bool is_away() const noexcept { return is_away_; }

  void connect(const LinkQuality& quality);
  // REQUIRES: is_bound().
  void send(const xmpp::Stanza& stanza);
  void cut();
  // Its machine is gone; the server sees nothing.
  void fall_silent();
  [[nodiscard]] bool may_resume() const noexcept { return !id_.empty(); }
  // It cannot take up its stream any more: the next one is a new one.
  void forget() { id_.clear(); }
  void leave();

  std::function<void(Courier&, const xmpp::Stanza&)> on_stanza;
  // The server has dealt with it (with SM), or with all up to it (a plain client left in order).
  std::function<void(Courier&, const std::string& id)> on_acknowledged;
  // An earlier stream is lost: what was received on it may come again.
  std::function<void(Courier&)> on_fresh_stream;
  std::function<void(Courier&)> on_forgotten;  // resumed, the server has got less than it said
  // The stream ended by an error, which has this name.
  std::function<void(Courier&, std::string_view)> on_stream_error;

 private:
  void on_event(xmpp::Event event) override;
  void on_tls(bool) override {}
  void on_link_ended(std::optional<xmpp::LinkFailure> failure) override;
  void on_nonza(xmpp::xml::Element element);
  void on_bound();
  void acknowledge(std::uint32_t handled);
  void note(std::string_view what) { transcript_.add(world_.now(), name_, what); }
  void end();
  void keep_alive();

  SimWorld& world_;
  Transcript& transcript_;
  std::string name_;
  xmpp::Jid jid_;
  bool has_sm_;
  xmpp::SeededRng rng_;
  xmpp::net::Reactor& reactor_;
  std::unique_ptr<xmpp::sasl::SaltedPasswordCache> passwords_;
  std::unique_ptr<xmpp::ClientLink> link_;
  SimChannel* channel_ = nullptr;
  xmpp::Timer keepalive_;
  bool is_bound_ = false;
  bool is_leaving_ = false;
  bool is_away_ = true;
  bool has_resumed_ = false;
  // Of the stream that may be taken up: its id (empty: none), what came, what went.
  std::string id_;
  std::uint32_t received_ = 0;
  std::uint32_t acknowledged_ = 0;
  bool is_counting_ = false;  // what comes
  std::deque<xmpp::Stanza> unacknowledged_;
};

}  // namespace sim
