// The subscription states of RFC 6121, appendix A, as rules: what becomes of an account's contact,
// and whether the stanza goes on.
//
// The nine states of A.1 are four facts: the account sees the contact ("To") or has asked to
// ("Pending Out"), the contact sees the account ("From") or has asked to ("Pending In"). A stanza
// is about one direction only, so each of the eight tables (A.2, A.3) is one rule about two facts.
//
// Thread-safety: values. Spec: RFC 6121 A.1 (states), A.2 (outbound), A.3 (inbound), 3.4.
#pragma once

#include <cstdint>
#include <string>
#include <utility>

#include "xmppd/storage.h"

namespace xmppd {

enum class SubscriptionVerb : std::uint8_t { subscribe, unsubscribe, subscribed, unsubscribed };

struct SubscriptionStep {
  // Outbound: is it routed to the contact? Inbound: is it delivered to the account's clients?
  bool goes_on = false;
  // Inbound subscribe of whom has the permission already, or in advance: answer "subscribed" at
  // once.
  bool is_answered = false;
};

// Does the account see the contact's presence, does the contact see the account's?
[[nodiscard]] constexpr bool has_to(RosterSubscription subscription) noexcept {
  return (static_cast<unsigned>(subscription) & 1U) != 0;
}
[[nodiscard]] constexpr bool has_from(RosterSubscription subscription) noexcept {
  return (static_cast<unsigned>(subscription) & 2U) != 0;
}
[[nodiscard]] constexpr RosterSubscription make_subscription(bool to, bool from) noexcept {
  return static_cast<RosterSubscription>((to ? 1U : 0U) | (from ? 2U : 0U));
}

// The account sends `verb` to the contact (A.2).
inline SubscriptionStep send_subscription(SubscriptionVerb verb, RosterContact& contact) {
  const bool to = has_to(contact.subscription);
  const bool from = has_from(contact.subscription);
  const bool is_waiting = !contact.request.empty();
  switch (verb) {
    // Always routed, so that states that drifted apart can meet again.
    case SubscriptionVerb::subscribe:
      contact.is_listed = true;
      contact.is_asked = !to;
      return {.goes_on = true};
    case SubscriptionVerb::unsubscribe:
      contact.is_asked = false;
      contact.subscription = make_subscription(false, from);
      return {.goes_on = true};
    // Only who asked is told; whoever has not yet is approved in advance (3.4).
    case SubscriptionVerb::subscribed:
      if (from) return {};
      contact.is_listed = true;
      if (is_waiting) {
        contact.subscription = make_subscription(to, true);
        contact.request.clear();
      } else {
        contact.is_approved = true;
      }
      return {.goes_on = is_waiting};
    // Only who asked, or has the permission, is told.
    case SubscriptionVerb::unsubscribed:
      contact.is_approved = false;
      contact.subscription = make_subscription(to, false);
      contact.request.clear();
      return {.goes_on = from || is_waiting};
  }
  return {};
}

// The contact sends `verb` to the account (A.3); `request` is the stanza as XML.
inline SubscriptionStep receive_subscription(SubscriptionVerb verb, RosterContact& contact,
                                             std::string request) {
  const bool to = has_to(contact.subscription);
  const bool from = has_from(contact.subscription);
  const bool is_waiting = !contact.request.empty();
  switch (verb) {
    case SubscriptionVerb::subscribe:
      if (from) return {.is_answered = true};
      if (contact.is_approved) {
        contact.subscription = make_subscription(to, true);
        contact.request.clear();
        return {.is_answered = true};
      }
      if (!is_waiting) contact.request = std::move(request);
      return {.goes_on = !is_waiting};
    // A.3.2 would also answer "unsubscribed". Whoever left knows that; to one who has asked again
    // meanwhile it would be a refusal.
    case SubscriptionVerb::unsubscribe:
      contact.subscription = make_subscription(to, false);
      contact.request.clear();
      return {.goes_on = from || is_waiting};
    case SubscriptionVerb::subscribed: {
      const bool was_asked = std::exchange(contact.is_asked, false);
      if (was_asked) contact.subscription = make_subscription(true, from);
      return {.goes_on = was_asked};
    }
    case SubscriptionVerb::unsubscribed: {
      const bool was_asked = std::exchange(contact.is_asked, false);
      contact.subscription = make_subscription(false, from);
      return {.goes_on = to || was_asked};
    }
  }
  return {};
}

}  // namespace xmppd
