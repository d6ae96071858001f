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
};
struct mm_crl_set {
	struct mm_crl_item *at;
	size_t n, cap;
};
/* Each "X509 CRL" of it; MM_EINPUT: one is malformed. */
MM_MUST enum mm_err mm_crl_set_read(struct mm_crl_set *s, struct mm_bytes pem,
    struct mm_why *why);
void mm_crl_set_done(struct mm_crl_set *s);
/* The list of the same issuer, or NULL. */
const struct mm_crl *mm_crl_set_find(const struct mm_crl_set *s,
    const struct mm_crl *of);

/*
 * Every list is complete, says nothing that must be understood and is not, and
 * is signed by a CA whose certificate is among those in issuers or the anchor
 * (PEM each), through CAs, by the anchor.  No dates are judged.
 * MM_EAUTH, MM_EINPUT.
 */
MM_MUST enum mm_err mm_crl_set_verify(const struct mm_crl_set *s,
    struct mm_bytes anchor, struct mm_bytes issuers, struct mm_why *why);
/*
 * Whether it may take the place of the one before: no number lower, or equal
 * with other bytes, and unless fewer no issuer gone.  MM_ECONFLICT.
 */
MM_MUST enum mm_err mm_crl_set_follows(const struct mm_crl_set *s,
    const struct mm_crl_set *before, bool fewer, struct mm_why *why);
/* Its issuer's common name, or all of its name. */
void mm_crl_issuer_text(const struct mm_crl *c, char *out, size_t outn);

#endif
