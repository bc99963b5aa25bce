// See xmpp/base/files.h.
#include "xmpp/base/files.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>

namespace xmpp {
namespace {

std::error_code last_error() {
  return {errno, std::generic_category()};
}

class OpenFile {
 public:
  explicit OpenFile(const std::string& path) : fd_(::open(path.c_str(), O_RDONLY | O_CLOEXEC)) {}
  OpenFile(const OpenFile&) = delete;
  OpenFile& operator=(const OpenFile&) = delete;
  ~OpenFile() {
    if (fd_ >= 0) ::close(fd_);
  }

  [[nodiscard]] int fd() const noexcept { return fd_; }

 private:
  int fd_;
};

}  // namespace

Result<std::string, std::error_code> read_file(const std::string& path, std::size_t max_bytes) {
  const OpenFile file(path);
  if (file.fd() < 0) return Err(last_error());
  std::string text;
  std::array<char, 16 * 1024> piece;
  for (;;) {
    const ssize_t got = ::read(file.fd(), piece.data(), piece.size());
    if (got == 0) return text;
    if (got < 0) {
      if (errno == EINTR) continue;
      return Err(last_error());
    }
    if (static_cast<std::size_t>(got) > max_bytes - text.size()) {
      return Err(std::make_error_code(std::errc::file_too_large));
    }
    text.append(piece.data(), static_cast<std::size_t>(got));
  }
}

}  // namespace xmpp
