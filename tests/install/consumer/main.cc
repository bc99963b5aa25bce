// What another project writes: prints a message stanza for the address that it is given.
#include <xmpp/client/client.h>
#include <xmpp/core/namespaces.h>

#include <iostream>

int main(int argc, char** argv) {
  const auto jid = xmpp::Jid::parse(argc > 1 ? argv[1] : "");
  if (!jid) return 1;
  auto stanza = xmpp::Stanza::message(xmpp::StanzaType::chat, *jid);
  stanza.add_text("body", "hello");
  std::cout << xmpp::to_xml(stanza, xmpp::ns::client) << "\n";

  // Links the whole stack.
  xmpp::SystemClock clock;
  const auto poller = xmpp::net::make_epoll_poller();
  xmpp::net::Reactor reactor(*poller, clock);
  const xmpp::Client client(reactor, {.jid = *jid});
  return client.is_bound() ? 1 : 0;
}
