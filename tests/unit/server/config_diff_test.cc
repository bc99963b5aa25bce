// What differs between two configurations, and what of it can wait for no restart.
#include "core/config_diff.h"

#include <gtest/gtest.h>

#include <string>

namespace xmppd {
namespace {

Config parsed(const std::string& text) {
  auto config = parse_config(text, "/etc/x.toml");
  EXPECT_TRUE(config);
  return config ? std::move(*config) : Config{};
}

const std::string kListen = "[[listen]]\nservice = \"c2s\"\naddress = [\"127.0.0.1:5222\"]\n";

// One line a change: key, kind, from, to; '!' before what needs a restart.
std::string diff(const std::string& running, const std::string& fresh) {
  std::string text;
  for (const auto& change : compare_configs(parsed(kListen + running), parsed(kListen + fresh))) {
    text += (change.needs_restart ? "!" : "") + change.key + ' ' +
            std::string(to_string(change.kind)) + ' ' + change.from + " > " + change.to + '\n';
  }
  return text;
}

TEST(ConfigDiff, SaysWhatChangedAndWhatWaits) {
  EXPECT_EQ(diff("[host.\"a\"]\n", "[host.\"a\"]\n"), "");
  EXPECT_EQ(
      diff("[host.\"a\"]\n[host.\"b\"]\n", "[host.\"b\"]\nadmins = [\"x@b\"]\n[host.\"c\"]\n"),
      "host.\"a\" removed default > \n"
      "host.\"b\".admins changed  > x@b\n"
      "host.\"c\" added  > default\n");
  EXPECT_EQ(diff("[host.\"a\"]\ncertificate = \"a.crt\"\nkey = \"k\"\n",
                 "[host.\"a\"]\ncertificate = \"b.crt\"\nkey = \"k\"\n"),
            "host.\"a\".certificate changed /etc/a.crt > /etc/b.crt\n");
  EXPECT_EQ(diff("", "[server]\nworkers = 3\ndata_dir = \"/x\"\n"),
            "!server.workers changed 0 > 3\n"
            "!server.data_dir changed /var/lib/xmppd > /x\n"
            "!storage.path changed /var/lib/xmppd/xmppd.db > /x/xmppd.db\n");
  EXPECT_EQ(diff("", "[limits]\ndepth = 32\nidle_timeout = \"5m\"\noffload_queue = 20\n"),
            "limits.depth changed 64 > 32\n"
            "!limits.offload_queue changed 10000 > 20\n"
            "limits.idle_timeout changed 0s > 5m\n");
  EXPECT_EQ(diff("", "[[listen]]\nservice = \"c2s\"\naddress = [\"127.0.0.1:1\"]\n"),
            "!listen changed c2s required 127.0.0.1:5222 > c2s required 127.0.0.1:5222; c2s "
            "required 127.0.0.1:1\n");
}

TEST(ConfigDiff, LooksIntoProfiles) {
  EXPECT_EQ(diff("[profile.default.module.register]\nallow = \"all\"\n",
                 "[profile.default.module.register]\nper_address = 5\n"
                 "[profile.default.auth]\nscram_iterations = 5000\n[profile.big]\n"),
            "!profile.default.module.register.allow removed \"all\" > \n"
            "!profile.default.module.register.per_address added  > 5\n"
            "profile.default.auth.scram_iterations changed 10000 > 5000\n"
            "profile.big added  > recommended\n");
  EXPECT_EQ(diff("[profile.big]\nmodules = [\"+a\"]\n", "[profile.default]\nmodules = [\"-b\"]\n"),
            "!profile.big removed  > \n"
            "!profile.default.modules changed recommended > recommended [-b]\n");
}

TEST(ConfigDiff, KeepsWhatNeedsARestart) {
  const Config running = parsed(kListen + "[host.\"a\"]\n[profile.old]\n");
  const Config fresh = parsed(kListen +
                              "[server]\nworkers = 7\n[limits]\ndepth = 32\nstorage_queue = 99\n"
                              "[profile.default]\nmodules = [\"ping\"]\n[host.\"b\"]\n");
  const Config applied = applicable_config(running, fresh);
  EXPECT_EQ(applied.server.workers, 0U);
  EXPECT_EQ(applied.limits.depth, 32U);
  EXPECT_EQ(applied.limits.storage_queue, running.limits.storage_queue);
  EXPECT_TRUE(applied.profiles.contains("old"));
  EXPECT_EQ(applied.profiles.at("default").modules.base, ModuleSelection::Base::recommended);
  ASSERT_EQ(applied.hosts.size(), 1U);
  EXPECT_EQ(applied.hosts[0].name, "b");
  // What waits is still there the next time, what was applied is not.
  const auto changes = compare_configs(applied, fresh);
  ASSERT_EQ(changes.size(), 4U);
  for (const auto& change : changes) EXPECT_TRUE(change.needs_restart) << change.key;
}

}  // namespace
}  // namespace xmppd
