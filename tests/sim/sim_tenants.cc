#include "sim/sim_tenants.h"

#include <iterator>
#include <utility>

#include "xmpp/xep/register.h"

namespace sim {

using xmpp::Jid;
using xmpp::Stanza;
using xmpp::StanzaType;

namespace {

constexpr std::string_view kId = "tenant";
constexpr std::string_view kNoAccount;  // no password is empty

}  // namespace

Tenants::Tenants(const Stage& stage, std::uint64_t seed) : stage_(stage) {
  for (std::size_t i = 0; i < kTenants; ++i) {
    tenants_[i].name = stage_.world.find_lone_name("tenant");
    tenants_[i].possible = {std::string(kNoAccount)};
  }
  for (std::size_t i = 0; i < kClients; ++i) {
    Client& client = clients_[i];
    client.tenant = &tenants_[i % kTenants];
    client.user = std::make_unique<SimUser>(
        stage_.world, stage_.transcript, "t" + std::to_string(i),
        Jid::from_prepared(client.tenant->name + "@localhost/r" + std::to_string(i)),
        seed * 100 + 80 + i);
    SimUser& user = *client.user;
    user.on_stanza = [this, &client](SimUser&, const Stanza& stanza) { on_stanza(client, stanza); };
    user.on_ready = [this, &client](SimUser&) { send(client); };
    user.on_bound = [this, &client](SimUser&) { on_bound(client); };
    user.on_stream_error = [this, &client](SimUser&, const xmpp::StreamFailed& failed) {
      on_refused(client, failed);
    };
  }
}

void Tenants::set_possible(Tenant& tenant, std::set<std::string> possible) {
  tenant.old.merge(std::set(tenant.possible));
  tenant.old.erase(std::string(kNoAccount));
  while (tenant.old.size() > 8) tenant.old.erase(tenant.old.begin());
  tenant.possible = std::move(possible);
  ++tenant.epoch;
}

void Tenants::act() {
  give_up_lost();
  Client& client = clients_[stage_.pick(kClients)];
  if (!client.user->is_connected()) {
    if (stage_.pick(3) == 0) connect(client);
    return;
  }
  if (!client.user->is_bound()) return;
  const std::size_t dice = stage_.pick(100);
  if (dice < 6) {
    begin(client, Change::password);
  } else if (dice < 9) {
    begin(client, Change::remove);
  } else if (dice < 20) {
    client.user->close();
  } else if (dice < 24) {
    client.user->cut();
  }
}

void Tenants::connect(Client& client) {
  Tenant& tenant = *client.tenant;
  const auto choose = [this](const std::set<std::string>& of) {
    return *std::next(of.begin(), static_cast<std::ptrdiff_t>(stage_.pick(of.size())));
  };
  const bool is_old = !tenant.old.empty() && stage_.pick(6) == 0;
  client.password = is_old ? choose(tenant.old) : choose(tenant.possible);
  client.possible = tenant.possible;
  client.epoch = tenant.epoch;
  if (client.password == kNoAccount) {
    client.password = "p" + std::to_string(next_number_++);
    client.user->set_password(client.password);
    if (tenant.change == Change::none) {
      client.user->pause_next();
      begin(client, Change::enroll);
    }
  } else {
    client.user->set_password(client.password);
  }
  client.user->connect(stage_.random_quality());
  if (tenant.changer == client.user.get()) tenant.changer_life = client.user->life();
}

void Tenants::begin(Client& client, Change change) {
  Tenant& tenant = *client.tenant;
  if (tenant.change != Change::none) return;
  tenant.change = change;
  tenant.changer = client.user.get();
  tenant.changer_life = client.user->life();
  tenant.id = std::string(kId) + std::to_string(next_number_++);
  tenant.wanted = kNoAccount;
  if (change == Change::enroll) tenant.wanted = client.password;
  if (change == Change::password) tenant.wanted = "p" + std::to_string(next_number_++);
  ++tenant.epoch;
  if (change != Change::enroll) send(client);  // that is sent when it is connected
}

void Tenants::send(Client& client) {
  const Tenant& tenant = *client.tenant;
  xmpp::xep::Register query;
  if (tenant.change == Change::remove) {
    query.remove = true;
  } else {
    query.username = tenant.name;
    query.password = xmpp::Secret(tenant.wanted);
  }
  auto stanza = Stanza::iq(StanzaType::set, Jid::from_prepared("localhost"), tenant.id);
  stanza.add(query);
  client.user->send(stanza);
}

void Tenants::give_up(Tenant& tenant) {
  auto possible = tenant.possible;
  possible.insert(tenant.wanted);
  tenant.change = Change::none;
  tenant.changer = nullptr;
  set_possible(tenant, std::move(possible));
}

void Tenants::give_up_lost() {
  for (Tenant& tenant : tenants_) {
    if (tenant.change == Change::none) continue;
    const SimUser& changer = *tenant.changer;
    const bool is_there = changer.is_connected() && changer.life() == tenant.changer_life;
    if (!is_there) give_up(tenant);
  }
}

void Tenants::on_stanza(Client& client, const Stanza& stanza) {
  Tenant& tenant = *client.tenant;
  const bool is_answer = stanza.is_iq() && !stanza.is_request() && stanza.id() == tenant.id &&
                         tenant.changer == client.user.get();
  if (!is_answer || tenant.change == Change::none) return;
  const bool is_enrolled = tenant.change == Change::enroll;
  if (!stanza.is_error()) {
    tenant.change = Change::none;
    tenant.changer = nullptr;
    set_possible(tenant, {tenant.wanted});
  } else {
    const bool is_conflict = stanza.error()->condition == xmpp::StanzaCondition::conflict;
    if (!stage_.has_faults && (!is_conflict || tenant.possible.size() == 1)) {
      stage_.fail(client.user->name() + " was refused " + stanza.id());
    }
    if (stage_.has_faults && is_conflict && tenant.possible == std::set{std::string(kNoAccount)}) {
      stage_.fail("there is an account " + tenant.name + ", which was removed");
    }
    give_up(tenant);
    if (is_conflict) {
      // Nothing was made; somebody has been there all along.
      auto possible = tenant.possible;
      possible.erase(tenant.wanted);
      possible.erase(std::string(kNoAccount));
      set_possible(tenant, std::move(possible));
    }
  }
  if (is_enrolled) {
    client.possible = tenant.possible;
    client.epoch = tenant.epoch;
    client.user->start_authentication();
  }
}

void Tenants::on_bound(Client& client) {
  Tenant& tenant = *client.tenant;
  if (!is_certain(client)) return;
  if (!client.possible.contains(client.password)) {
    stage_.fail(client.user->name() + " got in with the password " + client.password +
                ", which is none of " + tenant.name);
    return;
  }
  if (tenant.possible.size() != 1) set_possible(tenant, {client.password});
}

void Tenants::on_refused(Client& client, const xmpp::StreamFailed& failed) {
  Tenant& tenant = *client.tenant;
  if (failed.sasl_failure != xmpp::sasl::SaslCondition::not_authorized) return;
  if (!is_certain(client) || !client.possible.contains(client.password)) return;
  auto possible = tenant.possible;
  possible.erase(client.password);
  if (possible.empty()) {
    stage_.fail(client.user->name() + " was refused with the password of " + tenant.name + ", " +
                client.password);
    return;
  }
  set_possible(tenant, std::move(possible));
}

// What was acknowledged stays.
void Tenants::on_crash() {
  for (Tenant& tenant : tenants_) {
    if (tenant.change != Change::none) give_up(tenant);
    ++tenant.epoch;
  }
}

void Tenants::gather() {
  give_up_lost();
}

void Tenants::check() {
  give_up_lost();
  for (const Tenant& tenant : tenants_) {
    if (tenant.change != Change::none) stage_.fail("there was no answer to " + tenant.id);
  }
}

void Tenants::leave() {
  for (Client& client : clients_) {
    if (client.user->is_bound()) {
      client.user->close();
    } else if (client.user->is_connected()) {
      client.user->cut();
    }
  }
}

}  // namespace sim
