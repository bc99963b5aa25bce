"""Limits: slow logins, peers that never read, floods of connections. Nobody else notices."""

import os
import resource
import socket
import time

import wire
from harness import PATIENCE, WireTest, main
from wire import CLIENT, STARTTLS, TLS, stream_header


class SlowLogin(WireTest):
    limits = 'unauthenticated_timeout = "2s"'

    def timed_out(self, client, header_first=False):
        if header_first:
            client.take_header()
        self.assertEqual(client.stream_error(8 * PATIENCE), "connection-timeout")

    def test_every_stage(self):
        """All of them wait side by side, so that the test takes two seconds and not ten."""
        silent = self.connect()
        half_header = self.connect()
        half_header.send("<?xml version='1.0'?><stream:stream to='local")
        opened = self.connect()
        opened.open()
        proceeding = self.connect()
        proceeding.open()
        proceeding.send(STARTTLS)
        proceeding.element(f"{{{TLS}}}proceed")
        no_handshake = self.connect_direct()
        no_stream = self.connect_direct()
        no_stream.start_tls()
        mid_scram = self.secured()
        wire.begin(mid_scram, wire.Scram("alice", self.users["alice"]))
        unbound = self.secured()
        wire.authenticate(unbound, wire.Scram("alice", self.users["alice"]))
        unbound.new_stream()
        unbound.open()
        session = self.session("bob")

        self.timed_out(silent, header_first=True)
        self.timed_out(half_header, header_first=True)
        self.timed_out(opened)
        # Without TLS up there is no way to say it.
        proceeding.expect_closed(8 * PATIENCE)
        no_handshake.expect_closed(8 * PATIENCE)
        self.timed_out(no_stream, header_first=True)
        self.timed_out(mid_scram)
        self.timed_out(unbound)
        # Whoever is in stays in.
        session.send("<iq type='get' id='p' to='localhost'><ping xmlns='urn:xmpp:ping'/></iq>")
        self.assertEqual(session.element().get("id"), "p")
        for client in (silent, half_header, opened, proceeding, no_handshake, no_stream, mid_scram,
                       unbound, session):
            client.close()

    def test_dripping_does_not_help(self):
        started = time.monotonic()
        with self.connect() as client:
            client.open()
            try:
                while time.monotonic() - started < 10 * PATIENCE:
                    client.send(" ")
                    client.poll(0.1)
                    if client._items:
                        break
            except OSError:
                pass
            self.timed_out(client)
        self.assertGreater(time.monotonic() - started, 1.5)

    def test_failing_does_not_help(self):
        """Attempts do not start the time anew."""
        started = time.monotonic()
        with self.secured() as client:
            while time.monotonic() - started < 1.6:
                client.send(f"<abort xmlns='{wire.SASL}'/>")
                client.element()
                time.sleep(0.3)
            self.timed_out(client)


class Idle(WireTest):
    # Long enough for the talking ones to be heard on a busy machine.
    IDLE = 4 + PATIENCE
    limits = f'idle_timeout = "{IDLE}s"'

    def test_a_silent_session_is_closed_a_talking_one_is_not(self):
        silent = self.session("alice")
        talking = self.session("bob")
        until = time.monotonic() + 2 * self.IDLE
        while time.monotonic() < until:
            talking.send(" ")
            time.sleep(0.3)
        self.assertEqual(silent.stream_error(10 * PATIENCE), "connection-timeout")
        talking.send("<iq type='get' id='here' to='localhost'><ping xmlns='urn:xmpp:ping'/></iq>")
        self.assertEqual(talking.element().get("id"), "here")

    def test_limit_is_advertised(self):
        with self.secured() as client:
            idle = client.features.find(".//{urn:xmpp:stream-limits:0}idle-seconds")
            self.assertIsNotNone(idle)
            self.assertEqual(idle.text, str(self.IDLE))


class NeverReads(WireTest):
    limits = 'output_queue_bytes = "256KiB"'
    BODY = "z" * 12_000

    def flood(self, sender, to, megabytes):
        """Sends so much to somebody, reading what comes back; returns the number of bounces."""
        bounced = 0
        stanza = f"<message to='{to}' type='normal'><body>{self.BODY}</body></message>"
        for number in range(megabytes * 1_000_000 // len(stanza)):
            sender.send(stanza)
            if number % 4 == 0:
                bounced += sum(item.get("type") == "error" for item in sender.ready())
        sender.send("<iq type='get' id='end' to='localhost'><ping xmlns='urn:xmpp:ping'/></iq>")
        deadline = time.monotonic() + 10 * PATIENCE
        while time.monotonic() < deadline:
            item = sender.next(10 * PATIENCE)
            if item.get("id") == "end":
                return bounced
            bounced += item.get("type") == "error"
        self.fail("the sender got no answer")

    def deaf(self, user, resource):
        """A session with the smallest of receive buffers that reads nothing from now on."""
        client = self.session(user, resource, receive_buffer=4096)
        client.send("<presence/>")
        client.element(f"{{{CLIENT}}}presence")
        return client

    def test_queue_is_bounded_then_the_peer_is_disconnected(self):
        before = self.server.memory_kib()
        with self.deaf("bob", "deaf") as bob, self.session("alice") as alice:
            bounced = self.flood(alice, bob.jid, 20)
            self.assertGreater(bounced, 0)
            # Bob's socket has come to its end.
            bob.sock.settimeout(10)
            with self.assertRaises((OSError, EOFError)):
                while bob.sock.recv(65536):
                    pass
                raise EOFError
        self.server.wait_for_log("output queue full")
        self.server.check_memory(before, 12_000)

    def test_other_sessions_of_the_account_lose_nothing(self):
        """Copies for a bare JID go to all sessions: one that is closed meanwhile disturbs none."""
        deaf = [self.deaf("bob", "deaf-0")]
        hearing = self.session("bob", "hearing")
        hearing.send("<presence/>")
        deaf += [self.deaf("bob", f"deaf-{n}") for n in (1, 2)]
        hears = 0
        with self.session("alice") as alice:
            for number in range(700):
                alice.send(f"<message to='bob@localhost' type='chat' id='{number}'>"
                           f"<body>{self.BODY}</body></message>")
                # Ten at most are under way: less than the limit, so only the deaf can exceed it.
                while hears <= number - 10 or (number == 699 and hears < 700):
                    item = hearing.element(seconds=10 * PATIENCE)
                    if item.tag == f"{{{CLIENT}}}message":
                        self.assertEqual(item.get("id"), str(hears))
                        hears += 1
            self.assertEqual(alice.ready(), [])
        self.server.wait_for_log("output queue full", 3)
        for client in [hearing, *deaf]:
            client.close()

    def test_deaf_to_itself(self):
        """A client that asks without ever reading the answers harms only itself."""
        with self.deaf("bob", "mute") as bob:
            ping = "<iq type='get' id='p' to='localhost'><ping xmlns='urn:xmpp:ping'/></iq>" * 200
            bob.sock.settimeout(3)
            with self.assertRaises(OSError):
                for _ in range(2000):
                    bob.sock.sendall(ping.encode())

    def never_reads_answers(self, client, request):
        """Asks as fast as it can, reads nothing: the server's memory must not pay for it."""
        before = self.server.memory_kib()
        client.sock.settimeout(3)
        sent = 0
        with self.assertRaises(OSError):
            while sent < 60_000_000:
                client.sock.sendall(request)
                sent += len(request)
        self.server.check_memory(before, 12_000)

    def test_never_reads_answers_of_the_stream(self):
        """Those that the stream gives itself, here to a second bind, count as well."""
        with self.deaf("bob", "bind") as bob:
            self.never_reads_answers(
                bob, f"<iq type='set' id='2'><bind xmlns='{wire.BIND}'/></iq>".encode() * 100)

    def test_never_reads_answers_before_authentication(self):
        with self.secured(receive_buffer=4096) as client:
            self.never_reads_answers(
                client, b"<iq type='get' id='2'><query xmlns='jabber:iq:register'/></iq>" * 100)

    def test_never_reads_failures(self):
        """The answers to nonsense are bounded as well."""
        with self.secured() as client:
            client.sock.settimeout(3)
            deadline = time.monotonic() + 6 * PATIENCE
            with self.assertRaises(OSError):
                while time.monotonic() < deadline:
                    client.sock.sendall(f"<abort xmlns='{wire.SASL}'/>".encode() * 100)


class Flood(WireTest):
    limits = "connections_per_address = 12"
    SOURCE = "127.77.0.1"

    def fill(self, direct=False):
        connect = self.connect_direct if direct else self.connect
        return [connect(source=self.SOURCE) for _ in range(12)]

    def settle(self, clients):
        """The server has seen all of them."""
        for client in clients:
            client.open()

    def test_more_than_the_limit(self):
        clients = self.fill()
        self.settle(clients)
        ids = set()
        for _ in range(20):
            with self.connect(source=self.SOURCE) as refused:
                header = refused.take_header()
                self.assertEqual(header["version"], "1.0")
                ids.add(header["id"])
                self.assertEqual(refused.stream_error(), "policy-violation")
        self.assertEqual(len(ids), 20)
        # Others are not concerned: another address, and this one again once there is room.
        with self.connect(source="127.77.0.2") as other:
            other.open()
        clients.pop().close()
        self.assertTrue(self.let_in())
        for client in clients:
            client.close()

    def let_in(self):
        deadline = time.monotonic() + 5 * PATIENCE
        while time.monotonic() < deadline:
            with self.connect(source=self.SOURCE) as client:
                client.send(stream_header())
                client.take_header()
                if client.element().tag == f"{{{wire.STREAM}}}features":
                    return True
            time.sleep(0.05)
        return False

    def test_direct_tls(self):
        clients = self.fill(direct=True)
        for client in clients:
            client.start_tls()
        for _ in range(5):
            with self.connect_direct(source=self.SOURCE) as refused:
                self.assertIsInstance(refused.next_raw(), wire.Closed)
        for client in clients:
            client.close()
        self.assertTrue(self.let_in())

    def test_connections_that_come_and_go(self):
        """Whatever way a connection ends, its place is free again."""
        for number in range(60):
            client = self.connect(source=self.SOURCE)
            if number % 3:
                client.send(stream_header() if number % 2 else "rubbish")
            if number % 4 == 0:
                client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            client.close()
        self.assertTrue(self.let_in())


class Full(WireTest):
    limits = "connections = 30"

    def test_all_places_taken(self):
        clients = [self.connect(source=f"127.78.0.{n}") for n in range(1, 31)]
        answers = []
        for client in clients:
            client.try_send(stream_header())
            client.take_header()
            answers.append(client.element().tag.partition("}")[2])
        # None may go before all have come: its place would be free for one not yet accepted.
        for client in clients:
            client.close()
        # Four of the thirty places are the control session's.
        self.assertGreaterEqual(answers.count("error"), 4)
        self.assertGreaterEqual(answers.count("features"), 20)


class Descriptors(WireTest):
    """No descriptor is left: who is there goes on, and others come when there are some again."""

    def allow(self, spare):
        """So many more than are open; None: as many as before."""
        pid = self.server.child.process.pid
        _, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        highest = max(int(name) for name in os.listdir(f"/proc/{pid}/fd"))
        soft = hard if spare is None else highest + 1 + spare
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (soft, hard))

    def wait_for(self, words):
        deadline = time.monotonic() + 10 * PATIENCE
        while words not in self.server.log():
            self.assertLess(time.monotonic(), deadline, f"no {words!r} in the log")
            time.sleep(0.05)

    def test_clients(self):
        with self.session() as there:
            self.allow(2)
            waiting = [self.connect() for _ in range(40)]
            self.wait_for("out of file descriptors: raise LimitNOFILE")
            there.send("<iq type='get' id='p'><ping xmlns='urn:xmpp:ping'/></iq>")
            self.assertEqual(there.element().get("id"), "p")
            self.allow(None)
            for client in waiting:
                client.open()
                client.close()

    def test_administrators(self):
        path = os.path.join(self.directory, "control.sock")
        self.allow(0)
        with socket.socket(socket.AF_UNIX) as admin:
            admin.settimeout(20 * PATIENCE)
            # The kernel's queue takes it.
            admin.connect(path)
            admin.sendall(b'{"id":1,"command":"status"}\n')
            self.wait_for("cannot accept a control connection")
            self.allow(None)
            self.assertIn(b'"ready":true', admin.makefile("rb").readline())


if __name__ == "__main__":
    main()
