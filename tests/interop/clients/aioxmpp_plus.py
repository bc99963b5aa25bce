"""aioxmpp (Debian's) as a chat client that logs in by SCRAM-*-PLUS or not at all.

The SCRAM exchange is aiosasl's. What it lacks are the bindings that mean anything under TLS 1.3:
tls-exporter (RFC 9266), and tls-server-end-point (RFC 5929) for certificates signed with ECDSA.
Both are taken here straight from OpenSSL and from the certificate. Line protocol: ../README.md.
"""

import argparse
import asyncio
import os
import sys

import aiosasl
import aioxmpp
import aioxmpp.connector
import OpenSSL.SSL
from cryptography import x509


def say(*fields):
    print("\t".join(fields), flush=True)


class Binding(aiosasl.channel_binding.ChannelBindingProvider):
    """One kind of channel binding data of an OpenSSL connection."""

    def __init__(self, name, connection):
        super().__init__()
        self._name = name
        self._connection = connection

    @property
    def cb_name(self):
        return self._name.encode()

    def extract_cb_data(self):
        if self._name == "tls-exporter":
            # An empty context, not an absent one.
            return self._connection.export_keying_material(b"EXPORTER-Channel-Binding", 32, b"")
        if self._name == "tls-unique":
            return self._connection.get_finished()
        certificate = self._connection.get_peer_certificate().to_cryptography()
        return certificate.fingerprint(self._hash_of(certificate))

    @staticmethod
    def _hash_of(certificate):
        algorithm = certificate.signature_hash_algorithm
        if algorithm.name in ("md5", "sha1"):
            return x509.hashes.SHA256()
        return algorithm


class PlusOnly(aioxmpp.security_layer.SASLProvider):
    """Offers nothing but the -PLUS mechanisms, with the given binding."""

    def __init__(self, binding, password):
        super().__init__()
        self._binding = binding
        self._password = password
        self.mechanism = ""

    async def execute(self, client_jid, features, xmlstream, tls_transport):
        async def credentials():
            return client_jid.localpart, self._password

        connection = tls_transport.get_extra_info("ssl_object")
        say("tls", connection.get_protocol_version_name())
        mechanism_class, token = self._find_supported(features, [aiosasl.SCRAMPLUS])
        if mechanism_class is None:
            say("failed", "no -PLUS mechanism is offered")
            return False
        self.mechanism = token[0]
        mechanism = mechanism_class(credentials, Binding(self._binding, connection))
        interface = aioxmpp.sasl.SASLXMPPInterface(xmlstream)
        return await self._execute(interface, mechanism, token)


class TrustOne(aioxmpp.security_layer.PKIXCertificateVerifier):
    """PKIX verification against the one certificate that the context was given."""


def make_context_factory(cafile, maximum):
    def make():
        context = aioxmpp.security_layer.default_ssl_context()
        context.load_verify_locations(cafile)
        if maximum == "1.2":
            context.set_options(OpenSSL.SSL.OP_NO_TLSv1_3)
        return context

    return make


async def run(arguments):
    provider = PlusOnly(arguments.binding, os.environ["XMPP_PASSWORD"])
    security = aioxmpp.security_layer.SecurityLayer(
        make_context_factory(arguments.cafile, arguments.tls_max), TrustOne, True, (provider,))
    client = aioxmpp.PresenceManagedClient(
        aioxmpp.JID.fromstr(arguments.jid), security, max_initial_attempts=1,
        override_peer=[(arguments.host, int(arguments.port),
                        aioxmpp.connector.STARTTLSConnector())])
    client.on_failure.connect(lambda error: say("failed", repr(error)))

    def on_message(message):
        if message.body:
            say("message", str(message.from_), message.body.any())

    dispatcher = client.summon(aioxmpp.dispatcher.SimpleMessageDispatcher)
    dispatcher.register_callback(aioxmpp.MessageType.CHAT, None, on_message)
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    async with client.connected() as stream:
        say("online", str(client.local_jid), f"{provider.mechanism} {arguments.binding}")
        while line := await reader.readline():
            fields = line.decode().rstrip("\n").split("\t")
            if fields[0] == "quit":
                break
            message = aioxmpp.Message(type_=aioxmpp.MessageType.CHAT,
                                      to=aioxmpp.JID.fromstr(fields[1]))
            message.body[None] = fields[2]
            await client.send(message)
        del stream
    say("offline")


def main():
    parser = argparse.ArgumentParser()
    for name in ("jid", "host", "port", "cafile"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--binding", default="tls-exporter",
                        choices=("tls-exporter", "tls-server-end-point", "tls-unique"))
    parser.add_argument("--tls-max", default="1.3", choices=("1.2", "1.3"))
    asyncio.run(run(parser.parse_args()))


main()
