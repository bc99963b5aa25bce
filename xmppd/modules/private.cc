// XEP-0049 1.2 complete
// Keeps any XML for an account's own clients, by the name of its root element.
#include "xmpp/xep/private.h"

#include <utility>
#include <vector>

#include "xmpp/xml/writer.h"
#include "xmppd/module.h"

namespace xmppd::mod::private_ {

using xmpp::Jid;
using xmpp::StanzaCondition;
using xmpp::Task;
using xmpp::xep::PrivateXml;
using xmpp::xml::Element;

namespace {

constexpr const char* kSpace = "private";

struct Entry {
  std::string key;
  std::string markup;
};

std::string key_of(Element element) {
  return std::string(element.ns()) + " " + std::string(element.name());
}

std::string markup_of(Element element) {
  std::string out;
  xmpp::xml::Writer writer(out);
  writer.write(element);
  return out;
}

// Anything else would break the stream of who asked.
bool is_element(std::string_view stored) {
  constexpr xmpp::xml::Limits kAny{.stanza_bytes = 1 << 27,
                                   .depth = 1'000,
                                   .attributes = 10'000,
                                   .prefixes = 10'000,
                                   .nodes = 1 << 22};
  return xmpp::xml::Document::parse(stored, {}, kAny).has_value();
}

IqReply with_content(std::string_view content) {
  return IqReply::with(
      xmpp::Payload(PrivateXml::codec.name,
                    "<query xmlns='jabber:iq:private'>" + std::string(content) + "</query>"));
}

}  // namespace

class Private final : public Module {
 public:
  void attach(Scope& scope) override {
    scope_ = &scope;
    scope.feature(xmpp::ns::private_xml);
    // Of somebody else's the answer is service-unavailable, which does not tell who exists.
    scope.on_iq<PrivateXml>(Target::own_account,
                            [this](IqCall& call, PrivateXml) { return answer(call); });
  }

 private:
  Task<IqReply> answer(IqCall& call) {
    std::vector<Entry> entries;
    const auto at_most = static_cast<std::size_t>(*documents_);
    for (const Element child : call.request.payloads().front().element().children()) {
      if (child.ns().empty() || child.ns() == xmpp::ns::private_xml) {
        co_return IqReply::error(
            {StanzaCondition::not_acceptable, "An element needs a namespace of its own"});
      }
      // Also if all have one name: each is a statement.
      if (call.is_set() && entries.size() == at_most) co_return full();
      entries.push_back({key_of(child), markup_of(child)});
      if (call.is_set() && !fits_key(call.request.from(), kSpace, entries.back().key)) {
        co_return IqReply::error({StanzaCondition::not_acceptable, "A namespace is too long"});
      }
    }
    if (entries.empty()) co_return IqReply::error(StanzaCondition::not_acceptable);
    if (call.is_set()) {
      auto setting = set(call.request.from().bare(), std::move(entries));
      auto reply = co_await std::move(setting);
      co_return reply;
    }
    if (entries.size() != 1) co_return IqReply::error(StanzaCondition::bad_request);
    auto getting = get(call.request.from().bare(), std::move(entries.front()));
    auto reply = co_await std::move(getting);
    co_return reply;
  }

  Task<IqReply> get(Jid account, Entry asked) {
    auto pending = scope_->storage().read(
        scope_->reactor(), account,
        [](Tx& tx, const Jid& who, const std::string& key) {
          return tx.account_data().find(who, kSpace, key);
        },
        account, asked.key);
    auto found = co_await pending;
    if (!found) co_return failed(found.error());
    if (*found && !is_element(**found)) {
      co_return failed({StorageErrorCode::corrupt, "no element"});
    }
    // What was never stored is empty, as it was asked for.
    co_return with_content(*found ? **found : asked.markup);
  }

  Task<IqReply> set(Jid account, std::vector<Entry> entries) {
    std::vector<std::pair<std::string, std::string>> values;
    for (Entry& entry : entries) {
      values.emplace_back(std::move(entry.key), std::move(entry.markup));
    }
    DataLimits limits;
    limits.entries = static_cast<std::uint64_t>(*documents_);
    limits.bytes = static_cast<std::uint64_t>(*bytes_);
    // All or nothing; an error rolls back what was put before it.
    auto pending = scope_->storage().write(
        scope_->reactor(), account,
        [](Tx& tx, const Jid& who, const std::vector<std::pair<std::string, std::string>>& all,
           const DataLimits& at_most) -> StorageResult<bool> {
          for (const auto& [key, value] : all) {
            auto put = tx.account_data().put(who, kSpace, key, value, at_most);
            if (!put) return put;
            if (!*put) return xmpp::Err(StorageError{StorageErrorCode::constraint, "full"});
          }
          return true;
        },
        account, values, limits);
    auto stored = co_await pending;
    if (stored) co_return IqReply::ok();
    if (stored.error().code == StorageErrorCode::constraint) {
      co_return full();
    }
    co_return failed(stored.error());
  }

  static IqReply full() {
    return IqReply::error(
        {StanzaCondition::resource_constraint, "No more can be stored for this account"});
  }

  IqReply failed(const StorageError& error) {
    xmpp::log::warn(scope_->log_context(), "private data cannot be used: check the database",
                    {xmpp::log::kv("error", error.text)});
    return IqReply::error(error.code == StorageErrorCode::busy
                              ? StanzaCondition::resource_constraint
                              : StanzaCondition::internal_server_error);
  }

  Option<std::int64_t> documents_{*this, "documents", 200,
                                  1,     100'000,     "Elements kept for one account at most."};
  Option<std::int64_t> bytes_{*this, "bytes",       1'048'576,
                              1,     1'073'741'824, "Bytes of these at most."};
  Scope* scope_ = nullptr;
};
XMPPD_MODULE(Private, {.name = "private", .xep = "0049", .summary = "Keeps XML for clients"});

}  // namespace xmppd::mod::private_
