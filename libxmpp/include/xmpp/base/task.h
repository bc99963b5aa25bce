// Task<T>: a lazy coroutine with one owner, and TaskOwner, the object that a task is spawned into.
//
//   Task<int> Room::join(Jid who);            // a named member function, parameters by value
//   room.tasks().spawn(room.join(jid));        // dies with the room, at its suspension point
//
// Rules, enforced by tests/tidy, since GCC 12.2 destroys temporaries of co_await expressions twice
// in some cases:
//  1. a coroutine is a named function or member function, never a capturing lambda;
//  2. parameters by value, or references to the object that owns the task;
//  3. co_await is a whole statement or the sole initialiser of a local, with no lambda or other
//     non-trivial temporary in it;
//  4. never inside ?:, &&, ||, range-for headers, initialiser lists or catch;
//  5. no structured binding on an awaited value;
//  6. after a suspension re-validate through ids, not references.
//
// Completion<T> is what a task waits for when somebody outside (storage, offload, a peer) will
// finish the work: awaitable once; its Ticket may outlive the task and is then ignored. Tasks await
// Tasks and Completions only; other awaitables are built on a Completion.
//
// A task that destroys its own owner (or cancels it) runs on to its next co_await or its end and
// dies there; it must not touch the owner in between.
//
// An exception that leaves a coroutine body is thrown again where the task is awaited (or its
// result taken); one that leaves a spawned task goes to on_task_exception(), else ends the process.
//
// Thread-safety: one thread; results from other threads come through a mailbox. Invariants: every
// resumption goes through detail::run(), which resumes the frames of one task tree one after the
// other, never nested; so neither long loops nor deep awaits use up the stack, and no frame is
// destroyed while it executes.
#pragma once

#include <atomic>
#include <coroutine>
#include <cstddef>
#include <exception>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "xmpp/base/assert.h"

namespace xmpp {

template <typename T>
class Task;
class TaskOwner;

// Is called on the task's thread with what a spawned task threw; must not throw itself. Any thread.
// nullptr (as at first): std::terminate().
using TaskExceptionHandler = void (*)(const std::exception_ptr&) noexcept;

namespace detail {

inline std::atomic<TaskExceptionHandler> task_exception_handler{nullptr};

struct PromiseBase;

// What a Completion and its tickets share, apart from the value. The waiting frame and the state
// know each other, so either may go first.
struct CompletionState {
  PromiseBase* waiter = nullptr;
  CompletionState() = default;
  CompletionState(const CompletionState&) = delete;
  CompletionState& operator=(const CompletionState&) = delete;
  inline ~CompletionState();
};

struct PromiseBase {
  std::coroutine_handle<> self;
  PromiseBase* root = this;               // of the tree of awaits that this frame runs in
  PromiseBase* waiter = nullptr;          // who co_awaits this task
  CompletionState* waiting_on = nullptr;  // set while suspended on a Completion
  std::exception_ptr exception;           // that left the body
  bool started = false;
  bool finished = false;

  // Used in roots only.
  bool running = false;          // run() is at work on this tree
  bool orphaned = false;         // to be destroyed when run() has done with it
  std::coroutine_handle<> next;  // what run() resumes next
  TaskOwner* owner = nullptr;
  std::size_t owner_index = 0;

  PromiseBase() = default;
  PromiseBase(const PromiseBase&) = delete;
  PromiseBase& operator=(const PromiseBase&) = delete;
  ~PromiseBase() {
    if (waiting_on != nullptr) waiting_on->waiter = nullptr;
  }

  static std::suspend_always initial_suspend() noexcept { return {}; }
  void unhandled_exception() noexcept { exception = std::current_exception(); }
  void rethrow() {
    if (exception) std::rethrow_exception(std::exchange(exception, nullptr));
  }
};

inline CompletionState::~CompletionState() {
  if (waiter != nullptr) waiter->waiting_on = nullptr;
}

// Resumes `frame` of root's tree and whatever that makes ready in the same tree.
inline void run(PromiseBase& root, std::coroutine_handle<> frame) noexcept;
// Destroys a tree of frames, or has run() do it if it is running.
inline void dispose(PromiseBase& root) noexcept;

struct FinalAwaiter {
  static bool await_ready() noexcept { return false; }
  template <typename Promise>
  static void await_suspend(std::coroutine_handle<Promise> handle) noexcept {
    PromiseBase& promise = handle.promise();
    promise.finished = true;
    if (promise.root != &promise) promise.root->next = promise.waiter->self;
  }
  static void await_resume() noexcept {}
};

template <typename T>
struct Promise : PromiseBase {
  static_assert(std::is_object_v<T>);
  std::optional<T> value;
  Task<T> get_return_object() noexcept;
  static FinalAwaiter final_suspend() noexcept { return {}; }
  template <typename U = T>
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

template <typename T>
struct TaskAwaiter {
  Promise<T>* child;
  // A task that was started on its own may have finished already.
  [[nodiscard]] bool await_ready() const noexcept { return child->finished; }
  template <typename P>
  void await_suspend(std::coroutine_handle<P> handle) noexcept {
    PromiseBase& parent = handle.promise();
    XMPP_ASSERT(child->waiter == nullptr && parent.root->running);
    child->waiter = &parent;
    if (child->started) return;
    child->started = true;
    child->root = parent.root;
    parent.root->next = child->self;
  }
  T await_resume() {
    child->rethrow();
    if constexpr (!std::is_void_v<T>) return std::move(*child->value);
  }
};

}  // namespace detail

inline void on_task_exception(TaskExceptionHandler handler) noexcept {
  detail::task_exception_handler.store(handler, std::memory_order_release);
}

// Destroying a Task destroys its frame, children first, at the point of suspension.
template <typename T>
class [[nodiscard]] Task {
 public:
  using promise_type = detail::Promise<T>;
  Task() = default;
  Task(Task&& other) noexcept : promise_(std::exchange(other.promise_, nullptr)) {}
  Task& operator=(Task&& other) noexcept {
    Task old(std::move(*this));
    promise_ = std::exchange(other.promise_, nullptr);
    return *this;
  }
  Task(const Task&) = delete;
  Task& operator=(const Task&) = delete;
  ~Task() {
    if (promise_ != nullptr) detail::dispose(*promise_);
  }

  [[nodiscard]] bool is_valid() const noexcept { return promise_ != nullptr; }
  // REQUIRES: is_valid().
  [[nodiscard]] bool is_finished() const noexcept { return promise_->finished; }

  // Runs the task up to its first suspension without an owner; the Task itself must then be kept.
  // It may be awaited later: that is how one task has several children at work. REQUIRES:
  // is_valid(), not started.
  void start() {
    XMPP_ASSERT(is_valid() && !promise_->started);
    promise_->started = true;
    detail::run(*promise_, promise_->self);
  }
  // The result of a finished task, once. REQUIRES: is_finished().
  T take_result() {
    XMPP_ASSERT(is_valid() && is_finished());
    promise_->rethrow();
    if constexpr (!std::is_void_v<T>) return std::move(*promise_->value);
  }

  // Awaiting starts the child at once, unless it was started before. The Task must stay alive
  // meanwhile.
  auto operator co_await() && noexcept {
    XMPP_ASSERT(is_valid());
    return detail::TaskAwaiter<T>{promise_};
  }

 private:
  friend promise_type;
  friend class TaskOwner;
  explicit Task(promise_type* promise) noexcept : promise_(promise) {}
  promise_type* promise_ = nullptr;
};

// Owns spawned tasks; destroying it (or calling cancel_all) destroys them at their suspension
// points.
class TaskOwner {
 public:
  TaskOwner() = default;
  TaskOwner(const TaskOwner&) = delete;
  TaskOwner& operator=(const TaskOwner&) = delete;
  ~TaskOwner() { cancel_all(); }

  // Starts `task` now; what does not finish at once lives here. The task may destroy this owner.
  // REQUIRES: a valid task that was not started.
  void spawn(Task<void> task);
  void cancel_all() noexcept;
  [[nodiscard]] std::size_t size() const noexcept { return tasks_.size(); }

 private:
  friend void detail::run(detail::PromiseBase& root, std::coroutine_handle<> frame) noexcept;
  void on_finished(std::size_t index) noexcept;
  std::vector<detail::PromiseBase*> tasks_;
};

// The receiving end of work that finishes elsewhere. Completion<void> carries nothing but the news.
template <typename T>
class Completion {
  using Value = std::conditional_t<std::is_void_v<T>, std::monostate, T>;
  struct State : detail::CompletionState {
    std::optional<Value> value;
  };
  struct Awaiter {
    State* state;
    [[nodiscard]] bool await_ready() const noexcept { return state->value.has_value(); }
    template <typename P>
    void await_suspend(std::coroutine_handle<P> handle) noexcept {
      detail::PromiseBase& waiter = handle.promise();
      XMPP_ASSERT(state->waiter == nullptr);
      state->waiter = &waiter;
      waiter.waiting_on = state;
    }
    T await_resume() {
      if constexpr (!std::is_void_v<T>) return std::move(*state->value);
    }
  };

 public:
  // The sending end; copyable; completing a Completion that is gone does nothing.
  class Ticket {
   public:
    Ticket() = default;
    // Delivers the value and resumes the waiting task inline. The first call counts.
    void complete(Value value) const {
      const std::shared_ptr<State> state = state_.lock();
      if (!state || state->value) return;
      state->value.emplace(std::move(value));
      detail::PromiseBase* waiter = std::exchange(state->waiter, nullptr);
      if (waiter == nullptr) return;
      waiter->waiting_on = nullptr;
      detail::run(*waiter->root, waiter->self);
    }
    void complete() const
      requires std::is_void_v<T>
    {
      complete(std::monostate{});
    }
    // Is there still a Completion that takes the value?
    [[nodiscard]] bool is_awaited() const noexcept { return !state_.expired(); }

   private:
    friend class Completion;
    explicit Ticket(std::weak_ptr<State> state) : state_(std::move(state)) {}
    std::weak_ptr<State> state_;
  };

  Completion() : state_(std::make_shared<State>()) {}
  Completion(Completion&&) noexcept = default;
  Completion& operator=(Completion&&) noexcept = default;
  Completion(const Completion&) = delete;
  Completion& operator=(const Completion&) = delete;
  [[nodiscard]] Ticket ticket() const { return Ticket(state_); }
  [[nodiscard]] bool is_completed() const noexcept { return state_->value.has_value(); }

  // `Completion<T> done; ...; auto value = co_await done;` Once only. A task whose Completion is
  // destroyed first (possible if it is not a local of the task) is never resumed.
  auto operator co_await() noexcept { return Awaiter{state_.get()}; }

 private:
  std::shared_ptr<State> state_;
};

namespace detail {

template <typename T>
Task<T> Promise<T>::get_return_object() noexcept {
  self = std::coroutine_handle<Promise>::from_promise(*this);
  return Task<T>(this);
}
inline Task<void> Promise<void>::get_return_object() noexcept {
  self = std::coroutine_handle<Promise>::from_promise(*this);
  return Task<void>(this);
}

inline void dispose(PromiseBase& root) noexcept {
  if (root.running) {
    root.orphaned = true;
    return;
  }
  const std::coroutine_handle<> frame = root.self;
  frame.destroy();
}

inline void run(PromiseBase& root, std::coroutine_handle<> frame) noexcept {
  XMPP_ASSERT(!root.running);
  root.running = true;
  root.next = frame;
  while (root.next && !root.orphaned) std::exchange(root.next, nullptr).resume();
  root.running = false;
  if (root.orphaned) {
    dispose(root);
  } else if (root.finished) {
    if (root.waiter != nullptr) {
      run(*root.waiter->root, root.waiter->self);
    } else if (root.owner != nullptr) {
      root.owner->on_finished(root.owner_index);
    }
  }
}

}  // namespace detail

inline void TaskOwner::spawn(Task<void> task) {
  XMPP_ASSERT(task.is_valid() && !task.promise_->started);
  detail::PromiseBase& root = *task.promise_;
  tasks_.push_back(&root);
  task.promise_ = nullptr;
  root.owner = this;
  root.owner_index = tasks_.size() - 1;
  root.started = true;
  detail::run(root, root.self);  // `this` may be gone afterwards
}

inline void TaskOwner::on_finished(std::size_t index) noexcept {
  detail::PromiseBase* root = tasks_[index];
  tasks_[index] = tasks_.back();
  tasks_[index]->owner_index = index;
  tasks_.pop_back();
  const std::exception_ptr thrown = std::move(root->exception);
  detail::dispose(*root);  // may end the owner
  if (!thrown) return;
  const TaskExceptionHandler handler =
      detail::task_exception_handler.load(std::memory_order_acquire);
  if (handler == nullptr) std::terminate();
  handler(thrown);
}

inline void TaskOwner::cancel_all() noexcept {
  // Destructors of frames may end, spawn or cancel other tasks: no iterators.
  while (!tasks_.empty()) {
    detail::PromiseBase* root = tasks_.back();
    tasks_.pop_back();
    root->owner = nullptr;
    detail::dispose(*root);
  }
}

}  // namespace xmpp
