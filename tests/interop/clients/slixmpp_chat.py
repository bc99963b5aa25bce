"""slixmpp (Debian's) as a chat client driven by lines; the protocol is in ../README.md."""

import argparse
import asyncio
import os
import ssl
import sys

import slixmpp


def say(*fields):
    print("\t".join(fields), flush=True)


class Chat(slixmpp.ClientXMPP):
    def __init__(self, arguments):
        super().__init__(arguments.jid, os.environ["XMPP_PASSWORD"])
        self.ca_certs = arguments.cafile
        self.add_event_handler("session_start", self._on_session_start)
        self.add_event_handler("message", self._on_message)
        self.add_event_handler("failed_all_auth", lambda _: say("failed", "login"))
        self.add_event_handler("disconnected", lambda _: say("offline"))
        if arguments.sm:
            self.register_plugin("xep_0198")
            self.add_event_handler("sm_enabled", lambda _: say("enabled"))
            self.add_event_handler("session_resumed", lambda _: say("resumed"))
            self.add_event_handler("sm_failed", lambda _: say("not resumed"))

    def get_ssl_context(self):
        # The name is checked too: this is a client that trusts exactly this certificate.
        context = super().get_ssl_context()
        context.verify_mode = ssl.CERT_REQUIRED
        return context

    def _on_session_start(self, _):
        self.send_presence()
        say("online", self.boundjid.full, self["feature_mechanisms"].mech.name)

    def _on_message(self, message):
        if message["type"] in ("chat", "normal") and message["body"]:
            say("message", message["from"].full, message["body"])


async def commands(client, address):
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        fields = line.decode().rstrip("\n").split("\t")
        if fields[0] == "send":
            client.send_message(mto=fields[1], mbody=fields[2], mtype="chat")
        elif fields[0] == "cut":
            client.abort()
        elif fields[0] == "connect":
            client.connect(address)
        elif fields[0] == "quit":
            break
    await client.disconnect(wait=2)


def main():
    parser = argparse.ArgumentParser()
    for name in ("jid", "host", "port", "cafile"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--sm", action="store_true", help="stream management")
    arguments = parser.parse_args()
    client = Chat(arguments)
    # The server's address is given: no SRV look-up, no IPv6.
    client.use_aiodns = False
    address = (arguments.host, int(arguments.port))
    client.connect(address)
    client.loop.run_until_complete(commands(client, address))


main()
