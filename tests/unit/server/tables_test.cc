// The small tables of the core: hooks, iq handlers, addresses.
#include <gtest/gtest.h>

#include <cstddef>
#include <stdexcept>
#include <string>
#include <utility>

#include "core/address_table.h"
#include "core/hook_table.h"
#include "core/iq_table.h"
#include "xmpp/xep/ping.h"
#include "xmppd/module.h"

namespace xmppd {
namespace {

// Hooks refer to hosts and sessions, which these chains never look at.
template <typename T>
T& nobody() {
  alignas(std::max_align_t) static std::byte memory[1024];
  return *reinterpret_cast<T*>(memory);
}

// What a chain did, one letter per hook.
struct Step {
  std::string* log;
  char name;
  Verdict verdict = Verdict::pass;
  bool throws = false;
  static Verdict run(void* context, void*) {
    auto& step = *static_cast<Step*>(context);
    *step.log += step.name;
    if (step.throws) throw std::runtime_error("step");
    return step.verdict;
  }
};

TEST(HookTable, RunsByStageThenModuleThenOrder) {
  std::string log;
  Step a{&log, 'a'}, b{&log, 'b'}, c{&log, 'c'}, d{&log, 'd'};
  HookTable table;
  table.add(HookId::ToHost, Stage::deliver, "alpha", &Step::run, &a);
  table.add(HookId::ToHost, Stage::filter, "zeta", &Step::run, &b);
  table.add(HookId::ToHost, Stage::filter, "beta", &Step::run, &c);
  const auto last = table.add(HookId::ToHost, Stage::filter, "beta", &Step::run, &d);
  auto stanza = xmpp::Stanza::presence(xmpp::StanzaType::available);
  ToHost hook(stanza, nobody<Host>());
  EXPECT_EQ(table.fire(hook), Verdict::pass);
  EXPECT_EQ(log, "cdba");
  table.remove(HookId::ToHost, last);
  log.clear();
  (void)table.fire(hook);
  EXPECT_EQ(log, "cba");
}

// Takes another hook out, and puts a third in, while the chain runs.
struct Changes {
  HookTable* table;
  std::string* log;
  std::uint64_t other = 0;
  Step* third = nullptr;
  bool is_released = false;
  static Verdict run(void* context, void*) {
    auto& self = *static_cast<Changes*>(context);
    *self.log += 'c';
    if (self.other == 0) return Verdict::pass;
    self.table->remove(HookId::Bound, std::exchange(self.other, 0));
    self.table->add(HookId::Bound, Stage::deliver, "c", &Step::run, self.third);
    self.table->release(&self, [](void* what) { static_cast<Changes*>(what)->is_released = true; });
    EXPECT_FALSE(self.is_released) << "the dispatch may still use it";
    return Verdict::pass;
  }
};

TEST(HookTable, ARunningDispatchKeepsItsChain) {
  std::string log;
  HookTable table;
  Step second{&log, 's'}, third{&log, 't'};
  Changes changes{&table, &log, 0, &third};
  table.add(HookId::Bound, Stage::validate, "a", &Changes::run, &changes);
  changes.other = table.add(HookId::Bound, Stage::filter, "b", &Step::run, &second);
  Bound hook{nobody<Session>()};
  EXPECT_EQ(table.fire(hook), Verdict::pass);
  EXPECT_EQ(log, "cs");
  EXPECT_TRUE(changes.is_released);
  log.clear();
  EXPECT_EQ(table.fire(hook), Verdict::pass);
  EXPECT_EQ(log, "ct");
}

TEST(HookTable, StopsAtAVerdictAndPassesExceptionsOver) {
  std::string log;
  Step throws{&log, 't', Verdict::drop, true}, stops{&log, 's', Verdict::handled}, never{&log, 'n'};
  HookTable table;
  table.add(HookId::Bound, Stage::validate, "a", &Step::run, &throws);
  table.add(HookId::Bound, Stage::filter, "a", &Step::run, &stops);
  table.add(HookId::Bound, Stage::copy, "a", &Step::run, &never);
  Bound hook{nobody<Session>()};
  EXPECT_EQ(table.fire(hook), Verdict::handled);
  EXPECT_EQ(log, "ts");
  EXPECT_EQ(table.exceptions(), 1U);
}

TEST(HookTable, AnExceptionOfAStanzaHookBounces) {
  std::string log;
  Step throws{&log, 't', Verdict::drop, true}, never{&log, 'n'};
  HookTable table;
  table.add(HookId::ToHost, Stage::validate, "a", &Step::run, &throws);
  table.add(HookId::ToHost, Stage::filter, "a", &Step::run, &never);
  auto stanza = xmpp::Stanza::presence(xmpp::StanzaType::available);
  ToHost hook(stanza, nobody<Host>());
  EXPECT_EQ(table.fire(hook), Verdict::bounce);
  EXPECT_EQ(hook.error.condition, xmpp::StanzaCondition::internal_server_error);
  EXPECT_EQ(log, "t");
  EXPECT_EQ(table.exceptions(), 1U);
}

TEST(IqTable, FindsByPayloadKindAndTarget) {
  IqTable table;
  const auto id =
      table.add({xmpp::xep::Ping::codec.name, Target::host, IqKind::get, {}, {}}, nullptr);
  auto get = xmpp::Stanza::iq(xmpp::StanzaType::get, {}, "1");
  get.add(xmpp::xep::Ping{});
  auto set = xmpp::Stanza::iq(xmpp::StanzaType::set, {}, "2");
  set.add(xmpp::xep::Ping{});
  EXPECT_NE(table.find(get, Target::host), nullptr);
  EXPECT_EQ(table.find(get, Target::own_account), nullptr);
  EXPECT_EQ(table.find(set, Target::host), nullptr);
  EXPECT_EQ(table.find(xmpp::Stanza::iq(xmpp::StanzaType::get, {}, "3"), Target::host), nullptr);
  table.remove(id);
  EXPECT_EQ(table.find(get, Target::host), nullptr);
}

TEST(AddressTable, CountsAnIpv4AddressAndAnIpv6Net) {
  const auto one = AddressTable::key_of("192.0.2.1:1000");
  EXPECT_EQ(one, AddressTable::key_of("192.0.2.1:2000"));
  EXPECT_EQ(AddressTable::key_of("[2001:db8::1]:1"), AddressTable::key_of("[2001:db8:0:0:f::9]:2"));
  EXPECT_EQ(AddressTable::key_of("[fe80::1%eth0]:1"), AddressTable::key_of("[fe80::2]:2"));
  for (const char* odd : {"", "[", "[]", "x", ":", "[nonsense]:1"}) (void)AddressTable::key_of(odd);

  AddressTable table;
  EXPECT_TRUE(table.try_add(one, 2));
  EXPECT_TRUE(table.try_add(one, 2));
  EXPECT_FALSE(table.try_add(one, 2));
  table.remove(one);
  EXPECT_TRUE(table.try_add(one, 2));
  EXPECT_FALSE(table.try_add(one, 2));
  EXPECT_TRUE(table.try_add(one, 0));
}

class Required final : public ModuleFactory {
 public:
  ModuleInfo info() const override {
    return {.name = "required", .requires_modules = {"first", "second"}};
  }
  std::unique_ptr<Module> make() const override { return nullptr; }
};

TEST(ModuleInfo, OwnsItsRequirements) {
  const Required factory;
  const auto info = factory.info();
  const auto other = factory.info();
  ASSERT_EQ(info.requires_modules.size(), 2U);
  EXPECT_EQ(info.requires_modules.front(), "first");
  EXPECT_EQ(other.requires_modules.back(), "second");
}

class Options final : public Module {
 public:
  void attach(Scope&) override {}
  Option<std::int64_t> count{*this, "count", 10, 1, 100, "How many things there may be."};
  Option<xmpp::Duration> time{*this,
                              "time",
                              std::chrono::seconds(60),
                              std::chrono::seconds(5),
                              std::chrono::hours(1),
                              "How long a thing may take."};
  Option<bool> flag{*this, "flag", false, "Whether things are strict."};
  Option<std::string> choice{*this, "choice", "none", {"none", "all"}, "Which things are allowed."};
};

TEST(Option, TakesWhatIsInBoundsOnly) {
  Options options;
  EXPECT_EQ(options.options().size(), 4U);
  EXPECT_EQ(options.count.assign(std::int64_t{100}), "");
  EXPECT_EQ(*options.count, 100);
  EXPECT_EQ(options.count.assign(std::int64_t{101}),
            "expected a whole number from 1 to 100, found 101");
  EXPECT_EQ(options.count.assign(std::int64_t{0}),
            "expected a whole number from 1 to 100, found 0");
  EXPECT_EQ(options.count.assign(true), "expected a whole number from 1 to 100, found true");
  EXPECT_EQ(*options.count, 100);
  EXPECT_EQ(options.time.assign(std::string("5m")), "");
  EXPECT_EQ(*options.time, std::chrono::minutes(5));
  for (const char* wrong : {"", "4s", "2h", "abc"}) {
    EXPECT_NE(options.time.assign(std::string(wrong)), "") << wrong;
  }
  EXPECT_NE(options.time.assign(std::int64_t{60}), "");
  EXPECT_EQ(options.flag.assign(true), "");
  EXPECT_EQ(options.flag.assign(std::string("true")), "expected true or false, found \"true\"");
  EXPECT_EQ(options.choice.assign(std::string("all")), "");
  EXPECT_EQ(options.choice.assign(std::string("some")),
            R"(expected "none" or "all", found "some")");
}

}  // namespace
}  // namespace xmppd
