// sim_test: one seeded run of the simulation.
//
//   sim_test --seed N [--steps M] [--workers W] [--clients C] [--parts on|off]
//            [--faults on|off] [--reloads on|off] [--trace FILE]
//
// --parts off: only the crowd (sim_workload.h, sim_social.h).
// --faults: the disk fails, the server is killed and its machine loses its power now and then; by
// default with even seeds.
// --reloads off: modules are not replaced under way (with faults they never are, nor does an
// operator change anything else).
// Exit status: 0 all checks held, 1 one did not (the command that repeats the run is printed), 2
// usage. The last line is the digest of what every client saw: equal for equal arguments, byte for
// byte.
#include <charconv>
#include <cstdio>
#include <cstring>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "sim/sim_limits.h"
#include "sim/sim_workload.h"
#include "xmpp/base/log.h"

namespace {

struct Arguments {
  std::uint64_t seed = 1;
  std::uint64_t steps = 50'000;
  std::uint64_t workers = 2;
  std::uint64_t clients = 3;
  std::string trace;
  std::string faults;
  bool has_parts = true;
  bool has_reloads = true;
  bool is_verbose = false;
  [[nodiscard]] bool has_faults() const { return faults.empty() ? seed % 2 == 0 : faults == "on"; }
};

bool parse_number(std::string_view text, std::uint64_t& into) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), into);
  return error == std::errc() && end == text.data() + text.size();
}

bool parse(int count, char** texts, Arguments& arguments) {
  for (int i = 1; i < count; ++i) {
    const std::string_view name = texts[i];
    if (name == "--verbose") {
      arguments.is_verbose = true;
      continue;
    }
    if (++i >= count) return false;
    const std::string_view value = texts[i];
    bool is_ok = true;
    if (name == "--seed") {
      is_ok = parse_number(value, arguments.seed);
    } else if (name == "--steps") {
      is_ok = parse_number(value, arguments.steps);
    } else if (name == "--workers") {
      is_ok = parse_number(value, arguments.workers) && arguments.workers > 0;
    } else if (name == "--clients") {
      is_ok = parse_number(value, arguments.clients) && arguments.clients > 0;
    } else if (name == "--trace") {
      arguments.trace = value;
    } else if (name == "--parts") {
      arguments.has_parts = value == "on";
      is_ok = value == "on" || value == "off";
    } else if (name == "--reloads") {
      arguments.has_reloads = value == "on";
      is_ok = value == "on" || value == "off";
    } else if (name == "--faults") {
      arguments.faults = value;
      is_ok = value == "on" || value == "off";
    } else {
      is_ok = false;
    }
    if (!is_ok) return false;
  }
  return true;
}

std::string describe(const Arguments& arguments) {
  return "--seed " + std::to_string(arguments.seed) + " --steps " +
         std::to_string(arguments.steps) + " --workers " + std::to_string(arguments.workers) +
         " --clients " + std::to_string(arguments.clients) + " --parts " +
         (arguments.has_parts ? "on" : "off") + " --faults " +
         (arguments.has_faults() ? "on" : "off") + (arguments.has_reloads ? "" : " --reloads off");
}

int run(const Arguments& arguments, std::FILE* trace) {
  std::printf("%s\n", describe(arguments).c_str());
  std::fflush(stdout);  // a crash must not hide the seed
  sim::Transcript transcript(trace);
  std::optional<sim::SimDisk> disk;
  if (arguments.has_faults()) disk.emplace("sim", arguments.seed);
  sim::SimDisk* const failing = disk ? &*disk : nullptr;
  std::optional<sim::TightLimits> limits;
  if (arguments.has_parts) {
    limits = sim::TightLimits::draw(arguments.seed, failing != nullptr, arguments.clients);
  }
  sim::SimWorld world({.seed = arguments.seed,
                       .workers = static_cast<unsigned>(arguments.workers),
                       .config = limits ? sim::config_of(*limits) : std::string(sim::kHosts),
                       .disk = failing,
                       .is_administered = limits && failing == nullptr});
  world.may_reload = arguments.has_reloads;
  sim::Workload workload(world, transcript, arguments.clients, arguments.seed,
                         limits ? &*limits : nullptr, failing);
  const auto started = world.now();
  workload.run(arguments.steps);
  workload.finish();
  const auto passed = std::chrono::duration_cast<std::chrono::milliseconds>(world.now() - started);
  std::printf("%s; %lld ms of virtual time\n", workload.summary().c_str(),
              static_cast<long long>(passed.count()));
  for (const std::string& failure : workload.failures()) {
    std::printf("FAILED %s\n", failure.c_str());
  }
  if (!workload.failures().empty()) {
    std::printf("repeat with: sim_test %s\n", describe(arguments).c_str());
  }
  std::printf("digest %s of %llu lines\n", transcript.digest().c_str(),
              static_cast<unsigned long long>(transcript.lines()));
  return workload.failures().empty() ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  Arguments arguments;
  if (!parse(argc, argv, arguments)) {
    std::fprintf(
        stderr,
        "usage: sim_test --seed N [--steps M] [--workers W] [--clients C]"
        " [--parts on|off] [--faults on|off] [--reloads on|off] [--trace FILE] [--verbose]\n");
    return 2;
  }
  xmpp::log::set_level(arguments.is_verbose ? xmpp::log::Level::debug : xmpp::log::Level::error);
  if (arguments.has_faults() && !arguments.is_verbose) {
    xmpp::log::set_sink([](const xmpp::log::Record&, void*) {}, nullptr);  // errors are expected
  }
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> trace(nullptr, &std::fclose);
  if (!arguments.trace.empty()) {
    trace.reset(std::fopen(arguments.trace.c_str(), "w"));
    if (!trace) {
      std::fprintf(stderr, "cannot write %s: %s\n", arguments.trace.c_str(), std::strerror(errno));
      return 2;
    }
  }
  try {
    return run(arguments, trace.get());
  } catch (const std::exception& error) {
    std::fprintf(stderr, "FAILED %s\n", error.what());
    std::fprintf(stderr, "repeat with: sim_test %s\n", describe(arguments).c_str());
    return 1;
  }
}
