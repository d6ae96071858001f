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
bool
mm_chain_link(struct mm_core *core, struct mm_bytes issuer,
    struct mm_bytes *der)
{
	const struct mm_bytes *all;
	struct mm_cert c;
	size_t n;

	mm_core_links(core, true, &all, &n);
	for (size_t i = 0; i < n; i++)
		if (mm_cert_walk(all[i], &c, NULL) == MM_OK &&
		    mm_bytes_eq(c.subject, issuer) &&
		    !mm_bytes_eq(c.subject, c.issuer)) {
			*der = all[i];
			return true;
		}
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
	/* The root is what a device has already; it is not sent.  What joins it
	 * to another one is: whoever pins that has this one by it alone. */
	while (c.n < MM_CHAIN_MAX && !mm_bytes_eq(at.subject, at.issuer)) {
		c.der[c.n++] = at.whole;
		if (c.n < MM_CHAIN_MAX &&
		    mm_chain_link(core, at.issuer, &der)) {
			c.der[c.n++] = der;
			break;
		}
		if (!by_subject(all, n, at.issuer, &at))
			break;
	}
	*out = c;
	return MM_OK;
}
