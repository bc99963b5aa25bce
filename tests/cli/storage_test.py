"""The commands of an administrator while the database refuses what they ask for.

Usage: storage_test.py XMPPD XMPPCTL
"""
import contextlib
import json
import os
import socket
import sqlite3
import sys
import unittest

import cli_test
from cli_test import CONFIG, Contract


class Base(Contract):
    def setUp(self):
        super().setUp()
        self.path = os.path.join(self.directory.name, "data", "xmppd.db")

    def database(self, text):
        with contextlib.closing(sqlite3.connect(self.path, timeout=20)) as database, database:
            database.executescript(text)

    @contextlib.contextmanager
    def refusing(self, *what):
        """("DELETE", "accounts") and so on fail meanwhile."""
        for kind, table in what:
            self.database(f"CREATE TRIGGER no_{kind}_{table} BEFORE {kind} ON {table} BEGIN"
                          " SELECT abs(-9223372036854775807 - 1); END")
        try:
            yield
        finally:
            for kind, table in what:
                self.database(f"DROP TRIGGER no_{kind}_{table}")

    @contextlib.contextmanager
    def without(self, table):
        """Not even reading it works meanwhile."""
        self.database(f"PRAGMA legacy_alter_table=ON; ALTER TABLE {table} RENAME TO gone_{table}")
        try:
            yield
        finally:
            self.database(
                f"PRAGMA legacy_alter_table=ON; ALTER TABLE gone_{table} RENAME TO {table}")

    def check_unavailable(self, *arguments):
        error = self.ctl_json(*arguments, code=1)["error"]
        self.assertEqual(error["code"], "unavailable", f"{arguments}: {error}")

    def users(self, host="localhost"):
        return [row["jid"] for row in self.ctl_json("user", "list", host)]


# Only the tests below, not those of the contract again.
for name in [name for name in dir(Contract) if name.startswith("test_")]:
    setattr(Base, name, None)


class Users(Base):
    def test_nothing_is_done_by_halves(self):
        self.ctl("user", "add", "alice@localhost", "--password", "first")
        with self.refusing(("INSERT", "scram_keys"), ("UPDATE", "scram_keys"),
                           ("DELETE", "scram_keys"), ("DELETE", "accounts")):
            self.check_unavailable("user", "add", "bob@localhost", "--password", "x")
            self.check_unavailable("user", "passwd", "alice@localhost", "--password", "second")
            self.check_unavailable("user", "delete", "alice@localhost")
        self.assertEqual(self.users(), ["alice@localhost"])
        client = cli_test.Client(self.server.port, "alice", "first", "r")
        self.addCleanup(client.close)
        self.ctl("user", "delete", "alice@localhost")
        client.expect("not-authorized")

    def test_lists(self):
        with self.without("accounts"):
            self.check_unavailable("user", "list", "localhost")
        self.assertEqual(self.users(), [])

    def test_check_tells_of_damage(self):
        self.ctl("user", "add", "alice@localhost", "--password", "x")
        self.assertIn("in order", self.ctl("db", "check"))
        self.database("PRAGMA foreign_keys=OFF; INSERT INTO blocked VALUES ('localhost', 'nobody',"
                      " 'a@b')")
        error = self.ctl_json("db", "check", code=1)["error"]
        self.assertEqual(error["code"], "unavailable")
        self.assertIn("blocked", error["text"])
        self.ctl("status")


class Hosts(Base):
    def hosts(self):
        return {row["host"] for row in self.ctl_json("host", "list")}

    def test_what_is_not_stored_is_not_served(self):
        with self.refusing(("INSERT", "key_value"), ("UPDATE", "key_value")):
            self.check_unavailable("host", "add", "new.example")
        self.assertEqual(self.hosts(), {"localhost", "other.example"})
        self.ctl("host", "add", "new.example")
        with self.refusing(("DELETE", "key_value")):
            self.check_unavailable("host", "remove", "new.example")
        self.assertIn("new.example", self.hosts())

    def test_a_reload_needs_the_stored_hosts(self):
        with self.without("key_value"):
            error = self.ctl_json("config", "reload", code=1)["error"]
        self.assertEqual(error["code"], "bad-config")
        self.assertIn("storage", error["text"])
        self.ctl("config", "reload")

    def test_a_purge_that_failed_is_made_again(self):
        self.ctl("host", "add", "new.example")
        for user in ("a", "b"):
            self.ctl("user", "add", f"{user}@new.example", "--password", "x")
        with self.refusing(("DELETE", "accounts")):
            self.check_unavailable("host", "remove", "new.example", "--purge")
        self.assertNotIn("new.example", self.hosts())
        # The host has gone, its accounts have not: they can still be purged.
        self.ctl("host", "remove", "new.example", "--purge")
        self.assertEqual(self.error_code("host", "remove", "new.example", "--purge"), "not-found")
        self.ctl("host", "add", "new.example")
        self.assertEqual(self.users("new.example"), [])

    def test_one_change_at_a_time(self):
        database = sqlite3.connect(self.path, isolation_level=None)
        self.addCleanup(database.close)
        database.execute("BEGIN IMMEDIATE")
        first = socket.socket(socket.AF_UNIX)
        self.addCleanup(first.close)
        first.settimeout(20)
        first.connect(self.server.socket)
        first.sendall(b'{"id":1,"command":"host.add","args":{"host":"new.example"}}\n')
        for arguments in (("config", "reload"), ("host", "add", "b.example"),
                          ("host", "remove", "other.example")):
            error = self.ctl_json(*arguments, code=1)["error"]
            self.assertEqual(error["code"], "unavailable")
            self.assertIn("another change", error["text"])
        database.execute("ROLLBACK")
        answer = json.loads(first.makefile("r", encoding="utf-8").readline())
        self.assertEqual(answer["result"]["host"], "new.example")
        self.ctl("host", "add", "b.example")
        self.assertEqual(self.hosts(), {"localhost", "other.example", "new.example", "b.example"})

    def test_stored_hosts_that_the_file_does_not_fit(self):
        small = ('[profile.small]\nmodules = ["ping"]\n[profile.small.auth]\n'
                 "plain_without_tls = true\n")
        with open(self.server.config, "w", encoding="utf-8") as file:
            file.write(CONFIG + small)
        self.ctl("config", "reload")
        self.ctl("host", "add", "new.example", "--profile", "small")
        with open(self.server.config, "w", encoding="utf-8") as file:
            file.write(CONFIG)
        error = self.ctl_json("config", "reload", code=1)["error"]
        self.assertEqual(error["code"], "bad-config")
        self.assertIn("new.example in the database has the profile small", error["text"])
        self.assertIn("new.example", self.hosts())


del Contract, Base

if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1] + sys.argv[3:])
