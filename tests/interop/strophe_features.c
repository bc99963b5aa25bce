/* What libstrophe (Debian's) makes of the server: alice with two clients, bob with one. The library
 * has connections, stanzas and handlers; what is in the stanzas is written here.
 *
 * Usage: ALICE_PASSWORD=... BOB_PASSWORD=... strophe_features --host ADDRESS --port PORT --cafile
 * FILE Says `ok FEATURE` of everything that it saw, then `done`; what it does not see within
 * seconds ends it with status 1.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strophe.h>
#include <time.h>

enum { kWaitSeconds = 15, kStanzasMax = 256 };

struct client {
  const char* name;
  xmpp_conn_t* conn;
  char* seen[kStanzasMax]; /* as text, in the order of arrival */
  int count;
  int next; /* the first that see() has not passed */
  int is_online;
  int is_over;
};

static xmpp_ctx_t* ctx;
static const char *host, *port, *cafile;

static void fail(const struct client* client, const char* what) {
  printf("failed\t%s: %s\n", client->name, what);
  for (int i = 0; i < client->count; ++i) {
    fprintf(stderr, "%s %s\n", i < client->next ? " " : ">", client->seen[i]);
  }
  exit(1);
}

static int on_stanza(xmpp_conn_t* conn, xmpp_stanza_t* stanza, void* userdata) {
  struct client* client = userdata;
  char* text = NULL;
  size_t size = 0;
  (void)conn;
  if (client->count == kStanzasMax) fail(client, "too many stanzas");
  if (xmpp_stanza_to_text(stanza, &text, &size) != XMPP_EOK) fail(client, "no text of a stanza");
  client->seen[client->count++] = text;
  return 1;
}

static void on_connection(xmpp_conn_t* conn, xmpp_conn_event_t event, int error,
                          xmpp_stream_error_t* stream_error, void* userdata) {
  struct client* client = userdata;
  (void)error;
  (void)stream_error;
  if (event == XMPP_CONN_CONNECT) {
    if (!xmpp_conn_is_secured(conn)) fail(client, "not secured");
    xmpp_handler_add(conn, on_stanza, NULL, NULL, NULL, client);
    client->is_online = 1;
  } else {
    client->is_over = 1;
  }
}

static void run_until(struct client* client, const int* flag, const char* what) {
  const time_t until = time(NULL) + kWaitSeconds;
  while (!*flag) {
    if (time(NULL) > until) fail(client, what);
    xmpp_run_once(ctx, 20);
  }
}

static void come(struct client* client, const char* name, const char* jid, const char* password) {
  memset(client, 0, sizeof *client);
  client->name = name;
  client->conn = xmpp_conn_new(ctx);
  xmpp_conn_set_flags(client->conn, XMPP_CONN_FLAG_MANDATORY_TLS);
  xmpp_conn_set_cafile(client->conn, cafile);
  xmpp_conn_set_jid(client->conn, jid);
  xmpp_conn_set_pass(client->conn, getenv(password));
  if (xmpp_connect_client(client->conn, host, (unsigned short)atoi(port), on_connection, client) !=
      XMPP_EOK) {
    fail(client, "cannot connect");
  }
  run_until(client, &client->is_online, "login");
}

static void go(struct client* client) {
  xmpp_disconnect(client->conn);
  run_until(client, &client->is_over, "end");
  xmpp_conn_release(client->conn);
}

static void say(struct client* client, const char* xml) {
  xmpp_send_raw(client->conn, xml, strlen(xml));
}

static int has_all(const char* text, va_list parts) {
  const char* part = NULL;
  va_list copy;
  int has = 1;
  va_copy(copy, parts);
  while (has && (part = va_arg(copy, const char*)) != NULL) has = strstr(text, part) != NULL;
  va_end(copy);
  return has;
}

/* Waits for a stanza with all these parts (NULL ends them); others may come before. Its text. */
static const char* see(struct client* client, ...) {
  const time_t until = time(NULL) + kWaitSeconds;
  va_list parts;
  va_start(parts, client);
  for (;;) {
    while (client->next < client->count) {
      const char* text = client->seen[client->next++];
      if (has_all(text, parts)) {
        va_end(parts);
        return text;
      }
    }
    if (time(NULL) > until) fail(client, va_arg(parts, const char*));
    xmpp_run_once(ctx, 20);
  }
}

/* None of the stanzas that came since `mark` has that part. A ping says when all have come. */
static void see_none(struct client* client, const char* part) {
  static int pings;
  char ping[160];
  char id[24];
  const int mark = client->next;
  snprintf(id, sizeof id, "id=\"ping%d\"", ++pings);
  snprintf(ping, sizeof ping, "<iq type='get' id='ping%d'><ping xmlns='urn:xmpp:ping'/></iq>",
           pings);
  say(client, ping);
  see(client, id, "type=\"result\"", NULL);
  for (int i = mark; i < client->next; ++i) {
    if (strstr(client->seen[i], part) != NULL) fail(client, part);
  }
}

static void ok(const char* feature) {
  printf("ok\t%s\n", feature);
}

static void roster(struct client* one, struct client* two, struct client* bob) {
  struct client* all[] = {one, two, bob};
  for (int i = 0; i < 3; ++i) {
    say(all[i], "<iq type='get' id='roster'><query xmlns='jabber:iq:roster'/></iq>");
    see(all[i], "id=\"roster\"", "type=\"result\"", NULL);
    say(all[i], "<presence/>");
  }
  say(one,
      "<iq type='set' id='add'><query xmlns='jabber:iq:roster'><item jid='bob@localhost' "
      "name='Bob &lt;&amp;&gt;'><group>Builders</group><group>Friends</group></item></query></iq>");
  see(two, "type=\"set\"", "jid=\"bob@localhost\"", "<group>Builders</group>", NULL);
  see(one, "id=\"add\"", "type=\"result\"", NULL);
  say(two, "<iq type='get' id='again'><query xmlns='jabber:iq:roster'/></iq>");
  see(two, "id=\"again\"", "name=\"Bob &lt;&amp;&gt;\"", "<group>Friends</group>",
      "subscription=\"none\"", NULL);
}

static void subscription(struct client* one, struct client* two, struct client* bob) {
  say(one, "<presence type='subscribe' to='bob@localhost'/>");
  see(two, "type=\"set\"", "ask=\"subscribe\"", NULL);
  see(bob, "type=\"subscribe\"", "from=\"alice@localhost\"", NULL);
  say(bob, "<presence type='subscribed' to='alice@localhost'/>");
  see(two, "type=\"set\"", "subscription=\"to\"", NULL);
  see(one, "<presence", "from=\"bob@localhost/b\"", NULL);
  say(bob, "<presence type='subscribe' to='alice@localhost'/>");
  see(two, "type=\"subscribe\"", "from=\"bob@localhost\"", NULL);
  say(two, "<presence type='subscribed' to='bob@localhost'/>");
  see(one, "type=\"set\"", "subscription=\"both\"", NULL);
  see(bob, "<presence", "from=\"alice@localhost/one\"", NULL);
  ok("subscription");
}

static void presence(struct client* one, struct client* bob) {
  say(bob, "<presence><show>dnd</show><status>Building</status><priority>3</priority></presence>");
  see(one, "from=\"bob@localhost/b\"", "<show>dnd</show>", "<status>Building</status>", NULL);
  say(bob, "<presence type='unavailable'/>");
  see(one, "from=\"bob@localhost/b\"", "type=\"unavailable\"", NULL);
  say(bob, "<presence/>");
  see(one, "<presence", "from=\"bob@localhost/b\"", NULL);
  ok("presence");
}

static void carbons(struct client* one, struct client* two, struct client* bob) {
  say(two, "<iq type='set' id='copies'><enable xmlns='urn:xmpp:carbons:2'/></iq>");
  see(two, "id=\"copies\"", "type=\"result\"", NULL);
  say(one, "<message type='chat' to='bob@localhost'><body>from one</body></message>");
  see(bob, "from=\"alice@localhost/one\"", "<body>from one</body>", NULL);
  see(two, "<sent", "<forwarded", "<body>from one</body>", NULL);
  say(bob, "<message type='chat' to='alice@localhost/one'><body>to one</body></message>");
  see(one, "from=\"bob@localhost/b\"", "<body>to one</body>", NULL);
  see(two, "<received", "<forwarded", "<body>to one</body>", NULL);
  say(one,
      "<message type='chat' to='bob@localhost'><body>hidden</body>"
      "<private xmlns='urn:xmpp:carbons:2'/><no-copy xmlns='urn:xmpp:hints'/></message>");
  see(bob, "<body>hidden</body>", NULL);
  see_none(two, "hidden");
  ok("carbons");
}

static void blocking(struct client* one, struct client* two, struct client* bob) {
  say(one, "<iq type='get' id='list'><blocklist xmlns='urn:xmpp:blocking'/></iq>");
  see(one, "id=\"list\"", "type=\"result\"", NULL);
  say(two, "<iq type='get' id='list'><blocklist xmlns='urn:xmpp:blocking'/></iq>");
  see(two, "id=\"list\"", "type=\"result\"", NULL);
  say(one,
      "<iq type='set' id='block'><block xmlns='urn:xmpp:blocking'>"
      "<item jid='bob@localhost'/></block></iq>");
  see(one, "id=\"block\"", "type=\"result\"", NULL);
  see(two, "type=\"set\"", "<block ", "jid=\"bob@localhost\"", NULL);
  see(bob, "from=\"alice@localhost/one\"", "type=\"unavailable\"", NULL);
  say(bob, "<message type='chat' to='alice@localhost' id='no'><body>blocked</body></message>");
  see(bob, "id=\"no\"", "service-unavailable", NULL);
  say(one, "<message type='chat' to='bob@localhost' id='no2'><body>blocked</body></message>");
  see(one, "id=\"no2\"", "not-acceptable", "urn:xmpp:blocking:errors", NULL);
  say(one, "<iq type='set' id='unblock'><unblock xmlns='urn:xmpp:blocking'/></iq>");
  see(two, "type=\"set\"", "<unblock", NULL);
  see(bob, "<presence", "from=\"alice@localhost/one\"", NULL);
  see_none(one, "<body>blocked</body>");
  ok("blocking");
}

static void vcard(struct client* one, struct client* bob) {
  say(one,
      "<iq type='set' id='card'><vCard xmlns='vcard-temp'><FN>Alice &amp; Co</FN></vCard></iq>");
  see(one, "id=\"card\"", "type=\"result\"", NULL);
  say(bob, "<iq type='get' id='hers' to='alice@localhost'><vCard xmlns='vcard-temp'/></iq>");
  see(bob, "id=\"hers\"", "type=\"result\"", "<FN>Alice &amp; Co</FN>", NULL);
  ok("vcard");
}

static void offline(struct client* one, struct client* bob) {
  const char* text = NULL;
  go(bob);
  see(one, "from=\"bob@localhost/b\"", "type=\"unavailable\"", NULL);
  say(one, "<message type='chat' to='bob@localhost'><body>it waits</body></message>");
  say(one, "<message type='chat' to='bob@localhost'><body>it waits, too</body></message>");
  see_none(one, "type=\"error\"");
  come(bob, "bob", "bob@localhost/b", "BOB_PASSWORD");
  say(bob, "<presence/>");
  text = see(bob, "<body>it waits</body>", NULL);
  if (strstr(text, "urn:xmpp:delay") == NULL) fail(bob, "no time of a stored message");
  see(bob, "<body>it waits, too</body>", NULL);
  ok("offline");
}

static void roster_removal(struct client* one, struct client* two) {
  say(one,
      "<iq type='set' id='remove'><query xmlns='jabber:iq:roster'>"
      "<item jid='bob@localhost' subscription='remove'/></query></iq>");
  see(one, "id=\"remove\"", "type=\"result\"", NULL);
  see(two, "type=\"set\"", "subscription=\"remove\"", NULL);
  ok("roster");
}

int main(int argc, char** argv) {
  struct client one, two, bob;
  for (int i = 1; i + 1 < argc; i += 2) {
    if (strcmp(argv[i], "--host") == 0) host = argv[i + 1];
    if (strcmp(argv[i], "--port") == 0) port = argv[i + 1];
    if (strcmp(argv[i], "--cafile") == 0) cafile = argv[i + 1];
  }
  if (host == NULL || port == NULL || cafile == NULL) {
    fprintf(stderr, "usage: strophe_features --host ADDRESS --port PORT --cafile FILE\n");
    return 2;
  }
  setvbuf(stdout, NULL, _IOLBF, 0);
  xmpp_initialize();
  ctx = xmpp_ctx_new(NULL, NULL);
  come(&one, "one", "alice@localhost/one", "ALICE_PASSWORD");
  come(&two, "two", "alice@localhost/two", "ALICE_PASSWORD");
  come(&bob, "bob", "bob@localhost/b", "BOB_PASSWORD");
  roster(&one, &two, &bob);
  subscription(&one, &two, &bob);
  presence(&one, &bob);
  carbons(&one, &two, &bob);
  blocking(&one, &two, &bob);
  vcard(&one, &bob);
  offline(&one, &bob);
  roster_removal(&one, &two);
  go(&one);
  go(&two);
  go(&bob);
  xmpp_ctx_free(ctx);
  xmpp_shutdown();
  printf("done\n");
  return 0;
}
