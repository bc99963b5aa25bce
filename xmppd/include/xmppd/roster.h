// RosterService: an account's roster for modules, loaded when first needed, changed through
// storage. The module `roster` provides it (Scope::use<RosterService>()).
//
// All reads and changes of one account run one after the other, in the order asked for. A change is
// in the roster once it is committed; then `done` runs, and then the sessions that asked for the
// roster are pushed the item.
//
// Thread-safety: the account's owner. Functions given here run within the call or later; what they
// refer to may be gone by then except the Account they get and the calling module's instance.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "xmpp/core/jid.h"
#include "xmppd/account.h"
#include "xmppd/session.h"
#include "xmppd/storage.h"

namespace xmppd {

struct Roster {
  std::uint64_t version = 0;
  std::map<xmpp::Jid, RosterContact> contacts;  // by bare JID
  std::string last_presence;  // unavailable, when no session was available any more; may be empty

  // nullptr: no item and no request. Only the bare part of `jid` counts.
  [[nodiscard]] const RosterContact* find(const xmpp::Jid& jid) const {
    auto found = contacts.find(jid.bare());
    return found == contacts.end() ? nullptr : &found->second;
  }
};

enum class RosterOutcome : std::uint8_t {
  changed,    // committed
  unchanged,  // `edit` changed nothing
  refused,    // `edit` said no
  full,       // the roster, or the list of requests, is at its limit
  too_long,   // the addresses, or they and a group, exceed kKeyBytesMax
  busy,       // too much waits for this roster
  failed,     // storage refused it
};

class RosterService {
 public:
  static constexpr std::string_view kServiceName = "roster";
  // nullptr: the roster cannot be loaded, or too much waits for it, and it was not known before.
  using Read = std::function<void(Account&, const Roster*)>;
  // Changes the contact, which is empty if it was not there; false refuses. May run only once.
  using Edit = std::function<bool(RosterContact&)>;
  using Done = std::function<void(Account&, RosterOutcome)>;

  virtual void read(Account& account, Read read) = 0;
  virtual void change(Account& account, xmpp::Jid contact, Edit edit, Done done) = 0;
  // The roster as it is before the changes that are under way; nullptr if none is, or if it is not
  // known. Until the caller returns to the loop.
  [[nodiscard]] virtual const Roster* before_changes(Account& account) = 0;
  // Keeps the presence that the account leaves with, as XML, over restarts.
  virtual void keep_last_presence(Account& account, std::string presence) = 0;
  // The account was removed from storage.
  virtual void forget(Account& account) = 0;
  // Did this session ask for the roster?
  [[nodiscard]] virtual bool is_interested(Session& session) = 0;

 protected:
  ~RosterService() = default;
};

}  // namespace xmppd
