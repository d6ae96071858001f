#include "pki/der.h"

#include <string.h>

#include "base/time.h"
#include "pki/priv.h"

/* X.690 8.1.3: definite; 10.1: as short as can be. */
static bool
take_length(struct mm_rd *r, size_t *n)
{
	uint8_t first = mm_rd_u8(r);
	size_t v = 0;

	if (first < 0x80) {
		*n = first;
		return !r->bad;
	}
	if (first == 0x80 || first > 0x84)
		return false;
	for (unsigned i = 0; i < (first & 0x7fU); i++)
		v = v << 8 | mm_rd_u8(r);
	if (r->bad || v < 0x80)
		return false;
	*n = v;
	return first == 0x81 || v >> (8 * ((first & 0x7fU) - 1)) != 0;
}

/* see der.h */
bool
mm_der_any(struct mm_rd *r, uint8_t *tag, struct mm_bytes *body,
    struct mm_bytes *whole)
{
	const uint8_t *start = r->p;
	uint8_t t = mm_rd_u8(r);
	size_t n = 0;

	/* X.690 8.1.2.4: tags above 30 go on in further bytes; we have none */
	if (r->bad || (t & 0x1f) == 0x1f || !take_length(r, &n)) {
		r->bad = true;
		return false;
	}
	*body = mm_rd_take(r, n);
	if (r->bad)
		return false;
	*tag = t;
	*whole = (struct mm_bytes){ start, (size_t)(r->p - start) };
	return true;
}

/* see der.h */
bool
mm_der_peek(const struct mm_rd *r, uint8_t tag)
{
	return !r->bad && r->left > 0 && r->p[0] == tag;
}

static struct mm_bytes
take(struct mm_rd *r, uint8_t tag, bool want_whole)
{
	struct mm_bytes body = { NULL, 0 }, whole = { NULL, 0 };
	uint8_t got;

	if (!mm_der_peek(r, tag)) {
		r->bad = true;
		return body;
	}
	if (!mm_der_any(r, &got, &body, &whole))
		return (struct mm_bytes){ NULL, 0 };
	return want_whole ? whole : body;
}

/* see der.h */
struct mm_bytes
mm_der_take(struct mm_rd *r, uint8_t tag)
{
	return take(r, tag, false);
}

/* see der.h */
struct mm_bytes
mm_der_take_whole(struct mm_rd *r, uint8_t tag)
{
	return take(r, tag, true);
}

/* X.690 8.3.2: not empty, and not nine equal bits at the front. */
static bool
integer_ok(struct mm_bytes v)
{
	if (v.n == 0)
		return false;
	return v.n == 1 || !((v.p[0] == 0 && v.p[1] < 0x80) ||
	    (v.p[0] == 0xff && v.p[1] >= 0x80));
}

/* see priv.h */
bool
mm_der_natural_ok(struct mm_bytes v)
{
	return integer_ok(v) && v.p[0] < 0x80;
}

/* see der.h */
uint32_t
mm_der_take_uint(struct mm_rd *r)
{
	struct mm_bytes v = mm_der_take(r, MM_DER_INTEGER);
	uint64_t out = 0;

	if (r->bad || !mm_der_natural_ok(v) || v.n > 5) {
		r->bad = true;
		return 0;
	}
	for (size_t i = 0; i < v.n; i++)
		out = out << 8 | v.p[i];
	if (out > UINT32_MAX)
		r->bad = true;
	return r->bad ? 0 : (uint32_t)out;
}

static bool
digits(const uint8_t *p, size_t n, int *out)
{
	int v = 0;

	for (size_t i = 0; i < n; i++) {
		if (p[i] < '0' || p[i] > '9')
			return false;
		v = v * 10 + (p[i] - '0');
	}
	*out = v;
	return true;
}

/* MMDDHHMMSSZ after the year */
static bool
civil_rest(const uint8_t *p, struct mm_civil *c)
{
	struct mm_civil again;

	if (!digits(p, 2, &c->month) || !digits(p + 2, 2, &c->day) ||
	    !digits(p + 4, 2, &c->hour) || !digits(p + 6, 2, &c->minute) ||
	    !digits(p + 8, 2, &c->second) || p[10] != 'Z')
		return false;
	if (c->month < 1 || c->month > 12 || c->day < 1 || c->day > 31 ||
	    c->hour > 23 || c->minute > 59 || c->second > 59)
		return false;
	again = mm_time_civil(mm_time_from_civil(*c));
	return again.month == c->month && again.day == c->day;
}

/* see der.h; RFC 5280 4.1.2.5.1 and .2 */
int64_t
mm_der_take_time(struct mm_rd *r)
{
	struct mm_civil c = { 0 };
	struct mm_bytes body, whole;
	uint8_t tag;
	bool ok = false;

	if (!mm_der_any(r, &tag, &body, &whole))
		return 0;
	if (tag == MM_DER_UTCTIME && body.n == 13) {
		ok = digits(body.p, 2, &c.year);
		c.year += c.year < 50 ? 2000 : 1900;
		ok = ok && civil_rest(body.p + 2, &c);
	} else if (tag == MM_DER_GENTIME && body.n == 15) {
		ok = digits(body.p, 4, &c.year) && c.year > 0 &&
		    civil_rest(body.p + 4, &c);
	}
	if (!ok) {
		r->bad = true;
		return 0;
	}
	return mm_time_from_civil(c);
}

/* see priv.h */
bool
mm_der_oid_ok(struct mm_bytes v)
{
	bool first = true; /* of a subidentifier */

	if (v.n == 0)
		return false;
	for (size_t i = 0; i < v.n; i++) {
		if (first && v.p[i] == 0x80)
			return false;
		first = (v.p[i] & 0x80) == 0;
	}
	return first;
}

static bool
bits_ok(struct mm_bytes v)
{
	if (v.n == 0 || v.p[0] > 7)
		return false;
	return v.n > 1 ? (v.p[v.n - 1] & ((1U << v.p[0]) - 1)) == 0 :
			 v.p[0] == 0;
}

/* UCS-2: whole characters, no surrogates. */
static bool
bmp_ok(struct mm_bytes v)
{
	for (size_t i = 0; i + 1 < v.n; i += 2)
		if (v.p[i] >= 0xd8 && v.p[i] <= 0xdf)
			return false;
	return v.n % 2 == 0;
}

static bool
ascii_ok(struct mm_bytes v)
{
	for (size_t i = 0; i < v.n; i++)
		if (v.p[i] >= 0x80)
			return false;
	return true;
}

static bool
boolean_ok(struct mm_bytes v)
{
	return v.n == 1 && (v.p[0] == 0 || v.p[0] == 0xff);
}

static bool
null_ok(struct mm_bytes v)
{
	return v.n == 0;
}

static bool
any_ok(struct mm_bytes v)
{
	(void)v;
	return true;
}

static const struct {
	uint8_t tag;
	bool (*ok)(struct mm_bytes v);
} universal[] = {
	{ MM_DER_BOOLEAN, boolean_ok },
	{ MM_DER_INTEGER, integer_ok },
	{ MM_DER_BITS, bits_ok },
	{ MM_DER_OCTETS, any_ok },
	{ MM_DER_NULL, null_ok },
	{ MM_DER_OID, mm_der_oid_ok },
	{ MM_DER_ENUM, integer_ok },
	{ MM_DER_UTF8, mm_utf8_valid },
	{ MM_DER_NUMERIC, ascii_ok },
	{ MM_DER_PRINTABLE, ascii_ok },
	{ MM_DER_T61, any_ok },
	{ MM_DER_IA5, ascii_ok },
	{ MM_DER_BMP, bmp_ok },
	{ MM_DER_SEQ, any_ok },
	{ MM_DER_SET, any_ok },
};

/* see priv.h */
bool
mm_der_value_ok(uint8_t tag, struct mm_bytes body)
{
	for (size_t i = 0; i < MM_COUNT(universal); i++)
		if (universal[i].tag == tag)
			return universal[i].ok(body);
	return false;
}
