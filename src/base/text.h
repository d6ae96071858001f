#ifndef MM_BASE_TEXT_H
#define MM_BASE_TEXT_H

#include "base/buf.h"
#include "base/bytes.h"
#include "base/err.h"

/*
 * Text forms of bytes, and the syntax of names that cross every boundary.
 * Encoders append to a buffer; decoders refuse what an encoder cannot print,
 * except where a function says that it is lenient.
 */

void mm_hex_put(struct mm_buf *b, struct mm_bytes v); /* lower case */
/* Writes 2n digits and a NUL into out, which holds 2n + 1. */
void mm_hex_text(const uint8_t *p, size_t n, char *out);
/* Exactly n bytes from 2n hex digits, either case. */
MM_MUST enum mm_err mm_hex_parse(const char *s, size_t slen, uint8_t *out,
    size_t n, struct mm_why *why);

/*
 * RFC 4648 4.  wrap: digits in a line, a multiple of 4; every line, the last
 * too, then ends with LF.  0: one run of digits without any line break.
 */
void mm_base64_put(struct mm_buf *b, struct mm_bytes v, unsigned wrap);
/*
 * Lenient in white space (space, tab, CR, LF anywhere, RFC 8951 3.1) and
 * strict in all else: alphabet, padding at the end, zero leftover bits.
 */
MM_MUST enum mm_err mm_base64_parse(struct mm_bytes text, struct mm_buf *out,
    struct mm_why *why);
void mm_base64url_put(struct mm_buf *b, struct mm_bytes v); /* no padding */
MM_MUST enum mm_err mm_base64url_parse(struct mm_bytes text,
    struct mm_buf *out, struct mm_why *why);

/*
 * Crockford base32, most significant bit first; the last digit is padded
 * with zero bits, which parse checks.  Parsing folds case and reads O as 0,
 * I and L as 1.  n bytes take (8n + 4) / 5 digits.
 */
void mm_base32_text(const uint8_t *p, size_t n, char *out); /* + NUL */
MM_MUST enum mm_err mm_base32_parse(const char *s, size_t slen, uint8_t *out,
    size_t n, struct mm_why *why);

bool mm_utf8_valid(struct mm_bytes text);

/* device_id: 1 to 64 of [A-Za-z0-9._-], not of dots only. */
#define MM_DEVICE_ID_MAX 64
bool mm_device_id_valid(const char *s);
/* Names of products, profiles, labels, issuers: 1 to 32 of [a-z0-9._-],
 * not of dots only. */
#define MM_NAME_MAX 32
bool mm_name_valid(const char *s);

/* Bounded copy; false (and out = "") if it does not fit or holds a NUL. */
MM_MUST bool mm_text_copy(char *out, size_t outn, struct mm_bytes v);

/* Decimal, whole, "-" allowed; no plus, no leading zero, no space. */
MM_MUST enum mm_err mm_int_parse(const char *s, int64_t *out,
    struct mm_why *why);

/* "90s", "15m", "72h", "30d", "2y" or seconds; whole numbers only. */
MM_MUST enum mm_err mm_duration_parse(const char *s, int64_t *seconds,
    struct mm_why *why);

#endif
