// Gate: refusal after close(), and the callback when the last pass is gone.
#include "xmpp/base/gate.h"

#include <gtest/gtest.h>

#include <memory>
#include <utility>

namespace xmpp {
namespace {

TEST(GateTest, LetsInUntilClosed) {
  Gate gate;
  int empty = 0;
  {
    Gate::Pass a = gate.enter();
    Gate::Pass b = gate.enter();
    EXPECT_TRUE(a && b);
    EXPECT_EQ(gate.inside(), 2U);
    gate.close([&] { ++empty; });
    EXPECT_FALSE(gate.enter());
    a.leave();
    a.leave();
    EXPECT_EQ(gate.inside(), 1U);
    EXPECT_EQ(empty, 0);
  }
  EXPECT_EQ(empty, 1);
  EXPECT_TRUE(gate.is_closed());
}

TEST(GateTest, ClosingAnEmptyGateNotifiesAtOnce) {
  Gate gate;
  { Gate::Pass pass = gate.enter(); }
  int empty = 0;
  gate.close([&] { ++empty; });
  EXPECT_EQ(empty, 1);
}

TEST(GateTest, PassesMove) {
  Gate gate;
  Gate::Pass a = gate.enter();
  Gate::Pass b = std::move(a);
  EXPECT_EQ(gate.inside(), 1U);
  b = gate.enter();
  EXPECT_EQ(gate.inside(), 1U);
  b = Gate::Pass();
  EXPECT_EQ(gate.inside(), 0U);
}

TEST(GateTest, TheCallbackMayDestroyTheGate) {
  auto gate = std::make_unique<Gate>();
  Gate::Pass pass = gate->enter();
  gate->close([&] { gate.reset(); });
  pass.leave();
  EXPECT_EQ(gate, nullptr);
}

TEST(GateTest, WhatIsInsideMayBeginMore) {
  Gate gate;
  int empty = 0;
  Gate::Pass a = gate.enter_within();
  gate.close([&] { ++empty; });
  Gate::Pass b = gate.enter_within();
  EXPECT_TRUE(b);
  a.leave();
  EXPECT_EQ(empty, 0);
  b.leave();
  EXPECT_EQ(empty, 1);
  EXPECT_FALSE(gate.enter_within());
}

TEST(GateTest, APassThatOutlivesItsGateIsNoLongerValid) {
  auto gate = std::make_unique<Gate>();
  Gate::Pass pass = gate->enter();
  int empty = 0;
  gate->close([&] { ++empty; });
  gate.reset();
  EXPECT_FALSE(pass);
  pass.leave();
  EXPECT_EQ(empty, 0);
}

}  // namespace
}  // namespace xmpp
