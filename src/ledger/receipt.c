#include "ledger/receipt.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "base/text.h"

#define RECEIPT_MAX (1U << 20)

MM_FREE_FN(free_json, json_t, json_decref)
MM_FREE_FN(free_text, char, free)

/* see receipt.h */
enum mm_err
mm_receipt_encode(const struct mm_receipt *r, struct mm_buf *out,
    struct mm_why *why)
{
	struct mm_json j = mm_json_over(out);

	if (r->index > INT64_MAX || r->proof.n > MM_PROOF_MAX)
		return MM_FAIL(why, MM_EBUG, "receipt: out of range");
	mm_json_open(&j, '{');
	mm_json_int(&j, "v", 1);
	mm_json_strn(&j, "entry", r->entry);
	mm_json_int(&j, "index", (int64_t)r->index);
	mm_json_open_key(&j, "proof", '[');
	for (unsigned i = 0; i < r->proof.n; i++)
		mm_json_hex(&j, NULL, (struct mm_bytes){
		    r->proof.hash[i].b, MM_HASH_N });
	mm_json_close(&j, ']');
	mm_json_strn(&j, "checkpoint", r->note);
	mm_json_strn(&j, "chain", r->chain_pem);
	mm_json_close(&j, '}');
	return mm_buf_ok(out, why);
}

static bool
get_proof(const json_t *list, struct mm_proof *p)
{
	size_t n = json_array_size(list);

	if (!json_is_array(list) || n > MM_PROOF_MAX)
		return false;
	for (size_t i = 0; i < n; i++) {
		const json_t *hex = json_array_get(list, i);
		if (!json_is_string(hex) ||
		    mm_hex_parse(json_string_value(hex),
			json_string_length(hex), p->hash[i].b, MM_HASH_N,
			NULL) != MM_OK)
			return false;
	}
	p->n = (unsigned)n;
	return true;
}

/* Copies three texts into one room, which no later append can move. */
static enum mm_err
keep(struct mm_bytes *const text[3], struct mm_buf *arena,
    struct mm_why *why)
{
	uint8_t *room = mm_buf_room(arena,
	    text[0]->n + text[1]->n + text[2]->n);

	if (room == NULL)
		return mm_buf_ok(arena, why);
	for (size_t i = 0; i < 3; i++) {
		if (text[i]->n > 0)
			memcpy(room, text[i]->p, text[i]->n);
		text[i]->p = room;
		room += text[i]->n;
	}
	return MM_OK;
}

/* see receipt.h */
enum mm_err
mm_receipt_parse(struct mm_bytes json, struct mm_buf *arena,
    struct mm_receipt *out, struct mm_why *why)
{
	MM_OWN(free_json) json_t *root = NULL;
	struct mm_receipt r = { 0 };
	const char *entry, *note, *chain;
	json_int_t index;
	json_t *proof;
	int v;

	if (json.n > 0 && json.n <= RECEIPT_MAX)
		root = json_loadb((const char *)json.p, json.n,
		    JSON_REJECT_DUPLICATES, NULL);
	if (root == NULL || json_unpack(root, "{s:i,s:s%,s:I,s:o,s:s%,s:s%!}",
	    "v", &v, "entry", &entry, &r.entry.n, "index", &index, "proof",
	    &proof, "checkpoint", &note, &r.note.n, "chain", &chain,
	    &r.chain_pem.n) != 0 || v != 1 || index < 0 ||
	    !get_proof(proof, &r.proof))
		return MM_FAIL(why, MM_EINPUT, "receipt: malformed");
	r.index = (uint64_t)index;
	r.entry.p = (const uint8_t *)entry;
	r.note.p = (const uint8_t *)note;
	r.chain_pem.p = (const uint8_t *)chain;
	MM_TRY(keep((struct mm_bytes *const[3]){ &r.entry, &r.note,
	    &r.chain_pem }, arena, why));
	*out = r;
	return MM_OK;
}

static enum mm_err
check_entry(struct mm_bytes json, struct mm_why *why)
{
	size_t n = json.n + 64;
	MM_OWN(free_text) char *arena = malloc(n);
	struct mm_entry_read e;

	if (arena == NULL)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	return mm_entry_read(json, arena, n, &e, why);
}

/* see receipt.h */
enum mm_err
mm_receipt_verify(const struct mm_receipt *r, const struct mm_note_key *key,
    struct mm_checkpoint *checkpoint, struct mm_why *why)
{
	struct mm_hash leaf = mm_tree_leaf(r->entry);
	struct mm_checkpoint c;

	MM_TRY(mm_checkpoint_verify(r->note, key, &c, why));
	MM_TRY(mm_proof_verify_inclusion(&r->proof, r->index, c.size, &leaf,
	    &c.root, why));
	MM_TRY(check_entry(r->entry, why));
	*checkpoint = c;
	return MM_OK;
}
