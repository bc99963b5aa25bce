#include "core/stored_host.h"

namespace xmppd {

std::string format_stored_host(const HostConfig& host) {
  std::string text = "profile=" + host.profile + '\n';
  if (!host.certificate.empty()) {
    text += "certificate=" + host.certificate.string() + '\n';
    text += "key=" + host.key.string() + '\n';
  }
  return text;
}

HostConfig parse_stored_host(std::string_view name, std::string_view text) {
  HostConfig host;
  host.name = name;
  host.is_stored = true;
  while (!text.empty()) {
    const auto end = text.find('\n');
    const auto line = text.substr(0, end);
    text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
    const auto equals = line.find('=');
    if (equals == std::string_view::npos) continue;
    const auto value = line.substr(equals + 1);
    if (line.starts_with("profile=")) host.profile = value;
    if (line.starts_with("certificate=")) host.certificate = value;
    if (line.starts_with("key=")) host.key = value;
  }
  return host;
}

}  // namespace xmppd
