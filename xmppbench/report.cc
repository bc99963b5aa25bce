// Table, JSON, comparison and thresholds.
#include "report.h"

#include <Poco/JSON/Object.h>
#include <Poco/JSON/Parser.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <cmath>
#include <cstdio>
#include <ostream>
#include <sstream>

#include "xmpp/base/time.h"

#ifndef XMPPBENCH_VERSION
#define XMPPBENCH_VERSION "unknown"
#endif

namespace xmppbench {
namespace {

using Poco::JSON::Object;

std::string format(const char* pattern, double value) {
  char text[64];
  std::snprintf(text, sizeof text, pattern, value);
  return text;
}

std::string format_us(double us) {
  if (us >= 1e6) return format("%.2f s", us / 1e6);
  if (us >= 1e3) return format("%.2f ms", us / 1e3);
  return format("%.0f us", us);
}

Object latency_to_json(const Histogram& histogram) {
  Object object(Poco::JSON_PRESERVE_KEY_ORDER);
  object.set("p50", histogram.value_at(50));
  object.set("p90", histogram.value_at(90));
  object.set("p99", histogram.value_at(99));
  object.set("p999", histogram.value_at(99.9));
  object.set("p9999", histogram.value_at(99.99));
  object.set("max", histogram.max());
  object.set("min", histogram.min());
  object.set("mean", std::round(histogram.mean() * 10) / 10);
  object.set("count", histogram.count());
  return object;
}

double rounded(double value) {
  return std::round(value * 1000) / 1000;
}

void set_if(Object& object, const char* name, const std::optional<double>& value) {
  if (value) object.set(name, rounded(*value));
}

Object environment_to_json() {
  Object object(Poco::JSON_PRESERVE_KEY_ORDER);
  object.set("cores", static_cast<int>(::sysconf(_SC_NPROCESSORS_ONLN)));
  utsname system{};
  if (::uname(&system) == 0) {
    object.set("kernel", std::string(system.release));
    object.set("machine", std::string(system.machine));
  }
  xmpp::SystemClock clock;
  object.set("date", xmpp::format_timestamp(clock.wall()));
  object.set("version", std::string(XMPPBENCH_VERSION));
  return object;
}

Object logins_to_json(const LoginStats& logins) {
  Object object(Poco::JSON_PRESERVE_KEY_ORDER);
  object.set("count", logins.count);
  object.set("failed", logins.failed);
  object.set("rate_per_s", rounded(logins.rate_per_s()));
  object.set("latency_us", latency_to_json(logins.latency_us));
  return object;
}

Object presence_to_json(const PresenceCounts& counts) {
  Object object(Poco::JSON_PRESERVE_KEY_ORDER);
  object.set("pairs", counts.pairs);
  object.set("login_missing", counts.login_missing);
  object.set("login_repeated", counts.login_repeated);
  object.set("logout_missing", counts.logout_missing);
  object.set("logout_repeated", counts.logout_repeated);
  return object;
}

Object server_to_json(const ServerCost& server) {
  Object object(Poco::JSON_PRESERVE_KEY_ORDER);
  object.set("processes", server.processes);
  set_if(object, "cpu_us_per_msg", server.cpu_us_per_msg);
  set_if(object, "cpu_us_per_login", server.cpu_us_per_login);
  set_if(object, "cpu_percent", server.cpu_percent);
  set_if(object, "pss_before_kb", server.pss_before_kb);
  set_if(object, "pss_after_kb", server.pss_after_kb);
  set_if(object, "pss_kb_per_session", server.pss_kb_per_session);
  return object;
}

const Histogram& latency_of(const RunResult& result) {
  return counts_stanzas(result.command) ? result.counts.latency_us : result.logins.latency_us;
}

void print_row(std::ostream& out, const std::string& name, const std::string& value) {
  out << "  " << name << std::string(name.size() < 22 ? 22 - name.size() : 1, ' ') << value << '\n';
}

std::string format_latency(const Histogram& histogram) {
  std::string text;
  constexpr std::pair<const char*, double> kPercentiles[] = {
      {"p50 ", 50}, {"p90 ", 90}, {"p99 ", 99}, {"p99.9 ", 99.9}};
  for (const auto& [name, percent] : kPercentiles) {
    text += name + format_us(static_cast<double>(histogram.value_at(percent))) + "   ";
  }
  return text + "max " + format_us(static_cast<double>(histogram.max()));
}

void print_server(std::ostream& out, const ServerCost& server) {
  if (server.cpu_us_per_msg) {
    print_row(out, "server CPU", format("%.1f us per message", *server.cpu_us_per_msg));
  }
  if (server.cpu_us_per_login) {
    print_row(out, "server CPU", format("%.3f ms per login", *server.cpu_us_per_login / 1e3));
  }
  if (server.cpu_percent) {
    print_row(out, "server load", format("%.1f %% of one core", *server.cpu_percent));
  }
  if (server.pss_after_kb && server.pss_kb_per_session) {
    print_row(out, "server memory",
              format("%.1f MB before, ", *server.pss_before_kb / 1024) +
                  format("%.1f MB now, ", *server.pss_after_kb / 1024) +
                  format("%.1f kB per session", *server.pss_kb_per_session));
  }
}

void print_presence(std::ostream& out, const PresenceCounts& counts) {
  print_row(out, "contacts", std::to_string(counts.pairs) + " views (who sees whom)");
  print_row(out, "logins seen",
            std::to_string(counts.login_missing) + " missing, " +
                std::to_string(counts.login_repeated) + " repeated (broadcast and probe crossed)");
  print_row(out, "logouts seen",
            std::to_string(counts.logout_missing) + " missing, " +
                std::to_string(counts.logout_repeated) + " repeated");
}

void print_stanzas(std::ostream& out, const RunResult& result) {
  const ScenarioResult& counts = result.counts;
  if (result.command == Command::presence) print_presence(out, counts.presence);
  print_row(out, result.command == Command::presence ? "updates" : "messages",
            std::to_string(counts.sent) + " sent, " + std::to_string(counts.received) +
                " received, " + format("%.0f/s", result.rate_per_s));
  print_row(out, "audit",
            std::to_string(counts.lost) + " lost, " + std::to_string(counts.duplicated) +
                " duplicated, " + std::to_string(counts.reordered) + " reordered");
  if (counts.warmup_lost != 0) {
    print_row(out, "lost in the warm-up", std::to_string(counts.warmup_lost));
  }
  print_row(out, "latency", format_latency(counts.latency_us));
  if (result.rate > 0) {
    print_row(out, "schedule slip",
              "p99 " + format_us(static_cast<double>(counts.slip_us.value_at(99))) + "   max " +
                  format_us(static_cast<double>(counts.slip_us.max())) + " (our own delay)");
    if (counts.slip_us.value_at(99) * 2 > counts.latency_us.value_at(99)) {
      out << "    note: much of the p99 is the generator's own delay: a busy machine, or more "
             "--reactors\n";
    }
  }
}

// Walks "latency_us.p50"; nullopt if it is not there.
std::optional<double> find_number(const Object::Ptr& root, const std::string& path) {
  Object::Ptr at = root;
  std::size_t begin = 0;
  while (at) {
    const std::size_t dot = path.find('.', begin);
    const std::string name = path.substr(begin, dot == std::string::npos ? dot : dot - begin);
    if (!at->has(name)) return std::nullopt;
    if (dot == std::string::npos) {
      const auto value = at->get(name);
      return value.isNumeric() ? std::optional<double>(value.convert<double>()) : std::nullopt;
    }
    at = at->getObject(name);
    begin = dot + 1;
  }
  return std::nullopt;
}

Object::Ptr parse_object(const std::string& text) {
  try {
    Poco::JSON::Parser parser;
    return parser.parse(text).extract<Object::Ptr>();
  } catch (const Poco::Exception&) {
    return nullptr;
  }
}

}  // namespace

std::optional<double> find_metric(const RunResult& result, std::string_view name) {
  const auto number = [](std::uint64_t value) { return static_cast<double>(value); };
  const Histogram& latency = latency_of(result);
  const Histogram& login = result.logins.latency_us;
  if (name == "p50") return number(latency.value_at(50));
  if (name == "p90") return number(latency.value_at(90));
  if (name == "p99") return number(latency.value_at(99));
  if (name == "p999") return number(latency.value_at(99.9));
  if (name == "max") return number(latency.max());
  if (name == "mean") return latency.mean();
  if (name == "lost") return number(result.counts.lost);
  if (name == "duplicated") return number(result.counts.duplicated);
  if (name == "reordered") return number(result.counts.reordered);
  if (name == "errors") return number(result.errors);
  if (name == "sent") return number(result.counts.sent);
  if (name == "received") return number(result.counts.received);
  if (name == "rate") return result.rate_per_s;
  if (name == "slip") return number(result.counts.slip_us.max());
  if (name == "logins") return number(result.logins.count);
  if (name == "login_failed") return number(result.logins.failed);
  if (name == "login_rate") return result.logins.rate_per_s();
  if (name == "login_missing") return number(result.counts.presence.login_missing);
  if (name == "logout_missing") return number(result.counts.presence.logout_missing);
  if (name == "logout_repeated") return number(result.counts.presence.logout_repeated);
  if (name == "login_p50") return number(login.value_at(50));
  if (name == "login_p99") return number(login.value_at(99));
  if (name == "login_max") return number(login.max());
  if (name == "generator_cpu_us_per_msg") return result.generator_cpu_us_per_msg;
  if (!result.server) return std::nullopt;
  if (name == "server_cpu_us_per_msg") return result.server->cpu_us_per_msg;
  if (name == "server_cpu_us_per_login") return result.server->cpu_us_per_login;
  if (name == "server_kb_per_session") return result.server->pss_kb_per_session;
  return std::nullopt;
}

void print_table(std::ostream& out, const RunResult& result) {
  out << "xmppbench " << to_string(result.command) << "  "
      << (result.target.empty() ? result.domain : result.target) << " (" << result.domain
      << ", TLS " << result.tls << (result.mechanism.empty() ? "" : ", ") << result.mechanism
      << ")\n";
  std::string what = std::to_string(result.users) + " users";
  if (result.measured_s > 0) what += format(", %.1f s", result.measured_s);
  if (result.command == Command::presence) {
    what += format(", open loop, %.10g updates/s asked for", result.rate);
  } else if (result.command == Command::chat) {
    what += result.rate > 0 ? format(", open loop, %.10g messages/s asked for", result.rate)
                            : ", closed loop, window " + std::to_string(result.window);
  }
  print_row(out, "run", what + (result.was_interrupted ? " (ended early)" : ""));
  print_row(out, "logins",
            std::to_string(result.logins.count) + " done, " + std::to_string(result.logins.failed) +
                " failed, " + format("%.0f/s", result.logins.rate_per_s()));
  print_row(out, "login latency", format_latency(result.logins.latency_us));
  if (counts_stanzas(result.command)) print_stanzas(out, result);
  if (result.generator_cpu_us_per_msg) {
    print_row(out, "generator CPU",
              format("%.1f us per message", *result.generator_cpu_us_per_msg));
  }
  if (result.generator_cpu_us_per_login) {
    print_row(out, "generator CPU",
              format("%.3f ms per login", *result.generator_cpu_us_per_login / 1e3));
  }
  if (result.server) print_server(out, *result.server);
  if (result.errors == 0) return;
  print_row(out, "errors", std::to_string(result.errors));
  for (const auto& [text, count] : result.error_texts) {
    out << "    " << count << " x " << text << '\n';
  }
}

std::string to_json(const RunResult& result) {
  Object root(Poco::JSON_PRESERVE_KEY_ORDER);
  root.set("command", std::string(to_string(result.command)));
  root.set("target", result.target);
  root.set("domain", result.domain);
  root.set("tls", result.tls);
  root.set("mechanism", result.mechanism);
  root.set("users", result.users);
  root.set("reactors", result.reactors);
  root.set("loop", std::string(!counts_stanzas(result.command) ? "none"
                               : result.rate > 0               ? "open"
                                                               : "closed"));
  if (result.rate > 0) root.set("rate_asked_per_s", result.rate);
  if (result.window > 0) root.set("window", result.window);
  root.set("body_bytes", result.body_bytes);
  root.set("measured_s", rounded(result.measured_s));
  root.set("interrupted", result.was_interrupted);
  root.set("sent", result.counts.sent);
  root.set("received", result.counts.received);
  root.set("lost", result.counts.lost);
  root.set("duplicated", result.counts.duplicated);
  root.set("reordered", result.counts.reordered);
  root.set("errors", result.errors);
  root.set("warmup_lost", result.counts.warmup_lost);
  root.set("foreign", result.counts.foreign);
  if (result.command == Command::presence) {
    root.set("presence", presence_to_json(result.counts.presence));
  }
  root.set("rate_per_s", rounded(result.rate_per_s));
  root.set("latency_us", latency_to_json(latency_of(result)));
  Object slip(Poco::JSON_PRESERVE_KEY_ORDER);
  slip.set("p50", result.counts.slip_us.value_at(50));
  slip.set("p99", result.counts.slip_us.value_at(99));
  slip.set("max", result.counts.slip_us.max());
  root.set("schedule_slip_us", slip);
  root.set("generator_cpu_us_per_msg", rounded(result.generator_cpu_us_per_msg.value_or(0)));
  set_if(root, "generator_cpu_us_per_login", result.generator_cpu_us_per_login);
  root.set("logins", logins_to_json(result.logins));
  if (result.server) root.set("server", server_to_json(*result.server));
  Object errors(Poco::JSON_PRESERVE_KEY_ORDER);
  for (const auto& [text, count] : result.error_texts) errors.set(text, count);
  root.set("error_texts", errors);
  root.set("environment", environment_to_json());
  std::ostringstream out;
  root.stringify(out, 2);
  out << '\n';
  return out.str();
}

xmpp::Result<void, std::string> print_comparison(std::ostream& out, const RunResult& result,
                                                 const std::string& old_json) {
  const Object::Ptr before = parse_object(old_json);
  const Object::Ptr now = parse_object(to_json(result));
  if (!before || !before->has("latency_us")) {
    return xmpp::Err(std::string("not a report of xmppbench"));
  }
  static constexpr const char* kCompared[] = {"rate_per_s",
                                              "latency_us.p50",
                                              "latency_us.p90",
                                              "latency_us.p99",
                                              "latency_us.p999",
                                              "latency_us.max",
                                              "lost",
                                              "duplicated",
                                              "reordered",
                                              "errors",
                                              "logins.rate_per_s",
                                              "logins.latency_us.p50",
                                              "logins.latency_us.p99",
                                              "generator_cpu_us_per_msg",
                                              "server.cpu_us_per_msg",
                                              "server.cpu_us_per_login",
                                              "server.pss_kb_per_session"};
  char line[512];  // a number of the file may have three hundred digits
  std::snprintf(line, sizeof line, "  %-26s %14s %14s %9s\n", "compared", "before", "now", "ratio");
  out << line;
  for (const char* path : kCompared) {
    const auto old_value = find_number(before, path);
    const auto new_value = find_number(now, path);
    if (!old_value || !new_value) continue;
    const std::string ratio =
        *old_value == 0 ? std::string("-") : format("%.3f", *new_value / *old_value);
    std::snprintf(line, sizeof line, "  %-26s %14.1f %14.1f %9s\n", path, *old_value, *new_value,
                  ratio.c_str());
    out << line;
  }
  return {};
}

bool check_thresholds(std::ostream& out, const RunResult& result,
                      const std::vector<Threshold>& thresholds) {
  bool all_hold = true;
  for (const Threshold& threshold : thresholds) {
    const auto measured = find_metric(result, threshold.metric);
    const bool holds = measured && threshold.holds(*measured);
    all_hold = all_hold && holds;
    out << "threshold " << threshold.text << ": " << (holds ? "kept" : "MISSED") << " ("
        << (measured ? format("%.10g", *measured) : std::string("not measured")) << ")\n";
  }
  return all_hold;
}

}  // namespace xmppbench
