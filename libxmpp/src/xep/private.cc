// The codec of XEP-0049.
#include "xmpp/xep/private.h"

template struct xmpp::xml::Codec<xmpp::xep::PrivateXml>;
