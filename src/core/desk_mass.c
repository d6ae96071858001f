#include <stdlib.h>
#include <string.h>

#include "core/priv.h"
#include "core/production.h"

/*
 * Revoking by selection: a walk over what is selected, some rows of which fill
 * a page, and each page is one transaction.  What has been done is passed over
 * by the next call with the same words, so that one that was cut off, or came
 * to its limit, is simply made again.
 */
enum {
	PAGE = 256,
	PAPER_ROOM = 1024,
	UNITS = 500,
	HOLD = 6, /* RFC 5280 5.3.1: certificateHold */
	LOOK_MS = 20000,
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
	int64_t until; /* monotonic; a look alone */
	unsigned rows; /* that the last page of a list had */
	char after[MM_DOC_ID_MAX + MM_AUTHORITY_TEXT];
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

/* One that changed meanwhile is another call's: it is looked at again. */
static enum mm_err
write_page(struct walk *w, struct mm_why *why)
{
	for (unsigned i = 0; i < w->n; i++)
		MM_TRY(prepare(w, i, why));
	if (w->n > 0)
		MM_TRY(mm_desk_write(w->d, w->ops, w->n, why));
	for (unsigned i = 0; i < w->n; i++) {
		enum mm_err rc = w->op[i].result;

		if (rc == MM_OK)
			w->m->changed += !w->op[i].u.revoke.already;
		else if (rc == MM_ECONFLICT || rc == MM_EPOLICY)
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
		    &next, why);

		if (rc != MM_OK && rc != MM_ENOTFOUND)
			return rc;
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
		MM_TRY(write_page(w, why));
		MM_TRY(take_successors(w, why));
		MM_TRY(write_page(w, why));
	}
	w->n = 0;
	return MM_OK;
}

/* ---- looking ---- */

static bool
fits(const struct mm_selection *of, const struct mm_cert_row *c)
{
	return (of->issuer[0] == '\0' || strcmp(of->issuer, c->issuer) == 0) &&
	    (of->product[0] == '\0' || strcmp(of->product, c->product) == 0) &&
	    (of->profile[0] == '\0' || strcmp(of->profile, c->profile) == 0) &&
	    (of->issued_from == 0 || c->issued_at >= of->issued_from) &&
	    (of->issued_to == 0 || c->issued_at < of->issued_to) &&
	    (of->key_type == 0 || c->key_type == of->key_type);
}

static void
take(struct walk *w, const struct mm_cert_row *c)
{
	struct mm_mass *m = w->m;

	if (!fits(w->of, c))
		return;
	m->state[c->state]++;
	if ((verbs[m->verb].from & 1U << c->state) == 0)
		return;
	if (m->nsample < MM_MASS_SAMPLE)
		m->sample[m->nsample++] = *c;
	m->found++;
	w->row[w->n++] = *c;
}

static enum mm_err
see(void *ctx, const void *row, const char *next, struct mm_why *why)
{
	struct walk *w = ctx;

	(void)why;
	w->rows++;
	strcpy(w->after, next);
	take(w, row);
	return MM_OK;
}

/* That there is more than this call does. */
static bool
is_full(struct walk *w)
{
	w->m->left = w->m->dry_run ? mm_mono_ms() > w->until :
				     w->m->found >= w->m->most;
	return w->m->left;
}

static enum mm_err
walk_list(struct walk *w, struct mm_list *l, struct mm_why *why)
{
	w->after[0] = '\0';
	do {
		if (w->n == PAGE)
			MM_TRY(flush(w, why));
		if (is_full(w))
			return MM_OK;
		w->rows = 0;
		l->most = PAGE - w->n;
		strcpy(l->after, w->after);
		MM_TRY(mm_list_certs(w->d->r, l, see, w, why));
	} while (w->rows == l->most);
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
	for (l.state = 0; l.state < MM_CERT_STATES && !w->m->left; l.state++)
		if ((verbs[w->m->verb].from & 1U << l.state) != 0)
			MM_TRY(walk_list(w, &l, why));
	return MM_OK;
}

struct units {
	const char *station;
	char (*device)[MM_DEVICE_ID_MAX + 1];
	unsigned rows, n;
	char after[MM_DOC_ID_MAX + 1];
};

static enum mm_err
see_unit(void *ctx, const void *row, const char *next, struct mm_why *why)
{
	struct units *u = ctx;
	struct mm_made made;

	u->rows++;
	(void)!mm_text_copy(u->after, sizeof(u->after), mm_bytes_of(next));
	MM_TRY(mm_made_parse(row, &made, why));
	if (u->station[0] == '\0' || strcmp(u->station, made.station) == 0)
		memcpy(u->device[u->n++], made.serial, sizeof(made.serial));
	return MM_OK;
}

static enum mm_err
walk_some_units(struct walk *w, struct units *u, const char *prefix,
    struct mm_why *why)
{
	struct mm_list l = { .most = UNITS, .state = -1 };

	do {
		u->rows = u->n = 0;
		(void)!mm_text_copy(l.after, sizeof(l.after),
		    mm_bytes_of(u->after));
		MM_TRY(mm_list_docs(w->d->r, MM_DOC_UNIT, prefix, &l, see_unit,
		    u, why));
		for (unsigned i = 0; i < u->n && !w->m->left; i++)
			MM_TRY(walk_certs(w, u->device[i], why));
	} while (u->rows == UNITS && !w->m->left);
	return MM_OK;
}

/* What a batch, or a station in whichever, has made: every certificate of
 * those devices, the later ones too. */
static enum mm_err
walk_units(struct walk *w, struct mm_why *why)
{
	struct units u = { .station = w->of->station };
	char prefix[MM_NAME_MAX + 2] = "";
	enum mm_err rc;

	if (w->of->batch[0] != '\0') {
		strcpy(prefix, w->of->batch);
		strcat(prefix, "/");
	}
	u.device = calloc(UNITS, sizeof(*u.device));
	if (u.device == NULL)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	rc = walk_some_units(w, &u, prefix, why);
	free(u.device);
	return rc;
}

static enum mm_err
walk_serials(struct walk *w, struct mm_why *why)
{
	for (size_t i = 0; i < w->of->nserials && !is_full(w); i++) {
		struct mm_cert_row row;
		enum mm_err rc = mm_get_cert(w->d->r,
		    w->of->serial + i * MM_SERIAL_N, &row, NULL);

		if (w->n == PAGE)
			MM_TRY(flush(w, why));
		if (rc == MM_OK)
			take(w, &row);
		else if (rc == MM_ENOTFOUND)
			w->m->unknown++;
		else
			return MM_FAIL(why, rc, "the store cannot be read");
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
	    of->key_type == 0 && of->nserials == 0;
}

static enum mm_err
walk_all(struct walk *w, struct mm_why *why)
{
	const struct mm_selection *of = w->of;

	if (of->nserials > 0)
		return walk_serials(w, why);
	if (of->batch[0] != '\0' || of->station[0] != '\0')
		return walk_units(w, why);
	return walk_certs(w, or_null(of->device), why);
}

static enum mm_err
check(const struct mm_selection *of, const struct mm_mass *m,
    struct mm_why *why)
{
	if (is_empty(of))
		return MM_FAIL(why, MM_EINPUT, "nothing is selected, and that "
		    "is not everything");
	if (m->verb == MM_MASS_REVOKE && !mm_reason_revokes(m->reason))
		return MM_FAIL(why, MM_EINPUT, "reason %u does not revoke",
		    m->reason);
	return MM_OK;
}

/* see core.h */
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
	w->until = mm_mono_ms() + LOOK_MS;
	if (m->verb == MM_MASS_HOLD)
		m->reason = HOLD;
	for (unsigned i = 0; i < PAGE; i++)
		mm_buf_init(&w->papers[i], PAPER_ROOM);
	MM_TRY(walk_all(w, why));
	return flush(w, why);
}
