// The sections of the configuration file: which keys there are, their types and bounds. The one
// place to add a key; limits are added in core/limits.h.
#include <arpa/inet.h>

#include <array>
#include <charconv>

#include "core/config_reader.h"
#include "storage/connection_string.h"
#include "xmpp/sasl/credentials.h"

namespace xmppd::config_detail {
namespace {

using std::chrono::seconds;

constexpr std::array<std::pair<std::string_view, xmpp::log::Level>, 5> kLevels = {{
    {"error", xmpp::log::Level::error},
    {"warn", xmpp::log::Level::warn},
    {"info", xmpp::log::Level::info},
    {"debug", xmpp::log::Level::debug},
    {"trace", xmpp::log::Level::trace},
}};
constexpr std::array<std::pair<std::string_view, LogFormat>, 2> kFormats = {
    {{"text", LogFormat::text}, {"json", LogFormat::json}}};
constexpr std::array<std::pair<std::string_view, bool>, 2> kSynchronous = {
    {{"full", true}, {"normal", false}}};
constexpr std::array<std::pair<std::string_view, std::string_view>, 2> kDrivers = {
    {{"sqlite", "sqlite"}, {"postgresql", "postgresql"}}};
constexpr std::array<std::pair<std::string_view, Service>, 2> kServices = {
    {{"c2s", Service::c2s}, {"c2s-direct-tls", Service::c2s_direct_tls}}};
constexpr std::array<std::pair<std::string_view, TlsMode>, 3> kTlsModes = {
    {{"required", TlsMode::required}, {"optional", TlsMode::optional}, {"none", TlsMode::none}}};
constexpr std::array<std::pair<std::string_view, ChannelBindingPolicy>, 2> kChannelBinding = {
    {{"offer", ChannelBindingPolicy::offer}, {"off", ChannelBindingPolicy::off}}};

template <typename E, std::size_t N>
Choices<E> choices(const std::array<std::pair<std::string_view, E>, N>& table) {
  return table;
}

void read_server(Reading& reading, const toml::table& table, ServerConfig& server) {
  TableReader reader(reading, table, "server");
  reader.read_integer("workers", server.workers, 0, 256);
  reader.read_path("data_dir", server.data_dir);
  reader.read_path("control_socket", server.control_socket);
  reader.read_duration("drain_timeout", server.drain_timeout, seconds(0), seconds(3'600));
  if (const auto items = reader.read_strings("module_path")) {
    for (const ListItem& item : *items) {
      if (item.text.empty()) reading.fail(item.at, item.key, "expected a directory, found \"\"");
      server.module_path.push_back((reading.directory / item.text).lexically_normal());
    }
  }
  reader.finish();
}

void read_log(Reading& reading, const toml::table& table, LogConfig& log) {
  TableReader reader(reading, table, "log");
  reader.read_choice("level", log.level, choices(kLevels));
  reader.read_choice("format", log.format, choices(kFormats));
  reader.read_path("file", log.file);
  reader.finish();
}

// The text itself is never shown: it may hold a password.
void read_connection(TableReader& reader, xmpp::Secret& connection) {
  if (!reader.has("connection")) {
    reader.fail("connection",
                "missing: with driver = \"postgresql\" it says which database, such as "
                "\"host=/run/postgresql dbname=xmppd\"");
    return;
  }
  std::string text = "\n";
  reader.read("connection", text);
  if (text == "\n") return;  // no string, which was said
  connection = xmpp::Secret(std::move(text));
  if (connection.empty() || !sql::describe_connection(connection)) {
    reader.fail("connection",
                "expected a connection string of PostgreSQL, such as "
                "\"host=/run/postgresql dbname=xmppd\"");
  }
}

void read_storage(Reading& reading, const toml::table& table, StorageConfig& storage) {
  TableReader reader(reading, table, "storage");
  std::string_view driver = "sqlite";
  reader.read_choice("driver", driver, choices(kDrivers));
  storage.driver = driver;
  const bool is_sqlite = driver == "sqlite";
  for (const std::string_view name : {"path", "connection", "writers"}) {
    const bool is_of_sqlite = name == "path";
    if (!reader.has(name) || is_of_sqlite == is_sqlite) continue;
    reader.ignore(name);
    reader.fail(name, is_of_sqlite ? "only driver = \"sqlite\" has it"
                                   : "only driver = \"postgresql\" has it");
  }
  if (is_sqlite) {
    // Against data_dir, which is not known yet.
    std::string path = storage.path.string();
    reader.read("path", path);
    if (path.empty() && reader.has("path")) reader.fail("path", "expected a path, found \"\"");
    storage.path = path;
  } else {
    read_connection(reader, storage.connection);
    reader.read_integer("writers", storage.writers, 1, 64);
  }
  reader.read_integer("readers", storage.readers, 1, 64);
  reader.read_choice("synchronous", storage.is_synchronous_full, choices(kSynchronous));
  reader.read_duration("timeout", storage.timeout, seconds(1), seconds(60));
  reader.finish();
}

void read_limits(Reading& reading, const toml::table& table, Limits& limits) {
  TableReader reader(reading, table, "limits");
  for (const LimitInfo& row : limit_table()) {
    switch (row.unit) {
      case LimitInfo::Unit::count:
        reader.read_integer(row.name, limits.*row.number, static_cast<std::int64_t>(row.min),
                            static_cast<std::int64_t>(row.max));
        break;
      case LimitInfo::Unit::bytes:
        reader.read_size(row.name, limits.*row.number, row.min, row.max);
        break;
      case LimitInfo::Unit::time:
        reader.read_duration(row.name, limits.*row.time, seconds(row.min), seconds(row.max));
        break;
    }
  }
  reader.finish();
}

std::optional<ListenAddress> parse_address(std::string_view text) {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return std::nullopt;
  std::string_view host = text.substr(0, colon);
  const std::string_view port = text.substr(colon + 1);
  ListenAddress address;
  const auto parsed = std::from_chars(port.data(), port.data() + port.size(), address.port);
  if (port.empty() || parsed.ec != std::errc() || parsed.ptr != port.data() + port.size()) {
    return std::nullopt;
  }
  const bool is_v6 = host.size() > 2 && host.front() == '[' && host.back() == ']';
  if (is_v6) host = host.substr(1, host.size() - 2);
  address.ip = host;
  std::array<unsigned char, sizeof(in6_addr)> binary{};
  if (inet_pton(is_v6 ? AF_INET6 : AF_INET, address.ip.c_str(), binary.data()) != 1) {
    return std::nullopt;
  }
  return address;
}

void read_addresses(Reading& reading, TableReader& reader, ListenConfig& listen) {
  auto items = reader.read_strings("address");
  if (!items) {
    if (!reader.has("address")) reader.fail("address", "expected a list of addresses, found none");
    return;
  }
  if (items->empty()) reader.fail("address", "expected at least one address");
  for (const ListItem& item : *items) {
    auto address = parse_address(item.text);
    if (!address) {
      reading.fail(item.at, item.key,
                   "expected IP:PORT such as \"0.0.0.0:5222\" or \"[::]:5222\", found \"" +
                       item.text + "\"");
      continue;
    }
    if (address->port != 0) {
      const auto [seen, is_new] = reading.seen.emplace("address " + to_string(*address), item.at);
      if (!is_new) {
        reading.fail(item.at, item.key,
                     "\"" + item.text + "\" is listened on already at " + seen->second.file + ":" +
                         std::to_string(seen->second.line));
      }
    }
    listen.address.push_back(std::move(*address));
  }
}

void read_listen(Reading& reading, const toml::table& table, std::vector<ListenConfig>& all) {
  ListenConfig listen;
  TableReader reader(reading, table, "listen[" + std::to_string(all.size()) + "]");
  listen.at = reader.position();
  if (!reader.has("service")) {
    reader.fail("service", "expected \"c2s\" or \"c2s-direct-tls\", found none");
  }
  reader.read_choice("service", listen.service, choices(kServices));
  read_addresses(reading, reader, listen);
  reader.read_choice("tls", listen.tls, choices(kTlsModes));
  if (listen.service == Service::c2s_direct_tls && listen.tls != TlsMode::required) {
    reader.fail("tls", "expected \"required\" for a listener with direct TLS");
  }
  reader.finish();
  all.push_back(std::move(listen));
}

bool is_module_name(std::string_view name) noexcept {
  if (name.empty()) return false;
  for (const char c : name) {
    if ((c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '_') return false;
  }
  return true;
}

void read_modules(Reading& reading, TableReader& reader, ModuleSelection& modules) {
  const auto items = reader.read_strings("modules");
  if (!items) return;
  bool has_plain = items->empty();
  bool has_signed = false;
  for (const ListItem& item : *items) {
    const char sign = item.text.empty() ? '\0' : item.text.front();
    const bool is_signed = sign == '+' || sign == '-';
    (is_signed ? has_signed : has_plain) = true;
    std::string name = is_signed ? item.text.substr(1) : item.text;
    if (!is_module_name(name)) {
      reading.fail(item.at, item.key,
                   "expected a module's name, \"+name\" or \"-name\", found \"" + item.text + "\"");
      continue;
    }
    (sign == '-' ? modules.removed : modules.added).push_back({std::move(name), item.at});
  }
  if (has_plain && has_signed) {
    reader.fail("modules",
                "expected either names alone or \"+name\" and \"-name\" alone, found both");
  }
  if (has_plain) modules.base = ModuleSelection::Base::none;
}

void read_profile(Reading& reading, const toml::key& name, const toml::table& table,
                  std::map<std::string, ProfileConfig>& profiles) {
  const std::string prefix = "profile." + quote_key(name.str());
  ProfileConfig& profile = profiles[std::string(name.str())];
  TableReader reader(reading, table, prefix);
  profile.at = reader.position();
  read_modules(reading, reader, profile.modules);
  for (const auto& [module_name, options] : reader.named_tables("module")) {
    TableReader module_reader(reading, *options,
                              prefix + ".module." + quote_key(module_name->str()));
    ModuleConfig& module = profile.module[std::string(module_name->str())];
    module.at = module_reader.position();
    module_reader.read_values(module.options);
  }
  if (const toml::table* auth = reader.table("auth")) {
    TableReader auth_reader(reading, *auth, prefix + ".auth");
    auth_reader.read("plain_without_tls", profile.auth.plain_without_tls);
    auth_reader.read_choice("channel_binding", profile.auth.channel_binding,
                            choices(kChannelBinding));
    auth_reader.read_integer("scram_iterations", profile.auth.scram_iterations,
                             xmpp::sasl::kMinIterations, xmpp::sasl::kMaxIterations);
    auth_reader.finish();
  }
  reader.finish();
}

void read_admins(Reading& reading, TableReader& reader, std::vector<xmpp::Jid>& admins) {
  const auto items = reader.read_strings("admins");
  if (!items) return;
  for (const ListItem& item : *items) {
    auto jid = xmpp::Jid::parse(item.text);
    if (jid && jid->is_bare() && !jid->local().empty()) {
      admins.push_back(std::move(*jid));
    } else {
      reading.fail(item.at, item.key,
                   "expected an account's address such as \"admin@example.org\", found \"" +
                       item.text + "\"");
    }
  }
}

void read_host(Reading& reading, const toml::key& name, const toml::table& table,
               std::vector<HostConfig>& hosts) {
  const std::string prefix = "host." + quote_key(name.str());
  HostConfig host;
  TableReader reader(reading, table, prefix);
  host.at = reading.position(name.source());
  auto domain = xmpp::Jid::parse(name.str());
  if (!domain || !domain->is_domain()) {
    reading.fail(host.at, prefix,
                 "expected a domain such as [host.\"example.org\"], found \"" +
                     std::string(name.str()) + "\"");
    return;
  }
  host.name = domain->domain();
  for (const HostConfig& other : hosts) {
    if (other.name != host.name) continue;
    reading.fail(
        host.at, prefix,
        "is the same host as the one at " + other.at.file + ":" + std::to_string(other.at.line));
    return;
  }
  host.profile_at = reader.has("profile") ? reader.position("profile") : host.at;
  host.certificate_at = reader.has("certificate") ? reader.position("certificate") : host.at;
  reader.read("profile", host.profile);
  reader.read_path("certificate", host.certificate);
  reader.read_path("key", host.key);
  read_admins(reading, reader, host.admins);
  if (reader.has("certificate") && !reader.has("key")) {
    reader.fail("certificate", "expected a key beside the certificate");
  }
  if (reader.has("key") && !reader.has("certificate")) {
    reader.fail("key", "expected a certificate beside the key");
  }
  reader.finish();
  hosts.push_back(std::move(host));
}

}  // namespace

std::vector<ListItem> read_file(Reading& reading, const toml::table& file, bool is_main,
                                Config& config) {
  TableReader reader(reading, file, "");
  std::vector<ListItem> includes;
  if (is_main) {
    includes = reader.read_strings("include").value_or(includes);
  } else if (reader.has("include")) {
    reader.fail("include", "an included file cannot include others");
    reader.ignore("include");
  }
  if (const toml::table* table = reader.table("server")) {
    read_server(reading, *table, config.server);
  }
  if (const toml::table* table = reader.table("log")) read_log(reading, *table, config.log);
  if (const toml::table* table = reader.table("storage")) {
    read_storage(reading, *table, config.storage);
  }
  if (const toml::table* table = reader.table("limits")) {
    read_limits(reading, *table, config.limits);
  }
  if (const toml::array* tables = reader.tables("listen")) {
    for (const toml::node& node : *tables) read_listen(reading, *node.as_table(), config.listen);
  }
  for (const auto& [name, table] : reader.named_tables("profile")) {
    read_profile(reading, *name, *table, config.profiles);
  }
  for (const auto& [name, table] : reader.named_tables("host")) {
    read_host(reading, *name, *table, config.hosts);
  }
  reader.finish();
  return includes;
}

}  // namespace xmppd::config_detail
