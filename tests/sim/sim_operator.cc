#include "sim/sim_operator.h"

#include <utility>

#include "core/module_manager.h"
#include "sim/sim_workload.h"
#include "xmpp/core/namespaces.h"

namespace sim {

using xmpp::Jid;
using xmpp::Stanza;
using xmpp::StanzaType;

namespace {

constexpr const char* kProfile = "default";
constexpr std::string_view kId = "op-ask";
constexpr std::size_t kReloadOneIn = 4;

std::string address_of(const TightLimits& limits) {
  return "mailto:abuse" + std::to_string(limits.revision) + "@localhost";
}

}  // namespace

Operator::Operator(const Stage& stage, std::shared_ptr<Console> console, std::uint64_t seed)
    : stage_(stage), console_(std::move(console)), current_(stage.limits) {
  stage_.world.add_account("asker@localhost");
  asker_ = std::make_unique<SimUser>(stage_.world, stage_.transcript, "a",
                                     Jid::from_prepared("asker@localhost/r"), seed * 100 + 98);
  asker_->on_stanza = [this](SimUser&, const Stanza& stanza) {
    if (stanza.id() != std::string(kId) + std::to_string(asked_)) return;
    std::string text;
    xmpp::write_stanza(text, stanza, xmpp::ns::client);
    if (!expected_.empty() && text.find(expected_) == std::string::npos) {
      stage_.fail("after a reload there is no " + expected_ + " in " + text);
    }
    expected_.clear();
  };
}

void Operator::act() {
  if (console_->is_busy() || stage_.pick(kReloadOneIn) != 0) return;
  if (stage_.world.may_reload && stage_.pick(3) != 0) {
    reload_module();
  } else {
    reload_config();
  }
}

void Operator::reload_module() {
  const auto running = stage_.world.server().modules().running(kProfile);
  const std::string& name = running[stage_.pick(running.size())];
  ++stage_.world.reloads;
  console_->reload_module(kProfile, name, [this, name](const xmppd::CommandResult& outcome) {
    if (!outcome) stage_.fail("reload of " + name + ": " + outcome.error().text);
    ++stage_.world.reloads;
  });
}

void Operator::reload_config() {
  TightLimits wanted = current_;
  std::string config;
  const std::size_t dice = stage_.pick(4);
  if (dice < 2) wanted.server.stanza_bytes_unauthenticated = 30'000 + stage_.pick(2'000);
  if (dice < 2 && stage_.world.may_reload) {
    ++wanted.revision;
    wanted.request_every = 4 + stage_.pick(2);
  }
  const bool is_wrong = dice == 3;
  config = config_of(wanted);
  if (is_wrong) {
    wanted = current_;
    config += stage_.pick(2) == 0 ? "[limits\n" : "profile = \"nobody\"\n";
  }
  stage_.world.write_config(config);
  const bool is_replacing = wanted.revision != current_.revision;
  if (is_replacing) ++stage_.world.reloads;
  console_->run("config.reload", {}, [this, wanted, is_wrong, is_replacing](const auto& outcome) {
    if (is_replacing) ++stage_.world.reloads;
    if (outcome.has_value() == is_wrong) {
      stage_.fail(is_wrong ? "a wrong configuration was accepted"
                           : "reload of the configuration: " + outcome.error().text);
    }
    current_ = wanted;
    if (stage_.world.server().limits().stanza_bytes_unauthenticated !=
        wanted.server.stanza_bytes_unauthenticated) {
      stage_.fail("the limits are not those of the configuration that was reloaded");
    }
    ask();
  });
}

// What the server says of itself: an option of a module.
void Operator::ask() {
  if (!asker_->is_bound()) return;
  expected_ = address_of(current_);
  auto stanza = Stanza::iq(StanzaType::get, Jid::from_prepared("localhost"),
                           std::string(kId) + std::to_string(++asked_));
  const auto document =
      xmpp::xml::Document::parse("<query xmlns='http://jabber.org/protocol/disco#info'/>");
  stanza.add(xmpp::Payload(document->root()));
  asker_->send(stanza);
}

void Operator::gather() {
  if (!asker_->is_connected()) asker_->connect(LinkQuality{});
}

void Operator::check() {
  if (console_->is_busy()) stage_.fail("a reload does not end");
  if (!expected_.empty()) stage_.fail("a got no answer after a reload");
  expected_.clear();
}

void Operator::leave() {
  if (asker_->is_bound()) asker_->close();
}

}  // namespace sim
