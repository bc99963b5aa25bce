#include "xmpp/net/dialer.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "unit/net/memory_net.h"

namespace xmpp::net {
namespace {

using namespace std::chrono_literals;
using Behaviour = MemoryConnector::Behaviour;

struct DialerTest : testing::Test {
  ManualClock clock;
  MemoryPoller poller{clock};
  Reactor reactor{poller, clock};
  MemoryConnector connector{poller};
  std::string result;
  std::unique_ptr<ByteChannel> channel;
  std::optional<Dialer> dialer;

  void dial(std::vector<Endpoint> endpoints) {
    dialer.emplace(reactor, connector, std::move(endpoints), "127.0.0.2",
                   [this](Result<Dialer::Connected, SocketError> answer) {
                     if (answer) {
                       result += answer->endpoint.address;
                       channel = std::move(answer->channel);
                     } else {
                       result += answer.error().what + " " + std::to_string(answer.error().code);
                     }
                     dialer.reset();
                   });
  }
  void run(Duration time) {
    const Instant end = reactor.now() + time;
    while (reactor.now() < end) reactor.turn(end);
  }
};

TEST_F(DialerTest, TakesTheFirstThatAnswers) {
  dial({{"a", false}, {"b", false}});
  EXPECT_EQ(connector.started.size(), 0u);  // not from the constructor
  run(1ms);
  EXPECT_EQ(result, "a");
  EXPECT_EQ(connector.started, std::vector<std::string>{"a"});
  EXPECT_EQ(connector.last_local_address, "127.0.0.2");
  EXPECT_EQ(poller.watched(), 0u);
  run(2s);
  EXPECT_EQ(connector.started.size(), 1u);
}

TEST_F(DialerTest, StartsTheNextAfterAWhileOrAtOnceOnFailure) {
  connector.behaviour = {{"a", Behaviour::hang},
                         {"b", Behaviour::refuse},
                         {"c", Behaviour::refuse_at_once},
                         {"d", Behaviour::hang}};
  dial({{"a", false}, {"b", false}, {"c", false}, {"d", false}, {"e", true}});
  run(200ms);
  EXPECT_EQ(connector.started, std::vector<std::string>{"a"});
  run(60ms);  // b after 250 ms, then c and d because they fail
  EXPECT_EQ(connector.started, (std::vector<std::string>{"a", "b", "c", "d"}));
  EXPECT_EQ(result, "");
  run(260ms);
  EXPECT_EQ(result, "e");
  EXPECT_EQ(poller.watched(), 0u);  // the others were dropped
}

TEST_F(DialerTest, ReportsTheLastError) {
  connector.behaviour = {{"a", Behaviour::refuse_at_once}, {"b", Behaviour::refuse}};
  dial({{"a", false}, {"b", false}});
  run(1s);
  EXPECT_EQ(result, "connect b: Connection refused " + std::to_string(ECONNREFUSED));
}

TEST_F(DialerTest, CanBeCancelled) {
  connector.behaviour = {{"a", Behaviour::hang}};
  dial({{"a", false}, {"b", false}});
  run(100ms);
  dialer.reset();
  run(1s);
  EXPECT_EQ(connector.started.size(), 1u);
  EXPECT_EQ(result, "");
  EXPECT_EQ(poller.watched(), 0u);
}

}  // namespace
}  // namespace xmpp::net
