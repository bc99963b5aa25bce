"""What every file of wire tests starts with: an xmppd of its own, and people who chat meanwhile.

    class Streams(WireTest):
        limits = "auth_failures = 2"        # lines of [limits]; also server, listen, profile, hosts

Each class has a server on a loopback address of its own (port 0) and four well-behaved clients
that send each other numbered messages without a pause, over both kinds of TLS and across the
workers. After every test they must still be making progress; in the end not one message may be
missing or out of order. So each test of bad input shows as well that it harms nobody else.
"""

import glob
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "interop"))

import processes  # noqa: E402  (the interop tests' processes, ports and certificates)
import wire  # noqa: E402

PASSWORD = "pencil of control"
SANITIZED = bool(os.environ.get("XMPP_SANITIZED"))
# How long the sanitizers may take where a plain build would be quick.
PATIENCE = 4 if SANITIZED else 1


def bin_dir():
    return os.environ["XMPPD_BIN_DIR"]


def program(name):
    path = os.path.join(bin_dir(), name)
    if not os.access(path, os.X_OK):
        raise unittest.SkipTest(f"{name} has not been built")
    return path


class Server:
    """A running xmppd: its process, ports and files."""

    def __init__(self, directory, config, name="xmppd"):
        self.directory = directory
        self.config = config
        self.children = processes.Children(directory)
        self.child = self.children.start(name, [program("xmppd"), "--config", config])
        try:
            line = self.child.line(lambda text: text.startswith("xmppd ready"), 30 * PATIENCE)
        except processes.Failure:
            self.stop()
            raise
        # Of several listeners of one service the first is the usual one.
        self.ready = dict(reversed(re.findall(r"(\S+)=(\S+)", line)))
        self.address, port = self.ready["c2s"].split(",")[0].rsplit(":", 1)
        self.port = int(port)
        self.direct_port = int(self.ready["c2s-direct-tls"].split(",")[0].rsplit(":", 1)[1])
        self.log_path = os.path.join(directory, f"{name}.log")

    def cpu_ns(self):
        """What its threads have used of the processors, in nanoseconds."""
        spent = 0
        for path in glob.glob(f"/proc/{self.child.process.pid}/task/*/schedstat"):
            with open(path, encoding="ascii") as file:
                spent += int(file.read().split()[0])
        return spent

    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as file:
            return file.read()

    def wait_for_log(self, text, times=1):
        """The log is written by a thread of its own."""
        deadline = time.monotonic() + 5 * PATIENCE
        while self.log().count(text) < times:
            if time.monotonic() > deadline:
                raise AssertionError(f"the log does not say {text!r}")
            time.sleep(0.02)

    def check_memory(self, before_kib, most_kib):
        """Has it grown by no more than that? Sanitizers keep freed memory: unknown."""
        grown = self.memory_kib() - before_kib
        if grown > most_kib and not SANITIZED:
            raise AssertionError(f"the memory of xmppd grew by {grown} KiB")

    def memory_kib(self):
        """Resident memory of the process."""
        with open(f"/proc/{self.child.process.pid}/status", encoding="ascii") as file:
            return int(re.search(r"VmRSS:\s+(\d+)", file.read()).group(1))

    def stop(self):
        self.children.__exit__()


def write_config(directory, address, *, server="", limits="", listen="", profile="", hosts=None,
                 modules="", level="info", storage="", register=""):
    """The configuration of a wire test's server; everything on one loopback address, port 0."""
    hosts = {"localhost": ""} if hosts is None else hosts
    hosts = "\n".join(f'[host."{name}"]\n{lines}' for name, lines in hosts.items())
    listen = listen or processes.listeners(address)
    path = os.path.join(directory, "xmppd.toml")
    with open(path, "w", encoding="utf-8") as file:
        file.write(f"""\
[server]
workers = 2
data_dir = "{directory}/data"
control_socket = "{directory}/control.sock"
{server}
[log]
level = "{level}"
[storage]
{storage}
[limits]
{limits}
{listen.replace("ADDRESS", address)}
[profile.default]
{modules}
[profile.default.module.register]
allow = "loopback"
{register}
[profile.default.auth]
scram_iterations = 4096
{profile}
{hosts}
""")
    return path


class Refused(Exception):
    """What the control socket said."""

    def __init__(self, error):
        super().__init__(f"{error['code']}: {error['text']}")
        self.code, self.text = error["code"], error["text"]


def control_command(directory, command, **args):
    """Asks the server whose data lie there, over its control socket; Refused for an error."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(60 * PATIENCE)
        connection.connect(os.path.join(directory, "control.sock"))
        request = {"id": 1, "command": command, "args": args}
        connection.sendall(json.dumps(request).encode() + b"\n")
        line = connection.makefile("rb").readline()
    answer = json.loads(line)
    if "error" in answer:
        raise Refused(answer["error"])
    return answer["result"]


class Postgres:
    """A PostgreSQL of its own, on a Unix socket in a directory with a short name."""

    SCRIPT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support", "postgres")

    def __init__(self):
        self.directory = tempfile.mkdtemp(prefix="xmppd-pg-", dir="/tmp")
        self.connection = self.run("start").strip()
        self.lines = f'driver = "postgresql"\nconnection = "{self.connection}"\n'

    def run(self, command):
        """start, halt, resume, freeze, thaw, stop"""
        return subprocess.run([self.SCRIPT, command, self.directory], check=True, text=True,
                              stdout=subprocess.PIPE).stdout

    def query(self, text):
        """The answer of psql."""
        return subprocess.run(["psql", "-XqAt", "-v", "ON_ERROR_STOP=1", self.connection],
                              input=text, check=True, text=True, stdout=subprocess.PIPE).stdout

    def stop(self):
        self.run("stop")


class Control:
    """Four clients in a ring: each sends numbered messages to the next, without a pause."""

    NAMES = ("ctl-a", "ctl-b", "ctl-c", "ctl-d")

    def __init__(self, server, domain="localhost"):
        self._failure = None
        self._stop = threading.Event()
        self._wires = []
        for number, name in enumerate(self.NAMES):
            with wire.Wire(server.address, server.port) as first:
                first.open(domain)
                first.secure(domain)
                first.register(name, PASSWORD, domain)
            direct = number % 2 == 1
            client = wire.Wire(server.address, server.direct_port if direct else server.port)
            if direct:
                client.start_tls(server_name=domain)
            client.login(name, PASSWORD, "control", domain)
            client.send("<presence/>")
            self._wires.append(client)
        self.sent = [0] * len(self._wires)
        self.seen = [0] * len(self._wires)
        self._sending = True
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        try:
            while not self._stop.is_set():
                for index, client in enumerate(self._wires):
                    if self._sending:
                        self._say(index, client)
                    for item in client.ready():
                        self._take(index, item)
                self._stop.wait(0.01)
        except Exception as error:  # told by check()
            self._failure = error

    def _say(self, index, client):
        to = self._wires[(index + 1) % len(self._wires)].jid
        client.send(f"<message to='{to}' type='chat' id='{self.sent[index]}'>"
                    f"<body>{self.sent[index]}</body></message>")
        self.sent[index] += 1

    def _take(self, index, item):
        if getattr(item, "tag", "") == f"{{{wire.CLIENT}}}presence":
            return
        body = None if isinstance(item, (wire.Closed, wire.StreamEnd)) else item.findtext(
            f"{{{wire.CLIENT}}}body")
        if body != str(self.seen[index]):
            raise wire.WireError(f"{self._wires[index].jid} waits for message {self.seen[index]}, "
                                 f"got {wire.ET.tostring(item) if hasattr(item, 'tag') else item}")
        self.seen[index] += 1

    def check(self, seconds=10):
        """Everybody makes progress from now on; raises what went wrong, if anything did."""
        goal = [count + 2 for count in self.sent]
        self._wait(lambda i: self.seen[i] >= goal[i - 1], seconds)

    def finish(self, seconds=10):
        """The end: whatever was sent has arrived."""
        self._sending = False
        time.sleep(0.02)
        self._wait(lambda i: self.seen[i] == self.sent[i - 1], seconds)
        self._stop.set()
        self._thread.join()
        for client in self._wires:
            client.close()
        return sum(self.seen)

    def _wait(self, is_done, seconds):
        deadline = time.monotonic() + seconds * PATIENCE
        while not all(is_done(i) for i in range(len(self._wires))):
            if self._failure:
                raise AssertionError(f"the control session was harmed: {self._failure}")
            for client in self._wires:
                if client._closed:
                    raise AssertionError(f"the control session ended: {client._closed}")
            if time.monotonic() > deadline:
                raise AssertionError(f"the control session stalls: sent {self.sent}, "
                                     f"received {self.seen}")
            time.sleep(0.01)


class WireTest(unittest.TestCase):
    """A class of tests with one server and one control session."""

    server_lines = ""
    limits = ""
    listen = ""
    profile = ""
    modules = ""
    hosts = None
    level = "info"
    storage = ""
    control_domain = "localhost"
    users = {"alice": "alice's secret", "bob": "bob's secret"}

    @classmethod
    def setUpClass(cls):
        cls._temporary = tempfile.TemporaryDirectory(prefix="xmppd-wire-")
        cls.directory = cls._temporary.name
        cls.prepare()
        config = write_config(cls.directory, processes.loopback(), server=cls.server_lines,
                              limits=cls.limits, listen=cls.listen, profile=cls.profile,
                              hosts=cls.hosts, modules=cls.modules, level=cls.level,
                              storage=cls.storage)
        cls.server = Server(cls.directory, config)
        cls.addClassCleanup(cls._temporary.cleanup)
        cls.addClassCleanup(cls.server.stop)
        cls.control = Control(cls.server, cls.control_domain)
        with cls.connect() as client:
            client.open(cls.control_domain)
            client.secure(cls.control_domain)
            for name, password in cls.users.items():
                client.register(name, password, cls.control_domain)

    @classmethod
    def prepare(cls):
        """For files that the configuration needs."""

    @classmethod
    def tearDownClass(cls):
        cls.control.finish()
        process = cls.server.child.process
        ended = process.poll()
        if ended is None:
            # An orderly end, so that sanitizers speak of leaks too.
            process.terminate()
            ended = process.wait(20 * PATIENCE)
        log = cls.server.log()
        if ended != 0 or "Sanitizer" in log or "runtime error" in log:
            raise AssertionError(f"xmppd ended with {ended}\n{cls.server.child.tail()}")

    def tearDown(self):
        try:
            self.control.check()
        except AssertionError:
            sys.stderr.write(self.server.child.tail() + "\n")
            raise

    # ---- connections

    @classmethod
    def connect(cls, **options):
        """A connection to the STARTTLS port; nothing has been said."""
        return wire.Wire(cls.server.address, cls.server.port, **options)

    @classmethod
    def connect_direct(cls, **options):
        """A connection to the port with direct TLS; the handshake is the test's."""
        return wire.Wire(cls.server.address, cls.server.direct_port, **options)

    @classmethod
    def secured(cls, **options):
        """A stream inside TLS, not authenticated."""
        client = cls.connect(**options)
        client.open(cls.control_domain)
        client.secure(cls.control_domain)
        return client

    @classmethod
    def session(cls, user="alice", resource="", **options):
        """A bound session."""
        return cls.connect(**options).login(user, cls.users[user], resource, cls.control_domain)

    def stages(self):
        """(name, connection) of a stream in each stage of its life."""
        yield "clear", self.connect()
        yield "tls", self.secured()
        yield "session", self.session()


def add_tests(cls, template, rows):
    """One named test per row: rows are (name, arguments...), template(self, arguments...)."""
    for name, *arguments in rows:
        def test(self, arguments=arguments):
            template(self, *arguments)
        test.__name__ = "test_" + name
        assert not hasattr(cls, test.__name__), name
        setattr(cls, test.__name__, test)


def main():
    # Python warns of TLS 1.0, which is asked for to be refused, and of sockets that are not closed.
    unittest.main(verbosity=2, warnings="ignore")
