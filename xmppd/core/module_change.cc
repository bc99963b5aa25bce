// Modules come and go while the server runs: ProfileRuntime::change() and what it needs.
#include "core/module_change.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "core/backstop.h"
#include "core/pending_iq.h"
#include "core/profile_runtime.h"
#include "core/worker.h"

namespace xmppd {
namespace {

// How often it is looked whether the modules to be replaced are idle.
constexpr auto kIdlePoll = std::chrono::milliseconds(2);

bool is_among(const std::vector<std::string>& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

// The value of a module's option as the file has it; empty if it was taken.
std::string assign(OptionBase& option, const ConfigValue& value) {
  if (auto* v = std::get_if<bool>(&value.value)) return option.assign(*v);
  if (auto* v = std::get_if<std::int64_t>(&value.value)) return option.assign(*v);
  if (auto* v = std::get_if<std::string>(&value.value)) return option.assign(*v);
  return option.expected();
}

}  // namespace

std::unique_ptr<Module> make_configured(const ModuleFactory& factory, const ProfileConfig& profile,
                                        std::string_view profile_name,
                                        std::vector<ConfigError>& errors) {
  const std::string name(factory.info().name);
  auto module = guarded(name, "cannot be constructed", [&] { return factory.make(); });
  auto configured = profile.module.find(name);
  if (configured == profile.module.end()) return module;
  const auto prefix = "profile." + std::string(profile_name) + ".module." + name + ".";
  for (const auto& [key, value] : configured->second.options) {
    auto option = std::find_if(module->options().begin(), module->options().end(),
                               [&](OptionBase* o) { return o->info().name == key; });
    if (option == module->options().end()) {
      std::vector<std::string> known;
      for (auto* o : module->options()) known.emplace_back(o->info().name);
      errors.push_back({value.at, prefix + key, "unknown option" + did_you_mean(key, known)});
      continue;
    }
    auto wrong = assign(**option, value);
    if (!wrong.empty()) errors.push_back({value.at, prefix + key, wrong});
  }
  return module;
}

std::unique_ptr<Module> make_configured_or_throw(const ModuleFactory& factory,
                                                 const ProfileConfig& profile,
                                                 std::string_view profile_name) {
  std::vector<ConfigError> errors;
  auto module = make_configured(factory, profile, profile_name, errors);
  if (!errors.empty()) throw std::runtime_error(to_string(errors.front()));
  return module;
}

void ProfileRuntime::change(ModuleChange change, ChangeDone done) {
  XMPP_ASSERT(!changing_ && !hooks_.is_dispatching());
  changing_ = std::make_unique<Changing>();
  changing_->change = std::move(change);
  changing_->done = std::move(done);
  changing_->give_up = worker_.reactor().now() + kIdleWait;
  for (const ModuleFactory* factory : changing_->change.start) {
    const auto name = factory->info().name;
    Instance* replaced = is_among(changing_->change.stop, name) ? find_instance(name) : nullptr;
    if (replaced != nullptr) replaced->scope->holds_requests_ = true;
  }
  changing_->timer.set_callback([this] { await_idle(); });
  await_idle();
}

void ProfileRuntime::await_idle() {
  const bool is_busy = std::any_of(instances_.begin(), instances_.end(), [](const Instance& one) {
    return one.scope->holds_requests_ && one.scope->gate_.inside() != 0;
  });
  auto& reactor = worker_.reactor();
  if (is_busy && reactor.now() < changing_->give_up) {
    reactor.timers().set(changing_->timer, reactor.now() + kIdlePoll);
  } else {
    swap();
  }
}

std::vector<ProfileRuntime::Instance> ProfileRuntime::make_instances() {
  const ModuleChange& change = changing_->change;
  std::vector<Instance> fresh;
  try {
    for (const ModuleFactory* factory : change.start) {
      const auto info = factory->info();
      const std::string name(info.name);
      auto module = make_configured_or_throw(*factory, *change.config, name_);
      auto scope = std::make_unique<Scope>(*this, name);
      fresh.push_back({info, std::move(module), std::move(scope)});
      const Instance& made = fresh.back();
      guarded(name, "cannot be attached in profile '" + name_ + "'",
              [&] { made.module->attach(*made.scope); });
      const Instance* old = find_instance(name);
      if (old == nullptr) continue;
      guarded(name, "cannot take over from the instance before", [&] {
        const auto saved = old->module->save();
        if (!saved.empty()) made.module->restore(saved);
      });
    }
  } catch (...) {
    for (; !fresh.empty(); fresh.pop_back()) fresh.back().scope.reset();
    throw;
  }
  return fresh;
}

void ProfileRuntime::swap() {
  std::vector<Instance> fresh;
  try {
    fresh = make_instances();
  } catch (const std::exception& error) {
    end_change(error.what());
    return;
  }
  for (const std::string& name : changing_->change.stop) {
    Instance* found = find_instance(name);
    if (found == nullptr) continue;
    Instance old = std::move(*found);
    instances_.erase(instances_.begin() + (found - instances_.data()));
    // Of what nobody takes over at once only what is left when it has been handed on.
    const bool is_replaced = std::any_of(
        fresh.begin(), fresh.end(), [&](const Instance& one) { return one.info.name == name; });
    if (is_replaced) set_aside(old);
    retire(std::move(old));
  }
  std::move(fresh.begin(), fresh.end(), std::back_inserter(instances_));
  hand_on();
  release_held();
  changing_->give_up = worker_.reactor().now() + kRetireWait;
  changing_->timer.set_callback([this] { await_retired(); });
  await_retired();
}

void ProfileRuntime::retire(Instance instance) {
  instance.scope->withdraw();
  // Who is inside may finish; the last one lets await_retired() know.
  instance.scope->gate_.close([this] {
    auto& reactor = worker_.reactor();
    if (changing_ && changing_->timer.is_set()) {
      reactor.timers().set(changing_->timer, reactor.now());
    }
  });
  changing_->retired.push_back(std::move(instance));
}

void ProfileRuntime::hand_on() noexcept {
  for (const Instance& one : changing_->retired) {
    const bool has_successor = find_instance(one.info.name) != nullptr;
    try {
      one.module->retire(has_successor);
    } catch (...) {
      note_exception({.component = std::string(one.info.name)}, "exception at an unload");
    }
    if (!has_successor) set_aside(one);
  }
}

void ProfileRuntime::await_retired() {
  auto& reactor = worker_.reactor();
  const bool is_late = reactor.now() >= changing_->give_up;
  auto& retired = changing_->retired;
  for (std::size_t i = 0; i < retired.size();) {
    if (!is_late && retired[i].scope->gate_.inside() != 0) {
      ++i;
      continue;
    }
    Instance gone = std::move(retired[i]);
    retired.erase(retired.begin() + static_cast<std::ptrdiff_t>(i));
    destroy(std::move(gone));
  }
  if (retired.empty()) {
    end_change({});
  } else {
    reactor.timers().set(changing_->timer, changing_->give_up);
  }
}

void ProfileRuntime::destroy(Instance instance) noexcept {
  XMPP_ASSERT(!hooks_.is_dispatching());
  Scope& scope = *instance.scope;
  // RFC 6120 8.2.3: a request is answered, whatever becomes of who should have done it.
  std::vector<std::function<void()>> answers;
  for (PendingIq* pending : scope.pending_) answers.push_back(pending->abandon());
  scope.tasks_.cancel_all();
  instance.scope.reset();
  try {
    instance.module.reset();
    for (const auto& answer : answers) answer();
  } catch (...) {
    note_exception({.component = std::string(instance.info.name)}, "exception at an unload");
  }
}

void ProfileRuntime::release_held() {
  for (Instance& one : instances_) one.scope->holds_requests_ = false;
  for (const auto& request : std::exchange(held_, {})) request();
}

void ProfileRuntime::end_change(std::string error) {
  const auto over = std::move(changing_);  // with its timer, which may be running
  release_held();
  over->done(std::move(error));
}

ProfileRuntime::Instance* ProfileRuntime::find_instance(std::string_view module) noexcept {
  auto found = std::find_if(instances_.begin(), instances_.end(),
                            [&](const Instance& one) { return one.info.name == module; });
  return found == instances_.end() ? nullptr : &*found;
}

}  // namespace xmppd
