// What @xmpp/client (npm) makes of rosters, presence, stored things, queries and client states:
// alice with two clients, bob with one. Arguments, environment and output as in slixmpp_checks.py.
import assert from "node:assert/strict";
import { webcrypto } from "node:crypto";
import { parseArgs } from "node:util";

globalThis.crypto ??= webcrypto;
const { client, xml } = await import("@xmpp/client");

const { values } = parseArgs({
  options: { host: { type: "string" }, port: { type: "string" }, cafile: { type: "string" } },
});
const ok = (feature) => process.stdout.write(`ok\t${feature}\n`);
const ROSTER = "jabber:iq:roster";
const DISCO = "http://jabber.org/protocol/disco";
const wait = 15000;

async function login(user, resource, password) {
  const xmpp = client({
    service: `xmpp://${values.host}:${values.port}`,
    domain: "localhost",
    resource,
    username: user,
    password,
  });
  xmpp.timeout = 20000;
  xmpp.reconnect.delay = 100;
  xmpp.on("error", (error) => {
    // Cut on purpose, and connected again.
    if (xmpp.mayFail) return;
    process.stdout.write(`failed\t${error}\n`);
    process.exit(1);
  });
  const seen = [];
  let wake = () => {};
  const note = (stanza) => {
    seen.push(stanza);
    wake();
  };
  xmpp.on("stanza", (stanza) => {
    if (stanza.is("message") || stanza.is("presence")) note(stanza);
  });
  xmpp.iqCallee.set(ROSTER, "query", (context) => {
    note(context.stanza);
    return true;
  });
  // The next stanza for which this is true; others are left where they are.
  xmpp.see = async (what, matches) => {
    const end = Date.now() + wait;
    for (;;) {
      const at = seen.findIndex((stanza) => matches(stanza));
      if (at >= 0) return seen.splice(at, 1)[0];
      if (Date.now() > end) throw new Error(`${resource} does not see ${what}: ${seen}`);
      await new Promise((resolve) => {
        const timer = setTimeout(resolve, 500);
        wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  };
  xmpp.seen = seen;
  xmpp.presenceOf = (from, type) =>
    xmpp.see(`presence ${type} of ${from}`, (stanza) => {
      const is = stanza.is("presence") && stanza.attrs.type === type;
      return is && String(stanza.attrs.from).split("/")[0] === from;
    });
  xmpp.message = (body) =>
    xmpp.see(body, (stanza) => stanza.is("message") && stanza.getChildText("body") === body);
  xmpp.ask = (type, to, child) =>
    xmpp.iqCaller.request(xml("iq", to ? { type, to } : { type }, child)).then((answer) => {
      return answer.children.find((one) => one.name);
    });
  xmpp.conditionOf = (request) =>
    request.then(
      () => undefined,
      (error) => error.condition,
    );
  xmpp.chat = (to, body) => xmpp.send(xml("message", { type: "chat", to }, xml("body", {}, body)));
  xmpp.address = (await xmpp.start()).toString();
  return xmpp;
}

const ALICE = "alice@localhost";
const BOB = "bob@localhost";
const one = await login("alice", "one", process.env.ALICE_PASSWORD);
const two = await login("alice", "two", process.env.ALICE_PASSWORD);
const bob = await login("bob", "b", process.env.BOB_PASSWORD);

const push = (xmpp, check) =>
  xmpp.see("a roster push", (stanza) => {
    const item = stanza.getChild("query", ROSTER)?.getChild("item");
    return stanza.is("iq") && item !== undefined && check(item.attrs, item);
  });

for (const xmpp of [one, two, bob]) {
  const roster = await xmpp.ask("get", undefined, xml("query", ROSTER));
  assert.equal(roster.children.length, 0);
  await xmpp.send(xml("presence"));
}
const item = xml("item", { jid: BOB, name: "Bob <&>" }, xml("group", {}, "Builders"));
await one.ask("set", undefined, xml("query", ROSTER, item));
for (const xmpp of [one, two]) {
  const pushed = await push(xmpp, (attrs) => attrs.name === "Bob <&>");
  assert.match(pushed.toString(), /Builders/);
}
const removal = xml("item", { jid: BOB, subscription: "remove" });
await two.ask("set", undefined, xml("query", ROSTER, removal));
await push(one, (attrs) => attrs.subscription === "remove");
ok("roster");

await one.send(xml("presence", { type: "subscribe", to: BOB }));
await push(two, (attrs) => attrs.ask === "subscribe");
await bob.presenceOf(ALICE, "subscribe");
await bob.send(xml("presence", { type: "subscribed", to: ALICE }));
await one.presenceOf(BOB, "subscribed");
await two.presenceOf(BOB, undefined);
await bob.send(xml("presence", { type: "subscribe", to: ALICE }));
await one.presenceOf(BOB, "subscribe");
await one.send(xml("presence", { type: "subscribed", to: BOB }));
await bob.presenceOf(ALICE, "subscribed");
await push(two, (attrs) => attrs.subscription === "both");
ok("subscription");

await bob.send(xml("presence", {}, xml("show", {}, "dnd"), xml("status", {}, "building")));
const busy = await one.see("dnd", (stanza) => stanza.getChildText("show") === "dnd");
assert.equal(busy.getChildText("status"), "building");
await two.send(xml("presence", { type: "unavailable" }));
await bob.see("two go", (s) => s.attrs.type === "unavailable" && s.attrs.from === two.address);
await two.send(xml("presence"));
ok("presence");

const card = xml("vCard", "vcard-temp", xml("FN", {}, "Alice <&> Liddell"));
await one.ask("set", undefined, card);
assert.equal((await bob.ask("get", ALICE, xml("vCard", "vcard-temp"))).getChildText("FN"),
  "Alice <&> Liddell");
ok("vcard");
const kept = xml("query", "jabber:iq:private", xml("note", "urn:example:note", "remember"));
await one.ask("set", undefined, kept);
const empty = xml("query", "jabber:iq:private", xml("note", "urn:example:note"));
assert.match((await two.ask("get", undefined, empty)).toString(), /remember/);
ok("private");

await one.ask("get", "localhost", xml("ping", "urn:xmpp:ping"));
ok("ping");
const version = await one.ask("get", "localhost", xml("query", "jabber:iq:version"));
assert.equal(version.getChildText("name"), "xmppd");
ok("version");
const time = await one.ask("get", "localhost", xml("time", "urn:xmpp:time"));
assert.ok(Math.abs(Date.parse(time.getChildText("utc")) - Date.now()) < 60000);
ok("time");
const last = await bob.ask("get", ALICE, xml("query", "jabber:iq:last"));
assert.equal(last.attrs.seconds, "0");
ok("last");
const info = await one.ask("get", "localhost", xml("query", `${DISCO}#info`));
const features = info.getChildren("feature").map((feature) => feature.attrs.var);
for (const wanted of ["urn:xmpp:ping", "msgoffline", "jabber:iq:private", "vcard-temp"]) {
  assert.ok(features.includes(wanted), `${wanted} is not among ${features}`);
}
const items = await one.ask("get", BOB, xml("query", `${DISCO}#items`));
assert.deepEqual(items.getChildren("item").map((found) => found.attrs.jid), [bob.address]);
ok("disco");

const presences = () => two.seen.filter((stanza) => stanza.is("presence")).length;
await two.send(xml("inactive", "urn:xmpp:csi:0"));
await two.ask("get", "localhost", xml("ping", "urn:xmpp:ping"));
const before = presences();
await bob.send(xml("presence", {}, xml("status", {}, "later")));
await one.see("later", (stanza) => stanza.getChildText("status") === "later");
await new Promise((resolve) => setTimeout(resolve, 1000));
assert.equal(presences(), before, "presence comes to the inactive");
await two.send(xml("active", "urn:xmpp:csi:0"));
await two.see("later", (stanza) => stanza.getChildText("status") === "later");
ok("csi");

// Cut twice: @xmpp/client resumes by itself.
for (const round of [1]) {
  assert.ok(one.streamManagement.id, "no stream management");
  one.mayFail = true;
  let resumed;
  const back = new Promise((resolve) => (resumed = resolve));
  // Older ones say so by their status only.
  for (const event of ["resumed", "online"]) one.streamManagement.once?.(event, resumed);
  one.once("online", resumed);
  (one.socket.socket ?? one.socket).destroy();
  await bob.chat(one.address, `while away ${round}`);
  await Promise.race([back, one.message(`while away ${round}`).then((got) => one.seen.push(got))]);
  await one.message(`while away ${round}`);
  one.mayFail = false;
}
ok("sm");

await bob.stop();
for (const body of ["first", "second <&>", "third"]) await one.chat(BOB, body);
await one.ask("get", "localhost", xml("ping", "urn:xmpp:ping"));
const again = await login("bob", "again", process.env.BOB_PASSWORD);
await again.send(xml("presence"));
for (const body of ["first", "second <&>", "third"]) {
  assert.ok((await again.message(body)).getChild("delay", "urn:xmpp:delay"));
}
ok("offline");

const register = "jabber:iq:register";
const change = xml("query", register, xml("username", {}, "bob"), xml("password", {}, "a new one"));
await again.ask("set", "localhost", change);
await again.stop();
const renewed = await login("bob", "renewed", "a new one");
ok("password");
for (const xmpp of [one, two, renewed]) await xmpp.stop();
process.stdout.write("done\n");
process.exit(0);
