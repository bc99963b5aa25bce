"""Binding, addresses and stanzas of a session: what is refused, and with which condition."""

import base64
import hashlib
import time

import wire
from harness import WireTest, add_tests, main
from wire import BIND, CLIENT

LONG = "a" * 1024
WITHIN = "a" * 1023


class Bind(WireTest):
    limits = "sessions_per_account = 4"

    def authenticated(self, user="alice"):
        """A stream that waits for a resource to be bound."""
        client = self.secured()
        wire.authenticate(client, wire.Scram(user, self.users[user]))
        client.new_stream()
        client.open()
        return client

    def test_account_removed_before_bind(self):
        """Who was authenticated before its account went gets no session on it."""
        with self.secured() as client:
            client.register("gone", "secret")
        unbound = self.secured()
        wire.authenticate(unbound, wire.Scram("gone", "secret"))
        unbound.new_stream()
        unbound.open()
        leaving = self.connect().login("gone", "secret")
        leaving.send("<iq type='set' id='r'><query xmlns='jabber:iq:register'><remove/></query>"
                     "</iq>")
        self.assertEqual(unbound.stream_error(), "not-authorized")

    def test_resource_of_the_servers_making(self):
        with self.session() as one, self.session() as two:
            self.assertRegex(one.jid, "^alice@localhost/.{8,}$")
            self.assertNotEqual(one.jid, two.jid)

    def test_second_bind(self):
        with self.session() as client:
            answer = client.ask_bind("other", id="again")
            self.assertEqual(wire.stanza_error(answer), ("cancel", "not-allowed"))
            self.assertEqual(answer.get("id"), "again")
            # The first binding stands.
            client.send("<message to='alice@localhost/none' type='normal' id='m'/>")
            self.assertEqual(client.element().get("to"), client.jid)

    def test_conflict(self):
        """The newer session wins; the older is told why, and others of the account stay."""
        with self.session("alice", "bystander") as bystander, \
                self.session("alice", "same") as old:
            with self.session("alice", "same") as new:
                self.assertEqual(old.stream_error(), "conflict")
                self.assertEqual(new.jid, "alice@localhost/same")
                with self.session("bob") as bob:
                    bob.send(f"<message to='{new.jid}' id='m'/>")
                    self.assertEqual(new.element().get("id"), "m")
                    bob.send(f"<message to='{bystander.jid}' id='m'/>")
                    self.assertEqual(bystander.element().get("id"), "m")

    def test_conflict_of_an_only_session(self):
        with self.session("alice", "only") as old, self.session("alice", "only") as new:
            self.assertEqual(old.stream_error(), "conflict")
            new.send("<iq type='get' id='p' to='localhost'><ping xmlns='urn:xmpp:ping'/></iq>")
            self.assertEqual(new.element().get("type"), "result")

    def test_conflict_many_times(self):
        client = self.session("alice", "again")
        for _ in range(15):
            newer = self.session("alice", "again")
            self.assertEqual(client.stream_error(), "conflict")
            client.close()
            client = newer
        client.close()

    def test_prepared_resources_are_the_same(self):
        """U+212B and U+00C5 are one letter after normalisation: one resource."""
        with self.session("alice", "\u212b") as old, self.session("alice", "\u00c5") as new:
            self.assertEqual(new.jid, "alice@localhost/\u00c5")
            self.assertEqual(old.stream_error(), "conflict")

    def test_too_many_sessions(self):
        sessions = [self.session("alice", f"n{number}") for number in range(4)]
        with self.authenticated() as client:
            answer = client.ask_bind("n4")
            self.assertEqual(wire.stanza_error(answer), ("wait", "resource-constraint"))
            # A resource that is there already takes the place of the old one.
            answer = client.ask_bind("n1", id="b2")
            self.assertEqual(answer.get("type"), "result")
            self.assertEqual(sessions[1].stream_error(), "conflict")
        for session in sessions:
            session.close()

    def test_bind_of_another_account(self):
        with self.authenticated() as client:
            client.send(f"<iq type='set' id='b' to='bob@localhost'><bind xmlns='{BIND}'>"
                        "<resource>r</resource></bind></iq>")
            answer = client.element()
            if answer.get("type") == "result":
                self.assertEqual(answer.find(f".//{{{BIND}}}jid").text, "alice@localhost/r")

    def test_refusals_do_not_end_the_stream(self):
        with self.authenticated() as client:
            for _ in range(3):
                wire.stanza_error(client.ask_bind("\x7f"))
            self.assertEqual(client.ask_bind("fine").get("type"), "result")

    def test_refusals_end_the_stream_at_last(self):
        """RFC 6120 7.7.3"""
        with self.authenticated() as client:
            for _ in range(10):
                wire.stanza_error(client.ask_bind("\x7f"))
            self.assertEqual(client.stream_error(), "policy-violation")


def bad_resource(self, resource, condition):
    with self.authenticated() as client:
        answer = client.ask_bind(resource)
        self.assertEqual(wire.stanza_error(answer), ("modify", condition))
        self.assertEqual(answer.get("id"), "bind")


add_tests(Bind, bad_resource, [
    ("resource_too_long", LONG, "bad-request"),
    ("resource_too_long_in_bytes", "\u00e4" * 512, "bad-request"),
    ("resource_with_control_character", "a\x7fb", "bad-request"),
    ("resource_with_unassigned_noncharacter", "a\ufdd0b", "bad-request"),
    ("resource_with_line_feed", "a&#10;b", "bad-request"),
])


def good_resource(self, resource):
    with self.authenticated() as client:
        answer = client.ask_bind(resource)
        self.assertEqual(answer.find(f".//{{{BIND}}}jid").text, f"alice@localhost/{resource}")


add_tests(Bind, good_resource, [
    ("resource_of_1023_bytes", WITHIN),
    ("resource_with_slash_and_at", "a/b@c"),
    ("resource_with_emoji", "\U0001f600"),
    ("resource_with_space", "my phone"),
])


class Addresses(WireTest):
    """Addresses in stanzas: a malformed one costs the stanza, never the stream."""

    def setUp(self):
        self.alice = self.session("alice", "pc")
        self.bob = self.session("bob", "pc")

    def tearDown(self):
        # Whatever happened: both go on.
        self.alice.send("<message to='bob@localhost/pc' id='after'/>")
        self.assertEqual(self.bob.element().get("id"), "after")
        self.alice.close()
        self.bob.close()
        super().tearDown()

    def test_from_is_stamped(self):
        for given in ("", " from='alice@localhost'", " from='alice@localhost/pc'",
                      " from='ALICE@localhost/pc'"):
            self.alice.send(f"<message to='bob@localhost/pc'{given}/>")
            self.assertEqual(self.bob.element().get("from"), "alice@localhost/pc")

    def test_error_without_address_to_answer(self):
        """Errors and results are never answered with an error."""
        for stanza in ("<message type='error' to='@'/>", "<iq type='result' id='1' to='@'/>",
                       "<iq type='error' id='1' to='nobody@localhost/x'/>",
                       "<presence type='error' to='@'/>"):
            self.alice.send(stanza)
        self.alice.send("<iq type='get' id='p' to='localhost'><ping xmlns='urn:xmpp:ping'/></iq>")
        self.assertEqual(self.alice.element().get("id"), "p")

    def test_part_of_1023_bytes_is_an_address(self):
        for to in (f"{WITHIN}@localhost", f"bob@localhost/{WITHIN}"):
            self.alice.send(f"<message to='{to}' type='normal' id='m'><body>x</body></message>")
            self.assertEqual(wire.stanza_error(self.alice.element())[1], "service-unavailable")

    def test_domain_that_is_not_ours(self):
        self.alice.send("<message to='x@elsewhere.example' id='m'><body>x</body></message>")
        self.assertEqual(wire.stanza_error(self.alice.element()),
                         ("cancel", "remote-server-not-found"))

    def test_forged_results_are_not_taken(self):
        """A result from a client to somebody who never asked is only delivered, never acted on."""
        self.alice.send("<iq type='result' id='x' to='localhost'/>")
        self.alice.send("<iq type='result' id='x' to='alice@localhost'/>")


def bad_to(self, to):
    for stanza in (f"<message id='m' to='{to}'><body>x</body></message>",
                   f"<iq type='get' id='m' to='{to}'><ping xmlns='urn:xmpp:ping'/></iq>"):
        self.alice.send(stanza)
        answer = self.alice.element()
        self.assertEqual(wire.stanza_error(answer), ("modify", "jid-malformed"))
        self.assertEqual(answer.get("id"), "m")


add_tests(Addresses, bad_to, [
    ("to_only_separator", "@"),
    ("to_empty_localpart", "@localhost"),
    ("to_empty_domain", "bob@"),
    ("to_empty_resource", "bob@localhost/"),
    ("to_localpart_too_long", LONG + "@localhost"),
    ("to_domain_too_long", ("a" * 63 + ".") * 16 + "aa"),
    ("to_resource_too_long", "bob@localhost/" + LONG),
    ("to_localpart_with_space", "b b@localhost"),
    ("to_localpart_with_quote", "b&apos;b@localhost"),
    ("to_localpart_with_slash_before_at", "&lt;b&gt;@localhost"),
    ("to_localpart_with_control_character", "b\x7f@localhost"),
    ("to_localpart_with_noncharacter", "b\ufdd0@localhost"),
    ("to_domain_with_space", "bob@local host"),
    ("to_domain_label_too_long", "bob@" + "a" * 64 + ".example"),
    ("to_resource_with_control_character", "bob@localhost/\x7f"),
])


class Forgery(WireTest):
    def forged(self, given):
        with self.session("bob") as bob, self.session("alice", "pc") as alice:
            alice.send(f"<message from='{given}' to='{bob.jid}'><body>forged</body></message>")
            condition = alice.stream_error()
            time.sleep(0.03)
            self.assertEqual(bob.ready(), [])
            return condition


def forged_from(self, given):
    self.assertEqual(self.forged(given), "invalid-from")


add_tests(Forgery, forged_from, [
    ("from_of_somebody_else", "bob@localhost"),
    ("from_of_somebody_elses_session", "bob@localhost/x"),
    ("from_of_another_resource", "alice@localhost/other"),
    ("from_of_the_server", "localhost"),
    ("from_of_another_domain", "alice@elsewhere.example/pc"),
])


class Capabilities(WireTest):
    def test_stream_feature_is_the_hash_of_disco_info(self):
        """XEP-0115 5.1, calculated here once more."""
        with self.session() as client:
            caps = client.features.find("{http://jabber.org/protocol/caps}c")
            self.assertEqual(caps.get("hash"), "sha-1")
            self.assertIsNotNone(client.features.find("{urn:xmpp:csi:0}csi"))
            ns = "http://jabber.org/protocol/disco#info"
            node = f"{caps.get('node')}#{caps.get('ver')}"
            client.send(f"<iq type='get' id='d' to='localhost'><query xmlns='{ns}' node='{node}'/>"
                        "</iq>")
            query = client.element()[0]
        self.assertEqual(query.get("node"), node)
        identities = sorted(f"{one.get('category')}/{one.get('type')}//{one.get('name', '')}<"
                            for one in query.findall(f"{{{ns}}}identity"))
        features = sorted(f"{one.get('var')}<" for one in query.findall(f"{{{ns}}}feature"))
        text = "".join(identities + features).encode()
        self.assertEqual(caps.get("ver"), base64.b64encode(hashlib.sha1(text).digest()).decode())


class Stanzas(WireTest):
    """Stanzas that are well-formed XML but break the rules of RFC 6120 8."""

    def setUp(self):
        self.client = self.session()

    def tearDown(self):
        self.client.send("<iq type='get' id='after' to='localhost'>"
                         "<ping xmlns='urn:xmpp:ping'/></iq>")
        self.assertEqual(self.client.element().get("id"), "after")
        self.client.close()
        super().tearDown()

    def test_unknown_type_of_message_is_normal(self):
        self.client.send("<presence/>")
        self.client.send("<message type='loud' to='alice@localhost'><body>x</body></message>")
        items = [self.client.element(), self.client.element()]
        message = next(item for item in items if item.tag == f"{{{CLIENT}}}message")
        self.assertIn(message.get("type"), (None, "normal"))

    def test_unknown_payload(self):
        self.client.send("<iq type='get' id='1' to='localhost'><x xmlns='urn:unknown'/></iq>")
        self.assertEqual(wire.stanza_error(self.client.element()),
                         ("cancel", "service-unavailable"))

    def test_error_answers_carry_no_smuggled_stanza(self):
        self.client.send("<iq type='get' id='&apos;/>&lt;message/>' to='localhost'>"
                         "<x xmlns='urn:unknown'/></iq>")
        self.assertEqual(self.client.element().get("id"), "'/><message/>")


def bad_stanza(self, stanza, error):
    self.client.send(stanza)
    self.assertEqual(wire.stanza_error(self.client.element()), error)


BAD_REQUEST = ("modify", "bad-request")
add_tests(Stanzas, bad_stanza, [
    ("iq_without_type", "<iq id='1' to='localhost'><ping xmlns='urn:xmpp:ping'/></iq>",
     BAD_REQUEST),
    ("iq_of_unknown_type", "<iq type='put' id='1'><ping xmlns='urn:xmpp:ping'/></iq>", BAD_REQUEST),
    ("iq_without_id", "<iq type='get' to='localhost'><ping xmlns='urn:xmpp:ping'/></iq>",
     BAD_REQUEST),
    ("iq_without_payload", "<iq type='get' id='1' to='localhost'/>", BAD_REQUEST),
    ("iq_with_two_payloads", "<iq type='get' id='1' to='localhost'><ping xmlns='urn:xmpp:ping'/>"
     "<query xmlns='jabber:iq:version'/></iq>", BAD_REQUEST),
    ("presence_of_unknown_type", "<presence type='asleep' id='1'/>", BAD_REQUEST),
    ("presence_priority_out_of_range", "<presence id='1'><priority>128</priority></presence>",
     BAD_REQUEST),
    ("presence_priority_no_number", "<presence id='1'><priority>high</priority></presence>",
     BAD_REQUEST),
])


if __name__ == "__main__":
    main()
