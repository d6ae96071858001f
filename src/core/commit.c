#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/priv.h"
#include "core/round.h"
#include "core/upstream_priv.h"

/*
 * W: the one writer.  A round takes the signer's answers and the queues,
 * writes them in one transaction, and then tells everybody at once.  Nothing
 * lingers: what comes meanwhile is the next round's.  But where cores are
 * short the others run first: a sync costs as much for one as for fifty.
 */
#define LATE_MS 10000
#define LOOK_MS 1000

struct mm_round {
	struct mm_core *c;
	struct mm_op *op[MM_ROUND_OPS];
	size_t n;
	struct mm_jobs jobs;
	struct mm_batch *batches, **batch_tail;
	struct mm_jobs done;
	struct mm_jobs later;    /* another node has their lease */
	struct mm_lease_end *ends;
	int64_t look_at; /* monotonic: for late answers */
	int64_t end_at;  /* ... : for leases that ended */
};

static void
refuse(struct mm_round *r, struct mm_job *job, enum mm_reason reason,
    const char *why)
{
	mm_core_refuse(job, reason, why);
	mm_core_finish(r->c, job, &r->done);
}

/* ---- after the transaction ---- */

static void
decide_again(struct mm_round *r, struct mm_job *job)
{
	if (mm_flight_of(job)->tries++ >= 2) {
		refuse(r, job, MM_R_BUSY, "records keep changing");
		return;
	}
	job->next = NULL;
	mm_queue_put(&r->c->jobs, job);
}

static void
succeed(struct mm_round *r, struct mm_job *job)
{
	/* step 7: release */
	mm_step(r->c, 7);
	if (job->want_checkpoint)
		mm_feed_want(r->c);
	mm_core_finish(r->c, job, &r->done);
}

static void
settle_later(struct mm_round *r, const struct mm_job *job)
{
	char asked[MM_DOC_ID_MAX + 1];

	mm_upstream_doc(r->c, mm_flight_of(job), asked);
	/* of ours the signer has all that there is to know */
	mm_settle_add(r->c, &job->op.u.issue.row, asked[0] == '\0' ?
	    (struct mm_bytes){ NULL, 0 } : mm_buf_view(&job->der), asked);
}

/* Another CA may give one certificate twice: the record of its serial can be
 * that of another time, and of what has become of it. */
static bool
is_own(const struct mm_job *job, const struct mm_cert_row *found)
{
	const struct mm_cert_row *own = &job->op.u.issue.row;

	return strcmp(found->authority, own->authority) == 0 &&
	    memcmp(found->cert_sha256, own->cert_sha256, 32) == 0 &&
	    (found->state == MM_CERT_ISSUED ||
	    found->state == MM_CERT_CONFIRMED);
}

/* The outcome of the commit is unknown: the store says, or it is settled
 * later and the caller comes again. */
static void
look_up(struct mm_round *r, struct mm_job *job)
{
	struct mm_cert_row row;
	enum mm_err rc = mm_get_cert(r->c->commit_reader, job->serial, &row,
	    NULL);

	if (rc == MM_OK && is_own(job, &row)) {
		job->entry = row.entry;
		succeed(r, job);
		return;
	}
	settle_later(r, job);
	if (rc != MM_OK && rc != MM_ENOTFOUND)
		atomic_store(&r->c->store_ok, false);
	refuse(r, job, MM_R_BUSY, "the store is away");
}

/* Somebody was first: the request is decided by what stands there now.  Our
 * signature is settled as an orphan; another CA's may still do. */
static void
issue_lost(struct mm_round *r, struct mm_job *job)
{
	struct mm_flight *f = mm_flight_of(job);
	struct mm_cert_row row;

	if (f->going == NULL) {
		settle_later(r, job);
	} else if (mm_get_cert(r->c->commit_reader, job->serial, &row,
	    NULL) == MM_OK) {
		mm_upstream_known(r->c, f, is_own(job, &row));
		return;
	} else {
		mm_upstream_keep(f);
	}
	decide_again(r, job);
}

static void
issue_done(struct mm_round *r, struct mm_job *job, enum mm_err rc)
{
	if (rc != MM_OK) {
		look_up(r, job);
	} else if (job->op.result == MM_OK) {
		job->entry = job->op.index;
		succeed(r, job);
	} else {
		issue_lost(r, job);
	}
}

static void
confirm_done(struct mm_round *r, struct mm_job *job, enum mm_err rc)
{
	if (rc != MM_OK) {
		refuse(r, job, MM_R_BUSY, "the store is away");
	} else if (job->op.result == MM_OK) {
		memcpy(job->serial, job->op.u.confirm.serial, 16);
		job->entry = job->op.index;
		succeed(r, job);
	} else {
		decide_again(r, job);
	}
}

/* The row of step 4 is asked for. */
static void
lease_done(struct mm_round *r, struct mm_job *job, enum mm_err rc)
{
	enum mm_leased l = mm_lease_asked(mm_flight_of(job));

	job->next = NULL;
	if (rc != MM_OK)
		refuse(r, job, MM_R_BUSY, "the store is away");
	else if (l == MM_LEASE_HAD)
		mm_queue_put(&r->c->jobs, job);
	else if (l == MM_LEASE_WAIT)
		mm_jobs_add(&r->later, job);
	else
		refuse(r, job, l == MM_LEASE_OTHERS ? MM_R_IN_FLIGHT :
		    MM_R_BUSY, l == MM_LEASE_OTHERS ? NULL :
		    "another node is issuing on this authority");
}

/* What the existing CA is asked is on record: it may be. */
static void
noted(struct mm_round *r, struct mm_job *job, enum mm_err rc)
{
	struct mm_flight *f = mm_flight_of(job);

	if (rc != MM_OK || f->op[0]->result != MM_OK)
		refuse(r, job, MM_R_BUSY, "the store is away");
	else
		mm_upstream_go(r->c, f);
}

static void
job_done(struct mm_round *r, struct mm_job *job, enum mm_err rc)
{
	enum mm_act act = mm_flight_of(job)->verdict.act;
	unsigned flags = mm_flight_of(job)->flags;

	if (flags & MM_FLIGHT_ASKING)
		lease_done(r, job, rc);
	else if (flags & MM_FLIGHT_FORWARD)
		noted(r, job, rc);
	else if (flags & MM_FLIGHT_FAILED)
		refuse(r, job, mm_upstream_failed(mm_flight_of(job)), NULL);
	else if (act == MM_ACT_ISSUE)
		issue_done(r, job, rc);
	else if (act == MM_ACT_CONFIRM)
		confirm_done(r, job, rc);
	else
		mm_core_finish(r->c, job, &r->done);
}

/* What a revocation list must show. */
static bool
revokes(const struct mm_op *op)
{
	return op->result == MM_OK && (op->kind == MM_OP_REVOKE ||
	    op->kind == MM_OP_ORPHAN || op->kind == MM_OP_DEVICE_RETIRE ||
	    op->kind == MM_OP_TOKEN_STATE ||
	    (op->kind == MM_OP_ISSUE && op->u.issue.replaces != NULL) ||
	    (op->kind == MM_OP_CONFIRM && op->u.confirm.revoke_superseded));
}

/* Answers that were kept about these are no longer true (desk_ocsp.c), and
 * their issuers' lists are signed by us. */
static void
turn(struct mm_core *c, const struct mm_op *op)
{
	struct mm_entry_view v;

	for (unsigned i = 0; i < op->nentries; i++) {
		mm_entry_look(op->entry[i], &v);
		if (!mm_listed_changes(v.type))
			continue;
		mm_cert_turned(c, v.serial);
		mm_listed_ours(c, v.issuer, v.serial);
	}
}

static void
publish(struct mm_round *r, enum mm_err rc)
{
	struct mm_core *c = r->c;
	uint64_t size = mm_store_ledger_size(c->store);
	bool grown;

	for (size_t i = 0; i < r->n && rc == MM_OK; i++)
		if (revokes(r->op[i])) {
			c->revocations++;
			turn(c, r->op[i]);
		}
	pthread_mutex_lock(&c->lock);
	/* another node may have written since, and L have seen it */
	grown = size > c->ledger_size;
	if (grown) {
		c->ledger_size = size;
		if (!c->feed_rests || size - c->fed >= MM_IPC_ITEMS_MAX)
			pthread_cond_signal(&c->tick);
	}
	pthread_mutex_unlock(&c->lock);
	if (grown && c->conf.grown != NULL)
		c->conf.grown(c->conf.ctx, size);
}

/* Only what became of one transaction is not known: a connection broke, the
 * next one writes. */
static bool
writes_again(struct mm_core *c)
{
	struct mm_op op, *one = &op;

	mm_settle_probe(&op);
	return mm_store_run(c->store, &one, 1, NULL) == MM_OK &&
	    op.result == MM_OK;
}

#define ROUND_MS 1000

/* see round.h */
size_t
mm_round_next(size_t most, size_t n, int64_t ms)
{
	size_t next = most;

	if (ms > ROUND_MS)
		next = n * ROUND_MS / (uint64_t)ms;
	if (next > most)
		next = most;
	if (ms <= ROUND_MS / 2 && n > most / 2)
		next = most * 2;
	if (next < MM_ROUND_LEAST)
		return MM_ROUND_LEAST;
	return next < MM_ROUND_OPS ? next : MM_ROUND_OPS;
}

/* Nodes take turns at the ledger: whoever has it for long makes the others'
 * rounds fail. */
static void
measure(struct mm_round *r, enum mm_err rc, int64_t us)
{
	_Atomic size_t *most = &r->c->round_most;

	if (mm_store_shared(r->c->store))
		atomic_store(most, mm_round_next(atomic_load(most), r->n,
		    rc == MM_OK ? us / 1000 : MM_MS_FAILED));
}

/* MM_EAGAIN: nothing happened, so the same once more can do no harm.  Whoever
 * wanted it, pipeline or desk: the store is away until L finds it back. */
static enum mm_err
run(struct mm_round *r, struct mm_why *why)
{
	int64_t began_us = mm_mono_us(), took_us;
	enum mm_err rc = mm_store_run(r->c->store, r->op, r->n, why);

	took_us = mm_mono_us() - began_us;
	measure(r, rc, took_us);
	mm_hist_add(&r->c->hist[MM_HIST_COMMIT], &mm_hist_time,
	    (uint64_t)took_us);
	mm_hist_add(&r->c->hist[MM_HIST_BATCH], &mm_hist_size, r->n);
	if (rc == MM_EAGAIN) {
		memset(why, 0, sizeof(*why));
		rc = mm_store_run(r->c->store, r->op, r->n, why);
	}
	if (rc == MM_OK)
		return MM_OK;
	if (rc != MM_ESYS || !writes_again(r->c))
		atomic_store(&r->c->store_ok, false);
	mm_core_note(r->c, 2, "store.failed", why->text);
	return rc;
}

static void
clear(struct mm_round *r)
{
	r->n = 0;
	mm_jobs_init(&r->jobs);
	r->ends = NULL;
	r->batches = NULL;
	r->batch_tail = &r->batches;
}

static void
commit(struct mm_round *r)
{
	struct mm_job *job = r->jobs.head, *next_job;
	struct mm_batch *b = r->batches, *next;
	struct mm_lease_end *e = r->ends, *next_end;
	struct mm_why why = { 0 };
	enum mm_err rc = MM_OK;

	if (r->n > 0) {
		/* step 6: commit */
		if (job != NULL)
			mm_step(r->c, 6);
		rc = run(r, &why);
		publish(r, rc);
	}
	clear(r);
	for (; e != NULL; e = next_end) {
		next_end = e->next;
		free(e);
	}
	for (; job != NULL; job = next_job) {
		next_job = job->next;
		job_done(r, job, rc);
	}
	for (; b != NULL; b = next) {
		next = b->next;
		b->rc = rc;
		b->why = why;
		mm_waiter_land(&b->waiter);
	}
}

/* ---- collecting a round ---- */

/* n more in one that has some. */
static bool
is_too_much(const struct mm_round *r, size_t n)
{
	return r->n > 0 && r->n + n > atomic_load(&r->c->round_most);
}

static void
add_job(struct mm_round *r, struct mm_job *job)
{
	struct mm_flight *f = mm_flight_of(job);

	if (is_too_much(r, f->nops))
		commit(r);
	for (unsigned i = 0; i < f->nops; i++)
		r->op[r->n++] = f->op[i];
	mm_jobs_add(&r->jobs, job);
}

static void
add_batch(struct mm_round *r, struct mm_batch *b)
{
	if (is_too_much(r, b->n))
		commit(r);
	memcpy(&r->op[r->n], b->ops, b->n * sizeof(struct mm_op *));
	r->n += b->n;
	b->next = NULL;
	*r->batch_tail = b;
	r->batch_tail = &b->next;
}

/* Leases that ended go with what is written anyway, or after a while. */
static void
take_ends(struct mm_round *r, bool more)
{
	struct mm_lease_end *e, *next;

	if (!more && r->n == 0 && mm_mono_ms() < r->end_at)
		return;
	r->end_at = mm_mono_ms() + LOOK_MS;
	for (e = mm_queue_take(&r->c->ends, false); e != NULL; e = next) {
		next = e->next;
		if (r->n == MM_ROUND_OPS)
			commit(r);
		r->op[r->n++] = &e->op;
		e->next = r->ends;
		r->ends = e;
	}
}

static void
take_queues(struct mm_round *r)
{
	struct mm_job *job = mm_queue_take(&r->c->commits, false), *next_job;
	struct mm_batch *b = mm_queue_take(&r->c->batches, false), *next;

	/* before who asks for the same lease anew: the end of the one before
	 * was put into its queue first */
	take_ends(r, job != NULL || b != NULL);
	for (; job != NULL; job = next_job) {
		next_job = job->next;
		add_job(r, job);
	}
	for (; b != NULL; b = next) {
		next = b->next;
		add_batch(r, b);
	}
}

/* Those whose lease another node had are decided anew. */
static void
take_later(struct mm_round *r)
{
	struct mm_job *job;

	while ((job = r->later.head) != NULL && (r->c->stopping ||
	    mm_mono_ms() >= mm_flight_of(job)->ask_at)) {
		r->later.head = job->next;
		if (job->next == NULL)
			mm_jobs_init(&r->later);
		job->next = NULL;
		mm_queue_put(&r->c->jobs, job);
	}
}

/* ---- the signer's answers ---- */

/* The signer's refusals, as a device may see them.  What its profiles allow
 * was decided here already, so what it refuses is over its ceilings. */
static enum mm_reason
reason_of(enum mm_err rc)
{
	switch (rc) {
	case MM_EINPUT:
		return MM_R_POSSESSION;
	case MM_EPOLICY:
	case MM_ERATE:
		return MM_R_CEILING;
	default:
		return MM_R_BUSY;
	}
}

static enum mm_err
take_issued(struct mm_job *job, const struct mm_issue_rep *rep,
    struct mm_why *why)
{
	const struct mm_verdict *v = &mm_flight_of(job)->verdict;

	mm_buf_reset(&job->der);
	mm_buf_bytes(&job->der, rep->der);
	MM_TRY(mm_buf_ok(&job->der, why));
	if (job->kind == MM_JOB_KEYGEN) {
		MM_TRY(mm_secret_new(rep->pkcs8.n, &job->pkcs8, why));
		memcpy(job->pkcs8->p, rep->pkcs8.p, rep->pkcs8.n);
	}
	memcpy(job->serial, rep->serial, 16);
	strcpy(job->issuer, rep->issuer);
	strcpy(job->profile, v->profile->name);
	strcpy(job->device, v->device);
	job->not_after_s = (int64_t)rep->not_after_s;
	return mm_ops_issue(mm_flight_of(job), rep, why);
}

static void
on_issue(struct mm_round *r, struct mm_flight *f, struct mm_bytes body)
{
	struct mm_issue_rep rep;
	struct mm_why why = { 0 };
	enum mm_err rc = mm_answer_get(MM_IPC_ISSUE, body, &rep, &why);

	if (rc != MM_OK) {
		refuse(r, f->job, reason_of(rc), why.text);
		return;
	}
	mm_feed_signed(r->c, rep.journal_n);
	/* signed: from here on it is recorded, or settled as an orphan by
	 * what the signer has outstanding */
	rc = take_issued(f->job, &rep, &why);
	/* the frame is ours; a private key must not stay in it */
	mm_wipe((void *)(uintptr_t)rep.pkcs8.p, rep.pkcs8.n);
	if (rc == MM_OK)
		add_job(r, f->job);
	else
		refuse(r, f->job, MM_R_BUSY, why.text);
}

/* Its key is proved: an existing CA is asked next. */
static void
forward(struct mm_round *r, struct mm_flight *f)
{
	enum mm_reason no = mm_upstream_note(r->c, f);

	if (no == MM_R_NONE)
		add_job(r, f->job);
	else
		refuse(r, f->job, no, NULL);
}

static void
on_possess(struct mm_round *r, struct mm_flight *f, struct mm_bytes body)
{
	struct mm_possess_rep rep;
	struct mm_why why = { 0 };
	enum mm_err rc = mm_answer_get(MM_IPC_POSSESS, body, &rep, &why);

	if (rc == MM_OK && memcmp(rep.spki_sha256, f->spki, 32) != 0)
		rc = MM_EINPUT;
	if (rc != MM_OK) {
		refuse(r, f->job, reason_of(rc), why.text);
		return;
	}
	if (f->flags & MM_FLIGHT_FORWARD) {
		forward(r, f);
		return;
	}
	f->job->replayed = true;
	succeed(r, f->job);
}

static void
on_answer(struct mm_core *c, struct mm_flight *f, unsigned kind,
    struct mm_bytes body)
{
	if (kind == MM_IPC_ISSUE)
		on_issue(c->round, f, body);
	else
		on_possess(c->round, f, body);
}

/* ---- the lines ---- */

/* A signature that may have been made is settled once the signer is back. */
static void
abandon(struct mm_round *r, unsigned line)
{
	struct mm_flight *f;

	while ((f = mm_wire_orphaned(r->c->wire, line)) != NULL)
		refuse(r, f->job, MM_R_BUSY, "the signer is away");
}

/* A signer that hangs keeps nobody waiting; what it signs after all is
 * outstanding and becomes an orphan. */
static void
give_up_late(struct mm_round *r)
{
	struct mm_flight *f;

	if (mm_mono_ms() < r->look_at)
		return;
	r->look_at = mm_mono_ms() + LOOK_MS;
	while ((f = mm_wire_late(r->c->wire, MM_LATE_MS)) != NULL)
		refuse(r, f->job, MM_R_BUSY, "the signer does not answer");
}

static void
read_lines(struct mm_round *r)
{
	int fd[MM_WIRE_LINES];

	mm_wire_fds(r->c->wire, fd);
	for (unsigned i = 0; i < MM_WIRE_LINES; i++) {
		if (fd[i] < 0 ||
		    mm_wire_read(r->c->wire, i, r->c, on_answer) == MM_OK)
			continue;
		mm_wire_down(r->c->wire, i);
		mm_core_not_ready(r->c, "the signer is away");
		abandon(r, i);
	}
}

static void
relink(struct mm_round *r)
{
	struct mm_core *c = r->c;
	struct mm_links fresh;
	bool has;

	pthread_mutex_lock(&c->lock);
	has = c->has_fresh;
	fresh = c->fresh;
	c->has_fresh = false;
	pthread_mutex_unlock(&c->lock);
	if (!has)
		return;
	for (unsigned i = 0; i < MM_WIRE_LINES; i++) {
		mm_wire_down(c->wire, i);
		abandon(r, i);
	}
	if (mm_wire_install(c->wire, &fresh, NULL) != MM_OK)
		return;
	pthread_mutex_lock(&c->lock);
	c->greet = true;
	pthread_cond_signal(&c->tick);
	pthread_mutex_unlock(&c->lock);
}

static int
look_ms(const struct mm_round *r)
{
	int64_t ms = LOOK_MS;

	if (r->later.head != NULL)
		ms = mm_flight_of(r->later.head)->ask_at - mm_mono_ms();
	return ms < 0 ? 0 : ms > LOOK_MS ? LOOK_MS : (int)ms;
}

static void
wait_for_work(struct mm_core *c)
{
	struct pollfd p[1 + MM_WIRE_LINES] = { { c->kick, POLLIN, 0 } };
	int fd[MM_WIRE_LINES];
	uint64_t n;

	mm_wire_fds(c->wire, fd);
	for (unsigned i = 0; i < MM_WIRE_LINES; i++)
		p[1 + i] = (struct pollfd){ fd[i], POLLIN, 0 };
	if (poll(p, 1 + MM_WIRE_LINES, look_ms(c->round)) > 0 &&
	    (p[0].revents & POLLIN) && read(c->kick, &n, sizeof(n)) < 0)
		return;
}

/* see priv.h */
void *
mm_commit_run(void *core)
{
	struct mm_core *c = core;
	struct mm_round *r = c->round;

	while (!c->quit) {
		wait_for_work(c);
		sched_yield();
		relink(r);
		read_lines(r);
		give_up_late(r);
		mm_ask_late(c);
		mm_upstream_late(c);
		for (unsigned i = 0; i < MM_WIRE_LINES && c->stopping; i++)
			abandon(r, i);
		take_later(r);
		take_queues(r);
		commit(r);
		mm_core_hand_back(c, &r->done);
	}
	return NULL;
}

/* see priv.h */
enum mm_err
mm_commit_new(struct mm_core *c, struct mm_why *why)
{
	struct mm_round *r = calloc(1, sizeof(*r));

	if (r == NULL)
		return MM_FAIL(why, MM_ENOMEM, "commit: no memory");
	r->c = c;
	clear(r);
	mm_jobs_init(&r->done);
	mm_jobs_init(&r->later);
	c->round = r;
	return MM_OK;
}
