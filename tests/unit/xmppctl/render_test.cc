// Results as tables and lines.
#include "render.h"

#include <gtest/gtest.h>

#include "canned.h"

namespace xmppctl {
namespace {

TEST(Render, AlignsTables) {
  EXPECT_EQ(render(json(R"([{"jid":"bö@x","count":5,"up":true,"connected_s":61},
                            {"jid":"alice@x","count":12,"up":false,"extra":["a","b"]}])")),
            "JID      COUNT  UP   CONNECTED  EXTRA\n"
            "bö@x         5  yes      1m 1s  -\n"
            "alice@x     12  no           -  a, b\n");
}

TEST(Render, ShowsObjectsAndTexts) {
  EXPECT_EQ(render(json(R"({"version":"1","uptime_s":7,"data_dir":null})")),
            "version   1\nuptime    7s\ndata dir  -\n");
  EXPECT_EQ(render(json(R"({"jid":"a@b","text":"created"})")), "created\n");
  EXPECT_EQ(render(json(R"({"n":1,"rows":[{"a":1}],"none":[]})")),
            "n     1\nnone  -\n\nROWS\nA\n1\n");
  EXPECT_EQ(render(json("[]")), "none\n");
  EXPECT_EQ(render(json(R"(["a",1])")), "a\n1\n");
  EXPECT_EQ(render(Poco::Dynamic::Var()), "");
}

TEST(Render, LetsNoControlCharacterThrough) {
  EXPECT_EQ(printable("a\x1b[31mb\n\xc2\x9b"
                      "c\u202e"),
            "a?[31mb??c?");
  EXPECT_EQ(printable("\xff"
                      "a"),
            "?a");
  EXPECT_EQ(render(json(R"([{"a":"x\u001by"}])")), "A\nx?y\n");
}

TEST(Render, KeepsTheOrderInJson) {
  EXPECT_EQ(to_json(json(R"([{"b":1,"a":[true,null,"ü"]}])")), R"([{"b":1,"a":[true,null,"ü"]}])");
  EXPECT_EQ(error_json("c", "t\""), R"({"error":{"code":"c","text":"t\""}})");
}

TEST(Render, EscapesInJsonWhatATerminalObeys) {
  EXPECT_EQ(to_json(json("[\"\x7F\xC2\x9B\\u202e\", {\"\xC2\x85\": \"\\u001b\"}]")),
            R"(["\u007F\u009B\u202E",{"\u0085":"\u001B"}])");
  EXPECT_EQ(error_json("c", "\x7F"), R"({"error":{"code":"c","text":"\u007F"}})");
}

TEST(Render, ErrorsAreJsonWhateverWasTyped) {
  EXPECT_EQ(error_json("usage", "--a\xFF\""), R"({"error":{"code":"usage","text":"--a?\""}})");
}

TEST(Render, FormatsSeconds) {
  EXPECT_EQ(format_seconds(59), "59s");
  EXPECT_EQ(format_seconds(3599), "59m 59s");
  EXPECT_EQ(format_seconds(86399), "23h 59m");
  EXPECT_EQ(format_seconds(90000), "1d 1h");
  EXPECT_EQ(render(json(R"({"up_s":9223372036854775807})")), "up  106751991167300d 15h\n");
  EXPECT_EQ(render(json(R"({"up_s":18446744073709551615})")), "up  18446744073709551615\n");
}

}  // namespace
}  // namespace xmppctl
