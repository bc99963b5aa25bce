"""The servers that the drivers run against: xmppd, and Debian's Prosody and ejabberd.

Each start_* returns a Server with the domain `localhost` on a loopback address of its own, the
given accounts (name -> password), STARTTLS required on one port and direct TLS on another.
With `measured` (scripts/bench) TLS is optional, logs begin at warning, accounts hold SCRAM keys and
collectors and schedulers are tuned; a second start in the same directory finds the accounts.
"""

import dataclasses
import glob
import hashlib
import hmac
import json
import os
import re
import subprocess

from processes import Child, Failure, Skip, free_ports, listeners, loopback, make_certificate
from processes import need, wait_for_port

DOMAIN = "localhost"
# What a server that is `measured` uses for new accounts; the cost is the client's, at every login.
MEASURED_ITERATIONS = 4096


@dataclasses.dataclass
class Server:
    kind: str
    child: Child
    address: str
    port: int
    direct_port: int
    certificate: str
    control: str = ""
    xmppctl: str = ""

    def sessions(self):
        """What xmppd says of its sessions; None where the server cannot be asked."""
        if not self.xmppctl:
            return None
        out = subprocess.run(
            [self.xmppctl, "--socket", self.control, "--json", "session", "list"],
            check=True, stdin=subprocess.DEVNULL, capture_output=True, timeout=20).stdout
        return json.loads(out)


def start(kind, children, users, bin_dir, **options):
    """Starts a server by its name; the options are xmppd's."""
    if kind == "xmppd":
        return start_xmppd(children, users, bin_dir, **options)
    if kind == "prosody":
        return start_prosody(children, users)
    if kind == "ejabberd":
        return start_ejabberd(children, users)
    raise ValueError(kind)


def _write(path, text):
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    return path


def start_xmppd(children, users, bin_dir, channel_binding="offer", measured=False, workers=0,
                register="none"):
    """xmppd from a build's bin directory; ports are given by the kernel and read from its line."""
    xmppd = os.path.join(bin_dir, "xmppd")
    xmppctl = os.path.join(bin_dir, "xmppctl")
    for program in (xmppd, xmppctl):
        if not os.access(program, os.X_OK):
            raise Skip(f"{os.path.basename(program)} has not been built")
    directory = children.directory
    address = loopback()
    certificate, key = make_certificate(directory, DOMAIN)
    auth = (f"plain_without_tls = true\nscram_iterations = {MEASURED_ITERATIONS}\n" if measured
            else "")
    config = _write(os.path.join(directory, "xmppd.toml"), f"""\
[log]
level = "{"warn" if measured else "info"}"
[server]
workers = {workers}
data_dir = "{directory}/data"
control_socket = "{directory}/control.sock"
{listeners(address, "optional" if measured else "required")}\
[profile.default.module.register]
allow = "{register}"
[profile.default.auth]
channel_binding = "{channel_binding}"
{auth}[host."{DOMAIN}"]
certificate = "{certificate}"
key = "{key}"
""")
    os.makedirs(os.path.join(directory, "data"), exist_ok=True)
    child = children.start("xmppd", [xmppd, "--config", config])
    ready = child.line(lambda line: line.startswith("xmppd ready"), 30)
    fields = dict(re.findall(r"(\S+)=(\S+)", ready))

    def port(name):
        return int(fields[name].split(",")[0].rsplit(":", 1)[1])

    control = fields["control"]
    for name, password in users.items():
        done = subprocess.run(
            [xmppctl, "--socket", control, "user", "add", f"{name}@{DOMAIN}", "--password-stdin"],
            input=password + "\n", text=True, capture_output=True, timeout=30)
        if done.returncode != 0:
            raise Failure(f"xmppctl user add ended with {done.returncode}: {done.stderr}")
    return Server("xmppd", child, address, port("c2s"), port("c2s-direct-tls"), certificate,
                  control, xmppctl)


def _scram_account(password):
    """A Prosody account that holds SCRAM-SHA-1 keys: the form of internal_hashed."""
    salt = os.urandom(16).hex()
    salted = hashlib.pbkdf2_hmac("sha1", password.encode(), salt.encode(), MEASURED_ITERATIONS)
    stored = hashlib.sha1(hmac.digest(salted, b"Client Key", "sha1")).hexdigest()
    server = hmac.digest(salted, b"Server Key", "sha1").hex()
    return (f'return {{ ["salt"] = "{salt}"; ["iteration_count"] = {MEASURED_ITERATIONS}; '
            f'["stored_key"] = "{stored}"; ["server_key"] = "{server}"; }};\n')


def start_prosody(children, users, measured=False):
    """Debian's Prosody with the modules that the drivers need, internal storage."""
    prosody = need("prosody")
    directory = children.directory
    address = loopback()
    port, direct_port = free_ports(address, 2)
    certificate, key = make_certificate(directory, DOMAIN)
    accounts = os.path.join(directory, "prosody", DOMAIN, "accounts")
    os.makedirs(accounts, exist_ok=True)
    for name, password in users.items():
        _write(os.path.join(accounts, f"{name}.dat"),
               _scram_account(password) if measured
               else f'return {{ ["password"] = "{password}"; }};\n')
    tuning = 'gc = { mode = "incremental", threshold = 200, speed = 400 }' if measured else ""
    level = "warn" if measured else "info"
    config = _write(os.path.join(directory, "prosody.cfg.lua"), f"""\
run_as_root = true
pidfile = "{directory}/prosody.pid"
data_path = "{directory}/prosody"
plugin_paths = {{}}
modules_enabled = {{ "roster", "saslauth", "tls", "disco", "presence", "message", "iq", "ping",
  "version", "time" }}
modules_disabled = {{ "s2s", "offline", "c2s_limit_sessions" }}
interfaces = {{ "{address}" }}
c2s_ports = {{ {port} }}
c2s_direct_tls_ports = {{ {direct_port} }}
s2s_ports = {{ }}
c2s_require_encryption = {"false" if measured else "true"}
authentication = "{"internal_hashed" if measured else "internal_plain"}"
storage = "internal"
{tuning}
log = {{ {{ levels = {{ min = "{level}" }}, to = "file",
  filename = "{directory}/prosody-own.log" }} }}
ssl = {{ certificate = "{certificate}", key = "{key}" }}
c2s_direct_tls_ssl = {{ certificate = "{certificate}", key = "{key}" }}
VirtualHost "{DOMAIN}"
""")
    child = children.start("prosody", [prosody, "-F", "--config", config])
    wait_for_port(address, port, child)
    return Server("prosody", child, address, port, direct_port, certificate)


def _ejabberd_paths():
    """The code paths of Debian's ejabberd: the package keeps them beside the Erlang libraries."""
    need("erl")
    found = glob.glob("/usr/lib/*/ejabberd-*/ebin/ejabberd.beam")
    if not found:
        raise Skip("ejabberd is not installed")
    return found[0].split("/ejabberd-")[0]


def start_ejabberd(children, users, measured=False):
    """Debian's ejabberd in an Erlang node without distribution: no epmd, no cookie, any user."""
    libraries = _ejabberd_paths()
    directory = children.directory
    address = loopback()
    port, direct_port = free_ports(address, 2)
    certificate, key = make_certificate(directory, DOMAIN)
    with open(certificate, encoding="ascii") as c, open(key, encoding="ascii") as k:
        pem = _write(os.path.join(directory, "ejabberd.pem"), c.read() + k.read())
    tls = '["no_sslv3", "no_tlsv1", "no_tlsv1_1"]'
    starttls = "starttls" if measured else "starttls_required"
    config = _write(os.path.join(directory, "ejabberd.yml"), f"""\
loglevel: {"warning" if measured else "info"}
hosts: ["{DOMAIN}"]
certfiles: ["{pem}"]
listen:
  - {{port: {port}, ip: "{address}", module: ejabberd_c2s, {starttls}: true,
     protocol_options: {tls}, access: all}}
  - {{port: {direct_port}, ip: "{address}", module: ejabberd_c2s, tls: true,
     protocol_options: {tls}, access: all}}
auth_password_format: scram
disable_sasl_mechanisms: ["digest-md5", "X-OAUTH2"]
modules: {{mod_disco: {{}}, mod_ping: {{}}, mod_roster: {{}}, mod_version: {{}}, mod_time: {{}}}}
""")
    # Binaries for the names and passwords: try_register(User, Server, Password).
    register = " ".join(
        f'ok = ejabberd_auth:try_register(<<"{name}"/utf8>>, <<"{DOMAIN}">>, '
        f'<<"{password}"/utf8>>),'
        for name, password in users.items())
    os.makedirs(os.path.join(directory, "ejabberd"), exist_ok=True)
    child = children.start(
        "ejabberd",
        [need("erl"), "-noinput", "+S", "2:2", "+sbwt", "none", "+sbwtdcpu", "none",
         "-mnesia", "dir", f'"{directory}/ejabberd"', "-s", "ejabberd", "-eval",
         f'{register} io:format("accounts ready~n").'],
        env={"EJABBERD_CONFIG_PATH": config, "EJABBERD_LOG_PATH": f"{directory}/ejabberd-own.log",
             "ERL_LIBS": libraries, "ERL_CRASH_DUMP": f"{directory}/erl_crash.dump",
             "HOME": directory})
    child.line(lambda line: "accounts ready" in line, 60)
    wait_for_port(address, port, child)
    return Server("ejabberd", child, address, port, direct_port, certificate)
