#include <string.h>

#include "base/time.h"
#include "server/ends.h"
#include "server/rest.h"

/* GET /expiry/ends: what ends beside devices' certificates, and how those of
 * each product stand. */
enum { DAY_S = 86400, DAYS_MOST = 40000, ITEMS_MOST = 5000 };

static const struct {
	const char *name;
	int64_t days;
} distances[] = { { "7d", 7 }, { "30d", 30 }, { "90d", 90 } };
enum { DISTANCES = sizeof(distances) / sizeof(distances[0]) };

/* ---- devices ---- */

struct product {
	uint64_t in_use, late, ends[DISTANCES];
};

static void
sum_cells(const struct mm_forecast *f, const char *product, int64_t today,
    struct product *p)
{
	for (size_t k = 0; k < f->ncell; k++) {
		int64_t in = (int64_t)f->cell[k].day - today;

		if (in < 0 ||
		    strcmp(f->class[f->cell[k].class].product, product) != 0)
			continue;
		for (size_t i = 0; i < DISTANCES; i++)
			p->ends[i] += in < distances[i].days ? f->cell[k].n
							     : 0;
	}
}

static void
put_product(struct mm_json *j, const char *name, const struct product *p)
{
	mm_json_open(j, '{');
	mm_json_str(j, "product", name);
	mm_json_int(j, "in_use", (int64_t)p->in_use);
	mm_json_int(j, "late", (int64_t)p->late);
	mm_json_bool(j, "not_renewed", mm_devices_late(p->late, p->in_use));
	mm_json_open_key(j, "ends", '{');
	for (size_t i = 0; i < DISTANCES; i++)
		mm_json_int(j, distances[i].name, (int64_t)p->ends[i]);
	mm_json_close(j, '}');
	mm_json_close(j, '}');
}

static void
put_devices(struct mm_json *j, const struct mm_forecast *f)
{
	mm_json_open_key(j, "devices", '{');
	mm_rest_put_time(j, "as_of", f->as_of);
	mm_json_open_key(j, "products", '[');
	for (size_t i = 0; i < f->nclass; i++) {
		struct product p = { 0 };

		if (!mm_forecast_product(f, i, &p.late, &p.in_use))
			continue;
		sum_cells(f, f->class[i].product, mm_now_s() / DAY_S, &p);
		put_product(j, f->class[i].product, &p);
	}
	mm_json_close(j, ']');
	mm_json_close(j, '}');
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

static void
put_items(const struct mm_rest *r, struct mm_json *j,
    const struct mm_ends_seen *seen, int64_t until_s)
{
	size_t n = 0;

	mm_json_open_key(j, "items", '[');
	while (n < seen->n && n < ITEMS_MOST && seen->end[n].end_s < until_s)
		put_end(r, j, &seen->end[n++]);
	mm_json_close(j, ']');
	mm_json_int(j, "later", (int64_t)(seen->n - n));
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

static void
put(struct mm_rest *r, const struct mm_forecast *f,
    const struct mm_ends_seen *seen, int64_t until_s)
{
	mm_json_open(&r->j, '{');
	mm_rest_put_time(&r->j, "as_of", seen->as_of);
	put_items(r, &r->j, seen, until_s);
	put_devices(&r->j, f);
	mm_json_close(&r->j, '}');
}

enum mm_err
mm_rest_ends(struct mm_rest *r, struct mm_why *why)
{
	struct mm_forecast *f = mm_core_forecast(r->s->core);
	struct mm_ends_seen seen = mm_ends_take(r->s->ends);
	int64_t until_s;
	enum mm_err rc = ask_until(r, &until_s, why);

	if (rc == MM_OK && (f == NULL || seen.as_of == 0))
		rc = MM_FAIL(why, MM_EAGAIN, "the first count is not over "
		    "yet");
	if (rc == MM_OK)
		put(r, f, &seen, until_s);
	mm_ends_give(r->s->ends);
	mm_core_forecast_done(r->s->core, f);
	return rc;
}
