#include "command_line.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <set>
#include <utility>

#include "render.h"

namespace xmppctl {
namespace {

// Options that are followed by a value.
std::set<std::string> options_with_value(const Catalogue& catalogue) {
  std::set<std::string> names = {"--socket", "--timeout"};
  for (const auto& command : catalogue) {
    for (const auto& argument : command.arguments) {
      if (argument.is_option && argument.type != "boolean") names.insert("--" + argument.name);
    }
  }
  return names;
}

struct Sorted {
  std::vector<std::string> words;    // neither options nor their values, in order
  std::vector<std::string> options;  // with their values
  bool has_mark = false;             // "--" was given
};

Sorted sort_arguments(const std::vector<std::string>& arguments,
                      const std::set<std::string>& with_value) {
  Sorted sorted;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const auto& argument = arguments[i];
    if (argument == "--" && !sorted.has_mark) {
      sorted.has_mark = true;
    } else if (sorted.has_mark || argument.size() < 2 || argument.front() != '-') {
      sorted.words.push_back(argument);
    } else {
      // Name and value apart: CLI11 takes "--name=" for an option whose value follows.
      const auto equals = argument.find('=');
      const std::string name = argument.substr(0, equals);
      if (equals != std::string::npos && with_value.contains(name)) {
        sorted.options.push_back(name);
        sorted.options.push_back(argument.substr(equals + 1));
        continue;
      }
      sorted.options.push_back(argument);
      if (with_value.contains(argument) && i + 1 < arguments.size()) {
        sorted.options.push_back(arguments[++i]);
      }
    }
  }
  return sorted;
}

std::string did_you_mean(const std::string& name, const std::vector<std::string>& known) {
  const auto found = nearest(name, known);
  return found ? "; did you mean " + *found + "?" : std::string();
}

// Complains about a command that does not exist; empty: it does, or none is given.
std::string check_words(const std::vector<std::string>& words, const Catalogue& catalogue) {
  if (words.empty() || words[0] == "completion") return {};
  std::vector<std::string> first = {"completion"};
  std::vector<std::string> second;
  bool is_whole = false;
  for (const auto& command : catalogue) {
    is_whole = is_whole || (command.group.empty() && command.name == words[0]);
    first.push_back(command.group.empty() ? command.name : command.group);
    if (command.group == words[0]) second.push_back(command.name);
  }
  if (is_whole) return {};
  if (second.empty()) return "no command " + printable(words[0]) + did_you_mean(words[0], first);
  if (words.size() < 2 || std::find(second.begin(), second.end(), words[1]) != second.end()) {
    return {};
  }
  return "no command " + words[0] + ' ' + printable(words[1]) + did_you_mean(words[1], second);
}

}  // namespace

GlobalOptions scan_globals(const std::vector<std::string>& arguments) {
  GlobalOptions globals;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const auto& argument = arguments[i];
    if (argument == "--") {
      globals.has_words = globals.has_words || i + 1 < arguments.size();
      break;
    }
    if (argument == "--socket") {
      if (i + 1 < arguments.size()) globals.socket = arguments[++i];
    } else if (argument.starts_with("--socket=")) {
      globals.socket = argument.substr(std::string("--socket=").size());
    } else if (argument == "--timeout") {
      ++i;  // what it says is read with the command
    } else if (argument == "--json") {
      globals.is_json = true;
    } else if (argument == "--help" || argument == "-h") {
      globals.wants_help = true;
    } else if (argument == "--version") {
      globals.wants_version = true;
    } else if (!argument.starts_with("-")) {
      globals.has_words = true;
    }
  }
  return globals;
}

xmpp::Result<std::vector<std::string>, UsageError> order_arguments(
    const std::vector<std::string>& arguments, const Catalogue& catalogue) {
  const auto sorted = sort_arguments(arguments, options_with_value(catalogue));
  if (auto complaint = check_words(sorted.words, catalogue); !complaint.empty()) {
    return xmpp::Err(UsageError{std::move(complaint)});
  }
  // The command first, then its options, then its words: CLI11 knows a command's options only
  // behind it.
  const bool has_group =
      !sorted.words.empty() &&
      std::any_of(catalogue.begin(), catalogue.end(), [&](const Command& command) {
        return !command.group.empty() && command.group == sorted.words[0];
      });
  const std::size_t depth = std::min<std::size_t>(sorted.words.size(), has_group ? 2 : 1);
  const auto middle = sorted.words.begin() + static_cast<std::ptrdiff_t>(depth);
  std::vector<std::string> ordered(sorted.words.begin(), middle);
  ordered.insert(ordered.end(), sorted.options.begin(), sorted.options.end());
  if (sorted.has_mark) ordered.emplace_back("--");
  ordered.insert(ordered.end(), middle, sorted.words.end());
  return ordered;
}

std::string bash_completion(const Catalogue& catalogue) {
  std::string first = "completion";
  std::map<std::string, std::string> seconds;
  std::string rules;
  std::string valued;
  for (const auto& name : options_with_value(catalogue))
    valued += (valued.empty() ? "" : "|") + name;
  for (const auto& command : catalogue) {
    if (command.group.empty()) {
      first += ' ' + command.name;
    } else {
      auto& names = seconds[command.group];
      if (names.empty()) first += ' ' + command.group;
      names += (names.empty() ? "" : " ") + command.name;
    }
    std::string options = "--json --socket --timeout --help";
    for (const auto& argument : command.arguments) {
      if (argument.is_option || argument.type == "boolean") options += " --" + argument.name;
      if (argument.type == "new-password") options += " --" + argument.name + "-stdin";
    }
    const auto words =
        command.group.empty() ? command.name + ' ' : command.group + ' ' + command.name;
    rules += "    \"" + words + "\"*) candidates=\"" + options + "\" ;;\n";
  }
  std::string groups;
  for (const auto& [group, names] : seconds) {
    groups += "    \"" + group + " \") candidates=\"" + names + " --help\" ;;\n";
  }
  return "# bash completion for xmppctl, made from the server's catalogue; use it with\n"
         "#   source <(xmppctl completion bash)\n"
         "_xmppctl() {\n"
         "  local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]}\n"
         "  local first= second= candidates= i\n"
         "  COMPREPLY=()\n"
         "  if [[ $previous == --socket ]]; then\n"
         "    COMPREPLY=($(compgen -f -- \"$current\"))\n"
         "    return\n"
         "  fi\n"
         "  for ((i = 1; i < COMP_CWORD; i++)); do\n"
         "    case ${COMP_WORDS[i]} in\n"
         "      " +
         valued +
         ") ((i++)) ;;\n"
         "      -*) ;;\n"
         "      *) if [[ -z $first ]]; then first=${COMP_WORDS[i]}\n"
         "         elif [[ -z $second ]]; then second=${COMP_WORDS[i]}; fi ;;\n"
         "    esac\n"
         "  done\n"
         "  case \"$first $second\" in\n"
         "    \" \") candidates=\"" +
         first +
         " --json --socket --timeout --help --version\" ;;\n"
         "    \"completion \") candidates=\"bash\" ;;\n" +
         groups + rules +
         "  esac\n"
         "  COMPREPLY=($(compgen -W \"$candidates\" -- \"$current\"))\n"
         "}\n"
         "complete -F _xmppctl xmppctl\n";
}

std::optional<std::string> nearest(const std::string& name, const std::vector<std::string>& known) {
  std::optional<std::string> best;
  std::size_t best_distance = std::max<std::size_t>(2, name.size() / 2) + 1;
  for (const auto& candidate : known) {
    // Levenshtein's distance, one row at a time.
    std::vector<std::size_t> row(candidate.size() + 1);
    std::iota(row.begin(), row.end(), 0U);
    for (std::size_t i = 1; i <= name.size(); ++i) {
      std::size_t diagonal = std::exchange(row[0], i);
      for (std::size_t j = 1; j <= candidate.size(); ++j) {
        const std::size_t cost = name[i - 1] == candidate[j - 1] ? 0 : 1;
        diagonal = std::exchange(row[j], std::min({row[j] + 1, row[j - 1] + 1, diagonal + cost}));
      }
    }
    if (row.back() >= best_distance) continue;
    best_distance = row.back();
    best = candidate;
  }
  return best;
}

}  // namespace xmppctl
