#include "cli/fact.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "base/text.h"
#include "base/time.h"
#include "pki/key.h"
#include "work/order.h"

/* What the database's rows say, in the words of the ledger's entries. */

MM_FREE_FN(json_free, json_t, json_decref)

/* NULL where all is zero. */
static const char *
hex_of(const uint8_t *v, size_t n, char out[65])
{
	for (size_t i = 0; i < n; i++)
		if (v[i] != 0) {
			mm_hex_text(v, n, out);
			return out;
		}
	return NULL;
}

static const char *
hash_of(const char *text, char out[65])
{
	uint8_t hash[32];

	if (text[0] == '\0')
		return NULL;
	mm_sha256(mm_bytes_of(text), hash);
	mm_hex_text(hash, 32, out);
	return out;
}

/* As entries have it of what can be guessed (key.h). */
static const char *
salted_of(const uint8_t salt[MM_SALT_N], struct mm_bytes text, char out[65])
{
	uint8_t hash[32];

	if (text.n == 0)
		return NULL;
	mm_salted_sha256(salt, text, hash);
	mm_hex_text(hash, 32, out);
	return out;
}

static const char *
time_of(int64_t at_ms, char out[65])
{
	if (at_ms == 0)
		return NULL;
	mm_time_text(at_ms, out);
	return out;
}

static void
key_says(struct mm_said *s, const uint8_t spki[32])
{
	char hex[65];

	mm_fact_hash(hex_of(spki, 32, hex), s->who);
}

/* ---- rows ---- */

static void
product_says(const void *row, struct mm_said *s)
{
	const struct mm_product *p = row;

	s->id = p->name;
	s->text[0] = p->ldevid_profile;
	s->made_ms = p->created_at;
	s->version = p->version;
}

static void
device_says(const void *row, struct mm_said *s)
{
	const struct mm_device *d = row;

	s->id = d->id;
	s->state = d->state;
	s->made_ms = d->created_at;
	s->version = d->version;
	key_says(s, d->bound_spki);
	s->text[0] = d->product;
	s->text[1] = salted_of(d->salt, mm_bytes_of(d->attributes), s->own[0]);
}

static void
token_says(const void *row, struct mm_said *s)
{
	const struct mm_token_row *t = row;

	s->id = t->id;
	s->state = t->state;
	s->made_ms = t->created_at;
	key_says(s, t->bound_spki);
	s->text[0] = t->device;
	s->text[1] = t->product;
	s->text[2] = t->profile;
	s->text[3] = time_of(t->expires_at, s->own[0]);
}

/* see fact.h */
void
mm_said_cert(const struct mm_cert_row *c, struct mm_said *s)
{
	*s = (struct mm_said){ .state = c->state,
		.made_ms = c->issued_at,
		.confirmed_ms = c->confirmed_at,
		.ended_ms = c->revoked_at,
		.reason = c->reason,
		.version = c->entry + 1 };
	mm_hex_text(c->serial, 16, s->own[0]);
	s->id = s->own[0];
	s->text[0] = c->authority;
	s->text[1] = c->product;
	s->text[2] = hex_of(c->cert_sha256, 32, s->own[1]);
	if (c->not_before_s != 0) {
		mm_time_text_s(c->not_before_s, s->own[2]);
		s->text[3] = s->own[2];
	}
	s->text[4] = mm_key_origin_name(c->key_origin);
	if (c->state != MM_CERT_ORPHANED)
		s->text[5] = hex_of(c->predecessor, 16, s->own[3]);
	else
		s->made_ms = 0; /* no entry tells */
}

static void
operator_says(const void *row, struct mm_said *s)
{
	static const uint8_t none[32];
	const struct mm_operator *o = row;

	s->id = o->id;
	s->state = o->revoked_at != 0 ? MM_OPERATOR_REVOKED
	    : memcmp(o->next_spki, none, sizeof(none)) != 0
	    ? MM_OPERATOR_RENEWED : MM_OPERATOR_GOOD;
	s->made_ms = o->created_at;
	s->ended_ms = o->revoked_at;
	s->reason = (uint8_t)o->kind;
	s->before = o->name[0] == '\0' && o->description[0] == '\0';
	key_says(s, o->spki_sha256);
	s->text[0] = o->roles;
	s->text[1] = o->scope;
	s->text[2] = time_of(o->expires_at, s->own[0]);
}

/* ---- documents ---- */

static unsigned
state_of(enum mm_fact_kind kind, const char *name)
{
	unsigned i = 0;

	while (i < 5 &&
	       (name == NULL || strcmp(mm_fact_state_name(kind, i), name) != 0))
		i++;
	return i;
}

static const char *
member(const json_t *o, const char *name)
{
	return json_string_value(json_object_get(o, name));
}

static int64_t
number(const json_t *o, const char *name)
{
	return json_integer_value(json_object_get(o, name));
}

/* The text as it was put: what is stored is that, in an envelope. */
static void
schema_says(const json_t *o, struct mm_said *s)
{
	char *text = json_dumps(json_object_get(o, "schema"), JSON_COMPACT);

	s->text[0] = hash_of(text != NULL ? text : "", s->own[0]);
	free(text);
}

static void
webhook_says(const json_t *o, struct mm_said *s)
{
	s->state = state_of(MM_FACT_WEBHOOK, member(o, "state"));
	s->made_ms = number(o, "created");
	s->confirmed_ms = number(o, "rotated");
	s->reason = (uint8_t)number(o, "secret");
	s->before = (uint8_t)number(o, "epoch");
}

static int64_t
time_in(const json_t *o, const char *name)
{
	const char *text = member(o, name);
	int64_t at = 0;

	return text != NULL && mm_time_parse(text, &at, NULL) == MM_OK ? at : 0;
}

static const char *
copy_of(const char *text, char out[65])
{
	snprintf(out, 65, "%s", text != NULL ? text : "");
	return out;
}

/* What is not of that form hashes to nothing that an entry has. */
static void
bytes_in(const json_t *o, const char *name, uint8_t *out, size_t n)
{
	const char *text = member(o, name);

	memset(out, 0, n);
	if (text != NULL)
		(void)!mm_hex_parse(text, strlen(text), out, n, NULL);
}

static void
approval_says(const json_t *o, struct mm_said *s)
{
	const char *decider = member(o, "decider");
	uint8_t request[32], salt[MM_SALT_N];

	bytes_in(o, "request_sha256", request, sizeof(request));
	bytes_in(o, "salt", salt, sizeof(salt));
	s->state = state_of(MM_FACT_APPROVAL, member(o, "state"));
	s->made_ms = time_in(o, "requested");
	s->confirmed_ms = time_in(o, "decided");
	mm_fact_hash(decider, s->who);
	s->text[0] = copy_of(member(o, "action"), s->own[0]);
	s->text[1] = copy_of(member(o, "requester"), s->own[1]);
	s->text[2] = salted_of(
	    salt, (struct mm_bytes){ request, sizeof(request) }, s->own[2]);
	s->text[3] = time_of(time_in(o, "expires"), s->own[3]);
}

/* All that was decided, as it was hashed. */
static void
plan_says(const json_t *plan, struct mm_said *s)
{
	char *text = json_dumps(plan, JSON_COMPACT);
	const json_t *order = json_object_get(plan, "order");
	struct mm_work_order *o = NULL;

	s->text[3] = hash_of(text != NULL ? text : "", s->own[2]);
	free(text);
	snprintf(s->own[1], sizeof(s->own[1]), "%lld",
	    (long long)(number(plan, "quantity") + number(plan, "scrap")));
	s->text[1] = s->own[1];
	if (!json_is_string(order) ||
	    mm_work_order_parse(
		(struct mm_bytes){ (const uint8_t *)json_string_value(order),
		    json_string_length(order) },
		&o, NULL) != MM_OK)
		return;
	s->text[0] = copy_of(o->product, s->own[0]);
	s->text[2] = time_of(o->until_ms, s->own[3]);
	mm_work_order_free(&o);
}

static void
batch_says(const json_t *o, struct mm_said *s)
{
	s->state = state_of(MM_FACT_BATCH, member(o, "state"));
	s->made_ms = time_in(o, "created");
	plan_says(json_object_get(o, "plan"), s);
}

static void
group_says(const json_t *o, struct mm_said *s)
{
	const json_t *plan = json_object_get(o, "plan");
	char *text = json_dumps(plan, JSON_COMPACT);

	s->state = state_of(MM_FACT_GROUP, member(o, "state"));
	s->made_ms = time_in(o, "created");
	s->text[0] = copy_of(member(plan, "product"), s->own[0]);
	snprintf(s->own[1], sizeof(s->own[1]), "%lld",
	    (long long)number(plan, "most"));
	s->text[1] = s->own[1];
	s->text[2] = time_of(time_in(plan, "until"), s->own[3]);
	s->text[3] = hash_of(text != NULL ? text : "", s->own[2]);
	free(text);
}

/* A ledger's key is longer than other texts. */
static const char *
long_of(const char *text, struct mm_said *s)
{
	if (text == NULL)
		return NULL;
	snprintf(s->longer, sizeof(s->longer), "%s", text);
	return s->longer;
}

static void
station_says(const json_t *o, struct mm_said *s)
{
	s->state = state_of(MM_FACT_STATION, member(o, "state"));
	s->made_ms = time_in(o, "created");
	s->text[0] = copy_of(member(o, "key"), s->own[0]);
	s->text[1] = long_of(member(o, "ledger"), s);
	mm_fact_hash(
	    number(o, "number") > 0 ? member(o, "hash") : NULL, s->who);
}

static void
sync_says(const json_t *o, struct mm_said *s)
{
	const char *key = member(o, "key");

	snprintf(s->longer, sizeof(s->longer), "%.*s/%s",
	    (int)strcspn(s->id, "/"), s->id, key != NULL ? key : "");
	snprintf(
	    s->own[0], sizeof(s->own[0]), "%lld", (long long)number(o, "size"));
	s->text[0] = s->own[0];
	s->text[1] = copy_of(member(o, "root"), s->own[1]);
	/* what it signed was seen, and nothing of it is taken yet */
	s->id = number(o, "size") > 0 ? s->longer : NULL;
}

static const char *
text_in(const json_t *o, const char *name)
{
	const char *text = member(o, name);

	return text != NULL ? text : "";
}

/* As the entry has it; words NULL: none. */
static const char *
hash_of_words(const json_t *words, char hex[65])
{
	const char *note = member(words, "note"), *salt = member(words, "salt");
	uint8_t raw[MM_SALT_N], hash[32];

	if (note == NULL || salt == NULL ||
	    mm_hex_parse(salt, strlen(salt), raw, MM_SALT_N, NULL) != MM_OK)
		return NULL;
	mm_salted_sha256(raw, mm_bytes_of(note), hash);
	mm_hex_text(hash, 32, hex);
	return hex;
}

static unsigned
state_of_unit(const json_t *o)
{
	unsigned state = state_of(MM_FACT_QUARANTINE, member(o, "state"));

	return state == MM_UNIT_WAITING &&
		       json_array_size(json_object_get(o, "wishes")) > 0
		   ? MM_UNIT_BEGUN
		   : state;
}

static void
add_wishes(const json_t *list, struct mm_said *s)
{
	const json_t *words;
	char hex[65];
	size_t i;

	json_array_foreach(list, i, words) if (s->nwishes < MM_SAID_WISHES)
	    mm_fact_hash(hash_of_words(words, hex), s->wish[s->nwishes++]);
}

static const char *
hash_of_cert(const json_t *o, char hex[65])
{
	MM_OWN(mm_buf_done) struct mm_buf der = MM_BUF_INIT(MM_DOC_MAX);
	const char *text = member(o, "certificate");
	uint8_t hash[32];

	if (text == NULL)
		return NULL;
	(void)!mm_base64_parse(mm_bytes_of(text), &der, NULL);
	mm_sha256(mm_buf_view(&der), hash);
	mm_hex_text(hash, 32, hex);
	return hex;
}

/* All that its entry says is its id: two at once may have put it aside, under
 * two names of documents. */
static void
quarantine_says(const json_t *o, struct mm_said *s)
{
	char hex[65];

	snprintf(s->longer, sizeof(s->longer), "%.*s/%lld/%s/%s/%s/%s",
	    (int)strcspn(s->id, "/"), s->id, (long long)number(o, "entry"),
	    text_in(o, "serial"), text_in(o, "device"), text_in(o, "reason"),
	    text_in(o, "ledger"));
	s->id = s->longer;
	s->state = (uint8_t)state_of_unit(o);
	mm_fact_hash(
	    hash_of_words(json_object_get(o, "decision"), hex), s->who);
	add_wishes(json_object_get(o, "wishes"), s);
	s->text[0] = hash_of_cert(o, s->own[0]);
}

/* What was decided is the hash of the hashes of its texts. */
static void
devconf_says(const json_t *o, struct mm_said *s)
{
	static const char *const names[] = { "template", "table", "schema" };
	const json_t *now = json_array_get(json_object_get(o, "past"), 0);
	uint8_t hash[32], salt[MM_SALT_N];
	char text[3 * 80] = "", hex[65];

	for (int i = 0; i < 3; i++) {
		size_t n = strlen(text);

		bytes_in(now, names[i], hash, sizeof(hash));
		mm_hex_text(hash, 32, hex);
		snprintf(text + n, sizeof(text) - n, "%s %s\n", names[i],
		    hex);
	}
	s->state = json_is_true(json_object_get(now, "removed"))
	    ? MM_DEVCONF_REMOVED : MM_DEVCONF_SET;
	s->text[0] = copy_of(member(o, "product"), s->own[0]);
	bytes_in(now, "salt", salt, sizeof(salt));
	s->text[1] = salted_of(salt, mm_bytes_of(text), s->own[1]);
}

/* What the entry says of it; before there were salts, its hash. */
static const char *
mark_of(const json_t *o, char out[65])
{
	uint8_t salt[MM_SALT_N], sha256[32];

	if (member(o, "salt") == NULL)
		return copy_of(member(o, "sha256"), out);
	bytes_in(o, "salt", salt, sizeof(salt));
	bytes_in(o, "sha256", sha256, sizeof(sha256));
	return salted_of(salt, (struct mm_bytes){ sha256, sizeof(sha256) },
	    out);
}

static void
given_says(const json_t *o, struct mm_said *s)
{
	snprintf(s->own[0], sizeof(s->own[0]), "%lld",
	    (long long)number(o, "version"));
	s->text[0] = s->own[0];
	s->text[1] = mark_of(o, s->own[1]);
}

static const struct {
	enum mm_doc_kind kind;
	void (*says)(const json_t *o, struct mm_said *s);
} docs[MM_FACT_KINDS] = {
	[MM_FACT_SCHEMA] = { MM_DOC_SCHEMA, schema_says },
	[MM_FACT_WEBHOOK] = { MM_DOC_WEBHOOK, webhook_says },
	[MM_FACT_APPROVAL] = { MM_DOC_APPROVAL, approval_says },
	[MM_FACT_SECRET] = { MM_DOC_SECRET, webhook_says },
	[MM_FACT_BATCH] = { MM_DOC_BATCH, batch_says },
	[MM_FACT_STATION] = { MM_DOC_STATION, station_says },
	[MM_FACT_SYNC] = { MM_DOC_SYNC, sync_says },
	[MM_FACT_QUARANTINE] = { MM_DOC_QUARANTINE, quarantine_says },
	[MM_FACT_GROUP] = { MM_DOC_GROUP, group_says },
	[MM_FACT_DEVCONF] = { MM_DOC_DEVCONF, devconf_says },
	[MM_FACT_GIVEN] = { MM_DOC_GIVEN, given_says },
};

/* A body that is no JSON says nothing, which differs. */
static void
doc_says(enum mm_fact_kind kind, const struct mm_doc *d, struct mm_said *s)
{
	MM_OWN(json_free)
	json_t *o = json_loadb((const char *)d->body.p, d->body.n, 0, NULL);

	s->id = d->id;
	s->version = d->version;
	if (o != NULL)
		docs[kind].says(o, s);
	else
		s->state = UINT8_MAX;
}

/* ---- lists ---- */

struct listing {
	enum mm_fact_kind kind;
	mm_said_fn *fn;
	void *ctx;
	char next[MM_DOC_ID_MAX + 1];
	size_t page;
};

static const struct {
	enum mm_err (*list)(struct mm_store_reader *r, const struct mm_list *l,
	    mm_row_fn *fn, void *ctx, struct mm_why *why);
	void (*says)(const void *row, struct mm_said *s);
} lists[MM_FACT_KINDS] = {
	[MM_FACT_PRODUCT] = { mm_list_products, product_says },
	[MM_FACT_DEVICE] = { mm_list_devices, device_says },
	[MM_FACT_TOKEN] = { mm_list_tokens, token_says },
	[MM_FACT_OPERATOR] = { mm_list_operators, operator_says },
};

/* How far a product's index has come stands beside its schema. */
static bool
is_progress(const struct listing *l, const char *id)
{
	return l->kind == MM_FACT_SCHEMA && strchr(id, '#') != NULL;
}

static enum mm_err
one_row(void *ctx, const void *row, const char *next, struct mm_why *why)
{
	struct listing *l = ctx;
	struct mm_said said = { .id = NULL };

	snprintf(l->next, sizeof(l->next), "%s", next);
	l->page++;
	if (lists[l->kind].says != NULL)
		lists[l->kind].says(row, &said);
	else if (is_progress(l, ((const struct mm_doc *)row)->id))
		return MM_OK;
	else
		doc_says(l->kind, row, &said);
	if (said.id == NULL)
		return MM_OK;
	return l->fn(l->ctx, &said, row, why);
}

static enum mm_err
one_page(struct listing *l, struct mm_store_reader *db,
    const struct mm_list *list, struct mm_why *why)
{
	if (lists[l->kind].list != NULL)
		return lists[l->kind].list(db, list, one_row, l, why);
	return mm_list_docs(db, docs[l->kind].kind, "", list, one_row, l, why);
}

/* see fact.h */
enum mm_err
mm_said_each(struct mm_store_reader *db, enum mm_fact_kind kind, mm_said_fn *fn,
    void *ctx, struct mm_why *why)
{
	struct mm_list list = { .most = 1000, .state = -1 };
	struct listing l = { .kind = kind, .fn = fn, .ctx = ctx };

	do {
		l.page = 0;
		snprintf(list.after, sizeof(list.after), "%s", l.next);
		MM_TRY(one_page(&l, db, &list, why));
	} while (l.page == list.most);
	return MM_OK;
}
