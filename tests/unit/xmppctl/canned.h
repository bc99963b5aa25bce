// A catalogue for the tests of xmppctl: other commands than xmppd's, since xmppctl knows none.
#pragma once

#include <Poco/JSON/ParseHandler.h>
#include <Poco/JSON/Parser.h>

#include <string>

#include "client.h"

namespace xmppctl {

inline Poco::Dynamic::Var json(const std::string& text) {
  Poco::JSON::Parser parser(new Poco::JSON::ParseHandler(true));
  return parser.parse(text);
}

inline const char* kCanned = R"([
  {"command":"fruit.add","group":"fruit","name":"add","help":"Add","arguments":[
    {"name":"name","type":"text","required":true,"option":false},
    {"name":"secret","type":"new-password","required":true,"option":true},
    {"name":"weight","type":"integer","required":false,"option":true},
    {"name":"ripe","type":"boolean","required":false,"option":true}]},
  {"command":"fruit.list","group":"fruit","name":"list","help":"List","arguments":[
    {"name":"host","type":"host","required":false,"option":false}]},
  {"command":"weather","group":"","name":"weather","help":"Tell","arguments":[]},
  {"command":"leave","group":"","name":"leave","help":"Go","ends_server":true,"arguments":[]}])";

inline Catalogue canned_catalogue() {
  return *parse_catalogue(json(kCanned));
}

}  // namespace xmppctl
