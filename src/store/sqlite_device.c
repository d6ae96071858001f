#include "store/sqlite.h"

#include <string.h>

/* Devices and their tokens. */

struct known {
	int64_t id, class, state, last; /* id 0: no such device */
};

static enum mm_err
device_find(struct sqlite_store *s, const char *name, struct known *out,
    struct mm_why *why)
{
	int64_t d[4] = { 0, 0, 0, -1 };
	enum mm_err err = mm_sqlite_ints(&s->db,
	    ASK(DEVICE_FIND, TEXT(name)), d, 4, why);

	if (err != MM_OK && err != MM_ENOTFOUND)
		return err;
	*out = (struct known){ d[0], d[1], d[2], d[3] };
	return MM_OK;
}

static struct val
attributes(const struct mm_device *d)
{
	return d->attributes[0] != '\0' ? TEXT(d->attributes) : NONE;
}

static enum mm_err
device_add(struct sqlite_store *s, const struct mm_device *d,
    const struct known *at, int64_t *id, struct mm_why *why)
{
	MM_TRY(mm_sqlite_exec(&s->db, ASK(DEVICE_ADD, TEXT(d->id),
	    INT(at->class), INT(d->state), INT(d->created_at),
	    HASH(d->bound_spki), attributes(d), HASH(d->salt),
	    LAST(at->last)), why));
	*id = sqlite3_last_insert_rowid(s->db.h);
	s->counts.devices++;
	return MM_OK;
}

/* ---- may it be put? ---- */

static enum mm_err
check_schema(struct sqlite_store *s, const char *product, uint64_t want,
    struct mm_why *why)
{
	int64_t version = 0;
	enum mm_err err;

	if (strcmp(s->schema.product, product) != 0) {
		err = mm_sqlite_ints(&s->db, ASK(DOC, INT(MM_DOC_SCHEMA),
		    TEXT(product)), &version, 1, why);
		if (err != MM_OK && err != MM_ENOTFOUND)
			return err;
		strcpy(s->schema.product, product);
		s->schema.version = (uint64_t)version;
	}
	if (s->schema.version == want)
		return MM_OK;
	return MM_FAIL(why, MM_ESTALE, "product %s: its schema has changed",
	    product);
}

static enum mm_err
is_same(struct sqlite_store *s, const struct known *old, int64_t class,
    const struct mm_device *d, bool *same, struct mm_why *why)
{
	int64_t found;
	enum mm_err err = mm_sqlite_ints(&s->db, ASK(DEVICE_SAME,
	    INT(old->id), INT(class), HASH(d->bound_spki), attributes(d)),
	    &found, 1, why);

	*same = err == MM_OK;
	return err == MM_ENOTFOUND ? MM_OK : err;
}

static enum mm_err
check_old(struct sqlite_store *s, struct mm_op_device *op,
    const struct known *old, int64_t class, struct mm_why *why)
{
	const struct mm_device *d = &op->row;

	if (op->if_version && d->version !=
	    (old->id != 0 ? (uint64_t)(old->last + 1) : 0))
		return MM_FAIL(why, MM_ESTALE, "device %s: has changed",
		    d->id);
	if (old->id == 0)
		return MM_OK;
	if (old->state != MM_DEVICE_ACTIVE)
		return MM_FAIL(why, MM_ECONFLICT, "device %s: retired", d->id);
	if (op->same_is_fine)
		MM_TRY(is_same(s, old, class, d, &op->already, why));
	if (op->replace || op->already)
		return MM_OK;
	return MM_FAIL(why, MM_ECONFLICT, "device %s: exists", d->id);
}

/* ---- putting ---- */

static struct val
value_of(sqlite3_stmt *st, int column)
{
	switch (sqlite3_column_type(st, column)) {
	case SQLITE_INTEGER:
		return INT(sqlite3_column_int64(st, column));
	case SQLITE_FLOAT:
		return REAL(sqlite3_column_double(st, column));
	default:
		return (struct val){ .kind = VAL_TEXT,
			.b = mm_sqlite_blob(st, column) };
	}
}

/* A row each: one INSERT of several rows would want a journal of its own, in a
 * file that the server's sandbox does not let it make. */
static enum mm_err
index_one(struct sqlite_store *s, int64_t id, const struct val *with,
    const char *indexed, struct mm_why *why)
{
	MM_OWN(mm_sqlite_reset) sqlite3_stmt *st = NULL;
	enum mm_err err;

	if (indexed == NULL || with->kind == VAL_NULL)
		return MM_OK;
	err = mm_sqlite_first(&s->db, ASK(ATTRIBUTES, *with, TEXT(indexed)),
	    &st, why);
	while (err == MM_OK) {
		MM_TRY(mm_sqlite_exec(&s->db, ASK(ATTRIBUTE_ADD,
		    value_of(st, 0), value_of(st, 1), INT(id)), why));
		err = mm_sqlite_next(&s->db, st, why);
	}
	return err == MM_ENOTFOUND ? MM_OK : err;
}

/* The next class of its certificates that is of another product becomes one
 * of this; MM_ENOTFOUND: there is none. */
static enum mm_err
move_class(struct sqlite_store *s, int64_t id, const char *product,
    struct mm_why *why)
{
	char issuer[MM_NAME_MAX + 1], profile[MM_PROFILE_TEXT];
	MM_OWN(mm_sqlite_reset) sqlite3_stmt *st = NULL;
	int64_t old, class;

	MM_TRY(mm_sqlite_first(&s->db, ASK(DEVICE_STRAYS, INT(id),
	    TEXT(product)), &st, why));
	old = sqlite3_column_int64(st, 0);
	if (!mm_text_copy(issuer, sizeof(issuer), mm_sqlite_blob(st, 1)) ||
	    !mm_text_copy(profile, sizeof(profile), mm_sqlite_blob(st, 2)))
		return MM_FAIL(why, MM_ESYS, "database: class too long");
	MM_TRY(mm_sqlite_class(s, product, issuer, profile, &class));
	return mm_sqlite_exec(&s->db, ASK(DEVICE_CERTS_MOVE, INT(id),
	    INT(old), INT(class)), why);
}

static enum mm_err
move_certs(struct sqlite_store *s, int64_t id, const char *product,
    struct mm_why *why)
{
	enum mm_err err;

	do {
		err = move_class(s, id, product, why);
	} while (err == MM_OK);
	return err == MM_ENOTFOUND ? MM_OK : err;
}

static enum mm_err
replace(struct sqlite_store *s, const struct mm_op_device *op,
    const struct known *at, struct mm_why *why)
{
	const struct mm_device *d = &op->row;

	MM_TRY(move_certs(s, at->id, d->product, why));
	MM_TRY(mm_sqlite_exec(&s->db, ASK(ATTRIBUTES_DROP, INT(at->id)), why));
	return mm_sqlite_exec(&s->db, ASK(DEVICE_SET, INT(at->id),
	    INT(at->class), HASH(d->bound_spki), attributes(d),
	    HASH(d->salt), LAST(at->last)), why);
}

/* Of many that are put at once most are new: the name's index, which has to be
 * gone through anyway, says so. */
static enum mm_err
try_new(struct sqlite_store *s, struct mm_op *op, int64_t class, int64_t *id,
    struct mm_why *why)
{
	const struct mm_device *d = &op->u.device.row;
	int64_t last = mm_sqlite_chain(s, op, 0, op->nentries, -1);

	*id = 0;
	MM_TRY(mm_sqlite_exec(&s->db, ASK(DEVICE_TRY, TEXT(d->id), INT(class),
	    INT(d->state), INT(d->created_at), HASH(d->bound_spki),
	    attributes(d), HASH(d->salt), LAST(last)), why));
	if (sqlite3_changes(s->db.h) == 0)
		return MM_OK;
	*id = sqlite3_last_insert_rowid(s->db.h);
	s->counts.devices++;
	return MM_OK;
}

/* Replacing leaves name, state and birth as they were. */
enum mm_err
mm_sqlite_device_put(struct sqlite_store *s, struct mm_op *op, bool *written,
    struct mm_why *why)
{
	struct mm_op_device *o = &op->u.device;
	const struct val with = attributes(&o->row);
	struct known at;
	int64_t class;

	o->already = false;
	if (o->if_schema)
		MM_TRY(check_schema(s, o->row.product, o->schema, why));
	MM_TRY(mm_sqlite_class(s, o->row.product, "", "", &class));
	if (o->same_is_fine && !o->if_version) {
		MM_TRY(try_new(s, op, class, &at.id, why));
		*written = at.id != 0;
		if (at.id != 0)
			return index_one(s, at.id, &with, o->indexed, why);
	}
	MM_TRY(device_find(s, o->row.id, &at, why));
	MM_TRY(check_old(s, o, &at, class, why));
	if (o->already)
		return MM_OK;
	*written = true;
	at.class = class;
	at.last = mm_sqlite_chain(s, op, 0, op->nentries, at.last);
	if (at.id == 0)
		MM_TRY(device_add(s, &o->row, &at, &at.id, why));
	else
		MM_TRY(replace(s, o, &at, why));
	return index_one(s, at.id, &with, o->indexed, why);
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
	d.last = mm_sqlite_chain(s, op, 0, op->nentries, d.last);
	return mm_sqlite_exec(&s->db, ASK(DEVICE_RETIRE, INT(d.id),
	    LAST(d.last)), why);
}

/* ---- under another schema ---- */

/* One row of the walk; its columns are gone before anything is written. */
static enum mm_err
index_again(struct sqlite_store *s, struct mm_op_index *x, sqlite3_stmt *st,
    struct mm_why *why)
{
	struct mm_bytes b = mm_sqlite_blob(st, 1);
	const struct val with = b.n > 0 ?
	    (struct val){ .kind = VAL_TEXT, .b = b } : NONE;
	int64_t id = sqlite3_column_int64(st, 0);

	if (!mm_text_copy(x->next, sizeof(x->next), mm_sqlite_blob(st, 2)))
		return MM_FAIL(why, MM_ESYS, "database: device name too long");
	x->done++;
	MM_TRY(mm_sqlite_exec(&s->db, ASK(ATTRIBUTES_DROP, INT(id)), why));
	return index_one(s, id, &with, x->indexed, why);
}

enum mm_err
mm_sqlite_devices_index(struct sqlite_store *s, struct mm_op *op,
    bool *written, struct mm_why *why)
{
	MM_OWN(mm_sqlite_reset) sqlite3_stmt *st = NULL;
	struct mm_op_index *x = &op->u.index;
	int64_t class;
	enum mm_err err;

	x->done = 0;
	x->next[0] = '\0';
	*written = true;
	if (x->most < 1 || x->most > 10000)
		return MM_FAIL(why, MM_EINPUT, "index: 1 to 10000 devices");
	MM_TRY(check_schema(s, x->product, x->schema, why));
	MM_TRY(mm_sqlite_class(s, x->product, "", "", &class));
	err = mm_sqlite_first(&s->db, ASK(DEVICES_NEXT, INT(class),
	    TEXT(x->after), INT(x->most)), &st, why);
	while (err == MM_OK) {
		MM_TRY(index_again(s, x, st, why));
		err = mm_sqlite_next(&s->db, st, why);
	}
	if (x->done < x->most)
		x->next[0] = '\0';
	return err == MM_ENOTFOUND ? MM_OK : err;
}

/* ---- tokens ---- */

/* All entries but the last are the device's (store.h). */
static enum mm_err
mint_chain(struct sqlite_store *s, const struct mm_op *op,
    const struct known *d, struct mm_why *why)
{
	unsigned n = op->nentries > 0 ? op->nentries - 1 : 0;

	if (n == 0)
		return MM_OK;
	return mm_sqlite_exec(&s->db, ASK(DEVICE_LAST, INT(d->id),
	    LAST(mm_sqlite_chain(s, op, 0, n, d->last))), why);
}

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
		return mint_chain(s, op, d, why);
	memcpy(made.id, t->device, sizeof(made.id));
	d->class = class;
	if (op->nentries > 1)
		d->last = mm_sqlite_chain(s, op, 0, op->nentries - 1, -1);
	return device_add(s, &made, d, &d->id, why);
}

enum mm_err
mm_sqlite_mint(struct sqlite_store *s, struct mm_op *op, bool *written,
    struct mm_why *why)
{
	const struct mm_token_row *t = &op->u.mint.row;
	struct known device;
	int64_t class, id, last;
	enum mm_err err = mm_sqlite_ints(&s->db, ASK(TOKEN_FIND, TEXT(t->id)),
	    &id, 1, why);

	if (err != MM_ENOTFOUND)
		return err != MM_OK ? err : MM_FAIL(why, MM_ECONFLICT,
		    "token %s: exists", t->id);
	MM_TRY(mint_device(s, op, &device, why));
	MM_TRY(mm_sqlite_class(s, t->product, "", t->profile, &class));
	last = mm_sqlite_chain(s, op, op->nentries > 0 ? op->nentries - 1 : 0,
	    1, -1);
	MM_TRY(mm_sqlite_exec(&s->db, ASK(TOKEN_ADD, TEXT(t->id),
	    INT(device.id), INT(class), INT(MM_TOKEN_MINTED), INT(t->bearer),
	    INT(t->created_at), INT(t->not_before_at), INT(t->expires_at),
	    HASH(t->bound_spki), LAST(last)), why));
	s->counts.tokens++;
	*written = true;
	return MM_OK;
}

enum mm_err
mm_sqlite_token_state(struct sqlite_store *s, struct mm_op *op, bool *written,
    struct mm_why *why)
{
	const struct mm_op_token_state *t = &op->u.token;
	int64_t now[4]; /* id, state, cert, last */
	int64_t last;
	enum mm_err err = mm_sqlite_ints(&s->db, ASK(TOKEN_FIND, TEXT(t->id)),
	    now, 4, why);

	if (err == MM_ENOTFOUND)
		return MM_FAIL(why, err, "token %s: no such token", t->id);
	MM_TRY(err);
	if ((unsigned)t->to >= MM_TOKEN_STATES)
		return MM_FAIL(why, MM_EINPUT, "token: no such state");
	if ((t->from >> now[1] & 1) == 0)
		return MM_FAIL(why, MM_ECONFLICT, "token %s: it is %s", t->id,
		    mm_token_state_name((enum mm_token_state)now[1]));
	*written = true;
	last = mm_sqlite_chain(s, op, 0, op->nentries, now[3]);
	if (t->drop_claim)
		MM_TRY(mm_sqlite_exec(&s->db, ASK(TOKEN_UNCLAIM, INT(now[0])),
		    why));
	return mm_sqlite_exec(&s->db, t->rebind ?
	    ASK(TOKEN_REBIND, INT(now[0]), INT(t->to), LAST(last),
		HASH(t->bound_spki)) :
	    ASK(TOKEN_SET, INT(now[0]), INT(t->to), LAST(last)), why);
}
