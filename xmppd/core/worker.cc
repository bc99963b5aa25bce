#include "core/worker.h"

#include <algorithm>
#include <unordered_map>

#include "core/link.h"
#include "core/server.h"

namespace xmppd {
namespace {
constexpr std::size_t kBufferBytes = 64 * 1024;
constexpr std::size_t kEndedMax = 1'000;
constexpr std::size_t kGreedyShare = 64;
// What is done between two looks at the clock, in stanzas.
constexpr std::size_t kSpentPerLook = 16;
}  // namespace

Worker::Worker(Server& server, std::size_t index, Environment& environment)
    : server_(server),
      index_(index),
      poller_(environment.make_poller()),
      rng_(environment.make_rng()),
      tickets_(*this),
      reactor_(*poller_, environment.clock()),
      outboxes_(server.worker_count()),
      router_(*this),
      activator_(*this),
      strands_(*this),
      plain_buffer_(kBufferBytes) {
  reactor_.at_end_of_turn([this] { end_of_turn(); });
}

Worker::~Worker() {
  stop_and_join();
  drop_links();
  tickets_.close();
  accounts_.clear();
  for (auto& [name, profile] : profiles_) profile->detach_all();
}

void Worker::configure(const Config& config) {
  for (const auto& [name, profile] : config.profiles) add_profile(name, profile);
  reconcile(config);
}

ProfileRuntime& Worker::add_profile(const std::string& name, const ProfileConfig& config) {
  auto& place = profiles_[name];
  XMPP_ASSERT(!place);
  place = std::make_unique<ProfileRuntime>(*this, name, config);
  return *place;
}

void Worker::reconcile(const Config& config) {
  for (const auto& [name, profile] : config.profiles) {
    if (ProfileRuntime* runtime = find_profile(name)) runtime->set_auth(profile.auth);
  }
  std::unordered_map<std::string_view, const HostConfig*> wanted;
  for (const HostConfig& host : config.hosts) wanted.emplace(host.name, &host);
  std::vector<std::pair<Host*, xmpp::StreamCondition>> gone;
  for (auto& [name, host] : hosts_) {
    const auto found = wanted.find(name);
    if (found == wanted.end()) {
      gone.emplace_back(host.get(), xmpp::StreamCondition::host_gone);
    } else if (found->second->profile != host->profile_.name()) {
      gone.emplace_back(host.get(), xmpp::StreamCondition::reset);
    } else {
      host->admins_ = found->second->admins;
    }
  }
  std::vector<xmpp::Stanza> waiting;
  for (const auto& [host, condition] : gone) remove_host(*host, {condition, {}}, waiting);
  for (const HostConfig& host : config.hosts) {
    if (!hosts_.contains(host.name)) add_host(host);
  }
  // Now it is known whether their domains are still served, by another profile.
  for (xmpp::Stanza& stanza : waiting) router_.route(std::move(stanza));
}

void Worker::add_host(const HostConfig& config) {
  auto profile = profiles_.find(config.profile);
  XMPP_ASSERT(profile != profiles_.end());  // the configuration was validated
  auto retired = std::find_if(retired_hosts_.begin(), retired_hosts_.end(), [&](const auto& host) {
    return host->name() == config.name && &host->profile_ == profile->second.get();
  });
  if (retired == retired_hosts_.end()) {
    hosts_[config.name] = std::make_unique<Host>(
        *this, *profile->second, xmpp::Jid::from_prepared(config.name), config.admins);
    return;
  }
  (*retired)->admins_ = config.admins;
  hosts_[config.name] = std::move(*retired);
  retired_hosts_.erase(retired);
}

template <typename Wanted>
void Worker::end_detached(Wanted wanted) {
  std::vector<Session*> ending;
  accounts_.for_each([&](Account& account) {
    for (auto& session : account.detached_) {
      if (wanted(*session)) ending.push_back(session.get());
    }
  });
  for (Session* session : ending) Session::end(session->take_detached());
}

void Worker::remove_host(Host& host, const xmpp::StreamError& error,
                         std::vector<xmpp::Stanza>& waiting) {
  // First the name, so that nothing is routed to it while its sessions end.
  auto place = hosts_.find(host.name());
  last_found_ = nullptr;
  retired_hosts_.push_back(std::move(place->second));
  hosts_.erase(place);
  for_each_link([&](Link& link) {
    if (link.host() == &host) link.expel(error);
  });
  end_detached([&](const Session& session) { return &session.account_.host_ == &host; });
  const auto is_its = [&](const Account& account) { return &account.host_ == &host; };
  accounts_.for_each([&](Account& account) {
    if (!is_its(account)) return;
    Activator::take_waiting(account, waiting);
    Strands::take_waiting(account, waiting);
  });
  // What their tasks began in storage is finished there; nobody is left to be told.
  accounts_.erase_if(is_its);
  // RFC 6120 8.2.3: what was asked of it is answered.
  host.tasks_.cancel_all();
  host.slots_ = {};
}

void Worker::start_thread() {
  thread_ = std::thread([this] { reactor_.run(); });
}

void Worker::stop_and_join() {
  if (!thread_.joinable()) return;
  reactor_.stop();
  thread_.join();
}

void Worker::end_links_of(const xmpp::Jid& account, const xmpp::StreamError& error,
                          const xmpp::Jid& except) {
  for_each_link([&](Link& link) {
    if (!link.is_authenticated_as(account)) return;
    const bool is_spared =
        !except.is_empty() && link.session() != nullptr && link.session()->jid() == except;
    if (!is_spared) link.fail(error);
  });
  if (Account* live = accounts_.find(account)) {
    for (auto& session : live->detached_) session->end_soon();
  }
  // A session that is spared goes on with the account as it is.
  if (except.is_empty()) activator_.forget(account);
}

void Worker::end_account(const xmpp::Jid& jid, const RosterRecord& roster,
                         const xmpp::StreamError& error) {
  server_.key_generations().raise(jid);
  if (Host* host = find_host(jid.domain())) {
    router_.tell_removed(accounts_.get_or_make(jid, *host), roster);
    drop_later(jid);
  }
  end_links_of(jid, error);
}

void Worker::drop_links() {
  while (!links_.empty()) links_.back()->drop();
  buried_.clear();
  // The others come back with the next server.
  end_detached([](const Session& session) { return !session.is_stored(); });
}

void Worker::note_ended(std::string id, const xmpp::Jid& account, std::uint32_t handled) {
  if (ended_.size() >= kEndedMax) ended_.pop_front();
  ended_.push_back({std::move(id), account, handled});
}

std::optional<std::uint32_t> Worker::find_ended(std::string_view id,
                                                const xmpp::Jid& account) const noexcept {
  for (const EndedSession& one : ended_) {
    if (one.id == id && one.account.bare_equals(account)) return one.handled;
  }
  return std::nullopt;
}

Host* Worker::find_host(std::string_view domain) noexcept {
  // Nearly always the one that was asked for last: its name is compared sooner than hashed.
  if (last_found_ != nullptr && last_found_->name() == domain) return last_found_;
  auto found = hosts_.find(domain);
  if (found == hosts_.end()) return nullptr;
  last_found_ = found->second.get();
  return last_found_;
}

ProfileRuntime* Worker::find_profile(std::string_view name) noexcept {
  auto found = profiles_.find(name);
  return found == profiles_.end() ? nullptr : found->second.get();
}

void Worker::adopt(std::unique_ptr<xmpp::net::ByteChannel> channel,
                   std::shared_ptr<const Entrance> entrance, std::string address,
                   AddressTable::Key address_key) {
  auto link = std::make_unique<Link>(*this, std::move(channel), std::move(entrance),
                                     std::move(address), address_key);
  auto& reference = *link;
  reference.set_place(links_.size());
  links_.push_back(std::move(link));
  reference.start();
}

void Worker::take_over(std::unique_ptr<Link> link, const xmpp::Jid& jid) {
  auto& reference = *link;
  reference.set_place(links_.size());
  links_.push_back(std::move(link));
  reference.arrive(*this, jid);
  if (is_draining_) reference.fail({xmpp::StreamCondition::system_shutdown, {}});
}

void Worker::drain() {
  is_draining_ = true;
  for_each_link([](Link& link) { link.fail({xmpp::StreamCondition::system_shutdown, {}}); });
}

std::unique_ptr<Link> Worker::release(Link& link) noexcept {
  auto place = link.place();
  auto taken = std::move(links_[place]);
  links_[place] = std::move(links_.back());
  if (links_[place]) links_[place]->set_place(place);
  links_.pop_back();
  return taken;
}

void Worker::bury(Link& link) noexcept {
  buried_.push_back(release(link));
}

bool Worker::is_congested(bool for_greedy) const noexcept {
  const auto depth = server_.limits().mailbox_depth;
  return reactor_.mail_depth() > (for_greedy ? depth / kGreedyShare : depth);
}

bool Worker::is_slice_over() noexcept {
  if (spent_ < kSpentPerLook) return false;
  spent_ = 0;
  return reactor_.is_slice_over();
}

void Worker::end_of_turn() {
  buried_.clear();
  for (const xmpp::Jid& jid : std::exchange(maybe_idle_, {})) {
    if (Account* account = accounts_.find(jid)) accounts_.drop_if_idle(*account);
  }
  tickets_.publish();
  accounts_.trim(server_.limits().cached_accounts);
  account_count_.store(accounts_.size(), std::memory_order_relaxed);
  for (std::size_t to = 0; to < outboxes_.size(); ++to) {
    outboxes_[to].publish([&](auto* newest, auto* oldest, std::size_t count) {
      server_.worker(to).reactor().post_chain(newest, oldest, count);
    });
  }
}

}  // namespace xmppd
