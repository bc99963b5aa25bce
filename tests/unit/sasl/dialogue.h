// Both ends of a SASL exchange wired together, with an account "user" / "pencil" at example.org.
// Messages can be changed on their way. Used by the unit tests and by fuzz_sasl.
//
// Thread-safety: one thread.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <variant>

#include "xmpp/sasl/mechanism.h"

namespace xmpp::sasl::test {

struct Outcome {
  std::optional<ServerSuccess> success;
  std::optional<SaslFailure> failure;
  std::optional<ClientError> client_error;
  bool client_verified = false;  // the client believes the server
  int messages = 0;
};

// Keys of "user" with few rounds, derived once.
inline const std::array<ScramKeys, 3>& account_keys(std::uint32_t iterations = 4096) {
  static std::map<std::uint32_t, std::array<ScramKeys, 3>> all;
  auto found = all.find(iterations);
  if (found == all.end()) {
    found =
        all.emplace(iterations, derive_scram_keys(Secret("pencil"), "0123456789abcdef", iterations))
            .first;
  }
  return found->second;
}

// Changes the n-th message (from 0, counted over both directions) if it likes.
using Mutator = std::function<void(int index, std::string& message)>;

struct Dialogue {
  Lookup user = Lookup::found;      // what the account lookup says for "user"
  std::string identity = "user";    // what EXTERNAL's certificate stands for
  bool initial_response = true;     // send it in <auth/>, or wait for the empty challenge
  bool final_in_challenge = false;  // success data as a challenge of its own
  std::uint32_t iterations = 4096;
  Mutator mutate = nullptr;

  // Answers the server's questions until it says something to the peer.
  ServerStep settle(ServerMechanism& server, ServerStep step) const {
    for (;;) {
      if (auto* keys = std::get_if<NeedScramKeys>(&step)) {
        const bool known = keys->username == "user";
        const auto hash = static_cast<std::size_t>(keys->hash);
        step = known ? server.give_scram_keys(user, account_keys(iterations)[hash])
                     : server.give_scram_keys(Lookup::unknown);
      } else if (auto* password = std::get_if<NeedPassword>(&step)) {
        const bool right = password->username == "user" && password->password.reveal() == "pencil";
        step = server.give_verdict(right ? user : Lookup::unknown);
      } else if (std::get_if<NeedIdentity>(&step) != nullptr) {
        step = server.give_identity(identity.empty() ? Lookup::unknown : user, identity);
      } else {
        return step;
      }
    }
  }

  Outcome run(ClientMechanism& client, ServerMechanism& server) const {
    Outcome outcome;
    const auto pass = [&](std::string message) {
      if (mutate) mutate(outcome.messages, message);
      ++outcome.messages;
      return message;
    };
    auto first = client.start();
    if (!first) {
      outcome.client_error = first.error();
      return outcome;
    }
    ServerStep step;
    if (initial_response) {
      step = settle(server, server.start(pass(*first)));
    } else {
      step = settle(server, server.start(std::nullopt));
    }
    while (auto* challenge = std::get_if<Challenge>(&step)) {
      auto answer = client.receive(pass(challenge->data));
      if (!answer) {
        outcome.client_error = answer.error();
        return outcome;
      }
      step = settle(server, server.respond(pass(*answer)));
    }
    if (auto* failure = std::get_if<SaslFailure>(&step)) {
      outcome.failure = *failure;
      return outcome;
    }
    outcome.success = std::get<ServerSuccess>(step);
    finish(client, outcome, pass(outcome.success->additional_data));
    return outcome;
  }

 private:
  void finish(ClientMechanism& client, Outcome& outcome, const std::string& data) const {
    std::optional<std::string_view> additional;
    if (!data.empty()) additional = data;
    if (final_in_challenge && additional) {
      const auto answer = client.receive(*additional);
      if (!answer) {
        outcome.client_error = answer.error();
        return;
      }
      additional.reset();
    }
    const auto finished = client.finish(additional);
    outcome.client_verified = finished.has_value();
    if (!finished) outcome.client_error = finished.error();
  }
};

inline ServerContext make_context(Rng& rng, ChannelBindings bindings = {}, bool plus = false) {
  ServerContext context;
  context.domain = "example.org";
  context.channel_bindings = std::move(bindings);
  context.plus_offered = plus;
  context.server_secret = Secret("server secret");
  context.iterations = 4096;
  context.rng = &rng;
  return context;
}

inline ClientCredentials make_credentials(std::string username = "user",
                                          std::string password = "pencil") {
  ClientCredentials credentials;
  credentials.username = std::move(username);
  credentials.password = Secret(std::move(password));
  return credentials;
}

}  // namespace xmpp::sasl::test
