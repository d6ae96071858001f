#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/own.h"
#include "station/crew.h"
#include "station/driver.h"
#include "station/report.h"
#include "station/run.h"
#include "station/usb.h"

/*
 * "selftest": asks the programs of the fixtures, all at once, whether tool and
 * adapter work, before the first board of a shift is in them.  run asks the
 * same when it starts (exec.c).
 */
enum { TICK_MS = 20, SAY_N = 2048 };

static const char *const words[] = {
	[MM_SELFTEST_SILENT] = "silent",
	[MM_SELFTEST_WORKS] = "works",
	[MM_SELFTEST_FAILED] = "failed",
};

/* see driver.h */
void
mm_selftest_json(struct mm_json *j, const struct mm_selftest *t)
{
	if (t->is == MM_SELFTEST_UNASKED)
		return;
	mm_json_str(j, "selftest", words[t->is]);
	if (t->tool[0] != '\0')
		mm_json_str(j, "tool", t->tool);
	if (t->version[0] != '\0')
		mm_json_str(j, "version", t->version);
	if (t->note[0] != '\0')
		mm_json_str(j, "selftest_note", t->note);
}

static void
as_json(struct mm_buf *out, const struct mm_driver *d)
{
	struct mm_json j = mm_json_over(out);

	mm_json_open(&j, '{');
	mm_json_str(&j, "fixture", d->conf->name);
	mm_selftest_json(&j, &d->test);
	if (d->test.is == MM_SELFTEST_FAILED)
		mm_report_reason(&j, d->test.reason);
	mm_json_close(&j, '}');
	mm_buf_text(out, "\n");
}

static void
as_text(struct mm_buf *out, const struct mm_driver *d)
{
	const struct mm_selftest *t = &d->test;
	const struct mm_unit_reason_text *r = &mm_unit_reasons[t->reason];

	mm_buf_printf(out, "%-10s ", d->conf->name);
	if (t->is == MM_SELFTEST_WORKS)
		mm_buf_printf(out, "works: %s %s\n", t->tool, t->version);
	else if (t->is == MM_SELFTEST_UNASKED)
		mm_buf_text(out, "its program is a batch's recipe: none is "
		    "known here\n");
	else if (t->is == MM_SELFTEST_SILENT)
		mm_buf_text(out, "says nothing of itself\n");
	else
		mm_buf_printf(out, "%s: %s (%s%s%s)\n", r->what, r->todo,
		    r->code, t->note[0] != '\0' ? ": " : "", t->note);
}

static void
say(const struct mm_driver *d, bool json)
{
	struct mm_buf out = MM_BUF_INIT(SAY_N);

	(json ? as_json : as_text)(&out, d);
	mm_run_put(&out);
}

/* Nothing to ask where the USB place is empty. */
static bool
is_answered(struct mm_driver *d)
{
	char port[PATH_MAX];

	if (d->conf->usb[0] == '\0' || mm_fixture_port(d->conf, port))
		return d->class->ask(d);
	d->test.is = MM_SELFTEST_FAILED;
	d->test.reason = MM_UR_NO_PORT;
	return true;
}

/* All at once; each is told as soon as it has answered.  How many failed. */
static unsigned
ask_all(struct mm_driver **d, unsigned n, bool json)
{
	bool told[MM_FIXTURES_MOST] = { false };
	unsigned open = n, failed = 0;

	while (open > 0 && !mm_run_stopped) {
		for (unsigned i = 0; i < n; i++) {
			if (told[i] || !is_answered(d[i]))
				continue;
			told[i] = true;
			open--;
			failed += d[i]->test.is == MM_SELFTEST_FAILED;
			say(d[i], json);
		}
		if (open > 0)
			(void)poll(NULL, 0, TICK_MS);
	}
	return failed + open;
}

static enum mm_err
skip(void *ctx, const struct mm_row *r)
{
	(void)ctx;
	(void)r;
	return MM_OK;
}

/* run asks by itself, and boards are in its fixtures. */
static enum mm_err
lock(const struct mm_station_conf *conf, struct mm_rows **rows,
    struct mm_why *why)
{
	char path[PATH_MAX + 16];
	struct mm_why other = { 0 };
	enum mm_err rc;

	MM_TRY(mm_path_join(path, sizeof(path), conf->state, "journal", why));
	rc = mm_rows_open(path, skip, NULL, rows, &other);
	if (rc != MM_ECONFLICT)
		return MM_OK;
	return MM_FAIL(why, rc, "%s: its fixtures are asked by it, and the "
	    "screen shows them", other.text);
}

/* As far as it is known without the centre. */
static const struct mm_recipe_conf *
recipe_here(const struct mm_station_conf *conf)
{
	MM_OWN(mm_crew_close) struct mm_crew *crew = NULL;
	const char *name;

	if (conf->nrecipe == 0 ||
	    mm_crew_open(conf, NULL, false, &crew, NULL) != MM_OK)
		return NULL;
	name = mm_crew_recipe(crew, false);
	return mm_station_recipe(conf,
	    name[0] != '\0' ? name : mm_crew_recipe(crew, true));
}

static enum mm_err
open_all(const struct mm_station_conf *conf, const char *name,
    struct mm_driver **d, unsigned *n, struct mm_why *why)
{
	const struct mm_recipe_conf *recipe = recipe_here(conf);

	for (size_t i = 0; i < conf->nfixture; i++) {
		const struct mm_fixture_conf *f = &conf->fixture[i];

		if (f->driver != MM_DRIVER_EXEC ||
		    (name != NULL && strcmp(f->name, name) != 0))
			continue;
		MM_TRY(mm_driver_new(f, &d[*n], why));
		(void)mm_driver_cook(d[*n], recipe);
		++*n;
	}
	if (*n > 0)
		return MM_OK;
	return MM_FAIL(why, MM_EINPUT, "no fixture%s%.40s has a program",
	    name != NULL ? " " : "", name != NULL ? name : "");
}

/* see run.h */
int
mm_run_selftest(const struct mm_station_conf *conf,
    const struct mm_station_args *a, enum mm_err *err, struct mm_why *why)
{
	MM_OWN(mm_rows_close) struct mm_rows *rows = NULL;
	struct mm_driver *d[MM_FIXTURES_MOST] = { NULL };
	unsigned n = 0, failed = 0;

	*err = open_all(conf, a->fixture, d, &n, why);
	if (*err == MM_OK)
		*err = lock(conf, &rows, why);
	if (*err == MM_OK)
		failed = ask_all(d, n, a->json);
	for (unsigned i = 0; i < n; i++)
		mm_driver_free(&d[i]);
	return *err != MM_OK ? mm_err_exit(*err)
	    : failed > 0     ? MM_EXIT_BOARD
			     : 0;
}
