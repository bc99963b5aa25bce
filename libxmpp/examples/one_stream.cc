// The server's side of one stream over standard input and output: lets everybody in and sends every
// message back. Anything that connects a socket to the two may run it; there is no TLS.
//
// Spec: RFC 6120. Thread-safety: one thread.
#include <unistd.h>

#include "xmpp/stream/stream.h"

int main() {
  xmpp::SystemClock clock;
  xmpp::OsRng rng;
  auto policy = std::make_shared<const xmpp::StreamPolicy>();
  xmpp::Stream stream(xmpp::Role::receiver, policy, rng, clock.now());
  const auto handle = [&](xmpp::Event& event) {
    if (auto* header = std::get_if<xmpp::HeaderReceived>(&event)) {
      xmpp::StreamOffer offer{.domain = header->to, .mechanisms = {xmpp::sasl::MechanismId::plain}};
      stream.accept(std::move(offer));
    } else if (xmpp::is<xmpp::PasswordOffered>(event)) {
      stream.password_verified(true);
    } else if (auto* proved = std::get_if<xmpp::Authenticated>(&event)) {
      stream.continue_authenticated(proved->jid);
    } else if (xmpp::is<xmpp::BindRequested>(event)) {
      stream.bound(*stream.jid().with_resource("here"));
    } else if (auto* received = std::get_if<xmpp::StanzaReceived>(&event)) {
      auto stanza = received->parsed.stanza;  // shares the payloads
      if (!stanza.is_message()) return;
      stanza.envelope().from = std::exchange(stanza.envelope().to, stream.jid());
      stream.send(stanza);
    }
  };
  char buffer[4096];
  for (ssize_t size; !stream.is_closed() && (size = ::read(0, buffer, sizeof buffer)) > 0;) {
    stream.receive({buffer, static_cast<std::size_t>(size)});
    for (auto e = stream.next(); !xmpp::is<xmpp::NeedBytes>(e); e = stream.next()) handle(e);
    for (auto& output = stream.output(); !output.empty();) {
      const ssize_t sent = ::write(1, output.front().data(), output.front().size());
      if (sent <= 0) return 1;
      output.consume(static_cast<std::size_t>(sent));
    }
  }
}
