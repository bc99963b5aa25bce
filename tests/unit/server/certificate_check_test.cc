// What --check-config says of certificates and keys.
#include "core/certificate_check.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "xmpp/transport/tls_engine.h"

namespace xmppd {
namespace {

namespace fs = std::filesystem;

class CertificateCheck : public testing::Test {
 protected:
  void SetUp() override {
    fs::create_directories(directory_);
    for (const std::string name : {"a", "b"}) {
      const auto made = xmpp::make_self_signed({"example.org"});
      ASSERT_TRUE(made);
      std::ofstream(directory_ / (name + ".crt")) << made->certificate.certificate_pem;
      std::ofstream(directory_ / (name + ".key")) << made->certificate.key_pem;
    }
    std::ofstream(directory_ / "text.crt") << "no certificate";
  }
  void TearDown() override { fs::remove_all(directory_); }

  // The errors of one host, a line each.
  std::string check(const std::string& certificate, const std::string& key) {
    Config config = dev_config(directory_ / "data");
    config.hosts[0].certificate_at = {"x.toml", 7, 1};
    if (!certificate.empty()) {
      config.hosts[0].certificate = directory_ / certificate;
      config.hosts[0].key = directory_ / key;
    }
    std::string text;
    for (const auto& error : check_certificates(config)) text += to_string(error) + "\n";
    return text;
  }
  fs::path directory_ =
      fs::path(testing::TempDir()) / ("certificates-" + std::to_string(::getpid()));
};

TEST_F(CertificateCheck, AGoodPairIsNoError) {
  EXPECT_EQ(check("a.crt", "a.key"), "");
}

TEST_F(CertificateCheck, SaysWhatIsWrongAndWhere) {
  const std::pair<std::string, std::string> pairs[] = {
      {"absent.crt", "a.key"}, {"a.crt", "absent.key"}, {"a.crt", "b.key"}, {"text.crt", "a.key"}};
  for (const auto& [certificate, key] : pairs) {
    const auto text = check(certificate, key);
    EXPECT_TRUE(text.starts_with("x.toml:7:1: host.\"localhost\".certificate: ")) << text;
    EXPECT_NE(text.find(key == "absent.key" ? key : certificate), std::string::npos) << text;
  }
}

TEST_F(CertificateCheck, WhatAStartWouldMakeIsNotMade) {
  EXPECT_EQ(check("", ""), "");
  EXPECT_FALSE(fs::exists(directory_ / "data"));
}

}  // namespace
}  // namespace xmppd
