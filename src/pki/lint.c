/*
 * What a built TBSCertificate must be, said a second time by code that did
 * not build it.  A rule that fails is our bug, and nothing is signed.
 */
#include "pki/lint.h"

#include <string.h>

/* see lint.h */
const struct mm_extension *
mm_lint_extension(const struct mm_lint *l, const char *oid)
{
	uint8_t want[MM_OID_MAX];
	size_t n = mm_der_oid_encode(oid, want);

	for (size_t i = 0; n != 0 && i < l->next; i++)
		if (l->ext[i].oid.n == n &&
		    memcmp(l->ext[i].oid.p, want, n) == 0)
			return &l->ext[i];
	return NULL;
}

/* see lint.h */
bool
mm_lint_value(const struct mm_lint *l, const char *oid, bool critical,
    struct mm_bytes *value)
{
	const struct mm_extension *e = mm_lint_extension(l, oid);

	if (e == NULL || e->critical != critical)
		return false;
	*value = e->value;
	return true;
}

/* The rules ask for one after the other: the certificate's extensions are
 * walked once for all of them. */
static bool
index_extensions(struct mm_lint *l)
{
	struct mm_rd r = mm_rd_over(l->c.extensions);
	struct mm_extension e;

	while (mm_extension_next(&r, &e)) {
		if (l->next == MM_LINT_EXTENSIONS)
			return false;
		l->ext[l->next++] = e;
	}
	return !r.bad;
}

static bool
version_3(const struct mm_lint *l)
{
	static const uint8_t v3[] = { 0xa0, 0x03, 0x02, 0x01, 0x02 };
	struct mm_rd outer = mm_rd_over(l->c.tbs);
	struct mm_bytes body = mm_der_take(&outer, MM_DER_SEQ);

	return body.n > sizeof(v3) && memcmp(body.p, v3, sizeof(v3)) == 0;
}

static bool
serial_ours(const struct mm_lint *l)
{
	struct mm_bytes want = { l->f->serial, MM_SERIAL_N };

	return mm_bytes_eq(l->c.serial, want) && want.p[0] >= 0x01 &&
	    want.p[0] <= 0x7f;
}

static bool
algorithm_exact(const struct mm_lint *l)
{
	return mm_bytes_eq(l->alg, mm_sig_of(l->i->key_type)->der);
}

static bool
issuer_exact(const struct mm_lint *l)
{
	return mm_bytes_eq(l->c.issuer, l->i->subject);
}

static bool
validity_asked(const struct mm_lint *l)
{
	return l->c.not_before_s == l->f->not_before_s &&
	    l->c.not_after_s == l->f->not_after_s;
}

static bool
validity_ordered(const struct mm_lint *l)
{
	return l->c.not_before_s < l->c.not_after_s;
}

static bool
validity_inside(const struct mm_lint *l)
{
	return l->c.not_before_s >= l->i->not_before_s &&
	    l->c.not_after_s <= l->i->not_after_s;
}

static bool
validity_in_profile(const struct mm_lint *l)
{
	return l->p->lifetime_s == 0 || l->c.not_after_s - l->c.not_before_s <=
	    l->p->lifetime_s + l->p->backdate_s;
}

/* 2050-01-01T00:00:00Z */
#define YEAR_2050 INT64_C(2524608000)

static bool
time_tag_ok(struct mm_rd *r)
{
	bool utc = mm_der_peek(r, MM_DER_UTCTIME);

	return (mm_der_take_time(r) < YEAR_2050) == utc;
}

static bool
validity_encoded(const struct mm_lint *l)
{
	struct mm_rd outer = mm_rd_over(l->c.tbs);
	struct mm_rd r = mm_rd_over(mm_der_take(&outer, MM_DER_SEQ));

	mm_der_take(&r, MM_DER_CTXC(0));
	mm_der_take(&r, MM_DER_INTEGER);
	mm_der_take(&r, MM_DER_SEQ); /* signature */
	mm_der_take(&r, MM_DER_SEQ); /* issuer */
	r = mm_rd_over(mm_der_take(&r, MM_DER_SEQ));
	return time_tag_ok(&r) && time_tag_ok(&r) && mm_rd_end(&r);
}

static bool
key_exact(const struct mm_lint *l)
{
	return mm_bytes_eq(l->c.spki.whole, l->f->spki.whole) &&
	    mm_bytes_eq(l->c.spki.key, l->f->spki.key);
}

static bool
key_in_profile(const struct mm_lint *l)
{
	return l->c.spki.type < MM_KEY_TYPES &&
	    l->c.spki.type == l->f->spki.type &&
	    mm_profile_takes_key(l->p, l->c.spki.type);
}

static const struct mm_lint_rule rules[] = {
	{ "RFC 5280 4.1.2.1: version is v3", version_3 },
	{ "RFC 5280 4.1.2.2: serial is the one drawn, and positive",
	    serial_ours },
	{ "RFC 5280 4.1.2.3: algorithm is the issuer's key's",
	    algorithm_exact },
	{ "RFC 5280 4.1.2.4: issuer is the CA's subject, byte for byte",
	    issuer_exact },
	{ "validity is what was decided", validity_asked },
	{ "RFC 5280 4.1.2.5: notBefore before notAfter", validity_ordered },
	{ "validity lies inside the issuer's", validity_inside },
	{ "validity lies inside the profile's", validity_in_profile },
	{ "RFC 5280 4.1.2.5: UTCTime up to 2049", validity_encoded },
	{ "RFC 5280 4.1.2.7: key is the request's", key_exact },
	{ "key type is one of the profile's", key_in_profile },
	{ "RFC 5280 4.2.1.10: names keep the issuer's constraints",
	    mm_lint_within_constraints },
};

static enum mm_err
run(const struct mm_lint_rule *r, size_t n, const struct mm_lint *l,
    struct mm_why *why)
{
	for (size_t i = 0; i < n; i++)
		if (!r[i].holds(l))
			return MM_FAIL(why, MM_EBUG, "lint: profile %s: %s",
			    l->p->name, r[i].text);
	return MM_OK;
}

/* see cert.h */
enum mm_err
mm_lint_tbs(struct mm_bytes tbs, const struct mm_profile *p,
    const struct mm_issuer *i, const struct mm_cert_fields *f,
    struct mm_why *why)
{
	struct mm_lint l;

	l.p = p;
	l.i = i;
	l.f = f;
	l.next = 0;
	if (mm_tbs_walk(tbs, &l.c, &l.alg, NULL) != MM_OK ||
	    !index_extensions(&l))
		return MM_FAIL(why, MM_EBUG, "lint: profile %s: RFC 5280 4.1: "
		    "malformed TBSCertificate", p->name);
	MM_TRY(run(rules, MM_COUNT(rules), &l, why));
	MM_TRY(run(mm_lint_name_rules, mm_lint_name_nrules, &l, why));
	return run(mm_lint_ext_rules, mm_lint_ext_nrules, &l, why);
}
