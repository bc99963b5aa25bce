// Gate: refuse new work once closed, and know when the old work has finished. A module closes its
// gate when it is unloaded; every call into it holds a Pass.
//
//   if (auto pass = gate.enter()) task = handle(std::move(pass), call);   // else: refused, we are
//   closing gate.close([&] { destroy_module(); });
//
// Thread-safety: one thread. Invariants: (1) a Gate outlives its passes. (2) After close() no pass
// is given out, and the callback runs exactly once, when the last pass is gone.
#pragma once

#include <cstddef>
#include <functional>
#include <utility>

#include "xmpp/base/assert.h"

namespace xmpp {

class Gate {
 public:
  // Permission to be inside; leaves when it is destroyed. Empty if entry was refused.
  class [[nodiscard]] Pass {
   public:
    Pass() = default;
    Pass(Pass&& other) noexcept : gate_(std::exchange(other.gate_, nullptr)) {}
    Pass& operator=(Pass&& other) noexcept {
      Pass old(std::move(*this));
      gate_ = std::exchange(other.gate_, nullptr);
      return *this;
    }
    Pass(const Pass&) = delete;
    Pass& operator=(const Pass&) = delete;
    ~Pass() { leave(); }

    explicit operator bool() const noexcept { return gate_ != nullptr; }
    void leave() {
      if (Gate* gate = std::exchange(gate_, nullptr)) gate->on_leave();
    }

   private:
    friend class Gate;
    explicit Pass(Gate* gate) noexcept : gate_(gate) {}
    Gate* gate_ = nullptr;
  };

  Gate() = default;
  Gate(const Gate&) = delete;
  Gate& operator=(const Gate&) = delete;
  ~Gate() { XMPP_ASSERT(inside_ == 0); }

  // An empty pass once the gate is closed.
  Pass enter() noexcept {
    if (closed_) return {};
    ++inside_;
    return Pass(this);
  }
  // Calls `when_empty` when nobody is inside any more: now or later. It may destroy the gate.
  // REQUIRES: not closed yet.
  void close(std::function<void()> when_empty) {
    XMPP_ASSERT(!closed_);
    closed_ = true;
    when_empty_ = std::move(when_empty);
    notify_if_empty();
  }

  [[nodiscard]] bool is_closed() const noexcept { return closed_; }
  [[nodiscard]] std::size_t inside() const noexcept { return inside_; }

 private:
  void on_leave() {
    --inside_;
    if (closed_) notify_if_empty();
  }
  void notify_if_empty() {
    if (inside_ != 0) return;
    const std::function<void()> callback = std::exchange(when_empty_, nullptr);
    if (callback) callback();
  }

  std::size_t inside_ = 0;
  bool closed_ = false;
  std::function<void()> when_empty_;
};

}  // namespace xmpp
