// A PostgreSQL for tests: the one that ctest started (XMPP_TEST_POSTGRESQL names its directory), or
// one of the process's own. Each PostgresSchema is an empty database of its own in it.
#pragma once

#include <stdlib.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>

#include "storage/session.h"

namespace xmppd::test {

// Runs tests/support/postgres; its output's last line.
inline std::string run_postgres(const std::string& command, const std::string& directory) {
  const std::string line = std::string(POSTGRES_SCRIPT) + ' ' + command + ' ' + directory;
  FILE* pipe = ::popen(line.c_str(), "r");
  if (pipe == nullptr) std::abort();
  std::string output;
  for (int c = std::fgetc(pipe); c != EOF; c = std::fgetc(pipe)) output += static_cast<char>(c);
  if (::pclose(pipe) != 0) {
    std::fprintf(stderr, "%s failed\n", line.c_str());
    std::abort();
  }
  while (!output.empty() && output.back() == '\n') output.pop_back();
  return output;
}

// A cluster of its own, for tests that stop it.
class PostgresCluster {
 public:
  PostgresCluster() {
    std::string name = "/tmp/xmppd-postgres-XXXXXX";  // short: Unix sockets have short names
    if (::mkdtemp(name.data()) == nullptr) std::abort();
    directory_ = name;
    connection_ = run_postgres("start", directory_);
  }
  ~PostgresCluster() { run_postgres("stop", directory_); }
  PostgresCluster(const PostgresCluster&) = delete;
  PostgresCluster& operator=(const PostgresCluster&) = delete;

  [[nodiscard]] const std::string& connection() const { return connection_; }
  // halt, resume, freeze, thaw.
  void run(const std::string& command) { run_postgres(command, directory_); }

 private:
  std::string directory_;
  std::string connection_;
};

inline const std::string& shared_postgres() {
  static const std::string connection = [] {
    if (const char* given = std::getenv("XMPP_TEST_POSTGRESQL"))
      return run_postgres("start", given);
    static const PostgresCluster own;
    return own.connection();
  }();
  return connection;
}

// An empty database: a schema that nobody else uses, removed in the end.
class PostgresSchema {
 public:
  explicit PostgresSchema(const std::string& cluster = shared_postgres()) : cluster_(cluster) {
    static int count = 0;
    name_ = "t" + std::to_string(::getpid()) + "_" + std::to_string(++count);
    session(cluster_).execute("CREATE SCHEMA " + name_);
  }
  ~PostgresSchema() { session(cluster_).execute("DROP SCHEMA " + name_ + " CASCADE"); }
  PostgresSchema(const PostgresSchema&) = delete;
  PostgresSchema& operator=(const PostgresSchema&) = delete;

  [[nodiscard]] std::string connection() const {
    return cluster_ + " options=-csearch_path=" + name_;
  }
  [[nodiscard]] sql::SessionOptions options() const { return options(connection()); }

 private:
  static sql::SessionOptions options(const std::string& connection) {
    sql::SessionOptions options;
    options.driver = sql::DriverKind::postgresql;
    options.connection = xmpp::Secret(connection);
    return options;
  }
  static sql::Session session(const std::string& connection) {
    return sql::Session(options(connection));
  }
  std::string cluster_;
  std::string name_;
};

}  // namespace xmppd::test
