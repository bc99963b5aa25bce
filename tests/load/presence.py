"""The presence test: everybody's presence reaches every contact who should see it, exactly once.

    XMPPD_BIN_DIR=.../bin presence.py [--users 5000] [--contacts 20] [--workers 2]

xmppbench is the users: it registers them, makes their rosters by subscriptions both ways, lets all
become available, update their presence and half of them leave.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "wire"))

import harness  # noqa: E402  (starts xmppd)

SHOWN = ("sent", "received", "lost", "duplicated", "reordered", "errors", "presence", "latency_us",
         "error_texts")


def run(arguments, directory):
    config = os.path.join(directory, "xmppd.toml")
    harness.write_config(directory, harness.processes.loopback())
    with open(config, encoding="utf-8") as file:
        text = file.read().replace("workers = 2", f"workers = {arguments.workers}")
    with open(config, "w", encoding="utf-8") as file:
        file.write(text)
    server = harness.Server(directory, config)
    report = os.path.join(directory, "report.json")
    try:
        code = subprocess.run(
            [harness.program("xmppbench"), "presence", "--target",
             f"{server.address}:{server.port}", "--domain", "localhost", "--users",
             str(arguments.users), "--contacts", str(arguments.contacts), "--prefix", "p",
             "--password", "presence", "--register", "--tls", "starttls", "--insecure", "--rate",
             str(arguments.rate), "--duration", str(arguments.seconds), "--drain", "20",
             "--server-pid", str(server.child.process.pid), "--json", report],
            stdin=subprocess.DEVNULL, check=False).returncode
        log = server.log()
    finally:
        server.stop()
    if "Sanitizer" in log or "runtime error" in log:
        sys.exit(server.child.tail())
    if code != 0:
        sys.exit(f"xmppbench ended with {code}\n{server.child.tail()}")
    with open(report, encoding="utf-8") as file:
        return json.load(file)


def check(result, arguments):
    print(json.dumps({key: result[key] for key in SHOWN}))
    pairs = arguments.users * arguments.contacts
    expected = {"lost": 0, "duplicated": 0, "reordered": 0, "errors": 0}
    wrong = [f"{key}: {result[key]}" for key, value in expected.items() if result[key] != value]
    presence = result["presence"]
    if presence["pairs"] != pairs:
        wrong.append(f"{presence['pairs']} views instead of {pairs}")
    for key in ("login_missing", "logout_missing", "logout_repeated"):
        if presence[key] != 0:
            wrong.append(f"{key}: {presence[key]}")
    # Every update reaches every contact.
    if result["received"] != result["sent"] * arguments.contacts or result["sent"] == 0:
        wrong.append(f"{result['sent']} updates, {result['received']} deliveries")
    if wrong:
        sys.exit("presence test failed: " + "; ".join(wrong))


def main():
    sanitized = bool(os.environ.get("XMPP_SANITIZED"))
    parser = argparse.ArgumentParser()
    parser.add_argument("--users", type=int, default=60 if sanitized else 300)
    parser.add_argument("--contacts", type=int, default=20)
    parser.add_argument("--rate", type=int, default=50 if sanitized else 200)
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="xmppd-presence-") as directory:
        check(run(arguments, directory), arguments)


if __name__ == "__main__":
    main()
