// Configuration: the TOML file as plain immutable data, parsed strictly.
//
// An unknown key, a wrong type or a value out of bounds is an error with file:line:column, the key,
// what was expected, and the nearest known key; all errors of the files are collected. Paths are
// absolute or resolved against the file that holds the key (the database's against data_dir).
// Options of modules are kept as typed values and checked later against what the module declares.
//
// Contract: "Configuration and command-line contract" in docs/architecture.md.
// Thread-safety: plain data; loading any thread.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/limits.h"
#include "xmpp/base/log.h"
#include "xmpp/base/result.h"
#include "xmpp/base/secret.h"
#include "xmpp/base/time.h"
#include "xmpp/core/jid.h"
#include "xmppd/export.h"

namespace xmppd {

// Where a key stands; line 0 where no file is concerned (defaults, --dev).
struct ConfigPosition {
  std::string file;
  std::uint32_t line = 0;
  std::uint32_t column = 0;
};

struct ConfigError {
  ConfigPosition at;
  std::string key;   // "limits.depth"; empty for errors of syntax
  std::string text;  // what was expected
};
// "file:line:column: key: text"
[[nodiscard]] XMPPD_API std::string to_string(const ConfigError& error);

// A module's option as written in the file.
struct ConfigValue {
  std::variant<bool, std::int64_t, double, std::string, std::vector<ConfigValue>> value;
  ConfigPosition at;
};

struct ServerConfig {
  unsigned workers = 0;  // 0: one per core
  std::filesystem::path data_dir = "/var/lib/xmppd";
  std::filesystem::path control_socket = "/run/xmppd/control.sock";
  xmpp::Duration drain_timeout = std::chrono::seconds(10);
  std::vector<std::filesystem::path> module_path;  // searched before the server's own modules
};

enum class LogFormat : std::uint8_t { text, json };
struct LogConfig {
  xmpp::log::Level level = xmpp::log::Level::info;
  LogFormat format = LogFormat::text;
  std::filesystem::path file;  // empty: standard error
};

struct StorageConfig {
  std::string driver = "sqlite";  // or "postgresql"
  std::filesystem::path path;     // sqlite: resolved; data_dir/xmppd.db
  xmpp::Secret connection;        // postgresql
  unsigned writers = 4;           // postgresql
  unsigned readers = 2;
  bool is_synchronous_full = true;
  xmpp::Duration timeout = std::chrono::seconds(5);
};

enum class Service : std::uint8_t { c2s, c2s_direct_tls };
[[nodiscard]] std::string_view to_string(Service service) noexcept;
enum class TlsMode : std::uint8_t { required, optional, none };
[[nodiscard]] std::string_view to_string(TlsMode mode) noexcept;

struct ListenAddress {
  std::string ip;  // without brackets
  std::uint16_t port = 0;
  [[nodiscard]] bool is_loopback() const noexcept;
};
// "127.0.0.1:5222", "[::1]:5222"
[[nodiscard]] std::string to_string(const ListenAddress& address);

struct ListenConfig {
  Service service = Service::c2s;
  std::vector<ListenAddress> address;
  TlsMode tls = TlsMode::required;
  ConfigPosition at;
};

// Which modules a profile has: a base, plus and minus names.
struct ModuleSelection {
  enum class Base : std::uint8_t { recommended, all_stable, none };
  struct Name {
    std::string name;
    ConfigPosition at;
  };
  Base base = Base::recommended;
  std::vector<Name> added;
  std::vector<Name> removed;
};

struct ModuleConfig {
  std::map<std::string, ConfigValue> options;
  ConfigPosition at;
};

enum class ChannelBindingPolicy : std::uint8_t { offer, off };
struct AuthConfig {
  bool plain_without_tls = false;
  ChannelBindingPolicy channel_binding = ChannelBindingPolicy::offer;
  std::uint32_t scram_iterations = 10'000;
};

struct ProfileConfig {
  ModuleSelection modules;
  std::map<std::string, ModuleConfig> module;  // by the module's name
  AuthConfig auth;
  ConfigPosition at;
};

struct HostConfig {
  std::string name;  // prepared domain
  std::string profile = "default";
  std::filesystem::path certificate;  // empty: self-signed, made in data_dir
  std::filesystem::path key;          // set with certificate
  std::vector<xmpp::Jid> admins;      // bare
  bool is_stored = false;             // from the database, not from the file
  ConfigPosition at;
  ConfigPosition profile_at;      // of the value; `at` if the file has none
  ConfigPosition certificate_at;  // the same
};

// What the command line says over the file.
struct ConfigOverrides {
  std::optional<std::filesystem::path> data_dir;
};

struct Config {
  ServerConfig server;
  LogConfig log;
  StorageConfig storage;
  Limits limits;
  std::vector<ListenConfig> listen;
  std::map<std::string, ProfileConfig> profiles;  // "default" is always there
  std::vector<HostConfig> hosts;
  std::filesystem::path file;  // where it came from; empty: --dev
  ConfigOverrides overrides;
  // Is every listener bound to loopback? Only then self-signed certificates are made.
  [[nodiscard]] bool serves_only_loopback() const noexcept;
};

using ConfigResult = xmpp::Result<Config, std::vector<ConfigError>>;

// Reads the file and what it includes.
[[nodiscard]] XMPPD_API ConfigResult load_config(const std::filesystem::path& file,
                                                 const ConfigOverrides& overrides = {});
// The same from text; `file` is for messages and for relative paths.
[[nodiscard]] ConfigResult parse_config(std::string_view text, const std::filesystem::path& file,
                                        const ConfigOverrides& overrides = {});
// What --dev runs without a file.
[[nodiscard]] XMPPD_API Config dev_config(const std::filesystem::path& data_dir);

// Sizes as the file writes them: "256KiB", "1MiB", "1GiB", "10kB", "1MB", "512B", "512"; nullopt
// for anything else.
[[nodiscard]] std::optional<std::uint64_t> parse_size(std::string_view text);
// The known name that differs least from `name`; empty only if none is known.
[[nodiscard]] std::string nearest_name(std::string_view name,
                                       const std::vector<std::string>& known);
// "; did you mean NAME?" for the end of a message, or nothing if no known name is like it.
[[nodiscard]] XMPPD_API std::string did_you_mean(std::string_view name,
                                                 const std::vector<std::string>& known);

}  // namespace xmppd
