#include <string.h>

#include <jansson.h>

#include "core/priv.h"

/*
 * How many tokens a credential has minted within a day: a document for each,
 * with a number for the hour that runs and for each of the 24 before it.
 * Tokens are counted before they are made, on the version that was read: of
 * several calls at once, at several nodes too, each counts on what the one
 * before it has left.  What was not made is given back.
 */
#define HOUR_MS INT64_C(3600000)
enum { HOURS = 25, TRIES = 64 };

struct tally {
	int64_t hour;         /* since 1970: that of made[0] */
	uint64_t made[HOURS]; /* the newest first */
	uint64_t version;     /* 0: there is none yet */
};

static enum mm_err
parse(struct mm_bytes body, struct tally *t, struct mm_why *why)
{
	json_t *o = json_loadb((const char *)body.p, body.n, 0, NULL);
	const json_t *list = json_object_get(o, "made"), *v;
	bool good = json_array_size(list) == HOURS;
	size_t i;

	t->hour = json_integer_value(json_object_get(o, "hour"));
	json_array_foreach(list, i, v)
		if (good)
			t->made[i] = (uint64_t)json_integer_value(v);
	json_decref(o);
	return good ? MM_OK :
	    MM_FAIL(why, MM_EBUG, "document minted: malformed");
}

/* Hours go by.  A clock that was ahead for a while has counted in hours to
 * come: they begin now. */
static void
turn_to(struct tally *t, int64_t hour)
{
	int64_t gone = hour - t->hour;
	size_t keep;

	t->hour = hour;
	if (gone <= 0)
		return;
	keep = gone < HOURS ? HOURS - (size_t)gone : 0;
	memmove(t->made + HOURS - keep, t->made, keep * sizeof(t->made[0]));
	memset(t->made, 0, (HOURS - keep) * sizeof(t->made[0]));
}

static enum mm_err
load(struct mm_desk *d, const char *id, struct tally *t, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf body = MM_BUF_INIT(MM_DOC_MAX);
	enum mm_err rc;

	*t = (struct tally){ .hour = mm_now_ms() / HOUR_MS };
	rc = mm_get_doc(d->r, MM_DOC_MINTED, id, &t->version, &body, NULL);
	if (rc == MM_ENOTFOUND)
		return MM_OK;
	if (rc != MM_OK)
		return MM_FAIL(why, rc, "the store cannot be read");
	MM_TRY(parse(mm_buf_view(&body), t, why));
	turn_to(t, mm_now_ms() / HOUR_MS);
	return MM_OK;
}

/* Not the call's own work: refused, it has done nothing. */
static enum mm_err
store(struct mm_desk *d, const char *id, const struct tally *t,
    struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf body = MM_BUF_INIT(1024);
	struct mm_json j = mm_json_over(&body);
	struct mm_op op = { .kind = MM_OP_DOC_PUT };

	mm_json_open(&j, '{');
	mm_json_int(&j, "hour", t->hour);
	mm_json_open_key(&j, "made", '[');
	for (size_t i = 0; i < HOURS; i++)
		mm_json_int(&j, NULL, (int64_t)t->made[i]);
	mm_json_close(&j, ']');
	mm_json_close(&j, '}');
	MM_TRY(mm_buf_ok(&body, why));
	op.u.doc.kind = MM_DOC_MINTED;
	strcpy(op.u.doc.id, id);
	op.u.doc.expect = t->version;
	op.u.doc.body = mm_buf_view(&body);
	return mm_core_run1(d->c, &op, why);
}

static bool
was_first(enum mm_err rc)
{
	return rc == MM_ESTALE || rc == MM_ECONFLICT || rc == MM_ENOTFOUND;
}

/* What is done to a tally; false: it stays as it is. */
typedef bool change_fn(struct tally *t, uint64_t n, uint64_t most);

static enum mm_err
change(struct mm_desk *d, const char *id, change_fn *fn, uint64_t n,
    uint64_t most, bool *done, struct mm_why *why)
{
	for (unsigned i = 0; i < TRIES; i++) {
		struct mm_why own = { 0 };
		struct tally t;
		enum mm_err rc;

		MM_TRY(load(d, id, &t, why));
		*done = fn(&t, n, most);
		rc = *done ? store(d, id, &t, &own) : MM_OK;
		if (!was_first(rc))
			return rc == MM_OK ? MM_OK :
			    MM_FAIL(why, rc, "%s", own.text);
	}
	return MM_FAIL(why, MM_EAGAIN, "too many mint with one credential");
}

static bool
add(struct tally *t, uint64_t n, uint64_t most)
{
	uint64_t sum = n;

	for (size_t i = 0; i < HOURS; i++)
		sum += t->made[i];
	t->made[0] += n;
	return sum <= most;
}

/* The hour may have changed since. */
static bool
take_back(struct tally *t, uint64_t n, uint64_t most)
{
	(void)most;
	for (size_t i = 0; i < HOURS && n > 0; i++) {
		uint64_t part = t->made[i] < n ? t->made[i] : n;

		t->made[i] -= part;
		n -= part;
	}
	return true;
}

/* see core.h */
enum mm_err
mm_desk_mints_count(struct mm_desk *d, const char *id, uint64_t n,
    uint64_t most, bool *over, struct mm_why *why)
{
	bool counted = false;

	MM_TRY(change(d, id, add, n, most, &counted, why));
	*over = !counted;
	return MM_OK;
}

/* see core.h */
enum mm_err
mm_desk_mints_back(struct mm_desk *d, const char *id, uint64_t n,
    struct mm_why *why)
{
	bool done;

	return change(d, id, take_back, n, 0, &done, why);
}
