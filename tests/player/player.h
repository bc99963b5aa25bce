// Player: performs a script on a stage. After the last step every stanza must have been expected by
// somebody.
//
// Thread-safety: one thread.
#pragma once

#include <map>
#include <memory>
#include <stdexcept>
#include <string>

#include "player/performer.h"
#include "player/script.h"
#include "player/stage.h"
#include "player/xml_tree.h"

namespace play {

// "file:line: ..." with what was expected and what came.
class PlayFailure : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// Bare connections need a wire without TLS.
[[nodiscard]] bool can_perform(const Script& script, const Stage& stage);

class Player {
 public:
  Player(const Script& script, Stage& stage);
  // Throws PlayFailure.
  void perform();

 private:
  void perform(const Step& step);
  void connect(const Step& step, Performer& performer);
  void resume(const Step& step, Performer& performer);
  void come_online(const Step& step, Performer& performer);
  void expect(const Step& step, Performer& performer, const std::string& pattern);
  void expect_any_order(const Step& step, Performer& performer);
  void expect_silence(const Step& step, Performer& performer);
  void expect_notice(const Step& step, Performer& performer, Notice::Kind kind,
                     const std::string& text);
  void expect_no_rest();
  // The next notice; waits for it.
  [[nodiscard]] Notice next(const Step& step, Performer& performer, const std::string& wanted);
  void wait_for(xmpp::Duration time);
  template <typename Done>
  [[nodiscard]] bool wait_until(Done done);
  [[noreturn]] void fail(const Step& step, const std::string& text) const;

  const Script& script_;
  Stage& stage_;
  std::map<std::string, std::unique_ptr<Performer>> performers_;
  Bindings bindings_;
};

}  // namespace play
