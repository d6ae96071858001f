#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "core/priv.h"
#include "core/upstream_priv.h"

/* A job and its travelling papers are one allocation. */
struct whole {
	struct mm_job job;
	struct mm_flight flight;
};

/* see core.h */
struct mm_job *
mm_job_new(enum mm_job_kind kind)
{
	struct whole *w = malloc(sizeof(*w));

	if (w == NULL)
		return NULL;
	memset(&w->job, 0, offsetof(struct mm_job, op));
	memset(&w->flight, 0, offsetof(struct mm_flight, confirm));
	w->job.kind = kind;
	w->job.priv = &w->flight;
	w->flight.job = &w->job;
	mm_buf_init(&w->job.request, MM_CSR_MAX);
	mm_buf_init(&w->job.der, MM_CERT_MAX);
	mm_buf_init(&w->job.entries, 0);
	mm_buf_init(&w->flight.unit, 1024);
	for (size_t i = 0; i < 3; i++)
		mm_buf_init(&w->flight.papers[i],
		    MM_OP_ENTRIES * (size_t)4096);
	return &w->job;
}

/* see core.h */
void
mm_job_free(struct mm_job **owner)
{
	struct mm_job *job = *owner;

	if (job == NULL)
		return;
	mm_going_free(&mm_flight_of(job)->going);
	mm_buf_done(&mm_flight_of(job)->unit);
	for (size_t i = 0; i < 3; i++)
		mm_buf_done(&mm_flight_of(job)->papers[i]);
	mm_wipe(job->authority.secret, sizeof(job->authority.secret));
	mm_wipe(job->authority.code, sizeof(job->authority.code));
	mm_buf_done(&job->request);
	mm_buf_done(&job->der);
	mm_buf_done(&job->entries);
	mm_secret_free(&job->pkcs8);
	free(job);
	*owner = NULL;
}

/* see priv.h */
void
mm_jobs_init(struct mm_jobs *l)
{
	l->head = NULL;
	l->tail = &l->head;
}

/* see priv.h */
void
mm_jobs_add(struct mm_jobs *l, struct mm_job *job)
{
	job->next = NULL;
	*l->tail = job;
	l->tail = &job->next;
}

/* see priv.h */
void
mm_core_refuse(struct mm_job *job, enum mm_reason reason, const char *text)
{
	job->reason = reason;
	job->result = mm_reason_code(reason);
	if (job->result == MM_EAGAIN && job->retry_after_s == 0)
		job->retry_after_s = 2;
	if (job->result == MM_ERATE && job->retry_after_s == 0)
		job->retry_after_s = 3600;
	memset(&job->why, 0, sizeof(job->why));
	(void)MM_FAIL(&job->why, job->result, "%s",
	    text != NULL && text[0] != '\0' ? text : mm_reason_text(reason));
	mm_buf_reset(&job->der);
	mm_secret_free(&job->pkcs8);
}

static void
count(struct mm_core *c, const struct mm_job *job)
{
	const struct mm_flight *f = job->priv;

	if (job->result != MM_OK)
		c->refusals[job->reason]++;
	else if (job->kind != MM_JOB_CONFIRM)
		mm_hist_add(&c->hist[MM_HIST_ISSUE], &mm_hist_time,
		    (uint64_t)(mm_mono_us() - f->posted_us));
	if (job->result == MM_EAGAIN)
		c->busy++;
	else if (job->result != MM_OK)
		c->refused++;
	else if (job->kind == MM_JOB_CONFIRM)
		c->confirmed += !job->replayed; /* once a certificate */
	else if (job->replayed)
		c->replayed++;
	else if (f->verdict.effects & MM_FX_RENEWAL)
		c->renewed++;
	else
		c->issued++;
}

/* The reservation goes on to the next one, which is decided anew. */
void
mm_core_finish(struct mm_core *c, struct mm_job *job, struct mm_jobs *done)
{
	struct mm_flight *heir, *f = mm_flight_of(job);

	mm_lease_end(c, f);
	mm_upstream_end(c, f);
	heir = mm_reserve_pass(c->reserve, f);
	count(c, job);
	if (heir != NULL) {
		mm_ask_pass(f, heir);
		heir->job->next = NULL;
		mm_queue_put(&c->jobs, heir->job);
	}
	if ((f->flags & MM_FLIGHT_BUSY) == 0)
		c->in_flight--;
	mm_jobs_add(done, job);
}

/* see priv.h */
void
mm_core_hand_back(struct mm_core *c, struct mm_jobs *done)
{
	if (done->head != NULL)
		c->conf.done(c->conf.ctx, done->head);
	mm_jobs_init(done);
}
