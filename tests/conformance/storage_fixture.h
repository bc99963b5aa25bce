// What the storage tests share: a reactor that nobody wakes, a temporary directory, some accounts.
#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <memory>
#include <string>

#include "storage/storage.h"
#include "xmpp/net/poller.h"
#include "xmpp/net/reactor.h"

namespace xmppd::test {

// No channels; never waits.
class IdlePoller final : public xmpp::net::Poller {
 public:
  void watch(xmpp::net::ByteChannel&, xmpp::net::Watch&) override {}
  void watch_fd(int, xmpp::net::Watch&) override {}
  void unwatch(xmpp::net::ByteChannel&) noexcept override {}
  void unwatch_fd(int) noexcept override {}
  void wait(xmpp::Instant, xmpp::Instant, std::vector<xmpp::net::Fired>&) override {}
  void wake() noexcept override {}
};

class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    std::string name = (std::filesystem::temp_directory_path() / "xmppd-storage-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) std::abort();
    path_ = name;
  }
  ~TemporaryDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  [[nodiscard]] std::string file(const std::string& name) const { return (path_ / name).string(); }

 private:
  std::filesystem::path path_;
};

inline xmpp::Jid jid(const std::string& text) {
  return xmpp::Jid::from_prepared(text);
}

inline xmpp::sasl::ScramKeys keys_of(xmpp::sasl::ScramHash hash) {
  using namespace std::string_literals;
  return {hash, "salt\0\xff"s, 4096, "stored\0key"s, "server\0key"s};
}

inline AccountRecord account(const std::string& address,
                             std::initializer_list<xmpp::sasl::ScramHash> hashes = {}) {
  AccountRecord record{jid(address), true, xmpp::Timestamp(std::chrono::milliseconds(1'234)), {}};
  for (const auto hash : hashes) record.keys.push_back(keys_of(hash));
  return record;
}

// A storage without threads beside a reactor whose turns the test runs.
struct World {
  explicit World(StorageOptions options = {}) {
    options.has_threads = false;
    auto opened = SqlStorage::open(std::move(options));
    if (!opened) {
      ADD_FAILURE() << opened.error().text;
      std::abort();
    }
    storage = std::move(*opened);
  }

  IdlePoller poller;
  xmpp::ManualClock clock;
  xmpp::net::Reactor reactor{poller, clock};
  std::unique_ptr<SqlStorage> storage;
};

}  // namespace xmppd::test
