#include "cli/fact.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "base/text.h"
#include "cli/marks.h"
#include "pki/key.h"

/* Facts, found by a hash of kind and id, and how they are named. */

/* see fact.h */
const struct mm_fact_kind_of mm_fact_kinds[MM_FACT_KINDS] = {
	[MM_FACT_PRODUCT] = { .name = "product",
	    .id = MM_F_PRODUCT,
	    .told = { { MM_F_PROFILE, "profile" } },
	    .ntold = 1,
	    .made = "created",
	    .version = "version" },
	[MM_FACT_DEVICE] = { .name = "device",
	    .id = MM_F_DEVICE,
	    .told = { { MM_F_PRODUCT, "product" },
		{ MM_F_DETAIL_SHA256, "attributes" } },
	    .ntold = 2,
	    .made = "created",
	    .who = "key",
	    .version = "newest entry" },
	[MM_FACT_TOKEN] = { .name = "token",
	    .id = MM_F_TOKEN,
	    .told = { { MM_F_DEVICE, "device" }, { MM_F_PRODUCT, "product" },
		{ MM_F_PROFILE, "profile" }, { MM_F_EXPIRES, "end" } },
	    .ntold = 4,
	    .made = "created",
	    .who = "key" },
	/* device, issuer, profile, key and end: marks.c */
	[MM_FACT_CERT] = { .name = "certificate",
	    .id = MM_F_SERIAL,
	    .told = { { MM_F_AUTHORITY, "authority" },
		{ MM_F_PRODUCT, "product" }, { MM_F_CERT_SHA256, "hash" },
		{ MM_F_NOT_BEFORE, "beginning" },
		{ MM_F_KEY_ORIGIN, "origin of its key" },
		{ MM_F_PREDECESSOR, "predecessor" } },
	    .ntold = 6,
	    .made = "issued",
	    .confirmed = "confirmed",
	    .ended = "revoked",
	    .version = "entry",
	    .reason = "reason" },
	[MM_FACT_OPERATOR] = { .name = "operator",
	    .id = MM_F_KEY,
	    .told = { { MM_F_ROLE, "roles" }, { MM_F_SCOPE, "scope" },
		{ MM_F_EXPIRES, "end" } },
	    .ntold = 3,
	    .made = "created",
	    .ended = "revoked",
	    .who = "key",
	    .reason = "kind",
	    .before = "name or description" },
	[MM_FACT_SCHEMA] = { .name = "schema of product",
	    .id = MM_F_PRODUCT,
	    .told = { { MM_F_DETAIL_SHA256, "text" } },
	    .ntold = 1,
	    .version = "version" },
	[MM_FACT_WEBHOOK] = { .name = "webhook",
	    .id = MM_F_WEBHOOK,
	    .made = "created",
	    .confirmed = "rotated",
	    .version = "version",
	    .reason = "secret",
	    .before = "epoch" },
	[MM_FACT_APPROVAL] = { .name = "approval",
	    .id = MM_F_APPROVAL,
	    .told = { { MM_F_ACTION, "action" },
		{ MM_F_REQUESTER, "requester" },
		{ MM_F_DETAIL_SHA256, "request" }, { MM_F_EXPIRES, "end" } },
	    .ntold = 4,
	    .made = "requested",
	    .confirmed = "decided",
	    .who = "decider",
	    .version = "version" },
	[MM_FACT_SECRET] = { .name = "secret",
	    .id = MM_F_WEBHOOK,
	    .confirmed = "rotated",
	    .version = "version",
	    .reason = "secret" },
	[MM_FACT_PROFILE] = { .name = "profile",
	    .id = MM_F_PROFILE,
	    .told = { { MM_F_PROFILE_SHA256, "hash" } },
	    .ntold = 1 },
	[MM_FACT_ISSUER] = { .name = "issuer",
	    .id = MM_F_ISSUER,
	    .told = { { MM_F_CERT_SHA256, "certificate" } },
	    .ntold = 1 },
	[MM_FACT_BATCH] = { .name = "batch",
	    .id = MM_F_BATCH,
	    .told = { { MM_F_PRODUCT, "product" }, { MM_F_COUNT, "quota" },
		{ MM_F_NOT_AFTER, "end" }, { MM_F_DETAIL_SHA256, "plan" } },
	    .ntold = 4,
	    .made = "created",
	    .version = "version" },
	[MM_FACT_STATION] = { .name = "station",
	    .id = MM_F_STATION,
	    .told = { { MM_F_KEY, "credential" },
		{ MM_F_ORIGIN, "ledger key" } },
	    .ntold = 2,
	    .made = "created",
	    .who = "newest order",
	    .version = "version" },
	[MM_FACT_SYNC] = { .name = "ledger of station",
	    .id = MM_F_STATION,
	    .more = { MM_F_ORIGIN },
	    .nmore = 1,
	    .told = { { MM_F_SIZE, "size" }, { MM_F_DETAIL_SHA256, "root" } },
	    .ntold = 2 },
	[MM_FACT_LINE] = { .name = "line",
	    .id = MM_F_ISSUER,
	    .who = "station and batch" },
	[MM_FACT_QUARANTINE] = { .name = "quarantined unit",
	    .id = MM_F_STATION,
	    .more = { MM_F_NUMBER, MM_F_SERIAL, MM_F_DEVICE, MM_F_REASON,
		MM_F_ORIGIN },
	    .nmore = 5,
	    .told = { { MM_F_CERT_SHA256, "certificate" } },
	    .ntold = 1,
	    .who = "decision" },
	[MM_FACT_GROUP] = { .name = "group",
	    .id = MM_F_GROUP,
	    .told = { { MM_F_PRODUCT, "product" }, { MM_F_COUNT, "quota" },
		{ MM_F_NOT_AFTER, "end" }, { MM_F_DETAIL_SHA256, "plan" } },
	    .ntold = 4,
	    .made = "created",
	    .version = "version" },
	[MM_FACT_DEVCONF] = { .name = "configuration of",
	    .id = MM_F_SCOPE,
	    .told = { { MM_F_PRODUCT, "product" },
		{ MM_F_DETAIL_SHA256, "text" } },
	    .ntold = 2,
	    .version = "version" },
	[MM_FACT_GIVEN] = { .name = "configuration given to",
	    .id = MM_F_DEVICE,
	    .told = { { MM_F_CONFIG_VERSION, "version" },
		{ MM_F_CONFIG_SHA256, "document" } },
	    .ntold = 2 },
};

/* see fact.h */
const char *
mm_fact_state_name(enum mm_fact_kind kind, unsigned state)
{
	static const char *const others[MM_FACT_KINDS][5] = {
		[MM_FACT_DEVICE] = { "active", "retired" },
		[MM_FACT_OPERATOR] = { "good", "revoked", "renewed" },
		[MM_FACT_WEBHOOK] = { "active", "paused", "disabled" },
		[MM_FACT_APPROVAL] = { "waiting", "approved", "refused",
		    "expired", "used" },
		[MM_FACT_BATCH] = { "open", "paused", "closed" },
		[MM_FACT_GROUP] = { "open", "paused", "closed" },
		[MM_FACT_STATION] = { "active", "removed" },
		[MM_FACT_QUARANTINE] = { "waiting", "accepted", "rejected",
		    "being accepted" },
		[MM_FACT_DEVCONF] = { "set", "removed" },
	};

	if (kind == MM_FACT_CERT && state < MM_CERT_STATES)
		return mm_cert_state_name((enum mm_cert_state)state);
	if (kind == MM_FACT_TOKEN && state == MM_FACT_THAWED)
		return "thawed";
	if (kind == MM_FACT_TOKEN && state < MM_TOKEN_STATES)
		return mm_token_state_name((enum mm_token_state)state);
	return state < 5 && others[kind][state] != NULL ? others[kind][state]
							: "in no known state";
}

/* see facts.h */
enum mm_err
mm_facts_new(
    const struct mm_facts_of *of, struct mm_facts **out, struct mm_why *why)
{
	struct mm_facts *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	s->of = *of;
	s->last_type = MM_ENTRY_TYPE_COUNT;
	*out = s;
	return MM_OK;
}

/* see facts.h */
void
mm_facts_free(struct mm_facts **owner)
{
	struct mm_facts *s = *owner;

	*owner = NULL;
	if (s == NULL)
		return;
	free(s->fact);
	free(s->place);
	free(s);
}

/* A device's id is one whatever its case. */
static void
key_of(enum mm_fact_kind kind, const char *id, uint8_t key[16])
{
	char text[MM_FACT_ID_MAX + 16];
	uint8_t hash[32];
	int n = snprintf(text, sizeof(text), "%d:%s", (int)kind, id);

	for (int i = 0; (kind == MM_FACT_DEVICE || kind == MM_FACT_GIVEN) &&
	     i < n && text[i] != '\0'; i++)
		text[i] = (char)tolower((unsigned char)text[i]);
	mm_sha256(mm_bytes_of(text), hash);
	memcpy(key, hash, 16);
}

/* Where it is, or the empty place where it would be. */
static uint32_t *
place_of(const struct mm_facts *s, const uint8_t key[16])
{
	uint32_t at;

	memcpy(&at, key, sizeof(at));
	for (at &= s->nplaces - 1; s->place[at] != 0;
	     at = (at + 1) & (s->nplaces - 1))
		if (memcmp(s->fact[s->place[at] - 1].key, key, 16) == 0)
			break;
	return &s->place[at];
}

/* see fact.h */
struct mm_fact *
mm_fact_find(const struct mm_facts *s, enum mm_fact_kind kind, const char *id)
{
	struct mm_fact *f;
	uint8_t key[16];

	if (s->n == 0 || id == NULL)
		return NULL;
	key_of(kind, id, key);
	f = mm_fact_at(s, *place_of(s, key));
	return f == NULL || f->gone ? NULL : f;
}

/* Room for one more, at most half of the places taken. */
static enum mm_err
grow(struct mm_facts *s, struct mm_why *why)
{
	uint32_t cap = s->cap != 0 ? 2 * s->cap : 1024;
	struct mm_fact *f;
	uint32_t *place;

	if (s->n < s->cap)
		return MM_OK;
	if (cap > UINT32_MAX / 4)
		return MM_FAIL(why, MM_ELIMIT, "too many records");
	f = reallocarray(s->fact, cap, sizeof(*f));
	if (f != NULL)
		s->fact = f;
	place = f != NULL ? calloc(2 * (size_t)cap, sizeof(*place)) : NULL;
	if (place == NULL)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	free(s->place);
	s->place = place;
	s->cap = cap;
	s->nplaces = 2 * cap;
	for (uint32_t i = 0; i < s->n; i++)
		*place_of(s, s->fact[i].key) = i + 1;
	return MM_OK;
}

/* see fact.h */
enum mm_err
mm_fact_make(struct mm_facts *s, enum mm_fact_kind kind, const char *id,
    uint64_t index, struct mm_fact **out, struct mm_why *why)
{
	uint8_t key[16];
	struct mm_fact *f;
	uint32_t *place;

	MM_TRY(grow(s, why));
	key_of(kind, id, key);
	place = place_of(s, key);
	if (*place == 0)
		*place = ++s->n;
	else if (!s->fact[*place - 1].gone) {
		*out = &s->fact[*place - 1];
		return MM_OK;
	}
	f = &s->fact[*place - 1];
	*f = (struct mm_fact){ .kind = (uint8_t)kind, .entry = index };
	memcpy(f->key, key, 16);
	mm_fact_hash(NULL, f->who);
	*out = f;
	return MM_OK;
}

/* ---- texts ---- */

/* see fact.h */
void
mm_fact_hash(const char *text, uint8_t out[8])
{
	uint8_t hash[32];

	mm_sha256(mm_bytes_of(text != NULL ? text : ""), hash);
	memcpy(out, hash, 8);
}

/* see fact.h */
uint32_t
mm_fact_name(const char *name)
{
	uint8_t hash[8];
	uint32_t v;

	mm_fact_hash(name, hash);
	memcpy(&v, hash, sizeof(v));
	return v;
}

/* see fact.h; in no text there is a separator */
void
mm_fact_texts(enum mm_fact_kind kind, const char *const text[MM_FACT_TOLD],
    uint8_t out[8])
{
	MM_OWN(mm_buf_done) struct mm_buf all = MM_BUF_INIT(MM_ENTRY_MAX);
	uint8_t hash[32];

	for (unsigned i = 0; i < mm_fact_kinds[kind].ntold; i++) {
		mm_buf_text(&all, text[i] != NULL ? text[i] : "");
		mm_buf_text(&all, "\x1f");
	}
	mm_sha256(mm_buf_view(&all), hash);
	memcpy(out, hash, 8);
}

/* see fact.h; nobody looked whether an orphan's predecessor is there */
void
mm_fact_told(enum mm_fact_kind kind, const struct mm_entry *e,
    const char *text[MM_FACT_TOLD])
{
	const struct mm_fact_kind_of *k = &mm_fact_kinds[kind];

	for (unsigned i = 0; i < k->ntold; i++) {
		text[i] = e->field[k->told[i].field];
		if (k->told[i].field == MM_F_PREDECESSOR &&
		    e->type == MM_E_SIG_ORPHANED)
			text[i] = NULL;
	}
}

/* see fact.h */
const char *
mm_fact_id(
    enum mm_fact_kind kind, const struct mm_entry *e, char out[MM_FACT_ID_MAX])
{
	const struct mm_fact_kind_of *k = &mm_fact_kinds[kind];
	const char *id = e->field[k->id];
	size_t n;

	if (id == NULL || k->nmore == 0)
		return id;
	snprintf(out, MM_FACT_ID_MAX, "%s", id);
	for (unsigned i = 0; i < k->nmore; i++) {
		const char *v = e->field[k->more[i]];

		n = strlen(out);
		snprintf(
		    out + n, MM_FACT_ID_MAX - n, "/%s", v != NULL ? v : "");
	}
	return out;
}

/* see fact.h; splitmix64's finish, so that sums of few do not meet */
uint64_t
mm_fact_mix(uint64_t index)
{
	uint64_t z = index + 0x9e3779b97f4a7c15U;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9U;
	z = (z ^ z >> 27) * 0x94d049bb133111ebU;
	return z ^ z >> 31;
}

/* see fact.h */
enum mm_err
mm_fact_reread(struct mm_facts *s, const struct mm_fact *f, struct mm_entry *e,
    struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf json = MM_BUF_INIT(MM_ENTRY_MAX);

	MM_TRY(mm_get_entry(s->of.db, f->entry, &json, why));
	return mm_entry_parse(
	    mm_buf_view(&json), s->arena, sizeof(s->arena), e, why);
}

/* see fact.h */
void
mm_fact_differ(struct mm_facts *s, enum mm_fact_kind kind, const char *id,
    const char *what)
{
	char record[MM_FACT_ID_MAX + 32];

	snprintf(record, sizeof(record), "%s %s", mm_fact_kinds[kind].name, id);
	mm_differ(s->of.differences, record, what);
}
