"""Many domains: host add, remove, list; config reload; what happens to sessions; isolation.

Usage: hosts_test.py XMPPD XMPPCTL
"""
import os
import re
import subprocess
import sys
import time
import unittest

import cli_test
from cli_test import CONFIG, Contract


class Client(cli_test.Client):
    """Logs in to any domain."""

    def __init__(self, port, user, password, resource, domain="localhost"):
        self.domain = domain
        super().__init__(port, user, password, resource)

    def open_stream(self):
        self.send("<?xml version='1.0'?><stream:stream xmlns='jabber:client' "
                  f"to='{self.domain}' version='1.0' "
                  "xmlns:stream='http://etherx.jabber.org/streams'>")
        self.expect("</stream:features>")
        if not hasattr(self, "first_features"):
            self.first_features = self.text

    def ask(self, text, expected):
        self.text = ""
        self.send(text)
        self.expect(expected)
        return self.text


class Base(Contract):
    def write(self, text):
        with open(self.server.config, "w", encoding="utf-8") as file:
            file.write(text)

    def join(self, user, domain="localhost", resource="r"):
        client = Client(self.server.port, user, "secret", resource, domain)
        self.addCleanup(client.close)
        return client

    def add_user(self, jid):
        self.ctl("user", "add", jid, "--password", "secret")

    def restart(self):
        self.ctl("stop")
        self.server.process.wait(timeout=20)
        self.server.process.stdout.close()
        self.server.start()

    def make_certificate(self, name, domain):
        """Its lines for a host's table."""
        paths = [os.path.join(self.directory.name, f"{name}.{kind}") for kind in ("crt", "key")]
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                        "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30", "-subj",
                        f"/CN={domain}", "-addext", f"subjectAltName=DNS:{domain}", "-out",
                        paths[0], "-keyout", paths[1]], capture_output=True, check=True)
        return f'certificate = "{paths[0]}"\nkey = "{paths[1]}"\n', paths

    def hosts(self):
        return {row["host"]: row for row in self.ctl_json("host", "list")}

    def changes(self, *arguments):
        answer = self.ctl_json("config", "reload", *arguments)
        return {row["key"]: row for row in answer["changes"]}


# Only the tests below, not those of the contract again.
for name in [name for name in dir(Contract) if name.startswith("test_")]:
    setattr(Base, name, None)


class Hosts(Base):
    def test_add_and_remove(self):
        self.add_user("alice@localhost")
        alice = self.join("alice")
        self.assertEqual(self.error_code("user", "add", "bob@new.example", "--password", "x"),
                         "not-found")
        self.ctl("host", "add", "New.Example")
        self.assertEqual(self.hosts()["new.example"]["source"], "database")
        self.assertEqual(self.hosts()["localhost"]["source"], "file")
        self.add_user("bob@new.example")
        bob = self.join("bob", "new.example")
        bob.ask("<presence/>", "<presence")
        alice.ask("<message to='bob@new.example' type='chat' id='m1'><body>hi</body></message>"
                  "<iq type='get' id='p1' to='localhost'><ping xmlns='urn:xmpp:ping'/></iq>",
                  "p1")
        bob.expect("m1")
        self.assertEqual(self.ctl_json("status")["hosts"], 3)
        # It outlives the process.
        self.ctl("stop")
        self.server.process.wait(timeout=20)
        self.server.process.stdout.close()
        self.server.start()
        bob = self.join("bob", "new.example")
        alice = self.join("alice")
        self.ctl("host", "remove", "new.example")
        bob.expect("host-gone")
        self.assertNotIn("new.example", self.hosts())
        answer = alice.ask("<message to='bob@new.example' type='chat' id='m2'><body>hi</body>"
                           "</message>", "remote-server-not-found")
        self.assertIn("m2", answer)
        with self.assertRaisesRegex(AssertionError, "host-unknown"):
            self.join("bob", "new.example")
        # The accounts are kept, and go when asked for.
        self.ctl("host", "add", "new.example")
        self.assertEqual(len(self.ctl_json("user", "list", "new.example")), 1)
        self.ctl("host", "remove", "new.example", "--purge")
        self.ctl("host", "add", "new.example")
        self.assertEqual(self.ctl_json("user", "list", "new.example"), [])
        self.assertEqual(self.ctl_json("status")["exceptions"], 0)

    def test_refusals(self):
        cases = {
            ("host", "add", "localhost"): "conflict",
            ("host", "add", "a@b.example"): "bad-argument",
            ("host", "add", "b.example/r"): "bad-argument",
            ("host", "add", "not a domain"): "bad-argument",
            ("host", "add", "b.example", "--profile", "defalt"): "bad-argument",
            ("host", "add", "b.example", "--certificate", "b.crt"): "bad-argument",
            ("host", "add", "b.example", "--certificate", "b.crt", "--key", "b.key"):
                "bad-argument",
            ("host", "remove", "localhost"): "conflict",
            ("host", "remove", "nowhere.example"): "not-found",
        }
        for arguments, expected in cases.items():
            with self.subTest(arguments):
                self.assertEqual(self.error_code(*arguments), expected)
        self.ctl("host", "add", "b.example")
        self.assertEqual(self.error_code("host", "add", "B.EXAMPLE"), "conflict")
        self.assertEqual(set(self.hosts()), {"localhost", "other.example", "b.example"})

    def test_what_cannot_be_removed_stays(self):
        table, paths = self.make_certificate("other", "other.example")
        self.write(CONFIG + table)
        self.changes()
        self.ctl("host", "add", "new.example")
        # All certificates are read again for what is left.
        os.rename(paths[0], paths[0] + "-")
        self.assertEqual(self.error_code("host", "remove", "new.example"), "bad-config")
        self.assertIn("new.example", self.hosts())
        os.rename(paths[0] + "-", paths[0])
        self.restart()
        self.assertEqual(self.hosts()["new.example"]["source"], "database")
        self.ctl("host", "remove", "new.example")
        self.restart()
        self.assertNotIn("new.example", self.hosts())

    def test_names_are_prepared(self):
        self.ctl("host", "add", "BÜCHER.example")
        self.assertIn("bücher.example", self.hosts())
        self.assertEqual(self.error_code("host", "add", "bücher.example"), "conflict")

    def test_domains_are_apart(self):
        for domain in ("localhost", "other.example"):
            self.ctl("user", "add", f"alice@{domain}", "--password", "secret")
        here = self.join("alice", "localhost", "r")
        there = self.join("alice", "other.example", "r")
        for client in (here, there):
            client.ask("<presence/>", "<presence")
        here.ask("<iq type='set' id='r1'><query xmlns='jabber:iq:roster'>"
                 "<item jid='friend@localhost'/></query></iq>", "id='r1'")
        roster = there.ask("<iq type='get' id='r2'><query xmlns='jabber:iq:roster'/></iq>",
                           "id='r2'")
        self.assertNotIn("friend@localhost", roster)
        here.ask("<message to='alice@other.example' id='m1' type='chat'><body>over</body>"
                 "</message><iq type='get' id='p' to='localhost'><ping xmlns='urn:xmpp:ping'/>"
                 "</iq>", "id='p'")
        there.expect("over")
        self.assertIn("from='alice@localhost/r'", there.text)
        self.assertNotIn("over", here.text)
        items = here.ask("<iq type='get' id='d' to='other.example'>"
                         "<query xmlns='http://jabber.org/protocol/disco#info'/></iq>", "id='d'")
        self.assertIn("from='other.example'", items)
        self.ctl("user", "delete", "alice@localhost")
        here.expect("not-authorized")
        there.ask("<iq type='get' id='p2'><ping xmlns='urn:xmpp:ping'/></iq>", "id='p2'")


class Reload(Base):
    def test_hosts_come_and_go(self):
        self.add_user("alice@localhost")
        self.add_user("bob@other.example")
        alice = self.join("alice")
        bob = self.join("bob", "other.example")
        self.write(CONFIG.replace('[host."other.example"]', '[host."third.example"]\n'
                                  'admins = ["alice@localhost"]'))
        planned = self.changes("--dry-run")
        self.assertEqual(planned['host."other.example"']["change"], "removed")
        self.assertEqual(planned['host."third.example"']["change"], "added")
        self.assertEqual(planned['host."third.example"']["effect"], "would apply")
        self.assertEqual(set(self.hosts()), {"localhost", "other.example"})
        bob.ask("<iq type='get' id='p1'><ping xmlns='urn:xmpp:ping'/></iq>", "id='p1'")
        done = self.changes()
        self.assertEqual(set(done), {'host."other.example"', 'host."third.example"'})
        self.assertEqual(done['host."third.example"']["effect"], "applied")
        bob.expect("host-gone")
        self.assertEqual(set(self.hosts()), {"localhost", "third.example"})
        self.assertEqual(self.hosts()["third.example"]["admins"], ["alice@localhost"])
        alice.ask("<iq type='get' id='p2' to='third.example'><ping xmlns='urn:xmpp:ping'/></iq>",
                  "id='p2'")
        self.add_user("carol@third.example")
        self.join("carol", "third.example")
        self.assertEqual(self.changes(), {})
        self.assertEqual(self.ctl("config", "reload").count("applied"), 1)
        # A host that comes back has its accounts.
        self.write(CONFIG)
        self.changes()
        self.join("bob", "other.example")
        alice.ask("<iq type='get' id='p3'><ping xmlns='urn:xmpp:ping'/></iq>", "id='p3'")

    def test_wrong_file_changes_nothing(self):
        for text, expected in (
                (CONFIG + "[host.\"x.example\"]\nprofil = \"a\"\n",
                 r"xmppd\.toml:\d+:\d+: .*profil"),
                (CONFIG + "[host.\"x.example\"]\nprofile = \"nope\"\n", r"no \[profile\.nope\]"),
                (CONFIG + "[profile.new]\nmodules = [\"+rooster\"]\n", r"rooster"),
                ("[server\n", r"xmppd\.toml:\d+"),
                (CONFIG + "[host.\"x.example\"]\ncertificate = \"x.crt\"\nkey = \"x.key\"\n",
                 r"cannot read .*x\.crt")):
            with self.subTest(text):
                self.write(text)
                error = self.ctl_json("config", "reload", code=1)["error"]
                self.assertEqual(error["code"], "bad-config")
                self.assertRegex(error["text"], expected)
                self.assertEqual(set(self.hosts()), {"localhost", "other.example"})

    def test_what_applies_and_what_waits(self):
        self.add_user("alice@localhost")
        self.write(CONFIG.replace("workers = 2", "workers = 3")
                   .replace("scram_iterations = 4096", "scram_iterations = 5000")
                   + "[limits]\nstanza_bytes = \"20KiB\"\nstorage_queue = 100\n")
        done = self.changes()
        self.assertEqual(done["server.workers"]["effect"], "needs a restart")
        self.assertEqual(done["limits.storage_queue"]["effect"], "needs a restart")
        self.assertEqual(done["limits.stanza_bytes"]["effect"], "applied")
        self.assertEqual((done["limits.stanza_bytes"]["from"], done["limits.stanza_bytes"]["to"]),
                         ("262144", "20480"))
        self.assertEqual(done["profile.default.auth.scram_iterations"]["effect"], "applied")
        self.assertEqual(self.ctl_json("status")["workers"], 2)
        client = self.join("alice")
        client.send("<message><body>" + "x" * 30_000 + "</body></message>")
        client.expect("policy-violation")
        # What waits is named again.
        self.assertEqual(set(self.changes()), {"server.workers", "limits.storage_queue"})

    def test_new_profile(self):
        self.write(CONFIG + "[profile.small]\nmodules = [\"ping\", \"iq_forward\"]\n"
                   "[profile.small.auth]\nplain_without_tls = true\n"
                   "[host.\"small.example\"]\nprofile = \"small\"\n")
        self.changes()
        self.add_user("dave@small.example")
        dave = self.join("dave", "small.example")
        dave.ask("<iq type='get' id='p1'><ping xmlns='urn:xmpp:ping'/></iq>", "type='result'")
        dave.ask("<iq type='get' id='v1' to='small.example'>"
                 "<query xmlns='jabber:iq:version'/></iq>",
                 "service-unavailable")
        # Another profile for a host: its sessions come back to it.
        self.write(CONFIG + "[profile.small]\nmodules = [\"ping\", \"iq_forward\"]\n"
                   "[profile.small.auth]\nplain_without_tls = true\n"
                   "[host.\"small.example\"]\n")
        self.assertEqual(self.changes()['host."small.example".profile']["to"], "default")
        dave.expect("<reset")
        dave = self.join("dave", "small.example")
        dave.ask("<iq type='get' id='v1' to='small.example'>"
                 "<query xmlns='jabber:iq:version'/></iq>",
                 "type='result'")

    def test_modules_of_a_profile(self):
        self.add_user("alice@localhost")
        alice = self.join("alice")
        version = "<iq type='get' id='{}' to='localhost'><query xmlns='jabber:iq:version'/></iq>"
        alice.ask(version.format("v1"), "type='result'")
        self.write(CONFIG + "[profile.default]\nmodules = [\"-version\"]\n"
                   "[profile.default.module.register]\nallow = \"all\"\n")
        done = self.changes()
        self.assertEqual({row["effect"] for row in done.values()}, {"applied"})
        self.assertEqual(set(done), {"profile.default.modules",
                                     "profile.default.module.register.allow"})
        alice.ask(version.format("v2"), "service-unavailable")
        self.assertIn("iq-register", self.join("alice", resource="other").first_features)
        self.assertEqual(self.changes(), {})
        self.write(CONFIG)
        self.changes()
        alice.ask(version.format("v3"), "type='result'")
        self.assertNotIn("iq-register", self.join("alice", resource="third").first_features)

    def shown_certificate(self):
        done = subprocess.run(["openssl", "s_client", "-starttls", "xmpp", "-xmpphost", "localhost",
                               "-servername", "localhost", "-connect",
                               f"127.0.0.1:{self.server.port}"], input="", capture_output=True,
                              text=True, timeout=20, check=False)
        return re.search("-----BEGIN CERT.*END CERTIFICATE-----", done.stdout, re.DOTALL).group(0)

    def test_what_fails_half_way_is_taken_back(self):
        before, paths = self.make_certificate("before", "localhost")
        after, _ = self.make_certificate("after", "localhost")
        config = CONFIG.replace('tls = "none"', 'tls = "optional"') + (
            "[profile.default]\nmodules = [\"ping\", \"presence\", \"iq_forward\"]\n")
        with_roster = config.replace('"presence"', '"presence", "roster"')
        self.write(with_roster.replace('[host."localhost"]\n', '[host."localhost"]\n' + before))
        self.restart()
        self.ctl("module", "load", "blocking")
        # The roster cannot go: what somebody loaded by hand requires it.
        self.write(config.replace('[host."localhost"]\n', '[host."localhost"]\n' + after)
                   + '[profile.small]\nmodules = ["ping"]\n'
                   '[host."small.example"]\nprofile = "small"\n')
        self.assertEqual(self.error_code("config", "reload"), "refused")
        self.assertNotIn("small.example", self.hosts())
        self.assertEqual(self.error_code("module", "load", "version", "--profile", "small"),
                         "not-found")
        with open(paths[0], encoding="utf-8") as file:
            self.assertEqual(self.shown_certificate(), file.read().strip())
        # The rest of the file is as good as before.
        self.ctl("module", "unload", "blocking")
        self.changes()
        self.assertIn("small.example", self.hosts())
        self.ctl("module", "load", "version", "--profile", "small")

    def test_the_file_wins_over_the_database(self):
        self.ctl("host", "add", "both.example")
        self.write(CONFIG + "[host.\"both.example\"]\nadmins = [\"a@both.example\"]\n")
        self.changes()
        self.assertEqual(self.hosts()["both.example"]["source"], "file")
        self.assertEqual(self.error_code("host", "remove", "both.example"), "conflict")
        self.write(CONFIG)
        self.changes()
        self.assertEqual(self.hosts()["both.example"]["source"], "database")
        self.ctl("host", "remove", "both.example")

    def test_many_hosts(self):
        names = [f"h{i}.example" for i in range(300)]
        begun = time.monotonic()
        self.write(CONFIG + "".join(f'[host."{name}"]\n' for name in names))
        self.assertEqual(len(self.changes()), 300)
        self.assertLess(time.monotonic() - begun, 30)
        self.assertEqual(self.ctl_json("status")["hosts"], 302)
        for name in (names[0], names[299]):
            self.add_user(f"u@{name}")
        first = self.join("u", names[0])
        last = self.join("u", names[299])
        last.ask("<presence/>", "<presence")
        first.send(f"<message to='u@{names[299]}' type='chat'><body>across</body></message>")
        last.expect("across")
        # A start with all of them, certificates made.
        self.ctl("stop")
        self.server.process.wait(timeout=20)
        self.server.process.stdout.close()
        begun = time.monotonic()
        self.server.start()
        self.assertLess(time.monotonic() - begun, 30)
        self.join("u", names[299])


class Dev(unittest.TestCase):
    def test_busy_port_says_what_helps(self):
        import socket
        import tempfile
        with socket.socket() as taken, tempfile.TemporaryDirectory() as directory:
            taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                taken.bind(("127.0.0.1", 5222))
                taken.listen()
            except OSError:
                pass  # somebody else has it, which does as well
            done = subprocess.run([cli_test.XMPPD, "--dev", "--data-dir", directory],
                                  capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("--dev", done.stderr)


del Contract, Base

if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
