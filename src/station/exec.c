#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "base/child.h"
#include "base/json.h"
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
};

static struct exec *
of(struct mm_driver *d)
{
	return (struct exec *)d;
}

static struct mm_driver *
exec_new(const struct mm_fixture_conf *conf)
{
	struct exec *x = calloc(1, sizeof(*x));

	(void)conf;
	if (x == NULL)
		return NULL;
	mm_child_init(&x->child);
	return &x->base;
}

static void
exec_close(struct mm_driver *d)
{
	mm_child_close(&of(d)->child);
}

static void
exec_free(struct mm_driver **owner)
{
	mm_child_done(&of(*owner)->child);
	free(*owner);
	*owner = NULL;
}

/* Whether something is there is the program's to say, but at a USB place. */
static enum mm_driver_got
exec_open(struct mm_driver *d, enum mm_unit_reason *reason)
{
	char port[PATH_MAX];

	exec_close(d);
	if (d->conf->usb[0] == '\0' || mm_fixture_port(d->conf, port))
		return MM_DRIVER_DONE;
	*reason = MM_UR_NO_PORT;
	return MM_DRIVER_FAILED;
}

static void
exec_begin(struct mm_driver *d, const struct mm_driver_job *job)
{
	struct mm_buf text = MM_BUF_INIT(MM_CHILD_JOB_MAX);
	struct exec *x = of(d);

	d->note[0] = '\0';
	mm_child_close(&x->child);
	x->child.spawned = false;
	x->job = *job;
	mm_exec_put_job(&text, d->conf, job);
	if (mm_buf_ok(&text, NULL) == MM_OK)
		mm_child_begin(&x->child, &d->conf->program, d->conf->limit_s,
		    mm_buf_view(&text));
	mm_buf_wipe(&text); /* it has the configuration */
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
	return mm_child_wish(&((const struct exec *)d)->child);
}

/* see driver.h */
const struct mm_driver_class mm_driver_exec = { "exec", exec_new, exec_open,
	exec_begin, exec_run, exec_wish, NULL, exec_close, exec_free };
