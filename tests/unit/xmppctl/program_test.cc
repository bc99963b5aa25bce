// The whole program against a server of the test's own on a Unix socket: exit codes, what goes to
// which stream, passwords.
#include "program.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <map>
#include <sstream>
#include <thread>

#include "canned.h"

namespace xmppctl {
namespace {

// Answers one connection: `catalogue` with the canned one, other commands as told.
class FakeServer {
 public:
  explicit FakeServer(const std::string& command = {}, const std::string& answer = {}) {
    answers_[command] = answer;
    char directory[] = "/tmp/xmppctl-test-XXXXXX";
    directory_ = ::mkdtemp(directory);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strcpy(address.sun_path, path().c_str());
    fd_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    EXPECT_EQ(::bind(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    EXPECT_EQ(::listen(fd_, 1), 0);
    thread_ = std::thread([this] { serve(); });
  }
  ~FakeServer() {
    ::shutdown(fd_, SHUT_RDWR);  // ends an accept() that nobody came to
    thread_.join();
    ::close(fd_);
    std::filesystem::remove_all(directory_);
  }
  FakeServer(const FakeServer&) = delete;
  FakeServer& operator=(const FakeServer&) = delete;

  std::string path() const { return directory_ + "/s"; }
  std::string last_request;  // to be read when run() is over

 private:
  void serve() {
    const int peer = ::accept(fd_, nullptr, nullptr);
    if (peer < 0) return;
    std::string input;
    char buffer[4096];
    for (ssize_t got = 0; (got = ::read(peer, buffer, sizeof buffer)) > 0;) {
      input.append(buffer, static_cast<std::size_t>(got));
      if (input.back() != '\n') continue;
      const auto answer = answer_to(std::exchange(input, {}));
      if (answer.empty()) break;
      EXPECT_EQ(::write(peer, answer.data(), answer.size()), static_cast<ssize_t>(answer.size()));
    }
    ::close(peer);
  }
  std::string answer_to(const std::string& line) {
    const auto request = json(line).extract<Poco::JSON::Object::Ptr>();
    const auto command = request->getValue<std::string>("command");
    if (command == "catalogue") {
      std::string catalogue = kCanned;
      std::erase(catalogue, '\n');
      return R"({"id":1,"result":)" + catalogue + "}\n";
    }
    last_request = line;
    return answers_[command];
  }

  std::map<std::string, std::string> answers_;
  std::string directory_;
  int fd_ = -1;
  std::thread thread_;
};

struct Outcome {
  int code;
  std::string out;
  std::string err;
};

Outcome run_with(const FakeServer& server, std::vector<std::string> arguments,
                 const std::string& input = {}, std::vector<std::string> typed = {}) {
  std::istringstream in(input);
  std::ostringstream out;
  std::ostringstream err;
  auto ask = [&typed](const std::string&) -> std::optional<std::string> {
    if (typed.empty()) return std::nullopt;
    auto first = typed.front();
    typed.erase(typed.begin());
    return first;
  };
  const int code = run(
      arguments,
      {.in = in, .out = out, .err = err, .ask_secret = ask, .environment_socket = server.path()});
  return {code, out.str(), err.str()};
}

TEST(Program, PrintsResults) {
  FakeServer server("weather", "{\"id\":2,\"result\":[{\"sky\":\"blue\"}]}\n");
  const auto outcome = run_with(server, {"weather"});
  EXPECT_EQ(outcome.code, kExitOk);
  EXPECT_EQ(outcome.out, "SKY\nblue\n");
  EXPECT_EQ(outcome.err, "");
}

TEST(Program, PassesJsonThrough) {
  FakeServer server("weather", "{\"id\":2,\"result\":[{\"sky\":\"blue\",\"c\":-3}]}\n");
  const auto outcome = run_with(server, {"weather", "--json"});
  EXPECT_EQ(outcome.code, kExitOk);
  EXPECT_EQ(outcome.out, "[{\"sky\":\"blue\",\"c\":-3}]\n");
}

// A buffer that takes nothing, as /dev/full.
struct Full : std::streambuf {};

TEST(Program, WhatCannotBeWrittenIsAFailure) {
  for (const char* argument : {"weather", "--help", "--version", "--json", "completion"}) {
    FakeServer server("weather", "{\"id\":2,\"result\":[{\"sky\":\"blue\"}]}\n");
    std::vector<std::string> arguments = {argument};
    if (arguments[0] == "--json") arguments.emplace_back("weather");
    if (arguments[0] == "completion") arguments.emplace_back("bash");
    std::istringstream in;
    std::ostringstream err;
    Full full;
    std::ostream out(&full);
    const int code = run(
        arguments,
        {.in = in, .out = out, .err = err, .ask_secret = {}, .environment_socket = server.path()});
    EXPECT_EQ(code, kExitRefused) << argument;
    EXPECT_EQ(err.str(), "xmppctl: cannot write to standard output\n") << argument;
  }
}

TEST(Program, RefusedIsOne) {
  const char* error = "{\"id\":2,\"error\":{\"code\":\"not-found\",\"text\":\"no sky\"}}\n";
  {
    FakeServer server("weather", error);
    const auto outcome = run_with(server, {"weather"});
    EXPECT_EQ(outcome.code, kExitRefused);
    EXPECT_EQ(outcome.out, "");
    EXPECT_EQ(outcome.err, "xmppctl: no sky\n");
  }
  FakeServer server("weather", error);
  const auto outcome = run_with(server, {"--json", "weather"});
  EXPECT_EQ(outcome.code, kExitRefused);
  EXPECT_EQ(outcome.out, "{\"error\":{\"code\":\"not-found\",\"text\":\"no sky\"}}\n");
}

TEST(Program, WrongUsageIsTwo) {
  FakeServer server;
  const auto outcome = run_with(server, {"wether", "--json"});
  EXPECT_EQ(outcome.code, kExitUsage);
  EXPECT_EQ(outcome.out,
            "{\"error\":{\"code\":\"usage\",\"text\":\"no command wether; did you mean "
            "weather?\"}}\n");
}

TEST(Program, NoServerIsThree) {
  std::string gone;
  {
    FakeServer server;
    gone = server.path();
  }
  FakeServer unused;
  const auto outcome = run_with(unused, {"--socket", gone, "weather"});
  EXPECT_EQ(outcome.code, kExitUnreachable);
  EXPECT_NE(outcome.err.find("--socket PATH"), std::string::npos);
  const auto help = run_with(unused, {"--socket", gone, "--help"});
  EXPECT_EQ(help.code, kExitOk);
  EXPECT_NE(help.out.find("--socket"), std::string::npos);
}

TEST(Program, APathTooLongForASocketIsThree) {
  FakeServer unused;
  const auto outcome = run_with(unused, {"--socket", "/" + std::string(200, 'a'), "weather"});
  EXPECT_EQ(outcome.code, kExitUnreachable);
  EXPECT_NE(outcome.err.find("File name too long"), std::string::npos) << outcome.err;
}

TEST(Program, BrokenAnswersAreThree) {
  for (const auto* answer : {"", "nonsense\n", "{\"id\":2}\n", "[]\n", "{\"error\":1}\n"}) {
    FakeServer server("weather", answer);
    EXPECT_EQ(run_with(server, {"weather"}).code, kExitUnreachable) << answer;
  }
}

TEST(Program, ReadsPasswords) {
  const char* done = "{\"id\":2,\"result\":{\"text\":\"done\"}}\n";
  {
    FakeServer server("fruit.add", done);
    EXPECT_EQ(run_with(server, {"fruit", "add", "fig", "--secret-stdin"}, "s3\r\nmore\n").code,
              kExitOk);
    EXPECT_NE(server.last_request.find("\"secret\":\"s3\""), std::string::npos);
  }
  {
    FakeServer server("fruit.add", done);
    const auto outcome = run_with(server, {"fruit", "add", "fig"}, {}, {"typed", "typed"});
    EXPECT_EQ(outcome.code, kExitOk);
    EXPECT_EQ(outcome.out + outcome.err, "done\n");
    EXPECT_NE(server.last_request.find("\"secret\":\"typed\""), std::string::npos);
  }
  {
    FakeServer server;
    EXPECT_EQ(run_with(server, {"fruit", "add", "fig"}, {}, {"one", "two"}).code, kExitUsage);
  }
  FakeServer server;
  EXPECT_EQ(run_with(server, {"fruit", "add", "fig"}).code, kExitUsage);
}

}  // namespace
}  // namespace xmppctl
