// Modules that come and go while clients talk, on one worker and through the module manager: what
// becomes of their registrations, their state, their tasks and the requests that they have not
// answered.
#include "core/module_change.h"

#include <gtest/gtest.h>

#include <functional>
#include <stdexcept>
#include <string>

#include "core/backstop.h"
#include "core/commands.h"
#include "core/profile_runtime.h"
#include "core/worker.h"
#include "unit/server/raw_client.h"
#include "xmpp/xep/ping.h"

namespace xmppd {
namespace {

using namespace std::chrono_literals;
using Outcome = ModuleManager::Outcome;

constexpr std::string_view kFeature = "urn:example:probe";

// What the instances of a test's module do, and what became of them.
struct Probe {
  int instances = 0;
  int tasks = 0;     // that run
  int finished = 0;  // that came to their end
  std::string restored;
  std::string retired;  // versions, with a + if they had a successor
  bool throws_made = false;
  bool throws_attached = false;
  int throws_at_attach = 0;  // of the how many-th instance, from now
  bool throws_restored = false;
  bool throws_retired = false;
  bool answers_later = false;
  std::vector<xmpp::Completion<void>::Ticket> tickets;
  void finish() {
    for (auto& ticket : std::exchange(tickets, {})) ticket.complete();
  }
};

struct Seen {
  static constexpr std::string_view kSlotName = "seen";
  [[nodiscard]] std::string save() const { return std::to_string(messages); }
  static std::optional<Seen> restore(std::string_view saved) {
    return Seen{std::stoi(std::string(saved))};
  }
  int messages = 0;
};

struct Counted {
  explicit Counted(int& of) : count(of) { ++count; }
  ~Counted() { --count; }
  Counted(const Counted&) = delete;
  Counted& operator=(const Counted&) = delete;
  int& count;
};

class ProbeModule final : public Module {
 public:
  ProbeModule(Probe& probe, std::string version)
      : probe_(probe), counted_(probe.instances), version_(std::move(version)) {
    if (probe.throws_made) throw std::runtime_error("not made");
  }

  void attach(Scope& scope) override {
    scope_ = &scope;
    seen_ = scope.account_slot<Seen>();
    scope.feature(kFeature);
    scope.on<ToAccount>(Stage::filter, [this](ToAccount& hook) { return on_stanza(hook); });
    if (probe_.answers_later) {
      scope.on_iq<xmpp::xep::Ping>(Target::host,
                                   [this](IqCall& call, xmpp::xep::Ping) { return later(call); });
    } else {
      scope.on_iq<xmpp::xep::Ping>(Target::host,
                                   [](IqCall&, const xmpp::xep::Ping&) { return IqReply::ok(); });
    }
    if (probe_.throws_attached || (probe_.throws_at_attach != 0 && --probe_.throws_at_attach == 0))
      throw std::runtime_error("not attached");
  }
  [[nodiscard]] std::string save() const override { return version_; }
  void restore(std::string_view saved) override {
    if (probe_.throws_restored) throw std::runtime_error("not restored");
    probe_.restored = saved;
  }
  void retire(bool has_successor) override {
    probe_.retired += version_ + (has_successor ? "+ " : " ");
    scope_->for_each(seen_, [this](Account&, Seen& seen) {
      probe_.retired += std::to_string(seen.messages) + ' ';
    });
    if (probe_.throws_retired) throw std::runtime_error("not retired");
  }

 private:
  // "count" is answered with the number of messages so far; "task" spawns into the account.
  Verdict on_stanza(ToAccount& hook) {
    if (!hook.stanza.is_message() || hook.stanza.to().is_full()) return Verdict::pass;
    const auto body = hook.stanza.child_text("body").value_or("");
    const int count = ++hook.to[seen_].messages;
    if (body == "count")
      return hook.bounce({xmpp::StanzaCondition::conflict, version_ + '#' + std::to_string(count)});
    if (body == "task") hook.to.spawn(*scope_, wait());
    if (body == "late look") hook.to.spawn(*scope_, look_late(hook.to));
    if (body == "task of session") hook.to.sessions().front()->spawn(*scope_, wait());
    if (body == "guard") guarded_ = scope_->guard([this] { ++probe_.finished; });
    return Verdict::handled;
  }
  xmpp::Task<void> wait() {
    Counted running(probe_.tasks);
    xmpp::Completion<void> done;
    probe_.tickets.push_back(done.ticket());
    co_await done;
    ++probe_.finished;
  }
  xmpp::Task<void> look_late(Account& account) {
    xmpp::Completion<void> done;
    probe_.tickets.push_back(done.ticket());
    co_await done;
    ++account[seen_].messages;
  }
  xmpp::Task<IqReply> later(IqCall& call) {
    Counted running(probe_.tasks);
    xmpp::Completion<void> done;
    probe_.tickets.push_back(done.ticket());
    co_await done;
    ++probe_.finished;
    (void)call;
    co_return IqReply::ok();
  }

  Probe& probe_;
  Counted counted_;
  std::string version_;
  Scope* scope_ = nullptr;
  AccountSlot<Seen> seen_;
  std::function<void()> guarded_;
};

class ProbeFactory final : public ModuleFactory {
 public:
  ProbeFactory(Probe& probe, std::string version) : probe_(probe), version_(std::move(version)) {}
  [[nodiscard]] ModuleInfo info() const override { return {.name = "probe"}; }
  [[nodiscard]] std::unique_ptr<Module> make() const override {
    return std::make_unique<ProbeModule>(probe_, version_);
  }

 private:
  Probe& probe_;
  std::string version_;
};

// A server with one worker and a client, romeo, on it.
class ModuleChangeTest : public testing::Test {
 protected:
  static constexpr const char* kConfig =
      "[host.\"localhost\"]\n[profile.default]\nmodules = [\"message\", \"iq_forward\"]\n";

  ModuleChangeTest() {
    world.add_account("romeo@localhost");
    romeo.write(login("romeo"));
    world.run_for(1s);
    EXPECT_TRUE(romeo.saw("<bind"));
  }
  ProfileRuntime& runtime() { return *world.server().worker(0).find_profile("default"); }

  // Gives what the change said, or "still under way".
  std::string change(std::vector<std::string> stop, std::vector<const ModuleFactory*> start,
                     xmpp::Duration wait = 100ms) {
    auto said = std::make_shared<std::string>("still under way");
    world.server().worker(0).call([this, said, stop = std::move(stop), start = std::move(start)] {
      runtime().change({stop, start, std::make_shared<const ProfileConfig>()},
                       [said](const std::string& error) { *said = error; });
    });
    world.run_for(wait);
    last = said;
    return *said;
  }
  void say(const std::string& body) {
    romeo.write("<message to='romeo@localhost' type='chat'><body>" + body + "</body></message>");
    world.run_for(10ms);
  }
  void ping(const std::string& id) {
    romeo.write("<iq type='get' to='localhost' id='" + id + "'><ping xmlns='urn:xmpp:ping'/></iq>");
    world.run_for(10ms);
  }
  // Of the answer with that id.
  bool answered(const std::string& id, std::string_view with) {
    const auto& seen = romeo.seen();
    const auto at = seen.find("id='" + id + "'");
    if (at == std::string::npos) return false;
    const auto begin = seen.rfind('<', at);
    return seen.substr(begin, seen.find("iq>", at) - begin).find(with) != std::string::npos ||
           seen.substr(begin, seen.find('>', at) - begin).find(with) != std::string::npos;
  }
  bool has_feature() {
    const auto& features = runtime().features();
    return std::find(features.begin(), features.end(), kFeature) != features.end();
  }

  World world{sim::WorldOptions{.seed = 1, .workers = 1, .config = kConfig}};
  RawClient romeo{world};
  Probe probe;
  ProbeFactory one{probe, "one"};
  ProbeFactory two{probe, "two"};
  std::shared_ptr<std::string> last;
};

TEST_F(ModuleChangeTest, ComesAndGoes) {
  ping("p1");
  EXPECT_TRUE(answered("p1", "service-unavailable")) << romeo.seen();
  EXPECT_EQ(change({}, {&one}), "");
  EXPECT_TRUE(has_feature());
  ping("p2");
  EXPECT_TRUE(answered("p2", "type='result'")) << romeo.seen();
  say("count");
  EXPECT_TRUE(romeo.saw("one#1"));
  EXPECT_EQ(change({"probe"}, {}), "");
  EXPECT_EQ(probe.instances, 0);
  EXPECT_FALSE(has_feature());
  ping("p3");
  EXPECT_TRUE(answered("p3", "service-unavailable")) << romeo.seen();
}

TEST_F(ModuleChangeTest, StateGoesToTheNextInstance) {
  const auto exceptions = exception_count();  // other tests throw
  EXPECT_EQ(change({}, {&one}), "");
  say("x");
  EXPECT_EQ(change({"probe"}, {&two}), "");
  EXPECT_EQ(probe.instances, 1);
  EXPECT_EQ(probe.restored, "one");
  say("count");
  EXPECT_TRUE(romeo.saw("two#2")) << romeo.seen();
  // Also over a time without the module.
  EXPECT_EQ(change({"probe"}, {}), "");
  EXPECT_EQ(change({}, {&one}), "");
  say("count");
  EXPECT_TRUE(romeo.saw("one#3")) << romeo.seen();
  for (int i = 0; i < 100; ++i) EXPECT_EQ(change({"probe"}, {&two}, 5ms), "");
  say("count");
  EXPECT_TRUE(romeo.saw("two#4")) << romeo.seen();
  EXPECT_EQ(exception_count(), exceptions);
}

TEST_F(ModuleChangeTest, WhatWasSavedIsTheNextInstancesWhateverThisOneStillDoes) {
  EXPECT_EQ(change({}, {&one}), "");
  say("x");
  say("late look");
  EXPECT_EQ(change({"probe"}, {&two}, kIdleWait + 1s), "still under way");
  probe.finish();
  world.run_for(10ms);
  EXPECT_EQ(*last, "");
  say("count");
  EXPECT_TRUE(romeo.saw("two#3")) << romeo.seen();
}

TEST_F(ModuleChangeTest, WhoGoesIsTold) {
  EXPECT_EQ(change({}, {&one}), "");
  EXPECT_EQ(change({"probe"}, {&two}), "");
  EXPECT_EQ(probe.retired, "one+ ");
  say("x");
  probe.throws_restored = true;
  EXPECT_NE(change({"probe"}, {&one}), "");
  EXPECT_EQ(probe.retired, "one+ ") << "nothing has changed";
  const auto exceptions = exception_count();
  probe.throws_retired = true;
  EXPECT_EQ(change({"probe"}, {}), "");
  EXPECT_EQ(probe.retired, "one+ two 1 ");
  EXPECT_EQ(exception_count(), exceptions + 1);
  EXPECT_EQ(probe.instances, 0);
}

TEST_F(ModuleChangeTest, AFailureChangesNothing) {
  EXPECT_EQ(change({}, {&one}), "");
  for (bool Probe::*fault :
       {&Probe::throws_made, &Probe::throws_attached, &Probe::throws_restored}) {
    probe.*fault = true;
    EXPECT_NE(change({"probe"}, {&two}).find("module 'probe'"), std::string::npos) << *last;
    probe.*fault = false;
    EXPECT_EQ(probe.instances, 1);
    EXPECT_TRUE(has_feature());
  }
  say("count");
  EXPECT_TRUE(romeo.saw("one#1"));
  ping("p");
  EXPECT_TRUE(answered("p", "type='result'"));
}

TEST_F(ModuleChangeTest, AReloadWaitsForTasksAndHoldsRequests) {
  probe.answers_later = true;
  EXPECT_EQ(change({}, {&one}), "");
  ping("before");
  EXPECT_EQ(probe.tasks, 1);
  EXPECT_EQ(change({"probe"}, {&two}, 1s), "still under way");
  ping("while");
  EXPECT_EQ(probe.tasks, 1);  // held
  EXPECT_EQ(probe.instances, 1);
  probe.finish();
  world.run_for(10ms);
  EXPECT_EQ(*last, "");
  EXPECT_TRUE(answered("before", "type='result'"));
  EXPECT_EQ(probe.restored, "one");
  EXPECT_EQ(probe.tasks, 1);  // of the new instance
  probe.finish();
  world.run_for(10ms);
  EXPECT_TRUE(answered("while", "type='result'"));
}

TEST_F(ModuleChangeTest, TooManyHeldRequestsAreRefused) {
  probe.answers_later = true;
  EXPECT_EQ(change({}, {&one}), "");
  ping("before");
  EXPECT_EQ(change({"probe"}, {&two}, 0ms), "still under way");
  for (std::size_t i = 0; i < kHeldRequestsMax; ++i) {
    romeo.write("<iq type='get' to='localhost' id='h'><ping xmlns='urn:xmpp:ping'/></iq>");
  }
  world.run_for(10ms);
  ping("last");
  EXPECT_TRUE(answered("last", "resource-constraint"));
  probe.finish();
  world.run_for(10ms);
  EXPECT_EQ(probe.tasks, static_cast<int>(kHeldRequestsMax));
  probe.finish();
  world.run_for(10ms);
  EXPECT_TRUE(answered("h", "type='result'"));
}

TEST_F(ModuleChangeTest, AReloadGoesOnBesideATaskThatLasts) {
  EXPECT_EQ(change({}, {&one}), "");
  say("task");
  EXPECT_EQ(change({"probe"}, {&two}, kIdleWait + 1s), "still under way");
  EXPECT_EQ(probe.instances, 2);
  say("count");
  EXPECT_TRUE(romeo.saw("two#2")) << romeo.seen();
  probe.finish();
  world.run_for(10ms);
  EXPECT_EQ(*last, "");
  EXPECT_EQ(probe.instances, 1);
  EXPECT_EQ(probe.finished, 1);
}

TEST_F(ModuleChangeTest, AnUnloadGivesTasksTimeAndAnswersWhatTheyDoNot) {
  probe.answers_later = true;
  EXPECT_EQ(change({}, {&one}), "");
  ping("in time");
  EXPECT_EQ(change({"probe"}, {}, 1s), "still under way");
  EXPECT_FALSE(has_feature());
  ping("after");
  EXPECT_TRUE(answered("after", "service-unavailable"));
  probe.finish();
  world.run_for(10ms);
  EXPECT_TRUE(answered("in time", "type='result'"));
  EXPECT_EQ(*last, "");

  EXPECT_EQ(change({}, {&one}), "");
  ping("too late");
  say("task");
  say("task of session");
  EXPECT_EQ(probe.tasks, 3);
  EXPECT_EQ(change({"probe"}, {}, kRetireWait + 10ms), "");
  EXPECT_TRUE(answered("too late", "service-unavailable")) << romeo.seen();
  EXPECT_EQ(probe.tasks, 0);
  EXPECT_EQ(probe.instances, 0);
  probe.finish();  // to nobody
  EXPECT_EQ(probe.finished, 1);
}

TEST_F(ModuleChangeTest, TasksGoWithTheirSessionWithoutAnUnload) {
  EXPECT_EQ(change({}, {&one}), "");
  say("task of session");
  say("task");
  EXPECT_EQ(probe.tasks, 2);
  romeo.write("</stream:stream>");
  world.run_for(5s);
  EXPECT_EQ(probe.tasks, 1);
  probe.finish();
  EXPECT_EQ(probe.tasks, 0);
  EXPECT_EQ(change({"probe"}, {}), "");
}

// What roster is asked to do with an account's roster when that is loaded is inside of who asked.
class RosterReads : public testing::Test {
 protected:
  RosterReads() {
    for (const auto* name : {"romeo", "juliet"}) {
      world.add_account(name + std::string("@localhost"));
    }
    romeo.write(login("romeo"));
    juliet.write(login("juliet"));
    world.run_for(1s);
  }
  // Takes the module out while storage does not answer; what was said of it by then.
  std::string unload(const std::string& module) {
    auto said = std::make_shared<std::string>("still under way");
    world.server().worker(0).call([this, said, module] {
      world.server().worker(0).find_profile("default")->change(
          {{module}, {}, std::make_shared<const ProfileConfig>()},
          [said](const std::string& error) { *said = error; });
    });
    world.run_for(500ms);
    const std::string by_then = *said;
    world.run_for(3s);
    EXPECT_EQ(*said, "");
    return by_then;
  }
  World world{{.seed = 1, .workers = 1}};
  RawClient romeo{world};
  RawClient juliet{world};
};

TEST_F(RosterReads, OfSubscriptionAreAwaitedWhenItIsUnloaded) {
  world.stall_storage(world.now() + 2s);
  romeo.write("<presence type='probe' to='juliet@localhost'/>");
  world.run_for(100ms);
  EXPECT_EQ(unload("subscription"), "still under way");
}

TEST_F(RosterReads, OfBlockingAreAwaitedWhenItIsUnloaded) {
  const auto commits = [this] { return world.server().storage().status().commits; };
  romeo.write(
      "<iq type='set' id='b'><block xmlns='urn:xmpp:blocking'><item jid='juliet@localhost'/>"
      "</block></iq>");
  ASSERT_TRUE(
      world.run_until([&, before = commits()] { return commits() != before; }, world.now() + 1s));
  world.stall_storage(world.now() + 2s);
  world.run_for(100ms);
  EXPECT_EQ(unload("blocking"), "still under way");
}

TEST_F(ModuleChangeTest, AnUnloadAwaitsGuardedFunctions) {
  EXPECT_EQ(change({}, {&one}), "");
  say("guard");
  // The module holds its own function: nobody will call it.
  EXPECT_EQ(change({"probe"}, {}, kRetireWait - 1s), "still under way");
  EXPECT_EQ(probe.instances, 1);
  world.run_for(2s);
  EXPECT_EQ(*last, "");
  EXPECT_EQ(probe.instances, 0);
}

TEST_F(ModuleChangeTest, TheServerEndsInTheMidstOfAChange) {
  probe.answers_later = true;
  EXPECT_EQ(change({}, {&one}), "");
  ping("p");
  EXPECT_EQ(change({"probe"}, {&two}, 1s), "still under way");
}

// Through the module manager, over several workers. Linked-in modules have one version.
class ModuleManagerTest : public testing::Test {
 protected:
  ModuleManager& modules() { return world.server().modules(); }
  // Runs a change to its end and gives its error, or nothing.
  std::string run(xmpp::Task<Outcome> changing) {
    std::string text = "did not end";
    context.reactor.call([] {});  // it sees what time it is
    world.run_for(10ms);
    xmpp::TaskOwner owner;
    owner.spawn(keep(std::move(changing), text));
    world.run_for(kIdleWait + kRetireWait);
    return text;
  }
  static xmpp::Task<void> keep(xmpp::Task<Outcome> changing, std::string& text) {
    auto outcome = co_await std::move(changing);
    text = outcome ? "" : outcome.error().code + ": " + outcome.error().text;
  }
  std::string load(const char* name, const char* profile = "default") {
    return run(modules().load(context, profile, name));
  }
  std::string unload(const char* name, const char* profile = "default") {
    return run(modules().unload(context, profile, name));
  }
  std::string reload(const char* name, const char* profile = "default") {
    return run(modules().reload(context, profile, name));
  }
  std::size_t instances(std::string_view name, std::string_view profile = "default") {
    std::size_t count = 0;
    for (std::size_t i = 0; i < world.server().worker_count(); ++i) {
      for (const auto& one : world.server().worker(i).find_profile(profile)->instances()) {
        count += one.info.name == name ? 1U : 0U;
      }
    }
    return count;
  }

  World world{sim::WorldOptions{
      .seed = 2,
      .workers = 3,
      .config = "[host.\"localhost\"]\n[profile.default]\nmodules = [\"+ping\", \"-time\"]\n"
                "[profile.default.module.register]\nper_address = 7\n"
                "[profile.quiet]\nmodules = [\"message\"]\n"}};
  xmpp::SeededRng rng{1};
  CommandContext context{.server = world.server(), .reactor = world.make_reactor(), .rng = rng};
};

TEST_F(ModuleManagerTest, LoadsAndUnloadsOnEveryWorker) {
  EXPECT_EQ(load("time"), "");
  EXPECT_EQ(instances("time"), 3U);
  EXPECT_EQ(instances("time", "quiet"), 0U);
  EXPECT_FALSE(modules().is_configured("default", "time"));
  EXPECT_EQ(load("time"), "conflict: module 'time' is loaded already in profile 'default'");
  EXPECT_EQ(load("time", "quiet"), "");
  EXPECT_EQ(modules().profiles_of("time"), (std::vector<std::string>{"default", "quiet"}));
  EXPECT_EQ(unload("time"), "");
  EXPECT_EQ(instances("time"), 0U);
  EXPECT_EQ(unload("time"), "conflict: module 'time' is not loaded in profile 'default'");
  EXPECT_EQ(reload("time"), "conflict: module 'time' is not loaded in profile 'default'");
  EXPECT_EQ(reload("time", "quiet"), "");
  EXPECT_EQ(instances("time", "quiet"), 3U);
}

TEST_F(ModuleManagerTest, SaysWhatIsWrongWithAName) {
  EXPECT_NE(load("pong").find("not-found: no module 'pong' in"), std::string::npos);
  EXPECT_NE(load("pong").find("did you mean ping?"), std::string::npos);
  EXPECT_NE(unload("pong").find("did you mean ping?"), std::string::npos);
  EXPECT_EQ(load("time", "defualt"),
            "not-found: there is no profile 'defualt'; did you mean default?");
}

TEST_F(ModuleManagerTest, RequirementsAreKept) {
  EXPECT_EQ(unload("roster"),
            "refused: module 'roster' is required by 'subscription' in profile 'default': unload "
            "that first");
  EXPECT_NE(load("subscription", "quiet").find("requires 'presence', which profile 'quiet' does"),
            std::string::npos);
  // Who holds references to it is made anew with it.
  EXPECT_EQ(reload("roster"), "");
  EXPECT_EQ(instances("roster"), 3U);
  EXPECT_EQ(instances("subscription"), 3U);
  for (const auto* name : {"account_disco", "blocking", "last", "subscription", "roster"}) {
    EXPECT_EQ(unload(name), "") << name;
  }
  EXPECT_EQ(instances("roster"), 0U);
  for (const auto* name : {"roster", "subscription", "last", "blocking", "account_disco"}) {
    EXPECT_EQ(load(name), "") << name;
  }
}

// What the roster has not answered when it is replaced is asked again.
TEST_F(ModuleManagerTest, WhatWaitsForARosterIsAnsweredAfterAReload) {
  for (const auto* name : {"romeo", "juliet"}) {
    world.add_account(name + std::string("@localhost"));
  }
  RawClient romeo(world);
  RawClient juliet(world);
  romeo.write(login("romeo"));
  juliet.write(login("juliet"));
  world.run_for(1s);
  world.stall_storage(world.now() + kIdleWait + kRetireWait + 2s);
  romeo.write("<iq type='get' id='l' to='juliet@localhost/r'><query xmlns='jabber:iq:last'/></iq>");
  world.run_for(100ms);
  (void)reload("roster");
  world.run_for(5s);
  EXPECT_TRUE(romeo.saw(" id='l'")) << romeo.seen();
}

TEST_F(ModuleManagerTest, OptionsAreThoseOfTheConfiguration) {
  const auto value = [this] {
    for (const auto& one : world.server().worker(2).find_profile("default")->instances()) {
      if (one.info.name != "register") continue;
      for (const auto* option : one.module->options()) {
        if (option->info().name == "per_address") return to_string(option->value());
      }
    }
    return std::string();
  };
  EXPECT_EQ(reload("register"), "");
  EXPECT_EQ(value(), "7");
  ProfileConfig changed = world.server().config().profiles.at("default");
  changed.module["register"].options["per_address"].value = std::int64_t{9};
  modules().configure("default", changed);
  EXPECT_EQ(run(modules().reload(context, "default", "register", ModuleManager::Code::same)), "");
  EXPECT_EQ(value(), "9");
  changed.module["register"].options["per_address"].value = std::int64_t{-9};
  modules().configure("default", changed);
  const auto error = reload("register");
  EXPECT_TRUE(error.starts_with("refused: ")) << error;
  EXPECT_NE(error.find("profile.default.module.register.per_address"), std::string::npos) << error;
  EXPECT_EQ(value(), "9");
}

TEST_F(ModuleManagerTest, OneChangeAtATime) {
  std::string first, second;
  xmpp::TaskOwner owner;
  owner.spawn(keep(modules().unload(context, "default", "ping"), first));
  owner.spawn(keep(modules().unload(context, "default", "version"), second));
  EXPECT_EQ(second, "unavailable: another change of modules is under way");
  world.run_for(1s);
  EXPECT_EQ(first, "");
  EXPECT_EQ(instances("version"), 3U);
}

}  // namespace
}  // namespace xmppd
