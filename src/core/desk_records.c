#include <string.h>

#include "core/priv.h"

/* Products and certificates, as operators change them. */

/* see core.h */
enum mm_err
mm_desk_product_put(struct mm_desk *d, const struct mm_login *by,
    const struct mm_product *row, bool replace, struct mm_why *why)
{
	const char *profile[] = { row->idevid_profile, row->ldevid_profile };
	struct mm_papers p = mm_papers_over(&d->buf);
	struct mm_op op = { .kind = MM_OP_PRODUCT_PUT };
	struct mm_entry e = { .type = replace ? MM_E_PRODUCT_CHANGED :
						MM_E_PRODUCT_CREATED };

	if (!mm_name_valid(row->name))
		return MM_FAIL(why, MM_EINPUT, "not a product's name");
	for (size_t i = 0; i < 2; i++)
		if (profile[i][0] != '\0' && mm_config_profile(d->c->config,
		    profile[i]) == NULL)
			return MM_FAIL(why, MM_ENOTFOUND, "no profile "
			    "\"%.32s\"", profile[i]);
	op.u.product.row = *row;
	op.u.product.replace = replace;
	op.u.product.if_version = row->version != 0;
	if (op.u.product.row.created_at == 0)
		op.u.product.row.created_at = mm_now_ms();
	e.field[MM_F_ACTOR] = by->id;
	e.field[MM_F_PRODUCT] = row->name;
	if (row->ldevid_profile[0] != '\0')
		e.field[MM_F_PROFILE] = row->ldevid_profile;
	mm_papers_add(&p, &e);
	return mm_desk_run(d, &p, &op, why);
}

struct change {
	enum mm_cert_state to;
	unsigned reason;
	enum mm_entry_type type;
};

static enum mm_err
change_one(struct mm_desk *d, const struct mm_login *by,
    const uint8_t serial[16], const struct change *how, struct mm_op *op,
    struct mm_why *why)
{
	struct mm_papers p = mm_papers_over(&d->buf);
	struct mm_cert_row row;
	struct mm_named cert;

	MM_TRY(mm_get_cert(d->r, serial, &row, why));
	memcpy(cert.serial, row.serial, 16);
	strcpy(cert.issuer, row.issuer);
	*op = (struct mm_op){ .kind = MM_OP_REVOKE };
	memcpy(op->u.revoke.serial, serial, 16);
	op->u.revoke.to = how->to;
	op->u.revoke.reason = (uint8_t)how->reason;
	op->u.revoke.at = mm_now_ms();
	mm_papers_short(&p, &(struct mm_short){ .type = how->type,
	    .cert = &cert, .device = row.device, .product = row.product,
	    .actor = by->id,
	    .reason = how->to == MM_CERT_CONFIRMED ? NULL :
	    mm_reason_name(how->reason) });
	return mm_desk_run(d, &p, op, why);
}

/*
 * What is done to a certificate is done to its unconfirmed successor: who
 * stole the key may be who renewed.  After it, because then the store makes
 * no new successor; done again when a call is repeated.
 */
static enum mm_err
change(struct mm_desk *d, const struct mm_login *by,
    const uint8_t serial[16], const struct change *how, struct mm_op *op,
    struct mm_why *why)
{
	struct mm_cert_row next;
	struct mm_op follow;
	enum mm_err rc;

	MM_TRY(change_one(d, by, serial, how, op, why));
	rc = mm_get_successor(d->r, serial, &next, why);
	if (rc != MM_OK)
		return rc == MM_ENOTFOUND ? MM_OK : rc;
	if (next.confirmed_at != 0 || (next.state != MM_CERT_ISSUED &&
	    next.state != MM_CERT_HELD))
		return MM_OK;
	return change_one(d, by, next.serial, how, &follow, why);
}

/* see core.h */
enum mm_err
mm_desk_cert_revoke(struct mm_desk *d, const struct mm_login *by,
    const uint8_t serial[16], unsigned reason, bool *already,
    struct mm_why *why)
{
	const struct change how = { MM_CERT_REVOKED, reason,
		MM_E_CERT_REVOKED };
	struct mm_op op;

	if (!mm_reason_revokes(reason))
		return MM_FAIL(why, MM_EINPUT, "reason %u does not revoke",
		    reason);
	MM_TRY(change(d, by, serial, &how, &op, why));
	if (already != NULL)
		*already = op.u.revoke.already;
	return MM_OK;
}

/* see core.h */
enum mm_err
mm_desk_cert_hold(struct mm_desk *d, const struct mm_login *by,
    const uint8_t serial[16], bool release, struct mm_why *why)
{
	const struct change how[2] = {
		{ MM_CERT_HELD, 6, MM_E_CERT_HELD },
		{ MM_CERT_CONFIRMED, 0, MM_E_CERT_RELEASED },
	};
	struct mm_op op;

	return change(d, by, serial, &how[release], &op, why);
}
