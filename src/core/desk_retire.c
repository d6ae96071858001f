#include <stdlib.h>
#include <string.h>

#include "core/priv.h"

/*
 * The end of a device.  It is retired first, so that nothing new is issued
 * while its certificates are revoked, a page of them in one transaction; what
 * is left after a failure is revoked by asking again.
 */
enum {
	PAGE = 64,
	PAPER_ROOM = 1024,
	REASON = 5, /* RFC 5280 5.3.1: cessationOfOperation */
};

struct ending {
	const struct mm_login *by;
	char after[MM_AUTHORITY_TEXT];
	unsigned rows, n;
	struct mm_op op[PAGE], *ops[PAGE];
	struct mm_buf papers[PAGE];
};

static bool
is_over(enum mm_cert_state s)
{
	return s == MM_CERT_REVOKED || s == MM_CERT_ORPHANED;
}

static enum mm_err
end_one(struct ending *e, const struct mm_cert_row *row, struct mm_why *why)
{
	struct mm_op *op = e->ops[e->n] = &e->op[e->n];
	struct mm_papers p = mm_papers_over(&e->papers[e->n++]);
	struct mm_named cert;

	memcpy(cert.serial, row->serial, 16);
	strcpy(cert.issuer, row->issuer);
	*op = (struct mm_op){ .kind = MM_OP_REVOKE };
	memcpy(op->u.revoke.serial, row->serial, 16);
	op->u.revoke.to = MM_CERT_REVOKED;
	op->u.revoke.reason = REASON;
	op->u.revoke.at = mm_now_ms();
	mm_papers_short(&p, &(struct mm_short){ .type = MM_E_CERT_REVOKED,
	    .cert = &cert, .device = row->device, .product = row->product,
	    .actor = e->by->id, .reason = mm_reason_name(REASON) });
	return mm_papers_seal(&p, op, why);
}

static enum mm_err
see(void *ctx, const void *row, const char *next, struct mm_why *why)
{
	const struct mm_cert_row *c = row;
	struct ending *e = ctx;

	e->rows++;
	strcpy(e->after, next);
	return is_over(c->state) ? MM_OK : end_one(e, c, why);
}

static enum mm_err
end_page(struct mm_desk *d, struct ending *e, const char *device,
    struct mm_why *why)
{
	struct mm_list mine = { .most = PAGE, .device = device, .state = -1 };

	e->rows = e->n = 0;
	strcpy(mine.after, e->after);
	MM_TRY(mm_list_certs(d->r, &mine, see, e, why));
	if (e->n > 0)
		MM_TRY(mm_desk_write(d, e->ops, e->n, why));
	for (unsigned i = 0; i < e->n; i++)
		if (e->op[i].result != MM_OK)
			return MM_FAIL(why, e->op[i].result, "%s",
			    e->op[i].why.text);
	return MM_OK;
}

static enum mm_err
refuse_left(void *ctx, const void *row, const char *next, struct mm_why *why)
{
	const struct mm_cert_row *c = row;
	char serial[33];

	(void)ctx, (void)next;
	mm_hex_text(c->serial, 16, serial);
	return MM_FAIL(why, MM_EAGAIN, "device %s is retired, but not all its "
	    "certificates are revoked (%s is not): ask again", c->device,
	    serial);
}

/* Nobody is told that it is over while one certificate is not. */
static enum mm_err
none_left(struct mm_desk *d, const char *device, struct mm_why *why)
{
	struct mm_list l = { .most = 1, .device = device };

	for (l.state = 0; l.state < MM_CERT_STATES; l.state++)
		if (!is_over((enum mm_cert_state)l.state))
			MM_TRY(mm_list_certs(d->r, &l, refuse_left, NULL,
			    why));
	return MM_OK;
}

static void
ending_free(struct ending **owner)
{
	for (unsigned i = 0; *owner != NULL && i < PAGE; i++)
		mm_buf_done(&(*owner)->papers[i]);
	free(*owner);
}

static enum mm_err
revoke_all(struct mm_desk *d, const struct mm_login *by, const char *device,
    struct mm_why *why)
{
	MM_OWN(ending_free) struct ending *e = calloc(1, sizeof(*e));

	if (e == NULL)
		return MM_FAIL(why, MM_ENOMEM, "retire: no memory");
	e->by = by;
	for (unsigned i = 0; i < PAGE; i++)
		mm_buf_init(&e->papers[i], PAPER_ROOM);
	do {
		MM_TRY(end_page(d, e, device, why));
	} while (e->rows == PAGE);
	return none_left(d, device, why);
}

/* see core.h */
enum mm_err
mm_desk_device_retire(struct mm_desk *d, const struct mm_login *by,
    const char *id, struct mm_why *why)
{
	struct mm_papers p = mm_papers_over(&d->buf);
	struct mm_op op = { .kind = MM_OP_DEVICE_RETIRE };
	struct mm_device dev;
	struct mm_entry e = { .type = MM_E_DEVICE_RETIRED };

	MM_TRY(mm_get_device(d->r, id, &dev, why));
	op.u.device.row = dev;
	e.field[MM_F_ACTOR] = by->id;
	e.field[MM_F_DEVICE] = dev.id;
	e.field[MM_F_PRODUCT] = dev.product;
	mm_papers_add(&p, &e);
	MM_TRY(mm_desk_run(d, &p, &op, why));
	return revoke_all(d, by, dev.id, why);
}
