#ifndef MM_WORK_PRIV_H
#define MM_WORK_PRIV_H

#include "work/order.h"

#define MM_WORK_FIRST_LINE "mintmark-order/1\n"
#define MM_COUNT(a)        (sizeof(a) / sizeof((a)[0]))

/* One field of an order's JSON, for the encoder and the parser alike. */
enum mm_work_kind {
	MM_WF_NAME, /* char[], mm_name_valid */
	MM_WF_TEXT, /* char[] of n, checked elsewhere */
	MM_WF_INT,  /* int64_t, least to most */
	MM_WF_WORD, /* int, one of words */
	MM_WF_TIME, /* int64_t, milliseconds */
	MM_WF_HASH, /* uint8_t[n], hexadecimal */
	MM_WF_BLOB, /* struct mm_bytes, base64 */
};
struct mm_work_field {
	const char *key;
	enum mm_work_kind kind;
	bool may; /* left out while zero or empty */
	size_t at, n; /* in struct mm_work_order; bytes, or words */
	int64_t least, most;
	const char *const *words;
};
extern const struct mm_work_field mm_work_fields[];
extern const size_t mm_work_fields_n;

/* Bounds of the lists, and what must not be said together. */
MM_MUST enum mm_err mm_work_order_check(const struct mm_work_order *o,
    struct mm_why *why);
bool mm_work_is_zero(const uint8_t *p, size_t n);

#endif
