#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <stdexcept>

#include "core/config.h"
#include "core/environment.h"
#include "core/server.h"
#include "player/stage.h"
#include "support/postgres.h"
#include "xmpp/net/socket.h"
#include "xmpp/sasl/credentials.h"
#include "xmppd/storage.h"

namespace play {
namespace {

constexpr xmpp::Duration kSlice = std::chrono::milliseconds(20);

// Removed with everything in it.
struct TemporaryDirectory {
  TemporaryDirectory() {
    std::string pattern = (std::filesystem::temp_directory_path() / "play-XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("mkdtemp failed");
    path = pattern;
  }
  ~TemporaryDirectory() {
    std::error_code none;
    std::filesystem::remove_all(path, none);
  }
  std::filesystem::path path;
};

// PLAY_STORAGE=postgresql: every stage has an empty database in the PostgreSQL of the tests.
std::unique_ptr<xmppd::test::PostgresSchema> make_database() {
  const char* storage = std::getenv("PLAY_STORAGE");
  if (storage == nullptr || std::string_view(storage) != "postgresql") return nullptr;
  return std::make_unique<xmppd::test::PostgresSchema>();
}

std::string storage_text(const xmppd::test::PostgresSchema* database) {
  if (database == nullptr) return {};
  return "[storage]\ndriver = \"postgresql\"\nwriters = 2\nreaders = 1\nconnection = \"" +
         database->connection() + "\"\n";
}

std::string config_text(const StageOptions& options, Security security) {
  std::string text = "[server]\nworkers = 2\ncontrol_socket = \"control.sock\"\n[[listen]]\n";
  text += security == Security::direct ? "service = \"c2s-direct-tls\"\n" : "service = \"c2s\"\n";
  text += "address = [\"127.0.0.1:0\"]\n";
  if (security != Security::direct) {
    text += security == Security::none ? "tls = \"none\"\n" : "tls = \"required\"\n";
  }
  text += "[profile.default.auth]\nplain_without_tls = true\n[host.\"localhost\"]\n";
  return text + options.config;
}

class TcpStage final : public Stage {
 public:
  TcpStage(const StageOptions& options, Security security)
      : security_(security),
        environment_(xmppd::make_system_environment()),
        config_(storage_text(database_.get()) + config_text(options, security)),
        poller_(xmpp::net::make_epoll_poller()),
        reactor_(*poller_, clock_) {
    start_server();
    if (security_ != Security::none) {
      auto context = xmpp::TlsContext::make_client({.insecure = true});
      if (!context) throw std::runtime_error(context.error().text);
      tls_context_ = *context;
    }
  }

  void add_account(const Account& account) override {
    const auto jid = xmpp::Jid::parse(account.jid);
    if (!jid) throw std::runtime_error("not an address: " + account.jid);
    xmppd::AccountRecord record;
    record.jid = *jid;
    record.created_at = clock_.wall();
    auto keys = xmpp::sasl::derive_scram_keys(xmpp::Secret(account.password), "0123456789abcdef",
                                              xmpp::sasl::kMinIterations);
    record.keys.assign(keys.begin(), keys.end());
    auto created = server_->storage().write_blocking(
        *jid,
        [](xmppd::Tx& tx, const xmppd::AccountRecord& one) { return tx.accounts().create(one); },
        record);
    if (!created || !*created) throw std::runtime_error("cannot make the account " + account.jid);
    server_->refresh_facts(std::string(jid->domain()));
  }
  xmpp::net::Reactor& reactor() override { return reactor_; }
  xmpp::Rng& rng() override { return rng_; }
  std::unique_ptr<xmpp::net::ByteChannel> connect() override {
    auto channel = xmpp::net::connect_start(address_);
    if (!channel) throw std::runtime_error(channel.error().what);
    return std::move(*channel);
  }
  xmpp::Instant now() override { return clock_.now(); }
  void restart_server() override {
    server_.reset();
    start_server();
  }
  void turn(xmpp::Instant latest) override { reactor_.turn(std::min(latest, now() + kSlice)); }
  xmpp::StreamPolicy::Tls tls_policy() const override {
    return security_ == Security::none ? xmpp::StreamPolicy::Tls::none
                                       : xmpp::StreamPolicy::Tls::required;
  }
  xmpp::LinkTls tls() const override {
    return {.context = tls_context_, .host = "localhost", .direct = security_ == Security::direct};
  }
  int haste() const override { return 5; }
  bool has_plain_wire() const override { return security_ == Security::none; }

 private:
  void start_server() {
    auto config =
        xmppd::parse_config(config_, directory_.path / "play.toml", {.data_dir = directory_.path});
    if (!config) throw std::runtime_error(to_string(config.error().front()));
    server_ = std::make_unique<xmppd::Server>(std::move(*config), *environment_, directory_.path);
    server_->start();
    const std::string summary = server_->ready_summary();
    const auto from = summary.find('=') + 1;
    address_ = summary.substr(from, summary.find(' ') - from);
  }

  const Security security_;
  std::unique_ptr<xmppd::test::PostgresSchema> database_ = make_database();
  TemporaryDirectory directory_;
  std::unique_ptr<xmppd::Environment> environment_;
  const std::string config_;
  xmpp::SystemClock clock_;
  xmpp::OsRng rng_;
  std::unique_ptr<xmpp::net::Poller> poller_;
  xmpp::net::Reactor reactor_;
  std::unique_ptr<xmppd::Server> server_;
  std::shared_ptr<xmpp::TlsContext> tls_context_;
  std::string address_;
};

}  // namespace

std::unique_ptr<Stage> make_tcp_stage(const StageOptions& options, Security security) {
  return std::make_unique<TcpStage>(options, security);
}

}  // namespace play
