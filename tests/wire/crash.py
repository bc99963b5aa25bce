#!/usr/bin/python3
"""Kills xmppd with SIGKILL under load, again and again: what it acknowledged must be there after.

    crash.py [--rounds N] [--storage sqlite|postgresql] [--seed N] [--keep]

Every round starts the server on the same data, checks what the rounds before were promised, lets
clients write, and kills the server at a random moment. Promised is what an iq result answered
(accounts, passwords, roster items) and, where the server has both, a message to somebody offline
that an <a/> of XEP-0198 covers. What was under way when the server died may be there or not.
Between the rounds the database's own integrity check runs on the files as the kill left them; with
PostgreSQL every third round kills the database, too.
"""

import argparse
import glob
import os
import random
import shutil
import sqlite3
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import harness  # noqa: E402
import processes  # noqa: E402
import wire  # noqa: E402

ROSTER = "jabber:iq:roster"
SM = "urn:xmpp:sm:3"
DOMAIN = "localhost"
WRITERS = 4


class Lost(Exception):
    """Something that was acknowledged is not there."""


class Account:
    """What one account was promised. A value of `maybe` is one that was asked for, unanswered."""

    def __init__(self, name, password):
        self.name = name
        self.passwords = [password]  # the last acknowledged one first
        self.roster = {}             # address -> (name, groups)
        self.maybe = {}              # address -> values that it may have instead; None: absent
        self.is_promised = False
        self.mail = set()            # bodies that must arrive


def shown(item):
    """A roster item as (name, groups)."""
    groups = tuple(sorted(group.text for group in item.findall(f"{{{ROSTER}}}group")))
    return item.get("name", ""), groups


class Session(wire.Wire):
    """A client that asks and counts."""

    def __init__(self, server):
        super().__init__(server.address, server.port)
        self.number = 0
        self.sent = 0      # stanzas since <enable/>
        self.handled = 0   # of which the server said so

    def answer(self, id, seconds=20):
        while True:
            item = self.element(seconds=seconds)
            if item.tag == f"{{{wire.CLIENT}}}iq" and item.get("id") == id:
                return item
            self.note(item)

    def note(self, item):
        if item.tag == f"{{{SM}}}a":
            self.handled = int(item.get("h"))

    def ask(self, type, payload):
        self.number += 1
        id = f"q{self.number}"
        self.send(f"<iq type='{type}' id='{id}'>{payload}</iq>")
        return id

    def enable(self):
        """Stream management, if the server has it."""
        if self.features.find(f"{{{SM}}}sm") is None:
            return False
        self.send(f"<enable xmlns='{SM}'/>")
        return self.element().tag == f"{{{SM}}}enabled"


class Writer(threading.Thread):
    """One client after the other, until the server dies."""

    def __init__(self, server, number, seed, accounts, round_):
        super().__init__(daemon=True)
        self.server, self.number, self.accounts, self.round = server, number, accounts, round_
        self.random = random.Random(seed)
        self.acknowledged = 0
        self.failure = None
        self.is_ending = False

    def run(self):
        try:
            while not self.is_ending:
                self.work()
        except (wire.WireError, OSError, ValueError) as error:
            # Expected of a server that was killed, and of nothing else.
            if not self.is_ending:
                self.failure = error

    def new_account(self):
        name = f"w{self.number}-{self.round}-{len(self.accounts)}"
        account = Account(name, "pw" + name)
        with Session(self.server) as client:
            client.open(DOMAIN)
            client.secure(DOMAIN)
            self.accounts.append(account)
            client.register(name, account.passwords[0], DOMAIN)
        account.is_promised = True
        self.acknowledged += 1
        return account

    def work(self):
        promised = [account for account in self.accounts if account.is_promised]
        if not promised or self.random.random() < 0.4:
            account = self.new_account()
        else:
            account = self.random.choice(promised)
        with Session(self.server) as client:
            client.login(account.name, account.passwords[0], "w", DOMAIN)
            can_ack = client.enable()
            for _ in range(self.random.randint(1, 6)):
                if self.random.random() < 0.1:
                    self.change_password(client, account)
                else:
                    self.change_roster(client, account)
            if can_ack and self.round is not None:
                self.send_mail(client)

    def change_password(self, client, account):
        fresh = f"pw{self.random.getrandbits(40)}"
        account.passwords.append(fresh)
        id = client.ask("set", f"<query xmlns='jabber:iq:register'><username>{account.name}"
                               f"</username><password>{fresh}</password></query>")
        if client.answer(id).get("type") != "result":
            raise wire.WireError("the password was not changed")
        account.passwords = [fresh]
        self.acknowledged += 1

    def change_roster(self, client, account):
        """A few items in one breath, so that commits are shared."""
        waiting = []
        addresses = self.random.sample(range(12), self.random.randint(1, 5))
        for address in (f"friend{number}@{DOMAIN}" for number in addresses):
            if address in account.roster and self.random.random() < 0.3:
                value = None
                item = f"<item jid='{address}' subscription='remove'/>"
            else:
                groups = tuple(sorted({f"G{self.random.randint(0, 4)}" for _ in range(2)}))
                value = (f"N{self.random.getrandbits(32)}", groups)
                item = (f"<item jid='{address}' name='{value[0]}'>"
                        + "".join(f"<group>{group}</group>" for group in groups) + "</item>")
            account.maybe[address] = [value]
            waiting.append((client.ask("set", f"<query xmlns='{ROSTER}'>{item}</query>"), address,
                            value))
        for id, address, value in waiting:
            answer = client.answer(id)
            if answer.get("type") != "result":
                raise wire.WireError(f"roster: {wire.stanza_error(answer)}")
            account.roster[address] = value
            if value is None:
                del account.roster[address]
            del account.maybe[address]
            self.acknowledged += 1

    def send_mail(self, client):
        """Messages to somebody who is not there, of which the server acknowledges a part."""
        target = next((one for one in self.accounts if one.is_promised
                       and one.name.startswith(f"m{self.number}-{self.round}-")), None)
        if target is None:
            with Session(self.server) as other:
                other.open(DOMAIN)
                other.secure(DOMAIN)
                target = Account(f"m{self.number}-{self.round}-0", "pw-of-mail")
                self.accounts.append(target)
                other.register(target.name, target.passwords[0], DOMAIN)
            target.is_promised = True
        # Every iq so far was answered, and nothing but iqs was sent since <enable/>.
        before = client.number
        bodies = [f"{target.name} {self.random.getrandbits(60)}" for _ in range(5)]
        for body in bodies:
            client.send(f"<message to='{target.name}@{DOMAIN}' type='chat'><body>{body}</body>"
                        f"</message>")
        client.send(f"<r xmlns='{SM}'/>")
        while client.handled < before + len(bodies):
            client.note(client.element(seconds=20))
            for body in bodies[:max(0, client.handled - before)]:
                if body not in target.mail:
                    target.mail.add(body)
                    self.acknowledged += 1


class Check:
    """Are the promises kept?"""

    def __init__(self, server):
        self.server = server

    def account(self, account):
        client = self.login(account)
        if client is None:
            return
        with client:
            account.is_promised = True
            id = client.ask("get", f"<query xmlns='{ROSTER}'/>")
            there = {item.get("jid"): shown(item)
                     for item in client.answer(id).iter(f"{{{ROSTER}}}item")}
            for address in set(there) | set(account.roster) | set(account.maybe):
                possible = [account.roster.get(address), *account.maybe.get(address, [])]
                if there.get(address) not in possible:
                    raise Lost(f"{account.name}: {address} is {there.get(address)}, "
                               f"acknowledged was {possible}")
            account.roster, account.maybe = there, {}
            self.mail(client, account)

    def login(self, account):
        for password in account.passwords:
            client = Session(self.server)
            try:
                client.login(account.name, password, "check", DOMAIN)
            except wire.WireError:
                client.close()
                continue
            account.passwords = [password]
            return client
        if account.is_promised:
            raise Lost(f"{account.name} cannot log in with an acknowledged password")
        return None

    def mail(self, client, account):
        if not account.mail:
            return
        client.send("<presence/>")
        missing = set(account.mail)
        deadline = time.monotonic() + 20
        while missing:
            try:
                item = client.element(seconds=deadline - time.monotonic())
            except wire.WireError:
                raise Lost(f"{account.name}: {len(missing)} of {len(account.mail)} acknowledged "
                           f"messages are missing") from None
            missing.discard(item.findtext(f"{{{wire.CLIENT}}}body"))
        account.mail = set()


class Sqlite:
    lines = ""

    def __init__(self, directory):
        self.path = os.path.join(directory, "data", "xmppd.db")

    def check(self):
        """On a copy, lest the check mends what the server has to."""
        with tempfile.TemporaryDirectory() as directory:
            for file in glob.glob(self.path + "*"):
                shutil.copy(file, directory)
            database = sqlite3.connect(os.path.join(directory, "xmppd.db"))
            found = database.execute("PRAGMA integrity_check").fetchall()
            found += database.execute("PRAGMA foreign_key_check").fetchall()
            database.close()
        if found != [("ok",)]:
            raise Lost(f"integrity check: {found}")

    def kill(self, round_):
        pass

    def stop(self):
        pass


class Postgres(harness.Postgres):
    def __init__(self, _):
        os.environ["POSTGRES_FSYNC"] = "on"
        super().__init__()
        self.query("CREATE EXTENSION amcheck")

    def check(self):
        self.query("SELECT bt_index_check(c.oid, true) FROM pg_index i JOIN pg_class c ON"
                   " c.oid = i.indexrelid JOIN pg_am a ON a.oid = c.relam AND a.amname = 'btree'"
                   " WHERE c.relnamespace = 'public'::regnamespace")

    def kill(self, round_):
        if round_ % 3 == 2:
            self.run("halt")
            self.run("resume")


def play(arguments, directory, database):
    rng = random.Random(arguments.seed)
    config = harness.write_config(directory, processes.loopback(), storage=database.lines,
                                  level="warn", register="per_address = 0")
    accounts = [[] for _ in range(WRITERS)]
    total = 0
    for round_ in range(arguments.rounds + 1):
        server = harness.Server(directory, config, f"xmppd-{round_}")
        try:
            check = Check(server)
            everybody = [account for one in accounts for account in one]
            last = round_ == arguments.rounds
            recent = [account for account in everybody if account.maybe or account.mail
                      or not account.is_promised or len(account.passwords) > 1]
            some = everybody if last else recent + rng.sample(everybody, min(20, len(everybody)))
            for account in dict.fromkeys(some):
                check.account(account)
            for one in accounts:
                one[:] = [account for account in one if account.is_promised]
            if last:
                break
            writers = [Writer(server, number, rng.getrandbits(64), accounts[number], round_)
                       for number in range(WRITERS)]
            for writer in writers:
                writer.start()
            time.sleep(rng.uniform(0.3, 2.0) * harness.PATIENCE)
            for writer in writers:
                writer.is_ending = True
            failures = [writer.failure for writer in writers if writer.failure]
            server.child.process.kill()
            database.kill(round_)
            for writer in writers:
                writer.join(30)
        finally:
            server.child.process.kill()
            server.child.process.wait()
            server.stop()
        if failures:
            raise Lost(f"a client failed before the kill: {failures[0]}\n{server.log()[-2000:]}")
        database.check()
        done = sum(writer.acknowledged for writer in writers)
        total += done
        print(f"round {round_ + 1}: {done} acknowledged, "
              f"{sum(len(one) for one in accounts)} accounts", flush=True)
    print(f"{arguments.rounds} kills, {total} acknowledged changes, none lost")
    if total < arguments.rounds:
        raise Lost("the clients did nothing: the test shows nothing")


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--storage", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--seed", type=int, default=random.getrandbits(32))
    parser.add_argument("--keep", action="store_true", help="keep the files")
    arguments = parser.parse_args()
    print(f"seed {arguments.seed}", flush=True)
    directory = tempfile.mkdtemp(prefix="xmppd-crash-")
    database = (Sqlite if arguments.storage == "sqlite" else Postgres)(directory)
    try:
        play(arguments, directory, database)
    except Lost as lost:
        sys.exit(f"FAILED: {lost}")
    finally:
        database.stop()
        if not arguments.keep:
            shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    main()
