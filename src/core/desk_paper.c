#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/production_priv.h"

/*
 * A paper is a text of up to some megabytes under its own hash, in documents
 * of a JSON text each: "<hash>.<number>", in order.
 */
#define PIECE_MAX 24000U /* as JSON at most twice that: lines, quotes */

MM_FREE_FN(ops_free, struct mm_op, free)

/* Not inside of a character: RFC 3629 3, 10xxxxxx goes on. */
static size_t
piece_n(struct mm_bytes rest)
{
	size_t n = PIECE_MAX;

	if (rest.n <= n)
		return rest.n;
	while (n > 1 && (rest.p[n] & 0xc0) == 0x80)
		n--;
	return n;
}

static void
fill_op(struct mm_op *op, const char *hex, unsigned i, struct mm_bytes body)
{
	op->u.doc = (struct mm_op_doc){
		.kind = MM_DOC_PAPER, .expect = MM_DOC_ANY, .body = body
	};
	snprintf(op->u.doc.id, sizeof(op->u.doc.id), "%s.%05u", hex, i);
}

/* Up to MM_DESK_DOCS pieces, in one round. */
static enum mm_err
put_round(struct mm_desk *d, const char *hex, unsigned *at,
    struct mm_bytes *rest, struct mm_why *why)
{
	MM_OWN(ops_free) struct mm_op *op = calloc(MM_DESK_DOCS, sizeof(*op));
	MM_OWN(mm_buf_done)
	struct mm_buf all = MM_BUF_INIT(MM_DESK_DOCS * (size_t)MM_DOC_MAX);
	size_t begins[MM_DESK_DOCS + 1] = { 0 };
	size_t n = 0;

	if (op == NULL)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	while (n < MM_DESK_DOCS && rest->n > 0) {
		size_t take = piece_n(*rest);
		struct mm_json j = mm_json_over(&all);

		mm_json_strn(&j, NULL, (struct mm_bytes){ rest->p, take });
		begins[++n] = all.n;
		*rest = (struct mm_bytes){ rest->p + take, rest->n - take };
	}
	MM_TRY(mm_buf_ok(&all, why));
	for (size_t i = 0; i < n; i++)
		fill_op(&op[i], hex, (*at)++,
		    (struct mm_bytes){
			all.p + begins[i], begins[i + 1] - begins[i] });
	return mm_desk_docs_put(d, op, n, why);
}

/* see production.h */
enum mm_err
mm_desk_paper_put(struct mm_desk *d, struct mm_bytes text,
    const uint8_t sha256[32], struct mm_why *why)
{
	char hex[65];
	unsigned at = 0;

	mm_hex_text(sha256, 32, hex);
	if (text.n == 0 || text.n > MM_PAPER_MAX)
		return MM_FAIL(
		    why, MM_ELIMIT, "a paper has 1 to %u bytes", MM_PAPER_MAX);
	while (text.n > 0)
		MM_TRY(put_round(d, hex, &at, &text, why));
	return MM_OK;
}

static enum mm_err
add_piece(void *ctx, const void *row, const char *next, struct mm_why *why)
{
	const struct mm_doc *doc = row;
	struct mm_buf *out = ctx;
	MM_OWN(mm_json_free)
	json_t *v = json_loadb(
	    (const char *)doc->body.p, doc->body.n, JSON_DECODE_ANY, NULL);

	(void)next;
	if (!json_is_string(v))
		return MM_FAIL(why, MM_ESYS, "a paper cannot be read");
	mm_buf_put(out, json_string_value(v), json_string_length(v));
	return mm_buf_ok(out, why);
}

/* see production.h */
enum mm_err
mm_paper_get(struct mm_store_reader *reader, const uint8_t sha256[32],
    struct mm_buf *out, struct mm_why *why)
{
	size_t start = out->n;
	char prefix[66];
	uint8_t hash[32];

	mm_hex_text(sha256, 32, prefix);
	strcat(prefix, ".");
	MM_TRY(mm_each_doc(reader, MM_DOC_PAPER, prefix, add_piece, out, why));
	if (out->n == start)
		return MM_FAIL(why, MM_ENOTFOUND, "no such paper");
	mm_sha256((struct mm_bytes){ out->p + start, out->n - start }, hash);
	return memcmp(hash, sha256, 32) == 0
		   ? MM_OK
		   : MM_FAIL(why, MM_ESYS, "a paper is not what its name says");
}
