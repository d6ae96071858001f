#include <string.h>

#include "server/priv.h"

/* The certificate whose subject is name; false if the core knows none. */
static bool
by_subject(const struct mm_bytes *der, size_t n, struct mm_bytes name,
    struct mm_cert *out)
{
	for (size_t i = 0; i < n; i++)
		if (mm_cert_walk(der[i], out, NULL) == MM_OK &&
		    mm_bytes_eq(out->subject, name))
			return true;
	return false;
}

/* see priv.h */
enum mm_err
mm_chain_make(struct mm_core *core, const char *issuer, struct mm_chain *out,
    struct mm_why *why)
{
	struct mm_chain c = { 0 };
	const struct mm_bytes *all;
	struct mm_bytes der;
	struct mm_cert at;
	size_t n;

	MM_TRY(mm_core_issuer_der(core, issuer, &der, why));
	MM_TRY(mm_core_cacerts(core, "", &all, &n, why));
	MM_TRY(mm_cert_walk(der, &at, why));
	(void)!mm_text_copy(c.issuer, sizeof(c.issuer), mm_bytes_of(issuer));
	/* The root is what a device has already; it is not sent. */
	while (c.n < MM_CHAIN_MAX && !mm_bytes_eq(at.subject, at.issuer)) {
		c.der[c.n++] = at.whole;
		if (!by_subject(all, n, at.issuer, &at))
			break;
	}
	*out = c;
	return MM_OK;
}
