// The floor: the least that can look like an XMPP server to a benchmark's chat, to show what the
// kernel alone costs. It takes any PLAIN login, binds what is asked for, finds the `to` of a stanza
// and appends the bytes, with a `from` put in, to the receiver's output; one thread, one epoll, one
// read per ready connection and one write per connection with output and pass. It checks nothing:
// never a server.
//
// Usage: relay [PORT [repeat]]   listens on 127.0.0.1 (port 0: any) and says `relay ready
// c2s=127.0.0.1:PORT`. With `repeat`, for a test, everything comes once more, 100 ms later.
// Thread-safety: one thread. Invariants: a connection is in `dirty` exactly while its flag says so.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace {

using std::string;
using std::string_view;
using Clock = std::chrono::steady_clock;

struct Connection {
  int fd = -1;
  bool authenticated = false;
  bool dirty = false;
  bool closing = false;
  bool waits_for_space = false;
  string jid;      // bare once authenticated, full once bound
  string pending;  // the beginning of a stanza whose rest has not arrived
  string out;
};

struct StringHash {
  using is_transparent = void;
  size_t operator()(string_view text) const noexcept { return std::hash<string_view>{}(text); }
};

// The length of the first complete piece (XML declaration, stream tag, stanza or white space) of
// the bytes; 0 if there is none yet.
size_t find_end(string_view bytes) {
  if (bytes.front() != '<') {
    const size_t next = bytes.find('<');
    return next == string_view::npos ? bytes.size() : next;
  }
  int depth = 0;
  size_t at = 0;
  while ((at = bytes.find('<', at)) != string_view::npos) {
    char quote = 0;
    size_t end = at + 1;
    for (; end < bytes.size(); ++end) {
      const char c = bytes[end];
      if (quote != 0) {
        quote = c == quote ? '\0' : quote;
      } else if (c == '"' || c == '\'') {
        quote = c;
      } else if (c == '>') {
        break;
      }
    }
    if (end >= bytes.size()) return 0;
    const string_view tag = bytes.substr(at, end - at + 1);
    if (tag[1] == '?' || tag.starts_with("<stream:") || tag.starts_with("</stream:"))
      return end + 1;
    if (tag[1] == '/') {
      --depth;
    } else if (tag[tag.size() - 2] != '/') {
      ++depth;
    }
    if (depth <= 0) return end + 1;
    at = end + 1;
  }
  return 0;
}

// The value of an attribute of the first tag; empty if it has none.
string_view find_attribute(string_view stanza, string_view name_with_equals) {
  const string_view tag = stanza.substr(0, stanza.find('>'));
  const size_t at = tag.find(name_with_equals);
  if (at == string_view::npos) return {};
  const size_t begin = at + name_with_equals.size() + 1;
  if (begin > tag.size()) return {};
  return tag.substr(begin, tag.find(tag[begin - 1], begin) - begin);
}

// The text between the first `open` and the next '<'.
string_view find_text(string_view stanza, string_view open) {
  const size_t at = stanza.find(open);
  if (at == string_view::npos) return {};
  const size_t begin = at + open.size();
  return stanza.substr(begin, stanza.find('<', begin) - begin);
}

string decode_base64(string_view text) {
  string out;
  unsigned bits = 0;
  int count = 0;
  for (const char c : text) {
    int value = -1;
    if (c >= 'A' && c <= 'Z') value = c - 'A';
    if (c >= 'a' && c <= 'z') value = c - 'a' + 26;
    if (c >= '0' && c <= '9') value = c - '0' + 52;
    if (c == '+') value = 62;
    if (c == '/') value = 63;
    if (value < 0) break;
    bits = bits << 6 | static_cast<unsigned>(value);
    count += 6;
    if (count >= 8) {
      count -= 8;
      out.push_back(static_cast<char>(bits >> count & 0xff));
    }
  }
  return out;
}

class Relay {
 public:
  Relay(uint16_t port, bool repeats);
  void run();

 private:
  void accept_all();
  void on_readable(Connection& connection);
  void on_piece(Connection& connection, string_view piece);
  void on_stream(Connection& connection, string_view header);
  void on_auth(Connection& connection, string_view auth);
  void on_iq(Connection& connection, string_view iq);
  void forward(const Connection& from, string_view to, string_view stanza);
  void send_late();
  void send(Connection& connection, string_view bytes);
  void flush(Connection& connection);
  void watch(Connection& connection, bool for_space);
  void close(Connection& connection);

  int epoll_ = -1;
  int listener_ = -1;
  string domain_ = "localhost";
  std::vector<std::unique_ptr<Connection>> connections_;  // by descriptor
  std::unordered_map<string, Connection*, StringHash, std::equal_to<>> sessions_;
  std::vector<Connection*> dirty_;
  std::vector<Connection*> closed_;
  std::vector<char> buffer_ = std::vector<char>(65536);
  struct Late {
    Clock::time_point at;
    string to;
    string stanza;
  };
  const bool repeats_;
  std::deque<Late> late_;
};

[[noreturn]] void fail(const char* what) {
  std::perror(what);
  std::exit(1);
}

Relay::Relay(uint16_t port, bool repeats) : repeats_(repeats) {
  epoll_ = epoll_create1(EPOLL_CLOEXEC);
  listener_ = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  const int on = 1;
  setsockopt(listener_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  if (bind(listener_, reinterpret_cast<sockaddr*>(&address), size) != 0) fail("bind");
  if (listen(listener_, 4096) != 0) fail("listen");
  getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.ptr = nullptr;
  epoll_ctl(epoll_, EPOLL_CTL_ADD, listener_, &event);
  std::printf("relay ready c2s=127.0.0.1:%d\n", ntohs(address.sin_port));
  std::fflush(stdout);
}

void Relay::run() {
  epoll_event events[512];
  for (;;) {
    const int count = epoll_wait(epoll_, events, 512, late_.empty() ? -1 : 10);
    send_late();
    if (count < 0 && errno != EINTR) fail("epoll_wait");
    for (int i = 0; i < count; ++i) {
      auto* connection = static_cast<Connection*>(events[i].data.ptr);
      if (connection == nullptr) {
        accept_all();
        continue;
      }
      if ((events[i].events & EPOLLOUT) != 0) flush(*connection);
      if ((events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) on_readable(*connection);
    }
    for (size_t i = 0; i < dirty_.size(); ++i) {
      dirty_[i]->dirty = false;
      flush(*dirty_[i]);
    }
    dirty_.clear();
    // Only now can no event and no dirty entry of this pass name them any more.
    for (Connection* connection : closed_) {
      const int fd = connection->fd;
      connections_[static_cast<size_t>(fd)].reset();
      ::close(fd);
    }
    closed_.clear();
  }
}

void Relay::accept_all() {
  for (;;) {
    const int fd = accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) return;
    const int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (connections_.size() <= static_cast<size_t>(fd)) {
      connections_.resize(static_cast<size_t>(fd) + 1);
    }
    auto connection = std::make_unique<Connection>();
    connection->fd = fd;
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.ptr = connection.get();
    epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event);
    connections_[static_cast<size_t>(fd)] = std::move(connection);
  }
}

void Relay::on_readable(Connection& connection) {
  if (connection.closing) return;
  const ssize_t count = recv(connection.fd, buffer_.data(), buffer_.size(), 0);
  if (count == 0 || (count < 0 && errno != EAGAIN && errno != EINTR)) return close(connection);
  if (count < 0) return;
  string_view bytes(buffer_.data(), static_cast<size_t>(count));
  string joined;
  if (!connection.pending.empty()) {
    joined = std::move(connection.pending);
    joined.append(bytes);
    connection.pending = string();
    bytes = joined;
  }
  while (!bytes.empty() && !connection.closing) {
    const size_t length = find_end(bytes);
    if (length == 0) {
      connection.pending.assign(bytes);
      return;
    }
    on_piece(connection, bytes.substr(0, length));
    bytes.remove_prefix(length);
  }
}

void Relay::on_piece(Connection& connection, string_view piece) {
  if (piece.starts_with("<message")) {
    const string_view to = find_attribute(piece, " to=");
    if (!to.empty()) forward(connection, to, piece);
  } else if (piece.starts_with("<iq")) {
    on_iq(connection, piece);
  } else if (piece.starts_with("<presence")) {
    const string_view to = find_attribute(piece, " to=");
    if (!to.empty()) forward(connection, to, piece);
  } else if (piece.starts_with("<stream:")) {
    on_stream(connection, piece);
  } else if (piece.starts_with("</stream:")) {
    send(connection, "</stream:stream>");
    flush(connection);
    close(connection);
  } else if (piece.starts_with("<auth")) {
    on_auth(connection, piece);
  }
}

void Relay::on_stream(Connection& connection, string_view header) {
  const string_view to = find_attribute(header, " to=");
  if (!to.empty()) domain_ = to;
  send(connection,
       "<?xml version='1.0'?><stream:stream xmlns='jabber:client' "
       "xmlns:stream='http://etherx.jabber.org/streams' version='1.0' id='1' from='" +
           domain_ + "'><stream:features>");
  if (connection.authenticated) {
    send(connection, "<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></stream:features>");
  } else {
    send(connection,
         "<mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>PLAIN</mechanism>"
         "</mechanisms><register xmlns='http://jabber.org/features/iq-register'/>"
         "</stream:features>");
  }
}

void Relay::on_auth(Connection& connection, string_view auth) {
  const string plain = decode_base64(find_text(auth, ">"));
  const size_t first = plain.find('\0');
  if (first == string::npos) return close(connection);
  const size_t second = plain.find('\0', first + 1);
  connection.jid = plain.substr(first + 1, second - first - 1) + "@" + domain_;
  connection.authenticated = true;
  send(connection, "<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>");
}

void Relay::on_iq(Connection& connection, string_view iq) {
  const string_view to = find_attribute(iq, " to=");
  if (!to.empty() && to.find('@') != string_view::npos) return forward(connection, to, iq);
  const string_view type = find_attribute(iq, " type=");
  if (type != "get" && type != "set") return;
  string reply = "<iq type='result' id='" + string(find_attribute(iq, " id=")) + "'";
  if (iq.find("urn:ietf:params:xml:ns:xmpp-bind") != string_view::npos) {
    sessions_[connection.jid] = &connection;
    const string_view resource = find_text(iq, "<resource>");
    connection.jid += "/" + (resource.empty() ? std::to_string(connection.fd) : string(resource));
    sessions_[connection.jid] = &connection;
    reply += "><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><jid>" + connection.jid +
             "</jid></bind></iq>";
  } else {
    reply += "/>";
  }
  send(connection, reply);
}

void Relay::forward(const Connection& from, string_view to, string_view stanza) {
  const auto found = sessions_.find(to);
  if (found == sessions_.end()) return;
  Connection& receiver = *found->second;
  const size_t name_end = stanza.find_first_of(" />");
  if (repeats_) {
    string again(stanza);
    again.insert(name_end, " from='" + from.jid + "'");
    late_.push_back({Clock::now() + std::chrono::milliseconds(100), string(to), std::move(again)});
  }
  send(receiver, stanza.substr(0, name_end));
  send(receiver, " from='");
  send(receiver, from.jid);
  send(receiver, "'");
  send(receiver, stanza.substr(name_end));
}

void Relay::send_late() {
  for (; !late_.empty() && late_.front().at <= Clock::now(); late_.pop_front()) {
    const auto found = sessions_.find(late_.front().to);
    if (found != sessions_.end()) send(*found->second, late_.front().stanza);
  }
}

void Relay::send(Connection& connection, string_view bytes) {
  if (connection.closing) return;
  connection.out.append(bytes);
  if (!connection.dirty) {
    connection.dirty = true;
    dirty_.push_back(&connection);
  }
}

void Relay::flush(Connection& connection) {
  if (connection.closing || connection.out.empty()) return;
  const ssize_t count =
      ::send(connection.fd, connection.out.data(), connection.out.size(), MSG_NOSIGNAL);
  if (count < 0 && errno != EAGAIN && errno != EINTR) return close(connection);
  if (count > 0) connection.out.erase(0, static_cast<size_t>(count));
  const bool waits = !connection.out.empty();
  if (waits != connection.waits_for_space) watch(connection, waits);
  // An idle session keeps no buffer.
  if (!waits) connection.out = string();
}

void Relay::watch(Connection& connection, bool for_space) {
  connection.waits_for_space = for_space;
  epoll_event event{};
  event.events = for_space ? EPOLLIN | EPOLLOUT : EPOLLIN;
  event.data.ptr = &connection;
  epoll_ctl(epoll_, EPOLL_CTL_MOD, connection.fd, &event);
}

void Relay::close(Connection& connection) {
  if (connection.closing) return;
  connection.closing = true;
  epoll_ctl(epoll_, EPOLL_CTL_DEL, connection.fd, nullptr);
  for (const string& key : {connection.jid, connection.jid.substr(0, connection.jid.find('/'))}) {
    const auto found = sessions_.find(key);
    if (found != sessions_.end() && found->second == &connection) sessions_.erase(found);
  }
  closed_.push_back(&connection);
}

}  // namespace

int main(int argc, char** argv) {
  signal(SIGPIPE, SIG_IGN);
  const bool repeats = argc > 2 && string_view(argv[2]) == "repeat";
  Relay relay(static_cast<uint16_t>(argc > 1 ? std::atoi(argv[1]) : 0), repeats);
  relay.run();
}
