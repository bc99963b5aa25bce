// RawPeer: a connection of a simulation over which somebody writes whatever bytes.
//
// Thread-safety: one thread.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "sim/sim_world.h"

namespace sim {

class RawPeer {
 public:
  RawPeer(SimWorld& world, xmpp::net::Reactor& loop, const LinkQuality& quality,
          std::string address);
  ~RawPeer();
  RawPeer(const RawPeer&) = delete;
  RawPeer& operator=(const RawPeer&) = delete;

  // What does not fit into the connection is not sent.
  void write(std::string_view bytes);
  // What comes stays in the connection from now on.
  void stop_reading() { is_reading_ = false; }
  // Everything that came, and how often something did.
  [[nodiscard]] const std::string& seen() const noexcept { return seen_; }
  [[nodiscard]] std::size_t count(std::string_view text) const;
  [[nodiscard]] bool saw(std::string_view text) const { return count(text) != 0; }
  // Has the server ended the connection?
  [[nodiscard]] bool is_over() const noexcept { return is_over_; }
  [[nodiscard]] Instant made_at() const noexcept { return channel_->made_at(); }

 private:
  void read();

  xmpp::net::Reactor& loop_;
  std::unique_ptr<SimChannel> channel_;
  xmpp::net::Watch watch_;
  std::string seen_;
  bool is_reading_ = true;
  bool is_over_ = false;
};

// What a client says to log in as this account, with PLAIN, and to get the resource "r".
[[nodiscard]] std::string raw_header();
[[nodiscard]] std::string raw_auth(const std::string& user, std::string_view password);
[[nodiscard]] std::string raw_login(const std::string& user);

}  // namespace sim
