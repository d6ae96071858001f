#include "work/upload.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/own.h"
#include "base/text.h"
#include "work/export_priv.h"

MM_FREE_FN(json_free, json_t, json_decref)

enum { LEVELS = 40, PIECE_ENTRIES = 256 };

struct mm_upload {
	char station[MM_NAME_MAX + 1];
	struct mm_buf note;
	struct mm_bytes *line; /* each entry's, as it stands in the file */
	size_t n, cap;
	uint64_t since;
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
	MM_TRY(check_beside(o, json, u->n, why));
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

	if (head == NULL || !mm_export_is(head, "v", 1) ||
	    !mm_export_is(head, "from", 0) ||
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

	if (level >= LEVELS || index >= u->n >> level)
		return MM_FAIL(why, MM_ENOTFOUND, "export: no such subtree");
	*out = u->level[level][index];
	return MM_OK;
}

static enum mm_err
copy_line(void *ctx, uint64_t index, struct mm_buf *out, struct mm_why *why)
{
	const struct mm_upload *u = ctx;

	mm_buf_bytes(out, u->line[index]);
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
		.size = u->n,
		.note = mm_buf_view(&u->note),
		.line = copy_line,
		.ctx = ctx,
		.most = PIECE_ENTRIES,
		.since = u->since };

	return mm_piece_put(&of, from, dry_run, to, out, why);
}
