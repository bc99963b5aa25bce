// The whole of xmppctl as a function, so that tests can run it.
//
// Thread-safety: one thread.
#pragma once

#include <functional>
#include <iosfwd>
#include <optional>
#include <string>
#include <vector>

namespace xmppctl {

inline constexpr int kExitOk = 0;
inline constexpr int kExitRefused = 1;  // refused or failed
inline constexpr int kExitUsage = 2;
inline constexpr int kExitUnreachable = 3;

struct Surroundings {
  std::istream& in;
  std::ostream& out;
  std::ostream& err;
  // Asks on the terminal without an echo; nullopt: there is no terminal, or it ended.
  std::function<std::optional<std::string>(const std::string& prompt)> ask_secret;
  std::string environment_socket;  // $XMPPCTL_SOCKET
};

// `arguments`: without the program's name. Returns the exit code.
[[nodiscard]] int run(const std::vector<std::string>& arguments, const Surroundings& surroundings);

}  // namespace xmppctl
