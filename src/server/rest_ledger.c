#include <stdio.h>
#include <string.h>

#include "ledger/tile.h"
#include "server/event.h"
#include "server/rest.h"

/* The ledger: C2SP tlog-tiles, entries as JSON, receipts. */

enum {
	SCAN_MAX = 20000,    /* entries looked at for one page */
	SCAN_LIMITED = 2000, /* ... where each is looked up */
};

#define IMMUTABLE "private, max-age=31536000, immutable"

enum mm_err
mm_rest_checkpoint(struct mm_rest *r, struct mm_why *why)
{
	uint64_t size;

	r->type = "text/plain; charset=utf-8";
	return mm_get_checkpoint(r->reader, &size, &r->out, why);
}

enum mm_err
mm_rest_ledger_key(struct mm_rest *r, struct mm_why *why)
{
	(void)why;
	r->type = "text/plain; charset=utf-8";
	mm_core_note_key(r->s->core, &r->out);
	mm_buf_u8(&r->out, '\n');
	return MM_OK;
}

static enum mm_err
put_bundle(void *ctx, uint64_t index, struct mm_bytes entry,
    struct mm_why *why)
{
	struct mm_buf *out = ctx;

	(void)index;
	mm_bundle_put(out, entry);
	return mm_buf_ok(out, why);
}

/* The path after "/ledger/": "tile/0/x001/234.p/17". */
enum mm_err
mm_rest_tile(struct mm_rest *r, struct mm_why *why)
{
	static const char before[] = "tile/";
	struct mm_bytes path = { r->req->rest.p - (sizeof(before) - 1),
		r->req->rest.n + sizeof(before) - 1 };
	char text[MM_TILE_PATH_MAX];
	struct mm_tile_id id;
	uint64_t size, first;

	memcpy(text, before, sizeof(before));
	if (r->req->rest.n >= sizeof(text) - sizeof(before))
		return MM_FAIL(why, MM_ENOTFOUND, "no such tile");
	memcpy(text + sizeof(before) - 1, r->req->rest.p, r->req->rest.n);
	path.p = (const uint8_t *)text;
	if (mm_tile_parse(path, &id, NULL) != MM_OK)
		return MM_FAIL(why, MM_ENOTFOUND, "no such tile");
	MM_TRY(mm_get_ledger_size(r->reader, &size, why));
	if (!mm_tile_exists(&id, size))
		return MM_FAIL(why, MM_ENOTFOUND, "no such tile yet");
	r->type = "application/octet-stream";
	r->cache = IMMUTABLE;
	if (!id.entries)
		return mm_get_tile(r->reader, &id, &r->out, why);
	first = id.index * MM_TILE_W;
	return mm_each_entry(r->reader, first, first + id.width, put_bundle,
	    &r->out, why);
}

/* ---- entries ---- */

struct scan {
	struct mm_rest *r;
	struct mm_event_filter filter;
	unsigned left;
	uint64_t seen; /* one after the last entry looked at */
};

/* MM_ELIMIT ends the walk: the page is full. */
static enum mm_err
look(void *ctx, struct mm_event *e, struct mm_why *why)
{
	struct scan *s = ctx;
	bool yes = false;

	if (s->left == 0)
		return MM_ELIMIT;
	if (mm_event_wanted(&s->filter, &e->v))
		MM_TRY(mm_event_may_see(&s->r->login, e, &yes, why));
	s->seen = e->index + 1;
	if (!yes)
		return MM_OK;
	s->left--;
	mm_event_put(&s->r->j, e->index, e->json);
	return mm_buf_ok(&s->r->out, why);
}

static enum mm_err
scan(struct scan *s, uint64_t from, struct mm_why *why)
{
	struct mm_json *j = &s->r->j;
	char next[24];
	uint64_t most = s->r->login.scope.on ? SCAN_LIMITED : SCAN_MAX;
	uint64_t size, to;
	enum mm_err rc;

	MM_TRY(mm_get_ledger_size(s->r->reader, &size, why));
	to = from + most < size ? from + most : size;
	s->seen = from;
	mm_json_open(j, '{');
	mm_json_open_key(j, "items", '[');
	rc = mm_event_each(s->r->reader, from, to, look, s, why);
	if (rc != MM_OK && s->left > 0)
		return rc;
	mm_json_close(j, ']');
	if (s->seen < size && s->seen > 0) {
		snprintf(next, sizeof(next), "%llu",
		    (unsigned long long)s->seen - 1);
		mm_json_str(j, "next", next);
	}
	mm_json_close(j, '}');
	return MM_OK;
}

/* after: the index of the last entry seen; the next one comes first. */
enum mm_err
mm_rest_entries(struct mm_rest *r, struct mm_why *why)
{
	struct scan s = { .r = r };
	struct mm_page p;
	int64_t after = -1;

	MM_TRY(mm_page_read(r, " type device ", &p, why));
	MM_TRY(mm_rest_query(r, "type", s.filter.types,
	    sizeof(s.filter.types), why));
	memcpy(s.filter.device, p.device, sizeof(p.device));
	if (p.list.after[0] != '\0' &&
	    (mm_int_parse(p.list.after, &after, NULL) != MM_OK || after < 0))
		return MM_FAIL(why, MM_EINPUT, "after: want an index");
	s.left = p.list.most;
	return scan(&s, (uint64_t)(after + 1), why);
}

enum mm_err
mm_rest_receipt(struct mm_rest *r, struct mm_why *why)
{
	char text[24];
	int64_t index;

	MM_TRY(mm_rest_segment(r, 0, text, sizeof(text), why));
	if (mm_int_parse(text, &index, NULL) != MM_OK || index < 0)
		return MM_FAIL(why, MM_ENOTFOUND, "no such entry");
	return mm_desk_receipt_at(r->desk, (uint64_t)index, &r->out, why);
}
