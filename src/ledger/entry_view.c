#include "ledger/entry.h"

/*
 * A walk over a canonical entry: {"key":value,...} without space, a value
 * being a text or a number.  No copy and no allocation: a feed looks at every
 * entry and wants a few of its fields.
 */

/* A text's inside; *at is behind its first quote, then behind its last. */
static struct mm_bytes
text_at(struct mm_bytes json, size_t *at)
{
	size_t begin = *at;

	while (*at < json.n && json.p[*at] != '"')
		*at += json.p[*at] == '\\' ? 2 : 1;
	if (*at >= json.n) {
		*at = json.n;
		return (struct mm_bytes){ 0 };
	}
	return (struct mm_bytes){ json.p + begin, (*at)++ - begin };
}

static struct mm_bytes
value_at(struct mm_bytes json, size_t *at)
{
	size_t begin = *at;

	if (*at < json.n && json.p[*at] == '"') {
		(*at)++;
		return text_at(json, at);
	}
	while (*at < json.n && json.p[*at] != ',' && json.p[*at] != '}')
		(*at)++;
	return (struct mm_bytes){ json.p + begin, *at - begin };
}

/* see entry.h */
void
mm_entry_look(struct mm_bytes json, struct mm_entry_view *out)
{
	const struct {
		const char *name;
		struct mm_bytes *to;
	} rows[] = {
		{ "type", &out->type }, { "at", &out->at },
		{ "device", &out->device }, { "product", &out->product },
		{ "batch", &out->batch }, { "token", &out->token }, { "serial", &out->serial },
		{ "issuer", &out->issuer }, { "key", &out->key },
		{ "size", &out->size }, { "shards", &out->shards },
	};
	size_t at = 1;

	*out = (struct mm_entry_view){ 0 };
	while (at < json.n && json.p[at] == '"') {
		struct mm_bytes key, value;

		at++;
		key = text_at(json, &at);
		if (at >= json.n || json.p[at] != ':')
			return;
		at++;
		value = value_at(json, &at);
		for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
			if (mm_bytes_eq(key, mm_bytes_of(rows[i].name)))
				*rows[i].to = value;
		at++; /* the comma, or the end */
	}
}
