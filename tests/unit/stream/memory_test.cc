// What an idle bound stream costs: the allocations of this program are counted.
#include <gtest/gtest.h>
#include <malloc.h>

#include <cstdlib>
#include <new>

#include "unit/stream/drivers.h"

namespace {
std::size_t live_bytes = 0;
}  // namespace

// Replaced for the whole program; only the balance is of interest.
void* operator new(std::size_t size) {
  void* memory = std::malloc(size);
  if (memory == nullptr) throw std::bad_alloc();
  live_bytes += malloc_usable_size(memory);
  return memory;
}
void operator delete(void* memory) noexcept {
  if (memory != nullptr) live_bytes -= malloc_usable_size(memory);
  std::free(memory);
}
void operator delete(void* memory, std::size_t /*size*/) noexcept {
  operator delete(memory);
}

namespace xmpp::test {
namespace {

std::size_t idle_bytes(bool tls) {
  const auto policy = std::make_shared<const StreamPolicy>();
  static SeededRng rng(5);
  const std::size_t before = live_bytes;
  Stream stream(Role::receiver, policy, rng, kStart);
  const auto pump = [&](std::string_view bytes) {
    stream.receive(bytes);
    for (Event event = stream.next(); !is<NeedBytes>(event); event = stream.next()) {
      if (is<HeaderReceived>(event)) stream.accept(make_offer());
      if (is<PasswordOffered>(event)) stream.password_verified(true);
      if (auto* done = std::get_if<Authenticated>(&event)) stream.continue_authenticated(done->jid);
      if (is<BindRequested>(event))
        stream.bound(*stream.jid().with_resource("a-resource-of-22-bytes"));
    }
    stream.output().clear();
  };
  if (tls) stream.assume_tls(tls_facts());
  pump(client_header());
  EXPECT_GT(live_bytes - before, 1'000U) << "negotiation state";
  pump(
      "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' "
      "mechanism='PLAIN'>AGFsaWNlAHNlY3JldA==</auth>");
  pump(client_header());
  pump("<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>");
  EXPECT_TRUE(stream.stanzas_allowed());
  pump("<message to='b@localhost'><body>hello</body></message><presence/>");
  pump("<message to='b@loc");
  pump("alhost'><body>hello</body></message>");
  return live_bytes - before;
}

TEST(Memory, AnIdleBoundStreamIsSmall) {
  idle_bytes(false);  // what is allocated once
  for (const bool tls : {false, true}) {
    const std::size_t bytes = idle_bytes(tls);
    RecordProperty(tls ? "idle_bytes_tls" : "idle_bytes", static_cast<int>(bytes));
    std::printf("idle stream: %zu bytes\n", bytes);
    // With the address that the last stanza went to, which is kept for the next one.
    EXPECT_LT(bytes, 640U);
  }
}

}  // namespace
}  // namespace xmpp::test
