// Marks what libxmppd_core exports to modules. Everything else has hidden visibility.
#pragma once

#define XMPPD_API __attribute__((visibility("default")))

// The ABI that a module was compiled for; part of the name of its manifest, so that an incompatible
// module fails to load instead of crashing. Raise it with every incompatible change of an SDK
// header.
#define XMPPD_ABI 4
