// The names of RFC 6120 4.9.3.
#include "xmpp/core/stream_error.h"

#include <gtest/gtest.h>

namespace xmpp {
namespace {

TEST(StreamErrorTest, NamesRoundTrip) {
  for (const char* name : {"bad-format",
                           "bad-namespace-prefix",
                           "conflict",
                           "connection-timeout",
                           "host-gone",
                           "host-unknown",
                           "improper-addressing",
                           "internal-server-error",
                           "invalid-from",
                           "invalid-namespace",
                           "invalid-xml",
                           "not-authorized",
                           "not-well-formed",
                           "policy-violation",
                           "remote-connection-failed",
                           "reset",
                           "resource-constraint",
                           "restricted-xml",
                           "see-other-host",
                           "system-shutdown",
                           "undefined-condition",
                           "unsupported-encoding",
                           "unsupported-feature",
                           "unsupported-stanza-type",
                           "unsupported-version"}) {
    const auto condition = parse_stream_condition(name);
    ASSERT_TRUE(condition) << name;
    EXPECT_EQ(to_string(*condition), name);
  }
  EXPECT_FALSE(parse_stream_condition("xml-not-well-formed"));
}

}  // namespace
}  // namespace xmpp
