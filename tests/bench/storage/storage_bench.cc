// Rows per second through the server's storage layer: writes by size of commit, and single reads.
//
//   storage_bench sqlite FILE | postgresql CONNECTION  [full|normal] [WRITERS]
//
// Every write puts 200 bytes under a key of its own; it waits in the queue with the others, as
// closures of workers do, and a commit takes at most BATCH of them.
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <string>
#include <thread>

#include "storage/storage.h"
#include "xmpp/base/time.h"
#include "xmpp/net/poller.h"
#include "xmpp/net/reactor.h"

namespace {

using xmppd::SqlStorage;
using xmppd::StorageOptions;
using xmppd::Tx;

constexpr auto kPut = [](Tx& tx, const std::string& key, const std::string& value) {
  return tx.key_value().put("bench", key, value);
};
constexpr auto kFind = [](Tx& tx, const std::string& key) {
  return tx.key_value().find("bench", key);
};

class IdlePoller final : public xmpp::net::Poller {
 public:
  void watch(xmpp::net::ByteChannel&, xmpp::net::Watch&) override {}
  void watch_fd(int, xmpp::net::Watch&) override {}
  void unwatch(xmpp::net::ByteChannel&) noexcept override {}
  void unwatch_fd(int) noexcept override {}
  void wait(xmpp::Instant, xmpp::Instant, std::vector<xmpp::net::Fired>&) override {
    std::this_thread::sleep_for(std::chrono::microseconds(200));
  }
  void wake() noexcept override {}
};

// Rows per second of `rows` operations, all submitted before the first is waited for.
template <typename F>
double measure(xmpp::net::Reactor& reactor, int rows, F submit) {
  int done = 0;
  int failed = 0;
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < rows; ++i) {
    submit(i, [&](const auto& outcome) {
      ++done;
      if (!outcome) ++failed;
    });
  }
  while (done < rows) reactor.turn();
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  if (failed != 0) std::printf("(%d failed) ", failed);
  return rows / took.count();
}

int run(StorageOptions options) {
  const std::string value(200, 'x');
  IdlePoller poller;
  xmpp::SystemClock clock;
  xmpp::net::Reactor reactor(poller, clock);
  options.queue = 1'000'000;
  options.timeout = std::chrono::seconds(60);
  int round = 0;
  for (const std::size_t batch : {1U, 10U, 100U, 1'000U}) {
    options.batch = batch;
    auto opened = SqlStorage::open(options);
    if (!opened) {
      std::fprintf(stderr, "%s\n", opened.error().text.c_str());
      return 1;
    }
    auto& storage = **opened;
    const int rows = batch == 1 ? 2'000 : batch == 10 ? 20'000 : 50'000;
    ++round;
    const double writes = measure(reactor, rows, [&](int i, auto done) {
      const std::string key = std::to_string(round) + "/" + std::to_string(i);
      storage.write_then(reactor, key, done, kPut, key, value);
    });
    std::printf("commits of %zu: %.0f rows/s\n", batch, writes);
    if (batch != 1'000U) continue;
    const double reads = measure(reactor, 20'000, [&](int i, auto done) {
      const std::string key = std::to_string(round) + "/" + std::to_string(i);
      storage.read_then(reactor, key, done, kFind, key);
    });
    std::printf("reads: %.0f rows/s\n", reads);
  }
  return 0;
}

}  // namespace

int main(int count, char** texts) {
  if (count < 3) {
    std::fprintf(
        stderr, "usage: storage_bench sqlite FILE|postgresql CONNECTION [full|normal] [WRITERS]\n");
    return 2;
  }
  StorageOptions options;
  if (std::strcmp(texts[1], "postgresql") == 0) {
    options.driver = xmppd::sql::DriverKind::postgresql;
    options.connection = xmpp::Secret(std::string(texts[2]));
  } else {
    options.path = texts[2];
  }
  options.is_synchronous_full = count < 4 || std::strcmp(texts[3], "normal") != 0;
  if (count > 4) options.writers = static_cast<unsigned>(std::stoi(texts[4]));
  return run(options);
}
