"""Runs one interop scenario against one server: independent clients, or xmppbench as the client.

    /usr/bin/python3 interop.py [--server xmppd|prosody|ejabberd] [--bin-dir DIR] SCENARIO

Exit 0: shown. 1: failed. 77: skipped because a program is missing (in CI that is a failure).
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile

import clients
import servers
from processes import Children, Failure, Skip, need

USERS = {"alice": "wonder land", "bob": "builder=,é"}
BODIES = ["first", "second <&> \"quoted\" 'too'", "snow ☃ and 🦉", "x" * 300, "last"]
SKIPPED = 77


def login(kind, children, server, user, options=()):
    return clients.start(kind, children, server, user, USERS[user], options)


def exchange(one, other, bodies=BODIES):
    """Both send every body to the other's full JID; each must see all of them, once, in order."""
    for sender, receiver in ((one, other), (other, one)):
        for body in bodies:
            sender.send(receiver.jid, body)
        for body in bodies:
            receiver.expect(sender.jid, body)


def check_session(server, client, mechanism=None):
    """What xmppd's own list of sessions says of the client; other servers are not asked."""
    sessions = server.sessions()
    if sessions is None:
        return
    mine = [s for s in sessions if s["jid"].startswith(client.jid.split("/")[0] + "/")]
    if len(mine) != 1:
        raise Failure(f"session list shows {len(mine)} sessions of {client.jid}: {sessions}")
    print(f"{client.kind}: session list says tls={mine[0].get('tls')} sasl={mine[0].get('sasl')}")
    if not mine[0].get("tls"):
        raise Failure(f"{client.kind} has logged in without TLS")
    if mechanism and not re.fullmatch(mechanism, str(mine[0].get("sasl"))):
        raise Failure(f"{client.kind} used {mine[0].get('sasl')}, not {mechanism}")


def chat(kind, other_kind, mechanism=None, server_options=None, bodies=BODIES):
    """A scenario: the two kinds of client chat both ways over STARTTLS."""

    def run(arguments, children):
        server = servers.start(arguments.server, children, USERS, arguments.bin_dir,
                               **(server_options or {}))
        one = login(kind, children, server, "alice")
        other = login(other_kind, children, server, "bob")
        for client in (one, other):
            print(f"{client.kind}: online as {client.jid} by {client.mechanism}")
        # ejabberd offers -PLUS whatever the options say.
        allowed = mechanism and mechanism + ("(-PLUS)?" if server.kind == "ejabberd" else "")
        if allowed and one.mechanism != "?" and not re.fullmatch(allowed, one.mechanism):
            raise Failure(f"{kind} used {one.mechanism}, not {mechanism}")
        check_session(server, one, mechanism)
        check_session(server, other)
        exchange(one, other, bodies)
        one.quit()
        other.quit()

    return run


def plus(binding, *options):
    """A scenario: a client that accepts only a -PLUS mechanism logs in with the binding."""

    def run(arguments, children):
        server = servers.start(arguments.server, children, USERS, arguments.bin_dir)
        client = login("aioxmpp", children, server, "alice", ("--binding", binding, *options))
        other = login("xmppjs", children, server, "bob")
        version = client.said("tls\t")[0].split("\t")[1]
        print(f"aioxmpp: {client.mechanism} over {version}")
        if not options and version != "TLSv1.3":
            raise Failure(f"the binding was shown over {version} only")
        if "-PLUS" not in client.mechanism:
            raise Failure(f"{client.mechanism} is not a -PLUS mechanism")
        check_session(server, client, r"SCRAM-SHA-\d+-PLUS")
        exchange(client, other)

    return run


def checks(program):
    """A scenario: the client's own program checks blocking and carbons."""

    def run(arguments, children):
        server = servers.start(arguments.server, children, USERS, arguments.bin_dir, **NO_BINDING)
        clients.run_program(program, children, server, USERS)

    return run


def features(program, *wanted, users=("alice", "bob")):
    """A scenario: the client's own program tries features of the server, and names each."""

    def run(arguments, children):
        accounts = {user: f"of {user}" for user in users}
        server = servers.start(arguments.server, children, accounts, arguments.bin_dir,
                               register="loopback", **NO_BINDING)
        seen = clients.run_program(program, children, server, accounts)
        if seen != set(wanted):
            raise Failure(f"{program} has seen {sorted(seen)}, not {sorted(wanted)}")

    return run


# What a person types, what the screen shows then, and what that has shown.
PROFANITY = [
    ("/roster add bob@localhost Bob", r"Roster item added: bob@localhost \(Bob\)", ""),
    ("/roster group add builders bob@localhost", "Bob added to group builders", ""),
    # bob's slixmpp grants it and asks in return.
    ("/sub request bob@localhost", "Received authorization request from bob@localhost", ""),
    ("/sub allow bob@localhost", "Accepted subscription for bob@localhost", "subscription"),
    ("/win 1", r"\+\+ Bob \(slixmpp\) is online", "presence"),
    ("/roster", r"bob@localhost \(Bob\) - both - builders", "roster"),
    ("/ping", "Ping response from", "ping"),
    ("/serversoftware localhost", r"Name\s*: xmppd", "version"),
    ("/disco info localhost", r"xmppd im server(?s:.*)urn:xmpp:blocking", "disco"),
    ("/lastactivity get localhost", "localhost up since", ""),
    ("/lastactivity get bob@localhost", "bob@localhost currently logged in", "last"),
    ("/blocked add bob@localhost", "User bob@localhost successfully blocked", ""),
    ("/blocked", r"Blocked users:\s*\n[^\n]*bob@localhost", ""),
    ("/blocked remove bob@localhost", "User bob@localhost successfully unblocked", "blocking"),
]


def profanity_features(arguments, children):
    """A scenario: profanity, as a person uses it, with slixmpp as contact and as another client."""
    server = servers.start(arguments.server, children, USERS, arguments.bin_dir, **NO_BINDING)
    bob = login("slixmpp", children, server, "bob")
    bob.send("alice@localhost", "waited for you")
    other = login("slixmpp", children, server, "alice")
    other.expect(bob.jid, "waited for you")
    profanity = login("profanity", children, server, "alice")
    for command, pattern, feature in PROFANITY:
        profanity.see_after(command, pattern)
        if feature:
            print(f"profanity: ok\t{feature}")
    other.send("bob@localhost", "from the other")
    bob.expect(other.jid, "from the other")
    profanity.see_after("/win Bob", r"from the other")
    print("profanity: ok\tcarbons")
    profanity.see_after("/win 1", "Blocked users:")
    profanity.see_after("/roster remove bob@localhost", "Roster item removed: bob@localhost")
    profanity.quit()
    other.quit()
    for body in ("one waits", "another waits"):
        bob.send("alice@localhost", body)
    bob.send(bob.jid, "sent")
    bob.expect(bob.jid, "sent")
    again = login("profanity", children, server, "alice")
    again.see_after("/win 1", r"<< chat message: bob@localhost")
    for body in ("one waits", "another waits"):
        again.expect(bob.jid, body)
    print("profanity: ok\toffline")
    again.quit()


def offline(*kinds):
    """A scenario: what was sent while nobody was there reaches each kind of client at its login."""

    def run(arguments, children):
        server = servers.start(arguments.server, children, USERS, arguments.bin_dir)
        sender = login("slixmpp", children, server, "alice")
        for kind in kinds:
            for body in BODIES:
                sender.send("bob@localhost", body)
            # Its own answer tells that the server has seen what came before.
            sender.send(sender.jid, "sent")
            sender.expect(sender.jid, "sent")
            options = ("--binding", "tls-exporter") if kind == "aioxmpp" else ()
            receiver = login(kind, children, server, "bob", options)
            # Some of it may have come before the client said that it is online.
            receiver.expect_all([(sender.jid, body) for body in BODIES])
            receiver.quit()
            print(f"ok: {kind} got what waited")

    return run


def services(arguments, children):
    """A scenario: slixmpp tries what the server does for a client besides chat."""
    users = {"alice": "secret", "bob": "secret"}
    server = servers.start(arguments.server, children, users, arguments.bin_dir)
    child = clients.start_script("slixmpp", "slixmpp_services.py", children, server, "secret")
    child.line(lambda text: text == "done", 90)
    for line in child.seen:
        print(line)


def resumption(arguments, children):
    """A scenario: slixmpp's connection is cut; it comes back and has lost nothing."""
    server = servers.start(arguments.server, children, USERS, arguments.bin_dir)
    client = login("slixmpp", children, server, "alice", ("--sm",))
    other = login("slixmpp", children, server, "bob")
    if not client.said("enabled"):
        raise Failure("slixmpp has not enabled stream management")
    exchange(client, other)
    for round in range(3):
        client.tell("cut")
        client.wait_for("offline")
        for body in BODIES:
            other.send(client.jid, f"{round} {body}")
        client.tell("connect")
        client.wait_for("resumed")
        for body in BODIES:
            client.expect(other.jid, f"{round} {body}")
        exchange(client, other)
    if len(client.said("online\t")) != 1 or client.said("not resumed"):
        raise Failure("slixmpp has begun a new session")
    print("slixmpp: resumed three times")
    client.quit()
    other.quit()


def s_client(server, port, *options):
    """What openssl s_client says of one connection."""
    return subprocess.run(
        [need("openssl"), "s_client", "-connect", f"{server.address}:{port}", "-CAfile",
         server.certificate, "-servername", servers.DOMAIN, *options], stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", timeout=30,
        check=False).stdout


def tls(arguments, children):
    """A scenario: OpenSSL's s_client on both ports; what must work, and what must be refused."""
    server = servers.start(arguments.server, children, {}, arguments.bin_dir)
    starttls = ("-starttls", "xmpp", "-xmpphost", servers.DOMAIN)
    old = ("-cipher", "DEFAULT@SECLEVEL=0")
    # (what, port, options, pattern that must be in the output)
    checks = [
        ("STARTTLS speaks TLS 1.3", server.port, starttls, r"New, TLSv1\.3,"),
        ("STARTTLS shows its certificate", server.port, starttls, r"Verify return code: 0 \(ok\)"),
        ("STARTTLS speaks TLS 1.2", server.port, (*starttls, "-tls1_2"), r"New, TLSv1\.2,"),
        ("direct TLS speaks TLS 1.3", server.direct_port, (), r"New, TLSv1\.3,"),
        ("direct TLS speaks TLS 1.2", server.direct_port, ("-tls1_2",), r"New, TLSv1\.2,"),
    ]
    if server.kind == "xmppd":  # Prosody 0.12 and ejabberd 23.01 do not answer ALPN
        checks.append(("direct TLS agrees on ALPN xmpp-client", server.direct_port,
                       ("-alpn", "xmpp-client"), r"ALPN protocol: xmpp-client"))
    # The refusal must be the server's: its alert, not this client's own policy. ejabberd just
    # closes.
    refusal = r"New, \(NONE\)" if server.kind == "ejabberd" else r"alert protocol version"
    for name, version in (("1.1", "-tls1_1"), ("1.0", "-tls1")):
        for port, options in ((server.port, starttls), (server.direct_port, ())):
            checks.append((f"TLS {name} is refused on {port}", port, (*options, version, *old),
                           refusal))
    for what, port, options, pattern in checks:
        output = s_client(server, port, *options)
        if not re.search(pattern, output):
            raise Failure(f"{what}: no /{pattern}/ in\n{output}\n{server.child.tail()}")
        print(f"ok: {what}")


def bench(arguments, children):
    """A scenario: xmppbench, as the client, logs 100 users in and lets them chat."""
    program = os.path.join(arguments.bin_dir, "xmppbench")
    if not os.access(program, os.X_OK):
        raise Skip("xmppbench has not been built")
    users = {f"u{i}": "p" for i in range(1, 101)}
    server = servers.start(arguments.server, children, users, arguments.bin_dir)
    common = ["--target", f"{server.address}:{server.port}", "--domain", servers.DOMAIN, "--users",
              "100", "--prefix", "u", "--password", "p", "--tls", "starttls", "--insecure"]
    for command, options in (("login", []), ("chat", ["--rate", "500", "--duration", "5"])):
        out = os.path.join(children.directory, f"{command}.json")
        done = subprocess.run([program, command, *common, *options, "--json", out],
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, timeout=180, check=False)
        if done.returncode != 0:
            raise Failure(f"xmppbench {command} ended with {done.returncode}\n{done.stdout}\n"
                          f"{server.child.tail()}")
        with open(out, encoding="utf-8") as file:
            result = json.load(file)
        print(f"xmppbench {command}: {json.dumps(result)}")
        bad = {key: result[key] for key in ("lost", "duplicated", "reordered", "errors")
               if result.get(key)}
        if bad:
            raise Failure(f"xmppbench {command}: {bad}")
        if command == "chat" and not result["sent"] == result["received"] > 0:
            raise Failure(f"sent {result['sent']}, received {result['received']}")


SCRAM = r"SCRAM-SHA-(1|256|512)"
NO_BINDING = {"channel_binding": "off"}
# What the programs in C and C++ try.
COMMON = ("roster", "subscription", "presence", "carbons", "blocking", "vcard", "offline")
SCENARIOS = {
    # slixmpp of Debian 12 mistakes -PLUS under TLS 1.3; with the bindings off it does SCRAM.
    "slixmpp_xmppjs": chat("slixmpp", "xmppjs", SCRAM, NO_BINDING),
    "slixmpp_default": chat("slixmpp", "xmppjs"),
    "xmppjs_strophe": chat("xmppjs", "strophe", SCRAM),
    "strophe_slixmpp": chat("strophe", "slixmpp", SCRAM, NO_BINDING),
    # profanity breaks long lines on its screen, so only short bodies.
    "profanity_xmppjs": chat("profanity", "xmppjs", SCRAM, bodies=BODIES[:3] + BODIES[4:]),
    "plus_exporter": plus("tls-exporter"),
    "resumption": resumption,
    "plus_end_point": plus("tls-server-end-point"),
    # What Debian's Prosody and ejabberd offer, to prove the driver: tls-unique, TLS 1.2 at most.
    "plus_unique": plus("tls-unique", "--tls-max", "1.2"),
    "slixmpp_checks": checks("slixmpp_checks.py"),
    "xmppjs_checks": checks("xmppjs_checks.mjs"),
    "slixmpp_features": features(
        "slixmpp_features.py", "roster", "subscription", "presence", "ping", "version", "time",
        "disco", "caps", "password", "cancel", users=("alice", "bob", "carol")),
    "xmppjs_features": features(
        "xmppjs_features.mjs", "roster", "subscription", "presence", "vcard", "private", "ping",
        "version", "time", "last", "disco", "csi", "sm", "offline", "password"),
    "aioxmpp_features": features(
        "aioxmpp_features.py", "roster", "subscription", "presence", "carbons", "offline",
        "blocking", "vcard", "private", "disco", "caps", "ping", "version", "sm", "password",
        "register", "cancel"),
    "nbxmpp_features": features(
        "nbxmpp_features.py", "roster", "subscription", "presence", "carbons", "offline",
        "blocking", "vcard", "private", "ping", "version", "time", "last", "disco", "caps", "sm",
        "password", "register", "cancel"),
    "strophe_features": features("strophe_features", *COMMON),
    "gloox_features": features("gloox_features", *COMMON),
    "profanity_features": profanity_features,
    # libstrophe last: it goes without acknowledging (XEP-0198) the last message, which comes again.
    "offline": offline("slixmpp", "xmppjs", "aioxmpp", "strophe"),
    "services": services,
    "tls": tls,
    "bench": bench,
}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scenario", choices=sorted(SCENARIOS))
    parser.add_argument("--server", default="xmppd", choices=("xmppd", "prosody", "ejabberd"))
    parser.add_argument("--bin-dir", default=os.environ.get("XMPPD_BIN_DIR", "build/release/bin"))
    parser.add_argument("--keep", action="store_true", help="keep the directory with the logs")
    arguments = parser.parse_args()
    arguments.bin_dir = os.path.abspath(arguments.bin_dir)
    directory = tempfile.mkdtemp(prefix="interop-")
    try:
        with Children(directory) as children:
            SCENARIOS[arguments.scenario](arguments, children)
        print(f"{arguments.scenario} against {arguments.server}: ok")
        return 0
    except Skip as skip:
        print(f"{arguments.scenario}: skipped, {skip}")
        return 1 if os.environ.get("CI") == "true" else SKIPPED
    except Failure as failure:
        print(f"{arguments.scenario} against {arguments.server}: FAILED: {failure}")
        return 1
    finally:
        if arguments.keep:
            print(f"logs in {directory}")
        else:
            subprocess.run(["rm", "-rf", directory], check=False)


if __name__ == "__main__":
    sys.exit(main())
