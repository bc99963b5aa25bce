// See core/config.h. Here: files, includes, defaults, and what concerns several keys; the keys
// themselves are in config_schema.cc.
#include "core/config.h"

#include <arpa/inet.h>
#include <glob.h>

#include <algorithm>
#include <charconv>
#include <limits>
#include <system_error>

#include "core/config_reader.h"
#include "xmpp/base/files.h"

namespace xmppd {
namespace {

namespace fs = std::filesystem;
using config_detail::ListItem;
using config_detail::quote_key;
using config_detail::Reading;

constexpr std::string_view kDatabase = "xmppd.db";

fs::path full_path(const fs::path& path) {
  std::error_code error;
  const fs::path full = fs::absolute(path, error);
  return error ? path : full.lexically_normal();
}

std::optional<std::string> read_text(const fs::path& file, std::string& why) {
  auto text = xmpp::read_file(file.string());
  if (!text) {
    const bool is_directory = text.error() == std::errc::is_a_directory;
    why = "cannot be read: " + (is_directory ? "it is a directory" : text.error().message());
    return std::nullopt;
  }
  return *std::move(text);
}

// The files that a pattern stands for, by name; a plain name stands for itself.
std::vector<fs::path> expand(const fs::path& pattern) {
  if (pattern.string().find_first_of("*?[") == std::string::npos) return {pattern};
  std::vector<fs::path> files;
  glob_t matches{};
  if (::glob(pattern.c_str(), 0, nullptr, &matches) == 0) {
    for (std::size_t i = 0; i < matches.gl_pathc; ++i) files.emplace_back(matches.gl_pathv[i]);
  }
  ::globfree(&matches);
  return files;
}

class Loader {
 public:
  Loader() { config_.storage.path.clear(); }

  void read_text_of(std::string_view text, const fs::path& file, bool is_main) {
    reading_.file = file.string();
    reading_.directory = full_path(file).parent_path();
    std::vector<ListItem> includes;
    try {
      const toml::table table = toml::parse(text, reading_.file);
      includes = config_detail::read_file(reading_, table, is_main, config_);
    } catch (const toml::parse_error& error) {
      reading_.fail(reading_.position(error.source()), "", std::string(error.description()));
    }
    const fs::path directory = reading_.directory;
    for (const ListItem& item : includes) {
      for (const fs::path& included : expand(directory / item.text)) {
        std::string why;
        if (const auto content = read_text(included, why)) {
          read_text_of(*content, included, false);
        } else {
          reading_.fail(item.at, item.key, "\"" + included.string() + "\" " + why);
        }
      }
    }
  }

  ConfigResult finish(const ConfigOverrides& overrides) {
    if (overrides.data_dir) config_.server.data_dir = full_path(*overrides.data_dir);
    resolve_database();
    config_.profiles.try_emplace("default");
    if (config_.listen.empty()) add_default_listeners();
    check_hosts();
    if (!reading_.errors.empty()) return xmpp::Err(std::move(reading_.errors));
    return std::move(config_);
  }

 private:
  void resolve_database() {
    fs::path& path = config_.storage.path;
    if (path.empty()) path = kDatabase;
    if (path != ":memory:") path = (config_.server.data_dir / path).lexically_normal();
  }

  void add_default_listeners() {
    ListenConfig starttls;
    starttls.address = {{"0.0.0.0", 5222}, {"::", 5222}};
    ListenConfig direct;
    direct.service = Service::c2s_direct_tls;
    direct.address = {{"0.0.0.0", 5223}, {"::", 5223}};
    config_.listen = {std::move(starttls), std::move(direct)};
  }

  void check_hosts() {
    std::vector<std::string> names;
    for (const auto& [name, profile] : config_.profiles) names.push_back(name);
    const bool needs_certificate = !config_.serves_only_loopback();
    for (const HostConfig& host : config_.hosts) {
      const std::string key = "host." + quote_key(host.name);
      if (!config_.profiles.contains(host.profile)) {
        reading_.fail(host.profile_at, key + ".profile",
                      "there is no [profile." + quote_key(host.profile) +
                          "] (nearest known profile: " + nearest_name(host.profile, names) + ")");
      }
      if (needs_certificate && host.certificate.empty() && host.key.empty()) {
        reading_.fail(host.at, key + ".certificate",
                      "expected a certificate and its key; only with listeners on loopback alone "
                      "a self-signed one is made");
      }
    }
  }

  Config config_;
  Reading reading_;
};

}  // namespace

std::string to_string(const ConfigError& error) {
  std::string text = error.at.file;
  if (error.at.line != 0) {
    text += ":" + std::to_string(error.at.line) + ":" + std::to_string(error.at.column);
  }
  if (!text.empty()) text += ": ";
  if (!error.key.empty()) text += error.key + ": ";
  return text + error.text;
}

std::string_view to_string(Service service) noexcept {
  return service == Service::c2s ? "c2s" : "c2s-direct-tls";
}

std::string_view to_string(TlsMode mode) noexcept {
  switch (mode) {
    case TlsMode::required:
      return "required";
    case TlsMode::optional:
      return "optional";
    case TlsMode::none:
      break;
  }
  return "none";
}

std::string to_string(const ListenAddress& address) {
  const bool is_v6 = address.ip.find(':') != std::string::npos;
  return (is_v6 ? "[" + address.ip + "]" : address.ip) + ":" + std::to_string(address.port);
}

bool ListenAddress::is_loopback() const noexcept {
  in6_addr v6{};
  if (inet_pton(AF_INET6, ip.c_str(), &v6) == 1) return IN6_IS_ADDR_LOOPBACK(&v6);
  in_addr v4{};
  return inet_pton(AF_INET, ip.c_str(), &v4) == 1 && ntohl(v4.s_addr) >> 24 == 127;
}

bool Config::serves_only_loopback() const noexcept {
  for (const ListenConfig& one : listen) {
    for (const ListenAddress& address : one.address) {
      if (!address.is_loopback()) return false;
    }
  }
  return true;
}

ConfigResult load_config(const fs::path& file, const ConfigOverrides& overrides) {
  std::string why;
  const auto text = read_text(file, why);
  if (!text) return xmpp::Err(std::vector<ConfigError>{{{file.string(), 0, 0}, "", why}});
  auto config = parse_config(*text, file, overrides);
  if (config && config->hosts.empty()) {
    return xmpp::Err(std::vector<ConfigError>{
        {{file.string(), 0, 0}, "host", "expected at least one domain: [host.\"example.org\"]"}});
  }
  if (config) {
    config->file = file;
    config->overrides = overrides;
  }
  return config;
}

ConfigResult parse_config(std::string_view text, const fs::path& file,
                          const ConfigOverrides& overrides) {
  Loader loader;
  loader.read_text_of(text, file, true);
  return loader.finish(overrides);
}

Config dev_config(const fs::path& data_dir) {
  Config config;
  config.server.data_dir = full_path(data_dir);
  config.server.control_socket = config.server.data_dir / "control.sock";
  config.storage.path = config.server.data_dir / kDatabase;
  ListenConfig starttls;
  starttls.address = {{"127.0.0.1", 5222}};
  ListenConfig direct;
  direct.service = Service::c2s_direct_tls;
  direct.address = {{"127.0.0.1", 5223}};
  config.listen = {std::move(starttls), std::move(direct)};
  ProfileConfig& profile = config.profiles["default"];
  profile.modules.base = ModuleSelection::Base::all_stable;
  profile.module["register"].options["allow"] = ConfigValue{std::string("loopback"), {}};
  HostConfig host;
  host.name = "localhost";
  config.hosts.push_back(std::move(host));
  return config;
}

std::optional<std::uint64_t> parse_size(std::string_view text) {
  struct SizeUnit {
    std::string_view name;
    std::uint64_t bytes;
  };
  constexpr std::array kUnits = {
      SizeUnit{"", 1},
      SizeUnit{"B", 1},
      SizeUnit{"kB", 1'000},
      SizeUnit{"MB", 1'000'000},
      SizeUnit{"GB", 1'000'000'000},
      SizeUnit{"KiB", 1ULL << 10},
      SizeUnit{"MiB", 1ULL << 20},
      SizeUnit{"GiB", 1ULL << 30},
  };
  std::uint64_t number = 0;
  const char* const end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, number);
  if (error != std::errc()) return std::nullopt;
  const std::string_view suffix(rest, static_cast<std::size_t>(end - rest));
  for (const SizeUnit& unit : kUnits) {
    if (unit.name != suffix) continue;
    if (number > std::numeric_limits<std::uint64_t>::max() / unit.bytes) return std::nullopt;
    return number * unit.bytes;
  }
  return std::nullopt;
}

namespace {

struct Nearest {
  std::string name;
  std::size_t distance = std::numeric_limits<std::size_t>::max();
};

Nearest find_nearest(std::string_view name, const std::vector<std::string>& known) {
  // Levenshtein's distance, row by row; file input, so the length is bounded.
  name = name.substr(0, 64);
  Nearest nearest;
  std::vector<std::size_t> row;
  for (const std::string& candidate : known) {
    row.resize(name.size() + 1);
    for (std::size_t j = 0; j <= name.size(); ++j) row[j] = j;
    for (std::size_t i = 0; i < candidate.size(); ++i) {
      std::size_t diagonal = row[0];
      row[0] = i + 1;
      for (std::size_t j = 0; j < name.size(); ++j) {
        const std::size_t replaced = diagonal + (candidate[i] == name[j] ? 0 : 1);
        diagonal = row[j + 1];
        row[j + 1] = std::min({replaced, diagonal + 1, row[j] + 1});
      }
    }
    if (row.back() < nearest.distance) nearest = {candidate, row.back()};
  }
  return nearest;
}

}  // namespace

std::string nearest_name(std::string_view name, const std::vector<std::string>& known) {
  return find_nearest(name, known).name;
}

std::string did_you_mean(std::string_view name, const std::vector<std::string>& known) {
  // What has little in common with it was not meant.
  const auto nearest = find_nearest(name, known);
  if (nearest.distance > (name.size() + 1) / 2) return {};
  return "; did you mean " + nearest.name + "?";
}

}  // namespace xmppd
