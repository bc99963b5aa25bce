#include "core/config_diff.h"

#include <algorithm>
#include <map>
#include <set>

#include "core/config_reader.h"

namespace xmppd {
namespace {

using config_detail::quote_key;
using Kind = ConfigChange::Kind;
using Changes = std::vector<ConfigChange>;

// Limits that are built into something at start.
bool is_fixed(std::string_view limit) noexcept {
  return limit == "offload_queue" || limit == "storage_queue";
}

std::string show(const ConfigValue& value) {
  struct Visitor {
    std::string operator()(bool v) const { return v ? "true" : "false"; }
    std::string operator()(std::int64_t v) const { return std::to_string(v); }
    std::string operator()(double v) const { return std::to_string(v); }
    std::string operator()(const std::string& v) const { return '"' + v + '"'; }
    std::string operator()(const std::vector<ConfigValue>& v) const {
      std::string text;
      for (const auto& item : v) text += (text.empty() ? "" : ", ") + show(item);
      return '[' + text + ']';
    }
  };
  return std::visit(Visitor{}, value.value);
}

std::string show(const ModuleSelection& modules) {
  std::string text;
  const auto add = [&](std::string_view sign, const std::vector<ModuleSelection::Name>& names) {
    for (const auto& one : names) {
      text += (text.empty() ? "" : ", ") + std::string(sign) + one.name;
    }
  };
  const bool is_whole = modules.base == ModuleSelection::Base::none;
  add(is_whole ? "" : "+", modules.added);
  add("-", modules.removed);
  if (is_whole) return '[' + text + ']';
  const std::string base =
      modules.base == ModuleSelection::Base::recommended ? "recommended" : "all";
  return text.empty() ? base : base + " [" + text + ']';
}

std::string show(const ListenConfig& listen) {
  std::string text =
      std::string(to_string(listen.service)) + ' ' + std::string(to_string(listen.tls));
  for (const auto& address : listen.address) text += ' ' + to_string(address);
  return text;
}

std::string show(const std::vector<ListenConfig>& all) {
  std::string text;
  for (const auto& listen : all) text += (text.empty() ? "" : "; ") + show(listen);
  return text;
}

std::string show(const std::vector<xmpp::Jid>& jids) {
  std::set<std::string> sorted;
  for (const auto& jid : jids) sorted.emplace(jid.str());
  std::string text;
  for (const auto& jid : sorted) text += (text.empty() ? "" : " ") + jid;
  return text;
}

std::string show(const std::string& text) {
  return text;
}
std::string show(bool value) {
  return value ? "true" : "false";
}
std::string show(std::uint32_t value) {
  return std::to_string(value);
}
std::string show(xmpp::Duration value) {
  return xmpp::format_duration(value);
}
std::string show(const std::filesystem::path& path) {
  return path.string();
}
std::string show(ChannelBindingPolicy policy) {
  return policy == ChannelBindingPolicy::offer ? "offer" : "off";
}
std::string show(LogFormat format) {
  return format == LogFormat::json ? "json" : "text";
}

class Comparison {
 public:
  template <typename T>
  void value(const std::string& key, const T& running, const T& fresh, bool needs_restart) {
    auto from = show(running);
    auto to = show(fresh);
    if (from == to) return;
    changes.push_back({key, Kind::changed, std::move(from), std::move(to), needs_restart});
  }

  void limits(const Limits& running, const Limits& fresh) {
    for (const LimitInfo& row : limit_table()) {
      const std::string key = "limits." + std::string(row.name);
      if (row.unit == LimitInfo::Unit::time) {
        value(key, running.*row.time, fresh.*row.time, is_fixed(row.name));
      } else {
        const auto from = static_cast<std::int64_t>(running.*row.number);
        const auto to = static_cast<std::int64_t>(fresh.*row.number);
        value(key, ConfigValue{from, {}}, ConfigValue{to, {}}, is_fixed(row.name));
      }
    }
  }

  void options(const std::string& prefix, const ProfileConfig& running,
               const ProfileConfig& fresh) {
    std::map<std::string, std::pair<std::string, std::string>> texts;
    for (const auto& [module, config] : running.module) {
      for (const auto& [name, option] : config.options) {
        texts[module + '.' + name].first = show(option);
      }
    }
    for (const auto& [module, config] : fresh.module) {
      for (const auto& [name, option] : config.options) {
        texts[module + '.' + name].second = show(option);
      }
    }
    for (const auto& [name, text] : texts) {
      if (text.first == text.second) continue;
      const Kind kind = text.first.empty()    ? Kind::added
                        : text.second.empty() ? Kind::removed
                                              : Kind::changed;
      changes.push_back({prefix + ".module." + name, kind, text.first, text.second, true});
    }
  }

  void profiles(const Config& running, const Config& fresh) {
    for (const auto& [name, profile] : running.profiles) {
      const std::string key = "profile." + quote_key(name);
      const auto found = fresh.profiles.find(name);
      if (found == fresh.profiles.end()) {
        // Its modules stay, unused.
        changes.push_back({key, Kind::removed, {}, {}, true});
        continue;
      }
      value(key + ".modules", profile.modules, found->second.modules, true);
      options(key, profile, found->second);
      const AuthConfig& a = profile.auth;
      const AuthConfig& b = found->second.auth;
      value(key + ".auth.plain_without_tls", a.plain_without_tls, b.plain_without_tls, false);
      value(key + ".auth.channel_binding", a.channel_binding, b.channel_binding, false);
      value(key + ".auth.scram_iterations", a.scram_iterations, b.scram_iterations, false);
    }
    for (const auto& [name, profile] : fresh.profiles) {
      if (running.profiles.contains(name)) continue;
      changes.push_back(
          {"profile." + quote_key(name), Kind::added, {}, show(profile.modules), false});
    }
  }

  void hosts(const Config& running, const Config& fresh) {
    std::map<std::string, std::pair<const HostConfig*, const HostConfig*>> by_name;
    for (const auto& host : running.hosts) by_name[host.name].first = &host;
    for (const auto& host : fresh.hosts) by_name[host.name].second = &host;
    for (const auto& [name, pair] : by_name) {
      const auto& [a, b] = pair;
      const std::string key = "host.\"" + name + '"';
      if (b == nullptr) {
        changes.push_back({key, Kind::removed, a->profile, {}, false});
      } else if (a == nullptr) {
        changes.push_back({key, Kind::added, {}, b->profile, false});
      } else {
        value(key + ".profile", a->profile, b->profile, false);
        value(key + ".certificate", a->certificate, b->certificate, false);
        value(key + ".key", a->key, b->key, false);
        value(key + ".admins", a->admins, b->admins, false);
      }
    }
  }

  Changes changes;
};

}  // namespace

std::string_view to_string(ConfigChange::Kind kind) noexcept {
  switch (kind) {
    case Kind::added:
      return "added";
    case Kind::removed:
      return "removed";
    case Kind::changed:
      break;
  }
  return "changed";
}

std::vector<ConfigChange> compare_configs(const Config& running, const Config& fresh) {
  Comparison compare;
  compare.value("server.workers", running.server.workers, fresh.server.workers, true);
  compare.value("server.data_dir", running.server.data_dir, fresh.server.data_dir, true);
  compare.value("server.control_socket", running.server.control_socket, fresh.server.control_socket,
                true);
  compare.value("server.drain_timeout", running.server.drain_timeout, fresh.server.drain_timeout,
                true);
  compare.value("log.level", std::string(to_string(running.log.level)),
                std::string(to_string(fresh.log.level)), true);
  compare.value("log.format", running.log.format, fresh.log.format, true);
  compare.value("log.file", running.log.file, fresh.log.file, true);
  compare.value("storage.driver", running.storage.driver, fresh.storage.driver, true);
  compare.value("storage.path", running.storage.path, fresh.storage.path, true);
  compare.value("storage.synchronous", running.storage.is_synchronous_full,
                fresh.storage.is_synchronous_full, true);
  compare.limits(running.limits, fresh.limits);
  compare.value("listen", running.listen, fresh.listen, true);
  compare.profiles(running, fresh);
  compare.hosts(running, fresh);
  return std::move(compare.changes);
}

Config applicable_config(const Config& running, Config fresh) {
  fresh.server = running.server;
  fresh.log = running.log;
  fresh.storage = running.storage;
  fresh.listen = running.listen;
  for (const LimitInfo& row : limit_table()) {
    if (!is_fixed(row.name)) continue;
    if (row.number != nullptr) fresh.limits.*row.number = running.limits.*row.number;
  }
  for (const auto& [name, profile] : running.profiles) {
    const auto [place, is_gone] = fresh.profiles.try_emplace(name, profile);
    if (is_gone) continue;
    place->second.modules = profile.modules;
    place->second.module = profile.module;
  }
  return fresh;
}

}  // namespace xmppd
