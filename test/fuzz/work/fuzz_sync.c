/*
 * Properties: nothing that the fuzzer makes up is what a key signed whose
 * secret it does not have; of a piece whose end is signed, another root is
 * refused; what is cut from a file that can be read goes from its first entry
 * to its last, and each piece reads back as what was cut.
 */
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#include "work/upload.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MOST = 4096 };
static const char name[] = "mint.example.com/ledger/l3";

static void
need(bool holds)
{
	if (!holds)
		abort();
}

/* A key of the fuzzer's own, and what it signs. */
static void
sign(struct mm_bytes text, struct mm_note_key *key, struct mm_buf *note)
{
	static const uint8_t secret[32] = { 7 };
	uint8_t public[32], sig[64];
	size_t n = sizeof(public), sign_n = sizeof(sig);
	EVP_PKEY *pkey = EVP_PKEY_new_raw_private_key(
	    EVP_PKEY_ED25519, NULL, secret, sizeof(secret));
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();

	need(EVP_PKEY_get_raw_public_key(pkey, public, &n) == 1);
	need(EVP_DigestSignInit(ctx, NULL, NULL, NULL, pkey) == 1);
	need(EVP_DigestSign(ctx, sig, &sign_n, text.p, text.n) == 1);
	mm_note_key_make(key, name, public);
	mm_note_join(note, text, key, sig);
	EVP_MD_CTX_free(ctx);
	EVP_PKEY_free(pkey);
}

/* The piece's note is one of the root that it leads to, or of another. */
static enum mm_err
verify_as(struct mm_sync_piece *p, const struct mm_hash *root, uint64_t size)
{
	struct mm_buf text = MM_BUF_INIT(MOST), note = MM_BUF_INIT(MOST);
	struct mm_checkpoint c = { .size = size, .root = *root };
	struct mm_sync_heads heads;
	struct mm_note_key key;
	enum mm_err rc;

	memcpy(c.origin, name, sizeof(name));
	mm_checkpoint_text(&c, &text);
	sign(mm_buf_view(&text), &key, &note);
	p->note = mm_buf_view(&note);
	rc = mm_sync_verify(p, &key, &heads, NULL);
	mm_buf_done(&text);
	mm_buf_done(&note);
	return rc;
}

static void
check_piece(struct mm_sync_piece *p)
{
	struct mm_frontier after = p->before;
	struct mm_hash root;

	for (size_t i = 0; i < p->n; i++) {
		struct mm_hash leaf = mm_tree_leaf(p->line[i].json);

		mm_frontier_append(&after, &leaf);
	}
	root = mm_frontier_root(&after);
	if (p->before.size == 0 && p->rest.n == 0)
		need(verify_as(p, &root, after.size) == MM_OK);
	root.b[0] ^= 1;
	if (after.size > 0)
		need(verify_as(p, &root, after.size) != MM_OK);
}

static void
read_piece(struct mm_bytes data)
{
	static const char known[] = "PeterNeumann+c74f20a3+"
				    "ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy"
				    "10TW";
	json_t *o = json_loadb(
	    (const char *)data.p, data.n, JSON_REJECT_DUPLICATES, NULL);
	struct mm_sync_piece *p = NULL;
	struct mm_sync_heads heads;
	struct mm_note_key key;

	need(mm_note_key_parse(mm_bytes_of(known), &key, NULL) == MM_OK);
	if (mm_sync_read(o, &p, NULL) == MM_OK) {
		need(mm_sync_verify(p, &key, &heads, NULL) != MM_OK);
		check_piece(p);
	}
	mm_sync_free(&p);
	json_decref(o);
}

/* The next piece of a file; where it ends. */
static uint64_t
cut(const struct mm_upload *u, uint64_t from)
{
	struct mm_buf text = MM_BUF_INIT(MM_SYNC_PIECE_MAX);
	struct mm_sync_piece *p = NULL;
	uint64_t to = from;
	json_t *o;

	if (mm_upload_piece(u, from, true, &to, &text, NULL) != MM_OK)
		to = UINT64_MAX; /* longer than a piece may be */
	o = json_loadb((const char *)text.p, text.n, 0, NULL);
	if (to != UINT64_MAX && mm_sync_read(o, &p, NULL) == MM_OK)
		need(p->before.size == from && p->n == to - from);
	mm_sync_free(&p);
	json_decref(o);
	mm_buf_done(&text);
	return to;
}

static void
read_file(struct mm_bytes data)
{
	struct mm_upload *u = NULL;
	uint64_t at = 0;

	if (mm_upload_open(data, &u, NULL) != MM_OK)
		return;
	need(cut(u, mm_upload_size(u) + 1) == UINT64_MAX);
	while (at < mm_upload_size(u)) {
		uint64_t to = cut(u, at);

		need(to > at);
		at = to;
	}
	mm_upload_close(&u);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	read_piece((struct mm_bytes){ data, size });
	read_file((struct mm_bytes){ data, size });
	return 0;
}
