// The codec of XEP-0199.
#include "xmpp/xep/ping.h"

template struct xmpp::xml::Codec<xmpp::xep::Ping>;
