#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/file.h"
#include "base/grow.h"
#include "base/json.h"
#include "base/own.h"
#include "base/time.h"
#include "station/run.h"

/*
 * "report": what came of the units, by shift and batch, from all rows that the
 * journal ever had (journal, journal.N).  A unit counts once in a shift, by
 * what it came to last in it; one that had passed before and passes again is
 * not made again.
 */
enum { SUMS_MOST = 20000, FILES_MOST = 10000, TRIES = 5, OUT_MAX = 8 << 20 };

enum result { NOTHING, PASSED, AGAIN, FAILED, ASIDE, INTERRUPTED, RESULTS };
static const char *const words[RESULTS] = { "", "passed", "again", "failed",
	"put_aside", "interrupted" };

struct sum {
	int64_t start_s, end_s;    /* of the shift */
	int64_t first_ms, last_ms; /* of its rows */
	char batch[MM_NAME_MAX + 1];
	unsigned n[RESULTS], attempts;
	unsigned first; /* that passed at once */
};

struct report {
	const struct mm_station_conf *conf;
	/* Ours alone: a unit's at_ms is 1 + its last sum, its labels what it
	 * came to there. */
	struct mm_book *book;
	struct sum *sum;
	size_t n, cap;
};

static void
report_done(struct report *r)
{
	mm_book_free(&r->book);
	free(r->sum);
}

/* ---- which shift ---- */

static int64_t
at_hour(struct tm day, int days, const char *clock)
{
	day.tm_mday += days;
	day.tm_hour = atoi(clock);
	day.tm_min = atoi(clock + 3);
	day.tm_sec = 0;
	day.tm_isdst = -1;
	return (int64_t)mktime(&day);
}

/* The shift that this second is in, by the station's own time zone; its hours
 * are in order. */
static void
find_shift(const struct mm_conf_list *hours, int64_t at_s, int64_t *start,
    int64_t *end)
{
	time_t at = (time_t)at_s;
	struct tm day;

	*start = *end = at_s;
	if (localtime_r(&at, &day) == NULL)
		return;
	*start = at_hour(day, -1, hours->item[hours->n - 1]);
	for (size_t i = 0; i <= hours->n; i++) {
		*end = i < hours->n ? at_hour(day, 0, hours->item[i])
				    : at_hour(day, 1, hours->item[0]);
		if (*end > at_s)
			return;
		*start = *end;
	}
}

/* The newest are asked for most. */
static enum mm_err
sum_of(
    struct report *r, const struct mm_row *row, size_t *out, struct mm_why *why)
{
	int64_t start, end;
	struct sum *more;

	find_shift(&r->conf->shifts, row->at_ms / 1000, &start, &end);
	for (size_t i = r->n; i > 0; i--)
		if (r->sum[i - 1].start_s == start &&
		    strcmp(r->sum[i - 1].batch, row->unit.batch) == 0) {
			*out = i - 1;
			return MM_OK;
		}
	if (r->n == SUMS_MOST)
		return MM_FAIL(
		    why, MM_ELIMIT, "report: more than %d shifts", SUMS_MOST);
	more = mm_grown(r->sum, r->n, &r->cap, sizeof(*more));
	if (more == NULL)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	r->sum = more;
	more[r->n] = (struct sum){
		.start_s = start, .end_s = end, .first_ms = row->at_ms
	};
	strcpy(more[r->n].batch, row->unit.batch);
	*out = r->n++;
	return MM_OK;
}

/* ---- rows ---- */

/* Rows that repeat what a unit came to (a journal that was begun anew, a
 * label, a supervisor) end no attempt. */
static enum result
result_of(enum mm_unit_state was, const struct mm_unit *now)
{
	if (!mm_unit_active(was) || mm_unit_active(now->state))
		return NOTHING;
	switch (now->state) {
	case MM_UNIT_PASSED:
		return now->was == MM_UNIT_WAS_PASSED ? AGAIN : PASSED;
	case MM_UNIT_FAILED:
		return FAILED;
	case MM_UNIT_QUARANTINED:
		return ASIDE;
	default:
		return INTERRUPTED;
	}
}

static void
count(struct report *r, struct mm_unit *u, const struct mm_row *row,
    enum result result, size_t at)
{
	struct sum *s = &r->sum[at];

	s->attempts++;
	s->last_ms = row->at_ms;
	if (u->at_ms == (int64_t)at + 1) {
		/* what was made in this shift, and comes back, was made */
		if (result == AGAIN)
			return;
		s->n[u->labels]--;
	}
	s->n[result]++;
	s->first += result == PASSED && row->unit.attempt == 1;
	u->at_ms = (int64_t)at + 1;
	u->labels = result;
}

static enum mm_err
take(void *ctx, const struct mm_row *row)
{
	struct report *r = ctx;
	enum result result;
	struct mm_unit *u;
	size_t at = 0;

	MM_TRY(mm_book_need(r->book, row->unit.serial, &u, NULL));
	result = result_of(u->state, &row->unit);
	u->state = row->unit.state;
	if (result == NOTHING)
		return MM_OK;
	MM_TRY(sum_of(r, row, &at, NULL));
	count(r, u, row, result, at);
	return MM_OK;
}

/* ---- the files ---- */

static int
by_number(const struct dirent **a, const struct dirent **b)
{
	return strverscmp((*a)->d_name, (*b)->d_name);
}

static int
is_journal(const struct dirent *e)
{
	const char *n = e->d_name;

	return strncmp(n, "journal.", 8) == 0 &&
	       n[8 + strspn(n + 8, "0123456789")] == '\0' && n[8] != '\0';
}

static enum mm_err
read_one(struct report *r, const char *name, struct mm_why *why)
{
	char path[PATH_MAX + 300];

	MM_TRY(mm_path_join(path, sizeof(path), r->conf->state, name, why));
	return mm_rows_read(path, take, r, why);
}

static enum mm_err
read_listed(struct report *r, struct dirent **e, int n, struct mm_why *why)
{
	if (n > FILES_MOST)
		return MM_FAIL(why, MM_ELIMIT, "report: more than %d files of "
		    "the journal: put the oldest aside", FILES_MOST);
	for (int i = 0; i < n; i++)
		MM_TRY(read_one(r, e[i]->d_name, why));
	return read_one(r, "journal", why);
}

static enum mm_err
read_once(struct report *r, struct mm_why *why)
{
	struct dirent **e = NULL;
	int n = scandir(r->conf->state, &e, is_journal, by_number);
	enum mm_err rc = read_listed(r, e, n, why);

	for (int i = 0; i < n; i++)
		free(e[i]);
	free(e);
	return rc;
}

static ino_t
journal_of(const struct report *r)
{
	char path[PATH_MAX + 16];
	struct stat st;

	return mm_path_join(path, sizeof(path), r->conf->state, "journal",
		   NULL) == MM_OK && stat(path, &st) == 0 ? st.st_ino : 0;
}

/* One that the station began anew meanwhile has other rows than the files
 * that were listed: all of it is read again. */
static enum mm_err
read_all(struct report *r, struct mm_why *why)
{
	for (int tries = 0; tries < TRIES; tries++) {
		ino_t was = journal_of(r);

		report_done(r);
		*r = (struct report){ .conf = r->conf };
		MM_TRY(mm_book_new(&r->book, why));
		MM_TRY(read_once(r, why));
		if (journal_of(r) == was)
			return MM_OK;
	}
	return MM_FAIL(why, MM_EAGAIN, "report: the journal is begun anew all "
	    "the time");
}

/* ---- what is told ---- */

static unsigned
units(const struct sum *s)
{
	return s->n[PASSED] + s->n[FAILED] + s->n[ASIDE] + s->n[INTERRUPTED];
}

static double
percent(unsigned n, unsigned of)
{
	return of == 0 ? 0.0 : 100.0 * n / of;
}

/* By the time between the shift's first and last unit, which may be one. */
static double
per_hour(const struct sum *s)
{
	int64_t ms = s->last_ms - s->first_ms;

	return s->n[PASSED] < 2 || ms <= 0
		   ? 0.0
		   : (s->n[PASSED] - 1) * 3600000.0 / (double)ms;
}

static void
put_csv(struct mm_buf *out, const struct mm_station_conf *conf,
    const struct sum *s, const char *from, const char *to)
{
	mm_buf_printf(out, "%s,%s,%s,%s", from, to, conf->name, s->batch);
	for (unsigned i = PASSED; i < RESULTS; i++)
		mm_buf_printf(out, ",%u", s->n[i]);
	mm_buf_printf(out, ",%u,%.1f,%.1f,%.1f\n", s->attempts,
	    percent(s->n[PASSED], units(s)), percent(s->first, units(s)),
	    per_hour(s));
}

static void
put_json(struct mm_buf *out, const struct mm_station_conf *conf,
    const struct sum *s, const char *from, const char *to)
{
	struct mm_json j = mm_json_over(out);

	mm_json_open(&j, '{');
	mm_json_str(&j, "from", from);
	mm_json_str(&j, "until", to);
	mm_json_str(&j, "station", conf->name);
	mm_json_str(&j, "batch", s->batch);
	for (unsigned i = PASSED; i < RESULTS; i++)
		mm_json_int(&j, words[i], s->n[i]);
	mm_json_int(&j, "attempts", s->attempts);
	mm_json_int(&j, "first_pass", s->first);
	mm_json_int(&j, "units_per_hour", (int64_t)(per_hour(s) + 0.5));
	mm_json_close(&j, '}');
	mm_buf_text(out, "\n");
}

static int
by_start(const void *a, const void *b)
{
	const struct sum *x = a, *y = b;

	if (x->start_s != y->start_s)
		return x->start_s < y->start_s ? -1 : 1;
	return strcmp(x->batch, y->batch);
}

/* see run.h */
int
mm_run_report(const struct mm_station_conf *conf,
    const struct mm_station_args *a, enum mm_err *err, struct mm_why *why)
{
	struct mm_buf out = MM_BUF_INIT(OUT_MAX);
	struct report r = { .conf = conf };

	*err = read_all(&r, why);
	if (*err == MM_OK && r.n > 0)
		qsort(r.sum, r.n, sizeof(r.sum[0]), by_start);
	if (!a->json)
		mm_buf_text(&out,
		    "from,until,station,batch,passed,again,"
		    "failed,put_aside,interrupted,attempts,yield_percent,"
		    "first_pass_percent,units_per_hour\n");
	for (size_t i = 0; *err == MM_OK && i < r.n; i++) {
		char from[MM_TIME_TEXT], to[MM_TIME_TEXT];

		mm_time_text_s(r.sum[i].start_s, from);
		mm_time_text_s(r.sum[i].end_s, to);
		(a->json ? put_json : put_csv)(&out, conf, &r.sum[i], from, to);
	}
	if (*err == MM_OK)
		mm_run_put(&out);
	mm_buf_done(&out);
	report_done(&r);
	return mm_err_exit(*err);
}
