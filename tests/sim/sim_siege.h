// Siege: at an audit, when everybody else is at rest, many at once reach a limit that all share, or
// one that takes many: connections, the queue of blocking jobs, the stanzas that wait for an
// account which is being loaded, the mail of a worker.
//
// Checkers: as many as the limit says get through, the rest is refused as documented, or waits if
// nobody is refused; who was there before goes on; when it is over, no connection of this part is
// left.
//
// Thread-safety: one thread. Spec: docs/security.md, "Limits".
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "sim/sim_part.h"
#include "sim/sim_raw.h"

namespace sim {

class Siege final : public Part {
 public:
  Siege(const Stage& stage, std::uint64_t seed);
  void act() override {}
  void on_crash() override {}
  void gather() override;
  void check() override;
  void leave() override;

 private:
  static constexpr std::size_t kPushers = 3;
  void fill_connections();
  void fill_offload();
  void fill_activation();
  void fill_mailbox();
  // A question to the server from who was there before, and whether the answer comes.
  void expect_service(const std::string& while_what);
  void push(SimUser& pusher, const xmpp::Jid& to, std::size_t count);
  void on_stanza(std::size_t pusher, const xmpp::Stanza& stanza);
  void on_message(const xmpp::Stanza& stanza);

  Stage stage_;
  xmpp::net::Reactor& loop_;
  std::vector<std::unique_ptr<SimUser>> pushers_;
  std::unique_ptr<SimUser> target_;
  std::vector<std::unique_ptr<RawPeer>> peers_;
  std::uint64_t next_number_ = 1;
  std::size_t sleepers_ = 0;
  // Answers to a pusher's requests.
  std::array<std::size_t, kPushers> answered_{};
  std::array<std::size_t, kPushers> refused_{};
  std::map<std::string, std::uint64_t> last_;  // that the target got, by sender
  std::size_t arrived_ = 0;
};

}  // namespace sim
