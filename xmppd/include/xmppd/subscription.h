// The subscription states of RFC 6121, appendix A, as one table: what becomes of the state between
// an account and a contact, and whether the stanza goes on, for every state and stanza.
//
// Thread-safety: constants. Spec: RFC 6121 A.1 (states), A.2 (outbound), A.3 (inbound), 3.4.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "xmppd/storage.h"

namespace xmppd {

// "out": the account asked and waits. "in": the contact asked and waits.
enum class SubscriptionState : std::uint8_t {
  none,
  none_out,
  none_in,
  none_out_in,
  to,
  to_in,
  from,
  from_out,
  both,
};
inline constexpr std::size_t kSubscriptionStates = 9;

enum class SubscriptionVerb : std::uint8_t { subscribe, unsubscribe, subscribed, unsubscribed };

// Who sent it: the account (its own server asks the table before routing) or the contact.
enum class SubscriptionWay : std::uint8_t { outbound, inbound };

struct SubscriptionStep {
  // Outbound: is it routed to the contact? Inbound: is it delivered to the account's clients?
  bool goes_on;
  SubscriptionState next;
  // Inbound subscribe of whom has the permission already: answer "subscribed" at once.
  bool is_answered = false;
};

namespace subscription_detail {

using enum SubscriptionState;
using Row = std::array<SubscriptionStep, kSubscriptionStates>;

// In the order of SubscriptionState, then of SubscriptionVerb, then of SubscriptionWay.
inline constexpr std::array<std::array<Row, 4>, 2> kSteps = {{
    {{
        // A.2.1 subscribe: always routed, so that states that drifted apart can meet again.
        Row{{{true, none_out},
             {true, none_out},
             {true, none_out_in},
             {true, none_out_in},
             {true, to},
             {true, to_in},
             {true, from_out},
             {true, from_out},
             {true, both}}},
        // A.2.2 unsubscribe: likewise.
        Row{{{true, none},
             {true, none},
             {true, none_in},
             {true, none_in},
             {true, none},
             {true, none_in},
             {true, from},
             {true, from},
             {true, from}}},
        // A.2.3 subscribed: only who asked is told.
        Row{{{false, none},
             {false, none_out},
             {true, from},
             {true, from_out},
             {false, to},
             {true, both},
             {false, from},
             {false, from_out},
             {false, both}}},
        // A.2.4 unsubscribed: only who asked, or has the permission, is told.
        Row{{{false, none},
             {false, none_out},
             {true, none},
             {true, none_out},
             {false, to},
             {true, to},
             {true, none},
             {true, none_out},
             {true, to}}},
    }},
    {{
        // A.3.1 subscribe
        Row{{{true, none_in},
             {true, none_out_in},
             {false, none_in},
             {false, none_out_in},
             {true, to_in},
             {false, to_in},
             {false, from, true},
             {false, from_out, true},
             {false, both, true}}},
        // A.3.2 unsubscribe
        Row{{{false, none},
             {false, none_out},
             {true, none},
             {true, none_out},
             {false, to},
             {true, to},
             {true, none},
             {true, none_out},
             {true, to}}},
        // A.3.3 subscribed
        Row{{{false, none},
             {true, to},
             {false, none_in},
             {true, to_in},
             {false, to},
             {false, to_in},
             {false, from},
             {true, both},
             {false, both}}},
        // A.3.4 unsubscribed
        Row{{{false, none},
             {true, none},
             {false, none_in},
             {true, none_in},
             {true, none},
             {true, none_in},
             {false, from},
             {true, from},
             {true, from}}},
    }},
}};

}  // namespace subscription_detail

[[nodiscard]] constexpr SubscriptionStep subscription_step(SubscriptionWay way,
                                                           SubscriptionVerb verb,
                                                           SubscriptionState state) noexcept {
  return subscription_detail::kSteps[static_cast<std::size_t>(way)][static_cast<std::size_t>(verb)]
                                    [static_cast<std::size_t>(state)];
}

// The state that a contact is in.
[[nodiscard]] inline SubscriptionState subscription_state(const RosterContact& contact) noexcept {
  using enum SubscriptionState;
  const bool in = !contact.request.empty();
  switch (contact.subscription) {
    case RosterSubscription::none:
      if (contact.is_asked) return in ? none_out_in : none_out;
      return in ? none_in : none;
    case RosterSubscription::to:
      return in ? to_in : to;
    case RosterSubscription::from:
      return contact.is_asked ? from_out : from;
    case RosterSubscription::both:
      break;
  }
  return both;
}

// Does the account see the contact's presence, does the contact see the account's?
[[nodiscard]] constexpr bool has_to(RosterSubscription subscription) noexcept {
  return (static_cast<unsigned>(subscription) & 1U) != 0;
}
[[nodiscard]] constexpr bool has_from(RosterSubscription subscription) noexcept {
  return (static_cast<unsigned>(subscription) & 2U) != 0;
}

// Puts a contact into a state. The request of a state with "in" is the caller's to keep or to add.
inline void set_subscription_state(RosterContact& contact, SubscriptionState state) {
  using enum SubscriptionState;
  using Sub = RosterSubscription;
  constexpr std::array<Sub, kSubscriptionStates> subscriptions = {Sub::none, Sub::none, Sub::none,
                                                                  Sub::none, Sub::to,   Sub::to,
                                                                  Sub::from, Sub::from, Sub::both};
  contact.subscription = subscriptions[static_cast<std::size_t>(state)];
  contact.is_asked = state == none_out || state == none_out_in || state == from_out;
  if (state != none_in && state != none_out_in && state != to_in) contact.request.clear();
}

}  // namespace xmppd
