#include "core/certificates.h"

#include <fcntl.h>
#include <unistd.h>

#include <stdexcept>

#include "xmpp/base/log.h"
#include "xmpp/net/dns.h"

namespace xmppd {
namespace {

const xmpp::log::Context kLog{.component = "tls"};

void write_file(const std::filesystem::path& path, const std::string& text, mode_t mode) {
  int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
  if (fd < 0) throw std::runtime_error("cannot write " + path.string() + ": check data_dir");
  const auto written = ::write(fd, text.data(), text.size());
  ::close(fd);
  if (written != static_cast<ssize_t>(text.size())) {
    throw std::runtime_error("cannot write " + path.string() + ": is the disk full?");
  }
}

}  // namespace

const xmpp::TlsCertificate* Certificates::find(const Files& files) const noexcept {
  const auto found = loaded_at_.find(files);
  return found == loaded_at_.end() ? nullptr : &all_[found->second];
}

Certificates::Certificates(const Config& config, const Certificates* known) {
  std::vector<std::string> fingerprints;  // as all_
  for (const HostConfig& host : config.hosts) {
    auto certificate = host.certificate;
    auto key = host.key;
    const bool is_self_signed = certificate.empty();
    if (is_self_signed) {
      certificate = config.server.data_dir / (host.name + ".crt");
      key = config.server.data_dir / (host.name + ".key");
      if (!std::filesystem::exists(certificate) || !std::filesystem::exists(key)) {
        if (!config.serves_only_loopback()) {
          throw std::runtime_error("host \"" + host.name +
                                   "\" has no certificate: set certificate and key under [host.\"" +
                                   host.name + "\"] (a self-signed one is made only for loopback)");
        }
        auto made = xmpp::make_self_signed({xmpp::net::to_a_labels(host.name)});
        if (!made) throw std::runtime_error("cannot make a certificate: " + made.error().text);
        write_file(key, made->certificate.key_pem, 0600);
        write_file(certificate, made->certificate.certificate_pem, 0644);
        xmpp::log::info(kLog, "made a self-signed certificate", {xmpp::log::kv("host", host.name)});
      }
    }
    // Many hosts may share one file (a wildcard, a list of names): it is read and parsed once.
    const auto [place, is_new] = loaded_at_.try_emplace({certificate, key}, all_.size());
    if (!is_new) {
      all_[place->second].hosts.push_back(xmpp::net::to_a_labels(host.name));
      shown_.push_back({host.name, certificate, fingerprints[place->second], is_self_signed});
      continue;
    }
    auto loaded = xmpp::load_tls_certificate(
        certificate.string(), key.string(), {xmpp::net::to_a_labels(host.name)},
        known == nullptr ? nullptr : known->find({certificate, key}));
    if (!loaded) {
      throw std::runtime_error("host \"" + host.name + "\": " + loaded.error().text);
    }
    fingerprints.push_back(xmpp::certificate_fingerprint(*loaded));
    shown_.push_back({host.name, certificate, fingerprints.back(), is_self_signed});
    all_.push_back(std::move(*loaded));
  }
}

}  // namespace xmppd
