// Gate: refuse new work once closed, and know when the old work has finished. A module's gate is
// closed when the module is unloaded; every task and callback of it holds a Pass.
//
//   if (auto pass = gate.enter()) task = handle(std::move(pass), call);   // else: refused, we are
//   closing gate.close([&] { destroy_module(); });
//
// Thread-safety: one thread. Invariants: (1) After close() a pass is given out only to what is
// inside already, and the callback runs exactly once, when the last pass is gone; never if the gate
// goes first. (2) A pass may outlive its gate; it is then no longer valid.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <utility>

#include "xmpp/base/assert.h"

namespace xmpp {

class Gate {
  struct State {
    std::size_t inside = 0;
    bool closed = false;
    bool gone = false;
    std::function<void()> when_empty;
  };

 public:
  // Permission to be inside; leaves when it is destroyed. Empty if entry was refused.
  class [[nodiscard]] Pass {
   public:
    Pass() = default;
    Pass(Pass&& other) noexcept = default;
    Pass& operator=(Pass&& other) noexcept {
      Pass old(std::move(*this));
      state_ = std::move(other.state_);
      return *this;
    }
    Pass(const Pass&) = delete;
    Pass& operator=(const Pass&) = delete;
    ~Pass() { leave(); }

    // Was entry granted, and is what it leads to still there?
    explicit operator bool() const noexcept { return state_ != nullptr && !state_->gone; }
    void leave() {
      const std::shared_ptr<State> state = std::exchange(state_, nullptr);
      if (!state) return;
      --state->inside;
      if (state->closed) notify_if_empty(*state);
    }

   private:
    friend class Gate;
    explicit Pass(std::shared_ptr<State> state) noexcept : state_(std::move(state)) {}
    std::shared_ptr<State> state_;
  };

  Gate() : state_(std::make_shared<State>()) {}
  Gate(const Gate&) = delete;
  Gate& operator=(const Gate&) = delete;
  ~Gate() {
    state_->gone = true;
    state_->when_empty = nullptr;
  }

  // An empty pass once the gate is closed.
  Pass enter() { return state_->closed ? Pass() : admit(); }
  // For work that what is inside begins: also after close(), until the last pass has gone.
  Pass enter_within() { return state_->closed && state_->inside == 0 ? Pass() : admit(); }
  // Calls `when_empty` when nobody is inside any more: now or later. It may destroy the gate.
  // REQUIRES: not closed yet.
  void close(std::function<void()> when_empty) {
    XMPP_ASSERT(!state_->closed);
    state_->closed = true;
    state_->when_empty = std::move(when_empty);
    const std::shared_ptr<State> state = state_;
    notify_if_empty(*state);
  }

  [[nodiscard]] bool is_closed() const noexcept { return state_->closed; }
  [[nodiscard]] std::size_t inside() const noexcept { return state_->inside; }

 private:
  Pass admit() {
    ++state_->inside;
    return Pass(state_);
  }
  static void notify_if_empty(State& state) {
    if (state.inside != 0) return;
    const std::function<void()> callback = std::exchange(state.when_empty, nullptr);
    if (callback) callback();
  }

  std::shared_ptr<State> state_;
};

}  // namespace xmpp
