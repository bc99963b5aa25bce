// Client: one connection to the server's control socket, and the catalogue of commands as read from
// it.
//
// The protocol is docs/control.md's: JSON lines, one answer per request, items of lists before it.
//
// Thread-safety: one thread. Blocking.
#pragma once

#include <Poco/Dynamic/Var.h>
#include <Poco/JSON/Object.h>
#include <Poco/Net/StreamSocket.h>

#include <string>
#include <variant>
#include <vector>

#include "xmpp/base/result.h"

namespace xmppctl {

// The server did not answer, or not in the protocol.
struct Unreachable {
  std::string text;  // with what to do
};
// The server answered with an error.
struct Refused {
  std::string code;
  std::string text;
};
// The server lives, and works on the command still.
struct Unfinished {
  std::string text;
};
using Failure = std::variant<Unreachable, Refused, Unfinished>;

inline constexpr int kAnswerSeconds = 60;

struct Argument {
  std::string name;
  std::string type;  // "text", "integer", "boolean", "jid", "bare-jid", "host", "new-password"
  std::string help;
  bool is_required = false;
  bool is_option = false;
};
struct Command {
  std::string full_name;  // "user.add"
  std::string group;      // empty: a command of its own, like `status`
  std::string name;
  std::string help;
  bool ends_server = false;
  std::vector<Argument> arguments;
};
using Catalogue = std::vector<Command>;

// An error if the answer is none of this protocol.
[[nodiscard]] xmpp::Result<Catalogue, Unreachable> parse_catalogue(const Poco::Dynamic::Var& from);

class Client {
 public:
  [[nodiscard]] static xmpp::Result<Client, Unreachable> connect(const std::string& path);
  Client(Client&& other) noexcept;
  Client& operator=(Client&&) = delete;
  ~Client();

  // `wait_s`: for the answer, or the next item of a list; 0: as long as the server lives.
  [[nodiscard]] xmpp::Result<Poco::Dynamic::Var, Failure> request(
      const std::string& command, const Poco::JSON::Object::Ptr& args, int wait_s = kAnswerSeconds);
  // Waits until the server's process has ended.
  void wait_for_exit();

 private:
  Client(const Poco::Net::StreamSocket& socket, std::string path);
  [[nodiscard]] bool read_line(std::string& line);
  [[nodiscard]] Failure no_answer(const std::string& command, int waited_s) const;

  Poco::Net::StreamSocket socket_;
  std::string path_;
  std::string pending_;  // what came behind the last line
  int process_ = -1;     // pidfd of the server; -1 if it could not be had
  int next_id_ = 1;
};

}  // namespace xmppctl
