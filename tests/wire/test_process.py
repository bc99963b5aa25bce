"""The process: signals, exit codes, what keeps it from starting, and what its log must not say."""

import base64
import contextlib
import glob
import os
import re
import signal
import socket
import sqlite3
import subprocess
import tempfile
import time
import unittest
import xml.etree.ElementTree as ET

import wire
from harness import PATIENCE, Server, WireTest, add_tests, main, processes, program, write_config
from wire import auth

# The end of a file that is complete without certificates.
LOOPBACK = """
[[listen]]
service = "c2s"
address = ["127.0.0.1:0"]
[host."example.org"]
"""
SECRETS = {"alice": "correct horse battery staple", "bob": "Tr0ub4dor&amp;3"}


def run(*arguments, seconds=20):
    """(exit code, standard output, standard error) of an xmppd that ends by itself."""
    done = subprocess.run([program("xmppd"), *arguments], capture_output=True, text=True,
                          stdin=subprocess.DEVNULL, timeout=seconds * PATIENCE, cwd="/")
    return done.returncode, done.stdout, done.stderr


class Mechanisms(unittest.TestCase):
    """A SCRAM hash is offered only if every enabled account of the host has its key."""

    def start(self, profile=""):
        config = write_config(self.directory, processes.loopback(), profile=profile)
        server = Server(self.directory, config)
        self.addCleanup(server.stop)
        return server

    def setUp(self):
        temporary = tempfile.TemporaryDirectory(prefix="xmppd-wire-")
        self.addCleanup(temporary.cleanup)
        self.directory = temporary.name

    def offered(self, server):
        with wire.Wire(server.address, server.port) as client:
            client.open()
            client.secure()
            return client.mechanisms(), ET.tostring(client.features, encoding="unicode")

    def test_mechanisms_follow_the_keys(self):
        server = self.start()
        with wire.Wire(server.address, server.port) as client:
            client.open()
            client.secure()
            for name in SECRETS:
                client.register(name, "secret")
        self.assertIn("SCRAM-SHA-1", self.offered(server)[0])
        server.child.process.terminate()
        self.assertEqual(server.child.process.wait(20 * PATIENCE), 0)
        database = sqlite3.connect(glob.glob(f"{self.directory}/**/*.db", recursive=True)[0])
        with database:
            database.execute("DELETE FROM scram_keys WHERE hash = 0 AND username = 'bob'")
            database.execute("UPDATE accounts SET key_hashes = 6 WHERE username = 'bob'")
        database.close()
        server = self.start()
        mechanisms, _ = self.offered(server)
        self.assertNotIn("SCRAM-SHA-1", mechanisms)
        self.assertNotIn("SCRAM-SHA-1-PLUS", mechanisms)
        self.assertIn("SCRAM-SHA-256", mechanisms)
        for name in SECRETS:
            wire.Wire(server.address, server.port).login(name, "secret").close()

    def test_domain_beyond_ascii(self):
        """Its self-signed certificate names the A-label, and the stream's `to` chooses it."""
        config = write_config(self.directory, processes.loopback(),
                              hosts={"localhost": "", "bücher.example": ""})
        server = Server(self.directory, config)
        self.addCleanup(server.stop)
        with wire.Wire(server.address, server.port) as client:
            client.open("bücher.example")
            client.secure("bücher.example", server_name="xn--bcher-kva.example")
            self.assertIn(b"xn--bcher-kva.example", client.certificate())
        with wire.Wire(server.address, server.port) as client:
            client.open("bücher.example")
            client.secure("bücher.example")
            self.assertIn("SCRAM-SHA-256", client.mechanisms())

    def test_channel_binding_off(self):
        server = self.start(profile='channel_binding = "off"')
        mechanisms, features = self.offered(server)
        self.assertFalse([name for name in mechanisms if name.endswith("-PLUS")], mechanisms)
        self.assertNotIn("sasl-channel-binding", features)


class Signals(unittest.TestCase):
    """SIGTERM: everybody is told, then the process ends with 0."""

    def setUp(self):
        temporary = tempfile.TemporaryDirectory(prefix="xmppd-wire-")
        self.addCleanup(temporary.cleanup)
        config = write_config(temporary.name, processes.loopback(),
                              server='drain_timeout = "4s"')
        self.server = Server(temporary.name, config)
        self.addCleanup(self.server.stop)

    def connect(self):
        return wire.Wire(self.server.address, self.server.port)

    def secured(self):
        client = self.connect()
        client.open()
        client.secure()
        return client

    def session(self, user):
        with self.secured() as first:
            first.register(user, "secret")
        return self.connect().login(user, "secret")

    def term(self):
        self.server.child.process.send_signal(signal.SIGTERM)
        return time.monotonic()

    def ended(self, seconds):
        self.assertEqual(self.server.child.process.wait(seconds * PATIENCE), 0)

    def test_sigterm(self):
        for number in (signal.SIGTERM,):
            sessions = [self.session(f"user{n}") for n in range(4)]
            opened, secured = self.connect(), self.secured()
            opened.open()
            silent = self.connect()
            silent.send(" ")
            started = time.monotonic()
            self.server.child.process.send_signal(number)
            for client in [*sessions, opened, secured]:
                self.assertEqual(client.stream_error(), "system-shutdown")
                client.close()
            silent.take_header()
            self.assertEqual(silent.stream_error(), "system-shutdown")
            silent.close()
            self.ended(3)
            self.assertLess(time.monotonic() - started, 3 * PATIENCE)

    def test_nothing_under_way_is_lost(self):
        """What was sent before the signal arrives before <system-shutdown/>."""
        alice, bob = self.session("alice"), self.session("bob")
        for number in range(50):
            alice.send(f"<message to='{bob.jid}' id='{number}'><body>x</body></message>")
        alice.send("<iq type='get' id='p' to='localhost'><ping xmlns='urn:xmpp:ping'/></iq>")
        self.assertEqual(alice.element().get("id"), "p")
        # The ping's answer says that alice's owner has sent them on; the mailbox is FIFO.
        self.term()
        for number in range(50):
            self.assertEqual(bob.element().get("id"), str(number))
        self.assertEqual(bob.stream_error(), "system-shutdown")

    def test_sigint_drains_too(self):
        client = self.session("alice")
        self.server.child.process.send_signal(signal.SIGINT)
        self.assertEqual(client.stream_error(), "system-shutdown")
        client.close()
        self.ended(3)

    def test_new_connections_are_refused_meanwhile(self):
        client = self.session("alice")
        self.term()
        client.element()
        # The client does not close, so the server is still there.
        deadline = time.monotonic() + PATIENCE
        with self.assertRaises(ConnectionRefusedError):
            while time.monotonic() < deadline:
                socket.create_connection((self.server.address, self.server.port), 2).close()
                time.sleep(0.02)
        self.assertIsNone(self.server.child.process.poll())
        client.close()
        self.ended(4)

    def test_clients_that_do_not_close(self):
        """They are given their time, not more."""
        client = self.session("alice")
        started = self.term()
        self.ended(6)
        self.assertLess(time.monotonic() - started, 6 * PATIENCE)
        self.assertEqual(client.stream_error(), "system-shutdown")

    def test_second_sigterm(self):
        """The second ends at once."""
        client = self.session("alice")
        self.term()
        client.element()
        started = self.term()
        self.ended(2)
        self.assertLess(time.monotonic() - started, 1.5 * PATIENCE)

    def test_accounts_survive(self):
        client = self.session("alice")
        client.close()
        self.term()
        self.ended(4)
        again = Server(self.server.directory, self.server.config, "again")
        self.addCleanup(again.stop)
        with wire.Wire(again.address, again.port) as client:
            client.login("alice", "secret")

    def test_salts_survive(self):
        """Also the salts of those who do not exist: otherwise a restart would tell."""
        def salt(server):
            with wire.Wire(server.address, server.port) as client:
                client.open()
                client.secure()
                scram = wire.Scram("nobody", "x")
                wire.begin(client, scram)
                return scram.salt
        # One account, so that mechanisms are offered.
        self.session("alice").close()
        before = salt(self.server)
        self.term()
        self.ended(4)
        again = Server(self.server.directory, self.server.config, "again")
        self.addCleanup(again.stop)
        self.assertEqual(salt(again), before)


class SecondServer(WireTest):
    """Another server where one runs: refused with 1 and a sentence; the first notices nothing."""

    def second(self, **changes):
        """Starts one with a changed copy of the first one's file."""
        with open(self.server.config, encoding="utf-8") as file:
            text = file.read()
        for old, new in changes.get("replace", []):
            self.assertIn(old, text)
            text = text.replace(old, new)
        path = os.path.join(self.directory, "second.toml")
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return run("--config", path)

    def test_same_data_dir(self):
        code, out, err = self.second()
        self.assertEqual((code, out), (1, ""))
        self.assertIn("another xmppd uses", err)
        self.assertIn(f"{self.directory}/data", err)

    def test_busy_address(self):
        busy = f"{self.server.address}:{self.server.port}"
        code, out, err = self.second(replace=[
            (f"{self.directory}/data", f"{self.directory}/data2"),
            ("control.sock", "control2.sock"),
            (f'["{self.server.address}:0"]', f'["{busy}"]')])
        self.assertIn(code, (1, 2))  # 2: both listeners of the copy have the same address
        if code == 2:
            self.assertIn("listened on already", err)

    def test_busy_address_alone(self):
        busy = f"{self.server.address}:{self.server.port}"
        code, out, err = self.second(replace=[
            (f"{self.directory}/data", f"{self.directory}/data2"),
            ("control.sock", "control2.sock"),
            (f'service = "c2s"\naddress = ["{self.server.address}:0"]',
             f'service = "c2s"\naddress = ["{busy}"]')])
        self.assertEqual((code, out), (1, ""))
        self.assertIn(busy, err)
        self.assertIn("another server runs there", err)

    def test_busy_control_socket(self):
        code, out, err = self.second(replace=[
            (f"{self.directory}/data", f"{self.directory}/data3")])
        self.assertEqual((code, out), (1, ""))
        self.assertIn("control.sock", err)


class Beginnings(unittest.TestCase):
    """What a start finds on the disk and in the database: it says so, or serves what it can."""

    def setUp(self):
        temporary = tempfile.TemporaryDirectory(prefix="xmppd-wire-")
        self.addCleanup(temporary.cleanup)
        self.directory = temporary.name
        self.data = os.path.join(self.directory, "data")
        self.config = self.write()
        os.mkdir(self.data)

    def write(self, **changes):
        return write_config(self.directory, processes.loopback(), **changes)

    def start(self, name="xmppd"):
        server = Server(self.directory, self.config, name)
        self.addCleanup(server.stop)
        return server

    def stop(self, server):
        server.child.process.terminate()
        self.assertEqual(server.child.process.wait(20 * PATIENCE), 0)

    def refused(self, *words):
        code, out, err = run("--config", self.config)
        self.assertEqual((code, out), (1, ""), err)
        for word in words:
            self.assertIn(word, err)

    def change(self, text):
        path = os.path.join(self.data, "xmppd.db")
        with contextlib.closing(sqlite3.connect(path, timeout=20)) as database:
            database.executescript("PRAGMA legacy_alter_table=ON;" + text)

    def check_serves(self, server, domain="localhost"):
        with wire.Wire(server.address, server.port) as client:
            client.open(domain)
            client.secure(domain)
            client.register("somebody", "secret", domain)

    def test_a_file_at_the_control_sockets_place(self):
        path = os.path.join(self.directory, "control.sock")
        with open(path, "w", encoding="utf-8") as file:
            file.write("mine")
        self.refused("control.sock", "is there already and no socket: remove it")
        with open(path, encoding="utf-8") as file:
            self.assertEqual(file.read(), "mine")

    def test_a_control_socket_with_too_long_a_path(self):
        with open(self.config, encoding="utf-8") as file:
            text = file.read()
        with open(self.config, "w", encoding="utf-8") as file:
            file.write(text.replace("control.sock", "c" * 120))
        self.refused("choose a shorter path")

    def test_a_data_dir_that_cannot_be_written(self):
        os.mkdir(os.path.join(self.data, "xmppd.lock"))
        self.refused("cannot write to server.data_dir")

    def test_a_key_that_cannot_be_written(self):
        os.mkdir(os.path.join(self.data, "localhost.key"))
        self.refused("localhost.key", "cannot write")

    def test_a_database_that_is_none(self):
        with open(os.path.join(self.data, "xmppd.db"), "wb") as file:
            file.write(b"no database at all " * 500)
        self.refused("storage: ", "not a database")

    def test_a_database_of_a_later_version(self):
        self.stop(self.start())
        self.change("INSERT INTO schema_migrations VALUES (1000, 'of the future')")
        self.refused("storage: ", "1000")

    def test_counters_that_cannot_be_kept(self):
        os.mkdir(os.path.join(self.data, "sm-counters"))
        server = self.start()
        self.assertIn("sessions will not survive a crash", server.log())
        self.check_serves(server)

    def test_stored_hosts_that_cannot_be_served(self):
        self.stop(self.start())
        self.change("""
            INSERT INTO key_value VALUES ('hosts', 'gone.example', 'profile=gone');
            INSERT INTO key_value VALUES ('hosts', 'no/host', 'profile=default');
            INSERT INTO key_value VALUES ('hosts', 'bare.example', 'profile=default' || char(10) ||
              'certificate=/nonexistent/c.crt' || char(10) || 'key=/nonexistent/c.key');
            INSERT INTO key_value VALUES ('hosts', 'good.example', 'profile=default');""")
        server = self.start("again")
        self.assertRegex(server.log(), "host not served, its profile is gone.*gone.example")
        self.assertRegex(server.log(), "host not served: mend its certificate.*bare.example")
        self.assertRegex(server.log(), "host not served, its name.*no domain.*no/host")
        self.check_serves(server)
        self.check_serves(server, "good.example")

    def test_tables_that_cannot_be_read(self):
        self.stop(self.start())
        self.change("ALTER TABLE sm_sessions RENAME TO gone; ALTER TABLE accounts RENAME TO gone2")
        server = self.start("again")
        self.assertIn("stored sessions cannot be read: check the database", server.log())
        self.assertIn("cannot see which password keys exist: check the database", server.log())
        with wire.Wire(server.address, server.port) as client:
            client.open()
            client.secure()

    def test_a_log_that_cannot_be_opened(self):
        logs = os.path.join(self.directory, "logs")
        with open(self.config, encoding="utf-8") as file:
            text = file.read()
        with open(self.config, "w", encoding="utf-8") as file:
            file.write(text.replace("[log]", f'[log]\nfile = "{logs}/x.log"'))
        self.refused("cannot open the log file")
        os.mkdir(logs)
        server = self.start()
        os.rename(logs, logs + "-")
        server.child.process.send_signal(signal.SIGHUP)
        with open(f"{logs}-/x.log", encoding="utf-8") as file:
            deadline = time.monotonic() + 10 * PATIENCE
            while "cannot reopen the log file" not in file.read():
                self.assertLess(time.monotonic(), deadline, "nothing was said")
                file.seek(0)
                time.sleep(0.05)
        os.mkdir(logs)
        server.child.process.send_signal(signal.SIGHUP)
        while not os.path.exists(f"{logs}/x.log"):
            self.assertLess(time.monotonic(), deadline + 10 * PATIENCE, "it was not reopened")
            time.sleep(0.05)
        self.check_serves(server)

    def test_secrets_that_cannot_be_read(self):
        self.stop(self.start())
        self.change("ALTER TABLE key_value RENAME TO gone")
        self.refused("storage: ", "key_value")


class Configuration(unittest.TestCase):
    """--check-config and the exit codes of the command line."""

    def check(self, text, *options):
        with tempfile.TemporaryDirectory(prefix="xmppd-wire-") as directory:
            path = os.path.join(directory, "xmppd.toml")
            with open(path, "w", encoding="utf-8") as file:
                file.write(text.replace("DIR", directory))
            code, out, err = run("--config", path, *(options or ("--check-config",)))
            return code, out, err.replace(path, "FILE").replace(directory, "DIR")

    def test_least_file(self):
        code, _, err = self.check('[host."example.org"]\ncertificate = "a.crt"\nkey = "a.key"\n')
        # Nothing is wrong but that the file is not there.
        self.assertEqual(code, 2)
        self.assertIn("FILE:2:", err)
        self.assertIn("cannot read", err)
        self.assertEqual(len(err.splitlines()), 1, err)

    def test_certificates_are_made_for_loopback_only(self):
        code, _, err = self.check('[host."example.org"]\n')
        self.assertEqual(code, 2)
        self.assertIn("FILE:1:", err)
        self.assertIn("certificate", err)
        self.assertEqual(self.check(LOOPBACK)[0], 0)

    def test_nothing_is_made(self):
        with tempfile.TemporaryDirectory(prefix="xmppd-wire-") as directory:
            path = write_config(directory, "127.0.0.1")
            code, out, err = run("--config", path, "--check-config")
            self.assertEqual((code, err), (0, ""))
            self.assertTrue(out)
            self.assertEqual(os.listdir(directory), ["xmppd.toml"])

    def test_all_errors_are_told(self):
        code, _, err = self.check('[server]\nworker = 1\n[limits]\ndepht = 3\n[host."a.b"]\n')
        self.assertEqual(code, 2)
        self.assertIn("FILE:2:", err)
        self.assertIn("FILE:4:", err)

    def test_a_bad_file_does_not_start(self):
        code, out, err = self.check('[sever]\n[host."a.b"]\n', "--data-dir", "/nonexistent")
        self.assertEqual((code, out), (2, ""))
        self.assertIn("server", err)

    def test_missing_file(self):
        code, _, err = run("--config", "/nonexistent/xmppd.toml", "--check-config")
        self.assertEqual(code, 2)
        self.assertIn("/nonexistent/xmppd.toml", err)

    def test_usage(self):
        for arguments in ((), ("--frobnicate",), ("--config",), ("--dev", "--config", "x"),
                          ("--check-config",)):
            with self.subTest(arguments):
                code, out, err = run(*arguments)
                self.assertEqual((code, out), (2, ""))
                self.assertTrue(err)

    def test_help_and_version(self):
        for option in ("--help", "--version"):
            code, out, err = run(option)
            self.assertEqual((code, err), (0, ""))
            self.assertIn("xmppd", out)

    def test_missing_certificate(self):
        code, out, err = self.check(
            '[server]\ndata_dir = "DIR/data"\ncontrol_socket = "DIR/c"\n'
            '[[listen]]\nservice = "c2s"\naddress = ["127.0.0.1:0"]\n'
            '[host."a.example"]\ncertificate = "none.crt"\nkey = "none.key"\n', "--data-dir",
            tempfile.gettempdir() + "/xmppd-wire-none")
        self.assertEqual((code, out), (2, ""))
        self.assertRegex(err, r'FILE:\d+:\d+: host."a.example".certificate: cannot read ')
        self.assertIn("none.crt", err)

    def test_certificates_that_cannot_be_used(self):
        """Nor does anybody wait for a passphrase to be typed."""
        with tempfile.TemporaryDirectory(prefix="xmppd-wire-") as directory:
            for name, options in (("plain", ("-nodes",)), ("locked", ("-passout", "pass:secret"))):
                subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                                "ec_paramgen_curve:prime256v1", "-subj", "/CN=a.example", *options,
                                "-out", f"{directory}/{name}.crt", "-keyout",
                                f"{directory}/{name}.key"], capture_output=True, check=True)
            open(f"{directory}/empty.crt", "w", encoding="utf-8").close()
            cases = [("locked.crt", "locked.key", "key"), ("empty.crt", "plain.key", "it is empty"),
                     ("plain.crt", "empty.crt", "empty.crt"), ("plain.crt", "locked.key", "key"),
                     ("plain.key", "plain.key", "plain.key"), ("plain.crt", "plain.crt", "key")]
            for certificate, key, words in cases:
                with self.subTest(certificate + " " + key):
                    code, _, err = self.check(
                        f'[host."a.example"]\ncertificate = "{directory}/{certificate}"\n'
                        f'key = "{directory}/{key}"\n')
                    self.assertEqual(code, 2)
                    self.assertIn("FILE:2:", err)
                    self.assertIn(words, err)
            code, _, err = self.check(f'[host."a.example"]\ncertificate = "{directory}/plain.crt"\n'
                                      f'key = "{directory}/plain.key"\n')
            self.assertEqual((code, err), (0, ""))

    def test_data_dir_that_cannot_be_made(self):
        code, out, err = self.check('[[listen]]\nservice = "c2s"\naddress = ["127.0.0.1:0"]\n'
                                    '[host."a.example"]\n', "--data-dir", "/proc/xmppd")
        self.assertEqual((code, out), (1, ""))
        self.assertIn("data_dir", err)


def bad_config(self, text, place, *words):
    code, out, err = self.check(text + LOOPBACK)
    self.assertEqual((code, out), (2, ""), err)
    self.assertRegex(err, rf"FILE:{place}:\d+")
    for word in words:
        self.assertIn(word, err)


add_tests(Configuration, bad_config, [
    ("unknown_section", "[limit]\ndepth = 9", 1, "limit", "limits"),
    ("unknown_key", "[limits]\nstanza_byte = 1", 2, "stanza_byte", "stanza_bytes"),
    ("wrong_type", "[limits]\ndepth = 'deep'", 2, "limits.depth"),
    ("too_small", "[limits]\nstanza_bytes = 9_999", 2, "limits.stanza_bytes", "10"),
    ("too_large", "[limits]\ndepth = 1025", 2, "limits.depth", "1024"),
    ("duration_without_unit", "[limits]\nunauthenticated_timeout = 5", 2,
     "unauthenticated_timeout"),
    ("duration_of_unknown_unit", "[limits]\nunauthenticated_timeout = '5 parsecs'", 2, "5 parsecs"),
    ("unknown_choice", "[log]\nlevel = 'loud'", 2, "log.level", "warn"),
    ("syntax", "[log\nlevel = 'info'", 1),
    ("address_without_port", "[[listen]]\nservice = 'c2s'\naddress = ['127.0.0.1']", 3,
     "127.0.0.1"),
    ("address_twice", "[[listen]]\nservice = 'c2s'\naddress = ['127.0.0.1:5222', '127.0.0.1:5222']",
     3, "already"),
    ("unknown_service", "[[listen]]\nservice = 'c2c'\naddress = ['127.0.0.1:1']", 2, "c2s"),
    ("unknown_module", "[profile.default]\nmodules = ['pign']", 2, "pign", "ping"),
    ("unknown_option_of_module", "[profile.default.module.register]\nalow = 'all'", 2, "alow",
     "allow"),
    ("bad_value_of_module", "[profile.default.module.register]\nallow = 'everybody'", 2, "allow",
     "loopback"),
    ("unknown_profile", "[host.'a.example']\nprofile = 'none'", r"\d+", "none"),
    ("certificate_without_key", "[host.'a.example']\ncertificate = 'x'", 2, "key"),
    ("bad_host_name", "[host.'a b']", 1, "a b"),
    ("bad_admin", "[host.'a.example']\nadmins = ['a.example']", 2, "a.example"),
])


class Secrets(WireTest):
    """At the most talkative level the log still has no password, no message, no proof."""

    level = "trace"
    users = {}

    def test_log(self):
        said = []
        with self.secured() as client:
            for user, password in SECRETS.items():
                client.register(user, password)
        plain_bob = SECRETS["bob"].replace("&amp;", "&")
        scram = wire.Scram("alice", SECRETS["alice"])
        with self.secured() as client:
            wire.begin(client, scram)
            final = scram.final()
            client.send(wire.response(final))
            client.element()
            client.bind("pc")
            said += [scram.nonce, scram.server_nonce, base64.b64encode(scram.salt).decode(), final,
                     final.partition("p=")[2], wire.b64(final), wire.b64(scram.first())]
            with self.secured() as other:
                message = f"\0bob\0{plain_bob}"
                other.send(auth("PLAIN", message))
                other.element()
                other.bind("pc")
                said += [wire.b64(message)]
                client.send(f"<message to='{other.jid}'><subject>a secret subject</subject>"
                            "<body>a secret body</body></message>")
                other.element()
                client.send("<message to='nobody@localhost'><body>a lost body</body></message>")
                client.element()
                client.send("<iq type='set' id='1' to='localhost'>"
                            "<query xmlns='jabber:iq:register'>"
                            "<username>alice</username><password>a new password</password></query>"
                            "</iq>")
                self.assertEqual(client.element().get("type"), "result")
                client.send("<message><body>a broken body</boddy></message>")
                client.stream_error()
        with self.secured() as client:
            wrong = "\0alice\0a wrong password"
            client.send(auth("PLAIN", wrong))
            client.element()
            wire.authenticate(client, wire.Scram("alice", "another wrong password"))
            client.send(auth("PLAIN", "no PLAIN message but a secret"))
            client.element()
            said += [wire.b64(wrong)]
        said += [*SECRETS.values(), plain_bob, "secret subject", "secret body", "lost body",
                 "broken body", "wrong password", "a new password", "but a secret"]
        log = self.server.log()
        self.assertIn("authenticated", log)
        self.assertIn("authentication failed", log)
        for secret in said:
            self.assertNotIn(secret, log)
        for secret in (SECRETS["alice"], plain_bob, "a new password"):
            for path in glob.glob(f"{self.directory}/data/*"):
                with open(path, "rb") as file:
                    self.assertNotIn(secret.encode(), file.read(), path)

    def test_standard_output_has_one_line(self):
        self.assertEqual(len(self.server.child.seen), 1, self.server.child.seen)
        self.assertRegex(self.server.child.seen[0],
                         r"^xmppd ready c2s=\S+:\d+ c2s-direct-tls=\S+:\d+ control=\S+$")

    def test_private_files(self):
        """Nobody else may read keys, accounts or the control socket."""
        for path in glob.glob(f"{self.directory}/data/*.key") + glob.glob(
                f"{self.directory}/data/*.db*"):
            self.assertEqual(os.stat(path).st_mode & 0o077, 0, path)
        self.assertEqual(os.stat(f"{self.directory}/control.sock").st_mode & 0o007, 0)

    def test_peers_cannot_forge_log_lines(self):
        with self.secured() as client:
            client.send(auth("PLAIN", "\0mallory\nerror forged=1\0x"))
            client.element()
            client.send(auth("SCRAM-SHA-256", "n,,n=x\ny forged=2,r=abc"))
            client.element()
        for line in self.server.log().splitlines():
            self.assertFalse(re.match(r"(error|y) forged", line), line)


if __name__ == "__main__":
    main()
