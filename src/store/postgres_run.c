#include <stdlib.h>
#include <string.h>

#include "store/postgres.h"

/*
 * A run is one transaction in two round trips.  First: BEGIN, the lock, the
 * entries of other nodes since the last run, run() with the ops.  Then what
 * follows from their results: ledger entries, tiles that became full, COMMIT.
 *
 * run() is written so that an op that cannot be done is a result, not an
 * error.  An error all the same spoils the transaction; then each op gets a
 * savepoint of its own, and the one that fails fails alone.
 */

#define BATCH_MAX (64u << 20) /* bytes of ops or entries */
#define TRIES     3
#define PART      100 /* operations of a statement */

struct batch {
	struct pg_store *s;
	struct mm_op **op; /* those that may be stored */
	int64_t (*back)[MM_OP_ENTRIES]; /* of each op's entries; 0: none */
	size_t n;
	uint64_t before;   /* size of the ledger, locked */
	uint64_t after;
	bool sent;         /* COMMIT may have reached the server */
	bool spoilt;       /* an op was an error: one by one */
	bool retry;        /* rolled back by the server: the same again */
};

/* ---- the pipeline ---- */

/* What a result of the pipeline should be; the NULL after it goes too. */
static enum mm_err
take(struct pg *db, ExecStatusType want, PGresult **out, struct mm_why *why)
{
	MM_OWN(mm_pg_clear) PGresult *res = NULL;
	MM_OWN(mm_pg_clear) PGresult *end = NULL;

	MM_TRY(mm_pg_result(db, &res, why));
	MM_TRY(mm_pg_result(db, &end, why));
	if (PQresultStatus(res) != want || end != NULL) {
		*out = MM_MOVE(res);
		return MM_EBUG;
	}
	*out = MM_MOVE(res);
	return MM_OK;
}

static enum mm_err
want(struct pg *db, ExecStatusType status, PGresult **out, struct mm_why *why)
{
	enum mm_err err = take(db, status, out, why);

	return err != MM_EBUG ? err : mm_pg_fail(db, *out, why);
}

static enum mm_err
want_nothing(struct pg *db, struct mm_why *why)
{
	MM_OWN(mm_pg_clear) PGresult *res = NULL;

	return want(db, PGRES_COMMAND_OK, &res, why);
}

/* Reads up to the end of what was sent, whatever it is; a connection that
 * does not get there is dropped. */
static void
skip(struct pg *db)
{
	ExecStatusType status = PGRES_EMPTY_QUERY;

	while (db->c != NULL && status != PGRES_PIPELINE_SYNC) {
		PGresult *res = NULL;

		if (mm_pg_result(db, &res, NULL) != MM_OK)
			break;
		status = PQresultStatus(res);
		if (res == NULL && PQstatus(db->c) != CONNECTION_OK)
			mm_pg_disconnect(db);
		PQclear(res);
	}
	if (db->c != NULL && !PQexitPipelineMode(db->c))
		mm_pg_disconnect(db);
}

static enum mm_err
sync_pipeline(struct pg *db, struct mm_why *why)
{
	return PQpipelineSync(db->c) ? MM_OK : mm_pg_fail(db, NULL, why);
}

/* The server keeps answers back until its buffer is full or the pipeline ends,
 * and who waits for one would wait for what comes behind it, too. */
static enum mm_err
want_answer(struct pg *db, struct mm_why *why)
{
	return PQsendFlushRequest(db->c) ? MM_OK : mm_pg_fail(db, NULL, why);
}

static enum mm_err
enter(struct pg *db, struct mm_why *why)
{
	return PQenterPipelineMode(db->c) ? MM_OK :
	    mm_pg_fail(db, NULL, why);
}

/* What a pipeline sends is prepared before. */
static enum mm_err
prepare_all(struct pg *db, struct mm_why *why)
{
	const struct val i = INT(0), b = BLOB(NULL, 0);
	const struct ask asks[] = {
		{ Q_BEGIN, NULL, 0 }, { Q_LOCK, NULL, 0 },
		{ Q_ENTRIES, (const struct val[]){ i, i, i }, 3 },
		{ Q_RUN, (const struct val[]){ NONE }, 1 },
		{ Q_SAVEPOINT, NULL, 0 }, { Q_ROLLBACK_OP, NULL, 0 },
		{ Q_ENTRIES_ADD, (const struct val[]){ i, NONE, NONE }, 3 },
		{ Q_TILE_ADD, (const struct val[]){ i, b, b }, 3 },
		{ Q_COMMIT, NULL, 0 }, { Q_ROLLBACK, NULL, 0 },
	};

	for (size_t k = 0; k < sizeof(asks) / sizeof(asks[0]); k++)
		MM_TRY(mm_pg_prepare(db, &asks[k], why));
	return MM_OK;
}

/* ---- the first round trip ---- */

#define CATCH_UP 1024 /* entries; more are read as tiles */

static enum mm_err
send_ops(struct pg *db, struct mm_op *const *ops, size_t n,
    struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf buf = MM_BUF_INIT(BATCH_MAX);

	mm_pg_ops(db, ops, n, &buf);
	MM_TRY(mm_buf_ok(&buf, why));
	return mm_pg_send(db, ASK(RUN, BYTES(mm_buf_view(&buf))), why);
}

static enum mm_err
no_tile(void *ctx, const struct mm_tile_row *t, struct mm_why *why)
{
	(void)ctx;
	(void)t;
	(void)why;
	return MM_OK;
}

/* The edge follows what other nodes wrote; too much of it, or a ledger that
 * is not the one it was: see edge_ready. */
static void
catch_up(struct pg_store *s, uint64_t size, const PGresult *res)
{
	uint64_t n = (uint64_t)PQntuples(res);

	if (!s->edge_ok || s->edge.size + n != size) {
		s->edge_ok = false;
		return;
	}
	for (int i = 0; i < PQntuples(res) && s->edge_ok; i++) {
		struct mm_hash leaf = mm_tree_leaf(mm_pg_blob(res, i, 1));

		/* the tiles it fills are stored already */
		s->edge_ok = mm_pg_int(res, i, 0) == (int64_t)s->edge.size &&
		    mm_tiles_append(&s->edge, &leaf, no_tile, NULL,
		    NULL) == MM_OK;
	}
}

static enum mm_err
send_begin(struct pg_store *s, struct mm_why *why)
{
	uint64_t known = s->edge_ok ? s->edge.size : INT64_MAX - 1;

	MM_TRY(mm_pg_send(&s->db, ASK0(BEGIN), why));
	MM_TRY(mm_pg_send(&s->db, ASK0(LOCK), why));
	return mm_pg_send(&s->db, ASK(ENTRIES, INT(known), INT(INT64_MAX),
	    INT(CATCH_UP)), why);
}

static enum mm_err
take_begin(struct batch *b, struct mm_why *why)
{
	MM_OWN(mm_pg_clear) PGresult *lock = NULL;
	MM_OWN(mm_pg_clear) PGresult *entries = NULL;

	MM_TRY(want_nothing(&b->s->db, why));
	MM_TRY(want(&b->s->db, PGRES_TUPLES_OK, &lock, why));
	MM_TRY(want(&b->s->db, PGRES_TUPLES_OK, &entries, why));
	if (PQntuples(lock) != 1)
		return MM_FAIL(why, MM_EAGAIN, "database: no ledger");
	b->before = b->after = (uint64_t)mm_pg_int(lock, 0, 0);
	catch_up(b->s, b->before, entries);
	return MM_OK;
}

/* By "code" of the schema's type outcome. */
static const enum mm_err outcomes[] = { MM_OK, MM_ECONFLICT, MM_ENOTFOUND,
	MM_EPOLICY, MM_EINPUT, MM_ESTALE };

/* The columns of run(). */
enum { R_CODE, R_WHY, R_ALREADY, R_IDX, R_NUMBER, R_NAME, R_OWN, R_OTHER,
	R_OTHER_AT, R_OTHER_N };

static enum mm_err
give_back(struct mm_op *op, const PGresult *res, int row, struct mm_why *why)
{
	bool already = mm_pg_int(res, row, R_ALREADY) != 0;
	uint64_t number = (uint64_t)mm_pg_int(res, row, R_NUMBER);

	if (op->kind == MM_OP_CONFIRM)
		op->u.confirm.already = already;
	else if (op->kind == MM_OP_REVOKE)
		op->u.revoke.already = already;
	else if (op->kind == MM_OP_DEVICE_PUT)
		op->u.device.already = already;
	else if (op->kind == MM_OP_DOC_PUT)
		op->u.doc.version = number;
	else if (op->kind == MM_OP_RESERVE)
		op->u.reserve.same_key = already;
	if (op->kind != MM_OP_DEVICES_INDEX)
		return MM_OK;
	op->u.index.done = (unsigned)number;
	return mm_text_copy(op->u.index.next, sizeof(op->u.index.next),
	    mm_pg_blob(res, row, R_NAME)) ? MM_OK :
	    MM_FAIL(why, MM_EAGAIN, "database: device name too long");
}

/* How far back each entry's chain goes on: the type outcome says which. */
static void
chain(struct batch *b, size_t i, const PGresult *res, int row)
{
	int64_t newest[2] = { mm_pg_int(res, row, R_OWN),
		mm_pg_int(res, row, R_OTHER) };
	int64_t at = mm_pg_int(res, row, R_OTHER_AT);
	int64_t end = at + mm_pg_int(res, row, R_OTHER_N);
	int64_t index = (int64_t)b->op[i]->index;

	memset(b->back[i], 0, sizeof(b->back[i]));
	if (PQgetisnull(res, row, R_OWN))
		return;
	for (unsigned k = 0; k < b->op[i]->nentries; k++, index++) {
		int64_t *prev = &newest[k >= at && k < end];

		b->back[i][k] = *prev >= 0 ? index - *prev : 0;
		*prev = index;
	}
}

/* One row of run(). */
static enum mm_err
take_outcome(struct batch *b, size_t i, const PGresult *res, int row,
    struct mm_why *why)
{
	uint64_t code = (uint64_t)mm_pg_int(res, row, R_CODE);
	struct mm_bytes words = mm_pg_blob(res, row, R_WHY);
	struct mm_op *op = b->op[i];

	if (code >= sizeof(outcomes) / sizeof(outcomes[0]))
		return MM_FAIL(why, MM_EAGAIN, "database: not an outcome");
	op->result = outcomes[code];
	op->why = (struct mm_why){ 0 };
	op->index = UINT64_MAX;
	if (op->result != MM_OK)
		(void)MM_FAIL(&op->why, op->result, "%.*s", (int)words.n,
		    (const char *)words.p);
	MM_TRY(give_back(op, res, row, why));
	if (PQgetisnull(res, row, R_IDX))
		return MM_OK;
	op->index = (uint64_t)mm_pg_int(res, row, R_IDX);
	if (op->index != b->after)
		return MM_FAIL(why, MM_EAGAIN, "ledger: entry %llu, want "
		    "%llu", (unsigned long long)op->index,
		    (unsigned long long)b->after);
	b->after += op->nentries;
	chain(b, i, res, row);
	return MM_OK;
}

/* An SQLSTATE that the same transaction, run again, may not meet. */
static bool
may_pass(const PGresult *res)
{
	const char *state = PQresultErrorField(res, PG_DIAG_SQLSTATE);

	return state != NULL && (strcmp(state, "40001") == 0 ||
	    strcmp(state, "40P01") == 0);
}

/* What an op did wrong, if it is its own fault: its data, a limit, a row
 * that is there although it was looked for. */
static enum mm_err
fault_of(const PGresult *res)
{
	const char *state = PQresultErrorField(res, PG_DIAG_SQLSTATE);

	if (state == NULL)
		return MM_EAGAIN;
	if (strncmp(state, "23", 2) == 0)
		return MM_ECONFLICT;
	if (strncmp(state, "54", 2) == 0)
		return MM_ELIMIT;
	return strncmp(state, "22", 2) == 0 ? MM_EINPUT : MM_EAGAIN;
}

static enum mm_err
take_ops(struct batch *b, size_t first, size_t n, struct mm_why *why)
{
	MM_OWN(mm_pg_clear) PGresult *res = NULL;
	enum mm_err err = take(&b->s->db, PGRES_TUPLES_OK, &res, why);

	if (err == MM_EBUG) {
		b->retry = may_pass(res);
		b->spoilt = fault_of(res) != MM_EAGAIN;
		return mm_pg_fail(&b->s->db, res, why);
	}
	MM_TRY(err);
	if ((size_t)PQntuples(res) != n)
		return MM_FAIL(why, MM_EAGAIN, "database: %d outcomes of %zu "
		    "operations", PQntuples(res), n);
	for (size_t i = 0; i < n; i++)
		MM_TRY(take_outcome(b, first + i, res, (int)i, why));
	return MM_OK;
}

/* From i on, in one statement: each of them has its time (statement_timeout,
 * and our patience), so a thousand devices do not fail as one where the
 * database is slow. */
static size_t
part_of(const struct batch *b, size_t i)
{
	return b->n - i < PART ? b->n - i : PART;
}

static enum mm_err
all_at_once(struct batch *b, struct mm_why *why)
{
	struct pg *db = &b->s->db;

	MM_TRY(send_begin(b->s, why));
	MM_TRY(want_answer(db, why));
	for (size_t i = 0; i < b->n; i += PART) {
		MM_TRY(send_ops(db, b->op + i, part_of(b, i), why));
		MM_TRY(want_answer(db, why));
	}
	MM_TRY(sync_pipeline(db, why));
	MM_TRY(take_begin(b, why));
	for (size_t i = 0; i < b->n; i += PART)
		MM_TRY(take_ops(b, i, part_of(b, i), why));
	return MM_OK;
}

/* ---- one by one ---- */

static enum mm_err
undo(struct pg *db, struct mm_why *why)
{
	skip(db);
	if (db->c == NULL)
		return MM_FAIL(why, MM_EAGAIN, "database: away");
	MM_TRY(enter(db, why));
	MM_TRY(mm_pg_send(db, ASK0(ROLLBACK_OP), why));
	MM_TRY(sync_pipeline(db, why));
	return want_nothing(db, why);
}

static enum mm_err
take_one(struct batch *b, size_t i, struct mm_why *why)
{
	struct mm_op *op = b->op[i];
	MM_OWN(mm_pg_clear) PGresult *res = NULL;
	struct pg *db = &b->s->db;
	struct mm_why own = { 0 };
	enum mm_err err;

	MM_TRY(want_nothing(db, why));
	err = take(db, PGRES_TUPLES_OK, &res, why);
	if (err == MM_OK)
		return PQntuples(res) == 1 ?
		    take_outcome(b, i, res, 0, why) : MM_EAGAIN;
	if (err != MM_EBUG)
		return err;
	err = fault_of(res);
	b->retry = may_pass(res);
	(void)mm_pg_fail(db, res, &own);
	if (err == MM_EAGAIN)
		return MM_FAIL(why, err, "%s", own.text);
	op->why = (struct mm_why){ 0 };
	op->result = MM_FAIL(&op->why, err, "%s", own.text);
	op->index = UINT64_MAX;
	return undo(db, why);
}

static enum mm_err
one_by_one(struct batch *b, struct mm_why *why)
{
	struct pg *db = &b->s->db;

	MM_TRY(send_begin(b->s, why));
	MM_TRY(sync_pipeline(db, why));
	MM_TRY(take_begin(b, why));
	for (size_t i = 0; i < b->n; i++) {
		skip(db);
		if (db->c == NULL)
			return MM_FAIL(why, MM_EAGAIN, "database: away");
		MM_TRY(enter(db, why));
		MM_TRY(mm_pg_send(db, ASK0(SAVEPOINT), why));
		MM_TRY(send_ops(db, &b->op[i], 1, why));
		MM_TRY(sync_pipeline(db, why));
		MM_TRY(take_one(b, i, why));
	}
	return MM_OK;
}

/* ---- the second round trip ---- */

static enum mm_err
edge_ready(struct batch *b, struct mm_why *why)
{
	struct pg_store *s = b->s;
	struct mm_tiles tiles = { &mm_pg_tiles, &s->db, { .n = 0 } };

	if (!s->edge_ok)
		MM_TRY(mm_tiles_edge(&tiles, b->before, &s->edge, why));
	/* until COMMIT it is ahead of what is stored */
	s->edge_ok = false;
	return MM_OK;
}

struct sent {
	struct pg *db;
	unsigned tiles;
	uint64_t entries;
};

static enum mm_err
send_tile(void *ctx, const struct mm_tile_row *t, struct mm_why *why)
{
	struct sent *sent = ctx;

	sent->tiles++;
	return mm_pg_send(sent->db, ASK(TILE_ADD, INT(t->key),
	    BLOB(t->root->b, MM_HASH_N),
	    BLOB(t->hashes[0].b, MM_TILE_W * MM_HASH_N)), why);
}

MM_FREE_FN(vals_free, struct mm_bytes, free)
MM_FREE_FN(numbers_free, int64_t, free)

static enum mm_err
send_entries(struct batch *b, struct sent *sent, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf json = MM_BUF_INIT(BATCH_MAX);
	MM_OWN(mm_buf_done) struct mm_buf backs = MM_BUF_INIT(BATCH_MAX);
	MM_OWN(vals_free) struct mm_bytes *v =
	    calloc(b->after - b->before, sizeof(*v));
	MM_OWN(numbers_free) int64_t *back =
	    calloc(b->after - b->before, sizeof(*back));
	size_t n = 0;

	if (v == NULL || back == NULL)
		return MM_FAIL(why, MM_ENOMEM, "database: out of memory");
	for (size_t i = 0; i < b->n; i++)
		for (unsigned k = 0; k < b->op[i]->nentries &&
		    b->op[i]->index != UINT64_MAX; k++, n++) {
			v[n] = b->op[i]->entry[k];
			back[n] = b->back[i][k];
		}
	MM_INVARIANT(n == b->after - b->before);
	mm_pg_blobs(v, n, &json);
	mm_pg_numbers(back, n, &backs);
	MM_TRY(mm_buf_ok(&json, why));
	MM_TRY(mm_buf_ok(&backs, why));
	sent->entries = n;
	return mm_pg_send(sent->db, ASK(ENTRIES_ADD, INT(b->before),
	    BYTES(mm_buf_view(&json)), BYTES(mm_buf_view(&backs))), why);
}

static enum mm_err
send_tiles(struct batch *b, struct sent *sent, struct mm_why *why)
{
	for (size_t i = 0; i < b->n; i++) {
		const struct mm_op *op = b->op[i];

		for (unsigned k = 0; k < op->nentries &&
		    op->index != UINT64_MAX; k++) {
			struct mm_hash leaf = mm_tree_leaf(op->entry[k]);

			MM_TRY(mm_tiles_append(&b->s->edge, &leaf, send_tile,
			    sent, why));
		}
	}
	return MM_OK;
}

static enum mm_err
take_written(struct pg *db, const struct sent *sent, struct mm_why *why)
{
	for (unsigned i = 0; i < sent->tiles + (sent->entries > 0); i++) {
		MM_OWN(mm_pg_clear) PGresult *res = NULL;
		bool entries = i == 0 && sent->entries > 0;

		MM_TRY(want(db, PGRES_COMMAND_OK, &res, why));
		if (strtoull(PQcmdTuples(res), NULL, 10) !=
		    (entries ? sent->entries : 1))
			return MM_FAIL(why, MM_EAGAIN,
			    "database: rows are missing");
	}
	return MM_OK;
}

/*
 * The server says COMMIT, or that it did not.  A warning instead: its wait
 * for a replica was cancelled, and the commit may be here only.
 */
static enum mm_err
take_commit(struct batch *b, struct mm_why *why)
{
	MM_OWN(mm_pg_clear) PGresult *res = NULL;
	struct pg *db = &b->s->db;
	enum mm_err err = take(db, PGRES_COMMAND_OK, &res, why);

	if (err == MM_OK && strcmp(PQcmdStatus(res), "COMMIT") == 0)
		return db->warned ? MM_FAIL(why, MM_ESYS, "database: commit "
		    "without its replica") : MM_OK;
	if (err == MM_OK) {
		b->sent = false;
		return MM_FAIL(why, MM_EAGAIN, "database: rolled back");
	}
	if (err != MM_EBUG)
		return err;
	b->retry = may_pass(res);
	err = mm_pg_fail(db, res, why);
	b->sent = db->c == NULL;
	return err;
}

static enum mm_err
finish(struct batch *b, struct mm_why *why)
{
	struct pg *db = &b->s->db;
	struct sent sent = { .db = db };

	MM_TRY(edge_ready(b, why));
	MM_TRY(enter(db, why));
	if (b->after > b->before)
		MM_TRY(send_entries(b, &sent, why));
	MM_TRY(send_tiles(b, &sent, why));
	db->warned = false;
	MM_TRY(mm_pg_send(db, ASK0(COMMIT), why));
	b->sent = true;
	MM_TRY(sync_pipeline(db, why));
	if (take_written(db, &sent, why) != MM_OK) {
		/* an error before COMMIT skips it */
		b->sent = db->c == NULL;
		return MM_EAGAIN;
	}
	return take_commit(b, why);
}

/* ---- the transaction ---- */

static void
give_up(struct batch *b)
{
	struct pg *db = &b->s->db;
	PGresult *res = NULL;

	b->s->edge_ok = false;
	skip(db);
	if (db->c == NULL)
		return;
	if (PQtransactionStatus(db->c) != PQTRANS_IDLE &&
	    mm_pg_text(db, "ROLLBACK", &res, NULL) != MM_OK)
		mm_pg_disconnect(db);
	PQclear(res);
}

static enum mm_err
transaction(struct batch *b, bool singly, struct mm_why *why)
{
	struct pg *db = &b->s->db;
	enum mm_err err;

	b->sent = b->spoilt = b->retry = false;
	MM_TRY(mm_pg_ready(db, why));
	MM_TRY(prepare_all(db, why));
	MM_TRY(enter(db, why));
	err = singly ? one_by_one(b, why) : all_at_once(b, why);
	if (err == MM_OK) {
		skip(db);
		err = db->c != NULL ? finish(b, why) :
		    MM_FAIL(why, MM_EAGAIN, "database: away");
	}
	if (err != MM_OK) {
		give_up(b);
		return b->sent ? MM_ESYS : MM_EAGAIN;
	}
	skip(db);
	b->s->edge_ok = b->s->edge.size == b->after;
	atomic_store(&b->s->committed, b->after);
	return MM_OK;
}

/* The next connection makes durable what it finds: the caller, who looks up
 * what became of his commit, must not be told of one that is not. */
static enum mm_err
unknown(struct pg_store *s, struct mm_why *why)
{
	struct mm_why own = { 0 };

	mm_pg_disconnect(&s->db);
	(void)mm_pg_ready(&s->db, &own);
	return MM_FAIL(why, MM_ESYS, "database: commit neither done nor not");
}

static enum mm_err
run(struct batch *b, struct mm_why *why)
{
	bool singly = false;
	struct mm_why own = { 0 };
	enum mm_err err = MM_EAGAIN;

	for (unsigned i = 0; i < TRIES; i++) {
		memset(&own, 0, sizeof(own));
		err = transaction(b, singly, &own);
		if (err != MM_EAGAIN || !(b->retry || b->spoilt))
			break;
		singly = singly || b->spoilt;
	}
	if (err == MM_ESYS)
		return unknown(b->s, why);
	return err == MM_OK ? MM_OK : MM_FAIL(why, MM_EAGAIN, "%s", own.text);
}

/* see postgres.h */
enum mm_err
mm_pg_run(struct mm_store *s, struct mm_op **ops, size_t nops,
    struct mm_why *why)
{
	struct batch b = { .s = (struct pg_store *)s,
		.op = calloc(nops, sizeof(struct mm_op *)),
		.back = calloc(nops, sizeof(*b.back)) };
	enum mm_err err = MM_OK;

	if (b.op == NULL || b.back == NULL)
		err = MM_FAIL(why, MM_EAGAIN, "database: out of memory");
	for (size_t i = 0; i < nops && err == MM_OK; i++) {
		ops[i]->result = mm_op_check(ops[i], &ops[i]->why);
		if (ops[i]->result == MM_OK)
			b.op[b.n++] = ops[i];
	}
	if (b.n > 0)
		err = run(&b, why);
	free(b.op);
	free(b.back);
	return err;
}
