// Fuzzes SASL: both roles talk to each other while the input changes their messages; both also read
// the input raw. Nobody may crash, and nobody gets in whose messages were changed in meaning.
//
// Input: [mechanism][options][edit]...   edit = message index, position, length to remove, length
// to insert, bytes. What is left after a 0xFF index is a raw message for every machine.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

#include "unit/sasl/dialogue.h"

namespace {

using namespace xmpp;        // NOLINT(google-build-using-namespace): a program of one file
using namespace xmpp::sasl;  // NOLINT(google-build-using-namespace)

void require(bool condition, const char* what) {
  if (condition) return;
  std::fprintf(stderr, "%s\n", what);
  __builtin_trap();
}

class Input {
 public:
  explicit Input(std::string_view bytes) : rest_(bytes) {}
  [[nodiscard]] bool is_empty() const { return rest_.empty(); }
  std::uint8_t byte() {
    if (rest_.empty()) return 0;
    const auto value = static_cast<std::uint8_t>(rest_.front());
    rest_.remove_prefix(1);
    return value;
  }
  std::string_view take(std::size_t count) {
    const std::string_view taken = rest_.substr(0, count);
    rest_.remove_prefix(taken.size());
    return taken;
  }

 private:
  std::string_view rest_;
};

struct Edit {
  int message;
  std::size_t position;
  std::size_t remove;
  std::string_view insert;
};

const ChannelBindings kBindings{"exporter data 32 bytes long ....", "hash of the certificate"};

SaslCondition all_conditions_have_names(const SaslFailure& failure) {
  require(parse_sasl_condition(to_string(failure.condition)) == failure.condition, "no name");
  return failure.condition;
}

void talk(MechanismId id, std::uint8_t options, const std::vector<Edit>& edits) {
  static const auto cache = make_salted_password_cache(1024);
  SeededRng rng(options);
  ClientChoice choice{id, Gs2Flag::none, ChannelBindingType::tls_exporter};
  if (is_plus(id)) {
    choice.flag = Gs2Flag::bound;
    if ((options & 1) != 0) choice.binding = ChannelBindingType::tls_server_end_point;
  } else if ((options & 1) != 0) {
    choice.flag = Gs2Flag::mismatch;
  }
  auto credentials = test::make_credentials();
  credentials.cache = cache.get();
  credentials.iterations_min = 1;
  credentials.iterations_max = 9;  // whatever the edits make of it: cheap
  if ((options & 2) != 0) credentials.authzid = "user@example.org";

  test::Dialogue dialogue;
  dialogue.iterations = 2;
  dialogue.initial_response = (options & 4) == 0;
  dialogue.final_in_challenge = (options & 8) != 0;
  bool changed = false;
  dialogue.mutate = [&](int index, std::string& message) {
    const std::string before = message;
    for (const Edit& edit : edits) {
      if (edit.message != index) continue;
      const std::size_t at = std::min(edit.position, message.size());
      message.replace(at, std::min(edit.remove, message.size() - at), edit.insert);
    }
    changed = changed || message != before;
  };
  auto client = make_client_mechanism(choice, std::move(credentials), kBindings, rng);
  auto server = make_server_mechanism(id, test::make_context(rng, kBindings, is_plus(id)));
  const auto outcome = dialogue.run(*client, *server);
  if (outcome.failure) all_conditions_have_names(*outcome.failure);
  if (!changed) {
    require(outcome.success && outcome.client_verified, "an honest exchange failed");
  } else if (scram_hash(id)) {
    // Every byte that matters is signed; the bare minimum that may differ is the last message.
    require(!outcome.client_verified || outcome.success->username == "user", "another user got in");
  }
}

void read_raw(MechanismId id, std::string_view message) {
  SeededRng rng(1);
  auto server = make_server_mechanism(id, test::make_context(rng, kBindings, is_plus(id)));
  test::Dialogue dialogue;
  dialogue.user = Lookup::unknown;
  dialogue.identity.clear();
  auto step = dialogue.settle(*server, server->start(message));
  if (std::holds_alternative<Challenge>(step)) {
    step = dialogue.settle(*server, server->respond(message));
  }
  if (const auto* failure = std::get_if<SaslFailure>(&step)) all_conditions_have_names(*failure);
  require(id == MechanismId::anonymous || !std::holds_alternative<ServerSuccess>(step),
          "an unknown user got in");

  ClientChoice choice{id, is_plus(id) ? Gs2Flag::bound : Gs2Flag::none,
                      ChannelBindingType::tls_exporter};
  auto credentials = test::make_credentials();
  credentials.iterations_min = 1;
  credentials.iterations_max = 9;
  auto client = make_client_mechanism(choice, std::move(credentials), kBindings, rng);
  require(client->start().has_value(), "good credentials were refused");
  if (client->receive(message)) {
    const bool finished = client->finish(message).has_value();
    require(!finished || !scram_hash(id), "a server without the password was believed");
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Input input({reinterpret_cast<const char*>(data), size});
  const auto id =
      static_cast<MechanismId>(input.byte() % (static_cast<unsigned>(MechanismId::anonymous) + 1));
  const std::uint8_t options = input.byte();
  std::vector<Edit> edits;
  while (!input.is_empty() && edits.size() < 8) {
    const std::uint8_t message = input.byte();
    if (message == 0xFF) break;
    Edit edit{message % 6, input.byte(), input.byte(), {}};
    edit.insert = input.take(input.byte());
    edits.push_back(edit);
  }
  const std::string_view raw = input.take(size);
  talk(id, options, edits);
  if (!raw.empty()) read_raw(id, raw);
  return 0;
}
