// Stage: where a play is performed: a server, and connections to it. The same play runs on every
// stage: in the simulator (virtual time), and over TCP, STARTTLS and direct TLS against the real
// server.
//
// Thread-safety: one thread. Invariant: everything of a play's clients runs on reactor(), in
// turn().
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "player/script.h"
#include "xmpp/base/random.h"
#include "xmpp/client/client_link.h"
#include "xmpp/net/poller.h"
#include "xmpp/net/reactor.h"
#include "xmpp/stream/stream.h"

namespace play {

class Stage {
 public:
  Stage() = default;
  Stage(const Stage&) = delete;
  Stage& operator=(const Stage&) = delete;
  virtual ~Stage() = default;

  virtual void add_account(const Account& account) = 0;
  [[nodiscard]] virtual xmpp::net::Reactor& reactor() = 0;
  [[nodiscard]] virtual xmpp::Rng& rng() = 0;
  [[nodiscard]] virtual std::unique_ptr<xmpp::net::ByteChannel> connect() = 0;
  [[nodiscard]] virtual xmpp::Instant now() = 0;
  // Stops the server, whose clients are cut off, and starts another on the same data.
  virtual void restart_server() = 0;
  // Lets something happen, or time pass, at most until `latest`.
  virtual void turn(xmpp::Instant latest) = 0;
  // How the clients of this stage secure their streams.
  [[nodiscard]] virtual xmpp::StreamPolicy::Tls tls_policy() const = 0;
  [[nodiscard]] virtual xmpp::LinkTls tls() const = 0;
  // Silence is listened to for this much shorter than the play says: real time is dear.
  [[nodiscard]] virtual int haste() const { return 1; }
  // Are bytes on the wire what the play says (no TLS in between)?
  [[nodiscard]] virtual bool has_plain_wire() const = 0;
};

struct StageOptions {
  std::string config;  // TOML of the play
  std::uint64_t seed = 1;
  bool restarts = false;  // shall data outlive the server?
};
[[nodiscard]] std::unique_ptr<Stage> make_sim_stage(const StageOptions& options);
enum class Security : std::uint8_t { none, starttls, direct };
// A server of its own in this process, with threads, on free loopback ports.
[[nodiscard]] std::unique_ptr<Stage> make_tcp_stage(const StageOptions& options, Security security);

}  // namespace play
