#include "work/upload.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/grow.h"
#include "base/json.h"
#include "base/own.h"
#include "base/text.h"
#include "work/export_priv.h"

MM_FREE_FN(json_free, json_t, json_decref)

enum { LEVELS = 40, PIECE_ENTRIES = 256 };

struct mm_upload {
	char station[MM_NAME_MAX + 1];
	struct mm_buf note;
	struct mm_frontier before; /* the file's first entry */
	struct mm_bytes *line; /* each entry's, as it stands in the file */
	size_t n, cap;
	uint64_t since;
	/* Roots of 2^level leaves, from first on: what is left of the file's
	 * first entry is known by the frontier alone, and no proof from there
	 * on needs more of it. */
	struct mm_hash *level[LEVELS];
	uint64_t first[LEVELS], have[LEVELS];
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
	struct mm_bytes *line =
	    mm_grown(u->line, u->n, &u->cap, sizeof(*line));

	if (line == NULL)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	u->line = line;
	return MM_OK;
}

/* The centre would refuse the piece, but others may have gone before it. */
static enum mm_err
check_beside(
    const json_t *o, struct mm_bytes json, uint64_t index, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf der = MM_BUF_INIT(MM_SYNC_PIECE_MAX);
	char texts[MM_SYNC_ENTRY_MAX + 64];
	struct mm_entry e;
	const char *what;

	if (json.n > MM_SYNC_ENTRY_MAX ||
	    mm_entry_parse(json, texts, sizeof(texts), &e, NULL) != MM_OK)
		return MM_OK;
	if (mm_base64_parse(mm_export_text(o, "certificate"), &der, NULL) !=
	    MM_OK)
		return damaged(why);
	what =
	    mm_export_damage(&e, mm_buf_view(&der), mm_export_text(o, "proof"));
	return what == NULL
		   ? MM_OK
		   : MM_FAIL(why, MM_EINPUT,
			 "export: entry %" PRIu64 ": %s is missing, or "
			 "not what was entered: the file is damaged",
			 index, what);
}

static enum mm_err
take_entry(struct mm_upload *u, const json_t *o, struct mm_bytes line,
    struct mm_why *why)
{
	struct mm_bytes json = mm_export_text(o, "entry");

	if (json.n == 0)
		return damaged(why);
	MM_TRY(check_beside(o, json, mm_upload_size(u), why));
	MM_TRY(grow(u, why));
	u->line[u->n++] = line;
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
				 (json_int_t)mm_upload_size(u)
		   ? MM_OK
		   : damaged(why);
}

static enum mm_err
read_all(struct mm_upload *u, struct mm_bytes rest, struct mm_why *why)
{
	MM_OWN(json_free) json_t *head = mm_export_line(&rest);

	if (!mm_export_head(head, u->station, &u->before))
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

/* Those of a level that end behind the file's first entry, and the one
 * before them if it is a peak. */
static enum mm_err
make_level(struct mm_upload *u, unsigned i, unsigned *peak,
    struct mm_why *why)
{
	uint64_t from = u->before.size, size = mm_upload_size(u);
	bool has_peak = (from >> i & 1) != 0;

	u->first[i] = (from >> i) - has_peak;
	u->have[i] = (size >> i) - u->first[i];
	if (u->have[i] == 0)
		return MM_OK;
	u->level[i] = calloc(u->have[i], sizeof(struct mm_hash));
	if (u->level[i] == NULL)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	if (has_peak)
		u->level[i][0] = u->before.peak[--*peak];
	return MM_OK;
}

static struct mm_hash
leaf_of(struct mm_bytes line)
{
	MM_OWN(json_free) json_t *o = mm_export_line(&line);

	return mm_tree_leaf(mm_export_text(o, "entry"));
}

static struct mm_hash
node_of(const struct mm_upload *u, unsigned i, uint64_t k)
{
	const struct mm_hash *below = u->level[i - 1];
	uint64_t left = 2 * k - u->first[i - 1];

	return mm_tree_node(&below[left], &below[left + 1]);
}

static enum mm_err
hash_levels(struct mm_upload *u, struct mm_why *why)
{
	uint64_t from = u->before.size, size = mm_upload_size(u);
	unsigned peak = u->before.n;

	for (unsigned i = 0; i < LEVELS; i++) {
		MM_TRY(make_level(u, i, &peak, why));
		for (uint64_t k = from >> i; k < size >> i; k++)
			u->level[i][k - u->first[i]] = i == 0 ?
			    leaf_of(u->line[k - from]) : node_of(u, i, k);
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
	return u->before.size + u->n;
}

/* see upload.h */
uint64_t
mm_upload_from(const struct mm_upload *u)
{
	return u->before.size;
}

/* see upload.h */
void
mm_upload_since(struct mm_upload *u, uint64_t size)
{
	u->since = size;
}

/* ---- pieces ---- */

static enum mm_err
read_hash(void *ctx, unsigned level, uint64_t index, struct mm_hash *out,
    struct mm_why *why)
{
	const struct mm_upload *u = ctx;

	if (level >= LEVELS || index < u->first[level] ||
	    index - u->first[level] >= u->have[level])
		return MM_FAIL(why, MM_ENOTFOUND, "export: no such subtree");
	*out = u->level[level][index - u->first[level]];
	return MM_OK;
}

static enum mm_err
copy_line(void *ctx, uint64_t index, struct mm_buf *out, struct mm_why *why)
{
	const struct mm_upload *u = ctx;

	mm_buf_bytes(out, u->line[index - u->before.size]);
	return mm_buf_ok(out, why);
}

/* see upload.h */
enum mm_err
mm_upload_piece(const struct mm_upload *u, uint64_t from, bool dry_run,
    uint64_t *to, struct mm_buf *out, struct mm_why *why)
{
	void *ctx = (void *)(uintptr_t)u;
	const struct mm_piece_of of = { .read = read_hash,
		.tree = ctx,
		.size = mm_upload_size(u),
		.note = mm_buf_view(&u->note),
		.line = copy_line,
		.ctx = ctx,
		.most = PIECE_ENTRIES,
		.since = u->since };

	if (from < u->before.size)
		return MM_FAIL(why, MM_EINPUT, "export: it begins at entry "
		    "%" PRIu64 ", behind %" PRIu64, u->before.size, from);
	return mm_piece_put(&of, from, dry_run, to, out, why);
}
