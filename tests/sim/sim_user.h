// SimUser: one client of the simulation: libxmpp's ClientLink on a simulated connection. It logs
// in, counts what it sends, and notes what it sees in the transcript.
//
// Thread-safety: one thread. Invariant: `life` counts connections; what was expected of an earlier
// life is never expected of a later one.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "sim/sim_world.h"
#include "xmpp/base/random.h"
#include "xmpp/client/client_link.h"
#include "xmpp/core/stanza.h"

namespace sim {

// What all clients saw, line by line; its digest is what two runs of one seed are compared by.
class Transcript {
 public:
  // `trace`: also written there, if not null.
  explicit Transcript(std::FILE* trace) : trace_(trace) {}
  void add(Instant at, std::string_view who, std::string_view what);
  [[nodiscard]] std::string digest() const;
  [[nodiscard]] std::uint64_t lines() const noexcept { return lines_; }

 private:
  std::FILE* trace_;
  std::uint64_t lines_ = 0;
  std::uint64_t digest_ = 0;
};

// Where the server ends who says nothing for too long, clients send a space so often.
inline constexpr Duration kKeepalive = std::chrono::seconds(4);

class SimUser final : public xmpp::LinkObserver {
 public:
  SimUser(SimWorld& world, Transcript& transcript, std::string name, const xmpp::Jid& full_jid,
          std::uint64_t seed);
  ~SimUser();

  [[nodiscard]] const std::string& name() const noexcept { return name_; }
  [[nodiscard]] const xmpp::Jid& jid() const noexcept { return jid_; }
  [[nodiscard]] xmpp::net::Reactor& reactor() noexcept { return reactor_; }
  [[nodiscard]] bool is_connected() const noexcept { return link_ && !link_->is_ended(); }
  [[nodiscard]] bool is_bound() const noexcept { return is_bound_; }
  [[nodiscard]] std::uint32_t life() const noexcept { return life_; }
  // Has the server told us of our own presence, so that messages to the bare JID reach us?
  [[nodiscard]] bool is_available() const noexcept { return is_bound_ && is_available_; }
  // We told the server; it has agreed when its echo of this status comes.
  void becomes_available(std::string status) { awaited_status_ = std::move(status); }
  void becomes_unavailable() {
    is_available_ = false;
    awaited_status_.clear();
  }

  // REQUIRES: !is_connected().
  void connect(const LinkQuality& quality);
  void send(const xmpp::Stanza& stanza);
  void send_nonza(std::string_view markup);
  // For the connections to come.
  void set_password(const std::string& password);
  // The next connection stops before it logs in and calls on_ready; start_authentication() goes on.
  void pause_next();
  void start_authentication();
  // Ends the stream in order.
  void close();
  // Breaks the connection; the server sees a reset.
  void cut();
  // Goes without closing its stream; the server sees the end of input.
  void vanish();
  // Its machine is gone; the server sees nothing. It may connect again.
  void fall_silent();
  void note(std::string_view what) { transcript_.add(world_.now(), name_, what); }

  // Every stanza that arrives, and the end of a life (in order or not).
  std::function<void(SimUser&, const xmpp::Stanza&)> on_stanza;
  std::function<void(SimUser&)> on_end;
  std::function<void(SimUser&)> on_ready;
  std::function<void(SimUser&)> on_bound;
  // The end of a stream by an error, bound or not.
  std::function<void(SimUser&, const xmpp::StreamFailed&)> on_stream_error;

 private:
  void on_event(xmpp::Event event) override;
  void on_tls(bool) override {}
  void on_link_ended(std::optional<xmpp::LinkFailure> failure) override;
  void end_life();
  void keep_alive();

  SimWorld& world_;
  Transcript& transcript_;
  std::string name_;
  xmpp::Jid jid_;
  xmpp::SeededRng rng_;
  xmpp::net::Reactor& reactor_;
  std::shared_ptr<const xmpp::StreamPolicy> policy_;
  std::unique_ptr<xmpp::sasl::SaltedPasswordCache> passwords_;
  std::unique_ptr<xmpp::ClientLink> link_;
  SimChannel* channel_ = nullptr;  // the link's, while it has not ended
  xmpp::Timer keepalive_;
  std::uint32_t life_ = 0;
  bool is_bound_ = false;
  bool is_available_ = false;
  std::string awaited_status_;
};

}  // namespace sim
