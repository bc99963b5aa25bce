#include "core/profile_runtime.h"

#include <algorithm>

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

void ProfileRuntime::add_service(std::string_view name, void* service) {
  XMPP_ASSERT(find_service(name) == nullptr);
  services_.emplace_back(name, service);
}
void ProfileRuntime::remove_service(std::string_view name) noexcept {
  std::erase_if(services_, [name](const auto& row) { return row.first == name; });
}
void* ProfileRuntime::find_service(std::string_view name) const noexcept {
  for (const auto& [known, service] : services_) {
    if (known == name) return service;
  }
  return nullptr;
}

// Storage threads may be reading the old list.
void ProfileRuntime::add_account_loader(std::uint32_t slot, decltype(AccountLoader::load) load) {
  auto changed = std::make_shared<AccountLoaders>(*account_loaders_);
  changed->push_back({slot, ++account_epoch_, load});
  account_loaders_ = std::move(changed);
}
void ProfileRuntime::remove_account_loader(std::uint32_t slot) noexcept {
  auto changed = std::make_shared<AccountLoaders>(*account_loaders_);
  std::erase_if(*changed, [slot](const AccountLoader& one) { return one.slot == slot; });
  account_loaders_ = std::move(changed);
}

void ProfileRuntime::clear_slot(int object_kind, std::uint32_t index) noexcept {
  worker_.for_each_host([&](Host& host) {
    if (&host.profile_ == this && object_kind == 2) host.slots_.erase(index);
  });
  worker_.accounts().for_each([&](Account& account) {
    if (&account.host_.profile_ != this) return;
    if (object_kind == 1) account.slots_.erase(index);
    for (Session* session : account.sessions_) {
      if (object_kind == 0) session->slots_.erase(index);
    }
  });
}

}  // namespace xmppd
