#include "store/list_key.h"

#include <stdio.h>
#include <string.h>

enum mm_err
mm_list_key_none(struct mm_why *why)
{
	return MM_FAIL(why, MM_EINPUT, "list: not a key of this list");
}

/* Which order, and what times it begins and ends with. */
static enum mm_err
key_order(enum mm_list_kind kind, const struct mm_list *l,
    struct mm_list_key *out, struct mm_why *why)
{
	bool expiry = l->expires_from_s != 0 || l->expires_to_s != 0;

	if (l->newest_first && (l->device == NULL || expiry ||
	    l->issued_to != 0 || l->spki_sha256 != NULL))
		return MM_FAIL(why, MM_EINPUT, "list: the newest first is of "
		    "one device, and not by a time or a key");
	out->end = INT64_MAX;
	if (kind != MM_LIST_CERTS || (!expiry && l->issued_to == 0))
		return MM_OK;
	if (l->issued_to != 0 && (expiry || l->state != MM_CERT_ISSUED))
		return MM_FAIL(why, MM_EINPUT, "list: by time of issue only "
		    "in state issued, and not by expiry");
	out->order = expiry ? MM_ORDER_EXPIRY : MM_ORDER_ISSUE;
	out->at = l->expires_from_s;
	if (l->issued_to != 0 || l->expires_to_s != 0)
		out->end = expiry ? l->expires_to_s : l->issued_to;
	return MM_OK;
}

/* see list_key.h */
enum mm_err
mm_list_key_parse(enum mm_list_kind kind, const struct mm_list *l,
    struct mm_list_key *out, struct mm_why *why)
{
	const char *text = l->after, *dash = strrchr(text, '-');
	char number[24] = "0";

	memset(out, 0, sizeof(*out));
	MM_TRY(key_order(kind, l, out, why));
	out->first = text[0] == '\0';
	if (out->first || kind != MM_LIST_CERTS)
		return MM_OK;
	if (out->order != MM_ORDER_ROW) {
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
int64_t
mm_list_key_time(enum mm_list_order order, const struct mm_cert_row *row)
{
	return order == MM_ORDER_EXPIRY ? row->not_after_s :
	    order == MM_ORDER_ISSUE ? row->issued_at : 0;
}

/* see list_key.h */
void
mm_list_key_text(enum mm_list_kind kind, enum mm_list_order order,
    const void *row, char out[MM_AUTHORITY_TEXT])
{
	const struct mm_cert_row *cert = row;
	char serial[33];

	if (kind == MM_LIST_TOKENS) {
		snprintf(out, MM_AUTHORITY_TEXT, "%s",
		    ((const struct mm_token_row *)row)->id);
		return;
	}
	mm_hex_text(cert->serial, sizeof(cert->serial), serial);
	if (order != MM_ORDER_ROW)
		snprintf(out, MM_AUTHORITY_TEXT, "%lld-%s",
		    (long long)mm_list_key_time(order, cert), serial);
	else
		snprintf(out, MM_AUTHORITY_TEXT, "%s", serial);
}
