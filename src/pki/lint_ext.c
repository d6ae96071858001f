#include "pki/lint.h"

#include <stdio.h>
#include <string.h>

#include "pki/confdoc.h"

#define KU_NAMES 9

/* RFC 5280 4.2.1.3 with RFC 5480 3, RFC 8410 5 and RFC 3279 2.3.1 */
static const struct {
	const char *name;
	bool ec, ed25519, rsa;
} usages[KU_NAMES] = {
	{ "digitalSignature", true, true, true },
	{ "nonRepudiation", true, true, true },
	{ "keyEncipherment", false, false, true },
	{ "dataEncipherment", false, false, true },
	{ "keyAgreement", true, false, false },
	{ "keyCertSign", false, false, false }, /* not a device's */
	{ "cRLSign", false, false, false },
	{ "encipherOnly", true, false, false },
	{ "decipherOnly", true, false, false },
};

static bool
listed(const struct mm_conf_list *list, const char *name)
{
	for (size_t i = 0; i < list->n; i++)
		if (strcmp(list->item[i], name) == 0)
			return true;
	return false;
}

static bool
usage_wanted(const struct mm_lint *l, unsigned bit)
{
	enum mm_key_type t = l->c.spki.type;
	bool fits = t == MM_KEY_P256 || t == MM_KEY_P384 ? usages[bit].ec :
	    t == MM_KEY_ED25519 ? usages[bit].ed25519 : usages[bit].rsa;

	if (bit >= 7 && !listed(&l->p->key_usage, "keyAgreement"))
		return false;
	return fits && (listed(&l->p->key_usage, usages[bit].name) ||
	    (bit == 1 && listed(&l->p->key_usage, "contentCommitment")));
}

static bool
usage_set(struct mm_bytes bits, unsigned i)
{
	return i / 8 + 1 < bits.n &&
	    (bits.p[i / 8 + 1] & (0x80U >> (i % 8))) != 0;
}

/* The bits, after how many of the last octet are unused. */
static bool
read_usages(struct mm_bytes value, struct mm_bytes *bits)
{
	struct mm_rd r = mm_rd_over(value);

	*bits = mm_der_take(&r, MM_DER_BITS);
	return mm_rd_end(&r) && bits->n >= 2 && bits->n <= 3 &&
	    bits->p[0] <= 7;
}

/* see lint.h */
bool
mm_lint_usages_known(const struct mm_lint *l, struct mm_bytes value)
{
	struct mm_bytes bits;

	if (!read_usages(value, &bits))
		return false;
	for (unsigned i = 0; i < 8 * (bits.n - 1); i++)
		if (usage_set(bits, i) &&
		    (i >= KU_NAMES || !usage_wanted(l, i)))
			return false;
	return true;
}

static bool
usage_exact(const struct mm_lint *l)
{
	struct mm_bytes value = { NULL, 0 }, bits;

	if (!mm_lint_value(l, "2.5.29.15", true, &value) ||
	    !read_usages(value, &bits))
		return false;
	for (unsigned i = 0; i < KU_NAMES; i++)
		if (usage_set(bits, i) != usage_wanted(l, i))
			return false;
	/* X.690 11.2.2: the last bit that counts is set, those behind are 0 */
	return (bits.p[bits.n - 1] & ((2U << bits.p[0]) - 1)) ==
	    1U << bits.p[0];
}

static bool
subject_key_id(const struct mm_lint *l)
{
	struct mm_bytes value = { NULL, 0 }, id;
	uint8_t hash[32];
	struct mm_rd r;

	if (!mm_lint_value(l, "2.5.29.14", false, &value))
		return false;
	r = mm_rd_over(value);
	id = mm_der_take(&r, MM_DER_OCTETS);
	mm_sha256(l->c.spki.key, hash);
	return mm_rd_end(&r) &&
	    mm_bytes_eq(id, (struct mm_bytes){ hash, 20 });
}

static bool
authority_key_id(const struct mm_lint *l)
{
	struct mm_bytes value = { NULL, 0 }, id;
	struct mm_rd outer, r;

	if (!mm_lint_value(l, "2.5.29.35", false, &value))
		return false;
	outer = mm_rd_over(value);
	r = mm_rd_over(mm_der_take(&outer, MM_DER_SEQ));
	id = mm_der_take(&r, MM_DER_CTX(0));
	return mm_rd_end(&outer) && mm_rd_end(&r) &&
	    mm_bytes_eq(id, (struct mm_bytes){ l->i->key_id, 20 });
}

static bool
not_a_ca(const struct mm_lint *l)
{
	static const uint8_t empty[] = { 0x30, 0x00 };
	struct mm_bytes value = { NULL, 0 };

	if (!l->p->basic_constraints)
		return mm_lint_extension(l, "2.5.29.19") == NULL;
	return mm_lint_value(l, "2.5.29.19", true, &value) &&
	    mm_bytes_eq(value, (struct mm_bytes){ empty, sizeof(empty) });
}

/* see lint.h */
const char *
mm_lint_purpose(const char *name)
{
	static const char *const known[][2] = {
		{ "serverAuth", "1.3.6.1.5.5.7.3.1" },
		{ "clientAuth", "1.3.6.1.5.5.7.3.2" },
		{ "codeSigning", "1.3.6.1.5.5.7.3.3" },
		{ "emailProtection", "1.3.6.1.5.5.7.3.4" },
		{ "timeStamping", "1.3.6.1.5.5.7.3.8" },
	};

	for (size_t i = 0; i < MM_COUNT(known); i++)
		if (strcmp(known[i][0], name) == 0)
			return known[i][1];
	return name;
}

static bool
purposes_exact(const struct mm_lint *l)
{
	struct mm_bytes value = { NULL, 0 };
	struct mm_rd outer, r;

	if (l->p->eku.n == 0)
		return mm_lint_extension(l, "2.5.29.37") == NULL;
	if (!mm_lint_value(l, "2.5.29.37", false, &value))
		return false;
	outer = mm_rd_over(value);
	r = mm_rd_over(mm_der_take(&outer, MM_DER_SEQ));
	for (size_t i = 0; i < l->p->eku.n; i++)
		if (!mm_der_oid_is(mm_der_take(&r, MM_DER_OID),
		    mm_lint_purpose(l->p->eku.item[i])))
			return false;
	return mm_rd_end(&outer) && mm_rd_end(&r);
}

/* It would be an administrator's: see recovery.c. */
static bool
not_a_recovery(const struct mm_lint *l)
{
	return !mm_cert_names_recovery(&l->c);
}

/* It would sign other devices' configurations: see confdoc.h. */
static bool
not_a_configurer(const struct mm_lint *l)
{
	return !mm_cert_names_configuring(&l->c);
}

static bool
policies_exact(const struct mm_lint *l)
{
	struct mm_bytes value = { NULL, 0 };
	struct mm_rd outer, r;

	if (l->p->policies.n == 0)
		return mm_lint_extension(l, "2.5.29.32") == NULL;
	if (!mm_lint_value(l, "2.5.29.32", false, &value))
		return false;
	outer = mm_rd_over(value);
	r = mm_rd_over(mm_der_take(&outer, MM_DER_SEQ));
	for (size_t i = 0; i < l->p->policies.n; i++) {
		struct mm_rd one = mm_rd_over(mm_der_take(&r, MM_DER_SEQ));
		struct mm_bytes oid = mm_der_take(&one, MM_DER_OID);

		if (!mm_rd_end(&one) ||
		    !mm_der_oid_is(oid, l->p->policies.item[i]))
			return false;
	}
	return mm_rd_end(&outer) && mm_rd_end(&r);
}

/* The only element of a constructed one; else r goes bad. */
static struct mm_rd
only(struct mm_rd r, uint8_t tag)
{
	struct mm_rd in = mm_rd_over(mm_der_take(&r, tag));

	in.bad = in.bad || !mm_rd_end(&r);
	return in;
}

static bool
crl_exact(const struct mm_lint *l)
{
	char url[sizeof(l->i->crl_url) + 16];
	struct mm_bytes value = { NULL, 0 }, got;
	struct mm_rd r;

	if (!l->p->crl_dp || l->i->crl_url[0] == '\0')
		return mm_lint_extension(l, "2.5.29.31") == NULL;
	if (!mm_lint_value(l, "2.5.29.31", false, &value))
		return false;
	snprintf(url, sizeof(url), "%s%u.crl", l->i->crl_url,
	    mm_issuer_shard(l->i, l->f->serial));
	r = only(mm_rd_over(value), MM_DER_SEQ);
	r = only(r, MM_DER_SEQ);
	r = only(r, MM_DER_CTXC(0));
	r = only(r, MM_DER_CTXC(0));
	got = mm_der_take(&r, MM_DER_CTX(6));
	return mm_rd_end(&r) && mm_bytes_eq(got, mm_bytes_of(url));
}

/* The next AccessDescription is of this method and URI. */
static bool
access_is(struct mm_rd *list, const char *method, const char *url)
{
	struct mm_rd r = mm_rd_over(mm_der_take(list, MM_DER_SEQ));
	struct mm_bytes oid = mm_der_take(&r, MM_DER_OID);
	struct mm_bytes uri = mm_der_take(&r, MM_DER_CTX(6));

	return mm_rd_end(&r) && mm_der_oid_is(oid, method) &&
	    mm_bytes_eq(uri, mm_bytes_of(url));
}

static bool
authority_exact(const struct mm_lint *l)
{
	struct mm_bytes value = { NULL, 0 };
	struct mm_rd r;

	if (!l->p->aia || l->i->aia_url[0] == '\0')
		return mm_lint_extension(l, "1.3.6.1.5.5.7.1.1") == NULL;
	if (!mm_lint_value(l, "1.3.6.1.5.5.7.1.1", false, &value))
		return false;
	r = only(mm_rd_over(value), MM_DER_SEQ);
	if (l->i->ocsp_url[0] != '\0' &&
	    !access_is(&r, "1.3.6.1.5.5.7.48.1", l->i->ocsp_url))
		return false;
	return access_is(&r, "1.3.6.1.5.5.7.48.2", l->i->aia_url) &&
	    mm_rd_end(&r);
}

/* "OID:critical:hex", "OID::hex" or "OID:hex" against an extension. */
static bool
raw_is(const char *item, const struct mm_extension *e)
{
	char oid[MM_CONF_ITEM_MAX], hex[2 * MM_CONF_ITEM_MAX + 1];
	const char *colon = strchr(item, ':'), *last = strrchr(item, ':');

	if (colon == NULL || e->value.n > MM_CONF_ITEM_MAX ||
	    e->critical != (colon != last &&
	    strncmp(colon, ":critical", 9) == 0))
		return false;
	snprintf(oid, sizeof(oid), "%.*s", (int)(colon - item), item);
	mm_hex_text(e->value.p, e->value.n, hex);
	return mm_der_oid_is(e->oid, oid) && strcasecmp(hex, last + 1) == 0;
}

/* see lint.h */
bool
mm_lint_raw_known(const struct mm_lint *l, const struct mm_extension *e)
{
	for (size_t i = 0; i < l->p->extensions.n; i++)
		if (raw_is(l->p->extensions.item[i], e))
			return true;
	return false;
}

static bool
raw_exact(const struct mm_lint *l)
{
	for (size_t i = 0; i < l->p->extensions.n; i++) {
		bool found = false;

		for (size_t k = 0; k < l->next && !found; k++)
			found = raw_is(l->p->extensions.item[i], &l->ext[k]);
		if (!found)
			return false;
	}
	return true;
}

/* All that must be there is: then the number says that no other is. */
static bool
nothing_else(const struct mm_lint *l)
{
	size_t want = 3 + l->p->extensions.n;

	want += l->p->basic_constraints;
	want += l->p->eku.n > 0;
	want += l->p->policies.n > 0;
	want += l->p->san.n > 0 || l->p->hw_type_oid[0] != '\0';
	want += l->p->crl_dp && l->i->crl_url[0] != '\0';
	want += l->p->aia && l->i->aia_url[0] != '\0';
	return l->next == want;
}

/* see lint.h */
const struct mm_lint_rule mm_lint_ext_rules[] = {
	{ "RFC 5280 4.2.1.1: authority key id is the issuer's",
	    authority_key_id },
	{ "RFC 5280 4.2.1.2: subject key id is RFC 7093's of the key",
	    subject_key_id },
	{ "RFC 5280 4.2.1.3: key usage, critical, is the profile's and fits "
	  "the key", usage_exact },
	{ "RFC 5280 4.2.1.9: basic constraints say no CA", not_a_ca },
	{ "RFC 5280 4.2.1.12: extended key usage is the profile's",
	    purposes_exact },
	{ "no device has a recovery's purpose", not_a_recovery },
	{ "no device signs configurations", not_a_configurer },
	{ "RFC 5280 4.2.1.4: policies are the profile's", policies_exact },
	{ "RFC 5280 4.2.1.13: CRL distribution point is the shard's",
	    crl_exact },
	{ "RFC 5280 4.2.2.1: authority information is the issuer's",
	    authority_exact },
	{ "further extensions are the profile's", raw_exact },
	{ "RFC 5280 4.2: no other extension", nothing_else },
};
const size_t mm_lint_ext_nrules = MM_COUNT(mm_lint_ext_rules);
