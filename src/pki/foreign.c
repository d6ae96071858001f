#include "pki/foreign.h"

#include <string.h>

#include "base/own.h"
#include "base/text.h"
#include "pki/confdoc.h"
#include "pki/lint.h"
#include "pki/template.h"

#define OID_SKI "2.5.29.14"
#define OID_SAN "2.5.29.17"
#define OID_BC  "2.5.29.19"
#define OID_KU  "2.5.29.15"
#define OID_EKU "2.5.29.37"

/* Clocks of two machines; and a CA that counts whole days. */
#define AHEAD_S 300

static void
number(struct mm_bytes issuer, struct mm_bytes serial,
    uint8_t out[MM_SERIAL_N])
{
	struct mm_buf b = MM_BUF_INIT(MM_CERT_MAX);
	uint8_t hash[32];

	/* the name is DER and ends by itself: no two pairs are one text */
	mm_buf_bytes(&b, issuer);
	mm_buf_bytes(&b, serial);
	mm_sha256(mm_buf_view(&b), hash);
	mm_buf_done(&b);
	memcpy(out, hash, MM_SERIAL_N);
	out[0] |= 0x80;
}

/* see foreign.h */
void
mm_foreign_number(const struct mm_cert *c, uint8_t out[MM_SERIAL_N])
{
	number(c->issuer, c->serial, out);
}

/* see foreign.h; an INTEGER's first bit is its sign */
void
mm_foreign_number_of(struct mm_bytes issuer,
    const struct mm_any_serial *serial, uint8_t out[MM_SERIAL_N])
{
	uint8_t contents[1 + MM_ANY_SERIAL_N] = { 0 };
	size_t at = (serial->p[0] & 0x80) != 0;

	memcpy(contents + at, serial->p, serial->n);
	number(issuer, (struct mm_bytes){ contents, at + serial->n }, out);
}

/* ---- requests ---- */

static bool
names_known(const struct mm_lint *l, struct mm_bytes subject)
{
	struct mm_name_rd r = mm_name_over(subject);
	struct mm_attribute a;

	while (mm_name_next(&r, &a)) {
		/* how devices name themselves, whatever the profile has */
		bool known = mm_lint_attribute_says(l, "CN={device}", &a) ||
		    mm_lint_attribute_says(l, "serialNumber={device}", &a);

		for (size_t i = 0; i < l->p->subject.n && !known; i++)
			known = mm_lint_attribute_says(l,
			    l->p->subject.item[i], &a);
		if (!known)
			return false;
	}
	return mm_rd_end(&r.rdns);
}

static bool
alternatives_known(const struct mm_lint *l, struct mm_bytes value)
{
	struct mm_rd outer = mm_rd_over(value);
	struct mm_rd r = mm_rd_over(mm_der_take(&outer, MM_DER_SEQ));

	while (!r.bad && r.left > 0)
		if (!mm_lint_alternative_known(l, &r))
			return false;
	return mm_rd_end(&r) && mm_rd_end(&outer);
}

/* RFC 5280 4.2.1.9: cA is the only BOOLEAN there, and DER leaves FALSE out */
static bool
says_ca(struct mm_bytes basic)
{
	struct mm_rd outer = mm_rd_over(basic);
	struct mm_rd r = mm_rd_over(mm_der_take(&outer, MM_DER_SEQ));
	struct mm_bytes v;

	if (outer.bad || !mm_rd_end(&outer))
		return true;
	if (!mm_der_peek(&r, MM_DER_BOOLEAN))
		return r.left > 0;
	v = mm_der_take(&r, MM_DER_BOOLEAN);
	return v.n != 1 || v.p[0] != 0 || !mm_rd_end(&r);
}

static struct mm_lint
lint_of(const struct mm_foreign *f, const struct mm_issuer *i,
    const struct mm_cert_fields *fields)
{
	struct mm_lint l = { .p = f->profile, .i = i, .f = fields };

	return l;
}

static bool
purpose_known(const struct mm_lint *l, struct mm_bytes oid)
{
	for (size_t i = 0; i < l->p->eku.n; i++)
		if (mm_der_oid_is(oid, mm_lint_purpose(l->p->eku.item[i])))
			return true;
	return false;
}

/* Whether each is one of the profile's. */
static bool
purposes_known(const struct mm_lint *l, struct mm_bytes value)
{
	struct mm_rd outer = mm_rd_over(value);
	struct mm_rd r = mm_rd_over(mm_der_take(&outer, MM_DER_SEQ));

	while (!r.bad && r.left > 0)
		if (!purpose_known(l, mm_der_take(&r, MM_DER_OID)))
			return false;
	return mm_rd_end(&outer) && mm_rd_end(&r);
}

static bool
asks_no_ca(const struct mm_lint *l, struct mm_bytes value)
{
	(void)l;
	return !says_ca(value);
}

/* RFC 5280 4.2.1.2 and RFC 7093 2: what everybody computes from the key */
static bool
key_id_is(const struct mm_lint *l, struct mm_bytes value)
{
	struct mm_rd r = mm_rd_over(value);
	struct mm_bytes id = mm_der_take(&r, MM_DER_OCTETS);
	uint8_t old[20], now[32];

	mm_sha1(l->c.spki.key, old);
	mm_sha256(l->c.spki.key, now);
	return mm_rd_end(&r) &&
	    (mm_bytes_eq(id, (struct mm_bytes){ old, 20 }) ||
	    mm_bytes_eq(id, (struct mm_bytes){ now, 20 }));
}

/* What a request may ask for, each as it may be; and nothing else. */
static const struct {
	const char *oid, *what;
	bool (*holds)(const struct mm_lint *l, struct mm_bytes value);
} asked[] = {
	{ OID_SAN, "an alternative name", alternatives_known },
	{ OID_BC, "a CA", asks_no_ca },
	{ OID_KU, "a key usage", mm_lint_usages_known },
	{ OID_EKU, "an extended key usage", purposes_known },
	{ OID_SKI, "its key identifier", key_id_is },
};

/* NULL: it may be asked for. */
static const char *
wrong_extension(const struct mm_lint *l, const struct mm_extension *e)
{
	for (size_t i = 0; i < MM_COUNT(asked); i++)
		if (mm_der_oid_is(e->oid, asked[i].oid))
			return asked[i].holds(l, e->value) ? NULL :
			    asked[i].what;
	return mm_lint_raw_known(l, e) ? NULL : "an extension";
}

/* RFC 9266 4.2: 32 bytes.  Whether it is this connection's only the server
 * knows; a person's password it is not. */
static bool
is_binding(struct mm_bytes challenge)
{
	MM_OWN(mm_buf_done) struct mm_buf raw = MM_BUF_INIT(64);

	return challenge.n == 44 &&
	    mm_base64_parse(challenge, &raw, NULL) == MM_OK && raw.n == 32;
}

static const char *
wrong_part(const struct mm_lint *l, const struct mm_csr *csr)
{
	struct mm_rd r = mm_rd_over(csr->extensions);
	const char *wrong = NULL;
	struct mm_extension e;

	if (csr->strange.n > 0)
		return "an attribute";
	if (csr->challenge.p != NULL && !(l->p->require_tls_exporter &&
	    is_binding(csr->challenge)))
		return "a challenge password";
	while (wrong == NULL && mm_extension_next(&r, &e))
		wrong = wrong_extension(l, &e);
	return wrong != NULL || !r.bad ? wrong : "an extension";
}

/* see foreign.h */
enum mm_err
mm_foreign_request(const struct mm_csr *csr, const struct mm_foreign *f,
    struct mm_why *why)
{
	const struct mm_cert_fields fields = { .device = f->device,
		.product = f->product };
	struct mm_lint l = lint_of(f, NULL, &fields);
	const char *wrong;

	l.c.spki = csr->spki;
	if (!names_known(&l, csr->subject))
		return MM_FAIL(why, MM_EPOLICY, "csr: its subject is not what "
		    "profile %s says of device %s; it goes to the CA as it "
		    "is: name that device by CN, or nobody", f->profile->name,
		    f->device);
	wrong = wrong_part(&l, csr);
	if (wrong == NULL)
		return MM_OK;
	return MM_FAIL(why, MM_EPOLICY, "csr: %s is not what profile %s says "
	    "of device %s", wrong, f->profile->name, f->device);
}

/* see foreign.h */
bool
mm_foreign_name(const char *item, const struct mm_foreign *f, char *out,
    size_t outn)
{
	return mm_template_fill(item, f->device, f->product, out, outn);
}

/* ---- answers ---- */

static bool
subject_says(const struct mm_lint *l)
{
	return mm_lint_subject(l, mm_lint_attribute_says);
}

/* How many a SEQUENCE OF has; 0: one of them twice, or it is none. */
static size_t
count_once(struct mm_bytes value)
{
	struct mm_bytes seen[MM_CONF_LIST_MAX + 1], body;
	struct mm_rd outer = mm_rd_over(value);
	struct mm_rd r = mm_rd_over(mm_der_take(&outer, MM_DER_SEQ));
	uint8_t tag;
	size_t n = 0;

	while (n < MM_COUNT(seen) && mm_der_any(&r, &tag, &body, &seen[n])) {
		for (size_t i = 0; i < n; i++)
			if (mm_bytes_eq(seen[i], seen[n]))
				return 0;
		n++;
	}
	return r.left == 0 && mm_rd_end(&outer) ? n : 0;
}

/* All of them, in whatever order: none stands in the profile twice. */
static bool
alternatives_say(const struct mm_lint *l)
{
	const struct mm_extension *e = mm_lint_extension(l, OID_SAN);
	size_t want = l->p->san.n + (l->p->hw_type_oid[0] != '\0');

	if (e == NULL || want == 0)
		return e == NULL && want == 0;
	return alternatives_known(l, e->value) &&
	    count_once(e->value) == want;
}

static bool
no_ca(const struct mm_lint *l)
{
	const struct mm_extension *e = mm_lint_extension(l, OID_BC);

	return e == NULL || !says_ca(e->value);
}

/* RFC 5280 4.2.1.3: neither keyCertSign (5) nor cRLSign (6) */
static bool
signs_nothing(const struct mm_lint *l)
{
	const struct mm_extension *e = mm_lint_extension(l, OID_KU);
	struct mm_bytes bits;
	struct mm_rd r;

	if (e == NULL)
		return true;
	r = mm_rd_over(e->value);
	bits = mm_der_take(&r, MM_DER_BITS);
	return mm_rd_end(&r) && bits.n >= 2 && (bits.p[1] & 0x06) == 0;
}

/* As many as the profile has, each of the profile's. */
static bool
purposes_say(const struct mm_lint *l)
{
	const struct mm_extension *e = mm_lint_extension(l, OID_EKU);

	if (e == NULL || l->p->eku.n == 0)
		return e == NULL && l->p->eku.n == 0;
	return purposes_known(l, e->value) &&
	    count_once(e->value) == l->p->eku.n;
}

static bool
not_special(const struct mm_lint *l)
{
	return !mm_cert_names_recovery(&l->c) &&
	    !mm_cert_names_configuring(&l->c);
}

/* RFC 5280 4.2: what a relying party must refuse that does not know it */
static bool
no_strange_critical(const struct mm_lint *l)
{
	static const char *const known[] = { OID_KU, OID_BC, OID_EKU,
		OID_SAN };

	for (size_t i = 0; i < l->next; i++) {
		bool fine = !l->ext[i].critical;

		for (size_t k = 0; k < MM_COUNT(known) && !fine; k++)
			fine = mm_der_oid_is(l->ext[i].oid, known[k]);
		if (!fine)
			return false;
	}
	return true;
}

static bool
lifetime_fits(const struct mm_lint *l)
{
	return l->p->lifetime_s == 0 || l->c.not_after_s - l->c.not_before_s <=
	    l->p->lifetime_s + l->p->backdate_s;
}

static bool
good_now(const struct mm_lint *l)
{
	return l->c.not_before_s < l->c.not_after_s &&
	    l->c.not_before_s <= l->f->not_before_s + AHEAD_S &&
	    l->c.not_after_s > l->f->not_before_s;
}

static bool
inside_issuer(const struct mm_lint *l)
{
	return l->c.not_after_s <= l->i->not_after_s;
}

static bool
issuer_is(const struct mm_lint *l)
{
	return mm_bytes_eq(l->c.issuer, l->i->subject);
}

static bool
key_is(const struct mm_lint *l)
{
	return mm_bytes_eq(l->c.spki.whole, l->f->spki.whole) &&
	    mm_profile_takes_key(l->p, l->f->spki.type);
}

static const struct mm_lint_rule rules[] = {
	{ "RFC 5280 4.1.2.4: issuer is the configured CA", issuer_is },
	{ "RFC 5280 4.1.2.7: key is the request's, and one of the profile's",
	    key_is },
	{ "RFC 5280 4.1.2.6: subject is the record's", subject_says },
	{ "RFC 5280 4.2.1.6: alternative names are the record's",
	    alternatives_say },
	{ "RFC 5280 4.2.1.9: it is no CA", no_ca },
	{ "RFC 5280 4.2.1.3: it signs neither certificates nor lists",
	    signs_nothing },
	{ "RFC 5280 4.2.1.12: extended key usage is the profile's",
	    purposes_say },
	{ "no device has a recovery's or a configuration's purpose",
	    not_special },
	{ "RFC 5280 4.2: no critical extension that we do not know",
	    no_strange_critical },
	{ "RFC 5280 4.1.2.5: it is good now", good_now },
	{ "it is good no longer than the profile says", lifetime_fits },
	{ "it is good no longer than its CA", inside_issuer },
	{ "RFC 5280 4.2.1.10: names keep the CA's constraints",
	    mm_lint_within_constraints },
};

static enum mm_err
read_answer(struct mm_bytes der, struct mm_lint *l, struct mm_why *why)
{
	struct mm_rd r;
	struct mm_extension e;

	MM_TRY(mm_cert_walk(der, &l->c, why));
	r = mm_rd_over(l->c.extensions);
	while (mm_extension_next(&r, &e)) {
		if (l->next == MM_LINT_EXTENSIONS)
			return MM_FAIL(why, MM_EINPUT,
			    "certificate: too many extensions");
		l->ext[l->next++] = e;
	}
	return MM_OK;
}

/* see foreign.h */
enum mm_err
mm_foreign_lint(struct mm_bytes der, const struct mm_csr *csr,
    const struct mm_foreign *f, int64_t now_s, struct mm_why *why)
{
	const struct mm_cert_fields fields = { .device = f->device,
		.product = f->product, .spki = csr->spki,
		.not_before_s = now_s };
	struct mm_issuer i = { .der = f->issuer };
	struct mm_lint l = lint_of(f, &i, &fields);
	struct mm_cert ca;

	MM_TRY(mm_cert_walk(f->issuer, &ca, why));
	i.subject = ca.subject;
	i.not_after_s = ca.not_after_s;
	MM_TRY(read_answer(der, &l, why));
	for (size_t k = 0; k < MM_COUNT(rules); k++)
		if (!rules[k].holds(&l))
			return MM_FAIL(why, MM_EPOLICY, "%s", rules[k].text);
	if (mm_cert_verify_by(&l.c, &ca) != MM_OK)
		return MM_FAIL(why, MM_EPOLICY, "RFC 5280 4.1.1.3: the "
		    "configured CA's key did not sign it");
	return MM_OK;
}
