#include "store/list_key.h"

#include <stdio.h>
#include <string.h>

enum mm_err
mm_list_key_none(struct mm_why *why)
{
	return MM_FAIL(why, MM_EINPUT, "list: not a key of this list");
}

/* see list_key.h */
enum mm_err
mm_list_key_parse(enum mm_list_kind kind, const struct mm_list *l,
    struct mm_list_key *out, struct mm_why *why)
{
	const char *text = l->after, *dash = strrchr(text, '-');
	char number[24] = "0";

	memset(out, 0, sizeof(*out));
	out->by_expiry = kind == MM_LIST_CERTS &&
	    (l->expires_from_s != 0 || l->expires_to_s != 0);
	out->at = out->by_expiry ? l->expires_from_s : 0;
	out->end = out->by_expiry && l->expires_to_s != 0 ?
	    l->expires_to_s : INT64_MAX;
	out->first = text[0] == '\0';
	if (out->first || kind != MM_LIST_CERTS)
		return MM_OK;
	if (out->by_expiry) {
		if (dash == NULL || !mm_text_copy(number, sizeof(number),
		    (struct mm_bytes){ (const uint8_t *)text,
			(size_t)(dash - text) }))
			return mm_list_key_none(why);
		MM_TRY(mm_int_parse(number, &out->at, why));
		text = dash + 1;
	}
	return mm_hex_parse(text, strlen(text), out->serial, 16, why);
}

/* see list_key.h */
void
mm_list_key_text(enum mm_list_kind kind, bool by_expiry, const void *row,
    char out[MM_AUTHORITY_TEXT])
{
	const struct mm_cert_row *cert = row;
	char serial[33];

	if (kind == MM_LIST_TOKENS) {
		snprintf(out, MM_AUTHORITY_TEXT, "%s",
		    ((const struct mm_token_row *)row)->id);
		return;
	}
	mm_hex_text(cert->serial, sizeof(cert->serial), serial);
	if (by_expiry)
		snprintf(out, MM_AUTHORITY_TEXT, "%lld-%s",
		    (long long)cert->not_after_s, serial);
	else
		snprintf(out, MM_AUTHORITY_TEXT, "%s", serial);
}
