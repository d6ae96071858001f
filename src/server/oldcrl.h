#ifndef MM_SERVER_OLDCRL_H
#define MM_SERVER_OLDCRL_H

#include <openssl/x509.h>

#include "base/buf.h"
#include "base/err.h"

/*
 * The revocation list of an old CA (RFC 5280 5), as an operator gives it to a
 * bootstrap group: what that CA revoked while it was in use.  It is a record of
 * the past, so one past its nextUpdate counts; one that is only a part of the
 * whole does not.  Holding one proves that the CA signed it.
 */
#define MM_OLD_CRL_MAX (1U << 20)
struct mm_old_serial { uint8_t n, v[20]; }; /* RFC 5280 4.1.2.2 */
struct mm_old_crl {
	struct mm_old_serial *serial; /* in order */
	size_t n;
	int64_t this_s, next_s;       /* 0: it says none */
};
/*
 * MM_EINPUT: not a list, or a part of one, or a serial is too long; MM_EPOLICY:
 * another CA's, or not signed by it.  out is owned.
 */
MM_MUST enum mm_err mm_old_crl_read(struct mm_bytes der, X509 *ca,
    struct mm_old_crl *out, struct mm_why *why);
void mm_old_crl_done(struct mm_old_crl *c);
bool mm_old_crl_has(const struct mm_old_crl *c, const ASN1_INTEGER *serial);

#endif
