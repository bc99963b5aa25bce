// The codecs of XEP-0191.
#include "xmpp/xep/blocking.h"

template struct xmpp::xml::Codec<xmpp::xep::BlockItem>;
template struct xmpp::xml::Codec<xmpp::xep::BlockList>;
template struct xmpp::xml::Codec<xmpp::xep::Block>;
template struct xmpp::xml::Codec<xmpp::xep::Unblock>;
