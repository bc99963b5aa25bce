"""Modules that come, go and are replaced while people chat: no message and no answer is lost, and
a module at fault harms nobody else."""

import os
import threading
import time
import unittest

import wire
from harness import PATIENCE, SANITIZED, Refused, WireTest, control_command, main

FAULTY = os.environ.get("XMPPD_FAULTY_MODULES", "")
ROUNDS = 5 if SANITIZED else 15
IQ, MESSAGE = f"{{{wire.CLIENT}}}iq", f"{{{wire.CLIENT}}}message"
PING = "<ping xmlns='urn:xmpp:ping'/>"


class Asker(threading.Thread):
    """A client that asks without a pause and counts what comes back, by type or condition."""

    def __init__(self, client, make_request):
        super().__init__(daemon=True)
        self.client, self.make_request = client, make_request
        self.asked, self.answers, self.failure = 0, {}, None
        self._going = True
        self.start()

    def run(self):
        try:
            while self._going:
                self.client.send(self.make_request(f"q{self.asked}", self.asked))
                self.asked += 1
                while True:  # also pushes, which are acknowledged
                    answer = self.client.element(IQ, 20 * PATIENCE)
                    if answer.get("type") == "set":
                        self.client.send(f"<iq type='result' id='{answer.get('id')}'/>")
                    else:
                        break
                assert answer.get("id") == f"q{self.asked - 1}", wire.ET.tostring(answer)
                kind = answer.get("type")
                if kind == "error":
                    kind = wire.stanza_error(answer)[1]
                self.answers[kind] = self.answers.get(kind, 0) + 1
        except Exception as error:  # told by finish()
            self.failure = error

    def finish(self):
        self._going = False
        self.join()
        if self.failure:
            raise AssertionError(f"after {self.asked} requests: {self.failure!r}")
        self.client.close()
        return self.answers


def to_host(payload):
    return lambda id, number: f"<iq type='get' to='localhost' id='{id}'>{payload}</iq>"


class Live(WireTest):
    server_lines = f'module_path = ["{FAULTY}"]'

    def control_command(self, command, **args):
        return control_command(self.directory, command, **args)

    def module(self, verb, name, **args):
        return self.control_command("module." + verb, module=name, **args)

    def refused(self, verb, name, *parts):
        with self.assertRaises(Refused) as caught:
            self.module(verb, name)
        for part in parts:
            self.assertIn(part, caught.exception.text)
        return caught.exception

    def ask(self, client, payload, to="localhost", type="get"):
        client.send(f"<iq type='{type}' to='{to}' id='x'>{payload}</iq>")
        answer = client.element(IQ, 20 * PATIENCE)
        return wire.stanza_error(answer)[1] if answer.get("type") == "error" else "result"

    def test_nothing_is_lost_while_modules_come_and_go(self):
        pings = Asker(self.session("alice"), to_host(PING))
        versions = Asker(self.session("bob"), to_host("<query xmlns='jabber:iq:version'/>"))
        for _ in range(ROUNDS):
            for name in ("ping", "version", "time"):
                self.module("unload", name)
                self.module("load", name)
                self.module("reload", name)
            for name in ("message", "presence", "roster", "register", "iq_forward"):
                self.module("reload", name)
        for answers in (pings.finish(), versions.finish()):
            self.assertEqual(set(answers) - {"service-unavailable"}, {"result"})
            self.assertGreater(answers["result"], 10)

    def test_a_reload_leaves_no_gap(self):
        pings = Asker(self.session("alice"), to_host(PING))

        def roster_set(id, number):
            return (f"<iq type='set' id='{id}'><query xmlns='jabber:iq:roster'>"
                    f"<item jid='contact{number % 50}@localhost' name='{number}'/></query></iq>")

        client = self.session("bob")
        client.send("<iq type='get' id='r'><query xmlns='jabber:iq:roster'/></iq>")
        client.element(IQ)
        sets = Asker(client, roster_set)
        for _ in range(ROUNDS):
            for name in ("ping", "roster", "disco"):
                self.module("reload", name)
        self.assertEqual(set(pings.finish()), {"result"})
        asked = sets.asked
        self.assertEqual(set(sets.finish()), {"result"})
        # What was acknowledged is there, in memory and on disk.
        with self.session("bob") as again:
            again.send("<iq type='get' id='r'><query xmlns='jabber:iq:roster'/></iq>")
            items = {item.get("jid"): int(item.get("name")) for item in again.element(IQ)[0]}
        for number in range(max(0, asked - 50), asked):
            self.assertGreaterEqual(items[f"contact{number % 50}@localhost"], number)

    def test_stored_messages_go_on_in_order(self):
        """`offline` is replaced while it delivers what it stored and live messages wait."""
        def say(client, numbers):
            for number in numbers:
                client.send(f"<message to='bob@localhost' type='chat' id='{number}'>"
                            f"<body>{'x' * 1000}</body></message>")

        for _ in range(3):
            with self.session("alice") as alice:
                say(alice, range(120))
                self.assertEqual(self.ask(alice, PING), "result")
                with self.session("bob") as bob:
                    bob.send("<presence/>")
                    for first in range(120, 220, 20):
                        say(alice, range(first, first + 20))
                        self.module("reload", "offline")
                    seen = []
                    while len(seen) < 220:
                        item = bob.element(None, 20 * PATIENCE)
                        if item.tag == MESSAGE:
                            seen.append(int(item.get("id")))
                    self.assertEqual(seen, list(range(220)))
                    bob.send("<iq type='get' id='p'><ping xmlns='urn:xmpp:ping'/></iq>")
                    self.assertEqual(bob.element().get("id"), "p", "nothing comes twice")

    def test_what_waits_for_an_inactive_client_survives(self):
        """csi holds presence back; its next instance still has it, and an unload gives it out."""
        active, inactive = (f"<{name} xmlns='urn:xmpp:csi:0'/>" for name in ("active", "inactive"))
        with self.session() as client, self.session("bob") as other:
            client.send("<presence/>")
            client.element()
            for verb, status in (("reload", "first"), ("unload", "second")):
                self.assertEqual(self.ask(client, PING), "result")
                client.send(inactive)
                time.sleep(0.2)
                other.send(f"<presence to='{client.jid}'><status>{status}</status></presence>")
                self.assertEqual(self.ask(other, PING), "result")
                time.sleep(0.2)
                self.assertEqual(client.ready(), [])
                self.module(verb, "csi")
                if verb == "reload":
                    client.send(active)
                presence = client.element()
                self.assertEqual(presence.findtext(f"{{{wire.CLIENT}}}status"), status)
            self.module("load", "csi")

    def test_a_file_that_has_not_changed_is_loaded_once(self):
        def descriptors():
            return len(os.listdir(f"/proc/{self.server.child.process.pid}/fd"))

        def round_():
            for name in ("ping", "version"):
                self.module("reload", name)
            self.module("unload", "time")
            self.module("load", "time")
            self.refused("load", "missing_symbol", "nobody_defines_this")

        round_()
        before = descriptors()
        for _ in range(ROUNDS):
            round_()
        # Clients that end, and the control connection of a moment ago.
        self.assertLess(descriptors() - before, 5)

    def test_features_follow_at_once(self):
        with self.session() as client:
            def features():
                client.send("<iq type='get' to='localhost' id='d'>"
                            "<query xmlns='http://jabber.org/protocol/disco#info'/></iq>")
                return {item.get("var") for item in client.element(IQ)[0]}

            self.assertIn("urn:xmpp:time", features())
            self.module("unload", "time")
            self.assertNotIn("urn:xmpp:time", features())
            note = self.module("load", "time")["note"]
            self.assertIn("urn:xmpp:time", features())
            self.assertIn("as the configuration file says", note)

    def test_modules_at_fault_are_refused(self):
        self.refused("load", "wrong_abi", "another version of xmppd", "rebuild it")
        self.refused("load", "missing_symbol", "nobody_defines_this")
        self.refused("load", "throws_made", "'throws_made'", "no luck when made")
        self.refused("load", "throws_attached", "'throws_attached'", "no luck when attached")
        self.refused("load", "throws_number", "unknown type")
        self.refused("load", "needs_absent", "requires 'sound'")
        self.refused("load", "pingg", "no module 'pingg'", "did you mean ping?")
        self.refused("load", "ping", "loaded already")
        self.refused("unload", "sound", "not loaded")
        self.refused("unload", "roster", "is required by 'subscription'")
        note = self.module("load", "sound")["note"]
        self.assertIn('put "+sound" into modules of profile default', note)
        self.module("load", "needs_absent")
        self.refused("unload", "sound", "is required by 'needs_absent'")
        self.module("unload", "needs_absent")
        self.module("unload", "sound")
        with self.session() as client:
            self.assertEqual(self.ask(client, PING), "result")

    def test_a_module_that_throws_harms_nobody_else(self):
        self.module("load", "throws_called")
        with self.session() as client:
            for name in ("throw", "later"):
                self.assertEqual(self.ask(client, f"<{name} xmlns='urn:example:throw'/>"),
                                 "internal-server-error")
            client.send("<message to='bob@localhost' id='m'><body>throw</body></message>")
            self.assertEqual(wire.stanza_error(client.element(MESSAGE))[1],
                             "internal-server-error")
            client.send("<boom xmlns='urn:example:throw'/>")
            self.assertEqual(self.ask(client, PING), "result")
            self.server.wait_for_log("no luck with an element")
            self.assertGreaterEqual(self.control_command("status")["exceptions"], 4)
            self.module("unload", "throws_called")
            self.assertEqual(self.ask(client, "<throw xmlns='urn:example:throw'/>"),
                             "service-unavailable")

    def test_requests_that_wait_are_answered(self):
        self.module("load", "sleeper")
        with self.session() as client, self.session("bob") as other:
            # In time, although the module is being unloaded.
            client.send("<iq type='get' to='localhost' id='a'>"
                        "<sleep xmlns='urn:example:sleep' ms='500'/></iq>")
            # Never.
            other.send("<iq type='get' id='b'>"
                       "<sleep xmlns='urn:example:sleep' ms='3600000'/></iq>")
            time.sleep(0.2)
            began = time.monotonic()
            self.module("unload", "sleeper")
            self.assertLess(time.monotonic() - began, 7 * PATIENCE)
            self.assertEqual(client.element(IQ).get("type"), "result")
            self.assertEqual(wire.stanza_error(other.element(IQ))[1], "service-unavailable")

    def test_info_and_options(self):
        info = self.module("info", "register")
        self.assertEqual((info["xep"], info["profiles"]), ("0077", ["default"]))
        self.assertIn({"profile": "default", "option": "allow", "value": '"loopback"'},
                      info["options"])
        self.assertTrue(info["path"].endswith("mod_register.so"))
        hooks = {(row["hook"], row["stage"]) for row in self.module("info", "message")["hooks"]}
        self.assertIn(("ToAccount", "deliver"), hooks)
        self.assertEqual(self.module("info", "roster")["required_by"],
                         ["account_disco", "blocking", "last", "subscription"])
        answers = self.module("info", "ping")["answers"]
        self.assertEqual(answers[0]["request"], "{urn:xmpp:ping}ping")
        rows = {row["option"]: row for row in self.module_options("register")}
        self.assertEqual(rows["allow"]["default"], '"none"')
        self.refused("info", "pingg", "did you mean ping?")

    def module_options(self, name):
        return self.control_command("options", module=name)


class Stuck(WireTest):
    """A worker that does not answer: who asks it is told in time, and late answers do no harm."""

    server_lines = f'module_path = ["{FAULTY}"]'
    SECONDS = 8 * PATIENCE

    def command(self, name, **args):
        return control_command(self.directory, name, **args)

    def test_commands_end_in_time(self):
        self.command("module.load", module="blocker")
        with self.session() as client:
            client.send(f"<iq type='get' id='x'><block xmlns='urn:example:block'"
                        f" ms='{self.SECONDS * 1000}'/></iq>")
            time.sleep(0.3)
            outcomes = {}

            def run(name, **args):
                try:
                    outcomes[name] = self.command(name, **args)
                except Refused as error:
                    outcomes[name] = error.code

            began = time.monotonic()
            threads = [threading.Thread(target=run, args=(name,), kwargs=args) for name, args in (
                ("status", {}), ("session.list", {}), ("session.kick", {"jid": client.jid}),
                ("user.delete", {"jid": "alice@localhost"}))]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            self.assertLess(time.monotonic() - began, self.SECONDS)
            self.assertTrue(outcomes["status"]["ready"])
            for name in ("session.list", "session.kick", "user.delete"):
                self.assertEqual(outcomes[name], "timeout", name)
            # What was asked is done when the worker goes on.
            self.assertEqual(client.element(seconds=self.SECONDS).get("id"), "x")
            client.stream_error()
        deadline = time.monotonic() + 10 * PATIENCE
        while [row for row in self.command("session.list") if row["jid"].startswith("alice@")]:
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.1)
        users = [row["jid"] for row in self.command("user.list", host="localhost")]
        self.assertNotIn("alice@localhost", users)
        self.command("module.unload", module="blocker")
        with self.session("bob") as other:
            other.send(f"<iq type='get' id='p'>{PING}</iq>")
            self.assertEqual(other.element(IQ).get("id"), "p")


if __name__ == "__main__":
    if not FAULTY:
        raise unittest.SkipTest("XMPPD_FAULTY_MODULES is not set")
    main()
