// The two seams between the programs and the operating system: ByteChannel (one connection: read,
// writev) and Poller (which channels are ready: one virtual call per turn). The simulator supplies
// both.
//
// Readiness is edge-triggered: after a Readiness::readable event the handler reads until a short
// read or would_block, or asks Reactor::read_again() to be called in the next turn. With
// Readiness::hangup a short read is not enough (the end of input may have been announced by this
// very event): read to the end.
//
// Thread-safety: one thread, except Poller::wake().
#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "xmpp/base/time.h"

namespace xmpp::net {

struct IoResult {
  enum class Status : std::uint8_t { ok, would_block, closed, failed };
  Status status = Status::ok;
  std::size_t bytes = 0;  // with ok
  int error = 0;          // errno, with failed
};

class ByteChannel {
 public:
  ByteChannel() = default;
  ByteChannel(const ByteChannel&) = delete;
  ByteChannel& operator=(const ByteChannel&) = delete;
  virtual ~ByteChannel() = default;  // closes

  [[nodiscard]] virtual IoResult read(std::span<char> into) noexcept = 0;
  [[nodiscard]] virtual IoResult writev(std::span<const iovec> parts) noexcept = 0;
  // No more writing (FIN); reading goes on.
  virtual void shutdown_write() noexcept = 0;
  // -1 in the simulator.
  [[nodiscard]] virtual int fd() const noexcept = 0;
  // "192.0.2.1:5222" or "[2001:db8::1]:5222"
  [[nodiscard]] virtual std::string peer_address() const = 0;
};

enum class Readiness : std::uint8_t { none = 0, readable = 1, writable = 2, hangup = 4 };
[[nodiscard]] constexpr Readiness operator|(Readiness a, Readiness b) noexcept {
  return static_cast<Readiness>(static_cast<unsigned>(a) | static_cast<unsigned>(b));
}
[[nodiscard]] constexpr bool has(Readiness set, Readiness bit) noexcept {
  return (static_cast<unsigned>(set) & static_cast<unsigned>(bit)) != 0;
}

// Embedded in whoever wants to know; must be unwatched before it is destroyed.
struct Watch {
  using OnReady = void (*)(void* self, Readiness readiness);
  OnReady on_ready = nullptr;
  void* self = nullptr;
  // Can it wait while others have something to do? Set by the owner, at any time.
  bool is_patient = false;
  // The reactor's: it will be called, and with what beside what read_again() asks for.
  bool is_queued = false;
  Readiness pending = Readiness::none;
};

struct Fired {
  Watch* watch;
  Readiness readiness;
};

class Poller {
 public:
  Poller() = default;
  Poller(const Poller&) = delete;
  Poller& operator=(const Poller&) = delete;
  virtual ~Poller() = default;

  // Starts watching for reading and writing, edge-triggered. If the channel is ready already an
  // event follows. `watch` must stay in place until unwatch().
  virtual void watch(ByteChannel& channel, Watch& watch) = 0;
  // A file descriptor that is no ByteChannel (listener, eventfd, control socket), level-triggered,
  // readable.
  virtual void watch_fd(int fd, Watch& watch) = 0;
  // Forgets a watch; events for it that wait() already returned are not the poller's business.
  virtual void unwatch(ByteChannel& channel) noexcept = 0;
  virtual void unwatch_fd(int fd) noexcept = 0;
  // Waits until something is ready, wake() is called or `deadline` passes; appends to `out`.
  // An Instant in the past polls.
  virtual void wait(Instant now, Instant deadline, std::vector<Fired>& out) = 0;
  // Ends a wait(), the next one if none is under way. Any thread.
  virtual void wake() noexcept = 0;
};

[[nodiscard]] std::unique_ptr<Poller> make_epoll_poller();

}  // namespace xmpp::net
