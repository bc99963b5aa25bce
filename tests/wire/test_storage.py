"""The database goes, stops answering, is full: who chats goes on chatting, and it all comes back.

The control session (harness.Control) chats through every test; what needs the database must get an
error in time while it is away, and work again when it is back.
"""

import os
import sqlite3
import time

import harness
import wire

ROSTER = "jabber:iq:roster"


class StorageTest(harness.WireTest):
    """Roster sets and logins, with and without a database."""

    items = 0

    def set_item(self, client, seconds=20):
        """Adds a contact that is new: "result", or (type, condition) of the error."""
        StorageTest.items += 1
        number = StorageTest.items
        client.send(f"<iq type='set' id='s{number}'><query xmlns='{ROSTER}'>"
                    f"<item jid='friend{number}@localhost'/></query></iq>")
        answer = client.element(f"{{{wire.CLIENT}}}iq", seconds)
        return answer.get("type") if answer.get("type") == "result" else wire.stanza_error(answer)

    def try_login(self, user):
        with self.connect() as client:
            client.open()
            client.secure()
            return wire.authenticate(client, wire.Scram(user, self.users[user], "SCRAM-SHA-256"))

    def check_comes_back(self, client, seconds=20):
        deadline = time.monotonic() + seconds
        while self.set_item(client) != "result":
            self.assertLess(time.monotonic(), deadline, "it does not come back")
            time.sleep(0.2)
        self.assertEqual(self.try_login("bob").tag, f"{{{wire.SASL}}}success")

    def check_without(self, client, seconds):
        """Errors in time, and the others chat."""
        before = time.monotonic()
        _, condition = self.set_item(client)
        self.assertIn(condition, ("internal-server-error", "resource-constraint"))
        self.control.check()
        failure = self.try_login("bob")
        self.assertEqual(failure.tag, f"{{{wire.SASL}}}failure")
        self.assertEqual(failure[0].tag, f"{{{wire.SASL}}}temporary-auth-failure")
        self.assertLess(time.monotonic() - before, seconds * harness.PATIENCE)
        self.control.check()


class DatabaseGone(StorageTest):

    @classmethod
    def prepare(cls):
        cls.postgres = harness.Postgres()
        cls.addClassCleanup(cls.postgres.stop)
        cls.storage = cls.postgres.lines + 'timeout = "1s"'

    def test_stopped(self):
        with self.session() as client:
            self.assertEqual(self.set_item(client), "result")
            self.postgres.run("halt")
            try:
                self.check_without(client, 10)
            finally:
                self.postgres.run("resume")
            self.check_comes_back(client)

    def test_block_list(self):
        """What could not be stored does not count when the database is back."""
        blocking = "urn:xmpp:blocking"

        def ask(client, kind, what, seconds=20):
            client.send(f"<iq type='{kind}' id='b'>{what}</iq>")
            return client.element(f"{{{wire.CLIENT}}}iq", seconds)

        def blocked(client):
            answer = ask(client, "get", f"<blocklist xmlns='{blocking}'/>")
            return [item.get("jid") for item in answer.iter(f"{{{blocking}}}item")]

        with self.session() as client:
            self.postgres.run("halt")
            try:
                answer = ask(client, "set", f"<block xmlns='{blocking}'>"
                             "<item jid='bob@localhost'/></block>")
                self.assertEqual(answer.get("type"), "error")
            finally:
                self.postgres.run("resume")
            self.check_comes_back(client)
            deadline = time.monotonic() + 10 * harness.PATIENCE
            while blocked(client):
                self.assertLess(time.monotonic(), deadline, "it is blocked still")
                time.sleep(0.2)

    def test_frozen(self):
        with self.session() as client:
            self.assertEqual(self.set_item(client), "result")
            self.postgres.run("freeze")
            try:
                self.check_without(client, 15)
            finally:
                self.postgres.run("thaw")
            self.check_comes_back(client)

    def test_restarted(self):
        with self.session() as client:
            self.assertEqual(self.set_item(client), "result")
            self.postgres.run("halt")
            self.postgres.run("resume")
            self.assertEqual(self.set_item(client), "result")


class DatabaseLocked(StorageTest):
    storage = 'timeout = "1s"'

    def test_locked(self):
        path = os.path.join(self.directory, "data", "xmppd.db")
        with self.session() as client:
            self.assertEqual(self.set_item(client), "result")
            other = sqlite3.connect(path, isolation_level=None)
            other.execute("BEGIN IMMEDIATE")
            before = time.monotonic()
            _, condition = self.set_item(client)
            self.assertIn(condition, ("internal-server-error", "resource-constraint"))
            self.assertLess(time.monotonic() - before, 10 * harness.PATIENCE)
            self.control.check()
            # Reading goes on.
            self.assertEqual(self.try_login("bob").tag, f"{{{wire.SASL}}}success")
            other.execute("ROLLBACK")
            other.close()
            self.check_comes_back(client)


if __name__ == "__main__":
    harness.main()
