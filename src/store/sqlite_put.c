#include "store/sqlite.h"

#include <string.h>

/* Ops that put one row somewhere. */


/* see sqlite.h */
enum mm_err
mm_sqlite_exists(struct sqlite_store *s, const struct ask *ask, bool *there,
    struct mm_why *why)
{
	int64_t found;
	enum mm_err err = mm_sqlite_ints(&s->db, ask, &found, 1, why);

	*there = err == MM_OK;
	return err == MM_ENOTFOUND ? MM_OK : err;
}

/* ---- products ---- */

enum mm_err
mm_sqlite_product_put(struct sqlite_store *s, struct mm_op *op, bool *written,
    struct mm_why *why)
{
	const struct mm_op_product *p = &op->u.product;
	struct val v[MM_VALS_MAX];
	int64_t version = 0;
	enum mm_err err = mm_sqlite_ints(&s->db,
	    ASK(PRODUCT_KNOWN, TEXT(p->row.name)), &version, 1, why);

	if (err != MM_OK && err != MM_ENOTFOUND)
		return err;
	if (version != 0 && !p->replace)
		return MM_FAIL(why, MM_ECONFLICT, "product %s: exists",
		    p->row.name);
	if (p->if_version && (uint64_t)version != p->row.version)
		return MM_FAIL(why, MM_ESTALE, "product %s: has changed",
		    p->row.name);
	mm_shape_vals(&mm_shape_product, &p->row, v);
	/* but for the version, which the statement counts */
	MM_TRY(mm_sqlite_exec(&s->db, &(struct ask){ Q_PRODUCT_PUT, v,
	    mm_shape_product.n - 1 }, why));
	s->counts.products += version == 0;
	*written = true;
	return MM_OK;
}

/* ---- documents ---- */

static enum mm_err
check_turn(struct sqlite_store *s, uint64_t turn, struct mm_why *why)
{
	int64_t have = 0;
	enum mm_err err = mm_sqlite_ints(&s->db, ASK(DOC, INT(MM_DOC_NODE),
	    TEXT("ledger")), &have, 1, why);

	if (err != MM_OK && err != MM_ENOTFOUND)
		return err;
	return (uint64_t)have == turn ? MM_OK : MM_FAIL(why, MM_ECONFLICT,
	    "checkpoint: another node signs them now");
}

/* A checkpoint never goes back, nor past what is stored. */
enum mm_err
mm_sqlite_checkpoint_put(struct sqlite_store *s, struct mm_op *op,
    bool *written, struct mm_why *why)
{
	const struct mm_op_checkpoint *c = &op->u.checkpoint;
	int64_t size = 0;
	enum mm_err err = mm_sqlite_ints(&s->db, ASK0(CHECKPOINT), &size, 1,
	    why);

	if (err != MM_OK && err != MM_ENOTFOUND)
		return err;
	MM_TRY(check_turn(s, c->turn, why));
	if (c->size < (uint64_t)size || c->size > s->counts.entries)
		return MM_FAIL(why, MM_ECONFLICT, "checkpoint: of %llu, want "
		    "%lld to %llu", (unsigned long long)c->size,
		    (long long)size, (unsigned long long)s->counts.entries);
	*written = true;
	return mm_sqlite_exec(&s->db, ASK(CHECKPOINT_PUT, INT(c->size),
	    BYTES(c->note)), why);
}

/* ---- revocation lists ---- */

/* RFC 5280 5.2.3: numbers only grow. */
static enum mm_err
check_number(const struct mm_op_crl *c, uint64_t follows, const int64_t *have,
    struct mm_why *why)
{
	uint64_t number = have == NULL ? 0 : (uint64_t)*have;

	if (follows != MM_CRL_ANY && follows != number)
		return MM_FAIL(why, MM_ECONFLICT,
		    "issuer %s: another CRL came first", c->issuer);
	if (have != NULL && c->number <= number)
		return MM_FAIL(why, MM_ECONFLICT,
		    "issuer %s: CRL number %llu, last was %llu", c->issuer,
		    (unsigned long long)c->number,
		    (unsigned long long)number);
	return MM_OK;
}

static enum mm_err
check_list(struct sqlite_store *s, const struct mm_op_crl *c,
    const struct ask *ask, uint64_t follows, struct mm_why *why)
{
	int64_t number = 0;
	enum mm_err err = mm_sqlite_ints(&s->db, ask, &number, 1, why);

	if (err != MM_OK && err != MM_ENOTFOUND)
		return err;
	return check_number(c, follows, err == MM_OK ? &number : NULL, why);
}

struct shard_list {
	uint32_t shard;
	uint64_t follows;
	struct mm_bytes der;
};

/* false: that was the last. */
static bool
next_shard(struct mm_rd *r, struct shard_list *out)
{
	if (r->left == 0 || r->bad)
		return false;
	out->shard = mm_rd_u32(r);
	out->follows = mm_rd_u64(r);
	out->der = mm_rd_block32(r);
	return !r->bad;
}

static enum mm_err
check_shards(struct sqlite_store *s, const struct mm_op_crl *c,
    struct mm_why *why)
{
	struct mm_rd r = mm_rd_over(c->shards);
	struct shard_list l;

	while (next_shard(&r, &l))
		MM_TRY(check_list(s, c, ASK(SHARD_NUMBER, TEXT(c->issuer),
		    INT(l.shard)), l.follows, why));
	return mm_rd_end(&r) ? MM_OK :
	    MM_FAIL(why, MM_EINPUT, "crl: its shards are not whole");
}

static enum mm_err
put_shards(struct sqlite_store *s, const struct mm_op_crl *c,
    struct mm_why *why)
{
	struct mm_rd r = mm_rd_over(c->shards);
	struct shard_list l;

	while (next_shard(&r, &l))
		MM_TRY(mm_sqlite_exec(&s->db, ASK(SHARD_PUT, TEXT(c->issuer),
		    INT(l.shard), INT(c->number), INT(c->this_s),
		    INT(c->next_s), BYTES(l.der)), why));
	return MM_OK;
}

/* All or none: what is checked comes before what is written. */
enum mm_err
mm_sqlite_crl_put(struct sqlite_store *s, struct mm_op *op, bool *written,
    struct mm_why *why)
{
	const struct mm_op_crl *c = &op->u.crl;
	bool whole = c->der.n > 0;

	if (whole)
		MM_TRY(check_list(s, c, ASK(CRL_HEAD, TEXT(c->issuer)),
		    c->follows != NULL ? *c->follows : MM_CRL_ANY, why));
	MM_TRY(check_shards(s, c, why));
	*written = true;
	MM_TRY(put_shards(s, c, why));
	return !whole ? MM_OK : mm_sqlite_exec(&s->db, ASK(CRL_PUT,
	    TEXT(c->issuer), INT(c->number), INT(c->this_s), INT(c->next_s),
	    BYTES(c->der)), why);
}

enum mm_err
mm_sqlite_answer_put(struct sqlite_store *s, struct mm_op *op, bool *written,
    struct mm_why *why)
{
	const struct mm_op_answer *a = &op->u.answer;
	int64_t at, old = a->at - MM_ANSWER_KEPT_MS;
	enum mm_err err = mm_sqlite_ints(&s->db,
	    ASK(ANSWER_FIND, TEXT(a->key)), &at, 1, why);

	if (err != MM_OK && err != MM_ENOTFOUND)
		return err;
	if (err == MM_OK && at >= old)
		return MM_FAIL(why, MM_ECONFLICT, "answer: key is used");
	MM_TRY(mm_sqlite_exec(&s->db, ASK(ANSWERS_OLD, INT(old)), why));
	*written = true;
	return mm_sqlite_exec(&s->db, ASK(ANSWER_PUT, TEXT(a->key),
	    HASH(a->request_sha256), INT(a->status), INT(a->at),
	    BYTES(a->body)), why);
}
