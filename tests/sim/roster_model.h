// RosterModel: what the rosters and subscriptions of all accounts must be after what their clients
// did, written down straight from RFC 6121: the nine states by name, the tables of appendix A as
// they stand there. It shares nothing with the server and does everything at once; the real server
// must come to the same when all is quiet.
//
// Thread-safety: one thread. Spec: RFC 6121 2.3, 2.5, 3, appendix A.
#pragma once

#include <map>
#include <set>
#include <string>

namespace sim {

class RosterModel {
 public:
  struct Item {
    bool is_listed = false;
    bool is_approved = false;
    std::string name;
    std::set<std::string> groups;
    std::string state = "None";
  };

  void add_account(const std::string& account) { rosters_[account]; }
  [[nodiscard]] bool is_account(const std::string& jid) const { return rosters_.contains(jid); }

  // A client of `who` sets or removes the item of `contact`.
  void set_item(const std::string& who, const std::string& contact, std::string name,
                std::set<std::string> groups);
  void remove_item(const std::string& who, const std::string& contact);
  // A client of `who` sends presence of this type (subscribe and alike) to `contact`.
  void send(const std::string& who, const std::string& contact, const std::string& type);

  // What a server says of `who`'s roster, item by item: "subscription ask approved name groups".
  [[nodiscard]] std::map<std::string, std::string> items(const std::string& who) const;
  [[nodiscard]] bool has_item(const std::string& who, const std::string& contact) const;
  // May `watcher` see the presence of `who`?
  [[nodiscard]] bool is_seen_by(const std::string& who, const std::string& watcher) const;
  // Who waits for `who` to answer a request.
  [[nodiscard]] std::set<std::string> requests(const std::string& who) const;

  // What a server says of an account.
  struct Told {
    std::map<std::string, std::string> items;  // as of items()
    std::set<std::string> requests;            // as of requests()
    bool operator==(const Told&) const = default;
  };
  // What happened between these two is not known (a connection broke meanwhile): believe what the
  // server says of them, as far as it agrees with itself. False: it does not.
  [[nodiscard]] bool adopt(const std::string& one, const std::string& other, const Told& of_one,
                           const Told& of_other);

 private:
  [[nodiscard]] Item item(const std::string& who, const std::string& contact) const;
  Item& at(const std::string& who, const std::string& contact) { return rosters_[who][contact]; }
  void receive(const std::string& who, const std::string& from, const std::string& type);

  std::map<std::string, std::map<std::string, Item>> rosters_;
};

// One line of items().
[[nodiscard]] std::string describe_item(const std::string& subscription, bool is_asked,
                                        bool is_approved, const std::string& name,
                                        const std::set<std::string>& groups);

}  // namespace sim
