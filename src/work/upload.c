#include "work/upload.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/own.h"
#include "base/text.h"
#include "work/export_priv.h"

MM_FREE_FN(json_free, json_t, json_decref)

enum { LEVELS = 40, PIECE_ENTRIES = 256, PIECE_BYTES = 512 * 1024 };

struct mm_upload {
	char station[MM_NAME_MAX + 1];
	struct mm_buf note;
	struct mm_bytes *line; /* each entry's, as it stands in the file */
	size_t n, cap;
	struct mm_hash *level[LEVELS]; /* roots of 2^level leaves */
};

static enum mm_err
damaged(struct mm_why *why)
{
	return MM_FAIL(
	    why, MM_EINPUT, "export: damaged, or half a file; copy it again");
}

/* ---- reading ---- */

static enum mm_err
grow(struct mm_upload *u, struct mm_why *why)
{
	size_t cap = u->cap == 0 ? 256 : u->cap * 2;
	struct mm_bytes *line;
	struct mm_hash *leaf;

	if (u->n < u->cap)
		return MM_OK;
	line = reallocarray(u->line, cap, sizeof(*line));
	if (line != NULL)
		u->line = line;
	leaf = reallocarray(u->level[0], cap, sizeof(*leaf));
	if (leaf != NULL)
		u->level[0] = leaf;
	if (line == NULL || leaf == NULL)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	u->cap = cap;
	return MM_OK;
}

static enum mm_err
take_entry(struct mm_upload *u, const json_t *o, struct mm_bytes line,
    struct mm_why *why)
{
	struct mm_bytes json = mm_export_text(o, "entry");

	if (json.n == 0)
		return damaged(why);
	MM_TRY(grow(u, why));
	u->line[u->n] = line;
	u->level[0][u->n] = mm_tree_leaf(json);
	u->n++;
	return MM_OK;
}

/* Its signature is the centre's to verify. */
static enum mm_err
take_end(struct mm_upload *u, const json_t *o, struct mm_why *why)
{
	struct mm_bytes note = mm_export_text(o, "checkpoint");

	mm_buf_bytes(&u->note, note);
	MM_TRY(mm_buf_ok(&u->note, why));
	return note.n > 0 && json_integer_value(json_object_get(o, "size")) ==
				 (json_int_t)u->n
		   ? MM_OK
		   : damaged(why);
}

static enum mm_err
read_all(struct mm_upload *u, struct mm_bytes rest, struct mm_why *why)
{
	MM_OWN(json_free) json_t *head = mm_export_line(&rest);

	if (head == NULL ||
	    json_integer_value(json_object_get(head, "v")) != 1 ||
	    json_integer_value(json_object_get(head, "from")) != 0 ||
	    !mm_text_copy(u->station, sizeof(u->station),
		mm_export_text(head, "station")) ||
	    !mm_name_valid(u->station))
		return damaged(why);
	for (;;) {
		struct mm_bytes line = rest;
		MM_OWN(json_free) json_t *o = mm_export_line(&rest);

		line.n -= rest.n;
		if (o == NULL)
			return damaged(why);
		if (json_object_get(o, "checkpoint") != NULL)
			return rest.n > 0 ? damaged(why) : take_end(u, o, why);
		MM_TRY(take_entry(u, o, line, why));
	}
}

static enum mm_err
hash_levels(struct mm_upload *u, struct mm_why *why)
{
	size_t n = u->n / 2;

	for (unsigned i = 1; i < LEVELS && n > 0; i++, n /= 2) {
		u->level[i] = calloc(n, sizeof(struct mm_hash));
		if (u->level[i] == NULL)
			return MM_FAIL(why, MM_ENOMEM, "out of memory");
		for (size_t k = 0; k < n; k++)
			u->level[i][k] = mm_tree_node(&u->level[i - 1][2 * k],
			    &u->level[i - 1][2 * k + 1]);
	}
	return MM_OK;
}

/* see upload.h */
enum mm_err
mm_upload_open(struct mm_bytes file, struct mm_upload **out, struct mm_why *why)
{
	MM_OWN(mm_upload_close) struct mm_upload *u = calloc(1, sizeof(*u));

	if (u == NULL)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	mm_buf_init(&u->note, MM_NOTE_MAX);
	MM_TRY(read_all(u, file, why));
	MM_TRY(hash_levels(u, why));
	*out = MM_MOVE(u);
	return MM_OK;
}

/* see upload.h */
void
mm_upload_close(struct mm_upload **owner)
{
	struct mm_upload *u = *owner;

	if (u == NULL)
		return;
	for (unsigned i = 0; i < LEVELS; i++)
		free(u->level[i]);
	free(u->line);
	mm_buf_done(&u->note);
	free(u);
	*owner = NULL;
}

/* see upload.h */
const char *
mm_upload_station(const struct mm_upload *u)
{
	return u->station;
}

/* see upload.h */
uint64_t
mm_upload_size(const struct mm_upload *u)
{
	return u->n;
}

/* ---- pieces ---- */

static enum mm_err
read_hash(void *ctx, unsigned level, uint64_t index, struct mm_hash *out,
    struct mm_why *why)
{
	const struct mm_upload *u = ctx;

	if (level >= LEVELS || index >= u->n >> level)
		return MM_FAIL(why, MM_ENOTFOUND, "export: no such subtree");
	*out = u->level[level][index];
	return MM_OK;
}

/* The peaks of the tree of that size: one for each of its bits. */
static struct mm_frontier
frontier_at(const struct mm_upload *u, uint64_t size)
{
	struct mm_frontier f = { .size = size };
	uint64_t at = 0;

	for (unsigned i = LEVELS; i-- > 0;) {
		if ((size >> i & 1) == 0)
			continue;
		f.peak[f.n++] = u->level[i][at >> i];
		at += UINT64_C(1) << i;
	}
	return f;
}

/* see upload.h */
struct mm_hash
mm_upload_root(const struct mm_upload *u, uint64_t size)
{
	struct mm_frontier f = frontier_at(u, size);

	return mm_frontier_root(&f);
}

static enum mm_err
put_proof(const struct mm_upload *u, const char *member, uint64_t from,
    struct mm_json *j, struct mm_why *why)
{
	struct mm_proof p = { .n = 0 };

	if (from > 0)
		MM_TRY(mm_proof_consistency(
		    read_hash, (void *)(uintptr_t)u, from, u->n, &p, why));
	mm_json_b64(j, member,
	    (struct mm_bytes){ p.hash[0].b, (size_t)p.n * MM_HASH_N });
	return MM_OK;
}

static uint64_t
end_of(const struct mm_upload *u, uint64_t from)
{
	size_t bytes = 0;
	uint64_t to = from;

	while (to < u->n && to - from < PIECE_ENTRIES &&
	       (to == from || bytes + u->line[to].n <= PIECE_BYTES))
		bytes += u->line[to++].n;
	return to;
}

static void
put_frontier(const struct mm_upload *u, uint64_t from, struct mm_json *j)
{
	MM_OWN(mm_buf_done) struct mm_buf b = MM_BUF_INIT(64 * MM_HASH_N);
	struct mm_frontier f = frontier_at(u, from);

	mm_frontier_encode(&f, &b);
	mm_json_b64(j, "frontier", mm_buf_view(&b));
}

/* see upload.h */
enum mm_err
mm_upload_piece(const struct mm_upload *u, uint64_t from, bool dry_run,
    uint64_t *to, struct mm_buf *out, struct mm_why *why)
{
	struct mm_json j = mm_json_over(out);
	uint64_t end = end_of(u, from);

	if (from > u->n)
		return MM_FAIL(why, MM_EPOLICY,
		    "export: it ends at entry %zu, before %" PRIu64, u->n,
		    from);
	mm_json_open(&j, '{');
	mm_json_int(&j, "v", 1);
	mm_json_strn(&j, "checkpoint", mm_buf_view(&u->note));
	put_frontier(u, from, &j);
	MM_TRY(put_proof(u, "seen", from, &j, why));
	MM_TRY(put_proof(u, "rest", end, &j, why));
	mm_json_open_key(&j, "entries", '[');
	for (uint64_t i = from; i < end; i++)
		mm_json_raw(&j, NULL, u->line[i]);
	mm_json_close(&j, ']');
	mm_json_bool(&j, "dry_run", dry_run);
	mm_json_close(&j, '}');
	MM_TRY(mm_buf_ok(out, why));
	*to = end;
	return MM_OK;
}
