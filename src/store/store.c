#include "store/docs_of.h"
#include "store/backend.h"

#include <stdlib.h>
#include <string.h>

#define LIST_MAX 10000
#define EACH_PAGE 200 /* of what may be tens of kilobytes a row */
#define ENTRY_MAX 65535 /* u16 length in a bundle */

const struct mm_store_backend *const mm_store_backends[] = {
	&mm_sqlite_backend, &mm_postgres_backend, NULL
};

static const char *const token_states[MM_TOKEN_STATES] = {
	[MM_TOKEN_MINTED] = "minted", [MM_TOKEN_ISSUED] = "issued",
	[MM_TOKEN_CONFIRMED] = "confirmed", [MM_TOKEN_FROZEN] = "frozen",
	[MM_TOKEN_CANCELLED] = "cancelled", [MM_TOKEN_EXPIRED] = "expired"
};
static const char *const cert_states[MM_CERT_STATES] = {
	[MM_CERT_ISSUED] = "issued", [MM_CERT_CONFIRMED] = "confirmed",
	[MM_CERT_SUPERSEDED] = "superseded", [MM_CERT_HELD] = "held",
	[MM_CERT_REVOKED] = "revoked", [MM_CERT_ORPHANED] = "orphaned"
};

const char *
mm_token_state_name(enum mm_token_state s)
{
	return s < MM_TOKEN_STATES ? token_states[s] : "unknown";
}

const char *
mm_cert_state_name(enum mm_cert_state s)
{
	return s < MM_CERT_STATES ? cert_states[s] : "unknown";
}

const char *
mm_store_backend_scheme(const struct mm_store_backend *b)
{
	return b->scheme;
}

/* The backend of a URL, and what follows "scheme:". */
static enum mm_err
backend_of(const char *url, const struct mm_store_backend **out,
    const char **where, struct mm_why *why)
{
	for (size_t i = 0; mm_store_backends[i] != NULL; i++) {
		const struct mm_store_backend *b = mm_store_backends[i];
		size_t n = strlen(b->scheme);

		if (strncmp(url, b->scheme, n) != 0 || url[n] != ':' ||
		    url[n + 1] == '\0')
			continue;
		*out = b;
		*where = url + n + 1;
		return MM_OK;
	}
	/* The rest may hold what is nobody's business. */
	return MM_FAIL(why, MM_EINPUT, "database: \"%.*s\" is not a scheme "
	    "of SCHEME:WHERE", (int)strcspn(url, ":"), url);
}

enum mm_err
mm_store_open(const char *url, bool create, struct mm_store **out,
    struct mm_why *why)
{
	const struct mm_store_backend *b;
	const char *where = NULL;

	MM_TRY(backend_of(url, &b, &where, why));
	return b->store_open(where, create, out, why);
}

void
mm_store_close(struct mm_store **owner)
{
	if (*owner != NULL)
		(*owner)->backend->store_close(*owner);
	*owner = NULL;
}

enum mm_err
mm_reader_open(const char *url, struct mm_store_reader **out,
    struct mm_why *why)
{
	const struct mm_store_backend *b;
	const char *where = NULL;

	MM_TRY(backend_of(url, &b, &where, why));
	return b->reader_open(where, out, why);
}

void
mm_reader_close(struct mm_store_reader **owner)
{
	if (*owner != NULL)
		(*owner)->backend->reader_close(*owner);
	*owner = NULL;
}

static enum mm_err
doc_check(const struct mm_op_doc *d, struct mm_why *why)
{
	if ((unsigned)d->kind >= MM_DOC_KINDS || d->id[0] == '\0' ||
	    d->body.n > MM_DOC_MAX)
		return MM_FAIL(why, MM_EINPUT, "document: bad kind, id or "
		    "size");
	return MM_OK;
}

enum mm_err
mm_op_check(const struct mm_op *op, struct mm_why *why)
{
	if ((unsigned)op->kind >= MM_OP_KINDS ||
	    op->nentries > MM_OP_ENTRIES)
		return MM_FAIL(why, MM_EINPUT, "store: not an operation");
	for (unsigned i = 0; i < op->nentries; i++)
		if (op->entry[i].n < 1 || op->entry[i].n > ENTRY_MAX)
			return MM_FAIL(why, MM_ELIMIT, "ledger: entry of %zu "
			    "bytes, want 1 to %d", op->entry[i].n, ENTRY_MAX);
	return op->kind == MM_OP_DOC_PUT ? doc_check(&op->u.doc, why) : MM_OK;
}

bool
mm_op_own(enum mm_err err)
{
	return err == MM_EINPUT || err == MM_EPOLICY || err == MM_ENOTFOUND ||
	    err == MM_ECONFLICT || err == MM_ELIMIT || err == MM_ESTALE;
}

/* A transaction that failed is every op's failure. */
static void
run_failed(struct mm_op **ops, size_t nops, const struct mm_why *why)
{
	for (size_t i = 0; i < nops; i++) {
		ops[i]->result = why->code;
		ops[i]->why = *why;
		ops[i]->index = UINT64_MAX;
	}
}

enum mm_err
mm_store_run(struct mm_store *s, struct mm_op **ops, size_t nops,
    struct mm_why *why)
{
	struct mm_why own = { 0 };
	enum mm_err err = MM_OK;

	for (size_t i = 0; i < nops; i++) {
		ops[i]->result = MM_EAGAIN;
		ops[i]->why = (struct mm_why){ 0 };
		ops[i]->index = UINT64_MAX;
	}
	if (nops > 0)
		err = s->backend->store_run(s, ops, nops, &own);
	if (err == MM_OK)
		return MM_OK;
	own.code = err;
	run_failed(ops, nops, &own);
	return MM_FAIL(why, err, "%s", own.text);
}

bool
mm_store_shared(const struct mm_store *s)
{
	return s->backend->shared;
}

uint64_t
mm_store_ledger_size(const struct mm_store *s)
{
	return s->backend->store_ledger_size(s);
}

void
mm_reader_end(struct mm_store_reader *r)
{
	r->backend->reader_end(r);
}

/* Every read goes to the backend that opened its reader. */
#define FORWARD(name, member, params, args)                               \
	enum mm_err name params                                           \
	{                                                                 \
		return r->backend->member args;                           \
	}

FORWARD(mm_reader_begin, reader_begin,
    (struct mm_store_reader *r, struct mm_why *why), (r, why))
FORWARD(mm_store_tidy, store_tidy,
    (struct mm_store_reader *r, struct mm_why *why), (r, why))
FORWARD(mm_store_inspect, inspect,
    (struct mm_store_reader *r, bool deep, struct mm_store_health *out,
    struct mm_why *why), (r, deep, out, why))

#define FORWARD_GET(name, kind, keytype, row)                             \
	FORWARD(name, get, (struct mm_store_reader *r, keytype key,       \
	    struct row *out, struct mm_why *why), (r, kind, key, out, why))

FORWARD_GET(mm_get_product, MM_GET_PRODUCT, const char *, mm_product)
FORWARD_GET(mm_get_device, MM_GET_DEVICE, const char *, mm_device)
FORWARD_GET(mm_get_token, MM_GET_TOKEN, const char *, mm_token_row)
FORWARD_GET(mm_get_token_facts, MM_GET_TOKEN_FACTS, const char *,
    mm_token_facts)
FORWARD_GET(mm_get_key_use, MM_GET_KEY_USE, const uint8_t *, mm_key_use)
FORWARD_GET(mm_get_claim, MM_GET_CLAIM, const char *, mm_claim)
FORWARD_GET(mm_get_cert, MM_GET_CERT, const uint8_t *, mm_cert_row)
FORWARD_GET(mm_get_operator, MM_GET_OPERATOR, const char *, mm_operator)
FORWARD_GET(mm_get_operator_key, MM_GET_OPERATOR_KEY, const uint8_t *,
    mm_operator)
FORWARD(mm_get_successor, get, (struct mm_store_reader *r,
    const uint8_t serial[16], struct mm_cert_row *out, struct mm_why *why),
    (r, MM_GET_SUCCESSOR, serial, out, why))

FORWARD(mm_get_cert_der, get_cert_der,
    (struct mm_store_reader *r, const uint8_t serial[16], struct mm_buf *der,
	struct mm_why *why), (r, serial, der, why))
FORWARD(mm_get_device_cert, get_device_cert,
    (struct mm_store_reader *r, const char *device, bool idevid,
	struct mm_cert_row *out, struct mm_why *why),
    (r, device, idevid, out, why))
FORWARD(mm_get_checkpoint, get_checkpoint,
    (struct mm_store_reader *r, uint64_t *size, struct mm_buf *note,
	struct mm_why *why), (r, size, note, why))
FORWARD(mm_get_crl, get_crl,
    (struct mm_store_reader *r, const char *issuer, uint64_t *number,
	int64_t *next_s, struct mm_buf *der, struct mm_why *why),
    (r, issuer, number, next_s, der, why))
FORWARD(mm_get_shard, get_shard,
    (struct mm_store_reader *r, const char *issuer, uint32_t shard,
	uint64_t *number, int64_t *next_s, struct mm_buf *der,
	struct mm_why *why), (r, issuer, shard, number, next_s, der, why))
FORWARD(mm_get_answer, get_answer,
    (struct mm_store_reader *r, const char *key, struct mm_answer_row *out,
	struct mm_buf *body, struct mm_why *why),
    (r, key, out, body, why))
FORWARD(mm_get_doc, get_doc,
    (struct mm_store_reader *r, enum mm_doc_kind kind, const char *id,
	uint64_t *version, struct mm_buf *body, struct mm_why *why),
    (r, kind, id, version, body, why))
FORWARD(mm_get_counts, get_counts,
    (struct mm_store_reader *r, struct mm_store_counts *out,
	struct mm_why *why), (r, out, why))

FORWARD(mm_get_unconfirmed, get_unconfirmed,
    (struct mm_store_reader *r, int64_t before_ms, uint64_t most, uint64_t *n,
	struct mm_why *why), (r, before_ms, most, n, why))

FORWARD(mm_get_entry, get_entry,
    (struct mm_store_reader *r, uint64_t index, struct mm_buf *entry,
	struct mm_why *why), (r, index, entry, why))
FORWARD(mm_each_entry, each_entry,
    (struct mm_store_reader *r, uint64_t from, uint64_t to,
	mm_each_entry_fn *fn, void *ctx, struct mm_why *why),
    (r, from, to, fn, ctx, why))
FORWARD(mm_get_tile, get_tile,
    (struct mm_store_reader *r, const struct mm_tile_id *id,
	struct mm_buf *out, struct mm_why *why), (r, id, out, why))
FORWARD(mm_list_revoked, list_revoked,
    (struct mm_store_reader *r, const char *issuer, int64_t now_s,
	mm_row_fn *fn, void *ctx, struct mm_why *why),
    (r, issuer, now_s, &(struct mm_row_sink){ fn, ctx }, why))

FORWARD(mm_list_revoked_shards, list_revoked_shards,
    (struct mm_store_reader *r, const struct mm_shards_of *of, mm_row_fn *fn,
	void *ctx, struct mm_why *why),
    (r, of, &(struct mm_row_sink){ fn, ctx }, why))
FORWARD(mm_list_shards, list_shards,
    (struct mm_store_reader *r, const char *issuer, mm_row_fn *fn, void *ctx,
	struct mm_why *why),
    (r, issuer, &(struct mm_row_sink){ fn, ctx }, why))

/* see store.h */
void
mm_op_crl_shard(struct mm_buf *shards, uint32_t shard, uint64_t follows,
    struct mm_bytes der)
{
	mm_buf_u32(shards, shard);
	mm_buf_u64(shards, follows);
	mm_buf_block32(shards, der);
}

enum mm_err
mm_get_ledger_size(struct mm_store_reader *r, uint64_t *size,
    struct mm_why *why)
{
	struct mm_store_counts counts;

	MM_TRY(mm_get_counts(r, &counts, why));
	*size = counts.entries;
	return MM_OK;
}

static enum mm_err
list(struct mm_store_reader *r, enum mm_list_kind kind,
    const struct mm_list *l, const struct mm_row_sink *to, struct mm_why *why)
{
	if (l->most < 1 || l->most > LIST_MAX)
		return MM_FAIL(why, MM_EINPUT,
		    "list: %u rows asked, want 1 to %d", l->most, LIST_MAX);
	return r->backend->list(r, kind, l, to, why);
}

#define LIST(name, kind)                                                  \
	enum mm_err name(struct mm_store_reader *r,                       \
	    const struct mm_list *l, mm_row_fn *fn, void *ctx,            \
	    struct mm_why *why)                                           \
	{                                                                 \
		return list(r, kind, l, &(struct mm_row_sink){ fn, ctx }, \
		    why);                                                 \
	}

/* The first text after all that begin with prefix. */
static void
after_prefix(const char *prefix, char out[MM_DOC_ID_MAX + 1])
{
	size_t n = strlen(prefix);

	memcpy(out, prefix, n + 1);
	if (n > 0)
		out[n - 1]++;
}

static enum mm_err
range_of(struct mm_doc_range *range, const char *prefix, const char *after,
    struct mm_why *why)
{
	const char *from = strcmp(after, prefix) > 0 ? after : prefix;

	if (range->most < 1 || range->most > LIST_MAX)
		return MM_FAIL(why, MM_EINPUT,
		    "list: %u rows asked, want 1 to %d", range->most, LIST_MAX);
	if (strlen(prefix) > MM_DOC_ID_MAX ||
	    !mm_text_copy(range->from, sizeof(range->from), mm_bytes_of(from)))
		return MM_FAIL(why, MM_EINPUT, "list: no such key");
	after_prefix(prefix, range->to);
	return MM_OK;
}

enum mm_err
mm_list_docs(struct mm_store_reader *r, enum mm_doc_kind kind,
    const char *prefix, const struct mm_list *l, mm_row_fn *fn, void *ctx,
    struct mm_why *why)
{
	struct mm_doc_range range = { .kind = kind, .most = l->most };

	MM_TRY(range_of(&range, prefix, l->after, why));
	return r->backend->list_docs(r, &range,
	    &(struct mm_row_sink){ fn, ctx }, why);
}

/* The schemas' indexes say so. */
_Static_assert(MM_DOC_UNIT == 13 && MM_DOC_BATCH == 9,
    "kinds of documents keep their numbers");

/* see docs_of.h */
enum mm_err
mm_list_units_of(struct mm_store_reader *r, const char *station,
    const char *prefix, const struct mm_list *l, mm_row_fn *fn, void *ctx,
    struct mm_why *why)
{
	struct mm_doc_range range = { .kind = MM_DOC_UNIT, .most = l->most,
		.of = station };

	MM_TRY(range_of(&range, prefix, l->after, why));
	return r->backend->list_docs(r, &range,
	    &(struct mm_row_sink){ fn, ctx }, why);
}

/* see docs_of.h */
enum mm_err
mm_list_batches_of(struct mm_store_reader *r, const char *product,
    const struct mm_list *l, mm_row_fn *fn, void *ctx, struct mm_why *why)
{
	struct mm_doc_range range = { .kind = MM_DOC_BATCH, .most = l->most,
		.of = product };

	MM_TRY(range_of(&range, "", l->after, why));
	return r->backend->list_docs(r, &range,
	    &(struct mm_row_sink){ fn, ctx }, why);
}

struct each {
	struct mm_row_sink to;
	unsigned n;
	char last[MM_DOC_ID_MAX + 1];
};

static enum mm_err
each_row(void *ctx, const void *row, const char *next, struct mm_why *why)
{
	struct each *e = ctx;

	e->n++;
	(void)!mm_text_copy(e->last, sizeof(e->last), mm_bytes_of(next));
	return e->to.fn(e->to.ctx, row, next, why);
}

enum mm_err
mm_each_doc(struct mm_store_reader *r, enum mm_doc_kind kind,
    const char *prefix, mm_row_fn *fn, void *ctx, struct mm_why *why)
{
	struct mm_list l = { .most = EACH_PAGE, .state = -1 };
	struct each e = { .to = { fn, ctx } };

	do {
		e.n = 0;
		strcpy(l.after, e.last);
		MM_TRY(mm_list_docs(r, kind, prefix, &l, each_row, &e, why));
	} while (e.n == l.most);
	return MM_OK;
}

enum mm_err
mm_count_docs(struct mm_store_reader *r, enum mm_doc_kind kind,
    const char *prefix, unsigned most, unsigned *n, struct mm_why *why)
{
	struct mm_doc_range range = { .kind = kind, .most = most };
	int64_t count;

	MM_TRY(range_of(&range, prefix, "", why));
	MM_TRY(r->backend->count_docs(r, &range, &count, why));
	*n = (unsigned)count;
	return MM_OK;
}

enum mm_err
mm_list_history(struct mm_store_reader *r, const char *device,
    uint64_t before, unsigned most, mm_each_entry_fn *fn, void *ctx,
    struct mm_why *why)
{
	const struct mm_history h = { before, most, fn, ctx };

	return r->backend->list_history(r, device, &h, why);
}

enum mm_err
mm_recall_devices(struct mm_store_reader *r, const struct mm_recall *q,
    mm_row_fn *fn, void *ctx, char next[MM_RECALL_AFTER], struct mm_why *why)
{
	if (q->most < 1 || q->most > LIST_MAX || q->nwhere > MM_WHERE_MOST)
		return MM_FAIL(why, MM_EINPUT, "recall: 1 to %d rows, at most "
		    "%d conditions", LIST_MAX, MM_WHERE_MOST);
	return r->backend->recall(r, q, &(struct mm_row_sink){ fn, ctx }, next,
	    why);
}

LIST(mm_list_products, MM_LIST_PRODUCTS)
LIST(mm_list_devices, MM_LIST_DEVICES)
LIST(mm_list_tokens, MM_LIST_TOKENS)
LIST(mm_list_certs, MM_LIST_CERTS)
LIST(mm_list_operators, MM_LIST_OPERATORS)
