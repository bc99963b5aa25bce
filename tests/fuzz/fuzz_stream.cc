// Feeds bytes to the stream machine in either role, with a driver that answers every event.
//
// The first byte chooses: bit 0 the role, bit 1 direct TLS, bits 2-3 what is offered or demanded
// about TLS, bits 4-7 the size of the chunks. The rest is what the peer sends.
//
// Checked beside crashes: nothing happens after the end; no stanza passes before it may; equal
// bytes give equal events and output however they are split (STARTTLS excepted, where it must not).
#include <cstdint>
#include <string>
#include <string_view>

#include "unit/stream/drivers.h"
#include "xmpp/base/assert.h"

namespace xmpp::test {
namespace {

struct Outcome {
  std::string output;
  std::vector<std::string> log;
  friend bool operator==(const Outcome&, const Outcome&) = default;
};

Outcome run(Driver& driver, std::string_view bytes, std::size_t chunk) {
  Outcome outcome;
  outcome.output = driver.take_output();
  outcome.output += driver.feed(bytes, chunk);
  if (driver.stream.is_closed()) {
    const std::size_t logged = driver.log.size();
    XMPP_ASSERT(logged > 0 &&
                (driver.last_log().starts_with("failed") || driver.last_log() == "closed"));
    XMPP_ASSERT(driver.feed("<message/>").empty());
    driver.stream.fail({StreamCondition::reset, {}});
    driver.pump();
    XMPP_ASSERT(driver.log.size() == logged && driver.take_output().empty());
  }
  if (!driver.stream.is_authenticated()) {
    for (const ParsedStanza& parsed : driver.stanzas) XMPP_ASSERT(parsed.stanza.is_iq());
  }
  outcome.log = driver.log;
  return outcome;
}

Outcome run_receiver(unsigned choice, std::string_view bytes, std::size_t chunk) {
  StreamOffer offer =
      make_offer({sasl::MechanismId::scram_sha_1_plus, sasl::MechanismId::scram_sha_1,
                  sasl::MechanismId::plain, sasl::MechanismId::anonymous});
  offer.tls_available = (choice & 4U) != 0;
  offer.tls_required = offer.tls_available && (choice & 8U) != 0;
  offer.preauth_iq = {ns::register_};
  StreamPolicy policy;
  policy.sm = true;
  ReceiverDriver driver(std::move(offer), std::move(policy), (choice & 2U) != 0);
  return run(driver, bytes, chunk);
}

Outcome run_initiator(unsigned choice, std::string_view bytes, std::size_t chunk) {
  StreamPolicy policy = make_policy();
  policy.tls = (choice & 4U) != 0   ? StreamPolicy::Tls::none
               : (choice & 8U) != 0 ? StreamPolicy::Tls::optional
                                    : StreamPolicy::Tls::required;
  policy.plain_without_tls = true;
  policy.resumption = {"known", 3, *Jid::parse("alice@localhost/old")};
  InitiatorDriver driver(std::move(policy), (choice & 2U) != 0);
  return run(driver, bytes, chunk);
}

}  // namespace
}  // namespace xmpp::test

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const unsigned choice = data[0];
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  const auto run = (choice & 1U) != 0 ? xmpp::test::run_initiator : xmpp::test::run_receiver;
  const xmpp::test::Outcome whole = run(choice, bytes, xmpp::test::kWhole);
  const xmpp::test::Outcome split = run(choice, bytes, 1 + (choice >> 4U));
  if (bytes.find("tls") == std::string_view::npos && bytes.find('&') == std::string_view::npos) {
    XMPP_ASSERT(whole == split);
  }
  return 0;
}
