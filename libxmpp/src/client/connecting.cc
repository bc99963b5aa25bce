// From connect() to a link: targets, addresses, the connection, what TLS and the stream are told.
#include <algorithm>
#include <iterator>
#include <utility>

#include "client/client_state.h"
#include "xmpp/base/files.h"

namespace xmpp {
namespace {

constexpr std::uint16_t kDirectTlsPort = 5223;

std::string domain_of(const ClientOptions& options) {
  return options.domain.empty() ? std::string(options.jid.domain()) : options.domain;
}

// An IPv6 address stands in brackets in the domainpart (RFC 7622 3.2).
std::string_view without_brackets(std::string_view domain) noexcept {
  if (!domain.starts_with('[') || !domain.ends_with(']')) return domain;
  return domain.substr(1, domain.size() - 2);
}

}  // namespace

Result<std::shared_ptr<TlsContext>, TlsError> make_client_tls(const ClientOptions& options) {
  TlsClientOptions tls;
  tls.insecure = !options.verify_certificate;
  if (!options.ca_file.empty()) {
    auto text = read_file(options.ca_file);
    if (!text || text->empty()) {
      const std::string why = text ? "it is empty" : text.error().message();
      return Err(
          TlsError{TlsErrorCode::configuration, "cannot read " + options.ca_file + ": " + why});
    }
    tls.ca_pem = *std::move(text);
  }
  return TlsContext::make_client(tls);
}

void Client::State::connect() {
  XMPP_ASSERT(!active);
  active = true;
  ended = bound = paused = closing = false;
  redial = false;
  failure.reset();
  mechanism.clear();
  jid = options.jid;
  stage = Stage::resolve;
  deadline = reactor.now() + options.connect_timeout;
  resolve();
  arm();
}

void Client::State::resolve() {
  const bool direct = options.tls == ClientOptions::Tls::direct;
  resolving = std::make_unique<Resolving>();
  const std::size_t count = options.targets.empty() ? 1 : options.targets.size();
  resolving->found.resize(count);
  net::Resolver* resolver = options.resolver;
  const auto request = [&](std::size_t index) -> net::Resolver::Request& {
    if (resolver == nullptr) {
      static OsRng rng;
      resolving->offload = std::make_unique<net::Offload>(1);
      resolving->resolver = std::make_unique<net::Resolver>(reactor, *resolving->offload, rng);
      resolver = resolving->resolver.get();
    }
    ++resolving->left;
    return resolving->requests.emplace_back([this, index](net::Resolver::Answer answer) {
      if (answer) {
        resolving->found[index] = std::move(answer).value();
      } else {
        resolving->error = answer.error().text;
      }
      --resolving->left;
      arm();
    });
  };
  const std::string domain = domain_of(options);
  if (options.targets.empty() && net::is_ip_literal(without_brackets(domain))) {
    // RFC 6120 3.2: there is nothing to resolve, and no DNS name to ask for.
    const std::uint16_t port = direct ? kDirectTlsPort : net::ServiceQuery().fallback_port;
    resolving->found[0].push_back({net::join_host_port(without_brackets(domain), port), direct});
  } else if (options.targets.empty()) {
    net::ServiceQuery query;
    query.domain = domain;
    query.plain = !direct;
    query.direct = options.tls != ClientOptions::Tls::none;
    if (direct) query.fallback_port = kDirectTlsPort;
    query.fallback_direct_tls = direct;
    auto& waiting = request(0);
    resolver->resolve(std::move(query), waiting);
  }
  for (std::size_t i = 0; i < options.targets.size(); ++i) {
    const std::string& target = options.targets[i];
    const auto parts = net::parse_host_port(target);
    if (target.starts_with("unix:") || (parts && net::is_ip_literal(parts->host))) {
      resolving->found[i].push_back({target, direct});
    } else if (parts) {
      auto& waiting = request(i);
      resolver->resolve_host(parts->host, parts->port, direct, waiting);
    } else {
      resolving->error = "not a target: " + target;
    }
  }
}

void Client::State::on_targets_resolved() {
  std::vector<net::Endpoint> endpoints;
  for (auto& found : resolving->found) {
    endpoints.insert(endpoints.end(), std::make_move_iterator(found.begin()),
                     std::make_move_iterator(found.end()));
  }
  const std::string error = std::move(resolving->error);
  resolving.reset();
  if (endpoints.empty()) {
    fail(Stage::resolve, error);
  } else {
    dial(std::move(endpoints));
  }
}

void Client::State::dial(std::vector<net::Endpoint> endpoints) {
  stage = Stage::connect;
  net::Connector& connector =
      options.connector != nullptr ? *options.connector : net::system_connector();
  untried = endpoints;
  dialer = std::make_unique<net::Dialer>(
      reactor, connector, std::move(endpoints), options.local_address,
      [this](Result<net::Dialer::Connected, net::SocketError> result) {
        on_dialed(std::move(result));
      });
}

void Client::State::on_dialed(Result<net::Dialer::Connected, net::SocketError> result) {
  // The dialer stays until finish(): it allows to be destroyed here, but nothing is gained.
  if (!result) {
    fail(Stage::connect, result.error().what);
    return;
  }
  const auto reached = std::ranges::find(untried, result->endpoint);
  if (reached != untried.end()) untried.erase(untried.begin(), reached + 1);
  auto tls = make_tls(result->endpoint.direct_tls);
  if (!tls) return;
  stage = Stage::stream;
  static OsRng os_rng;
  Rng& rng = options.rng != nullptr ? *options.rng : os_rng;
  link = std::make_unique<ClientLink>(reactor, std::move(result->channel), std::move(*tls),
                                      make_policy(), rng, *this);
  dialer.reset();
  link->start();
}

std::optional<LinkTls> Client::State::make_tls(bool direct) {
  if (options.tls == ClientOptions::Tls::none) return LinkTls{};
  LinkTls tls;
  tls.direct = direct;
  tls.host = net::to_a_labels(domain_of(options));
  tls.context = options.tls_context;
  if (!tls.context) {
    if (!own_tls) {
      auto made = make_client_tls(options);
      if (!made) {
        fail(Stage::tls, made.error().text);
        return std::nullopt;
      }
      own_tls = std::move(made).value();
    }
    tls.context = own_tls;
  }
  return tls;
}

std::shared_ptr<const StreamPolicy> Client::State::make_policy() const {
  auto policy = std::make_shared<StreamPolicy>();
  policy->domain = domain_of(options);
  policy->jid = options.jid.bare();
  policy->resource = options.jid.resource();
  policy->password = options.password;
  policy->password_cache = options.password_cache.get();
  policy->tls = options.tls == ClientOptions::Tls::none ? StreamPolicy::Tls::none
                                                        : StreamPolicy::Tls::required;
  policy->mechanism = options.mechanism;
  policy->plain_without_tls = options.plain_without_tls;
  policy->channel_binding = options.channel_binding;
  policy->pause_before_authentication = options.pause_before_authentication;
  policy->unauthenticated_timeout = Duration::zero();  // our own deadline covers it
  return policy;
}

}  // namespace xmpp
