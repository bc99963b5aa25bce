"""Processes, addresses and certificates for the interop tests.

Everything started through Children dies with the test: at the end of the `with` block, and by the
kernel's parent-death signal when the test itself is killed. Nothing binds to anything but 127/8.
"""

import ctypes
import os
import queue
import random
import shutil
import signal
import socket
import subprocess
import threading
import time


class Skip(Exception):
    """A program that the scenario needs is missing: skipped on a desk, failed in CI."""


class Failure(Exception):
    """The scenario did not show what it had to show."""


_libc = ctypes.CDLL(None, use_errno=True)
_PR_SET_PDEATHSIG = 1


def _die_with_parent():
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def need(program):
    """The path of a program, or Skip."""
    path = shutil.which(program) or shutil.which(program, path="/usr/sbin:/sbin")
    if not path:
        raise Skip(f"{program} is not installed")
    return path


def python():
    """Debian's own interpreter: the python3-* packages of the clients live there."""
    return "/usr/bin/python3"


def listeners(address, *tls):
    """xmppd's [[listen]] tables: of c2s one for each value of `tls`, then one with direct TLS."""
    services = [("c2s", value) for value in tls or ("required",)] + [("c2s-direct-tls", "required")]
    return "".join(f'[[listen]]\nservice = "{service}"\naddress = ["{address}:0"]\n'
                   f'tls = "{value}"\n' for service, value in services)


def loopback():
    """A loopback address of this test's own, so that parallel tests never meet on a port."""
    # 127.0.x.y is left to the programs that expect the usual address.
    return f"127.{random.randint(1, 254)}.{random.randint(0, 254)}.{random.randint(1, 254)}"


def free_ports(address, count):
    """`count` different TCP ports that are free on the address right now."""
    sockets = [socket.socket() for _ in range(count)]
    for s in sockets:
        s.bind((address, 0))
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


def make_certificate(directory, domain):
    """A self-signed ECDSA P-256 certificate of the domain; returns (certificate, key) paths."""
    certificate = os.path.join(directory, f"{domain}.crt")
    key = os.path.join(directory, f"{domain}.key")
    subprocess.run(
        [need("openssl"), "req", "-x509", "-newkey", "ec", "-pkeyopt",
         "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", key, "-out", certificate, "-days",
         "2", "-subj", f"/CN={domain}", "-addext", f"subjectAltName=DNS:{domain}"],
        check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return certificate, key


def wait_for_port(address, port, child, seconds=60):
    """Waits until something listens there; fails at once when the child has ended."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if child.ended():
            raise Failure(f"{child.name} ended with {child.process.returncode}\n{child.tail()}")
        try:
            socket.create_connection((address, port), 1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise Failure(f"{child.name} does not listen on {address}:{port}\n{child.tail()}")


class Child:
    """A process whose standard output is read as lines and whose standard error goes to a file."""

    def __init__(self, name, argv, directory, env=None, cwd=None):
        self.name = name
        self._log = os.path.join(directory, f"{name}.log")
        self._lines = queue.Queue()
        self.seen = []
        with open(self._log, "ab") as log:
            self.process = subprocess.Popen(
                argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, cwd=cwd,
                env={**os.environ, **(env or {})}, start_new_session=True,
                preexec_fn=_die_with_parent)
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            text = line.decode("utf-8", "replace").rstrip("\n")
            self.seen.append(text)
            self._lines.put(text)
        self._lines.put(None)

    def ended(self):
        return self.process.poll() is not None

    def write(self, line):
        self.process.stdin.write((line + "\n").encode())
        self.process.stdin.flush()

    def line(self, predicate, seconds):
        """The first line from now on that satisfies the predicate; Failure when none comes."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                text = self._lines.get(timeout=max(0.01, deadline - time.monotonic()))
            except queue.Empty:
                raise Failure(f"{self.name}: nothing in {seconds} s\n{self.tail()}") from None
            if text is None:
                raise Failure(f"{self.name}: ended unexpectedly\n{self.tail()}")
            if predicate(text):
                return text

    def tail(self):
        """The last of what it said, for the report of a failure."""
        with open(self._log, encoding="utf-8", errors="replace") as log:
            errors = log.read().splitlines()[-40:]
        return "\n".join([f"--- {self.name}: output"] + self.seen[-20:] +
                         [f"--- {self.name}: errors"] + errors)

    def stop(self, seconds=5):
        """SIGTERM, then SIGKILL, to the whole process group."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            if not self.ended():
                try:
                    os.killpg(self.process.pid, number)
                except ProcessLookupError:
                    pass
                try:
                    self.process.wait(seconds)
                except subprocess.TimeoutExpired:
                    continue
        # What the group's leader left behind goes too.
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass


class Children:
    """Every process of a test; all of them are gone when the block ends."""

    def __init__(self, directory):
        self.directory = directory
        self._all = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for child in reversed(self._all):
            child.stop()

    def start(self, name, argv, env=None, cwd=None):
        child = Child(name, argv, self.directory, env, cwd)
        self._all.append(child)
        return child
