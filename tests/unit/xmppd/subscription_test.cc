// The tables of RFC 6121, appendix A, as the RFC has them: rows are states, columns "goes on" and
// the state afterwards.
#include "xmppd/subscription.h"

#include <gtest/gtest.h>

#include <array>
#include <string>

namespace xmppd {
namespace {

using enum SubscriptionVerb;

// A.1; "out": the account asked and waits; "in": the contact asked and waits.
enum State { none, none_out, none_in, none_out_in, to, to_in, from, from_out, both };
constexpr std::array kStates = {none,  none_out, none_in,  none_out_in, to,
                                to_in, from,     from_out, both};
enum Way { outbound, inbound };

RosterContact contact_in(State state) {
  RosterContact contact;
  contact.is_listed = true;
  contact.subscription = make_subscription(state == to || state == to_in || state == both,
                                           state == from || state == from_out || state == both);
  contact.is_asked = state == none_out || state == none_out_in || state == from_out;
  if (state == none_in || state == none_out_in || state == to_in) contact.request = "<presence/>";
  return contact;
}

State state_of(const RosterContact& contact) {
  for (const State state : kStates) {
    RosterContact fitting = contact_in(state);
    if (fitting.subscription == contact.subscription && fitting.is_asked == contact.is_asked &&
        fitting.request.empty() == contact.request.empty()) {
      return state;
    }
  }
  ADD_FAILURE() << "no state of A.1";
  return none;
}

struct Outcome {
  SubscriptionStep step;
  State next;
};

Outcome apply(Way way, SubscriptionVerb verb, State state) {
  RosterContact contact = contact_in(state);
  const auto step = way == outbound ? send_subscription(verb, contact)
                                    : receive_subscription(verb, contact, "<presence/>");
  return {step, state_of(contact)};
}

struct Table {
  Way way;
  SubscriptionVerb verb;
  // A letter a state: y goes on, n does not, a is answered.
  const char* goes_on;
  std::array<State, kStates.size()> next;
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
      const auto [step, next] = apply(table.way, table.verb, kStates[i]);
      const std::string what = std::to_string(static_cast<int>(table.way)) + " verb " +
                               std::to_string(static_cast<int>(table.verb)) + " state " +
                               std::to_string(i);
      EXPECT_EQ(step.goes_on, table.goes_on[i] == 'y') << what;
      EXPECT_EQ(step.is_answered, table.goes_on[i] == 'a') << what;
      EXPECT_EQ(next, table.next[i]) << what;
    }
  }
}

// What one side sends and the other gets leads to states that fit each other.
TEST(Subscription, BothSidesAgreeAfterEveryExchange) {
  const auto mirror = [](State state) {
    constexpr std::array mirrored = {none,     none_in, none_out, none_out_in, from,
                                     from_out, to,      to_in,    both};
    return mirrored[static_cast<std::size_t>(state)];
  };
  for (const State state : kStates) {
    for (const SubscriptionVerb verb : {subscribe, unsubscribe, subscribed, unsubscribed}) {
      const auto mine = apply(outbound, verb, state);
      if (!mine.step.goes_on) continue;
      const auto theirs = apply(inbound, verb, mirror(state));
      EXPECT_EQ(mirror(mine.next), theirs.next)
          << static_cast<int>(state) << " verb " << static_cast<int>(verb);
    }
  }
}

// RFC 6121 3.4.
TEST(Subscription, WhoHasNotAskedIsApprovedInAdvance) {
  for (const State state : {none, none_out, to}) {
    RosterContact contact = contact_in(state);
    EXPECT_FALSE(send_subscription(subscribed, contact).goes_on);
    EXPECT_TRUE(contact.is_approved);
    RosterContact cancelled = contact;
    EXPECT_FALSE(send_subscription(unsubscribed, cancelled).goes_on);
    EXPECT_FALSE(cancelled.is_approved);
    const auto step = receive_subscription(subscribe, contact, "<presence/>");
    EXPECT_TRUE(step.is_answered && !step.goes_on);
    EXPECT_TRUE(has_from(contact.subscription) && contact.request.empty());
    EXPECT_EQ(has_to(contact.subscription), state == to);
  }
  RosterContact stranger;
  EXPECT_FALSE(send_subscription(subscribed, stranger).goes_on);
  EXPECT_TRUE(stranger.is_listed && stranger.is_approved);
}

// An answer makes an item of who was none; a refusal, a request and a farewell do not.
TEST(Subscription, WhoBecomesAnItem) {
  RosterContact stranger;
  EXPECT_TRUE(send_subscription(unsubscribe, stranger).goes_on);
  (void)receive_subscription(subscribe, stranger, "<presence/>");
  EXPECT_FALSE(stranger.is_listed);
  RosterContact refused = stranger;
  EXPECT_TRUE(send_subscription(unsubscribed, refused).goes_on);
  EXPECT_TRUE(refused.is_empty());
  EXPECT_TRUE(send_subscription(subscribed, stranger).goes_on);
  EXPECT_TRUE(stranger.is_listed && !stranger.is_approved);
}

}  // namespace
}  // namespace xmppd
