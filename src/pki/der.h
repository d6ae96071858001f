#ifndef MM_PKI_DER_H
#define MM_PKI_DER_H

#include "base/buf.h"
#include "base/bytes.h"

/*
 * DER (X.690): a strict, non-recursive reader and a writer.
 *
 * The reader accepts definite, minimal lengths and single-byte tags only.
 * Failure sticks in the struct mm_rd, as everywhere.
 */
enum mm_der_tag {
	MM_DER_BOOLEAN = 0x01, MM_DER_INTEGER = 0x02, MM_DER_BITS = 0x03,
	MM_DER_OCTETS = 0x04, MM_DER_NULL = 0x05, MM_DER_OID = 0x06,
	MM_DER_ENUM = 0x0a, MM_DER_UTF8 = 0x0c, MM_DER_PRINTABLE = 0x13,
	MM_DER_IA5 = 0x16, MM_DER_UTCTIME = 0x17, MM_DER_GENTIME = 0x18,
	MM_DER_SEQ = 0x30, MM_DER_SET = 0x31,
};
#define MM_DER_CTX(n)  (0x80 | (n)) /* context-specific, primitive */
#define MM_DER_CTXC(n) (0xa0 | (n)) /* context-specific, constructed */

/* The next element's contents if it has this tag; else r->bad. */
struct mm_bytes mm_der_take(struct mm_rd *r, uint8_t tag);
/* The same, whole: tag, length and contents. */
struct mm_bytes mm_der_take_whole(struct mm_rd *r, uint8_t tag);
/* Any element: its tag, contents and whole. */
bool mm_der_any(struct mm_rd *r, uint8_t *tag, struct mm_bytes *body,
    struct mm_bytes *whole);
/* Whether the next tag is this one; reads nothing. */
bool mm_der_peek(const struct mm_rd *r, uint8_t tag);
/* INTEGER 0..UINT32_MAX; minimal. */
uint32_t mm_der_take_uint(struct mm_rd *r);
/* UTCTime or GeneralizedTime with Z and seconds, to seconds since 1970. */
int64_t mm_der_take_time(struct mm_rd *r);

/* Writer: open gives a mark, close writes the length there. */
size_t mm_der_open(struct mm_buf *b, uint8_t tag);
void mm_der_close(struct mm_buf *b, size_t mark);
void mm_der_put(struct mm_buf *b, uint8_t tag, struct mm_bytes body);
void mm_der_put_uint(struct mm_buf *b, uint64_t v);
/* A positive INTEGER from big-endian bytes (leading zeros dropped, one added
 * where the top bit is set). */
void mm_der_put_integer(struct mm_buf *b, struct mm_bytes magnitude);
void mm_der_put_bits(struct mm_buf *b, struct mm_bytes body, unsigned unused);
/* Dotted text, "1.3.6.1.5.5.7.3.2"; bad text makes b bad. */
void mm_der_put_oid(struct mm_buf *b, const char *dotted);
/* UTCTime up to 2049, then GeneralizedTime (RFC 5280 4.1.2.5). */
void mm_der_put_time(struct mm_buf *b, int64_t at_s);
/* GeneralizedTime in any year (RFC 6960 4.2.2.1). */
void mm_der_put_gentime(struct mm_buf *b, int64_t at_s);
bool mm_der_oid_is(struct mm_bytes body, const char *dotted);

#endif
