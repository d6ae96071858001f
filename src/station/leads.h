#ifndef MM_STATION_LEADS_H
#define MM_STATION_LEADS_H

#include "pki/cert.h"
#include "station/conf.h"

/*
 * Whether a certificate and the issuers that come with it (DER, one after
 * another, each the issuer of the one before) hold together, before a board is
 * locked with them: each is signed by the next, and the last by the anchor, if
 * that is who it says.  An existing CA's root is another one, which the
 * station does not have; then the links are all that can be looked at.
 *
 * An existing CA may have keys and signatures above its issuer that nothing
 * here verifies (P-521, RSA-8192, SHA-1): of such a link the names must fit,
 * and *unsure says that there was one.  The certificate itself is verified.
 *
 * anchors: PEM.  MM_EPOLICY: it does not lead there.  MM_EINPUT: the anchors
 * cannot be read.
 */
MM_MUST enum mm_err mm_leads(struct mm_bytes cert, struct mm_bytes chain,
    struct mm_bytes anchors, bool *unsure, struct mm_why *why);
/* The same, of conf's anchor.  Only a station that asks no centre may have
 * none; a file that cannot be read is an error of another code than
 * MM_EPOLICY. */
MM_MUST enum mm_err mm_leads_to(struct mm_bytes cert, struct mm_bytes chain,
    const struct mm_station_conf *conf, bool *unsure, struct mm_why *why);

#endif
