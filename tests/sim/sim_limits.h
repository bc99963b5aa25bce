// The limits of a simulated server: TightLimits is what a run is configured with, by its seed;
// LimitWatch looks after every step whether the server keeps them.
//
// A limit holds at once, but for these: what a session has too much (stanzas its client does not
// acknowledge, sessions that wait for their clients, stanzas in a strand) ends in the next turn of
// its worker, hence kGrace; a mailbox may also hold what the stanzas cause that filled it.
//
// Thread-safety: one thread.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <utility>

#include "core/limits.h"
#include "sim/sim_world.h"

namespace sim {

// Those that are not the server's defaults, where a part reaches them.
struct TightLimits {
  std::size_t sessions = 4;  // of one account
  std::size_t offline_messages = 60;
  std::size_t offline_per_sender = 500;
  std::size_t offline_bytes = 30'000;
  std::size_t detached = 2;
  std::size_t unacknowledged = 30;            // stanzas of a session
  std::size_t unacknowledged_bytes = 65'536;  // the least there is
  std::size_t held = 3;                       // for a client that looks away
  std::size_t requests = 8;                   // that wait for an account's answer
  std::size_t roster_items = 20;
  std::size_t groups = 4;  // of one item
  std::size_t blocked = 6;
  std::size_t documents = 6;            // of private XML
  std::size_t document_bytes = 20'000;  // together
  std::size_t card_bytes = 12'000;      // of a vCard
  Duration sm_answer{};                 // zero: the default
  xmppd::Limits server;                 // the ones below and the defaults
  // What no client notices: how often a client is asked to acknowledge, a contact address.
  std::size_t request_every = 5;
  std::size_t revision = 1;

  // `seed` decides which limits are tight. `has_faults`: then the storage may refuse things.
  // `clients`: how big the crowd is, which must not reach those that all share.
  [[nodiscard]] static TightLimits draw(std::uint64_t seed, bool has_faults, std::size_t clients);
  // TOML.
  [[nodiscard]] std::string config() const;
};

class LimitWatch {
 public:
  LimitWatch(SimWorld& world, std::function<void(std::string)> fail);
  // After a step of the world: nothing exceeds its limit.
  void sample();
  // The most that was seen of each figure.
  [[nodiscard]] std::string summary() const;

 private:
  enum class Figure : std::uint8_t {
    storage,
    offload,
    connections,
    per_address,
    mails,
    sessions,
    loading,
    strand,
    detached,
    unacknowledged,
    unacknowledged_bytes,
    beyond_terms,
    unused,
    unsent,
    read,
    nameless,
    silent,
  };
  static constexpr std::size_t kFigures = 17;
  // `value` exceeds `limit` never, or not for longer than `grace`.
  void expect(Figure figure, std::string_view whose, std::size_t value, std::size_t limit,
              Duration grace = {});
  void check_queues();
  void check_accounts(xmppd::Worker& worker);
  void check_links(xmppd::Worker& worker);
  void check_rate(const SimChannel& channel);

  SimWorld& world_;
  std::function<void(std::string)> fail_;
  // What is over its limit, since when.
  using Over = std::pair<Figure, std::string>;
  std::map<Over, Instant> over_;
  std::set<Over> seen_over_;  // in this sample
  std::set<Figure> reported_;
  std::array<std::size_t, kFigures> most_{};
  std::map<std::uint32_t, std::size_t> per_address_;  // scratch
};

}  // namespace sim
