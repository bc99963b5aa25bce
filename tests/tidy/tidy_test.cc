// The conventions of docs/style.md, applied to every file of the project. A failure prints
// path:line: rule: what to do.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "tidy/rules.h"

namespace tidy {
namespace {

namespace fs = std::filesystem;

// Functions above 70 lines that are better in one piece.
constexpr std::array<LongFunction, 0> kLongFunctions = {};  // path, name, reason

const fs::path& root() {
  static const fs::path path = TIDY_PROJECT;
  return path;
}

// What a command prints; its exit status in `status`.
std::string run(const std::string& command, int& status) {
  std::string output;
  FILE* pipe = popen(("cd '" + root().string() + "' && " + command + " 2>&1").c_str(), "r");
  if (pipe == nullptr) {
    status = -1;
    return output;
  }
  std::array<char, 4096> buffer{};
  std::size_t size = 0;
  while ((size = fread(buffer.data(), 1, buffer.size(), pipe)) > 0)
    output.append(buffer.data(), size);
  status = pclose(pipe);
  return output;
}

std::string read(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

// All files under version control, and new ones that are not ignored; without git (an archive of
// the source) all but build folders.
std::vector<std::string> list_files() {
  std::vector<std::string> files;
  int status = 0;
  std::istringstream listed(run("git ls-files --cached --others --exclude-standard", status));
  for (std::string path; status == 0 && std::getline(listed, path);) {
    if (fs::is_regular_file(root() / path)) files.push_back(path);
  }
  if (status == 0) return files;
  for (fs::recursive_directory_iterator it(root()), end; it != end; ++it) {
    const std::string name = it->path().filename().string();
    if (it->is_directory() && (name == ".git" || name == "build" || name == "node_modules")) {
      it.disable_recursion_pending();
    } else if (it->is_regular_file()) {
      files.push_back(it->path().lexically_relative(root()).generic_string());
    }
  }
  return files;
}

const std::vector<std::string>& project_files() {
  static const std::vector<std::string> files = list_files();
  return files;
}

bool is_text(const std::string& path) {
  return !path.starts_with("tests/fuzz/corpus/") && !path.ends_with(".pem") &&
         !path.ends_with("package-lock.json");
}

// The text files; C++ ones split into code and comments.
const std::vector<SourceText>& sources() {
  static const std::vector<SourceText> all = [] {
    std::vector<SourceText> read_ones;
    for (const std::string& path : project_files()) {
      if (!is_text(path)) continue;
      std::string text = read(root() / path);
      if (text.find('\0') != std::string::npos) continue;
      read_ones.push_back(is_cpp(path) ? make_source(path, std::move(text))
                                       : make_plain(path, std::move(text)));
    }
    return read_ones;
  }();
  return all;
}

template <typename Check>
void expect_none(const Check& check, bool cpp_only = true) {
  ASSERT_GT(sources().size(), 100U) << "the files of the project were not found";
  std::string report;
  for (const SourceText& source : sources()) {
    if (cpp_only && !is_cpp(source.path)) continue;
    for (const Violation& violation : check(source)) report += to_string(violation) + "\n";
  }
  EXPECT_TRUE(report.empty()) << "\n" << report;
}

const SourceText& get_source(const std::string& path) {
  const auto found = std::find_if(sources().begin(), sources().end(),
                                  [&](const SourceText& source) { return source.path == path; });
  if (found == sources().end()) {
    ADD_FAILURE() << path << " is missing";
    static const SourceText none;
    return none;
  }
  return *found;
}

void expect_none_in(const Violations& violations) {
  for (const Violation& violation : violations) ADD_FAILURE() << to_string(violation);
}

void expect_success(const std::string& command) {
  int status = 0;
  const std::string output = run(command, status);
  EXPECT_EQ(status, 0) << command << "\n" << output.substr(0, 8'000);
}

TEST(Tidy, IncludesFollowTheLayers) {
  expect_none(check_includes);
}

TEST(Tidy, LinesHave100Columns) {
  expect_none(
      [](const SourceText& source) {
        const bool is_code = is_cpp(source.path) || source.path.ends_with(".py") ||
                             source.path.ends_with(".mjs") || source.text.starts_with("#!");
        return is_code ? check_line_length(source) : Violations();
      },
      false);
}

TEST(Tidy, FilesAreShort) {
  expect_none(check_file_size);
}

TEST(Tidy, FunctionsAreShort) {
  expect_none([](const SourceText& source) {
    // Tests may be tables.
    if (source.path.starts_with("tests/")) return Violations();
    return check_function_length(source, kLongFunctions);
  });
}

TEST(Tidy, TagsNameAnIssueOrAReason) {
  expect_none(check_tags);
}

TEST(Tidy, HeadersNameWhatTheyUse) {
  expect_none(check_using_namespace);
}

TEST(Tidy, UnitTestsDoNotSleep) {
  expect_none(check_sleep);
}

TEST(Tidy, TablesOfNamesHaveAHashThatNobodyKnows) {
  expect_none(check_keyed_hash);
}

TEST(Tidy, HotPathHasNoStdFunctionAndNoSharedPtr) {
  expect_none(check_hot_path);
}

TEST(Tidy, CoroutinesFollowTheRulesOfTaskH) {
  expect_none(check_coroutines);
}

TEST(Tidy, HeadersHavePragmaOnceAndAFileComment) {
  expect_none(check_header_form);
}

TEST(Tidy, HeadersAreUsed) {
  expect_none_in(check_dead_headers(sources()));
}

TEST(Tidy, HooksAreDocumented) {
  expect_none_in(check_hooks_documented(get_source("xmppd/include/xmppd/hooks.h")));
}

TEST(Tidy, ModulesAndCodecsNameTheirSpecification) {
  expect_none(check_specification_marker);
}

TEST(Tidy, LimitsAreDocumented) {
  expect_none_in(check_limits_documented(get_source("xmppd/core/limits.h")));
}

TEST(Tidy, OptionsAreDocumented) {
  expect_none(check_options_documented);
}

TEST(Tidy, CoreNamesNoXep) {
  expect_none(check_core_knows_no_xep);
}

TEST(Tidy, NoFileNamesAMachine) {
  expect_none(check_machine_names, false);
}

TEST(Tidy, LinksResolve) {
  expect_none([](const SourceText& source) { return check_links(source, project_files()); }, false);
}

TEST(Tidy, ScriptsAreExecutable) {
  expect_none(
      [](const SourceText& source) {
        const fs::perms mode = fs::status(root() / source.path).permissions();
        return check_executable(source.path, source.text,
                                (mode & fs::perms::owner_exec) != fs::perms::none);
      },
      false);
}

TEST(Tidy, GeneratedDocsAreUpToDate) {
  expect_success("python3 scripts/xeps.py --check");
  expect_success("python3 scripts/options.py --check");
}

TEST(Tidy, CodeIsFormatted) {
  if (std::system("command -v clang-format-16 >/dev/null") != 0) {
    GTEST_SKIP() << "clang-format-16 is not installed";
  }
  int status = 0;
  std::istringstream output(run("scripts/format --check", status));
  std::set<std::string> files;
  for (std::string line; std::getline(output, line);) {
    if (line.find("[-Wclang-format-violations]") != std::string::npos) {
      files.insert(line.substr(0, line.find(':')));
    }
  }
  for (const std::string& file : files) {
    ADD_FAILURE() << file << ":1: not formatted: run scripts/format, or clang-format-16 -i on it";
  }
  EXPECT_TRUE(status == 0 || !files.empty()) << "scripts/format --check failed";
}

}  // namespace
}  // namespace tidy
