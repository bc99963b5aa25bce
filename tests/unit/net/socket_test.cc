// The few tests with real sockets: socketpairs, a Unix path and loopback.
#include "xmpp/net/socket.h"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <string>
#include <utility>
#include <vector>

#include "xmpp/net/poller.h"
#include "xmpp/net/reactor.h"

namespace xmpp::net {
namespace {

using namespace std::chrono_literals;

int option_of(int fd, int level, int name) {
  int value = -1;
  socklen_t size = sizeof(value);
  return ::getsockopt(fd, level, name, &value, &size) == 0 ? value : -1;
}

std::pair<std::unique_ptr<ByteChannel>, std::unique_ptr<ByteChannel>> channel_pair() {
  int fds[2] = {-1, -1};
  EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
  return {make_channel(fds[0]), make_channel(fds[1])};
}

IoResult write_text(ByteChannel& channel, std::string text) {
  const iovec part{text.data(), text.size()};
  return channel.writev({&part, 1});
}

struct Epoll : testing::Test {
  SystemClock clock;
  std::unique_ptr<Poller> poller = make_epoll_poller();
  std::vector<Fired> fired;
  void wait(Duration time = 2s) {
    fired.clear();
    poller->wait(clock.now(), clock.now() + time, fired);
  }
};

TEST(HostPort, Parses) {
  struct Case {
    std::string_view text;
    std::string_view host;
    int port;  // -1: refused
  };
  for (const Case& c :
       {Case{"127.0.0.1:5222", "127.0.0.1", 5222}, Case{"[::1]:0", "::1", 0},
        Case{"localhost:5222", "localhost", 5222}, Case{"::1:5222", "", -1},
        Case{"localhost", "", -1}, Case{"localhost:", "", -1}, Case{":5222", "", -1},
        Case{"h:65536", "", -1}, Case{"h:5222x", "", -1}, Case{"[]:1", "", -1}}) {
    const auto parsed = parse_host_port(c.text);
    ASSERT_EQ(parsed.has_value(), c.port >= 0) << c.text;
    if (!parsed) continue;
    EXPECT_EQ(parsed->host, c.host);
    EXPECT_EQ(parsed->port, c.port);
    EXPECT_EQ(join_host_port(parsed->host, parsed->port), c.text);
  }
  EXPECT_TRUE(is_ip_literal("::1"));
  EXPECT_TRUE(is_ip_literal("192.0.2.1"));
  EXPECT_FALSE(is_ip_literal("localhost"));
}

TEST_F(Epoll, ReportsEdgesOnce) {
  auto [ours, theirs] = channel_pair();
  Watch watch;
  poller->watch(*ours, watch);
  wait();
  ASSERT_EQ(fired.size(), 1u);
  EXPECT_TRUE(has(fired[0].readiness, Readiness::writable));
  EXPECT_FALSE(has(fired[0].readiness, Readiness::readable));
  wait(0us);
  EXPECT_TRUE(fired.empty());
  EXPECT_EQ(write_text(*theirs, "hello").bytes, 5u);
  wait();
  ASSERT_EQ(fired.size(), 1u);
  EXPECT_EQ(fired[0].watch, &watch);
  EXPECT_TRUE(has(fired[0].readiness, Readiness::readable));
  std::array<char, 16> buffer;
  EXPECT_EQ(ours->read(buffer).bytes, 5u);
  EXPECT_EQ(ours->read(buffer).status, IoResult::Status::would_block);
  theirs.reset();
  wait();
  ASSERT_EQ(fired.size(), 1u);
  EXPECT_TRUE(has(fired[0].readiness, Readiness::hangup));
  EXPECT_EQ(ours->read(buffer).status, IoResult::Status::closed);
  EXPECT_EQ(write_text(*ours, "late").status, IoResult::Status::closed);
  poller->unwatch(*ours);
}

TEST_F(Epoll, WakesOnceAndTimesOut) {
  poller->wake();
  const Instant before = clock.now();
  wait(10s);
  EXPECT_TRUE(fired.empty());
  EXPECT_LT(clock.now() - before, 5s);
  wait(1ms);  // not woken twice
  EXPECT_GE(clock.now() - before, 1ms);
}

TEST_F(Epoll, AShutDownPeerIsAnEndOfInput) {
  auto [ours, theirs] = channel_pair();
  Watch watch;
  poller->watch(*ours, watch);
  wait();
  EXPECT_EQ(write_text(*theirs, "last words").bytes, 10u);
  theirs->shutdown_write();
  wait();
  ASSERT_EQ(fired.size(), 1u);
  EXPECT_TRUE(has(fired[0].readiness, Readiness::hangup));
  std::array<char, 64> buffer;
  EXPECT_EQ(ours->read(buffer).bytes, 10u);
  EXPECT_EQ(ours->read(buffer).status, IoResult::Status::closed);
  poller->unwatch(*ours);
}

TEST_F(Epoll, ConnectsOverLoopbackAndUnix) {
  const std::string path = testing::TempDir() + "xmpp_socket_" + std::to_string(::getpid());
  for (const std::string& address : {std::string("127.0.0.1:0"), "unix:" + path}) {
    auto listener = Listener::listen(address);
    ASSERT_TRUE(listener) << listener.error().what;
    const std::string target = listener->local_address();
    if (address.starts_with("unix:")) {
      EXPECT_EQ(target, address);
    }
    const std::string source = address.starts_with("unix:") ? "" : "127.0.0.1";
    auto channel = connect_start(target, source);
    ASSERT_TRUE(channel) << channel.error().what;
    Watch listening;
    Watch connecting;
    poller->watch_fd(listener->fd(), listening);
    poller->watch(**channel, connecting);
    bool connected = false;
    bool waiting = false;
    while (!connected || !waiting) {
      wait();
      ASSERT_FALSE(fired.empty());
      for (const Fired& f : fired) {
        if (f.watch == &listening) waiting = true;
        if (f.watch == &connecting && has(f.readiness, Readiness::writable)) connected = true;
      }
    }
    EXPECT_EQ(connect_result(**channel), 0);
    int error = -1;
    auto accepted = listener->accept(&error);
    ASSERT_NE(accepted, nullptr);
    EXPECT_EQ(error, 0);
    EXPECT_EQ(listener->accept(&error), nullptr);
    EXPECT_EQ(error, 0);
    set_dead_peer_timeout(*accepted, 60s, 90s);
    if (!source.empty()) {
      EXPECT_EQ(option_of(accepted->fd(), SOL_SOCKET, SO_KEEPALIVE), 1);
      EXPECT_EQ(option_of(accepted->fd(), IPPROTO_TCP, TCP_KEEPIDLE), 60);
      EXPECT_EQ(option_of(accepted->fd(), IPPROTO_TCP, TCP_USER_TIMEOUT), 90'000);
    }
    if (source.empty()) {
      EXPECT_EQ(accepted->peer_address(), "unix:");
    } else {
      EXPECT_TRUE(accepted->peer_address().starts_with("127.0.0.1:"));
      EXPECT_EQ((*channel)->peer_address(), target);
    }
    poller->unwatch(**channel);
    poller->unwatch_fd(listener->fd());
  }
  ::unlink(path.c_str());
}

TEST(Socket, SaysWhyItCannotListenOrConnect) {
  EXPECT_EQ(Listener::listen("example.org:5222").error().code, EINVAL);
  EXPECT_EQ(connect_start("nonsense").error().code, EINVAL);
  auto first = Listener::listen("127.0.0.1:0");
  ASSERT_TRUE(first);
  auto second = Listener::listen(first->local_address());
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, EADDRINUSE);
  EXPECT_EQ(second.error().what, "bind " + first->local_address() + ": Address already in use");
  auto wrong_source = connect_start(first->local_address(), "::1");
  ASSERT_FALSE(wrong_source);
}

TEST_F(Epoll, ReportsARefusedConnection) {
  std::string target;
  {
    auto listener = Listener::listen("127.0.0.1:0");
    ASSERT_TRUE(listener);
    target = listener->local_address();
  }
  auto channel = connect_start(target);
  if (!channel) {
    EXPECT_EQ(channel.error().code, ECONNREFUSED);
    return;
  }
  Watch watch;
  poller->watch(**channel, watch);
  wait();
  ASSERT_EQ(fired.size(), 1u);
  EXPECT_TRUE(has(fired[0].readiness, Readiness::hangup));
  EXPECT_EQ(connect_result(**channel), ECONNREFUSED);
  poller->unwatch(**channel);
}

}  // namespace
}  // namespace xmpp::net
