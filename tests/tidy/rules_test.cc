// Every rule can fail: small bad texts that it must refuse, and good ones beside them that it must
// not.
#include "tidy/rules.h"

#include <gtest/gtest.h>

#include <functional>
#include <ostream>
#include <string>
#include <vector>

namespace tidy {
namespace {

struct Snippet {
  const char* path;
  std::string text;
  std::size_t line;  // of the violation; 0: there is none
};
std::ostream& operator<<(std::ostream& out, const Snippet& snippet) {
  return out << snippet.path << ": " << snippet.text.substr(0, 200);
}

void expect_table(const std::function<Violations(const SourceText&)>& check,
                  const std::vector<Snippet>& table) {
  for (const Snippet& row : table) {
    SCOPED_TRACE(testing::PrintToString(row));
    const bool cpp = is_cpp(row.path);
    const Violations found =
        check(cpp ? make_source(row.path, row.text) : make_plain(row.path, row.text));
    if (row.line == 0) {
      for (const Violation& violation : found) ADD_FAILURE() << to_string(violation);
      continue;
    }
    if (found.empty()) {
      ADD_FAILURE() << "nothing was found";
      continue;
    }
    EXPECT_EQ(found.front().line, row.line) << to_string(found.front());
    EXPECT_FALSE(found.front().rule.empty());
    EXPECT_FALSE(found.front().advice.empty());
  }
}

std::string repeat(const std::string& text, int times) {
  std::string all;
  for (int i = 0; i < times; ++i) all += text;
  return all;
}

TEST(SourceText, SplitsCodeAndComments) {
  const SourceText source = make_source("a.cc",
                                        "int a = 1'000;  // one 'and\n"
                                        "auto b = \"// no\\\" comment\"; /* two\n"
                                        "lines */ char c = '\"';\n"
                                        "auto d = R\"x(raw \" )\" // )x\"; int e;\n");
  ASSERT_EQ(source.code.size(), source.text.size());
  ASSERT_EQ(source.comments.size(), source.text.size());
  const auto code = split_lines(source.code);
  EXPECT_EQ(trimmed(code[0]), "int a = 1'000;");
  EXPECT_EQ(code[1].find("comment"), std::string::npos);
  EXPECT_EQ(trimmed(code[2]), "char c = ' ';");
  EXPECT_TRUE(trimmed(code[3]).ends_with("int e;"));
  EXPECT_EQ(code[3].find("raw"), std::string::npos);
  const auto comments = split_lines(source.comments);
  EXPECT_EQ(trimmed(comments[0]), "// one 'and");
  EXPECT_EQ(trimmed(comments[1]), "/* two");
  EXPECT_EQ(trimmed(comments[3]), "");
}

TEST(Rules, Message) {
  EXPECT_EQ(to_string({"a/b.cc", 7, "rule", "do this"}), "a/b.cc:7: rule: do this");
}

TEST(Rules, LibraryIncludes) {
  expect_table(check_includes,
               {
                   {"libxmpp/src/core/jid.cc", "#include \"xmpp/xml/atoms.h\"\n", 0},
                   {"libxmpp/src/core/jid.cc", "#include \"core/ascii.h\"\n", 0},
                   {"libxmpp/include/xmpp/xml/atoms.h", "#include \"xmpp/core/namespaces.h\"\n", 0},
                   {"libxmpp/src/xml/atoms.cc", "#include \"xmpp/core/namespaces.h\"\n", 1},
                   {"libxmpp/src/core/jid.cc", "\n#include \"xmpp/stream/stream.h\"\n", 2},
                   {"libxmpp/src/core/jid.cc", "// #include \"xmpp/stream/stream.h\"\n", 0},
                   {"libxmpp/include/xmpp/base/bytes.h", "#include \"xmpp/xml/atoms.h\"\n", 1},
                   {"libxmpp/include/xmpp/core/jid.h", "#include \"core/ascii.h\"\n", 1},
                   {"libxmpp/include/xmpp/sasl/scram.h", "#include \"xmpp/xep/ping.h\"\n", 1},
                   {"libxmpp/include/xmpp/xep/mam.h", "#include \"xmpp/xep/rsm.h\"\n", 0},
                   {"libxmpp/include/xmpp/xep/mam.h", "#include \"xmpp/sasl/scram.h\"\n", 1},
                   {"libxmpp/src/net/reactor.cc", "#include \"xmppd/module.h\"\n", 1},
                   {"libxmpp/src/net/socket.cc", "#include <Poco/Net/SocketAddress.h>\n", 0},
                   {"libxmpp/src/stream/stream.cc", "#include <Poco/Net/SocketAddress.h>\n", 1},
                   {"libxmpp/src/stream/stream.cc", "#include <openssl/ssl.h>\n", 1},
                   {"libxmpp/src/sasl/digest.cc", "#include <openssl/evp.h>\n", 0},
                   {"libxmpp/src/xml/writer.cc", "#include <Poco/XML/XMLWriter.h>\n", 1},
                   {"libxmpp/src/client/client.cc", "#include <sys/socket.h>\n", 1},
                   {"libxmpp/src/xep/time.cc", "#include <unicode/uchar.h>\n", 1},
               });
}

TEST(Rules, ProgramIncludes) {
  expect_table(check_includes,
               {
                   {"xmppd/modules/ping.cc", "#include \"xmppd/module.h\"\n", 0},
                   {"xmppd/modules/ping.cc", "#include \"core/router.h\"\n", 1},
                   {"xmppd/modules/ping.cc", "#include \"storage/session.h\"\n", 1},
                   {"xmppd/modules/ping.cc", "#include \"disco.h\"\n", 1},
                   {"xmppd/modules/ping.cc", "#include <Poco/JSON/Parser.h>\n", 1},
                   {"xmppd/modules/muc/room.cc", "#include \"muc/room.h\"\n", 0},
                   {"xmppd/modules/muc/room.cc", "#include \"mam/archive.h\"\n", 1},
                   {"xmppd/include/xmppd/module.h", "#include \"core/worker.h\"\n", 1},
                   {"xmppd/core/router.cc", "#include \"modules/muc/room.h\"\n", 1},
                   {"xmppd/core/router.cc", "#include \"storage/session.h\"\n", 1},
                   {"xmppd/core/server.h", "#include \"storage/storage.h\"\n", 0},
                   {"xmppd/core/server.cc", "#include <SQLiteCpp/Database.h>\n", 1},
                   {"xmppd/core/server.cc", "#include <Poco/JSON/Object.h>\n", 1},
                   {"xmppd/core/server.cc", "#include <CLI/CLI.hpp>\n", 1},
                   {"xmppd/core/router.cc", "#include <toml++/toml.h>\n", 1},
                   {"xmppd/storage/storage.cc", "#include \"core/worker.h\"\n", 1},
                   {"xmppd/storage/storage.cc", "#include \"xmppd/session.h\"\n", 1},
                   {"xmppctl/client.cc", "#include \"xmpp/core/jid.h\"\n", 1},
                   {"xmppctl/client.cc", "#include \"xmpp/base/result.h\"\n", 0},
                   {"xmppctl/render.cc", "#include <CLI/CLI.hpp>\n", 1},
                   {"xmppbench/swarm.cc", "#include \"core/config.h\"\n", 1},
                   {"xmppbench/swarm.cc", "#include <Poco/JSON/Object.h>\n", 1},
                   {"xmppbench/main.cc", "#include <CLI/CLI.hpp>\n", 0},
                   {"tests/unit/x_test.cc", "#include \"core/config.h\"\n", 0},
               });
}

TEST(Rules, LineLength) {
  expect_table(check_line_length, {
                                      {"a.cc", std::string(100, 'a') + "\n", 0},
                                      {"a.cc", "\n" + std::string(101, 'a') + "\n", 2},
                                      {"a.cc", repeat("ü", 100), 0},
                                  });
}

TEST(Rules, FileSize) {
  expect_table(check_file_size,
               {
                   {"a.cc", repeat("int a;\n", 600), 0},
                   {"a.cc", repeat("int a;\n", 601), 601},
                   {"a.cc", "// Length: one table.\n" + repeat("int a;\n", 700), 0},
                   {"a.cc", "int b;\n// Length: one table.\n" + repeat("int a;\n", 700), 702},
                   {"a.cc", "// Length: one table.\n" + repeat("int a;\n", 900), 901},
               });
}

TEST(Rules, Tags) {
  expect_table(check_tags, {
                               {"a.cc", "// FIXME later\n", 1},
                               {"a.cc", "int a;  /* XXX */\n", 1},
                               {"a.cc", "\n// HACK\n", 2},
                               {"a.cc", "auto a = \"FIXME\";\n", 0},
                               {"a.cc", "// TODO: more\n", 1},
                               {"a.cc", "// TODO(somebody): more\n", 1},
                               {"a.cc", "// TODO(#12): more\n", 0},
                               {"a.cc", "// COMPAT: old clients\n", 1},
                               {"a.cc", "// COMPAT(libstrophe): asks for it\n", 0},
                           });
}

TEST(Rules, MachineNames) {
  expect_table(check_machine_names, {
                                        {"a.md",
                                         "see /ho"
                                         "me/alice/x\n",
                                         1},
                                        {"a.sh",
                                         "cd /ro"
                                         "ot/x\n",
                                         1},
                                        {"a.sh",
                                         "cd /wo"
                                         "rk/x\n",
                                         1},
                                        {"a.md", "libxmpp/work/x and https://x.org/home/y\n", 0},
                                        {"a.json",
                                         "\"https://regi"
                                         "stry.npmjs.org/x\"\n",
                                         1},
                                        {"a.md", "https://xmpp.org/registrar\n", 0},
                                    });
}

TEST(Rules, Headers) {
  expect_table(check_header_form, {
                                      {"a.h", "// What it is for.\n#pragma once\n", 0},
                                      {"a.h", "#pragma once\nint a;\n", 1},
                                      {"a.h", "// What it is for.\nint a;\n", 1},
                                      {"a.h", "// What for: #pragma once\nint a;\n", 1},
                                      {"a.cc", "int a;\n", 0},
                                  });
  expect_table(check_using_namespace,
               {
                   {"a.h", "\nusing namespace std;\n", 2},
                   {"a.cc", "using namespace std;\n", 0},
                   {"a.h", "inline void f() {\n  using namespace std::string_literals;\n}\n", 0},
                   {"a.h", "// using namespace std\nusing std::a;\n", 0},
               });
  const std::vector<SourceText> dead = {
      make_source("a/b.h", "int a;\n"), make_source("a/c.h", "int a;\n"),
      make_source("a/include/d.h", "int a;\n"), make_source("a/c.cc", "#include \"c.h\"\n")};
  const Violations found = check_dead_headers(dead);
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found.front().path, "a/b.h");
}

TEST(Rules, KeyedHash) {
  expect_table(check_keyed_hash,
               {
                   {"xmppd/a.h", "std::unordered_map<std::string, int> a_;\n", 1},
                   {"libxmpp/a.h", "\nstd::unordered_set<std::string> a_;\n", 2},
                   {"xmppd/a.h",
                    "std::unordered_map<std::string, int, KeyedHash, std::equal_to<>> a_;\n", 0},
                   {"xmppd/a.h", "std::unordered_map<int, std::string> a_;\n", 0},
                   {"xmppbench/a.h", "std::unordered_map<std::string, int> a_;\n", 0},
               });
}

TEST(Rules, Sleep) {
  expect_table(check_sleep, {
                                {"tests/unit/a.cc", "\nstd::this_thread::sleep_for(1s);\n", 2},
                                {"tests/unit/a.cc", "usleep(1);\n", 1},
                                {"tests/unit/a.cc", "prepare_sleep();  // then sleep\n", 0},
                                {"tests/sim/a.cc", "usleep(1);\n", 0},
                            });
}

TEST(Rules, HotPath) {
  expect_table(check_hot_path,
               {
                   {"libxmpp/src/xml/writer.cc", "std::function<void()> f;\n", 1},
                   {"xmppd/core/hook_table.h", "\nstd::shared_ptr<int> f;\n", 2},
                   {"xmppd/core/session.cc", "auto f = std::make_shared<int>();\n", 1},
                   {"xmppd/core/session.cc", "// std::function would allocate\n", 0},
                   {"xmppd/core/server.cc", "std::function<void()> f;\n", 0},
               });
}

TEST(Rules, CoreKnowsNoXep) {
  expect_table(check_core_knows_no_xep,
               {
                   {"xmppd/core/a.cc", "\n// XEP-0280 says\n", 2},
                   {"xmppd/core/a.cc", "#include \"xmpp/xep/ping.h\"\n", 1},
                   {"xmppd/core/a.cc", "info.xep = \"\";\n", 0},
                   {"xmppd/modules/a.cc", "// XEP-0280 says\n", 0},
               });
}

TEST(Rules, Links) {
  const std::vector<std::string> files = {"docs/style.md", "docs/decisions/0001-a.md", "README.md"};
  expect_table([&](const SourceText& source) { return check_links(source, files); },
               {
                   {"docs/a.md", "[x](style.md) [y](decisions/) [z](../README.md#run)\n", 0},
                   {"docs/a.md", "[x](https://xmpp.org) [y](#here)\n", 0},
                   {"docs/a.md", "\n[x](missing.md)\n", 2},
                   {"README.md", "[x](style.md)\n", 1},
                   {"a/b.h", "// See docs/style.md.\n", 0},
                   {"a/b.h", "// See docs/gone.md.\n", 1},
               });
}

TEST(Rules, Executable) {
  EXPECT_TRUE(check_executable("scripts/a", "#!/bin/sh\n", true).empty());
  EXPECT_FALSE(check_executable("scripts/a", "#!/bin/sh\n", false).empty());
  EXPECT_FALSE(check_executable("scripts/a", "echo\n", true).empty());
  EXPECT_TRUE(check_executable("scripts/a.cmake", "set()\n", false).empty());
}

TEST(Rules, FunctionLength) {
  const std::string body = repeat("  a();\n", 69);
  const std::vector<LongFunction> allowed = {{"allowed.cc", "X::f", "one table"}};
  expect_table(
      [&](const SourceText& source) { return check_function_length(source, allowed); },
      {
          {"a.cc", "void f() {\n" + repeat("  a();\n", 68) + "}\n", 0},
          {"a.cc", "void f() {\n" + body + "}\n", 1},
          {"a.cc", "\ntemplate <class T>\nvoid f(T t) noexcept {\n" + body + "}\n", 3},
          {"a.cc", "namespace a {\nclass X {\n  void f() {\n" + body + "  }\n};\n}\n", 3},
          {"a.cc", "X::X() : a_{1}, b_(2) {\n" + body + "}\n", 1},
          {"a.cc", "TEST(A, B) {\n" + body + "}\n", 1},
          {"a.cc", "class X {\n" + repeat("  void f() {}\n", 80) + "};\n", 0},
          {"a.cc", "const int a[] = {\n" + repeat("  f(1),\n", 80) + "};\n", 0},
          {"a.cc", "#define M(x) \\\n" + repeat("  f(x) { \\\n", 80) + "\nvoid f() {}\n", 0},
          {"allowed.cc", "void X::f() {\n" + body + "}\n", 0},
          {"allowed.cc", "void X::g() {\n" + body + "}\n", 1},
      });
}

TEST(Rules, GoodCoroutines) {
  expect_table(
      check_coroutines,
      {
          {"a.cc", "Task<int> f(int a) {\n  const int b = co_await g(a);\n  co_return b;\n}\n", 0},
          {"a.cc", "Task<void> f() {\n  co_await g();\n  (void)co_await g();\n}\n", 0},
          {"a.cc", "Task<void> f(Link& link) {\n  std::unique_ptr<A> b = co_await link.x();\n}\n",
           0},
          {"a.cc", "auto f = [](int a) -> Task<int> { co_return a; };\n", 0},
          {"a.cc", "auto f = [&] { return a[0](b); };\nTask<int> g() { co_return 1; }\n", 0},
          {"a.cc", "try {\n  co_await f();\n} catch (...) {\n}\n", 0},
          {"a.h", "auto operator co_await() && noexcept { return x; }\n", 0},
          {"a.cc", "// if (co_await f()) is wrong\n", 0},
      });
}

TEST(Rules, BadCoroutines) {
  expect_table(
      check_coroutines,
      {
          {"a.cc", "auto f = [a]() -> Task<int> { co_return a; };\n", 1},
          {"a.cc", "spawn([&, b](int c) mutable {\n  co_await b;\n});\n", 2},
          {"a.cc", "Task<int> f(std::string_view a) {\n  co_return 1;\n}\n", 1},
          {"a.cc", "Task<int> f(const Jid& a);\n", 1},
          {"a.cc", "Task<int> X::f(Jid&& a) {\n  co_return 1;\n}\n", 1},
          {"a.cc", "void f() {\n  if (co_await g()) return;\n}\n", 2},
          {"a.cc", "void f() {\n  use(co_await g());\n}\n", 2},
          {"a.cc", "void f() {\n  co_return co_await g();\n}\n", 2},
          {"a.cc", "void f() {\n  auto a = 1 + co_await g();\n}\n", 2},
          {"a.cc", "void f() {\n  auto a = b ? co_await g() : 0;\n}\n", 2},
          {"a.cc", "void f() {\n  auto a = co_await g() && b;\n}\n", 2},
          {"a.cc", "void f() {\n  for (auto a : co_await g()) use(a);\n}\n", 2},
          {"a.cc", "void f() {\n  auto a = co_await g([b] { return b; });\n}\n", 2},
          {"a.cc", "void f() {\n  auto a = co_await g(Agg{1, 2});\n}\n", 2},
          {"a.cc", "void f() {\n  int a[] = {co_await g()};\n}\n", 2},
          {"a.cc", "void f() {\n  const auto& [a, b] = co_await g();\n}\n", 2},
          {"a.cc", "void f() {\n  try {\n  } catch (const E&) {\n    co_await g();\n  }\n}\n", 4},
      });
}

TEST(Rules, Hooks) {
  const std::string name = "  static constexpr std::string_view kName = \"A\";\n};\n";
  expect_table(
      check_hooks_documented,
      {
          {"hooks.h", "// It happened. Verdicts mean nothing.\nstruct A {\n" + name + "X(A)\n", 0},
          {"hooks.h",
           "// It is sent. Nobody stops it: dropped.\nstruct A : StanzaHook {\n" + name + "X(A)\n",
           0},
          {"hooks.h", "struct A {\n" + name + "X(A)\n", 1},
          {"hooks.h", "// It happened.\nstruct A {\n" + name + "X(A)\n", 2},
          {"hooks.h", "// Verdicts mean nothing.\nstruct A {\n" + name, 1},
          {"hooks.h", "// Verdicts mean nothing.\nstruct A {\n" + name + "X(A) X(B)\n", 1},
      });
}

TEST(Rules, SpecificationMarker) {
  const std::string module = "XMPPD_MODULE(A, {.name = \"a\", .xep = \"0199\"});\n";
  expect_table(check_specification_marker,
               {
                   {"libxmpp/include/xmpp/xep/a.h", "// XEP-0199 2.0.1 complete\n", 0},
                   {"libxmpp/include/xmpp/xep/a.h", "// RFC 6120 7 complete\n", 0},
                   {"libxmpp/include/xmpp/xep/a.h", "// Ping.\n", 1},
                   {"libxmpp/include/xmpp/xep/a.h", "// XEP-0199 complete\n", 1},
                   {"libxmpp/include/xmpp/xep/a.h", "// XEP-0199 2.0.1 partial\n", 1},
                   {"libxmpp/include/xmpp/xep/a.h", "// XEP-0199 2.0.1 partial: no timeout\n", 0},
                   {"xmppd/modules/a.cc", "// XEP-0199 2.0.1 complete\n" + module, 0},
                   {"xmppd/modules/a.cc", "// XEP-0198 1.6 complete\n" + module, 2},
                   {"xmppd/modules/a.cc", "// Answers pings.\n" + module, 1},
                   {"xmppd/modules/muc/room.cc", "// One room.\n", 0},
               });
}

TEST(Rules, LimitsAndOptions) {
  expect_table(check_limits_documented,
               {
                   {"limits.h",
                    "#define XMPPD_LIMITS(C, B, T) \\\n  COUNT(a, 1, 1, 2, \"What it \" "
                    "\\\n \"limits.\")\n",
                    0},
                   {"limits.h", "#define XMPPD_LIMITS(C, B, T) \\\n  COUNT(a, 1, 1, 2, \"\")\n", 2},
                   {"limits.h", "#define XMPPD_LIMITS(C, B, T) \\\n  TIME(a, 1, 1, 2)\n", 2},
                   {"limits.h", "int a;\n", 1},
               });
  expect_table(check_options_documented,
               {
                   {"a.cc", "Option<bool> a_{*this, \"a\", true, \"Says what it does.\"};\n", 0},
                   {"a.cc", "\nOption<bool> a_{*this, \"a\", true, \"\"};\n", 2},
                   {"a.cc", "Option<bool> a_{*this, \"a\", true};\n", 1},
                   {"a.cc", "// Option<bool> a_{*this, \"a\", true};\n", 0},
               });
}

}  // namespace
}  // namespace tidy
