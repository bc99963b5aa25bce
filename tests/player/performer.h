// Performer: one client of a play. Normally libxmpp's ClientLink, which logs in; or a bare
// connection, on which the play itself is the protocol. What arrives waits in inbox() until the
// play asks for it.
//
// Thread-safety: the stage's thread.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <string>

#include "player/script.h"
#include "player/stage.h"
#include "xmpp/client/client_link.h"
#include "xmpp/xml/tokenizer.h"

namespace play {

// What a client notices, in order.
struct Notice {
  enum class Kind : std::uint8_t { stanza, stream_error, ended };
  Kind kind;
  std::string text;  // the element; the condition of a stream error; why it ended
};

// A connection without a stream machine: bytes out, first-level elements in.
class BareLink final : private xmpp::net::Flushable {
 public:
  BareLink(xmpp::net::Reactor& reactor, std::unique_ptr<xmpp::net::ByteChannel> channel,
           std::deque<Notice>& inbox);
  ~BareLink();
  void send(std::string_view bytes);

 private:
  static void on_ready(void* self, xmpp::net::Readiness readiness);
  void read();
  void flush();
  void parse(std::string_view bytes);
  void end(std::string why);

  xmpp::net::Reactor& reactor_;
  std::unique_ptr<xmpp::net::ByteChannel> channel_;  // null: ended
  std::deque<Notice>& inbox_;
  xmpp::net::Watch watch_;
  xmpp::xml::StreamParser parser_;
  std::string out_;
};

class Performer final : public xmpp::LinkObserver {
 public:
  Performer(Stage& stage, const Actor& actor);
  ~Performer();

  // `pauses`: stops before authentication.
  void connect(bool pauses, std::optional<xmpp::StreamPolicy::Resumption> resumption = {});
  void open_bare();
  // REQUIRES: is_waiting_for_login().
  void log_in();
  void send(std::string_view bytes);
  void close();
  void drop();

  [[nodiscard]] const Actor& actor() const noexcept { return actor_; }
  [[nodiscard]] bool is_bound() const noexcept { return is_bound_; }
  // Did the last connect() resume the stream that it was asked to?
  [[nodiscard]] bool has_resumed() const noexcept { return has_resumed_; }
  [[nodiscard]] bool is_waiting_for_login() const noexcept { return is_ready_; }
  [[nodiscard]] const xmpp::Jid& jid() const noexcept { return jid_; }
  // Why login failed: a condition of SASL, bind, or the stream; empty: it did not.
  [[nodiscard]] const std::string& failure() const noexcept { return failure_; }
  [[nodiscard]] std::deque<Notice>& inbox() noexcept { return inbox_; }

 private:
  void on_event(xmpp::Event event) override;
  void on_tls(bool) override {}
  void on_link_ended(std::optional<xmpp::LinkFailure> failure) override;
  void on_failed(const xmpp::StreamFailed& failed);

  Stage& stage_;
  Actor actor_;
  std::unique_ptr<xmpp::sasl::SaltedPasswordCache> passwords_;
  std::unique_ptr<xmpp::ClientLink> link_;
  std::unique_ptr<BareLink> bare_;
  std::deque<Notice> inbox_;
  xmpp::Jid jid_;
  std::string failure_;
  bool is_bound_ = false;
  bool is_ready_ = false;
  bool has_resumed_ = false;
};

}  // namespace play
