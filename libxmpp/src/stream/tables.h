// The tables of the stream machine: every feature in the order of negotiation, and the stream
// conditions of XML errors. Role-neutral: nothing here knows which side we are.
//
// Thread-safety: constant data. Spec: RFC 6120 4.3, 4.9.3.
#pragma once

#include <span>

#include "xmpp/core/stream_error.h"
#include "xmpp/stream/features.h"

namespace xmpp::stream {

// One file each.
extern const Feature kStartTls;        // starttls.cc
extern const Feature kChannelBinding;  // channel_binding.cc, XEP-0440
extern const Feature kSasl;            // sasl1.cc, sasl1_receiver.cc, sasl1_initiator.cc
extern const Feature kResume;          // sm_resume.cc, XEP-0198
extern const Feature kBind;            // bind.cc
extern const Feature kSession;         // session.cc
extern const Feature kLimits;          // stream_limits.cc, XEP-0478

// In the order in which they are offered and in which the initiator looks at them.
[[nodiscard]] std::span<const Feature* const> features() noexcept;

// The feature that claims elements in this namespace; null if none does.
[[nodiscard]] const Feature* find_feature(std::string_view ns) noexcept;

// Are elements in this namespace stanzas or the stream's own, or in no namespace at all?
[[nodiscard]] bool is_content_ns(std::string_view ns) noexcept;

// The stream condition that an XML error is answered with.
[[nodiscard]] StreamCondition condition_of(xml::ParseError error) noexcept;

}  // namespace xmpp::stream
