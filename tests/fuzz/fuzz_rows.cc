// Rows of the database read back: a damaged or hostile database. The input is written into the
// tables past the stores (any text, blob or number in any column), then the real server in the
// simulated world reads it: at its start, when the account is loaded, and for every request that
// answers from what is stored. Nothing may crash or hang; what is delivered is well-formed, or the
// client's parser would say so; others than the account's are served as before.
//
// Input: rows, each [table][number of values] and values [kind][length][bytes].
#include <sqlite3.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "sim/sim_vfs.h"
#include "sim/sim_world.h"
#include "xmpp/base/log.h"
#include "xmpp/client/client_link.h"
#include "xmpp/core/namespaces.h"
#include "xmpp/core/stanza.h"

namespace {

using namespace std::chrono_literals;

void require(bool condition, const char* what) {
  if (condition) return;
  std::fprintf(stderr, "%s\n", what);
  std::abort();
}

// The tables, as inserted; the first `fixed` columns say whose the row is.
struct Table {
  const char* insert;
  int values;
};
constexpr std::array kTables = {
    Table{"INSERT OR REPLACE INTO roster_contacts (host, username, contact, listed, name,"
          " subscription, asked, approved, request) VALUES ('localhost', 'alice', ?, ?, ?, ?, ?, "
          "?, ?)",
          7},
    Table{"INSERT OR REPLACE INTO roster_groups (host, username, contact, name)"
          " VALUES ('localhost', 'alice', ?, ?)",
          2},
    Table{"INSERT OR REPLACE INTO roster_versions (host, username, version)"
          " VALUES ('localhost', 'alice', ?)",
          1},
    Table{"INSERT OR REPLACE INTO offline_messages (host, username, number, sender, received_at_ms,"
          " bytes, stanza) VALUES ('localhost', 'alice', ?, ?, ?, ?, ?)",
          5},
    Table{"INSERT OR REPLACE INTO account_data (host, username, space, key, bytes, value)"
          " VALUES ('localhost', 'alice', ?, ?, ?, ?)",
          4},
    Table{"INSERT OR REPLACE INTO sm_sessions (id, host, username, resource, window_ms, handled,"
          " acknowledged, detached_at_ms, presence, slots)"
          " VALUES ('s', 'localhost', 'alice', ?, ?, ?, ?, ?, ?, ?)",
          7},
    Table{"INSERT OR REPLACE INTO sm_stanzas (id, place, at_ms, stanza) VALUES ('s', ?, ?, ?)", 3},
    Table{"INSERT OR REPLACE INTO blocked (host, username, jid) VALUES ('localhost', 'alice', ?)",
          1},
    Table{"INSERT OR REPLACE INTO last_presences (host, username, presence)"
          " VALUES ('localhost', 'alice', ?)",
          1},
    Table{"INSERT OR REPLACE INTO key_value (space, key, value) VALUES ('hosts', ?, ?)", 2},
    Table{"INSERT OR REPLACE INTO scram_keys (host, username, hash, salt, iterations, stored_key,"
          " server_key) VALUES ('localhost', 'alice', ?, ?, ?, ?, ?)",
          5},
    Table{"INSERT OR REPLACE INTO accounts (host, username, enabled, created_at_ms, key_hashes)"
          " VALUES (?, ?, ?, ?, ?)",
          5},
};

class Rows {
 public:
  explicit Rows(const std::string& vfs) {
    require(sqlite3_open_v2("sim.db", &database_, SQLITE_OPEN_READWRITE, vfs.c_str()) == SQLITE_OK,
            "the database cannot be opened");
  }
  ~Rows() { sqlite3_close(database_); }
  Rows(const Rows&) = delete;
  Rows& operator=(const Rows&) = delete;

  // What the input says; rows that the schema refuses are left out.
  void insert(std::string_view input) {
    sqlite3_exec(database_, "BEGIN", nullptr, nullptr, nullptr);
    for (int rows = 0; !input.empty() && rows < 20; ++rows) {
      const Table& table = kTables[take(input) % kTables.size()];
      sqlite3_stmt* statement = nullptr;
      require(sqlite3_prepare_v2(database_, table.insert, -1, &statement, nullptr) == SQLITE_OK,
              sqlite3_errmsg(database_));
      for (int i = 1; i <= table.values; ++i) bind(statement, i, input);
      sqlite3_step(statement);
      sqlite3_finalize(statement);
    }
    sqlite3_exec(database_, "COMMIT", nullptr, nullptr, nullptr);
  }

 private:
  static std::uint8_t take(std::string_view& input) {
    if (input.empty()) return 0;
    const auto byte = static_cast<std::uint8_t>(input.front());
    input.remove_prefix(1);
    return byte;
  }
  static void bind(sqlite3_stmt* statement, int place, std::string_view& input) {
    const std::uint8_t kind = take(input);
    if (kind % 4 == 0) {
      sqlite3_bind_int64(statement, place, static_cast<std::int8_t>(take(input)));
      return;
    }
    if (kind % 4 == 1 && kind >= 128) {
      std::int64_t number = 0;
      for (int i = 0; i < 8; ++i)
        number = static_cast<std::int64_t>(static_cast<std::uint64_t>(number) << 8U | take(input));
      sqlite3_bind_int64(statement, place, number);
      return;
    }
    // One byte of length, and eight times as long if the kind says so.
    const std::size_t wanted = std::size_t{take(input)} * (kind >= 128 ? 8 : 1);
    const std::string_view bytes = input.substr(0, wanted);
    input.remove_prefix(bytes.size());
    const int length = static_cast<int>(bytes.size());
    if (kind % 4 == 3) {
      sqlite3_bind_blob(statement, place, bytes.empty() ? "" : bytes.data(), length,
                        SQLITE_TRANSIENT);
    } else {
      sqlite3_bind_text(statement, place, bytes.empty() ? "" : bytes.data(), length,
                        SQLITE_TRANSIENT);
    }
  }
  sqlite3* database_ = nullptr;
};

// Logs in, asks for everything, and goes.
class Visitor final : public xmpp::LinkObserver {
 public:
  Visitor(sim::SimWorld& world, const char* jid) : world_(world), reactor_(world.make_reactor()) {
    auto policy = std::make_shared<xmpp::StreamPolicy>();
    policy->domain = "localhost";
    policy->jid = *xmpp::Jid::parse(jid);
    policy->password = xmpp::Secret(std::string(sim::kPassword));
    policy->resource = "r";
    policy->tls = xmpp::StreamPolicy::Tls::none;
    policy->plain_without_tls = true;
    policy->mechanism = "PLAIN";
    link_ = std::make_unique<xmpp::ClientLink>(reactor_, world.connect({}), xmpp::LinkTls{},
                                               std::move(policy), rng_, *this);
    link_->start();
  }
  // Any end of the login will do, but there must be one.
  void visit() {
    (void)world_.run_until([this] { return is_bound_ || link_->is_ended() || has_failed_; },
                           world_.now() + 60s);
    require(is_bound_ || link_->is_ended() || has_failed_, "a login has no outcome");
    if (!is_bound_ || link_->is_ended()) return;
    link_->stream().send(xmpp::Stanza::presence(xmpp::StanzaType::available));
    for (const char* query : {"<query xmlns='jabber:iq:roster'/>", "<vCard xmlns='vcard-temp'/>",
                              "<query xmlns='jabber:iq:private'><a xmlns='b'/></query>",
                              "<blocklist xmlns='urn:xmpp:blocking'/>"}) {
      xmpp::Stanza request = xmpp::Stanza::iq(xmpp::StanzaType::get, {}, std::to_string(++asked_));
      const auto document = xmpp::xml::Document::parse(query, xmpp::ns::client);
      request.add(xmpp::Payload(document->root()));
      link_->stream().send(request);
    }
    link_->touch();
    (void)world_.run_until([this] { return answered_ == asked_ || link_->is_ended(); },
                           world_.now() + 30s);
    require(answered_ == asked_ || link_->is_ended(), "a request has no answer");
    world_.run_for(1s);
    if (link_->is_ended() || has_failed_) return;
    link_->stream().close();
    link_->touch();
    world_.run_for(5s);
  }
  [[nodiscard]] bool has_bad_xml() const { return has_bad_xml_; }

 private:
  void on_event(xmpp::Event event) override {
    if (xmpp::is<xmpp::Bound>(event)) is_bound_ = true;
    if (auto* failed = std::get_if<xmpp::StreamFailed>(&event)) {
      has_failed_ = true;
      if (!failed->by_peer && is_bound_) has_bad_xml_ = true;
    }
    if (auto* received = std::get_if<xmpp::StanzaReceived>(&event)) {
      const auto& stanza = received->parsed.stanza;
      if (stanza.is_iq() && !stanza.is_request()) ++answered_;
    }
  }
  void on_tls(bool) override {}
  void on_link_ended(std::optional<xmpp::LinkFailure>) override {}

  sim::SimWorld& world_;
  xmpp::net::Reactor& reactor_;
  xmpp::SeededRng rng_{1};
  std::unique_ptr<xmpp::ClientLink> link_;
  bool is_bound_ = false;
  bool has_failed_ = false;
  bool has_bad_xml_ = false;
  int asked_ = 0;
  int answered_ = 0;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  xmpp::log::set_level(xmpp::log::Level::error);
  // Errors are expected.
  xmpp::log::set_sink([](const xmpp::log::Record&, void*) noexcept {}, nullptr);
  sim::SimDisk disk("rows", 1);
  sim::SimWorld world({.workers = 1, .disk = &disk});
  world.add_account("alice@localhost");
  world.add_account("bob@localhost");
  Rows(disk.name()).insert({reinterpret_cast<const char*>(data), size});
  try {
    world.crash_and_restart();  // commits are synced; nothing is lost
  } catch (const std::runtime_error&) {
    return 0;  // it says what is wrong and does not start
  }
  Visitor alice(world, "alice@localhost");
  alice.visit();
  require(!alice.has_bad_xml(), "what was stored broke the client's stream");
  Visitor bob(world, "bob@localhost");
  bob.visit();
  require(!bob.has_bad_xml(), "what was stored broke another client's stream");
  return 0;
}
