#include "store/recall_key.h"
#include "store/sqlite.h"

#include <string.h>

#include "base/time.h"

/*
 * Devices under any combination of conditions.  One condition leads: it has
 * an index, or rows that stand in its order, and gives candidates; the others
 * are asked of each candidate.  What was looked at is bounded, so that a page
 * costs the same whatever is asked.
 */

struct recall {
	struct db *db;
	const struct mm_recall *q;
	const struct mm_row_sink *to;
	enum mm_recall_lead lead;
	const struct mm_where *where; /* the leading one */
	struct mm_recall_at from; /* a statement borrows it */
	struct mm_recall_at at;
	char end[MM_RECALL_END]; /* of a range of texts; borrowed too */
	unsigned seen, given;
	bool over; /* no later candidate can be one */
};
/* ---- conditions ---- */

static bool
holds_number(const struct mm_where *w, double v)
{
	switch (w->op) {
	case MM_WHERE_EQ:
		return v == w->number;
	case MM_WHERE_LT:
		return v < w->number;
	case MM_WHERE_LE:
		return v <= w->number;
	case MM_WHERE_GT:
		return v > w->number;
	case MM_WHERE_GE:
		return v >= w->number;
	default:
		return false;
	}
}

static bool
holds_text(const struct mm_where *w, struct mm_bytes v)
{
	size_t n = strlen(w->text);

	if (w->op == MM_WHERE_PREFIX)
		return v.n >= n && (n == 0 || memcmp(v.p, w->text, n) == 0);
	return w->op == MM_WHERE_EQ && mm_bytes_eq(v, mm_bytes_of(w->text));
}

static enum mm_err
holds(struct recall *c, const struct mm_where *w, const struct mm_device *d,
    bool *yes, struct mm_why *why)
{
	MM_OWN(mm_sqlite_reset) sqlite3_stmt *st = NULL;
	enum mm_err err = mm_sqlite_first(c->db, ASK(RECALL_VALUE,
	    TEXT(d->attributes[0] != '\0' ? d->attributes : "{}"),
	    TEXT(w->name)), &st, why);

	*yes = false;
	if (err != MM_OK)
		return err == MM_ENOTFOUND ? MM_OK : err;
	if (sqlite3_column_type(st, 0) == SQLITE_TEXT)
		*yes = !w->is_number && holds_text(w, mm_sqlite_blob(st, 0));
	else
		*yes = w->is_number &&
		    holds_number(w, sqlite3_column_double(st, 0));
	return MM_OK;
}

/* Of several certificates the first is the one that counts, so that a walk
 * over certificates gives a device once. */
static enum mm_err
has_cert(struct recall *c, int64_t device, int64_t cert, bool *yes,
    struct mm_why *why)
{
	const struct mm_recall *q = c->q;
	int64_t found[1];
	enum mm_err err = mm_sqlite_ints(c->db, ASK(RECALL_CERT, INT(device),
	    TEXT(q->issuer != NULL ? q->issuer : ""), INT(q->issued_from),
	    INT(q->issued_to != 0 ? q->issued_to : INT64_MAX),
	    INT(q->key_type)), found, 1, why);

	*yes = err == MM_OK && (c->lead != MM_LEAD_ISSUED || found[0] == cert);
	return err == MM_ENOTFOUND ? MM_OK : err;
}

static bool
row_matches(struct recall *c, const struct mm_device *d)
{
	const struct mm_recall *q = c->q;

	return (q->product == NULL || strcmp(q->product, d->product) == 0) &&
	    (q->state == -1 || q->state == (int)d->state) &&
	    d->created_at >= q->created_from &&
	    (q->created_to == 0 || d->created_at < q->created_to);
}

static enum mm_err
matches(struct recall *c, int64_t device, const struct mm_device *d,
    bool *yes, struct mm_why *why)
{
	*yes = row_matches(c, d);
	for (unsigned i = 0; *yes && i < c->q->nwhere; i++)
		MM_TRY(holds(c, &c->q->where[i], d, yes, why));
	if (*yes && mm_recall_asks_cert(c->q))
		MM_TRY(has_cert(c, device, c->at.id, yes, why));
	return MM_OK;
}

/* ---- times ---- */

/* The last row before the first that is not older than at, about. */
static enum mm_err
before_time(struct db *db, enum sql next, enum sql last, int64_t at,
    int64_t *id, struct mm_why *why)
{
	int64_t low = 0, high, row[2];
	enum mm_err err;

	MM_TRY(mm_sqlite_ints(db, &(struct ask){ last, NULL, 0 }, &high, 1,
	    why));
	while (low < high) {
		int64_t middle = low + (high - low) / 2;

		err = mm_sqlite_ints(db, &(struct ask){ next,
		    (struct val[]){ INT(middle) }, 1 }, row, 2, why);
		if (err != MM_OK && err != MM_ENOTFOUND)
			return err;
		if (err == MM_OK && row[1] < at - MM_RECALL_SLACK_MS)
			low = row[0];
		else
			high = middle;
	}
	*id = low;
	return MM_OK;
}

/* A walk in the order of time ends where it is past what is asked for. */
static enum mm_err
past_time(struct recall *c, const struct mm_device *d, struct mm_why *why)
{
	const struct mm_recall *q = c->q;
	int64_t row[2] = { 0, 0 }, to = q->created_to, at = d->created_at;

	if (c->lead == MM_LEAD_ISSUED) {
		to = q->issued_to;
		MM_TRY(mm_sqlite_ints(c->db, ASK(CERT_NEXT,
		    INT(c->at.id - 1)), row, 2, why));
		at = row[1];
	}
	c->over = to != 0 && at >= to + MM_RECALL_SLACK_MS;
	return MM_OK;
}

/* ---- what can lead ---- */

static enum mm_err
begin_all(struct recall *c, sqlite3_stmt **st, struct mm_why *why)
{
	if (c->q->created_from != 0 && c->from.id < 0 && !c->q->unordered)
		MM_TRY(before_time(c->db, Q_DEVICE_NEXT, Q_DEVICES_LAST,
		    c->q->created_from, &c->from.id, why));
	return mm_sqlite_first(c->db, ASK(RECALL_ALL, INT(c->from.id),
	    INT(c->q->scan)), st, why);
}

static enum mm_err
begin_product(struct recall *c, sqlite3_stmt **st, struct mm_why *why)
{
	int64_t class;

	MM_TRY(mm_sqlite_ints(c->db, ASK(CLASS, TEXT(c->q->product), TEXT(""),
	    TEXT("")), &class, 1, why));
	return mm_sqlite_first(c->db, ASK(RECALL_PRODUCT, INT(c->from.id),
	    INT(c->q->scan), INT(class)), st, why);
}

static enum mm_err
begin_issued(struct recall *c, sqlite3_stmt **st, struct mm_why *why)
{
	if (c->q->issued_from != 0 && c->from.id < 0 && !c->q->unordered)
		MM_TRY(before_time(c->db, Q_CERT_NEXT, Q_CERTS_LAST,
		    c->q->issued_from, &c->from.id, why));
	return mm_sqlite_first(c->db, ASK(RECALL_ISSUED, INT(c->from.id),
	    INT(c->q->scan)), st, why);
}

static enum mm_err
begin_equal(struct recall *c, sqlite3_stmt **st, struct mm_why *why)
{
	const struct mm_where *w = c->where;

	return mm_sqlite_first(c->db, ASK(RECALL_EQUAL, INT(c->from.id),
	    INT(c->q->scan), TEXT(w->name),
	    w->is_number ? REAL(w->number) : TEXT(w->text)), st, why);
}

static enum mm_err
begin_range(struct recall *c, sqlite3_stmt **st, struct mm_why *why)
{
	const struct mm_where *w = c->where;
	struct val low = TEXT(w->text), high, after;
	double from, to;

	mm_recall_text_end(w, c->end);
	high = TEXT(c->end);
	if (w->is_number) {
		mm_recall_numbers(c->q, w->name, &from, &to);
		low = REAL(from);
		high = REAL(to);
	}
	after = !c->from.has_value ? low : c->from.is_number ?
	    REAL(c->from.number) : TEXT(c->from.text);
	return mm_sqlite_first(c->db, ASK(RECALL_RANGE, INT(c->from.id),
	    INT(c->q->scan), TEXT(w->name), low, high, after), st, why);
}

static enum mm_err
begin_named(struct recall *c, sqlite3_stmt **st, struct mm_why *why)
{
	return mm_sqlite_first(c->db, ASK(RECALL_NAMED, INT(c->from.id),
	    INT(c->q->scan), TEXT(c->q->device)), st, why);
}

static enum mm_err (*const begin[MM_LEADS])(struct recall *c,
    sqlite3_stmt **st, struct mm_why *why) = {
	[MM_LEAD_ALL] = begin_all,
	[MM_LEAD_PRODUCT] = begin_product,
	[MM_LEAD_ISSUED] = begin_issued,
	[MM_LEAD_EQUAL] = begin_equal,
	[MM_LEAD_RANGE] = begin_range,
	[MM_LEAD_NAMED] = begin_named,
};

/* Of several the one that fewest devices have.  Their keys are alike, so that
 * another one may lead the next page. */
static enum mm_err
rarest(struct recall *c, struct mm_why *why)
{
	int64_t n, best = INT64_MAX;

	for (unsigned i = 0; c->q->device == NULL && i < c->q->nwhere; i++) {
		const struct mm_where *w = &c->q->where[i];

		if (!w->indexed || w->op != MM_WHERE_EQ)
			continue;
		MM_TRY(mm_sqlite_ints(c->db, ASK(RECALL_COUNT, TEXT(w->name),
		    w->is_number ? REAL(w->number) : TEXT(w->text),
		    INT(c->q->scan)), &n, 1, why));
		if (n < best)
			c->where = w;
		best = n < best ? n : best;
	}
	return MM_OK;
}

/* ---- the walk ---- */

static void
take_key(struct recall *c, sqlite3_stmt *st, char key[MM_RECALL_AFTER])
{
	c->at.id = sqlite3_column_int64(st, 0);
	if (c->lead == MM_LEAD_RANGE) {
		c->at.is_number = sqlite3_column_type(st, 2) != SQLITE_TEXT;
		c->at.number = sqlite3_column_double(st, 2);
		if (!c->at.is_number && !mm_text_copy(c->at.text,
		    sizeof(c->at.text), mm_sqlite_blob(st, 2)))
			c->at.text[0] = '\0'; /* none is as long */
	}
	mm_recall_at_text(c->lead, &c->at, key);
}

static enum mm_err
look_at(struct recall *c, sqlite3_stmt *st, char key[MM_RECALL_AFTER],
    struct mm_why *why)
{
	int64_t device = sqlite3_column_int64(st, 1);
	struct mm_device d;
	bool yes;
	enum mm_err err;

	c->seen++;
	take_key(c, st, key);
	err = mm_sqlite_get(c->db, ASK(DEVICE_ROW, INT(device)),
	    &mm_shape_device, &d, NULL);
	if (err == MM_ENOTFOUND) /* an orphan's */
		return MM_OK;
	MM_TRY(err);
	MM_TRY(matches(c, device, &d, &yes, why));
	if (yes) {
		c->given++;
		return c->to->fn(c->to->ctx, &d, key, why);
	}
	return !c->q->unordered && (c->lead == MM_LEAD_ALL ||
	    c->lead == MM_LEAD_ISSUED) ? past_time(c, &d, why) : MM_OK;
}

static bool
in_time(const struct recall *c)
{
	return c->q->until_ms == 0 || c->seen == 0 ||
	    mm_mono_ms() < c->q->until_ms;
}

enum mm_err
mm_sqlite_recall(struct mm_store_reader *r, const struct mm_recall *q,
    const struct mm_row_sink *to, char next[MM_RECALL_AFTER],
    struct mm_why *why)
{
	MM_OWN(mm_sqlite_reset) sqlite3_stmt *st = NULL;
	struct recall c = { .db = mm_sqlite_db(r), .q = q, .to = to };
	char key[MM_RECALL_AFTER] = "";
	enum mm_err err;

	MM_TRY(rarest(&c, why));
	c.lead = mm_recall_choose(q, c.where, &c.where);
	MM_TRY(mm_recall_at_parse(q, c.lead, c.where, &c.from, why));
	err = begin[c.lead](&c, &st, why);
	while (err == MM_OK && c.given < q->most && !c.over && in_time(&c)) {
		MM_TRY(look_at(&c, st, key, why));
		err = mm_sqlite_next(c.db, st, why);
	}
	if (err != MM_OK && err != MM_ENOTFOUND)
		return err;
	if (err == MM_ENOTFOUND && c.seen < q->scan)
		key[0] = '\0';
	strcpy(next, c.over ? "" : key);
	return MM_OK;
}
