#include "store/sqlite.h"

/* Operators' credentials. */

/* A key belongs to one operator, for ever, and never to a device. */
static enum mm_err
key_is_free(struct sqlite_store *s, const uint8_t spki[32], struct mm_why *why)
{
	bool there;

	if (mm_val_hash(spki, 32).kind == VAL_NULL)
		return MM_OK;
	MM_TRY(mm_sqlite_exists(
	    s, ASK(OPERATOR_KEY_FIND, BLOB(spki, 32)), &there, why));
	if (there)
		return MM_FAIL(why, MM_ECONFLICT,
		    "this key is or was an "
		    "operator's");
	MM_TRY(
	    mm_sqlite_exists(s, ASK(KEY_KNOWN, BLOB(spki, 32)), &there, why));
	return there ? MM_FAIL(why, MM_ECONFLICT,
			   "this key is certified for "
			   "a device")
		     : MM_OK;
}

enum mm_err
mm_sqlite_operator_put(
    struct sqlite_store *s, struct mm_op *op, bool *written, struct mm_why *why)
{
	const struct mm_operator *o = &op->u.operator_;
	struct val v[MM_VALS_MAX];
	bool there;

	MM_TRY(
	    mm_sqlite_exists(s, ASK(OPERATOR_FIND, TEXT(o->id)), &there, why));
	if (there)
		return MM_FAIL(why, MM_ECONFLICT, "operator %s: exists", o->id);
	MM_TRY(key_is_free(s, o->spki_sha256, why));
	mm_shape_vals(&mm_shape_operator, o, v);
	*written = true;
	return mm_sqlite_exec(&s->db,
	    &(struct ask){ Q_OPERATOR_ADD, v, mm_shape_operator.n }, why);
}

/* One writer asks: two who revoke each other at once leave one of them. */
enum mm_err
mm_sqlite_operator_revoke(
    struct sqlite_store *s, struct mm_op *op, bool *written, struct mm_why *why)
{
	const struct mm_operator *o = &op->u.operator_;
	int64_t known[2]; /* revoked_at, is an administrator */
	bool other = true;
	enum mm_err err = mm_sqlite_ints(
	    &s->db, ASK(OPERATOR_FIND, TEXT(o->id)), known, 2, why);

	if (err == MM_ENOTFOUND)
		return MM_FAIL(
		    why, err, "operator %s: no such operator", o->id);
	if (err != MM_OK || known[0] != 0)
		return err;
	if (known[1] != 0)
		MM_TRY(mm_sqlite_exists(s,
		    ASK(OPERATOR_ADMIN, TEXT(o->id), INT(o->revoked_at)),
		    &other, why));
	if (!other)
		return MM_FAIL(why, MM_EPOLICY,
		    "operator %s is the last "
		    "administrator",
		    o->id);
	*written = true;
	return mm_sqlite_exec(
	    &s->db, ASK(OPERATOR_REVOKE, TEXT(o->id), INT(o->revoked_at)), why);
}

enum mm_err
mm_sqlite_operator_erase(
    struct sqlite_store *s, struct mm_op *op, bool *written, struct mm_why *why)
{
	const char *id = op->u.operator_.id;
	int64_t named;
	enum mm_err err = mm_sqlite_ints(
	    &s->db, ASK(OPERATOR_NAMED, TEXT(id)), &named, 1, why);

	if (err == MM_ENOTFOUND)
		return MM_FAIL(why, err, "operator %s: no such operator", id);
	if (err != MM_OK || named == 0)
		return err;
	*written = true;
	return mm_sqlite_exec(&s->db, ASK(OPERATOR_ERASE, TEXT(id)), why);
}

/* A time that came late does not set an earlier one. */
enum mm_err
mm_sqlite_operator_used(
    struct sqlite_store *s, struct mm_op *op, bool *written, struct mm_why *why)
{
	const struct mm_operator *o = &op->u.operator_;

	*written = true;
	return mm_sqlite_exec(
	    &s->db, ASK(OPERATOR_USED, TEXT(o->id), INT(o->used_at)), why);
}
