// Scope: registers with a ProfileRuntime and remembers how to undo it.
#include <algorithm>
#include <stdexcept>

#include "core/backstop.h"
#include "core/profile_runtime.h"
#include "core/server.h"
#include "core/worker.h"
#include "xmppd/module.h"

namespace xmppd {

Scope::Scope(ProfileRuntime& runtime, std::string_view module)
    : runtime_(runtime), module_(module), log_context_{.component = module_} {}

Scope::~Scope() {
  tasks_.cancel_all();
  runtime_.cancel_tasks(*this);
  withdraw();
  for (const auto& [kind, entry] : slots_) runtime_.clear_slot(kind, *entry);
}

void Scope::withdraw() noexcept {
  timers_.clear();
  while (!undo_.empty()) {
    const auto undo = std::move(undo_.back());
    undo_.pop_back();
    undo();
  }
}

namespace {
// The pass goes with the task, however that ends.
xmpp::Task<void> run_inside(xmpp::Gate::Pass pass, xmpp::Task<void> task) {
  const auto inside = std::move(pass);
  co_await std::move(task);
}
}  // namespace

void Scope::spawn_into(xmpp::TaskOwner& owner, xmpp::Task<void> task) {
  auto pass = gate_.enter_within();
  if (pass) owner.spawn(run_inside(std::move(pass), std::move(task)));
}

void Scope::add_hook(HookId id, Stage stage, Verdict (*run)(void*, void*), void* context,
                     void (*destroy)(void*)) {
  auto registration = runtime_.hooks().add(id, stage, module_, run, context);
  undo_.push_back([this, id, registration, context, destroy] {
    runtime_.hooks().remove(id, registration);
    runtime_.hooks().release(context, destroy);
  });
}

void Scope::add_iq(detail::IqHandler handler) {
  auto registration = runtime_.iqs().add(std::move(handler), this);
  undo_.push_back([this, registration] { runtime_.iqs().remove(registration); });
}

void Scope::on_nonza(std::string_view ns,
                     std::function<void(Session&, xmpp::xml::Element)> function) {
  auto id = runtime_.add_nonza({std::string(ns), std::move(function), &log_context_, 0});
  undo_.push_back([this, id] { runtime_.remove_nonza(id); });
}

void Scope::feature(std::string_view ns) {
  runtime_.add_feature(ns);
  undo_.push_back([this, text = std::string(ns)] { runtime_.remove_feature(text); });
}

void Scope::identity(std::string_view category, std::string_view type, std::string_view name) {
  Identity identity{std::string(category), std::string(type), std::string(name)};
  runtime_.add_identity(identity);
  undo_.push_back([this, identity] { runtime_.remove_identity(identity); });
}

void Scope::form(xmpp::form::Form form) {
  auto id = runtime_.add_form(std::move(form));
  undo_.push_back([this, id] { runtime_.remove_form(id); });
}

void Scope::stream_feature(std::string markup, bool after_authentication) {
  auto id = runtime_.add_stream_feature({std::move(markup), {}, after_authentication, 0});
  undo_.push_back([this, id] { runtime_.remove_stream_feature(id); });
}

void Scope::stream_feature(std::function<std::string(Host&)> make) {
  auto id = runtime_.add_stream_feature({{}, std::move(make), true, 0});
  undo_.push_back([this, id] { runtime_.remove_stream_feature(id); });
}

void Scope::admit_before_authentication(std::string_view ns) {
  runtime_.admit(ns);
  undo_.push_back([this, text = std::string(ns)] { runtime_.unadmit(text); });
}

const SlotEntry& Scope::add_slot(int object_kind, SlotEntry entry) {
  entry.module = module_;
  const SlotEntry& added = runtime_.add_slot(object_kind, std::move(entry));
  slots_.emplace_back(object_kind, &added);
  return added;
}

const SlotEntry& Scope::add_account_state(SlotEntry entry, LoadState load) {
  const SlotEntry& slot = add_slot(1, std::move(entry));
  runtime_.add_account_loader(slot, load);
  undo_.push_back([this, &slot] { runtime_.remove_account_loader(slot); });
  return slot;
}

std::vector<Account*> Scope::accounts() {
  return runtime_.accounts();
}

void Scope::add_service(std::string_view name, void* service) {
  runtime_.add_service(name, service, module_);
  undo_.push_back([this, service] { runtime_.remove_service(service); });
}

void* Scope::get_service(std::string_view name) {
  void* service = runtime_.find_service(name);
  if (service == nullptr) {
    throw std::runtime_error("nobody provides the service '" + std::string(name) +
                             "': name the module that does in requires_modules");
  }
  return service;
}

void Scope::timer(xmpp::Duration delay, std::function<xmpp::Duration()> call) {
  timers_.push_back(std::make_unique<xmpp::Timer>());
  auto* timer = timers_.back().get();
  timer->set_callback([this, timer, call = std::move(call)] {
    auto again = xmpp::Duration::zero();
    try {
      again = call();
    } catch (...) {
      note_exception(log_context_, "exception in a timer: it is not set again");
    }
    if (again > xmpp::Duration::zero()) reactor().timers().set(*timer, reactor().now() + again);
  });
  reactor().timers().set(*timer, reactor().now() + delay);
}

xmpp::Duration Scope::uptime() noexcept {
  return reactor().now() - runtime_.worker().server().started_at();
}
xmpp::net::Reactor& Scope::reactor() noexcept {
  return runtime_.worker().reactor();
}
xmpp::Rng& Scope::rng() noexcept {
  return runtime_.worker().rng();
}
Storage& Scope::storage() noexcept {
  return runtime_.worker().server().storage();
}

bool Scope::offload(std::function<void()> work, std::function<void()> done) {
  return runtime_.worker().server().offload().submit(std::move(work), reactor(),
                                                     guard(std::move(done)));
}

xmpp::xml::Element Scope::payload_of(const IqCall& call) {
  // The table found the handler by this payload's name, and an iq request has exactly one.
  return call.request.payloads().front().element();
}

IqReply Scope::malformed(const xmpp::xml::DecodeError& error) {
  using Kind = xmpp::xml::DecodeError::Kind;
  return IqReply::error(
      xmpp::StanzaError(xmpp::StanzaCondition::bad_request,
                        std::string(error.kind == Kind::missing ? "missing: " : "invalid: ") +
                            std::string(error.name)));
}

xmpp::Task<IqReply> Scope::fail_later(IqReply reply) {
  co_return reply;
}

}  // namespace xmppd
