#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/mass.h"
#include "core/priv.h"
#include "core/production.h"
#include "core/round.h"
#include "core/tour.h"

/*
 * Tokens cancelled and thawed: one, or all of a selection.  A selection is a
 * walk over what is selected; each page of it is one transaction, and a call
 * ends after so many changes, rows or milliseconds and says where the next one
 * goes on.
 */
enum { PAGE = 256, PAPER_ROOM = 1024, UNITS = 500 };

#define IN(state) (1U << MM_TOKEN_##state)
static const struct {
	enum mm_entry_type type;
	unsigned from;
} verbs[] = {
	[MM_TOKENS_THAW] = { MM_E_TOKEN_THAWED, IN(FROZEN) },
	[MM_TOKENS_CANCEL] = { MM_E_TOKEN_CANCELLED,
	    IN(MINTED) | IN(ISSUED) | IN(FROZEN) | IN(EXPIRED) },
};
#undef IN

/* ---- one ---- */

/* The product is the device's of now, as in every entry. */
static enum mm_err
put_entry(struct mm_desk *d, struct mm_papers *p, const struct mm_login *by,
    const struct mm_token_row *row, enum mm_token_verb verb,
    const uint8_t *spki, const char *reason)
{
	struct mm_entry e = { .type = verbs[verb].type };
	struct mm_device dev;
	char hex[65];

	MM_TRY(mm_get_device(d->r, row->device, &dev, NULL));
	e.field[MM_F_ACTOR] = by->id;
	e.field[MM_F_TOKEN] = row->id;
	e.field[MM_F_DEVICE] = dev.id;
	e.field[MM_F_PRODUCT] = dev.product;
	if (reason != NULL && reason[0] != '\0')
		e.field[MM_F_REASON] = reason;
	if (spki != NULL) {
		mm_hex_text(spki, 32, hex);
		e.field[MM_F_SPKI_SHA256] = hex;
	}
	mm_papers_add(p, &e);
	return MM_OK;
}

/* The first key's certificate, if the token was claimed. */
static enum mm_err
first_cert(struct mm_desk *d, const struct mm_token_row *row,
    struct mm_cert_row *cert, bool *has, struct mm_why *why)
{
	char authority[MM_AUTHORITY_TEXT] = "token:";
	struct mm_claim claim;
	enum mm_err rc;

	strcat(authority, row->id);
	rc = mm_get_claim(d->r, authority, &claim, NULL);
	if (rc == MM_OK)
		rc = mm_get_cert(d->r, claim.serial, cert, NULL);
	*has = rc == MM_OK;
	return rc == MM_OK || rc == MM_ENOTFOUND ? MM_OK :
	    MM_FAIL(why, rc, "the store cannot be read");
}

static enum mm_token_state
thawed(const struct mm_cert_row *cert, bool has)
{
	return !has ? MM_TOKEN_MINTED : cert->confirmed_at != 0
	    ? MM_TOKEN_CONFIRMED : MM_TOKEN_ISSUED;
}

/* What becomes of a token whose first key stays. */
static enum mm_err
plan(struct mm_desk *d, const struct mm_token_row *row,
    enum mm_token_verb verb, struct mm_op *op, struct mm_why *why)
{
	struct mm_op_token_state *t = &op->u.token;
	struct mm_cert_row cert;
	bool has;

	*op = (struct mm_op){ .kind = MM_OP_TOKEN_STATE };
	strcpy(t->id, row->id);
	t->from = verbs[verb].from;
	t->to = MM_TOKEN_CANCELLED;
	if (verb == MM_TOKENS_CANCEL)
		return MM_OK;
	MM_TRY(first_cert(d, row, &cert, &has, why));
	t->to = thawed(&cert, has);
	return MM_OK;
}

/* see core.h */
enum mm_err
mm_desk_token_cancel(struct mm_desk *d, const struct mm_login *by,
    const char *id, const char *reason, struct mm_why *why)
{
	struct mm_papers p = mm_papers_over(&d->buf);
	struct mm_token_row row;
	struct mm_op op;

	MM_TRY(mm_get_token(d->r, id, &row, why));
	if (row.state == MM_TOKEN_CANCELLED)
		return MM_OK;
	MM_TRY(plan(d, &row, MM_TOKENS_CANCEL, &op, why));
	MM_TRY(put_entry(d, &p, by, &row, MM_TOKENS_CANCEL, NULL, reason));
	return mm_desk_run(d, &p, &op, why);
}

/* Rebinding revokes the first key's certificate before the token can make
 * another one. */
static enum mm_err
rebind(struct mm_desk *d, const struct mm_login *by,
    const struct mm_token_row *row, const uint8_t spki[32], struct mm_op *op,
    struct mm_why *why)
{
	struct mm_cert_row cert;
	bool has;

	MM_TRY(first_cert(d, row, &cert, &has, why));
	if (has)
		/* RFC 5280 5.3.1: superseded */
		MM_TRY(mm_desk_cert_revoke(d, by, cert.serial, 4, NULL, why));
	op->u.token.to = MM_TOKEN_MINTED;
	op->u.token.rebind = op->u.token.drop_claim = true;
	memcpy(op->u.token.bound_spki, spki, 32);
	return MM_OK;
}

/* see core.h */
enum mm_err
mm_desk_token_thaw(struct mm_desk *d, const struct mm_login *by,
    const char *id, const uint8_t *rebind_spki, const char *reason,
    struct mm_why *why)
{
	struct mm_token_row row;
	struct mm_papers p;
	struct mm_op op;

	MM_TRY(mm_get_token(d->r, id, &row, why));
	if (row.state != MM_TOKEN_FROZEN)
		return MM_FAIL(why, MM_ECONFLICT, "token %s: it is %s", id,
		    mm_token_state_name(row.state));
	MM_TRY(plan(d, &row, MM_TOKENS_THAW, &op, why));
	if (rebind_spki != NULL)
		MM_TRY(rebind(d, by, &row, rebind_spki, &op, why));
	p = mm_papers_over(&d->buf);
	MM_TRY(put_entry(d, &p, by, &row, MM_TOKENS_THAW, rebind_spki,
	    reason));
	return mm_desk_run(d, &p, &op, why);
}

/* ---- many ---- */

struct walk {
	struct mm_desk *d;
	const struct mm_login *by;
	const struct mm_token_selection *of;
	struct mm_token_mass *m;
	struct mm_tour tour;
	unsigned rows;   /* that the last page of a list had */
	/* Where it stands: the state; the unit whose device is done, or the
	 * place behind it in the batch's roll; the token, of that state or of
	 * the next one's device. */
	unsigned at;
	char unit[MM_AUTHORITY_TEXT], after[MM_AUTHORITY_TEXT];
	unsigned n;
	struct mm_token_row row[PAGE];
	struct mm_op op[PAGE], *ops[PAGE];
	struct mm_buf papers[PAGE];
};

static void
walk_free(struct walk **owner)
{
	for (unsigned i = 0; *owner != NULL && i < PAGE; i++)
		mm_buf_done(&(*owner)->papers[i]);
	free(*owner);
	*owner = NULL;
}

static enum mm_err
prepare(struct walk *w, unsigned i, struct mm_why *why)
{
	struct mm_papers p;

	mm_buf_reset(&w->papers[i]);
	p = mm_papers_over(&w->papers[i]);
	w->ops[i] = &w->op[i];
	MM_TRY(plan(w->d, &w->row[i], w->m->verb, &w->op[i], why));
	MM_TRY(put_entry(w->d, &p, w->by, &w->row[i], w->m->verb, NULL,
	    w->m->reason));
	return mm_papers_seal(&p, &w->op[i], why);
}

/* One that changed meanwhile is another call's. */
static enum mm_err
flush(struct walk *w, struct mm_why *why)
{
	unsigned n = w->n;

	w->n = 0;
	if (n == 0 || w->m->dry_run)
		return MM_OK;
	for (unsigned i = 0; i < n; i++)
		MM_TRY(prepare(w, i, why));
	MM_TRY(mm_desk_write_rows(w->d, w->ops, n, why));
	for (unsigned i = 0; i < n; i++) {
		enum mm_err rc = w->op[i].result;

		if (rc == MM_OK)
			w->m->changed++;
		else if (rc == MM_ECONFLICT)
			w->m->refused++;
		else
			return MM_FAIL(why, rc, "%s", w->op[i].why.text);
	}
	return MM_OK;
}

static bool
fits(const struct mm_token_selection *of, const struct mm_token_row *t)
{
	return (of->product[0] == '\0' ||
	    strcmp(of->product, t->product) == 0) &&
	    (of->created_from == 0 || t->created_at >= of->created_from) &&
	    (of->created_to == 0 || t->created_at < of->created_to);
}

static enum mm_err
see(void *ctx, const void *row, const char *next, struct mm_why *why)
{
	const struct mm_token_row *t = row;
	struct walk *w = ctx;
	struct mm_token_mass *m = w->m;

	(void)why;
	w->rows++;
	strcpy(w->after, next);
	if (!fits(w->of, t))
		return MM_OK;
	m->state[t->state]++;
	if ((verbs[m->verb].from & 1U << t->state) == 0)
		return MM_OK;
	if (m->nsample < MM_MASS_SAMPLE)
		m->sample[m->nsample++] = *t;
	m->found++;
	w->row[w->n++] = *t;
	return MM_OK;
}

/* That this call has done enough, and that there may be more.  Asked when
 * something was done: each call comes further. */
static bool
is_full(struct walk *w)
{
	return w->m->left = mm_tour_full(&w->tour, w->m->found);
}

static enum mm_err
walk_list(struct walk *w, struct mm_list *l, struct mm_why *why)
{
	do {
		if (w->n == PAGE)
			MM_TRY(flush(w, why));
		w->rows = 0;
		l->most = mm_tour_page(&w->tour, PAGE - w->n, w->m->found);
		strcpy(l->after, w->after);
		MM_TRY(mm_list_tokens(w->d->r, l, see, w, why));
		w->tour.looked += w->rows;
	} while (w->rows == l->most && !is_full(w));
	if (!w->m->left)
		w->after[0] = '\0';
	return MM_OK;
}

/* State by state where nothing is to be counted: what is done is passed over
 * by the index. */
static enum mm_err
walk_states(struct walk *w, struct mm_why *why)
{
	struct mm_list l = { .product = w->of->product[0] != '\0'
	    ? w->of->product : NULL, .state = -1 };

	if (w->m->dry_run)
		return walk_list(w, &l, why);
	for (; w->at < MM_TOKEN_STATES; w->at++) {
		l.state = (int)w->at;
		if ((verbs[w->m->verb].from & 1U << w->at) != 0)
			MM_TRY(walk_list(w, &l, why));
		if (w->m->left)
			break;
	}
	return MM_OK;
}

/* Of a batch: its roll's devices, then those of its units that are not in it,
 * which were put aside. */
struct units {
	const struct mm_roll *roll;
	struct unit {
		char id[MM_DOC_ID_MAX + 1], device[MM_DEVICE_ID_MAX + 1];
	} unit[UNITS];
	unsigned n, rows;
	char prefix[MM_NAME_MAX + 2], last[MM_DOC_ID_MAX + 1];
};
MM_FREE_FN(units_free, struct units, free)
typedef enum mm_err units_fn(struct walk *w, struct units *u, bool *more,
    struct mm_why *why);

static enum mm_err
see_rolled(void *ctx, const char *device, const char *place,
    struct mm_why *why)
{
	struct units *u = ctx;

	(void)why;
	strcpy(u->unit[u->n].id, place);
	strcpy(u->unit[u->n++].device, device);
	return MM_OK;
}

static enum mm_err
rolled_units(struct walk *w, struct units *u, bool *more, struct mm_why *why)
{
	struct mm_roll_page p = { .most = UNITS };

	if (!mm_text_copy(p.place, sizeof(p.place), mm_bytes_of(w->unit)))
		return MM_FAIL(why, MM_EINPUT, "after: not of this call");
	MM_TRY(mm_roll_devices(w->d->r, u->roll, &p, see_rolled, u, why));
	w->tour.looked += p.looked + 1;
	*more = p.place[0] != '\0';
	strcpy(u->last, *more ? p.place : u->prefix);
	return MM_OK;
}

/* "batch/device" is a unit's key. */
static enum mm_err
see_unit(void *ctx, const void *row, const char *next, struct mm_why *why)
{
	struct units *u = ctx;
	const char *slash = strchr(next, '/');

	(void)row;
	u->rows++;
	if (slash == NULL || strlen(slash + 1) > MM_DEVICE_ID_MAX ||
	    !mm_text_copy(u->last, sizeof(u->last), mm_bytes_of(next)))
		return MM_FAIL(why, MM_EBUG, "unit: key");
	return mm_roll_has(u->roll, slash + 1) ? MM_OK :
	    see_rolled(ctx, slash + 1, next, why);
}

static enum mm_err
other_units(struct walk *w, struct units *u, bool *more, struct mm_why *why)
{
	struct mm_list l = { .most = UNITS, .state = -1 };

	u->rows = 0;
	strcpy(u->last, w->unit);
	strcpy(l.after, w->unit);
	MM_TRY(mm_list_docs(w->d->r, MM_DOC_UNIT, u->prefix, &l, see_unit, u,
	    why));
	w->tour.looked += u->rows;
	*more = u->rows == UNITS;
	return MM_OK;
}

/* Tokens of some units' devices. */
static enum mm_err
walk_page(struct walk *w, const struct units *u, struct mm_why *why)
{
	for (unsigned i = 0; i < u->n; i++) {
		struct mm_list l = { .device = u->unit[i].device,
			.state = -1 };

		MM_TRY(walk_list(w, &l, why));
		if (w->m->left) /* in the midst of it */
			return MM_OK;
		strcpy(w->unit, u->unit[i].id);
		if (is_full(w))
			return MM_OK;
	}
	strcpy(w->unit, u->last);
	return MM_OK;
}

static enum mm_err
walk_units(struct walk *w, struct units *u, units_fn *page,
    struct mm_why *why)
{
	bool more;

	do {
		u->n = 0;
		MM_TRY(page(w, u, &more, why));
		MM_TRY(walk_page(w, u, why));
	} while (!w->m->left && more && !is_full(w));
	return MM_OK;
}

static enum mm_err
walk_batch(struct walk *w, struct mm_why *why)
{
	MM_OWN(units_free) struct units *u = calloc(1, sizeof(*u));
	const struct mm_production *b;

	if (u == NULL)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	MM_TRY(mm_desk_batch(w->d, w->of->batch, &b, &u->roll, why));
	snprintf(u->prefix, sizeof(u->prefix), "%.32s/", w->of->batch);
	if (w->unit[0] == '\0' || w->unit[0] == '#')
		MM_TRY(walk_units(w, u, rolled_units, why));
	return w->m->left ? MM_OK : walk_units(w, u, other_units, why);
}

/* ---- where it goes on ---- */

/* "STATE/TOKEN/UNIT" */
static enum mm_err
read_place(struct walk *w, struct mm_why *why)
{
	const char *at = w->m->after, *token = strchr(at, '/');
	const char *unit = token != NULL ? strchr(token + 1, '/') : NULL;
	unsigned long n;
	char *end;

	if (at[0] == '\0')
		return MM_OK;
	n = strtoul(at, &end, 10);
	if (unit == NULL || end != token || n >= MM_TOKEN_STATES ||
	    !mm_text_copy(w->after, sizeof(w->after), (struct mm_bytes){
	    (const uint8_t *)token + 1, (size_t)(unit - token - 1) }) ||
	    !mm_text_copy(w->unit, sizeof(w->unit), mm_bytes_of(unit + 1)))
		return MM_FAIL(why, MM_EINPUT, "after: not of this call");
	w->at = (unsigned)n;
	return MM_OK;
}

/* see mass.h */
enum mm_err
mm_desk_token_mass(struct mm_desk *d, const struct mm_login *by,
    const struct mm_token_selection *of, struct mm_token_mass *m,
    struct mm_why *why)
{
	MM_OWN(walk_free) struct walk *w = calloc(1, sizeof(*w));

	if (of->product[0] == '\0' && of->batch[0] == '\0' &&
	    of->created_from == 0 && of->created_to == 0)
		return MM_FAIL(why, MM_EINPUT, "nothing is selected, and that "
		    "is not everything");
	if (w == NULL)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	w->d = d;
	w->by = by;
	w->of = of;
	w->m = m;
	w->tour = (struct mm_tour){ m->dry_run, m->most, m->rows,
	    mm_mono_ms() + m->run_ms, 0 };
	MM_TRY(read_place(w, why));
	for (unsigned i = 0; i < PAGE; i++)
		mm_buf_init(&w->papers[i], PAPER_ROOM);
	MM_TRY(of->batch[0] != '\0' ? walk_batch(w, why)
	    : walk_states(w, why));
	MM_TRY(flush(w, why));
	if (m->left)
		snprintf(m->next, sizeof(m->next), "%u/%s/%s", w->at,
		    w->after, w->unit);
	return MM_OK;
}
