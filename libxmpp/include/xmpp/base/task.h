// Task<T>: a lazy coroutine with one owner, and TaskOwner, the object that a task is spawned into.
//
//   Task<int> Room::join(Jid who);            // a named member function, parameters by value
//   room.tasks().spawn(room.join(jid));        // dies with the room, at its suspension point
//
// Rules (GCC 12.2 destroys temporaries of co_await expressions twice in some cases; tests/tidy enforces):
//  1. a coroutine is a named function or member function, never a capturing lambda;
//  2. parameters by value, or references to the object that owns the task;
//  3. co_await is a whole statement or the sole initialiser of a local, with no lambda or other non-trivial
//     temporary in it;
//  4. never inside ?:, &&, ||, range-for headers, initialiser lists or catch;
//  5. no structured binding on an awaited value;
//  6. after a suspension re-validate through ids, not references.
//
// Completion<T> is what a task waits for when somebody outside (storage, offload, a peer) will finish the
// work: awaitable once; its Ticket may outlive the task and is then ignored.
//
// Thread-safety: one thread; results from other threads come through a mailbox. Exceptions that leave a
// coroutine body terminate the process (a program error).
#pragma once

#include <coroutine>
#include <cstddef>
#include <exception>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "xmpp/base/assert.h"

namespace xmpp {

template <typename T>
class Task;
class TaskOwner;

namespace detail {

struct PromiseBase {
  std::coroutine_handle<> waiter;      // who co_awaits this task
  TaskOwner* owner = nullptr;          // set for the root task only
  std::size_t owner_index = 0;
  bool finished = false;

  static std::suspend_always initial_suspend() noexcept { return {}; }
  [[noreturn]] static void unhandled_exception() noexcept { std::terminate(); }
};

struct FinalAwaiter {
  static bool await_ready() noexcept { return false; }
  template <typename Promise>
  static void await_suspend(std::coroutine_handle<Promise> handle) noexcept;
  static void await_resume() noexcept {}
};

template <typename T>
struct Promise : PromiseBase {
  std::optional<T> value;
  Task<T> get_return_object() noexcept;
  static FinalAwaiter final_suspend() noexcept { return {}; }
  template <typename U>
  void return_value(U&& result) {
    value.emplace(std::forward<U>(result));
  }
};

template <>
struct Promise<void> : PromiseBase {
  Task<void> get_return_object() noexcept;
  static FinalAwaiter final_suspend() noexcept { return {}; }
  static void return_void() noexcept {}
};

}  // namespace detail

// Destroying a Task destroys its frame, children first, at the point of suspension.
template <typename T>
class [[nodiscard]] Task {
 public:
  using promise_type = detail::Promise<T>;
  Task() = default;
  Task(Task&& other) noexcept : handle_(std::exchange(other.handle_, {})) {}
  Task& operator=(Task&& other) noexcept {
    if (this != &other) {
      if (handle_) handle_.destroy();
      handle_ = std::exchange(other.handle_, {});
    }
    return *this;
  }
  Task(const Task&) = delete;
  Task& operator=(const Task&) = delete;
  ~Task() {
    if (handle_) handle_.destroy();
  }

  [[nodiscard]] bool is_valid() const noexcept { return static_cast<bool>(handle_); }
  [[nodiscard]] bool is_finished() const noexcept { return handle_.promise().finished; }

  // Runs a root task up to its first suspension without an owner; the Task itself must then be kept.
  // REQUIRES: not started.
  void start() { handle_.resume(); }
  // The result of a finished task. REQUIRES: is_finished().
  decltype(auto) take_result() {
    XMPP_ASSERT(is_finished());
    if constexpr (!std::is_void_v<T>) return std::move(*handle_.promise().value);
  }

  // Awaiting starts the child inline and goes on at once if it finished.
  auto operator co_await() && noexcept {
    struct Awaiter {
      std::coroutine_handle<promise_type> child;
      static bool await_ready() noexcept { return false; }
      bool await_suspend(std::coroutine_handle<> parent) {
        // resume() returns at the child's first suspension or at its end; only then is the waiter set, so a
        // child that finished at once needs no resumption of the parent.
        child.resume();
        if (child.promise().finished) return false;
        child.promise().waiter = parent;
        return true;
      }
      decltype(auto) await_resume() {
        if constexpr (!std::is_void_v<T>) return T(std::move(*child.promise().value));
      }
    };
    return Awaiter{handle_};
  }

 private:
  friend promise_type;
  friend class TaskOwner;
  explicit Task(std::coroutine_handle<promise_type> handle) noexcept : handle_(handle) {}
  std::coroutine_handle<promise_type> handle_;
};

// Owns spawned tasks; destroying it (or calling cancel_all) destroys them at their suspension points.
class TaskOwner {
 public:
  TaskOwner() = default;
  TaskOwner(const TaskOwner&) = delete;
  TaskOwner& operator=(const TaskOwner&) = delete;
  ~TaskOwner() { cancel_all(); }

  // Starts `task` now; what does not finish at once lives here.
  void spawn(Task<void> task);
  void cancel_all() noexcept;
  [[nodiscard]] std::size_t size() const noexcept { return tasks_.size(); }

 private:
  friend struct detail::FinalAwaiter;
  void finished(std::size_t index) noexcept;
  std::vector<std::coroutine_handle<detail::Promise<void>>> tasks_;
};

// The receiving end of work that finishes elsewhere.
template <typename T>
class Completion {
  struct State {
    std::optional<T> value;
    std::coroutine_handle<> waiter;
  };

 public:
  // The sending end; copyable; completing a Completion that is gone does nothing.
  class Ticket {
   public:
    Ticket() = default;
    // Delivers the value and resumes the waiting task inline. The first call counts.
    void complete(T value) const {
      auto state = state_.lock();
      if (!state || state->value) return;
      state->value.emplace(std::move(value));
      if (state->waiter) std::exchange(state->waiter, {}).resume();
    }
    [[nodiscard]] bool is_awaited() const noexcept { return !state_.expired(); }

   private:
    friend class Completion;
    explicit Ticket(std::weak_ptr<State> state) : state_(std::move(state)) {}
    std::weak_ptr<State> state_;
  };

  Completion() : state_(std::make_shared<State>()) {}
  [[nodiscard]] Ticket ticket() const { return Ticket(state_); }

  // `Completion<T> done; ...; auto value = co_await done;`
  auto operator co_await() noexcept {
    struct Awaiter {
      State* state;
      [[nodiscard]] bool await_ready() const noexcept { return state->value.has_value(); }
      void await_suspend(std::coroutine_handle<> handle) noexcept { state->waiter = handle; }
      T await_resume() { return std::move(*state->value); }
    };
    return Awaiter{state_.get()};
  }

 private:
  std::shared_ptr<State> state_;
};

namespace detail {

template <typename T>
Task<T> Promise<T>::get_return_object() noexcept {
  return Task<T>(std::coroutine_handle<Promise>::from_promise(*this));
}
inline Task<void> Promise<void>::get_return_object() noexcept {
  return Task<void>(std::coroutine_handle<Promise>::from_promise(*this));
}

template <typename P>
void FinalAwaiter::await_suspend(std::coroutine_handle<P> handle) noexcept {
  PromiseBase& promise = handle.promise();
  promise.finished = true;
  if (promise.waiter) {
    promise.waiter.resume();
  } else if (promise.owner != nullptr) {
    promise.owner->finished(promise.owner_index);
  }
}

}  // namespace detail

inline void TaskOwner::spawn(Task<void> task) {
  auto handle = std::exchange(task.handle_, {});
  handle.resume();
  if (handle.promise().finished) {
    handle.destroy();
    return;
  }
  handle.promise().owner = this;
  handle.promise().owner_index = tasks_.size();
  tasks_.push_back(handle);
}

inline void TaskOwner::finished(std::size_t index) noexcept {
  auto handle = tasks_[index];
  tasks_[index] = tasks_.back();
  tasks_[index].promise().owner_index = index;
  tasks_.pop_back();
  handle.destroy();
}

inline void TaskOwner::cancel_all() noexcept {
  while (!tasks_.empty()) {
    auto handle = tasks_.back();
    tasks_.pop_back();
    handle.destroy();
  }
}

}  // namespace xmpp
