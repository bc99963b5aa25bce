"""The database goes, stops answering, is full: who chats goes on chatting, and it all comes back.

The control session (harness.Control) chats through every test; what needs the database must get an
error in time while it is away, and work again when it is back.
"""

import contextlib
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


INTERNAL = "internal-server-error"
CARD = "<vCard xmlns='vcard-temp'>{}</vCard>"
PRIVATE = "<query xmlns='jabber:iq:private'>{}</query>"
REGISTER = "<query xmlns='jabber:iq:register'>{}</query>"
LAST = "<query xmlns='jabber:iq:last'/>"


class DatabaseRefuses(StorageTest):
    """Some tables cannot be written, or not even read: who asked is told, and nothing was done."""

    users = {name: f"{name}'s secret" for name in (
        "alice", "bob", "carol", "erin", "frank", "grace", "heidi", "ivan", "judy", "kim")}

    @contextlib.contextmanager
    def changing(self, before, after):
        path = os.path.join(self.directory, "data", "xmppd.db")
        with contextlib.closing(sqlite3.connect(path, timeout=20)) as database:
            database.executescript(before)
            try:
                yield
            finally:
                database.executescript(after)

    def refusing(self, *tables):
        """Writes fail."""
        kinds = [(kind, table) for table in tables for kind in ("INSERT", "UPDATE", "DELETE")]
        return self.changing(
            "".join(f"CREATE TRIGGER {kind}_{table} BEFORE {kind} ON {table} BEGIN "
                    f"SELECT abs(-9223372036854775807 - 1); END;" for kind, table in kinds),
            "".join(f"DROP TRIGGER {kind}_{table};" for kind, table in kinds))

    def without(self, table):
        """Reading fails, too."""
        old = "PRAGMA legacy_alter_table=ON; ALTER TABLE {} RENAME TO {};"
        return self.changing(old.format(table, "gone"), old.format("gone", table))

    def count(self, table):
        path = os.path.join(self.directory, "data", "xmppd.db")
        with contextlib.closing(sqlite3.connect(path, timeout=20)) as database:
            return database.execute(f"SELECT COUNT(*) FROM {table}").fetchone()[0]

    def wait_for_stored(self, user, count, part=""):
        """Until so many messages, in which this stands, wait for the user in the database."""
        deadline = time.monotonic() + 10 * harness.PATIENCE
        wanted = (f"offline_messages WHERE username = '{user}'"
                  f" AND instr(CAST(stanza AS TEXT), '{part}') > 0")
        while self.count(wanted) != count:
            self.assertLess(time.monotonic(), deadline, f"not {count} stored for {user}")
            time.sleep(0.05)

    number = 0

    def ask(self, client, kind, what, to=None):
        """"result", or the condition; the answer is kept."""
        DatabaseRefuses.number += 1
        name = f"ask{self.number}"
        to = f" to='{to}'" if to else ""
        client.send(f"<iq type='{kind}' id='{name}'{to}>{what}</iq>")
        while True:
            self.answer = client.element(seconds=20)
            if self.answer.get("id") == name:
                break
        if self.answer.get("type") == "result":
            return "result"
        return wire.stanza_error(self.answer)[1]

    def test_account_data(self):
        note = PRIVATE.format("<note xmlns='test:note'>{}</note>")
        with self.session() as client:
            self.assertEqual(self.ask(client, "set", CARD.format("<FN>first</FN>")), "result")
            self.assertEqual(self.ask(client, "set", note.format("first")), "result")
            with self.refusing("account_data"):
                self.assertEqual(self.ask(client, "set", CARD.format("<FN>2</FN>")), INTERNAL)
                self.assertEqual(self.ask(client, "set", note.format("2")), INTERNAL)
            self.ask(client, "get", CARD.format(""))
            self.assertIn(b"first", wire.ET.tostring(self.answer))
            self.ask(client, "get", note.format(""))
            self.assertIn(b"first", wire.ET.tostring(self.answer))
            with self.without("account_data"):
                self.assertEqual(self.ask(client, "get", CARD.format("")), INTERNAL)
                self.assertEqual(self.ask(client, "get", note.format("")), INTERNAL)
            self.assertEqual(self.ask(client, "get", CARD.format("")), "result")

    def test_last_activity(self):
        with self.session("erin") as client, self.session("frank") as friend:
            for one, other in ((client, "frank"), (friend, "erin")):
                one.send("<presence/>"
                         f"<presence type='subscribe' to='{other}@localhost'/>"
                         f"<presence type='subscribed' to='{other}@localhost'/>")
            for one in (client, friend):
                self.ask(one, "get", "<ping xmlns='urn:xmpp:ping'/>", "localhost")
            with self.refusing("account_data"):
                friend.close()
                deadline = time.monotonic() + 10 * harness.PATIENCE
                while "time of a logout cannot be stored" not in self.server.log():
                    self.assertLess(time.monotonic(), deadline, "nothing in the log")
                    time.sleep(0.1)
            with self.without("account_data"):
                self.assertEqual(self.ask(client, "get", LAST, "frank@localhost"), INTERNAL)
            self.assertEqual(self.ask(client, "get", LAST, "frank@localhost"), "item-not-found")

    def test_accounts(self):
        new = REGISTER.format("<username>{}</username><password>{}</password>")
        with self.refusing("accounts", "scram_keys"):
            with self.secured() as stranger:
                self.assertEqual(self.ask(stranger, "set", new.format("dave", "x")), INTERNAL)
            with self.session() as client:
                self.assertEqual(self.ask(client, "set", new.format("alice", "x")), INTERNAL)
                self.assertEqual(self.ask(client, "set", REGISTER.format("<remove/>")), INTERNAL)
                # Nothing of it was done: the session goes on, the old password counts.
                self.assertEqual(self.ask(client, "get", "<ping xmlns='urn:xmpp:ping'/>"), "result")
        self.assertEqual(self.try_login("alice").tag, f"{{{wire.SASL}}}success")
        with self.secured() as stranger:
            self.assertEqual(self.ask(stranger, "set", new.format("dave", "x")), "result")

    def test_offline_messages(self):
        message = ("<message to='carol@localhost' type='chat' id='{0}'><body>{0}</body></message>"
                   "<iq type='get' id='p{0}'><ping xmlns='urn:xmpp:ping'/></iq>")
        with self.session() as client:
            with self.refusing("offline_messages"):
                client.send(message.format("o1"))
                answers = [client.element(), client.element()]
                bounce = next(a for a in answers if a.tag == f"{{{wire.CLIENT}}}message")
                self.assertEqual((bounce.get("id"), bounce.get("type")), ("o1", "error"))
            client.send(message.format("o2"))
            self.assertEqual(client.element().get("id"), "po2")
            self.wait_for_stored("carol", 1)
            # What cannot be read is not lost: it comes when it can be.
            with self.without("offline_messages"), self.session("carol") as friend:
                friend.send("<presence/>")
                self.assertEqual(friend.element().get("from"), friend.jid)
                deadline = time.monotonic() + 10 * harness.PATIENCE
                while "no such table: offline_messages" not in self.server.log():
                    self.assertLess(time.monotonic(), deadline, "nothing in the log")
                    time.sleep(0.05)
        with self.session("carol") as friend:
            friend.send("<presence/>")
            names = {friend.element().get("id"), friend.element().get("id")}
            self.assertIn("o2", names)

    def test_offline_messages_that_cannot_be_removed(self):
        with self.session() as client:
            client.send("<message to='kim@localhost' type='chat' id='r1'><body>r1</body></message>")
            self.wait_for_stored("kim", 1)
        with self.refusing("offline_messages"), self.session("kim") as friend:
            friend.send("<presence/>")
            self.assertIn("r1", {friend.element().get("id"), friend.element().get("id")})
            self.assertEqual(self.ask(friend, "get", "<ping xmlns='urn:xmpp:ping'/>"), "result")
        # It was written to her: what comes next is new, and both are removed.
        with self.session() as client:
            client.send("<message to='kim@localhost' type='chat' id='r2'><body>2</body></message>")
            self.wait_for_stored("kim", 1, "r2")
        with self.session("kim") as friend:
            friend.send("<presence/>")
            self.assertEqual({friend.element().get("id"), friend.element().get("id")}, {None, "r2"})
            self.wait_for_stored("kim", 0)

    def change(self, text):
        path = os.path.join(self.directory, "data", "xmppd.db")
        with contextlib.closing(sqlite3.connect(path, timeout=20)) as database:
            database.executescript("PRAGMA foreign_keys=OFF;" + text)

    def test_a_stored_message_that_is_none(self):
        """It is dropped, and those behind it come."""
        with self.session() as client:
            for name in ("d1", "d2"):
                client.send("<message to='grace@localhost' type='chat'"
                            f" id='{name}'><body>x</body></message>")
            self.wait_for_stored("grace", 2)
        self.change("UPDATE offline_messages SET stanza = CAST('<message' AS BLOB)"
                    " WHERE username = 'grace' AND number ="
                    " (SELECT MIN(number) FROM offline_messages WHERE username = 'grace')")
        with self.session("grace") as friend:
            friend.send("<presence/>")
            self.assertEqual({friend.element().get("id"), friend.element().get("id")}, {None, "d2"})
        self.server.wait_for_log("a stored message cannot be read: it is dropped")

    def test_a_roster_that_cannot_be_read(self):
        roster = "<query xmlns='jabber:iq:roster'/>"
        item = "<query xmlns='jabber:iq:roster'><item jid='friend@localhost'/></query>"
        with self.session("heidi") as client:
            with self.without("roster_contacts"):
                self.assertEqual(self.ask(client, "get", roster), INTERNAL)
                self.assertEqual(self.ask(client, "set", item), INTERNAL)
            self.assertEqual(self.ask(client, "set", item), "result")

    def test_rows_with_values_that_do_not_exist(self):
        roster = "<query xmlns='jabber:iq:roster'/>"
        self.change("INSERT INTO roster_contacts VALUES"
                    " ('localhost', 'ivan', 'a@localhost', 1, '', 99, 0, 0, CAST('' AS BLOB));"
                    "UPDATE scram_keys SET hash = hash + 99 WHERE username = 'judy'")
        with self.session("ivan") as client:
            self.assertEqual(self.ask(client, "get", roster), INTERNAL)
        self.server.wait_for_log("unknown subscription")
        failure = self.try_login("judy")
        self.assertEqual(failure[0].tag, f"{{{wire.SASL}}}temporary-auth-failure")
        self.assertEqual(self.try_login("alice").tag, f"{{{wire.SASL}}}success")

    def test_blocking(self):
        item = "<{0} xmlns='urn:xmpp:blocking'><item jid='bob@localhost'/></{0}>"
        with self.session() as client:
            with self.refusing("blocked"):
                self.assertEqual(self.ask(client, "set", item.format("block")), INTERNAL)
            self.ask(client, "get", "<blocklist xmlns='urn:xmpp:blocking'/>")
            self.assertEqual(len(list(self.answer.iter("{urn:xmpp:blocking}item"))), 0)
            self.assertEqual(self.ask(client, "set", item.format("block")), "result")
            with self.refusing("blocked"):
                self.assertEqual(self.ask(client, "set", item.format("unblock")), INTERNAL)
            self.ask(client, "get", "<blocklist xmlns='urn:xmpp:blocking'/>")
            self.assertEqual(len(list(self.answer.iter("{urn:xmpp:blocking}item"))), 1)
            self.assertEqual(self.ask(client, "set", item.format("unblock")), "result")

    def test_roster(self):
        with self.session() as client:
            with self.refusing("roster_contacts", "roster_versions"):
                self.assertEqual(self.set_item(client)[1], INTERNAL)
            self.assertEqual(self.set_item(client), "result")


if __name__ == "__main__":
    harness.main()
