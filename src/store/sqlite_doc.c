#include "store/sqlite.h"

#include <string.h>

/* Documents: few, and nothing hot reads them. */

/* RFC 9110 13.1.1: what If-Match compares is the version. */
static enum mm_err
expected(const struct mm_op_doc *d, int64_t have, struct mm_why *why)
{
	if (have == 0 &&
	    (d->body.n == 0 || (d->expect != 0 && d->expect != MM_DOC_ANY)))
		return MM_FAIL(why, MM_ENOTFOUND, "%s: there is none", d->id);
	if (have != 0 && d->expect == 0)
		return MM_FAIL(why, MM_ECONFLICT, "%s: exists", d->id);
	if (d->expect != MM_DOC_ANY && d->expect != (uint64_t)have)
		return MM_FAIL(why, MM_ESTALE,
		    "%s: has changed: it is at "
		    "version %lld",
		    d->id, (long long)have);
	return MM_OK;
}

/* Where a version stays, as of what has no entry, it says too little. */
static enum mm_err
says_still(struct sqlite_store *s, const struct mm_op_doc *d,
    struct mm_why *why)
{
	MM_OWN(mm_sqlite_reset) sqlite3_stmt *st = NULL;
	struct mm_hash now;

	if (d->was == NULL)
		return MM_OK;
	MM_TRY(mm_sqlite_first(&s->db, ASK(DOC, INT(d->kind), TEXT(d->id)),
	    &st, why));
	now = mm_tree_leaf(mm_sqlite_blob(st, 1));
	return memcmp(&now, d->was, sizeof(now)) == 0 ? MM_OK :
	    MM_FAIL(why, MM_ESTALE, "%s: has changed", d->id);
}

static enum mm_err
with_record(struct sqlite_store *s, const struct mm_op_doc *d,
    struct mm_why *why)
{
	int64_t id;
	enum mm_err err;

	if (d->with == NULL)
		return MM_OK;
	err = mm_sqlite_ints(&s->db, ASK(CERT_STANDS,
	    BLOB(d->with->serial, 16), HASH(d->with->cert_sha256),
	    INT(d->with->issued_at)), &id, 1, why);
	return err != MM_ENOTFOUND ? err : MM_FAIL(why, MM_ESTALE,
	    "%s: its certificate is not on record", d->id);
}

enum mm_err
mm_sqlite_doc_put(
    struct sqlite_store *s, struct mm_op *op, bool *written, struct mm_why *why)
{
	struct mm_op_doc *d = &op->u.doc;
	int64_t have = 0;
	enum mm_err err;

	err = mm_sqlite_ints(
	    &s->db, ASK(DOC, INT(d->kind), TEXT(d->id)), &have, 1, why);
	if (err != MM_OK && err != MM_ENOTFOUND)
		return err;
	MM_TRY(expected(d, have, why));
	MM_TRY(says_still(s, d, why));
	MM_TRY(with_record(s, d, why));
	if (d->counted != NULL)
		MM_TRY(mm_sqlite_count_is(s, d->counts[0], *d->counted, why));
	*written = true;
	s->schema.product[0] = '\0';
	for (unsigned i = 0; i < 2; i++)
		if (d->counts[i] != NULL)
			MM_TRY(mm_sqlite_count_up(s, d->counts[i], why));
	if (d->ends != NULL)
		MM_TRY(mm_sqlite_exec(&s->db,
		    ASK(DOC_DROP, INT(MM_DOC_WAITING), TEXT(d->ends)), why));
	if (d->frees != NULL)
		MM_TRY(mm_sqlite_exec(&s->db,
		    ASK(CLAIM_FREE, INT(mm_sqlite_claim(d->frees)),
			TEXT(d->frees)),
		    why));
	d->version = d->as != 0 ? d->as : (uint64_t)have + 1;
	if (d->body.n == 0)
		d->version = 0;
	if (d->body.n == 0)
		return mm_sqlite_exec(
		    &s->db, ASK(DOC_DROP, INT(d->kind), TEXT(d->id)), why);
	return mm_sqlite_exec(&s->db,
	    ASK(DOC_PUT, INT(d->kind), TEXT(d->id), INT((int64_t)d->version),
		BYTES(d->body)),
	    why);
}

enum mm_err
mm_sqlite_get_doc(struct mm_store_reader *r, enum mm_doc_kind kind,
    const char *id, uint64_t *version, struct mm_buf *body, struct mm_why *why)
{
	MM_OWN(mm_sqlite_reset) sqlite3_stmt *st = NULL;
	enum mm_err err = mm_sqlite_first(
	    mm_sqlite_db(r), ASK(DOC, INT(kind), TEXT(id)), &st, why);

	if (err == MM_ENOTFOUND)
		return MM_FAIL(why, err, "%.80s: there is none", id);
	MM_TRY(err);
	mm_buf_bytes(body, mm_sqlite_blob(st, 1));
	MM_TRY(mm_buf_ok(body, why));
	*version = (uint64_t)sqlite3_column_int64(st, 0);
	return MM_OK;
}

enum mm_err
mm_sqlite_list_docs(struct mm_store_reader *r, const struct mm_doc_range *range,
    const struct mm_row_sink *to, struct mm_why *why)
{
	struct db *db = mm_sqlite_db(r);
	MM_OWN(mm_sqlite_reset) sqlite3_stmt *st = NULL;
	struct mm_doc d;
	enum mm_err err = mm_sqlite_first(db, range->of != NULL ?
	    (range->kind == MM_DOC_BATCH ?
	    ASK(BATCHES_OF, TEXT(range->of), TEXT(range->from),
		TEXT(range->to), INT(range->most)) :
	    ASK(UNITS_OF, TEXT(range->of), TEXT(range->from),
		TEXT(range->to), INT(range->most))) :
	    ASK(DOCS, INT(range->kind), TEXT(range->from), TEXT(range->to),
		INT(range->most)), &st, why);

	while (err == MM_OK) {
		if (!mm_text_copy(d.id, sizeof(d.id), mm_sqlite_blob(st, 0)))
			return MM_FAIL(why, MM_ESYS, "database: id too long");
		d.version = (uint64_t)sqlite3_column_int64(st, 1);
		d.body = mm_sqlite_blob(st, 2);
		MM_TRY(to->fn(to->ctx, &d, d.id, why));
		err = mm_sqlite_next(db, st, why);
	}
	return err == MM_ENOTFOUND ? MM_OK : err;
}

enum mm_err
mm_sqlite_count_docs(struct mm_store_reader *r,
    const struct mm_doc_range *range, int64_t *n, struct mm_why *why)
{
	return mm_sqlite_ints(mm_sqlite_db(r),
	    ASK(DOCS_COUNT, INT(range->kind), TEXT(range->from),
		TEXT(range->to), INT(range->most)),
	    n, 1, why);
}
