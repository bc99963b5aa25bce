// Certificates: the certificate of every host, from its files or self-signed in data_dir.
//
// Thread-safety: one thread.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "core/config.h"
#include "xmpp/transport/tls_engine.h"

namespace xmppd {

class Certificates {
 public:
  // Loads, or makes what is missing where the configuration allows a self-signed one (no listener
  // beyond loopback). Throws std::runtime_error naming the file and the remedy. `known`: what was
  // loaded before; files that have not changed are not parsed again.
  explicit Certificates(const Config& config, const Certificates* known = nullptr);

  [[nodiscard]] const std::vector<xmpp::TlsCertificate>& all() const noexcept { return all_; }
  struct Shown {
    std::string host;
    std::filesystem::path file;
    std::string fingerprint;  // SHA-256, "AB:CD:..."
    bool is_self_signed = false;
  };
  [[nodiscard]] const std::vector<Shown>& shown() const noexcept { return shown_; }

 private:
  using Files = std::pair<std::filesystem::path, std::filesystem::path>;
  // What these files held; nullptr: unknown.
  [[nodiscard]] const xmpp::TlsCertificate* find(const Files& files) const noexcept;

  std::map<Files, std::size_t> loaded_at_;  // indices of all_
  std::vector<xmpp::TlsCertificate> all_;
  std::vector<Shown> shown_;
};

}  // namespace xmppd
