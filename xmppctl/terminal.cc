#include "terminal.h"

#include <signal.h>
#include <termios.h>
#include <unistd.h>

#include <iostream>

namespace xmppctl {
namespace {

termios terminal_before{};

extern "C" void restore_and_exit(int number) {
  ::tcsetattr(STDIN_FILENO, TCSAFLUSH, &terminal_before);  // async-signal-safe
  ::_exit(128 + number);
}

// The terminal without its echo; put back at the end, also by an interrupt.
class SilentTerminal {
 public:
  SilentTerminal() {
    ::tcgetattr(STDIN_FILENO, &terminal_before);
    for (int number : kFatal) ::signal(number, &restore_and_exit);
    termios silent = terminal_before;
    silent.c_lflag &= ~static_cast<tcflag_t>(ECHO);
    ::tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent);
  }
  ~SilentTerminal() {
    ::tcsetattr(STDIN_FILENO, TCSAFLUSH, &terminal_before);
    for (int number : kFatal) ::signal(number, SIG_DFL);
  }
  SilentTerminal(const SilentTerminal&) = delete;
  SilentTerminal& operator=(const SilentTerminal&) = delete;

 private:
  static constexpr int kFatal[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
};

}  // namespace

std::optional<std::string> ask_secret(const std::string& prompt) {
  if (::isatty(STDIN_FILENO) == 0) return std::nullopt;
  std::cerr << prompt << std::flush;
  std::string line;
  bool is_read = false;
  {
    const SilentTerminal silent;
    is_read = static_cast<bool>(std::getline(std::cin, line));
  }
  std::cerr << '\n';
  if (!is_read) return std::nullopt;
  return line;
}

}  // namespace xmppctl
