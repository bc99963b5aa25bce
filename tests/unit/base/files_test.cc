// read_file: content, and every reason not to have any as an error rather than as an exception.
#include "xmpp/base/files.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace xmpp {
namespace {

class FilesTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = testing::TempDir() + "filesXXXXXX";
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    directory_ = name;
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }

  std::string write(const std::string& text) {
    const auto path = directory_ / "file";
    std::ofstream(path, std::ios::binary) << text;
    return path.string();
  }

  std::filesystem::path directory_;
};

TEST_F(FilesTest, EveryByteIsRead) {
  std::string text;
  for (int at = 0; at < 100'000; ++at) text += static_cast<char>(at * 7);
  EXPECT_EQ(read_file(write(text)).value(), text);
  EXPECT_EQ(read_file(write("")).value(), "");
}

TEST_F(FilesTest, WhyNot) {
  EXPECT_EQ(read_file((directory_ / "absent").string()).error(),
            std::errc::no_such_file_or_directory);
  EXPECT_EQ(read_file(directory_.string()).error(), std::errc::is_a_directory);
  EXPECT_EQ(read_file("/dev/zero", 100'000).error(), std::errc::file_too_large);
}

TEST_F(FilesTest, TheLimitIsTheLastByteAllowed) {
  const auto path = write("1234");
  EXPECT_EQ(read_file(path, 4).value(), "1234");
  EXPECT_EQ(read_file(path, 3).error(), std::errc::file_too_large);
}

}  // namespace
}  // namespace xmpp
