// The codec of XEP-0092.
#include "xmpp/xep/version.h"

template struct xmpp::xml::Codec<xmpp::xep::SoftwareVersion>;
