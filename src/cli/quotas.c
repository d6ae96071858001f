#include "cli/quotas.h"

#include <ctype.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "base/text.h"
#include "cli/marks.h"

/*
 * A station counts in its share of a batch, and in none where the batch is not
 * shared out.  Entries do not say whether it is; its record does, and shares
 * are never taken back.  Only what was made before shares came to a batch by a
 * change ("shares") may count or not.
 */
struct place {
	char id[MM_DOC_ID_MAX + 1]; /* "batch" or "batch/station"; first */
	struct place *batch;        /* NULL: it is one */
	struct place *next;
	uint64_t made;  /* certificates */
	uint64_t first; /* of them, since the first change of shares */
	uint64_t last;  /* since the change that is at `as_of` */
	uint64_t as_of;
	uint64_t changes;       /* of a batch's shares */
	uint64_t reported;      /* units */
	uint64_t counted, back; /* what the database says */
	bool shared;            /* a batch: before any change */
};
struct mm_quotas {
	struct mm_store_reader *db;
	json_t *differences;
	void *root;          /* of a tree of places by id */
	struct place *first; /* all of them */
	struct place **end;
};

MM_FREE_FN(json_free, json_t, json_decref)

/* see quotas.h */
enum mm_err
mm_quotas_new(struct mm_store_reader *db, json_t *differences,
    struct mm_quotas **out, struct mm_why *why)
{
	struct mm_quotas *q = calloc(1, sizeof(*q));

	if (q == NULL)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	q->db = db;
	q->differences = differences;
	q->end = &q->first;
	*out = q;
	return MM_OK;
}

static void
stays(void *place)
{
	(void)place;
}

/* see quotas.h */
void
mm_quotas_free(struct mm_quotas **owner)
{
	struct mm_quotas *q = MM_MOVE(*owner);

	if (q == NULL)
		return;
	tdestroy(q->root, stays);
	while (q->first != NULL) {
		struct place *p = q->first;

		q->first = p->next;
		free(p);
	}
	free(q);
}

static int
by_id(const void *a, const void *b)
{
	return strcmp(a, b);
}

static struct place *
find(const struct mm_quotas *q, const char *id)
{
	struct place *const *at = tfind(id, &q->root, by_id);

	return at != NULL ? *at : NULL;
}

static enum mm_err
place_of(struct mm_quotas *q, const char *batch, const char *station,
    struct place **out, struct mm_why *why)
{
	char id[MM_DOC_ID_MAX + 1];
	struct place *p;

	snprintf(id, sizeof(id), "%s%s%s", batch, station != NULL ? "/" : "",
	    station != NULL ? station : "");
	*out = find(q, id);
	if (*out != NULL)
		return MM_OK;
	p = calloc(1, sizeof(*p));
	if (p == NULL)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	strcpy(p->id, id);
	if (tsearch(p, &q->root, by_id) == NULL) {
		free(p);
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	}
	*q->end = p;
	q->end = &p->next;
	*out = p;
	return MM_OK;
}

/* ---- entries ---- */

static void
differ(const struct mm_quotas *q, const char *what, const char *id,
    const char *difference)
{
	char record[MM_DOC_ID_MAX + 32];

	snprintf(record, sizeof(record), "%s %s", what, id);
	mm_differ(q->differences, record, difference);
}

/* It is written with its certificate, and never taken away. */
static enum mm_err
look_for_unit(
    const struct mm_quotas *q, const struct mm_entry *e, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf body = MM_BUF_INIT(MM_DOC_MAX);
	char id[MM_DOC_ID_MAX + 1];
	struct mm_why own = { 0 };
	uint64_t version;
	enum mm_err rc;

	snprintf(id, sizeof(id), "%s/%s", e->field[MM_F_BATCH],
	    e->field[MM_F_DEVICE]);
	rc = mm_get_doc(q->db, MM_DOC_UNIT, id, &version, &body, &own);
	if (rc == MM_ENOTFOUND)
		differ(q, "unit", id, "not in the database");
	else if (rc != MM_OK)
		return mm_differ_unread(q->differences, id, rc, &own, why);
	return MM_OK;
}

static void
add_made(struct place *p, const struct place *batch)
{
	p->made++;
	p->first += batch->changes > 0;
	if (p->as_of != batch->changes)
		p->last = 0;
	p->as_of = batch->changes;
	p->last++;
}

static enum mm_err
made(struct mm_quotas *q, const struct mm_entry *e, struct place *batch,
    struct place *station, struct mm_why *why)
{
	add_made(batch, batch);
	if (station != NULL)
		add_made(station, batch);
	return look_for_unit(q, e, why);
}

static enum mm_err
reported(struct mm_quotas *q, const struct mm_entry *e, struct place *batch,
    struct place *station, struct mm_why *why)
{
	int64_t n = 0;

	(void)q;
	MM_TRY(mm_int_parse(e->field[MM_F_COUNT], &n, why));
	batch->reported += (uint64_t)n;
	if (station != NULL)
		station->reported += (uint64_t)n;
	return MM_OK;
}

static enum mm_err
changed(struct mm_quotas *q, const struct mm_entry *e, struct place *batch,
    struct place *station, struct mm_why *why)
{
	const char *reason = e->field[MM_F_REASON];

	(void)q, (void)station, (void)why;
	batch->changes += reason != NULL && strcmp(reason, "shares") == 0;
	return MM_OK;
}

/* Only who has a share gets one. */
static enum mm_err
ordered(struct mm_quotas *q, const struct mm_entry *e, struct place *batch,
    struct place *station, struct mm_why *why)
{
	(void)q, (void)e, (void)station, (void)why;
	batch->shared = batch->shared || batch->changes == 0;
	return MM_OK;
}

static const struct {
	enum mm_entry_type type;
	enum mm_err (*fn)(struct mm_quotas *q, const struct mm_entry *e,
	    struct place *batch, struct place *station, struct mm_why *why);
} told[] = {
	{ MM_E_CERT_ISSUED, made },
	{ MM_E_CERT_RENEWED, made },
	{ MM_E_CERT_SYNCED, made },
	{ MM_E_UNITS_REPORTED, reported },
	{ MM_E_BATCH_CREATED, changed },
	{ MM_E_BATCH_CHANGED, changed },
	{ MM_E_ORDER_SIGNED, ordered },
};

/* ---- entries of groups: places of their own, which no batch has ---- */

/* Each has the record of its device. */
static enum mm_err
look_for_member(
    const struct mm_quotas *q, const struct mm_entry *e, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf body = MM_BUF_INIT(MM_DOC_MAX);
	char id[MM_DOC_ID_MAX + 1];
	struct mm_why own = { 0 };
	uint64_t version;
	enum mm_err rc;

	snprintf(id, sizeof(id), "%s/%s", e->field[MM_F_GROUP],
	    e->field[MM_F_DEVICE]);
	for (char *p = strchr(id, '/'); *p != '\0'; p++)
		*p = (char)tolower((unsigned char)*p);
	rc = mm_get_doc(q->db, MM_DOC_MEMBER, id, &version, &body, &own);
	if (rc == MM_ENOTFOUND)
		differ(q, "member", id, "not in the database");
	else if (rc != MM_OK)
		return mm_differ_unread(q->differences, id, rc, &own, why);
	return MM_OK;
}

/* A certificate, or another key that came: its alert names the group. */
static enum mm_err
group_entry(struct mm_quotas *q, const struct mm_entry *e, struct mm_why *why)
{
	const char *reason = e->field[MM_F_REASON];
	bool issued = e->type == MM_E_CERT_ISSUED;
	char id[MM_DOC_ID_MAX + 1];
	struct place *p;

	if (!issued && (e->type != MM_E_ALERT || reason == NULL ||
	    strcmp(reason, "group-paused") == 0))
		return MM_OK;
	snprintf(id, sizeof(id), "%s:%s", issued ? "group" : "conflicts",
	    e->field[MM_F_GROUP]);
	MM_TRY(place_of(q, id, NULL, &p, why));
	p->made++;
	return issued ? look_for_member(q, e, why) : MM_OK;
}

/* see quotas.h */
enum mm_err
mm_quotas_entry(
    struct mm_quotas *q, const struct mm_entry *e, struct mm_why *why)
{
	const char *batch = e->field[MM_F_BATCH];
	const char *station = e->field[MM_F_STATION];
	struct place *b, *s = NULL;
	size_t i = 0;

	if (e->field[MM_F_GROUP] != NULL)
		return group_entry(q, e, why);
	while (i < sizeof(told) / sizeof(told[0]) && told[i].type != e->type)
		i++;
	if (i == sizeof(told) / sizeof(told[0]) || batch == NULL)
		return MM_OK;
	MM_TRY(place_of(q, batch, NULL, &b, why));
	if (station != NULL)
		MM_TRY(place_of(q, batch, station, &s, why));
	if (s != NULL)
		s->batch = b;
	return told[i].fn(q, e, b, s, why);
}

/* ---- the database ---- */

/* What came back stands under a name of its own: "batch//" and
 * "batch/station/". */
static enum mm_err
one_count(void *ctx, const void *row, const char *next, struct mm_why *why)
{
	struct mm_quotas *q = ctx;
	const struct mm_doc *d = row;
	size_t n = strlen(d->id);
	char id[MM_DOC_ID_MAX + 1];
	bool back = n > 0 && d->id[n - 1] == '/';
	struct place *p;

	(void)next;
	(void)why;
	/* batches; rows of a group's list */
	if (strcmp(d->id, "*") == 0 || strncmp(d->id, "listed:", 7) == 0)
		return MM_OK;
	strcpy(id, d->id);
	while (back && n > 0 && id[n - 1] == '/')
		id[--n] = '\0';
	p = find(q, id);
	if (p == NULL)
		differ(q, "count", d->id, "not in the ledger");
	else if (back)
		p->back = d->version;
	else
		p->counted = d->version;
	return MM_OK;
}

static enum mm_err
read_counts(struct mm_quotas *q, struct mm_why *why)
{
	return mm_each_doc(q->db, MM_DOC_COUNT, "", one_count, q, why);
}

static bool
has_share(const json_t *plan, const char *station)
{
	const json_t *shares = json_object_get(plan, "shares"), *item;
	const char *name;
	size_t i;

	json_array_foreach(shares, i, item)
	{
		name = json_string_value(json_object_get(item, "station"));
		if (name != NULL && strcmp(name, station) == 0)
			return true;
	}
	return false;
}

/* *known: its batch can be read; facts.h says so if not. */
static enum mm_err
look_for_share(const struct mm_quotas *q, const struct place *p, bool *known,
    bool *shared, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf body = MM_BUF_INIT(MM_DOC_MAX);
	MM_OWN(json_free) json_t *o = NULL;
	uint64_t version;
	enum mm_err rc = mm_get_doc(
	    q->db, MM_DOC_BATCH, p->batch->id, &version, &body, NULL);

	*known = *shared = false;
	if (rc == MM_ENOTFOUND || rc == MM_ESYS)
		return MM_OK;
	if (rc != MM_OK)
		return MM_FAIL(why, rc, "the database cannot be read");
	o = json_loadb((const char *)body.p, body.n, 0, NULL);
	*known = o != NULL;
	*shared = has_share(json_object_get(o, "plan"), strchr(p->id, '/') + 1);
	return MM_OK;
}

static bool
fits(const struct place *p, bool shared)
{
	const struct place *b = p->batch;
	uint64_t last = p->as_of == b->changes ? p->last : 0;

	if (!shared)
		return p->counted == 0;
	if (p->counted == p->made)
		return true;
	return b->changes > 0 && !b->shared && p->counted >= last &&
	       p->counted <= p->first;
}

static enum mm_err
compare_one(
    const struct mm_quotas *q, const struct place *p, struct mm_why *why)
{
	bool known = true, shared = true, good = p->counted == p->made;
	char what[96];

	if (p->batch != NULL) {
		MM_TRY(look_for_share(q, p, &known, &shared, why));
		good = !known || fits(p, shared);
	}
	snprintf(what, sizeof(what),
	    "%llu certificates by the ledger, %llu counted in the database",
	    shared ? (unsigned long long)p->made : 0ULL,
	    (unsigned long long)p->counted);
	if (!good)
		differ(q, strchr(p->id, ':') != NULL ? "count" :
		    "quota of batch", p->id, what);
	if (p->back > p->reported)
		differ(q, "quota of batch", p->id,
		    "more given back in the database than was reported");
	return MM_OK;
}

/* see quotas.h */
enum mm_err
mm_quotas_compare(struct mm_quotas *q, struct mm_why *why)
{
	struct mm_why own = { 0 };
	enum mm_err rc = read_counts(q, &own);

	if (rc != MM_OK)
		return mm_differ_unread(
		    q->differences, "counts of batches", rc, &own, why);
	for (const struct place *p = q->first; p != NULL; p = p->next)
		MM_TRY(compare_one(q, p, why));
	return MM_OK;
}
