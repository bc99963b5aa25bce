"""What slixmpp (Debian's) makes of blocking and carbons: alice with two clients, bob with one.

Takes --host --port --cafile and passwords in ALICE_PASSWORD and BOB_PASSWORD. Says `ok WHAT` of
everything that it saw, then `done`; what it does not see within seconds ends it with an exception.
"""

import asyncio
import os
import ssl

import slixmpp
from slixmpp.exceptions import IqError

from driver import ok, parse_arguments

WAIT = 15
ALICE, BOB = "alice@localhost", "bob@localhost"


class Client(slixmpp.ClientXMPP):
    def __init__(self, jid, password, cafile):
        super().__init__(jid, password)
        self.ca_certs = cafile
        self.use_aiodns = False
        for plugin in ("xep_0030", "xep_0191", "xep_0280"):
            self.register_plugin(plugin)
        self.events = asyncio.Queue()
        for name in ("message", "message_error", "carbon_received", "carbon_sent", "blocked",
                     "unblocked", "presence_unavailable", "presence_available"):
            self.add_event_handler(name, lambda stanza, name=name: self._note(name, stanza))

    def _note(self, name, stanza):
        if name.startswith("presence") and stanza["from"].bare == self.boundjid.bare:
            return
        # A message event comes for copies, too.
        if name == "message" and not stanza["body"]:
            return
        self.events.put_nowait((name, stanza))

    def get_ssl_context(self):
        context = super().get_ssl_context()
        context.verify_mode = ssl.CERT_REQUIRED
        return context

    async def see(self, name):
        """The next event, which must be this one."""
        seen, stanza = await asyncio.wait_for(self.events.get(), WAIT)
        assert seen == name, f"{self.boundjid}: {seen} instead of {name}: {stanza}"
        return stanza

    async def silence(self):
        # Whatever was on its way comes before the answer.
        await self["xep_0030"].get_info(jid="localhost")
        assert self.events.empty(), f"{self.boundjid}: {self.events.get_nowait()}"


async def carbons(one, two, bob):
    info = await one["xep_0030"].get_info(jid="localhost")
    features = info["disco_info"]["features"]
    assert {"urn:xmpp:carbons:2", "urn:xmpp:blocking"} <= set(features), features
    ok("features")
    await one["xep_0280"].enable()
    await two["xep_0280"].enable()
    bob.send_message(mto=one.boundjid.full, mbody="to one", mtype="chat")
    assert (await one.see("message"))["body"] == "to one"
    copy = await two.see("carbon_received")
    assert copy["carbon_received"]["body"] == "to one", copy
    assert copy["carbon_received"]["from"] == bob.boundjid.full, copy
    one.send_message(mto=BOB, mbody="from one", mtype="chat")
    assert (await bob.see("message"))["body"] == "from one"
    copy = await two.see("carbon_sent")
    assert copy["carbon_sent"]["body"] == "from one", copy
    await one.silence()
    await two["xep_0280"].disable()
    bob.send_message(mto=one.boundjid.full, mbody="alone", mtype="chat")
    await one.see("message")
    await two.silence()
    ok("carbons")


async def blocking(one, two, bob):
    for client in (one, two):
        blocked = await client["xep_0191"].get_blocked()
        assert not blocked["blocklist"]["items"], blocked
    await one["xep_0191"].block(BOB)
    for client in (one, two):
        assert (await client.see("blocked"))["block"]["items"] == {slixmpp.JID(BOB)}
    bob.send_message(mto=ALICE, mbody="hello?", mtype="chat")
    error = await bob.see("message_error")
    assert error["error"]["condition"] == "service-unavailable", error
    try:
        await bob["xep_0030"].get_info(jid=one.boundjid.full)
        raise AssertionError("a blocked request was answered")
    except IqError as refused:
        assert refused.condition == "service-unavailable", refused
    one.send_message(mto=BOB, mbody="hello?", mtype="chat")
    error = await one.see("message_error")
    assert error["error"]["condition"] == "not-acceptable", error
    assert error.xml.find(".//{urn:xmpp:blocking:errors}blocked") is not None, error
    await two.silence()
    blocked = await two["xep_0191"].get_blocked()
    assert blocked["blocklist"]["items"] == {slixmpp.JID(BOB)}, blocked
    await two["xep_0191"].unblock(BOB)
    for client in (one, two):
        assert (await client.see("unblocked"))["unblock"]["items"] == {slixmpp.JID(BOB)}
    bob.send_message(mto=one.boundjid.full, mbody="again", mtype="chat")
    assert (await one.see("message"))["body"] == "again"
    ok("blocking")


async def run(arguments):
    made = []
    for jid, variable in ((f"{ALICE}/one", "ALICE_PASSWORD"), (f"{ALICE}/two", "ALICE_PASSWORD"),
                          (f"{BOB}/b", "BOB_PASSWORD")):
        client = Client(jid, os.environ[variable], arguments.cafile)
        client.connect((arguments.host, int(arguments.port)))
        await client.wait_until("session_start", WAIT)
        client.send_presence()
        made.append(client)
    await carbons(*made)
    await blocking(*made)
    for client in made:
        await client.disconnect(wait=2)
    print("done", flush=True)


def main():
    asyncio.get_event_loop().run_until_complete(run(parse_arguments()))


main()
