// Who may include what: the table of docs/style.md, "Dependencies". Tests may include anything.
#include <algorithm>
#include <array>
#include <optional>

#include "tidy/rules.h"

namespace tidy {
namespace {

struct Include {
  std::size_t line;
  std::string_view target;
  bool is_quoted;
};

// The layers of libxmpp in their order; equal ranks know nothing of each other.
struct Layer {
  std::string_view name;
  int rank;
};
constexpr std::array<Layer, 9> kLayers = {{{"base", 0},
                                           {"xml", 1},
                                           {"core", 2},
                                           {"sasl", 3},
                                           {"xep", 3},
                                           {"stream", 4},
                                           {"transport", 5},
                                           {"net", 6},
                                           {"client", 7}}};

// Headers from outside that only some places may include. The first row that fits decides.
struct Outside {
  std::string_view prefix;               // of the included name
  std::array<std::string_view, 6> from;  // prefixes of the including path; empty ones count not
  std::string_view advice;
};
constexpr std::array<Outside, 13> kOutside = {{
    {"CLI/",
     {"xmppd/main.cc", "xmppctl/main.cc", "xmppbench/main.cc"},
     "CLI11 belongs into main.cc only; pass plain values on"},
    {"Poco/JSON/",
     {"xmppd/core/control", "xmppd/core/logging", "xmppctl/", "xmppbench/report"},
     "Poco::JSON is for control, logging, xmppctl and xmppbench's report only"},
    {"Poco/Net/",
     {"libxmpp/src/net/", "libxmpp/include/xmpp/net/", "libxmpp/src/transport/tls_engine",
      "xmppctl/"},
     "Poco::Net is for net/, tls_engine and xmppctl only"},
    {"Poco/Crypto/",
     {"libxmpp/src/sasl/", "libxmpp/src/transport/tls_engine"},
     "Poco::Crypto is for sasl/ and tls_engine only"},
    {"Poco/",
     {"libxmpp/src/net/", "libxmpp/src/transport/tls_engine", "xmppd/core/",
      "xmppd/include/xmppd/module_manifest.h", "xmppctl/", "xmppbench/report"},
     "POCO is for net/, tls_engine, the server's core, xmppctl and xmppbench's report only"},
    {"openssl/",
     {"libxmpp/src/sasl/", "libxmpp/src/transport/tls_engine"},
     "OpenSSL is for tls_engine (and digests in sasl/) only"},
    {"unicode/",
     {"libxmpp/src/core/", "libxmpp/src/net/dns"},
     "ICU is for libxmpp's core/ and net/dns only"},
    {"toml++/", {"xmppd/core/config"}, "the TOML parser is for core/config* only"},
    {"SQLiteCpp/", {"xmppd/storage/"}, "database drivers are for storage/ only"},
    {"sqlite3.h", {"xmppd/storage/"}, "database drivers are for storage/ only"},
    {"libpq-fe.h", {"xmppd/storage/"}, "database drivers are for storage/ only"},
    {"sys/epoll.h", {"libxmpp/src/net/"}, "only net/ waits for descriptors"},
    {"sys/socket.h",
     {"libxmpp/src/net/", "xmppd/core/control", "xmppctl/"},
     "sockets are made in net/ (and the control socket's peer is asked in core/control)"},
}};

// The exceptions, with their reasons.
struct Exception {
  std::string_view path;
  std::string_view target;
};
constexpr std::array<Exception, 1> kExceptions = {{
    // Constants that include nothing; the table of atoms starts with them.
    {"libxmpp/include/xmpp/xml/atoms.h", "xmpp/core/namespaces.h"},
}};

std::vector<Include> parse_includes(const SourceText& source) {
  std::vector<Include> all;
  const auto lines = split_lines(source.text);
  const auto code = split_lines(source.code);
  for (std::size_t i = 0; i < lines.size(); ++i) {
    std::string_view rest = trimmed(lines[i]);
    if (!trimmed(code[i]).starts_with('#')) continue;
    rest = trimmed(rest.substr(1));
    if (!rest.starts_with("include")) continue;
    rest = trimmed(rest.substr(7));
    if (rest.size() < 2 || (rest[0] != '"' && rest[0] != '<')) continue;
    const std::size_t end = rest.find(rest[0] == '"' ? '"' : '>', 1);
    all.push_back({i + 1, rest.substr(1, end - 1), rest[0] == '"'});
  }
  return all;
}

std::string_view first_folder(std::string_view path) {
  const std::size_t slash = path.find('/');
  return slash == std::string_view::npos ? std::string_view() : path.substr(0, slash);
}

const Layer* find_layer(std::string_view name) {
  const auto* found = std::find_if(kLayers.begin(), kLayers.end(),
                                   [&](const Layer& layer) { return layer.name == name; });
  return found == kLayers.end() ? nullptr : found;
}

// The layer of a file of libxmpp itself.
const Layer* layer_of_file(std::string_view path) {
  for (const std::string_view root : {"libxmpp/include/xmpp/", "libxmpp/src/"}) {
    if (path.starts_with(root)) return find_layer(first_folder(path.substr(root.size())));
  }
  return nullptr;
}

// Whether the target is a public header of libxmpp, and of which layer.
const Layer* layer_of_public(std::string_view target) {
  return target.starts_with("xmpp/") ? find_layer(first_folder(target.substr(5))) : nullptr;
}

std::optional<std::string> refuse_in_library(const Layer& own, std::string_view path,
                                             const Include& include) {
  if (!include.is_quoted) return std::nullopt;
  const bool is_public = include.target.starts_with("xmpp/");
  const Layer* other =
      is_public ? layer_of_public(include.target) : find_layer(first_folder(include.target));
  if (other == nullptr) return "libxmpp includes nothing but its own layers";
  if (!is_public && path.starts_with("libxmpp/include/")) {
    return "a public header cannot include a private one; make it public or forward-declare";
  }
  if (other->name == own.name) return std::nullopt;
  if (own.name == "xep" && other->rank > 2) return "xep/ includes xml/ and core/ only";
  if (other->rank < own.rank) return std::nullopt;
  return std::string(own.name) + "/ is below or beside " + std::string(other->name) +
         "/; move the code up or pass the value in";
}

// A module that is a folder owns that folder.
bool is_own_folder_of_module(std::string_view path, std::string_view target) {
  const std::string_view folder =
      first_folder(path.substr(std::string_view("xmppd/modules/").size()));
  return !folder.empty() && (first_folder(target).empty() || first_folder(target) == folder);
}

std::optional<std::string> refuse_in_server(std::string_view path, std::string_view target) {
  const bool is_sdk = target.starts_with("xmppd/");
  const bool is_library = target.starts_with("xmpp/");
  if (path.starts_with("xmppd/modules/")) {
    if (is_sdk || is_library || is_own_folder_of_module(path, target)) return std::nullopt;
    return "a module includes <xmppd/...>, <xmpp/...> and its own folder only";
  }
  if (path.starts_with("xmppd/include/")) {
    if (is_sdk || is_library) return std::nullopt;
    return "the SDK includes <xmppd/...> and <xmpp/...> only";
  }
  if (path.starts_with("xmppd/storage/")) {
    if (is_library || target == "xmppd/storage.h" || target.starts_with("storage/")) {
      return std::nullopt;
    }
    return "storage/ includes the SDK's storage.h and libxmpp only";
  }
  if (target.starts_with("modules/") || target.find("/modules/") != std::string_view::npos) {
    return "core/ knows no module; let the module register what it does";
  }
  if (target.starts_with("storage/") && target != "storage/storage.h" &&
      target != "storage/connection_string.h") {
    return "only storage/storage.h and connection_string.h are for the core";
  }
  return std::nullopt;
}

std::optional<std::string> refuse_in_tools(std::string_view path, std::string_view target) {
  const bool is_project = target.starts_with("xmpp/") || target.starts_with("xmppd/") ||
                          target.starts_with("core/") || target.starts_with("storage/") ||
                          target.starts_with("modules/");
  if (path.starts_with("xmppctl/") && is_project && !target.starts_with("xmpp/base/")) {
    return "xmppctl includes libxmpp's base/ only; it asks the server for everything else";
  }
  if (path.starts_with("xmppbench/") && is_project && !target.starts_with("xmpp/")) {
    return "xmppbench includes libxmpp only; it measures any server";
  }
  return std::nullopt;
}

std::optional<std::string> refuse_outside(std::string_view path, std::string_view target) {
  for (const Outside& row : kOutside) {
    if (!target.starts_with(row.prefix)) continue;
    const bool is_allowed = std::any_of(
        row.from.begin(), row.from.end(),
        [&](std::string_view prefix) { return !prefix.empty() && path.starts_with(prefix); });
    if (!is_allowed) return std::string(row.advice);
    return std::nullopt;
  }
  return std::nullopt;
}

std::optional<std::string> refuse(std::string_view path, const Include& include) {
  for (const Exception& exception : kExceptions) {
    if (path == exception.path && include.target == exception.target) return std::nullopt;
  }
  if (!include.is_quoted) return refuse_outside(path, include.target);
  if (const Layer* layer = layer_of_file(path)) return refuse_in_library(*layer, path, include);
  if (path.starts_with("xmppd/")) return refuse_in_server(path, include.target);
  return refuse_in_tools(path, include.target);
}

}  // namespace

Violations check_includes(const SourceText& source) {
  Violations found;
  if (source.path.starts_with("tests/")) return found;
  for (const Include& include : parse_includes(source)) {
    if (auto advice = refuse(source.path, include)) {
      found.push_back({source.path, include.line, "include " + std::string(include.target),
                       std::move(*advice)});
    }
  }
  return found;
}

}  // namespace tidy
