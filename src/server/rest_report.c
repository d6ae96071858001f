#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "base/time.h"
#include "server/batches.h"

/* What a batch adds up to: the counts say what was signed, the records of its
 * units what became of it. */
enum { GAPS_MOST = 20 };

struct sums {
	int64_t n[MM_UNIT_COUNT];
	int64_t first_at, last_at; /* of those that passed */
	struct mm_quota quota;
	int64_t authorised;
	enum mm_line_key key; /* a share's */
};
struct report {
	const struct mm_production *b;
	struct mm_roll roll;
	struct sums all, share[MM_PRODUCTION_SHARES_MAX];
	uint8_t *made; /* by index: has a certificate, or passed */
};

static bool
is_made(const struct mm_made *u)
{
	static const uint8_t none[32];

	return u->result != MM_UNIT_FAILED || memcmp(u->spki, none, 32) != 0;
}

static void
add(struct sums *s, const struct mm_made *u)
{
	s->n[u->result]++;
	if (u->result != MM_UNIT_PASSED)
		return;
	if (s->first_at == 0 || u->at < s->first_at)
		s->first_at = u->at;
	if (u->at > s->last_at)
		s->last_at = u->at;
}

static enum mm_err
add_row(void *ctx, const void *row, const char *next, struct mm_why *why)
{
	struct report *p = ctx;
	struct mm_made u;
	uint64_t index;

	(void)next;
	MM_TRY(mm_made_parse(row, &u, why));
	add(&p->all, &u);
	for (size_t i = 0; i < p->b->nshares; i++)
		if (strcmp(p->b->share[i].station, u.station) == 0)
			add(&p->share[i], &u);
	if (is_made(&u) && mm_roll_find(&p->roll, u.serial, &index))
		p->made[index] = 1;
	return MM_OK;
}

static enum mm_err
read_quota(struct mm_rest *r, struct report *p, struct mm_why *why)
{
	const struct mm_production *b = p->b;

	p->all.authorised = mm_production_authorised(b);
	MM_TRY(mm_quota_get(r->reader, b, "", &p->all.quota, why));
	for (size_t i = 0; i < b->nshares; i++) {
		p->share[i].authorised = b->share[i].n + b->share[i].scrap;
		MM_TRY(mm_quota_get(r->reader, b, b->share[i].station,
		    &p->share[i].quota, why));
		MM_TRY(mm_line_key_at(r->desk, b->share[i].station, b->id,
		    &p->share[i].key, why));
	}
	return MM_OK;
}

static enum mm_err
collect(struct mm_rest *r, struct report *p, struct mm_why *why)
{
	char prefix[MM_NAME_MAX + 2];

	p->made = calloc(1, (size_t)mm_roll_count(&p->roll));
	if (p->made == NULL)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	MM_TRY(read_quota(r, p, why));
	snprintf(prefix, sizeof(prefix), "%s/", p->b->id);
	return mm_each_doc(r->reader, MM_DOC_UNIT, prefix, add_row, p, why);
}

/* ---- output ---- */

static void
put_sums(struct mm_json *j, const struct sums *s)
{
	int64_t tried = s->n[MM_UNIT_PASSED] + s->n[MM_UNIT_FAILED] +
			s->n[MM_UNIT_SCRAPPED] + s->n[MM_UNIT_QUARANTINED];
	int64_t took = s->last_at - s->first_at;

	mm_json_int(j, "authorised", s->authorised);
	mm_json_int(j, "issued", s->quota.made);
	for (int i = MM_UNIT_PASSED; i < MM_UNIT_COUNT; i++)
		mm_json_int(j, mm_unit_result_words[i], s->n[i]);
	/* a supervisor may have taken in more than there was room for */
	mm_json_int(j, "left",
	    s->quota.made < s->quota.most ? s->quota.most - s->quota.made : 0);
	if (tried > 0)
		mm_json_int(
		    j, "yield_percent", s->n[MM_UNIT_PASSED] * 100 / tried);
	if (s->n[MM_UNIT_PASSED] > 1 && took > 0)
		mm_json_int(j, "units_per_hour",
		    (s->n[MM_UNIT_PASSED] - 1) * INT64_C(3600000) / took);
	mm_rest_put_time(j, "first_at", s->first_at);
	mm_rest_put_time(j, "last_at", s->last_at);
}

static void
put_gap(
    struct mm_json *j, const struct mm_roll *roll, uint64_t from, uint64_t to)
{
	char room[MM_DEVICE_ID_MAX + 1];

	mm_json_open(j, '{');
	mm_json_str(j, "from", mm_roll_at(roll, from, room));
	mm_json_str(j, "to", mm_roll_at(roll, to, room));
	mm_json_int(j, "count", (int64_t)(to - from + 1));
	mm_json_close(j, '}');
}

/* Serial numbers from first to before last that are not made. */
static void
put_gaps(
    struct mm_json *j, const struct report *p, uint64_t first, uint64_t last)
{
	unsigned told = 0;

	mm_json_open_key(j, "gaps", '[');
	for (uint64_t i = first; i < last && told < GAPS_MOST; i++) {
		uint64_t from = i;

		while (i < last && p->made[i] == 0)
			i++;
		if (i > from) {
			put_gap(j, &p->roll, from, i - 1);
			told++;
		}
	}
	mm_json_close(j, ']');
}

static void
put_serials(struct mm_json *j, const struct report *p)
{
	uint64_t first = 0, last = mm_roll_count(&p->roll), n = last;
	char room[MM_DEVICE_ID_MAX + 1];

	while (first < n && p->made[first] == 0)
		first++;
	while (last > first && p->made[last - 1] == 0)
		last--;
	if (first < last) {
		mm_json_str(
		    j, "first_serial", mm_roll_at(&p->roll, first, room));
		mm_json_str(
		    j, "last_serial", mm_roll_at(&p->roll, last - 1, room));
	}
	put_gaps(j, p, first, last);
}

/* What ends the batch is to take the key away, and its word for that is to
 * come. */
static void
put_keys(struct mm_json *j, const struct report *p)
{
	char text[192];

	for (size_t i = 0; i < p->b->nshares; i++) {
		if (p->b->state != MM_WORK_CLOSED ||
		    p->share[i].key != MM_LINE_KEY_HELD)
			continue;
		snprintf(text, sizeof(text),
		    "station %s has the key of its line CA still: bring it "
		    "the batch's last order, and its ledger here",
		    p->b->share[i].station);
		mm_json_str(j, NULL, text);
	}
}

/* A share that became smaller than what was made cannot be; a station that
 * lost its share with what it had made can. */
static void
put_problems(struct mm_json *j, const struct report *p)
{
	char text[192];

	mm_json_open_key(j, "problems", '[');
	if (p->all.n[MM_UNIT_QUARANTINED] > 0) {
		snprintf(text, sizeof(text),
		    "%lld quarantined: a serial "
		    "number came from two stations, or with two keys, or "
		    "what a station made offline does not fit",
		    (long long)p->all.n[MM_UNIT_QUARANTINED]);
		mm_json_str(j, NULL, text);
	}
	if (p->all.quota.made > p->all.authorised) {
		snprintf(text, sizeof(text), "%lld made of %lld authorised",
		    (long long)p->all.quota.made, (long long)p->all.authorised);
		mm_json_str(j, NULL, text);
	}
	put_keys(j, p);
	mm_json_close(j, ']');
}

static void
put_report(struct mm_json *j, const struct report *p)
{
	const struct mm_production *b = p->b;

	mm_json_open(j, '{');
	mm_json_str(j, "batch", b->id);
	mm_json_str(j, "state", mm_work_state_words[b->state]);
	put_sums(j, &p->all);
	put_serials(j, p);
	put_problems(j, p);
	mm_json_open_key(j, "stations", '[');
	for (size_t i = 0; i < b->nshares; i++) {
		mm_json_open(j, '{');
		mm_json_str(j, "station", b->share[i].station);
		put_sums(j, &p->share[i]);
		if (p->share[i].key != MM_LINE_KEY_NONE)
			mm_json_str(j, "line_ca_key",
			    p->share[i].key == MM_LINE_KEY_HELD ? "held"
								: "destroyed");
		mm_json_close(j, '}');
	}
	mm_json_close(j, ']');
	mm_json_close(j, '}');
}

MM_FREE_FN(report_free, struct report, free)

enum mm_err
mm_rest_batch_report(struct mm_rest *r, struct mm_why *why)
{
	MM_OWN(mm_production_free) struct mm_production *b = NULL;
	MM_OWN(report_free) struct report *p = calloc(1, sizeof(*p));
	char id[MM_NAME_MAX + 1];
	enum mm_err rc;

	if (p == NULL)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	MM_TRY(mm_rest_segment(r, 0, id, sizeof(id), why));
	MM_TRY(mm_production_get(r->reader, id, &b, why));
	p->b = b;
	MM_TRY(mm_roll_open(r->reader, b->order, &p->roll, why));
	rc = collect(r, p, why);
	if (rc == MM_OK)
		put_report(&r->j, p);
	free(p->made);
	mm_roll_done(&p->roll);
	return rc;
}
