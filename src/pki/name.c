#include <string.h>

#include "pki/priv.h"

/* What a certificate may hold at most of extensions. */
#define EXTENSIONS_MAX 64

/* see priv.h */
bool
mm_alg_ok(struct mm_bytes alg)
{
	struct mm_rd outer = mm_rd_over(alg);
	struct mm_rd r = mm_rd_over(mm_der_take(&outer, MM_DER_SEQ));
	struct mm_bytes oid = mm_der_take(&r, MM_DER_OID), body, whole;
	uint8_t tag;

	if (!mm_rd_end(&outer) || r.bad || !mm_der_oid_ok(oid))
		return false;
	if (r.left > 0 && (!mm_der_any(&r, &tag, &body, &whole) ||
	    !mm_der_value_ok(tag, body)))
		return false;
	return mm_rd_end(&r);
}

/* see priv.h */
struct mm_name_rd
mm_name_over(struct mm_bytes name)
{
	struct mm_rd outer = mm_rd_over(name);
	struct mm_name_rd r = {
		.rdns = mm_rd_over(mm_der_take(&outer, MM_DER_SEQ)),
	};

	r.rdns.bad = !mm_rd_end(&outer);
	return r;
}

/* X.501: strings a reader can show; RFC 5280 4.1.2.4. */
static bool
string_ok(uint8_t tag, struct mm_bytes v)
{
	static const uint8_t tags[] = { MM_DER_UTF8, MM_DER_PRINTABLE,
		MM_DER_IA5, MM_DER_NUMERIC, MM_DER_T61, MM_DER_BMP };

	return memchr(tags, tag, sizeof(tags)) != NULL &&
	    mm_der_value_ok(tag, v);
}

/* see priv.h */
bool
mm_name_next(struct mm_name_rd *r, struct mm_attribute *out)
{
	struct mm_bytes body, whole;
	struct mm_rd a;

	if (r->set.left == 0 && !r->set.bad) {
		if (r->rdns.bad || r->rdns.left == 0)
			return false;
		r->set = mm_rd_over(mm_der_take(&r->rdns, MM_DER_SET));
	}
	a = mm_rd_over(mm_der_take(&r->set, MM_DER_SEQ));
	out->oid = mm_der_take(&a, MM_DER_OID);
	if (r->set.bad || !mm_der_any(&a, &out->tag, &body, &whole) ||
	    !mm_rd_end(&a) || !mm_der_oid_ok(out->oid) ||
	    !string_ok(out->tag, body)) {
		r->rdns.bad = true;
		return false;
	}
	out->value = body;
	return true;
}

/* see priv.h */
bool
mm_name_ok(struct mm_bytes name)
{
	struct mm_name_rd r = mm_name_over(name);
	struct mm_attribute a;

	while (mm_name_next(&r, &a))
		continue;
	return mm_rd_end(&r.rdns);
}

/* see cert.h */
bool
mm_name_attribute(struct mm_bytes name, const char *oid, char *out,
    size_t outn)
{
	struct mm_name_rd r = mm_name_over(name);
	struct mm_attribute a;

	out[0] = '\0';
	while (mm_name_next(&r, &a))
		if (mm_der_oid_is(a.oid, oid))
			return a.tag != MM_DER_BMP &&
			    mm_utf8_valid(a.value) &&
			    mm_text_copy(out, outn, a.value);
	return false;
}

static const struct {
	const char *oid, *name;
} short_names[] = {
	{ "2.5.4.3", "CN" },
	{ "2.5.4.5", "serialNumber" },
	{ "2.5.4.6", "C" },
	{ "2.5.4.7", "L" },
	{ "2.5.4.8", "ST" },
	{ "2.5.4.10", "O" },
	{ "2.5.4.11", "OU" },
	{ "0.9.2342.19200300.100.1.25", "DC" },
};

/* see priv.h */
void
mm_oid_text(struct mm_bytes oid, struct mm_buf *out)
{
	uint64_t v = 0;
	bool first = true;

	for (size_t i = 0; i < oid.n && v >> 56 == 0; i++) {
		v = v << 7 | (oid.p[i] & 0x7f);
		if (oid.p[i] & 0x80)
			continue;
		if (first) {
			uint64_t top = v < 80 ? v / 40 : 2;

			mm_buf_printf(out, "%u.%llu", (unsigned)top,
			    (unsigned long long)(v - top * 40));
		} else {
			mm_buf_printf(out, ".%llu", (unsigned long long)v);
		}
		first = false;
		v = 0;
	}
}

static void
put_type(struct mm_bytes oid, struct mm_buf *out)
{
	for (size_t i = 0; i < MM_COUNT(short_names); i++)
		if (mm_der_oid_is(oid, short_names[i].oid)) {
			mm_buf_text(out, short_names[i].name);
			return;
		}
	mm_oid_text(oid, out);
}

/* RFC 4514 2.4, and control characters escaped: the text goes to screens. */
static void
put_value(const struct mm_attribute *a, struct mm_buf *out)
{
	bool text = a->tag != MM_DER_BMP && mm_utf8_valid(a->value);

	for (size_t i = 0; i < a->value.n; i++) {
		uint8_t c = a->value.p[i];

		if (c < 0x20 || c == 0x7f || (c >= 0x80 && !text)) {
			mm_buf_printf(out, "\\%02X", c);
			continue;
		}
		if (strchr(",+\"\\<>;=", c) != NULL)
			mm_buf_u8(out, '\\');
		mm_buf_u8(out, c);
	}
}

/* see cert.h */
void
mm_name_text(struct mm_bytes name, struct mm_buf *out)
{
	struct mm_name_rd r = mm_name_over(name);
	struct mm_attribute a;
	bool first = true;

	while (mm_name_next(&r, &a)) {
		if (!first)
			mm_buf_u8(out, ',');
		put_type(a.oid, out);
		mm_buf_u8(out, '=');
		put_value(&a, out);
		first = false;
	}
}

/* see priv.h; RFC 5280 4.1: Extension */
bool
mm_extension_next(struct mm_rd *r, struct mm_extension *out)
{
	struct mm_rd e;
	struct mm_bytes flag;

	if (r->bad || r->left == 0)
		return false;
	e = mm_rd_over(mm_der_take(r, MM_DER_SEQ));
	out->oid = mm_der_take(&e, MM_DER_OID);
	out->critical = mm_der_peek(&e, MM_DER_BOOLEAN);
	if (out->critical) {
		flag = mm_der_take(&e, MM_DER_BOOLEAN);
		/* X.690 11.1 and 11.5: TRUE is FF, FALSE is the default */
		if (flag.n != 1 || flag.p[0] != 0xff)
			e.bad = true;
	}
	out->value = mm_der_take(&e, MM_DER_OCTETS);
	if (r->bad || !mm_rd_end(&e) || !mm_der_oid_ok(out->oid)) {
		r->bad = true;
		return false;
	}
	return true;
}

/* see priv.h */
bool
mm_extensions_ok(struct mm_bytes extensions)
{
	struct mm_bytes seen[EXTENSIONS_MAX];
	struct mm_rd r = mm_rd_over(extensions);
	struct mm_extension e;
	size_t n = 0;

	while (mm_extension_next(&r, &e)) {
		for (size_t i = 0; i < n; i++)
			if (mm_bytes_eq(seen[i], e.oid))
				return false;
		if (n == EXTENSIONS_MAX)
			return false;
		seen[n++] = e.oid;
	}
	return mm_rd_end(&r) && n > 0;
}
