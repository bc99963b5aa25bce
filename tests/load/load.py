"""The load test: users logged in over TLS with SCRAM, in pairs, chatting across two workers.

    XMPPD_BIN_DIR=.../bin load.py [--users 2000] [--seconds 10] [--rate 1000] [--workers 2]

xmppbench is the users. Nothing may be lost, doubled or out of order, and at least 40 % of the pairs
must have their accounts on different workers (half is what the hash should give), or the run would
not show what it is for.
"""

import argparse
import json
import os
import resource
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "wire"))

import harness  # noqa: E402  (starts xmppd)
import wire  # noqa: E402

PASSWORD = "load"
LEAST_SHARE = 0.40


class Failure(Exception):
    pass


def start(directory, workers):
    config = os.path.join(directory, "xmppd.toml")
    if not os.path.exists(config):
        harness.write_config(directory, harness.processes.loopback())
        with open(config, encoding="utf-8") as file:
            text = file.read().replace("workers = 2", f"workers = {workers}")
        with open(config, "w", encoding="utf-8") as file:
            file.write(text)
    return harness.Server(directory, config)


def stop(server):
    """SIGTERM, and the exit code that must follow."""
    server.child.process.send_signal(signal.SIGTERM)
    code = server.child.process.wait(60)
    server.stop()
    if code != 0:
        raise Failure(f"xmppd ended with {code}\n{server.child.tail()}")


def seed(directory, users):
    """Copies of u1: everybody has its password, salt and keys, derived by the server itself."""
    database = sqlite3.connect(os.path.join(directory, "data", "xmppd.db"))
    with database:
        for table in ("accounts", "scram_keys"):
            columns = [row[1] for row in database.execute(f"PRAGMA table_info({table})")]
            copied = ", ".join("?" if name == "username" else name for name in columns)
            database.executemany(
                f"INSERT INTO {table} SELECT {copied} FROM {table} WHERE username = 'u1'",
                ((f"u{number}",) for number in range(2, users + 1)))
    database.close()


def sessions(server):
    out = subprocess.run(
        [harness.program("xmppctl"), "--socket", server.ready["control"], "--json", "session",
         "list"], check=True, stdin=subprocess.DEVNULL, capture_output=True, timeout=60).stdout
    return json.loads(out)


def check_sessions(rows, users, workers):
    """All over TLS by SCRAM, on every worker; returns the share of pairs across workers."""
    owner = {}
    for row in rows:
        if not (row["tls"] or "").startswith("TLSv1.") or "SCRAM" not in (row["sasl"] or ""):
            raise Failure(f"not over TLS with SCRAM: {row}")
        owner[row["jid"].partition("@")[0]] = row["worker"]
    if len(owner) != users:
        raise Failure(f"{len(owner)} sessions of {users} users")
    if len(set(owner.values())) != workers:
        raise Failure(f"only workers {sorted(set(owner.values()))} have sessions")
    pairs = [(f"u{n}", f"u{n + 1}") for n in range(1, users, 2)]
    return sum(owner[a] != owner[b] for a, b in pairs) / len(pairs)


def run(arguments, directory):
    server = start(directory, arguments.workers)
    with wire.Wire(server.address, server.port) as client:
        client.open()
        client.secure()
        client.register("u1", PASSWORD)
    stop(server)
    seed(directory, arguments.users)
    server = start(directory, arguments.workers)
    report = os.path.join(directory, "report.json")
    bench = subprocess.Popen(
        [harness.program("xmppbench"), "chat", "--target", f"{server.address}:{server.port}",
         "--domain", "localhost", "--users", str(arguments.users), "--prefix", "u", "--password",
         PASSWORD, "--tls", "starttls", "--ca", os.path.join(directory, "data", "localhost.crt"),
         "--sasl", "scram-sha-256", "--rate", str(arguments.rate), "--duration",
         str(arguments.seconds), "--quiet", "--json", report], stdin=subprocess.DEVNULL)
    try:
        share = None
        while bench.poll() is None:
            if share is None and len(rows := sessions(server)) >= arguments.users:
                share = check_sessions(rows, arguments.users, arguments.workers)
            time.sleep(0.5)
    finally:
        bench.kill()
        bench.wait()
    peak = server.memory_kib()
    stop(server)
    log = server.log()
    if "Sanitizer" in log or "runtime error" in log:
        raise Failure(server.child.tail())
    if bench.returncode != 0:
        raise Failure(f"xmppbench ended with {bench.returncode}\n{server.child.tail()}")
    with open(report, encoding="utf-8") as file:
        result = json.load(file)
    shown = {key: result[key] for key in ("sent", "received", "lost", "duplicated", "reordered",
                                          "errors", "rate_per_s", "latency_us")}
    print(json.dumps({"users": arguments.users, "across_workers": share, "rss_kib": peak, **shown}))
    return share, result


def check(share, result, arguments):
    for key in ("lost", "duplicated", "reordered", "errors"):
        if result[key] != 0:
            raise Failure(f"{key}: {result[key]}")
    # Half of what was asked for: the point is that nothing is lost, not how fast this machine is.
    if result["received"] < arguments.rate * arguments.seconds / 2:
        raise Failure(f"only {result['received']} messages arrived")
    if share is None or share < LEAST_SHARE:
        raise Failure(f"share of pairs across workers: {share}")


def main():
    sanitized = bool(os.environ.get("XMPP_SANITIZED"))
    parser = argparse.ArgumentParser()
    parser.add_argument("--users", type=int, default=200 if sanitized else 2000)
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--rate", type=int, default=200 if sanitized else 1000)
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if most != resource.RLIM_INFINITY and most < arguments.users + 200:
        sys.exit(f"{arguments.users} users need as many file descriptors, the limit is {most}: "
                 "raise it (ulimit -Hn) or give --users")
    with tempfile.TemporaryDirectory(prefix="xmppd-load-") as directory:
        try:
            check(*run(arguments, directory), arguments)
        except Failure as failure:
            sys.exit(f"load test failed: {failure}")


if __name__ == "__main__":
    main()
