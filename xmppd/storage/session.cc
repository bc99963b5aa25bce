// See storage/session.h.
#include "storage/session.h"

#include "storage/dialect.h"
#include "storage/postgresql.h"
#include "storage/sqlite.h"
#include "xmpp/base/assert.h"

namespace xmppd::sql {

StorageError translate_current_exception() noexcept {
  try {
    throw;
  } catch (const DatabaseError& error) {
    return {error.code(), error.what()};
  } catch (const DataError& error) {
    return {StorageErrorCode::corrupt, error.what()};
  } catch (const std::exception& error) {
    return {sqlite_code_of(error).value_or(StorageErrorCode::unavailable), error.what()};
  } catch (...) {
    return {StorageErrorCode::unavailable, "unknown exception"};
  }
}

std::unique_ptr<Driver> make_driver(const SessionOptions& options) {
  return options.driver == DriverKind::sqlite ? make_sqlite_driver(options)
                                              : make_postgresql_driver(options);
}

Query::~Query() {
  statement_.reset();
  statement_.is_in_use_ = false;
}

Query& Query::bind(std::string_view text) {
  statement_.bind_text(++bound_, text);
  return *this;
}

Query& Query::bind(std::int64_t number) {
  statement_.bind_integer(++bound_, number);
  return *this;
}

Query& Query::bind_blob(std::string_view bytes) {
  statement_.bind_blob(++bound_, bytes);
  return *this;
}

Query& Query::bind_null() {
  statement_.bind_null(++bound_);
  return *this;
}

Query Session::query(std::string_view sql) {
  auto& slot = statements_[std::string(sql)];
  if (!slot) slot = driver_->prepare(sql);
  XMPP_ASSERT(!slot->is_in_use_);
  slot->is_in_use_ = true;
  return Query(*slot);
}

Query Session::change(std::string_view sql) {
  XMPP_ASSERT(!is_read_only_);
  return query(sql);
}

void Session::execute(std::string_view statements) {
  driver_->execute(schema_to_dialect(driver_->kind(), statements));
}

void Session::begin_write() {
  failure_.reset();
  driver_->begin(true);
}

void Session::begin_read() {
  failure_.reset();
  driver_->begin(false);
}

void Session::commit() {
  driver_->commit();
}

void Session::rollback() noexcept {
  if (is_in_transaction()) driver_->rollback();
}

StorageError Session::fail_with_current_exception() noexcept {
  StorageError error = translate_current_exception();
  if (!failure_) failure_ = error;
  return error;
}

}  // namespace xmppd::sql
