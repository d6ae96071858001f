#include "pki/lint.h"

#include <string.h>

/* see lint.h */
bool
mm_lint_matches(const struct mm_lint *l, const char *t, struct mm_bytes v)
{
	struct mm_rd r = mm_rd_over(v);

	while (*t != '\0') {
		struct mm_bytes want = { (const uint8_t *)t, 1 };
		size_t skip = 1;

		if (*t == '{') {
			bool device = strncmp(t, "{device}", 8) == 0;

			skip = device ? 8 : 9;
			if (!device && strncmp(t, "{product}", 9) != 0)
				return false;
			want = mm_bytes_of(device ? l->f->device :
						    l->f->product);
		}
		if (!mm_bytes_eq(mm_rd_take(&r, want.n), want))
			return false;
		t += skip;
	}
	return mm_rd_end(&r);
}

/* RFC 5280 A.1: upper bounds and string types, by attribute */
static const struct {
	const char *name, *oid;
	size_t most;
	uint8_t tags[2];
} attributes[] = {
	{ "C", "2.5.4.6", 2, { MM_DER_PRINTABLE, MM_DER_PRINTABLE } },
	{ "O", "2.5.4.10", 64, { MM_DER_UTF8, MM_DER_UTF8 } },
	{ "OU", "2.5.4.11", 64, { MM_DER_UTF8, MM_DER_UTF8 } },
	{ "CN", "2.5.4.3", 64, { MM_DER_UTF8, MM_DER_UTF8 } },
	{ "serialNumber", "2.5.4.5", 64, { MM_DER_PRINTABLE, MM_DER_UTF8 } },
	{ "L", "2.5.4.7", 128, { MM_DER_UTF8, MM_DER_UTF8 } },
	{ "ST", "2.5.4.8", 128, { MM_DER_UTF8, MM_DER_UTF8 } },
	{ "DC", "0.9.2342.19200300.100.1.25", 63, { MM_DER_IA5, MM_DER_IA5 } },
};

/* RFC 3629: a character starts at every byte that does not continue one */
static size_t
characters(struct mm_bytes v)
{
	size_t n = 0;

	for (size_t i = 0; i < v.n; i++)
		if (v.p[i] < 0x80 || v.p[i] >= 0xc0)
			n++;
	return n;
}

/* X.680 41.4, as a set */
static bool
printable(struct mm_bytes v)
{
	static const char set[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	    "abcdefghijklmnopqrstuvwxyz0123456789 '()+,-./:=?";

	for (size_t i = 0; i < v.n; i++)
		if (memchr(set, v.p[i], sizeof(set) - 1) == NULL)
			return false;
	return true;
}

static bool
attribute_holds(const struct mm_lint *l, const char *item,
    const struct mm_attribute *a)
{
	const char *eq = strchr(item, '=');
	char name[MM_CONF_ITEM_MAX];
	size_t n = eq == NULL ? 0 : (size_t)(eq - item);

	if (n == 0 || a->value.n == 0 ||
	    !mm_lint_matches(l, eq + 1, a->value))
		return false;
	if (a->tag == MM_DER_PRINTABLE && !printable(a->value))
		return false;
	memcpy(name, item, n);
	name[n] = '\0';
	for (size_t i = 0; i < MM_COUNT(attributes); i++)
		if (strcmp(attributes[i].name, name) == 0)
			return mm_der_oid_is(a->oid, attributes[i].oid) &&
			    characters(a->value) <= attributes[i].most &&
			    (a->tag == attributes[i].tags[0] ||
			    a->tag == attributes[i].tags[1]);
	return mm_der_oid_is(a->oid, name) && a->tag == MM_DER_UTF8;
}

/* see lint.h */
bool
mm_lint_attribute_says(const struct mm_lint *l, const char *item,
    const struct mm_attribute *a)
{
	const char *eq = strchr(item, '=');
	size_t n = eq == NULL ? 0 : (size_t)(eq - item);
	char name[MM_CONF_ITEM_MAX];

	if (n == 0 || (a->tag != MM_DER_UTF8 && a->tag != MM_DER_PRINTABLE &&
	    a->tag != MM_DER_IA5) || !mm_lint_matches(l, eq + 1, a->value))
		return false;
	memcpy(name, item, n);
	name[n] = '\0';
	for (size_t i = 0; i < MM_COUNT(attributes); i++)
		if (strcmp(attributes[i].name, name) == 0)
			return mm_der_oid_is(a->oid, attributes[i].oid);
	return mm_der_oid_is(a->oid, name);
}

/* see lint.h */
bool
mm_lint_subject(const struct mm_lint *l, mm_lint_says_fn *says)
{
	struct mm_name_rd r = mm_name_over(l->c.subject);
	struct mm_attribute a;
	size_t n = 0;

	while (mm_name_next(&r, &a)) {
		if (n == l->p->subject.n ||
		    !says(l, l->p->subject.item[n], &a))
			return false;
		n++;
	}
	return n > 0 && n == l->p->subject.n && mm_rd_end(&r.rdns);
}

static bool
subject_exact(const struct mm_lint *l)
{
	return mm_lint_subject(l, attribute_holds);
}

/* RFC 1034 3.5, RFC 1123 2.1: labels of letters, digits and hyphens */
static bool
label_ok(struct mm_bytes v)
{
	for (size_t i = 0; i < v.n; i++) {
		uint8_t c = v.p[i], low = c | 0x20;

		if (!((low >= 'a' && low <= 'z') || (c >= '0' && c <= '9') ||
		    (c == '-' && i > 0 && i + 1 < v.n)))
			return false;
	}
	return v.n >= 1 && v.n <= 63;
}

static bool
dns_ok(struct mm_bytes v)
{
	size_t start = 0;

	for (size_t i = 0; i <= v.n; i++)
		if (i == v.n || v.p[i] == '.') {
			if (!label_ok((struct mm_bytes){ v.p + start,
			    i - start }))
				return false;
			start = i + 1;
		}
	return v.n <= 253;
}

/* RFC 3986 3: scheme ":" and something, in its alphabet */
static bool
uri_ok(struct mm_bytes v)
{
	const uint8_t *colon = memchr(v.p, ':', v.n);

	if (colon == NULL || colon == v.p || colon + 1 == v.p + v.n)
		return false;
	for (size_t i = 0; i < v.n; i++)
		if (v.p[i] <= 0x20 || v.p[i] >= 0x7f ||
		    strchr("\"<>\\^`{|}", v.p[i]) != NULL)
			return false;
	return (v.p[0] | 0x20) >= 'a' && (v.p[0] | 0x20) <= 'z';
}

static bool
alternative_holds(const struct mm_lint *l, const char *item, struct mm_rd *r)
{
	bool dns = strncmp(item, "DNS:", 4) == 0;
	struct mm_bytes v = mm_der_take(r, dns ? MM_DER_CTX(2) : MM_DER_CTX(6));

	return !r->bad && v.n > 0 && (dns ? dns_ok(v) : uri_ok(v)) &&
	    mm_lint_matches(l, item + 4, v);
}

/* RFC 4108 5 */
static bool
hw_name_holds(const struct mm_lint *l, struct mm_rd *r)
{
	struct mm_rd other = mm_rd_over(mm_der_take(r, MM_DER_CTXC(0)));
	struct mm_bytes id = mm_der_take(&other, MM_DER_OID);
	struct mm_rd value = mm_rd_over(mm_der_take(&other, MM_DER_CTXC(0)));
	struct mm_rd seq = mm_rd_over(mm_der_take(&value, MM_DER_SEQ));
	struct mm_bytes type = mm_der_take(&seq, MM_DER_OID);
	struct mm_bytes serial = mm_der_take(&seq, MM_DER_OCTETS);

	return !r->bad && mm_rd_end(&other) && mm_rd_end(&value) &&
	    mm_rd_end(&seq) && mm_der_oid_is(id, "1.3.6.1.5.5.7.8.4") &&
	    mm_der_oid_is(type, l->p->hw_type_oid) &&
	    mm_bytes_eq(serial, mm_bytes_of(l->f->device));
}

static bool
alternatives_exact(const struct mm_lint *l)
{
	bool want_hw = l->p->hw_type_oid[0] != '\0';
	struct mm_bytes value = { NULL, 0 };
	struct mm_rd outer, r;

	if (l->p->san.n == 0 && !want_hw)
		return mm_lint_extension(l, "2.5.29.17") == NULL;
	if (!mm_lint_value(l, "2.5.29.17", false, &value))
		return false;
	outer = mm_rd_over(value);
	r = mm_rd_over(mm_der_take(&outer, MM_DER_SEQ));
	for (size_t i = 0; i < l->p->san.n; i++)
		if (!alternative_holds(l, l->p->san.item[i], &r))
			return false;
	if (want_hw && !hw_name_holds(l, &r))
		return false;
	return mm_rd_end(&outer) && mm_rd_end(&r);
}

/* see lint.h */
bool
mm_lint_alternative_known(const struct mm_lint *l, struct mm_rd *r)
{
	struct mm_bytes body, whole;
	uint8_t tag;

	if (!mm_der_any(r, &tag, &body, &whole))
		return false;
	for (size_t i = 0; i < l->p->san.n; i++) {
		struct mm_rd one = mm_rd_over(whole);

		if (alternative_holds(l, l->p->san.item[i], &one))
			return true;
	}
	if (l->p->hw_type_oid[0] != '\0') {
		struct mm_rd one = mm_rd_over(whole);

		return hw_name_holds(l, &one);
	}
	return false;
}

/* see lint.h */
const struct mm_lint_rule mm_lint_name_rules[] = {
	{ "RFC 5280 4.1.2.6: subject is the profile's", subject_exact },
	{ "RFC 5280 4.2.1.6: alternative names are the profile's",
	    alternatives_exact },
};
const size_t mm_lint_name_nrules = MM_COUNT(mm_lint_name_rules);
