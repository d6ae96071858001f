#include "pki/priv.h"

#define OID_DATA        "1.2.840.113549.1.7.1"
#define OID_SIGNED_DATA "1.2.840.113549.1.7.2"

/* see cert.h; RFC 5652 5.1, degenerate as in RFC 7030 4.1.3 */
void
mm_pkcs7_certs(struct mm_buf *out, const struct mm_bytes *der, size_t n)
{
	const struct mm_bytes none = { NULL, 0 };
	size_t content = mm_der_open(out, MM_DER_SEQ), wrap, data, inner, certs;

	mm_der_put_oid(out, OID_SIGNED_DATA);
	wrap = mm_der_open(out, MM_DER_CTXC(0));
	data = mm_der_open(out, MM_DER_SEQ);
	mm_der_put_uint(out, 1);
	mm_der_put(out, MM_DER_SET, none);
	inner = mm_der_open(out, MM_DER_SEQ);
	mm_der_put_oid(out, OID_DATA);
	mm_der_close(out, inner);
	certs = mm_der_open(out, MM_DER_CTXC(0));
	for (size_t i = 0; i < n; i++)
		mm_buf_bytes(out, der[i]);
	mm_der_close(out, certs);
	mm_der_put(out, MM_DER_SET, none);
	mm_der_close(out, data);
	mm_der_close(out, wrap);
	mm_der_close(out, content);
}

/*
 * X.690 8.1.3: around the certificates, which are DER, some servers write
 * BER: lengths that are not the shortest, or none at all (indefinite), where
 * the end is marked.
 */
static uint8_t
ber_head(struct mm_rd *r, size_t *n, bool *marked)
{
	uint8_t tag = mm_rd_u8(r), first = mm_rd_u8(r);
	unsigned octets = first & 0x7f;

	*marked = first == 0x80;
	*n = first < 0x80 ? first : 0;
	if ((tag & 0x1f) == 0x1f || (first > 0x80 && octets > 4) ||
	    (*marked && (tag & 0x20) == 0))
		r->bad = true;
	while (first > 0x80 && octets-- > 0 && !r->bad)
		*n = *n << 8 | mm_rd_u8(r);
	return tag;
}

/* 8.1.5: as many ends as were begun. */
static struct mm_bytes
ber_until_end(struct mm_rd *r)
{
	const uint8_t *from = r->p, *end = from;
	size_t depth = 1, n;
	bool marked;

	while (depth > 0 && !r->bad) {
		uint8_t tag;

		end = r->p;
		tag = ber_head(r, &n, &marked);
		if (tag == 0 && n == 0 && !marked)
			depth--;
		else if (marked)
			depth++;
		else
			(void)mm_rd_take(r, n);
	}
	return (struct mm_bytes){ from, r->bad ? 0 : (size_t)(end - from) };
}

static struct mm_bytes
ber_take(struct mm_rd *r, uint8_t tag)
{
	bool marked;
	size_t n;

	if (ber_head(r, &n, &marked) != tag)
		r->bad = true;
	return marked ? ber_until_end(r) : mm_rd_take(r, n);
}

/* The certificates field's contents; bad if this is not certs-only. */
static struct mm_rd
open_certs(struct mm_bytes p7)
{
	struct mm_rd outer = mm_rd_over(p7), content, wrap, data, certs;
	bool ok;

	content = mm_rd_over(ber_take(&outer, MM_DER_SEQ));
	ok = mm_der_oid_is(mm_der_take(&content, MM_DER_OID), OID_SIGNED_DATA);
	wrap = mm_rd_over(ber_take(&content, MM_DER_CTXC(0)));
	data = mm_rd_over(ber_take(&wrap, MM_DER_SEQ));
	ok = mm_der_take_uint(&data) <= 5 && ok;
	(void)ber_take(&data, MM_DER_SET); /* digestAlgorithms */
	(void)ber_take(&data, MM_DER_SEQ); /* encapContentInfo */
	certs = mm_rd_over(ber_take(&data, MM_DER_CTXC(0)));
	if (mm_der_peek(&data, MM_DER_CTXC(1)))
		(void)ber_take(&data, MM_DER_CTXC(1)); /* crls */
	(void)ber_take(&data, MM_DER_SET); /* signerInfos */
	certs.bad = !ok || !mm_rd_end(&outer) || !mm_rd_end(&content) ||
	    !mm_rd_end(&wrap) || !mm_rd_end(&data);
	return certs;
}

/* see cert.h */
enum mm_err
mm_pkcs7_walk(struct mm_bytes p7, struct mm_bytes *der, size_t most,
    size_t *n, struct mm_why *why)
{
	struct mm_rd r = open_certs(p7), count = r;
	size_t have = 0;

	while (!count.bad && count.left > 0) {
		mm_der_take(&count, MM_DER_SEQ);
		have++;
	}
	if (count.bad)
		return MM_FAIL(why, MM_EINPUT,
		    "pkcs7: RFC 5652 5.1: not a certs-only SignedData");
	if (have > most)
		return MM_FAIL(why, MM_ELIMIT,
		    "pkcs7: %zu certificates, at most %zu", have, most);
	for (size_t i = 0; i < have; i++)
		der[i] = mm_der_take_whole(&r, MM_DER_SEQ);
	*n = have;
	return MM_OK;
}
