#include <stdlib.h>
#include <string.h>

#include "base/time.h"
#include "server/ends.h"
#include "server/rest.h"

/* GET /expiry/ends: what ends beside devices' certificates, and how those of
 * each product stand. */
enum { DAY_S = 86400, DAYS_MOST = 40000, MEANT_MOST = 1000,
	STALE_MS = 600000 };

static const struct {
	const char *name;
	int64_t days;
} distances[] = { { "7d", 7 }, { "30d", 30 }, { "90d", 90 } };
enum { DISTANCES = sizeof(distances) / sizeof(distances[0]) };

/* ---- devices ---- */

struct product {
	uint64_t ends[DISTANCES];
};

/* Which class has the sums of a class's product: the first of it. */
static size_t
first_of(const struct mm_forecast *f, size_t class)
{
	size_t i = 0;

	while (strcmp(f->class[i].product, f->class[class].product) != 0)
		i++;
	return i;
}

static void
sum_cells(const struct mm_forecast *f, struct product *p, int64_t today)
{
	size_t class = SIZE_MAX, first = 0;

	for (size_t k = 0; k < f->ncell; k++) {
		int64_t in = (int64_t)f->cell[k].day - today;

		if (f->cell[k].class != class)
			first = first_of(f, class = f->cell[k].class);
		for (size_t i = 0; in >= 0 && i < DISTANCES; i++)
			p[first].ends[i] += in < distances[i].days ?
			    f->cell[k].n : 0;
	}
}

static void
put_product(struct mm_json *j, const char *name, const struct product *p,
    uint64_t late, uint64_t in_use)
{
	mm_json_open(j, '{');
	mm_json_str(j, "product", name);
	mm_json_int(j, "in_use", (int64_t)in_use);
	mm_json_int(j, "late", (int64_t)late);
	mm_json_bool(j, "not_renewed", mm_devices_late(late, in_use));
	mm_json_open_key(j, "ends", '{');
	for (size_t i = 0; i < DISTANCES; i++)
		mm_json_int(j, distances[i].name, (int64_t)p->ends[i]);
	mm_json_close(j, '}');
	mm_json_close(j, '}');
}

static enum mm_err
put_devices(struct mm_json *j, const struct mm_forecast *f,
    struct mm_why *why)
{
	struct product *p = calloc(f->nclass + 1, sizeof(*p));
	uint64_t late, in_use;

	if (p == NULL)
		return MM_FAIL(why, MM_ENOMEM, "ends: no memory");
	sum_cells(f, p, mm_now_s() / DAY_S);
	mm_json_open_key(j, "devices", '{');
	mm_rest_put_time(j, "as_of", f->as_of);
	mm_json_open_key(j, "products", '[');
	for (size_t i = 0; i < f->nclass; i++)
		if (mm_forecast_product(f, i, &late, &in_use))
			put_product(j, f->class[i].product, &p[i], late,
			    in_use);
	mm_json_close(j, ']');
	mm_json_close(j, '}');
	free(p);
	return MM_OK;
}

/* ---- the rest ---- */

/* Who people are is not for auditors, as in the ledger. */
static void
put_end(const struct mm_rest *r, struct mm_json *j, const struct mm_end *e)
{
	const struct mm_end_rule *rule = &mm_end_rules[e->kind];

	mm_json_open(j, '{');
	mm_json_str(j, "kind", rule->word);
	mm_json_str(j, "name", e->name);
	if (e->of[0] != '\0' && (r->login.roles &
	    (MM_ROLE_ADMIN | MM_ROLE_OPERATOR | MM_ROLE_SUPPORT)) != 0)
		mm_json_str(j, "of", e->of);
	mm_rest_put_time_s(j, "ends", e->end_s);
	mm_json_str(j, "renewed", mm_end_by_words[rule->by]);
	if (rule->by == MM_END_BY_ITSELF)
		mm_json_bool(j, "late", mm_end_late(e, mm_now_s()));
	mm_json_str(j, "do", rule->todo);
	mm_json_close(j, '}');
}

/* Of what is meant to end there may be any number; the rest is shown whole, so
 * that nothing which wants a person is ever missing. */
static void
put_items(const struct mm_rest *r, struct mm_json *j,
    const struct mm_ends_seen *seen, int64_t until_s)
{
	size_t shown = 0, meant = 0;

	mm_json_open_key(j, "items", '[');
	for (size_t i = 0; i < seen->n && seen->end[i].end_s < until_s; i++) {
		if (mm_end_rules[seen->end[i].kind].by == MM_END_MEANT &&
		    meant++ >= MEANT_MOST)
			continue;
		put_end(r, j, &seen->end[i]);
		shown++;
	}
	mm_json_close(j, ']');
	mm_json_int(j, "later", (int64_t)(seen->n - shown));
}

static enum mm_err
ask_until(const struct mm_rest *r, int64_t *until_s, struct mm_why *why)
{
	char text[16];
	int64_t n;

	*until_s = INT64_MAX;
	MM_TRY(mm_rest_query(r, "days", text, sizeof(text), why));
	if (text[0] == '\0')
		return MM_OK;
	if (mm_int_parse(text, &n, NULL) != MM_OK || n < 1 || n > DAYS_MOST)
		return MM_FAIL(why, MM_EINPUT, "days: want 1 to %d",
		    DAYS_MOST);
	*until_s = mm_now_s() + n * DAY_S;
	return MM_OK;
}

/* Housekeeping makes it every second or so: where it hangs, what is missing in
 * the list is not nothing. */
static enum mm_err
check_seen(const struct mm_ends_seen *seen, struct mm_why *why)
{
	char at[MM_TIME_TEXT];

	if (seen->as_of == 0)
		return MM_FAIL(why, MM_EAGAIN, "the first count is not over "
		    "yet");
	if (seen->age_ms < STALE_MS)
		return MM_OK;
	mm_time_text(seen->as_of, at);
	return MM_FAIL(why, MM_EAGAIN, "what ends was last looked at %s: "
	    "housekeeping hangs, the log says in what (ends.failed)", at);
}

static enum mm_err
put_seen(struct mm_rest *r, int64_t until_s, struct mm_why *why)
{
	struct mm_ends_seen seen = mm_ends_take(r->s->ends);
	enum mm_err rc = check_seen(&seen, why);

	if (rc == MM_OK) {
		mm_json_open(&r->j, '{');
		mm_rest_put_time(&r->j, "as_of", seen.as_of);
		put_items(r, &r->j, &seen, until_s);
	}
	mm_ends_give(r->s->ends);
	return rc;
}

enum mm_err
mm_rest_ends(struct mm_rest *r, struct mm_why *why)
{
	struct mm_forecast *f;
	int64_t until_s;
	enum mm_err rc;

	MM_TRY(ask_until(r, &until_s, why));
	f = mm_core_forecast(r->s->core);
	rc = f == NULL ? MM_FAIL(why, MM_EAGAIN, "the first count is not over "
	    "yet") : put_seen(r, until_s, why);
	if (rc == MM_OK)
		rc = put_devices(&r->j, f, why);
	if (rc == MM_OK)
		mm_json_close(&r->j, '}');
	mm_core_forecast_done(r->s->core, f);
	return rc;
}
