"""Tests of login and sessions once more, on PostgreSQL; and that it belongs to one server."""

import os
import tempfile
import time
import unittest

import harness
import test_process
import test_sasl
import test_session
import wire


class OnPostgres:
    """Mixed into a class of tests."""

    @classmethod
    def prepare(cls):
        super().prepare()
        postgres = harness.Postgres()
        cls.addClassCleanup(postgres.stop)
        cls.storage = postgres.lines


class SessionBind(OnPostgres, test_session.Bind):
    pass


class SessionStanzas(OnPostgres, test_session.Stanzas):
    pass


class Sasl(OnPostgres, test_sasl.Sasl):
    pass


class OneServer(unittest.TestCase):
    """A database has one server at a time, wherever that keeps its own files."""

    def setUp(self):
        temporary = tempfile.TemporaryDirectory(prefix="xmppd-wire-")
        self.addCleanup(temporary.cleanup)
        self.directory = temporary.name
        postgres = harness.Postgres()
        self.addCleanup(postgres.stop)
        self.storage = postgres.lines + 'timeout = "2s"\n'

    def config(self, name):
        """The file of a server with a directory of its own."""
        directory = os.path.join(self.directory, name)
        os.mkdir(directory)
        return harness.write_config(directory, harness.processes.loopback(), storage=self.storage)

    def start(self, name):
        config = self.config(name)
        server = harness.Server(os.path.dirname(config), config)
        self.addCleanup(server.stop)
        return server

    def check_refused(self, name, holder):
        """1, after it has waited for who may be about to go, and who it is."""
        began = time.monotonic()
        code, out, err = test_process.run("--config", self.config(name), seconds=30)
        self.assertEqual((code, out), (1, ""), err)
        self.assertRegex(err, "another server uses this database: xmppd on .*, "
                              f"process {holder.child.process.pid}")
        self.assertLess(time.monotonic() - began, 10 * harness.PATIENCE)

    def register(self, server, user):
        with wire.Wire(server.address, server.port) as client:
            client.open()
            client.secure()
            client.register(user, "secret")

    def login(self, server, user):
        return wire.Wire(server.address, server.port).login(user, "secret")

    def check_serves(self, client):
        client.send("<iq type='get' to='localhost' id='p'><ping xmlns='urn:xmpp:ping'/></iq>")
        self.assertEqual(client.element(f"{{{wire.CLIENT}}}iq").get("type"), "result")

    def test_a_second_is_refused(self):
        first = self.start("first")
        self.register(first, "alice")
        with self.login(first, "alice") as alice:
            self.check_refused("second", first)
            self.check_serves(alice)
        # Also what it stores.
        self.register(first, "bob")

    def test_the_next_starts_after_a_kill(self):
        first = self.start("first")
        self.register(first, "alice")
        first.child.process.kill()
        first.child.process.wait(20 * harness.PATIENCE)
        second = self.start("second")
        with self.login(second, "alice") as alice:
            self.check_serves(alice)
            self.check_refused("third", second)
        # Orderly, and the next may start at once.
        second.child.process.terminate()
        self.assertEqual(second.child.process.wait(20 * harness.PATIENCE), 0)
        self.login(self.start("fourth"), "alice").close()


if __name__ == "__main__":
    harness.main()
