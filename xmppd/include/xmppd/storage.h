// Storage as modules and core see it: typed stores, transactions as closures, errors as values.
//
//   auto pending = storage.write(reactor, jid,
//                                [](Tx& tx, AccountRecord a) { return tx.accounts().create(a); },
//                                account);
//   auto outcome = co_await pending;              // Result<bool, StorageError>, on `reactor`'s
//   thread if (!outcome) ...outcome.error().code...
//
// A closure runs on a storage thread: it captures nothing, takes and returns values (Sendable) and
// may run again (of a batch that fails the halves are repeated), so it has no effect but on the
// Tx. A closure that returns an error, or that ignored the error of a store, is rolled back.
//
// Order: writes of one key run in the order submitted; a read sees every write of its key that was
// submitted before it. The result arrives after the commit.
//
// Thread-safety: Storage any thread, but a write or read is submitted on the thread of its reactor,
// which must outlive it; Tx and the stores the closure only.
#pragma once

#include <concepts>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "xmpp/base/result.h"
#include "xmpp/base/task.h"
#include "xmpp/base/time.h"
#include "xmpp/core/jid.h"
#include "xmpp/net/reactor.h"
#include "xmpp/sasl/credentials.h"
#include "xmppd/export.h"
#include "xmppd/sendable.h"

namespace xmppd {

using xmpp::Result;

enum class StorageErrorCode : std::uint8_t {
  busy,         // queue full or the database locked for too long: try later
  constraint,   // the data contradict the schema
  corrupt,      // what is stored cannot be read
  unavailable,  // disk full, file gone, storage stopped, outcome of a commit unknown
};
[[nodiscard]] constexpr std::string_view to_string(StorageErrorCode code) noexcept {
  switch (code) {
    case StorageErrorCode::busy:
      return "busy";
    case StorageErrorCode::constraint:
      return "constraint";
    case StorageErrorCode::corrupt:
      return "corrupt";
    case StorageErrorCode::unavailable:
      break;
  }
  return "unavailable";
}

struct StorageError {
  StorageErrorCode code = StorageErrorCode::unavailable;
  std::string text;  // for the log, never for a peer
};

template <typename T>
using StorageResult = Result<T, StorageError>;

// What a row is found by has at most this many bytes together: the account's host and localpart,
// then e.g. an address and a group, or a space and a key. An index of PostgreSQL's holds no more
// (2,704 with what it adds), and SQLite promises the same. The longest bare address fits beside an
// account of 553 bytes.
inline constexpr std::size_t kKeyBytesMax = 2'600;

// Can such a row be put? Stores refuse it (constraint) if not; whoever has its parts from peers
// asks before, so that the answer is theirs.
[[nodiscard]] inline bool fits_key(const xmpp::Jid& account, std::string_view first,
                                   std::string_view second = {}) noexcept {
  return account.domain().size() + account.local().size() + first.size() + second.size() <=
         kKeyBytesMax;
}

// An account as stored: never a password. (xmppd::Account is the live object on its owner.)
struct XMPPD_API AccountRecord {
  xmpp::Jid jid;  // bare, with a localpart
  bool is_enabled = true;
  xmpp::Timestamp created_at{};             // stored in milliseconds
  std::vector<xmpp::sasl::ScramKeys> keys;  // at most one per hash

  // The keys of `hash`, or nullptr.
  [[nodiscard]] const xmpp::sasl::ScramKeys* find_keys(xmpp::sasl::ScramHash hash) const noexcept {
    for (const xmpp::sasl::ScramKeys& one : keys) {
      if (one.hash == hash) return &one;
    }
    return nullptr;
  }
};

// An account without its keys, for lists.
struct AccountSummary {
  xmpp::Jid jid;
  bool is_enabled = true;
  xmpp::Timestamp created_at{};
};

// SCRAM keys that have the same iteration count.
struct IterationCount {
  std::uint32_t iterations = 0;
  std::uint64_t keys = 0;
  friend bool operator==(const IterationCount&, const IterationCount&) = default;
};

// Accounts with passwords of this server's own. REQUIRES of every jid: bare, with a localpart.
class Accounts {
 public:
  virtual ~Accounts() = default;
  // false: exists already, nothing changed.
  virtual StorageResult<bool> create(const AccountRecord& account) = 0;
  virtual StorageResult<std::optional<AccountRecord>> find(const xmpp::Jid& jid) = 0;
  virtual StorageResult<bool> exists(const xmpp::Jid& jid) = 0;
  // Removes the account and its keys; false: there is none.
  virtual StorageResult<bool> remove(const xmpp::Jid& jid) = 0;
  // Up to `limit` accounts of the host in order of their localpart's bytes, after the localpart
  // `after` (empty: from the start).
  virtual StorageResult<std::vector<AccountSummary>> list(std::string_view host,
                                                          std::string_view after,
                                                          std::size_t limit) = 0;
  // Replaces all keys; false: no such account.
  virtual StorageResult<bool> set_keys(const xmpp::Jid& jid,
                                       const std::vector<xmpp::sasl::ScramKeys>& keys) = 0;
  // false: no such account.
  virtual StorageResult<bool> set_enabled(const xmpp::Jid& jid, bool is_enabled) = 0;
  // Accounts of the host, disabled ones too.
  virtual StorageResult<std::uint64_t> count(std::string_view host) = 0;
  // The hashes that every enabled account of the host has keys for: what SCRAM may be offered. All
  // of them for a host without enabled accounts.
  virtual StorageResult<xmpp::sasl::ScramHashSet> common_hashes(std::string_view host) = 0;
  // How many keys have which iteration count, the highest count first, among the first `sample`
  // keys of the host.
  virtual StorageResult<std::vector<IterationCount>> iteration_counts(std::string_view host,
                                                                      std::size_t sample) = 0;
};

struct KeyValueRow {
  std::string key;
  std::string value;
};

// Bytes by (space, key), e.g. the server's secrets.
class KeyValue {
 public:
  virtual ~KeyValue() = default;
  virtual StorageResult<std::optional<std::string>> find(std::string_view space,
                                                         std::string_view key) = 0;
  // Inserts or replaces.
  virtual StorageResult<void> put(std::string_view space, std::string_view key,
                                  std::string_view value) = 0;
  // false: was not there.
  virtual StorageResult<bool> remove(std::string_view space, std::string_view key) = 0;
  // Everything in a space, in order of the keys' bytes.
  virtual StorageResult<std::vector<KeyValueRow>> list(std::string_view space) = 0;
};

// How presence flows between an account and a contact; bits, so that a state is a sum.
enum class RosterSubscription : std::uint8_t { none = 0, to = 1, from = 2, both = 3 };

// What an account has to do with a contact: an item of its roster, a request of the contact's that
// waits for an answer, or both.
struct RosterContact {
  xmpp::Jid jid;           // bare
  bool is_listed = false;  // an item of the roster; else only `request` means something
  std::string name;
  RosterSubscription subscription = RosterSubscription::none;
  bool is_asked = false;            // the account asked to see the contact's presence
  bool is_approved = false;         // a request of the contact's is granted in advance
  std::vector<std::string> groups;  // sorted, each once
  std::string request;              // the contact's subscription request as XML; empty: none
  // Nothing to remember.
  [[nodiscard]] bool is_empty() const noexcept { return !is_listed && request.empty(); }
  bool operator==(const RosterContact&) const = default;
};

struct RosterRecord {
  std::uint64_t version = 0;
  std::vector<RosterContact> contacts;  // in order of their addresses' bytes
  std::string last_presence;            // see Rosters::put_last_presence()
};

// Rosters of accounts; they go with their account. REQUIRES of every account: bare, with a
// localpart; of every contact: bare.
class Rosters {
 public:
  virtual ~Rosters() = default;
  // Empty if there is none, also without an account.
  virtual StorageResult<RosterRecord> load(const xmpp::Jid& account) = 0;
  // Inserts or replaces; an empty contact is removed. An error (constraint) without the account.
  virtual StorageResult<void> put(const xmpp::Jid& account, const RosterContact& contact) = 0;
  // Raises the version by at least one and returns it; never one that an account of that name had
  // before, also if it was removed and made again since. An error (constraint) without the account.
  virtual StorageResult<std::uint64_t> raise_version(const xmpp::Jid& account) = 0;
  // Keeps the unavailable presence that the account left with, as XML. An error (constraint)
  // without the account.
  virtual StorageResult<void> put_last_presence(const xmpp::Jid& account,
                                                std::string_view presence) = 0;
};

// A message that waits for its recipient.
struct OfflineMessage {
  std::uint64_t number = 0;       // of its account's, in the order of arrival; add() chooses it
  xmpp::Jid sender;               // bare
  xmpp::Timestamp received_at{};  // stored in milliseconds
  std::string stanza;             // as XML in jabber:client
};

// What may wait for one account at most; a message that would exceed it is refused.
struct OfflineLimits {
  std::uint64_t messages = 0;
  std::uint64_t messages_per_sender = 0;
  std::uint64_t bytes = 0;  // of stanzas
};

enum class OfflineOutcome : std::uint8_t { stored, full, no_account };

// Messages for accounts; they go with their account. REQUIRES of every account: bare, with a
// localpart.
class OfflineMessages {
 public:
  virtual ~OfflineMessages() = default;
  virtual StorageResult<OfflineOutcome> add(const xmpp::Jid& account, const OfflineMessage& message,
                                            const OfflineLimits& limits) = 0;
  // The oldest messages behind the number `after`: as many as wait, at most `messages`, and no more
  // when they have `bytes`.
  virtual StorageResult<std::vector<OfflineMessage>> load(const xmpp::Jid& account,
                                                          std::uint64_t after, std::size_t messages,
                                                          std::size_t bytes) = 0;
  // Removes the messages up to this number; how many there were.
  virtual StorageResult<std::uint64_t> remove(const xmpp::Jid& account, std::uint64_t up_to) = 0;
};

// What AccountData may hold of one account in one space at most.
struct DataLimits {
  std::uint64_t entries = 0;
  std::uint64_t bytes = 0;  // of values
};

// Bytes of an account by (space, key), e.g. a module's documents; they go with their account. A
// space is a module's. REQUIRES of every account: bare, with a localpart.
class AccountData {
 public:
  virtual ~AccountData() = default;
  virtual StorageResult<std::optional<std::string>> find(const xmpp::Jid& account,
                                                         std::string_view space,
                                                         std::string_view key) = 0;
  // Inserts or replaces; false: it would exceed the limits, nothing changed. An error (constraint)
  // without the account.
  virtual StorageResult<bool> put(const xmpp::Jid& account, std::string_view space,
                                  std::string_view key, std::string_view value,
                                  const DataLimits& limits) = 0;
  // false: was not there.
  virtual StorageResult<bool> remove(const xmpp::Jid& account, std::string_view space,
                                     std::string_view key) = 0;
};

// A session that may be resumed, as far as it survives a restart of the server.
struct SmSessionRecord {
  std::string id;  // by which it is resumed
  xmpp::Jid jid;   // full
  xmpp::Duration window{};
  std::uint32_t handled = 0;       // stanzas of the client's that were dealt with
  std::uint32_t acknowledged = 0;  // stanzas that the client has acknowledged
  xmpp::Timestamp detached_at{};   // the epoch: it has a connection
  std::string presence;            // as XML; empty: not available
  std::string slots;               // modules' data
  bool operator==(const SmSessionRecord&) const = default;
};
// A stanza that such a session's client has not acknowledged.
struct SmStanza {
  std::uint64_t place = 0;  // their order
  xmpp::Timestamp at{};     // when it should have arrived
  std::string stanza;       // as XML
  bool operator==(const SmStanza&) const = default;
};
struct SmStored {
  SmSessionRecord session;
  std::vector<SmStanza> stanzas;  // oldest first
};

// Sessions that wait to be resumed, or would if the server stopped now; they go with their account.
class SmQueues {
 public:
  virtual ~SmQueues() = default;
  // Inserts or replaces; stanzas stay. An error (constraint) without the account.
  virtual StorageResult<void> put(const SmSessionRecord& session) = 0;
  // Adds stanzas; nothing if there is no such session.
  virtual StorageResult<void> append(const std::string& id,
                                     const std::vector<SmStanza>& stanzas) = 0;
  virtual StorageResult<void> remove_stanzas(const std::string& id) = 0;
  // Nothing if there is no such session.
  virtual StorageResult<void> remove(const std::string& id) = 0;
  // Every session, in the order of their ids.
  virtual StorageResult<std::vector<SmStored>> load() = 0;
};

// Addresses that accounts want nothing to do with (XEP-0191); they go with their account. REQUIRES
// of every account: bare, with a localpart.
class Blocklists {
 public:
  virtual ~Blocklists() = default;
  // In order of their bytes. Empty if there are none, also without an account.
  virtual StorageResult<std::vector<xmpp::Jid>> load(const xmpp::Jid& account) = 0;
  // What is in the list already stays. An error (constraint) without the account.
  virtual StorageResult<void> add(const xmpp::Jid& account, const std::vector<xmpp::Jid>& jids) = 0;
  // What is not in the list is passed over.
  virtual StorageResult<void> remove(const xmpp::Jid& account,
                                     const std::vector<xmpp::Jid>& jids) = 0;
};

// One transaction. In read() the stores' changing functions must not be called (asserted).
class Tx {
 public:
  virtual ~Tx() = default;
  virtual Accounts& accounts() = 0;
  virtual KeyValue& key_value() = 0;
  virtual Rosters& rosters() = 0;
  virtual OfflineMessages& offline() = 0;
  virtual AccountData& account_data() = 0;
  virtual SmQueues& sm_queues() = 0;
  virtual Blocklists& blocklists() = 0;
};

// Removes an account with everything that is kept of it. What its contacts have to be told of
// (Worker::end_account()), or nullopt: there is none.
[[nodiscard]] inline StorageResult<std::optional<RosterRecord>> remove_account(
    Tx& tx, const xmpp::Jid& jid) {
  auto roster = tx.rosters().load(jid);
  if (!roster) return xmpp::Err(roster.error());
  auto removed = tx.accounts().remove(jid);
  if (!removed) return xmpp::Err(removed.error());
  if (!*removed) return std::optional<RosterRecord>();
  return std::optional(std::move(*roster));
}

// What orders operations: the bare JID of an account or a room, a host, "server" for secrets.
class StorageKey {
 public:
  StorageKey(const xmpp::Jid& jid)
      : text_(jid.bare_str()) {}                            // NOLINT(google-explicit-constructor)
  StorageKey(std::string_view text) : text_(text) {}        // NOLINT(google-explicit-constructor)
  StorageKey(const char* text) : text_(text) {}             // NOLINT(google-explicit-constructor)
  StorageKey(std::string text) : text_(std::move(text)) {}  // NOLINT(google-explicit-constructor)
  [[nodiscard]] const std::string& text() const noexcept { return text_; }

 private:
  std::string text_;
};

namespace storage_detail {

template <typename T>
inline constexpr bool kIsStorageResult = false;
template <typename T>
inline constexpr bool kIsStorageResult<StorageResult<T>> = std::is_void_v<T> || Sendable<T>;

// A closure with its arguments on its way to the storage thread and back. It is its own Mail.
class Operation : public xmpp::net::Mail {
 public:
  Operation(Act act_on_return, bool is_write, StorageKey key)
      : Mail(act_on_return), is_write_(is_write), key_(std::move(key)) {}
  Operation(const Operation&) = delete;
  Operation& operator=(const Operation&) = delete;
  virtual ~Operation() = default;

  [[nodiscard]] bool is_write() const noexcept { return is_write_; }
  [[nodiscard]] const std::string& key() const noexcept { return key_.text(); }

  // Runs the closure and keeps the outcome; false if that is an error. May be called again.
  virtual bool run(Tx& tx) = 0;
  // Makes `error` the outcome.
  virtual void fail(StorageError error) = 0;
  // Hands the outcome to whoever asked; the operation then belongs to them.
  virtual void deliver() = 0;

 private:
  const bool is_write_;
  const StorageKey key_;
};

template <typename F, typename... Args>
class Call : public Operation {
 public:
  using Outcome = std::invoke_result_t<F&, Tx&, const Args&...>;
  static_assert(Captureless<F>, "a storage closure captures nothing: pass values as arguments");
  static_assert((Sendable<Args> && ...), "arguments of a storage closure are values (Sendable)");
  static_assert(kIsStorageResult<Outcome>, "a storage closure returns StorageResult<value>");

  Call(Act act_on_return, bool is_write, StorageKey key, F fn, Args... args)
      : Operation(act_on_return, is_write, std::move(key)), fn_(fn), args_(std::move(args)...) {}

  bool run(Tx& tx) final {
    outcome_.emplace(
        std::apply([&](const Args&... args) { return Outcome(fn_(tx, args...)); }, args_));
    return outcome_->has_value();
  }
  void fail(StorageError error) final { outcome_.emplace(xmpp::Err(std::move(error))); }

 protected:
  [[nodiscard]] Outcome take_outcome() { return std::move(*outcome_); }

 private:
  [[no_unique_address]] F fn_;
  std::tuple<Args...> args_;
  std::optional<Outcome> outcome_;
};

// Resumes a coroutine or calls `Done` on the reactor's thread.
template <typename Done, typename F, typename... Args>
class ReactorCall final : public Call<F, Args...> {
 public:
  ReactorCall(xmpp::net::Reactor& reactor, bool is_write, StorageKey key, Done done, F fn,
              Args... args)
      : Call<F, Args...>(&arrive, is_write, std::move(key), fn, std::move(args)...),
        reactor_(reactor),
        done_(std::move(done)) {}
  void deliver() override { reactor_.post(this); }

 private:
  static void arrive(xmpp::net::Mail* mail, bool run) {
    std::unique_ptr<ReactorCall> self(static_cast<ReactorCall*>(mail));
    if (run) self->done_(self->take_outcome());
  }
  xmpp::net::Reactor& reactor_;
  Done done_;
};

// Wakes a thread that waits.
struct Waiter {
  std::mutex mutex;
  std::condition_variable changed;
  bool is_done = false;
};
template <typename F, typename... Args>
class BlockingCall final : public Call<F, Args...> {
 public:
  BlockingCall(Waiter& waiter, std::optional<typename Call<F, Args...>::Outcome>& into,
               bool is_write, StorageKey key, F fn, Args... args)
      : Call<F, Args...>(nullptr, is_write, std::move(key), fn, std::move(args)...),
        waiter_(waiter),
        into_(into) {}
  void deliver() override {
    std::unique_ptr<BlockingCall> self(this);
    const std::lock_guard lock(waiter_.mutex);
    into_.emplace(this->take_outcome());
    waiter_.is_done = true;
    waiter_.changed.notify_one();
  }

 private:
  Waiter& waiter_;
  std::optional<typename Call<F, Args...>::Outcome>& into_;
};

}  // namespace storage_detail

class Storage {
 public:
  Storage() = default;
  Storage(const Storage&) = delete;
  Storage& operator=(const Storage&) = delete;
  virtual ~Storage() = default;

  // Runs `fn(tx, args...)` in a transaction; await the returned Completion, named first (GCC 12).
  // A full queue or a stopped storage completes it at once.
  template <typename F, typename... Args>
  [[nodiscard]] auto write(xmpp::net::Reactor& reactor, StorageKey key, F fn, Args... args) {
    return start(reactor, true, std::move(key), fn, std::move(args)...);
  }
  // The same without changes to the database; runs beside the writer where it can.
  template <typename F, typename... Args>
  [[nodiscard]] auto read(xmpp::net::Reactor& reactor, StorageKey key, F fn, Args... args) {
    return start(reactor, false, std::move(key), fn, std::move(args)...);
  }

  // The same for code that is no coroutine: `done(StorageResult<T>)` is called on the reactor's
  // thread, never within this call; it may capture.
  template <typename Done, typename F, typename... Args>
  void write_then(xmpp::net::Reactor& reactor, StorageKey key, Done done, F fn, Args... args) {
    start_then(reactor, true, std::move(key), std::move(done), fn, std::move(args)...);
  }
  template <typename Done, typename F, typename... Args>
  void read_then(xmpp::net::Reactor& reactor, StorageKey key, Done done, F fn, Args... args) {
    start_then(reactor, false, std::move(key), std::move(done), fn, std::move(args)...);
  }

  // Waits for the outcome; for start-up, tools and tests, never on a worker.
  template <typename F, typename... Args>
  [[nodiscard]] auto write_blocking(StorageKey key, F fn, Args... args) {
    return wait_for(true, std::move(key), fn, std::move(args)...);
  }
  template <typename F, typename... Args>
  [[nodiscard]] auto read_blocking(StorageKey key, F fn, Args... args) {
    return wait_for(false, std::move(key), fn, std::move(args)...);
  }

 protected:
  // Takes the operation and delivers it later, or leaves it and says why not.
  virtual std::optional<StorageError> submit(
      std::unique_ptr<storage_detail::Operation>& operation) = 0;
  // Works off what waits if there are no threads that do so.
  virtual void drive() = 0;

 private:
  template <typename F, typename... Args>
  auto start(xmpp::net::Reactor& reactor, bool is_write, StorageKey key, F fn, Args... args) {
    using Outcome = typename storage_detail::Call<F, Args...>::Outcome;
    xmpp::Completion<Outcome> completion;
    auto done = [ticket = completion.ticket()](Outcome outcome) {
      ticket.complete(std::move(outcome));
    };
    using Op = storage_detail::ReactorCall<decltype(done), F, Args...>;
    std::unique_ptr<storage_detail::Operation> op = std::make_unique<Op>(
        reactor, is_write, std::move(key), std::move(done), fn, std::move(args)...);
    if (auto refused = submit(op)) {
      op->fail(std::move(*refused));
      xmpp::net::Mail* mail = op.release();
      mail->act(mail, true);
    }
    return completion;
  }

  template <typename Done, typename F, typename... Args>
  void start_then(xmpp::net::Reactor& reactor, bool is_write, StorageKey key, Done done, F fn,
                  Args... args) {
    using Op = storage_detail::ReactorCall<Done, F, Args...>;
    std::unique_ptr<storage_detail::Operation> op = std::make_unique<Op>(
        reactor, is_write, std::move(key), std::move(done), fn, std::move(args)...);
    if (auto refused = submit(op)) {
      op->fail(std::move(*refused));
      op.release()->deliver();
    }
  }

  template <typename F, typename... Args>
  auto wait_for(bool is_write, StorageKey key, F fn, Args... args) {
    using Outcome = typename storage_detail::Call<F, Args...>::Outcome;
    storage_detail::Waiter waiter;
    std::optional<Outcome> outcome;
    std::unique_ptr<storage_detail::Operation> op =
        std::make_unique<storage_detail::BlockingCall<F, Args...>>(
            waiter, outcome, is_write, std::move(key), fn, std::move(args)...);
    if (auto refused = submit(op)) {
      op->fail(std::move(*refused));
      op.release()->deliver();
    } else {
      drive();
    }
    std::unique_lock lock(waiter.mutex);
    waiter.changed.wait(lock, [&] { return waiter.is_done; });
    return std::move(*outcome);
  }
};

}  // namespace xmppd
