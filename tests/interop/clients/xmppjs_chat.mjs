// @xmpp/client (npm) as a chat client driven by lines; the protocol is in ../README.md.
import { webcrypto } from "node:crypto";
import { createInterface } from "node:readline";
import { parseArgs } from "node:util";

// Debian 12's node 18 has no global of this name yet, and the client asks for one.
globalThis.crypto ??= webcrypto;
const { client, jid, xml } = await import("@xmpp/client");

const { values } = parseArgs({
  options: {
    jid: { type: "string" },
    host: { type: "string" },
    port: { type: "string" },
    cafile: { type: "string" }, // trusted through NODE_EXTRA_CA_CERTS, which the harness sets
  },
});
const say = (...fields) => process.stdout.write(fields.join("\t") + "\n");
const account = jid(values.jid);
let mechanism = "";

const xmpp = client({
  service: `xmpp://${values.host}:${values.port}`,
  domain: account.domain,
  resource: account.resource || undefined,
  credentials: async (authenticate, mechanisms) => {
    mechanism = mechanisms[0];
    await authenticate(
      { username: account.local, password: process.env.XMPP_PASSWORD },
      mechanism,
    );
  },
});
xmpp.reconnect.stop();
xmpp.timeout = 20000; // its 2 s are too short for a busy machine
xmpp.on("error", (error) => say("failed", String(error)));
xmpp.on("offline", () => say("offline"));
xmpp.on("stanza", (stanza) => {
  const body = stanza.is("message") && stanza.getChildText("body");
  if (body) say("message", stanza.attrs.from, body);
});
xmpp.on("online", async (address) => {
  await xmpp.send(xml("presence"));
  say("online", address.toString(), mechanism);
});

createInterface({ input: process.stdin }).on("line", async (line) => {
  const [command, to, body] = line.split("\t");
  if (command === "send") {
    await xmpp.send(xml("message", { type: "chat", to }, xml("body", {}, body)));
  } else if (command === "quit") {
    await xmpp.stop();
    process.exit(0);
  }
});
await xmpp.start().catch((error) => {
  say("failed", String(error));
  process.exit(1);
});
