#ifndef MM_STORE_LIST_KEY_H
#define MM_STORE_LIST_KEY_H

#include "store/backend.h"

/* That of storing; or by notAfter, or by the time of issue, and then that. */
enum mm_list_order { MM_ORDER_ROW, MM_ORDER_EXPIRY, MM_ORDER_ISSUE };

/*
 * Where a page of certificates or tokens begins.  The key of a row is its id
 * or serial, in a list by a time "time-serial".
 */
struct mm_list_key {
	enum mm_list_order order;
	bool first;         /* from the start of the list */
	int64_t at, end;    /* of the times: the key's, and before which */
	uint8_t serial[16]; /* certificates; a token's is the text itself */
};

/* MM_EINPUT: not a key of this list, or no list that can be given. */
enum mm_err mm_list_key_parse(enum mm_list_kind kind, const struct mm_list *l,
    struct mm_list_key *out, struct mm_why *why);
enum mm_err mm_list_key_none(struct mm_why *why);
/* Where a certificate stands in the order: its time, or 0. */
int64_t mm_list_key_time(enum mm_list_order order,
    const struct mm_cert_row *row);
/* row: a struct mm_cert_row, or mm_token_row. */
void mm_list_key_text(enum mm_list_kind kind, enum mm_list_order order,
    const void *row, char out[MM_AUTHORITY_TEXT]);

#endif
