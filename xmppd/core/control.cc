// The admin socket: accepts, splits lines, runs one command at a time per connection, answers.
//
// Invariants: (1) everything in ControlLoop belongs to the control thread once that runs.
// (2) The reactor outlives every task and every question to a worker: ~Control waits for them while
// workers, offload and storage still run.
#include "core/control.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <map>
#include <stdexcept>
#include <string>
#include <thread>

#include "core/commands.h"
#include "core/control_protocol.h"
#include "core/server.h"
#include "xmpp/base/task.h"
#include "xmpp/net/reactor.h"
#include "xmpp/net/socket.h"

namespace xmppd {

namespace net = xmpp::net;
using xmpp::log::kv;

class ControlLoop;

namespace {

const xmpp::log::Context kLog{.component = "control"};
constexpr std::size_t kConnectionsMax = 64;
constexpr int kBacklog = 64;
constexpr std::size_t kOutputHigh = 256 * 1024;  // then nothing more is read
constexpr auto kAcceptPause = std::chrono::seconds(1);

[[noreturn]] void fail(const std::filesystem::path& path, const std::string& why) {
  throw std::runtime_error("server.control_socket " + path.string() + ": " + why);
}

sockaddr_un address_of(const std::filesystem::path& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const auto& text = path.native();
  if (text.size() >= sizeof(address.sun_path)) {
    fail(path, "longer than " + std::to_string(sizeof(address.sun_path) - 1) +
                   " bytes, which no socket may be: choose a shorter path");
  }
  std::memcpy(address.sun_path, text.data(), text.size());
  return address;
}

// Removes what a dead server left; throws if a live one answers or if it is no socket.
void clear_path(const std::filesystem::path& path, const sockaddr_un& address) {
  struct stat found {};
  if (::lstat(path.c_str(), &found) != 0) return;
  if (!S_ISSOCK(found.st_mode)) fail(path, "is there already and no socket: remove it");
  const int probe = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  const bool is_dead =
      ::connect(probe, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 &&
      errno == ECONNREFUSED;
  ::close(probe);
  if (!is_dead) fail(path, "another server answers there: stop it or choose another path");
  ::unlink(path.c_str());
}

int bind_socket(const std::filesystem::path& path) {
  const auto address = address_of(path);
  std::error_code ignored;
  if (path.has_parent_path()) std::filesystem::create_directories(path.parent_path(), ignored);
  clear_path(path, address);
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  // The mode that the file gets from bind(): never open to others, not even for a moment.
  const bool is_bound =
      fd >= 0 && ::fchmod(fd, 0600) == 0 &&
      ::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 &&
      ::listen(fd, kBacklog) == 0;
  if (is_bound) return fd;
  const int error = errno;
  if (fd >= 0) ::close(fd);
  fail(path, std::string(std::strerror(error)) + ": check the directory's owner and permissions");
}

bool is_trusted(int fd) noexcept {
  ucred peer{};
  socklen_t size = sizeof peer;
  if (::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return false;
  return peer.uid == 0 || peer.uid == ::geteuid();
}

// One administrator's connection. A line is read only when the one before has been answered, so
// whoever sends faster than the server answers is slowed down by the socket.
class Connection final : private net::Flushable {
 public:
  Connection(ControlLoop& loop, std::uint64_t id, std::unique_ptr<net::ByteChannel> channel);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // Answers the command that is running.
  void answer(const std::string& line);
  // Says why the peer is not served, and closes.
  void refuse(const CommandError& error);
  // Output of a command that goes on.
  void add_output(const std::string& line);
  // When little output waits; false: the peer has gone.
  [[nodiscard]] xmpp::Completion<bool> room();
  // The server stops: who waits for room goes without.
  void give_up_waiting();

 private:
  static void on_ready(void* self, net::Readiness readiness);
  void read();
  void take_lines();
  // While a command runs or output waits, input waits too, here and in the socket.
  [[nodiscard]] bool wants_input() const noexcept {
    return !is_busy_ && !is_ending_ && output_.size() < kOutputHigh;
  }
  void flush();

  ControlLoop& loop_;
  const std::uint64_t id_;
  std::unique_ptr<net::ByteChannel> channel_;
  net::Watch watch_;
  control::LineBuffer input_;
  std::string output_;
  xmpp::Completion<bool>::Ticket waiting_for_room_;
  bool is_busy_ = false;    // a command runs
  bool is_ending_ = false;  // no more input: close when everything is answered and written
  bool is_buried_ = false;
  bool is_room_awaited_ = false;
};

}  // namespace

// Everything that belongs to the control thread.
class ControlLoop {
 public:
  explicit ControlLoop(Server& server);
  ~ControlLoop();
  ControlLoop(const ControlLoop&) = delete;
  ControlLoop& operator=(const ControlLoop&) = delete;

  void run(int listener);
  // Any thread: ends run() when all tasks and questions have come back.
  void stop();

  [[nodiscard]] net::Reactor& reactor() noexcept { return reactor_; }
  // Runs the request in `line` and answers connection `id`.
  void submit(std::uint64_t id, std::string_view line);
  // Destroys a connection, soon.
  void bury(std::uint64_t id);

 private:
  static void on_accept(void* self, net::Readiness readiness);
  void accept();
  void admit(int fd);
  void answer(std::uint64_t id, const std::string& line);
  xmpp::Task<void> execute(std::uint64_t id, control::RequestId request, const Command* command,
                           CommandArguments arguments, bool wants_items);
  void stop_if_idle();

  // The items of one request.
  class Items final : public ItemSink {
   public:
    Items(ControlLoop& loop, std::uint64_t connection, control::RequestId request)
        : loop_(loop), connection_(connection), request_(std::move(request)) {}
    void send(const CommandValue& item) override;
    xmpp::Completion<bool> room() override;

   private:
    ControlLoop& loop_;
    const std::uint64_t connection_;
    const control::RequestId request_;
  };

  std::unique_ptr<net::Poller> poller_;
  net::Reactor reactor_;
  std::unique_ptr<xmpp::Rng> rng_;
  CommandContext context_;
  int listener_ = -1;
  net::Watch watch_;
  xmpp::Timer accept_again_;
  bool is_stopping_ = false;
  std::uint64_t next_id_ = 1;
  std::map<std::uint64_t, std::unique_ptr<Connection>> connections_;
  xmpp::TaskOwner tasks_;  // last member: tasks go before what they use
};

Connection::Connection(ControlLoop& loop, std::uint64_t id,
                       std::unique_ptr<net::ByteChannel> channel)
    : Flushable([](Flushable* self) { static_cast<Connection*>(self)->flush(); }),
      loop_(loop),
      id_(id),
      channel_(std::move(channel)),
      watch_{.on_ready = &on_ready, .self = this} {
  loop_.reactor().watch(*channel_, watch_);
}

Connection::~Connection() {
  // Not from within: the command looks for this connection when it goes on.
  give_up_waiting();
  loop_.reactor().unwatch(*channel_, watch_);
}

void Connection::on_ready(void* self, net::Readiness readiness) {
  auto& connection = *static_cast<Connection*>(self);
  if (has(readiness, net::Readiness::writable) && !connection.output_.empty()) {
    connection.loop_.reactor().mark_dirty(connection);
  }
  connection.read();
}

void Connection::read() {
  take_lines();
  while (wants_input()) {
    const auto buffer = loop_.reactor().read_buffer();
    const auto got = channel_->read(buffer);
    if (got.status == net::IoResult::Status::would_block) return;
    if (got.status == net::IoResult::Status::ok) {
      input_.add({buffer.data(), got.bytes});
      explicit_bzero(buffer.data(), got.bytes);  // a password may have come
      take_lines();
      continue;
    }
    is_ending_ = true;
    loop_.reactor().mark_dirty(*this);
  }
}

void Connection::take_lines() {
  while (wants_input()) {
    const auto line = input_.next();
    if (line) {
      is_busy_ = true;
      loop_.submit(id_, *line);
    } else if (input_.is_overlong()) {
      refuse({"too-large", "a line is longer than 1 MiB"});
    } else {
      return;
    }
  }
}

void Connection::answer(const std::string& line) {
  output_ += line;
  is_busy_ = false;
  loop_.reactor().mark_dirty(*this);  // flush() goes on with the input
}

void Connection::add_output(const std::string& line) {
  output_ += line;
  loop_.reactor().mark_dirty(*this);
}

xmpp::Completion<bool> Connection::room() {
  xmpp::Completion<bool> completion;
  if (is_ending_ || output_.size() < kOutputHigh) {
    completion.ticket().complete(!is_ending_);
  } else {
    waiting_for_room_ = completion.ticket();
    is_room_awaited_ = true;
  }
  return completion;
}

void Connection::give_up_waiting() {
  if (!std::exchange(is_room_awaited_, false)) return;
  loop_.reactor().call([ticket = waiting_for_room_] { ticket.complete(false); });
}

void Connection::refuse(const CommandError& error) {
  output_ += control::format_error({}, error);
  is_ending_ = true;
  loop_.reactor().mark_dirty(*this);
}

void Connection::flush() {
  while (!output_.empty()) {
    const iovec part{output_.data(), output_.size()};
    const auto sent = channel_->writev({&part, 1});
    if (sent.status == net::IoResult::Status::would_block) return;
    if (sent.status != net::IoResult::Status::ok) {
      output_.clear();
      is_ending_ = true;
      break;
    }
    output_.erase(0, sent.bytes);
  }
  if (is_room_awaited_) {
    is_room_awaited_ = false;
    loop_.reactor().call(
        [ticket = waiting_for_room_, is_there = !is_ending_] { ticket.complete(is_there); });
  }
  if (!is_ending_) loop_.reactor().read_again(watch_);
  if (!is_ending_ || is_busy_ || is_buried_) return;
  is_buried_ = true;
  loop_.bury(id_);
}

ControlLoop::ControlLoop(Server& server)
    : poller_(server.environment().make_poller()),
      reactor_(*poller_, server.environment().clock()),
      rng_(server.environment().make_rng()),
      context_{.server = server, .reactor = reactor_, .rng = *rng_},
      watch_{.on_ready = &on_accept, .self = this},
      accept_again_([this] { reactor_.watch_fd(listener_, watch_); }) {}

ControlLoop::~ControlLoop() = default;

void ControlLoop::run(int listener) {
  listener_ = listener;
  reactor_.watch_fd(listener_, watch_);
  reactor_.at_end_of_turn([this] { stop_if_idle(); });
  reactor_.run();
}

void ControlLoop::stop() {
  reactor_.call([this] {
    is_stopping_ = true;
    for (auto& [id, connection] : connections_) connection->give_up_waiting();
    if (!accept_again_.is_set()) reactor_.unwatch_fd(listener_, watch_);
    accept_again_.cancel();
  });
}

void ControlLoop::stop_if_idle() {
  if (is_stopping_ && tasks_.size() == 0 && context_.unanswered == 0) reactor_.stop();
}

void ControlLoop::on_accept(void* self, net::Readiness) {
  static_cast<ControlLoop*>(self)->accept();
}

void ControlLoop::accept() {
  for (;;) {
    const int fd = ::accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
      admit(fd);
      continue;
    }
    if (errno == EINTR || errno == ECONNABORTED) continue;
    if (errno == EAGAIN || errno == EWOULDBLOCK) return;
    // Out of descriptors, most likely: the listener stays readable, so look away for a while.
    xmpp::log::warn(kLog, "cannot accept a control connection: raise the limit of open files",
                    {kv("error", std::strerror(errno))});
    reactor_.unwatch_fd(listener_, watch_);
    reactor_.timers().set(accept_again_, reactor_.now() + kAcceptPause);
    return;
  }
}

void ControlLoop::admit(int fd) {
  const bool is_known = is_trusted(fd);
  const bool is_full = connections_.size() >= kConnectionsMax;
  const auto id = next_id_++;
  auto connection = std::make_unique<Connection>(*this, id, net::make_channel(fd));
  Connection& added = *connection;
  connections_.emplace(id, std::move(connection));
  if (!is_known) {
    xmpp::log::warn(kLog, "control connection refused: neither root nor the server's own user");
    added.refuse({"forbidden", "only root and the user that the server runs as may control it"});
  } else if (is_full) {
    added.refuse({"unavailable", "too many control connections: close one of the others"});
  }
}

void ControlLoop::submit(std::uint64_t id, std::string_view line) {
  auto request = control::parse_request(line);
  if (!request) {
    answer(id, control::format_error(request.error().id, request.error().error));
    return;
  }
  if (request->command == "catalogue") {
    answer(id, control::format_result(request->id, catalogue()));
    return;
  }
  const Command* command = find_command(request->command);
  if (command == nullptr) {
    answer(id, control::format_error(request->id, unknown_command(request->command)));
    return;
  }
  auto arguments = control::check_arguments(command->info, request->args);
  if (!arguments) {
    answer(id, control::format_error(request->id, arguments.error()));
    return;
  }
  if (is_stopping_) {
    answer(id, control::format_error(request->id, {"unavailable", "the server is stopping"}));
    return;
  }
  tasks_.spawn(execute(id, request->id, command, std::move(*arguments), request->wants_items));
}

xmpp::Task<void> ControlLoop::execute(std::uint64_t id, control::RequestId request,
                                      const Command* command, CommandArguments arguments,
                                      bool wants_items) {
  Items items(*this, id, request);
  const bool is_streamed = wants_items && command->stream != nullptr;
  auto running = is_streamed ? command->stream(context_, std::move(arguments), items)
                             : command->run(context_, std::move(arguments));
  auto shield = shielded(std::move(running));
  auto result = co_await std::move(shield);
  const auto name = command->info.full_name();
  if (result) {
    xmpp::log::debug(kLog, "command done", {kv("command", name)});
    answer(id, control::format_result(request, *result));
  } else {
    xmpp::log::info(kLog, "command refused",
                    {kv("command", name), kv("code", result.error().code)});
    answer(id, control::format_error(request, result.error()));
  }
}

void ControlLoop::Items::send(const CommandValue& item) {
  auto found = loop_.connections_.find(connection_);
  if (found == loop_.connections_.end()) return;
  found->second->add_output(control::format_item(request_, item));
}

xmpp::Completion<bool> ControlLoop::Items::room() {
  auto found = loop_.connections_.find(connection_);
  if (found != loop_.connections_.end() && !loop_.is_stopping_) return found->second->room();
  xmpp::Completion<bool> nobody;
  nobody.ticket().complete(false);
  return nobody;
}

void ControlLoop::answer(std::uint64_t id, const std::string& line) {
  auto found = connections_.find(id);
  if (found != connections_.end()) found->second->answer(line);
}

void ControlLoop::bury(std::uint64_t id) {
  reactor_.call([this, id] { connections_.erase(id); });
}

struct Control::State {
  explicit State(Server& s) : server(s), loop(s) {}
  Server& server;
  ControlLoop loop;
  int fd = -1;
  struct stat bound {};  // what we put into the file system
  std::thread thread;
};

Control::Control(Server& server) : state_(std::make_unique<State>(server)) {
  const auto& path = server.config().server.control_socket;
  state_->fd = bind_socket(path);
  ::lstat(path.c_str(), &state_->bound);
}

Control::~Control() {
  if (state_->thread.joinable()) {
    state_->loop.stop();
    state_->thread.join();
  }
  const auto& path = state_->server.config().server.control_socket;
  struct stat found {};
  // Only our own: a later server may have replaced it.
  if (::lstat(path.c_str(), &found) == 0 && found.st_ino == state_->bound.st_ino &&
      found.st_dev == state_->bound.st_dev) {
    ::unlink(path.c_str());
  }
  ::close(state_->fd);
}

void Control::call(std::function<void()> function) {
  state_->loop.reactor().call(std::move(function));
}

void Control::start() {
  state_->thread = std::thread([state = state_.get()] {
    ::pthread_setname_np(::pthread_self(), "control");
    state->loop.run(state->fd);
  });
}

}  // namespace xmppd
