"""A raw XMPP client for the wire tests: sockets, TLS, a stream parser, SCRAM; nothing is hidden.

A Wire writes exactly the bytes that a test gives it, well-formed or not, and reads what comes back
as the stream's own parts: the header, each first-level element, the end of the stream, the end of
the connection. Expat parses, so what the server writes must be well-formed as well.
"""

import base64
import dataclasses
import hashlib
import hmac
import os
import select
import socket
import ssl
import time
import xml.etree.ElementTree as ET
from xml.parsers import expat

CLIENT = "jabber:client"
STREAM = "http://etherx.jabber.org/streams"
STREAM_ERRORS = "urn:ietf:params:xml:ns:xmpp-streams"
STANZA_ERRORS = "urn:ietf:params:xml:ns:xmpp-stanzas"
TLS = "urn:ietf:params:xml:ns:xmpp-tls"
SASL = "urn:ietf:params:xml:ns:xmpp-sasl"
BIND = "urn:ietf:params:xml:ns:xmpp-bind"

STARTTLS = f"<starttls xmlns='{TLS}'/>"


class WireError(Exception):
    """The server did something else than was waited for."""


@dataclasses.dataclass
class Header:
    attributes: dict


@dataclasses.dataclass
class StreamEnd:
    """</stream:stream>"""


@dataclasses.dataclass
class Closed:
    """The connection has ended; error is None after an orderly end."""
    error: object = None


class _Parser:
    """Bytes of one stream -> Header, Element, StreamEnd."""

    def __init__(self):
        self.items = []
        self._depth = 0
        self._builder = None
        self._expat = expat.ParserCreate("utf-8", "}")
        self._expat.StartElementHandler = self._start
        self._expat.EndElementHandler = self._end
        self._expat.CharacterDataHandler = self._data

    def feed(self, data):
        self._expat.Parse(data, False)

    @staticmethod
    def _name(name):
        return "{" + name if "}" in name else name

    def _start(self, name, attributes):
        self._depth += 1
        attributes = {self._name(key): value for key, value in attributes.items()}
        if self._depth == 1:
            self.items.append(Header({"": self._name(name), **attributes}))
            return
        if self._depth == 2:
            self._builder = ET.TreeBuilder()
        self._builder.start(self._name(name), attributes)

    def _end(self, name):
        self._depth -= 1
        if self._depth == 0:
            self.items.append(StreamEnd())
            return
        self._builder.end(self._name(name))
        if self._depth == 1:
            self.items.append(self._builder.close())

    def _data(self, text):
        if self._depth > 1:
            self._builder.data(text)


def client_context(minimum=None, maximum=None, alpn=None, ciphers=None):
    """A TLS context that trusts anybody: what is presented is the tests' affair."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if ciphers:
        context.set_ciphers(ciphers)
    if minimum:
        context.minimum_version = minimum
    if maximum:
        context.maximum_version = maximum
    if alpn:
        context.set_alpn_protocols(alpn)
    return context


class Wire:
    """One connection."""

    def __init__(self, address, port, source=None, receive_buffer=None):
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        if receive_buffer:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        if source:
            self.sock.bind((source, 0))
        self.sock.settimeout(10)
        self.sock.connect((address, port))
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.received = b""  # everything, decrypted
        self.jid = ""
        self.features = None
        self.header = None
        self._parser = _Parser()
        self._items = []
        self._closed = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.sock.close()

    # ---- bytes

    def send(self, data):
        self.sock.settimeout(10)
        self.sock.sendall(data.encode() if isinstance(data, str) else data)

    def try_send(self, data):
        """As send(); that the server has closed meanwhile is no failure."""
        try:
            self.send(data)
        except OSError:
            pass

    def start_tls(self, context=None, server_name=None):
        """The TLS handshake; a new stream follows."""
        self.sock.settimeout(10)
        self.sock = (context or client_context()).wrap_socket(
            self.sock, server_hostname=server_name, suppress_ragged_eofs=False)
        self.new_stream()

    def new_stream(self):
        self._parser = _Parser()

    def certificate(self):
        return self.sock.getpeercert(binary_form=True)

    def poll(self, seconds):
        """Takes in what there is, waiting at most that long for the first of it."""
        if self._closed:
            return
        pending = isinstance(self.sock, ssl.SSLSocket) and self.sock.pending()
        if not pending and not select.select([self.sock], [], [], max(0.0, seconds))[0]:
            return
        self.sock.settimeout(0)
        try:
            data = self.sock.recv(65536)
        except (BlockingIOError, ssl.SSLWantReadError):
            return
        except ssl.SSLEOFError as error:
            self._closed = Closed(error)
            return
        except OSError as error:
            self._closed = Closed(error)
            return
        if not data:
            self._closed = Closed()
            return
        self.received += data
        self._parser.feed(data)
        self._items += self._parser.items
        self._parser.items = []

    def next_raw(self, seconds=10):
        """What comes next as bytes, not parsed; Closed at the end."""
        self.sock.settimeout(seconds)
        try:
            data = self.sock.recv(65536)
        except ConnectionResetError as error:
            return Closed(error)
        self.received += data
        return data or Closed()

    # ---- the stream's parts

    def next(self, seconds=10):
        """The next part of the stream: Header, Element, StreamEnd or Closed."""
        deadline = time.monotonic() + seconds
        while not self._items:
            if self._closed:
                return self._closed
            left = deadline - time.monotonic()
            if left <= 0:
                raise WireError(f"nothing in {seconds} s; so far: {self.received[-800:]!r}")
            self.poll(left)
        return self._items.pop(0)

    def ready(self):
        """Every part that is there now."""
        before = -1
        # TLS gives one record at a time.
        while before != len(self.received):
            before = len(self.received)
            self.poll(0)
        items, self._items = self._items, []
        return items

    def element(self, name=None, seconds=10):
        """The next element, which must have this name."""
        item = self.next(seconds)
        if not isinstance(item, ET.Element) or (name and item.tag != name):
            shown = ET.tostring(item) if isinstance(item, ET.Element) else item
            raise WireError(f"expected {name or 'an element'}, got {shown}")
        return item

    def open(self, to="localhost", attributes=""):
        """Opens a stream and takes the answer: header and features."""
        self.send(stream_header(to, attributes))
        self.header = self.take_header()
        self.features = self.element(f"{{{STREAM}}}features")
        return self.features

    def take_header(self):
        item = self.next()
        if not isinstance(item, Header):
            raise WireError(f"expected a stream header, got {item}")
        return item.attributes

    def secure(self, to="localhost", context=None, server_name=None):
        """STARTTLS from the open stream, then a stream inside."""
        self.send(STARTTLS)
        self.element(f"{{{TLS}}}proceed")
        self.start_tls(context, server_name)
        return self.open(to)

    def mechanisms(self):
        return [m.text for m in self.features.iter(f"{{{SASL}}}mechanism")]

    def stream_error(self, seconds=10):
        """The condition of the stream error that comes next; then everything must end."""
        error = self.element(f"{{{STREAM}}}error", seconds)
        condition = error[0].tag.partition("}")[2]
        if not error[0].tag.startswith("{" + STREAM_ERRORS):
            raise WireError(f"not a stream condition: {ET.tostring(error)}")
        self.expect_end(seconds)
        return condition

    def expect_end(self, seconds=10):
        """</stream:stream>, then an orderly end of the connection."""
        item = self.next(seconds)
        if not isinstance(item, StreamEnd):
            raise WireError(f"expected </stream:stream>, got {item}")
        self.expect_closed(seconds)

    def expect_closed(self, seconds=10):
        item = self.next(seconds)
        if not isinstance(item, Closed):
            raise WireError(f"expected the end of the connection, got {item}")
        if item.error is not None:
            raise WireError(f"the connection did not end in order: {item.error}")

    # ---- login

    def login(self, user, password, resource="", to="localhost", mechanism="SCRAM-SHA-256"):
        """Opens, secures where that is offered, authenticates and binds."""
        self.open(to)
        if self.features.find(f"{{{TLS}}}starttls") is not None:
            self.secure(to)
        outcome = authenticate(self, Scram(user, password, mechanism))
        if outcome.tag != f"{{{SASL}}}success":
            raise WireError(f"login of {user} failed: {ET.tostring(outcome)}")
        return self.bind(resource, to)

    def bind(self, resource="", to="localhost"):
        self.new_stream()
        self.open(to)
        answer = self.ask_bind(resource)
        if answer.get("type") != "result":
            raise WireError(f"bind failed: {ET.tostring(answer)}")
        self.jid = answer.find(f".//{{{BIND}}}jid").text
        return self

    def ask_bind(self, resource="", id="bind"):
        inner = f"<resource>{resource}</resource>" if resource else ""
        self.send(f"<iq type='set' id='{id}'><bind xmlns='{BIND}'>{inner}</bind></iq>")
        return self.element(f"{{{CLIENT}}}iq")

    def register(self, user, password, to="localhost"):
        """Makes an account in-band (the stream is open, and secure)."""
        self.send(f"<iq type='set' id='reg'><query xmlns='jabber:iq:register'><username>{user}"
                  f"</username><password>{password}</password></query></iq>")
        answer = self.element(f"{{{CLIENT}}}iq")
        if answer.get("type") != "result":
            raise WireError(f"registration of {user} failed: {ET.tostring(answer)}")


def stream_header(to="localhost", attributes="", version="1.0", ns=CLIENT, stream_ns=STREAM,
                  prefix="stream"):
    to = f" to='{to}'" if to is not None else ""
    version = f" version='{version}'" if version is not None else ""
    return (f"<?xml version='1.0'?><{prefix}:stream xmlns='{ns}' xmlns:{prefix}='{stream_ns}'"
            f"{to}{version}{attributes}>")


def b64(data):
    return base64.b64encode(data.encode() if isinstance(data, str) else data).decode()


def stanza_error(element):
    """(type, condition) of an error stanza."""
    error = element.find(f"{{{CLIENT}}}error")
    if element.get("type") != "error" or error is None:
        raise WireError(f"no error stanza: {ET.tostring(element)}")
    return error.get("type"), error[0].tag.partition("}")[2]


def sasl_condition(element):
    """The condition of a <failure/>."""
    if element.tag != f"{{{SASL}}}failure":
        raise WireError(f"no SASL failure: {ET.tostring(element)}")
    return element[0].tag.partition("}")[2]


class Scram:
    """The client's half of SCRAM, step by step, so that a test can spoil each."""

    def __init__(self, user, password, mechanism="SCRAM-SHA-256", gs2="n,,", binding=b""):
        self.mechanism = mechanism
        self.password = password
        self.hash = {"1": "sha1", "256": "sha256", "512": "sha512"}[mechanism.split("-")[2]]
        self.gs2 = gs2
        self.binding = binding
        self.nonce = base64.b64encode(os.urandom(12)).decode()
        name = user.replace("=", "=3D").replace(",", "=2C")
        self.first_bare = f"n={name},r={self.nonce}"
        self.server_first = ""
        self.server_nonce = ""
        self.salt = b""
        self.iterations = 0
        self.signature = b""

    def first(self):
        return self.gs2 + self.first_bare

    def read_challenge(self, challenge):
        self.server_first = base64.b64decode(challenge, validate=True).decode()
        fields = dict(part.split("=", 1) for part in self.server_first.split(","))
        self.server_nonce = fields["r"]
        self.salt = base64.b64decode(fields["s"], validate=True)
        self.iterations = int(fields["i"])

    def final(self, nonce=None, binding=None, proof=None):
        """The final message; what is given replaces what would be right."""
        channel = b64(self.gs2.encode() + self.binding if binding is None else binding)
        without_proof = f"c={channel},r={self.server_nonce if nonce is None else nonce}"
        message = f"{self.first_bare},{self.server_first},{without_proof}".encode()

        def mac(key, data):
            return hmac.new(key, data, self.hash).digest()

        salted = hashlib.pbkdf2_hmac(self.hash, self.password.encode(), self.salt, self.iterations)
        client_key = mac(salted, b"Client Key")
        stored = hashlib.new(self.hash, client_key).digest()
        right = bytes(a ^ b for a, b in zip(client_key, mac(stored, message)))
        self.signature = mac(mac(salted, b"Server Key"), message)
        return f"{without_proof},p={b64(right if proof is None else proof)}"


def auth(mechanism, data=None):
    body = "" if data is None else b64(data)
    return f"<auth xmlns='{SASL}' mechanism='{mechanism}'>{body}</auth>"


def response(data):
    return f"<response xmlns='{SASL}'>{b64(data)}</response>"


def begin(wire, scram):
    """<auth/>; returns the answer, having read it if it is a challenge."""
    wire.send(auth(scram.mechanism, scram.first()))
    answer = wire.element()
    if answer.tag == f"{{{SASL}}}challenge":
        scram.read_challenge(answer.text)
    return answer


def authenticate(wire, scram, **spoiled):
    """The whole exchange: <success/>, with the server's signature checked, or <failure/>."""
    answer = begin(wire, scram)
    if answer.tag != f"{{{SASL}}}challenge":
        return answer
    wire.send(response(scram.final(**spoiled)))
    answer = wire.element()
    if answer.tag == f"{{{SASL}}}success" and base64.b64decode(answer.text) != b"v=" + b64(
            scram.signature).encode():
        raise WireError("the server's signature is wrong")
    return answer
