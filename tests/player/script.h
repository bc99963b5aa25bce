// Script: a play as written: what the world is like, who takes part, what happens, line by line.
// docs/testing.md describes the language.
//
// Thread-safety: plain data.
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "xmpp/base/time.h"

namespace play {

struct Account {
  std::string jid;
  std::string password;
};

struct Actor {
  std::string name;
  std::string jid;  // bare, or full to ask for a resource
  std::string password;
  std::string mechanism;  // empty: the best
};

enum class Verb : std::uint8_t {
  connects,                // logs in and binds
  connects_without_login,  // stops before authentication
  logs_in,                 // goes on
  fails_to_connect,        // with the condition `text`
  comes_online,            // connects, sends presence, receives it back; `text` is the priority
  resumes,                 // connects and resumes the stream `text`: "ID with h N"
  fails_to_resume,         // the same, but a resource is bound instead
  opens_connection,        // nothing is negotiated
  sends,                   // the stanza `text`
  raw,                     // the bytes `text`
  receives,                // the next stanza matches `text`
  receives_any_order,      // the next stanzas match `items`
  receives_nothing,        // for `time`
  receives_stream_error,   // with the condition `text`
  is_disconnected,         // by the server
  disconnects,             // in order
  is_cut_off,              // without a word
  time_passes,             // nobody's; `time`
  server_restarts,         // nobody's: it stops without a word, and another takes its place
};

struct Step {
  int line = 0;
  Verb verb;
  std::string actor;
  std::string text;
  std::vector<std::string> items;
  xmpp::Duration time{};
};

struct Script {
  std::string file;
  std::string title;
  std::string config;  // TOML
  std::vector<Account> accounts;
  std::vector<Actor> actors;
  std::vector<Step> steps;
};

// "file:line: what is wrong"
class ScriptError : public std::runtime_error {
 public:
  ScriptError(const std::string& file, int line, const std::string& text)
      : std::runtime_error(file + ":" + std::to_string(line) + ": " + text) {}
};

// Throws ScriptError.
[[nodiscard]] Script parse_script(std::string_view text, const std::string& file);

}  // namespace play
