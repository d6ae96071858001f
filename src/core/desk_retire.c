#include <stdlib.h>
#include <string.h>

#include "base/faults.h"
#include "core/desk_schema.h"
#include "core/priv.h"

/*
 * The end of a device, or of a part of its life.  What is retired or repaired
 * is so in its record first, so that nothing new is issued on what was before
 * while its certificates are revoked, a page of them in one transaction; what
 * is left after a failure is revoked by asking again.
 */
enum {
	PAGE = 64,
	PAPER_ROOM = 1024,
};
#define TRANSFER "transfer" /* the action of its entry begins so */
/* RFC 5280 5.3.1 */
enum { SUPERSEDED = 4, CESSATION = 5 };

/* Which of its certificates end, and of what. */
struct extent {
	unsigned reason;
	bool keeps_idevid;
	const uint8_t *keeps_spki; /* of which those stay; NULL, all zero */
	uint64_t before;           /* entered before that alone; 0: any */
	unsigned ended;            /* out: so many were revoked */
};

struct ending {
	const struct mm_login *by;
	const struct extent *of;
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
	op->u.revoke.reason = (uint8_t)e->of->reason;
	op->u.revoke.at = mm_now_ms();
	mm_papers_short(&p, &(struct mm_short){ .type = MM_E_CERT_REVOKED,
	    .cert = &cert, .device = row->device, .product = row->product,
	    .actor = e->by->id, .reason = mm_reason_name(e->of->reason) });
	return mm_papers_seal(&p, op, why);
}

static bool
ends(const struct extent *of, const struct mm_cert_row *c)
{
	if (of->keeps_spki != NULL && !mm_zero(of->keeps_spki, 32) &&
	    memcmp(of->keeps_spki, c->spki_sha256, 32) == 0)
		return false;
	if (of->before != 0 && c->entry >= of->before)
		return false;
	return !is_over(c->state) && !(of->keeps_idevid && c->idevid);
}

static enum mm_err
see(void *ctx, const void *row, const char *next, struct mm_why *why)
{
	const struct mm_cert_row *c = row;
	struct ending *e = ctx;

	e->rows++;
	strcpy(e->after, next);
	return ends(e->of, c) ? end_one(e, c, why) : MM_OK;
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
	const struct extent *of = ctx;
	char serial[33];

	(void)next;
	if (!ends(of, c))
		return MM_OK;
	mm_hex_text(c->serial, 16, serial);
	return MM_FAIL(why, MM_EAGAIN, "device %s: its record has changed, "
	    "but not all its certificates are revoked (%s is not): ask again",
	    c->device, serial);
}

/* Nobody is told that it is over while one certificate is not. */
static enum mm_err
none_left(struct mm_desk *d, const char *device, struct extent *of,
    struct mm_why *why)
{
	struct mm_list l = { .most = PAGE, .device = device };

	for (l.state = 0; l.state < MM_CERT_STATES; l.state++)
		if (!is_over((enum mm_cert_state)l.state))
			MM_TRY(mm_list_certs(d->r, &l, refuse_left,
			    of, why));
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
    struct extent *of, struct mm_why *why)
{
	MM_OWN(ending_free) struct ending *e = calloc(1, sizeof(*e));

	if (e == NULL)
		return MM_FAIL(why, MM_ENOMEM, "retire: no memory");
	e->by = by;
	e->of = of;
	for (unsigned i = 0; i < PAGE; i++)
		mm_buf_init(&e->papers[i], PAPER_ROOM);
	do {
		MM_TRY(end_page(d, e, device, why));
		of->ended += e->n;
	} while (e->rows == PAGE);
	return none_left(d, device, of, why);
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
	return revoke_all(d, by, dev.id, &(struct extent){
	    .reason = CESSATION }, why);
}

/* ---- a new owner, a new board ---- */

struct cancelling {
	const char *product; /* NULL: of any */
	unsigned ended;      /* out */
	char id[MM_TOKEN_ID_TEXT];
};

static enum mm_err
cancel_row(void *ctx, const void *row, const char *next, struct mm_why *why)
{
	const struct mm_token_row *t = row;
	struct cancelling *c = ctx;

	(void)next, (void)why;
	if (t->state != MM_TOKEN_CANCELLED && t->state != MM_TOKEN_CONFIRMED &&
	    (c->product == NULL || strcmp(c->product, t->product) == 0))
		memcpy(c->id, t->id, sizeof(c->id));
	return MM_OK;
}

/* One after the other: a device has few. */
static enum mm_err
cancel_tokens(struct mm_desk *d, const struct mm_login *by,
    const char *device, struct cancelling *c, const char *reason,
    struct mm_why *why)
{
	struct mm_list l = { .most = 1000, .device = device, .state = -1 };

	for (;; c->ended++) {
		c->id[0] = '\0';
		MM_TRY(mm_list_tokens(d->r, &l, cancel_row, c, why));
		if (c->id[0] == '\0')
			return MM_OK;
		MM_TRY(mm_desk_token_cancel(d, by, c->id, reason, why));
	}
}

static enum mm_err
living(struct mm_desk *d, const char *id, struct mm_device *out,
    struct mm_why *why)
{
	MM_TRY(mm_get_device(d->r, id, out, why));
	return out->state == MM_DEVICE_ACTIVE ? MM_OK :
	    MM_FAIL(why, MM_ECONFLICT, "device %s: retired", id);
}

/* Whether it could come there, before anything is done about it. */
static enum mm_err
may_come(struct mm_desk *d, const struct mm_device *dev, const char *product,
    struct mm_why *why)
{
	MM_OWN(mm_desk_schema_done) struct mm_desk_schema s = { .version = 0 };
	char column[MM_SCHEMA_COLUMN];
	struct mm_product p;

	MM_TRY(mm_get_product(d->r, product, &p, why));
	MM_TRY(mm_desk_schema_load(d, product, &s, why));
	return s.schema == NULL ? MM_OK :
	    mm_schema_check(s.schema, dev->attributes, column, why);
}

/* ---- transfer ---- */

/* Where a device's last transfer to a product stands in its history. */
struct turned {
	const char *product;
	uint64_t at, last; /* 0: nowhere; the last one that was looked at */
	unsigned n;        /* so many of a page */
	char from[MM_NAME_MAX + 1];
};

static bool
is_turn(const struct turned *t, struct mm_bytes entry)
{
	struct mm_entry_view v;
	char action[32];

	mm_entry_look(entry, &v);
	return mm_bytes_eq(v.type, mm_bytes_of(mm_entry_type_name(
	    MM_E_DEVICE_CHANGED))) &&
	    mm_bytes_eq(v.product, mm_bytes_of(t->product)) &&
	    mm_node_text(entry, "\"action\":\"", action, sizeof(action)) &&
	    strncmp(action, TRANSFER, strlen(TRANSFER)) == 0;
}

static enum mm_err
take_turn(void *ctx, uint64_t index, struct mm_bytes entry,
    struct mm_why *why)
{
	struct turned *t = ctx;

	(void)why;
	t->n++;
	t->last = index;
	if (t->at != 0 || !is_turn(t, entry))
		return MM_OK;
	t->at = index;
	if (!mm_node_text(entry, "\"from\":\"", t->from, sizeof(t->from)))
		t->from[0] = '\0';
	return MM_OK;
}

static enum mm_err
find_turn(struct mm_desk *d, const char *device, struct turned *t,
    struct mm_why *why)
{
	t->last = UINT64_MAX;
	do {
		t->n = 0;
		MM_TRY(mm_list_history(d->r, device, t->last, PAGE, take_turn,
		    t, why));
	} while (t->at == 0 && t->n == PAGE);
	return MM_OK;
}

/* What came between the last look and the turn has an entry before the turn's:
 * certificates do not say of which product they were. */
static enum mm_err
end_rest(struct mm_desk *d, const struct mm_login *by, const char *device,
    const struct turned *t, const char *reason, unsigned *ended,
    struct mm_why *why)
{
	struct extent of = { .reason = CESSATION, .keeps_idevid = true,
		.before = t->at };
	struct cancelling tokens = { .product = t->from };

	MM_TRY(cancel_tokens(d, by, device, &tokens, reason, why));
	MM_TRY(revoke_all(d, by, device, &of, why));
	*ended = tokens.ended + of.ended;
	return MM_OK;
}

/* It has turned already: what a call that failed after that has left is ended
 * now.  Where nothing is left it is no transfer. */
static enum mm_err
finish(struct mm_desk *d, const struct mm_login *by, const char *device,
    const struct mm_transfer *t, struct mm_why *why)
{
	struct turned turned = { .product = t->product };
	unsigned ended = 0;

	MM_TRY(find_turn(d, device, &turned, why));
	if (turned.at != 0)
		MM_TRY(end_rest(d, by, device, &turned, t->reason, &ended,
		    why));
	return ended > 0 ? MM_OK
	    : MM_FAIL(why, MM_ECONFLICT, "device %s: it is of product %s "
		"already, and nothing was ended", device, t->product);
}

static enum mm_err
turn(struct mm_desk *d, const struct mm_login *by, const char *id,
    const struct mm_transfer *t, struct mm_why *why)
{
	struct mm_device dev;

	MM_TRY(mm_get_device(d->r, id, &dev, why));
	MM_TRY(t->idevid ? mm_handover_put(d, dev.id, t->product, why)
			 : mm_handover_end(d, dev.id, why));
	strcpy(dev.product, t->product);
	return mm_desk_device_turn(d, by, &dev, t->idevid ? TRANSFER "-idevid"
	    : TRANSFER, t->reason, why);
}

/*
 * see core.h.  What the owner before had ends before the device is another's:
 * a call that was cut off is made again, and nothing of the new owner's is
 * touched.  What was issued or minted between the last look and the turn is of
 * the product before, and the store takes no more of that once the device has
 * turned: so a second look ends it, and another call where that one failed.
 */
enum mm_err
mm_desk_device_transfer(struct mm_desk *d, const struct mm_login *by,
    const char *id, const struct mm_transfer *t, struct mm_why *why)
{
	struct extent of = { .reason = CESSATION, .keeps_idevid = true };
	struct cancelling any = { .product = NULL };
	struct turned turned = { .product = t->product };
	struct mm_device dev;
	unsigned ended;

	MM_TRY(living(d, id, &dev, why));
	if (strcmp(dev.product, t->product) == 0)
		return finish(d, by, dev.id, t, why);
	MM_TRY(may_come(d, &dev, t->product, why));
	MM_TRY(cancel_tokens(d, by, dev.id, &any, t->reason, why));
	MM_TRY(revoke_all(d, by, dev.id, &of, why));
	mm_slow_at("transfer");
	MM_TRY(turn(d, by, id, t, why));
	mm_die_at("transferred");
	MM_TRY(find_turn(d, dev.id, &turned, why));
	return turned.at != 0
	    ? end_rest(d, by, dev.id, &turned, t->reason, &ended, why)
	    : MM_FAIL(why, MM_EBUG, "device %s: its turn is not in its "
		"history", dev.id);
}

/* see core.h; said again when the new board is there, it spares that one's
 * only where its key was named */
enum mm_err
mm_desk_device_repair(struct mm_desk *d, const struct mm_login *by,
    const char *id, const uint8_t spki[32], const char *reason,
    struct mm_why *why)
{
	struct extent of = { .reason = SUPERSEDED, .keeps_spki = spki };
	struct cancelling any = { .product = NULL };
	struct mm_device dev;

	MM_TRY(living(d, id, &dev, why));
	memcpy(dev.bound_spki, spki, 32);
	MM_TRY(mm_desk_device_turn(d, by, &dev, "repair", reason, why));
	MM_TRY(cancel_tokens(d, by, dev.id, &any, reason, why));
	return revoke_all(d, by, dev.id, &of, why);
}
