/* libstrophe as a chat client driven by lines; the protocol is in README.md.
 *
 * Usage: XMPP_PASSWORD=... strophe_chat --jid JID --host ADDRESS --port PORT --cafile FILE
 * TLS is mandatory and the certificate is verified against FILE.
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strophe.h>
#include <unistd.h>

struct chat {
  xmpp_ctx_t* ctx;
  xmpp_conn_t* conn;
  int running;
  char mechanism[64];
};

static void on_log(void* userdata, xmpp_log_level_t level, const char* area, const char* message) {
  struct chat* chat = userdata;
  const char* found = strstr(message, "mechanism=\"");
  (void)level;
  fprintf(stderr, "%s %s\n", area, message);
  /* The <auth/> element that it sends is the only place where the mechanism shows. */
  if (found != NULL && strstr(message, "<auth") != NULL) {
    sscanf(found, "mechanism=\"%63[^\"]", chat->mechanism);
  }
}

static int on_message(xmpp_conn_t* conn, xmpp_stanza_t* stanza, void* userdata) {
  struct chat* chat = userdata;
  char* body = xmpp_message_get_body(stanza);
  (void)conn;
  if (body != NULL) {
    printf("message\t%s\t%s\n", xmpp_stanza_get_from(stanza), body);
    xmpp_free(chat->ctx, body);
  }
  return 1;
}

static void on_connection(xmpp_conn_t* conn, xmpp_conn_event_t event, int error,
                          xmpp_stream_error_t* stream_error, void* userdata) {
  struct chat* chat = userdata;
  (void)stream_error;
  if (event == XMPP_CONN_CONNECT) {
    xmpp_stanza_t* presence = xmpp_presence_new(chat->ctx);
    xmpp_handler_add(conn, on_message, NULL, "message", NULL, chat);
    xmpp_send(conn, presence);
    xmpp_stanza_release(presence);
    printf("online\t%s\t%s\n", xmpp_conn_get_bound_jid(conn), chat->mechanism);
    if (!xmpp_conn_is_secured(conn)) {
      printf("failed\tnot secured\n");
    }
  } else {
    printf("offline\t%d\n", error);
    chat->running = 0;
  }
}

static void on_command(struct chat* chat, char* line) {
  char* command = strtok(line, "\t");
  char* to = strtok(NULL, "\t");
  char* body = strtok(NULL, "\t");
  if (command != NULL && strcmp(command, "send") == 0 && body != NULL) {
    xmpp_stanza_t* message = xmpp_message_new(chat->ctx, "chat", to, NULL);
    xmpp_message_set_body(message, body);
    xmpp_send(chat->conn, message);
    xmpp_stanza_release(message);
  } else if (command != NULL && strcmp(command, "quit") == 0) {
    xmpp_disconnect(chat->conn);
  }
}

/* Reads what has arrived on standard input and obeys every complete line of it. */
static void poll_commands(struct chat* chat) {
  static char buffer[65536];
  static size_t used;
  struct pollfd input = {STDIN_FILENO, POLLIN, 0};
  char* end;
  if (poll(&input, 1, 0) > 0) {
    ssize_t count = read(STDIN_FILENO, buffer + used, sizeof buffer - used - 1);
    if (count <= 0) {
      chat->running = 0;
      return;
    }
    used += (size_t)count;
  }
  while ((end = memchr(buffer, '\n', used)) != NULL) {
    size_t length = (size_t)(end - buffer) + 1;
    *end = '\0';
    on_command(chat, buffer);
    used -= length;
    memmove(buffer, buffer + length, used);
  }
}

int main(int argc, char** argv) {
  struct chat chat = {0};
  xmpp_log_t log = {on_log, &chat};
  const char *jid = NULL, *host = NULL, *port = NULL, *cafile = NULL;
  for (int i = 1; i + 1 < argc; i += 2) {
    if (strcmp(argv[i], "--jid") == 0) jid = argv[i + 1];
    if (strcmp(argv[i], "--host") == 0) host = argv[i + 1];
    if (strcmp(argv[i], "--port") == 0) port = argv[i + 1];
    if (strcmp(argv[i], "--cafile") == 0) cafile = argv[i + 1];
  }
  if (jid == NULL || host == NULL || port == NULL || cafile == NULL) {
    fprintf(stderr, "usage: strophe_chat --jid JID --host ADDRESS --port PORT --cafile FILE\n");
    return 2;
  }
  setvbuf(stdout, NULL, _IOLBF, 0);
  xmpp_initialize();
  chat.running = 1;
  chat.ctx = xmpp_ctx_new(NULL, &log);
  chat.conn = xmpp_conn_new(chat.ctx);
  xmpp_conn_set_flags(chat.conn, XMPP_CONN_FLAG_MANDATORY_TLS);
  xmpp_conn_set_cafile(chat.conn, cafile);
  xmpp_conn_set_jid(chat.conn, jid);
  xmpp_conn_set_pass(chat.conn, getenv("XMPP_PASSWORD"));
  if (xmpp_connect_client(chat.conn, host, (unsigned short)atoi(port), on_connection, &chat) !=
      XMPP_EOK) {
    printf("failed\tconnect\n");
    return 1;
  }
  while (chat.running) {
    xmpp_run_once(chat.ctx, 20);
    poll_commands(&chat);
  }
  xmpp_conn_release(chat.conn);
  xmpp_ctx_free(chat.ctx);
  xmpp_shutdown();
  return 0;
}
