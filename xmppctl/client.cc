#include "client.h"

#include <Poco/Exception.h>
#include <Poco/JSON/Array.h>
#include <Poco/JSON/ParseHandler.h>
#include <Poco/JSON/Parser.h>
#include <Poco/JSON/Stringifier.h>
#include <Poco/Net/NetException.h>
#include <Poco/Net/SocketAddress.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <sstream>
#include <utility>

namespace xmppctl {
namespace {

using Poco::Dynamic::Var;

Unreachable unreachable(const std::string& path, const std::string& why) {
  return {"no server answers at " + path + " (" + why +
          "). Is xmppd running? It prints its socket as control=PATH when it is ready; "
          "give that with --socket PATH or in XMPPCTL_SOCKET"};
}

std::string reason_of(int error) {
  if (error == EACCES || error == EPERM) {
    return std::string(std::strerror(error)) + ": only root and the server's own user may";
  }
  return std::strerror(error);
}

Var parse(const std::string& line) {
  // The handler keeps the order of members, so that --json and tables show it.
  Poco::JSON::Parser parser(new Poco::JSON::ParseHandler(true));
  return parser.parse(line);
}

std::string text_of(const Poco::JSON::Object& object, const std::string& key) {
  const Var value = object.get(key);
  return value.isString() ? value.extract<std::string>() : std::string();
}

bool flag_of(const Poco::JSON::Object& object, const std::string& key) {
  const Var value = object.get(key);
  return value.isBoolean() && value.convert<bool>();
}

Argument read_argument(const Poco::JSON::Object& object) {
  return {.name = text_of(object, "name"),
          .type = text_of(object, "type"),
          .help = text_of(object, "help"),
          .is_required = flag_of(object, "required"),
          .is_option = flag_of(object, "option")};
}

Command read_command(const Poco::JSON::Object& object) {
  Command command{.full_name = text_of(object, "command"),
                  .group = text_of(object, "group"),
                  .name = text_of(object, "name"),
                  .help = text_of(object, "help"),
                  .ends_server = flag_of(object, "ends_server"),
                  .arguments = {}};
  if (command.name.empty()) throw Poco::DataFormatException("a command without a name");
  const auto arguments = object.getArray("arguments");
  if (arguments.isNull()) return command;
  for (const auto& item : *arguments) {
    command.arguments.push_back(read_argument(*item.extract<Poco::JSON::Object::Ptr>()));
  }
  return command;
}

}  // namespace

xmpp::Result<Catalogue, Unreachable> parse_catalogue(const Var& from) {
  try {
    Catalogue catalogue;
    for (const auto& item : *from.extract<Poco::JSON::Array::Ptr>()) {
      catalogue.push_back(read_command(*item.extract<Poco::JSON::Object::Ptr>()));
    }
    return catalogue;
  } catch (const Poco::Exception&) {
    return xmpp::Err(Unreachable{"what answers is no xmppd that this xmppctl understands"});
  }
}

xmpp::Result<Client, Unreachable> Client::connect(const std::string& path) {
  // Poco takes that for a mistake of the program.
  if (path.size() >= sizeof sockaddr_un{}.sun_path) {
    return xmpp::Err(unreachable(path, reason_of(ENAMETOOLONG)));
  }
  try {
    Poco::Net::StreamSocket socket;
    socket.connect(Poco::Net::SocketAddress(Poco::Net::SocketAddress::UNIX_LOCAL, path));
    return Client(socket, path);
  } catch (const Poco::Exception& error) {
    const int code = error.code();
    return xmpp::Err(unreachable(path, code != 0 ? reason_of(code) : error.displayText()));
  }
}

Client::Client(const Poco::Net::StreamSocket& socket, std::string path)
    : socket_(socket), path_(std::move(path)) {
  // Taken before anything is asked, while the process surely lives.
  ucred peer{};
  socklen_t size = sizeof peer;
  const int fd = static_cast<int>(socket_.impl()->sockfd());
  if (::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 && peer.pid > 0) {
    // glibc 2.36 declares pidfd_open() without extern "C".
    process_ = static_cast<int>(::syscall(SYS_pidfd_open, peer.pid, 0));
  }
}

Client::Client(Client&& other) noexcept
    : socket_(other.socket_),
      path_(std::move(other.path_)),
      pending_(std::move(other.pending_)),
      process_(std::exchange(other.process_, -1)),
      next_id_(other.next_id_) {}

Client::~Client() {
  if (process_ >= 0) ::close(process_);
}

xmpp::Result<Var, Failure> Client::request(const std::string& command,
                                           const Poco::JSON::Object::Ptr& args, int wait_s) {
  Poco::JSON::Object request;
  request.set("id", next_id_++);
  request.set("command", command);
  if (!args.isNull()) request.set("args", args);
  request.set("stream", true);
  std::ostringstream out;
  request.stringify(out);
  const std::string sent = out.str() + '\n';
  std::string line;
  try {
    std::size_t done = 0;
    while (done < sent.size()) {
      done += static_cast<std::size_t>(
          socket_.sendBytes(sent.data() + done, static_cast<int>(sent.size() - done)));
    }
  } catch (const Poco::Exception&) {
    // The server may have said why before it closed: read on.
  }
  try {
    socket_.setReceiveTimeout(Poco::Timespan(wait_s, 0));
    Poco::JSON::Object::Ptr answer;
    Poco::JSON::Array::Ptr items = new Poco::JSON::Array;
    do {
      if (!read_line(line)) {
        return xmpp::Err(Failure(unreachable(path_, "the server closed the connection")));
      }
      answer = parse(line).extract<Poco::JSON::Object::Ptr>();
      if (answer->has("item")) items->add(answer->get("item"));
    } while (answer->has("item"));
    if (items->size() != 0 && !answer->has("error")) return Var(items);
    if (!answer->has("error")) {
      if (!answer->has("result")) throw Poco::DataFormatException("neither result nor error");
      return answer->get("result");
    }
    const auto error = answer->getObject("error");
    if (error.isNull()) throw Poco::DataFormatException("error is not an object");
    return xmpp::Err(Failure(Refused{text_of(*error, "code"), text_of(*error, "text")}));
  } catch (const Poco::TimeoutException&) {
    return xmpp::Err(no_answer(command, wait_s));
  } catch (const Poco::Exception&) {
    return xmpp::Err(Failure(unreachable(path_, "the answer is not in the control protocol")));
  }
}

Failure Client::no_answer(const std::string& command, int waited_s) const {
  const std::string within = " within " + std::to_string(waited_s) + " s";
  if (command == "catalogue") {
    return Unreachable{"the server at " + path_ + " took the connection, but did not say" + within +
                       " which commands there are: is it stopped, or is the machine overloaded?"};
  }
  return Unfinished{"the server has not finished this" + within +
                    ", and goes on with it; --timeout SECONDS waits longer, --timeout 0 until it "
                    "is done"};
}

bool Client::read_line(std::string& line) {
  std::array<char, 65536> buffer{};
  auto end = pending_.find('\n');
  while (end == std::string::npos) {
    const int got = socket_.receiveBytes(buffer.data(), static_cast<int>(buffer.size()));
    if (got <= 0) return false;
    const auto before = pending_.size();
    pending_.append(buffer.data(), static_cast<std::size_t>(got));
    end = pending_.find('\n', before);
  }
  line = pending_.substr(0, end + 1);
  pending_.erase(0, end + 1);
  return true;
}

void Client::wait_for_exit() {
  if (process_ >= 0) {
    pollfd waiting{.fd = process_, .events = POLLIN, .revents = 0};
    while (::poll(&waiting, 1, -1) < 0 && errno == EINTR) {
    }
    return;
  }
  // The process is not ours to see (another pid namespace): the end of the connection has to do.
  try {
    socket_.setReceiveTimeout(Poco::Timespan(0));
    std::string rest;
    while (read_line(rest)) rest.clear();
  } catch (const Poco::Exception&) {
    // Cut: gone as well.
  }
}

}  // namespace xmppctl
