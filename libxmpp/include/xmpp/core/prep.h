// Preparation of the parts of an address: PRECIS UsernameCaseMapped with the exclusions of RFC
// 7622 3.3.1 for localparts, PRECIS OpaqueString for resourceparts, IDNA for domainparts.
//
// Every function is idempotent: its result prepares to itself. ASCII takes a table-driven path; the
// rest goes through ICU.
//
// Thread-safety: any thread. Specifications: RFC 7622, 8264, 8265, 5892 (contextual rules), 5893
// (bidi), 5952 (text of IPv6 addresses), UTS 46.
#pragma once

#include <string>
#include <string_view>

#include "xmpp/base/result.h"
#include "xmpp/core/jid.h"

namespace xmpp::prep {

// RFC 7622 3.3. Never empty; at most Jid::kPartBytesMax bytes.
[[nodiscard]] Result<std::string, JidError> prepare_local(std::string_view text);
// RFC 7622 3.2: U-labels in lower case, NFC, no trailing dot; or an IP literal in canonical text.
[[nodiscard]] Result<std::string, JidError> prepare_domain(std::string_view text);
// RFC 7622 3.4. Accepts code points that our Unicode version does not assign: a peer's may be
// newer.
[[nodiscard]] Result<std::string, JidError> prepare_resource(std::string_view text);

// Would a peer that still prepares by nodeprep (RFC 6122) see another localpart than we do?
// Accounts with such names are not created: other servers could not address them. True also for
// what we refuse.
[[nodiscard]] bool nodeprep_differs(std::string_view local);

}  // namespace xmpp::prep
