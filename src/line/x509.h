#ifndef MM_LINE_X509_H
#define MM_LINE_X509_H

#include <openssl/x509.h>

#include "pki/key.h"

/* What two files here need of libcrypto's certificates. */

static inline void
mm_x509s_free(STACK_OF(X509) **owner)
{
	sk_X509_pop_free(*owner, X509_free);
	*owner = NULL;
}

/* libcrypto's last failure, in the words of what was being done. */
static inline enum mm_err
mm_x509_failed(const char *what, struct mm_why *why)
{
	char text[120];
	enum mm_err rc = mm_openssl_fail(MM_ECRYPTO, text);

	return MM_FAIL(why, rc, "%s: %s", what, text);
}

#endif
