#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "base/child.h"
#include "base/json.h"
#include "base/log.h"
#include "base/time.h"
#include "pki/cert.h"
#include "station/exec.h"
#include "station/usb.h"

/*
 * The driver for boards that a maker's own program speaks to.  One run of the
 * program (child.h) is one step: a job in, answers out, then it ends.
 */
struct exec {
	struct mm_driver base;
	struct mm_driver_job job;
	struct mm_child child;
	struct mm_exec_result result;
	struct mm_child test; /* is asked whether it works; then a unit waits */
	bool testing, waits;
	int64_t tested_ms; /* monotonic */
};

static struct exec *
of(struct mm_driver *d)
{
	return (struct exec *)d;
}

/* Its own, or the recipe's; n 0: nobody named one yet. */
static const struct mm_conf_list *
program_of(const struct exec *x, int64_t *limit_s)
{
	const struct mm_fixture_conf *conf = x->base.conf;
	const struct mm_recipe_conf *recipe = x->base.recipe;
	bool own = conf->program.n > 0 || recipe == NULL;

	*limit_s = own ? conf->limit_s : recipe->limit_s;
	return own ? &conf->program : &recipe->program;
}

static const char *
recipe_name(const struct exec *x)
{
	return x->base.recipe != NULL ? x->base.recipe->name : "";
}

static struct mm_driver *
exec_new(const struct mm_fixture_conf *conf)
{
	struct exec *x = calloc(1, sizeof(*x));

	(void)conf;
	if (x == NULL)
		return NULL;
	mm_child_init(&x->child);
	mm_child_init(&x->test);
	return &x->base;
}

static void
exec_close(struct mm_driver *d)
{
	mm_child_close(&of(d)->child);
	of(d)->waits = false;
}

static void
exec_free(struct mm_driver **owner)
{
	mm_child_done(&of(*owner)->child);
	mm_child_done(&of(*owner)->test);
	free(*owner);
	*owner = NULL;
}

/* ---- whether it works ---- */

enum { AGAIN_MS = 10000 };

static void
test_begin(struct exec *x)
{
	struct mm_buf text = MM_BUF_INIT(MM_CHILD_JOB_MAX);
	int64_t limit_s;
	const struct mm_conf_list *program = program_of(x, &limit_s);

	x->testing = true;
	x->test.spawned = false;
	mm_exec_put_selftest(&text, x->base.conf, recipe_name(x),
	    mm_now_ms() / 1000);
	if (mm_buf_ok(&text, NULL) == MM_OK)
		mm_child_begin(&x->test, program, limit_s,
		    mm_buf_view(&text));
	mm_buf_done(&text);
}

static void
test_failed(struct mm_selftest *t, enum mm_unit_reason reason,
    const char *note)
{
	memset(t, 0, sizeof(*t));
	t->is = MM_SELFTEST_FAILED;
	t->reason = reason;
	snprintf(t->note, sizeof(t->note), "%s", note);
}

static void
test_log(const struct mm_driver *d, enum mm_selftest_is was)
{
	const struct mm_selftest *t = &d->test;

	if (t->is == MM_SELFTEST_FAILED && was != MM_SELFTEST_FAILED)
		MM_LOG(MM_LOG_WARN, "fixture.selftest",
		    MM_S("fixture", d->conf->name),
		    MM_S("reason", mm_unit_reasons[t->reason].code),
		    MM_S("why", t->note));
	else if (t->is == MM_SELFTEST_WORKS && was != MM_SELFTEST_WORKS)
		MM_LOG(MM_LOG_INFO, "fixture.selftest",
		    MM_S("fixture", d->conf->name), MM_S("tool", t->tool),
		    MM_S("version", t->version));
}

/* Goes on with it; true: it has ended. */
static bool
test_run(struct exec *x)
{
	struct mm_selftest *t = &x->base.test;
	enum mm_selftest_is was = t->is;
	int status = 0;

	switch (mm_child_run(&x->test, &status)) {
	case MM_CHILD_ENDED:
		mm_exec_read_selftest(mm_buf_view(&x->test.said),
		    WIFEXITED(status) && WEXITSTATUS(status) == 0, t);
		break;
	case MM_CHILD_LATE:
		test_failed(t, MM_UR_DRIVER_LATE, "it did not end in time");
		break;
	case MM_CHILD_FLOODS:
		test_failed(t, MM_UR_DRIVER, "it said more than 64 KiB");
		break;
	case MM_CHILD_NOTHING:
		test_failed(t, MM_UR_DRIVER, x->test.note);
		break;
	default:
		return false;
	}
	x->testing = false;
	x->tested_ms = mm_mono_ms();
	test_log(&x->base, was);
	return true;
}

/* Once; again while it fails. */
static bool
exec_ask(struct mm_driver *d)
{
	struct exec *x = of(d);
	int64_t limit_s;

	if (!x->testing && program_of(x, &limit_s)->n == 0)
		return true;
	if (!x->testing && (d->test.is == MM_SELFTEST_UNASKED ||
	    (d->test.is == MM_SELFTEST_FAILED &&
	    mm_mono_ms() - x->tested_ms >= AGAIN_MS)))
		test_begin(x);
	return !x->testing || test_run(x);
}

/* One that fails its test is as one that is not there; what is plugged in
 * anew is asked anew. */
static bool
exec_there(struct mm_driver *d)
{
	struct exec *x = of(d);
	char port[PATH_MAX];

	if (!mm_fixture_port(d->conf, port)) {
		mm_child_close(&x->test);
		x->testing = false;
		d->test.is = MM_SELFTEST_UNASKED;
		return false;
	}
	(void)exec_ask(d);
	return d->test.is != MM_SELFTEST_FAILED;
}

/* Whether something is there is the program's to say, but at a USB place. */
static enum mm_driver_got
exec_open(struct mm_driver *d, enum mm_unit_reason *reason)
{
	char port[PATH_MAX];

	exec_close(d);
	/* It may have been mended meanwhile. */
	if (d->test.is == MM_SELFTEST_FAILED && !of(d)->testing)
		test_begin(of(d));
	if (d->conf->usb[0] == '\0' || mm_fixture_port(d->conf, port))
		return MM_DRIVER_DONE;
	*reason = MM_UR_NO_PORT;
	return MM_DRIVER_FAILED;
}

static void
spawn(struct exec *x)
{
	struct mm_buf text = MM_BUF_INIT(MM_CHILD_JOB_MAX);
	int64_t limit_s;
	const struct mm_conf_list *program = program_of(x, &limit_s);

	x->job.recipe = recipe_name(x);
	mm_exec_put_job(&text, x->base.conf, &x->job);
	if (mm_buf_ok(&text, NULL) == MM_OK)
		mm_child_begin(&x->child, program, limit_s,
		    mm_buf_view(&text));
	mm_buf_wipe(&text); /* it has the configuration */
}

static void
exec_begin(struct mm_driver *d, const struct mm_driver_job *job)
{
	struct exec *x = of(d);

	d->note[0] = '\0';
	mm_child_close(&x->child);
	x->child.spawned = false;
	x->job = *job;
	x->waits = x->testing;
	if (!x->waits)
		spawn(x);
}

/* ---- what came of it ---- */

static enum mm_driver_got
fail(struct exec *x, enum mm_unit_reason why, const char *note,
    enum mm_unit_reason *reason)
{
	snprintf(x->base.note, sizeof(x->base.note), "%s", note);
	*reason = why;
	return MM_DRIVER_FAILED;
}

static enum mm_driver_got
judge(struct exec *x, int status, struct mm_driver_answer *out,
    enum mm_unit_reason *reason)
{
	struct mm_exec_result *r = &x->result;
	struct mm_why why = { 0 };

	if (mm_exec_read(mm_buf_view(&x->child.said), &x->job, out, r, &why) !=
	    MM_OK)
		return fail(x, MM_UR_DRIVER, why.text, reason);
	if (r->got == MM_DRIVER_FAILED)
		return fail(x, r->reason, r->note, reason);
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		return fail(x, MM_UR_DRIVER,
		    "it said that it was done, and "
		    "failed",
		    reason);
	return r->got;
}

static enum mm_driver_got
exec_run(struct mm_driver *d, struct mm_driver_answer *out,
    enum mm_unit_reason *reason)
{
	struct exec *x = of(d);
	int status = 0;

	if (x->waits) {
		if (!test_run(x))
			return MM_DRIVER_WAIT;
		x->waits = false;
		if (d->test.is == MM_SELFTEST_FAILED)
			return fail(x, d->test.reason, d->test.note, reason);
		spawn(x);
	}
	switch (mm_child_run(&x->child, &status)) {
	case MM_CHILD_ENDED:
		return judge(x, status, out, reason);
	case MM_CHILD_LATE:
		return fail(x, MM_UR_DRIVER_LATE, "", reason);
	case MM_CHILD_FLOODS:
		return fail(
		    x, MM_UR_DRIVER, "it said more than 64 KiB", reason);
	case MM_CHILD_NOTHING:
		return fail(x, MM_UR_DRIVER, x->child.note, reason);
	default:
		return MM_DRIVER_WAIT;
	}
}

static struct pollfd
exec_wish(const struct mm_driver *d)
{
	const struct exec *x = (const struct exec *)d;

	return mm_child_wish(x->waits ? &x->test : &x->child);
}

/* see driver.h */
const struct mm_driver_class mm_driver_exec = { "exec", exec_new, exec_open,
	exec_begin, exec_run, exec_wish, exec_there, exec_ask,
	exec_close, exec_free };
