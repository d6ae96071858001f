#include <inttypes.h>
#include <jansson.h>
#include <string.h>

#include "base/json.h"
#include "base/own.h"
#include "base/text.h"
#include "ledger/entry.h"
#include "work/export_priv.h"
#include "work/upload.h"

/* A piece of a station's ledger, for the centre. */
MM_FREE_FN(json_free, json_t, json_decref)

enum { PIECE_BYTES = 512 * 1024, LEVELS = 64 };

static enum mm_err
put_frontier(const struct mm_piece_of *of, uint64_t from, struct mm_json *j,
    struct mm_why *why)
{
	MM_OWN(mm_buf_done)
	struct mm_buf b = MM_BUF_INIT(8 + LEVELS * MM_HASH_N);
	struct mm_frontier f;

	MM_TRY(mm_frontier_at(of->read, of->tree, from, &f, why));
	mm_frontier_encode(&f, &b);
	mm_json_b64(j, "frontier", mm_buf_view(&b));
	return mm_buf_ok(&b, why);
}

/* From nothing there is nothing to prove. */
static enum mm_err
put_proof(const struct mm_piece_of *of, const char *member, uint64_t from,
    struct mm_json *j, struct mm_why *why)
{
	struct mm_proof p = { .n = 0 };

	if (from > 0)
		MM_TRY(mm_proof_consistency(
		    of->read, of->tree, from, of->size, &p, why));
	mm_json_b64(j, member,
	    (struct mm_bytes){ p.hash[0].b, (size_t)p.n * MM_HASH_N });
	return MM_OK;
}

/* Larger ones the centre asks for: this is no later state of that ledger. */
static enum mm_err
put_since(const struct mm_piece_of *of, uint64_t from, struct mm_json *j,
    struct mm_why *why)
{
	if (of->since <= from || of->since >= of->size)
		return MM_OK;
	mm_json_open_key(j, "since", '{');
	mm_json_int(j, "size", (int64_t)of->since);
	MM_TRY(put_proof(of, "proof", of->since, j, why));
	mm_json_close(j, '}');
	return MM_OK;
}

/* ---- as many as the centre looks up for one piece ---- */

struct batches {
	char id[MM_SYNC_BATCHES_MAX][MM_NAME_MAX + 1];
	size_t n;
};

/* "": it is made in none. */
static void
batch_of(struct mm_bytes line, char id[MM_NAME_MAX + 1])
{
	MM_OWN(json_free)
	json_t *o = json_loadb((const char *)line.p, line.n, 0, NULL);
	struct mm_bytes json = mm_export_text(o, "entry");
	char texts[MM_SYNC_ENTRY_MAX + 64];
	struct mm_entry e;

	id[0] = '\0';
	if (json.n <= MM_SYNC_ENTRY_MAX &&
	    mm_entry_parse(json, texts, sizeof(texts), &e, NULL) == MM_OK &&
	    mm_entry_brings_cert(e.type) && e.field[MM_F_BATCH] != NULL &&
	    !mm_text_copy(
		id, MM_NAME_MAX + 1, mm_bytes_of(e.field[MM_F_BATCH])))
		id[0] = '\0';
}

static bool
has_room(struct batches *b, struct mm_bytes line)
{
	char id[MM_NAME_MAX + 1];

	batch_of(line, id);
	for (size_t i = 0; i < b->n; i++)
		if (strcmp(b->id[i], id) == 0)
			return true;
	if (id[0] == '\0')
		return true;
	if (b->n == MM_SYNC_BATCHES_MAX)
		return false;
	strcpy(b->id[b->n++], id);
	return true;
}

static enum mm_err
put_lines(const struct mm_piece_of *of, uint64_t from, uint64_t *to,
    struct mm_buf *out, struct mm_why *why)
{
	struct batches seen = { .n = 0 };

	*to = from;
	mm_buf_text(out, "[");
	while (
	    *to < of->size && *to - from < of->most && out->n < PIECE_BYTES) {
		MM_OWN(mm_buf_done)
		struct mm_buf line = MM_BUF_INIT(MM_SYNC_PIECE_MAX);

		MM_TRY(of->line(of->ctx, *to, &line, why));
		if (!has_room(&seen, mm_buf_view(&line)))
			break;
		mm_buf_text(out, *to > from ? "," : "");
		mm_buf_bytes(out, mm_buf_view(&line));
		++*to;
	}
	mm_buf_text(out, "]");
	return mm_buf_ok(out, why);
}

/* see upload.h */
enum mm_err
mm_piece_put(const struct mm_piece_of *of, uint64_t from, bool dry_run,
    uint64_t *to, struct mm_buf *out, struct mm_why *why)
{
	MM_OWN(mm_buf_done)
	struct mm_buf lines = MM_BUF_INIT(MM_SYNC_PIECE_MAX);
	struct mm_json j = mm_json_over(out);
	uint64_t end;

	if (from > of->size)
		return MM_FAIL(why, MM_EINPUT,
		    "ledger: it ends at entry %" PRIu64 ", before %" PRIu64,
		    of->size, from);
	MM_TRY(put_lines(of, from, &end, &lines, why));
	mm_json_open(&j, '{');
	mm_json_int(&j, "v", 1);
	mm_json_strn(&j, "checkpoint", of->note);
	MM_TRY(put_frontier(of, from, &j, why));
	MM_TRY(put_proof(of, "seen", from, &j, why));
	MM_TRY(put_proof(of, "rest", end, &j, why));
	MM_TRY(put_since(of, from, &j, why));
	mm_json_raw(&j, "entries", mm_buf_view(&lines));
	mm_json_bool(&j, "dry_run", dry_run);
	mm_json_close(&j, '}');
	MM_TRY(mm_buf_ok(out, why));
	*to = end;
	return MM_OK;
}
