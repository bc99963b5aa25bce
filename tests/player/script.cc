#include "player/script.h"

#include <algorithm>
#include <optional>

#include "player/xml_tree.h"

namespace play {
namespace {

constexpr std::string_view kPassword = "secret";

std::string_view trim(std::string_view text) {
  const auto from = text.find_first_not_of(" \t\r");
  if (from == std::string_view::npos) return {};
  return text.substr(from, text.find_last_not_of(" \t\r") - from + 1);
}

// A line with what is indented below it.
struct Paragraph {
  int line = 0;
  std::string head;
  std::vector<std::string> body;
};

std::vector<Paragraph> split(std::string_view text, const std::string& file) {
  std::vector<Paragraph> paragraphs;
  int number = 0;
  while (!text.empty()) {
    const auto end = std::min(text.find('\n'), text.size());
    const auto line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    ++number;
    const auto content = trim(line);
    if (content.empty() || content.starts_with('#')) continue;
    if (line.front() == ' ' || line.front() == '\t') {
      if (paragraphs.empty()) throw ScriptError(file, number, "an indented line continues nothing");
      paragraphs.back().body.emplace_back(content);
    } else {
      paragraphs.push_back({number, std::string(content), {}});
    }
  }
  return paragraphs;
}

// Markup that goes over several lines: no white space between tags, a space between words.
std::string join(std::string_view first, const std::vector<std::string>& rest) {
  std::string out(trim(first));
  for (const std::string& line : rest) {
    if (!out.empty() && !out.ends_with('>') && !line.starts_with('<')) out += ' ';
    out += line;
  }
  return out;
}

// \n, \r, \t, \\ and \xHH.
std::string unescape(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\' || i + 1 == text.size()) {
      out += text[i];
      continue;
    }
    const char kind = text[++i];
    if (kind == 'x' && i + 2 < text.size() + 0) {
      out += static_cast<char>(std::stoi(std::string(text.substr(i + 1, 2)), nullptr, 16));
      i += 2;
    } else {
      out += kind == 'n' ? '\n' : kind == 'r' ? '\r' : kind == 't' ? '\t' : kind;
    }
  }
  return out;
}

// What stands in quotes after `key`, if anything does.
std::string quoted(std::string_view line, std::string_view key, std::string_view otherwise) {
  const auto at = line.find(std::string(key) + " \"");
  if (at == std::string_view::npos) return std::string(otherwise);
  const auto from = at + key.size() + 2;
  return std::string(line.substr(from, line.find('"', from) - from));
}

struct Phrase {
  std::string_view text;
  Verb verb;
  enum class Takes : std::uint8_t { nothing, text, markup, bytes, list, time, number } takes;
};
using Takes = Phrase::Takes;
// Longer phrases before those that they begin with.
constexpr Phrase kPhrases[] = {
    {"connects without logging in", Verb::connects_without_login, Takes::nothing},
    {"connects", Verb::connects, Takes::nothing},
    {"logs in", Verb::logs_in, Takes::nothing},
    {"fails to connect:", Verb::fails_to_connect, Takes::text},
    {"comes online with priority", Verb::comes_online, Takes::number},
    {"comes online", Verb::comes_online, Takes::nothing},
    {"resumes", Verb::resumes, Takes::text},
    {"fails to resume", Verb::fails_to_resume, Takes::text},
    {"opens a connection", Verb::opens_connection, Takes::nothing},
    {"sends:", Verb::sends, Takes::markup},
    {"raw:", Verb::raw, Takes::bytes},
    {"receives in any order:", Verb::receives_any_order, Takes::list},
    {"receives nothing for", Verb::receives_nothing, Takes::time},
    {"receives stream error:", Verb::receives_stream_error, Takes::text},
    {"receives:", Verb::receives, Takes::markup},
    {"is disconnected", Verb::is_disconnected, Takes::nothing},
    {"disconnects", Verb::disconnects, Takes::nothing},
    {"is cut off", Verb::is_cut_off, Takes::nothing},
};

void check_markup(const Script& script, int line, const std::string& text) {
  std::string error;
  if (!parse_xml(text, error)) throw ScriptError(script.file, line, error + " in " + text);
}

xmpp::Duration parse_time(const Script& script, int line, std::string_view text) {
  const auto time = xmpp::parse_duration(trim(text));
  if (!time) throw ScriptError(script.file, line, "a time like 500ms, 1s or 5m is expected");
  return *time;
}

Step parse_step(const Script& script, const Paragraph& paragraph) {
  const std::string_view head = paragraph.head;
  const auto fail = [&](const std::string& text) -> ScriptError {
    return {script.file, paragraph.line, text};
  };
  Step step;
  step.line = paragraph.line;
  if (head.starts_with("time passes")) {
    step.verb = Verb::time_passes;
    step.time = parse_time(script, step.line, head.substr(std::string_view("time passes").size()));
    return step;
  }
  if (head == "server restarts") {
    step.verb = Verb::server_restarts;
    return step;
  }
  const auto space = std::min(head.find(' '), head.size());
  step.actor = std::string(head.substr(0, space));
  if (std::none_of(script.actors.begin(), script.actors.end(),
                   [&](const Actor& actor) { return actor.name == step.actor; })) {
    throw fail("no client is called '" + step.actor + "'");
  }
  const auto action = trim(head.substr(space));
  const auto phrase = std::find_if(std::begin(kPhrases), std::end(kPhrases),
                                   [&](const Phrase& p) { return action.starts_with(p.text); });
  if (phrase == std::end(kPhrases)) throw fail("nobody knows how to '" + std::string(action) + "'");
  const auto rest = trim(action.substr(phrase->text.size()));
  step.verb = phrase->verb;
  switch (phrase->takes) {
    case Takes::nothing:
      if (!rest.empty()) throw fail("unexpected: " + std::string(rest));
      break;
    case Takes::text:
    case Takes::number:
      step.text = std::string(rest);
      break;
    case Takes::time:
      step.time = parse_time(script, step.line, rest);
      break;
    case Takes::bytes:
      step.text = unescape(join(rest, paragraph.body));
      break;
    case Takes::markup:
      step.text = join(rest, paragraph.body);
      check_markup(script, step.line, step.text);
      break;
    case Takes::list:
      step.items = paragraph.body;
      for (const std::string& item : step.items) check_markup(script, step.line, item);
      break;
  }
  return step;
}

}  // namespace

Script parse_script(std::string_view text, const std::string& file) {
  Script script;
  script.file = file;
  for (const Paragraph& paragraph : split(text, file)) {
    const std::string_view head = paragraph.head;
    if (head.starts_with("play ")) {
      script.title = quoted(head, "play", "");
    } else if (head == "config:") {
      for (const std::string& line : paragraph.body) script.config += line + "\n";
    } else if (head.starts_with("account ")) {
      const auto rest = trim(head.substr(8));
      script.accounts.push_back(
          {std::string(rest.substr(0, rest.find(' '))), quoted(head, "password", kPassword)});
    } else if (head.starts_with("client ")) {
      const auto as = head.find(" as ");
      if (as == std::string_view::npos) {
        throw ScriptError(file, paragraph.line, "client NAME as JID is expected");
      }
      const auto jid = trim(head.substr(as + 4));
      script.actors.push_back({std::string(trim(head.substr(7, as - 7))),
                               std::string(jid.substr(0, jid.find(' '))),
                               quoted(head, "password", kPassword), quoted(head, "mechanism", "")});
    } else {
      script.steps.push_back(parse_step(script, paragraph));
    }
  }
  if (script.title.empty()) throw ScriptError(file, 1, "play \"what it shows\" is missing");
  return script;
}

}  // namespace play
