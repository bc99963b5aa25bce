"""Sessions that outlive the server: stream management (XEP-0198) over SIGTERM and kill -9."""

import os
import signal
import sqlite3
import tempfile
import time
import unittest

import wire
from harness import PATIENCE, Server, control_command, main, processes, write_config
from wire import CLIENT, STREAM

SM = "urn:xmpp:sm:3"


class Restart(unittest.TestCase):
    """The same client, before and after the end of the process."""

    def setUp(self):
        temporary = tempfile.TemporaryDirectory(prefix="xmppd-wire-")
        self.addCleanup(temporary.cleanup)
        self.directory = temporary.name
        self.start()
        for name in ("alice", "bob"):
            with wire.Wire(self.server.address, self.server.port) as client:
                client.open()
                client.secure()
                client.register(name, "secret")

    def start(self):
        config = write_config(self.directory, processes.loopback())
        self.server = Server(self.directory, config)
        self.addCleanup(self.server.stop)

    def end(self, how):
        self.server.child.process.send_signal(how)
        self.server.child.process.wait(20 * PATIENCE)
        self.start()

    def wait_until_stored(self, id):
        """What is acknowledged is stored a little later; without it a session does not go on."""
        path = os.path.join(self.directory, "data", "xmppd.db")
        deadline = time.monotonic() + 10 * PATIENCE
        while time.monotonic() < deadline:
            database = sqlite3.connect(path, timeout=5)
            row = database.execute("SELECT presence FROM sm_sessions WHERE id = ?",
                                   (id,)).fetchone()
            database.close()
            if row and row[0]:
                return
            time.sleep(0.02)
        self.fail("the session is not stored")

    def session(self, user, resource):
        client = wire.Wire(self.server.address, self.server.port)
        self.addCleanup(client.close)
        return client.login(user, "secret", resource)

    def enabled(self, user, resource):
        client = self.session(user, resource)
        client.send(f"<enable xmlns='{SM}' resume='true'/>")
        answer = client.element(f"{{{SM}}}enabled")
        self.assertEqual(answer.get("resume"), "true")
        return client, answer.get("id")

    def resume(self, user, id, h):
        client = wire.Wire(self.server.address, self.server.port)
        self.addCleanup(client.close)
        client.open()
        client.secure()
        wire.authenticate(client, wire.Scram(user, "secret"))
        client.new_stream()
        client.open()
        client.send(f"<resume xmlns='{SM}' previd='{id}' h='{h}'/>")
        return client, client.element()

    def acknowledged(self, client, seconds=10):
        """What the server has dealt with, once it says so."""
        client.send(f"<r xmlns='{SM}'/>")
        while True:
            element = client.element(seconds=seconds)
            if element.tag == f"{{{SM}}}a":
                return int(element.get("h"))

    def wait_until_detached(self, jid):
        """Until the server has noticed the end of its link. What it wrote to the link before that
        counts as delivered, so an acknowledgement promises nothing about a kill -9."""
        deadline = time.monotonic() + 10 * PATIENCE
        while True:
            sessions = control_command(self.directory, "session.list")
            if any(one["jid"] == jid and one["detached"] for one in sessions):
                return
            self.assertLess(time.monotonic(), deadline, sessions)
            time.sleep(0.01)

    def bodies(self, client, count):
        found = []
        while len(found) < count:
            element = client.element()
            if element.tag == f"{{{CLIENT}}}message":
                found.append(element.find(f"{{{CLIENT}}}body").text)
        return found

    def test_kill_while_connected(self):
        alice, id = self.enabled("alice", "a")
        alice.send("<presence/>")
        alice.element(f"{{{CLIENT}}}presence")
        for number in range(3):
            alice.send("<message to='alice@localhost/a' type='chat'>"
                       f"<body>{number}</body></message>")
        self.assertEqual(self.bodies(alice, 3), ["0", "1", "2"])
        self.assertEqual(self.acknowledged(alice), 4)
        self.wait_until_stored(id)
        self.end(signal.SIGKILL)
        # It is still there, and others see it.
        bob = self.session("bob", "b")
        bob.send("<message to='alice@localhost' type='chat'><body>after</body></message>")
        alice, answer = self.resume("alice", id, 4)
        self.assertEqual(answer.tag, f"{{{SM}}}resumed")
        self.assertEqual(answer.get("h"), "4")
        self.assertEqual(self.bodies(alice, 1), ["after"])
        self.assertEqual(self.acknowledged(alice), 4)
        # Once more: it goes on counting.
        alice.send("<message to='alice@localhost/a' type='chat'><body>x</body></message>")
        self.assertEqual(self.bodies(alice, 1), ["x"])
        self.assertEqual(self.acknowledged(alice), 5)
        self.end(signal.SIGKILL)
        alice, answer = self.resume("alice", id, 6)
        self.assertEqual((answer.tag, answer.get("h")), (f"{{{SM}}}resumed", "5"))

    def test_kill_while_detached(self):
        alice, id = self.enabled("alice", "a")
        alice.send("<presence/>")
        alice.element(f"{{{CLIENT}}}presence")
        alice.close()
        self.wait_until_detached("alice@localhost/a")
        bob, bob_id = self.enabled("bob", "b")
        for number in range(5):
            bob.send(f"<message to='alice@localhost' type='chat'><body>{number}</body></message>")
        # What is acknowledged is stored. It may be told in two steps.
        handled = self.acknowledged(bob)
        while handled < 5:
            handled = self.acknowledged(bob)
        self.end(signal.SIGKILL)
        alice, answer = self.resume("alice", id, 1)
        self.assertEqual(answer.tag, f"{{{SM}}}resumed")
        self.assertEqual(self.bodies(alice, 5), ["0", "1", "2", "3", "4"])
        bob, answer = self.resume("bob", bob_id, 0)
        self.assertEqual((answer.tag, answer.get("h")), (f"{{{SM}}}resumed", "5"))

    def test_stop_and_start(self):
        alice, id = self.enabled("alice", "a")
        alice.send("<presence/>")
        alice.element(f"{{{CLIENT}}}presence")
        alice.send("<message to='alice@localhost/a' type='chat'><body>unseen</body></message>")
        self.bodies(alice, 1)
        self.end(signal.SIGTERM)
        while True:
            element = alice.element()
            if element.tag == f"{{{STREAM}}}error":
                break
        self.assertEqual(element[0].tag.partition("}")[2], "system-shutdown")
        alice, answer = self.resume("alice", id, 1)
        self.assertEqual((answer.tag, answer.get("h")), (f"{{{SM}}}resumed", "2"))
        self.assertEqual(self.bodies(alice, 1), ["unseen"])
        # Somebody else's stream, and one that has ended, are not resumed.
        bob, answer = self.resume("bob", id, 0)
        self.assertEqual(answer.tag, f"{{{SM}}}failed")
        alice.send("</stream:stream>")
        self.assertIsInstance(self.last(alice), wire.Closed)
        time.sleep(1)  # nobody says when that was stored
        self.end(signal.SIGKILL)
        alice, answer = self.resume("alice", id, 2)
        self.assertEqual(answer.tag, f"{{{SM}}}failed")
        answer = alice.ask_bind("again")
        self.assertEqual(answer.get("type"), "result")

    def last(self, client):
        while True:
            item = client.next()
            if isinstance(item, wire.Closed):
                return item


if __name__ == "__main__":
    main()
