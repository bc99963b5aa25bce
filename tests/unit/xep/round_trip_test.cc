// Random values of every payload of the xep layer read back as they were written.
#include <gtest/gtest.h>

#include "support/generate.h"
#include "xmpp/xep/bind.h"
#include "xmpp/xep/blocking.h"
#include "xmpp/xep/caps.h"
#include "xmpp/xep/delay.h"
#include "xmpp/xep/disco.h"
#include "xmpp/xep/last.h"
#include "xmpp/xep/ping.h"
#include "xmpp/xep/private.h"
#include "xmpp/xep/roster.h"
#include "xmpp/xep/time.h"
#include "xmpp/xep/vcard_temp.h"
#include "xmpp/xep/version.h"

namespace xmpp::xml::testing {

template <>
struct Generator<Jid> {
  static Jid make(Random& random) {
    static constexpr std::string_view kTexts[] = {"a@b", "a@b/r", "b",
                                                  "émile@bücher.example/<&'\"> x", "[::1]"};
    return *Jid::parse(kTexts[random() % std::size(kTexts)]);
  }
};
template <>
struct Generator<form::FieldType> {
  static form::FieldType make(Random& random) {
    return static_cast<form::FieldType>(random() % 10);
  }
};
template <>
struct Generator<xep::Subscription> {
  static xep::Subscription make(Random& random) {
    return static_cast<xep::Subscription>(random() % 5);
  }
};
template <>
struct Generator<xep::Ask> {
  static xep::Ask make(Random& random) { return static_cast<xep::Ask>(random() % 2); }
};
template <>
struct Generator<xep::UtcOffset> {
  static xep::UtcOffset make(Random& random) {
    return {std::chrono::minutes(static_cast<int>(random() % 2879) - 1439)};
  }
};

namespace {

TEST(RoundTripTest, EveryPayload) {
  expect_round_trip<xep::Ping>();
  expect_round_trip<xep::DiscoInfo>();
  expect_round_trip<xep::DiscoItems>();
  expect_round_trip<xep::Roster>();
  expect_round_trip<xep::BlockList>();
  expect_round_trip<xep::Block>();
  expect_round_trip<xep::Unblock>();
  expect_round_trip<xep::SoftwareVersion>();
  expect_round_trip<xep::EntityTime>();
  expect_round_trip<xep::Delay>();
  expect_round_trip<xep::LastActivity>();
  expect_round_trip<xep::Caps>();
  expect_round_trip<xep::PrivateXml>();
  expect_round_trip<xep::VcardTemp>();
  expect_round_trip<xep::Bind>();
  expect_round_trip<xep::SessionRequest>();
  expect_round_trip<form::Form>();
}

}  // namespace
}  // namespace xmpp::xml::testing
