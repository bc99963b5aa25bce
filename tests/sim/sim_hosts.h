// Hosts: an operator adds a host and removes it again, with its accounts or without, while clients
// are there and talk to each other and to somebody on another host.
//
// Checkers: the clients of a host that goes are told so (host-gone), and their presence ends for
// who saw it; every message to them arrives or comes back with remote-server-not-found, one of
// them; nobody gets in while it is gone (host-unknown). When it is there again they are let in and
// have what they had stored; if its accounts were removed, neither. Nobody else may notice: all
// other checkers hold as they are.
//
// Thread-safety: one thread. Spec: docs/operations.md, "Change the configuration"; RFC 6120 4.9.3.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "sim/sim_console.h"
#include "sim/sim_part.h"

namespace sim {

class Hosts final : public Part {
 public:
  // REQUIRES: !stage.has_faults.
  Hosts(const Stage& stage, std::shared_ptr<Console> console, std::uint64_t seed);
  void act() override;
  void on_crash() override {}
  void gather() override;
  void check() override {}
  void leave() override;

 private:
  static constexpr std::size_t kGuests = 3;
  enum class Phase : std::uint8_t {
    gone,        // the host is not there
    changing,    // a command is under way
    added,       // it is there
    locked_out,  // its accounts are gone: somebody has tried
    coming,
    there,
    talking,
    removed,
    knocking,  // somebody has tried
  };
  struct Guest {
    std::unique_ptr<SimUser> user;
    std::optional<xmpp::StreamFailed> end;  // of its last stream, if by an error
    bool is_seen = false;                   // by the hostess
  };
  void add_host();
  void make_accounts();
  void judge_locked_out();
  void connect_all();
  void settle_in();
  void talk();
  void judge_talk();
  void remove_host();
  void judge_removal();
  void judge_knocking();
  void write(SimUser& from, const xmpp::Jid& to);
  void on_stanza(SimUser& user, const xmpp::Stanza& stanza);
  void on_roster(const xmpp::Stanza& stanza);
  void next(Phase phase, Duration in);

  Stage stage_;
  std::shared_ptr<Console> console_;
  std::unique_ptr<SimUser> hostess_;
  std::array<Guest, kGuests> guests_;
  Phase phase_ = Phase::gone;
  Instant next_at_{};
  bool is_purged_ = false;  // with the host its accounts were removed
  bool has_accounts_ = false;
  std::string kept_;              // the name of the one roster item of the first guest
  std::string changing_;          // that it is to get, not acknowledged
  std::set<std::uint64_t> sent_;  // messages of which neither they nor an error came
  std::uint64_t next_number_ = 1;
};

}  // namespace sim
