#include "sim/sim_raw.h"

#include <array>

#include "xmpp/base/encoding.h"

namespace sim {

RawPeer::RawPeer(SimWorld& world, xmpp::net::Reactor& loop, const LinkQuality& quality,
                 std::string address)
    : loop_(loop), channel_(world.connect(quality, std::move(address))) {
  watch_ = {[](void* self, xmpp::net::Readiness) { static_cast<RawPeer*>(self)->read(); }, this};
  loop_.watch(*channel_, watch_);
}

RawPeer::~RawPeer() {
  loop_.unwatch(*channel_, watch_);
}

void RawPeer::write(std::string_view bytes) {
  const iovec part{const_cast<char*>(bytes.data()), bytes.size()};
  (void)channel_->writev({&part, 1});
}

std::size_t RawPeer::count(std::string_view text) const {
  std::size_t found = 0;
  for (auto at = seen_.find(text); at != std::string::npos; at = seen_.find(text, at + 1)) ++found;
  return found;
}

void RawPeer::read() {
  std::array<char, 4'096> buffer{};
  for (;;) {
    if (!is_reading_) {
      // As a program that waits for something else: it only learns of a reset.
      is_over_ = is_over_ || channel_->read({}).status == xmpp::net::IoResult::Status::failed;
      return;
    }
    const auto got = channel_->read(buffer);
    if (got.status == xmpp::net::IoResult::Status::would_block) return;
    if (got.status != xmpp::net::IoResult::Status::ok) {
      is_over_ = true;
      return;
    }
    seen_.append(buffer.data(), got.bytes);
  }
}

std::string raw_header() {
  return "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' "
         "to='localhost' version='1.0'>";
}

std::string raw_auth(const std::string& user, std::string_view password) {
  using namespace std::string_literals;
  return "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>" +
         xmpp::base64_encode("\0"s + user + "\0"s + std::string(password)) + "</auth>";
}

std::string raw_login(const std::string& user) {
  return raw_header() + raw_auth(user, kPassword) + raw_header() +
         "<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>"
         "<resource>r</resource></bind></iq>";
}

}  // namespace sim
