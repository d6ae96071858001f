#include <stdlib.h>
#include <string.h>

#include "base/time.h"
#include "server/event.h"
#include "server/rest.h"

/* The event feed: a page at once, or a long poll (watch.c). */
enum {
	ROUND = 256,       /* entries between two looks at the clock */
	SCAN_MAX = 100000, /* entries looked at for one page, and for
	                    * MM_REST_LOOK_MS, if nobody else does ... */
	SHARE_MS = 5,      /* ... else for this, so that all have a turn */
	AGAIN = 16,        /* reads before a long poll; entries keep coming */
};

struct feed {
	struct mm_rest *r;
	struct mm_wish wish;
	unsigned left;
	bool more;
	int64_t began; /* monotonic: of this walk */
	bool alone;    /* holds the server's scanning */
};

static enum mm_err
read_after(struct feed *f, const char *after, struct mm_why *why)
{
	uint64_t size;
	int64_t v = -1;

	if (strcmp(after, "latest") == 0)
		return mm_get_ledger_size(f->r->reader, &f->wish.from, why);
	if (after[0] != '\0' &&
	    (mm_int_parse(after, &v, NULL) != MM_OK || v < -1 ||
	    v >= INT64_C(1) << 53))
		return MM_FAIL(why, MM_EINPUT,
		    "after: want an index, or \"latest\"");
	f->wish.from = (uint64_t)(v + 1);
	MM_TRY(mm_get_ledger_size(f->r->reader, &size, why));
	return mm_event_from_check(f->wish.from, size, why);
}

static enum mm_err
read_wait(struct feed *f, struct mm_why *why)
{
	char text[8];
	int64_t s = 0;

	MM_TRY(mm_rest_query(f->r, "wait", text, sizeof(text), why));
	if (text[0] != '\0' && (mm_int_parse(text, &s, NULL) != MM_OK ||
	    s < 0 || s > MM_WATCH_WAIT_MAX_S))
		return MM_FAIL(why, MM_EINPUT, "wait: want 0 to %d seconds",
		    MM_WATCH_WAIT_MAX_S);
	f->wish.wait_ms = s * 1000;
	return MM_OK;
}

static enum mm_err
read_wish(struct feed *f, struct mm_why *why)
{
	struct mm_event_filter *filter = &f->wish.filter;
	struct mm_page p;

	MM_TRY(mm_page_read(f->r, " type device product wait ", &p, why));
	MM_TRY(mm_rest_query(f->r, "type", filter->types,
	    sizeof(filter->types), why));
	memcpy(filter->device, p.device, sizeof(p.device));
	memcpy(filter->products, p.product, sizeof(p.product));
	MM_TRY(mm_entry_types_check(filter->types, why));
	MM_TRY(read_wait(f, why));
	f->wish.most = p.list.most;
	f->wish.ref = f->r->req->ref;
	f->wish.login = f->r->login;
	memcpy(f->wish.id, f->r->req->id, sizeof(f->wish.id));
	return read_after(f, p.list.after, why);
}

/* MM_ELIMIT ends the walk: the page is full. */
static enum mm_err
look(void *ctx, struct mm_event *e, struct mm_why *why)
{
	char ca_serial[MM_CA_SERIAL_TEXT];
	struct feed *f = ctx;
	bool yes = false;

	if (f->left == 0)
		return MM_ELIMIT;
	MM_TRY(mm_event_wanted(&f->wish.filter, e, &yes, why));
	if (yes)
		MM_TRY(mm_event_may_see(&f->wish.login, &f->wish.memo, e,
		    &yes, why));
	f->wish.from = e->index + 1;
	if (!yes)
		return MM_OK;
	f->left--;
	MM_TRY(mm_event_ca_serial(e->reader, &e->v, ca_serial, why));
	mm_event_put(&f->r->j, e->index, e->json, ca_serial);
	return mm_buf_ok(&f->r->out, why);
}

/* A filter that fits little reads much.  One call at a time does so for long,
 * so that there is always a worker for everybody else: any other page ends
 * early, its cursor further on. */
static bool
may_go_on(struct feed *f)
{
	int64_t ms = mm_mono_ms() - f->began;

	if (ms >= SHARE_MS && !f->alone)
		f->alone = !atomic_exchange(&f->r->s->scanning, true);
	return ms < (f->alone ? MM_REST_LOOK_MS : SHARE_MS);
}

/* From the cursor on, until the page is full, the ledger ends, or this one
 * call has cost enough; some way in any case. */
static enum mm_err
walk(struct feed *f, struct mm_why *why)
{
	const uint64_t from = f->wish.from,
		round = mm_event_round(&f->r->login, ROUND);
	uint64_t size, end;

	f->began = mm_mono_ms();
	MM_TRY(mm_get_ledger_size(f->r->reader, &size, why));
	end = from + SCAN_MAX;
	while (f->wish.from < size && f->wish.from < end && f->left > 0 &&
	    (f->wish.from == from || may_go_on(f))) {
		uint64_t to = f->wish.from + round < size
		    ? f->wish.from + round : size;
		enum mm_err rc = mm_event_each(f->r->reader, f->wish.from, to,
		    look, f, why);

		if (rc != MM_OK && f->left > 0)
			return rc;
	}
	f->more = f->wish.from < size;
	return MM_OK;
}

/* A revocation that the walk did not come by, for it began behind it; a later
 * one is an entry that the long poll comes by. */
static enum mm_err
still_good(struct feed *f, struct mm_why *why)
{
	struct mm_operator row;

	MM_TRY(mm_get_operator(f->r->reader, f->wish.login.id, &row, why));
	return row.revoked_at == 0 ? MM_OK
	    : MM_FAIL(why, MM_EAUTH, "credential refused");
}

/* Nothing was found and nothing is left: the request waits, without this
 * thread.  Entries that come between the read and the list send it back. */
static enum mm_err
walk_or_wait(struct feed *f, struct mm_why *why)
{
	for (unsigned i = 0; i < AGAIN; i++) {
		enum mm_err rc;

		MM_TRY(walk(f, why));
		if (f->left < f->wish.most || f->more || f->wish.wait_ms == 0)
			return MM_OK;
		MM_TRY(still_good(f, why));
		rc = mm_watch_add(f->r->s->watch, &f->wish, why);
		if (rc == MM_ECONFLICT) {
			*why = (struct mm_why){ 0 };
			continue;
		}
		f->r->parked = rc == MM_OK;
		return rc;
	}
	f->more = true;
	return MM_OK;
}

enum mm_err
mm_rest_events(struct mm_rest *r, struct mm_why *why)
{
	struct feed f = { .r = r };
	enum mm_err rc;

	MM_TRY(read_wish(&f, why));
	f.left = f.wish.most;
	mm_json_open(&r->j, '{');
	mm_json_open_key(&r->j, "items", '[');
	rc = walk_or_wait(&f, why);
	if (f.alone)
		atomic_store(&r->s->scanning, false);
	MM_TRY(rc);
	mm_json_close(&r->j, ']');
	mm_event_put_next(&r->j, f.wish.from, f.more);
	mm_json_close(&r->j, '}');
	return MM_OK;
}
