// Greets whoever asks: an iq get with <hello xmlns='urn:example:hello'/> to the domain is answered
// with a greeting, and each session is told how often it has asked.
#include <cstdint>
#include <optional>
#include <string>

#include "xmppd/module.h"

namespace hello {

using namespace xmppd;

// The payload, request and answer alike.
struct Hello {
  std::optional<std::uint64_t> times;
  std::string text;
  static constexpr auto codec =
      xmpp::xml::element("urn:example:hello", "hello", xmpp::xml::attr("times", &Hello::times),
                         xmpp::xml::text(&Hello::text));
};

// What is kept of a session; save() and restore() take it through a reload of the module.
struct Asked {
  static constexpr std::string_view kSlotName = "asked";
  std::string save() const { return std::to_string(times); }
  static std::optional<Asked> restore(std::string_view saved) {
    Asked asked;
    for (const char digit : saved) {
      if (digit < '0' || digit > '9') return std::nullopt;
      asked.times = asked.times * 10 + static_cast<unsigned>(digit - '0');
    }
    return asked;
  }
  std::uint64_t times = 0;
};

class HelloModule final : public Module {
 public:
  void attach(Scope& scope) override {
    asked_ = scope.session_slot<Asked>();
    scope.feature("urn:example:hello");
    scope.on_iq<Hello>(Target::host, IqKind::get,
                       [this](IqCall& call, const Hello&) { return greet(call); });
  }

 private:
  IqReply greet(IqCall& call) {
    Hello answer;
    answer.text = *greeting_;
    // Requests to the domain are answered on the worker that has the session.
    if (call.session != nullptr) answer.times = ++(*call.session)[asked_].times;
    return IqReply::with(answer);
  }

  Option<std::string> greeting_{*this, "greeting", "Hello!", {}, "What everybody is told."};
  SessionSlot<Asked> asked_;
};
XMPPD_MODULE(HelloModule, {.name = "hello", .summary = "Greets whoever asks"});

}  // namespace hello
