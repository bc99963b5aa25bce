"""Attacks by who has accounts: floods, amplification, storage, stream management."""

import os

from collisions import colliding_addresses
from hostile import CONTACTS, REQUESTS, HostileTest, main, wire
from test_strangers import BOMBS

PING = "<iq type='get' id='p' to='localhost'><ping xmlns='urn:xmpp:ping'/></iq>"
DISCO = ("<iq type='get' id='d' to='localhost'>"
         "<query xmlns='http://jabber.org/protocol/disco#info'/></iq>")
ROSTER = "<iq type='get' id='r'><query xmlns='jabber:iq:roster'/></iq>"
VCARD = "<iq type='get' id='v' to='a2@localhost'><vCard xmlns='vcard-temp'/></iq>"
ENABLE = "<enable xmlns='urn:xmpp:sm:3' resume='true'/>"


def message(to, body, kind="chat"):
    return f"<message to='{to}' type='{kind}'><body>{body}</body></message>"


# ---- slow and silent

def slow_loris(target):
    """100 sessions whose stanzas come byte by byte and never end."""
    peers = [target.login(f"a{n}") for n in range(1, 101)]
    for peer in peers:
        peer.send("<message to='u1@localhost'><body>")

    def step(number):
        peers[number % len(peers)].send("x")
    return step


def one_byte_records(target):
    """Pings to the server in TLS records of one byte each, over 10 sessions."""
    peers = []
    for n in range(1, 11):
        client = wire.Wire(target.address, target.direct_port)
        client.start_tls(server_name="localhost")
        client.login(f"a{n}", "pencil", "bytes")
        peers.append(client)
    text = PING.encode()

    def step(number):
        client = peers[number % len(peers)]
        place = number // len(peers) % len(text)
        client.sock.send(text[place:place + 1])
        if place == 0:
            client.ready()
    return step


def deaf(target):
    """Sessions that ask and never read: closed when their output queue is full."""
    peers = [None] * 3

    def step(number):
        i = number % len(peers)
        try:
            peers[i] = peers[i] or target.login(f"a{i + 1}", receive_buffer=4096)
            peers[i].sock.settimeout(0.05)
            peers[i].send(DISCO * 200)
        except TimeoutError:
            pass  # the server does not read either
        except OSError:
            peers[i] = None
            raise
    return step


# ---- amplification

def flood_of_one(target):
    """Ten sessions that write to one who reads: he must not be thrown out."""
    victim = target.login("a50", online=True)
    peers = [target.login(f"a{n}") for n in range(1, 11)]
    text = message("a50@localhost/hostile", "x" * 100) * 50

    def step(number):
        peers[number % len(peers)].send(text)
        if not victim.drain():
            raise AssertionError("the victim was thrown out")
        if number % 50 == 0:
            victim.send(PING)
    return step


def presence(target):
    """Bursts of 200 presences to 200 contacts each: 40,000 stanzas for two kilobytes."""
    contacts = [target.login(f"a{n}", online=True) for n in range(101, 101 + CONTACTS)]
    peer = target.login("a1", online=True)

    def step(number):
        peer.send("<presence/>" * 200)
        peer.drain()
        for contact in contacts:
            if not contact.drain():
                raise AssertionError("a contact was thrown out")
    return step


def answers(target):
    """Requests whose answers are many times as big, 50 in one write, over ten sessions."""
    card = target.login("a2", "card")
    card.send("<iq type='set' id='v'><vCard xmlns='vcard-temp'><NOTE>" + "x" * 20_000 +
              "</NOTE></vCard></iq>")
    card.hear(b"id='v'")
    peers = [target.login("a1", f"r{n}") for n in range(10)]

    def step(number):
        peer = peers[number % len(peers)]
        peer.send((DISCO, ROSTER, VCARD)[number % 3] * 50)
        for one in peers:
            if not one.drain():
                raise AssertionError("who reads was thrown out")
    return step


def strangers_names(target):
    """Messages to names that nobody has, each another one, and from ever new resources."""
    tag = os.urandom(3).hex()
    peers = [target.login(f"a{n}") for n in range(1, 5)]

    def step(number):
        peer = peers[number % len(peers)]
        peer.send("".join(message(f"{tag}{number}x{n}@localhost/{n}", "x", "headline")
                          for n in range(100)))
        peer.drain()
    return step


def storage(target):
    """Private XML, vCards, rosters and stored messages up to their limits, and beyond."""
    peers = [target.login(f"a{n}") for n in range(10, 20)]
    big = "x" * 5000

    def step(number):
        peer = peers[number % len(peers)]
        peer.send(
            f"<iq type='set' id='s'><query xmlns='jabber:iq:private'><e{number} xmlns='urn:x'>{big}"
            f"</e{number}></query></iq>"
            f"<iq type='set' id='c'><vCard xmlns='vcard-temp'><NOTE>{big}</NOTE></vCard></iq>"
            f"<iq type='set' id='t'><query xmlns='jabber:iq:roster'><item jid='c{number}@x.example'"
            f" name='{'n' * 500}'/></query></iq>" +
            message(f"a{60 + number % 5}@localhost", big) * 3)
        peer.drain()
    return step


def costly(target):
    """Stanzas that are dear to parse: attributes of one length, prefixes that are found last."""
    peers = [target.login(f"a{n}") for n in range(30, 35)]
    prefixes = "".join(f" xmlns:n{n:02}='urn:x:{n}'" for n in range(60))
    element = "<n00:e" + "".join(f" n00:a{n:02}=''" for n in range(60)) + "/>"
    text = (f"<message to='localhost'><x xmlns='urn:x'{prefixes}>" + element * 100 +
            "</x></message>")
    assert len(text) < 262_144

    def step(number):
        peers[number % len(peers)].send(text)
        peers[number % len(peers)].drain()
    return step


def directed(target):
    """Directed presence to 1,000 who do not exist, then the end, of which all are told."""
    tag = os.urandom(3).hex()

    def step(number):
        peer = target.login(f"a{number % 20 + 1}", f"d{number}")
        peer.send("".join(f"<presence to='{tag}{number}x{n}@localhost'/>" for n in range(1000)))
        peer.close()
    return step


def requests(target):
    """Logins of who has a thousand big requests for subscription: more than an output queue."""
    def step(number):
        peer = target.login("a3", f"r{number}", receive_buffer=65536)
        peer.send("<presence/>")
        try:
            peer.hear(f"from='asker{REQUESTS - 1}@".encode())
        except ConnectionResetError as error:
            raise AssertionError("the victim was thrown out") from error
        peer.close()
    return step


def bombs(target):
    """The bombs of strangers, behind a login."""
    rows = list(BOMBS.values())

    def step(number):
        text, condition = rows[number % len(rows)]
        peer = target.login(f"a{number % 90 + 1}", f"bomb{number}")
        try:
            peer.send(text)
        except OSError:
            pass
        peer.expect(condition)
    return step


def collisions(target):
    """Messages to names that nobody has and that share one hash, for whom hashes by std::hash."""
    addresses = colliding_addresses(4096, "localhost")
    peers = [target.login(f"a{n}") for n in range(1, 5)]

    def step(number):
        peer = peers[number % len(peers)]
        first = number * 100 % len(addresses)
        peer.send("".join(message(address, "x", "headline")
                          for address in addresses[first:first + 100]))
        peer.drain()
    return step


# ---- stream management

def unacknowledged(target):
    """Sessions that acknowledge nothing get a flood of messages."""
    deaf_peers = [target.login(f"a{n}", online=True) for n in range(1, 6)]
    for peer in deaf_peers:
        peer.send(ENABLE)
        peer.hear(b"<enabled")
    sender = target.login("a20")
    text = "".join(message(f"a{n}@localhost/hostile", "x" * 1000) for n in range(1, 6)) * 4

    def step(number):
        sender.send(text)
        sender.drain()
        for peer in deaf_peers:
            peer.drain()
    return step


def resumptions(target):
    """Ids of streams that do not exist or are another's, ten in one write."""
    peers = [None] * 10

    def step(number):
        i = number % len(peers)
        peers[i] = peers[i] or login_without_bind(target, f"a{i + 1}")
        peers[i].send("".join(f"<resume xmlns='urn:xmpp:sm:3' h='0' previd='{os.urandom(12).hex()}'"
                              "/>" for _ in range(10)))
        for _ in range(10):
            peers[i].hear(b"</failed>")
    return step


def login_without_bind(target, user):
    peer = target.open()
    peer.authenticate(user, "pencil")
    peer.hear(b"<success")
    peer.send(wire.stream_header())
    peer.hear(b"</stream:features>")
    return peer


class Slow(HostileTest):
    limits = 'output_queue_bytes = "256KiB"'

    def test_slow_loris(self):
        self.attack(slow_loris, rate=2000, memory_mib=16, hold=100)

    def test_one_byte_records(self):
        self.attack(one_byte_records, rate=5000, memory_mib=16, hold=10)

    def test_deaf(self):
        before = self.status()["slow_peers_closed"]
        after = self.attack(deaf, rate=30, memory_mib=32)
        self.assertGreater(after["slow_peers_closed"], before)


class Amplification(HostileTest):
    limits = "mailbox_depth = 1024"

    def test_flood_of_one(self):
        self.attack(flood_of_one, rate=60, memory_mib=32, hold=11)

    def test_presence(self):
        self.attack(presence, rate=2, memory_mib=96, hold=CONTACTS)

    def test_directed_presence(self):
        self.attack(directed, rate=3, memory_mib=48)

    def test_answers(self):
        self.attack(answers, rate=30, memory_mib=32, hold=10)

    def test_names_of_nobody(self):
        self.attack(strangers_names, rate=40, memory_mib=48)

    def test_colliding_names(self):
        self.attack(collisions, rate=40, memory_mib=48)


class Storage(HostileTest):
    limits = 'output_queue_bytes = "256KiB"'

    def test_storage(self):
        self.attack(storage, rate=60, memory_mib=64)

    def test_costly_stanzas(self):
        self.attack(costly, rate=10, memory_mib=32)

    def test_requests(self):
        self.attack(requests, rate=2, memory_mib=32)

    def test_bombs(self):
        self.attack(bombs, rate=20, memory_mib=32)


class Acknowledgements(HostileTest):
    def test_unacknowledged(self):
        self.attack(unacknowledged, rate=60, memory_mib=96)

    def test_resumptions(self):
        self.attack(resumptions, rate=50, memory_mib=16)


if __name__ == "__main__":
    main()
