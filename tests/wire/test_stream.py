"""Streams that break the rules of RFC 6120 4 and 11: the exact condition, in each stage."""

import socket
import time

import wire
from harness import WireTest, add_tests, main
from wire import BIND, SASL, STARTTLS, STREAM, TLS, stream_header

LARGE = "x" * 40_000


class BadXml(WireTest):
    """Bytes that end any stream, in the clear, inside TLS and in a session."""

    limits = """\
stanza_bytes = 20000
stanza_bytes_unauthenticated = 10000
depth = 12
attributes = 10
"""

    def test_large_stanzas_within_the_limit_pass(self):
        with self.session() as alice, self.session("bob") as bob:
            body = "y" * 19_000
            alice.send(f"<message to='{bob.jid}'><body>{body}</body></message>")
            self.assertEqual(bob.element().findtext(f"{{{wire.CLIENT}}}body"), body)

    def test_deep_stanza_within_the_limit_passes(self):
        with self.session() as alice, self.session("bob") as bob:
            alice.send(f"<message to='{bob.jid}'><a xmlns='urn:a'>" + "<a>" * 9 + "</a>" * 9 +
                       "</a></message>")
            self.assertEqual(bob.element().tag, f"{{{wire.CLIENT}}}message")

    def test_a_limit_counts_unended_stanzas(self):
        """Nobody has to end a stanza to be over the limit."""
        with self.session() as client:
            client.try_send("<message><body>" + LARGE)
            self.assertEqual(client.stream_error(), "policy-violation")


def bad_bytes(self, data, condition):
    for stage, client in self.stages():
        with self.subTest(stage=stage), client:
            if stage == "clear":
                client.open()
            client.try_send(data)
            self.assertEqual(client.stream_error(), condition)


NWF, RESTRICTED = "not-well-formed", "restricted-xml"
ENCODING, POLICY = "unsupported-encoding", "policy-violation"
add_tests(BadXml, bad_bytes, [
    ("mismatched_end_tag", "<message><body>hi</message>", NWF),
    ("unquoted_attribute", "<message to=bob/>", NWF),
    ("duplicate_attribute", "<message id='1' id='2'/>", NWF),
    ("duplicate_attribute_by_namespace",
     "<message xmlns:a='u:x' xmlns:b='u:x' a:k='1' b:k='2'/>", NWF),
    ("angle_bracket_in_attribute", "<message id='<'/>", NWF),
    ("stray_end_tag", "</message>", NWF),
    ("bare_ampersand", "<message><body>a & b</body></message>", NWF),
    ("end_of_cdata_in_text", "<message><body>]]></body></message>", NWF),
    ("reference_to_nul", "<message><body>&#0;</body></message>", NWF),
    ("reference_to_surrogate", "<message><body>&#xD800;</body></message>", NWF),
    ("control_character", b"<message><body>\x01</body></message>", NWF),
    ("nul_byte", b"<message>\x00</message>", NWF),
    ("undeclared_prefix_of_element", "<message><x:y/></message>", NWF),
    ("undeclared_prefix_of_attribute", "<message x:y='1'/>", NWF),
    ("undeclared_prefix_of_stanza", "<x:message/>", NWF),
    ("rebinding_xmlns_prefix", "<message xmlns:xmlns='urn:x'/>", NWF),
    ("comment", "<!-- hello -->", RESTRICTED),
    ("comment_in_stanza", "<message><!-- hello --></message>", RESTRICTED),
    ("processing_instruction", "<?php echo 1 ?>", RESTRICTED),
    ("processing_instruction_in_stanza", "<message><?php echo 1 ?></message>", RESTRICTED),
    ("doctype", "<!DOCTYPE a [<!ENTITY b 'c'>]>", RESTRICTED),
    ("entity_declaration_in_stanza", "<message><!ENTITY b 'c'></message>", RESTRICTED),
    ("unknown_entity", "<message><body>&nbsp;</body></message>", RESTRICTED),
    ("external_entity", "<message id='&xxe;'/>", RESTRICTED),
    ("utf8_illegal_byte", b"<message><body>\xff</body></message>", ENCODING),
    ("utf8_overlong", b"<message><body>\xc0\xaf</body></message>", ENCODING),
    ("utf8_surrogate", b"<message><body>\xed\xa0\x80</body></message>", ENCODING),
    ("utf8_beyond_unicode", b"<message><body>\xf4\x90\x80\x80</body></message>", ENCODING),
    ("utf8_cut_short", b"<message><body>\xc3(</body></message>", ENCODING),
    ("utf8_in_attribute", b"<message id='\xff'/>", ENCODING),
    ("oversized_body", f"<message><body>{LARGE}</body></message>", POLICY),
    ("oversized_attribute", f"<message id='{LARGE}'/>", POLICY),
    ("endless_tag_name", "<" + LARGE, POLICY),
    ("endless_start_tag", "<message" + " " * 40_000, POLICY),
    ("depth_bomb", "<message>" + "<a>" * 1000, POLICY),
    ("attribute_bomb", "<message " + " ".join(f"a{n}=''" for n in range(1000)) + "/>", POLICY),
    ("namespace_bomb", "<message " + " ".join(f"xmlns:n{n}='u:{n}'" for n in range(1000)) + "/>",
     POLICY),
])


class Headers(WireTest):
    """Stream headers: namespaces, version, addresses."""

    hosts = {"localhost": "", "two.example": ""}

    def refused(self, data):
        """The condition after these first bytes; the error must follow the server's own header."""
        with self.connect() as client:
            client.send(data)
            header = client.take_header()
            self.assertEqual(header[""], f"{{{STREAM}}}stream")
            self.assertEqual(header["version"], "1.0")
            self.assertTrue(header["id"])
            # RFC 6120 4.7.4, 4.9.1.3: always there; a domain only if it is served here.
            self.assertEqual(header["{http://www.w3.org/XML/1998/namespace}lang"], "en")
            self.assertIn(header["from"], ("", "localhost"))
            return client.stream_error()

    def test_answer(self):
        ids = set()
        for _ in range(3):
            with self.connect() as client:
                client.open(attributes=" xml:lang='de'")
                self.assertEqual(client.header["from"], "localhost")
                self.assertEqual(client.header["version"], "1.0")
                self.assertTrue(client.received.startswith(b"<?xml version='1.0'?><stream:stream "))
                ids.add(client.header["id"])
        self.assertEqual(len(ids), 3)

    def test_header_without_prefix(self):
        with self.connect() as client:
            client.send(f"<stream xmlns='{STREAM}' to='localhost' version='1.0'>")
            client.take_header()
            client.element(f"{{{STREAM}}}features")

    def test_later_version_is_answered_with_ours(self):
        with self.connect() as client:
            client.send(stream_header(version="1.7"))
            self.assertEqual(client.take_header()["version"], "1.0")
            client.element(f"{{{STREAM}}}features")

    def test_domain_is_prepared(self):
        with self.connect() as client:
            client.open("LOCALHOST")
            self.assertEqual(client.header["from"], "localhost")

    def test_to_must_not_change_after_tls(self):
        with self.connect() as client:
            client.open("localhost")
            client.send(STARTTLS)
            client.element(f"{{{TLS}}}proceed")
            client.start_tls()
            client.send(stream_header("two.example"))
            client.take_header()
            self.assertEqual(client.stream_error(), "improper-addressing")

    def test_to_must_not_change_after_authentication(self):
        with self.secured() as client:
            wire.authenticate(client, wire.Scram("alice", self.users["alice"]))
            client.new_stream()
            client.send(stream_header("two.example"))
            client.take_header()
            self.assertEqual(client.stream_error(), "improper-addressing")

    def test_error_names_the_host_that_was_asked_for(self):
        with self.connect() as client:
            client.send(stream_header("localhost", version="0.9"))
            self.assertEqual(client.take_header()["from"], "localhost")
            self.assertEqual(client.stream_error(), "unsupported-version")

    def test_error_answers_who_the_header_names(self):
        with self.connect() as client:
            client.send(stream_header(ns="jabber:server", attributes=" from='alice@localhost/x'"))
            header = client.take_header()
            self.assertEqual(header["from"], "localhost")
            self.assertEqual(header["to"], "alice@localhost")
            self.assertEqual(client.stream_error(), "invalid-namespace")

    def test_second_header_on_a_stream(self):
        with self.connect() as client:
            client.open()
            client.send(stream_header().partition("?>")[2] + "</stream:stream>")
            self.assertEqual(client.stream_error(), "unsupported-stanza-type")

    def test_byte_by_byte(self):
        """A whole login whose every byte comes alone."""
        with self.secured() as client:
            whole, client.send = client.send, lambda data: [
                whole(bytes([byte])) for byte in (data if isinstance(data, bytes)
                                                  else data.encode())]
            outcome = wire.authenticate(client, wire.Scram("alice", self.users["alice"]))
            self.assertEqual(outcome.tag, f"{{{SASL}}}success")
            client.bind("slow")
            self.assertEqual(client.jid, "alice@localhost/slow")


def bad_header(self, data, condition):
    self.assertEqual(self.refused(data), condition)


add_tests(Headers, bad_header, [
    ("no_to", stream_header(None), "improper-addressing"),
    ("empty_to", stream_header(""), "improper-addressing"),
    ("to_with_localpart", stream_header("alice@localhost"), "improper-addressing"),
    ("to_with_resource", stream_header("localhost/x"), "improper-addressing"),
    ("to_malformed", stream_header("@"), "improper-addressing"),
    ("to_too_long", stream_header("a" * 1024), "improper-addressing"),
    ("unknown_host", stream_header("nowhere.example"), "host-unknown"),
    ("content_namespace_of_servers", stream_header(ns="jabber:server"), "invalid-namespace"),
    ("content_namespace_unknown", stream_header(ns="urn:x"), "invalid-namespace"),
    ("stream_namespace_unknown", stream_header(stream_ns="urn:x"), "invalid-namespace"),
    ("no_stream_namespace", "<stream to='localhost' version='1.0'>", "invalid-namespace"),
    ("wrong_root", f"<stream:steam xmlns:stream='{STREAM}' to='localhost' version='1.0'>",
     "bad-format"),
    ("stanza_as_root", "<message xmlns='jabber:client' to='bob@localhost'>", "invalid-namespace"),
    ("bad_prefix", stream_header(prefix="flood"), "bad-namespace-prefix"),
    ("version_missing", stream_header(version=None), "unsupported-version"),
    ("version_0_9", stream_header(version="0.9"), "unsupported-version"),
    ("version_no_number", stream_header(version="one"), "unsupported-version"),
    ("http", "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", NWF),
    ("rubbish", "rubbish", NWF),
    ("utf16", stream_header().encode("utf-16"), ENCODING),
    ("utf16_without_mark", stream_header().encode("utf-16-le"), ENCODING),
    ("utf16_big_endian", stream_header().encode("utf-16-be"), ENCODING),
    ("latin1_declared", "<?xml version='1.0' encoding='ISO-8859-1'?><stream:stream>", ENCODING),
    ("xml_1_1", "<?xml version='1.1'?><stream:stream>", NWF),
    ("doctype_first", "<!DOCTYPE x [<!ENTITY y SYSTEM 'file:///etc/passwd'>]>", RESTRICTED),
    ("comment_first", "<!-- x --><stream:stream>", RESTRICTED),
    ("header_too_large", "<?xml version='1.0'?><stream:stream a='" + LARGE, POLICY),
])


class Order(WireTest):
    """The right elements at the wrong time."""

    BEFORE_LOGIN = (
        ("message", "<message to='bob@localhost'><body>x</body></message>"),
        ("presence", "<presence/>"),
        ("iq", "<iq type='get' id='1'><ping xmlns='urn:xmpp:ping'/></iq>"),
        ("bind", f"<iq type='set' id='1'><bind xmlns='{BIND}'/></iq>"),
        ("roster", "<iq type='get' id='1'><query xmlns='jabber:iq:roster'/></iq>"),
    )

    def test_stanzas_in_the_clear(self):
        for name, stanza in self.BEFORE_LOGIN:
            with self.subTest(name), self.connect() as client:
                client.open()
                client.send(stanza)
                self.assertEqual(client.stream_error(), "not-authorized")

    def test_registration_in_the_clear(self):
        """What modules admit before authentication is not admitted before TLS, where required."""
        with self.connect() as client:
            client.open()
            client.send("<iq type='get' id='1'><query xmlns='jabber:iq:register'/></iq>")
            self.assertEqual(client.stream_error(), "not-authorized")

    def test_stanzas_before_authentication(self):
        for name, stanza in self.BEFORE_LOGIN:
            with self.subTest(name), self.secured() as client:
                client.send(stanza)
                self.assertEqual(client.stream_error(), "not-authorized")

    def test_stanzas_before_bind(self):
        for name, stanza in self.BEFORE_LOGIN:
            if name == "bind":
                continue
            with self.subTest(name), self.secured() as client:
                wire.authenticate(client, wire.Scram("alice", self.users["alice"]))
                client.new_stream()
                client.open()
                client.send(stanza)
                self.assertEqual(client.stream_error(), "not-authorized")

    def test_nothing_is_delivered_before_bind(self):
        with self.session("bob") as bob:
            with self.secured() as client:
                client.send(f"<message to='{bob.jid}'><body>early</body></message>")
                client.stream_error()
            self.assertEqual(bob.ready(), [])

    def test_unknown_elements(self):
        for element in ("<hello xmlns='urn:x'/>", "<hello/>", "<stream:hello/>",
                        f"<success xmlns='{SASL}'/>",
                        "<again xmlns='urn:xmpp:sm:3'/>"):
            for stage, client in self.stages():
                with self.subTest(element, stage=stage), client:
                    if stage == "clear":
                        client.open()
                    client.send(element)
                    if SASL in element and stage == "clear":
                        # Whatever speaks SASL learns that TLS comes first.
                        self.assertEqual(wire.sasl_condition(client.element()),
                                         "encryption-required")
                        continue
                    self.assertEqual(client.stream_error(), "unsupported-stanza-type")

    def test_stanzas_of_another_namespace(self):
        for namespace in ("jabber:server", "jabber:component:accept", ""):
            with self.subTest(namespace), self.session() as client:
                client.send(f"<message xmlns='{namespace}' to='bob@localhost'/>")
                self.assertEqual(client.stream_error(), "invalid-namespace")

    def test_authentication_after_authentication(self):
        with self.session() as client:
            client.send(wire.auth("PLAIN", "\0alice\0x"))
            self.assertEqual(client.stream_error(), "unsupported-stanza-type")

    def test_second_starttls(self):
        with self.secured() as client:
            client.send(STARTTLS)
            client.element(f"{{{TLS}}}failure")
            client.expect_end()

    def test_starttls_in_a_session(self):
        with self.session() as client:
            client.send(STARTTLS)
            client.element(f"{{{TLS}}}failure")
            client.expect_end()

    def test_close_is_answered(self):
        for stage, client in self.stages():
            with self.subTest(stage=stage), client:
                if stage == "clear":
                    client.open()
                client.send("</stream:stream>")
                client.expect_end()

    def test_stanzas_behind_the_close_are_ignored(self):
        with self.session("bob") as bob, self.session() as alice:
            alice.send(f"<message to='{bob.jid}'><body>1</body></message></stream:stream>"
                       f"<message to='{bob.jid}'><body>2</body></message>")
            alice.expect_end()
            self.assertEqual(bob.element().findtext(f"{{{wire.CLIENT}}}body"), "1")
            time.sleep(0.05)
            self.assertEqual(bob.ready(), [])

    def test_errors_of_clients_end_the_stream(self):
        with self.session() as client:
            client.send(f"<stream:error><undefined-condition xmlns='{wire.STREAM_ERRORS}'/>"
                        "</stream:error></stream:stream>")
            client.expect_end()

    def test_whitespace_is_no_harm(self):
        with self.session() as client:
            client.send(" \n" * 500)
            client.send("<iq type='get' id='p' to='localhost'><ping xmlns='urn:xmpp:ping'/></iq>")
            self.assertEqual(client.element().get("id"), "p")


class CommandInjection(WireTest):
    """CVE-2011-0411: what was sent in the clear must not count inside TLS."""

    def test_bytes_behind_starttls(self):
        header = stream_header()
        for name, extra in (("header", header), ("stanza", "<presence/>"), ("space", " "),
                            ("auth", header + wire.auth("PLAIN", "\0alice\0alice's secret"))):
            with self.subTest(name), self.connect() as client:
                client.open()
                client.send(STARTTLS + extra)
                client.element(f"{{{TLS}}}failure")
                client.expect_end()

    def test_bytes_behind_proceed(self):
        """Plain text where the handshake should be ends the connection, and is never parsed."""
        with self.connect() as client:
            client.open()
            client.send(STARTTLS)
            client.element(f"{{{TLS}}}proceed")
            before = len(client.received)
            client.try_send(stream_header())
            while not isinstance(client.next_raw(), wire.Closed):
                pass
            self.assertNotIn(b"<", client.received[before:])

    def test_nothing_of_the_clear_stream_is_left(self):
        """The features after TLS are those of a new stream with a new id."""
        with self.connect() as client:
            client.open()
            first = client.header["id"]
            client.secure()
            self.assertNotEqual(client.header["id"], first)
            self.assertIsNone(client.features.find(f"{{{TLS}}}starttls"))
            self.assertTrue(client.mechanisms())


class AbruptEnds(WireTest):
    """Connections that end without a word leave nothing behind."""

    def gone(self, jid, watcher):
        """Is the session gone? A message that nobody could get comes back."""
        deadline = time.monotonic() + 8
        while time.monotonic() < deadline:
            watcher.send(f"<message to='{jid}' type='headline' id='probe'/>")
            watcher.send("<iq type='get' id='p' to='localhost'><ping xmlns='urn:xmpp:ping'/></iq>")
            answers = []
            while "p" not in answers:
                answers.append(watcher.element().get("id"))
            # The bounce may come from another worker, after the ping's answer.
            time.sleep(0.05)
            answers += [item.get("id") for item in watcher.ready()]
            if "probe" in answers:
                return True
        return False

    def test_sessions_end_with_their_connections(self):
        with self.session("bob") as bob:
            for number in range(10):
                alice = self.session("alice", f"short-{number}")
                jid = alice.jid
                alice.send("<presence/>")
                alice.close()
                self.assertTrue(self.gone(jid, bob), f"{jid} is still there")

    def test_half_closed_connections_end(self):
        with self.session("bob") as bob, self.session("alice", "half") as alice:
            alice.send("<presence/>")
            alice.sock.shutdown(socket.SHUT_WR)
            self.assertTrue(self.gone(alice.jid, bob))


if __name__ == "__main__":
    main()
