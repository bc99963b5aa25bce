"""What slixmpp (Debian's) makes of rosters, subscriptions, presence, queries and accounts:
alice with two clients, bob with one; carol leaves. Arguments, environment and output as in
slixmpp_checks.py.
"""

import asyncio
import os
import re
import ssl

import slixmpp
from slixmpp.exceptions import IqError

from driver import ok, parse_arguments

WAIT = 15
ALICE, BOB = "alice@localhost", "bob@localhost"
EVENTS = ("got_online", "got_offline", "changed_status", "presence_subscribe",
          "presence_subscribed", "presence_unsubscribed", "presence_unsubscribe")


class Client(slixmpp.ClientXMPP):
    def __init__(self, jid, password, arguments):
        super().__init__(jid, password)
        self.ca_certs = arguments.cafile
        self.use_aiodns = False
        self.auto_authorize = None
        self.auto_subscribe = False
        for number in ("0030", "0092", "0115", "0199", "0202"):
            self.register_plugin(f"xep_{number}")
        self.register_plugin("xep_0077", {"create_account": False})
        self.seen = asyncio.Queue()
        for name in EVENTS:
            self.add_event_handler(name, lambda stanza, name=name: self._note(name, stanza))
        self._address = (arguments.host, int(arguments.port))

    def _note(self, name, presence):
        if presence["from"].bare != self.boundjid.bare:
            self.seen.put_nowait((name, presence))

    def get_ssl_context(self):
        context = super().get_ssl_context()
        context.verify_mode = ssl.CERT_REQUIRED
        return context

    async def start(self):
        bound = self.wait_until("session_start", 30)
        self.connect(self._address)
        await bound
        return self

    async def see(self, name):
        """Waits for that event; others may come before."""
        async def look():
            while True:
                seen, presence = await self.seen.get()
                if seen == name:
                    return presence
        try:
            return await asyncio.wait_for(look(), WAIT)
        except asyncio.TimeoutError:
            raise AssertionError(f"{self.boundjid} does not see {name}") from None

    async def until(self, what):
        """Waits for a state that pushes lead to."""
        for _ in range(WAIT * 50):
            if what(self.client_roster):
                return
            await asyncio.sleep(0.02)
        raise AssertionError(f"{self.boundjid}: {self.client_roster[BOB]._state}")


async def roster(one, two, bob):
    for client in (one, two, bob):
        await client.get_roster()
        client.send_presence()
    await one.update_roster(BOB, name="Bob <&>", groups=["Builders", "Friends"])
    for client in (one, two):
        await client.until(lambda roster: BOB in roster and roster[BOB]["name"] == "Bob <&>")
        assert sorted(client.client_roster[BOB]["groups"]) == ["Builders", "Friends"]
    answer = await two.get_roster()
    assert answer["type"] == "result", answer
    await one.del_roster_item(BOB)
    # slixmpp keeps what was removed, as a contact of no subscription
    await two.until(lambda roster: roster[BOB]["subscription"] in ("remove", "none"))
    answer = await two.make_iq_get("jabber:iq:roster").send()
    assert not answer["roster"]["items"], answer
    ok("roster")


async def subscription(one, two, bob):
    one.send_presence_subscription(pto=BOB, ptype="subscribe")
    assert (await bob.see("presence_subscribe"))["from"].bare == ALICE
    bob.send_presence_subscription(pto=ALICE, ptype="subscribed")
    await one.see("presence_subscribed")
    assert (await one.see("got_online"))["from"].bare == BOB
    bob.send_presence_subscription(pto=ALICE, ptype="subscribe")
    await one.see("presence_subscribe")
    two.send_presence_subscription(pto=BOB, ptype="subscribed")
    await bob.see("presence_subscribed")
    for client in (one, two):
        await client.until(lambda roster: roster[BOB]["subscription"] == "both")
    await bob.until(lambda roster: roster[ALICE]["subscription"] == "both")
    ok("subscription")


async def presence(one, two, bob):
    bob.send_presence(pshow="dnd", pstatus="busy building", ppriority=3)
    while (seen := await one.see("changed_status"))["status"] != "busy building":
        pass
    assert (seen["show"], seen["priority"]) == ("dnd", 3), seen
    await two.disconnect(wait=2)
    # slixmpp tells of the last resource only; this is its bookkeeping of all of them.
    for _ in range(WAIT * 50):
        if set(bob.client_roster.presence(ALICE)) == {"one"}:
            break
        await asyncio.sleep(0.02)
    assert set(bob.client_roster.presence(ALICE)) == {"one"}, bob.client_roster.presence(ALICE)
    await two.start()
    two.send_presence()
    ok("presence")


async def queries(one, _, bob):
    assert await one["xep_0199"].ping("localhost") > 0
    assert await one["xep_0199"].ping(bob.boundjid.full) > 0
    ok("ping")
    version = (await one["xep_0092"].get_version("localhost"))["software_version"]
    assert version["name"] == "xmppd" and version["version"], version
    ok("version")
    time = (await one["xep_0202"].get_entity_time("localhost"))["entity_time"]
    # slixmpp's own reading of it puts a second Z behind it.
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT[0-9:.]+Z", time._get_sub_text("utc")), time
    ok("time")
    info = (await one["xep_0030"].get_info(jid="localhost"))["disco_info"]
    assert ("server", "im", None, "xmppd") in info["identities"], info
    assert "urn:xmpp:ping" in info["features"], info
    await one["xep_0030"].get_items(jid="localhost")
    contact = (await one["xep_0030"].get_info(jid=BOB))["disco_info"]
    assert any(one[:2] == ("account", "registered") for one in contact["identities"]), contact
    items = (await one["xep_0030"].get_items(jid=BOB))["disco_items"]["items"]
    assert [str(item[0]) for item in items] == [bob.boundjid.full], items
    ok("disco")
    await bob["xep_0115"].update_caps()
    bob.send_presence()
    for _ in range(WAIT * 5):
        info = await one["xep_0115"].get_caps(bob.boundjid)
        if info is not None:
            break
        await asyncio.sleep(0.2)
    info = info["disco_info"] if "disco_info" in info.plugins else info
    assert "http://jabber.org/protocol/caps" in info["features"], info
    ok("caps")


async def account(one, arguments):
    """carol changes her password and cancels her account. (Debian's slixmpp cannot register one:
    it sends nothing but <auth/> before login.)"""
    carol = await Client("carol@localhost/c", os.environ["CAROL_PASSWORD"], arguments).start()
    await carol["xep_0077"].change_password("second")
    await carol.disconnect(wait=2)
    carol = await Client("carol@localhost/c", "second", arguments).start()
    ok("password")
    gone = carol.wait_until("disconnected", WAIT)
    await carol["xep_0077"].cancel_registration()
    await gone
    try:
        await one["xep_0199"].ping("carol@localhost")
        raise AssertionError("carol is still there")
    except IqError as error:
        assert error.condition == "service-unavailable", error
    ok("cancel")


async def run(arguments):
    made = []
    for jid, name in ((ALICE, "one"), (ALICE, "two"), (BOB, "b")):
        password = os.environ[f"{jid.split('@')[0].upper()}_PASSWORD"]
        made.append(await Client(f"{jid}/{name}", password, arguments).start())
    for step in (roster, subscription, presence, queries):
        await asyncio.wait_for(step(*made), 60)
    await asyncio.wait_for(account(made[0], arguments), 60)
    for client in made:
        await client.disconnect(wait=2)
    print("done", flush=True)


def main():
    asyncio.get_event_loop().run_until_complete(run(parse_arguments()))


main()
