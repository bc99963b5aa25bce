// Every namespace that libxmpp knows, by name. A namespace that the hot path compares is also
// listed in xml/atoms.def.
//
// Thread-safety: constant data.
#pragma once

#include <string_view>

namespace xmpp::ns {

using sv = std::string_view;

// RFC 6120, 6121
inline constexpr sv client = "jabber:client";
inline constexpr sv server = "jabber:server";
inline constexpr sv component = "jabber:component:accept";
inline constexpr sv streams = "http://etherx.jabber.org/streams";
inline constexpr sv stream_errors = "urn:ietf:params:xml:ns:xmpp-streams";
inline constexpr sv stanza_errors = "urn:ietf:params:xml:ns:xmpp-stanzas";
inline constexpr sv tls = "urn:ietf:params:xml:ns:xmpp-tls";
inline constexpr sv sasl = "urn:ietf:params:xml:ns:xmpp-sasl";
inline constexpr sv bind = "urn:ietf:params:xml:ns:xmpp-bind";
inline constexpr sv session = "urn:ietf:params:xml:ns:xmpp-session";
inline constexpr sv roster = "jabber:iq:roster";
inline constexpr sv roster_versioning = "urn:xmpp:features:rosterver";
inline constexpr sv pre_approval = "urn:xmpp:features:pre-approval";
inline constexpr sv xml = "http://www.w3.org/XML/1998/namespace";
inline constexpr sv xmlns = "http://www.w3.org/2000/xmlns/";

inline constexpr sv data_forms = "jabber:x:data";                          // XEP-0004
inline constexpr sv last_activity = "jabber:iq:last";                      // XEP-0012
inline constexpr sv disco_info = "http://jabber.org/protocol/disco#info";  // XEP-0030
inline constexpr sv disco_items = "http://jabber.org/protocol/disco#items";
inline constexpr sv private_xml = "jabber:iq:private";  // XEP-0049
inline constexpr sv vcard = "vcard-temp";               // XEP-0054
inline constexpr sv register_ = "jabber:iq:register";   // XEP-0077
inline constexpr sv register_feature = "http://jabber.org/features/iq-register";
inline constexpr sv chat_states = "http://jabber.org/protocol/chatstates";  // XEP-0085
inline constexpr sv version = "jabber:iq:version";                          // XEP-0092
inline constexpr sv caps = "http://jabber.org/protocol/caps";               // XEP-0115
inline constexpr sv server_info = "http://jabber.org/network/serverinfo";   // XEP-0157
inline constexpr sv blocking = "urn:xmpp:blocking";                         // XEP-0191
inline constexpr sv blocking_errors = "urn:xmpp:blocking:errors";
inline constexpr sv sm = "urn:xmpp:sm:3";            // XEP-0198
inline constexpr sv ping = "urn:xmpp:ping";          // XEP-0199
inline constexpr sv time = "urn:xmpp:time";          // XEP-0202
inline constexpr sv delay = "urn:xmpp:delay";        // XEP-0203
inline constexpr sv carbons = "urn:xmpp:carbons:2";  // XEP-0280
inline constexpr sv carbons_rules = "urn:xmpp:carbons:rules:0";
inline constexpr sv forward = "urn:xmpp:forward:0";               // XEP-0297
inline constexpr sv hints = "urn:xmpp:hints";                     // XEP-0334
inline constexpr sv csi = "urn:xmpp:csi:0";                       // XEP-0352
inline constexpr sv sasl_channel_binding = "urn:xmpp:sasl-cb:0";  // XEP-0440
inline constexpr sv stream_limits = "urn:xmpp:stream-limits:0";   // XEP-0478

}  // namespace xmpp::ns
