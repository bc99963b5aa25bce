// A bot that sends every message back: echo_bot JID PASSWORD [HOST:PORT]
//
// Spec: RFC 6120, RFC 6121. Thread-safety: one thread, which runs the reactor.
#include <cstdio>

#include "xmpp/client/client.h"

int main(int argc, char** argv) {
  const auto jid = xmpp::Jid::parse(argc >= 3 ? argv[1] : "");
  if (!jid) return std::fprintf(stderr, "usage: echo_bot JID PASSWORD [HOST:PORT]\n"), 2;

  xmpp::SystemClock clock;
  const auto poller = xmpp::net::make_epoll_poller();
  xmpp::net::Reactor reactor(*poller, clock);
  xmpp::ClientOptions options;
  options.jid = *jid;
  options.password = xmpp::Secret(argv[2]);
  if (argc > 3) options.targets = {argv[3]};  // else by DNS
  xmpp::Client client(reactor, options);

  client.on_bound([&] { client.send(xmpp::Stanza::presence()); });
  client.on_stanza([&](const xmpp::Stanza& stanza) {
    const auto body = stanza.child_text("body");
    if (!stanza.is_message() || stanza.is_error() || !body) return;
    auto answer = xmpp::Stanza::message(stanza.type(), stanza.from());
    answer.add_text("body", *body);
    client.send(answer);
  });
  bool has_failed = false;
  client.on_closed([&](std::optional<xmpp::ClientFailure> failure) {
    has_failed = failure.has_value();
    if (failure) std::fprintf(stderr, "%s\n", failure->text.c_str());
    reactor.stop();
  });
  client.connect();
  reactor.run();
  return has_failed ? 1 : 0;
}
