// The configuration file: what is accepted, and the exact message for what is not.
#include "core/config.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <fstream>

namespace xmppd {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;

std::string errors_of(const ConfigResult& result) {
  if (result) return "accepted\n";
  std::string text;
  for (const ConfigError& error : result.error()) text += to_string(error) + "\n";
  return text;
}

Config parsed(std::string_view text, const ConfigOverrides& overrides = {}) {
  auto config = parse_config(text, "/etc/xmppd/xmppd.toml", overrides);
  EXPECT_TRUE(config) << errors_of(config);
  return config ? std::move(*config) : Config{};
}

TEST(Config, AHostWithACertificateIsACompleteFile) {
  const Config config = parsed(R"([host."example.org"]
certificate = "example.org.crt"
key = "keys/example.org.key"
)");
  ASSERT_EQ(config.hosts.size(), 1U);
  EXPECT_EQ(config.hosts[0].name, "example.org");
  EXPECT_EQ(config.hosts[0].profile, "default");
  EXPECT_EQ(config.hosts[0].certificate, "/etc/xmppd/example.org.crt");
  EXPECT_EQ(config.hosts[0].key, "/etc/xmppd/keys/example.org.key");
  EXPECT_EQ(config.server.data_dir, "/var/lib/xmppd");
  EXPECT_EQ(config.server.control_socket, "/run/xmppd/control.sock");
  EXPECT_EQ(config.server.drain_timeout, seconds(10));
  EXPECT_EQ(config.storage.path, "/var/lib/xmppd/xmppd.db");
  ASSERT_EQ(config.listen.size(), 2U);
  EXPECT_EQ(to_string(config.listen[0].address[1]), "[::]:5222");
  EXPECT_EQ(config.listen[1].service, Service::c2s_direct_tls);
  EXPECT_EQ(config.profiles.at("default").modules.base, ModuleSelection::Base::recommended);
  EXPECT_EQ(config.profiles.at("default").auth.scram_iterations, 10'000U);
}

TEST(Config, EveryKey) {
  const Config config = parsed(R"(
[server]
workers = 4
data_dir = "../data"
control_socket = "c.sock"
drain_timeout = "1m"
module_path = ["mine", "/opt/theirs"]
[log]
level = "debug"
format = "json"
file = "/var/log/xmppd.log"
[storage]
driver = "sqlite"
path = "db/x.db"
synchronous = "normal"
[limits]
stanza_bytes = "512KiB"
depth = 100
unauthenticated_timeout = "5m"
[[listen]]
service = "c2s"
address = ["127.0.0.1:0", "[::1]:5222"]
tls = "optional"
[profile.default]
modules = ["+mam", "-ping"]
[profile.default.module.register]
allow = "none"
per_hour = 5
domains = ["a", "b"]
[profile.default.auth]
plain_without_tls = true
channel_binding = "off"
scram_iterations = 4096
[profile.plain]
modules = ["ping"]
[host."B.example"]
profile = "plain"
admins = ["Admin@B.example"]
[host."a.example"]
)");
  EXPECT_EQ(config.server.workers, 4U);
  EXPECT_EQ(config.server.data_dir, "/etc/data");
  EXPECT_EQ(config.server.control_socket, "/etc/xmppd/c.sock");
  EXPECT_EQ(config.server.drain_timeout, minutes(1));
  EXPECT_EQ(config.server.module_path,
            (std::vector<std::filesystem::path>{"/etc/xmppd/mine", "/opt/theirs"}));
  EXPECT_EQ(config.log.level, xmpp::log::Level::debug);
  EXPECT_EQ(config.log.format, LogFormat::json);
  EXPECT_EQ(config.log.file, "/var/log/xmppd.log");
  EXPECT_EQ(config.storage.path, "/etc/data/db/x.db");
  EXPECT_FALSE(config.storage.is_synchronous_full);
  EXPECT_EQ(config.limits.stanza_bytes, 524'288U);
  EXPECT_EQ(config.limits.depth, 100U);
  EXPECT_EQ(config.limits.unauthenticated_timeout, minutes(5));
  ASSERT_EQ(config.listen.size(), 1U);
  EXPECT_EQ(config.listen[0].tls, TlsMode::optional);
  EXPECT_EQ(config.listen[0].address[0].port, 0);
  EXPECT_EQ(config.listen[0].address[1].ip, "::1");
  const ProfileConfig& profile = config.profiles.at("default");
  EXPECT_EQ(profile.modules.base, ModuleSelection::Base::recommended);
  ASSERT_EQ(profile.modules.added.size(), 1U);
  EXPECT_EQ(profile.modules.added[0].name, "mam");
  EXPECT_EQ(profile.modules.removed[0].name, "ping");
  EXPECT_TRUE(profile.auth.plain_without_tls);
  EXPECT_EQ(profile.auth.channel_binding, ChannelBindingPolicy::off);
  const auto& options = profile.module.at("register").options;
  EXPECT_EQ(std::get<std::string>(options.at("allow").value), "none");
  EXPECT_EQ(options.at("allow").at.line, 27U);
  EXPECT_EQ(std::get<std::int64_t>(options.at("per_hour").value), 5);
  EXPECT_EQ(std::get<std::vector<ConfigValue>>(options.at("domains").value).size(), 2U);
  EXPECT_EQ(config.profiles.at("plain").modules.base, ModuleSelection::Base::none);
  ASSERT_EQ(config.hosts.size(), 2U);
  EXPECT_EQ(config.hosts[0].name, "b.example");  // prepared, in the file's order
  EXPECT_EQ(config.hosts[0].admins[0].str(), "admin@b.example");
}

TEST(Config, TheCommandLinesDataDirectoryWins) {
  const Config config = parsed("[server]\ndata_dir = \"/a\"\n", {.data_dir = "/b"});
  EXPECT_EQ(config.server.data_dir, "/b");
  EXPECT_EQ(config.storage.path, "/b/xmppd.db");
}

TEST(Config, PostgreSql) {
  const Config config = parsed(R"(
[storage]
driver = "postgresql"
connection = "host=/run/postgresql dbname=xmppd password=p"
writers = 8
readers = 3
timeout = "10s"
synchronous = "normal"
)");
  EXPECT_EQ(config.storage.driver, "postgresql");
  EXPECT_EQ(config.storage.connection.reveal(), "host=/run/postgresql dbname=xmppd password=p");
  EXPECT_EQ(config.storage.writers, 8U);
  EXPECT_EQ(config.storage.readers, 3U);
  EXPECT_EQ(config.storage.timeout, seconds(10));
  EXPECT_FALSE(config.storage.is_synchronous_full);
}

TEST(Config, Dev) {
  const Config config = dev_config("/tmp/x");
  EXPECT_EQ(config.server.control_socket, "/tmp/x/control.sock");
  EXPECT_EQ(config.storage.path, "/tmp/x/xmppd.db");
  ASSERT_EQ(config.hosts.size(), 1U);
  EXPECT_EQ(config.hosts[0].name, "localhost");
  ASSERT_EQ(config.listen.size(), 2U);
  EXPECT_EQ(to_string(config.listen[0].address[0]), "127.0.0.1:5222");
  EXPECT_EQ(to_string(config.listen[1].address[0]), "127.0.0.1:5223");
  EXPECT_EQ(config.profiles.at("default").modules.base, ModuleSelection::Base::all_stable);
}

struct Bad {
  const char* text;
  const char* errors;
};

// `errors` without the file's name before each line.
class BadFile : public testing::TestWithParam<Bad> {};

TEST_P(BadFile, IsRefusedWithPlaceKeyAndRemedy) {
  const auto result = parse_config(GetParam().text, "f", {});
  std::string expected = GetParam().errors;
  for (std::size_t at = 0; at < expected.size(); at = expected.find('\n', at) + 1) {
    expected.insert(at, "f:");
  }
  EXPECT_EQ(errors_of(result), expected) << GetParam().text;
}

INSTANTIATE_TEST_SUITE_P(
    Config, BadFile,
    testing::Values(
        Bad{"[limits]\ndpth = 3\n", "2:1: limits.dpth: unknown key (nearest known key: depth)\n"},
        Bad{"[sever]\n", "1:2: sever: unknown key (nearest known key: server)\n"},
        Bad{"[server]\nworkers = \"2\"\n",
            "2:11: server.workers: expected an integer from 0 to 256, found \"2\"\n"},
        Bad{"[server]\nworkers = 300\n",
            "2:11: server.workers: expected an integer from 0 to 256, found 300\n"},
        Bad{"[server]\ndrain_timeout = 10\n",
            "2:17: server.drain_timeout: expected a duration from \"0s\" to \"1h\", such as "
            "\"60s\" or \"5m\", found 10\n"},
        Bad{"[server]\nmodule_path = \"m\"\n",
            "2:15: server.module_path: expected a list of strings, found \"m\"\n"},
        Bad{"[server]\nmodule_path = [\"\"]\n",
            "2:16: server.module_path[0]: expected a directory, found \"\"\n"},
        Bad{"[server]\ndata_dir = \"\"\n", "2:12: server.data_dir: expected a path, found \"\"\n"},
        Bad{"server = 3\n", "1:10: server: expected a table, [server], found 3\n"},
        Bad{"[log]\nlevel = \"loud\"\n",
            "2:9: log.level: expected \"error\", \"warn\", \"info\", \"debug\" or \"trace\", "
            "found \"loud\"\n"},
        Bad{"[storage]\ndriver = \"mysql\"\n",
            "2:10: storage.driver: expected \"sqlite\" or \"postgresql\", found \"mysql\"\n"},
        Bad{"[storage]\ndriver = \"postgresql\"\n",
            "1:1: storage.connection: missing: with driver = \"postgresql\" it says which "
            "database, "
            "such as \"host=/run/postgresql dbname=xmppd\"\n"},
        Bad{"[storage]\ndriver = \"postgresql\"\nconnection = \"password=my secret\"\n",
            "3:14: storage.connection: expected a connection string of PostgreSQL, such as "
            "\"host=/run/postgresql dbname=xmppd\"\n"},
        Bad{"[storage]\ndriver = \"postgresql\"\nconnection = \"dbname=x\"\npath = \"x\"\n",
            "4:8: storage.path: only driver = \"sqlite\" has it\n"},
        Bad{"[storage]\nconnection = \"dbname=x\"\nwriters = 2\n",
            "2:14: storage.connection: only driver = \"postgresql\" has it\n"
            "3:11: storage.writers: only driver = \"postgresql\" has it\n"},
        Bad{"[limits]\nstanza_bytes = 9999\n",
            "2:16: limits.stanza_bytes: expected a size from 10000 to 16777216 bytes, such as "
            "262144 or \"256KiB\", found 9999\n"},
        Bad{"[limits]\nstanza_bytes = \"1 MiB\"\n",
            "2:16: limits.stanza_bytes: expected a size from 10000 to 16777216 bytes, such as "
            "262144 or \"256KiB\", found \"1 MiB\"\n"},
        Bad{"[limits]\ndepth = true\nauth_failures = 0\n",
            "2:9: limits.depth: expected an integer from 8 to 1024, found true\n"
            "3:17: limits.auth_failures: expected an integer from 1 to 20, found 0\n"},
        Bad{"[[listen]]\naddress = [\"localhost:5222\", 3]\n",
            "1:1: listen[0].service: expected \"c2s\" or \"c2s-direct-tls\", found none\n"
            "2:30: listen[0].address[1]: expected a string, found 3\n"
            "2:12: listen[0].address[0]: expected IP:PORT such as \"0.0.0.0:5222\" or "
            "\"[::]:5222\", found \"localhost:5222\"\n"},
        Bad{"[[listen]]\nservice = \"c2s\"\naddress = [\"127.0.0.1:70000\"]\n",
            "3:12: listen[0].address[0]: expected IP:PORT such as \"0.0.0.0:5222\" or "
            "\"[::]:5222\", found \"127.0.0.1:70000\"\n"},
        Bad{"[[listen]]\nservice = \"c2s\"\naddress = []\n",
            "3:11: listen[0].address: expected at least one address\n"},
        Bad{"[[listen]]\nservice = \"c2s\"\n",
            "1:1: listen[0].address: expected a list of addresses, found none\n"},
        Bad{"[[listen]]\nservice = \"c2s\"\naddress = [\"127.0.0.1:1\"]\n"
            "[[listen]]\nservice = \"c2s-direct-tls\"\naddress = [\"127.0.0.1:1\"]\n"
            "tls = \"none\"\n",
            "6:12: listen[1].address[0]: \"127.0.0.1:1\" is listened on already at f:3\n"
            "7:7: listen[1].tls: expected \"required\" for a listener with direct TLS\n"},
        Bad{"[listen]\n", "1:1: listen: expected tables, [[listen]], found a table\n"},
        Bad{"[profile.default]\nmodules = [\"ping\", \"+mam\", \"A B\"]\n",
            "2:28: profile.default.modules[2]: expected a module's name, \"+name\" or \"-name\", "
            "found \"A B\"\n"
            "2:11: profile.default.modules: expected either names alone or \"+name\" and "
            "\"-name\" alone, found both\n"},
        Bad{"[profile.default.auth]\nscram_iterations = 1\n",
            "2:20: profile.default.auth.scram_iterations: expected an integer from 4096 to "
            "10000000, found 1\n"},
        Bad{"[profile.default.module.ping]\nx = 2020-01-01\n",
            "2:5: profile.default.module.ping.x: expected a string, a number, true, false or a "
            "list, found a date or time\n"},
        Bad{"[profile]\ndefault = 1\n",
            "2:1: profile.default: expected a table, [profile.default], found 1\n"},
        Bad{"[host.\"a@b\"]\n",
            "1:7: host.\"a@b\": expected a domain such as [host.\"example.org\"], found \"a@b\"\n"},
        Bad{"[host.\"a.example\"]\ncertificate = \"c\"\n",
            "2:15: host.\"a.example\".certificate: expected a key beside the certificate\n"},
        Bad{"[host.\"a.example\"]\nkey = \"k\"\n",
            "2:7: host.\"a.example\".key: expected a certificate beside the key\n"},
        Bad{"[host.\"a.example\"]\n",
            "1:7: host.\"a.example\".certificate: expected a certificate and its key; only with "
            "listeners on loopback alone a self-signed one is made\n"},
        Bad{"[host.\"a.example\"]\ncertificate = \"c\"\nkey = \"k\"\nprofile = \"defalt\"\n",
            "4:11: host.\"a.example\".profile: there is no [profile.defalt] (nearest known "
            "profile: default)\n"},
        Bad{"[host.\"a.example\"]\ncertificate = \"c\"\nkey = \"k\"\n"
            "admins = [\"a.example\", \"x@y/z\"]\n",
            "4:11: host.\"a.example\".admins[0]: expected an account's address such as "
            "\"admin@example.org\", found \"a.example\"\n"
            "4:24: host.\"a.example\".admins[1]: expected an account's address such as "
            "\"admin@example.org\", found \"x@y/z\"\n"},
        Bad{"[host.\"A.example\"]\ncertificate = \"c\"\nkey = \"k\"\n[host.\"a.example\"]\n",
            "4:7: host.\"a.example\": is the same host as the one at f:1\n"},
        Bad{"[server\n", "1:8: Error while parsing table header: expected ']', saw '\\n'\n"},
        Bad{"[|x]\n",
            "1:2: Error while parsing key: expected bare key starting character or string "
            "delimiter, saw '|'\n"},
        Bad{"include = \"x\"\n", "1:11: include: expected a list of strings, found \"x\"\n"}));

// A directory with files.
class ConfigFiles : public testing::Test {
 protected:
  ConfigFiles() {
    std::string name = (std::filesystem::temp_directory_path() / "xmppd-config-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) std::abort();
    directory_ = name;
  }
  ~ConfigFiles() override { std::filesystem::remove_all(directory_); }
  void write(const std::string& name, const std::string& text) {
    std::filesystem::create_directories((directory_ / name).parent_path());
    std::ofstream(directory_ / name) << text;
  }
  [[nodiscard]] std::string path(const std::string& name) const {
    return (directory_ / name).string();
  }
  std::filesystem::path directory_;
};

TEST_F(ConfigFiles, IncludesAddUpAndResolveAgainstThemselves) {
  write("main.toml", "include = [\"conf.d/*.toml\", \"empty.d/*.toml\"]\n[server]\nworkers = 2\n");
  write("conf.d/b.toml", "[host.\"b.example\"]\ncertificate = \"b.crt\"\nkey = \"b.key\"\n");
  write("conf.d/a.toml", "[host.\"a.example\"]\ncertificate = \"a.crt\"\nkey = \"a.key\"\n");
  write("conf.d/c.txt", "not read");
  const auto config = load_config(path("main.toml"));
  ASSERT_TRUE(config) << errors_of(config);
  EXPECT_EQ(config->server.workers, 2U);
  ASSERT_EQ(config->hosts.size(), 2U);
  EXPECT_EQ(config->hosts[0].name, "a.example");
  EXPECT_EQ(config->hosts[0].certificate, path("conf.d/a.crt"));
}

TEST_F(ConfigFiles, ErrorsOfAllFilesAreCollected) {
  write("main.toml", "include = [\"one.toml\", \"missing.toml\"]\n[server]\nworkers = 2\nx = 1\n");
  write("one.toml", "include = [\"main.toml\"]\n[server]\nworkers = 3\n");
  EXPECT_EQ(errors_of(load_config(path("main.toml"))),
            path("main.toml") + ":4:1: server.x: unknown key (nearest known key: workers)\n" +
                path("one.toml") + ":1:11: include: an included file cannot include others\n" +
                path("one.toml") + ":3:11: server.workers: is set already at " + path("main.toml") +
                ":3\n" + path("main.toml") + ":1:24: include[1]: \"" + path("missing.toml") +
                "\" cannot be read: No such file or directory\n");
}

TEST_F(ConfigFiles, AFileWithoutAHost) {
  write("main.toml", "[server]\nworkers = 2\n");
  EXPECT_EQ(errors_of(load_config(path("main.toml"))),
            path("main.toml") + ": host: expected at least one domain: [host.\"example.org\"]\n");
}

TEST_F(ConfigFiles, AFileThatIsNotThere) {
  EXPECT_EQ(errors_of(load_config(path("missing.toml"))),
            path("missing.toml") + ": cannot be read: No such file or directory\n");
  EXPECT_EQ(errors_of(load_config(directory_)),
            directory_.string() + ": cannot be read: it is a directory\n");
}

TEST(ConfigText, Sizes) {
  EXPECT_EQ(parse_size("0"), 0U);
  EXPECT_EQ(parse_size("512B"), 512U);
  EXPECT_EQ(parse_size("10kB"), 10'000U);
  EXPECT_EQ(parse_size("256KiB"), 262'144U);
  EXPECT_EQ(parse_size("2GiB"), 2'147'483'648U);
  for (const char* bad : {"", "KiB", "1 KiB", "-1", "1.5MiB", "1kib", "99999999999999999999",
                          "18446744073709551615KiB", "0x10", "1B "}) {
    EXPECT_EQ(parse_size(bad), std::nullopt) << bad;
  }
}

TEST(ConfigText, NearestName) {
  const std::vector<std::string> known = {"depth", "stanza_bytes", "attributes"};
  EXPECT_EQ(nearest_name("dept", known), "depth");
  EXPECT_EQ(nearest_name("stanzabyte", known), "stanza_bytes");
  EXPECT_EQ(nearest_name("attribute", known), "attributes");
  EXPECT_EQ(nearest_name("x", {}), "");
  EXPECT_EQ(did_you_mean("dept", known), "; did you mean depth?");
  EXPECT_EQ(did_you_mean("x", known), "") << "nothing is like it";
  EXPECT_EQ(did_you_mean("x", {}), "");
}

TEST(Limits, TheTableMatchesTheDefaults) {
  const Limits limits;
  for (const LimitInfo& row : limit_table()) {
    EXPECT_FALSE(row.help.empty());
    if (row.unit == LimitInfo::Unit::time) {
      EXPECT_EQ(limits.*row.time, seconds(row.default_value)) << row.name;
    } else {
      EXPECT_EQ(limits.*row.number, row.default_value) << row.name;
    }
  }
}

}  // namespace
}  // namespace xmppd
