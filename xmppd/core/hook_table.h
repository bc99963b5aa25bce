// HookTable: the chains of one (profile, worker), ordered by stage and module name.
//
// Thread-safety: its worker only. Invariant: a running dispatch keeps the chain as it was when it
// began (copy on write); what its entries refer to lives until no dispatch runs.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "xmppd/hooks.h"

namespace xmppd {

class HookTable {
 public:
  using Run = Verdict (*)(void* context, void* hook);
  struct Entry {
    Stage stage;
    std::string module;
    Run run;
    void* context;
    std::uint64_t id;
  };

  HookTable();
  ~HookTable();
  HookTable(const HookTable&) = delete;
  HookTable& operator=(const HookTable&) = delete;

  // Returns the id for remove(). `context` stays the caller's.
  std::uint64_t add(HookId hook, Stage stage, std::string_view module, Run run, void* context);
  void remove(HookId hook, std::uint64_t id) noexcept;
  // Calls `destroy(context)` as soon as no dispatch can use it.
  void release(void* context, void (*destroy)(void*)) noexcept;
  [[nodiscard]] bool is_dispatching() const noexcept { return depth_ != 0; }

  // Runs the chain until somebody stops it.
  template <typename Hook>
  Verdict fire(Hook& hook) {
    return run_chain(HookIdOf<Hook>::value, &hook, Stage::validate);
  }
  // The same without the stages before `from`.
  template <typename Hook>
  Verdict fire_from(Hook& hook, Stage from) {
    return run_chain(HookIdOf<Hook>::value, &hook, from);
  }
  [[nodiscard]] const std::vector<Entry>& chain(HookId hook) const noexcept {
    return *chains_[static_cast<std::size_t>(hook)];
  }
  // Exceptions that left a hook; tests fail if it is not zero.
  [[nodiscard]] std::uint64_t exceptions() const noexcept { return exceptions_; }

 private:
  using Chain = std::vector<Entry>;
  struct Released {
    void* context;
    void (*destroy)(void*);
  };
  Verdict run_chain(HookId hook, void* data, Stage from);
  // The chain to change: a copy if a dispatch may be using the present one.
  Chain& writable(HookId hook);
  void end_of_dispatches() noexcept;
  std::array<std::unique_ptr<Chain>, static_cast<std::size_t>(HookId::count_)> chains_;
  std::vector<std::unique_ptr<Chain>> replaced_;
  std::vector<Released> released_;
  std::uint64_t next_id_ = 1;
  std::uint64_t exceptions_ = 0;
  int depth_ = 0;
};

}  // namespace xmppd
