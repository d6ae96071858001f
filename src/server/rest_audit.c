#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "base/text.h"
#include "base/time.h"
#include "ledger/entry.h"
#include "server/event.h"
#include "server/rest.h"

/*
 * Entries of the ledger under filters.  A page looks at a bounded number of
 * them for a bounded time; a range of time is found by halving, where entries
 * stand in the order of time but for the moment that each waited for its
 * transaction.  Where a clock was wrong they do not: then all are walked.
 */
enum {
	SCAN_MAX = 20000,
	SCAN_LIMITED = 2000, /* where each is looked up */
	BLOCK = 64,
	SLACK_MS = 600000
};

struct filter {
	const char *name;
	enum mm_entry_field field;
	char value[MM_AUTHORITY_TEXT];
};
struct scan {
	struct mm_rest *r;
	struct mm_event_filter types;
	struct filter filter[4];
	int64_t from_ms, to_ms; /* 0: open */
	bool newest_first, filtered;
	unsigned left;
	uint64_t size, low, high; /* the ledger's; what may be looked at */
	uint64_t last;          /* looked at last */
	bool any;
	struct mm_scope_memo memo; /* of the login's */
	char *arena;
	/* of a block: it is read before it is looked at */
	struct mm_buf block;
	size_t at[BLOCK], len[BLOCK];
	uint64_t index[BLOCK];
	unsigned n;
};

static void
scan_done(struct scan *s)
{
	free(s->arena);
	mm_buf_done(&s->block);
}

/* ---- does an entry match? ---- */

/* Cheap, and never wrong when it says no. */
static bool
contains(struct mm_bytes json, const char *text)
{
	return text[0] == '\0' || memmem(json.p, json.n, text,
	    strlen(text)) != NULL;
}

static bool
maybe(const struct scan *s, struct mm_bytes json)
{
	bool yes = true;

	for (unsigned i = 0; yes && i < 4; i++)
		yes = contains(json, s->filter[i].value);
	return yes;
}

static bool
wanted(const struct scan *s, struct mm_bytes json)
{
	struct mm_entry_read r;
	const struct mm_entry *e = &r.e;

	if (!s->filtered)
		return true;
	if (!maybe(s, json) || mm_entry_read(json, s->arena,
	    MM_ENTRY_MAX + 64, &r, NULL) != MM_OK)
		return false;
	if ((s->from_ms != 0 && e->at_ms < s->from_ms) ||
	    (s->to_ms != 0 && e->at_ms >= s->to_ms) ||
	    !mm_entry_one_of(s->types.types, mm_bytes_of(r.type)))
		return false;
	for (unsigned i = 0; i < 4; i++) {
		const struct filter *f = &s->filter[i];

		if (f->value[0] != '\0' && (e->field[f->field] == NULL ||
		    strcmp(e->field[f->field], f->value) != 0))
			return false;
	}
	return true;
}

/* ---- walking ---- */

static void
give(struct scan *s, uint64_t index, struct mm_bytes entry)
{
	s->left--;
	mm_event_put(&s->r->j, index, entry, "");
}

/* What the login may not see is passed over like what is not wanted. */
static enum mm_err
look(struct scan *s, unsigned i, struct mm_why *why)
{
	struct mm_event e = { .index = s->index[i],
		.json = { s->block.p + s->at[i], s->len[i] },
		.reader = s->r->reader };
	bool yes = wanted(s, e.json);

	if (yes) {
		mm_entry_look(e.json, &e.v);
		MM_TRY(mm_event_may_see(&s->r->login, &s->memo, &e, &yes,
		    why));
	}
	s->last = e.index;
	s->any = true;
	if (yes)
		give(s, e.index, e.json);
	return mm_buf_ok(&s->r->out, NULL);
}

static enum mm_err
keep(void *ctx, uint64_t index, struct mm_bytes entry, struct mm_why *why)
{
	struct scan *s = ctx;

	s->index[s->n] = index;
	s->at[s->n] = s->block.n;
	s->len[s->n] = entry.n;
	s->n++;
	mm_buf_bytes(&s->block, entry);
	return mm_buf_ok(&s->block, why);
}

static enum mm_err
look_at_block(struct scan *s, uint64_t start, uint64_t end,
    struct mm_why *why)
{
	s->n = 0;
	mm_buf_reset(&s->block);
	MM_TRY(mm_each_entry(s->r->reader, start, end, keep, s, why));
	for (unsigned i = 0; i < s->n && s->left > 0; i++)
		MM_TRY(look(s, s->newest_first ? s->n - 1 - i : i, why));
	return MM_OK;
}

static enum mm_err
walk(struct scan *s, struct mm_why *why)
{
	uint64_t low = s->low, high = s->high;
	uint64_t most = s->r->login.scope.on ? SCAN_LIMITED : SCAN_MAX;
	const uint64_t block = mm_event_round(&s->r->login, BLOCK);
	int64_t until = mm_mono_ms() + MM_REST_LOOK_MS;

	while (low < high && s->left > 0 && most > 0 &&
	    (!s->any || mm_mono_ms() < until)) {
		uint64_t n = high - low < block ? high - low : block;
		uint64_t start = s->newest_first ? high - n : low;

		MM_TRY(look_at_block(s, start, start + n, why));
		most -= most < n ? most : n;
		if (s->newest_first)
			high = start;
		else
			low = start + n;
	}
	return MM_OK;
}

/* ---- times ---- */

static enum mm_err
time_of(struct scan *s, uint64_t index, int64_t *at, struct mm_why *why)
{
	struct mm_entry_read r;

	mm_buf_reset(&s->block);
	MM_TRY(mm_get_entry(s->r->reader, index, &s->block, why));
	MM_TRY(mm_entry_read(mm_buf_view(&s->block), s->arena,
	    MM_ENTRY_MAX + 64, &r, why));
	*at = r.e.at_ms;
	return MM_OK;
}

/* The first entry that is not before at, about. */
static enum mm_err
find_time(struct scan *s, int64_t at, uint64_t *out, struct mm_why *why)
{
	uint64_t low = s->low, high = s->high;

	while (low < high) {
		uint64_t middle = low + (high - low) / 2;
		int64_t t;

		MM_TRY(time_of(s, middle, &t, why));
		if (t < at)
			low = middle + 1;
		else
			high = middle;
	}
	*out = low;
	return MM_OK;
}

static enum mm_err
bound(struct scan *s, struct mm_why *why)
{
	uint64_t low = s->low, high = s->high;

	if (s->from_ms == 0 && s->to_ms == 0)
		return MM_OK;
	mm_order_look(&s->r->s->order, s->r->reader, s->size, MM_REST_ORDER_MS);
	if (!mm_order_within(&s->r->s->order, MM_ORDER_ENTRIES, s->size,
	    SLACK_MS))
		return MM_OK;
	if (s->from_ms != 0)
		MM_TRY(find_time(s, s->from_ms - SLACK_MS, &low, why));
	if (s->to_ms != 0)
		MM_TRY(find_time(s, s->to_ms + SLACK_MS, &high, why));
	s->low = low;
	s->high = high;
	return MM_OK;
}

/* ---- a call ---- */

static enum mm_err
scan_init(struct scan *s, const struct mm_page *p, struct mm_why *why)
{
	int64_t after;

	mm_buf_init(&s->block, BLOCK * (MM_ENTRY_MAX + 1));
	s->arena = malloc(MM_ENTRY_MAX + 64);
	if (s->arena == NULL)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	s->left = p->list.most;
	MM_TRY(mm_get_ledger_size(s->r->reader, &s->size, why));
	s->high = s->size;
	MM_TRY(bound(s, why));
	if (p->list.after[0] == '\0')
		return MM_OK;
	if (mm_int_parse(p->list.after, &after, NULL) != MM_OK || after < 0)
		return MM_FAIL(why, MM_EINPUT, "after: want an index");
	if (!s->newest_first)
		MM_TRY(mm_event_from_check((uint64_t)after + 1, s->size,
		    why));
	if (s->newest_first && (uint64_t)after < s->high)
		s->high = (uint64_t)after;
	if (!s->newest_first && (uint64_t)after + 1 > s->low)
		s->low = (uint64_t)after + 1;
	return MM_OK;
}

static bool
more(const struct scan *s)
{
	if (!s->any)
		return false;
	return s->newest_first ? s->last > s->low : s->last + 1 < s->high;
}

static enum mm_err
answer(struct scan *s, struct mm_why *why)
{
	struct mm_json *j = &s->r->j;
	char next[24];

	mm_json_open(j, '{');
	mm_json_open_key(j, "items", '[');
	MM_TRY(walk(s, why));
	mm_json_close(j, ']');
	snprintf(next, sizeof(next), "%llu", (unsigned long long)s->last);
	if (more(s))
		mm_json_str(j, "next", next);
	mm_json_close(j, '}');
	return MM_OK;
}

/* Ids are unique without case; entries have them as they were made. */
static enum mm_err
read_filters(struct scan *s, struct mm_why *why)
{
	struct mm_device dev;

	MM_TRY(mm_rest_query(s->r, "type", s->types.types,
	    sizeof(s->types.types), why));
	MM_TRY(mm_entry_types_check(s->types.types, why));
	s->filtered = s->types.types[0] != '\0' || s->from_ms != 0 ||
	    s->to_ms != 0;
	for (unsigned i = 0; i < 4; i++) {
		struct filter *f = &s->filter[i];

		MM_TRY(mm_rest_query(s->r, f->name, f->value,
		    sizeof(f->value), why));
		s->filtered = s->filtered || f->value[0] != '\0';
	}
	if (s->filter[0].value[0] != '\0' && mm_get_device(s->r->reader,
	    s->filter[0].value, &dev, NULL) == MM_OK)
		strcpy(s->filter[0].value, dev.id);
	return MM_OK;
}

#define FILTERS                                                         \
	{ { "device", MM_F_DEVICE, "" }, { "actor", MM_F_ACTOR, "" },   \
	    { "token", MM_F_TOKEN, "" }, { "serial", MM_F_SERIAL, "" } }

/* Oldest first, by type and device; after is the last index seen. */
enum mm_err
mm_rest_entries(struct mm_rest *r, struct mm_why *why)
{
	MM_OWN(scan_done) struct scan s = { .r = r, .filter = FILTERS };
	struct mm_page p;

	MM_TRY(mm_page_read(r, " type device ", &p, why));
	MM_TRY(read_filters(&s, why));
	MM_TRY(scan_init(&s, &p, why));
	return answer(&s, why);
}

enum mm_err
mm_rest_audit(struct mm_rest *r, struct mm_why *why)
{
	MM_OWN(scan_done) struct scan s = { .r = r, .filter = FILTERS,
		.newest_first = true };
	struct mm_page p;
	char order[8];

	MM_TRY(mm_page_read(r, " type device actor token serial from to order ",
	    &p, why));
	MM_TRY(mm_rest_query_time(r, "from", &s.from_ms, why));
	MM_TRY(mm_rest_query_time(r, "to", &s.to_ms, why));
	MM_TRY(read_filters(&s, why));
	MM_TRY(mm_rest_query(r, "order", order, sizeof(order), why));
	if (strcmp(order, "oldest") == 0)
		s.newest_first = false;
	else if (order[0] != '\0' && strcmp(order, "newest") != 0)
		return MM_FAIL(why, MM_EINPUT,
		    "order: want newest or oldest");
	MM_TRY(scan_init(&s, &p, why));
	return answer(&s, why);
}
