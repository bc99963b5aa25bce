// The program itself: exit codes and one-line errors; whole runs against the relay
// (tests/bench/relay).
#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <thread>

#include "xmpp/net/socket.h"

namespace xmppbench {
namespace {

struct Ran {
  int code = -1;
  std::string output;  // both channels
};

// `limit`: a command of the shell before it.
Ran run(const std::string& arguments, const std::string& limit = {}) {
  const std::string command =
      limit + std::string(XMPPBENCH_PROGRAM) + " 2>&1 </dev/null " + arguments;
  Ran ran;
  FILE* pipe = ::popen(command.c_str(), "r");
  if (pipe == nullptr) return ran;
  char buffer[4096];
  while (const std::size_t size = std::fread(buffer, 1, sizeof buffer, pipe)) {
    ran.output.append(buffer, size);
  }
  const int status = ::pclose(pipe);
  ran.code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return ran;
}

TEST(CommandLine, HelpAndVersionAreNoErrors) {
  EXPECT_EQ(run("--help").code, 0);
  EXPECT_EQ(run("chat --help").code, 0);
  EXPECT_EQ(run("--version").code, 0);
}

TEST(CommandLine, UsageErrorsEndWithTwo) {
  for (const char* arguments :
       {"", "dance", "chat --no-such-option", "chat --users", "chat --users many",
        "chat --target 127.0.0.1:1 --domain localhost --users 2", "login --target 127.0.0.1:1"}) {
    const Ran ran = run(arguments);
    EXPECT_EQ(ran.code, 2) << arguments << "\n" << ran.output;
  }
}

// The sanitizers need more address space than that.
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
TEST(CommandLine, WithoutMemoryItEndsWithOneLine) {
  const Ran ran =
      run("chat --target 127.0.0.1:1 --domain localhost --users 1000000 --password p --tls none",
          "ulimit -v 80000; ");
  EXPECT_EQ(ran.code, 1) << ran.output;
  EXPECT_EQ(ran.output.find("xmppbench: cannot go on: "), 0U) << ran.output;
}
#endif

TEST(CommandLine, HelpThatNobodyGetsIsAFailure) {
  EXPECT_EQ(run("--help >/dev/full").code, 1);
  EXPECT_EQ(run("--version >/dev/full").code, 1);
}

TEST(CommandLine, AnUnreachableTargetIsOneClearLine) {
  std::string address;
  {
    // A port that was free a moment ago.
    const auto listener = xmpp::net::Listener::listen("127.0.0.1:0");
    ASSERT_TRUE(listener);
    address = listener->local_address();
  }
  const Ran ran = run("chat --target " + address +
                      " --domain localhost --users 20 --password p --tls none --duration 1");
  EXPECT_EQ(ran.code, 1) << ran.output;
  EXPECT_NE(ran.output.find("is the server running there? check --target"), std::string::npos)
      << ran.output;
  EXPECT_EQ(std::count(ran.output.begin(), ran.output.end(), '\n'), 1) << ran.output;
}

// A server that ends the stream when somebody wants to register.
void refuse_registration(int listener) {
  const int fd = ::accept(listener, nullptr, nullptr);
  std::string input;
  const auto read_until = [&](const char* wanted) {
    char buffer[4096];
    while (input.find(wanted) == std::string::npos) {
      const ssize_t got = ::read(fd, buffer, sizeof buffer);
      if (got <= 0) return;
      input.append(buffer, static_cast<std::size_t>(got));
    }
  };
  const auto answer = [fd](std::string_view text) {
    return ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  };
  read_until("version=");
  EXPECT_TRUE(
      answer("<?xml version='1.0'?><stream:stream from='localhost' id='1' version='1.0' "
             "xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>"
             "<stream:features><mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>"
             "<mechanism>PLAIN</mechanism></mechanisms></stream:features>"));
  read_until("jabber:iq:register");
  EXPECT_TRUE(
      answer("<stream:error><policy-violation xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>"
             "<text xmlns='urn:ietf:params:xml:ns:xmpp-streams'>too many strangers</text>"
             "</stream:error></stream:stream>"));
  ::close(fd);
}

TEST(CommandLine, TellsWhyTheServerEndedARegistration) {
  const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  ASSERT_EQ(::bind(listener, reinterpret_cast<const sockaddr*>(&address), size), 0);
  ASSERT_EQ(::listen(listener, 1), 0);
  ASSERT_EQ(::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size), 0);
  std::thread server(refuse_registration, listener);
  const Ran ran = run("login --target 127.0.0.1:" + std::to_string(ntohs(address.sin_port)) +
                      " --domain localhost --users 1 --password p --tls none --register");
  server.join();
  ::close(listener);
  EXPECT_EQ(ran.code, 1) << ran.output;
  EXPECT_NE(ran.output.find("too many strangers"), std::string::npos) << ran.output;
}

// The relay takes any login by PLAIN without TLS and forwards messages.
class AgainstTheRelay : public testing::Test {
 protected:
  void SetUp() override { start(nullptr); }
  // `how`: the relay's second argument.
  void start(const char* how) {
    int pipe[2];
    ASSERT_EQ(::pipe2(pipe, O_CLOEXEC), 0);
    pid_ = ::fork();
    ASSERT_GE(pid_, 0);
    if (pid_ == 0) {
      ::dup2(pipe[1], STDOUT_FILENO);
      ::execl(RELAY_PROGRAM, "relay", "0", how, nullptr);
      ::_exit(127);
    }
    ::close(pipe[1]);
    std::string line;
    char byte = 0;
    while (::read(pipe[0], &byte, 1) == 1 && byte != '\n') line.push_back(byte);
    ::close(pipe[0]);
    const std::size_t at = line.find("c2s=");
    ASSERT_NE(at, std::string::npos) << line;
    target_ = " --target " + line.substr(at + 4) +
              " --domain localhost --users 4 --password p --tls none --sasl plain --quiet ";
  }
  void TearDown() override {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  [[nodiscard]] Ran chat(const std::string& more) const {
    return run("chat" + target_ + "--duration 200ms --warmup 50ms " + more);
  }

  pid_t pid_ = -1;
  std::string target_;
};

TEST_F(AgainstTheRelay, OpenLoopKeepsItsRateAndLosesNothing) {
  const Ran ran = chat("--rate 500 --json - --reactors 2 --threshold 'lost=0,errors=0,sent=100'");
  EXPECT_EQ(ran.code, 0) << ran.output;
  EXPECT_NE(ran.output.find("\"received\": 100"), std::string::npos) << ran.output;
}

TEST_F(AgainstTheRelay, ClosedLoopLosesNothing) {
  const Ran ran = chat("--window 3 --threshold 'lost=0,errors=0,duplicated=0,reordered=0,sent>0'");
  EXPECT_EQ(ran.code, 0) << ran.output;
}

TEST_F(AgainstTheRelay, CountsWhatComesOnceMoreWhenAllHasCome) {
  TearDown();
  start("repeat");
  const Ran ran = chat("--rate 500 --threshold 'sent=100,lost=0,duplicated>=100,errors=0'");
  EXPECT_EQ(ran.code, 0) << ran.output;
}

TEST_F(AgainstTheRelay, AMissedThresholdEndsWithNinetyNine) {
  const Ran ran = chat("--rate 500 --threshold 'p50>10s'");
  EXPECT_EQ(ran.code, 99) << ran.output;
  EXPECT_NE(ran.output.find("MISSED"), std::string::npos) << ran.output;
}

TEST_F(AgainstTheRelay, LoginOnceAndAgainAndAgain) {
  const Ran once = run("login" + target_ + "--threshold 'logins=4,login_failed=0'");
  EXPECT_EQ(once.code, 0) << once.output;
  const Ran again = run("login" + target_ + "--duration 200ms --threshold 'logins>4,errors=0'");
  EXPECT_EQ(again.code, 0) << again.output;
}

TEST_F(AgainstTheRelay, IdleHolds) {
  const Ran ran = run("idle" + target_ + "--duration 100ms --server-pid " + std::to_string(pid_) +
                      " --threshold 'logins=4,errors=0,server_kb_per_session>-1000'");
  EXPECT_EQ(ran.code, 0) << ran.output;
}

TEST_F(AgainstTheRelay, AReportThatCannotBeWrittenIsAnError) {
  EXPECT_EQ(run("login" + target_ + "--json /dev/full").code, 1);
  const Ran full = run("login" + target_ + "--json - >/dev/full");
  EXPECT_EQ(full.code, 1);
  EXPECT_NE(full.output.find("cannot write to standard output"), std::string::npos) << full.output;
}

// Not after the run, whose result would be lost.
TEST_F(AgainstTheRelay, AFileThatCannotBeWrittenKeepsTheRunFromBeginning) {
  const Ran ran = run("chat" + target_ + "--duration 1000 --json /nonexistent/x.json");
  EXPECT_EQ(ran.code, 1);
  EXPECT_EQ(ran.output,
            "xmppbench: --json /nonexistent/x.json: cannot be written: No such file or "
            "directory\n");
}

TEST_F(AgainstTheRelay, ARunThatFailsLeavesTheReportBeforeIt) {
  const std::string file = testing::TempDir() + "xmppbench-" + std::to_string(::getpid()) + ".old";
  const std::string elsewhere =
      "login --target 127.0.0.1:1 --domain localhost --users 4 --password p --tls none --json " +
      file;
  EXPECT_EQ(run(elsewhere).code, 1);
  EXPECT_FALSE(std::filesystem::exists(file));
  EXPECT_EQ(run("login" + target_ + "--json " + file).code, 0);
  const auto size = std::filesystem::file_size(file);
  EXPECT_GT(size, 0U);
  EXPECT_EQ(run(elsewhere).code, 1);
  EXPECT_EQ(std::filesystem::file_size(file), size);
  std::filesystem::remove(file);
}

TEST_F(AgainstTheRelay, InterruptedRunsStillReport) {
  const std::string file = testing::TempDir() + "xmppbench-" + std::to_string(::getpid()) + ".json";
  // Interrupted after the logins and the first messages; a run cut short before would report fewer.
  const std::string command = std::string("timeout --preserve-status --signal=INT 1.5 ") +
                              XMPPBENCH_PROGRAM + " chat" + target_ +
                              "--duration 60 --warmup 0 --rate 500 --json " + file;
  const int status = std::system(command.c_str());
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  std::ifstream in(file);
  const std::string json{std::istreambuf_iterator<char>(in), {}};
  EXPECT_NE(json.find("\"interrupted\": true"), std::string::npos) << json;
  EXPECT_NE(json.find("\"lost\": 0"), std::string::npos) << json;
  std::filesystem::remove(file);
}

}  // namespace
}  // namespace xmppbench
