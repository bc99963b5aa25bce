"""The soak test: churn for minutes, in which nothing of the server may grow.

    XMPPD_BIN_DIR=.../bin soak.py [--minutes 30] [--plant connections|accounts] [--json FILE]

Six actors do what comes and goes: logins and logouts, resumptions, rosters and subscriptions,
offline messages, accounts made and removed, modules and configuration reloaded; xmppbench chats
beside them, with logins of its own. Once a second memory, file descriptors, threads, sessions,
accounts in memory and what waits in mailboxes and queues are sampled. After a warm-up each must be
flat: it fails where a slope is greater than zero with 95 % confidence and greater than its bound,
and when an actor fails. --plant makes the actors leave something behind on purpose: the test must
fail then.
"""

import argparse
import dataclasses
import json
import math
import os
import random
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "wire"))
sys.path.insert(0, HERE)

import harness  # noqa: E402  (starts xmppd)
import slope  # noqa: E402
import wire  # noqa: E402
from crash import ROSTER, SM, Session  # noqa: E402

PASSWORD = "soak"
DOMAIN = "localhost"
MESSAGE = f"{{{wire.CLIENT}}}message"
CACHED = 50      # accounts in memory though nobody uses them: as many after a second as later
WINDOW_S = 4     # so that sessions without a connection come to their end, too
PACE_S = 0.05    # pause of an actor between two rounds
MODULES = ("ping", "disco", "roster", "presence", "message", "offline", "vcard", "carbons")


@dataclasses.dataclass
class Bound:
    """What may grow by how much: in an hour, or in the whole run if that is more."""
    unit: str
    per_hour: float
    at_all: float


# A leak matters if it is felt within a month of such churn, some tens of logins a second: 1 MiB/h
# is 720 MiB then, and is also what the allocator's fragments cannot be told from in half an hour.
# Descriptors: 1 of some 3,000 connections. What waits has to go back to nothing all the time.
BOUNDS = {
    "rss": Bound("KiB", 1024, 2048),
    "pss": Bound("KiB", math.inf, math.inf),  # told only: it depends on who shares the libraries
    "anonymous": Bound("KiB", 1024, 2048),
    "descriptors": Bound("", 40, 10),
    "threads": Bound("", 1, 1),
    "connections": Bound("", 40, 10),
    "sessions": Bound("", 40, 10),
    "accounts": Bound("", 40, 10),
    "mailbox": Bound("", 40, 10),
    "storage_queue": Bound("", 40, 10),
}


class Control:
    """The control socket."""

    def __init__(self, path):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(60)
        self.sock.connect(path)
        self.lines = self.sock.makefile("rb")

    def ask(self, command, **args):
        request = {"id": 1, "command": command, "args": args}
        self.sock.sendall(json.dumps(request).encode() + b"\n")
        answer = json.loads(self.lines.readline())
        if "error" in answer:
            raise wire.WireError(f"{command}: {answer['error']['text']}")
        return answer["result"]


class Sampler:
    """What is measured of the server."""

    def __init__(self, server):
        self.pid = server.child.process.pid
        self.control = Control(server.ready["control"])
        self.times = []
        self.series = {name: [] for name in BOUNDS}

    def sample(self):
        with open(f"/proc/{self.pid}/smaps_rollup", encoding="ascii") as file:
            memory = dict(re.findall(r"^(\w+):\s+(\d+) kB", file.read(), re.M))
        status = self.control.ask("status")
        if status["exceptions"]:
            raise wire.WireError("an exception came out of a module")
        values = {"rss": int(memory["Rss"]), "pss": int(memory["Pss"]),
                  "anonymous": int(memory["Anonymous"]),
                  "descriptors": len(os.listdir(f"/proc/{self.pid}/fd")),
                  "threads": len(os.listdir(f"/proc/{self.pid}/task")),
                  "connections": status["connections"], "sessions": status["sessions"],
                  "accounts": sum(row["accounts"] for row in status["load"]),
                  "mailbox": max(row["mailbox"] for row in status["load"]),
                  "storage_queue": status["storage_queue"]}
        self.times.append(time.monotonic())
        for name, value in values.items():
            self.series[name].append(value)


class Client(Session):
    """As Session; the end of its stream says why, and messages may come before what is waited for:
    those of an earlier session that nobody took, or that came back."""

    def element(self, name=None, seconds=20):
        while True:
            item = super().element(None, seconds)
            if item.tag == f"{{{wire.STREAM}}}error":
                raise wire.WireError(f"stream error: {wire.ET.tostring(item).decode()}")
            if name is None or item.tag == name:
                return item
            if item.tag != MESSAGE:
                raise wire.WireError(f"not {name}: {wire.ET.tostring(item).decode()}")


class Actor(threading.Thread):
    """Does the same thing again and again, until it is told to stop."""

    users = 0  # accounts of its own, that stay

    def __init__(self, server, seed, plant):
        super().__init__(daemon=True)
        self.server, self.plant = server, plant
        self.random = random.Random(seed)
        self.rounds, self.failure, self.is_ending = 0, None, False
        self.kept = []

    def name_of(self, number):
        return f"{type(self).__name__.lower()}{number}"

    def jid_of(self, number):
        return f"{self.name_of(number)}@{DOMAIN}"

    def run(self):
        try:
            self.prepare()
            while not self.is_ending:
                self.work()
                self.rounds += 1
                time.sleep(PACE_S)
        except Exception:  # told in the end
            self.failure = traceback.format_exc()

    def prepare(self):
        control = Control(self.server.ready["control"])
        for number in range(self.users):
            control.ask("user.add", jid=self.jid_of(number), password=PASSWORD)

    def session(self, number, resource="soak"):
        return Client(self.server).login(self.name_of(number), PASSWORD, resource, DOMAIN)

    @staticmethod
    def leave(client):
        """An orderly end."""
        client.send("</stream:stream>")
        while not isinstance(client.next(), wire.Closed):
            pass
        client.close()

    @staticmethod
    def bodies(client, count):
        found = []
        while len(found) < count:
            item = client.element()
            if item.tag == MESSAGE:
                found.append(item.findtext(f"{{{wire.CLIENT}}}body"))
        return found


class Comer(Actor):
    """Logs in, is available, asks for its roster, and leaves; in order or by dying."""

    users = 20

    def work(self):
        number = self.random.randrange(self.users)
        stays = self.plant == "connections" and self.rounds % 4 == 0
        client = self.session(number, f"kept{self.rounds}" if stays else "soak")
        client.send("<presence/>")
        client.answer(client.ask("get", f"<query xmlns='{ROSTER}'/>"))
        client.send(f"<message to='{client.jid}' type='chat'><body>me</body></message>")
        self.bodies(client, 1)
        if stays:
            self.kept.append(client)
        elif self.random.random() < 0.5:
            self.leave(client)
        else:
            client.close()


class Resumer(Actor):
    """Cut off and back again; a part of the sessions is left to its end."""

    users = 20

    def work(self):
        number = self.random.randrange(self.users)
        client = self.session(number, f"r{self.random.randrange(3)}")
        client.send(f"<enable xmlns='{SM}' resume='true'/>")
        id = client.element(f"{{{SM}}}enabled").get("id")
        client.send(f"<message to='{client.jid}' type='chat'><body>{id}</body></message>")
        client.close()
        if self.random.random() < 0.3:
            return
        again = Client(self.server)
        again.open(DOMAIN)
        again.secure(DOMAIN)
        wire.authenticate(again, wire.Scram(self.name_of(number), PASSWORD))
        again.new_stream()
        again.open(DOMAIN)
        again.send(f"<resume xmlns='{SM}' previd='{id}' h='0'/>")
        again.element(f"{{{SM}}}resumed")
        # What was under way when the connection died may have been read or not.
        again.send(f"<message to='{client.jid}' type='chat'><body>end</body></message>")
        while self.bodies(again, 1) != ["end"]:
            pass
        self.leave(again)


class Contacts(Actor):
    """Two who come to see each other and part again; rosters grow and shrink."""

    users = 10

    def work(self):
        one, two = self.random.sample(range(self.users), 2)
        first, second = self.session(one), self.session(two)
        for client in (first, second):
            client.answer(client.ask("get", f"<query xmlns='{ROSTER}'/>"))
            client.send("<presence/>")
        first.send(f"<presence to='{self.jid_of(two)}' type='subscribe'/>")
        second.send(f"<presence to='{self.jid_of(one)}' type='subscribe'/>")
        for client, other in ((first, two), (second, one)):
            client.send(f"<presence to='{self.jid_of(other)}' type='subscribed'/>")
            friend = f"friend{self.random.randrange(30)}@{DOMAIN}"
            client.answer(client.ask("set", f"<query xmlns='{ROSTER}'><item jid='{friend}' name="
                                            f"'{self.rounds}'><group>G</group></item></query>"))
        for client, other in ((first, two), (second, one)):
            client.answer(client.ask("set", f"<query xmlns='{ROSTER}'><item jid="
                                            f"'{self.jid_of(other)}' subscription='remove'/>"
                                            "</query>"))
            self.leave(client)


class Mail(Actor):
    """Messages for somebody who is not there, fetched afterwards."""

    users = 10

    def work(self):
        sender, receiver = self.random.sample(range(self.users), 2)
        client = self.session(sender)
        for number in range(5):
            client.send(f"<message to='{self.jid_of(receiver)}' type='chat'>"
                        f"<body>{number}</body></message>")
        self.leave(client)
        client = self.session(receiver)
        client.send("<presence/>")
        if (there := self.bodies(client, 5)) != list("01234"):
            raise wire.WireError(f"of five stored messages came {there}")
        self.leave(client)


class Maker(Actor):
    """Accounts with everything that may belong to one, made and removed."""

    def prepare(self):
        self.control = Control(self.server.ready["control"])

    def work(self):
        name = f"made{self.rounds}"
        self.control.ask("user.add", jid=f"{name}@{DOMAIN}", password=PASSWORD)
        client = Client(self.server).login(name, PASSWORD, "soak", DOMAIN)
        for payload in ("<vCard xmlns='vcard-temp'><FN>Soak</FN></vCard>",
                        "<query xmlns='jabber:iq:private'><a xmlns='b'>c</a></query>",
                        f"<block xmlns='urn:xmpp:blocking'><item jid='x@{DOMAIN}'/></block>",
                        f"<query xmlns='{ROSTER}'><item jid='y@{DOMAIN}' name='Y'/></query>"):
            client.answer(client.ask("set", payload))
        if self.plant == "accounts":
            self.kept.append(client)
        elif self.rounds % 2 == 0:
            client.ask("set", "<query xmlns='jabber:iq:register'><remove/></query>")
            # XEP-0077 3.2: the stream error is the answer. The result that usually comes first may
            # wait for a module that has just been replaced, and then comes too late.
            while isinstance(item := client.next(), wire.ET.Element):
                last = item
            if last.find(f"{{{wire.STREAM_ERRORS}}}not-authorized") is None:
                raise wire.WireError(f"removed: {wire.ET.tostring(last).decode()}")
            client.close()
        else:
            self.control.ask("user.delete", jid=f"{name}@{DOMAIN}")
            client.close()


class Operator(Actor):
    """Replaces modules, takes the configuration in again."""

    def prepare(self):
        self.control = Control(self.server.ready["control"])

    def work(self):
        self.control.ask("module.reload", module=self.random.choice(MODULES))
        # Limits that were in force are kept, 1.5 KiB each: not hundreds of times an hour.
        if self.rounds % 10 == 0:
            path = self.server.config
            with open(path, encoding="utf-8") as file:
                text = file.read()
            size = f"stanza_bytes = {262144 + self.rounds}"
            with open(path, "w", encoding="utf-8") as file:
                file.write(re.sub(r"stanza_bytes = \d+", size, text))
        self.control.ask("config.reload")
        time.sleep(3)


def start_bench(server, directory, command, users, more):
    return subprocess.Popen(
        [harness.program("xmppbench"), command, "--target", f"{server.address}:{server.port}",
         "--domain", DOMAIN, "--users", str(users), "--prefix", command, "--password", PASSWORD,
         "--register", "--tls", "starttls", "--insecure", "--quiet", "--json",
         os.path.join(directory, f"{command}.json"), *more], stdin=subprocess.DEVNULL)


def run(arguments, directory):
    """The samples of the run, and what it was."""
    config = harness.write_config(
        directory, harness.processes.loopback(), level="warn", register="per_address = 0",
        limits=f"stanza_bytes = 262144\ncached_accounts = {CACHED}",
        profile=f'[profile.default.module.sm]\nresume_window = "{WINDOW_S}s"\n')
    server = harness.Server(directory, config)
    seconds = arguments.minutes * 60
    rng = random.Random(arguments.seed)
    actors = [kind(server, rng.getrandbits(64), arguments.plant)
              for kind in (Comer, Resumer, Contacts, Mail, Maker, Operator)
              if not arguments.only or kind.__name__.lower() in arguments.only]
    benches = []
    try:
        sampler = Sampler(server)
        end = time.monotonic() + seconds
        for actor in actors:
            actor.start()
        duration = ["--duration", f"{seconds + 60:.0f}s"]
        for command, users, more in (("chat", 20, ["--rate", "200"]),
                                     ("login", 4, ["--sasl", "plain"])):
            if not arguments.only or command in arguments.only:
                benches.append(start_bench(server, directory, command, users, more + duration))
        while time.monotonic() < end:
            sampler.sample()
            failed = [actor for actor in actors if actor.failure]
            failed += [bench.args[1] for bench in benches if bench.poll() is not None]
            if failed:
                break
            time.sleep(1)
    finally:
        for actor in actors:
            actor.is_ending = True
        for bench in benches:
            bench.kill()
            bench.wait()
        for actor in actors:
            actor.join(30)
        alive = server.child.process.poll() is None
        log = server.log()
        server.stop()
    for actor in actors:
        print(f"soak: {type(actor).__name__} {actor.rounds} rounds")
        if actor.failure:
            sys.exit(f"soak: {type(actor).__name__} failed:\n{actor.failure}\n{log[-3000:]}")
    if not alive or failed:
        sys.exit(f"soak: ended early: {failed or 'xmppd'}\n{log[-3000:]}")
    return sampler


def judge(sampler, warmup_s):
    """Prints the slope of everything that was sampled; the names of what grows."""
    first = next(index for index, when in enumerate(sampler.times)
                 if when >= sampler.times[0] + warmup_s)
    times = sampler.times[first:]
    hours = (times[-1] - times[0]) / 3600
    print(f"soak: {len(times)} samples in {hours * 60:.1f} minutes after {warmup_s:.0f} s")
    print(f"{'':14} {'mean':>10} {'slope/h':>12} {'95 % confidence':>28} {'bound/h':>10}")
    growing = []
    for name, bound in BOUNDS.items():
        found = slope.measure(times, sampler.series[name][first:])
        most = max(bound.per_hour, bound.at_all / hours)
        grows = found.exceeds(most)
        growing += [name] * grows
        print(f"{name:14} {found.mean:10.1f} {found.slope:+12.1f} "
              f"{f'[{found.low:+.1f}, {found.high:+.1f}]':>28} {most:10.1f} {bound.unit:3} "
              f"{'GROWS' if grows else 'flat'}")
    return growing


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--warmup", type=float, help="seconds; default: a third, at most 300")
    parser.add_argument("--plant", choices=("connections", "accounts"))
    parser.add_argument("--only", nargs="+", help="these actors (comer...), or chat, login")
    parser.add_argument("--seed", type=int, default=random.getrandbits(32))
    parser.add_argument("--json", help="write the samples there")
    arguments = parser.parse_args()
    print(f"soak: seed {arguments.seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="xmppd-soak-") as directory:
        sampler = run(arguments, directory)
    if arguments.json:
        with open(arguments.json, "w", encoding="utf-8") as file:
            json.dump({"times": sampler.times, **sampler.series}, file)
    warmup = arguments.warmup
    growing = judge(sampler, min(300, arguments.minutes * 20) if warmup is None else warmup)
    if growing:
        sys.exit(f"soak: growing: {', '.join(growing)}")


if __name__ == "__main__":
    main()
