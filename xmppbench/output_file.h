// OutputFile: where a report goes when the run is over, found to be writable before it begins. What
// is there stays as it is until then, and a run that ends without a report leaves nothing new.
//
// Thread-safety: one thread.
#pragma once

#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include "xmpp/base/result.h"

namespace xmppbench {

class OutputFile {
 public:
  [[nodiscard]] static xmpp::Result<OutputFile, std::error_code> open(const std::string& path);
  OutputFile(OutputFile&& other) noexcept
      : path_(std::move(other.path_)),
        fd_(std::exchange(other.fd_, -1)),
        is_new_(std::exchange(other.is_new_, false)) {}
  OutputFile& operator=(OutputFile&&) = delete;
  ~OutputFile();

  // Replaces what is there.
  [[nodiscard]] xmpp::Result<void, std::error_code> write(std::string_view text);

 private:
  OutputFile(std::string path, int fd, bool is_new)
      : path_(std::move(path)), fd_(fd), is_new_(is_new) {}
  std::string path_;
  int fd_;
  bool is_new_;  // and empty
};

}  // namespace xmppbench
