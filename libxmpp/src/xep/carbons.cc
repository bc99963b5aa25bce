// The codecs of XEP-0280.
#include "xmpp/xep/carbons.h"

template struct xmpp::xml::Codec<xmpp::xep::CarbonsEnable>;
template struct xmpp::xml::Codec<xmpp::xep::CarbonsDisable>;
template struct xmpp::xml::Codec<xmpp::xep::CarbonsReceived>;
template struct xmpp::xml::Codec<xmpp::xep::CarbonsSent>;
template struct xmpp::xml::Codec<xmpp::xep::CarbonsPrivate>;
