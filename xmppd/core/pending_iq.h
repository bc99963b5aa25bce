// PendingIq: a request that a task of a module answers later. It is known to the module's Scope, so
// that it is answered even if the module goes first; so it is if the addressed host does.
//
// Thread-safety: its worker only. Invariant: answered exactly once, unless the worker ends.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <utility>

#include "xmpp/core/stanza.h"
#include "xmppd/host.h"
#include "xmppd/iq.h"
#include "xmppd/module.h"

namespace xmppd {

class PendingIq {
 public:
  using Reply = std::function<void(xmpp::Stanza)>;

  PendingIq(Scope& scope, std::unique_ptr<IqCall> call, Reply reply)
      : scope_(scope),
        call_(std::move(call)),
        reply_(std::move(reply)),
        place_(scope.pending_.size()) {
    scope_.pending_.push_back(this);
  }
  ~PendingIq() {
    scope_.pending_[place_] = scope_.pending_.back();
    scope_.pending_[place_]->place_ = place_;
    scope_.pending_.pop_back();
    // As the router answers what comes later.
    if (!call_->host.is_served()) {
      answer(IqReply::error(xmpp::StanzaCondition::remote_server_not_found));
    }
  }
  PendingIq(const PendingIq&) = delete;
  PendingIq& operator=(const PendingIq&) = delete;

  [[nodiscard]] IqCall& call() noexcept { return *call_; }
  void answer(const IqReply& reply) {
    if (!reply_) return;
    const Reply to = std::exchange(reply_, nullptr);
    to(make_answer(call_->request, reply));
  }
  // Gives what answers service-unavailable in the module's stead; answer() does nothing any more.
  [[nodiscard]] std::function<void()> abandon() {
    if (!reply_) return [] {};
    return [to = std::exchange(reply_, nullptr),
            error = xmpp::make_error(call_->request, {xmpp::StanzaCondition::service_unavailable,
                                                      "The service was taken out of operation"})] {
      to(error);
    };
  }
  [[nodiscard]] static xmpp::Stanza make_answer(const xmpp::Stanza& request, const IqReply& reply) {
    if (reply.error()) return xmpp::make_error(request, *reply.error());
    auto answer = xmpp::make_result(request);
    if (reply.payload()) answer.add(*reply.payload());
    return answer;
  }

 private:
  Scope& scope_;
  std::unique_ptr<IqCall> call_;
  Reply reply_;
  std::size_t place_;
};

}  // namespace xmppd
