/* RFC 5280 4.2.1.10: the issuer's name constraints, on what we wrote. */
#include "pki/lint.h"

#include <string.h>
#include <strings.h>

#define OID_NAME_CONSTRAINTS "2.5.29.30"
#define OID_SAN              "2.5.29.17"

#define TAG_DNS MM_DER_CTX(2)
#define TAG_DIR MM_DER_CTXC(4)
#define TAG_URI MM_DER_CTX(6)

static bool
same_text(struct mm_bytes a, struct mm_bytes b)
{
	return a.n == b.n && (a.n == 0 || strncasecmp((const char *)a.p,
	    (const char *)b.p, a.n) == 0);
}

/* The host itself where it may be, or any below it. */
static bool
host_within(struct mm_bytes host, struct mm_bytes base, bool itself)
{
	struct mm_bytes tail;

	if (base.n > 0 && base.p[0] == '.') {
		base.p++;
		base.n--;
	} else if (itself && same_text(host, base)) {
		return true;
	}
	if (base.n == 0)
		return true;
	if (host.n <= base.n || host.p[host.n - base.n - 1] != '.')
		return false;
	tail = (struct mm_bytes){ host.p + host.n - base.n, base.n };
	return same_text(tail, base);
}

/* RFC 3986 3.2: what stands between "//" and the next of "/:?#" */
static struct mm_bytes
uri_host(struct mm_bytes uri)
{
	const uint8_t *p = memmem(uri.p, uri.n, "://", 3), *at;
	struct mm_bytes host = { NULL, 0 };

	if (p == NULL)
		return host;
	host = (struct mm_bytes){ p + 3, (size_t)(uri.p + uri.n - p - 3) };
	at = memchr(host.p, '@', host.n);
	if (at != NULL)
		host = (struct mm_bytes){ at + 1,
			host.n - (size_t)(at + 1 - host.p) };
	for (size_t i = 0; i < host.n; i++)
		if (strchr("/:?#", host.p[i]) != NULL)
			host.n = i;
	return host;
}

static bool
uri_within(struct mm_bytes uri, struct mm_bytes base)
{
	struct mm_bytes host = uri_host(uri);

	if (host.n == 0)
		return false;
	if (base.n > 0 && base.p[0] == '.')
		return host_within(host, base, false);
	return same_text(host, base);
}

/* RFC 5280 7.1: attribute by attribute, whatever the string type. */
static bool
name_within(struct mm_bytes name, struct mm_bytes base)
{
	struct mm_name_rd n = mm_name_over(name), b = mm_name_over(base);
	struct mm_attribute have, want;

	while (mm_name_next(&b, &want))
		if (!mm_name_next(&n, &have) ||
		    !mm_bytes_eq(have.oid, want.oid) ||
		    !same_text(have.value, want.value))
			return false;
	return mm_rd_end(&b.rdns);
}

static bool
within(uint8_t tag, struct mm_bytes name, struct mm_bytes base)
{
	if (tag == TAG_DNS)
		return host_within(name, base, true);
	return tag == TAG_URI ? uri_within(name, base) :
				name_within(name, base);
}

/* GeneralSubtrees of one side: has one of this kind, and one that holds. */
static bool
scan(struct mm_bytes subtrees, uint8_t tag, struct mm_bytes name, bool *any)
{
	struct mm_rd r = mm_rd_over(subtrees);
	bool hit = false;

	while (!r.bad && r.left > 0) {
		struct mm_rd t = mm_rd_over(mm_der_take(&r, MM_DER_SEQ));
		struct mm_bytes base, whole;
		uint8_t got;

		if (!mm_der_any(&t, &got, &base, &whole) || got != tag)
			continue;
		*any = true;
		hit = hit || within(tag, name, base);
	}
	return hit;
}

static bool
name_allowed(struct mm_bytes constraints, uint8_t tag, struct mm_bytes name)
{
	struct mm_rd outer = mm_rd_over(constraints);
	struct mm_rd r = mm_rd_over(mm_der_take(&outer, MM_DER_SEQ));
	struct mm_bytes permitted = { NULL, 0 }, excluded = { NULL, 0 };
	bool limited = false, ignore;

	if (mm_der_peek(&r, MM_DER_CTXC(0)))
		permitted = mm_der_take(&r, MM_DER_CTXC(0));
	if (mm_der_peek(&r, MM_DER_CTXC(1)))
		excluded = mm_der_take(&r, MM_DER_CTXC(1));
	if (!mm_rd_end(&r) || !mm_rd_end(&outer))
		return false;
	if (!scan(permitted, tag, name, &limited) && limited)
		return false;
	return !scan(excluded, tag, name, &ignore);
}

static bool
alternatives_allowed(const struct mm_lint *l, struct mm_bytes constraints)
{
	struct mm_bytes value = { NULL, 0 }, body, whole;
	struct mm_rd outer, r;
	uint8_t tag;

	if (!mm_cert_extension(&l->c, OID_SAN, NULL, &value))
		return true;
	outer = mm_rd_over(value);
	r = mm_rd_over(mm_der_take(&outer, MM_DER_SEQ));
	while (r.left > 0) {
		if (!mm_der_any(&r, &tag, &body, &whole))
			return false;
		if ((tag == TAG_DNS || tag == TAG_URI) &&
		    !name_allowed(constraints, tag, body))
			return false;
	}
	return true;
}

/* see lint.h */
bool
mm_lint_within_constraints(const struct mm_lint *l)
{
	static const uint8_t oid[] = { 0x06, 0x03, 0x55, 0x1d, 0x1e };
	struct mm_bytes constraints = { NULL, 0 };
	struct mm_cert issuer;

	/* hardly any issuer has them: do not walk it for each certificate */
	if (l->i->der.n == 0 || memmem(l->i->der.p, l->i->der.n, oid,
	    sizeof(oid)) == NULL)
		return true;
	if (mm_cert_walk(l->i->der, &issuer, NULL) != MM_OK)
		return false;
	if (!mm_cert_extension(&issuer, OID_NAME_CONSTRAINTS, NULL,
	    &constraints))
		return true;
	return name_allowed(constraints, TAG_DIR, l->c.subject) &&
	    alternatives_allowed(l, constraints);
}
