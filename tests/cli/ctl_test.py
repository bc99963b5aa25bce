"""xmppctl alone, against a server of the test's own: how long it waits.

Usage: ctl_test.py XMPPCTL [TEST...]
"""
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest

XMPPCTL = sys.argv[1]

CATALOGUE = [
    {"command": "weather", "group": "", "name": "weather", "help": "Tell", "arguments": []},
    {"command": "lock", "group": "", "name": "lock", "help": "Lock", "arguments": [
        {"name": "password", "type": "new-password", "help": "", "required": True, "option": True}]}]


class Server:
    """Says which commands there are; any other request is kept, and answered by `answer` if that is set."""

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
                              stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True, timeout=60,
                              check=False)


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


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[2:]])
