#include <stdio.h>
#include <string.h>

#include "ledger/tile.h"
#include "server/event.h"
#include "server/rest.h"

/* The ledger: C2SP tlog-tiles, entries as JSON, receipts. */

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

enum mm_err
mm_rest_receipt(struct mm_rest *r, struct mm_why *why)
{
	char text[24];
	int64_t index;

	MM_TRY(mm_rest_segment(r, 0, text, sizeof(text), why));
	if (mm_int_parse(text, &index, NULL) != MM_OK || index < 0)
		return MM_FAIL(why, MM_ENOTFOUND, "no such entry");
	return mm_desk_receipt_at(r->desk, (uint64_t)index, &r->out,
	    &r->uncovered, why);
}

/* see rest.h; the file is docs/reference/openapi.json */
enum mm_err
mm_rest_openapi(struct mm_rest *r, struct mm_why *why)
{
	(void)why;
	mm_buf_text(&r->out, mm_openapi);
	return MM_OK;
}
