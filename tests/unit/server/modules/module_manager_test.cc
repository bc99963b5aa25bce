// The module manager and modules at fault: the server refuses to start and says which module and
// why, and nothing crashes. The modules are real shared libraries, built beside this file.
#include "core/module_manager.h"

#include <gtest/gtest.h>

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "core/environment.h"
#include "core/server.h"

namespace xmppd {
namespace {

namespace fs = std::filesystem;

// The system's, but without threads and sockets.
class QuietEnvironment final : public Environment {
 public:
  [[nodiscard]] xmpp::Clock& clock() override { return system_->clock(); }
  [[nodiscard]] std::unique_ptr<xmpp::net::Poller> make_poller() override {
    return system_->make_poller();
  }
  [[nodiscard]] std::unique_ptr<xmpp::Rng> make_rng() override { return system_->make_rng(); }
  [[nodiscard]] bool has_threads() const override { return false; }

 private:
  std::unique_ptr<Environment> system_ = make_system_environment();
};

Config config_with(const std::vector<std::string>& modules) {
  Config config = dev_config("/nonexistent");
  config.server.workers = 1;
  config.storage.path = ":memory:";
  ProfileConfig& profile = config.profiles["default"];
  profile.modules.base = ModuleSelection::Base::none;
  profile.modules.added.clear();
  profile.module.clear();
  for (const auto& name : modules) profile.modules.added.push_back({name, {}});
  return config;
}

// Why a server with these modules does not start; empty: it does.
std::string start_error(const std::vector<std::string>& modules) {
  QuietEnvironment environment;
  try {
    Server server(config_with(modules), environment, FAULTY_MODULES);
  } catch (const std::runtime_error& error) {
    return error.what();
  }
  return {};
}

// What --check-config says.
std::string check_errors(const std::vector<std::string>& modules) {
  ModuleManager manager(FAULTY_MODULES);
  std::string text;
  for (const auto& error : manager.check(config_with(modules))) text += to_string(error) + "\n";
  return text;
}

bool has(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

struct Fault {
  std::string_view name;
  std::vector<std::string> modules;
  std::vector<std::string_view> said;
  bool is_seen_by_check = true;
};

class ModuleManagerFault : public testing::TestWithParam<Fault> {};

TEST_P(ModuleManagerFault, StartIsRefusedAndTheMessageNamesModuleAndCause) {
  const Fault& fault = GetParam();
  const std::string started = start_error(fault.modules);
  const std::string checked = check_errors(fault.modules);
  for (const auto part : fault.said) {
    EXPECT_TRUE(has(started, part)) << part << " is not in: " << started;
    if (fault.is_seen_by_check) {
      EXPECT_TRUE(has(checked, part)) << part << " is not in: " << checked;
    }
  }
  if (!fault.is_seen_by_check) {
    EXPECT_EQ(checked, "");
  }
}

INSTANTIATE_TEST_SUITE_P(
    All, ModuleManagerFault,
    testing::Values(
        Fault{"WrongAbi", {"wrong_abi"}, {"'wrong_abi'", "another version of xmppd", "rebuild it"}},
        Fault{"MissingSymbol", {"missing_symbol"}, {"'missing_symbol'", "nobody_defines_this"}},
        Fault{"MissingRequirement", {"needs_absent"}, {"'needs_absent'", "requires 'sound'"}},
        Fault{"Circle",
              {"ring_a", "ring_b"},
              {"require each other in a circle", "ring_a -> ring_b -> ring_a"}},
        Fault{"NameOfAnother",
              {"misnamed"},
              {"'misnamed' calls itself 'another'", "must be mod_another.so"}},
        Fault{"NobodyProvidesAService",
              {"wants_service"},
              {"'wants_service'", "nobody provides the service 'directed_presence'"},
              false},
        Fault{"UnknownName", {"sond"}, {"no module 'sond'", "did you mean sound?"}},
        Fault{"ConstructorThrows",
              {"sound", "throws_made"},
              {"'throws_made'", "constructed", "no luck when made"}},
        Fault{"AttachThrows",
              {"sound", "throws_attached"},
              {"'throws_attached'", "profile 'default'", "no luck when attached"},
              false},
        Fault{"AttachThrowsNoException",
              {"throws_number"},
              {"'throws_number'", "profile 'default'", "unknown type"},
              false}),
    [](const auto& fault) { return std::string(fault.param.name); });

TEST(ModuleManager, ASoundModuleStartsBesideFaultyFiles) {
  EXPECT_EQ(start_error({"sound"}), "");
  EXPECT_EQ(start_error({"needs_absent", "sound"}), "");
}

TEST(ModuleManager, ListShowsTheErrorOfWhatCannotBeLoaded) {
  const fs::path directory =
      fs::path(testing::TempDir()) / ("modules-" + std::to_string(::getpid()));
  fs::create_directories(directory);
  for (const auto* name : {"mod_sound.so", "mod_wrong_abi.so", "mod_missing_symbol.so"}) {
    fs::copy_file(fs::path(FAULTY_MODULES) / name, directory / name,
                  fs::copy_options::overwrite_existing);
  }
  std::ofstream(directory / "mod_garbage.so") << "no library at all";
  std::ofstream(directory / "notes.txt") << "no module";

  // Also for a profile that would not start.
  for (const std::string_view selected : {"sound", "garbage"}) {
    ModuleManager manager(directory);
    const auto rows = manager.list(config_with({std::string(selected)}));
    ASSERT_EQ(rows.size(), 4U);
    EXPECT_EQ(rows[0].name, "garbage");
    EXPECT_TRUE(has(rows[0].summary, "'garbage' cannot be loaded")) << rows[0].summary;
    EXPECT_FALSE(rows[0].is_loaded);
    EXPECT_TRUE(has(rows[1].summary, "nobody_defines_this")) << rows[1].summary;
    EXPECT_EQ(rows[2].name, "sound");
    EXPECT_EQ(rows[2].summary, "Nothing is wrong");
    EXPECT_EQ(rows[2].is_loaded, selected == "sound");
    EXPECT_TRUE(has(rows[3].summary, "another version")) << rows[3].summary;
  }
  fs::remove_all(directory);
}

}  // namespace
}  // namespace xmppd
