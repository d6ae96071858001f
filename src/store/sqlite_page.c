#include "store/list_key.h"
#include "store/sqlite.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/*
 * Pages of certificates and tokens under any combination of filters, without
 * looking at rows that are not asked for.
 *
 * Product, issuer and profile make a class, of which there are few.  An index
 * gives the rows of one class and state in the page's order from any key on: a
 * stream.  A page is the first rows of the merged streams of those classes and
 * states that match.  The order is that of storing (the rowid), of expiry, or
 * of issue.  Rows come at the end, so a walk over the pages misses nothing
 * that was there when it began.
 */

struct place {
	int64_t at; /* notAfter, time of issue, or 0 */
	int64_t id; /* negative where the newest come first */
};

struct paging {
	enum sql all, of, of_device, id, row;
	int states; /* that there are */
	const struct shape *shape;
};
static const struct paging cert_paging = { Q_CERTS_ALL, Q_CERTS_OF,
	Q_CERTS_OF_DEVICE, Q_CERT_ID, Q_CERT_ROW, MM_CERT_STATES,
	&mm_shape_cert };
static const struct paging token_paging = { Q_TOKENS_ALL, Q_TOKENS_OF,
	Q_TOKENS_OF_DEVICE, Q_TOKEN_ID, Q_TOKEN_ROW, MM_TOKEN_STATES,
	&mm_shape_token };

struct page {
	struct db *db;
	const struct mm_list *l;
	const struct paging *p;
	enum mm_list_kind kind;
	enum sql stream;
	enum mm_list_order order;
	struct place after;
	int64_t end; /* of the times, exclusive */
	struct place *place, *spare; /* l->most each */
	unsigned n;
};

static void
page_done(struct page *pg)
{
	free(pg->place);
	free(pg->spare);
}

static bool
before(const struct place *a, const struct place *b)
{
	return a->at < b->at || (a->at == b->at && a->id < b->id);
}

/* ---- merging ---- */

static void
merge(struct page *pg, const struct place *from, unsigned n)
{
	struct place *out = pg->spare;
	unsigned i = 0, j = 0, k = 0;

	while (k < pg->l->most && (i < pg->n || j < n))
		if (j == n || (i < pg->n && before(&pg->place[i], &from[j])))
			out[k++] = pg->place[i++];
		else
			out[k++] = from[j++];
	pg->spare = pg->place;
	pg->place = out;
	pg->n = k;
}

#define PIECE 64
#define STREAM_VALS 6

/* Ends when the page is full of what comes before the stream's next. */
static enum mm_err
take_stream(struct page *pg, int64_t class, int state, struct mm_why *why)
{
	MM_OWN(mm_sqlite_reset) sqlite3_stmt *st = NULL;
	struct place piece[PIECE];
	unsigned n = 0;
	enum mm_err err = mm_sqlite_first(pg->db, &(struct ask){ pg->stream,
	    (struct val[]){ INT(class), INT(state), INT(pg->after.at),
		INT(pg->after.id), INT(pg->end), INT(pg->l->most) },
	    STREAM_VALS }, &st, why);

	while (err == MM_OK) {
		struct place next = { sqlite3_column_int64(st, 0),
			sqlite3_column_int64(st, 1) };
		if (pg->n == pg->l->most &&
		    before(&pg->place[pg->n - 1], &next))
			break;
		piece[n++] = next;
		if (n == PIECE) {
			merge(pg, piece, n);
			n = 0;
		}
		err = mm_sqlite_next(pg->db, st, why);
	}
	merge(pg, piece, n);
	return err == MM_ENOTFOUND ? MM_OK : err;
}

/* ---- which streams ---- */

static enum mm_err
take_class(struct page *pg, int64_t class, struct mm_why *why)
{
	for (int state = 0; state < pg->p->states; state++)
		if (pg->l->state == -1 || pg->l->state == state)
			MM_TRY(take_stream(pg, class, state, why));
	return MM_OK;
}

static struct val
filter(const char *text)
{
	return text != NULL ? TEXT(text) : NONE;
}

static enum mm_err
take_classes(struct page *pg, struct mm_why *why)
{
	MM_OWN(mm_sqlite_reset) sqlite3_stmt *st = NULL;
	enum mm_err err = mm_sqlite_first(pg->db, ASK(CLASSES,
	    filter(pg->l->product), filter(pg->l->issuer),
	    filter(pg->l->profile)), &st, why);

	while (err == MM_OK) {
		MM_TRY(take_class(pg, sqlite3_column_int64(st, 0), why));
		err = mm_sqlite_next(pg->db, st, why);
	}
	return err == MM_ENOTFOUND ? MM_OK : err;
}

/* ---- rows ---- */

union page_row {
	struct mm_cert_row cert;
	struct mm_token_row token;
};

static enum mm_err
give_row(struct page *pg, const union page_row *row,
    const struct mm_row_sink *to, struct mm_why *why)
{
	char next[MM_AUTHORITY_TEXT];

	mm_list_key_text(pg->kind, pg->order, row, next);
	return to->fn(to->ctx, row, next, why);
}

static enum mm_err
load_row(struct page *pg, int64_t id, union page_row *row, struct mm_why *why)
{
	return mm_sqlite_get(pg->db, &(struct ask){ pg->p->row,
	    (struct val[]){ INT(id < 0 ? -id : id) }, 1 }, pg->p->shape, row,
	    why);
}

static enum mm_err
give_places(struct page *pg, const struct mm_row_sink *to, struct mm_why *why)
{
	union page_row row;

	for (unsigned i = 0; i < pg->n; i++) {
		MM_TRY(load_row(pg, pg->place[i].id, &row, why));
		MM_TRY(give_row(pg, &row, to, why));
	}
	return MM_OK;
}

/* ---- one device's or one key's: few enough to look at each ---- */

static bool
matches(const char *want, struct mm_bytes text)
{
	return want == NULL || mm_bytes_eq(mm_bytes_of(want), text);
}

static bool
row_matches(const struct page *pg, const union page_row *row)
{
	const struct mm_list *l = pg->l;
	const struct mm_cert_row *c = &row->cert;

	if (pg->p == &token_paging)
		return (l->state == -1 || (int)row->token.state == l->state) &&
		    matches(l->product, mm_bytes_of(row->token.product)) &&
		    matches(l->profile, mm_bytes_of(row->token.profile)) &&
		    matches(l->issuer, mm_bytes_of(""));
	return (l->state == -1 || (int)c->state == l->state) &&
	    matches(l->product, mm_bytes_of(c->product)) &&
	    matches(l->profile, mm_bytes_of(c->profile)) &&
	    matches(l->issuer, mm_bytes_of(c->issuer)) &&
	    (l->device == NULL || strcasecmp(l->device, c->device) == 0) &&
	    mm_list_key_time(pg->order, c) < pg->end;
}

/* A place of its own for each: the time is in the row. */
static enum mm_err
place_of_row(struct page *pg, int64_t id, struct mm_why *why)
{
	union page_row row;
	struct place at = { 0, pg->l->newest_first ? -id : id };

	MM_TRY(load_row(pg, id, &row, why));
	if (pg->p == &cert_paging)
		at.at = mm_list_key_time(pg->order, &row.cert);
	if (row_matches(pg, &row) && before(&pg->after, &at))
		merge(pg, &at, 1);
	return MM_OK;
}

static enum mm_err
take_each(struct page *pg, const struct ask *ask, struct mm_why *why)
{
	MM_OWN(mm_sqlite_reset) sqlite3_stmt *st = NULL;
	enum mm_err err = mm_sqlite_first(pg->db, ask, &st, why);

	while (err == MM_OK) {
		MM_TRY(place_of_row(pg, sqlite3_column_int64(st, 1), why));
		err = mm_sqlite_next(pg->db, st, why);
	}
	return err == MM_ENOTFOUND ? MM_OK : err;
}

static enum mm_err
take_device(struct page *pg, struct mm_why *why)
{
	int64_t device;
	enum mm_err err = mm_sqlite_ints(pg->db,
	    ASK(DEVICE_FIND, TEXT(pg->l->device)), &device, 1, why);

	if (err != MM_OK)
		return err == MM_ENOTFOUND ? MM_OK : err;
	return take_each(pg, &(struct ask){ pg->p->of_device,
	    (struct val[]){ INT(device) }, 1 }, why);
}

/* ---- the page ---- */

static enum mm_err
parse_after(struct page *pg, struct mm_why *why)
{
	struct val key = TEXT(pg->l->after);
	struct mm_list_key k;

	MM_TRY(mm_list_key_parse(pg->kind, pg->l, &k, why));
	pg->order = k.order;
	pg->after.at = k.at;
	pg->after.id = INT64_MIN;
	pg->end = k.end;
	if (k.first)
		return MM_OK;
	if (pg->p == &cert_paging)
		key = BLOB(k.serial, 16);
	if (mm_sqlite_ints(pg->db, &(struct ask){ pg->p->id, &key, 1 },
	    &pg->after.id, 1, why) != MM_OK)
		return mm_list_key_none(why);
	if (pg->l->newest_first)
		pg->after.id = -pg->after.id;
	return MM_OK;
}

static enum mm_err
page_init(struct page *pg, struct mm_why *why)
{
	const struct mm_list *l = pg->l;

	MM_TRY(parse_after(pg, why));
	pg->stream = pg->order == MM_ORDER_EXPIRY ? Q_CERTS_EXPIRING :
	    pg->order == MM_ORDER_ISSUE ? Q_CERTS_UNCONFIRMED : pg->p->of;
	pg->place = calloc(l->most, sizeof(*pg->place));
	pg->spare = calloc(l->most, sizeof(*pg->spare));
	if (pg->place == NULL || pg->spare == NULL)
		return MM_FAIL(why, MM_ENOMEM, "list: out of memory");
	return MM_OK;
}

static bool
filtered(const struct page *pg)
{
	const struct mm_list *l = pg->l;

	return l->product != NULL || l->issuer != NULL ||
	    l->profile != NULL || l->state != -1 ||
	    pg->order != MM_ORDER_ROW;
}

enum mm_err
mm_sqlite_page(struct db *db, enum mm_list_kind kind, const struct mm_list *l,
    const struct mm_row_sink *to, struct mm_why *why)
{
	MM_OWN(page_done) struct page pg = { .db = db, .l = l,
		.kind = kind,
		.p = kind == MM_LIST_CERTS ? &cert_paging : &token_paging };

	MM_TRY(page_init(&pg, why));
	if (l->spki_sha256 != NULL && kind == MM_LIST_CERTS)
		MM_TRY(take_each(&pg, ASK(CERTS_OF_KEY,
		    BLOB(l->spki_sha256, 32)), why));
	else if (l->device != NULL)
		MM_TRY(take_device(&pg, why));
	else if (filtered(&pg))
		MM_TRY(take_classes(&pg, why));
	else {
		pg.stream = pg.p->all;
		MM_TRY(take_stream(&pg, 0, 0, why));
	}
	return give_places(&pg, to, why);
}
