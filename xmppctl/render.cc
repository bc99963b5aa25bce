#include "render.h"

#include <Poco/JSON/Array.h>
#include <Poco/JSON/Object.h>
#include <Poco/JSON/Stringifier.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdio>
#include <sstream>
#include <vector>

#include "xmpp/base/utf8.h"

namespace xmppctl {
namespace {

using Poco::Dynamic::Var;
using Poco::JSON::Array;
using Poco::JSON::Object;

bool is_object(const Var& value) {
  return value.type() == typeid(Object::Ptr);
}
bool is_array(const Var& value) {
  return value.type() == typeid(Array::Ptr);
}

// Names that end in _s hold seconds.
bool is_seconds(const std::string& key) {
  return key.size() > 2 && key.ends_with("_s");
}

// What a terminal obeys, or what turns a line's direction.
bool is_control(char32_t c) {
  return c < 0x20 || (c >= 0x7F && c < 0xA0) || c == 0x2028 || c == 0x2029 ||
         (c >= 0x202A && c <= 0x202E) || (c >= 0x2066 && c <= 0x2069);
}

// JSON leaves some of these as they are (RFC 8259 7); in its strings they mean the same escaped.
std::string escape_controls(std::string_view json) {
  if (!xmpp::utf8::is_valid(json)) return printable(json);
  std::string out;
  for (std::size_t position = 0; position < json.size();) {
    const std::size_t begin = position;
    const char32_t c = xmpp::utf8::decode(json, position);
    if (is_control(c)) {
      std::array<char, 8> escaped{};
      std::snprintf(escaped.data(), escaped.size(), "\\u%04X", static_cast<unsigned>(c));
      out += escaped.data();
    } else {
      out += json.substr(begin, position - begin);
    }
  }
  return out;
}

std::string title_of(const std::string& key) {
  std::string title = is_seconds(key) ? key.substr(0, key.size() - 2) : key;
  std::transform(title.begin(), title.end(), title.begin(), [](unsigned char c) {
    return c == '_' ? ' ' : static_cast<char>(std::toupper(c));
  });
  return printable(title);
}

std::string cell_of(const std::string& key, const Var& value) {
  if (value.isEmpty()) return "-";
  if (value.isBoolean()) return value.convert<bool>() ? "yes" : "no";
  // An unsigned number is one that is too large for this; it is shown as it came.
  if (value.isInteger() && value.isSigned() && is_seconds(key)) {
    return format_seconds(value.convert<Poco::Int64>());
  }
  if (is_array(value)) {
    std::string joined;
    for (const auto& item : *value.extract<Array::Ptr>()) {
      if (!joined.empty()) joined += ", ";
      joined += cell_of({}, item);
    }
    return joined.empty() ? "-" : joined;
  }
  if (is_object(value)) return printable(to_json(value));
  return printable(value.convert<std::string>());
}

std::size_t width_of(const std::string& text) {
  return xmpp::utf8::is_valid(text) ? xmpp::utf8::count(text) : text.size();
}

struct Column {
  std::string key;
  std::size_t width = 0;
  bool is_number = true;
};

void append_row(std::string& out, const std::vector<Column>& columns,
                const std::vector<std::string>& cells) {
  for (std::size_t i = 0; i < columns.size(); ++i) {
    const std::string padding(columns[i].width - std::min(columns[i].width, width_of(cells[i])),
                              ' ');
    const bool is_last = i + 1 == columns.size();
    if (i != 0) out += "  ";
    if (columns[i].is_number) {
      out += padding + cells[i];
    } else {
      out += cells[i];
      if (!is_last) out += padding;
    }
  }
  out += '\n';
}

std::string render_table(const Array& rows) {
  std::vector<Column> columns;
  for (const auto& row : rows) {
    for (const auto& key : row.extract<Object::Ptr>()->getNames()) {
      const bool is_known = std::any_of(columns.begin(), columns.end(),
                                        [&](const Column& column) { return column.key == key; });
      if (!is_known) columns.push_back({.key = key, .width = width_of(title_of(key))});
    }
  }
  std::vector<std::vector<std::string>> table;
  for (const auto& row : rows) {
    const auto object = row.extract<Object::Ptr>();
    auto& cells = table.emplace_back();
    for (auto& column : columns) {
      const Var value = object->get(column.key);
      cells.push_back(cell_of(column.key, value));
      column.width = std::max(column.width, width_of(cells.back()));
      column.is_number =
          column.is_number && (value.isEmpty() || (value.isInteger() && !value.isBoolean()));
    }
  }
  std::string out;
  std::vector<std::string> titles;
  for (const auto& column : columns) titles.push_back(title_of(column.key));
  append_row(out, columns, titles);
  for (const auto& cells : table) append_row(out, columns, cells);
  return out;
}

std::string render_array(const Array& array) {
  if (array.size() == 0) return "none\n";
  if (std::all_of(array.begin(), array.end(), is_object)) return render_table(array);
  std::string out;
  for (const auto& item : array) out += cell_of({}, item) + '\n';
  return out;
}

bool is_table(const Var& value) {
  if (!is_array(value)) return false;
  const auto array = value.extract<Array::Ptr>();
  return array->size() != 0 && std::all_of(array->begin(), array->end(), is_object);
}

std::string render_object(const Object& object) {
  const Var text = object.get("text");
  if (text.isString()) return printable(text.extract<std::string>()) + '\n';
  std::size_t width = 0;
  for (const auto& key : object.getNames()) width = std::max(width, width_of(title_of(key)));
  std::string out;
  std::string tables;
  for (const auto& key : object.getNames()) {
    if (is_table(object.get(key))) {  // below the rest
      tables += '\n' + title_of(key) + '\n' + render_table(*object.getArray(key));
      continue;
    }
    std::string title = title_of(key);
    std::transform(title.begin(), title.end(), title.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    out += title + std::string(width - width_of(title) + 2, ' ');
    out += cell_of(key, object.get(key)) + '\n';
  }
  return out + tables;
}

}  // namespace

std::string render(const Var& result) {
  if (result.isEmpty()) return {};
  if (is_array(result)) return render_array(*result.extract<Array::Ptr>());
  if (is_object(result)) return render_object(*result.extract<Object::Ptr>());
  return cell_of({}, result) + '\n';
}

std::string to_json(const Var& result) {
  std::ostringstream out;
  Poco::JSON::Stringifier::stringify(result, out);
  return escape_controls(out.str());
}

std::string error_json(std::string_view code, std::string_view text) {
  Object::Ptr error = new Object(Poco::JSON_PRESERVE_KEY_ORDER);
  error->set("code", std::string(code));
  // An argument that is no UTF-8 may stand in it.
  error->set("text", xmpp::utf8::is_valid(text) ? std::string(text) : printable(text));
  Object answer;
  answer.set("error", error);
  std::ostringstream out;
  answer.stringify(out);
  return escape_controls(out.str());
}

std::string printable(std::string_view text) {
  std::string out;
  if (!xmpp::utf8::is_valid(text)) {
    for (const char c : text) out += c >= 0x20 && c < 0x7F ? c : '?';
    return out;
  }
  for (std::size_t position = 0; position < text.size();) {
    const std::size_t begin = position;
    const char32_t c = xmpp::utf8::decode(text, position);
    if (is_control(c)) {
      out += '?';
    } else {
      out += text.substr(begin, position - begin);
    }
  }
  return out;
}

std::string format_seconds(long long seconds) {
  const auto pair = [](long long a, const char* unit_a, long long b, const char* unit_b) {
    return std::to_string(a) + unit_a + ' ' + std::to_string(b) + unit_b;
  };
  if (seconds < 60) return std::to_string(seconds) + 's';
  if (seconds < 3600) return pair(seconds / 60, "m", seconds % 60, "s");
  if (seconds < 86400) return pair(seconds / 3600, "h", seconds % 3600 / 60, "m");
  return pair(seconds / 86400, "d", seconds % 86400 / 3600, "h");
}

}  // namespace xmppctl
