"""What aioxmpp's (Debian's) own services make of the server: alice with two clients, bob with one.

Arguments and environment as in slixmpp_checks.py; `ok FEATURE` for every feature that it has seen.
"""

import asyncio
import os
import socket

import aioxmpp
import aioxmpp.connector
import aioxmpp.ibr
import aioxmpp.misc
import aioxmpp.ping
import aioxmpp.private_xml
import aioxmpp.vcard
import aioxmpp.version

from driver import ok, parse_arguments

WAIT = 15
ALICE, BOB = (aioxmpp.JID.fromstr(f"{name}@localhost") for name in ("alice", "bob"))
SERVER = aioxmpp.JID.fromstr("localhost")


@aioxmpp.private_xml.Query.as_payload_class
class Note(aioxmpp.xso.XSO):
    """Something for private XML storage."""
    TAG = ("urn:example:note", "note")
    text = aioxmpp.xso.Text(default=None)


def make_security(arguments, providers):
    """TLS that trusts exactly one certificate."""
    def trust():
        context = aioxmpp.security_layer.default_ssl_context()
        context.load_verify_locations(arguments.cafile)
        return context

    return aioxmpp.security_layer.SecurityLayer(
        trust, aioxmpp.security_layer.PKIXCertificateVerifier, True, providers)


def peer_of(arguments):
    return arguments.host, int(arguments.port), aioxmpp.connector.STARTTLSConnector()


class Client:
    """A client with its services and all messages and presences that came."""

    def __init__(self, jid, password, arguments):
        async def give(_, attempt):
            return password if attempt == 0 else None

        security = make_security(arguments, (aioxmpp.security_layer.PasswordSASLProvider(give),))
        self.client = aioxmpp.PresenceManagedClient(
            jid, security, max_initial_attempts=1,
            override_peer=[peer_of(arguments)])
        summon = self.client.summon
        self.roster = summon(aioxmpp.RosterClient)
        self.presence = summon(aioxmpp.PresenceClient)
        self.blocking = summon(aioxmpp.BlockingClient)
        self.carbons = summon(aioxmpp.CarbonsClient)
        self.vcard = summon(aioxmpp.vcard.VCardService)
        self.disco = summon(aioxmpp.DiscoClient)
        self.caps = summon(aioxmpp.EntityCapsService)
        self.private = summon(aioxmpp.private_xml.PrivateXMLService)
        self.ping = summon(aioxmpp.ping.PingService)
        self.account = summon(aioxmpp.ibr.RegistrationService)
        self.messages = asyncio.Queue()
        self.seen = asyncio.Queue()  # (what, JID) of presence and roster events
        for kind in aioxmpp.MessageType:
            summon(aioxmpp.dispatcher.SimpleMessageDispatcher).register_callback(
                kind, None, self.messages.put_nowait)
        self.presence.on_available.connect(lambda jid, _: self._see("available", jid))
        self.presence.on_changed.connect(lambda jid, _: self._see("changed", jid))
        self.presence.on_unavailable.connect(lambda jid, _: self._see("unavailable", jid))
        for name in ("subscribe", "subscribed", "unsubscribe", "unsubscribed"):
            getattr(self.roster, f"on_{name}").connect(
                lambda stanza, name=name: self._see(name, stanza.from_.bare()))

    def _see(self, what, jid):
        if jid.bare() != self.client.local_jid.bare():
            self.seen.put_nowait((what, jid))

    async def see(self, what, jid=None):
        """Waits for that event of presence or subscription; others may come before."""
        async def look():
            while True:
                seen, who = await self.seen.get()
                if seen == what and jid in (None, who, who.bare()):
                    return who
        try:
            return await asyncio.wait_for(look(), WAIT)
        except asyncio.TimeoutError:
            raise AssertionError(f"{self.client.local_jid} does not see {what} {jid}") from None

    async def message(self):
        return await asyncio.wait_for(self.messages.get(), WAIT)

    async def chat(self, to, text):
        message = aioxmpp.Message(type_=aioxmpp.MessageType.CHAT, to=to)
        message.body[None] = text
        await self.client.send(message)

    async def stop(self):
        self.client.stop()
        while self.client.running or self.client.established:
            await asyncio.sleep(0.02)


async def start(client):
    up = asyncio.Event()
    client.client.on_stream_established.connect(up.set)
    client.client.on_failure.connect(lambda error: print("failed", repr(error), flush=True))
    client.client.presence = aioxmpp.PresenceState(True)
    await asyncio.wait_for(up.wait(), 30)
    return client


async def condition_of(request):
    try:
        await request
    except aioxmpp.errors.XMPPError as error:
        return error.condition.value[1]
    return None


async def until(what):
    """Waits for a state that events lead to."""
    for _ in range(WAIT * 50):
        if what():
            return
        await asyncio.sleep(0.02)
    raise AssertionError("a state does not come about")


async def roster(one, two, _):
    await one.roster.set_entry(BOB, name="Bob <&>", add_to_groups={"Builders", "Friends"})
    for client in (one, two):
        await until(lambda client=client: BOB in client.roster.items)
        item = client.roster.items[BOB]
        assert item.name == "Bob <&>" and item.groups == {"Builders", "Friends"}, item.groups
    await two.roster.set_entry(BOB, name="Bob", remove_from_groups={"Friends"})
    await until(lambda: one.roster.items[BOB].name == "Bob")
    assert one.roster.items[BOB].groups == {"Builders"}
    await one.roster.remove_entry(BOB)
    await until(lambda: BOB not in two.roster.items)
    ok("roster")


async def subscription(one, two, bob):
    one.roster.subscribe(BOB)
    await bob.see("subscribe", ALICE)
    bob.roster.approve(ALICE)
    await one.see("subscribed", BOB)
    await two.see("available", BOB)
    bob.roster.subscribe(ALICE)
    await one.see("subscribe", BOB)
    one.roster.approve(BOB)
    await bob.see("subscribed", ALICE)
    for client, other in ((one, BOB), (two, BOB), (bob, ALICE)):
        await until(lambda: other in client.roster.items and
                    client.roster.items[other].subscription == "both")
    ok("subscription")


async def presence(one, two, bob):
    await until(lambda: len(bob.presence.get_peer_resources(ALICE)) == 2)
    bob.client.set_presence(aioxmpp.PresenceState(True, aioxmpp.PresenceShow.DND), "busy building")
    await one.see("changed", BOB)
    stanza = one.presence.get_most_available_stanza(BOB)
    assert stanza.show == aioxmpp.PresenceShow.DND, stanza
    assert stanza.status.any() == "busy building", stanza
    await two.stop()
    await bob.see("unavailable", two.client.local_jid)
    await start(two)
    await bob.see("available", ALICE)
    ok("presence")


async def messages(one, two, bob):
    for client in (one, two):
        await client.carbons.enable()
    await bob.chat(one.client.local_jid, "to one")
    assert (await one.message()).body.any() == "to one"
    copy = (await two.message()).xep0280_received.stanza
    assert copy.body.any() == "to one" and copy.from_ == bob.client.local_jid
    await one.chat(BOB, "from one")
    assert (await bob.message()).body.any() == "from one"
    assert (await two.message()).xep0280_sent.stanza.body.any() == "from one"
    await two.carbons.disable()
    ok("carbons")
    await bob.stop()
    bodies = ["first", "second \N{SNOWMAN}", "third <&>"]
    for body in bodies:
        await one.chat(BOB, body)
    await one.ping.ping(SERVER)  # the server has seen them all
    await start(bob)
    for body in bodies:
        message = await bob.message()
        assert message.body.any() == body and message.xep0203_delay, message
    ok("offline")


async def blocking(one, two, bob):
    await one.blocking.block_jids([BOB])
    for client in (one, two):
        await until(lambda client=client: client.blocking.blocklist == frozenset([BOB]))
    await bob.see("unavailable", ALICE)
    await bob.chat(ALICE, "hello?")
    error = await bob.message()
    assert error.type_ == aioxmpp.MessageType.ERROR, error
    assert error.error.condition.value[1] == "service-unavailable", error.error
    refused = await condition_of(bob.ping.ping(one.client.local_jid))
    assert refused == "service-unavailable", refused
    await one.chat(BOB, "hello?")
    error = (await one.message()).error
    assert error.condition.value[1] == "not-acceptable", error
    await two.blocking.unblock_all()
    for client in (one, two):
        await until(lambda client=client: not client.blocking.blocklist)
    await bob.see("available", ALICE)
    ok("blocking")


async def stored(one, _, bob):
    card = aioxmpp.vcard.xso.VCard()
    card.set_photo_data("image/png", b"\x89PNG")
    await one.vcard.set_vcard(card)
    seen = await bob.vcard.get_vcard(ALICE)
    assert seen.get_photo_data() == b"\x89PNG", seen
    # XEP-0054 3.3
    assert await condition_of(one.vcard.get_vcard(BOB)) == "service-unavailable"
    ok("vcard")
    note = Note()
    note.text = "remember <this>"
    await one.private.set_private_xml(note)
    seen = await one.private.get_private_xml(Note())
    seen = getattr(seen, "registered_payload", seen)
    assert seen.text == "remember <this>", seen
    ok("private")


async def services(one, _, bob):
    info = await one.disco.query_info(SERVER, require_fresh=True)
    wanted = {"urn:xmpp:carbons:2", "urn:xmpp:blocking", "urn:xmpp:ping", "vcard-temp"}
    assert wanted <= set(info.features), info.features
    assert any(one.category == "server" and one.type_ == "im" for one in info.identities)
    await one.disco.query_items(SERVER, require_fresh=True)
    own = await one.disco.query_info(None, require_fresh=True)
    assert any(one.category == "account" for one in own.identities)
    ok("disco")
    # aioxmpp puts its own capabilities into its presence.
    theirs = one.presence.get_most_available_stanza(BOB)
    assert theirs.xep0115_caps is not None, theirs
    info = await one.disco.query_info(bob.client.local_jid)
    assert "http://jabber.org/protocol/caps" in info.features, info.features
    ok("caps")
    await one.ping.ping(SERVER)
    await one.ping.ping(bob.client.local_jid)
    ok("ping")
    version = await aioxmpp.version.query_version(one.client.stream, SERVER)
    assert version.name == "xmppd" and version.version, version
    ok("version")


async def stream_management(one, _, bob):
    resumed = asyncio.Event()
    one.client.on_stream_resumed.connect(resumed.set)
    for n in range(2):
        assert one.client.stream.sm_enabled and one.client.stream.sm_resumable
        resumed.clear()
        transport = one.client.stream._xmlstream.transport  # pylint: disable=protected-access
        transport.get_extra_info("socket").shutdown(socket.SHUT_RDWR)
        for body in ("while away", "again"):
            await bob.chat(one.client.local_jid, f"{n} {body}")
        await asyncio.wait_for(resumed.wait(), 30)
        for body in ("while away", "again"):
            assert (await one.message()).body.any() == f"{n} {body}"
    await one.ping.ping(SERVER)
    ok("sm")


async def account(one, arguments):
    """carol registers, changes her password and cancels the account."""
    carol = aioxmpp.JID.fromstr("carol@localhost")
    _, stream, _ = await aioxmpp.node.connect_xmlstream(
        carol, make_security(arguments, ()), override_peer=[peer_of(arguments)])
    fields = await aioxmpp.ibr.get_registration_fields(stream)
    assert fields.username is not None and fields.password is not None, fields
    await aioxmpp.ibr.register(stream, aioxmpp.ibr.Query("carol", "first"))
    stream.close()
    client = await start(Client(carol, "first", arguments))
    info = await client.account.get_client_info()
    assert info.registered and info.username == "carol", info
    await client.account.change_pass("second")
    await client.stop()
    client = await start(Client(carol, "second", arguments))
    ok("password")
    await client.account.cancel_registration()
    for _ in range(WAIT * 10):
        if await condition_of(one.ping.ping(carol)) == "service-unavailable":
            break
        await asyncio.sleep(0.1)
    client.client.stop()
    await until(lambda: not client.client.running)
    ok("register")
    ok("cancel")


async def run(arguments):
    made = []
    for jid, name in ((ALICE, "one"), (ALICE, "two"), (BOB, "b")):
        password = os.environ[f"{jid.localpart.upper()}_PASSWORD"]
        made.append(await start(Client(jid.replace(resource=name), password, arguments)))
    for step in (roster, subscription, presence, messages, blocking, stored, services,
                 stream_management):
        await asyncio.wait_for(step(*made), 90)
    await asyncio.wait_for(account(made[0], arguments), 90)
    for client in made:
        await client.stop()
    print("done", flush=True)


def main():
    asyncio.run(run(parse_arguments()))


main()
