// read_file: a whole file as text, or why not.
//
// Thread-safety: any thread; blocks, so never on a worker's stanza path.
#pragma once

#include <cstddef>
#include <string>
#include <system_error>

#include "xmpp/base/result.h"

namespace xmpp {

// More than any certificate, list of accounts or configuration has; a device that never ends stops
// here.
inline constexpr std::size_t kMaxFileBytes = std::size_t{64} << 20;

// What the file or pipe holds, byte by byte. Errors are those of open and read: is_a_directory
// for a directory, no_such_process for a file of /proc whose process ends meanwhile; file_too_large
// beyond `max_bytes`. Throws nothing but std::bad_alloc, unlike the iterators of a stream's buffer.
[[nodiscard]] Result<std::string, std::error_code> read_file(const std::string& path,
                                                             std::size_t max_bytes = kMaxFileBytes);

}  // namespace xmpp
