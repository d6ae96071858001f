/*
 * For the interoperation test of the ledger.
 *
 * "write DIR SIZE" makes a ledger in the layout of C2SP tlog-tiles, with its
 * key, an older checkpoint and proofs; "verify DIR" verifies DIR/go.checkpoint
 * under DIR/go.key.
 */
#include <inttypes.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/own.h"
#include "base/text.h"
#include "ledger/entry.h"
#include "ledger/note.h"
#include "ledger/tile.h"

#define ORIGIN "ledger.example/one"
#define MOST (16U << 20)

struct world {
	const char *dir;
	struct mm_tile_edge edge;
	struct mm_frontier frontier;
	struct mm_buf bundle, tile;
};

static enum mm_err
put_file(const struct world *w, const char *name, struct mm_bytes data,
    struct mm_why *why)
{
	char path[4096], folder[4096];

	MM_TRY(mm_path_join(path, sizeof(path), w->dir, name, why));
	strcpy(folder, path);
	*strrchr(folder, '/') = '\0';
	MM_TRY(mm_dir_make(folder, 0755, why));
	return mm_file_replace(path, data, 0644, why);
}

static enum mm_err
put_tile(const struct world *w, const struct mm_tile_id *id,
    struct mm_bytes data, struct mm_why *why)
{
	char path[MM_TILE_PATH_MAX];

	mm_tile_path(id, path);
	return put_file(w, path, data, why);
}

static enum mm_err
put_full(void *ctx, unsigned level, uint64_t index,
    const struct mm_hash hashes[MM_TILE_W], struct mm_why *why)
{
	const struct mm_tile_id id = { false, level, index, MM_TILE_W };

	return put_tile(ctx, &id, (struct mm_bytes){ hashes[0].b,
	    MM_TILE_W * MM_HASH_N }, why);
}

static enum mm_err
get_tile(void *ctx, const struct mm_tile_id *id, struct mm_bytes *out,
    struct mm_why *why)
{
	struct world *w = ctx;
	char name[MM_TILE_PATH_MAX], path[4096];

	mm_tile_path(id, name);
	MM_TRY(mm_path_join(path, sizeof(path), w->dir, name, why));
	mm_buf_reset(&w->tile);
	MM_TRY(mm_file_read(path, &w->tile, why));
	*out = mm_buf_view(&w->tile);
	return MM_OK;
}

static enum mm_err
append(struct world *w, uint64_t i, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf json = MM_BUF_INIT(MM_ENTRY_MAX);
	struct mm_entry e = { .type = MM_E_ALERT, .at_ms = (int64_t)i * 1000 };
	struct mm_tile_id id = { true, 0, i / MM_TILE_W, MM_TILE_W };
	struct mm_hash leaf;
	char reason[64];

	snprintf(reason, sizeof(reason), "number %" PRIu64 " caf\u00e9", i);
	e.field[MM_F_REASON] = reason;
	MM_TRY(mm_entry_encode(&e, &json, why));
	leaf = mm_tree_leaf(mm_buf_view(&json));
	mm_frontier_append(&w->frontier, &leaf);
	MM_TRY(mm_tile_edge_append(&w->edge, &leaf, put_full, w, why));
	mm_bundle_put(&w->bundle, mm_buf_view(&json));
	if (w->edge.size % MM_TILE_W != 0)
		return MM_OK;
	MM_TRY(put_tile(w, &id, mm_buf_view(&w->bundle), why));
	mm_buf_reset(&w->bundle);
	return MM_OK;
}

static enum mm_err
put_partial(struct world *w, struct mm_why *why)
{
	uint64_t n = w->edge.size;

	for (unsigned l = 0; l < MM_TILE_LEVELS && n > 0; l++, n /= MM_TILE_W) {
		const struct mm_tile_id id = { false, l, n / MM_TILE_W,
			w->edge.n[l] };
		if (id.width > 0)
			MM_TRY(put_tile(w, &id, (struct mm_bytes){
			    w->edge.hash[l][0].b, id.width * MM_HASH_N }, why));
	}
	if (w->edge.n[0] == 0)
		return MM_OK;
	return put_tile(w, &(struct mm_tile_id){ true, 0,
	    w->edge.size / MM_TILE_W, w->edge.n[0] },
	    mm_buf_view(&w->bundle), why);
}

/* Signs as the signer does, with a key that is no secret. */
static enum mm_err
put_checkpoint(const struct world *w, const char *name, struct mm_why *why)
{
	static const uint8_t secret[32] = { 42 };
	MM_OWN(mm_buf_done) struct mm_buf text = MM_BUF_INIT(MM_NOTE_MAX);
	MM_OWN(mm_buf_done) struct mm_buf note = MM_BUF_INIT(MM_NOTE_MAX);
	MM_OWN(mm_buf_done) struct mm_buf vkey = MM_BUF_INIT(MM_NOTE_MAX);
	struct mm_checkpoint c = { .origin = ORIGIN,
		.size = w->frontier.size,
		.root = mm_frontier_root(&w->frontier) };
	EVP_PKEY *pkey = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL,
	    secret, sizeof(secret));
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	struct mm_note_key key;
	uint8_t public[32], sig[64];
	size_t np = sizeof(public), ns = sizeof(sig);

	mm_checkpoint_text(&c, &text);
	MM_INVARIANT(EVP_PKEY_get_raw_public_key(pkey, public, &np) == 1 &&
	    EVP_DigestSignInit(ctx, NULL, NULL, NULL, pkey) == 1 &&
	    EVP_DigestSign(ctx, sig, &ns, text.p, text.n) == 1);
	EVP_MD_CTX_free(ctx);
	EVP_PKEY_free(pkey);
	mm_note_key_make(&key, ORIGIN, public);
	mm_note_key_text(&key, &vkey);
	mm_note_join(&note, mm_buf_view(&text), &key, sig);
	MM_TRY(put_file(w, "key", mm_buf_view(&vkey), why));
	return put_file(w, name, mm_buf_view(&note), why);
}

/* A line: the index or older size, then the proof's hashes. */
static void
print_proof(struct mm_buf *out, uint64_t at, const struct mm_proof *p)
{
	mm_buf_printf(out, "%" PRIu64, at);
	for (unsigned i = 0; i < p->n; i++) {
		mm_buf_text(out, " ");
		mm_hex_put(out, (struct mm_bytes){ p->hash[i].b, MM_HASH_N });
	}
	mm_buf_text(out, "\n");
}

static enum mm_err
put_proofs(struct world *w, uint64_t old, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf in = MM_BUF_INIT(MOST);
	MM_OWN(mm_buf_done) struct mm_buf con = MM_BUF_INIT(MOST);
	uint64_t size = w->edge.size, step = size / 200 + 1;
	struct mm_tile_reader r = { get_tile, w, size };
	struct mm_proof p;

	for (uint64_t i = 0; i < size; i += i + 3 > size ? 1 : step) {
		MM_TRY(mm_proof_inclusion(mm_tile_read, &r, i, size, &p, why));
		print_proof(&in, i, &p);
	}
	MM_TRY(mm_proof_consistency(mm_tile_read, &r, old, size, &p, why));
	print_proof(&con, old, &p);
	MM_TRY(put_file(w, "inclusion", mm_buf_view(&in), why));
	return put_file(w, "consistency", mm_buf_view(&con), why);
}

static enum mm_err
write_ledger(struct world *w, uint64_t size, struct mm_why *why)
{
	uint64_t old = size * 2 / 3 + 1;

	for (uint64_t i = 0; i < size; i++) {
		if (i == old)
			MM_TRY(put_checkpoint(w, "checkpoint.old", why));
		MM_TRY(append(w, i, why));
	}
	if (old >= size)
		MM_TRY(put_checkpoint(w, "checkpoint.old", why));
	MM_TRY(put_partial(w, why));
	MM_TRY(put_checkpoint(w, "checkpoint", why));
	return put_proofs(w, old < size ? old : size, why);
}

static enum mm_err
verify_foreign(const char *dir, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf note = MM_BUF_INIT(MOST);
	MM_OWN(mm_buf_done) struct mm_buf text = MM_BUF_INIT(MM_NOTE_MAX);
	struct mm_note_key key;
	struct mm_checkpoint c;
	char path[4096], root[MM_HASH_N * 2 + 1];

	MM_TRY(mm_path_join(path, sizeof(path), dir, "go.key", why));
	MM_TRY(mm_file_read(path, &text, why));
	MM_TRY(mm_path_join(path, sizeof(path), dir, "go.checkpoint", why));
	MM_TRY(mm_file_read(path, &note, why));
	MM_TRY(mm_note_key_parse(mm_buf_view(&text), &key, why));
	MM_TRY(mm_checkpoint_verify(mm_buf_view(&note), &key, &c, why));
	mm_hex_text(c.root.b, MM_HASH_N, root);
	printf("%s %" PRIu64 " %s\n", c.origin, c.size, root);
	return MM_OK;
}

int
main(int argc, char **argv)
{
	static struct world w = { .bundle = MM_BUF_INIT(MOST),
		.tile = MM_BUF_INIT(MOST) };
	struct mm_why why = { 0 };
	enum mm_err err = MM_EINPUT;

	if (argc == 4 && strcmp(argv[1], "write") == 0) {
		w.dir = argv[2];
		err = write_ledger(&w, strtoull(argv[3], NULL, 10), &why);
	} else if (argc == 3 && strcmp(argv[1], "verify") == 0) {
		err = verify_foreign(argv[2], &why);
	} else {
		(void)MM_FAIL(&why, err, "write DIR SIZE, or verify DIR");
	}
	mm_buf_done(&w.bundle);
	mm_buf_done(&w.tile);
	if (err != MM_OK)
		fprintf(stderr, "ledger_fixture: %s\n", why.text);
	return mm_err_exit(err);
}
