// See core/logging.h.
#include "core/logging.h"

#include <Poco/ConsoleChannel.h>
#include <Poco/Exception.h>
#include <Poco/JSON/Stringifier.h>
#include <Poco/Message.h>
#include <Poco/SimpleFileChannel.h>
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <condition_variable>
#include <iostream>
#include <mutex>
#include <sstream>
#include <stdexcept>
#include <system_error>
#include <thread>
#include <vector>

#include "xmpp/base/utf8.h"

namespace xmppd {
namespace {

using xmpp::log::Field;
using xmpp::log::Level;
using xmpp::log::Record;

// What a peer sent may be no UTF-8; JSON must be.
std::string to_utf8(std::string_view text) {
  if (xmpp::utf8::is_valid(text)) return std::string(text);
  std::string fixed;
  for (const char c : text) {
    if (static_cast<unsigned char>(c) < 0x80) {
      fixed += c;
    } else {
      fixed += "\xef\xbf\xbd";  // U+FFFD
    }
  }
  return fixed;
}

void append_json_string(std::string& out, std::string_view text) {
  std::ostringstream quoted;
  Poco::JSON::Stringifier::formatString(to_utf8(text), quoted, Poco::JSON_WRAP_STRINGS);
  out += quoted.str();
}

void append_json(std::string& out, std::string_view key, std::string_view value, bool is_raw) {
  out += out.size() == 1 ? "" : ",";
  append_json_string(out, key);
  out += ':';
  if (is_raw) {
    out += value;
  } else {
    append_json_string(out, value);
  }
}

std::string format_json(const Record& record, std::string_view time) {
  std::string line = "{";
  append_json(line, "time", time, false);
  append_json(line, "level", to_string(record.level), false);
  if (!record.context.component.empty()) {
    append_json(line, "component", record.context.component, false);
  }
  append_json(line, "msg", record.message, false);
  if (!record.context.stream.empty()) append_json(line, "stream", record.context.stream, false);
  if (!record.context.jid.empty()) append_json(line, "jid", record.context.jid, false);
  for (const Field& field : record.fields) {
    append_json(line, field.key, field.value, field.is_number);
  }
  return line + "}";
}

// As xmpp::format_timestamp(), but always with three digits of milliseconds so that lines sort and
// align.
std::string format_log_time(xmpp::Timestamp at) {
  const auto whole = std::chrono::floor<std::chrono::seconds>(at.time_since_epoch());
  const auto ms =
      std::chrono::floor<std::chrono::milliseconds>(at.time_since_epoch() - whole).count();
  std::string text = xmpp::format_timestamp(xmpp::Timestamp(whole));
  text.pop_back();  // the Z
  const std::string digits = std::to_string(1'000 + ms);
  return text + "." + digits.substr(1) + "Z";
}

}  // namespace

std::string format_line(const Record& record, LogFormat format, xmpp::Timestamp at) {
  const std::string time = format_log_time(at);
  if (format == LogFormat::json) return format_json(record, time);
  return "time=" + time + " " + xmpp::log::format_logfmt(record);
}

class Logging::Impl {
 public:
  explicit Impl(Options options) : options_(std::move(options)) {
    open_channel();
    if (!options_.is_synchronous) thread_ = std::thread([this] { write_until_stopped(); });
    xmpp::log::set_level(options_.level);
    xmpp::log::set_sink(&Impl::receive, this);
  }

  ~Impl() {
    xmpp::log::set_sink(nullptr, nullptr);
    if (!thread_.joinable()) return;
    {
      const std::lock_guard lock(mutex_);
      is_stopping_ = true;
      changed_.notify_all();
    }
    thread_.join();
  }

  void reopen() noexcept {
    const std::lock_guard lock(mutex_);
    ++reopens_asked_;
    if (options_.is_synchronous) {
      open_anew();
    } else {
      changed_.notify_all();
    }
  }

  void flush() {
    if (options_.is_synchronous) return;
    std::unique_lock lock(mutex_);
    const std::uint64_t goal = accepted_;
    const std::uint64_t goal_of_reopens = reopens_asked_;
    written_changed_.wait(lock,
                          [&] { return written_ >= goal && reopens_done_ >= goal_of_reopens; });
  }

  [[nodiscard]] std::uint64_t dropped() noexcept {
    const std::lock_guard lock(mutex_);
    return dropped_;
  }

 private:
  static void receive(const Record& record, void* user) {
    static_cast<Impl*>(user)->accept(record);
  }

  // Formats outside the lock, on the caller's thread: what is queued is one string.
  void accept(const Record& record) {
    std::string line = format_line(record, options_.format, clock_.wall());
    const std::lock_guard lock(mutex_);
    if (options_.is_synchronous) return write_line(line);
    if (queue_.size() >= options_.queue_records) {
      ++dropped_;
      return;
    }
    queue_.push_back(std::move(line));
    ++accepted_;
    if (queue_.size() == 1) changed_.notify_one();
  }

  void write_until_stopped() {
    std::vector<std::string> lines;
    std::unique_lock lock(mutex_);
    while (true) {
      changed_.wait(
          lock, [&] { return is_stopping_ || reopens_done_ != reopens_asked_ || !queue_.empty(); });
      const std::uint64_t reopens = reopens_asked_;
      if (queue_.empty() && is_stopping_) return;
      lines.clear();
      lines.swap(queue_);
      const std::uint64_t lost = dropped_ - dropped_reported_;
      dropped_reported_ = dropped_;
      lock.unlock();
      // Slow disks are waited for here, not by whoever logs.
      if (reopens != reopens_done_) open_anew();
      for (const std::string& line : lines) write_line(line);
      if (lost != 0) write_line(lost_line(lost));
      lock.lock();
      written_ += lines.size();
      reopens_done_ = reopens;
      written_changed_.notify_all();
    }
  }

  void open_anew() noexcept {
    try {
      open_channel();
    } catch (const std::exception& error) {
      // The old channel stays; there is no better place to say so.
      const xmpp::log::Context context{.component = "log", .stream = {}, .jid = {}};
      write_line(format_line(Record{Level::error,
                                    context,
                                    "cannot reopen the log file; check its directory",
                                    {xmpp::log::kv("error", error.what())}},
                             options_.format, clock_.wall()));
    }
  }

  std::string lost_line(std::uint64_t lost) {
    const xmpp::log::Context context{.component = "log", .stream = {}, .jid = {}};
    return format_line(Record{Level::warn,
                              context,
                              "log records dropped; lower the level or use a faster disk",
                              {xmpp::log::kv("records", lost)}},
                       options_.format, clock_.wall());
  }

  void open_channel() {
    if (options_.capture) return;
    if (options_.file.empty()) {
      if (!channel_) channel_ = new Poco::ConsoleChannel(std::cerr);
      return;
    }
    // Poco opens the file at the first line; a file that cannot be opened must fail at start.
    const int fd = ::open(options_.file.c_str(), O_CREAT | O_WRONLY | O_APPEND | O_CLOEXEC, 0640);
    if (fd < 0) {
      throw std::runtime_error("cannot open the log file '" + options_.file.string() +
                               "': " + std::generic_category().message(errno) +
                               " (log.file in the configuration)");
    }
    ::close(fd);
    Poco::AutoPtr<Poco::Channel> file = new Poco::SimpleFileChannel(options_.file.string());
    file->open();
    channel_.swap(file);
  }

  void write_line(const std::string& line) noexcept {
    try {
      if (options_.capture) {
        options_.capture(line);
      } else {
        channel_->log(Poco::Message("", line, Poco::Message::PRIO_INFORMATION));
      }
    } catch (const std::exception&) {
      // A full disk: there is nobody left to tell.
    }
  }

  const Options options_;
  xmpp::SystemClock clock_;
  Poco::AutoPtr<Poco::Channel> channel_;  // the log thread's, once it runs

  std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  std::condition_variable written_changed_;
  std::vector<std::string> queue_;
  std::uint64_t accepted_ = 0;
  std::uint64_t written_ = 0;
  std::uint64_t dropped_ = 0;
  std::uint64_t dropped_reported_ = 0;
  std::uint64_t reopens_asked_ = 0;
  std::uint64_t reopens_done_ = 0;  // changed by the log thread only
  bool is_stopping_ = false;

  std::thread thread_;
};

Logging::Logging(Options options) : impl_(std::make_unique<Impl>(std::move(options))) {}
Logging::~Logging() = default;
void Logging::reopen() noexcept {
  impl_->reopen();
}
void Logging::flush() {
  impl_->flush();
}
std::uint64_t Logging::dropped() const noexcept {
  return impl_->dropped();
}

}  // namespace xmppd
