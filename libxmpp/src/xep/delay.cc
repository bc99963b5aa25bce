// The codec of XEP-0203.
#include "xmpp/xep/delay.h"

template struct xmpp::xml::Codec<xmpp::xep::Delay>;
