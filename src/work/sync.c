#include "work/sync.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "base/text.h"
#include "work/export_priv.h"

enum { FRONTIER_MAX = 8 + 64 * MM_HASH_N };
#define SIZE_MOST ((UINT64_C(1) << 53) - 1) /* what JSON's numbers hold */

static enum mm_err
malformed(const char *member, struct mm_why *why)
{
	return MM_FAIL(why, MM_EINPUT,
	    "%s: not as a piece of a station's "
	    "ledger has it",
	    member);
}

/* ---- reading ---- */

static enum mm_err
read_frontier(const json_t *o, struct mm_frontier *out, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf b = MM_BUF_INIT(FRONTIER_MAX);

	if (mm_base64_parse(mm_export_text(o, "frontier"), &b, NULL) != MM_OK ||
	    mm_frontier_parse(mm_buf_view(&b), out, NULL) != MM_OK ||
	    out->size > SIZE_MOST)
		return malformed("frontier", why);
	return MM_OK;
}

static enum mm_err
read_proof(const json_t *o, const char *member, struct mm_proof *out,
    struct mm_why *why)
{
	MM_OWN(mm_buf_done)
	struct mm_buf b = MM_BUF_INIT(MM_PROOF_MAX * MM_HASH_N);

	if (mm_base64_parse(mm_export_text(o, member), &b, NULL) != MM_OK ||
	    b.n % MM_HASH_N != 0)
		return malformed(member, why);
	out->n = (unsigned)(b.n / MM_HASH_N);
	if (b.n > 0)
		memcpy(out->hash, b.p, b.n);
	return MM_OK;
}

/* Where it begins goes into der.n, since the buffer may move. */
static enum mm_err
read_line(const json_t *o, struct mm_sync_piece *p, struct mm_why *why)
{
	struct mm_sync_line *l = &p->line[p->n];
	struct mm_bytes cert = mm_export_text(o, "certificate");

	l->json = mm_export_text(o, "entry");
	l->proof = mm_export_text(o, "proof");
	if (l->json.n == 0 || l->json.n > MM_SYNC_ENTRY_MAX ||
	    l->proof.n > MM_SYNC_ENTRY_MAX)
		return malformed("entries", why);
	l->der.n = p->ders.n;
	if (cert.n > 0 && mm_base64_parse(cert, &p->ders, NULL) != MM_OK)
		return malformed("certificate", why);
	p->n++;
	return MM_OK;
}

static void
place_ders(struct mm_sync_piece *p)
{
	for (size_t i = 0; i < p->n; i++) {
		size_t at = p->line[i].der.n;
		size_t end = i + 1 < p->n ? p->line[i + 1].der.n : p->ders.n;

		p->line[i].der =
		    (struct mm_bytes){ end > at ? p->ders.p + at : NULL,
			    end - at };
	}
}

static enum mm_err
read_lines(const json_t *list, struct mm_sync_piece *p, struct mm_why *why)
{
	const json_t *o;
	size_t i;

	if (!json_is_array(list) || json_array_size(list) > MM_SYNC_ENTRIES_MAX)
		return malformed("entries", why);
	json_array_foreach(list, i, o) MM_TRY(read_line(o, p, why));
	place_ders(p);
	return MM_OK;
}

static enum mm_err
read_since(const json_t *o, struct mm_sync_piece *p, struct mm_why *why)
{
	const json_t *size = json_object_get(o, "size");

	if (o == NULL)
		return MM_OK;
	if (!json_is_integer(size) || json_integer_value(size) < 1)
		return malformed("since", why);
	p->since_size = (uint64_t)json_integer_value(size);
	return read_proof(o, "proof", &p->since, why);
}

static enum mm_err
read_all(const json_t *o, struct mm_sync_piece *p, struct mm_why *why)
{
	p->note = mm_export_text(o, "checkpoint");
	if (!mm_export_is(o, "v", 1))
		return malformed("v", why);
	if (p->note.n == 0 || p->note.n > MM_NOTE_MAX)
		return malformed("checkpoint", why);
	MM_TRY(read_frontier(o, &p->before, why));
	MM_TRY(read_proof(o, "seen", &p->seen, why));
	MM_TRY(read_proof(o, "rest", &p->rest, why));
	MM_TRY(read_since(json_object_get(o, "since"), p, why));
	return read_lines(json_object_get(o, "entries"), p, why);
}

/* see sync.h */
enum mm_err
mm_sync_read(const json_t *o, struct mm_sync_piece **out, struct mm_why *why)
{
	MM_OWN(mm_sync_free) struct mm_sync_piece *p = calloc(1, sizeof(*p));

	if (p == NULL)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	mm_buf_init(&p->ders, MM_SYNC_PIECE_MAX * 4);
	MM_TRY(read_all(o, p, why));
	*out = MM_MOVE(p);
	return MM_OK;
}

/* see sync.h */
void
mm_sync_free(struct mm_sync_piece **owner)
{
	if (*owner != NULL)
		mm_buf_done(&(*owner)->ders);
	free(*owner);
	*owner = NULL;
}

/* ---- verifying ---- */

/* From nothing everything follows. */
static bool
follows(const struct mm_proof *proof, const struct mm_frontier *f,
    const struct mm_checkpoint *c)
{
	struct mm_hash root = mm_frontier_root(f);

	if (f->size == 0)
		return true;
	return f->size <= c->size &&
	       mm_proof_verify_consistency(
		   proof, f->size, &root, c->size, &c->root, NULL) == MM_OK;
}

/* see sync.h */
enum mm_err
mm_sync_verify(const struct mm_sync_piece *p, const struct mm_note_key *ledger,
    struct mm_sync_heads *out, struct mm_why *why)
{
	struct mm_sync_heads h = { .after = p->before };

	if (mm_checkpoint_verify(p->note, ledger, &h.signed_, NULL) != MM_OK)
		return MM_FAIL(why, MM_EPOLICY,
		    "checkpoint: not signed by the "
		    "ledger key that is trusted for this station");
	if (h.signed_.size < p->before.size)
		return MM_FAIL(why, MM_EPOLICY,
		    "ledger: it ends at entry "
		    "%" PRIu64 ", before what is sent of it",
		    h.signed_.size);
	if (!follows(&p->seen, &p->before, &h.signed_))
		return MM_FAIL(why, MM_EPOLICY,
		    "ledger: what was signed is "
		    "another history than the %" PRIu64 " entries before: was "
		    "the station put back?",
		    p->before.size);
	for (size_t i = 0; i < p->n; i++) {
		struct mm_hash leaf = mm_tree_leaf(p->line[i].json);

		mm_frontier_append(&h.after, &leaf);
	}
	if (!follows(&p->rest, &h.after, &h.signed_))
		return MM_FAIL(why, MM_EPOLICY,
		    "ledger: its entries are not "
		    "those that the station's signer signed");
	*out = h;
	return MM_OK;
}
