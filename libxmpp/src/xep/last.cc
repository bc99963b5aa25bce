// The codec of XEP-0012.
#include "xmpp/xep/last.h"

template struct xmpp::xml::Codec<xmpp::xep::LastActivity>;
