// Control: the administrator's socket. JSON lines over a Unix socket, one command per line:
//   {"id":1,"command":"user.add","args":{...}}  ->  {"id":1,"result":...}
//                                                or {"id":1,"error":{"code":...,"text":...}}
// `catalogue` lists the commands with arguments, types, help and whether they destroy; xmppctl
// builds its command line from it. Permissions: the socket's mode and SO_PEERCRED (root and the
// server's own user).
//
// Runs on a thread and reactor of its own. Thread-safety: start() and the destructor by main,
// call() any thread.
#pragma once

#include <functional>
#include <memory>

namespace xmppd {

class Server;

class Control {
 public:
  // Binds the socket. Throws std::runtime_error naming the path and the remedy.
  explicit Control(Server& server);
  ~Control();  // ends the thread, removes the socket
  Control(const Control&) = delete;
  Control& operator=(const Control&) = delete;
  void start();
  // Runs `function` on the control thread. Any thread.
  void call(std::function<void()> function);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace xmppd
