#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/mass.h"
#include "core/priv.h"
#include "core/production.h"
#include "core/round.h"
#include "core/tour.h"

/*
 * Revoking by selection: a walk over what is selected, some rows of which fill
 * a page, and each page is one transaction.  Whatever is selected, a call ends
 * after so many changes, rows or milliseconds, and says where the next one
 * goes on.  What has been done is passed over by a call with the same words,
 * so that one that was cut off is simply made again.
 */
enum {
	PAGE = 256,
	PAPER_ROOM = 1024,
	UNITS = 500,
	SCAN = 1500, /* devices looked at for a page by attributes */
	HOLD = 6, /* RFC 5280 5.3.1: certificateHold */
};

/* What each verb does, and to which states. */
static const struct {
	enum mm_cert_state to;
	enum mm_entry_type type;
	unsigned from;
} verbs[] = {
#define IN(state) (1U << MM_CERT_##state)
	[MM_MASS_REVOKE] = { MM_CERT_REVOKED, MM_E_CERT_REVOKED,
	    IN(ISSUED) | IN(CONFIRMED) | IN(SUPERSEDED) | IN(HELD) },
	[MM_MASS_HOLD] = { MM_CERT_HELD, MM_E_CERT_HELD,
	    IN(ISSUED) | IN(CONFIRMED) | IN(SUPERSEDED) },
	[MM_MASS_RELEASE] = { MM_CERT_CONFIRMED, MM_E_CERT_RELEASED,
	    IN(HELD) },
#undef IN
};

struct walk {
	struct mm_desk *d;
	const struct mm_login *by;
	const struct mm_selection *of;
	struct mm_mass *m;
	struct mm_tour tour;
	unsigned rows;   /* that the last page of a list had */
	bool past;       /* whatever comes is younger than what is wanted */
	struct mm_recall where; /* the attributes; nwhere 0: any */
	const struct mm_roll *roll; /* the batch's, with no station; or NULL */
	/* Where it stands: the state, or the serial of the call; the unit whose
	 * successors are next, or such a key of a recall, or a place in the
	 * roll; the certificate, of that state or of the device. */
	unsigned at;
	char unit[MM_RECALL_AFTER], after[MM_AUTHORITY_TEXT];
	char device[MM_DEVICE_ID_MAX + 1];
	unsigned n;
	struct mm_cert_row row[PAGE];
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

/* ---- writing ---- */

static enum mm_err
prepare(struct walk *w, unsigned i, struct mm_why *why)
{
	const struct mm_cert_row *row = &w->row[i];
	struct mm_op *op = w->ops[i] = &w->op[i];
	struct mm_papers p;
	struct mm_named cert;

	mm_buf_reset(&w->papers[i]);
	p = mm_papers_over(&w->papers[i]);
	memcpy(cert.serial, row->serial, 16);
	strcpy(cert.issuer, row->issuer);
	*op = (struct mm_op){ .kind = MM_OP_REVOKE };
	memcpy(op->u.revoke.serial, row->serial, 16);
	op->u.revoke.to = verbs[w->m->verb].to;
	op->u.revoke.reason = (uint8_t)w->m->reason;
	op->u.revoke.at = mm_now_ms();
	mm_papers_short(&p, &(struct mm_short){
	    .type = verbs[w->m->verb].type, .cert = &cert,
	    .device = row->device, .product = row->product,
	    .actor = w->by->id, .reason = w->m->verb == MM_MASS_RELEASE ?
	    NULL : mm_reason_name(w->m->reason) });
	return mm_papers_seal(&p, op, why);
}

static bool
is_older(const struct mm_mass *m, const struct mm_cert_row *c)
{
	return m->before != 0 && c->issued_at < m->before;
}

/* One that changed meanwhile is another call's: it is looked at again.
 * selected: no successors, which come along. */
static enum mm_err
write_page(struct walk *w, bool selected, struct mm_why *why)
{
	for (unsigned i = 0; i < w->n; i++)
		MM_TRY(prepare(w, i, why));
	if (w->n > 0)
		MM_TRY(mm_desk_write_rows(w->d, w->ops, w->n, why));
	for (unsigned i = 0; i < w->n; i++) {
		enum mm_err rc = w->op[i].result;

		bool done = rc == MM_OK && !w->op[i].u.revoke.already;

		w->m->changed += done;
		w->m->spent += done && selected && is_older(w->m, &w->row[i]);
		if (rc == MM_OK)
			continue;
		if (rc == MM_ECONFLICT || rc == MM_EPOLICY)
			w->m->refused++;
		else
			return MM_FAIL(why, rc, "%s", w->op[i].why.text);
	}
	return MM_OK;
}

/* What is done to a certificate is done to its unconfirmed successor: who
 * stole the key may be who renewed (desk_records.c). */
static enum mm_err
take_successors(struct walk *w, struct mm_why *why)
{
	unsigned n = w->n, kept = 0;

	for (unsigned i = 0; i < n; i++) {
		struct mm_cert_row next;
		enum mm_err rc = mm_get_successor(w->d->r, w->row[i].serial,
		    &next, NULL);

		if (rc != MM_OK && rc != MM_ENOTFOUND)
			return MM_FAIL(why, rc, "the store cannot be read");
		if (rc == MM_OK && next.confirmed_at == 0 &&
		    (verbs[w->m->verb].from & 1U << next.state) != 0)
			w->row[kept++] = next;
	}
	w->n = kept;
	return MM_OK;
}

static enum mm_err
flush(struct walk *w, struct mm_why *why)
{
	if (!w->m->dry_run) {
		MM_TRY(write_page(w, true, why));
		MM_TRY(take_successors(w, why));
		MM_TRY(write_page(w, false, why));
	}
	w->n = 0;
	return MM_OK;
}

/* ---- looking ---- */

static enum mm_err
not_of_this(struct mm_why *why)
{
	return MM_FAIL(why, MM_EINPUT, "after: not of this call");
}

static bool
fits(const struct mm_selection *of, const struct mm_cert_row *c)
{
	return (of->issuer[0] == '\0' || strcmp(of->issuer, c->issuer) == 0) &&
	    (of->product[0] == '\0' || strcmp(of->product, c->product) == 0) &&
	    (of->profile[0] == '\0' || strcmp(of->profile, c->profile) == 0) &&
	    (of->device[0] == '\0' || strcasecmp(of->device, c->device) == 0) &&
	    (of->issued_from == 0 || c->issued_at >= of->issued_from) &&
	    (of->issued_to == 0 || c->issued_at < of->issued_to) &&
	    (of->key_type == 0 || c->key_type == of->key_type);
}

/* Rows are in the order in which they were made. */
static bool
is_past(const struct mm_selection *of, const struct mm_cert_row *c)
{
	return of->in_order && of->issued_to != 0 &&
	    c->issued_at >= of->issued_to + MM_RECALL_SLACK_MS;
}

/* Another CA's orphan may come again and be taken (store.h): it is revoked,
 * too; one of ours is for good. */
static bool
is_for(const struct walk *w, unsigned state, bool theirs)
{
	return (verbs[w->m->verb].from & 1U << state) != 0 || (theirs &&
	    state == MM_CERT_ORPHANED && w->m->verb == MM_MASS_REVOKE);
}

/* What was issued later is not counted: devices renew meanwhile. */
static enum mm_err
fits_room(struct mm_mass *m, const struct mm_cert_row *c, struct mm_why *why)
{
	if (!is_older(m, c))
		return MM_OK;
	if (m->older == m->room)
		return MM_FAIL(why, MM_ECONFLICT, "more are selected by now "
		    "than were approved: look again, and ask again");
	m->older++;
	return MM_OK;
}

static enum mm_err
take(struct walk *w, const struct mm_cert_row *c, struct mm_why *why)
{
	struct mm_mass *m = w->m;

	if (!fits(w->of, c))
		return MM_OK;
	m->state[c->state]++;
	if (!is_for(w, c->state, c->serial[0] >= 0x80))
		return MM_OK;
	MM_TRY(fits_room(m, c, why));
	if (m->nsample < MM_MASS_SAMPLE)
		m->sample[m->nsample++] = *c;
	m->found++;
	w->row[w->n++] = *c;
	return MM_OK;
}

static enum mm_err
see(void *ctx, const void *row, const char *next, struct mm_why *why)
{
	struct walk *w = ctx;

	w->rows++;
	strcpy(w->after, next);
	MM_TRY(take(w, row, why));
	w->past = is_past(w->of, row);
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
		MM_TRY(mm_list_certs(w->d->r, l, see, w, why));
		w->tour.looked += w->rows;
	} while (w->rows == l->most && !w->past && !is_full(w));
	if (!w->m->left)
		w->after[0] = '\0';
	return MM_OK;
}

static const char *
or_null(const char *text)
{
	return text[0] != '\0' ? text : NULL;
}

/* State by state where nothing is to be counted: what is done is passed over
 * by the index. */
static enum mm_err
walk_certs(struct walk *w, const char *device, struct mm_why *why)
{
	struct mm_list l = { .device = device,
		.product = or_null(w->of->product),
		.issuer = or_null(w->of->issuer),
		.profile = or_null(w->of->profile), .state = -1 };

	if (w->m->dry_run || device != NULL)
		return walk_list(w, &l, why);
	for (; w->at < MM_CERT_STATES; w->at++) {
		l.state = (int)w->at;
		if (is_for(w, w->at, true))
			MM_TRY(walk_list(w, &l, why));
		if (w->m->left)
			break;
	}
	return MM_OK;
}

/* ---- device by device ---- */

struct unit {
	char id[MM_RECALL_AFTER], device[MM_DEVICE_ID_MAX + 1];
};
struct units {
	const char *station, *device, *prefix; /* "" any */
	const struct mm_roll *roll; /* whose devices had their turn; or NULL */
	struct unit *unit;
	unsigned rows, n;
	bool asked; /* all of them have the attributes */
	char last[MM_RECALL_AFTER];
};
/* The next page behind w->unit; *more: there may be others. */
typedef enum mm_err units_fn(struct walk *w, struct units *u, bool *more,
    struct mm_why *why);

static enum mm_err
say_yes(void *ctx, const void *row, const char *next, struct mm_why *why)
{
	(void)row;
	(void)next;
	(void)why;
	*(bool *)ctx = true;
	return MM_OK;
}

static enum mm_err
has_attributes(struct walk *w, const char *device, bool *yes,
    struct mm_why *why)
{
	struct mm_recall one = w->where;
	char next[MM_RECALL_AFTER];

	*yes = one.nwhere == 0;
	if (*yes)
		return MM_OK;
	one.device = device;
	one.most = one.scan = 1;
	return mm_recall_devices(w->d->r, &one, say_yes, yes, next, why);
}

static void
add_unit(struct units *u, const char *device, const char *place)
{
	if (u->device[0] != '\0' && strcasecmp(u->device, device) != 0)
		return;
	strcpy(u->unit[u->n].id, place);
	strcpy(u->unit[u->n++].device, device);
}

static enum mm_err
see_unit(void *ctx, const void *row, const char *next, struct mm_why *why)
{
	struct units *u = ctx;
	struct mm_made made;

	u->rows++;
	(void)!mm_text_copy(u->last, sizeof(u->last), mm_bytes_of(next));
	MM_TRY(mm_made_parse(row, &made, why));
	if ((u->station[0] != '\0' && strcmp(u->station, made.station) != 0) ||
	    (u->roll != NULL && mm_roll_has(u->roll, made.serial)))
		return MM_OK;
	add_unit(u, made.serial, u->last);
	return MM_OK;
}

/* Where the call before ended in the midst of a device that is no longer the
 * next, its place there is of no other. */
static enum mm_err
walk_device(struct walk *w, const struct units *u, const char *device,
    struct mm_why *why)
{
	bool yes = true;

	if (!u->asked)
		MM_TRY(has_attributes(w, device, &yes, why));
	if (strcmp(w->device, device) != 0)
		w->after[0] = '\0';
	strcpy(w->device, device);
	return yes ? walk_certs(w, device, why) : MM_OK;
}

static enum mm_err
walk_page(struct walk *w, struct units *u, struct mm_why *why)
{
	for (unsigned i = 0; i < u->n; i++) {
		MM_TRY(walk_device(w, u, u->unit[i].device, why));
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
made_units(struct walk *w, struct units *u, bool *more, struct mm_why *why)
{
	struct mm_list l = { .most = UNITS, .state = -1 };

	u->rows = u->n = 0;
	if (!mm_text_copy(l.after, sizeof(l.after), mm_bytes_of(w->unit)))
		return not_of_this(why);
	/* an index has a station's own, however many others made */
	MM_TRY(u->station[0] != '\0' ? mm_list_units_of(w->d->r, u->station,
	    u->prefix, &l, see_unit, u, why) :
	    mm_list_docs(w->d->r, MM_DOC_UNIT, u->prefix, &l, see_unit, u,
	    why));
	w->tour.looked += u->rows;
	*more = u->rows == UNITS;
	if (u->rows == 0)
		strcpy(u->last, w->unit);
	return MM_OK;
}

static enum mm_err
see_rolled(void *ctx, const char *device, const char *place,
    struct mm_why *why)
{
	(void)why;
	add_unit(ctx, device, place);
	return MM_OK;
}

/* Of a batch's serial numbers, whoever made them: a token may have, before
 * any station. */
static enum mm_err
rolled_units(struct walk *w, struct units *u, bool *more, struct mm_why *why)
{
	struct mm_roll_page p = { .most = UNITS };

	u->n = 0;
	if (!mm_text_copy(p.place, sizeof(p.place), mm_bytes_of(w->unit)))
		return not_of_this(why);
	MM_TRY(mm_roll_devices(w->d->r, u->roll, &p, see_rolled, u, why));
	w->tour.looked += p.looked + 1;
	*more = p.place[0] != '\0';
	strcpy(u->last, *more ? p.place : u->prefix);
	return MM_OK;
}

static enum mm_err
see_device(void *ctx, const void *row, const char *next, struct mm_why *why)
{
	struct units *u = ctx;
	const struct mm_device *d = row;

	(void)why;
	strcpy(u->unit[u->n].id, next);
	strcpy(u->unit[u->n++].device, d->id);
	return MM_OK;
}

/* A page that is not full has looked at others, too. */
static enum mm_err
found_units(struct walk *w, struct units *u, bool *more, struct mm_why *why)
{
	struct mm_recall q = w->where;

	u->n = 0;
	q.most = UNITS;
	q.scan = SCAN;
	q.until_ms = w->tour.until;
	strcpy(q.after, w->unit);
	MM_TRY(mm_recall_devices(w->d->r, &q, see_device, u, u->last, why));
	*more = u->last[0] != '\0';
	w->tour.looked += u->n == UNITS || !*more ? u->n : SCAN;
	return MM_OK;
}

static enum mm_err
walk_pages(struct walk *w, struct units *u, units_fn *page,
    struct mm_why *why)
{
	bool more;

	do {
		MM_TRY(page(w, u, &more, why));
		MM_TRY(walk_page(w, u, why));
	} while (!w->m->left && more && !is_full(w));
	return MM_OK;
}

/* Of the devices of a batch's serial numbers and whatever else it has on
 * record, or that a station has made, or that have an attribute: every
 * certificate, the later ones too. */
static enum mm_err
walk_units(struct walk *w, units_fn *page, struct mm_why *why)
{
	char prefix[MM_NAME_MAX + 2] = "";
	struct units u = { .station = w->of->station, .device = w->of->device,
		.prefix = prefix, .roll = w->roll,
		.asked = page == found_units };
	enum mm_err rc = MM_OK;

	if (w->of->batch[0] != '\0') {
		strcpy(prefix, w->of->batch);
		strcat(prefix, "/");
	}
	u.unit = calloc(UNITS, sizeof(*u.unit));
	if (u.unit == NULL)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	if (u.roll != NULL && (w->unit[0] == '\0' || w->unit[0] == '#'))
		rc = walk_pages(w, &u, rolled_units, why);
	if (rc == MM_OK && !w->m->left)
		rc = walk_pages(w, &u, page, why);
	free(u.unit);
	return rc;
}

static enum mm_err
walk_one(struct walk *w, struct mm_why *why)
{
	bool yes;

	MM_TRY(has_attributes(w, w->of->device, &yes, why));
	return yes ? walk_certs(w, w->of->device, why) : MM_OK;
}

/* ---- serial by serial ---- */

/* Whether it is of that batch, or its station there has made it. */
static enum mm_err
is_made(struct walk *w, const char *device, bool *yes, struct mm_why *why)
{
	const struct mm_selection *of = w->of;
	struct mm_made made;
	enum mm_err rc;

	*yes = of->batch[0] == '\0' ||
	    (w->roll != NULL && mm_roll_has(w->roll, device));
	if (*yes)
		return MM_OK;
	rc = mm_made_get(w->d->r, of->batch, device, &made, NULL);
	*yes = rc == MM_OK && (of->station[0] == '\0' ||
	    strcmp(of->station, made.station) == 0);
	return rc == MM_OK || rc == MM_ENOTFOUND ? MM_OK :
	    MM_FAIL(why, rc, "the store cannot be read");
}

static enum mm_err
take_serial(struct walk *w, const uint8_t *serial, struct mm_why *why)
{
	struct mm_cert_row row;
	enum mm_err rc = mm_get_cert(w->d->r, serial, &row, NULL);
	bool yes = true;

	w->tour.looked++;
	if (w->n == PAGE)
		MM_TRY(flush(w, why));
	if (rc == MM_OK)
		MM_TRY(has_attributes(w, row.device, &yes, why));
	if (rc == MM_OK && yes)
		MM_TRY(is_made(w, row.device, &yes, why));
	if (rc == MM_OK)
		return yes ? take(w, &row, why) : MM_OK;
	if (rc == MM_ENOTFOUND)
		w->m->unknown++;
	else
		return MM_FAIL(why, rc, "the store cannot be read");
	return MM_OK;
}

static enum mm_err
walk_serials(struct walk *w, struct mm_why *why)
{
	while (w->at < w->of->nserials && !w->m->left) {
		MM_TRY(take_serial(w, w->of->serial + w->at * MM_SERIAL_N,
		    why));
		if (++w->at < w->of->nserials)
			(void)is_full(w);
	}
	return MM_OK;
}

static bool
is_empty(const struct mm_selection *of)
{
	return of->batch[0] == '\0' && of->station[0] == '\0' &&
	    of->product[0] == '\0' && of->issuer[0] == '\0' &&
	    of->profile[0] == '\0' && of->device[0] == '\0' &&
	    of->issued_from == 0 && of->issued_to == 0 &&
	    of->key_type == 0 && of->where[0] == '\0' && of->nserials == 0;
}

static enum mm_err
walk_all(struct walk *w, struct mm_why *why)
{
	const struct mm_selection *of = w->of;

	if (of->nserials > 0)
		return walk_serials(w, why);
	if (of->batch[0] != '\0' || of->station[0] != '\0')
		return walk_units(w, made_units, why);
	if (of->device[0] != '\0')
		return walk_one(w, why);
	return of->where[0] != '\0' ? walk_units(w, found_units, why) :
	    walk_certs(w, NULL, why);
}

static enum mm_err
check(const struct mm_selection *of, const struct mm_mass *m,
    struct mm_why *why)
{
	if (is_empty(of))
		return MM_FAIL(why, MM_EINPUT, "nothing is selected, and that "
		    "is not everything");
	if (of->nserials > 0 && of->station[0] != '\0' && of->batch[0] == '\0')
		return MM_FAIL(why, MM_EINPUT, "station: beside serial numbers "
		    "it wants its batch, too");
	if (m->verb == MM_MASS_REVOKE && !mm_reason_revokes(m->reason))
		return MM_FAIL(why, MM_EINPUT, "reason %u does not revoke",
		    m->reason);
	return MM_OK;
}

/* ---- where it goes on ---- */

/* What is before the next slash, and *at behind that. */
static bool
read_part(const char **at, char *out, size_t room)
{
	size_t n = strcspn(*at, "/");
	struct mm_bytes part = { (const uint8_t *)*at, n };

	if ((*at)[n] != '/' || !mm_text_copy(out, room, part))
		return false;
	*at += n + 1;
	return true;
}

/* "NUMBER/CERTIFICATE/DEVICE/UNIT"; a unit may have slashes */
static enum mm_err
read_place(struct walk *w, struct mm_why *why)
{
	const char *at = w->m->after;
	char number[12];
	int64_t n;

	if (at[0] == '\0')
		return MM_OK;
	if (!read_part(&at, number, sizeof(number)) ||
	    mm_int_parse(number, &n, NULL) != MM_OK || n < 0 ||
	    n > UINT32_MAX || !read_part(&at, w->after, sizeof(w->after)) ||
	    !read_part(&at, w->device, sizeof(w->device)) ||
	    !mm_text_copy(w->unit, sizeof(w->unit), mm_bytes_of(at)))
		return not_of_this(why);
	w->at = (unsigned)n;
	return MM_OK;
}

static void
write_place(struct walk *w)
{
	if (w->m->left)
		snprintf(w->m->next, sizeof(w->m->next), "%u/%s/%s/%s", w->at,
		    w->after, w->device, w->unit);
}

static enum mm_err
begin(struct walk *w, struct mm_why *why)
{
	const struct mm_production *b;

	if (w->of->batch[0] != '\0')
		MM_TRY(mm_desk_batch(w->d, w->of->batch, &b, &w->roll, why));
	if (w->of->station[0] != '\0')
		w->roll = NULL;
	w->tour = (struct mm_tour){ w->m->dry_run, w->m->most, w->m->rows,
	    mm_mono_ms() + w->m->run_ms, 0 };
	w->where.state = -1;
	w->where.product = or_null(w->of->product);
	MM_TRY(mm_desk_where_marked(w->d, w->of->where, &w->where, why));
	return read_place(w, why);
}

/* see mass.h */
enum mm_err
mm_desk_mass(struct mm_desk *d, const struct mm_login *by,
    const struct mm_selection *of, struct mm_mass *m, struct mm_why *why)
{
	MM_OWN(walk_free) struct walk *w = calloc(1, sizeof(*w));

	MM_TRY(check(of, m, why));
	if (w == NULL)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	w->d = d;
	w->by = by;
	w->of = of;
	w->m = m;
	MM_TRY(begin(w, why));
	if (m->verb == MM_MASS_HOLD)
		m->reason = HOLD;
	for (unsigned i = 0; i < PAGE; i++)
		mm_buf_init(&w->papers[i], PAPER_ROOM);
	MM_TRY(walk_all(w, why));
	MM_TRY(flush(w, why));
	write_place(w);
	return MM_OK;
}
