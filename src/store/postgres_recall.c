#include "store/postgres.h"
#include "store/recall_key.h"

#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/time.h"

/*
 * Devices under any combination of conditions, as sqlite_recall.c finds them:
 * one condition leads and gives candidates, some at a time; the server asks
 * the others of each (SQL_RECALL).
 */

#define CHUNK     256 /* candidates asked for at once */
#define WHERE_MAX 8192

struct recall {
	struct pg *db;
	const struct mm_recall *q;
	const struct mm_row_sink *to;
	enum mm_recall_lead lead;
	const struct mm_where *where; /* the leading one */
	struct mm_recall_at at;
	struct mm_buf wanted; /* what holds() of the schema takes */
	char end[MM_RECALL_END];
	unsigned seen, given;
	bool over; /* no later candidate can be one */
};

static void
recall_done(struct recall *c)
{
	mm_buf_done(&c->wanted);
}

/* ---- what is asked ---- */

/* A number goes as text: JSON has none that is infinite. */
static enum mm_err
put_where(struct recall *c, struct mm_why *why)
{
	struct mm_json j = mm_json_over(&c->wanted);
	char number[40];

	mm_json_open(&j, '[');
	for (unsigned i = 0; i < c->q->nwhere; i++) {
		const struct mm_where *w = &c->q->where[i];

		snprintf(number, sizeof(number), "%.17g", w->number);
		mm_json_open(&j, '{');
		mm_json_str(&j, "name", w->name);
		mm_json_int(&j, "op", (int64_t)w->op);
		mm_json_str(&j, w->is_number ? "number" : "text",
		    w->is_number ? number : w->text);
		mm_json_close(&j, '}');
	}
	mm_json_close(&j, ']');
	return mm_buf_ok(&c->wanted, why);
}

static struct val
text_or_none(const char *text)
{
	return text != NULL ? TEXT(text) : NONE;
}

static struct val
or_ever(int64_t at)
{
	return INT(at != 0 ? at : INT64_MAX);
}

static struct val
value_of(const struct mm_where *w)
{
	return w->is_number ? REAL(w->number) : TEXT(w->text);
}

/* Of several the one that fewest devices have. */
static enum mm_err
rarest(struct recall *c, struct mm_why *why)
{
	int64_t n, best = INT64_MAX;

	for (unsigned i = 0; c->q->device == NULL && i < c->q->nwhere; i++) {
		const struct mm_where *w = &c->q->where[i];

		if (!w->indexed || w->op != MM_WHERE_EQ)
			continue;
		MM_TRY(mm_pg_ints(c->db, &(struct ask){
		    w->is_number ? Q_COUNT_NUMBER : Q_COUNT_WORD,
		    (struct val[]){ TEXT(w->name), value_of(w),
		    INT(c->q->scan) }, 3 }, &n, 1, why));
		if (n < best)
			c->where = w;
		best = n < best ? n : best;
	}
	return MM_OK;
}

/* A walk by time starts where its time does. */
static enum mm_err
find_start(struct recall *c, struct mm_why *why)
{
	bool certs = c->lead == MM_LEAD_ISSUED;
	int64_t from = certs ? c->q->issued_from : c->q->created_from;

	if (c->at.id >= 0 || from == 0 || c->q->unordered ||
	    (!certs && c->lead != MM_LEAD_ALL))
		return MM_OK;
	return mm_pg_ints(c->db, &(struct ask){
	    certs ? Q_CERTS_BEFORE : Q_DEVICES_BEFORE,
	    (struct val[]){ INT(from - MM_RECALL_SLACK_MS) }, 1 }, &c->at.id,
	    1, why);
}

/* ---- the statement ---- */

#define COMMON 11 /* parameters of each */
#define MOST   15

static struct ask
equal(const struct recall *c, struct val v[MOST])
{
	v[COMMON] = TEXT(c->where->name);
	v[COMMON + 1] = value_of(c->where);
	return (struct ask){ c->where->is_number ? Q_RECALL_NUMBER :
	    Q_RECALL_WORD, v, COMMON + 2 };
}

static struct ask
range(struct recall *c, struct val v[MOST])
{
	const struct mm_where *w = c->where;
	double low, high;

	v[COMMON] = TEXT(w->name);
	if (w->is_number) {
		mm_recall_numbers(c->q, w->name, &low, &high);
		v[COMMON + 1] = REAL(low);
		v[COMMON + 2] = REAL(high);
		v[COMMON + 3] = REAL(c->at.has_value ? c->at.number : low);
		return (struct ask){ Q_RECALL_NUMBERS, v, COMMON + 4 };
	}
	mm_recall_text_end(w, c->end);
	v[COMMON + 1] = TEXT(w->text);
	v[COMMON + 2] = TEXT(c->end);
	v[COMMON + 3] = TEXT(c->at.has_value ? c->at.text : w->text);
	return (struct ask){ Q_RECALL_WORDS, v, COMMON + 4 };
}

static struct ask
ask_of(struct recall *c, unsigned n, struct val v[MOST])
{
	const struct mm_recall *q = c->q;
	const struct val common[COMMON] = { INT(c->at.id), INT(n),
		text_or_none(q->product), INT(q->state),
		INT(q->created_from), or_ever(q->created_to),
		BYTES(mm_buf_view(&c->wanted)), text_or_none(q->issuer),
		INT(q->issued_from), or_ever(q->issued_to),
		INT(mm_recall_asks_cert(q) ? q->key_type : -1) };

	memcpy(v, common, sizeof(common));
	v[6].kind = VAL_TEXT;
	switch (c->lead) {
	case MM_LEAD_EQUAL:
		return equal(c, v);
	case MM_LEAD_RANGE:
		return range(c, v);
	case MM_LEAD_NAMED:
		v[COMMON] = TEXT(q->device);
		return (struct ask){ Q_RECALL_NAMED, v, COMMON + 1 };
	case MM_LEAD_PRODUCT:
		return (struct ask){ Q_RECALL_PRODUCT, v, COMMON };
	case MM_LEAD_ISSUED:
		return (struct ask){ Q_RECALL_ISSUED, v, COMMON };
	default:
		return (struct ask){ Q_RECALL_ALL, v, COMMON };
	}
}

/* ---- the walk ---- */

/* The candidate's columns, after the device's. */
enum { X_ID = 8, X_AT, X_WORD, X_NUMBER };

static enum mm_err
take_place(struct recall *c, const PGresult *res, int row,
    struct mm_why *why)
{
	uint64_t bits = (uint64_t)mm_pg_int(res, row, X_NUMBER);

	c->at.id = mm_pg_int(res, row, X_ID);
	if (c->lead != MM_LEAD_RANGE)
		return MM_OK;
	c->at.has_value = true;
	c->at.is_number = c->where->is_number;
	memcpy(&c->at.number, &bits, sizeof(bits));
	if (!mm_text_copy(c->at.text, sizeof(c->at.text),
	    mm_pg_blob(res, row, X_WORD)))
		return MM_FAIL(why, MM_ESYS, "database: attribute too long");
	return MM_OK;
}

/* A walk in the order of time ends where it is past what is asked for. */
static bool
past(const struct recall *c, int64_t at)
{
	int64_t to = c->lead == MM_LEAD_ISSUED ? c->q->issued_to :
	    c->lead == MM_LEAD_ALL ? c->q->created_to : 0;

	return !c->q->unordered && to != 0 && at >= to + MM_RECALL_SLACK_MS;
}

static enum mm_err
look_at(struct recall *c, PGresult *res, int row, char key[MM_RECALL_AFTER],
    struct mm_why *why)
{
	struct mm_device d;

	MM_TRY(take_place(c, res, row, why));
	mm_recall_at_text(c->lead, &c->at, key);
	c->seen++;
	c->over = past(c, mm_pg_int(res, row, X_AT));
	if (PQgetisnull(res, row, 0))
		return MM_OK;
	MM_TRY(mm_pg_load(res, row, &mm_shape_device, &d, why));
	c->given++;
	return c->to->fn(c->to->ctx, &d, key, why);
}

/* Some candidates; *more: there may be more of them. */
static enum mm_err
some(struct recall *c, char key[MM_RECALL_AFTER], bool *more,
    struct mm_why *why)
{
	MM_OWN(mm_pg_clear) PGresult *res = NULL;
	unsigned n = c->q->scan - c->seen < CHUNK ? c->q->scan - c->seen :
	    CHUNK;
	struct val v[MOST];
	struct ask ask = ask_of(c, n, v);

	MM_TRY(mm_pg_rows(c->db, &ask, &res, why));
	for (int i = 0; i < PQntuples(res) && c->given < c->q->most &&
	    !c->over; i++)
		MM_TRY(look_at(c, res, i, key, why));
	*more = (unsigned)PQntuples(res) == n;
	return MM_OK;
}

static bool
in_time(const struct recall *c)
{
	return c->q->until_ms == 0 || c->seen == 0 ||
	    mm_mono_ms() < c->q->until_ms;
}

/* see postgres.h */
enum mm_err
mm_pg_recall(struct mm_store_reader *r, const struct mm_recall *q,
    const struct mm_row_sink *to, char next[MM_RECALL_AFTER],
    struct mm_why *why)
{
	MM_OWN(recall_done) struct recall c = { .db = mm_pg_db(r), .q = q,
		.to = to, .wanted = MM_BUF_INIT(WHERE_MAX) };
	char key[MM_RECALL_AFTER] = "";
	bool more = true;

	MM_TRY(put_where(&c, why));
	MM_TRY(rarest(&c, why));
	c.lead = mm_recall_choose(q, c.where, &c.where);
	MM_TRY(mm_recall_at_parse(q, c.lead, c.where, &c.at, why));
	MM_TRY(find_start(&c, why));
	while (more && c.given < q->most && c.seen < q->scan && !c.over &&
	    in_time(&c))
		MM_TRY(some(&c, key, &more, why));
	/* the last candidate was looked at, not only read */
	if (c.over || (!more && c.given < q->most && c.seen < q->scan))
		key[0] = '\0';
	strcpy(next, key);
	return MM_OK;
}
