#include "terminal.h"

#include <signal.h>
#include <termios.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <iostream>

namespace xmppctl {
namespace {

// Of the one question that is being asked; handlers of signals read them.
termios terminal_before{};
termios terminal_silent{};
const std::string* prompt_shown = nullptr;

// What is typed ahead stays for the next question: passwords are pasted, both lines at once.
void set_terminal(const termios& mode) {
  ::tcsetattr(STDIN_FILENO, TCSADRAIN, &mode);  // async-signal-safe, as all in the handlers
}

extern "C" void restore_and_exit(int number) {
  // Half a password is nothing for the shell.
  ::tcsetattr(STDIN_FILENO, TCSAFLUSH, &terminal_before);
  ::_exit(128 + number);
}

// Ctrl-Z: the shell gets the terminal as it was, and the question goes on without an echo.
extern "C" void restore_and_stop(int number) {
  const int error = errno;
  set_terminal(terminal_before);
  struct sigaction ours {};
  struct sigaction usual {};
  usual.sa_handler = SIG_DFL;
  ::sigaction(number, &usual, &ours);
  sigset_t it;
  sigset_t blocked;
  ::sigemptyset(&it);
  ::sigaddset(&it, number);
  ::raise(number);
  ::sigprocmask(SIG_UNBLOCK, &it, &blocked);  // here it stops, and goes on
  ::sigprocmask(SIG_SETMASK, &blocked, nullptr);
  ::sigaction(number, &ours, nullptr);
  set_terminal(terminal_silent);
  if (::write(STDERR_FILENO, prompt_shown->data(), prompt_shown->size()) < 0) {
    // Then nobody sees the question, but it can be answered.
  }
  errno = error;
}

struct Handler {
  int number;
  void (*call)(int);
};
constexpr Handler kHandlers[] = {{SIGINT, &restore_and_exit},
                                 {SIGTERM, &restore_and_exit},
                                 {SIGHUP, &restore_and_exit},
                                 {SIGQUIT, &restore_and_exit},
                                 {SIGTSTP, &restore_and_stop}};

// The terminal without its echo; put back at the end, also by an interrupt, and while stopped.
class SilentTerminal {
 public:
  explicit SilentTerminal(const std::string& prompt) {
    prompt_shown = &prompt;
    ::tcgetattr(STDIN_FILENO, &terminal_before);
    terminal_silent = terminal_before;
    terminal_silent.c_lflag &= ~static_cast<tcflag_t>(ECHO);
    for (std::size_t i = 0; i < before_.size(); ++i) {
      struct sigaction action {};
      action.sa_handler = kHandlers[i].call;
      action.sa_flags = SA_RESTART;
      ::sigaction(kHandlers[i].number, nullptr, &before_[i]);
      // Who was started to ignore it goes on doing so.
      if (before_[i].sa_handler != SIG_IGN) ::sigaction(kHandlers[i].number, &action, nullptr);
    }
    set_terminal(terminal_silent);
  }
  ~SilentTerminal() {
    set_terminal(terminal_before);
    for (std::size_t i = 0; i < before_.size(); ++i) {
      ::sigaction(kHandlers[i].number, &before_[i], nullptr);
    }
  }
  SilentTerminal(const SilentTerminal&) = delete;
  SilentTerminal& operator=(const SilentTerminal&) = delete;

 private:
  std::array<struct sigaction, std::size(kHandlers)> before_;
};

}  // namespace

std::optional<std::string> ask_secret(const std::string& prompt) {
  if (::isatty(STDIN_FILENO) == 0) return std::nullopt;
  std::string line;
  bool is_read = false;
  {
    const SilentTerminal silent(prompt);
    std::cerr << prompt << std::flush;
    is_read = static_cast<bool>(std::getline(std::cin, line));
  }
  std::cerr << '\n';
  if (!is_read) return std::nullopt;
  return line;
}

}  // namespace xmppctl
