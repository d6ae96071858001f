#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "ledger/entry.h"
#include "ledger/tile.h"
#include "server/rest.h"

/* The ledger: C2SP tlog-tiles, entries as JSON, receipts. */

enum {
	SCAN_MAX = 20000,    /* entries looked at for one page */
	SCAN_LIMITED = 2000, /* ... where each is looked up */
	CHUNK_N = 256,       /* ... and read at once */
	CHUNK_MAX = 1 << 20,
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
	char type[48], device[MM_DEVICE_ID_MAX + 1];
	unsigned left;
	uint64_t seen; /* one after the last entry looked at */
	char *arena;
	struct mm_buf chunk; /* entries, a 32-bit length before each */
};

static bool
wanted(struct scan *s, struct mm_bytes json)
{
	struct mm_entry e;
	const char *device;

	if (s->type[0] == '\0' && s->device[0] == '\0' &&
	    !s->r->login.scope.on)
		return true;
	if (mm_entry_parse(json, s->arena, MM_ENTRY_MAX + 64, &e, NULL) !=
	    MM_OK)
		return false;
	device = e.field[MM_F_DEVICE];
	return (s->type[0] == '\0' ||
	    strcmp(mm_entry_type_name(e.type), s->type) == 0) &&
	    (s->device[0] == '\0' ||
	    (device != NULL && strcmp(device, s->device) == 0)) &&
	    mm_scope_sees_entry(s->r, &e);
}

/* MM_ELIMIT ends the chunk: it is full. */
static enum mm_err
collect(void *ctx, uint64_t index, struct mm_bytes entry, struct mm_why *why)
{
	struct mm_buf *chunk = ctx;

	(void)index, (void)why;
	if (chunk->n > 0 && chunk->n + 4 + entry.n > CHUNK_MAX)
		return MM_ELIMIT;
	mm_buf_u32(chunk, (uint32_t)entry.n);
	mm_buf_bytes(chunk, entry);
	return mm_buf_ok(chunk, why);
}

static void
look(struct scan *s, struct mm_bytes entry)
{
	struct mm_json *j = &s->r->j;
	uint64_t index = s->seen++;

	if (!wanted(s, entry))
		return;
	s->left--;
	mm_json_open(j, '{');
	mm_json_int(j, "index", (int64_t)index);
	mm_json_raw(j, "entry", entry);
	mm_json_close(j, '}');
}

/* A chunk is read before any of it is looked at: looking asks the store. */
static enum mm_err
look_at_chunk(struct scan *s, uint64_t to, struct mm_why *why)
{
	uint64_t end = s->seen + CHUNK_N < to ? s->seen + CHUNK_N : to;
	enum mm_err rc;
	struct mm_rd r;

	mm_buf_reset(&s->chunk);
	rc = mm_each_entry(s->r->reader, s->seen, end, collect, &s->chunk,
	    why);
	if (rc != MM_OK && rc != MM_ELIMIT)
		return rc;
	r = mm_rd_over(mm_buf_view(&s->chunk));
	while (r.left > 0 && s->left > 0)
		look(s, mm_rd_block32(&r));
	return MM_OK;
}

static enum mm_err
scan(struct scan *s, uint64_t from, struct mm_why *why)
{
	struct mm_json *j = &s->r->j;
	char next[24];
	uint64_t most = s->r->login.scope.on ? SCAN_LIMITED : SCAN_MAX;
	uint64_t size, to;

	MM_TRY(mm_get_ledger_size(s->r->reader, &size, why));
	to = from + most < size ? from + most : size;
	s->seen = from;
	mm_json_open(j, '{');
	mm_json_open_key(j, "items", '[');
	while (s->seen < to && s->left > 0)
		MM_TRY(look_at_chunk(s, to, why));
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
	struct scan s = { .r = r, .chunk = MM_BUF_INIT(CHUNK_MAX + 4 +
	    MM_ENTRY_MAX) };
	struct mm_page p;
	int64_t after = -1;
	enum mm_err rc;

	MM_TRY(mm_page_read(r, " type device ", &p, why));
	MM_TRY(mm_rest_query(r, "type", s.type, sizeof(s.type), why));
	memcpy(s.device, p.device, sizeof(s.device));
	if (p.list.after[0] != '\0' &&
	    (mm_int_parse(p.list.after, &after, NULL) != MM_OK || after < 0))
		return MM_FAIL(why, MM_EINPUT, "after: want an index");
	s.left = p.list.most;
	s.arena = malloc(MM_ENTRY_MAX + 64);
	if (s.arena == NULL)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	rc = scan(&s, (uint64_t)(after + 1), why);
	free(s.arena);
	mm_buf_done(&s.chunk);
	return rc;
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
