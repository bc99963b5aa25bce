// The table of RFC 6121, appendix A, written down a second time as the RFC has it: rows are states,
// columns "goes on" and the state afterwards.
#include "xmppd/subscription.h"

#include <gtest/gtest.h>

#include <string>

namespace xmppd {
namespace {

using enum SubscriptionState;
using enum SubscriptionVerb;
using enum SubscriptionWay;

constexpr std::array kStates = {none,  none_out, none_in,  none_out_in, to,
                                to_in, from,     from_out, both};

RosterContact contact_in(SubscriptionState state) {
  RosterContact contact;
  contact.is_listed = true;
  contact.request = "<presence/>";
  set_subscription_state(contact, state);
  return contact;
}

TEST(Subscription, EveryStateIsReadAsItWasSet) {
  for (const SubscriptionState state : kStates) {
    EXPECT_EQ(subscription_state(contact_in(state)), state) << static_cast<int>(state);
  }
}

struct Table {
  SubscriptionWay way;
  SubscriptionVerb verb;
  // A letter a state: y goes on, n does not, a is answered.
  const char* goes_on;
  std::array<SubscriptionState, kSubscriptionStates> next;
};

constexpr Table kTables[] = {
    {outbound,
     subscribe,
     "yyyyyyyyy",
     {none_out, none_out, none_out_in, none_out_in, to, to_in, from_out, from_out, both}},
    {outbound,
     unsubscribe,
     "yyyyyyyyy",
     {none, none, none_in, none_in, none, none_in, from, from, from}},
    {outbound,
     subscribed,
     "nnyynynnn",
     {none, none_out, from, from_out, to, both, from, from_out, both}},
    {outbound,
     unsubscribed,
     "nnyynyyyy",
     {none, none_out, none, none_out, to, to, none, none_out, to}},
    {inbound,
     subscribe,
     "yynnynaaa",
     {none_in, none_out_in, none_in, none_out_in, to_in, to_in, from, from_out, both}},
    {inbound,
     unsubscribe,
     "nnyynyyyy",
     {none, none_out, none, none_out, to, to, none, none_out, to}},
    {inbound, subscribed, "nynynnnyn", {none, to, none_in, to_in, to, to_in, from, both, both}},
    {inbound,
     unsubscribed,
     "nynyyynyy",
     {none, none, none_in, none_in, none, none_in, from, from, from}},
};

TEST(Subscription, EveryTransition) {
  for (const Table& table : kTables) {
    for (std::size_t i = 0; i < kStates.size(); ++i) {
      const auto step = subscription_step(table.way, table.verb, kStates[i]);
      const std::string what = std::to_string(static_cast<int>(table.way)) + " verb " +
                               std::to_string(static_cast<int>(table.verb)) + " state " +
                               std::to_string(i);
      EXPECT_EQ(step.goes_on, table.goes_on[i] == 'y') << what;
      EXPECT_EQ(step.is_answered, table.goes_on[i] == 'a') << what;
      EXPECT_EQ(step.next, table.next[i]) << what;
    }
  }
}

// What one side sends and the other gets leads to states that fit each other.
TEST(Subscription, BothSidesAgreeAfterEveryExchange) {
  const auto mirror = [](SubscriptionState state) {
    constexpr std::array mirrored = {none,     none_in, none_out, none_out_in, from,
                                     from_out, to,      to_in,    both};
    return mirrored[static_cast<std::size_t>(state)];
  };
  for (const SubscriptionState state : kStates) {
    for (const SubscriptionVerb verb : {subscribe, unsubscribe, subscribed, unsubscribed}) {
      const auto mine = subscription_step(outbound, verb, state);
      if (!mine.goes_on) continue;
      const auto theirs = subscription_step(inbound, verb, mirror(state));
      EXPECT_EQ(mirror(mine.next), theirs.next)
          << static_cast<int>(state) << " verb " << static_cast<int>(verb);
    }
  }
}

}  // namespace
}  // namespace xmppd
