#include "core/profile_runtime.h"

#include <algorithm>
#include <stdexcept>

#include "core/backstop.h"
#include "core/worker.h"

namespace xmppd {
namespace {
// Removes one equal element, if any.
template <typename T, typename U>
void erase_one(std::vector<T>& from, const U& value) noexcept {
  auto found = std::find(from.begin(), from.end(), value);
  if (found != from.end()) from.erase(found);
}
}  // namespace

ProfileRuntime::~ProfileRuntime() {
  detach_all();
}

void ProfileRuntime::attach(const ModuleInfo& info, std::unique_ptr<Module> module) {
  auto scope = std::make_unique<Scope>(*this, info.name);
  module->attach(*scope);
  instances_.push_back({info, std::move(module), std::move(scope)});
}

void ProfileRuntime::detach_all() noexcept {
  if (changing_) {
    auto& retired = changing_->retired;
    for (; !retired.empty(); retired.pop_back()) retired.back().scope.reset();
  }
  while (!instances_.empty()) {
    instances_.back().scope.reset();
    instances_.pop_back();
  }
}

bool ProfileRuntime::receive_nonza(Session& session, xmpp::xml::Element element) {
  for (const NonzaHandler& handler : nonzas_) {
    if (handler.ns != element.ns()) continue;
    try {
      handler.function(session, element);
    } catch (...) {
      note_exception(*handler.log_context, "exception in a handler of an element");
    }
    return true;
  }
  return false;
}

std::uint64_t ProfileRuntime::add_nonza(NonzaHandler handler) {
  handler.id = next_id_;
  nonzas_.push_back(std::move(handler));
  return next_id_++;
}

void ProfileRuntime::remove_nonza(std::uint64_t id) noexcept {
  std::erase_if(nonzas_, [id](const NonzaHandler& handler) { return handler.id == id; });
}

void ProfileRuntime::add_feature(std::string_view ns) {
  feature_entries_.emplace_back(ns);
  rebuild_features();
}

void ProfileRuntime::remove_feature(std::string_view ns) noexcept {
  erase_one(feature_entries_, ns);
  rebuild_features();
}

void ProfileRuntime::rebuild_features() {
  features_ = feature_entries_;
  std::sort(features_.begin(), features_.end());
  features_.erase(std::unique(features_.begin(), features_.end()), features_.end());
}

void ProfileRuntime::add_identity(Identity identity) {
  identities_.push_back(std::move(identity));
}
void ProfileRuntime::remove_identity(const Identity& identity) noexcept {
  erase_one(identities_, identity);
}

std::uint64_t ProfileRuntime::add_stream_feature(StreamFeature feature) {
  feature.id = next_id_;
  stream_features_.push_back(std::move(feature));
  return next_id_++;
}
void ProfileRuntime::remove_stream_feature(std::uint64_t id) noexcept {
  std::erase_if(stream_features_, [id](const StreamFeature& f) { return f.id == id; });
}

std::string ProfileRuntime::markup_of(const StreamFeature& feature, Host& host) {
  if (!feature.make) return feature.markup;
  try {
    return feature.make(host);
  } catch (...) {
    note_exception({.component = "modules"}, "exception in a stream feature");
    return {};
  }
}

std::uint64_t ProfileRuntime::add_form(xmpp::form::Form form) {
  forms_.push_back(std::move(form));
  form_ids_.push_back(next_id_);
  return next_id_++;
}
void ProfileRuntime::remove_form(std::uint64_t id) noexcept {
  const auto at = std::find(form_ids_.begin(), form_ids_.end(), id) - form_ids_.begin();
  if (at == std::ssize(form_ids_)) return;
  form_ids_.erase(form_ids_.begin() + at);
  forms_.erase(forms_.begin() + at);
}

void ProfileRuntime::admit(std::string_view ns) {
  preauth_iq_.emplace_back(ns);
}
void ProfileRuntime::unadmit(std::string_view ns) noexcept {
  erase_one(preauth_iq_, ns);
}

void ProfileRuntime::add_service(std::string_view name, void* service, std::string_view module) {
  for (const Service& known : services_) {
    // A module that takes its own place stands beside itself for a moment.
    if (known.name == name && known.module != module) {
      throw std::runtime_error("the service '" + std::string(name) + "' is provided by module '" +
                               known.module + "' already");
    }
  }
  services_.push_back({std::string(name), service, std::string(module)});
}
void ProfileRuntime::remove_service(const void* service) noexcept {
  std::erase_if(services_, [service](const Service& row) { return row.service == service; });
}
void* ProfileRuntime::find_service(std::string_view name) const noexcept {
  void* latest = nullptr;
  for (const Service& known : services_) {
    if (known.name == name) latest = known.service;
  }
  return latest;
}

// Storage threads may be reading the old list.
void ProfileRuntime::add_account_loader(const SlotEntry& slot, decltype(AccountLoader::load) load) {
  auto changed = std::make_shared<AccountLoaders>(*account_loaders_);
  changed->push_back({&slot, ++account_epoch_, load});
  account_loaders_ = std::move(changed);
}
void ProfileRuntime::remove_account_loader(const SlotEntry& slot) noexcept {
  auto changed = std::make_shared<AccountLoaders>(*account_loaders_);
  std::erase_if(*changed, [&slot](const AccountLoader& one) { return one.slot == &slot; });
  account_loaders_ = std::move(changed);
}

const SlotEntry& ProfileRuntime::add_slot(int object_kind, SlotEntry entry) {
  SlotTable& table = slots_.at(static_cast<std::size_t>(object_kind));
  if (table.free.empty()) {
    entry.index = static_cast<std::uint32_t>(table.entries.size());
    return table.entries.emplace_back(std::move(entry));
  }
  entry.index = table.free.back();
  table.free.pop_back();
  return table.entries[entry.index] = std::move(entry);
}

template <typename F>
void ProfileRuntime::for_each_bag(int object_kind, F&& visit) {
  worker_.for_each_host([&](Host& host) {
    if (&host.profile_ == this && object_kind == 2) visit(host.slots_);
  });
  worker_.accounts().for_each([&](Account& account) {
    if (&account.host_.profile_ != this) return;
    if (object_kind == 1) visit(account.slots_);
    for (Session* session : account.sessions_) {
      if (object_kind == 0) visit(session->slots_);
    }
  });
}

void ProfileRuntime::clear_slot(int object_kind, const SlotEntry& entry) noexcept {
  for_each_bag(object_kind, [&](SlotBag& bag) { bag.erase(entry.index); });
  slots_.at(static_cast<std::size_t>(object_kind)).free.push_back(entry.index);
}

void ProfileRuntime::set_aside(const Instance& instance) noexcept {
  for (const auto& [kind, entry] : instance.scope->slots_) {
    for_each_bag(kind, [entry = entry](SlotBag& bag) { bag.set_aside(*entry); });
    // What is saved from now on is the next instance's, and so is what was: tasks of this one may
    // still look at the slot.
    SlotEntry& old = slots_.at(static_cast<std::size_t>(kind)).entries[entry->index];
    old.save = nullptr;
    old.restore = nullptr;
  }
}

std::vector<Account*> ProfileRuntime::accounts() {
  std::vector<Account*> found;
  worker_.accounts().for_each([&](Account& account) {
    if (&account.host_.profile_ == this) found.push_back(&account);
  });
  return found;
}

void ProfileRuntime::cancel_tasks(const Scope& scope) noexcept {
  worker_.for_each_host([&](Host& host) {
    if (&host.profile_ == this) host.tasks_.cancel(scope);
  });
  worker_.accounts().for_each([&](Account& account) {
    if (&account.host_.profile_ != this) return;
    // They kept the account in memory.
    if (account.tasks_.cancel(scope)) worker_.drop_later(account.jid());
    for (Session* session : account.sessions_) session->tasks_.cancel(scope);
  });
}

}  // namespace xmppd
