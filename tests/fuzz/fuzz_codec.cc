// Payloads: whatever element decodes is written again and decodes to the same value, for every
// codec of the library; what is made of decoded values (forms by a table, the text of entity
// capabilities) takes any value.
//
// Input: one document. Every element in it is offered to every codec.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

#include "xmpp/core/form.h"
#include "xmpp/core/namespaces.h"
#include "xmpp/core/stanza.h"
#include "xmpp/xep/bind.h"
#include "xmpp/xep/blocking.h"
#include "xmpp/xep/caps.h"
#include "xmpp/xep/carbons.h"
#include "xmpp/xep/delay.h"
#include "xmpp/xep/disco.h"
#include "xmpp/xep/forward.h"
#include "xmpp/xep/last.h"
#include "xmpp/xep/ping.h"
#include "xmpp/xep/private.h"
#include "xmpp/xep/register.h"
#include "xmpp/xep/roster.h"
#include "xmpp/xep/time.h"
#include "xmpp/xep/vcard_temp.h"
#include "xmpp/xep/version.h"

namespace {

namespace form = xmpp::form;
namespace xep = xmpp::xep;
using xmpp::xml::Document;
using xmpp::xml::Element;

void require(bool condition, std::string_view what, std::string_view detail) {
  if (condition) return;
  std::fprintf(stderr, "%s: %s\n", std::string(what).c_str(), std::string(detail).c_str());
  __builtin_trap();
}

// A written copy may declare more prefixes than the limits of a stanza allow.
constexpr xmpp::xml::Limits kWide = {
    .stanza_bytes = 1 << 24, .depth = 1'000, .attributes = 10'000, .prefixes = 10'000};

// Times are written in milliseconds, whatever came.
template <typename T>
constexpr bool kIsExact = std::equality_comparable<T>;
template <>
constexpr bool kIsExact<xep::Delay> = false;
template <>
constexpr bool kIsExact<xep::EntityTime> = false;

// Values that cannot be compared are compared as they are written.
template <typename T>
void try_codec(Element element) {
  auto value = xmpp::xml::decode<T>(element);
  if (!value) {
    require(!value.error().name.empty(), "an error without a place", element.raw());
    return;
  }
  for (const std::string_view dialect : {std::string_view(), xmpp::ns::client}) {
    const std::string written = xmpp::xml::to_xml(*value, dialect);
    const auto copy = Document::parse(written, dialect, kWide);
    require(copy.has_value(), "what was written is not well-formed", written);
    auto again = xmpp::xml::decode<T>(copy->root());
    require(again.has_value(), "what was written does not decode", written);
    if constexpr (kIsExact<T>) {
      require(*again == *value, "what was written means something else", written);
    }
    require(xmpp::xml::to_xml(*again, dialect) == written, "written differently", written);
  }
}

template <typename... T>
void try_codecs(Element element) {
  (try_codec<T>(element), ...);
}

struct Settings {
  std::string name;
  bool is_kept = false;
  std::int32_t size = 0;
  xmpp::Jid owner;
  std::vector<std::string> lines;
  std::vector<xmpp::Jid> members;
  bool operator==(const Settings&) const = default;
};
constexpr auto kSettings = form::table<Settings>(
    "urn:fuzz:settings", form::field("name", &Settings::name),
    form::field("kept", &Settings::is_kept), form::field("size", &Settings::size),
    form::field("owner", &Settings::owner), form::field("lines", &Settings::lines),
    form::field("members", &Settings::members));

void try_form(const form::Form& form) {
  Settings settings;
  const auto applied = form::apply(kSettings, form, settings);
  if (!applied) {
    require(settings == Settings{}, "a refused form changed something", applied.error().var);
    return;
  }
  Settings copy;
  const auto again = form::apply(kSettings, form::make_submit(kSettings, settings), copy);
  require(again && copy == settings, "a form made of values does not give them", form.title);
}

void try_everything(Element element, int depth) {
  try_codecs<form::Form, form::Field, xep::Bind, xep::SessionRequest, xep::BlockItem,
             xep::BlockList, xep::Block, xep::Unblock, xep::Caps, xep::CarbonsEnable,
             xep::CarbonsDisable, xep::CarbonsReceived, xep::CarbonsSent, xep::CarbonsPrivate,
             xep::Delay, xep::DiscoInfo, xep::DiscoItems, xep::Forwarded, xep::LastActivity,
             xep::Ping, xep::PrivateXml, xep::Register, xep::RegisterFeature, xep::Roster,
             xep::EntityTime, xep::VcardTemp, xep::SoftwareVersion>(element);
  if (auto decoded = xmpp::xml::decode<form::Form>(element)) try_form(*decoded);
  if (auto decoded = xmpp::xml::decode<xep::DiscoInfo>(element)) {
    (void)xep::caps_text(*decoded);
  }
  if (depth == 0) return;
  for (const Element child : element.children()) try_everything(child, depth - 1);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const auto document = Document::parse(bytes, xmpp::ns::client);
  if (document) try_everything(document->root(), 4);
  return 0;
}
