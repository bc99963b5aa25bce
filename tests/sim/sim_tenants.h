// Tenants: accounts that are made in-band, change their passwords and are removed (XEP-0077), while
// somebody tries passwords that were right once.
//
// Checkers: from the acknowledgement on the new password lets in, the old one does not, nor any if
// the account is gone; also after a crash. What was not acknowledged may have happened or not.
//
// Thread-safety: one thread.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <set>
#include <string>

#include "sim/sim_part.h"

namespace sim {

class Tenants final : public Part {
 public:
  // What the server has to be configured with: TOML of the default profile.
  static constexpr std::string_view kConfig =
      "[profile.default.module.register]\nallow = \"all\"\n";

  Tenants(const Stage& stage, std::uint64_t seed);
  void act() override;
  void on_crash() override;
  void gather() override;
  void check() override;
  void leave() override;

 private:
  enum class Change : std::uint8_t { none, enroll, password, remove };
  struct Tenant {
    std::string name;
    // What lets in, or one of these; kNoAccount stands for nothing.
    std::set<std::string> possible;
    std::uint64_t epoch = 0;  // counts what may have changed `possible`
    Change change = Change::none;
    std::string wanted;          // by the change: the password
    std::string id;              // of its request
    SimUser* changer = nullptr;  // while a change is under way
    std::uint32_t changer_life = 0;
    std::set<std::string> old;  // once right
  };
  struct Client {
    std::unique_ptr<SimUser> user;
    Tenant* tenant = nullptr;
    std::string password;            // that it connects with
    std::set<std::string> possible;  // when it connected
    std::uint64_t epoch = 0;
  };

  void connect(Client& client);
  void begin(Client& client, Change change);
  void send(Client& client);
  // Nothing has changed since it connected, nor is about to.
  [[nodiscard]] static bool is_certain(const Client& client) {
    return client.epoch == client.tenant->epoch && client.tenant->change == Change::none;
  }
  // A change whose client is gone may have happened or not.
  void give_up(Tenant& tenant);
  void give_up_lost();
  void on_stanza(Client& client, const xmpp::Stanza& stanza);
  void on_bound(Client& client);
  void on_refused(Client& client, const xmpp::StreamFailed& failed);
  static void set_possible(Tenant& tenant, std::set<std::string> possible);

  static constexpr std::size_t kTenants = 2;
  static constexpr std::size_t kClients = 4;
  Stage stage_;
  std::array<Tenant, kTenants> tenants_;
  std::array<Client, kClients> clients_;
  std::uint64_t next_number_ = 1;
};

}  // namespace sim
