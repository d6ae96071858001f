#include "server/oldcrl.h"

#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"

MM_FREE_FN(free_crl, X509_CRL, X509_CRL_free)
MM_FREE_FN(free_time, ASN1_TIME, ASN1_TIME_free)

static int
order(const void *a_, const void *b_)
{
	const struct mm_old_serial *a = a_, *b = b_;

	return a->n != b->n ? a->n - b->n : memcmp(a->v, b->v, a->n);
}

static bool
take_serial(const ASN1_INTEGER *from, struct mm_old_serial *to)
{
	int n = ASN1_STRING_length(from);

	if (n < 0 || (size_t)n > sizeof(to->v))
		return false;
	to->n = (uint8_t)n;
	memcpy(to->v, ASN1_STRING_get0_data(from), (size_t)n);
	return true;
}

static int64_t
seconds(const ASN1_TIME *t)
{
	MM_OWN(free_time) ASN1_TIME *epoch = ASN1_TIME_set(NULL, 0);
	int days, s;

	if (t == NULL || epoch == NULL ||
	    ASN1_TIME_diff(&days, &s, epoch, t) != 1)
		return 0;
	return (int64_t)days * 86400 + s;
}

/* RFC 5280 5.2: a critical extension says that it is not the whole list, or
 * that it is of others' certificates, too. */
static enum mm_err
check(X509_CRL *crl, X509 *ca, struct mm_why *why)
{
	if (X509_NAME_cmp(X509_CRL_get_issuer(crl),
		X509_get_subject_name(ca)) != 0)
		return MM_FAIL(why, MM_EPOLICY, "list: another CA's");
	if (X509_CRL_verify(crl, X509_get0_pubkey(ca)) != 1)
		return MM_FAIL(why, MM_EPOLICY, "list: not signed by the CA");
	if (X509_CRL_get_ext_by_critical(crl, 1, -1) >= 0)
		return MM_FAIL(why, MM_EINPUT, "list: a part of one, or with "
		    "an extension that is not known here");
	return MM_OK;
}

static enum mm_err
take_all(X509_CRL *crl, struct mm_old_crl *out, struct mm_why *why)
{
	STACK_OF(X509_REVOKED) *all = X509_CRL_get_REVOKED(crl);
	int n = sk_X509_REVOKED_num(all);
	struct mm_old_crl made = { .n = n > 0 ? (size_t)n : 0 };

	made.serial = calloc(made.n + 1, sizeof(*made.serial));
	if (made.serial == NULL)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	for (size_t i = 0; i < made.n; i++)
		if (!take_serial(X509_REVOKED_get0_serialNumber(
		    sk_X509_REVOKED_value(all, (int)i)), &made.serial[i])) {
			mm_old_crl_done(&made);
			return MM_FAIL(why, MM_EINPUT, "list: a serial number "
			    "is too long");
		}
	qsort(made.serial, made.n, sizeof(*made.serial), order);
	made.this_s = seconds(X509_CRL_get0_lastUpdate(crl));
	made.next_s = seconds(X509_CRL_get0_nextUpdate(crl));
	*out = made;
	return MM_OK;
}

/* see oldcrl.h */
enum mm_err
mm_old_crl_read(struct mm_bytes der, X509 *ca, struct mm_old_crl *out,
    struct mm_why *why)
{
	const unsigned char *p = der.p;
	MM_OWN(free_crl) X509_CRL *crl = d2i_X509_CRL(NULL, &p, (long)der.n);
	enum mm_err rc;

	if (crl == NULL || p != der.p + der.n) {
		ERR_clear_error();
		return MM_FAIL(why, MM_EINPUT, "list: cannot be read");
	}
	rc = check(crl, ca, why);
	ERR_clear_error();
	return rc == MM_OK ? take_all(crl, out, why) : rc;
}

/* see oldcrl.h */
void
mm_old_crl_done(struct mm_old_crl *c)
{
	free(c->serial);
	memset(c, 0, sizeof(*c));
}

/* see oldcrl.h */
bool
mm_old_crl_has(const struct mm_old_crl *c, const ASN1_INTEGER *serial)
{
	struct mm_old_serial want;

	return c->n > 0 && take_serial(serial, &want) &&
	       bsearch(&want, c->serial, c->n, sizeof(want), order) != NULL;
}
