"""Independent clients behind one line protocol (see README.md), started by name."""

import os
import re
import subprocess
import tempfile
import time

from processes import Failure, Skip, need, python

HERE = os.path.dirname(os.path.abspath(__file__))
LOGIN_SECONDS = 30
MESSAGE_SECONDS = 15


def _slixmpp(options):
    _need_python("slixmpp")
    return [python(), os.path.join(HERE, "clients", "slixmpp_chat.py"), *options], {}


def _aioxmpp(options):
    _need_python("aioxmpp")
    return [python(), os.path.join(HERE, "clients", "aioxmpp_plus.py"), *options], {}


def _xmppjs(options):
    node = need("node")
    if not os.path.isdir(os.path.join(HERE, "node_modules", "@xmpp", "client")):
        raise Skip("@xmpp/client is not installed: npm ci in tests/interop")
    return [node, os.path.join(HERE, "clients", "xmppjs_chat.mjs")], {}


def _built(name):
    """A program that CMake makes if the library is there; NAME in the environment says where."""
    program = os.environ.get(name.upper(), "")
    if not os.access(program, os.X_OK):
        library = name.split("_", maxsplit=1)[0]
        raise Skip(f"{name} has not been built (lib{library}-dev is missing)")
    return program


def _strophe(options):
    return [_built("strophe_chat")], {}


def _need_python(module):
    if subprocess.run([python(), "-c", f"import {module}"], stdin=subprocess.DEVNULL,
                      capture_output=True, check=False).returncode != 0:
        raise Skip(f"python3-{module} is not installed")


_COMMANDS = {"slixmpp": _slixmpp, "aioxmpp": _aioxmpp, "xmppjs": _xmppjs, "strophe": _strophe}


def run_program(program, children, server, users, seconds=120):
    """Runs a program of clients/, or one that was built, that checks by itself what the server
    does; what it has seen."""
    kind = program.split("_", maxsplit=1)[0]
    script = os.path.join(HERE, "clients", program)
    if program.endswith(".mjs"):
        argv = [_xmppjs(())[0][0], script]
    elif program.endswith(".py"):
        _need_python(kind)
        argv = [python(), script]
    else:
        argv = [_built(program)]
    env = {f"{user.upper()}_PASSWORD": password for user, password in users.items()}
    env.update(NODE_EXTRA_CA_CERTS=server.certificate, PYTHONUNBUFFERED="1")
    child = children.start(program.split(".", maxsplit=1)[0], argv + [
        "--host", server.address, "--port", str(server.port), "--cafile", server.certificate], env)
    child.line(lambda text: text == "done", seconds)
    for line in child.seen:
        print(f"{kind}: {line}")
    return {line.split("\t")[1] for line in child.seen if line.startswith("ok\t")}


class LineClient:
    """A client program that speaks the line protocol."""

    def __init__(self, kind, children, server, user, password, options=()):
        argv, env = _COMMANDS[kind](options)
        argv += ["--jid", f"{user}@localhost/{kind}", "--host", server.address, "--port",
                 str(server.port), "--cafile", server.certificate]
        env.update(XMPP_PASSWORD=password, NODE_EXTRA_CA_CERTS=server.certificate,
                   PYTHONUNBUFFERED="1")
        self.kind = kind
        self._child = children.start(f"{kind}-{user}", argv, env)
        self.jid = ""
        self.mechanism = ""

    def wait_online(self):
        line = self._child.line(lambda text: text.startswith(("online\t", "failed")), LOGIN_SECONDS)
        fields = line.split("\t")
        if fields[0] != "online":
            raise Failure(f"{self.kind} could not log in: {line}\n{self._child.tail()}")
        self.jid, self.mechanism = fields[1], fields[2]

    def send(self, to, body):
        self._child.write(f"send\t{to}\t{body}")

    def expect(self, sender, body):
        """The next message must be this one: a lost, doubled or reordered one fails."""
        line = self._child.line(lambda text: text.startswith("message\t"), MESSAGE_SECONDS)
        if line.split("\t")[1:] != [sender, body]:
            raise Failure(f"{self.kind} expected {body!r} of {sender}, got {line!r}")

    def tell(self, command):
        self._child.write(command)

    def wait_for(self, line, seconds=LOGIN_SECONDS):
        self._child.line(lambda text: text == line, seconds)

    def expect_all(self, messages):
        """All messages since its start: these (sender, body), in order, and no others."""
        deadline = time.monotonic() + MESSAGE_SECONDS
        while len(self.said("message\t")) < len(messages) and time.monotonic() < deadline:
            time.sleep(0.05)
        got = [tuple(line.split("\t")[1:]) for line in self.said("message\t")]
        if got != messages:
            raise Failure(f"{self.kind} expected {messages}, got {got}")

    def said(self, prefix):
        """The lines so far that begin with the prefix."""
        return [line for line in self._child.seen if line.startswith(prefix)]

    def quit(self):
        self._child.write("quit")
        try:
            self._child.process.wait(10)
        except subprocess.TimeoutExpired:
            raise Failure(f"{self.kind} does not log out\n{self._child.tail()}") from None


class Profanity:
    """profanity in a terminal of its own (tmux), used as a person uses it.

    It meets a certificate that it does not know, shows its fingerprint and is told /tls allow.
    """

    kind = "profanity"

    def __init__(self, children, server, user, password):
        tmux, profanity = need("tmux"), need("profanity")
        home = tempfile.mkdtemp(prefix="profanity-", dir=children.directory)
        os.makedirs(os.path.join(home, "config", "profanity"))
        with open(os.path.join(home, "config", "profanity", "profrc"), "w", encoding="ascii") as rc:
            rc.write("[ui]\nsplash=false\nbeep=false\n[notifications]\nmessage=off\n"
                     "[connection]\nautoping=0\n[chatstates]\nenabled=false\nouttype=false\n"
                     "[omemo]\npolicy=manual\n[logging]\nchlog=false\n")
        self._server, self._user, self._password = server, user, password
        self._tmux = [tmux, "-u", "-S", os.path.join(home, "tmux.sock")]
        # In the foreground of a child, so that it dies with the test.
        self._child = children.start(
            "tmux", [*self._tmux, "-f", "/dev/null", "-D"], env={"LC_ALL": "C.UTF-8"})
        self._wait(lambda: self._run("new-session", "-d", "-x", "180", "-y", "50", "env",
                                     f"HOME={home}", f"XDG_CONFIG_HOME={home}/config",
                                     f"XDG_DATA_HOME={home}/data", "LC_ALL=C.UTF-8",
                                     "TERM=screen", profanity, "-l", "DEBUG"), "tmux")
        self.jid = f"{user}@localhost/profanity"
        self.mechanism = "?"

    def _run(self, *arguments):
        return subprocess.run([*self._tmux, *arguments], stdin=subprocess.DEVNULL,
                              capture_output=True, check=False).returncode == 0

    def screen(self):
        return subprocess.run([*self._tmux, "capture-pane", "-p", "-S", "-200"], text=True,
                              stdin=subprocess.DEVNULL, capture_output=True, check=False).stdout

    def _wait(self, ready, what, seconds=20):
        deadline = time.monotonic() + seconds
        while not ready():
            if time.monotonic() > deadline:
                raise Failure(f"profanity: no {what} in {seconds} s\n{self.screen()}")
            time.sleep(0.05)

    def _see(self, pattern, seconds=20):
        self._wait(lambda: re.search(pattern, self.screen()), pattern, seconds)

    def _type(self, text):
        self._run("send-keys", "-l", text)
        self._run("send-keys", "Enter")

    def wait_online(self):
        self._see(r"Profanity")
        self._type(f"/connect {self.jid} server {self._server.address} port {self._server.port} "
                   "tls force")
        self._see(r"[Ee]nter password")
        self._type(self._password)
        self._see(r"/tls allow")
        self._type("/tls allow")
        self._see(rf"{re.escape(self.jid)} logged in successfully")

    def see_after(self, command, pattern):
        """Types the command, and sees that on the screen."""
        self._type(command)
        self._see(pattern)

    def send(self, to, body):
        self._type(f"/msg {to} {body}")
        self._see(rf"me: {re.escape(body)}")

    def expect(self, sender, body):
        # It shows contacts by their bare JID (or resource) in a window of their own.
        bare = sender.split("/")[0]
        self._run("send-keys", "-l", f"/win {bare}")
        self._run("send-keys", "Enter")
        self._see(rf"\S+: {re.escape(body)}", MESSAGE_SECONDS)

    def quit(self):
        self._type("/quit")
        # The session of the terminal ends with the program in it.
        self._wait(lambda: not self._run("has-session"), "end after /quit")
        self._run("kill-server")


def start_script(module, name, children, server, password):
    """A Python program of clients/ that logs in by itself; the child process."""
    _need_python(module)
    argv = [python(), os.path.join(HERE, "clients", name), "--host", server.address, "--port",
            str(server.port), "--cafile", server.certificate]
    return children.start(name, argv, {"XMPP_PASSWORD": password, "PYTHONUNBUFFERED": "1"})


def start(kind, children, server, user, password, options=()):
    """A client of the kind, logged in and available."""
    if kind == "profanity":
        client = Profanity(children, server, user, password)
    else:
        client = LineClient(kind, children, server, user, password, options)
    client.wait_online()
    return client
