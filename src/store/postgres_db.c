#include <stdio.h>
#include <string.h>

#include "store/postgres.h"

static const char *const statements[Q_STATEMENTS] = {
#define X(name, text) [Q_##name] = text,
	SQL_STATEMENTS(X)
#undef X
};

/* PostgreSQL's pg_type.dat: these never change. */
static const Oid type_of[] = {
	[VAL_INT] = 20, [VAL_REAL] = 701, [VAL_TEXT] = 25, [VAL_BLOB] = 17,
	[VAL_NULL] = 0
};

#define VALS 16
#define NAME_LEN 16

static void
name_of(enum sql sql, char out[NAME_LEN])
{
	snprintf(out, NAME_LEN, "q%u", (unsigned)sql);
}

/* ---- sending ---- */

/* The result of the statement that was sent; drains what follows. */
static enum mm_err
collect(struct pg *db, PGresult **out, struct mm_why *why)
{
	MM_OWN(mm_pg_clear) PGresult *res = NULL;
	PGresult *next = NULL;
	ExecStatusType status;

	do {
		MM_TRY(mm_pg_result(db, &next, why));
		if (next == NULL)
			break;
		/* the first failure is the one to tell */
		status = PQresultStatus(res);
		if (res != NULL && status == PGRES_FATAL_ERROR) {
			PQclear(next);
			continue;
		}
		PQclear(res);
		res = next;
	} while (PQstatus(db->c) == CONNECTION_OK);
	status = PQresultStatus(res);
	if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK)
		return mm_pg_fail(db, res, why);
	*out = MM_MOVE(res);
	return MM_OK;
}

/* see postgres.h */
enum mm_err
mm_pg_prepare(struct pg *db, const struct ask *ask, struct mm_why *why)
{
	MM_OWN(mm_pg_clear) PGresult *res = NULL;
	char name[NAME_LEN];
	Oid types[VALS];

	if (db->prepared[ask->sql])
		return MM_OK;
	MM_INVARIANT(ask->n <= VALS);
	for (unsigned i = 0; i < ask->n; i++)
		types[i] = type_of[ask->v[i].kind];
	name_of(ask->sql, name);
	if (!PQsendPrepare(db->c, name, statements[ask->sql], (int)ask->n,
	    types))
		return mm_pg_fail(db, NULL, why);
	MM_TRY(collect(db, &res, why));
	db->prepared[ask->sql] = true;
	return MM_OK;
}

/* see postgres.h */
enum mm_err
mm_pg_send(struct pg *db, const struct ask *ask, struct mm_why *why)
{
	const char *value[VALS];
	int length[VALS], format[VALS];
	uint64_t number[VALS];
	uint64_t bits;
	char name[NAME_LEN];

	MM_INVARIANT(ask->n <= VALS && db->prepared[ask->sql]);
	for (unsigned i = 0; i < ask->n; i++) {
		const struct val *v = &ask->v[i];

		bits = (uint64_t)v->i;
		if (v->kind == VAL_REAL)
			memcpy(&bits, &v->d, sizeof(bits));
		number[i] = __builtin_bswap64(bits);
		value[i] = v->b.p != NULL ? (const char *)v->b.p : "";
		length[i] = (int)v->b.n;
		format[i] = 1;
		if (v->kind == VAL_INT || v->kind == VAL_REAL) {
			value[i] = (const char *)&number[i];
			length[i] = sizeof(number[i]);
		} else if (v->kind == VAL_NULL) {
			value[i] = NULL;
		}
	}
	name_of(ask->sql, name);
	if (!PQsendQueryPrepared(db->c, name, (int)ask->n, value, length,
	    format, 1))
		return mm_pg_fail(db, NULL, why);
	return MM_OK;
}

static enum mm_err
once(struct pg *db, const struct ask *ask, PGresult **out, struct mm_why *why)
{
	MM_TRY(mm_pg_ready(db, why));
	MM_TRY(mm_pg_prepare(db, ask, why));
	MM_TRY(mm_pg_send(db, ask, why));
	return collect(db, out, why);
}

/* see postgres.h */
enum mm_err
mm_pg_rows(struct pg *db, const struct ask *ask, PGresult **out,
    struct mm_why *why)
{
	bool idle = db->c != NULL && !db->began;
	struct mm_why own = { 0 };
	enum mm_err err = once(db, ask, out, &own);

	/* A server that was started anew is found out only by asking it. */
	if (err == MM_EAGAIN && idle && db->c == NULL) {
		memset(&own, 0, sizeof(own));
		err = once(db, ask, out, &own);
	}
	return err == MM_OK ? MM_OK : MM_FAIL(why, err, "%s", own.text);
}

/* Rows of one result that is there, as they come. */
static enum mm_err
give(struct pg *db, PGresult *res, mm_pg_row_fn *fn, void *ctx,
    struct mm_why *why)
{
	ExecStatusType status = PQresultStatus(res);

	if (status == PGRES_SINGLE_TUPLE)
		return fn(ctx, res, why);
	return status == PGRES_TUPLES_OK ? MM_OK : mm_pg_fail(db, res, why);
}

/* see postgres.h */
enum mm_err
mm_pg_stream(struct pg *db, const struct ask *ask, mm_pg_row_fn *fn,
    void *ctx, struct mm_why *why)
{
	PGresult *res = NULL;
	enum mm_err err = MM_OK;

	MM_TRY(mm_pg_ready(db, why));
	MM_TRY(mm_pg_prepare(db, ask, why));
	MM_TRY(mm_pg_send(db, ask, why));
	if (!PQsetSingleRowMode(db->c))
		return mm_pg_fail(db, NULL, why);
	do {
		MM_TRY(mm_pg_result(db, &res, why));
		if (res != NULL && err == MM_OK)
			err = give(db, res, fn, ctx, why);
		PQclear(res);
	} while (res != NULL && db->c != NULL);
	return err;
}

/* see postgres.h */
enum mm_err
mm_pg_text(struct pg *db, const char *sql, PGresult **out, struct mm_why *why)
{
	if (!PQsendQuery(db->c, sql))
		return mm_pg_fail(db, NULL, why);
	return collect(db, out, why);
}

/* ---- rows ---- */

/* see postgres.h */
struct mm_bytes
mm_pg_blob(const PGresult *res, int row, int column)
{
	return (struct mm_bytes){
	    (const uint8_t *)PQgetvalue(res, row, column),
	    (size_t)PQgetlength(res, row, column) };
}

/* Big-endian, of 1 (boolean), 2, 4 or 8 bytes; all of ours are signed. */
int64_t
mm_pg_int(const PGresult *res, int row, int column)
{
	struct mm_bytes b = mm_pg_blob(res, row, column);
	uint64_t v = b.n > 0 && (b.p[0] & 0x80) != 0 ? UINT64_MAX : 0;

	for (size_t i = 0; i < b.n; i++)
		v = v << 8 | b.p[i];
	return (int64_t)v;
}

enum mm_err
mm_pg_first(struct pg *db, const struct ask *ask, PGresult **out,
    struct mm_why *why)
{
	MM_OWN(mm_pg_clear) PGresult *res = NULL;

	MM_TRY(mm_pg_rows(db, ask, &res, why));
	if (PQntuples(res) == 0)
		return MM_ENOTFOUND;
	*out = MM_MOVE(res);
	return MM_OK;
}

enum mm_err
mm_pg_ints(struct pg *db, const struct ask *ask, int64_t *out, unsigned n,
    struct mm_why *why)
{
	MM_OWN(mm_pg_clear) PGresult *res = NULL;

	MM_TRY(mm_pg_first(db, ask, &res, why));
	for (unsigned i = 0; i < n; i++)
		out[i] = mm_pg_int(res, 0, (int)i);
	return MM_OK;
}

enum mm_err
mm_pg_bytes(struct pg *db, const struct ask *ask, int column,
    struct mm_buf *out, struct mm_why *why)
{
	MM_OWN(mm_pg_clear) PGresult *res = NULL;

	MM_TRY(mm_pg_first(db, ask, &res, why));
	mm_buf_bytes(out, mm_pg_blob(res, 0, column));
	return mm_buf_ok(out, why);
}

struct place {
	const PGresult *res;
	int row;
};

static struct cell
cell(void *ctx, unsigned column, enum field_kind kind)
{
	const struct place *at = ctx;

	if (kind == FIELD_INT)
		return (struct cell){ .i =
		    mm_pg_int(at->res, at->row, (int)column) };
	return (struct cell){ .b = mm_pg_blob(at->res, at->row, (int)column) };
}

enum mm_err
mm_pg_load(PGresult *res, int row, const struct shape *s, void *out,
    struct mm_why *why)
{
	return mm_shape_load(s, cell, &(struct place){ res, row }, out, why);
}

enum mm_err
mm_pg_get(struct pg *db, const struct ask *ask, const struct shape *s,
    void *out, struct mm_why *why)
{
	MM_OWN(mm_pg_clear) PGresult *res = NULL;
	enum mm_err err = mm_pg_first(db, ask, &res, why);

	if (err == MM_ENOTFOUND)
		return MM_FAIL(why, err, "no such %s", s->noun);
	MM_TRY(err);
	return mm_pg_load(res, 0, s, out, why);
}
