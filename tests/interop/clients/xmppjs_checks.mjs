// What @xmpp/client (npm) makes of blocking and carbons: alice with two clients, bob with one.
// Arguments and output as in slixmpp_checks.py.
import assert from "node:assert/strict";
import { webcrypto } from "node:crypto";
import { parseArgs } from "node:util";

globalThis.crypto ??= webcrypto;
const { client, xml } = await import("@xmpp/client");

const { values } = parseArgs({
  options: { host: { type: "string" }, port: { type: "string" }, cafile: { type: "string" } },
});
const say = (...fields) => process.stdout.write(fields.join("\t") + "\n");
const BLOCKING = "urn:xmpp:blocking";
const CARBONS = "urn:xmpp:carbons:2";
const wait = 15000;

async function login(user, resource, password) {
  const xmpp = client({
    service: `xmpp://${values.host}:${values.port}`,
    domain: "localhost",
    resource,
    username: user,
    password,
  });
  xmpp.reconnect.stop();
  xmpp.timeout = 20000;
  xmpp.on("error", (error) => {
    say("failed", String(error));
    process.exit(1);
  });
  const seen = [];
  let wake = () => {};
  xmpp.on("stanza", (stanza) => {
    const isPush = stanza.is("iq") && stanza.attrs.type === "set";
    if (!stanza.is("message") && !isPush) return;
    seen.push(stanza);
    wake();
  });
  const pushed = () => ({});
  for (const name of ["block", "unblock"]) xmpp.iqCallee.set(BLOCKING, name, pushed);
  xmpp.next = async () => {
    if (seen.length === 0) {
      await new Promise((resolve, reject) => {
        const timer = setTimeout(() => reject(new Error(`${resource} waits in vain`)), wait);
        wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
    return seen.shift();
  };
  // Whatever was on its way comes before the answer.
  xmpp.silence = async () => {
    await xmpp.iqCaller.request(
      xml("iq", { type: "get", to: "localhost" }, xml("ping", "urn:xmpp:ping")),
    );
    assert.equal(seen.length, 0, String(seen[0]));
  };
  xmpp.request = (type, ...children) => xmpp.iqCaller.request(xml("iq", { type }, ...children));
  xmpp.chat = (to, body) => xmpp.send(xml("message", { type: "chat", to }, xml("body", {}, body)));
  xmpp.address = (await xmpp.start()).toString();
  await xmpp.send(xml("presence"));
  return xmpp;
}

const one = await login("alice", "one", process.env.ALICE_PASSWORD);
const two = await login("alice", "two", process.env.ALICE_PASSWORD);
const bob = await login("bob", "b", process.env.BOB_PASSWORD);
say("ok", "online");

for (const xmpp of [one, two]) await xmpp.request("set", xml("enable", CARBONS));
await bob.chat(one.address, "to one");
assert.equal((await one.next()).getChildText("body"), "to one");
const forwarded = (copy, kind) => {
  assert.equal(copy.attrs.from, "alice@localhost");
  const forwarded = copy.getChild(kind, CARBONS).getChild("forwarded", "urn:xmpp:forward:0");
  return forwarded.getChild("message");
};
const received = forwarded(await two.next(), "received");
assert.equal(received.attrs.from, bob.address);
assert.equal(received.getChildText("body"), "to one");
await one.chat("bob@localhost", "from one");
assert.equal((await bob.next()).getChildText("body"), "from one");
assert.equal(forwarded(await two.next(), "sent").getChildText("body"), "from one");
await one.silence();
say("ok", "carbons");

const item = xml("item", { jid: "bob@localhost" });
for (const xmpp of [one, two]) {
  const list = await xmpp.request("get", xml("blocklist", BLOCKING));
  assert.equal(list.getChild("blocklist", BLOCKING).children.length, 0);
}
await one.request("set", xml("block", BLOCKING, item));
for (const xmpp of [one, two]) {
  const push = (await xmpp.next()).getChild("block", BLOCKING);
  assert.equal(push.getChild("item").attrs.jid, "bob@localhost");
}
await bob.chat("alice@localhost", "hello?");
const refused = await bob.next();
assert.equal(refused.attrs.type, "error");
assert.ok(refused.getChild("error").getChild("service-unavailable"));
await one.chat("bob@localhost", "hello?");
const own = (await one.next()).getChild("error");
assert.ok(own.getChild("not-acceptable"));
assert.ok(own.getChild("blocked", "urn:xmpp:blocking:errors"));
await two.silence();
await two.request("set", xml("unblock", BLOCKING));
for (const xmpp of [one, two]) assert.ok((await xmpp.next()).getChild("unblock", BLOCKING));
await bob.chat(one.address, "again");
assert.equal((await one.next()).getChildText("body"), "again");
say("ok", "blocking");
for (const xmpp of [one, two, bob]) await xmpp.stop();
say("done");
process.exit(0);
