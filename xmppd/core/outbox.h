// Outbox: the mail that one worker collected for the others in this turn. Published at the end of the turn,
// one compare-exchange per destination (architecture (a), "Mailbox").
//
// Thread-safety: its worker only. Invariant: mail for one destination keeps its order.
#pragma once

#include <cstddef>
#include <vector>

#include "xmpp/net/reactor.h"

namespace xmppd {

class Outbox {
 public:
  explicit Outbox(std::size_t destinations) : chains_(destinations) {}
  ~Outbox() {
    for (Chain& chain : chains_) {
      for (auto* mail = chain.newest; mail != nullptr;) {
        auto* next = mail == chain.oldest ? nullptr : mail->next;
        mail->act(mail, false);
        mail = next;
      }
    }
  }
  Outbox(const Outbox&) = delete;
  Outbox& operator=(const Outbox&) = delete;

  void add(std::size_t destination, xmpp::net::Mail* mail) noexcept {
    Chain& chain = chains_[destination];
    mail->next = chain.newest;
    if (chain.oldest == nullptr) chain.oldest = mail;
    chain.newest = mail;
    ++chain.count;
  }
  // `reactor_of(index)` gives the destination's reactor.
  template <typename F>
  void publish(F&& reactor_of) noexcept {
    for (std::size_t i = 0; i < chains_.size(); ++i) {
      Chain& chain = chains_[i];
      if (chain.newest == nullptr) continue;
      xmpp::net::Reactor& reactor = reactor_of(i);
      reactor.post_chain(chain.newest, chain.oldest, chain.count);
      chain = {};
    }
  }

 private:
  struct Chain {
    xmpp::net::Mail* newest = nullptr;
    xmpp::net::Mail* oldest = nullptr;
    std::size_t count = 0;
  };
  std::vector<Chain> chains_;
};

}  // namespace xmppd
