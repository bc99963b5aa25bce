// Stream management: both roles of a stream that has logged in read hostile elements; the queue and
// the window are held against naive models that count without a modulus.
//
// Input: the first byte chooses; then operations of one byte each with operands, or what the peer
// of a stream sends.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <string_view>

#include "unit/stream/drivers.h"
#include "xmpp/base/assert.h"
#include "xmpp/stream/sm.h"

namespace xmpp::test {
namespace {

class Input {
 public:
  explicit Input(std::string_view bytes) : rest_(bytes) {}
  [[nodiscard]] bool is_empty() const { return rest_.empty(); }
  std::uint8_t byte() {
    if (rest_.empty()) return 0;
    const auto value = static_cast<std::uint8_t>(rest_.front());
    rest_.remove_prefix(1);
    return value;
  }

 private:
  std::string_view rest_;
};

// Near the wrap, in the middle, at zero.
sm::Count start_of(std::uint8_t byte) {
  if (byte < 85) return 0;
  return byte < 170 ? 0xFFFF'FFF0U + byte % 16U : 0x8000'0000U - byte % 8U;
}

void run_queue(Input input) {
  sm::Queue queue(20, 100'000);
  const sm::Count start = start_of(input.byte());
  queue.start_at(start);
  std::uint64_t pushed = 0;  // since the start
  std::uint64_t acked = 0;
  std::deque<std::uint64_t> kept;
  while (!input.is_empty()) {
    const std::uint8_t operation = input.byte();
    if (operation < 100) {
      Stanza stanza = Stanza::message(StanzaType::chat, {});
      stanza.envelope().id = std::to_string(++pushed);
      kept.push_back(pushed);
      XMPP_ASSERT(queue.push(std::move(stanza), Timestamp{}) == (kept.size() <= 20));
    } else if (operation < 250) {
      // Acknowledges a number around what is known.
      const auto offset = static_cast<std::int64_t>(static_cast<std::int8_t>(input.byte()));
      const auto wanted = static_cast<std::int64_t>(acked) + offset;
      const auto outcome = queue.acknowledge(start + static_cast<sm::Count>(wanted));
      if (wanted < static_cast<std::int64_t>(acked)) {
        XMPP_ASSERT(outcome == sm::Queue::Outcome::stale);
      } else if (wanted > static_cast<std::int64_t>(pushed)) {
        XMPP_ASSERT(outcome == sm::Queue::Outcome::too_high);
      } else {
        XMPP_ASSERT(outcome == sm::Queue::Outcome::ok);
        acked = static_cast<std::uint64_t>(wanted);
        while (!kept.empty() && kept.front() <= acked) kept.pop_front();
      }
    } else {
      const auto all = queue.take();
      XMPP_ASSERT(all.size() == kept.size());
      kept.clear();
      acked = pushed;
    }
    XMPP_ASSERT(queue.size() == kept.size() && queue.is_empty() == kept.empty());
    XMPP_ASSERT(queue.sent() == start + static_cast<sm::Count>(pushed));
    XMPP_ASSERT(queue.acknowledged() == start + static_cast<sm::Count>(acked));
    XMPP_ASSERT((queue.bytes() == 0) == kept.empty());
    for (std::size_t i = 0; i < kept.size(); ++i) {
      XMPP_ASSERT(queue[i].stanza.id() == std::to_string(kept[i]));
    }
  }
}

void run_window(Input input) {
  sm::Window window;
  const sm::Count start = start_of(input.byte());
  window.start_at(start);
  std::uint64_t received = 0;
  std::uint64_t confirmed = 0;
  std::uint64_t reported = 0;
  std::map<std::uint64_t, int> held;
  const auto number = [start](std::uint64_t count) {
    return start + static_cast<sm::Count>(count);
  };
  while (!input.is_empty()) {
    const std::uint8_t operation = input.byte();
    const std::uint64_t chosen = received == 0 ? 0 : 1 + input.byte() % received;
    if (operation < 80 || received == 0) {
      ++received;
      XMPP_ASSERT(window.receive() == number(received));
    } else if (operation < 130) {
      window.confirm(number(chosen));
      confirmed = std::max(confirmed, chosen);
    } else if (operation < 180) {
      window.hold(number(chosen));
      if (chosen > reported) ++held[chosen];
    } else if (operation < 230) {
      window.settle(number(chosen));
      const auto found = held.find(chosen);
      if (found != held.end() && --found->second == 0) held.erase(found);
    } else if (operation < 250) {
      (void)window.report();
      const std::uint64_t first = held.empty() ? received + 1 : held.begin()->first;
      reported = std::max(reported, std::min(confirmed, first - 1));
      XMPP_ASSERT(window.reported() == number(reported));
    } else {
      window.settle_all();
      held.clear();
      confirmed = received;
    }
    std::uint64_t handled = confirmed;
    if (!held.empty()) handled = std::min(handled, held.begin()->first - 1);
    XMPP_ASSERT(window.handled() == number(std::max(handled, reported)));
  }
}

struct Outcome {
  std::string output;
  std::vector<std::string> log;
  friend bool operator==(const Outcome&, const Outcome&) = default;
};

Outcome feed(Driver& driver, std::string_view bytes, std::size_t chunk) {
  Outcome outcome;
  outcome.output = driver.feed(bytes, chunk);
  if (driver.stream.is_closed()) {
    const std::size_t logged = driver.log.size();
    XMPP_ASSERT(driver.feed("<r xmlns='urn:xmpp:sm:3'/>").empty());
    XMPP_ASSERT(driver.log.size() == logged);
  }
  outcome.log = driver.log;
  return outcome;
}

// The server's side: login done, nothing bound; with bit 2 a resource is bound, with bit 3 counted.
Outcome run_receiver(unsigned choice, std::string_view bytes, std::size_t chunk) {
  StreamPolicy policy;
  policy.sm = true;
  ReceiverDriver driver(make_offer(), std::move(policy));
  driver.feed(client_header());
  driver.feed(
      "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' "
      "mechanism='PLAIN'>AGFsaWNlAHNlY3JldA==</auth>");
  driver.feed(client_header());
  if ((choice & 4U) != 0) {
    driver.feed("<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>");
    if ((choice & 8U) != 0) driver.feed("<enable xmlns='urn:xmpp:sm:3' resume='true'/>");
  }
  XMPP_ASSERT(driver.stream.is_authenticated());
  return feed(driver, bytes, chunk);
}

// The client's side: asks for an earlier stream (bit 2), or counts on a bound one.
Outcome run_initiator(unsigned choice, std::string_view bytes, std::size_t chunk) {
  StreamPolicy policy = make_policy();
  policy.tls = StreamPolicy::Tls::none;
  policy.plain_without_tls = true;
  policy.mechanism = "PLAIN";
  policy.nonzas = {ns::sm};
  if ((choice & 4U) != 0) policy.resumption = {"known", 3, *Jid::parse("alice@localhost/old")};
  InitiatorDriver driver(std::move(policy));
  driver.pump();
  (void)driver.take_output();
  constexpr std::string_view kHeader =
      "<?xml version='1.0'?><stream:stream from='localhost' id='1' version='1.0' "
      "xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>";
  driver.feed(kHeader);
  driver.feed(
      "<stream:features><mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>"
      "<mechanism>PLAIN</mechanism></mechanisms></stream:features>");
  driver.feed("<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>");
  driver.feed(kHeader);
  driver.feed(
      "<stream:features><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/>"
      "<sm xmlns='urn:xmpp:sm:3'/></stream:features>");
  if ((choice & 4U) == 0) {
    driver.feed(
        "<iq type='result' id='bind-1'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>"
        "<jid>alice@localhost/desk</jid></bind></iq>");
  }
  XMPP_ASSERT(driver.stream.is_authenticated());
  return feed(driver, bytes, chunk);
}

}  // namespace
}  // namespace xmpp::test

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace xmpp::test;
  if (size == 0) return 0;
  const unsigned choice = data[0];
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  if ((choice & 3U) < 2) {
    (choice & 1U) != 0 ? run_queue(Input(bytes)) : run_window(Input(bytes));
    return 0;
  }
  const auto run = (choice & 1U) != 0 ? run_initiator : run_receiver;
  const Outcome whole = run(choice, bytes, kWhole);
  const Outcome split = run(choice, bytes, 1 + (choice >> 4U));
  XMPP_ASSERT(whole == split);
  return 0;
}
