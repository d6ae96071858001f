#ifndef MM_STORE_LIST_KEY_H
#define MM_STORE_LIST_KEY_H

#include "store/backend.h"

/*
 * Where a page of certificates or tokens begins.  The key of a row is its id
 * or serial, in a list by expiry "notAfter-serial".
 */
struct mm_list_key {
	bool by_expiry, first; /* first: from the start of the list */
	int64_t at, end;       /* of notAfter: the key's, and before which */
	uint8_t serial[16];    /* certificates; a token's is the text itself */
};

/* MM_EINPUT: not a key of this list. */
enum mm_err mm_list_key_parse(enum mm_list_kind kind, const struct mm_list *l,
    struct mm_list_key *out, struct mm_why *why);
enum mm_err mm_list_key_none(struct mm_why *why);
/* row: a struct mm_cert_row, or mm_token_row. */
void mm_list_key_text(enum mm_list_kind kind, bool by_expiry, const void *row,
    char out[MM_AUTHORITY_TEXT]);

#endif
