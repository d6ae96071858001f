#include "cli/heads.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/grow.h"
#include "base/own.h"
#include "base/text.h"
#include "base/time.h"
#include "cli/marks.h"
#include "ledger/entry.h"
#include "ledger/note.h"
#include "ledger/tile.h"
#include "pki/key.h"

enum { YOUNG_MS = 15000, LAG = 2 };
#define TILE_BYTES ((size_t)MM_TILE_W * MM_HASH_N)

/* text: hash of the checkpoint's text, which is what was signed. */
struct mm_head {
	uint64_t size;
	uint8_t text[32];
	bool young, stored;
};

struct walk {
	struct mm_heads *s;
	struct mm_store_reader *db;
	size_t at; /* the next head */
	struct mm_frontier tree;
	struct mm_tile_edge edge; /* the same tree, as it is stored */
	const char *origin;
	json_t *differences;
	bool told, told_tile; /* a wrong tree stays wrong */
};

MM_FREE_FN(walk_free, struct walk, free)

static enum mm_err
add(struct mm_heads *s, const struct mm_head *head, struct mm_why *why)
{
	struct mm_head *h = mm_grown(s->h, s->n, &s->cap, sizeof(*h));

	if (h == NULL)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	s->h = h;
	s->h[s->n++] = *head;
	return MM_OK;
}

/* see heads.h */
enum mm_err
mm_heads_line(struct mm_heads *s, const struct mm_journal_line *l,
    int64_t began_ms, struct mm_why *why)
{
	struct mm_head h = { .size = l->number,
		.young = l->at_ms > began_ms - YOUNG_MS &&
			 l->at_ms < mm_now_ms() + YOUNG_MS };

	if (l->kind != MM_J_CHECKPOINT)
		return MM_OK;
	memcpy(h.text, l->tbs_sha256, sizeof(h.text));
	return add(s, &h, why);
}

/* see heads.h */
void
mm_heads_done(struct mm_heads *s)
{
	free(s->h);
	*s = (struct mm_heads){ 0 };
}

static void
differ(json_t *to, uint64_t size, const char *what)
{
	char record[48];

	snprintf(record, sizeof(record), "tree of %llu entries",
	    (unsigned long long)size);
	mm_differ(to, record, what);
}

static void
text_hash(const struct mm_checkpoint *c, uint8_t out[32])
{
	MM_OWN(mm_buf_done) struct mm_buf text = MM_BUF_INIT(MM_NOTE_MAX);

	mm_checkpoint_text(c, &text);
	mm_sha256(mm_buf_view(&text), out);
}

/* All heads of the tree as it is now. */
static void
check_heads(struct walk *w)
{
	struct mm_checkpoint c = { .size = w->tree.size };
	uint8_t hash[32];

	if (w->at == w->s->n || w->s->h[w->at].size != c.size)
		return;
	c.root = mm_frontier_root(&w->tree);
	(void)!mm_text_copy(c.origin, sizeof(c.origin), mm_bytes_of(w->origin));
	text_hash(&c, hash);
	for (; w->at < w->s->n && w->s->h[w->at].size == c.size; w->at++) {
		const struct mm_head *h = &w->s->h[w->at];

		if (memcmp(h->text, hash, sizeof(hash)) == 0 || w->told)
			continue;
		differ(w->differences, c.size,
		    h->stored
			? "another tree in the stored checkpoint"
			: "the database's entries are not what was signed");
		w->told = true;
	}
}

/* ---- the stored tiles ---- */

static void
differ_tile(struct walk *w, const struct mm_tile_id *id)
{
	char path[MM_TILE_PATH_MAX];

	if (w->told_tile)
		return;
	mm_tile_path(id, path);
	mm_differ(w->differences, path, "not made of the database's entries");
	w->told_tile = true;
}

static void
check_tile(
    struct walk *w, const struct mm_tile_id *id, const struct mm_hash *hashes)
{
	MM_OWN(mm_buf_done) struct mm_buf stored = MM_BUF_INIT(TILE_BYTES);
	size_t n = id->width * (size_t)MM_HASH_N;

	if (mm_get_tile(w->db, id, &stored, NULL) != MM_OK || stored.n != n ||
	    memcmp(stored.p, hashes, n) != 0)
		differ_tile(w, id);
}

static enum mm_err
full_tile(void *ctx, unsigned level, uint64_t index,
    const struct mm_hash hashes[MM_TILE_W], struct mm_why *why)
{
	const struct mm_tile_id id = {
		.level = level, .index = index, .width = MM_TILE_W
	};

	(void)why;
	check_tile(ctx, &id, hashes);
	return MM_OK;
}

/* They are the roots of the tiles below. */
static void
check_partial_tiles(struct walk *w)
{
	for (unsigned level = 1; level < MM_TILE_LEVELS; level++) {
		uint64_t n = w->edge.size >> (8 * level);
		const struct mm_tile_id id = { .level = level,
			.index = n / MM_TILE_W,
			.width = (unsigned)(n % MM_TILE_W) };

		if (id.width != 0)
			check_tile(w, &id, w->edge.hash[level]);
	}
}

static enum mm_err
one_entry(void *ctx, uint64_t index, struct mm_bytes json, struct mm_why *why)
{
	struct walk *w = ctx;
	struct mm_hash leaf = mm_tree_leaf(json);

	(void)index;
	mm_frontier_append(&w->tree, &leaf);
	check_heads(w);
	return mm_tile_edge_append(&w->edge, &leaf, full_tile, w, why);
}

/* ---- the heads ---- */

/* The key is in the first entry, and that is in every tree. */
static enum mm_err
ledger_key(
    struct mm_store_reader *db, struct mm_note_key *key, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf json = MM_BUF_INIT(MM_ENTRY_MAX);
	char arena[MM_ENTRY_MAX + 64];
	struct mm_entry e;

	MM_TRY(mm_get_entry(db, 0, &json, why));
	MM_TRY(
	    mm_entry_parse(mm_buf_view(&json), arena, sizeof(arena), &e, why));
	if (e.type != MM_E_LEDGER_OPENED || e.field[MM_F_KEY] == NULL)
		return MM_FAIL(why, MM_EINPUT, "entry 0 opens no ledger");
	return mm_note_key_parse(mm_bytes_of(e.field[MM_F_KEY]), key, why);
}

static bool
has_line(const struct mm_heads *s, const struct mm_head *stored)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->h[i].size == stored->size &&
		    memcmp(s->h[i].text, stored->text, 32) == 0)
			return true;
	return false;
}

static int
order(const void *a, const void *b)
{
	const struct mm_head *x = a, *y = b;

	if (x->size != y->size)
		return x->size < y->size ? -1 : 1;
	return memcmp(x->text, y->text, sizeof(x->text));
}

/* Each was stored before the next was signed, but for one or two on which
 * the server ended; sorted. */
static void
check_age(const struct mm_heads *s, uint64_t stored, json_t *differences)
{
	uint64_t size = stored;
	unsigned later = 0;

	for (size_t i = 0; i < s->n; i++) {
		if (s->h[i].young || s->h[i].size <= size)
			continue;
		size = s->h[i].size;
		later++;
	}
	if (later > (stored != 0 ? LAG : 0))
		differ(differences, size,
		    stored != 0 ? "signed, but the stored checkpoint is older"
				: "signed, but no checkpoint is stored");
}

/* The stored checkpoint becomes one of the heads. */
static enum mm_err
take_stored(struct mm_heads *s, struct mm_store_reader *db, uint64_t lined,
    json_t *differences, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf note = MM_BUF_INIT(MM_NOTE_MAX);
	struct mm_head h = { .stored = true };
	struct mm_checkpoint c;
	struct mm_note_key key;
	struct mm_why none = { 0 };
	enum mm_err rc = mm_get_checkpoint(db, &h.size, &note, &none);

	if (rc != MM_OK && rc != MM_ENOTFOUND)
		return MM_FAIL(why, rc, "the stored checkpoint cannot be read");
	if (s->n != 0)
		qsort(s->h, s->n, sizeof(*s->h), order);
	check_age(s, rc == MM_OK ? h.size : 0, differences);
	if (rc == MM_ENOTFOUND)
		return MM_OK;
	if (ledger_key(db, &key, &none) != MM_OK ||
	    mm_checkpoint_verify(mm_buf_view(&note), &key, &c, &none) !=
		MM_OK ||
	    c.size != h.size) {
		differ(differences, h.size,
		    "the stored checkpoint is not "
		    "signed with the ledger's key");
		return MM_OK;
	}
	text_hash(&c, h.text);
	if (h.size <= lined && !has_line(s, &h))
		differ(differences, h.size,
		    "the stored checkpoint is not in the journal");
	return add(s, &h, why);
}

/* The first that is larger than the ledger, but for one that is new. */
static void
check_larger(const struct walk *w)
{
	for (size_t i = w->at; i < w->s->n; i++) {
		const struct mm_head *h = &w->s->h[i];

		if (h->young && !h->stored)
			continue;
		differ(w->differences, h->size,
		    "signed, but the database has fewer entries");
		return;
	}
}

/* see heads.h */
enum mm_err
mm_heads_compare(struct mm_heads *s, struct mm_store_reader *db, uint64_t size,
    const char *origin, uint64_t lined, json_t *differences,
    struct mm_why *why)
{
	MM_OWN(walk_free) struct walk *w = calloc(1, sizeof(*w));
	struct mm_why gap = { 0 };
	enum mm_err rc;

	if (w == NULL)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	w->s = s;
	w->db = db;
	w->origin = origin;
	w->differences = differences;
	MM_TRY(take_stored(s, db, lined, differences, why));
	if (s->n != 0)
		qsort(s->h, s->n, sizeof(*s->h), order);
	check_heads(w);
	rc = mm_each_entry(db, 0, size, one_entry, w, &gap);
	if (rc == MM_ENOTFOUND)
		return MM_OK; /* named by who reads the entries */
	if (rc != MM_OK)
		return MM_FAIL(why, rc, "%s", gap.text);
	check_partial_tiles(w);
	check_larger(w);
	return MM_OK;
}
