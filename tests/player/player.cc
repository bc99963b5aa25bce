#include "player/player.h"

#include <algorithm>

namespace play {
namespace {

constexpr xmpp::Duration kPatience = std::chrono::seconds(20);
// How long stanzas that nobody expects have to show up.
constexpr xmpp::Duration kEpilogue = std::chrono::milliseconds(100);

std::string describe(const Notice& notice) {
  switch (notice.kind) {
    case Notice::Kind::stanza:
      return notice.text;
    case Notice::Kind::stream_error:
      return "stream error " + notice.text;
    case Notice::Kind::ended:
      break;
  }
  return "the end of the connection (" + notice.text + ")";
}

// Known names filled in, so that the diff shows what was really expected.
std::string shown(const std::string& pattern, const Bindings& bindings) {
  std::string error;
  const auto tree = parse_xml(substitute(pattern, bindings), error);
  return tree ? pretty(*tree) : pattern + "\n";
}

}  // namespace

bool can_perform(const Script& script, const Stage& stage) {
  return stage.has_plain_wire() ||
         std::none_of(script.steps.begin(), script.steps.end(),
                      [](const Step& step) { return step.verb == Verb::opens_connection; });
}

Player::Player(const Script& script, Stage& stage) : script_(script), stage_(stage) {
  for (const Account& account : script.accounts) stage_.add_account(account);
  for (const Actor& actor : script.actors) {
    performers_[actor.name] = std::make_unique<Performer>(stage_, actor);
    bindings_[actor.name] = actor.jid;
  }
}

void Player::perform() {
  for (const Step& step : script_.steps) {
    try {
      perform(step);
    } catch (const PlayFailure&) {
      throw;
    } catch (const std::exception& error) {
      fail(step, error.what());
    }
  }
  expect_no_rest();
}

void Player::perform(const Step& step) {
  if (step.verb == Verb::time_passes) {
    wait_for(step.time);
    return;
  }
  if (step.verb == Verb::server_restarts) {
    stage_.restart_server();
    return;
  }
  Performer& performer = *performers_.at(step.actor);
  switch (step.verb) {
    case Verb::connects:
    case Verb::connects_without_login:
    case Verb::logs_in:
    case Verb::fails_to_connect:
      connect(step, performer);
      break;
    case Verb::comes_online:
      come_online(step, performer);
      break;
    case Verb::resumes:
    case Verb::fails_to_resume:
      resume(step, performer);
      break;
    case Verb::opens_connection:
      performer.open_bare();
      break;
    case Verb::sends:
    case Verb::raw:
      performer.send(substitute(step.text, bindings_));
      break;
    case Verb::receives:
      expect(step, performer, step.text);
      break;
    case Verb::receives_any_order:
      expect_any_order(step, performer);
      break;
    case Verb::receives_nothing:
      expect_silence(step, performer);
      break;
    case Verb::receives_stream_error:
      expect_notice(step, performer, Notice::Kind::stream_error, step.text);
      break;
    case Verb::is_disconnected:
      expect_notice(step, performer, Notice::Kind::ended, {});
      break;
    case Verb::disconnects:
      performer.close();
      expect_notice(step, performer, Notice::Kind::ended, {});
      break;
    case Verb::is_cut_off:
      performer.drop();
      break;
    case Verb::time_passes:
    case Verb::server_restarts:
      break;
  }
}

void Player::connect(const Step& step, Performer& performer) {
  const bool pauses = step.verb == Verb::connects_without_login;
  if (step.verb == Verb::logs_in) {
    if (!performer.is_waiting_for_login()) fail(step, step.actor + " is not waiting to log in");
    performer.log_in();
  } else {
    performer.connect(pauses);
  }
  const bool is_done = wait_until([&] {
    return performer.is_bound() || !performer.failure().empty() ||
           (pauses && performer.is_waiting_for_login());
  });
  if (step.verb == Verb::fails_to_connect) {
    if (performer.failure() != step.text) {
      fail(step,
           step.actor + (performer.failure().empty()
                             ? " connected instead of failing with " + step.text
                             : " failed with " + performer.failure() + ", not with " + step.text));
    }
    (void)wait_until([&] {
      return !performer.inbox().empty() && performer.inbox().back().kind == Notice::Kind::ended;
    });
    performer.inbox().clear();
    return;
  }
  if (!is_done || !performer.failure().empty()) {
    fail(step, step.actor + " cannot connect: " +
                   (performer.failure().empty() ? "no answer" : performer.failure()));
  }
  if (performer.is_bound()) bindings_[step.actor] = std::string(performer.jid().str());
}

void Player::resume(const Step& step, Performer& performer) {
  const std::string text = substitute(step.text, bindings_);
  constexpr std::string_view kWith = " with h ";
  const auto at = text.find(kWith);
  if (at == std::string::npos) fail(step, "ID with h N is expected");
  performer.connect(false,
                    xmpp::StreamPolicy::Resumption{
                        text.substr(0, at),
                        static_cast<std::uint32_t>(std::stoul(text.substr(at + kWith.size()))),
                        {}});
  (void)wait_until([&] { return performer.is_bound() || !performer.failure().empty(); });
  const bool wanted = step.verb == Verb::resumes;
  if (!performer.failure().empty()) {
    // A stream error is left for the steps that follow.
    if (wanted) fail(step, step.actor + " cannot connect: " + performer.failure());
  } else if (!performer.is_bound() || performer.has_resumed() != wanted) {
    fail(step, step.actor + (performer.has_resumed() ? " resumed" : " did not resume"));
  }
}

void Player::come_online(const Step& step, Performer& performer) {
  connect(step, performer);
  const bool has_priority = !step.text.empty();
  performer.send(has_priority ? "<presence><priority>" + step.text + "</priority></presence>"
                              : "<presence/>");
  // What other sessions say meanwhile stays for the steps that follow.
  std::string error;
  const auto echo = parse_xml("<presence from='{" + step.actor + "}'>...</presence>", error);
  auto& inbox = performer.inbox();
  const bool has_come = wait_until([&] {
    const auto found = std::find_if(inbox.begin(), inbox.end(), [&](const Notice& notice) {
      const auto received = parse_xml(notice.text, error);
      return notice.kind == Notice::Kind::stanza && received &&
             matches(*echo, *received, bindings_);
    });
    if (found == inbox.end()) return false;
    inbox.erase(found);
    return true;
  });
  if (!has_come) fail(step, step.actor + " did not receive its own presence");
}

Notice Player::next(const Step& step, Performer& performer, const std::string& wanted) {
  if (!wait_until([&] { return !performer.inbox().empty(); })) {
    fail(step, step.actor + " received nothing, expected\n" + wanted);
  }
  Notice notice = std::move(performer.inbox().front());
  performer.inbox().pop_front();
  return notice;
}

void Player::expect(const Step& step, Performer& performer, const std::string& pattern) {
  const std::string wanted = shown(pattern, bindings_);
  const Notice notice = next(step, performer, wanted);
  if (notice.kind != Notice::Kind::stanza) {
    fail(step, step.actor + " received " + describe(notice) + ", expected\n" + wanted);
  }
  std::string error;
  const auto expected = parse_xml(pattern, error);
  const auto received = parse_xml(notice.text, error);
  if (!received) fail(step, "the server sent what Expat refuses (" + error + "): " + notice.text);
  if (!matches(*expected, *received, bindings_)) {
    fail(step, step.actor + " received something else (- expected, + received):\n" +
                   diff(wanted, pretty(*received)));
  }
}

void Player::expect_any_order(const Step& step, Performer& performer) {
  std::vector<std::string> left = step.items;
  while (!left.empty()) {
    std::string wanted;
    for (const std::string& item : left) wanted += shown(item, bindings_);
    const Notice notice = next(step, performer, wanted);
    std::string error;
    const auto received = parse_xml(notice.text, error);
    const auto found = std::find_if(left.begin(), left.end(), [&](const std::string& item) {
      return notice.kind == Notice::Kind::stanza && received &&
             matches(*parse_xml(item, error), *received, bindings_);
    });
    if (found == left.end()) {
      fail(step, step.actor + " received something else (- expected, + received):\n" +
                     diff(wanted, received ? pretty(*received) : describe(notice)));
    }
    left.erase(found);
  }
}

void Player::expect_silence(const Step& step, Performer& performer) {
  wait_for(step.time / stage_.haste());
  if (performer.inbox().empty()) return;
  fail(step,
       step.actor + " received " + describe(performer.inbox().front()) + ", expected nothing");
}

void Player::expect_notice(const Step& step, Performer& performer, Notice::Kind kind,
                           const std::string& text) {
  const std::string wanted =
      kind == Notice::Kind::ended ? "the end of the connection" : "stream error " + text;
  const Notice notice = next(step, performer, wanted);
  if (notice.kind != kind || (!text.empty() && notice.text != text)) {
    fail(step, step.actor + " received " + describe(notice) + ", expected " + wanted);
  }
}

void Player::expect_no_rest() {
  wait_for(kEpilogue);
  for (auto& [name, performer] : performers_) {
    for (const Notice& notice : performer->inbox()) {
      if (notice.kind == Notice::Kind::ended) continue;
      throw PlayFailure(script_.file + ": after the last line: " + name + " received " +
                        describe(notice) + ", which the play does not expect");
    }
  }
}

void Player::wait_for(xmpp::Duration time) {
  const auto end = stage_.now() + time;
  while (stage_.now() < end) stage_.turn(end);
}

template <typename Done>
bool Player::wait_until(Done done) {
  const auto end = stage_.now() + kPatience;
  while (!done()) {
    if (stage_.now() >= end) return false;
    stage_.turn(end);
  }
  return true;
}

void Player::fail(const Step& step, const std::string& text) const {
  throw PlayFailure(script_.file + ":" + std::to_string(step.line) + ": " + text);
}

}  // namespace play
