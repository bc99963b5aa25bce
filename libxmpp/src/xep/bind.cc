// The codecs of resource binding.
#include "xmpp/xep/bind.h"

template struct xmpp::xml::Codec<xmpp::xep::Bind>;
template struct xmpp::xml::Codec<xmpp::xep::SessionRequest>;
