#include "store/sqlite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * Devices under any combination of conditions.  One condition leads: it has
 * an index, or rows that stand in its order, and gives candidates; the others
 * are asked of each candidate.  What was looked at is bounded, so that a page
 * costs the same whatever is asked.
 *
 * Rows of devices and certificates stand in the order of time but for the
 * moment an operation waited for its transaction: a search by time begins
 * and ends that much wider.
 */
#define SLACK_MS 5000

/* Where a walk is: the leading row's id, and the value before it. */
struct at {
	int64_t id;
	bool has_value, is_number;
	double number;
	char text[260];
};
struct recall {
	struct db *db;
	const struct mm_recall *q;
	const struct mm_row_sink *to;
	const struct lead *lead;
	const struct mm_where *where; /* the leading one */
	int64_t class;
	struct at at;
	char end[140]; /* of a range of texts; a statement borrows it */
	unsigned seen, given;
	bool over; /* no later candidate can be one */
};
struct lead {
	char letter; /* of its keys */
	bool by_cert;
	enum mm_err (*begin)(struct recall *c, sqlite3_stmt **st,
	    struct mm_why *why);
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

static bool
asks_cert(const struct mm_recall *q)
{
	return q->issuer != NULL || q->issued_from != 0 ||
	    q->issued_to != 0 || q->key_type != 0;
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

	*yes = err == MM_OK && (!c->lead->by_cert || found[0] == cert);
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
	if (*yes && asks_cert(c->q))
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
		if (err == MM_OK && row[1] < at - SLACK_MS)
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

	if (c->lead->by_cert) {
		to = q->issued_to;
		MM_TRY(mm_sqlite_ints(c->db, ASK(CERT_NEXT,
		    INT(c->at.id - 1)), row, 2, why));
		at = row[1];
	}
	c->over = to != 0 && at >= to + SLACK_MS;
	return MM_OK;
}

/* ---- what can lead ---- */

static enum mm_err
begin_all(struct recall *c, sqlite3_stmt **st, struct mm_why *why)
{
	if (c->q->created_from != 0 && c->at.id < 0)
		MM_TRY(before_time(c->db, Q_DEVICE_NEXT, Q_DEVICES_LAST,
		    c->q->created_from, &c->at.id, why));
	return mm_sqlite_first(c->db, ASK(RECALL_ALL, INT(c->at.id),
	    INT(c->q->scan)), st, why);
}

static enum mm_err
begin_product(struct recall *c, sqlite3_stmt **st, struct mm_why *why)
{
	int64_t class;

	MM_TRY(mm_sqlite_ints(c->db, ASK(CLASS, TEXT(c->q->product), TEXT(""),
	    TEXT("")), &class, 1, why));
	return mm_sqlite_first(c->db, ASK(RECALL_PRODUCT, INT(c->at.id),
	    INT(c->q->scan), INT(class)), st, why);
}

static enum mm_err
begin_issued(struct recall *c, sqlite3_stmt **st, struct mm_why *why)
{
	if (c->q->issued_from != 0 && c->at.id < 0)
		MM_TRY(before_time(c->db, Q_CERT_NEXT, Q_CERTS_LAST,
		    c->q->issued_from, &c->at.id, why));
	return mm_sqlite_first(c->db, ASK(RECALL_ISSUED, INT(c->at.id),
	    INT(c->q->scan)), st, why);
}

static enum mm_err
begin_equal(struct recall *c, sqlite3_stmt **st, struct mm_why *why)
{
	const struct mm_where *w = c->where;

	return mm_sqlite_first(c->db, ASK(RECALL_EQUAL, INT(c->at.id),
	    INT(c->q->scan), TEXT(w->name),
	    w->is_number ? REAL(w->number) : TEXT(w->text)), st, why);
}

/* All conditions of one member make one range of numbers. */
static void
number_range(const struct recall *c, double *low, double *high)
{
	const double huge = 1e308 * 10;

	*low = -huge;
	*high = huge;
	for (unsigned i = 0; i < c->q->nwhere; i++) {
		const struct mm_where *w = &c->q->where[i];

		if (!w->is_number || strcmp(w->name, c->where->name) != 0)
			continue;
		if (w->op != MM_WHERE_LT && w->op != MM_WHERE_LE &&
		    w->number > *low)
			*low = w->number;
		if (w->op != MM_WHERE_GT && w->op != MM_WHERE_GE &&
		    w->number < *high)
			*high = w->number;
	}
}

/* Both ends belong to it: what must not is left out as it is looked at. */
static enum mm_err
begin_range(struct recall *c, sqlite3_stmt **st, struct mm_why *why)
{
	const struct mm_where *w = c->where;
	struct val low = TEXT(w->text), high, after;
	double from, to;

	snprintf(c->end, sizeof(c->end), "%s\xf4\x8f\xbf\xbf", w->text);
	high = TEXT(c->end);
	if (w->is_number) {
		number_range(c, &from, &to);
		low = REAL(from);
		high = REAL(to);
	}
	after = !c->at.has_value ? low : c->at.is_number ?
	    REAL(c->at.number) : TEXT(c->at.text);
	return mm_sqlite_first(c->db, ASK(RECALL_RANGE, INT(c->at.id),
	    INT(c->q->scan), TEXT(w->name), low, high, after), st, why);
}

static const struct lead all = { 'd', false, begin_all },
    product = { 'p', false, begin_product },
    issued = { 'c', true, begin_issued },
    equal = { 'e', false, begin_equal },
    range = { 'r', false, begin_range };

/* Of several the one that fewest devices have.  Their keys are alike, so that
 * another one may lead the next page. */
static enum mm_err
rarest(struct recall *c, struct mm_why *why)
{
	int64_t n, best = INT64_MAX;

	for (unsigned i = 0; i < c->q->nwhere; i++) {
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

static const struct mm_where *
indexed_range(const struct mm_recall *q)
{
	for (unsigned i = 0; i < q->nwhere; i++)
		if (q->where[i].indexed && q->where[i].op != MM_WHERE_EQ)
			return &q->where[i];
	return NULL;
}

static const struct lead *
choose(struct recall *c)
{
	const struct mm_recall *q = c->q;

	if (c->where != NULL)
		return &equal;
	if ((c->where = indexed_range(q)) != NULL)
		return &range;
	if (q->issued_from != 0 || q->issued_to != 0)
		return &issued;
	if (q->created_from != 0 || q->created_to != 0)
		return &all;
	if (q->product != NULL)
		return &product;
	return asks_cert(q) ? &issued : &all;
}

/* ---- keys: letter, id, and with a range ":n" number or ":t" text ---- */

static enum mm_err
parse_after(struct recall *c, struct mm_why *why)
{
	const char *text = c->q->after, *colon = strchr(text, ':');
	struct at *at = &c->at;
	char id[24] = "";
	bool ranged = c->lead == &range;

	at->id = -1;
	if (text[0] == '\0')
		return MM_OK;
	if (text[0] != c->lead->letter || (colon != NULL) != ranged ||
	    !mm_text_copy(id, sizeof(id), (struct mm_bytes){
	    (const uint8_t *)text + 1, colon != NULL ?
	    (size_t)(colon - text) - 1 : strlen(text) - 1 }) ||
	    mm_int_parse(id, &at->id, NULL) != MM_OK)
		return MM_FAIL(why, MM_EINPUT, "recall: not a key of this");
	if (!ranged)
		return MM_OK;
	at->has_value = true;
	at->is_number = colon[1] == 'n';
	if (colon[1] == '\0' || !mm_text_copy(at->text, sizeof(at->text),
	    mm_bytes_of(colon + 2)))
		return MM_FAIL(why, MM_EINPUT, "recall: not a key of this");
	at->number = at->is_number ? strtod(at->text, NULL) : 0;
	return MM_OK;
}

static void
put_key(const struct recall *c, sqlite3_stmt *st, char out[MM_RECALL_AFTER])
{
	int n = snprintf(out, MM_RECALL_AFTER, "%c%lld", c->lead->letter,
	    (long long)c->at.id);

	if (c->lead != &range)
		return;
	if (sqlite3_column_type(st, 2) == SQLITE_TEXT)
		snprintf(out + n, MM_RECALL_AFTER - (size_t)n, ":t%.256s",
		    (const char *)sqlite3_column_text(st, 2));
	else
		snprintf(out + n, MM_RECALL_AFTER - (size_t)n, ":n%.17g",
		    sqlite3_column_double(st, 2));
}

/* ---- the walk ---- */

static enum mm_err
look_at(struct recall *c, sqlite3_stmt *st, char key[MM_RECALL_AFTER],
    struct mm_why *why)
{
	int64_t device = sqlite3_column_int64(st, 1);
	struct mm_device d;
	bool yes;
	enum mm_err err;

	c->at.id = sqlite3_column_int64(st, 0);
	c->seen++;
	put_key(c, st, key);
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
	return c->lead == &all || c->lead == &issued ?
	    past_time(c, &d, why) : MM_OK;
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
	c.lead = choose(&c);
	MM_TRY(parse_after(&c, why));
	err = c.lead->begin(&c, &st, why);
	while (err == MM_OK && c.given < q->most && !c.over) {
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
