// What gloox (Debian's) makes of the server: alice with two clients, bob with one. Its own classes
// keep rosters, vCards and carbons; of blocking it knows nothing, so that is sent as elements.
//
// Usage: ALICE_PASSWORD=... BOB_PASSWORD=... gloox_features --host ADDRESS --port PORT --cafile
// FILE Says `ok FEATURE` of everything that it saw, then `done`; what it does not see within
// seconds ends it with status 1.
#include <gloox/carbons.h>
#include <gloox/client.h>
#include <gloox/connectionlistener.h>
#include <gloox/delayeddelivery.h>
#include <gloox/loghandler.h>
#include <gloox/message.h>
#include <gloox/messagehandler.h>
#include <gloox/rosterlistener.h>
#include <gloox/rostermanager.h>
#include <gloox/vcard.h>
#include <gloox/vcardhandler.h>
#include <gloox/vcardmanager.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <initializer_list>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace {

constexpr std::chrono::seconds kWait(15);
const gloox::JID kAlice("alice@localhost");
const gloox::JID kBob("bob@localhost");

std::map<std::string, std::string> options;
class Peer;
std::vector<Peer*> peers;

// A client, and everything that the library told of it, as lines.
class Peer final : gloox::ConnectionListener,
                   gloox::MessageHandler,
                   gloox::RosterListener,
                   gloox::VCardHandler,
                   gloox::LogHandler {
 public:
  Peer(const std::string& jid, const char* password)
      : client_(gloox::JID(jid), std::getenv(password)), cards_(&client_) {
    client_.setServer(options["--host"]);
    client_.setPort(std::stoi(options["--port"]));
    client_.setTls(gloox::TLSRequired);
    client_.setCACerts({options["--cafile"]});
    client_.registerConnectionListener(this);
    client_.registerMessageHandler(this);
    client_.registerStanzaExtension(new gloox::Carbons());
    client_.registerStanzaExtension(new gloox::DelayedDelivery());
    client_.rosterManager()->registerRosterListener(this, false);
    client_.logInstance().registerLogHandler(gloox::LogLevelDebug, gloox::LogAreaXmlIncoming, this);
    peers.push_back(this);
    if (!client_.connect(false)) fail("cannot connect");
    see({"online"});
    see({"roster is known"});
    next_ = 0;  // what was kept may have come before
  }
  Peer(const Peer&) = delete;
  Peer& operator=(const Peer&) = delete;
  ~Peer() override {
    std::erase(peers, this);
    client_.disconnect();
  }

  gloox::RosterManager& roster() { return *client_.rosterManager(); }
  gloox::RosterItem& item(const gloox::JID& jid) {
    gloox::RosterItem* found = roster().getRosterItem(jid);
    if (found == nullptr) fail("no item of " + jid.full());
    return *found;
  }
  gloox::Client& client() { return client_; }

  void say(const gloox::JID& to, const std::string& body, gloox::StanzaExtension* more = nullptr) {
    gloox::Message message(gloox::Message::Chat, to, body);
    if (more != nullptr) message.addExtension(more);
    client_.send(message);
  }
  // An iq with one element in this namespace, and perhaps an item for bob in it.
  void ask(const std::string& id, const std::string& type, const std::string& name,
           const std::string& ns, bool has_bob = false) {
    auto iq = std::make_unique<gloox::Tag>("iq");
    iq->addAttribute("type", type);
    iq->addAttribute("id", id);
    auto* element = new gloox::Tag(iq.get(), name);
    element->setXmlns(ns);
    if (has_bob) (new gloox::Tag(element, "item"))->addAttribute("jid", kBob.full());
    client_.send(iq.release());
  }
  void store_card(const std::string& name) {
    auto* card = new gloox::VCard();
    card->setFormattedname(name);
    cards_.storeVCard(card, this);
  }
  void fetch_card(const gloox::JID& whose) { cards_.fetchVCard(whose, this); }

  // Waits for a line with all these parts; others may come before. The line.
  std::string see(std::initializer_list<std::string> parts) {
    const auto until = std::chrono::steady_clock::now() + kWait;
    for (;;) {
      while (next_ < lines_.size()) {
        const std::string& line = lines_[next_++];
        bool has_all = true;
        for (const auto& part : parts) has_all = has_all && line.find(part) != std::string::npos;
        if (has_all) return line;
      }
      if (std::chrono::steady_clock::now() > until) fail("does not see " + *parts.begin());
      run();
    }
  }
  void see_until(const std::string& what, const std::function<bool()>& is_so) {
    const auto until = std::chrono::steady_clock::now() + kWait;
    while (!is_so()) {
      if (std::chrono::steady_clock::now() > until) fail("never: " + what);
      run();
    }
  }
  // None of the lines until the answer to a ping has that part.
  void see_none(const std::string& part) {
    const auto mark = next_;
    const std::string id = "none" + std::to_string(mark);
    ask(id, "get", "ping", "urn:xmpp:ping");
    see({"<iq", id});
    for (auto at = mark; at < next_; ++at) {
      if (lines_[at].find(part) != std::string::npos) fail("should not see " + part);
    }
  }

 private:
  static void run() {
    for (Peer* peer : peers) peer->client_.recv(10'000);
  }
  [[noreturn]] void fail(const std::string& what) {
    std::printf("failed\t%s: %s\n", client_.jid().full().c_str(), what.c_str());
    for (const auto& line : lines_) std::fprintf(stderr, "%s\n", line.c_str());
    std::exit(1);
  }

  void onConnect() override { lines_.push_back("online"); }
  void onDisconnect(gloox::ConnectionError error) override {
    lines_.push_back("offline " + std::to_string(error));
  }
  bool onTLSConnect(const gloox::CertInfo& info) override {
    lines_.push_back("certificate of " + info.server + ' ' + std::to_string(info.status) + ' ' +
                     info.protocol);
    // It takes no self-signed certificate for valid, and looks for the address that it was given.
    return info.server.find("localhost") != std::string::npos;
  }
  void handleMessage(const gloox::Message& message, gloox::MessageSession*) override {
    std::string line = "message of " + message.from().full() + " '" + message.body() + "'";
    if (message.subtype() == gloox::Message::Error) line += " error";
    if (message.when() != nullptr) line += " kept since " + message.when()->stamp();
    const auto* copy = message.findExtension<gloox::Carbons>(gloox::ExtCarbons);
    if (copy != nullptr && copy->embeddedStanza() != nullptr) {
      const auto* inside = static_cast<const gloox::Message*>(copy->embeddedStanza());
      line = (copy->type() == gloox::Carbons::Sent ? "copy of sent '" : "copy of received '") +
             inside->body() + "' from " + inside->from().full();
    }
    lines_.push_back(std::move(line));
  }
  void handleItemAdded(const gloox::JID& jid) override { lines_.push_back("added " + jid.full()); }
  void handleItemSubscribed(const gloox::JID& jid) override {
    lines_.push_back("subscribed " + jid.full());
  }
  void handleItemRemoved(const gloox::JID& jid) override {
    lines_.push_back("removed " + jid.full());
  }
  void handleItemUpdated(const gloox::JID& jid) override {
    lines_.push_back("updated " + jid.full());
  }
  void handleItemUnsubscribed(const gloox::JID& jid) override {
    lines_.push_back("unsubscribed " + jid.full());
  }
  void handleRoster(const gloox::Roster&) override { lines_.push_back("roster is known"); }
  void handleRosterPresence(const gloox::RosterItem& item, const std::string& resource,
                            gloox::Presence::PresenceType type, const std::string& text) override {
    lines_.push_back("presence of " + item.jidJID().full() + '/' + resource + ' ' +
                     std::to_string(type) + " '" + text + "'");
  }
  void handleSelfPresence(const gloox::RosterItem&, const std::string&,
                          gloox::Presence::PresenceType, const std::string&) override {}
  bool handleSubscriptionRequest(const gloox::JID& jid, const std::string&) override {
    lines_.push_back("request of " + jid.full());
    return true;
  }
  bool handleUnsubscriptionRequest(const gloox::JID& jid, const std::string&) override {
    lines_.push_back("end by " + jid.full());
    return true;
  }
  void handleNonrosterPresence(const gloox::Presence&) override {}
  void handleRosterError(const gloox::IQ&) override { fail("a roster error"); }
  void handleVCard(const gloox::JID& jid, const gloox::VCard* card) override {
    lines_.push_back("card of " + jid.full() + ' ' + (card ? card->formattedname() : "none"));
  }
  void handleVCardResult(VCardContext context, const gloox::JID&,
                         gloox::StanzaError error) override {
    lines_.push_back("card " + std::string(context == StoreVCard ? "stored " : "fetched ") +
                     (error == gloox::StanzaErrorUndefined ? "well" : "badly"));
  }
  void handleLog(gloox::LogLevel, gloox::LogArea, const std::string& text) override {
    lines_.push_back(text);
  }

  gloox::Client client_;
  gloox::VCardManager cards_;
  std::vector<std::string> lines_;
  std::size_t next_ = 0;  // the first that see() has not passed
};

std::string presence_of(const std::string& jid, gloox::Presence::PresenceType type) {
  return "presence of " + jid + ' ' + std::to_string(type);
}

void ok(const char* feature) {
  std::printf("ok\t%s\n", feature);
}

void roster(Peer& one, Peer& two) {
  one.roster().add(kBob, "Bob <&>", {"Builders", "Friends"});
  two.see({"added bob@localhost"});
  gloox::RosterItem& item = two.item(kBob);
  if (item.name() != "Bob <&>" || item.groups().size() != 2) {
    two.see({"an item with its name and groups"});
  }
}

void subscription(Peer& one, Peer& two, Peer& bob) {
  const auto is = [&](gloox::SubscriptionType wanted) {
    return [&two, wanted] { return two.item(kBob).subscription() == wanted; };
  };
  one.roster().subscribe(kBob, "Bob <&>", {"Builders", "Friends"});
  bob.see({"request of alice@localhost"});
  two.see_until("asked", is(gloox::S10nNoneOut));
  bob.roster().ackSubscriptionRequest(kAlice, true);
  one.see({presence_of("bob@localhost/b", gloox::Presence::Available)});
  two.see_until("to", is(gloox::S10nTo));
  bob.roster().subscribe(kAlice, "Alice", {});
  two.see({"request of bob@localhost"});
  two.roster().ackSubscriptionRequest(kBob, true);
  bob.see({presence_of("alice@localhost/two", gloox::Presence::Available)});
  two.see_until("both", is(gloox::S10nBoth));
  ok("subscription");
}

void presence(Peer& one, Peer& bob) {
  bob.client().setPresence(gloox::Presence::DND, 3, "Building");
  one.see({presence_of("bob@localhost/b", gloox::Presence::DND), "'Building'"});
  bob.client().setPresence(gloox::Presence::Unavailable, 0);
  one.see({presence_of("bob@localhost/b", gloox::Presence::Unavailable)});
  bob.client().setPresence(gloox::Presence::Available, 0);
  one.see({presence_of("bob@localhost/b", gloox::Presence::Available)});
  ok("presence");
}

void carbons(Peer& one, Peer& two, Peer& bob) {
  two.ask("copies", "set", "enable", "urn:xmpp:carbons:2");
  two.see({"<iq", "copies", "result"});
  one.say(kBob, "from one");
  bob.see({"message of alice@localhost/one 'from one'"});
  two.see({"copy of sent 'from one' from alice@localhost/one"});
  bob.say(gloox::JID("alice@localhost/one"), "to one");
  one.see({"message of bob@localhost/b 'to one'"});
  two.see({"copy of received 'to one' from bob@localhost/b"});
  one.say(kBob, "hidden", new gloox::Carbons(gloox::Carbons::Private));
  bob.see({"'hidden'"});
  two.see_none("hidden");
  ok("carbons");
}

void blocking(Peer& one, Peer& two, Peer& bob) {
  const std::string ns = "urn:xmpp:blocking";
  for (Peer* peer : {&one, &two}) {
    peer->ask("list", "get", "blocklist", ns);
    peer->see({"<iq", "list", "result"});
  }
  one.ask("block", "set", "block", ns, true);
  two.see({"<iq", "<block ", "bob@localhost"});
  bob.see({presence_of("alice@localhost/one", gloox::Presence::Unavailable)});
  bob.say(kAlice, "blocked");
  bob.see({"message of alice@localhost", "error"});
  one.say(kBob, "blocked, too");
  one.see({"<message", "not-acceptable", "urn:xmpp:blocking:errors"});
  one.ask("unblock", "set", "unblock", ns);
  two.see({"<iq", "<unblock"});
  bob.see({presence_of("alice@localhost/one", gloox::Presence::Available)});
  one.see_none("'blocked'");
  ok("blocking");
}

void vcard(Peer& one, Peer& bob) {
  one.store_card("Alice & Co");
  one.see({"card stored well"});
  bob.fetch_card(kAlice);
  bob.see({"card of alice@localhost Alice & Co"});
  ok("vcard");
}

void offline(Peer& one, std::unique_ptr<Peer>& bob) {
  bob.reset();
  one.see({presence_of("bob@localhost/b", gloox::Presence::Unavailable)});
  one.say(kBob, "it waits");
  one.say(kBob, "it waits, too");
  one.see_none("error");
  bob = std::make_unique<Peer>("bob@localhost/b", "BOB_PASSWORD");
  bob->see({"message of alice@localhost/one 'it waits' kept since "});
  bob->see({"message of alice@localhost/one 'it waits, too' kept since "});
  ok("offline");
}

void roster_removal(Peer& one, Peer& two) {
  one.roster().remove(kBob);
  two.see({"removed bob@localhost"});
  ok("roster");
}

}  // namespace

int main(int argc, char** argv) {
  for (int i = 1; i + 1 < argc; i += 2) options[argv[i]] = argv[i + 1];
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  {
    Peer one("alice@localhost/one", "ALICE_PASSWORD");
    Peer two("alice@localhost/two", "ALICE_PASSWORD");
    auto bob = std::make_unique<Peer>("bob@localhost/b", "BOB_PASSWORD");
    roster(one, two);
    subscription(one, two, *bob);
    presence(one, *bob);
    carbons(one, two, *bob);
    blocking(one, two, *bob);
    vcard(one, *bob);
    offline(one, bob);
    roster_removal(one, two);
  }
  std::printf("done\n");
}
