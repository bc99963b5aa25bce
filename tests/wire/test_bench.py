"""xmppbench: what it says of servers that refuse, vanish, or lose, repeat and forge stanzas.

Its unit tests show whole runs against a server that does everything right.
"""

import contextlib
import json
import os
import re
import signal
import socket
import struct
import subprocess
import tempfile
import threading
import time
import unittest

import harness

OPEN = ("<?xml version='1.0'?><stream:stream from='localhost' id='1' version='1.0' "
        "xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>")
MECHANISMS = ("<stream:features><mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>"
              "<mechanism>PLAIN</mechanism></mechanisms></stream:features>")
BIND = ("<stream:features><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></stream:features>")
SASL = "urn:ietf:params:xml:ns:xmpp-sasl"
ERRORS = "urn:ietf:params:xml:ns:xmpp-streams"


def stream_error(condition):
    return f"<stream:error><{condition} xmlns='{ERRORS}'/></stream:error></stream:stream>"


def sasl_failure(condition):
    return f"<failure xmlns='{SASL}'><{condition}/></failure>"


class Reset(Exception):
    """Raised by `forward`: the sender's connection is reset."""


class Impostor:
    """A server without TLS: any login is right; `forward` decides what becomes of a message.

    forward(number, message) is called with the messages in the order in which they come and gives
    what goes to the other user instead.
    """

    def __init__(self, forward=None, features=MECHANISMS, auth=f"<success xmlns='{SASL}'/>",
                 register="", greeting=OPEN):
        self.forward = forward or (lambda _, message: [message])
        self.features, self.auth, self.register, self.greeting = features, auth, register, greeting
        self.listener = socket.create_server((harness.processes.loopback(), 0))
        self.target = "{}:{}".format(*self.listener.getsockname())
        self.users = {}
        self.count = 0
        self.answers = []  # to requests of the server
        self.lock = threading.Lock()
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.close()
        self.drop_all()

    def drop_all(self):
        for connection in list(self.users.values()):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self.listener.accept()
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        with contextlib.suppress(OSError), connection:
            try:
                self._talk(connection, Input(connection))
            except Reset:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                      struct.pack("ii", 1, 0))

    def _talk(self, connection, source):
        source.take("<stream:stream [^>]*>")
        connection.sendall((self.greeting + self.features).encode())
        if self.register:
            request = source.take("<iq .*?</iq>")
            connection.sendall(self.register.format(id=id_of(request)).encode())
        if source.take("<auth .*?</auth>|<starttls[^>]*>").startswith("<starttls"):
            connection.sendall(b"<failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"
                               b"</stream:stream>")
            return
        connection.sendall(self.auth.encode())
        source.take("<stream:stream [^>]*>")
        connection.sendall((OPEN + BIND).encode())
        request = source.take("<iq .*?</iq>")
        with self.lock:
            number = len(self.users) + 1
        # Each connection is a user of its own; the names are told by who is written to.
        resource = re.search("<resource>(.*?)</resource>", request).group(1)
        with self.lock:
            self.users[number] = connection
        jid = f"u{number}@localhost/{resource}"
        connection.sendall(f"<iq type='result' id='{id_of(request)}'><bind xmlns='urn:ietf:params:"
                           f"xml:ns:xmpp-bind'><jid>{jid}</jid></bind></iq>".encode())
        while True:
            stanza = source.take("<message .*?</message>|<iq [^>]*/>|<iq .*?</iq>|</stream:stream>")
            if stanza == "</stream:stream>":
                connection.sendall(b"</stream:stream>")
                return
            if stanza.startswith("<iq"):
                self.answers.append(stanza)
                continue
            with self.lock:
                self.count += 1
                out = self.forward(self.count - 1, stanza)
                for message in out:
                    with contextlib.suppress(OSError):  # it may have gone
                        self.users[3 - number].sendall(message.encode())


class Input:
    """What a connection has sent, taken piece by piece."""

    def __init__(self, connection):
        self.connection, self.text = connection, ""

    def take(self, pattern):
        while not (found := re.search(pattern, self.text, re.S)):
            got = self.connection.recv(65536)
            if not got:
                raise OSError("closed")
            self.text += got.decode()
        self.text = self.text[found.end():]
        return found.group(0)


def id_of(stanza):
    return re.search(r"\bid=['\"]([^'\"]*)", stanza).group(1)


def bench(command, target, *more, users=2, tls="none", timeout=60, interrupt=None):
    """Exit code, both outputs."""
    words = [harness.program("xmppbench"), command, "--target", target, "--domain", "localhost",
             "--users", str(users), "--prefix", "u", "--password", "p", "--tls", tls, *more]
    child = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, text=True)
    try:
        if interrupt is not None:
            time.sleep(interrupt)
            child.send_signal(signal.SIGINT)
        out, errors = child.communicate(timeout=timeout * harness.PATIENCE)
    finally:
        child.kill()
        child.wait()
    return child.returncode, out, errors


def chat(server, *more):
    """A closed loop of two users for a short while; its report."""
    code, out, errors = bench("chat", server.target, "--sasl", "plain", "--duration", "300ms",
                              "--warmup", "50ms", "--drain", "300ms", "--json", "-",
                              "--no-presence", *more)
    return code, json.loads(out), errors


class Audit(unittest.TestCase):
    """What the server does to messages is in the report, whatever it is."""

    def test_nothing_wrong(self):
        with Impostor() as server:
            code, report, _ = chat(server, "--rate", "200", "--threshold", "lost=0,duplicated=0")
        self.assertEqual(code, 0)
        self.assertGreater(report["received"], 30)
        self.assertEqual(report["errors"], 0)

    def test_lost(self):
        with Impostor(lambda number, m: [] if number % 5 == 4 else [m]) as server:
            code, report, _ = chat(server, "--rate", "200", "--threshold", "lost=0")
        self.assertEqual(code, 99)
        self.assertGreater(report["lost"], 5)
        self.assertEqual(report["sent"], report["received"] + report["lost"])

    def test_doubled(self):
        with Impostor(lambda _, m: [m, m]) as server:
            code, report, _ = chat(server, "--rate", "200", "--threshold", "duplicated=0")
        self.assertEqual(code, 99)
        self.assertGreater(report["duplicated"], 30)
        self.assertEqual(report["lost"], 0)

    def test_reordered(self):
        held = {}

        def swap(_, message):  # of each sender every pair
            to = re.search(r" to=['\"]([^'\"]*)", message).group(1)
            if to not in held:
                held[to] = message
                return []
            return [message, held.pop(to)]
        with Impostor(swap) as server:
            _, report, _ = chat(server, "--rate", "200")
        self.assertGreater(report["reordered"], 10)
        self.assertEqual(report["duplicated"], 0)

    def test_foreign(self):
        other = "<message from='who@localhost' type='chat'><body>{}</body></message>"
        tag = re.compile("<body>xb[0-9a-f]{8}")

        def add(_, message):
            return [message, other.format("hello"), "<message from='who@localhost'/>",
                    tag.sub("<body>xb00000000", message)]
        with Impostor(add) as server:
            _, report, _ = chat(server, "--rate", "100")
        self.assertGreaterEqual(report["foreign"], 2 * report["received"])
        self.assertEqual((report["lost"], report["duplicated"]), (0, 0))

    def test_bounced(self):
        bounce = ("<message type='error' from='u1@localhost'><error type='wait'><{} xmlns='urn:"
                  "ietf:params:xml:ns:xmpp-stanzas'/></error></message>")

        def refuse(number, _):
            return [bounce.format("resource-constraint")] if number % 2 else [
                "<message type='error' from='u1@localhost'/>"]
        with Impostor(refuse) as server:
            _, report, _ = chat(server, "--rate", "100")
        self.assertGreater(report["error_texts"]["bounced: resource-constraint"], 2)
        self.assertEqual(report["received"], 0)
        self.assertEqual(report["lost"], report["sent"])

    def test_requests_are_answered(self):
        ask = ("<iq type='get' id='{0}{1}' from='localhost'><{1} xmlns='{2}'/></iq>")

        def add(number, message):
            return [message, ask.format(number, "ping", "urn:xmpp:ping"),
                    ask.format(number, "query", "what:is:this")]
        with Impostor(add) as server:
            _, report, _ = chat(server, "--rate", "50")
            answers = list(server.answers)
        self.assertEqual(report["errors"], 0)
        results = [a for a in answers if "ping" in id_of(a)]
        refusals = [a for a in answers if "query" in id_of(a)]
        self.assertTrue(results and refusals)
        self.assertTrue(all(re.search("type=['\"]result", a) for a in results), results)
        self.assertTrue(all("service-unavailable" in a for a in refusals), refusals)


class Endings(unittest.TestCase):
    """Servers that refuse or vanish: one line that says what to do, exit code 1."""

    def refused(self, server, words, *more, command="login", **options):
        with server:
            code, _, errors = bench(command, server.target, *more, **options)
        self.assertEqual(code, 1, errors)
        self.assertIn(words, errors)
        self.assertEqual(errors.strip().count("\n"), 0, errors)

    def test_advice(self):
        cases = {
            "the server does not serve --domain":
                Impostor(greeting=OPEN + stream_error("host-unknown")),
            "raise its limits or lower --login-rate":
                Impostor(greeting=OPEN + stream_error("policy-violation")),
            "does --tls fit what the server wants?":
                Impostor(greeting=OPEN + stream_error("internal-server-error")),
            "is --target an XMPP client port": Impostor(greeting="SSH-2.0-OpenSSH_9.2\r\n"),
            "do the accounts exist with this --password?":
                Impostor(auth=sasl_failure("not-authorized")),
            "try another --sasl, or --tls starttls":
                Impostor(auth=sasl_failure("invalid-mechanism")),
            "the server wants TLS: use --tls starttls":
                Impostor(auth=sasl_failure("encryption-required")),
            "see the server's log": Impostor(auth=sasl_failure("temporary-auth-failure")),
            "no mechanism in common": Impostor(features=MECHANISMS.replace("PLAIN", "X-OTHER")),
            "the server closed the stream during login":
                Impostor(greeting=OPEN + "</stream:stream>"),
        }
        for words, server in cases.items():
            with self.subTest(words):
                self.refused(server, words)

    def test_tls_where_there_is_none(self):
        self.refused(Impostor(), "TLS is required, but not offered", tls="starttls")

    def test_registration(self):
        refusal = ("<iq type='error' id='{id}'><error type='cancel'><not-allowed xmlns='urn:ietf:"
                   "params:xml:ns:xmpp-stanzas'/>%s</error></iq>")
        text = "<text xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'>ask the owner</text>"
        self.refused(Impostor(register=refusal % ""), "in-band registration failed: not-allowed",
                     "--register")
        self.refused(Impostor(register=refusal % text), "not-allowed: ask the owner", "--register")

    def test_an_account_that_is_there_already(self):
        taken = ("<iq type='error' id='{id}'><error type='cancel'><conflict xmlns='urn:ietf:params:"
                 "xml:ns:xmpp-stanzas'/></error></iq>")
        with Impostor(register=taken) as server:
            code, _, errors = bench("login", server.target, "--register")
        self.assertEqual(code, 0, errors)

    def test_everybody_is_thrown_out(self):
        server = Impostor()
        timer = threading.Timer(1, server.drop_all)
        timer.start()
        self.addCleanup(timer.cancel)
        self.refused(server, "every connection was lost", "--duration", "30", "--rate", "50",
                     "--quiet", command="chat")

    def test_one_is_thrown_out(self):
        with Impostor() as server:
            def drop():
                server.users[1].shutdown(socket.SHUT_RDWR)
            timer = threading.Timer(0.7, drop)
            timer.start()
            self.addCleanup(timer.cancel)
            code, out, _ = bench("idle", server.target, "--duration", "2")
        self.assertEqual(code, 0)
        self.assertRegex(out, "1 x connection lost: ")

    def test_one_is_reset(self):
        def forward(number, message):
            if number == 5:
                raise Reset
            return [message]
        with Impostor(forward) as server:
            _, report, _ = chat(server, "--rate", "100")
        lost = [text for text in report["error_texts"] if text.startswith("connection lost: ")]
        self.assertEqual(len(lost), 1, report["error_texts"])
        self.assertIn("reset", lost[0])
        self.assertGreater(report["error_texts"]["not sent: the user is no longer online"], 1)

    def test_interrupted_while_logging_in(self):
        with Impostor(auth="") as server:
            code, _, errors = bench("login", server.target, interrupt=0.5)
        self.assertEqual(code, 1)
        self.assertIn("interrupted before anybody had logged in", errors)


class AgainstXmppd(unittest.TestCase):
    """TLS, mixed logins, and presence that does not come."""

    @classmethod
    def setUpClass(cls):
        temporary = tempfile.TemporaryDirectory(prefix="xmppd-bench-")
        cls.addClassCleanup(temporary.cleanup)
        cls.directory = temporary.name
        config = harness.write_config(cls.directory, harness.processes.loopback())
        cls.server = harness.Server(cls.directory, config)
        cls.addClassCleanup(cls.server.stop)
        cls.target = f"{cls.server.address}:{cls.server.port}"
        cls.direct = f"{cls.server.address}:{cls.server.direct_port}"

    def test_certificates(self):
        known = os.path.join(self.directory, "data", "localhost.crt")
        for tls, target in (("starttls", self.target), ("direct", self.direct)):
            with self.subTest(tls):
                code, _, errors = bench("login", target, tls=tls)
                self.assertEqual(code, 1)
                self.assertIn("trust it with --ca FILE, or do not verify: --insecure", errors)
                code, out, errors = bench("login", target, "--ca", known, "--register", "--json",
                                          "-", tls=tls)
                self.assertEqual(code, 0, errors)
                self.assertEqual(json.loads(out)["tls"], tls)
        code, _, errors = bench("login", self.target, "--ca", "/dev/null", tls="starttls")
        self.assertEqual(code, 1)
        self.assertIn("tls failed", errors)

    def test_the_wrong_port(self):
        code, _, errors = bench("login", self.target, "--insecure", tls="direct")
        self.assertEqual(code, 1)
        self.assertIn("try --tls starttls", errors)
        code, _, errors = bench("login", self.direct, "--insecure", tls="starttls")
        self.assertEqual(code, 1)
        self.assertIn("is --target an XMPP client port", errors)

    def test_some_logins_fail(self):
        bench("login", self.target, "--insecure", "--register", users=4, tls="starttls")
        path = os.path.join(self.directory, "accounts")
        with open(path, "w", encoding="utf-8") as file:
            file.write("u1 p\nu2 p\nu3 wrong\nu4 p\n")
        words = [harness.program("xmppbench"), "chat", "--target", self.target, "--domain",
                 "localhost", "--accounts", path, "--insecure", "--duration", "300ms", "--warmup",
                 "0", "--drain", "1", "--server-pid", str(self.server.child.process.pid)]
        ran = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual(ran.returncode, 0, ran.stderr)
        self.assertIn("1 of 4 logins failed, going on with the rest", ran.stderr)
        self.assertIn("3 done, 1 failed", ran.stdout)
        self.assertIn("server memory", ran.stdout)
        # Nobody of a pair is left: nothing can be sent, which is no success.
        with open(path, "w", encoding="utf-8") as file:
            file.write("u1 p\nu2 wrong\n")
        ran = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual(ran.returncode, 1, ran.stdout)
        self.assertIn("nobody was online to send to, nothing was sent", ran.stderr)

    def test_presence(self):
        code, out, errors = bench("presence", self.target, "--insecure", "--register", "--contacts",
                                  "2", "--rate", "50", "--duration", "500ms", "--drain", "2",
                                  "--threshold", "lost=0,login_missing=0,logout_missing=0", users=6,
                                  tls="starttls")
        self.assertEqual(code, 0, out + errors)
        self.assertIn("12 views", out)

    def test_interrupted_run(self):
        bench("login", self.target, "--insecure", "--register", tls="starttls")
        code, out, errors = bench("chat", self.target, "--insecure", "--duration", "60",
                                  tls="starttls", interrupt=3)
        self.assertEqual(code, 0, errors)
        self.assertIn("(ended early)", out)
        self.assertIn("0 lost, 0 duplicated", out)

    def test_comparison(self):
        report = os.path.join(self.directory, "before.json")
        login = ("login", self.target, "--insecure", "--register")
        code, _, errors = bench(*login, "--json", report, tls="starttls")
        self.assertEqual(code, 0, errors)
        code, out, errors = bench(*login, "--compare", report, tls="starttls")
        self.assertEqual(code, 0, errors)
        self.assertIn("logins.latency_us.p50", out)
        # One file: compared with the run before, then replaced. A ratio of 1 for all would be a
        # run compared with itself.
        with open(report, encoding="utf-8") as file:
            run = json.load(file)
        run["logins"]["latency_us"]["p50"] = 123456789
        with open(report, "w", encoding="utf-8") as file:
            json.dump(run, file)
        code, out, errors = bench(*login, "--compare", report, "--json", report, tls="starttls")
        self.assertEqual(code, 0, errors)
        self.assertRegex(out, r"logins.latency_us.p50 +123456789\.0 ")
        with open(report, encoding="utf-8") as file:
            self.assertNotIn("123456789", file.read())
        with open(report, "w", encoding="utf-8") as file:
            file.write("[]")
        code, _, errors = bench(*login, "--compare", report, tls="starttls")
        self.assertEqual(code, 1)
        self.assertIn("not a report of xmppbench", errors)


if __name__ == "__main__":
    unittest.main()
