#include "xmpp/net/offload.h"

#include <sys/resource.h>
#include <unistd.h>

namespace xmpp::net {
namespace {

// Whoever guesses passwords makes work here, and loops have to go on beside it: on Linux a thread
// has a priority of its own. Without the right to lower it nothing is lost.
constexpr int kNice = 10;

void step_back() noexcept {
  (void)::setpriority(PRIO_PROCESS, static_cast<id_t>(::gettid()), kNice);
}

}  // namespace

Offload::Offload(std::size_t threads, std::size_t queue_max) : queue_max_(queue_max) {
  threads_.reserve(threads);
  for (std::size_t i = 0; i < threads; ++i) threads_.emplace_back([this] { serve(); });
}

Offload::~Offload() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  wanted_.notify_all();
  for (std::thread& thread : threads_) thread.join();
  for (Job* job : queue_) delete job;
}

bool Offload::enqueue(Job* job) {
  {
    const std::lock_guard lock(mutex_);
    if (queue_.size() < queue_max_) {
      queue_.push_back(job);
      job = nullptr;
    }
  }
  if (job != nullptr) {
    delete job;
    return false;
  }
  wanted_.notify_one();
  return true;
}

bool Offload::run_one() {
  Job* job = nullptr;
  {
    const std::lock_guard lock(mutex_);
    if (queue_.empty()) return false;
    job = queue_.front();
    queue_.pop_front();
  }
  job->work();
  job->reactor.post(job);
  return true;
}

std::size_t Offload::pending() const {
  const std::lock_guard lock(mutex_);
  return queue_.size();
}

void Offload::serve() {
  step_back();
  while (true) {
    {
      std::unique_lock lock(mutex_);
      wanted_.wait(lock, [this] { return ending_ || !queue_.empty(); });
      if (ending_) return;
    }
    run_one();
  }
}

}  // namespace xmpp::net
