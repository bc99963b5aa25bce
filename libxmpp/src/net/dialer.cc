#include "xmpp/net/dialer.h"

#include <system_error>
#include <utility>

#include "xmpp/base/assert.h"

namespace xmpp::net {

Dialer::Dialer(Reactor& reactor, Connector& connector, std::vector<Endpoint> endpoints,
               std::string local_address, Done done)
    : reactor_(reactor),
      connector_(connector),
      endpoints_(std::move(endpoints)),
      local_address_(std::move(local_address)),
      done_(std::move(done)),
      stagger_([this] { start_next(); }) {
  XMPP_ASSERT(!endpoints_.empty());
  reactor_.timers().set(stagger_, reactor_.now());
}

Dialer::~Dialer() {
  while (!attempts_.empty()) drop(attempts_.front());
}

void Dialer::start_next() {
  while (next_ < endpoints_.size()) {
    const std::size_t index = next_++;
    auto channel = connector_.start(endpoints_[index].address, local_address_);
    if (!channel) {
      last_error_ = std::move(channel).error();
      continue;
    }
    Attempt& attempt = attempts_.emplace_back(Attempt{this, index, std::move(channel).value(), {}});
    attempt.watch.on_ready = &Dialer::on_ready;
    attempt.watch.self = &attempt;
    reactor_.watch(*attempt.channel, attempt.watch);
    if (next_ < endpoints_.size()) reactor_.timers().set(stagger_, reactor_.now() + kStagger);
    return;
  }
  stagger_.cancel();
  if (attempts_.empty()) finish(Err(std::move(last_error_)));
}

void Dialer::on_ready(void* self, Readiness readiness) {
  auto& attempt = *static_cast<Attempt*>(self);
  if (!has(readiness, Readiness::writable) && !has(readiness, Readiness::hangup)) return;
  attempt.dialer->on_result(attempt);
}

void Dialer::on_result(Attempt& attempt) {
  const int code = connector_.result(*attempt.channel);
  if (code != 0) {
    last_error_ = {code, "connect " + endpoints_[attempt.endpoint].address + ": " +
                             std::generic_category().message(code)};
    drop(attempt);
    start_next();
    return;
  }
  Connected connected{std::move(attempt.channel), endpoints_[attempt.endpoint]};
  reactor_.unwatch(*connected.channel, attempt.watch);
  std::erase_if(attempts_, [&](const Attempt& other) { return &other == &attempt; });
  while (!attempts_.empty()) drop(attempts_.front());
  finish(std::move(connected));
}

void Dialer::drop(Attempt& attempt) noexcept {
  reactor_.unwatch(*attempt.channel, attempt.watch);
  std::erase_if(attempts_, [&](const Attempt& other) { return &other == &attempt; });
}

void Dialer::finish(Result<Connected, SocketError> result) {
  stagger_.cancel();
  // Answering may destroy us.
  const Done done = std::move(done_);
  done(std::move(result));
}

}  // namespace xmpp::net
