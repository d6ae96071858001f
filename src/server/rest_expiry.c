#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "base/time.h"
#include "server/rest.h"

/* GET /expiry: how many certificates end when, as counted last. */
enum { DAY_S = 86400, DAYS = 90, DAYS_MOST = 1100 };

struct sums {
	const struct mm_forecast *f;
	int64_t today; /* days since 1970 */
	unsigned days;
	uint64_t ended, within, later;
	uint64_t day[DAYS_MOST];
	bool *seen;   /* by class: asked for, and of the login's products */
	uint64_t *of; /* by class: within */
	struct part *part;
};
struct part {
	const char *name;
	uint64_t n;
};

static void
sums_done(struct sums *s)
{
	free(s->seen);
	free(s->of);
	free(s->part);
}

static enum mm_err
choose(struct mm_rest *r, struct sums *s, struct mm_why *why)
{
	char product[MM_NAME_MAX + 1], issuer[MM_NAME_MAX + 1];

	MM_TRY(mm_rest_query(r, "product", product, sizeof(product), why));
	MM_TRY(mm_rest_query(r, "issuer", issuer, sizeof(issuer), why));
	if (issuer[0] != '\0' && mm_issuer_is_line(r->s->core, issuer))
		return MM_FAIL(why, MM_EINPUT, "issuer: %s is a line CA, and "
		    "those are counted together", issuer);
	s->seen = calloc(s->f->nclass + 1, sizeof(*s->seen));
	s->of = calloc(s->f->nclass + 1, sizeof(*s->of));
	s->part = calloc(s->f->nclass + 1, sizeof(*s->part));
	if (s->seen == NULL || s->of == NULL || s->part == NULL)
		return MM_FAIL(why, MM_ENOMEM, "expiry: no memory");
	for (size_t i = 0; i < s->f->nclass; i++) {
		const struct mm_forecast_class *c = &s->f->class[i];

		s->seen[i] =
		    mm_scope_sees(&r->login.scope, c->product, "") &&
		    (product[0] == '\0' || strcmp(product, c->product) == 0) &&
		    (issuer[0] == '\0' || strcmp(issuer, c->issuer) == 0);
	}
	return MM_OK;
}

/* What ended as long ago as is looked ahead is told; what did before is no
 * news. */
static void
add(struct sums *s, const struct mm_forecast_cell *c)
{
	int64_t in = (int64_t)c->day - s->today;

	if (in < 0)
		s->ended += -in <= s->days ? c->n : 0;
	else if (in >= s->days)
		s->later += c->n;
	else {
		s->within += c->n;
		s->day[in] += c->n;
		s->of[c->class] += c->n;
	}
}

static void
put_days(struct mm_json *j, const struct sums *s)
{
	mm_json_open_key(j, "by_day", '[');
	for (unsigned i = 0; i < s->days; i++) {
		char at[MM_TIME_TEXT];

		if (s->day[i] == 0)
			continue;
		mm_time_text((s->today + i) * DAY_S * 1000, at);
		at[10] = '\0'; /* the date */
		mm_json_open(j, '{');
		mm_json_str(j, "day", at);
		mm_json_int(j, "certificates", (int64_t)s->day[i]);
		mm_json_close(j, '}');
	}
	mm_json_close(j, ']');
}

static int
by_name(const void *a, const void *b)
{
	return strcmp(
	    ((const struct part *)a)->name, ((const struct part *)b)->name);
}

/* What was seen of each class, by one of its names. */
static size_t
parts(const struct sums *s, size_t name, struct part *out)
{
	size_t n = 0, k = 0;

	for (size_t i = 0; i < s->f->nclass; i++)
		if (s->of[i] > 0)
			out[n++] =
			    (struct part){ (const char *)&s->f->class[i] + name,
				    s->of[i] };
	qsort(out, n, sizeof(*out), by_name);
	for (size_t i = 1; i < n; i++)
		if (strcmp(out[i].name, out[k].name) == 0)
			out[k].n += out[i].n;
		else
			out[++k] = out[i];
	return n == 0 ? 0 : k + 1;
}

static void
put_by(struct mm_json *j, const struct sums *s, const char *key,
    const char *noun, size_t name)
{
	size_t n = parts(s, name, s->part);

	mm_json_open_key(j, key, '[');
	for (size_t i = 0; i < n; i++) {
		mm_json_open(j, '{');
		mm_json_str(j, noun, s->part[i].name);
		mm_json_int(j, "certificates", (int64_t)s->part[i].n);
		mm_json_close(j, '}');
	}
	mm_json_close(j, ']');
}

static void
put(struct mm_json *j, const struct sums *s)
{
	mm_json_open(j, '{');
	mm_rest_put_time(j, "as_of", s->f->as_of);
	mm_rest_put_time(j, "from", s->today * DAY_S * 1000);
	mm_json_int(j, "days", s->days);
	mm_json_int(j, "ended", (int64_t)s->ended);
	mm_json_int(j, "within", (int64_t)s->within);
	mm_json_int(j, "later", (int64_t)s->later);
	put_days(j, s);
	put_by(j, s, "by_product", "product",
	    offsetof(struct mm_forecast_class, product));
	put_by(j, s, "by_issuer", "issuer",
	    offsetof(struct mm_forecast_class, issuer));
	mm_json_close(j, '}');
}

static enum mm_err
ask_days(const struct mm_rest *r, unsigned *days, struct mm_why *why)
{
	char text[16];
	int64_t n = DAYS;

	MM_TRY(mm_rest_query(r, "days", text, sizeof(text), why));
	if (text[0] != '\0' &&
	    (mm_int_parse(text, &n, NULL) != MM_OK || n < 1 || n > DAYS_MOST))
		return MM_FAIL(why, MM_EINPUT, "days: want 1 to %d", DAYS_MOST);
	*days = (unsigned)n;
	return MM_OK;
}

static enum mm_err
answer(struct mm_rest *r, const struct mm_forecast *f, struct mm_why *why)
{
	MM_OWN(sums_done)
	struct sums s = { .f = f, .today = mm_now_s() / DAY_S };

	MM_TRY(ask_days(r, &s.days, why));
	MM_TRY(choose(r, &s, why));
	for (size_t i = 0; i < f->ncell; i++)
		if (s.seen[f->cell[i].class])
			add(&s, &f->cell[i]);
	put(&r->j, &s);
	return MM_OK;
}

enum mm_err
mm_rest_expiry(struct mm_rest *r, struct mm_why *why)
{
	struct mm_forecast *f = mm_core_forecast(r->s->core);
	enum mm_err rc = f == NULL ? MM_FAIL(why, MM_EAGAIN,
					 "the first count is not over yet")
				   : answer(r, f, why);

	mm_core_forecast_done(r->s->core, f);
	return rc;
}
