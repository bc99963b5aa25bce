// The codecs of XEP-0077.
#include "xmpp/xep/register.h"

template struct xmpp::xml::Codec<xmpp::xep::Register>;
template struct xmpp::xml::Codec<xmpp::xep::RegisterFeature>;
