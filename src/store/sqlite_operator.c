#include "store/sqlite.h"

#include <string.h>

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

/* ---- a successor of its certificate ---- */

/* What is stored, unless it is revoked. */
static enum mm_err
standing(struct sqlite_store *s, const char *id, struct mm_operator *out,
    struct mm_why *why)
{
	enum mm_err err = mm_sqlite_get(
	    &s->db, ASK(OPERATOR, TEXT(id)), &mm_shape_operator, out, why);

	if (err == MM_ENOTFOUND)
		return MM_FAIL(why, err, "operator %s: no such operator", id);
	MM_TRY(err);
	return out->revoked_at == 0 ? MM_OK
				    : MM_FAIL(why, MM_EPOLICY,
					  "operator %s: revoked", id);
}

static bool
same(const uint8_t a[32], const uint8_t b[32])
{
	return memcmp(a, b, 32) == 0;
}

static enum mm_err
spend(struct sqlite_store *s, const uint8_t spki[32], struct mm_why *why)
{
	if (mm_val_hash(spki, 32).kind == VAL_NULL)
		return MM_OK;
	return mm_sqlite_exec(
	    &s->db, ASK(OPERATOR_SPENT, BLOB(spki, 32)), why);
}

enum mm_err
mm_sqlite_operator_renew(
    struct sqlite_store *s, struct mm_op *op, bool *written, struct mm_why *why)
{
	const struct mm_operator *o = &op->u.operator_;
	struct mm_operator have;

	MM_TRY(standing(s, o->id, &have, why));
	if (!same(have.spki_sha256, o->spki_sha256))
		return MM_FAIL(why, MM_ESTALE,
		    "operator %s: another key is in use by now", o->id);
	if (same(have.next_spki, o->next_spki))
		return MM_OK;
	MM_TRY(key_is_free(s, o->next_spki, why));
	MM_TRY(spend(s, have.next_spki, why));
	*written = true;
	return mm_sqlite_exec(&s->db,
	    ASK(OPERATOR_RENEW, TEXT(o->id), BLOB(o->next_spki, 32),
		INT(o->next_expires_at), INT(o->renewed_at)),
	    why);
}

enum mm_err
mm_sqlite_operator_confirm(
    struct sqlite_store *s, struct mm_op *op, bool *written, struct mm_why *why)
{
	const struct mm_operator *o = &op->u.operator_;
	struct mm_operator have;

	MM_TRY(standing(s, o->id, &have, why));
	if (same(have.spki_sha256, o->next_spki))
		return MM_OK;
	if (!same(have.next_spki, o->next_spki))
		return MM_FAIL(why, MM_ESTALE,
		    "operator %s: another key is its next by now", o->id);
	MM_TRY(spend(s, have.spki_sha256, why));
	*written = true;
	return mm_sqlite_exec(
	    &s->db, ASK(OPERATOR_CONFIRM, TEXT(o->id)), why);
}
