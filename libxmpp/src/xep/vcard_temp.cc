// The codec of XEP-0054.
#include "xmpp/xep/vcard_temp.h"

template struct xmpp::xml::Codec<xmpp::xep::VcardTemp>;
