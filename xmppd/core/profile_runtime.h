// ProfileRuntime: what one worker holds for one profile: the module instances, the hook chains, the
// iq handlers, the advertised features.
//
// Thread-safety: its worker only (constructed before the worker runs).
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "core/activation.h"
#include "core/config.h"
#include "core/hook_table.h"
#include "core/iq_table.h"
#include "core/module_change.h"
#include "xmppd/module.h"

namespace xmppd {

class Worker;

class ProfileRuntime {
 public:
  struct StreamFeature {
    std::string markup;
    std::function<std::string(Host&)> make;  // makes it instead, if set
    bool after_authentication;
    std::uint64_t id;
  };
  struct NonzaHandler {
    std::string ns;
    std::function<void(Session&, xmpp::xml::Element)> function;
    const xmpp::log::Context* log_context;
    std::uint64_t id;
  };
  struct Instance {
    ModuleInfo info;
    std::unique_ptr<Module> module;
    std::unique_ptr<Scope> scope;  // destroyed before the module
  };
  // Said when a change is over; empty, or why nothing was changed.
  using ChangeDone = std::function<void(std::string error)>;

  ProfileRuntime(Worker& worker, std::string name, const ProfileConfig& config)
      : worker_(worker), name_(std::move(name)), config_(config) {}
  ~ProfileRuntime();
  ProfileRuntime(const ProfileRuntime&) = delete;
  ProfileRuntime& operator=(const ProfileRuntime&) = delete;

  [[nodiscard]] Worker& worker() noexcept { return worker_; }
  [[nodiscard]] const std::string& name() const noexcept { return name_; }
  [[nodiscard]] const ProfileConfig& config() const noexcept { return config_; }
  // For streams that open from now on.
  void set_auth(const AuthConfig& auth) { config_.auth = auth; }
  [[nodiscard]] HookTable& hooks() noexcept { return hooks_; }
  [[nodiscard]] IqTable& iqs() noexcept { return iqs_; }
  // What modules want to have in memory of an account. The epoch grows with every such wish: an
  // account that was loaded at an earlier one is not active.
  [[nodiscard]] const std::shared_ptr<const AccountLoaders>& account_loaders() const noexcept {
    return account_loaders_;
  }
  [[nodiscard]] std::uint64_t account_epoch() const noexcept { return account_epoch_; }

  // Attaches an instance whose options are set. REQUIRES: no dispatch is running.
  void attach(const ModuleInfo& info, std::unique_ptr<Module> module);
  // Destroys all instances, the last attached first.
  void detach_all() noexcept;
  // Replaces, adds and takes away instances at a turn boundary (module_change.h). `done` is called
  // when the old ones are gone: at once, or later. REQUIRES: no dispatch is running, no other
  // change is under way.
  void change(ModuleChange change, ChangeDone done);
  [[nodiscard]] const std::vector<Instance>& instances() const noexcept { return instances_; }

  // For disco#info, sorted and without duplicates.
  [[nodiscard]] const std::vector<std::string>& features() const noexcept { return features_; }
  [[nodiscard]] const std::vector<Identity>& identities() const noexcept { return identities_; }
  [[nodiscard]] const std::vector<xmpp::form::Form>& forms() const noexcept { return forms_; }
  [[nodiscard]] const std::vector<StreamFeature>& stream_features() const noexcept {
    return stream_features_;
  }
  // Empty if a module failed to make it.
  [[nodiscard]] static std::string markup_of(const StreamFeature& feature, Host& host);
  [[nodiscard]] const std::vector<std::string>& preauth_iq() const noexcept { return preauth_iq_; }

  // Hands an element that is no stanza to the module that asked for it; false: nobody did.
  bool receive_nonza(Session& session, xmpp::xml::Element element);

  // Used by Scope.
  std::uint64_t add_nonza(NonzaHandler handler);
  void remove_nonza(std::uint64_t id) noexcept;
  void add_feature(std::string_view ns);
  void remove_feature(std::string_view ns) noexcept;
  void add_identity(Identity identity);
  void remove_identity(const Identity& identity) noexcept;
  std::uint64_t add_stream_feature(StreamFeature feature);
  void remove_stream_feature(std::uint64_t id) noexcept;
  std::uint64_t add_form(xmpp::form::Form form);
  void remove_form(std::uint64_t id) noexcept;
  void admit(std::string_view ns);
  void unadmit(std::string_view ns) noexcept;
  // Throws std::runtime_error if another module provides it.
  void add_service(std::string_view name, void* service, std::string_view module);
  void remove_service(const void* service) noexcept;
  [[nodiscard]] void* find_service(std::string_view name) const noexcept;
  void add_account_loader(const SlotEntry& slot, decltype(AccountLoader::load) load);
  void remove_account_loader(const SlotEntry& slot) noexcept;
  // The result stays until clear_slot(); its index is one that no object has a value for.
  const SlotEntry& add_slot(int object_kind, SlotEntry entry);
  void clear_slot(int object_kind, const SlotEntry& entry) noexcept;
  // The profile's accounts in memory; they stay there until the end of the turn.
  [[nodiscard]] std::vector<Account*> accounts();
  // Destroys what the module spawned into accounts and sessions.
  void cancel_tasks(const Scope& scope) noexcept;

  // While a module waits to be replaced, requests that it would answer later are held.
  [[nodiscard]] static bool is_held(const IqTable::Entry& entry) noexcept {
    return entry.handler.answer_later && entry.scope->holds_requests_;
  }
  [[nodiscard]] bool has_room_for_held() const noexcept { return held_.size() < kHeldRequestsMax; }
  void hold(std::function<void()> request) { held_.push_back(std::move(request)); }

 private:
  // The slots of sessions, of accounts, or of hosts. A cleared entry is used again.
  struct SlotTable {
    std::deque<SlotEntry> entries;  // stable addresses
    std::vector<std::uint32_t> free;
  };

  // A change that waits for the end of tasks: before the swap (of those to be replaced), or after
  // it (of those that were taken out).
  struct Changing {
    ModuleChange change;
    ChangeDone done;
    std::vector<Instance> retired;
    xmpp::Instant give_up{};
    xmpp::Timer timer;
  };

  void await_idle();
  void swap();
  // Throws what a module throws; nothing has changed then.
  std::vector<Instance> make_instances();
  void set_aside(const Instance& instance) noexcept;
  void retire(Instance instance);
  // Has what waits in the retired modules handed on. REQUIRES: the new instances are in place.
  void hand_on() noexcept;
  void await_retired();
  // Answers what the module has not answered, and destroys it whatever its tasks do.
  void destroy(Instance instance) noexcept;
  void release_held();
  void end_change(std::string error);
  [[nodiscard]] Instance* find_instance(std::string_view module) noexcept;
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
  std::vector<xmpp::form::Form> forms_;
  std::vector<std::uint64_t> form_ids_;  // of forms_, one each
  std::vector<StreamFeature> stream_features_;
  std::vector<std::string> preauth_iq_;
  std::vector<NonzaHandler> nonzas_;
  struct Service {
    std::string name;
    void* service;
    std::string module;
  };
  std::vector<Service> services_;
  std::shared_ptr<const AccountLoaders> account_loaders_ = std::make_shared<AccountLoaders>();
  std::uint64_t account_epoch_ = 1;
  std::uint64_t next_id_ = 1;
  std::array<SlotTable, 3> slots_;
  std::vector<Instance> instances_;
  std::unique_ptr<Changing> changing_;
  std::vector<std::function<void()>> held_;
};

}  // namespace xmppd
