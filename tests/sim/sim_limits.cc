#include "sim/sim_limits.h"

#include <algorithm>
#include <limits>

#include "core/activation.h"
#include "core/strands.h"
#include "core/worker.h"
#include "sim/sim_figures.h"
#include "xmpp/base/random.h"

namespace sim {
namespace {

using xmppd::Figures;

// Within this a worker has had a turn.
constexpr Duration kGrace = std::chrono::milliseconds(200);
// How long a connection that was ended waits for its peer, and some.
constexpr Duration kLinger = std::chrono::seconds(3);
// What one more stanza of a link may put into a mailbox that is full already: the crowd's accounts
// and sessions are few. And once the unavailable presence to a thousand (Quota).
constexpr std::size_t kMailsPerLink = 50;
constexpr std::size_t kMailsOnce = 1'100;
// What a link reads before it counts it.
constexpr std::size_t kReadBytes = 64 * 1024;
// As LimitWatch::Figure.
constexpr std::string_view kNames[] = {"storage operations",
                                       "offloaded jobs",
                                       "connections",
                                       "connections of an address",
                                       "mails of a worker",
                                       "sessions of an account",
                                       "stanzas that wait for an account",
                                       "stanzas of a strand",
                                       "detached sessions",
                                       "unacknowledged stanzas",
                                       "unacknowledged bytes",
                                       "sessions beyond their terms",
                                       "unused accounts of a worker",
                                       "unsent bytes",
                                       "bytes read from a client",
                                       "seconds without a login",
                                       "seconds of silence"};
// More than all parts have at a time.
constexpr std::size_t kConnections = 150;
constexpr std::size_t kRate = 64 * 1024;
constexpr std::size_t kBurst = 16 * 1024;

// How the server comes to know that a client is gone without a word: by its kernel, by the client's
// silence, or both; and with some seeds, if the client acknowledges, by that.
void draw_silence(std::uint64_t seed, TightLimits& limits) {
  xmpp::SeededRng rng(seed ^ 0x7369'6c65'6e63'65ULL);
  auto& server = limits.server;
  const auto chosen = rng.below(3);
  server.tcp_keepalive = server.tcp_user_timeout = Duration::zero();
  if (chosen != 0) {
    server.tcp_keepalive = std::chrono::seconds(4);
    server.tcp_user_timeout = std::chrono::seconds(1 + rng.below(5));
  }
  // Longer than those take on purpose that do not speak or acknowledge.
  if (chosen != 1) server.idle_timeout = std::chrono::seconds(40);
  if (rng.below(2) == 0) limits.sm_answer = std::chrono::seconds(22);
}

}  // namespace

TightLimits TightLimits::draw(std::uint64_t seed, bool has_faults, std::size_t clients) {
  xmpp::SeededRng rng(seed ^ 0x6c69'6d69'7473ULL);
  TightLimits limits;
  auto& server = limits.server;
  server.sessions_per_account = limits.sessions;
  switch (rng.below(3)) {
    case 0:
      server.cached_accounts = 0;
      break;
    case 1:
      server.cached_accounts = 3;
      break;
    default:
      break;
  }
  if (rng.below(2) == 0) server.mailbox_depth = 1'024;
  if (rng.below(3) == 0) {
    server.stanza_rate = kRate;
    server.stanza_burst = kBurst;
  }
  // Only where a refusal is an answer that everybody expects.
  if (rng.below(2) == 0 && has_faults) server.storage_queue = 48;
  server.unauthenticated_timeout = std::chrono::seconds(10);
  server.connections_per_address = 3;
  server.auth_failures = 2;
  server.auth_failures_per_account = 4;
  server.auth_failures_per_address = 5;
  server.connections = kConnections + 2 * clients;
  server.offload_queue = 16;
  limits.requests = std::max(limits.requests, clients);
  server.stanza_bytes = 32 * 1024;
  server.depth = 12;
  server.attributes = 12;
  server.output_queue_bytes = 128 * 1024;
  if (rng.below(3) == 0) limits.offline_per_sender = 40;
  // The next one is refused unseen, before the connection has had its own.
  if (rng.below(2) == 0) server.auth_failures_per_account = 1;
  draw_silence(seed, limits);
  return limits;
}

std::string TightLimits::config() const {
  std::string text = "[limits]\n";
  const xmppd::Limits defaults;
  for (const xmppd::LimitInfo& info : xmppd::limit_table()) {
    const std::string name(info.name);
    if (info.time != nullptr && server.*info.time != defaults.*info.time) {
      const auto seconds =
          std::chrono::duration_cast<std::chrono::seconds>(server.*info.time).count();
      text += name + " = \"" + std::to_string(seconds) + "s\"\n";
    } else if (info.number != nullptr && server.*info.number != defaults.*info.number) {
      text += name + " = " + std::to_string(server.*info.number) + "\n";
    }
  }
  const auto set = [&text](std::string_view key, std::size_t value) {
    text.append(key).append(" = ").append(std::to_string(value)).append("\n");
  };
  const auto of_module = [&text](std::string_view name) {
    text.append("[profile.default.module.").append(name).append("]\n");
  };
  of_module("sm");
  // Short, so that some come too late to take up their streams.
  text += "resume_window = \"2s\"\n";
  set("max_detached", detached);
  if (sm_answer != Duration::zero()) {
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(sm_answer).count();
    text += "answer_timeout = \"" + std::to_string(seconds) + "s\"\n";
  }
  set("request_every", request_every);
  set("max_stanzas", unacknowledged);
  set("max_bytes", unacknowledged_bytes);
  of_module("offline");
  set("messages", offline_messages);
  set("messages_per_sender", offline_per_sender);
  set("bytes", offline_bytes);
  of_module("contact_info");
  text += "abuse = \"mailto:abuse" + std::to_string(revision) + "@localhost\"\n";
  of_module("csi");
  set("stanzas", held);
  of_module("roster");
  set("items", roster_items);
  set("groups", groups);
  set("requests", requests);
  of_module("blocking");
  set("items", blocked);
  of_module("private");
  set("documents", documents);
  set("bytes", document_bytes);
  of_module("vcard");
  set("bytes", card_bytes);
  return text;
}

LimitWatch::LimitWatch(SimWorld& world, std::function<void(std::string)> fail)
    : world_(world), fail_(std::move(fail)) {}

void LimitWatch::sample() {
  seen_over_.clear();
  per_address_.clear();
  check_queues();
  auto& server = world_.server();
  for (std::size_t i = 0; i < server.worker_count(); ++i) {
    check_accounts(server.worker(i));
    check_links(server.worker(i));
  }
  const std::size_t per_address = server.limits().connections_per_address;
  for (const auto& [address, count] : per_address_) {
    if (per_address != 0) expect(Figure::per_address, {}, count, per_address);
  }
  std::erase_if(over_, [&](const auto& entry) { return !seen_over_.contains(entry.first); });
}

void LimitWatch::check_queues() {
  auto& server = world_.server();
  const xmppd::Limits& limits = server.limits();
  expect(Figure::storage, {}, server.storage().depth(), limits.storage_queue);
  expect(Figure::offload, {}, server.offload().pending(), limits.offload_queue);
  if (limits.connections != 0) {
    expect(Figure::connections, {}, server.connection_count(), limits.connections);
  }
  // Reading stops at the limit. Every link may go one stanza beyond it; mailboxes are always
  // emptied, so what waits for the others may come back as answers.
  const std::size_t workers = server.worker_count();
  const std::size_t slack = kMailsPerLink * server.connection_count() + kMailsOnce;
  for (std::size_t i = 0; i < workers; ++i) {
    expect(Figure::mails, {}, server.worker(i).reactor().mail_depth(),
           limits.mailbox_depth * workers + slack);
  }
}

void LimitWatch::check_accounts(xmppd::Worker& worker) {
  const xmppd::Limits& limits = world_.server().limits();
  std::size_t idle = 0;
  worker.accounts().for_each([&](xmppd::Account& account) {
    const auto figures = Figures::of(account);
    const std::string_view jid = account.jid().str();
    if (figures.is_idle) ++idle;
    expect(Figure::sessions, jid, figures.sessions, limits.sessions_per_account);
    expect(Figure::loading, jid, figures.loading, xmppd::kActivationBacklog);
    expect(Figure::strand, jid, figures.strand, xmppd::kStrandMax, kGrace);
    // What came back with the server ends when its account is in memory.
    if (!figures.is_active) return;
    // So does what gave way when a module had just been replaced.
    if (figures.detached != 0) {
      expect(Figure::detached, jid, figures.detached, figures.detached_max,
             4 * xmppd::kActivationRetry + kGrace);
    }
    expect(Figure::beyond_terms, jid, figures.has_full_queue ? 1 : 0, 0, kGrace);
    // The terms are those of the session.
    constexpr auto kAny = std::numeric_limits<std::size_t>::max();
    expect(Figure::unacknowledged, jid, figures.unacknowledged, kAny);
    expect(Figure::unacknowledged_bytes, jid, figures.unacknowledged_bytes, kAny);
  });
  expect(Figure::unused, {}, idle, limits.cached_accounts);
}

void LimitWatch::check_links(xmppd::Worker& worker) {
  const xmppd::Limits& limits = world_.server().limits();
  const auto seconds = [](Duration time) {
    return static_cast<std::size_t>(std::chrono::duration_cast<std::chrono::seconds>(time).count());
  };
  const Instant now = world_.now();
  worker.for_each_link([&](xmppd::Link& link) {
    const auto figures = Figures::of(link);
    const SimChannel& channel = *figures.channel;
    ++per_address_[figures.address];
    // Who is over it is ended, and takes no more.
    if (!figures.is_over) {
      expect(Figure::unsent, channel.address(), figures.unsent,
             limits.output_queue_bytes + figures.replay);
      if (limits.stanza_rate != 0) check_rate(channel);
    }
    if (!figures.is_authenticated) {
      expect(Figure::nameless, channel.address(), seconds(now - channel.made_at()),
             seconds(limits.unauthenticated_timeout + kLinger));
    }
    if (figures.is_bound && !figures.is_paused && limits.idle_timeout != Duration::zero()) {
      expect(Figure::silent, channel.address(), seconds(now - channel.last_read()),
             seconds(limits.idle_timeout + kLinger));
    }
  });
}

// What is read is the burst, and the rate since then; what came last was read in one go.
void LimitWatch::check_rate(const SimChannel& channel) {
  const xmppd::Limits& limits = world_.server().limits();
  const auto elapsed = static_cast<std::size_t>((world_.now() - channel.made_at()).count());
  expect(Figure::read, channel.address(), channel.bytes_read(),
         limits.stanza_burst + elapsed * limits.stanza_rate / 1'000'000 + kReadBytes);
}

void LimitWatch::expect(Figure figure, std::string_view whose, std::size_t value, std::size_t limit,
                        Duration grace) {
  std::size_t& most = most_[static_cast<std::size_t>(figure)];
  most = std::max(most, value);
  if (value <= limit) return;
  const Over over{figure, whose};
  const Instant since = over_.emplace(over, world_.now()).first->second;
  seen_over_.insert(over);
  if (world_.now() - since < grace || !reported_.insert(figure).second) return;
  fail_(std::string(kNames[static_cast<std::size_t>(figure)]) +
        (whose.empty() ? "" : " of " + over.second) + ": " + std::to_string(value) + ", at most " +
        std::to_string(limit) + " are allowed");
}

std::string LimitWatch::summary() const {
  std::string text = "at most";
  for (std::size_t i = 0; i < kFigures; ++i) {
    if (most_[i] == 0) continue;
    text += (i == 0 ? " " : ", ") + std::to_string(most_[i]) + " " + std::string(kNames[i]);
  }
  return text;
}

}  // namespace sim
