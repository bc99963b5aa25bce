"""TLS: versions, ALPN, certificates by name, rubbish for a handshake, reload by SIGHUP."""

import os
import signal
import socket
import ssl
import struct

import wire
from harness import WireTest, add_tests, main, processes
from wire import STARTTLS, STREAM, TLS, client_context, stream_header

V10, V11 = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
V12, V13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3


def der(path):
    with open(path, encoding="ascii") as file:
        return ssl.PEM_cert_to_DER_cert(file.read())


class TwoHosts(WireTest):
    """localhost and two.example, each with a certificate of its own."""

    @classmethod
    def prepare(cls):
        cls.certificates = {}
        cls.hosts = {}
        for name in ("localhost", "two.example"):
            certificate, key = processes.make_certificate(cls.directory, name)
            cls.certificates[name] = certificate
            cls.hosts[name] = f'certificate = "{certificate}"\nkey = "{key}"'


class Versions(TwoHosts):
    def shake(self, starttls, **options):
        """The connection after a handshake with these bounds."""
        if starttls:
            client = self.connect()
            client.open()
            client.send(STARTTLS)
            client.element(f"{{{TLS}}}proceed")
        else:
            client = self.connect_direct()
        client.start_tls(client_context(**options), "localhost")
        return client

    def test_tls_1_2_and_1_3(self):
        for version, name in ((V12, "TLSv1.2"), (V13, "TLSv1.3")):
            for starttls in (True, False):
                with self.subTest(name, starttls=starttls):
                    with self.shake(starttls, minimum=version, maximum=version) as client:
                        self.assertEqual(client.sock.version(), name)
                        client.open()

    def test_login_over_tls_1_2(self):
        with self.shake(False, maximum=V12) as client:
            client.login("alice", self.users["alice"])

    def test_records_behind_the_proof_of_identity(self):
        """They come in one read with it, and the connection moves to its owner in between."""
        for number in range(12):
            user = list(self.users)[number % len(self.users)]
            with self.subTest(user, number=number), self.shake(False) as client:
                client.open()
                scram = wire.Scram(user, self.users[user])
                wire.begin(client, scram)
                client.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)
                client.send(wire.response(scram.final()))
                client.send(stream_header())
                client.send(f"<iq type='set' id='b'><bind xmlns='{wire.BIND}'/></iq>")
                client.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 0)
                while b"</jid>" not in client.received:
                    self.assertIsInstance(client.next_raw(), bytes, client.received[-300:])

    def test_older_versions_are_refused(self):
        for version in (V10, V11):
            for starttls in (True, False):
                with self.subTest(version.name, starttls=starttls):
                    with self.assertRaises(ssl.SSLError) as raised:
                        self.shake(starttls, minimum=version, maximum=version,
                                   ciphers="DEFAULT:@SECLEVEL=0")
                    self.assertIn("ALERT_PROTOCOL_VERSION", raised.exception.reason)

    def test_ciphers_without_forward_secrecy_are_refused(self):
        for cipher in ("AES128-SHA", "AES128-GCM-SHA256", "ECDHE-ECDSA-AES128-SHA"):
            with self.subTest(cipher), self.assertRaises(ssl.SSLError) as raised:
                self.shake(False, maximum=V12, ciphers=cipher + ":@SECLEVEL=0")
            self.assertIn("HANDSHAKE_FAILURE", raised.exception.reason)

    def test_alpn(self):
        with self.shake(False, alpn=["h2", "xmpp-client"]) as client:
            self.assertEqual(client.sock.selected_alpn_protocol(), "xmpp-client")
            client.open()

    def test_no_alpn(self):
        with self.shake(False) as client:
            self.assertIsNone(client.sock.selected_alpn_protocol())
            client.open()

    def test_other_protocols_are_refused(self):
        """Cross-protocol attacks (ALPACA) end in the handshake."""
        for protocol in ("h2", "http/1.1", "xmpp-server"):
            with self.subTest(protocol), self.assertRaises(ssl.SSLError) as raised:
                self.shake(False, alpn=[protocol])
            # Python 3.11 has no name for this alert, OpenSSL's text has.
            self.assertIn("no application protocol", str(raised.exception))

    def test_stream_after_tls_has_features_at_once(self):
        with self.shake(False) as client:
            client.open()
            self.assertIsNone(client.features.find(f"{{{TLS}}}starttls"))
            self.assertTrue(client.mechanisms())


class Names(TwoHosts):
    def presented(self, server_name, to=None):
        """The certificate: by STARTTLS if there is a stream's `to`, else on the direct port."""
        if to:
            client = self.connect()
            client.open(to)
            client.send(STARTTLS)
            client.element(f"{{{TLS}}}proceed")
        else:
            client = self.connect_direct()
        with client:
            client.start_tls(server_name=server_name)
            shown = client.certificate()
        return next((name for name, path in self.certificates.items() if der(path) == shown), None)

    def test_by_server_name(self):
        for name in self.certificates:
            self.assertEqual(self.presented(name), name)
            self.assertEqual(self.presented(name, to=name), name)

    def test_server_name_in_capitals(self):
        self.assertEqual(self.presented("TWO.example"), "two.example")

    def test_by_stream_header(self):
        """Old clients send no server name with STARTTLS: the stream's `to` decides."""
        for name in self.certificates:
            self.assertEqual(self.presented(None, to=name), name)

    def test_server_name_wins(self):
        self.assertEqual(self.presented("two.example", to="localhost"), "two.example")

    def test_unknown_server_name(self):
        """The handshake still works; the stream tells."""
        self.assertIn(self.presented("nowhere.example"), self.certificates)
        with self.connect_direct() as client:
            client.start_tls(server_name="nowhere.example")
            client.send(stream_header("nowhere.example"))
            client.take_header()
            self.assertEqual(client.stream_error(), "host-unknown")

    def test_hosts_have_accounts_of_their_own(self):
        with self.connect() as client:
            client.open("two.example")
            client.secure("two.example", server_name="two.example")
            outcome = wire.authenticate(client, wire.Scram("alice", self.users["alice"]))
            self.assertEqual(wire.sasl_condition(outcome), "not-authorized")
        with self.connect() as client:
            client.open("two.example")
            client.secure("two.example")
            client.register("alice", "another secret", "two.example")
        with self.connect() as two, self.session("alice") as one:
            two.login("alice", "another secret", "r", "two.example")
            self.assertEqual(two.jid, "alice@two.example/r")
            one.send(f"<message to='{two.jid}' id='m'/>")
            self.assertEqual(two.element().get("from"), one.jid)


class Rubbish(TwoHosts):
    """What is no handshake on the direct port, and what is none after <proceed/>."""

    def answer(self, client):
        """Everything that comes back until the end."""
        whole = b""
        while isinstance(data := client.next_raw(), bytes):
            whole += data
        return whole

    def test_cut_record_in_a_session(self):
        with self.session() as client:
            # A record of the right form with bytes that nobody could have encrypted.
            raw = client.sock.fileno()
            os.write(raw, b"\x17\x03\x03" + struct.pack(">H", 64) + os.urandom(64))
            while not isinstance(client.next(), wire.Closed):
                pass

    def test_end_within_the_handshake(self):
        for count in (0, 1, 5, 50):
            client = self.connect_direct()
            hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(64)
            client.send(hello[:count])
            client.close()

    def test_many_handshakes_that_go_nowhere(self):
        clients = [self.connect_direct() for _ in range(100)]
        for client in clients:
            client.send(b"\x16\x03\x01")
        self.control.check()
        for client in clients:
            client.close()


def rubbish(self, data):
    with self.connect_direct() as client:
        client.try_send(data)
        self.assertNotIn(b"<", self.answer(client))
    with self.connect() as client:
        client.open()
        client.send(STARTTLS)
        client.element(f"{{{TLS}}}proceed")
        client.try_send(data)
        self.assertNotIn(b"<", self.answer(client))


add_tests(Rubbish, rubbish, [
    ("plain_stream", stream_header()),
    ("http", "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    ("zeros", bytes(2048)),
    ("noise", bytes((i * 73 + 41) % 256 for i in range(4096))),
    ("sslv2_hello", b"\x80\x2e\x01\x00\x02\x00\x15\x00\x00\x00\x10" + bytes(40)),
    ("alert_first", b"\x15\x03\x01\x00\x02\x02\x28"),
    ("data_first", b"\x17\x03\x03\x00\x05hello"),
    ("record_too_large", b"\x16\x03\x01\xff\xff" + bytes(70_000)),
    ("hello_of_nonsense", b"\x16\x03\x01\x00\x40\x01\x00\x00\x3c" + b"\xff" * 60),
])


class Reload(TwoHosts):
    """SIGHUP: new connections see the new certificate, old ones notice nothing."""

    def presented(self):
        with self.connect_direct() as client:
            client.start_tls(server_name="localhost")
            return client.certificate()

    def test_reload(self):
        before = self.presented()
        with self.session() as client:
            processes.make_certificate(self.directory, "localhost")
            self.assertEqual(self.presented(), before)
            self.server.child.process.send_signal(signal.SIGHUP)
            self.server.wait_for_log("certificates reloaded")
            after = self.presented()
            self.assertNotEqual(after, before)
            self.assertEqual(after, der(self.certificates["localhost"]))
            # The old session goes on, and a login by channel binding fits the new certificate.
            client.send("<iq type='get' id='p' to='localhost'><ping xmlns='urn:xmpp:ping'/></iq>")
            self.assertEqual(client.element().get("id"), "p")
        # An unusable file changes nothing.
        with open(self.certificates["localhost"], "wb") as file:
            file.write(b"no certificate at all")
        self.server.child.process.send_signal(signal.SIGHUP)
        self.server.wait_for_log("certificates not reloaded")
        self.assertEqual(self.presented(), after)


if __name__ == "__main__":
    main()
