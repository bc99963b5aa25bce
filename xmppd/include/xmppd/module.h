// Module, Scope and XMPPD_MODULE: how a plug-in is written. The whole of XEP-0199
// (modules/ping.cc):
//
//   class Ping final : public Module {
//    public:
//     void attach(Scope& scope) override {
//       scope.feature(ns::ping);
//       scope.on_iq<xep::Ping>(Target::host | Target::own_account,
//                              [](IqCall&, const xep::Ping&) { return IqReply::ok(); });
//     }
//   };
//   XMPPD_MODULE(Ping, {.name = "ping", .xep = "0199"});
//
// There is one instance per (profile, worker), so members need no locks. Whatever an instance
// registers, its Scope un-registers; there is no unload callback to forget.
//
// Thread-safety: an instance is constructed, attached, used and destroyed on its worker's thread
// (or before the workers start). Data shared between instances of a module is the module's own
// business.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "xmpp/base/gate.h"
#include "xmpp/base/log.h"
#include "xmpp/base/random.h"
#include "xmpp/base/task.h"
#include "xmpp/base/time.h"
#include "xmpp/base/timer_wheel.h"
#include "xmpp/core/form.h"
#include "xmpp/core/namespaces.h"
#include "xmpp/net/reactor.h"
#include "xmppd/account.h"
#include "xmppd/export.h"
#include "xmppd/hooks.h"
#include "xmppd/host.h"
#include "xmppd/iq.h"
#include "xmppd/option.h"
#include "xmppd/session.h"
#include "xmppd/slot.h"
#include "xmppd/storage.h"

namespace xmppd {

class PendingIq;
class ProfileRuntime;
class Scope;

class XMPPD_API Module {
 public:
  Module() = default;
  Module(const Module&) = delete;
  Module& operator=(const Module&) = delete;
  virtual ~Module() = default;

  // Registers everything with `scope`. Options have their values. The scope is destroyed before the
  // module, so that no registered function can outlive what it refers to. May throw: the module is
  // then not loaded.
  virtual void attach(Scope& scope) = 0;

  // What a later instance of this module is given, when it takes this one's place (`xmppctl module
  // reload`); slots have a save() of their own. The later one may be of another version.
  [[nodiscard]] virtual std::string save() const { return {}; }
  // Called after attach() if the instance before saved anything. May throw as attach() may.
  virtual void restore(std::string_view saved) { (void)saved; }
  // Its hooks, handlers and timers have gone, and what was saved is its successor's, if there is
  // one. Its tasks have a while to end. What waits here for others is handed on now: it may send
  // stanzas and deliver them.
  virtual void retire(bool has_successor) { (void)has_successor; }

  [[nodiscard]] const std::vector<OptionBase*>& options() const noexcept { return options_; }

 private:
  friend class OptionBase;
  std::vector<OptionBase*> options_;
};

// What is known of a module without running it.
struct ModuleInfo {
  std::string_view name;
  std::string_view xep = {};      // "0199", "RFC 6121", or empty
  std::string_view summary = {};  // one line for `xmppctl module list`
  std::vector<std::string_view> requires_modules = {};
};

// Makes instances; one per module and process.
class XMPPD_API ModuleFactory {
 public:
  virtual ~ModuleFactory() = default;
  [[nodiscard]] virtual ModuleInfo info() const = 0;
  [[nodiscard]] virtual std::unique_ptr<Module> make() const = 0;
};

namespace detail {
// What on_iq() registers: decodes the payload and calls the module's function.
struct IqHandler {
  xmpp::xml::Name payload{"", ""};
  Target targets{};
  IqKind kind = IqKind::both;
  // Exactly one of them is set: an immediate answer, or a task.
  std::function<IqReply(IqCall&)> answer;
  std::function<xmpp::Task<IqReply>(IqCall&)> answer_later;
};
}  // namespace detail

// A bag of registrations. Destroying it undoes all of them.
class XMPPD_API Scope {
 public:
  Scope(ProfileRuntime& runtime, std::string_view module);
  ~Scope();
  Scope(const Scope&) = delete;
  Scope& operator=(const Scope&) = delete;

  // Hooks; see hooks.h. `function`: Verdict(Hook&).
  template <typename Hook, typename F>
  void on(Stage stage, F function) {
    struct Call {
      static Verdict run(void* context, void* hook) {
        return (*static_cast<F*>(context))(*static_cast<Hook*>(hook));
      }
      static void destroy(void* context) { delete static_cast<F*>(context); }
    };
    add_hook(HookIdOf<Hook>::value, stage, &Call::run, new F(std::move(function)), &Call::destroy);
  }

  // A handler for iq requests with payload T. `function`: IqReply(IqCall&, const T&), or
  // Task<IqReply>(IqCall&, T), which must be a named coroutine (std::bind_front or a lambda that is
  // no coroutine itself and calls one).
  template <typename T, typename F>
  void on_iq(Target targets, F function) {
    on_iq<T>(targets, IqKind::both, std::move(function));
  }
  template <typename T, typename F>
  void on_iq(Target targets, IqKind kind, F function) {
    detail::IqHandler handler{T::codec.name, targets, kind, {}, {}};
    if constexpr (std::is_same_v<std::invoke_result_t<F&, IqCall&, const T&>, IqReply>) {
      handler.answer = [f = std::move(function)](IqCall& call) mutable {
        auto payload = xmpp::xml::decode<T>(payload_of(call));
        if (!payload) return malformed(payload.error());
        return f(call, *payload);
      };
    } else {
      handler.answer_later = [f = std::move(function)](IqCall& call) mutable {
        auto payload = xmpp::xml::decode<T>(payload_of(call));
        if (!payload) return fail_later(malformed(payload.error()));
        return f(call, std::move(*payload));
      };
    }
    add_iq(std::move(handler));
  }

  // First-level elements in this namespace that are no stanzas, from a session; in order with its
  // stanzas. What nobody asked for ends the stream.
  void on_nonza(std::string_view ns, std::function<void(Session&, xmpp::xml::Element)> function);

  // A feature that disco#info of the host lists.
  void feature(std::string_view ns);
  // An identity of the host in disco#info.
  void identity(std::string_view category, std::string_view type, std::string_view name = {});
  // A form with a FORM_TYPE of its own in the host's disco#info.
  void form(xmpp::form::Form form);
  // Markup in <stream:features/>, complete with its xmlns; offered before or after authentication.
  void stream_feature(std::string markup, bool after_authentication);
  // The same after authentication, made anew for every stream.
  void stream_feature(std::function<std::string(Host&)> make);
  // Admits iqs with payloads in this namespace before authentication (Target::unauthenticated).
  void admit_before_authentication(std::string_view ns);

  // Offers a service to other modules: a pure interface of the SDK with a `kServiceName`. One
  // module of a profile provides it; a second one is an error.
  template <typename T>
  void provide(T& service) {
    add_service(T::kServiceName, &service);
  }
  // The service that a module in this module's `requires_modules` provides; it outlives this scope.
  template <typename T>
  [[nodiscard]] T& use() {
    return *static_cast<T*>(get_service(T::kServiceName));
  }

  template <typename T>
  [[nodiscard]] SessionSlot<T> session_slot() {
    return SessionSlot<T>(add_slot(0, slot_entry<T>()));
  }
  template <typename T>
  [[nodiscard]] AccountSlot<T> account_slot() {
    return AccountSlot<T>(add_slot(1, slot_entry<T>()));
  }
  // What this module must know of an account before any hook runs for it, login included: `load`
  // reads it from storage, in one transaction with what other modules want. After that
  // `account[state]` is in memory for as long as the account is; changes are the module's to store.
  //
  //   state_ = scope.account_state<Blocklist>(
  //       [](Tx& tx, const xmpp::Jid& account) { return tx.blocklists().load(account); });
  //
  // `load`: StorageResult<T>(Tx&, const xmpp::Jid&); it captures nothing and runs on a storage
  // thread.
  template <typename T, typename F>
  [[nodiscard]] AccountState<T> account_state(F /*load*/) {
    static_assert(Captureless<F>, "the function captures nothing: it runs on a storage thread");
    static_assert(Sendable<T>, "what is loaded comes from a storage thread");
    return AccountState<T>(add_account_state(
        slot_entry<T>(), [](Tx& tx, const xmpp::Jid& account) -> StorageResult<SlotValue> {
          auto loaded = F{}(tx, account);
          if (!loaded) return xmpp::Err(loaded.error());
          return make_slot_value<T>(std::move(*loaded));
        }));
  }
  template <typename T>
  [[nodiscard]] HostSlot<T> host_slot() {
    return HostSlot<T>(add_slot(2, slot_entry<T>()));
  }
  // Visits the accounts in memory that have a value in the slot; what an instance before saved
  // counts. `visit`: void(Account&, T&). REQUIRES: no hook is running.
  template <typename T, typename F>
  void for_each(const AccountSlot<T>& slot, F visit) {
    for (Account* account : accounts()) {
      if (T* value = account->find(slot)) visit(*account, *value);
    }
  }
  // The same for their sessions: void(Session&, T&).
  template <typename T, typename F>
  void for_each(const SessionSlot<T>& slot, F visit) {
    for (Account* account : accounts()) {
      for (Session* session : account->sessions()) {
        if (T* value = session->find(slot)) visit(*session, *value);
      }
    }
  }

  // Calls `call` after `delay`, again and again if it returns a positive delay.
  void timer(xmpp::Duration delay, std::function<xmpp::Duration()> call);
  // Runs a task that dies with the module. (account.spawn() and session.spawn() are for tasks that
  // die with their object too.)
  void spawn(xmpp::Task<void> task) { spawn_into(tasks_, std::move(task)); }
  // A function that does nothing once the module has gone; an unload waits a while for it to be
  // called or dropped. For functions of the module that others keep: services, storage.
  template <typename F>
  [[nodiscard]] auto guard(F function) {
    return [pass = std::make_shared<xmpp::Gate::Pass>(gate_.enter_within()),
            function = std::move(function)](auto&&... arguments) mutable {
      if (*pass) function(std::forward<decltype(arguments)>(arguments)...);
    };
  }

  // For how long the server has been running.
  [[nodiscard]] xmpp::Duration uptime() noexcept;
  // The worker's surroundings.
  [[nodiscard]] xmpp::net::Reactor& reactor() noexcept;
  [[nodiscard]] xmpp::Rng& rng() noexcept;
  [[nodiscard]] Storage& storage() noexcept;
  [[nodiscard]] const xmpp::log::Context& log_context() const noexcept { return log_context_; }
  // Runs `work` on an offload thread (it must not touch the worker's objects) and then `done` here,
  // unless the module has gone.
  // False: too many jobs wait, neither will run.
  [[nodiscard]] bool offload(std::function<void()> work, std::function<void()> done);

  [[nodiscard]] std::string_view module_name() const noexcept { return module_; }

 private:
  friend class PendingIq;
  friend class ProfileRuntime;
  friend class TaskBag;
  using LoadState = StorageResult<SlotValue> (*)(Tx& tx, const xmpp::Jid& account);
  static xmpp::xml::Element payload_of(const IqCall& call);
  static IqReply malformed(const xmpp::xml::DecodeError& error);
  static xmpp::Task<IqReply> fail_later(IqReply reply);
  void add_hook(HookId id, Stage stage, Verdict (*run)(void*, void*), void* context,
                void (*destroy)(void*));
  void add_iq(detail::IqHandler handler);
  [[nodiscard]] const SlotEntry& add_slot(int object_kind, SlotEntry entry);
  [[nodiscard]] const SlotEntry& add_account_state(SlotEntry entry, LoadState load);
  // All of this profile that are in memory; they stay there until the end of the turn.
  [[nodiscard]] std::vector<Account*> accounts();
  void add_service(std::string_view name, void* service);
  [[nodiscard]] void* get_service(std::string_view name);
  void spawn_into(xmpp::TaskOwner& owner, xmpp::Task<void> task);
  // Undoes all but what running tasks may still use: the slots, and the tasks themselves.
  void withdraw() noexcept;

  ProfileRuntime& runtime_;
  std::string module_;
  xmpp::log::Context log_context_;
  std::vector<std::function<void()>> undo_;  // run in reverse
  std::vector<std::pair<int, const SlotEntry*>> slots_;
  std::vector<std::unique_ptr<xmpp::Timer>> timers_;
  std::vector<PendingIq*> pending_;  // requests that a task of this module answers
  bool holds_requests_ = false;      // they wait for the next instance
  xmpp::Gate gate_;                  // inside: tasks and guarded functions
  xmpp::TaskOwner tasks_;
};

}  // namespace xmppd

// Defines the module's factory. `...`: a ModuleInfo in braces.
#ifdef XMPPD_STATIC_MODULES
namespace xmppd::detail {
// Linked-in modules (simulation, fuzzing) announce themselves at start-up.
XMPPD_API void register_static_module(std::unique_ptr<ModuleFactory> factory);
}  // namespace xmppd::detail
#define XMPPD_MODULE(Class, ...)                                                           \
  namespace {                                                                              \
  struct Class##Factory final : ::xmppd::ModuleFactory {                                   \
    ::xmppd::ModuleInfo info() const override {                                            \
      return __VA_ARGS__;                                                                  \
    }                                                                                      \
    std::unique_ptr<::xmppd::Module> make() const override {                               \
      return std::make_unique<Class>();                                                    \
    }                                                                                      \
  };                                                                                       \
  [[maybe_unused]] const bool k##Class##Registered =                                       \
      (::xmppd::detail::register_static_module(std::make_unique<Class##Factory>()), true); \
  }
#else
#include "xmppd/module_manifest.h"
#endif
