#include "output_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

namespace xmppbench {
namespace {

constexpr int kFlags = O_WRONLY | O_CLOEXEC;
constexpr mode_t kMode = 0666;

std::error_code last_error() {
  return {errno, std::generic_category()};
}

}  // namespace

xmpp::Result<OutputFile, std::error_code> OutputFile::open(const std::string& path) {
  int fd = ::open(path.c_str(), kFlags | O_CREAT | O_EXCL, kMode);
  const bool is_new = fd >= 0;
  if (!is_new && errno == EEXIST) fd = ::open(path.c_str(), kFlags | O_CREAT, kMode);
  if (fd < 0) return xmpp::Err(last_error());
  return OutputFile(path, fd, is_new);
}

OutputFile::~OutputFile() {
  if (fd_ >= 0) ::close(fd_);
  if (is_new_) ::unlink(path_.c_str());
}

xmpp::Result<void, std::error_code> OutputFile::write(std::string_view text) {
  if (::ftruncate(fd_, 0) != 0 && errno != EINVAL) return xmpp::Err(last_error());  // no pipe
  while (!text.empty()) {
    const ssize_t done = ::write(fd_, text.data(), text.size());
    if (done < 0 && errno != EINTR) return xmpp::Err(last_error());
    if (done > 0) text.remove_prefix(static_cast<std::size_t>(done));
  }
  is_new_ = false;
  return {};
}

}  // namespace xmppbench
