#ifndef MM_CLI_CRL_SET_H
#define MM_CLI_CRL_SET_H

#include "pki/cert.h"

/*
 * Revocation lists in one PEM, as a broker's file holds them, and the
 * certificates of who signed them.
 */
struct mm_crl_item {
	struct mm_buf der;
	struct mm_crl crl; /* borrows it */
	bool doubtful;     /* of before: nobody was found who signed it */
};
struct mm_crl_set {
	struct mm_crl_item *at;
	size_t n, cap;
};
/* Each "X509 CRL" of it; MM_EINPUT: one is malformed. */
MM_MUST enum mm_err mm_crl_set_read(struct mm_crl_set *s, struct mm_bytes pem,
    struct mm_why *why);
void mm_crl_set_done(struct mm_crl_set *s);
/* The same as PEM, and nothing else: whatever stood between them is left out,
 * as some programs take a certificate in a file of lists for a trust anchor. */
void mm_crl_set_write(const struct mm_crl_set *s, struct mm_buf *out);
/* The list of the same issuer, or NULL. */
const struct mm_crl *mm_crl_set_find(const struct mm_crl_set *s,
    const struct mm_crl *of);

/*
 * Every list is complete, the one of its issuer, says nothing that must be
 * understood and is not, and is signed by a CA whose certificate is among those
 * in issuers or the anchor (PEM each), through CAs, by the anchor (RFC 5280
 * 4.2.1.3, 4.2.1.9: keyCertSign, cRLSign, pathLen).  No dates are judged.
 * before: of what the file holds it is noted which does not stand that test.
 * MM_EAUTH, MM_EINPUT.
 */
MM_MUST enum mm_err mm_crl_set_verify(const struct mm_crl_set *s,
    struct mm_crl_set *before, struct mm_bytes anchor,
    struct mm_bytes issuers, struct mm_why *why);
/*
 * Whether it may take the place of the one before: no number lower, or equal
 * with other bytes, and unless fewer no issuer gone.  A doubtful one's number
 * does not count.  MM_ECONFLICT.
 */
MM_MUST enum mm_err mm_crl_set_follows(const struct mm_crl_set *s,
    const struct mm_crl_set *before, bool fewer, struct mm_why *why);
/* Of one that may: a list with a higher number, or one that was not there, or
 * was doubtful, or is gone.  The same lists in other words are none. */
bool mm_crl_set_is_news(const struct mm_crl_set *s,
    const struct mm_crl_set *before);
/* Its issuer's common name, or all of its name. */
void mm_crl_issuer_text(const struct mm_crl *c, char *out, size_t outn);

#endif
