#include "store/sqlite.h"

#include <string.h>

/* Ops that put one row somewhere. */

#define ANSWER_KEPT_MS 86400000 /* docs/reference/rest.md: 24 h */

/* MM_OK if there, *there says; other failures are the database's. */
static enum mm_err
exists(struct sqlite_store *s, const struct ask *ask, bool *there,
    struct mm_why *why)
{
	int64_t found;
	enum mm_err err = mm_sqlite_ints(&s->db, ask, &found, 1, why);

	*there = err == MM_OK;
	return err == MM_ENOTFOUND ? MM_OK : err;
}

/* ---- products, operators ---- */

enum mm_err
mm_sqlite_product_put(struct sqlite_store *s, struct mm_op *op, bool *written,
    struct mm_why *why)
{
	const struct mm_op_product *p = &op->u.product;
	struct val v[MM_VALS_MAX];
	bool there;

	MM_TRY(exists(s, ASK(PRODUCT_KNOWN, TEXT(p->row.name)), &there, why));
	if (there && !p->replace)
		return MM_FAIL(why, MM_ECONFLICT, "product %s: exists",
		    p->row.name);
	mm_shape_vals(&mm_shape_product, &p->row, v);
	MM_TRY(mm_sqlite_exec(&s->db, &(struct ask){ Q_PRODUCT_PUT, v,
	    mm_shape_product.n }, why));
	s->counts.products += !there;
	*written = true;
	return MM_OK;
}

enum mm_err
mm_sqlite_operator_put(struct sqlite_store *s, struct mm_op *op,
    bool *written, struct mm_why *why)
{
	const struct mm_operator *o = &op->u.operator_;
	struct val v[MM_VALS_MAX];
	bool there;

	MM_TRY(exists(s, ASK(OPERATOR_FIND, TEXT(o->id)), &there, why));
	if (there)
		return MM_FAIL(why, MM_ECONFLICT, "operator %s: exists",
		    o->id);
	mm_shape_vals(&mm_shape_operator, o, v);
	*written = true;
	return mm_sqlite_exec(&s->db, &(struct ask){ Q_OPERATOR_ADD, v,
	    mm_shape_operator.n }, why);
}

/* One writer asks: two who revoke each other at once leave one of them. */
enum mm_err
mm_sqlite_operator_revoke(struct sqlite_store *s, struct mm_op *op,
    bool *written, struct mm_why *why)
{
	const struct mm_operator *o = &op->u.operator_;
	int64_t known[2]; /* revoked_at, is an administrator */
	bool other = true;
	enum mm_err err = mm_sqlite_ints(&s->db,
	    ASK(OPERATOR_FIND, TEXT(o->id)), known, 2, why);

	if (err == MM_ENOTFOUND)
		return MM_FAIL(why, err, "operator %s: no such operator",
		    o->id);
	if (err != MM_OK || known[0] != 0)
		return err;
	if (known[1] != 0)
		MM_TRY(exists(s, ASK(OPERATOR_ADMIN, TEXT(o->id),
		    INT(o->revoked_at)), &other, why));
	if (!other)
		return MM_FAIL(why, MM_EPOLICY, "operator %s is the last "
		    "administrator", o->id);
	*written = true;
	return mm_sqlite_exec(&s->db, ASK(OPERATOR_REVOKE, TEXT(o->id),
	    INT(o->revoked_at)), why);
}

/* ---- devices ---- */

struct known {
	int64_t id, class, state; /* id 0: no such device */
};

static enum mm_err
device_find(struct sqlite_store *s, const char *name, struct known *out,
    struct mm_why *why)
{
	int64_t d[3] = { 0, 0, 0 };
	enum mm_err err = mm_sqlite_ints(&s->db,
	    ASK(DEVICE_FIND, TEXT(name)), d, 3, why);

	if (err != MM_OK && err != MM_ENOTFOUND)
		return err;
	*out = (struct known){ d[0], d[1], d[2] };
	return MM_OK;
}

static enum mm_err
device_add(struct sqlite_store *s, const struct mm_device *d, int64_t class,
    struct mm_why *why)
{
	MM_TRY(mm_sqlite_exec(&s->db, ASK(DEVICE_ADD, TEXT(d->id),
	    INT(class), INT(d->state), INT(d->created_at),
	    HASH(d->bound_spki),
	    d->attributes[0] != '\0' ? TEXT(d->attributes) : NONE), why));
	s->counts.devices++;
	return MM_OK;
}

/* Replacing leaves name, state and birth as they were. */
enum mm_err
mm_sqlite_device_put(struct sqlite_store *s, struct mm_op *op, bool *written,
    struct mm_why *why)
{
	const struct mm_device *d = &op->u.device.row;
	struct known old;
	int64_t class;

	MM_TRY(device_find(s, d->id, &old, why));
	if (old.id != 0 && (!op->u.device.replace ||
	    old.state != MM_DEVICE_ACTIVE))
		return MM_FAIL(why, MM_ECONFLICT, "device %s: %s", d->id,
		    old.state == MM_DEVICE_ACTIVE ? "exists" : "retired");
	MM_TRY(mm_sqlite_class(s, d->product, "", "", &class));
	*written = true;
	if (old.id == 0)
		return device_add(s, d, class, why);
	return mm_sqlite_exec(&s->db, ASK(DEVICE_SET, INT(old.id), INT(class),
	    HASH(d->bound_spki),
	    d->attributes[0] != '\0' ? TEXT(d->attributes) : NONE), why);
}

enum mm_err
mm_sqlite_device_retire(struct sqlite_store *s, struct mm_op *op,
    bool *written, struct mm_why *why)
{
	const char *name = op->u.device.row.id;
	struct known d;

	MM_TRY(device_find(s, name, &d, why));
	if (d.id == 0)
		return MM_FAIL(why, MM_ENOTFOUND, "device %s: no such device",
		    name);
	if (d.state == MM_DEVICE_RETIRED)
		return MM_OK;
	*written = true;
	return mm_sqlite_exec(&s->db, ASK(DEVICE_RETIRE, INT(d.id)), why);
}

/* ---- tokens ---- */

/* The device a token is for, made if that is wished. */
static enum mm_err
mint_device(struct sqlite_store *s, const struct mm_op *op, struct known *d,
    struct mm_why *why)
{
	const struct mm_token_row *t = &op->u.mint.row;
	struct mm_device made = { .created_at = t->created_at };
	int64_t class;

	MM_TRY(device_find(s, t->device, d, why));
	MM_TRY(mm_sqlite_class(s, t->product, "", "", &class));
	if (d->id == 0 && !op->u.mint.make_device)
		return MM_FAIL(why, MM_ENOTFOUND, "device %s: no such device",
		    t->device);
	if (d->id != 0 && d->state != MM_DEVICE_ACTIVE)
		return MM_FAIL(why, MM_ECONFLICT, "device %s: retired",
		    t->device);
	if (d->id != 0 && d->class != class)
		return MM_FAIL(why, MM_ECONFLICT,
		    "device %s: of another product than %s", t->device,
		    t->product);
	if (d->id != 0)
		return MM_OK;
	memcpy(made.id, t->device, sizeof(made.id));
	MM_TRY(device_add(s, &made, class, why));
	d->id = sqlite3_last_insert_rowid(s->db.h);
	return MM_OK;
}

enum mm_err
mm_sqlite_mint(struct sqlite_store *s, struct mm_op *op, bool *written,
    struct mm_why *why)
{
	const struct mm_token_row *t = &op->u.mint.row;
	struct known device;
	int64_t class;
	bool there;

	MM_TRY(exists(s, ASK(TOKEN_FIND, TEXT(t->id)), &there, why));
	if (there)
		return MM_FAIL(why, MM_ECONFLICT, "token %s: exists", t->id);
	MM_TRY(mint_device(s, op, &device, why));
	MM_TRY(mm_sqlite_class(s, t->product, "", t->profile, &class));
	MM_TRY(mm_sqlite_exec(&s->db, ASK(TOKEN_ADD, TEXT(t->id),
	    INT(device.id), INT(class), INT(MM_TOKEN_MINTED), INT(t->bearer),
	    INT(t->created_at), INT(t->not_before_at), INT(t->expires_at),
	    HASH(t->bound_spki)), why));
	s->counts.tokens++;
	*written = true;
	return MM_OK;
}

enum mm_err
mm_sqlite_token_state(struct sqlite_store *s, struct mm_op *op, bool *written,
    struct mm_why *why)
{
	const struct mm_op_token_state *t = &op->u.token;
	int64_t now[3]; /* id, state, cert */
	enum mm_err err = mm_sqlite_ints(&s->db, ASK(TOKEN_FIND, TEXT(t->id)),
	    now, 3, why);

	if (err == MM_ENOTFOUND)
		return MM_FAIL(why, err, "token %s: no such token", t->id);
	MM_TRY(err);
	if ((unsigned)t->to >= MM_TOKEN_STATES)
		return MM_FAIL(why, MM_EINPUT, "token: no such state");
	if ((t->from >> now[1] & 1) == 0)
		return MM_FAIL(why, MM_ECONFLICT, "token %s: it is %s", t->id,
		    mm_token_state_name((enum mm_token_state)now[1]));
	*written = true;
	if (t->drop_claim)
		MM_TRY(mm_sqlite_exec(&s->db, ASK(TOKEN_UNCLAIM, INT(now[0])),
		    why));
	return mm_sqlite_exec(&s->db, t->rebind ?
	    ASK(TOKEN_REBIND, INT(now[0]), INT(t->to), HASH(t->bound_spki)) :
	    ASK(TOKEN_SET, INT(now[0]), INT(t->to)), why);
}

/* ---- documents ---- */

static enum mm_err
check_turn(struct sqlite_store *s, uint64_t turn, struct mm_why *why)
{
	int64_t have = 0;
	enum mm_err err = mm_sqlite_ints(&s->db, ASK(DOC, INT(MM_DOC_NODE),
	    TEXT("ledger")), &have, 1, why);

	if (err != MM_OK && err != MM_ENOTFOUND)
		return err;
	return (uint64_t)have == turn ? MM_OK : MM_FAIL(why, MM_ECONFLICT,
	    "checkpoint: another node signs them now");
}

/* A checkpoint never goes back, nor past what is stored. */
enum mm_err
mm_sqlite_checkpoint_put(struct sqlite_store *s, struct mm_op *op,
    bool *written, struct mm_why *why)
{
	const struct mm_op_checkpoint *c = &op->u.checkpoint;
	int64_t size = 0;
	enum mm_err err = mm_sqlite_ints(&s->db, ASK0(CHECKPOINT), &size, 1,
	    why);

	if (err != MM_OK && err != MM_ENOTFOUND)
		return err;
	MM_TRY(check_turn(s, c->turn, why));
	if (c->size < (uint64_t)size || c->size > s->counts.entries)
		return MM_FAIL(why, MM_ECONFLICT, "checkpoint: of %llu, want "
		    "%lld to %llu", (unsigned long long)c->size,
		    (long long)size, (unsigned long long)s->counts.entries);
	*written = true;
	return mm_sqlite_exec(&s->db, ASK(CHECKPOINT_PUT, INT(c->size),
	    BYTES(c->note)), why);
}

/* RFC 5280 5.2.3: numbers only grow. */
enum mm_err
mm_sqlite_crl_put(struct sqlite_store *s, struct mm_op *op, bool *written,
    struct mm_why *why)
{
	const struct mm_op_crl *c = &op->u.crl;
	int64_t number = 0;
	enum mm_err err = mm_sqlite_ints(&s->db, ASK(CRL, TEXT(c->issuer)),
	    &number, 1, why);

	if (err != MM_OK && err != MM_ENOTFOUND)
		return err;
	if (c->follows != NULL && *c->follows != (uint64_t)number)
		return MM_FAIL(why, MM_ECONFLICT,
		    "issuer %s: another CRL came first", c->issuer);
	if (err == MM_OK && c->number <= (uint64_t)number)
		return MM_FAIL(why, MM_ECONFLICT,
		    "issuer %s: CRL number %llu, last was %lld", c->issuer,
		    (unsigned long long)c->number, (long long)number);
	*written = true;
	return mm_sqlite_exec(&s->db, ASK(CRL_PUT, TEXT(c->issuer),
	    INT(c->number), INT(c->this_s), INT(c->next_s), BYTES(c->der)),
	    why);
}

enum mm_err
mm_sqlite_answer_put(struct sqlite_store *s, struct mm_op *op, bool *written,
    struct mm_why *why)
{
	const struct mm_op_answer *a = &op->u.answer;
	int64_t at, old = a->at - ANSWER_KEPT_MS;
	enum mm_err err = mm_sqlite_ints(&s->db,
	    ASK(ANSWER_FIND, TEXT(a->key)), &at, 1, why);

	if (err != MM_OK && err != MM_ENOTFOUND)
		return err;
	if (err == MM_OK && at >= old)
		return MM_FAIL(why, MM_ECONFLICT, "answer: key is used");
	MM_TRY(mm_sqlite_exec(&s->db, ASK(ANSWERS_OLD, INT(old)), why));
	*written = true;
	return mm_sqlite_exec(&s->db, ASK(ANSWER_PUT, TEXT(a->key),
	    HASH(a->request_sha256), INT(a->status), INT(a->at),
	    BYTES(a->body)), why);
}
