#include "pki/der.h"

#include <string.h>

#include "base/time.h"
#include "pki/priv.h"

/* Longest OID contents that we write or compare with. */

/* see der.h */
size_t
mm_der_open(struct mm_buf *b, uint8_t tag)
{
	mm_buf_u8(b, tag);
	mm_buf_u8(b, 0); /* most lengths fit: close makes room for others */
	return b->n;
}

static unsigned
length_bytes(size_t n)
{
	unsigned k = 0;

	if (n >= 0x80)
		for (size_t v = n; v != 0; v >>= 8)
			k++;
	return k;
}

/* see der.h */
void
mm_der_close(struct mm_buf *b, size_t mark)
{
	size_t n = b->n - mark;
	unsigned more = length_bytes(n);

	if (b->err != MM_OK)
		return;
	if (more == 0) {
		b->p[mark - 1] = (uint8_t)n;
		return;
	}
	if (mm_buf_room(b, more) == NULL)
		return;
	memmove(b->p + mark + more, b->p + mark, n);
	b->p[mark - 1] = (uint8_t)(0x80 | more);
	for (unsigned i = 0; i < more; i++)
		b->p[mark + i] = (uint8_t)(n >> (8 * (more - 1 - i)));
}

/* see der.h */
void
mm_der_put(struct mm_buf *b, uint8_t tag, struct mm_bytes body)
{
	size_t mark = mm_der_open(b, tag);

	mm_buf_bytes(b, body);
	mm_der_close(b, mark);
}

/* see der.h */
void
mm_der_put_uint(struct mm_buf *b, uint64_t v)
{
	uint8_t be[8];

	for (unsigned i = 0; i < 8; i++)
		be[i] = (uint8_t)(v >> (8 * (7 - i)));
	mm_der_put_integer(b, (struct mm_bytes){ be, sizeof(be) });
}

/* see der.h */
void
mm_der_put_integer(struct mm_buf *b, struct mm_bytes m)
{
	size_t mark = mm_der_open(b, MM_DER_INTEGER);

	while (m.n > 0 && m.p[0] == 0) {
		m.p++;
		m.n--;
	}
	if (m.n == 0 || m.p[0] >= 0x80)
		mm_buf_u8(b, 0);
	mm_buf_bytes(b, m);
	mm_der_close(b, mark);
}

/* see der.h */
void
mm_der_put_bits(struct mm_buf *b, struct mm_bytes body, unsigned unused)
{
	size_t mark = mm_der_open(b, MM_DER_BITS);

	mm_buf_u8(b, (uint8_t)unused);
	mm_buf_bytes(b, body);
	mm_der_close(b, mark);
}

/* One arc: decimal without leading zeros, at most 2^32 - 1. */
static bool
arc(const char **s, uint32_t *out)
{
	const char *p = *s;
	uint64_t v = 0;

	if (*p < '0' || *p > '9' || (*p == '0' && p[1] >= '0' && p[1] <= '9'))
		return false;
	for (; *p >= '0' && *p <= '9'; p++) {
		v = v * 10 + (uint64_t)(*p - '0');
		if (v > UINT32_MAX)
			return false;
	}
	*out = (uint32_t)v;
	*s = p;
	return true;
}

static bool
put_arc(uint8_t out[MM_OID_MAX], size_t *n, uint64_t v)
{
	unsigned k = 1;

	for (uint64_t rest = v >> 7; rest != 0; rest >>= 7)
		k++;
	if (*n + k > MM_OID_MAX)
		return false;
	while (k-- > 0)
		out[(*n)++] = (uint8_t)((v >> (7 * k) & 0x7f) |
		    (k > 0 ? 0x80 : 0));
	return true;
}

/* see priv.h; X.690 8.19 */
size_t
mm_der_oid_encode(const char *s, uint8_t out[MM_OID_MAX])
{
	uint32_t a, b;
	size_t n = 0;

	if (!arc(&s, &a) || a > 2 || *s++ != '.' || !arc(&s, &b) ||
	    (a < 2 && b > 39) || !put_arc(out, &n, (uint64_t)a * 40 + b))
		return 0;
	while (*s == '.') {
		s++;
		if (!arc(&s, &b) || !put_arc(out, &n, b))
			return 0;
	}
	return *s == '\0' ? n : 0;
}

/* see der.h */
void
mm_der_put_oid(struct mm_buf *b, const char *dotted)
{
	uint8_t body[MM_OID_MAX];
	size_t n = mm_der_oid_encode(dotted, body);

	if (n == 0 && b->err == MM_OK)
		b->err = MM_EINPUT;
	mm_der_put(b, MM_DER_OID, (struct mm_bytes){ body, n });
}

/* see priv.h */
bool
mm_der_oid_valid(const char *dotted)
{
	uint8_t body[MM_OID_MAX];

	return mm_der_oid_encode(dotted, body) != 0;
}

/* see der.h */
bool
mm_der_oid_is(struct mm_bytes body, const char *dotted)
{
	uint8_t want[MM_OID_MAX];
	size_t n = mm_der_oid_encode(dotted, want);

	return n != 0 && n == body.n && memcmp(want, body.p, n) == 0;
}

static void
two(char *p, int v)
{
	p[0] = (char)('0' + v / 10 % 10);
	p[1] = (char)('0' + v % 10);
}

/* YYYYMMDDHHMMSSZ */
static void
time_digits(int64_t at_s, char t[15])
{
	struct mm_civil c = mm_time_civil(at_s);

	two(t, c.year / 100);
	two(t + 2, c.year);
	two(t + 4, c.month);
	two(t + 6, c.day);
	two(t + 8, c.hour);
	two(t + 10, c.minute);
	two(t + 12, c.second);
	t[14] = 'Z';
}

/* see der.h */
void
mm_der_put_gentime(struct mm_buf *b, int64_t at_s)
{
	char t[15];

	time_digits(at_s, t);
	mm_der_put(b, MM_DER_GENTIME,
	    (struct mm_bytes){ (const uint8_t *)t, sizeof(t) });
}

/* see der.h */
void
mm_der_put_time(struct mm_buf *b, int64_t at_s)
{
	int year = mm_time_civil(at_s).year;
	char t[15];

	time_digits(at_s, t);
	if (year >= 1950 && year < 2050)
		mm_der_put(b, MM_DER_UTCTIME,
		    (struct mm_bytes){ (const uint8_t *)t + 2, 13 });
	else
		mm_der_put_gentime(b, at_s);
}
