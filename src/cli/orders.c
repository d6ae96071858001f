#include "cli/orders.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/grow.h"
#include "base/own.h"
#include "base/text.h"
#include "base/time.h"
#include "ledger/note.h"
#include "pki/key.h"
#include "work/order.h"

#define YOUNG_MS 15000
#define BATCH    "batch:"

static enum mm_err
add(struct mm_orders *s, const struct mm_order_seen *seen, struct mm_why *why)
{
	struct mm_order_seen *p = mm_grown(s->at, s->n, &s->cap, sizeof(*p));

	if (p == NULL)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	s->at = p;
	s->at[s->n++] = *seen;
	return MM_OK;
}

static void
name(struct mm_order_seen *s, const char *station, const char *batch)
{
	(void)!mm_text_copy(s->station, sizeof(s->station),
	    mm_bytes_of(station));
	(void)!mm_text_copy(s->batch, sizeof(s->batch), mm_bytes_of(batch));
}

/* see orders.h */
enum mm_err
mm_orders_line(struct mm_orders *s, const struct mm_journal_line *l,
    int64_t began_ms, struct mm_why *why)
{
	struct mm_order_seen seen = { .number = l->number,
		.extension = l->kind == MM_J_EXTENSION,
		.young = l->at_ms > began_ms - YOUNG_MS &&
		    l->at_ms < mm_now_ms() + YOUNG_MS };
	bool of_batch = strncmp(l->authority, BATCH, strlen(BATCH)) == 0;

	if (l->kind != MM_J_ORDER && l->kind != MM_J_EXTENSION)
		return MM_OK;
	name(&seen, l->device, of_batch ? l->authority + strlen(BATCH) : "");
	memcpy(seen.tbs, l->tbs_sha256, sizeof(seen.tbs));
	return add(s, &seen, why);
}

/* see orders.h */
enum mm_err
mm_orders_entry(struct mm_orders *s, const struct mm_entry *e, bool later,
    struct mm_why *why)
{
	struct mm_order_seen seen = { .later = later,
		.extension = e->type == MM_E_ORDER_EXTENDED };
	int64_t number;

	if (e->type != MM_E_ORDER_SIGNED && e->type != MM_E_ORDER_EXTENDED)
		return MM_OK;
	MM_TRY(mm_int_parse(e->field[MM_F_NUMBER], &number, why));
	MM_TRY(mm_hex_parse(e->field[MM_F_DETAIL_SHA256], 64, seen.tbs, 32,
	    why));
	seen.number = (uint64_t)number;
	name(&seen, e->field[MM_F_STATION], e->field[MM_F_BATCH]);
	return add(s, &seen, why);
}

/* ---- the database ---- */

struct reading {
	struct mm_orders *s;
	json_t *differences;
};

MM_FREE_FN(json_free, json_t, json_decref)

static bool
read_order(const struct mm_doc *d, struct mm_order_seen *out)
{
	MM_OWN(json_free) json_t *v = json_loadb((const char *)d->body.p,
	    d->body.n, JSON_DECODE_ANY, NULL);
	MM_OWN(mm_work_order_free) struct mm_work_order *o = NULL;
	struct mm_bytes note = { (const uint8_t *)json_string_value(v),
		json_string_length(v) }, text;
	char id[MM_DOC_ID_MAX + 1];

	if (!json_is_string(v) || mm_note_text(note, &text, NULL) != MM_OK ||
	    mm_work_order_parse(text, &o, NULL) != MM_OK)
		return false;
	*out = (struct mm_order_seen){ .number = (uint64_t)o->number };
	name(out, o->station, o->batch);
	mm_sha256(text, out->tbs);
	snprintf(id, sizeof(id), "%s/%s", o->station, o->batch);
	return strcmp(id, d->id) == 0;
}

static enum mm_err
one_order(void *ctx, const void *row, const char *next, struct mm_why *why)
{
	struct reading *r = ctx;
	const struct mm_doc *d = row;
	struct mm_order_seen seen;
	char record[MM_DOC_ID_MAX + 16];

	(void)next;
	if (read_order(d, &seen))
		return add(r->s, &seen, why);
	snprintf(record, sizeof(record), "order of %s", d->id);
	mm_differ(r->differences, record, "is none in the database");
	return MM_OK;
}

/* see orders.h */
enum mm_err
mm_orders_stored(struct mm_orders *s, struct mm_store_reader *db,
    json_t *differences, struct mm_why *why)
{
	struct reading r = { .s = s, .differences = differences };

	return mm_each_doc(db, MM_DOC_ORDER, "", one_order, &r, why);
}

/* ---- comparing ---- */

static int
order(const void *a_, const void *b_)
{
	const struct mm_order_seen *a = a_, *b = b_;
	int c = a->extension - b->extension;

	if (c == 0)
		c = strcmp(a->station, b->station);
	if (c == 0)
		c = strcmp(a->batch, b->batch);
	if (c == 0 && a->number != b->number)
		c = a->number < b->number ? -1 : 1;
	return c != 0 ? c : memcmp(a->tbs, b->tbs, sizeof(a->tbs));
}

static const struct mm_order_seen *
find(const struct mm_orders *s, const struct mm_order_seen *key)
{
	return s->n == 0 ? NULL :
	    bsearch(key, s->at, s->n, sizeof(s->at[0]), order);
}

static void
differ(json_t *differences, const struct mm_order_seen *o, const char *what)
{
	char record[160];

	snprintf(record, sizeof(record), "%sorder %llu of station %s, batch "
	    "%s", o->extension ? "extension of " : "",
	    (unsigned long long)o->number, o->station, o->batch);
	mm_differ(differences, record, what);
}

static bool
are_of_one(const struct mm_order_seen *a, const struct mm_order_seen *b)
{
	return a->extension == b->extension &&
	       strcmp(a->station, b->station) == 0 &&
	       strcmp(a->batch, b->batch) == 0;
}

/* The first that is not before it. */
static size_t
lower(const struct mm_orders *s, const struct mm_order_seen *key)
{
	size_t from = 0, to = s->n;

	while (from < to) {
		size_t mid = from + (to - from) / 2;

		if (order(&s->at[mid], key) < 0)
			from = mid + 1;
		else
			to = mid;
	}
	return from;
}

/* The database keeps the newest for each station and batch: one that was
 * signed, for what was entered only may never have been. */
static void
look_for_newest(const struct mm_orders *journal, const struct mm_orders *store,
    json_t *differences)
{
	for (size_t i = 0; i < journal->n; i++) {
		const struct mm_order_seen *o = &journal->at[i];
		const struct mm_order_seen *next =
		    i + 1 < journal->n ? o + 1 : NULL;
		struct mm_order_seen first = *o;
		size_t at;

		if (o->extension || o->young ||
		    (next != NULL && are_of_one(o, next) && !next->young))
			continue;
		memset(first.tbs, 0, sizeof(first.tbs));
		at = lower(store, &first);
		if (at == store->n || !are_of_one(o, &store->at[at]))
			differ(differences, o, "the newest, not in the database");
	}
}

/* see orders.h */
void
mm_orders_compare(struct mm_orders of[MM_OF_RECORDS], bool torn,
    json_t *differences, struct mm_waiting *waiting)
{
	const struct mm_orders *journal = &of[MM_OF_JOURNAL];
	const struct mm_orders *store = &of[MM_OF_STORE];

	for (int i = 0; i < MM_OF_RECORDS; i++)
		if (of[i].n != 0)
			qsort(of[i].at, of[i].n, sizeof(of[i].at[0]), order);
	for (size_t i = 0; i < journal->n; i++) {
		const struct mm_order_seen *o = &journal->at[i];

		if (find(&of[MM_OF_LEDGER], o) != NULL)
			continue;
		if (o->young)
			waiting->in_flight++;
		else
			differ(differences, o, "not in the ledger");
	}
	for (size_t i = 0; i < store->n; i++) {
		const struct mm_order_seen *o = &store->at[i];
		const struct mm_order_seen *entry =
		    find(&of[MM_OF_LEDGER], o);

		if (entry == NULL)
			differ(differences, o,
			    "in the database, not in the ledger");
		if (find(journal, o) == NULL && !torn &&
		    (entry == NULL || !entry->later))
			differ(differences, o,
			    "in the database, not in the journal");
	}
	look_for_newest(journal, store, differences);
}

/* see orders.h */
void
mm_orders_done(struct mm_orders *s)
{
	free(s->at);
	*s = (struct mm_orders){ 0 };
}
