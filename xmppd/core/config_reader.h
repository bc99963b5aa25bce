// TableReader: one TOML table read strictly. Each call names a key that may stand there, its type
// and bounds, and leaves the default if the key is absent; finish() reports what nobody named.
// Errors are collected, so that one run shows all of them. Private to the configuration.
//
// Thread-safety: one thread.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

// toml++ 3.3 asserts on some malformed keys ("[|x]") before it reports them as errors; bad input
// must not abort, and what follows the assertion handles it.
#define TOML_ASSERT(condition) static_cast<void>(0)
#include <toml++/toml.h>

#include "core/config.h"

namespace xmppd::config_detail {

// What the tables of all files of one configuration share.
struct Reading {
  std::string file;                            // being read; for messages
  std::filesystem::path directory;             // what relative paths resolve against
  std::map<std::string, ConfigPosition> seen;  // keys set so far, in any file
  std::vector<ConfigError> errors;

  [[nodiscard]] ConfigPosition position(const toml::source_region& source) const;
  void fail(ConfigPosition at, std::string key, std::string text);
};

// A string of a list, and where it stands.
struct ListItem {
  std::string text;
  std::string key;  // "listen[0].address[1]"
  ConfigPosition at;
};

template <typename E>
using Choices = std::span<const std::pair<std::string_view, E>>;

class TableReader {
 public:
  // `prefix` is the table's own key ("limits"), empty for the file.
  TableReader(Reading& reading, const toml::table& table, std::string prefix)
      : reading_(reading), table_(table), prefix_(std::move(prefix)) {}

  void read(std::string_view name, bool& into);
  void read(std::string_view name, std::string& into);
  // Relative to the file's directory; must not be empty.
  void read_path(std::string_view name, std::filesystem::path& into);
  template <typename T>
  void read_integer(std::string_view name, T& into, std::int64_t min, std::int64_t max) {
    if (const auto value = take_integer(name, min, max)) into = static_cast<T>(*value);
  }
  void read_size(std::string_view name, std::size_t& into, std::uint64_t min, std::uint64_t max);
  void read_duration(std::string_view name, xmpp::Duration& into, xmpp::Duration min,
                     xmpp::Duration max);
  template <typename E>
  void read_choice(std::string_view name, E& into, Choices<E> choices) {
    std::vector<std::string> names;
    for (const auto& [text, value] : choices) names.emplace_back(text);
    if (const auto index = take_choice(name, names)) into = choices[*index].second;
  }
  // nullopt if absent or wrong.
  [[nodiscard]] std::optional<std::vector<ListItem>> read_strings(std::string_view name);

  // A table under this one; nullptr if absent or wrong.
  [[nodiscard]] const toml::table* table(std::string_view name);
  // [[name]]: nullptr if absent or wrong.
  [[nodiscard]] const toml::array* tables(std::string_view name);
  // Tables of free names ([profile.X], [host."X"]), in the order of the file: (name, table).
  [[nodiscard]] std::vector<std::pair<const toml::key*, const toml::table*>> named_tables(
      std::string_view name);
  // All entries as typed values, for options that a module declares.
  void read_values(std::map<std::string, ConfigValue>& into);

  [[nodiscard]] bool has(std::string_view name) const { return table_.contains(name); }
  // Where the value of `name` stands, or the table if it is absent.
  [[nodiscard]] ConfigPosition position(std::string_view name) const;
  [[nodiscard]] ConfigPosition position() const { return reading_.position(table_.source()); }
  [[nodiscard]] std::string key(std::string_view name) const;
  void fail(std::string_view name, std::string text) {
    reading_.fail(position(name), key(name), std::move(text));
  }

  // A key that stands there, but was refused or is read elsewhere.
  void ignore(std::string_view name) { known_.emplace_back(name); }
  // Reports the keys that nobody read.
  void finish();

 private:
  // The node of `name`, noted as known; nullptr if absent or set before.
  const toml::node* take(std::string_view name);
  std::optional<std::int64_t> take_integer(std::string_view name, std::int64_t min,
                                           std::int64_t max);
  std::optional<std::size_t> take_choice(std::string_view name,
                                         const std::vector<std::string>& names);
  std::optional<ConfigValue> value_of(const toml::node& node, const std::string& key);
  void fail_type(std::string_view name, std::string_view expected, const toml::node& found);

  Reading& reading_;
  const toml::table& table_;
  std::string prefix_;
  std::vector<std::string> known_;
};

// A key as the file would write it: bare if it can be, else quoted.
[[nodiscard]] std::string quote_key(std::string_view key);
// "an integer", "a string", ...
[[nodiscard]] std::string_view type_name(const toml::node& node);

// Reads one parsed file into `config`; hosts, profiles and listeners add up over files. Returns
// what the file includes; only the main file may.
std::vector<ListItem> read_file(Reading& reading, const toml::table& file, bool is_main,
                                Config& config);

}  // namespace xmppd::config_detail
