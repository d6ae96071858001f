#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/own.h"
#include "base/text.h"
#include "cli/commands.h"
#include "cli/leaves.h"

/*
 * "ledger verify": every entry is hashed, every tile compared, the root and
 * its signature checked, and with --keep also that the tree contains the one
 * that was verified last time.
 */
#define END { NULL, NULL, NULL, MM_C_NONE, NULL }
const struct mm_opt mm_opts_ledger_verify[] = {
	{ "key", "KEY", "the ledger's verifier key, as text or file; without "
	    "it the ledger's own word is taken", MM_C_FILE, NULL },
	{ "keep", "FILE", "compare with the checkpoint in FILE and keep the "
	    "new one there", MM_C_FILE, NULL },
	END
};

/* Entries of later releases: how many, and of which types the first. */
struct later {
	uint64_t n;
	unsigned ntypes;
	bool more; /* types */
	char type[8][sizeof(((struct mm_leaf *)NULL)->later)];
};

struct walk {
	struct mm_source *source;
	struct mm_tile_edge edge;
	struct mm_checkpoint kept; /* size 0: none */
	struct mm_hash at_kept;
	struct mm_progress progress;
	struct later later;
	bool checking; /* what fails now is the ledger, if it was read */
};

static enum mm_err
same_tile(struct walk *w, const struct mm_tile_id *id,
    const struct mm_hash *hashes, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf b =
	    MM_BUF_INIT(MM_TILE_W * MM_HASH_N);
	struct mm_bytes want = { hashes->b, id->width * MM_HASH_N };
	char path[MM_TILE_PATH_MAX];

	mm_tile_path(id, path);
	MM_TRY(mm_source_get(w->source, path, &b, why));
	if (!mm_bytes_eq(mm_buf_view(&b), want))
		return MM_FAIL(why, MM_EPOLICY,
		    "%s is not what the entries hash to", path);
	return MM_OK;
}

static enum mm_err
full_tile(void *ctx, unsigned level, uint64_t index,
    const struct mm_hash hashes[MM_TILE_W], struct mm_why *why)
{
	struct mm_tile_id id = { .level = level, .index = index,
		.width = MM_TILE_W };

	return same_tile(ctx, &id, hashes, why);
}

static void
note_later(struct later *l, const char *type)
{
	l->n++;
	for (unsigned i = 0; i < l->ntypes; i++)
		if (strcmp(l->type[i], type) == 0)
			return;
	l->more = l->ntypes == sizeof(l->type) / sizeof(l->type[0]);
	if (!l->more)
		strcpy(l->type[l->ntypes++], type);
}

static enum mm_err
one_leaf(void *ctx, uint64_t index, const struct mm_leaf *leaf,
    struct mm_why *why)
{
	struct walk *w = ctx;

	MM_TRY(mm_tile_edge_append(&w->edge, &leaf->hash, full_tile, w, why));
	if (leaf->later[0] != '\0')
		note_later(&w->later, leaf->later);
	if (w->edge.size == w->kept.size)
		w->at_kept = mm_tile_edge_root(&w->edge);
	if ((index & 255) == 0)
		mm_progress_step(&w->progress, index);
	return MM_OK;
}

static enum mm_err
partial_tiles(struct walk *w, struct mm_why *why)
{
	for (unsigned level = 0; level < MM_TILE_LEVELS; level++) {
		struct mm_tile_id id = { .level = level,
			.index = level < 8 ? w->edge.size >> (8 * level) >> 8
					   : 0,
			.width = w->edge.n[level] };

		if (id.width != 0)
			MM_TRY(same_tile(w, &id, w->edge.hash[level], why));
	}
	return MM_OK;
}

static enum mm_err
compare(const struct walk *w, const struct mm_checkpoint *c,
    struct mm_why *why)
{
	struct mm_hash root = mm_tile_edge_root(&w->edge);

	if (memcmp(root.b, c->root.b, MM_HASH_N) != 0)
		return MM_FAIL(why, MM_EPOLICY,
		    "the signed root is not what the entries hash to");
	if (w->kept.size > c->size)
		return MM_FAIL(why, MM_EPOLICY,
		    "the ledger has %llu entries, it had %llu: truncated",
		    (unsigned long long)c->size,
		    (unsigned long long)w->kept.size);
	if (w->kept.size != 0 &&
	    memcmp(w->at_kept.b, w->kept.root.b, MM_HASH_N) != 0)
		return MM_FAIL(why, MM_EPOLICY,
		    "the first %llu entries have changed since last time",
		    (unsigned long long)w->kept.size);
	return MM_OK;
}

static enum mm_err
load_kept(const char *path, const struct mm_note_key *key,
    struct mm_checkpoint *kept, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf b = MM_BUF_INIT(MM_NOTE_MAX);
	enum mm_err rc;

	*kept = (struct mm_checkpoint){ 0 };
	if (path == NULL)
		return MM_OK;
	rc = mm_file_read(path, &b, NULL);
	if (rc == MM_ENOTFOUND)
		return MM_OK;
	if (rc != MM_OK)
		return mm_file_read(path, &b, why);
	return mm_checkpoint_verify(mm_buf_view(&b), key, kept, why);
}

static json_t *
types_json(const struct later *l)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < l->ntypes; i++)
		json_array_append_new(list, json_string(l->type[i]));
	return list;
}

static void
report_json(const struct walk *w, const struct mm_checkpoint *c, bool trusted)
{
	char root[2 * MM_HASH_N + 1];
	json_t *o;

	mm_hex_text(c->root.b, MM_HASH_N, root);
	o = json_pack("{s:b,s:s,s:I,s:s,s:I,s:b,s:I,s:o}", "verified", 1,
	    "origin", c->origin, "size", (json_int_t)c->size, "root", root,
	    "kept_size", (json_int_t)w->kept.size, "key_given", trusted,
	    "not_known", (json_int_t)w->later.n, "not_known_types",
	    types_json(&w->later));
	mm_json_print(o);
	json_decref(o);
}

/* Their hashes are in the tree like any other's: no alarm. */
static void
report_later(const struct later *l)
{
	if (l->n == 0)
		return;
	printf("%llu %s of a form that this release does not know:",
	    (unsigned long long)l->n, l->n == 1 ? "entry is" : "entries are");
	for (unsigned i = 0; i < l->ntypes; i++)
		printf("%s %s", i == 0 ? "" : ",", l->type[i]);
	printf("%s.\n", l->more ? " and others" : "");
}

static void
report(const struct mm_cli *cli, const struct walk *w,
    const struct mm_checkpoint *c, bool trusted)
{
	if (cli->json) {
		report_json(w, c, trusted);
		return;
	}
	fputs("verified: ", stdout);
	mm_text_put(stdout, c->origin);
	printf(" has %llu %s; every entry, every tile and the signature "
	       "agree", (unsigned long long)c->size, mm_counted(c->size,
	    "entry", "entries"));
	if (w->kept.size != 0)
		printf("; the first %llu are those of last time",
		    (unsigned long long)w->kept.size);
	printf(".\n");
	report_later(&w->later);
	if (!trusted)
		mm_cli_note(cli, "the key came from the ledger itself; give "
		    "--key from another source to know who signed");
}

static enum mm_err
verify(struct mm_cli *cli, struct walk *w, const struct mm_args *a,
    struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf note = MM_BUF_INIT(MM_NOTE_MAX);
	const char *keep = mm_arg(a, "keep");
	struct mm_note_key key;
	struct mm_checkpoint c;
	bool trusted;

	MM_TRY(mm_source_key(w->source, mm_arg(a, "key"), &key, &trusted,
	    why));
	MM_TRY(load_kept(keep, &key, &w->kept, why));
	w->checking = true;
	MM_TRY(mm_source_checkpoint(w->source, &key, &c, &note, why));
	mm_progress_begin(&w->progress, cli, "entries", c.size);
	MM_TRY(mm_leaves_each(w->source, c.size, one_leaf, w, why));
	MM_TRY(partial_tiles(w, why));
	mm_progress_step(&w->progress, c.size);
	mm_progress_end(&w->progress);
	MM_TRY(compare(w, &c, why));
	if (keep != NULL)
		MM_TRY(mm_file_replace(keep, mm_buf_view(&note), 0644, why));
	report(cli, w, &c, trusted);
	return MM_OK;
}

enum mm_err
mm_cmd_ledger_verify(struct mm_cli *cli, const struct mm_args *a,
    struct mm_why *why)
{
	struct walk *w = calloc(1, sizeof(*w));
	struct mm_source source = { 0 };
	enum mm_err rc;

	if (w == NULL)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	w->source = &source;
	rc = mm_source_open(&source, cli, a->npos ? a->pos[0] : NULL, why);
	if (rc == MM_OK)
		rc = verify(cli, w, a, why);
	if (rc != MM_OK && w->checking && !source.unread)
		rc = mm_cli_unverified(cli, rc);
	if (cli->unverified)
		mm_cli_hint(cli, "keep this copy as it is, and tell whoever "
		    "answers for security: a ledger does not fail by accident");
	mm_source_close(&source);
	free(w);
	return rc;
}
