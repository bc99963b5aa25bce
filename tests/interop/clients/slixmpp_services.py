"""slixmpp (Debian's) tries what a server does for one client: stored messages with their times,
vCard, private XML, last activity, client states, discovery. Says `ok WHAT` line by line.
"""

import asyncio
import os
import ssl

import slixmpp
from slixmpp.exceptions import IqError
from slixmpp.plugins.xep_0048 import Bookmarks

from driver import parse_arguments

BODIES = ["first", "second <&>", "third \N{SNOWMAN}"]


class Client(slixmpp.ClientXMPP):
    def __init__(self, user, arguments):
        super().__init__(f"{user}@localhost/slixmpp", os.environ["XMPP_PASSWORD"])
        self.ca_certs = arguments.cafile
        self.use_aiodns = False
        for number in ("0012", "0030", "0048", "0049", "0054", "0203", "0352"):
            self.register_plugin(f"xep_{number}")
        self.messages = asyncio.Queue()
        self.presences = asyncio.Queue()
        self.add_event_handler("message", self.messages.put_nowait)
        self.add_event_handler("presence_available", self._on_presence)
        self._address = (arguments.host, int(arguments.port))

    def get_ssl_context(self):
        context = super().get_ssl_context()
        context.verify_mode = ssl.CERT_REQUIRED
        return context

    def _on_presence(self, presence):
        if presence["from"].bare != self.boundjid.bare:
            self.presences.put_nowait(presence)

    async def start(self):
        bound = self.wait_until("session_start", 30)
        self.connect(self._address)
        await bound


async def failure_of(request):
    """The condition of the error that a request ends with; None if it succeeds."""
    try:
        await request
    except IqError as error:
        return error.condition
    return None


def check(what, seen, expected):
    if seen != expected:
        raise SystemExit(f"{what}: expected {expected!r}, got {seen!r}")
    print(f"ok {what}", flush=True)


async def offline(alice, bob):
    for body in BODIES:
        alice.send_message(mto=bob.boundjid.bare, mbody=body, mtype="chat")
    await alice["xep_0012"].get_last_activity("localhost")  # the server has seen them all
    await bob.start()
    bob.send_presence()
    got = [await asyncio.wait_for(bob.messages.get(), 15) for _ in BODIES]
    check("stored messages", [one["body"] for one in got], BODIES)
    check("delayed by", [str(one["delay"]["from"]) for one in got], ["localhost"] * len(BODIES))
    stamps = [one["delay"]["stamp"] for one in got]
    check("times in order", stamps, sorted(stamps))


async def vcard(alice, bob):
    check("no vCard", await failure_of(bob["xep_0054"].get_vcard(alice.boundjid.bare)),
          "service-unavailable")
    card = alice["xep_0054"].make_vcard()
    card["FN"] = "Alice <&> Liddell"
    await alice["xep_0054"].publish_vcard(card)
    seen = await bob["xep_0054"].get_vcard(alice.boundjid.bare, cached=False)
    check("vCard", seen["vcard_temp"]["FN"], "Alice <&> Liddell")


async def private_xml(alice, _):
    bookmarks = Bookmarks()
    bookmarks.add_conference("tea@rooms.localhost", "alice", name="Tea party")
    await alice["xep_0048"].set_bookmarks(bookmarks, method="xep_0049")
    answer = await alice["xep_0048"].get_bookmarks(method="xep_0049")
    seen = [one["name"] for one in answer["private"]["bookmarks"]["conferences"]]
    check("private XML", seen, ["Tea party"])


async def last_activity(alice, bob):
    answer = await alice["xep_0012"].get_last_activity("localhost")
    check("uptime", answer["last_activity"]["seconds"] < 600, True)
    request = bob["xep_0012"].get_last_activity(alice.boundjid.bare, local=False)
    check("last activity of a stranger", await failure_of(request), "forbidden")


async def client_state(alice, bob):
    check("feature of client states", alice["xep_0352"].enabled, True)
    alice["xep_0352"].send_inactive()
    await alice["xep_0012"].get_last_activity("localhost")
    for status in ("one", "two"):
        bob.send_presence(pto=alice.boundjid.full, pstatus=status)
    await asyncio.sleep(1)
    check("presence waits", alice.presences.empty(), True)
    alice["xep_0352"].send_active()
    presence = await asyncio.wait_for(alice.presences.get(), 15)
    check("the latest comes", presence["status"], "two")


async def discovery(alice, _):
    info = await alice["xep_0030"].get_info(jid="localhost")
    missing = {"msgoffline", "vcard-temp", "jabber:iq:private", "jabber:iq:last",
               "http://jabber.org/protocol/caps"} - set(info["disco_info"]["features"])
    check("features", missing, set())


async def run(alice, bob):
    await alice.start()
    alice.send_presence()
    for step in (offline, vcard, private_xml, last_activity, client_state, discovery):
        await asyncio.wait_for(step(alice, bob), 60)
    print("done", flush=True)
    await alice.disconnect()
    await bob.disconnect()


def main():
    arguments = parse_arguments()
    alice, bob = Client("alice", arguments), Client("bob", arguments)
    asyncio.get_event_loop().run_until_complete(run(alice, bob))


main()
