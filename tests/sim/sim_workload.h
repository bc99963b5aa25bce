// What the clients of a simulation do, and what must hold whatever happens.
//
// Checkers: messages of one sender reach a session in the order sent, once; nothing between two
// clients that stay connected is lost; every request to the server gets exactly one answer; when
// all have gone, no session, connection, account, mail or storage operation is left. And what
// Social checks of rosters and presence, LimitWatch of the server's limits after every step,
// SilenceWatch of clients that are gone without a word, and the parts (sim_part.h) of the rest.
//
// With faults the disk is slow, fails and loses its power now and then: see Faults.
//
// Thread-safety: one thread.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "sim/sim_faults.h"
#include "sim/sim_limits.h"
#include "sim/sim_part.h"
#include "sim/sim_silence.h"
#include "sim/sim_social.h"
#include "sim/sim_user.h"
#include "sim/sim_world.h"

namespace sim {

// One server, two hosts. TOML.
inline constexpr const char* kHosts = "[host.\"localhost\"]\n[host.\"second.example\"]\n";
// What a world is configured with: these limits, the hosts, whatever a part needs. TOML.
[[nodiscard]] std::string config_of(const TightLimits& limits);

class Workload {
 public:
  // `limits`: what the world is configured with; null: only the crowd, without parts. `disk`: that
  // of the world, to fail now and then; null: no faults.
  Workload(SimWorld& world, Transcript& transcript, std::size_t clients, std::uint64_t seed,
           const TightLimits* limits, SimDisk* disk);
  ~Workload();

  // Acts and steps `steps` times.
  void run(std::uint64_t steps);
  // Everybody leaves; then nothing may be left.
  void finish();
  // What was violated, for people; empty if all is well.
  [[nodiscard]] const std::vector<std::string>& failures() const noexcept { return failures_; }
  [[nodiscard]] std::string summary() const;

 private:
  // A life of a client.
  using Life = std::pair<const SimUser*, std::uint32_t>;
  // Something that must arrive at `receiver`, unless it or the peer it depends on ends first.
  struct Expected {
    Life receiver;
    Life peer;  // null: the server itself
    std::string what;
    bool is_for_available = false;  // and unless the receiver becomes unavailable first
  };

  void add_parts(std::uint64_t seed, const TightLimits& limits, bool has_faults);
  void act();
  // After a power cut, or to kill the server.
  void restart();
  void go_online(SimUser& user);
  void fall_silent(SimUser& user);
  [[nodiscard]] bool is_from_silence(const xmpp::Jid& account, const xmpp::Stanza& stanza) const;
  void say(SimUser& user);
  void ask(SimUser& user);
  void change_presence(SimUser& user);
  void check_parts();
  // Lets everything come to rest and compares what the clients see with the model.
  void audit();
  // Who waits for an answer of the account, as the database has it.
  [[nodiscard]] std::set<std::string> list_requests(const std::string& account);
  [[nodiscard]] bool has_bound(const xmpp::Jid& account) const;
  void on_stanza(SimUser& user, const xmpp::Stanza& stanza);
  void on_message(SimUser& user, const xmpp::Stanza& stanza);
  void on_end(SimUser& user);
  void on_stream_error(SimUser& user, const xmpp::StreamFailed& failed);
  void fail(std::string text);
  void check_nothing_left();
  [[nodiscard]] LinkQuality random_quality();
  [[nodiscard]] static Life life_of(const SimUser& user) { return {&user, user.life()}; }
  [[nodiscard]] SimUser& random_user() { return *users_[pick(users_.size())]; }
  [[nodiscard]] std::size_t pick(std::size_t bound) {
    return static_cast<std::size_t>(rng_.below(bound));
  }

  SimWorld& world_;
  xmpp::SeededRng rng_;
  Transcript& transcript_;
  std::vector<std::unique_ptr<SimUser>> users_;
  std::unique_ptr<Social> social_;
  std::vector<std::unique_ptr<Part>> parts_;
  LimitWatch watch_;
  SilenceWatch silence_;
  std::map<const SimUser*, Instant> back_at_;         // who went silent comes again then
  std::map<std::string, xmpp::Timestamp> silent_at_;  // the last time, by account
  std::unique_ptr<Faults> faults_;                    // null: none
  std::map<std::string, Expected> expected_;          // by "receiver's name: id"
  std::set<std::string> asked_;                       // requests not yet answered, by the same key
  // The last number that a life of a receiver saw from a life of a sender.
  std::map<std::pair<std::string, std::string>, std::uint64_t> last_seen_;
  std::uint64_t next_number_ = 1;
  Instant next_act_{};
  std::uint64_t sent_ = 0;
  std::uint64_t received_ = 0;
  std::uint64_t requests_ = 0;
  std::uint64_t logins_ = 0;
  std::vector<std::string> failures_;
};

}  // namespace sim
