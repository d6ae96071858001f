#ifndef MM_STATION_LEADS_H
#define MM_STATION_LEADS_H

#include "pki/cert.h"

/*
 * Whether a certificate and the issuers that come with it (DER, one after
 * another, each the issuer of the one before) hold together, before a board is
 * locked with them: each is signed by the next, and the last by the anchor, if
 * that is who it says.  An existing CA's root is another one, which the
 * station does not have; then the links are all that can be looked at.
 * anchors: PEM.
 */
bool mm_leads(struct mm_bytes cert, struct mm_bytes chain,
    struct mm_bytes anchors);
/* The same, of that file, if it is there. */
bool mm_leads_to(struct mm_bytes cert, struct mm_bytes chain,
    const char *anchors);

#endif
