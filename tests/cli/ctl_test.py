"""xmppctl alone, against a server of the test's own: how long it waits, what it does with the
terminal, and with an output that takes nothing.

Usage: ctl_test.py XMPPCTL [TEST...]
"""
import json
import os
import pty
import select
import signal
import socket
import subprocess
import sys
import tempfile
import termios
import threading
import time
import unittest

XMPPCTL = sys.argv[1]

CATALOGUE = [
    {"command": "weather", "group": "", "name": "weather", "help": "Tell", "arguments": []},
    {"command": "lock", "group": "", "name": "lock", "help": "Lock", "arguments": [
        {"name": "password", "type": "new-password", "help": "", "required": True,
         "option": True}]}]


class Server:
    """Says which commands there are; keeps other requests and gives them `answer` if it is set."""

    def __init__(self, path):
        self.answer = None
        self.requests = []
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        self.listener.listen()
        self.thread = threading.Thread(target=self.serve)
        self.thread.start()

    def serve(self):
        while True:
            try:
                peer = self.listener.accept()[0]
            except OSError:
                return
            with peer, peer.makefile("rw", encoding="utf-8") as lines:
                for line in lines:
                    request = json.loads(line)
                    if request["command"] == "catalogue":
                        result = CATALOGUE
                    else:
                        self.requests.append(request)
                        result = self.answer
                    if result is not None:
                        lines.write(json.dumps({"id": request["id"], "result": result}) + "\n")
                        lines.flush()

    def end(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.thread.join()
        self.listener.close()


class CtlTest(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.TemporaryDirectory(prefix="xmppctl-")
        self.addCleanup(self.directory.cleanup)
        self.socket = os.path.join(self.directory.name, "s")
        self.server = Server(self.socket)
        self.addCleanup(self.server.end)

    def ctl(self, *arguments, stdout=subprocess.PIPE):
        return subprocess.run([XMPPCTL, "--socket", self.socket, *arguments], stdout=stdout,
                              stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True,
                              timeout=60, check=False)


class Waiting(CtlTest):
    def test_a_command_that_lasts_is_not_an_absent_server(self):
        begun = time.monotonic()
        done = self.ctl("--timeout", "1", "weather")
        self.assertLess(time.monotonic() - begun, 30)
        self.assertEqual(done.returncode, 1)
        self.assertIn("has not finished this within 1 s", done.stderr)
        self.assertNotIn("no server", done.stderr)
        done = self.ctl("weather", "--json", "--timeout=1")
        self.assertEqual(done.returncode, 1)
        self.assertEqual(json.loads(done.stdout)["error"]["code"], "timeout")

    def test_as_long_as_it_takes(self):
        self.server.answer = {"text": "blue"}
        done = self.ctl("weather", "--timeout", "0")
        self.assertEqual((done.returncode, done.stdout), (0, "blue\n"))

    def test_no_such_time(self):
        self.assertEqual(self.ctl("weather", "--timeout", "-1").returncode, 2)
        self.assertEqual(self.ctl("weather", "--timeout", "soon").returncode, 2)


class Output(CtlTest):
    def test_full(self):
        self.server.answer = {"text": "blue"}
        for arguments in (["weather"], ["--help"], ["--version"], ["completion", "bash"]):
            with open("/dev/full", "w", encoding="utf-8") as full:
                done = self.ctl(*arguments, stdout=full)
            self.assertEqual(done.returncode, 1, arguments)
            self.assertIn("cannot write to standard output", done.stderr)


# As much of a shell as job control takes: whoever has no parent in its session is never stopped.
# Says what became of the command, and lets it go on when it is told.
SHELL = """
import os, signal, sys
says, hears = int(sys.argv[1]), int(sys.argv[2])
signal.signal(signal.SIGTTOU, signal.SIG_IGN)
start = os.pipe()
command = os.fork()
if command == 0:
    signal.signal(signal.SIGTTOU, signal.SIG_DFL)
    os.setpgid(0, 0)
    os.read(start[0], 1)
    os.execv(sys.argv[3], sys.argv[3:])
os.setpgid(command, command)
os.tcsetpgrp(0, command)
os.write(start[1], b"x")
while True:
    status = os.waitpid(command, os.WUNTRACED)[1]
    if os.WIFSTOPPED(status):
        os.write(says, b"stopped\\n")
        os.read(hears, 1)
        os.kill(-command, signal.SIGCONT)
    else:
        os.write(says, b"exit %d\\n" % os.waitstatus_to_exitcode(status))
        os.read(hears, 1)
        break
"""


class Terminal(CtlTest):
    """Passwords typed on a terminal."""

    def setUp(self):
        super().setUp()
        self.server.answer = {"text": "locked"}
        hears, says = os.pipe(), os.pipe()
        self.pid, self.terminal = pty.fork()
        if self.pid == 0:
            for number in (says[1], hears[0]):
                os.set_inheritable(number, True)
            os.execv(sys.executable, [sys.executable, "-c", SHELL, str(says[1]), str(hears[0]),
                                      XMPPCTL, "--socket", self.socket, "lock"])
        self.go = hears[1]
        self.told = os.fdopen(says[0], "rb")
        self.addCleanup(self.told.close)
        for number in (says[1], *hears, self.terminal):
            self.addCleanup(os.close, number)
        self.addCleanup(os.waitpid, self.pid, 0)
        self.addCleanup(os.kill, self.pid, signal.SIGKILL)
        self.seen = ""

    def expect(self, text):
        while text not in self.seen:
            self.assertTrue(select.select([self.terminal], [], [], 30)[0], self.seen)
            self.seen += os.read(self.terminal, 4096).decode()
        self.seen = self.seen[self.seen.index(text) + len(text):]

    def expect_told(self, text):
        self.assertTrue(select.select([self.told], [], [], 30)[0], self.seen)
        self.assertEqual(self.told.readline().decode().strip(), text)

    def type(self, text):
        os.write(self.terminal, text.encode())

    def has_echo(self):
        return bool(termios.tcgetattr(self.terminal)[3] & termios.ECHO)

    def test_both_lines_pasted_at_once(self):
        self.expect("Password: ")
        self.type("secret\nsecret\n")
        self.expect("locked")
        self.expect_told("exit 0")
        self.assertEqual(self.server.requests[0]["args"], {"password": "secret"})

    def test_stopped_and_continued(self):
        self.expect("Password: ")
        self.assertFalse(self.has_echo())
        self.type("\x1a")  # Ctrl-Z
        self.expect_told("stopped")
        self.assertTrue(self.has_echo())
        os.write(self.go, b"x")
        self.expect("Password: ")
        self.assertFalse(self.has_echo())
        self.type("secret\n")
        self.expect("again: ")
        self.type("secret\n")
        self.expect("locked")
        self.expect_told("exit 0")
        self.assertTrue(self.has_echo())
        self.assertEqual(self.server.requests[0]["args"], {"password": "secret"})

    def test_interrupted(self):
        self.expect("Password: ")
        self.type("\x03")
        self.expect_told(f"exit {128 + signal.SIGINT}")
        self.assertTrue(self.has_echo())
        self.assertEqual(self.server.requests, [])


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[2:]])
