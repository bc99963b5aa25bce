// Offload: threads for work that would block a reactor (DNS, PBKDF2, files). Results come back as
// mail.
//
//   Offload offload(2);
//   offload.submit([password] { return verify(password); }, reactor, [](bool ok) { ... });
//   auto checked = offload.run(reactor, work);  // in a coroutine
//   auto ok = co_await checked;                 // nullopt: the queue was full
//
// Without threads (the simulator, tests) somebody calls run_one().
//
// Thread-safety: any thread; `work` runs on an offload thread, `done` on the reactor's. `work` owns
// what it touches and lets no exception out; `done` must not refer to what may be gone by then.
// Invariants: (1) at most `queue_max` jobs wait. (2) A job that was accepted runs once or, if the
// Offload ends first, never; `done` follows unless the reactor ends first. The reactors must
// outlive the Offload.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <mutex>
#include <optional>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include "xmpp/base/task.h"
#include "xmpp/net/mailbox.h"
#include "xmpp/net/reactor.h"

namespace xmpp::net {

class Offload {
 public:
  explicit Offload(std::size_t threads, std::size_t queue_max = 1024);
  // Waits for running jobs, drops waiting ones.
  ~Offload();
  Offload(const Offload&) = delete;
  Offload& operator=(const Offload&) = delete;

  // Runs `work()`, then `done(result)` on the reactor's thread (`done()` if there is no result).
  // False: the queue is full, neither will run.
  template <typename Work, typename Done>
  [[nodiscard]] bool submit(Work work, Reactor& reactor, Done done) {
    return enqueue(new Call<Work, Done>(std::move(work), reactor, std::move(done)));
  }
  // The same for coroutines; nullopt if the queue was full. `work` must return something.
  template <typename Work>
  [[nodiscard]] auto run(Reactor& reactor, Work work) {
    using Value = std::invoke_result_t<Work&>;
    Completion<std::optional<Value>> completion;
    auto ticket = completion.ticket();
    auto done = [ticket](Value value) { ticket.complete(std::optional<Value>(std::move(value))); };
    if (!submit(std::move(work), reactor, std::move(done))) ticket.complete(std::nullopt);
    return completion;
  }

  // Runs one waiting job here; false if there is none.
  bool run_one();
  // Jobs that wait.
  [[nodiscard]] std::size_t pending() const;

 private:
  // A job is its own answer: the mail that runs `done` is the same object.
  struct Job : Mail {
    Job(Act answer, Reactor& to) noexcept : Mail(answer), reactor(to) {}
    virtual ~Job() = default;
    virtual void work() = 0;
    Reactor& reactor;
  };
  template <typename Work, typename Done>
  struct Call final : Job {
    using Value = std::invoke_result_t<Work&>;
    static constexpr bool kIsVoid = std::is_void_v<Value>;
    Call(Work what, Reactor& to, Done then)
        : Job(&answer, to), body(std::move(what)), done(std::move(then)) {}
    void work() override {
      if constexpr (kIsVoid) {
        body();
      } else {
        value.emplace(body());
      }
    }
    static void answer(Mail* mail, bool run) {
      auto* self = static_cast<Call*>(mail);
      if (run) {
        if constexpr (kIsVoid) {
          self->done();
        } else {
          self->done(std::move(*self->value));
        }
      }
      delete self;
    }
    Work body;
    Done done;
    std::optional<std::conditional_t<kIsVoid, bool, Value>> value;
  };

  bool enqueue(Job* job);
  void serve();

  const std::size_t queue_max_;
  mutable std::mutex mutex_;
  std::condition_variable wanted_;
  std::deque<Job*> queue_;  // owned
  bool ending_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace xmpp::net
