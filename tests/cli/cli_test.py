"""The command-line contract: real xmppd and xmppctl, exit codes, JSON shapes, sessions.

Usage: cli_test.py XMPPD XMPPCTL [TEST...]
"""
import base64
import json
import os
import re
import select
import signal
import socket
import subprocess
import sys
import tempfile
import termios
import time
import unittest

XMPPD, XMPPCTL = sys.argv[1:3]

CONFIG = """
[server]
workers = 2
data_dir = "data"
control_socket = "control.sock"
drain_timeout = "2s"
[[listen]]
service = "c2s"
address = ["127.0.0.1:0"]
tls = "none"
[profile.default.auth]
plain_without_tls = true
scram_iterations = 4096
[host."localhost"]
[host."other.example"]
"""


class Xmppd:
    """A server in a directory of its own."""

    def __init__(self, directory):
        self.directory = directory
        self.config = os.path.join(directory, "xmppd.toml")
        with open(self.config, "w", encoding="utf-8") as file:
            file.write(CONFIG)
        self.socket = os.path.join(directory, "control.sock")
        self.process = None

    def start(self):
        with open(os.path.join(self.directory, "log"), "ab") as log:
            self.process = subprocess.Popen(
                [XMPPD, "--config", self.config], stdout=subprocess.PIPE, stderr=log, text=True)
        readable, _, _ = select.select([self.process.stdout], [], [], 60)
        line = self.process.stdout.readline() if readable else ""
        ready = re.fullmatch(r"xmppd ready c2s=127\.0\.0\.1:(\d+) control=(\S+)\n", line)
        if not ready:
            raise RuntimeError(f"not ready: {line!r}\n{self.log()}")
        self.port = int(ready.group(1))
        assert ready.group(2) == self.socket, line

    def log(self):
        with open(os.path.join(self.directory, "log"), encoding="utf-8") as file:
            return file.read()

    def end(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        if self.process:
            self.process.stdout.close()


class Client:
    """As little of a client as binds a resource."""

    def __init__(self, port, user, password, resource):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=20)
        self.text = ""
        secret = base64.b64encode(f"\0{user}\0{password}".encode()).decode()
        self.open_stream()
        self.send("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>"
                  f"{secret}</auth>")
        self.expect("<success")
        self.text = ""
        self.open_stream()
        self.send("<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>"
                  f"<resource>{resource}</resource></bind></iq>")
        self.expect("</jid>")

    def open_stream(self):
        self.send("<?xml version='1.0'?><stream:stream xmlns='jabber:client' to='localhost' "
                  "version='1.0' xmlns:stream='http://etherx.jabber.org/streams'>")
        self.expect("</stream:features>")

    def send(self, text):
        self.socket.sendall(text.encode())

    def expect(self, part):
        while part not in self.text:
            if "</failure>" in self.text:
                raise AssertionError(self.text)
            got = self.socket.recv(65536)
            if not got:
                raise AssertionError(f"closed before {part}: {self.text}")
            self.text += got.decode()

    def close(self):
        self.socket.close()


class Contract(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.TemporaryDirectory(prefix="xmppd-cli-")
        self.addCleanup(self.directory.cleanup)
        self.server = Xmppd(self.directory.name)
        self.addCleanup(self.server.end)
        self.server.start()

    def ctl(self, *arguments, code=0, stdin=""):
        done = subprocess.run([XMPPCTL, "--socket", self.server.socket, *arguments], input=stdin,
                              capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual(done.returncode, code, f"{arguments}: {done.stdout}{done.stderr}")
        return done.stdout

    def ctl_json(self, *arguments, code=0, stdin=""):
        return json.loads(self.ctl(*arguments, "--json", code=code, stdin=stdin))

    def error_code(self, *arguments, code=1):
        answer = self.ctl_json(*arguments, code=code)
        self.assertEqual(set(answer), {"error"})
        self.assertEqual(set(answer["error"]), {"code", "text"})
        return answer["error"]["code"]

    def test_users(self):
        self.ctl("user", "add", "alice@localhost", "--password", "a")
        self.ctl("--password-stdin", "user", "add", "Bob@localhost", stdin="b\n")
        users = self.ctl_json("user", "list", "localhost")
        self.assertEqual([user["jid"] for user in users], ["alice@localhost", "bob@localhost"])
        for user in users:
            self.assertTrue(user["enabled"])
            self.assertRegex(user["created"], r"^\d{4}-\d\d-\d\dT.*Z$")
        self.assertEqual(self.ctl_json("user", "list", "other.example"), [])
        cases = {
            ("user", "add", "alice@localhost", "--password", "x"): "conflict",
            ("user", "add", "alice@nowhere", "--password", "x"): "not-found",
            ("user", "add", "localhost", "--password", "x"): "bad-argument",
            ("user", "add", "alice@localhost/r", "--password", "x"): "bad-argument",
            ("user", "add", "straße@localhost", "--password", "x"): "bad-argument",
            ("user", "add", "carol@localhost", "--password", ""): "bad-argument",
            ("user", "passwd", "nobody@localhost", "--password", "x"): "not-found",
            ("user", "delete", "nobody@localhost"): "not-found",
            ("user", "list", "nowhere"): "not-found",
        }
        for arguments, expected in cases.items():
            with self.subTest(arguments):
                self.assertEqual(self.error_code(*arguments), expected)
        self.ctl("user", "delete", "bob@localhost")
        self.assertEqual(len(self.ctl_json("user", "list", "localhost")), 1)
        self.assertNotIn("password=", self.server.log())

    def test_sessions(self):
        for name in ("alice", "bob"):
            self.ctl("user", "add", f"{name}@localhost", "--password", "secret")
        one = Client(self.server.port, "alice", "secret", "one")
        two = Client(self.server.port, "alice", "secret", "two")
        bob = Client(self.server.port, "bob", "secret", "b")
        for client in (one, two, bob):
            self.addCleanup(client.close)
        sessions = self.ctl_json("session", "list")
        self.assertEqual([session["jid"] for session in sessions],
                         ["alice@localhost/one", "alice@localhost/two", "bob@localhost/b"])
        for session in sessions:
            self.assertTrue(session["address"].startswith("127.0.0.1"))
            self.assertIsNone(session["tls"])
            self.assertEqual(session["sasl"], "PLAIN")
            self.assertIsInstance(session["connected_s"], int)
            self.assertFalse(session["available"])
            self.assertEqual(session["priority"], 0)
        self.assertEqual(len(self.ctl_json("session", "list", "localhost")), 3)
        self.assertEqual(self.ctl_json("session", "list", "other.example"), [])
        self.assertEqual(self.ctl_json("status")["sessions"], 3)

        kicked = self.ctl_json("session", "kick", "alice@localhost/one")
        self.assertEqual(kicked["kicked"], ["alice@localhost/one"])
        one.expect("policy-violation")
        self.assertEqual(self.error_code("session", "kick", "alice@localhost/one"), "not-found")
        self.ctl("user", "passwd", "alice@localhost", "--password", "fresh")
        self.assertEqual(len(self.ctl_json("session", "list")), 2)
        self.ctl("user", "delete", "alice@localhost")
        two.expect("not-authorized")
        left = [session["jid"] for session in self.ctl_json("session", "list")]
        self.assertEqual(left, ["bob@localhost/b"])
        self.ctl("stop")
        bob.expect("system-shutdown")

    def test_new_password_counts(self):
        self.ctl("user", "add", "alice@localhost", "--password", "old")
        self.ctl("user", "passwd", "alice@localhost", "--password", "new")
        Client(self.server.port, "alice", "new", "r").close()
        with self.assertRaisesRegex(AssertionError, "<not-authorized"):
            Client(self.server.port, "alice", "old", "r")

    def test_server(self):
        status = self.ctl_json("status")
        self.assertTrue(status["ready"])
        self.assertEqual(status["workers"], 2)
        self.assertEqual(status["hosts"], 2)
        self.assertEqual(status["exceptions"], 0)
        self.assertLessEqual({"version", "uptime_s", "sessions", "connections"}, set(status))
        self.assertEqual([row["worker"] for row in status["load"]], [0, 1])
        for row in status["load"]:
            self.assertEqual(set(row), {"worker", "mailbox", "sessions", "accounts"})
        self.assertEqual(status["storage_queue"], 0)
        hosts = self.ctl_json("host", "list")
        self.assertEqual([host["host"] for host in hosts], ["localhost", "other.example"])
        modules = {module["module"]: module for module in self.ctl_json("module", "list")}
        self.assertTrue(modules["ping"]["loaded"])  # found beside the binary
        chain = self.ctl_json("module", "hooks", "ToAccount")
        self.assertIn({"profile": "default", "stage": "deliver", "module": "message"}, chain)
        error = self.ctl_json("module", "hooks", "ToAcount", code=1)["error"]
        self.assertEqual(error["code"], "not-found")
        self.assertIn("ToAccount", error["text"])

    def test_database(self):
        status = self.ctl_json("db", "status")
        self.assertTrue(status["reachable"])
        self.assertEqual(status["driver"], "sqlite")
        self.assertEqual(status["schema"], status["schema_known"])
        self.assertIn("in order", self.ctl("db", "check"))
        self.assertIn("up to date", self.ctl("db", "migrate"))

    def test_usage(self):
        for arguments in ((), ("uzer",), ("user", "lst"), ("user", "list"), ("status", "--bogus"),
                          ("status", "more"), ("user", "add", "a@localhost")):
            with self.subTest(arguments):
                self.ctl(*arguments, code=2)
        self.assertEqual(self.error_code("user", "lst", code=2), "usage")
        self.assertIn("user", self.ctl("--help"))
        script = self.ctl("completion", "bash")
        bash = (script + "\nCOMP_WORDS=(xmppctl user pa); COMP_CWORD=2; _xmppctl\n"
                "echo \"${COMPREPLY[@]}\"\n")
        done = subprocess.run(["bash", "-c", bash], capture_output=True, text=True, check=True)
        self.assertEqual(done.stdout, "passwd\n")

    def test_stop_returns_when_the_process_has_gone(self):
        self.assertEqual(os.stat(self.server.socket).st_mode & 0o777, 0o600)
        self.ctl("stop")
        self.assertEqual(self.server.process.wait(timeout=1), 0)
        self.assertFalse(os.path.exists(self.server.socket))
        self.assertEqual(self.error_code("status", code=3), "unreachable")

    def test_takes_the_place_of_a_dead_server(self):
        self.server.process.send_signal(signal.SIGKILL)
        self.server.process.wait()
        self.assertTrue(os.path.exists(self.server.socket))
        self.ctl("status", code=3)
        self.server.process.stdout.close()
        self.server.start()
        self.ctl("status")

    def test_refuses_the_place_of_a_live_server(self):
        with tempfile.TemporaryDirectory(prefix="xmppd-cli-") as other:
            config = os.path.join(other, "xmppd.toml")
            with open(config, "w", encoding="utf-8") as file:
                file.write(CONFIG.replace('"control.sock"', json.dumps(self.server.socket)))
            done = subprocess.run([XMPPD, "--config", config], capture_output=True, text=True,
                                  timeout=60, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("another server answers there", done.stderr)
        self.ctl("status")

    def test_protocol(self):
        with socket.socket(socket.AF_UNIX) as raw:
            raw.connect(self.server.socket)
            raw.sendall(b'{"id":1,"command":"status"}\n{"id":"two","command":"statis"}\nx\n'
                        b'{"id":3,"command":"session.list"}\n')
            lines = raw.makefile("r", encoding="utf-8")
            answers = [json.loads(lines.readline()) for _ in range(4)]
            self.assertEqual([answer["id"] for answer in answers], [1, "two", None, 3])
            self.assertEqual(answers[1]["error"]["code"], "unknown-command")
            self.assertEqual(answers[2]["error"]["code"], "bad-request")
            self.assertEqual(answers[3]["result"], [])
            try:
                raw.sendall(b"x" * 2_000_000)
            except BrokenPipeError:
                pass  # it had read enough
            self.assertEqual(json.loads(lines.readline())["error"]["code"], "too-large")
        self.ctl("status")

    def test_arguments_of_other_types(self):
        cases = [("module.info", {"module": 5}), ("host.add", {"host": ["a.example"]}),
                 ("user.delete", {"jid": None}), ("config.reload", {"dry-run": "yes"}),
                 ("user.add", {"jid": "a@localhost", "password": 7}), ("host.add", {}),
                 ("user.delete", {"jid": "a@localhost", "force": True})]
        with socket.socket(socket.AF_UNIX) as raw:
            raw.settimeout(20)
            raw.connect(self.server.socket)
            lines = raw.makefile("r", encoding="utf-8")
            for number, (command, arguments) in enumerate(cases):
                with self.subTest(command, arguments=arguments):
                    request = {"id": number, "command": command, "args": arguments}
                    raw.sendall(json.dumps(request).encode() + b"\n")
                    answer = json.loads(lines.readline())
                    self.assertEqual(answer["id"], number)
                    self.assertEqual(answer["error"]["code"], "bad-argument")
            raw.sendall(b'{"id":1,"command":"status","args":[]}\n{"id":2,"command":7}\n')
            for _ in range(2):
                self.assertEqual(json.loads(lines.readline())["error"]["code"], "bad-request")
        self.ctl("status")

    def test_who_goes_before_the_answer(self):
        """A long answer, and nobody who reads it."""
        for number in range(3):
            self.ctl("user", "add", f"user{number}@localhost", "--password", "x")
        line = b'{"id":1,"command":"module.list","stream":true}\n' * 500
        for _ in range(3):
            with socket.socket(socket.AF_UNIX) as raw:
                raw.connect(self.server.socket)
                raw.settimeout(0.2)
                try:
                    raw.sendall(line)
                except OSError:
                    pass  # it reads no more than it can answer
        self.ctl("status")

    def test_long_lists_come_in_items(self):
        for name in ("a", "b", "c"):
            self.ctl("user", "add", f"{name}@localhost", "--password", "x")
        with socket.socket(socket.AF_UNIX) as raw:
            raw.connect(self.server.socket)
            request = {"command": "user.list", "args": {"host": "localhost"}}
            for id_, stream in ((1, True), (2, False)):
                raw.sendall(json.dumps({**request, "id": id_, "stream": stream}).encode() + b"\n")
            raw.sendall(b'{"id":3,"command":"status","stream":1}\n')
            lines = raw.makefile("r", encoding="utf-8")
            answers = [json.loads(lines.readline()) for _ in range(6)]
        self.assertEqual([answer["id"] for answer in answers], [1, 1, 1, 1, 2, 3])
        self.assertEqual([answer["item"]["jid"][0] for answer in answers[:3]], ["a", "b", "c"])
        self.assertEqual(answers[3]["result"], [])
        self.assertEqual(answers[4]["result"], [answer["item"] for answer in answers[:3]])
        self.assertEqual(answers[5]["error"]["code"], "bad-request")

    @unittest.skipUnless(os.geteuid() == 0, "only root may become somebody else")
    def test_strangers_are_refused(self):
        """Even where somebody has opened the socket's file to all."""
        os.chmod(self.directory.name, 0o755)
        os.chmod(self.server.socket, 0o666)
        script = """
import os, socket, sys
os.setuid(65534)
raw = socket.socket(socket.AF_UNIX)
raw.connect(sys.argv[1])
try:
    raw.sendall(b'{"id":1,"command":"status"}\\n')
except BrokenPipeError:
    pass  # it has answered and closed already
print(raw.makefile().readline())
"""
        done = subprocess.run(["/usr/bin/python3", "-c", script, self.server.socket],
                              capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(json.loads(done.stdout)["error"]["code"], "forbidden")
        self.ctl("status")

    def test_too_many_connections(self):
        held = []
        for _ in range(64):
            raw = socket.socket(socket.AF_UNIX)
            self.addCleanup(raw.close)
            raw.connect(self.server.socket)
            held.append(raw)
        self.assertEqual(self.error_code("status"), "unavailable")
        held.pop().close()
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            done = subprocess.run([XMPPCTL, "--socket", self.server.socket, "status"],
                                  capture_output=True, check=False)
            if done.returncode == 0:
                return
        self.fail("the place of a closed connection was not freed")


class Terminal:
    """xmppctl on a terminal of its own."""

    def __init__(self, server, *arguments):
        self.master, self.slave = os.openpty()
        self.text = ""
        self.child = subprocess.Popen([XMPPCTL, "--socket", server.socket, *arguments],
                                      stdin=self.slave, stdout=self.slave, stderr=self.slave)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.child.kill()
        self.child.wait()
        os.close(self.master)
        os.close(self.slave)

    def echoes(self):
        return bool(termios.tcgetattr(self.slave)[3] & termios.ECHO)

    def expect(self, part):
        while part not in self.text:
            readable, _, _ = select.select([self.master], [], [], 20)
            if not readable:
                raise AssertionError(f"no {part!r}: {self.text!r}")
            self.text += os.read(self.master, 4096).decode()

    def answer(self, prompt, line):
        """Types the line when it is asked for and does not show."""
        self.expect(prompt)
        deadline = time.monotonic() + 20
        while self.echoes():
            if time.monotonic() > deadline:
                raise AssertionError("the terminal shows what is typed")
            time.sleep(0.01)
        os.write(self.master, line.encode())

    def end(self):
        return self.child.wait(timeout=20)


class Prompts(unittest.TestCase):
    """Passwords asked for on a terminal."""

    @classmethod
    def setUpClass(cls):
        directory = tempfile.TemporaryDirectory(prefix="xmppd-cli-")
        cls.addClassCleanup(directory.cleanup)
        cls.server = Xmppd(directory.name)
        cls.addClassCleanup(cls.server.end)
        cls.server.start()

    def test_asked_twice_and_never_shown(self):
        with Terminal(self.server, "user", "add", "alice@localhost") as terminal:
            terminal.answer("Password: ", "pencil\n")
            terminal.answer("The same again: ", "pencil\n")
            self.assertEqual(terminal.end(), 0)
            terminal.expect("created")
            self.assertNotIn("pencil", terminal.text)
            self.assertTrue(terminal.echoes())
        Client(self.server.port, "alice", "pencil", "r").close()

    def test_two_that_differ(self):
        with Terminal(self.server, "user", "add", "bob@localhost") as terminal:
            terminal.answer("Password: ", "one\n")
            terminal.answer("The same again: ", "other\n")
            self.assertEqual(terminal.end(), 2)
            terminal.expect("the two passwords differ")

    def test_no_answer(self):
        for typed, prompts in (("\x04", 1), ("x\n", 2)):
            with Terminal(self.server, "user", "add", "bob@localhost") as terminal:
                terminal.answer("Password: ", typed)
                if prompts == 2:
                    terminal.answer("The same again: ", "\x04")
                self.assertEqual(terminal.end(), 2)
                terminal.expect("no password")

    def test_an_interrupt_brings_the_echo_back(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            with Terminal(self.server, "user", "add", "bob@localhost") as terminal:
                terminal.answer("Password: ", "half")
                terminal.child.send_signal(number)
                self.assertEqual(terminal.end(), 128 + number)
                self.assertTrue(terminal.echoes())


class Configuration(unittest.TestCase):
    def check(self, text, *arguments):
        with tempfile.TemporaryDirectory(prefix="xmppd-cli-") as directory:
            path = os.path.join(directory, "x.toml")
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
            return subprocess.run([XMPPD, "--config", path, *arguments], capture_output=True,
                                  text=True, timeout=60, check=False)

    def test_check_config(self):
        self.assertEqual(self.check(CONFIG, "--check-config").returncode, 0)
        wrong = self.check("[server]\nwokers = 2\n", "--check-config")
        self.assertEqual(wrong.returncode, 2)
        self.assertRegex(wrong.stderr, r"x\.toml:2:1: .*workers")
        absent = self.check('[host."a.example"]\ncertificate = "a.crt"\nkey = "a.key"\n',
                            "--check-config")
        self.assertEqual(absent.returncode, 2)
        self.assertRegex(absent.stderr, r"x\.toml:2:\d+: .*cannot read .*a\.crt")
        directory = self.check('[host."a.example"]\ncertificate = "/"\nkey = "a.key"\n',
                               "--check-config")
        self.assertEqual(directory.returncode, 2)
        self.assertRegex(directory.stderr, r"x\.toml:2:\d+: .*cannot read /: Is a directory")
        self.assertEqual(subprocess.run([XMPPD], capture_output=True, check=False).returncode, 2)
        self.assertEqual(
            subprocess.run([XMPPD, "--bogus"], capture_output=True, check=False).returncode, 2)

    def test_output_that_nobody_gets(self):
        for arguments in (["--version"], ["--help"], ["--dev", "--check-config"]):
            with tempfile.TemporaryDirectory(prefix="xmppd-cli-") as directory, \
                    open("/dev/full", "w", encoding="utf-8") as full:
                done = subprocess.run([XMPPD, *arguments], stdout=full, stderr=subprocess.PIPE,
                                      text=True, timeout=60, cwd=directory, check=False)
            self.assertEqual(done.returncode, 1, arguments)
            self.assertIn("cannot write to standard output", done.stderr)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1] + sys.argv[3:])
