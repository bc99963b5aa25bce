// See core/config_reader.h.
#include "core/config_reader.h"

#include <algorithm>

namespace xmppd::config_detail {
namespace {

std::string in_quotes(std::string_view text) {
  return '"' + std::string(text) + '"';
}

// What a value says, for messages.
std::string shown(const toml::node& node) {
  if (const auto* text = node.as_string()) return in_quotes(text->get());
  if (const auto* number = node.as_integer()) return std::to_string(number->get());
  if (const auto* flag = node.as_boolean()) return flag->get() ? "true" : "false";
  return std::string(type_name(node));
}

}  // namespace

std::string_view type_name(const toml::node& node) {
  switch (node.type()) {
    case toml::node_type::table:
      return "a table";
    case toml::node_type::array:
      return "a list";
    case toml::node_type::string:
      return "a string";
    case toml::node_type::integer:
      return "an integer";
    case toml::node_type::floating_point:
      return "a fraction";
    case toml::node_type::boolean:
      return "a truth value";
    default:
      return "a date or time";
  }
}

std::string quote_key(std::string_view key) {
  const bool is_bare = !key.empty() && std::all_of(key.begin(), key.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-';
  });
  return is_bare ? std::string(key) : in_quotes(key);
}

ConfigPosition Reading::position(const toml::source_region& source) const {
  return {file, source.begin.line, source.begin.column};
}

void Reading::fail(ConfigPosition at, std::string key, std::string text) {
  errors.push_back({std::move(at), std::move(key), std::move(text)});
}

std::string TableReader::key(std::string_view name) const {
  return prefix_.empty() ? quote_key(name) : prefix_ + "." + quote_key(name);
}

ConfigPosition TableReader::position(std::string_view name) const {
  const toml::node* node = table_.get(name);
  return reading_.position(node == nullptr ? table_.source() : node->source());
}

const toml::node* TableReader::take(std::string_view name) {
  known_.emplace_back(name);
  const toml::node* node = table_.get(name);
  // Tables add up over files; other keys are set once.
  if (node == nullptr || node->is_table() || node->is_array_of_tables()) return node;
  const auto [seen, is_new] = reading_.seen.emplace(key(name), position(name));
  if (is_new) return node;
  const ConfigPosition& first = seen->second;
  fail(name, "is set already at " + first.file + ":" + std::to_string(first.line));
  return nullptr;
}

void TableReader::fail_type(std::string_view name, std::string_view expected,
                            const toml::node& found) {
  fail(name, "expected " + std::string(expected) + ", found " + shown(found));
}

void TableReader::read(std::string_view name, bool& into) {
  const toml::node* node = take(name);
  if (node == nullptr) return;
  if (const auto* value = node->as_boolean()) {
    into = value->get();
  } else {
    fail_type(name, "true or false", *node);
  }
}

void TableReader::read(std::string_view name, std::string& into) {
  const toml::node* node = take(name);
  if (node == nullptr) return;
  if (const auto* value = node->as_string()) {
    into = value->get();
  } else {
    fail_type(name, "a string", *node);
  }
}

void TableReader::read_path(std::string_view name, std::filesystem::path& into) {
  const toml::node* node = take(name);
  if (node == nullptr) return;
  const auto* value = node->as_string();
  if (value == nullptr || value->get().empty()) return fail_type(name, "a path", *node);
  into = (reading_.directory / value->get()).lexically_normal();
}

std::optional<std::int64_t> TableReader::take_integer(std::string_view name, std::int64_t min,
                                                      std::int64_t max) {
  const toml::node* node = take(name);
  if (node == nullptr) return std::nullopt;
  const auto* value = node->as_integer();
  if (value == nullptr || value->get() < min || value->get() > max) {
    fail_type(name, "an integer from " + std::to_string(min) + " to " + std::to_string(max), *node);
    return std::nullopt;
  }
  return value->get();
}

void TableReader::read_size(std::string_view name, std::size_t& into, std::uint64_t min,
                            std::uint64_t max) {
  const toml::node* node = take(name);
  if (node == nullptr) return;
  std::optional<std::uint64_t> size;
  if (const auto* number = node->as_integer(); number != nullptr && number->get() >= 0) {
    size = static_cast<std::uint64_t>(number->get());
  } else if (const auto* text = node->as_string()) {
    size = parse_size(text->get());
  }
  if (size && *size >= min && *size <= max) {
    into = static_cast<std::size_t>(*size);
    return;
  }
  fail_type(name,
            "a size from " + std::to_string(min) + " to " + std::to_string(max) +
                " bytes, such as 262144 or \"256KiB\"",
            *node);
}

void TableReader::read_duration(std::string_view name, xmpp::Duration& into, xmpp::Duration min,
                                xmpp::Duration max) {
  const toml::node* node = take(name);
  if (node == nullptr) return;
  std::optional<xmpp::Duration> value;
  if (const auto* text = node->as_string()) value = xmpp::parse_duration(text->get());
  if (value && *value >= min && *value <= max) {
    into = *value;
    return;
  }
  fail_type(name,
            "a duration from \"" + xmpp::format_duration(min) + "\" to \"" +
                xmpp::format_duration(max) + "\", such as \"60s\" or \"5m\"",
            *node);
}

std::optional<std::size_t> TableReader::take_choice(std::string_view name,
                                                    const std::vector<std::string>& names) {
  const toml::node* node = take(name);
  if (node == nullptr) return std::nullopt;
  if (const auto* text = node->as_string()) {
    for (std::size_t i = 0; i < names.size(); ++i) {
      if (names[i] == text->get()) return i;
    }
  }
  std::string expected;
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (i > 0) expected += i + 1 == names.size() ? " or " : ", ";
    expected += in_quotes(names[i]);
  }
  fail_type(name, expected, *node);
  return std::nullopt;
}

std::optional<std::vector<ListItem>> TableReader::read_strings(std::string_view name) {
  const toml::node* node = take(name);
  if (node == nullptr) return std::nullopt;
  const auto* list = node->as_array();
  if (list == nullptr) {
    fail_type(name, "a list of strings", *node);
    return std::nullopt;
  }
  std::vector<ListItem> items;
  for (std::size_t i = 0; i < list->size(); ++i) {
    const toml::node& item = (*list)[i];
    std::string item_key = key(name) + "[" + std::to_string(i) + "]";
    if (const auto* text = item.as_string()) {
      items.push_back({text->get(), std::move(item_key), reading_.position(item.source())});
    } else {
      reading_.fail(reading_.position(item.source()), std::move(item_key),
                    "expected a string, found " + shown(item));
    }
  }
  return items;
}

const toml::table* TableReader::table(std::string_view name) {
  const toml::node* node = take(name);
  if (node == nullptr) return nullptr;
  if (!node->is_table()) fail_type(name, "a table, [" + key(name) + "]", *node);
  return node->as_table();
}

const toml::array* TableReader::tables(std::string_view name) {
  const toml::node* node = take(name);
  if (node == nullptr) return nullptr;
  if (node->is_array_of_tables()) return node->as_array();
  fail_type(name, "tables, [[" + key(name) + "]]", *node);
  return nullptr;
}

std::vector<std::pair<const toml::key*, const toml::table*>> TableReader::named_tables(
    std::string_view name) {
  std::vector<std::pair<const toml::key*, const toml::table*>> found;
  const toml::table* parent = table(name);
  if (parent == nullptr) return found;
  for (const auto& [child_key, child] : *parent) {
    if (const auto* as_table = child.as_table()) {
      found.emplace_back(&child_key, as_table);
      continue;
    }
    reading_.fail(reading_.position(child_key.source()), key(name) + "." + quote_key(child_key),
                  "expected a table, [" + key(name) + "." + quote_key(child_key) + "], found " +
                      shown(child));
  }
  // toml++ sorts by name; the file's order is what people expect to see in lists.
  std::sort(found.begin(), found.end(), [](const auto& a, const auto& b) {
    return std::pair(a.first->source().begin.line, a.first->source().begin.column) <
           std::pair(b.first->source().begin.line, b.first->source().begin.column);
  });
  return found;
}

std::optional<ConfigValue> TableReader::value_of(const toml::node& node,
                                                 const std::string& value_key) {
  const ConfigPosition at = reading_.position(node.source());
  if (const auto* flag = node.as_boolean()) return ConfigValue{flag->get(), at};
  if (const auto* number = node.as_integer()) return ConfigValue{number->get(), at};
  if (const auto* fraction = node.as_floating_point()) return ConfigValue{fraction->get(), at};
  if (const auto* text = node.as_string()) return ConfigValue{text->get(), at};
  if (const auto* list = node.as_array()) {
    std::vector<ConfigValue> items;
    for (const toml::node& item : *list) {
      if (auto value = value_of(item, value_key)) items.push_back(std::move(*value));
    }
    return ConfigValue{std::move(items), at};
  }
  reading_.fail(at, value_key,
                "expected a string, a number, true, false or a list, found " + shown(node));
  return std::nullopt;
}

void TableReader::read_values(std::map<std::string, ConfigValue>& into) {
  for (const auto& [name, node] : table_) {
    if (take(name.str()) == nullptr) continue;
    if (auto value = value_of(node, key(name.str()))) into.emplace(name.str(), std::move(*value));
  }
}

void TableReader::finish() {
  for (const auto& [name, node] : table_) {
    if (std::find(known_.begin(), known_.end(), name.str()) != known_.end()) continue;
    reading_.fail(reading_.position(name.source()), key(name.str()),
                  "unknown key (nearest known key: " + nearest_name(name.str(), known_) + ")");
  }
}

}  // namespace xmppd::config_detail
