// See storage/connection_string.h.
#include "storage/connection_string.h"

#include <libpq-fe.h>

#include <memory>
#include <string_view>

namespace xmppd::sql {
namespace {

struct FreeConninfo {
  void operator()(PQconninfoOption* options) const noexcept { PQconninfoFree(options); }
};

}  // namespace

std::optional<std::string> describe_connection(const xmpp::Secret& connection) {
  // libpq's message is not shown: it may quote a piece of the password.
  const std::unique_ptr<PQconninfoOption, FreeConninfo> options(
      PQconninfoParse(connection.reveal().c_str(), nullptr));
  if (!options) return std::nullopt;
  std::string text;
  for (const std::string_view key : {"host", "hostaddr", "port", "dbname", "user", "service"}) {
    for (const PQconninfoOption* one = options.get(); one->keyword != nullptr; ++one) {
      if (one->keyword != key || one->val == nullptr) continue;
      text += (text.empty() ? "" : " ") + std::string(key) + '=' + one->val;
    }
  }
  return text;
}

}  // namespace xmppd::sql
