#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/own.h"
#include "base/time.h"
#include "station/folder.h"
#include "station/chore.h"

enum { CERTS_MAX = 1 << 20, LIMIT_MS = 30000, FIRST_MS = 1000, CLOSE_MS = 2000,
	TICK_MS = 10, LATE_MS = 2000 };

/*
 * The driver for boards that are flashed later (folder.h).  All of it is done
 * by a thread of the fixture's own: a folder on a disk that is slow, or on a
 * share that hangs, holds no other fixture up.
 */
struct files {
	struct mm_driver base;
	struct mm_chore *chore;
	int64_t begun_ms; /* the thread's work; monotonic */
	int64_t until_ms; /* for the effect under way; monotonic; 0: none */
	bool waits;   /* an effect that was not begun yet */
	bool working; /* the thread has one */
	bool dropped; /* and nobody waits for it any more */
	bool looked, there;
	/* The thread's, as long as the chore is busy: */
	struct mm_folder folder;
	char serial[MM_DEVICE_ID_MAX + 1];
	struct mm_buf cert, chain, given; /* what its job borrows */
	struct mm_driver_answer answer;
	bool is_there;
	enum mm_err rc;
	struct mm_why why;
};

static struct files *
of(struct mm_driver *d)
{
	return (struct files *)d;
}

static bool
is_busy(struct files *f)
{
	return f->chore != NULL && mm_chore_busy(f->chore);
}

/* A unit's; a look at the folder touches nothing of that. */
static bool
has_work(struct files *f)
{
	return f->working && is_busy(f);
}

/* Of the unit that was there last; the thread must have none. */
static void
forget(struct files *f)
{
	mm_pkey_free(&f->folder.key);
	mm_buf_wipe(&f->given);
	mm_buf_init(&f->given, CERTS_MAX);
	f->working = f->dropped = f->waits = false;
	f->until_ms = 0;
}

static void
files_close(struct mm_driver *d)
{
	struct files *f = of(d);

	f->waits = false;
	f->dropped = has_work(f);
	if (!f->dropped)
		forget(f);
}

static struct mm_driver *
files_new(const struct mm_fixture_conf *conf)
{
	struct files *f = calloc(1, sizeof(*f));

	if (f == NULL)
		return NULL;
	f->folder.conf = conf;
	mm_buf_init(&f->cert, CERTS_MAX);
	mm_buf_init(&f->chain, CERTS_MAX);
	mm_buf_init(&f->given, CERTS_MAX);
	return &f->base;
}

/* A folder that hangs has its thread: that goes with the process. */
static void
files_free(struct mm_driver **owner)
{
	struct files *f = of(*owner);

	*owner = NULL;
	if (!mm_chore_free(&f->chore, CLOSE_MS))
		return;
	forget(f);
	mm_buf_done(&f->cert);
	mm_buf_done(&f->chain);
	mm_buf_wipe(&f->given);
	free(f);
}

static enum mm_driver_got
files_open(struct mm_driver *d, enum mm_unit_reason *reason)
{
	struct files *f = of(d);

	d->note[0] = '\0';
	if (has_work(f) || (f->chore == NULL &&
	    mm_chore_new(&f->chore, NULL) != MM_OK)) {
		snprintf(d->note, sizeof(d->note),
		    "its folder has not answered since the last unit");
		*reason = MM_UR_FILES;
		return MM_DRIVER_FAILED;
	}
	forget(f);
	return MM_DRIVER_DONE;
}

static bool
borrow(struct mm_buf *own, struct mm_bytes *v)
{
	mm_buf_reset(own);
	mm_buf_bytes(own, *v);
	*v = mm_buf_view(own);
	return mm_buf_ok(own, NULL) == MM_OK;
}

/* What the caller may forget before the thread has done with it is copied. */
static bool
take_job(struct files *f, const struct mm_driver_job *job)
{
	f->folder.job = *job;
	f->folder.job.serial = f->serial;
	return mm_text_copy(f->serial, sizeof(f->serial),
		   mm_bytes_of(job->serial)) &&
	    borrow(&f->cert, &f->folder.job.cert) &&
	    borrow(&f->chain, &f->folder.job.chain) &&
	    borrow(&f->given, &f->folder.job.conf);
}

static void
files_begin(struct mm_driver *d, const struct mm_driver_job *job)
{
	struct files *f = of(d);

	/* only a look at the folder can be under way, which has none of it */
	MM_INVARIANT(!f->working);
	f->rc = take_job(f, job) ? MM_OK : MM_ENOMEM;
	f->waits = true;
	f->until_ms = mm_mono_ms() + LIMIT_MS;
}

/* ---- by its thread ---- */

static void
work(void *arg)
{
	struct files *f = arg;

	f->is_there = access(f->base.conf->folder, F_OK) == 0;
	if (!f->is_there)
		return;
	f->why = (struct mm_why){ 0 };
	f->rc = mm_folder_do(&f->folder, &f->answer, &f->why);
}

static void
set_to(struct files *f, void (*does)(void *arg))
{
	f->begun_ms = mm_mono_ms();
	mm_chore_begin(f->chore, does, f);
}

static enum mm_driver_got
end(struct files *f, struct mm_driver_answer *out,
    enum mm_unit_reason *reason)
{
	f->working = false;
	f->until_ms = 0;
	if (f->is_there && f->rc == MM_OK) {
		*out = f->answer;
		return MM_DRIVER_DONE;
	}
	if (f->is_there)
		snprintf(f->base.note, sizeof(f->base.note), "%s",
		    f->why.text);
	*reason = f->is_there ? MM_UR_FILES : MM_UR_NO_PORT;
	return MM_DRIVER_FAILED;
}

static enum mm_driver_got
give_up(struct files *f, enum mm_unit_reason *reason)
{
	snprintf(f->base.note, sizeof(f->base.note),
	    "its folder does not answer");
	*reason = MM_UR_FILES;
	return MM_DRIVER_FAILED;
}

static enum mm_driver_got
files_run(struct mm_driver *d, struct mm_driver_answer *out,
    enum mm_unit_reason *reason)
{
	struct files *f = of(d);

	if (f->waits && f->rc == MM_ENOMEM)
		return give_up(f, reason);
	if (is_busy(f))
		return mm_mono_ms() < f->until_ms ? MM_DRIVER_WAIT
						  : give_up(f, reason);
	if (f->working)
		return end(f, out, reason);
	f->waits = false;
	f->working = true;
	set_to(f, work);
	return MM_DRIVER_WAIT;
}

static struct pollfd
files_wish(const struct mm_driver *d)
{
	const struct files *f = (const struct files *)d;

	return f->chore != NULL ? mm_chore_wish(f->chore)
				: (struct pollfd){ .fd = -1 };
}

/* ---- whether it is there ---- */

static void
look(void *arg)
{
	struct files *f = arg;

	f->is_there = access(f->base.conf->folder, F_OK) == 0;
}

static void
wait_a_moment(struct files *f)
{
	int64_t until = mm_mono_ms() + FIRST_MS;

	while (is_busy(f) && mm_mono_ms() < until) {
		struct pollfd p = mm_chore_wish(f->chore);

		if (is_busy(f))
			(void)poll(&p, 1, TICK_MS);
	}
}

/* A folder that says nothing for so long is not there: the next unit goes to
 * another one.  What a unit waits for has its own limit. */
static bool
is_late(struct files *f)
{
	return (!f->working || f->dropped) && is_busy(f) &&
	    mm_mono_ms() - f->begun_ms > LATE_MS;
}

/* As the last look had it, which for the first one is waited for. */
static bool
files_there(struct mm_driver *d)
{
	struct files *f = of(d);

	if (f->dropped && !is_busy(f))
		forget(f);
	if (is_late(f))
		f->there = false;
	if (is_busy(f) || f->working || f->waits ||
	    (f->chore == NULL && mm_chore_new(&f->chore, NULL) != MM_OK))
		return f->there;
	f->there = f->looked && f->is_there;
	set_to(f, look);
	if (!f->looked) {
		wait_a_moment(f);
		f->there = !is_busy(f) && f->is_there;
	}
	f->looked = true;
	return f->there;
}

/* see driver.h */
const struct mm_driver_class mm_driver_files = { "files", files_new, files_open,
	files_begin, files_run, files_wish, files_there, NULL,
	files_close, files_free };
