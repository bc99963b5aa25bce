// ProfileRuntime: what one worker holds for one profile: the module instances, the hook chains, the
// iq handlers, the advertised features.
//
// Thread-safety: its worker only (constructed before the worker runs).
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "core/config.h"
#include "core/hook_table.h"
#include "core/iq_table.h"
#include "xmppd/module.h"

namespace xmppd {

class Worker;

class ProfileRuntime {
 public:
  struct StreamFeature {
    std::string markup;
    bool after_authentication;
    std::uint64_t id;
  };
  struct Instance {
    ModuleInfo info;
    std::unique_ptr<Module> module;
    std::unique_ptr<Scope> scope;  // destroyed before the module
  };

  ProfileRuntime(Worker& worker, std::string name, const ProfileConfig& config)
      : worker_(worker), name_(std::move(name)), config_(config) {}
  ~ProfileRuntime();
  ProfileRuntime(const ProfileRuntime&) = delete;
  ProfileRuntime& operator=(const ProfileRuntime&) = delete;

  [[nodiscard]] Worker& worker() noexcept { return worker_; }
  [[nodiscard]] const std::string& name() const noexcept { return name_; }
  [[nodiscard]] const ProfileConfig& config() const noexcept { return config_; }
  [[nodiscard]] HookTable& hooks() noexcept { return hooks_; }
  [[nodiscard]] IqTable& iqs() noexcept { return iqs_; }

  // Attaches an instance whose options are set. REQUIRES: no dispatch is running.
  void attach(const ModuleInfo& info, std::unique_ptr<Module> module);
  // Destroys all instances, the last attached first.
  void detach_all() noexcept;
  [[nodiscard]] const std::vector<Instance>& instances() const noexcept { return instances_; }

  // For disco#info, sorted and without duplicates.
  [[nodiscard]] const std::vector<std::string>& features() const noexcept { return features_; }
  [[nodiscard]] const std::vector<Identity>& identities() const noexcept { return identities_; }
  [[nodiscard]] const std::vector<StreamFeature>& stream_features() const noexcept {
    return stream_features_;
  }
  [[nodiscard]] const std::vector<std::string>& preauth_iq() const noexcept { return preauth_iq_; }

  // Used by Scope.
  void add_feature(std::string_view ns);
  void remove_feature(std::string_view ns) noexcept;
  void add_identity(Identity identity);
  void remove_identity(const Identity& identity) noexcept;
  std::uint64_t add_stream_feature(std::string markup, bool after_authentication);
  void remove_stream_feature(std::uint64_t id) noexcept;
  void admit(std::string_view ns);
  void unadmit(std::string_view ns) noexcept;
  void add_service(std::string_view name, void* service);
  void remove_service(std::string_view name) noexcept;
  [[nodiscard]] void* find_service(std::string_view name) const noexcept;
  // The result stays until clear_slot(); its index is one that no object has a value for.
  const SlotEntry& add_slot(int object_kind, SlotEntry entry);
  void clear_slot(int object_kind, const SlotEntry& entry) noexcept;

 private:
  // The slots of sessions, of accounts, or of hosts. A cleared entry is used again.
  struct SlotTable {
    std::deque<SlotEntry> entries;  // stable addresses
    std::vector<std::uint32_t> free;
  };

  void rebuild_features();
  // Visits the SlotBag of every object of that kind.
  template <typename F>
  void for_each_bag(int object_kind, F&& visit);

  Worker& worker_;
  std::string name_;
  ProfileConfig config_;
  HookTable hooks_;
  IqTable iqs_;
  std::vector<std::string> feature_entries_;  // with duplicates: one per registration
  std::vector<std::string> features_;
  std::vector<Identity> identities_;
  std::vector<StreamFeature> stream_features_;
  std::vector<std::string> preauth_iq_;
  std::vector<std::pair<std::string, void*>> services_;
  std::uint64_t next_id_ = 1;
  std::array<SlotTable, 3> slots_;
  std::vector<Instance> instances_;
};

}  // namespace xmppd
