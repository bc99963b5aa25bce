// HostFacts: what all workers need to know of a host's accounts as a whole: for which SCRAM hashes
// every account has keys, and which iteration counts the keys have.
//
// The counts serve to answer for users who do not exist: with one count for all of them, an account
// whose password is older than the last change of `scram_iterations` could be told from them. So
// each name gets one of the counts that are stored, as often as they are stored (architecture (d)).
//
// Thread-safety: any thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <string_view>
#include <vector>

#include "xmpp/base/secret.h"
#include "xmpp/base/time.h"
#include "xmpp/sasl/credentials.h"
#include "xmppd/storage.h"

namespace xmppd {

class HostFacts {
 public:
  [[nodiscard]] xmpp::sasl::ScramHashSet common_hashes() const noexcept;
  // The count that an unknown user of that name seems to have; `fallback` while no key is stored.
  // The same for the same name while the distribution stays; as accounts move to a higher count,
  // names do so too, and never back.
  [[nodiscard]] std::uint32_t fake_iterations(const xmpp::Secret& secret, std::string_view username,
                                              std::uint32_t fallback) const;

  // `counts`: the highest first.
  void set(xmpp::sasl::ScramHashSet common, std::vector<IterationCount> counts);
  // True for one caller a minute, who then looks the facts up again.
  [[nodiscard]] bool claim_refresh(xmpp::Instant now) noexcept;

 private:
  std::atomic<std::uint8_t> hash_bits_{0};
  std::atomic<std::int64_t> next_refresh_us_{0};
  mutable std::mutex mutex_;  // taken once per look-up of an unknown user
  std::vector<IterationCount> counts_;
};

// What set() wants, as it comes from storage.
struct HostFactsRecord {
  xmpp::sasl::ScramHashSet common_hashes;
  std::vector<IterationCount> counts;
};
[[nodiscard]] StorageResult<HostFactsRecord> load_host_facts(Tx& tx, const std::string& host);

}  // namespace xmppd
