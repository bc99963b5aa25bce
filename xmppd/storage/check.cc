// See storage/check.h.
#include "storage/check.h"

#include "storage/dialect.h"
#include "storage/schema.h"

namespace xmppd::sql {
namespace {

constexpr std::size_t kProblemsMax = 100;

class Check {
 public:
  explicit Check(Session& session) : session_(session) {}

  std::vector<std::string> run() {
    if (session_.kind() == DriverKind::sqlite) {
      check_sqlite();
    } else {
      check_postgresql();
    }
    check_stores();
    return std::move(problems_);
  }

 private:
  void add(std::string problem) {
    if (problems_.size() < kProblemsMax) problems_.push_back(std::move(problem));
  }

  void check_sqlite() {
    Query pages = session_.query("PRAGMA integrity_check");
    while (pages.step()) {
      if (pages.text(0) != "ok") add(pages.text(0));
    }
    Query references = session_.query("PRAGMA foreign_key_check");
    while (references.step()) {
      add("a row of " + references.text(0) + " refers to a missing row of " + references.text(2));
    }
  }

  // The server has no check of its own in reach of an ordinary user: every row is read, which
  // shows pages whose checksums are wrong. References it keeps by itself.
  void check_postgresql() {
    Query tables = session_.query(list_tables(session_.kind()));
    while (tables.step()) {
      const std::string sql =
          "SELECT COUNT(*) FROM " + tables.text(0) + " t WHERE LENGTH(CAST(t.* AS TEXT)) < 0";
      Query rows = session_.query(sql);
      rows.step();
    }
  }

  void check_stores() {
    const int version = recorded_schema(session_);
    if (version != static_cast<int>(migrations().size())) {
      add("the schema is number " + std::to_string(version) + ", not " +
          std::to_string(migrations().size()));
      return;
    }
    Query keys = session_.query(
        "SELECT a.username, a.host FROM accounts a WHERE a.key_hashes <> (SELECT"
        " COALESCE(SUM(k.hash), 0) FROM scram_keys k WHERE k.host = a.host AND k.username ="
        " a.username) LIMIT 10");
    while (keys.step()) {
      add("the password keys of " + keys.text(0) + '@' + keys.text(1) + " are incomplete");
    }
  }

  Session& session_;
  std::vector<std::string> problems_;
};

}  // namespace

std::vector<std::string> check_integrity(Session& session) {
  session.begin_read();
  auto problems = Check(session).run();
  session.rollback();
  return problems;
}

}  // namespace xmppd::sql
