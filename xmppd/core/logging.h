// Logging: the sink of xmpp::log in the server. Records go into a bounded queue and one log thread
// writes them through a Poco Channel to standard error or to a file, as logfmt or as JSON, one line
// each.
//
//   Logging logging({.level = xmpp::log::Level::info});      // installs the sink; the destructor
//   removes it
//
// A full queue drops the record and counts it; the next line written says how many were lost.
// Nobody who logs waits for the disk.
//
// Thread-safety: records from any thread; construction and destruction while no other thread logs.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "core/config.h"
#include "xmpp/base/log.h"
#include "xmpp/base/time.h"
#include "xmppd/export.h"

namespace xmppd {

class XMPPD_API Logging {
 public:
  struct Options {
    xmpp::log::Level level = xmpp::log::Level::info;
    LogFormat format = LogFormat::text;
    std::filesystem::path file;         // empty: standard error
    bool is_synchronous = false;        // no thread, for tests
    std::size_t queue_records = 8'192;  // more are dropped and counted
    // Receives the lines instead of the channel; for tests. Called by the log thread.
    std::function<void(std::string_view line)> capture;
  };

  // Throws std::runtime_error if the file cannot be opened.
  explicit Logging(Options options);
  // Writes what is queued.
  ~Logging();
  Logging(const Logging&) = delete;
  Logging& operator=(const Logging&) = delete;

  // Any thread: the log thread closes and opens the file again (SIGHUP); nothing without a file.
  void reopen() noexcept;
  // Any thread: returns when all that was logged before is written.
  void flush();
  [[nodiscard]] std::uint64_t dropped() const noexcept;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

// One line without the newline: "time=2026-01-02T03:04:05.678Z level=info component=c2s msg=..." or
// a JSON object.
[[nodiscard]] std::string format_line(const xmpp::log::Record& record, LogFormat format,
                                      xmpp::Timestamp at);

}  // namespace xmppd
