"""Attacks on the proof of identity: what a wrong password costs, and whom it locks out."""

import base64
import os

from hostile import PASSWORD, HostileTest, main, wire

FAILURE = b"</failure>"


class Attempts:
    """Connections that last as long as the server admits attempts."""

    def __init__(self, target, count=20):
        self.target = target
        self.peers = [None] * count

    def say(self, number, user, password):
        """One wrong password; the connection's last answer must be there before."""
        i = number % len(self.peers)
        try:
            if self.peers[i] is None:
                self.peers[i] = self.target.open()
            else:
                self.peers[i].hear(FAILURE)
            self.peers[i].authenticate(user, password)
        except OSError:
            if self.peers[i]:
                self.peers[i].close()
            self.peers[i] = None


def unknown_users(target):
    """PLAIN for names that do not exist: each costs a derivation all the same."""
    attempts = Attempts(target)
    tag = os.urandom(4).hex()
    return lambda number: attempts.say(number, f"{tag}{number}", "guess")


def one_account(target):
    """PLAIN for one account: throttled by the account, not by what the offload threads can do."""
    attempts = Attempts(target)
    return lambda number: attempts.say(number, "a7", f"guess {number}")


def scram(target):
    """SCRAM up to a proof that is wrong."""
    def step(number):
        peer = target.open()
        for _ in range(3):
            first = f"n,,n=u{number % 400},r=nonce{number}".encode()
            peer.send(f"<auth xmlns='{wire.SASL}' mechanism='SCRAM-SHA-256'>"
                      f"{base64.b64encode(first).decode()}</auth>")
            answer = peer.hear(b">", 10) + peer.hear(b">", 10)
            if b"<challenge" not in answer:
                break
            challenge = base64.b64decode(answer.split(b">")[1].split(b"<")[0])
            nonce = challenge.split(b",")[0]
            final = b"c=biws," + nonce + b",p=" + base64.b64encode(bytes(32))
            peer.send(wire.response(final))
            peer.hear(FAILURE)
        peer.close()
    return step


def rubbish(target):
    """Elements of SASL that are out of place, malformed, or as big as may be."""
    auth = f"<auth xmlns='{wire.SASL}' mechanism='"
    rows = (f"{auth}PLAIN'>!!!</auth>", f"<response xmlns='{wire.SASL}'>AAAA</response>",
            f"{auth}NONE'/>", f"<abort xmlns='{wire.SASL}'/>",
            f"{auth}PLAIN'>{'A' * 30_000}</auth>",
            f"{auth}SCRAM-SHA-1'>{base64.b64encode(b'n,,n=' + b'x' * 20_000).decode()}</auth>")

    def step(number):
        peer = target.open()
        peer.send("".join(rows[(number + i) % len(rows)] for i in range(6)))
        peer.close()
    return step


class Logins(HostileTest):
    # The loopback addresses of the tests are not counted, so here nothing but the account's
    # counter stands between an attacker and the derivations.
    def test_unknown_users(self):
        self.attack(unknown_users, rate=400, memory_mib=16)

    def test_one_account(self):
        before = self.status()["refused_logins"]
        after = self.attack(one_account, rate=300, memory_mib=16)
        self.assertGreater(after["refused_logins"], before)
        # Only that account is closed for a while.
        self.target.login("a8").close()
        peer = self.target.open()
        peer.authenticate("a7", PASSWORD)
        self.assertIn(b"temporary-auth-failure", peer.hear(b"</failure>"))
        peer.close()

    def test_scram(self):
        self.attack(scram, rate=80, memory_mib=16)

    def test_rubbish(self):
        self.attack(rubbish, rate=150, memory_mib=24)


class FullOffload(HostileTest):
    limits = "offload_queue = 16"

    def test_more_than_the_queue_holds(self):
        """What does not fit is refused at once; who proves to know SCRAM keys needs no place."""
        def many(target):
            attempts = Attempts(target, 100)
            return lambda number: attempts.say(number, f"many{number}", "guess")
        self.attack(many, rate=500, memory_mib=16)


if __name__ == "__main__":
    main()
