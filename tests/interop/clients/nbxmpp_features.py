"""What nbxmpp (Debian's; the library of Gajim) makes of the server: alice with two clients, bob
with one; carol registers. Arguments, environment and output as in slixmpp_checks.py.

nbxmpp works in GLib's main loop. Here that loop runs only while something is waited for.
"""

import os
import time

from gi.repository import Gio, GLib
from nbxmpp.client import Client as Connection
from nbxmpp.const import ConnectionProtocol, ConnectionType, Mode
from nbxmpp.errors import StanzaError
from nbxmpp.modules.vcard_temp import VCard
from nbxmpp.namespaces import Namespace
from nbxmpp.protocol import JID, Iq, Message
from nbxmpp.structs import AnnotationNote, DiscoIdentity, StanzaHandler

from driver import ok, parse_arguments

WAIT = 15
ALICE, BOB, CAROL = (JID.from_string(f"{name}@localhost") for name in ("alice", "bob", "carol"))


def wait(what, is_there):
    """Runs the main loop until that is true."""
    context = GLib.MainContext.default()
    end = time.monotonic() + WAIT
    while not (found := is_there()):
        if time.monotonic() > end:
            raise AssertionError(f"nobody sees {what}")
        if not context.iteration(False):
            time.sleep(0.005)
    return found


def ask(request, *arguments, **options):
    """The result of a request, or its StanzaError."""
    done = []

    # A task forgets its result after the callback.
    def finish(task):
        try:
            done.append((task.finish(), None))
        except StanzaError as error:
            done.append((None, error))

    request(*arguments, callback=finish, **options)
    wait(request.__name__, lambda: done)
    result, error = done[0]
    if error is not None:
        raise error
    return result


def condition_of(request, *arguments, **options):
    try:
        ask(request, *arguments, **options)
    except StanzaError as error:
        return error.condition
    return None


class Client:
    def __init__(self, jid, resource, password, arguments, mode=Mode.CLIENT):
        self.seen = []  # (kind, properties) of messages, presences and pushes
        self.events = []
        self.name = f"{jid}/{resource}"
        self.connection = Connection(log_context=self.name)
        self.connection.set_domain(jid.domain)
        self.connection.set_username(jid.localpart)
        self.connection.set_resource(resource)
        self.connection.set_password(password)
        self.connection.set_mode(mode)
        self.connection.set_custom_host(f"{arguments.host}:{arguments.port}",
                                        ConnectionProtocol.TCP, ConnectionType.START_TLS)
        self.connection.set_accepted_certificates(
            [Gio.TlsCertificate.new_from_file(arguments.cafile)])
        for event in ("connected", "disconnected", "connection-failed", "resume-successful",
                      "resume-failed"):
            self.connection.subscribe(event, self._on_event)
        for name, space in (("message", ""), ("presence", ""), ("iq", Namespace.ROSTER),
                            ("iq", Namespace.BLOCKING)):
            self.connection.register_handler(
                StanzaHandler(name=name, callback=self._on_stanza, ns=space, priority=90))

    def _on_event(self, _connection, event, *_):
        self.events.append(event)
        if event == "resume-failed":
            print(f"{self.name}: {event}", flush=True)

    def _on_stanza(self, _connection, stanza, properties):
        self.seen.append((stanza, properties))

    @property
    def jid(self):
        return self.connection.get_bound_jid()

    def module(self, name):
        return self.connection.get_module(name)

    def start(self, is_available=True):
        count = self.events.count("connected")
        self.connection.connect()
        wait(f"login of {self.name}", lambda: self.events.count("connected") > count)
        if is_available:
            self.module("BasePresence").send()
        return self

    def stop(self):
        count = self.events.count("disconnected")
        self.connection.disconnect()
        wait(f"the end of {self.name}", lambda: self.events.count("disconnected") > count)

    def see(self, what, matches):
        """The first stanza (with its properties) for which this is true, now or soon."""
        def look():
            for at, (stanza, properties) in enumerate(self.seen):
                if matches(stanza, properties):
                    del self.seen[at]
                    return stanza, properties
            return None
        return wait(f"{what} at {self.name}", look)

    def message(self, body):
        return self.see(body, lambda stanza, properties: stanza.getName() == "message" and
                        properties.body == body)

    def presence(self, of, type_=None):
        return self.see(f"{type_} of {of}", lambda stanza, properties:
                        stanza.getName() == "presence" and stanza.getType() == type_ and
                        of in (properties.jid, properties.jid.new_as_bare()))

    def push(self, check):
        return self.see("a roster push", lambda stanza, properties: stanza.getName() == "iq" and
                        getattr(properties, "roster", None) and check(properties.roster.item))

    def chat(self, to, body):
        self.connection.send_stanza(Message(to=to, body=body, typ="chat"))

    def ping(self):
        """The server has seen what was sent before."""
        ask(self.module("Ping").ping, self.jid.domain)


def roster(one, two, bob):
    for client in (one, two, bob):
        data = ask(client.module("Roster").request_roster)
        assert not data.items and data.version is not None, data
    ask(one.module("Roster").set_item, BOB, "Bob <&>", ["Builders", "Friends"])
    for client in (one, two):
        _, properties = client.push(lambda item: item.jid == BOB)
        item = properties.roster.item
        assert (item.name, item.groups) == ("Bob <&>", {"Builders", "Friends"}), item
    version = properties.roster.version
    answer = ask(two.module("Roster").request_roster, version)
    assert answer.items is None, answer
    ask(two.module("Roster").delete_item, BOB)
    one.push(lambda item: item.subscription == "remove")
    ok("roster")


def subscription(one, two, bob):
    one.module("BasePresence").subscribe(BOB)
    bob.presence(ALICE, "subscribe")
    bob.module("BasePresence").subscribed(ALICE)
    one.presence(BOB, "subscribed")
    two.presence(bob.jid)
    bob.module("BasePresence").subscribe(ALICE)
    one.presence(BOB, "subscribe")
    one.module("BasePresence").subscribed(BOB)
    bob.presence(ALICE, "subscribed")
    for client in (one, two):
        client.push(lambda item: item.jid == BOB and item.subscription == "both")
    ok("subscription")


def presence(one, two, bob):
    bob.module("BasePresence").send(show="dnd", status="busy building", priority=3)
    _, seen = one.see("dnd", lambda stanza, _:
                      stanza.getName() == "presence" and stanza.getShow() == "dnd")
    assert (seen.status, seen.priority) == ("busy building", 3), seen
    gone = two.jid
    two.stop()
    bob.presence(gone, "unavailable")
    two.start()
    ask(two.module("Roster").request_roster)
    bob.presence(two.jid)
    ok("presence")


def carbons(one, two, bob):
    for client in (one, two):
        done = []
        request = Iq("set")
        request.addChild("enable", namespace=Namespace.CARBONS)
        client.connection.send_stanza(request, callback=lambda _, stanza: done.append(stanza))
        wait("carbons", lambda: done)
        assert done[0].getType() == "result", done
    bob.chat(one.jid, "to one")
    one.message("to one")
    _, copy = two.message("to one")
    assert copy.carbon is not None and copy.carbon.is_received and copy.jid == bob.jid, copy
    one.chat(BOB, "from one")
    bob.message("from one")
    _, copy = two.message("from one")
    assert copy.carbon.is_sent, copy
    ok("carbons")


def offline(one, _, bob):
    bob.stop()
    bodies = ["first", "second \N{SNOWMAN}", "third <&>"]
    for body in bodies:
        one.chat(BOB, body)
    one.ping()
    bob.start()
    for body in bodies:
        _, properties = bob.message(body)
        assert properties.user_timestamp or properties.timestamp, properties
    ok("offline")


def blocking(one, two, bob):
    for client in (one, two):
        assert ask(client.module("Blocking").request_blocking_list) == set()
    ask(one.module("Blocking").block, [BOB])
    two.see("the block", lambda stanza, properties: getattr(properties, "blocking", None) and
            properties.blocking.block == {BOB})
    bob.presence(one.jid, "unavailable")
    bob.chat(ALICE, "hello?")
    _, refused = bob.see("an error", lambda stanza, _: stanza.getType() == "error")
    assert refused.error.condition == "service-unavailable", refused.error
    assert ask(two.module("Blocking").request_blocking_list) == {BOB}
    ask(two.module("Blocking").unblock, [BOB])
    assert ask(one.module("Blocking").request_blocking_list) == set()
    bob.presence(one.jid)
    ok("blocking")


def stored(one, _, bob):
    assert condition_of(bob.module("VCardTemp").request_vcard, ALICE) == "service-unavailable"
    ask(one.module("VCardTemp").set_vcard, VCard({"FN": "Alice <&> Liddell"}))
    card = ask(bob.module("VCardTemp").request_vcard, ALICE)
    assert card.data["FN"] == "Alice <&> Liddell", card
    ok("vcard")
    ask(one.module("Annotations").set_annotations, [AnnotationNote(jid=BOB, data="a builder")])
    notes = ask(one.module("Annotations").request_annotations)
    assert [(note.jid, note.data) for note in notes] == [(BOB, "a builder")], notes
    ok("private")


def queries(one, two, bob):
    one.ping()
    ask(one.module("Ping").ping, bob.jid)
    ok("ping")
    version = ask(one.module("SoftwareVersion").request_software_version, "localhost")
    assert version.name == "xmppd" and version.version, version
    ok("version")
    assert ask(one.module("EntityTime").request_entity_time, "localhost")
    ok("time")
    uptime = ask(one.module("LastActivity").request_last_activity, "localhost")
    assert uptime.seconds < 600, uptime
    assert ask(one.module("LastActivity").request_last_activity, BOB).seconds == 0
    ok("last")
    info = ask(one.module("Discovery").disco_info, "localhost")
    assert info.supports(Namespace.BLOCKING) and info.supports(Namespace.CARBONS), info
    ask(one.module("Discovery").disco_items, "localhost")
    own = ask(one.module("Discovery").disco_info, ALICE)
    assert any(identity.category == "account" for identity in own.identities), own
    items = ask(two.module("Discovery").disco_items, BOB).items
    assert [item.jid for item in items] == [bob.jid], items
    ok("disco")
    bob.module("EntityCaps").set_caps(
        [DiscoIdentity(category="client", type="bot", name="bob")], [Namespace.DISCO_INFO],
        "urn:example:bob")
    bob.module("BasePresence").send(caps=bob.module("EntityCaps").caps._asdict())
    _, seen = one.see("capabilities", lambda _, properties: getattr(
        properties, "entity_caps", None) and properties.entity_caps.node == "urn:example:bob")
    node = f"{seen.entity_caps.node}#{seen.entity_caps.ver}"
    info = ask(one.module("Discovery").disco_info, bob.jid, node=node)
    assert [identity.name for identity in info.identities] == ["bob"], info
    ok("caps")


def stream_management(one, _, bob):
    """The connection is cut; nbxmpp comes back by itself when it is told to connect."""
    assert one.connection.sm_supported and one.connection.resumeable
    for count in (1, 2):
        one.connection.disconnect(immediate=True)
        wait("the end", lambda: one.events.count("disconnected") == count)
        bob.chat(one.jid, f"while away {count}")
        one.connection.connect()
        wait("resumption", lambda: one.events.count("resume-successful") == count)
        one.message(f"while away {count}")
    one.ping()
    ok("sm")


def accounts(one, arguments):
    """carol registers, changes her password and cancels the account."""
    carol = Client(CAROL, "c", "first", arguments, Mode.REGISTER).start(is_available=False)
    form = ask(carol.module("Register").request_register_form, "localhost")
    fields = form.fields_form or form.form
    fields["username"].value = "carol"
    fields["password"].value = "first"
    ask(carol.module("Register").submit_register_form, fields, "localhost")
    carol.stop()
    carol = Client(CAROL, "c", "first", arguments).start()
    ask(carol.module("Register").change_password, "second")
    carol.stop()
    carol = Client(CAROL, "c", "second", arguments).start()
    ok("password")
    ask(carol.module("Register").unregister)
    wait("the end of carol", lambda: "disconnected" in carol.events)
    assert condition_of(one.module("Ping").ping, CAROL) == "service-unavailable"
    ok("register")
    ok("cancel")


def main():
    arguments = parse_arguments()
    made = []
    for jid, resource in ((ALICE, "one"), (ALICE, "two"), (BOB, "b")):
        password = os.environ[f"{jid.localpart.upper()}_PASSWORD"]
        made.append(Client(jid, resource, password, arguments).start())
    for step in (roster, subscription, presence, carbons, offline, blocking, stored, queries,
                 stream_management):
        step(*made)
    accounts(made[0], arguments)
    for client in made:
        client.stop()
    print("done", flush=True)


main()
