"""Attacks by who has no account: connections, TLS, XML and registration before a login."""

import os
import random
import ssl
import subprocess

from hostile import HostileTest, Peer, client_hello, main, wire

HEADER = wire.stream_header().encode()
OPEN_STANZA = "<iq type='get' id='x'>"


# ---- connections

def silent(target):
    """10,000 connections that say nothing (fewer where descriptors do not suffice)."""
    target.held = [target.connect() for _ in range(target.count)]

    def step(number):
        target.held[number % len(target.held)].close()
        target.held[number % len(target.held)] = target.connect()
    return step


def slow_loris(target):
    """500 connections whose stream header comes byte by byte, and anew from its beginning."""
    peers = [target.connect() for _ in range(500)]
    at = [0] * len(peers)

    def step(number):
        i = number % len(peers)
        try:
            peers[i].send(HEADER[at[i]:at[i] + 1])
        except OSError:
            peers[i], at[i] = target.connect(), -1
        at[i] += 1
        if at[i] == len(HEADER) - 1:
            peers[i].close()
            peers[i], at[i] = target.connect(), 0
    return step


def one_byte_writes(target):
    """20 streams whose elements come in writes of one byte."""
    text = f"<iq type='get' id='{'x' * 900}'><query xmlns='jabber:iq:register'/></iq>".encode()
    peers = [target.open() for _ in range(20)]

    def step(number):
        peer = peers[number % len(peers)]
        place = number // len(peers) % len(text)
        peer.send(text[place:place + 1])
        if place == 0:
            peer.drain()
    return step


def come_and_go(target):
    """Connections that end at once, orderly, by a reset, and in the midst of a header."""
    def step(number):
        sock = target.connect(direct=number % 4 == 3)
        if number % 3:
            sock.sendall(HEADER[:number % len(HEADER)])
        if number % 2:
            sock.setsockopt(wire.socket.SOL_SOCKET, wire.socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        sock.close()
    return step


# ---- TLS

def half_open_tls(target):
    """Each lets the server sign and then says nothing; at most 1,000 at a time."""
    hello = client_hello()
    held = []

    def step(number):
        sock = target.connect(direct=True)
        sock.sendall(hello)
        held.append(sock)
        if len(held) > 1000:
            held.pop(0).close()
    return step


def handshakes_at_once(target):
    """100 clients whose first words come in the same moment."""
    hello = client_hello()
    held = []

    def step(number):
        for sock in held:
            sock.close()
        held[:] = [target.connect(direct=True) for _ in range(100)]
        for sock in held:
            sock.sendall(hello)
    return step


def tls_garbage(target):
    """Bytes that are no TLS, or begin like it, for a handshake."""
    rng = random.Random(7)
    hello = client_hello()

    def step(number):
        if number % 2:
            peer = Peer(target.connect(direct=True))
        else:
            peer = target.open()
            peer.send(wire.STARTTLS)
            peer.hear(b"<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
        kinds = (rng.randbytes(200), hello[:rng.randrange(6, 200)] + rng.randbytes(100),
                 b"\x16\x03\x01\x40\x00" + rng.randbytes(1000), HEADER)
        peer.send(kinds[number % len(kinds)])
        peer.close()
    return step


def renegotiation(target):
    """TLS 1.2 clients that ask to renegotiate, TLS 1.3 clients that change keys all the time."""
    where = f"{target.address}:{target.direct_port}"

    def step(number):
        version, command = (("-tls1_2", b"R\n"), ("-tls1_3", b"K\n"))[number % 2]
        child = subprocess.Popen(["openssl", "s_client", "-connect", where, version],
                                 stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                 stderr=subprocess.STDOUT)
        while b"Verify return code" not in (line := child.stdout.readline()) and line:
            pass
        try:
            for _ in range(30):
                child.stdin.write(command)
                child.stdin.flush()
                wire.time.sleep(0.001)
        except BrokenPipeError:
            pass
        child.kill()
        output, _ = child.communicate()
        if number % 2 == 0 and output.count(b"RENEGOTIATING") > 3:
            raise AssertionError("the server renegotiates")
    return step


def starttls_injection(target):
    """Plain text behind <starttls/> in the same write must never count as said inside TLS."""
    context = wire.client_context()

    def step(number):
        peer = target.open()
        peer.send(wire.STARTTLS + wire.stream_header() + OPEN_STANZA)
        answer = peer.hear(b">")
        if b"<proceed" not in answer:
            peer.unread = answer + peer.unread
            peer.expect("policy-violation", "failure")
            return
        # Dropped: then the stream inside TLS begins with nothing.
        try:
            tls = context.wrap_socket(peer.sock, server_hostname="localhost")
        except (ssl.SSLError, OSError):
            return
        tls.settimeout(0.05)
        try:
            if tls.recv(100):
                raise AssertionError("the server answers what was injected")
        except TimeoutError:
            pass
        tls.close()
    return step


# ---- XML

BOMBS = {
    "entities": ("<!DOCTYPE x [<!ENTITY a 'aaaaaaaaaa'><!ENTITY b '&a;&a;&a;&a;'>]>",
                 "restricted-xml"),
    "entity use": (OPEN_STANZA + "<q xmlns='x'>&lol9;</q></iq>", "restricted-xml"),
    "attributes": (OPEN_STANZA[:-1] + "".join(f" a{n}=''" for n in range(2000)) + "/>",
                   "policy-violation"),
    "namespaces": (OPEN_STANZA + "<q" + "".join(f" xmlns:n{n}='urn:x:{n}'" for n in range(1500)) +
                   "/></iq>", "policy-violation"),
    "namespaces, nested": (OPEN_STANZA + "".join(
        "<q" + "".join(f" xmlns:n{d}x{n}='u'" for n in range(60)) + ">" for d in range(30)),
        "policy-violation"),
    "depth": (OPEN_STANZA + "<q>" * 9000, "policy-violation"),
    "one attribute": (OPEN_STANZA[:-1] + " a='" + "x" * 1_000_000 + "'/>", "policy-violation"),
    "one name": ("<" + "x" * 1_000_000, "policy-violation"),
    "one text": (OPEN_STANZA + "<q>" + "x" * 1_000_000, "policy-violation"),
    "many elements": (OPEN_STANZA + "<q/>" * 200_000, "policy-violation"),
}


def bombs(target):
    """A stream error for each, whatever was behind it in the same write."""
    rows = list(BOMBS.values())

    def step(number):
        text, condition = rows[number % len(rows)]
        peer = target.open()
        try:
            peer.send(text)
        except OSError:
            pass  # closed before the end
        peer.expect(condition)
    return step


# ---- registration

def registrations(target):
    """Accounts made in-band, eight requests in one write, and forms as big as may be."""
    tag = os.urandom(4).hex()
    field = "<field var='f{}'><value>" + "x" * 500 + "</value></field>"
    form = ("<iq type='set' id='form'><query xmlns='jabber:iq:register'><x xmlns='jabber:x:data' "
            "type='submit'>" + "".join(field.format(n) for n in range(50)) + "</x></query></iq>")

    def step(number):
        peer = target.open()
        if number % 4 == 0:
            peer.send(form)
            peer.hear(b"</iq>")
            return peer.close()
        for n in range(8):
            peer.send(f"<iq type='set' id='{n}'><query xmlns='jabber:iq:register'><username>"
                      f"{tag}-{number}-{n}</username><password>{PASSWORDS[n % 2]}</password>"
                      "</query></iq>")
        return peer.close()
    return step


PASSWORDS = ("short", "long" * 200)


class Connections(HostileTest):
    limits = 'unauthenticated_timeout = "20s"'

    def test_silent_peers(self):
        """An idle connection without TLS costs at most 6 KiB."""
        count = min(10_000, self.files_max - 500)
        if count < 10_000:
            self.tell(f"only {count} peers: each side may open {self.files_max} files")
        self.target.count = count
        self.attack(silent, rate=100, memory_mib=count * 6 / 1024, hold=count - 100)

    def test_slow_loris(self):
        self.attack(slow_loris, rate=4000, memory_mib=24)

    def test_one_byte_writes(self):
        self.attack(one_byte_writes, rate=10_000, memory_mib=16)

    def test_come_and_go(self):
        self.attack(come_and_go, rate=1000, memory_mib=24)


class Tls(HostileTest):
    limits = 'unauthenticated_timeout = "20s"'

    def test_half_open_handshakes(self):
        """A handshake that is not finished costs at most 64 KiB."""
        self.attack(half_open_tls, rate=300, memory_mib=64)

    def test_handshakes_at_once(self):
        self.attack(handshakes_at_once, rate=2, memory_mib=24)

    def test_garbage(self):
        self.attack(tls_garbage, rate=300, memory_mib=24)

    def test_renegotiation_and_key_updates(self):
        self.attack(renegotiation, rate=4, memory_mib=16)

    def test_starttls_injection(self):
        self.attack(starttls_injection, rate=10, memory_mib=16)


class Xml(HostileTest):
    def test_bombs(self):
        self.attack(bombs, rate=100, memory_mib=24)

    def test_registrations(self):
        self.attack(registrations, rate=30, memory_mib=24)


if __name__ == "__main__":
    main()
