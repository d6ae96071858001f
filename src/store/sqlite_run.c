#include "store/sqlite.h"

#include <string.h>

/* ---- what ops share ---- */

int64_t
mm_sqlite_claim(const char *authority)
{
	struct mm_hash h = mm_tree_leaf(mm_bytes_of(authority));
	int64_t v;

	memcpy(&v, h.b, sizeof(v));
	return v;
}

static struct class_slot *
class_slot(struct sqlite_store *s, const char *const text[3])
{
	uint32_t h = 2166136261U; /* FNV-1a */

	for (unsigned i = 0; i < 3; i++)
		for (const char *c = text[i];; c++) {
			h = (h ^ (uint8_t)*c) * 16777619U;
			if (*c == '\0')
				break;
		}
	return &s->class[(h ^ h >> 16) % CLASS_CACHE];
}

static bool
class_is(const struct class_slot *c, const char *const text[3])
{
	return c->id != 0 && strcmp(c->product, text[0]) == 0 &&
	    strcmp(c->issuer, text[1]) == 0 &&
	    strcmp(c->profile, text[2]) == 0;
}

static void
class_keep(struct class_slot *c, int64_t id, const char *const text[3])
{
	c->id = 0;
	if (mm_text_copy(c->product, sizeof(c->product),
		mm_bytes_of(text[0])) &&
	    mm_text_copy(c->issuer, sizeof(c->issuer),
		mm_bytes_of(text[1])) &&
	    mm_text_copy(c->profile, sizeof(c->profile),
		mm_bytes_of(text[2])))
		c->id = id;
}

enum mm_err
mm_sqlite_class(struct sqlite_store *s, const char *product,
    const char *issuer, const char *profile, int64_t *id)
{
	const char *const text[3] = { product, issuer, profile };
	struct class_slot *c = class_slot(s, text);
	int64_t found;
	enum mm_err err;

	if (class_is(c, text)) {
		*id = c->id;
		return MM_OK;
	}
	err = mm_sqlite_ints(&s->db, ASK(CLASS, TEXT(product), TEXT(issuer),
	    TEXT(profile)), &found, 1, NULL);
	if (err == MM_ENOTFOUND) {
		err = mm_sqlite_exec(&s->db, ASK(CLASS_ADD, TEXT(product),
		    TEXT(issuer), TEXT(profile)), NULL);
		found = sqlite3_last_insert_rowid(s->db.h);
	}
	MM_TRY(err);
	class_keep(c, found, text);
	*id = found;
	return MM_OK;
}

/* see sqlite.h */
int64_t
mm_sqlite_chain(struct sqlite_store *s, const struct mm_op *op,
    unsigned first, unsigned n, int64_t prev)
{
	for (unsigned i = first; i < first + n && i < op->nentries; i++) {
		s->prev[i] = prev;
		prev = (int64_t)s->counts.entries + i;
	}
	return prev;
}

/* ---- one op ---- */

static enum mm_err
entries_only(struct sqlite_store *s, struct mm_op *op, bool *written,
    struct mm_why *why)
{
	(void)s;
	(void)op;
	(void)why;
	*written = true;
	return MM_OK;
}

/* Nobody else writes this file. */
static enum mm_err
reserve(struct sqlite_store *s, struct mm_op *op, bool *written,
    struct mm_why *why)
{
	(void)s;
	(void)op;
	(void)written;
	(void)why;
	return MM_OK;
}

static mm_sqlite_op_fn *const op_fn[MM_OP_KINDS] = {
	[MM_OP_ENTRY] = entries_only,
	[MM_OP_ISSUE] = mm_sqlite_issue,
	[MM_OP_CONFIRM] = mm_sqlite_confirm,
	[MM_OP_REVOKE] = mm_sqlite_revoke,
	[MM_OP_ORPHAN] = mm_sqlite_orphan,
	[MM_OP_TOKEN_MINT] = mm_sqlite_mint,
	[MM_OP_TOKEN_STATE] = mm_sqlite_token_state,
	[MM_OP_PRODUCT_PUT] = mm_sqlite_product_put,
	[MM_OP_DEVICE_PUT] = mm_sqlite_device_put,
	[MM_OP_DEVICE_RETIRE] = mm_sqlite_device_retire,
	[MM_OP_OPERATOR_PUT] = mm_sqlite_operator_put,
	[MM_OP_OPERATOR_REVOKE] = mm_sqlite_operator_revoke,
	[MM_OP_CHECKPOINT_PUT] = mm_sqlite_checkpoint_put,
	[MM_OP_CRL_PUT] = mm_sqlite_crl_put,
	[MM_OP_ANSWER_PUT] = mm_sqlite_answer_put,
	[MM_OP_DOC_PUT] = mm_sqlite_doc_put,
	[MM_OP_DEVICES_INDEX] = mm_sqlite_devices_index,
	[MM_OP_OPERATOR_ERASE] = mm_sqlite_operator_erase,
	[MM_OP_OPERATOR_USED] = mm_sqlite_operator_used,
	[MM_OP_RESERVE] = reserve,
	[MM_OP_OPERATOR_RENEW] = mm_sqlite_operator_renew,
	[MM_OP_OPERATOR_CONFIRM] = mm_sqlite_operator_confirm,
};

static enum mm_err
op_run(struct sqlite_store *s, struct mm_op *op)
{
	uint64_t index = s->counts.entries;
	bool written = false;

	MM_TRY(mm_op_check(op, &op->why));
	for (unsigned i = 0; i < MM_OP_ENTRIES; i++)
		s->prev[i] = -1;
	MM_TRY(op_fn[op->kind](s, op, &written, &op->why));
	if (!written || op->nentries == 0)
		return MM_OK;
	MM_TRY(mm_sqlite_entries_add(s, op, &op->why));
	op->index = index;
	return MM_OK;
}

/* ---- the transaction ---- */

static enum mm_err
ops_run(struct sqlite_store *s, struct mm_op **ops, size_t nops,
    struct mm_why *why)
{
	const struct mm_store_counts *c = &s->counts;

	for (size_t i = 0; i < nops; i++) {
		ops[i]->result = op_run(s, ops[i]);
		if (ops[i]->result != MM_OK && !mm_op_own(ops[i]->result))
			return MM_FAIL(why, MM_EAGAIN, "%s",
			    ops[i]->why.text);
	}
	return mm_sqlite_exec(&s->db, ASK(COUNTS_SET, INT(c->products),
	    INT(c->devices), INT(c->tokens), INT(c->certs), INT(c->revoked),
	    INT(c->entries)), why);
}

static void
rollback(struct sqlite_store *s)
{
	/* SQLite may have done it already. */
	if (!sqlite3_get_autocommit(s->db.h))
		(void)mm_sqlite_exec(&s->db, ASK0(ROLLBACK), NULL);
}

/*
 * After a COMMIT that failed in its writes or its sync, the frames of the
 * transaction may stand in the WAL all the same, and a recovery after a crash
 * would find them.  Another commit in their place settles it: frames that
 * follow it no longer fit its running checksum.  It must change something:
 * SQLite writes no frame for a row set to what it was.  A full disk needs
 * none: the write of the commit's frame came back short.
 */
static enum mm_err
commit_failed(struct sqlite_store *s, struct mm_why *why)
{
	int rc = sqlite3_extended_errcode(s->db.h) & 0xff;

	rollback(s);
	if (rc == SQLITE_FULL || rc == SQLITE_BUSY)
		return MM_EAGAIN;
	if (mm_sqlite_reload(s, NULL) == MM_OK &&
	    mm_sqlite_exec(&s->db, ASK0(TOUCH), NULL) == MM_OK)
		return MM_EAGAIN;
	s->stale = true;
	return MM_FAIL(why, MM_ESYS, "database: commit neither done nor not");
}

enum mm_err
mm_sqlite_run(struct mm_store *base, struct mm_op **ops, size_t nops,
    struct mm_why *why)
{
	struct sqlite_store *s = (struct sqlite_store *)base;

	/* Before COMMIT nothing has happened, whatever it was. */
	if (s->stale && mm_sqlite_reload(s, why) != MM_OK)
		return MM_EAGAIN;
	if (mm_sqlite_exec(&s->db, ASK0(BEGIN_WRITE), why) != MM_OK)
		return MM_EAGAIN;
	s->stale = true;
	s->schema.product[0] = '\0';
	if (ops_run(s, ops, nops, why) != MM_OK) {
		rollback(s);
		return MM_EAGAIN;
	}
	if (mm_sqlite_exec(&s->db, ASK0(COMMIT), why) != MM_OK)
		return commit_failed(s, why);
	s->stale = false;
	atomic_store(&s->committed, s->counts.entries);
	return MM_OK;
}
