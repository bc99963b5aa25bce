// XMPPD_MODULE for modules in shared libraries: the factory and the Poco::ClassLoader manifest
// whose name carries the ABI. Included by module.h only.
#pragma once

#include <Poco/ClassLibrary.h>

#define XMPPD_CONCAT_(a, b) a##b
#define XMPPD_CONCAT(a, b) XMPPD_CONCAT_(a, b)
#define XMPPD_MANIFEST_NAME XMPPD_CONCAT(xmppd_abi_, XMPPD_ABI)

#define XMPPD_MODULE(Class, ...)                                         \
  namespace {                                                            \
  struct Class##Factory final : ::xmppd::ModuleFactory {                 \
    ::xmppd::ModuleInfo info() const override {                          \
      return __VA_ARGS__;                                                \
    }                                                                    \
    std::unique_ptr<::xmppd::Module> make() const override {             \
      return std::make_unique<Class>();                                  \
    }                                                                    \
  };                                                                     \
  }                                                                      \
  POCO_BEGIN_NAMED_MANIFEST(XMPPD_MANIFEST_NAME, ::xmppd::ModuleFactory) \
  POCO_EXPORT_CLASS(Class##Factory)                                      \
  POCO_END_MANIFEST
