#include "store/sqlite.h"

/* What becomes of a certificate after it was issued. */

#define REASON_SUPERSEDED 4 /* RFC 5280 5.3.1 */
#define REASON_HOLD 6

struct known {
	int64_t id, token; /* token 0: was none */
	enum mm_cert_state state, held_from;
	bool withdrawn; /* its predecessor is held, or revoked for cause */
	int64_t last;   /* its newest entry */
};

static enum mm_err
find(struct sqlite_store *s, const uint8_t serial[16], struct known *out,
    struct mm_why *why)
{
	int64_t c[6];
	enum mm_err err = mm_sqlite_ints(&s->db,
	    ASK(CERT_FIND, BLOB(serial, 16)), c, 6, why);

	if (err == MM_ENOTFOUND)
		return MM_FAIL(why, err, "no such certificate");
	MM_TRY(err);
	*out = (struct known){ c[0], c[3], (enum mm_cert_state)c[1],
		(enum mm_cert_state)c[2], c[4] != 0, c[5] };
	return MM_OK;
}

/* New state; reason and time of what puts it on a CRL, or zeros. */
struct change {
	enum mm_cert_state to;
	uint8_t reason;
	int64_t revoked_at, held_from;
};

static enum mm_err
change(struct sqlite_store *s, const struct known *c, struct change how,
    struct mm_why *why)
{
	mm_sqlite_count_move(s, c->state, how.to);
	return mm_sqlite_exec(&s->db, ASK(CERT_SET, INT(c->id), INT(how.to),
	    INT(how.reason), INT(how.revoked_at), INT(how.held_from),
	    LAST(c->last)), why);
}

/* ---- confirm ---- */

/* What is held or revoked stays so, unless it is to be revoked. */
static enum mm_err
supersede(struct sqlite_store *s, const struct known *old,
    const struct mm_op_confirm *c, struct mm_why *why)
{
	if (old->state == MM_CERT_REVOKED || old->state == MM_CERT_ORPHANED)
		return MM_OK;
	if (c->revoke_superseded)
		return change(s, old, (struct change){ MM_CERT_REVOKED,
		    REASON_SUPERSEDED, c->at, 0 }, why);
	if (old->state == MM_CERT_HELD)
		return MM_OK;
	return change(s, old, (struct change){ MM_CERT_SUPERSEDED, 0, 0, 0 },
	    why);
}

enum mm_err
mm_sqlite_confirm(struct sqlite_store *s, struct mm_op *op, bool *written,
    struct mm_why *why)
{
	struct mm_op_confirm *c = &op->u.confirm;
	struct known cert = { .id = 0 }, old = { .id = 0 };

	c->already = false;
	MM_TRY(find(s, c->serial, &cert, why));
	if (cert.state == MM_CERT_CONFIRMED ||
	    cert.state == MM_CERT_SUPERSEDED) {
		c->already = true;
		return MM_OK;
	}
	if (cert.state != MM_CERT_ISSUED)
		return MM_FAIL(why, MM_ECONFLICT, "certificate: it is %s",
		    mm_cert_state_name(cert.state));
	if (cert.withdrawn)
		return MM_FAIL(why, MM_ECONFLICT,
		    "certificate: its predecessor was held or revoked");
	if (c->supersedes != NULL)
		MM_TRY(find(s, c->supersedes, &old, why));
	cert.last = mm_sqlite_chain(s, op, 0, 1, cert.last);
	if (old.id != 0)
		old.last = mm_sqlite_chain(s, op, 1, 1, old.last);
	MM_TRY(mm_sqlite_exec(&s->db, ASK(CERT_CONFIRM, INT(cert.id),
	    INT(c->at), LAST(cert.last)), why));
	if (cert.token != 0)
		MM_TRY(mm_sqlite_exec(&s->db, ASK(TOKEN_CONFIRM,
		    INT(cert.token)), why));
	*written = true;
	return old.id == 0 ? MM_OK : supersede(s, &old, c, why);
}

/* ---- revoke, hold, release ---- */

/* An orphan is; but another CA's, which may come again, must be told so. */
static bool
is_over(const struct known *c, const struct mm_op_revoke *r)
{
	return c->state == MM_CERT_REVOKED || (c->state == MM_CERT_ORPHANED &&
	    (r->serial[0] & 0x80) == 0);
}

static enum mm_err
to_revoked(const struct known *c, const struct mm_op_revoke *r,
    struct change *how)
{
	if (is_over(c, r))
		return MM_ENOTFOUND;
	*how = (struct change){ MM_CERT_REVOKED, r->reason, r->at, 0 };
	return MM_OK;
}

static enum mm_err
to_held(const struct known *c, const struct mm_op_revoke *r,
    struct change *how)
{
	if (c->state == MM_CERT_HELD)
		return MM_ENOTFOUND;
	if (c->state == MM_CERT_REVOKED || c->state == MM_CERT_ORPHANED)
		return MM_ECONFLICT;
	*how = (struct change){ MM_CERT_HELD, REASON_HOLD, r->at, c->state };
	return MM_OK;
}

/* Back to what it was before: an unconfirmed one is still unconfirmed. */
static enum mm_err
to_released(const struct known *c, const struct mm_op_revoke *r,
    struct change *how)
{
	(void)r;
	if (c->state == MM_CERT_REVOKED || c->state == MM_CERT_ORPHANED)
		return MM_ECONFLICT;
	if (c->state != MM_CERT_HELD)
		return MM_ENOTFOUND;
	*how = (struct change){ c->held_from, 0, 0, 0 };
	return MM_OK;
}

/* Decides: MM_OK and how; MM_ENOTFOUND: nothing to do; MM_ECONFLICT. */
static enum mm_err (*const change_to[MM_CERT_STATES])(const struct known *c,
    const struct mm_op_revoke *r, struct change *how) = {
	[MM_CERT_REVOKED] = to_revoked,
	[MM_CERT_HELD] = to_held,
	[MM_CERT_CONFIRMED] = to_released,
};

enum mm_err
mm_sqlite_revoke(struct sqlite_store *s, struct mm_op *op, bool *written,
    struct mm_why *why)
{
	struct mm_op_revoke *r = &op->u.revoke;
	struct change how;
	struct known cert;

	r->already = false;
	if ((unsigned)r->to >= MM_CERT_STATES || change_to[r->to] == NULL)
		return MM_FAIL(why, MM_EINPUT,
		    "certificate: cannot be made %s",
		    mm_cert_state_name(r->to));
	MM_TRY(find(s, r->serial, &cert, why));
	switch (change_to[r->to](&cert, r, &how)) {
	case MM_OK:
		*written = true;
		cert.last = mm_sqlite_chain(s, op, 0, op->nentries, cert.last);
		return change(s, &cert, how, why);
	case MM_ENOTFOUND:
		r->already = true;
		return MM_OK;
	default:
		return MM_FAIL(why, MM_ECONFLICT, "certificate: it is %s",
		    mm_cert_state_name(cert.state));
	}
}
