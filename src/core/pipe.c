#include <string.h>

#include "core/codes.h"
#include "core/priv.h"
#include "core/upstream_priv.h"

/*
 * D: everything up to the signature.  A round takes all jobs that wait:
 * secrets are checked in one frame, names are reserved, then one snapshot is
 * begun and every leader is decided in it.
 */
enum { ASK_AGAIN_S = 5, PERSON_S = 30, PAIRING_S = 5, PAUSE_S = 600,
	PAIRING_MOST = 60 };

struct pipe {
	struct mm_core *c;
	struct mm_jobs work; /* this round's, in order */
	struct mm_jobs done;
	struct mm_facts facts;
	struct mm_buf out, in;
};

static void
finish(struct pipe *p, struct mm_job *job)
{
	mm_core_finish(p->c, job, &p->done);
}

static void
refuse(struct pipe *p, struct mm_job *job, enum mm_reason r, const char *why)
{
	mm_core_refuse(job, r, why);
	finish(p, job);
}

/* ---- step 3, first: is the presented secret the token's? ---- */

static bool
needs_check(const struct mm_job *job)
{
	return mm_authority_presents(&job->authority) &&
	    (mm_flight_of(job)->flags & (MM_FLIGHT_SECRET | MM_FLIGHT_BUSY |
	    MM_FLIGHT_HELD | MM_FLIGHT_GUESSED)) == 0;
}

/* Of who comes with a device's name and code: its token, and what the code
 * makes of it. */
static void
open_code(struct pipe *p, struct mm_job *job)
{
	struct mm_authority *a = &job->authority;
	struct mm_flight *f = mm_flight_of(job);

	if (a->code[0] == '\0')
		return;
	a->named = true;
	if (mm_code_open(p->c->decide_reader, a, NULL) != MM_OK)
		f->flags |= MM_FLIGHT_NOSIGNER;
	else if (!mm_guesses_take(p->c->guesses, a->token, mm_now_s(),
	    &job->retry_after_s))
		f->flags |= MM_FLIGHT_GUESSED;
}

static void
count_right(struct pipe *p, const struct mm_flight *f)
{
	const struct mm_authority *a = &f->job->authority;

	if (a->named && (f->flags & MM_FLIGHT_SECRET) != 0)
		mm_guesses_back(p->c->guesses, a->token);
}

static void
take_answers(struct mm_frame *answer, struct mm_flight **asked)
{
	struct mm_token_check_rep rep;
	struct mm_bytes body;
	uint32_t tag;

	for (unsigned i = 0; mm_frame_next(answer, &tag, &body); i++)
		if (mm_answer_get(MM_IPC_TOKEN_CHECK, body, &rep, NULL) ==
		    MM_OK && rep.yes == 1)
			asked[i]->flags |= MM_FLIGHT_SECRET;
}

/* Nobody asked is told apart from the others: a check that cannot be made
 * makes all of them come again. */
static void
check(struct pipe *p, struct mm_flight **asked, unsigned n)
{
	struct mm_frame answer;
	enum mm_err rc;

	if (n == 0)
		return;
	mm_wire_lock(p->c->wire, MM_LINE_CHECK);
	rc = mm_wire_batch(p->c->wire, MM_LINE_CHECK, &p->out, &p->in,
	    &answer, NULL);
	mm_wire_unlock(p->c->wire, MM_LINE_CHECK);
	if (rc == MM_OK)
		take_answers(&answer, asked);
	for (unsigned i = 0; i < n; i++)
		if (rc != MM_OK)
			asked[i]->flags |= MM_FLIGHT_NOSIGNER;
		else
			count_right(p, asked[i]);
	mm_wipe(p->out.p, p->out.n);
}

static bool
ask(struct pipe *p, struct mm_flight *f, uint32_t tag)
{
	struct mm_token_check_req req;
	bool ok = mm_token_id_parse(mm_bytes_of(f->job->authority.token),
	    req.id, NULL) == MM_OK;

	memcpy(req.secret, f->job->authority.secret, sizeof(req.secret));
	if (ok)
		ok = mm_frame_put_req(&p->out, tag, &req);
	mm_wipe(&req, sizeof(req));
	return ok;
}

static void
check_secrets(struct pipe *p)
{
	struct mm_flight *asked[MM_IPC_ITEMS_MAX];
	uint32_t tag = 0;
	unsigned n = 0;

	for (struct mm_job *j = p->work.head; j != NULL; j = j->next) {
		if (needs_check(j))
			open_code(p, j);
		if (!needs_check(j))
			continue;
		if (n == 0) {
			tag = mm_wire_tag(p->c->wire);
			mm_frame_begin(&p->out, MM_IPC_TOKEN_CHECK);
		}
		if (ask(p, mm_flight_of(j), tag + n))
			asked[n++] = mm_flight_of(j);
		if (n == MM_IPC_ITEMS_MAX) {
			check(p, asked, n);
			n = 0;
		}
	}
	check(p, asked, n);
}

/* ---- steps 1 and 4: who comes in, and who leads ---- */

static const char *
closed(struct mm_core *c, const struct mm_job *job)
{
	const struct mm_flight *f = mm_flight_of(job);

	if (f->flags & MM_FLIGHT_BUSY)
		return "too many requests in flight";
	if (c->stopping)
		return "stopping";
	if (!c->store_ok)
		return "the store is away";
	if (job->kind != MM_JOB_CONFIRM && (!mm_wire_up(c->wire) ||
	    (f->flags & MM_FLIGHT_NOSIGNER)))
		return "the signer is away";
	/* decided by a wrong clock, a good token would look expired */
	if (job->kind != MM_JOB_CONFIRM && !c->issuing)
		return "nothing can be issued now";
	return NULL;
}

/* Who proved nothing holds up nobody, and cannot tell by waiting whether the
 * token is in use. */
static bool
unproven(const struct mm_job *job)
{
	return job->authority.kind == MM_AUTH_NONE ||
	    (mm_authority_presents(&job->authority) &&
	    (mm_flight_of(job)->flags & MM_FLIGHT_SECRET) == 0);
}

static bool
reserve(struct pipe *p, struct mm_job *job)
{
	struct mm_flight *f = mm_flight_of(job);

	if (job->kind == MM_JOB_CONFIRM || (f->flags & MM_FLIGHT_HELD) ||
	    unproven(job))
		return true;
	mm_facts_authority(&job->authority, f->name);
	/* step 4: reserve */
	switch (mm_reserve_take(p->c->reserve, f)) {
	case MM_TAKEN:
		mm_step(p->c, 4);
		return true;
	case MM_TAKEN_BY_OTHER:
		refuse(p, job, MM_R_IN_FLIGHT, NULL);
		return false;
	case MM_PARKED:
		return false;
	}
	return false;
}

static void
admit(struct pipe *p, struct mm_job *list)
{
	struct mm_job *next;

	mm_jobs_init(&p->work);
	for (struct mm_job *j = list; j != NULL; j = next) {
		struct mm_flight *f = mm_flight_of(j);
		const char *why = closed(p->c, j);

		next = j->next;
		if (why != NULL) {
			j->retry_after_s = 1 + (unsigned)(j->loop & 3);
			refuse(p, j, MM_R_BUSY, why);
			continue;
		}
		/* step 1: admitted; step 2 was the caller's walk */
		mm_step(p->c, 1);
		if (j->kind == MM_JOB_ENROL || j->kind == MM_JOB_REENROL)
			mm_csr_key_hash(&j->csr, f->spki);
		mm_jobs_add(&p->work, j);
	}
}

static void
lead(struct pipe *p)
{
	struct mm_job *next, *list = p->work.head;

	mm_jobs_init(&p->work);
	for (struct mm_job *j = list; j != NULL; j = next) {
		next = j->next;
		if (mm_flight_of(j)->flags & MM_FLIGHT_NOSIGNER)
			refuse(p, j, MM_R_BUSY, "the signer is away");
		else if (reserve(p, j))
			mm_jobs_add(&p->work, j);
	}
}

/* ---- step 3 and what follows from it ---- */

static void
to_commit(struct pipe *p, struct mm_job *job)
{
	job->next = NULL;
	mm_queue_put(&p->c->commits, job);
}

/* Where people have to do something first, nobody need come every second. */
static unsigned
again_s(const struct mm_verdict *v)
{
	enum mm_reason r = v->reason;

	if (r == MM_R_GROUP_WAITS) /* who compares a code stands beside it */
		return v->pairs ? PAIRING_S : PERSON_S;
	if (r != MM_R_GROUP_PAUSED && r != MM_R_GROUP_QUEUE)
		return 0;
	return v->pairs ? PERSON_S : PAUSE_S;
}

/* Who proves nothing can be told of by name only where somebody waits: else
 * each name he makes up would be an entry. */
static bool
is_anybody(const struct mm_verdict *v)
{
	return v->pairs && v->reason != MM_R_GROUP_KEY;
}

/* Each that begins to wait is an entry, and anybody can begin to: so many a
 * minute, whatever groups they are of. */
static void
pace_pairing(struct mm_core *c, struct mm_verdict *v)
{
	int64_t minute = mm_mono_ms() / 60000;

	if (!v->pairs || (v->effects & MM_FX_WAIT) == 0)
		return;
	if (c->pairing_minute != minute)
		c->pairing_n = 0;
	c->pairing_minute = minute;
	if (c->pairing_n++ < PAIRING_MOST)
		return;
	v->effects = 0;
	v->reason = MM_R_GROUP_QUEUE;
	v->code = mm_reason_code(v->reason);
}

/* Steps 3 and 4 done, nothing spent. */
static void
act_refuse(struct pipe *p, struct mm_job *job)
{
	struct mm_flight *f = mm_flight_of(job);
	const struct mm_verdict *v = &f->verdict;
	bool first = false;

	pace_pairing(p->c, &f->verdict);
	if (v->reason != MM_R_GUESSED) /* that one has its own */
		job->retry_after_s = again_s(v);
	mm_core_refuse(job, v->reason, NULL);
	job->result = v->code;
	strcpy(job->device, v->device);
	if (v->code == MM_EAUTH || is_anybody(v))
		mm_counts_counted(p->c->counts, v->reason);
	else if (v->code != MM_EAGAIN)
		first = mm_counts_refused(p->c->counts, v);
	if (mm_ops_refuse(f, first, NULL) != MM_OK || f->nops == 0)
		finish(p, job);
	else
		to_commit(p, job);
}

/* Another CA signs; what it is asked for is looked at first, and possession
 * proved, as for our own. */
static void
forward(struct pipe *p, struct mm_job *job)
{
	struct mm_flight *f = mm_flight_of(job);
	const struct mm_issuer_conf *i = mm_upstream_of(p->c,
	    f->verdict.profile);
	const struct mm_possess_req req = { mm_buf_view(&job->request) };
	enum mm_reason no;

	if (mm_upstream_again(p->c, f, i)) {
		to_commit(p, job);
		return;
	}
	no = mm_upstream_admit(p->c, f, i);
	if (no != MM_R_NONE) {
		refuse(p, job, no, job->said[0] != '\0' ? job->said : NULL);
		return;
	}
	/* step 5: sign */
	mm_step(p->c, 5);
	if (!mm_wire_put(p->c->wire, MM_IPC_POSSESS, f, &req))
		refuse(p, job, MM_R_BUSY, "the signer is away");
}

static void
sign(struct pipe *p, struct mm_job *job)
{
	struct mm_flight *f = mm_flight_of(job);
	const struct mm_verdict *v = &f->verdict;
	struct mm_issue_req req = { .profile_version =
	    (uint32_t)v->profile->version };

	/* step 4, among nodes */
	if (mm_lease_ask(p->c, f)) {
		to_commit(p, job);
		return;
	}
	if (mm_upstream_of(p->c, v->profile) != NULL) {
		forward(p, job);
		return;
	}
	mm_upstream_end(p->c, f); /* of an earlier try */
	strcpy(req.profile, v->profile->name);
	strcpy(req.device, v->device);
	strcpy(req.product, v->product);
	strcpy(req.authority, v->authority);
	req.keygen = job->kind == MM_JOB_KEYGEN;
	req.csr = mm_buf_view(&job->request);
	/* step 5: sign */
	mm_step(p->c, 5);
	if (!mm_wire_put(p->c->wire, MM_IPC_ISSUE, f, &req))
		refuse(p, job, MM_R_BUSY, "the signer is away");
}

/* An answer that could not be had spends nothing, like a no. */
static void
act_issue(struct pipe *p, struct mm_job *job)
{
	struct mm_flight *f = mm_flight_of(job);
	enum mm_asked asked = mm_ask(p->c, f);

	if (asked == MM_ASKED_WAITS)
		return;
	if (asked == MM_ASKED_YES) {
		sign(p, job);
		return;
	}
	if (f->ask.answered)
		strcpy(job->said, f->ask.text);
	if (asked == MM_ASKED_AWAY) {
		job->retry_after_s = ASK_AGAIN_S;
		refuse(p, job, MM_R_AUTHORISE_AWAY, NULL);
		return;
	}
	f->verdict.act = MM_ACT_REFUSE;
	f->verdict.reason = MM_R_AUTHORISE_NO;
	f->verdict.code = mm_reason_code(MM_R_AUTHORISE_NO);
	f->verdict.effects = 0;
	act_refuse(p, job);
}

/* What replaying tells about the stored certificate. */
static void
fill_stored(struct mm_job *job, const struct mm_cert_row *row)
{
	size_t n = strcspn(row->profile, "@");

	memcpy(job->serial, row->serial, 16);
	strcpy(job->issuer, row->issuer);
	strcpy(job->device, row->device);
	memcpy(job->profile, row->profile, n);
	job->profile[n] = '\0';
	job->entry = row->entry;
	job->not_after_s = row->not_after_s;
}

/* Whoever waits for the same name is decided in this same snapshot: nobody
 * wrote under the name since it was begun. */
static void
act_replay(struct pipe *p, struct mm_job *job)
{
	struct mm_flight *f = mm_flight_of(job), *heir;
	struct mm_possess_req req = { mm_buf_view(&job->request) };

	heir = mm_reserve_pass(p->c->reserve, f);
	if (heir != NULL)
		mm_jobs_add(&p->work, heir->job);
	fill_stored(job, &p->facts.claimed);
	mm_buf_reset(&job->der);
	if (mm_get_cert_der(p->c->decide_reader, job->serial, &job->der,
	    NULL) != MM_OK)
		refuse(p, job, MM_R_BUSY, "the store cannot be read");
	/* step 5 without a new signature: possession each time */
	else if (!mm_wire_put(p->c->wire, MM_IPC_POSSESS, f, &req))
		refuse(p, job, MM_R_BUSY, "the signer is away");
}

static void
act_confirm(struct pipe *p, struct mm_job *job)
{
	/* step 8: confirm */
	mm_step(p->c, 8);
	if (mm_ops_confirm(mm_flight_of(job), NULL) == MM_OK)
		to_commit(p, job);
	else
		refuse(p, job, MM_R_BUSY, "ledger entry");
}

static void
act_done(struct pipe *p, struct mm_job *job)
{
	job->replayed = true;
	finish(p, job);
}

static void (*const acts[])(struct pipe *, struct mm_job *) = {
	[MM_ACT_REFUSE] = act_refuse,
	[MM_ACT_ISSUE] = act_issue,
	[MM_ACT_REPLAY] = act_replay,
	[MM_ACT_CONFIRM] = act_confirm,
	[MM_ACT_DONE] = act_done,
};

/* A round ends with its last job: where the store is slow, those that wait for
 * many others are told so while somebody still listens. */
static bool
late(const struct mm_core *c, const struct mm_flight *f)
{
	int64_t most = MM_LATE_MS;

	/* another CA took its time, and its certificate is there */
	if (mm_upstream_kept(f))
		return false;
	/* for others' question, and for its own */
	if (c->conf.ask != NULL)
		most += 2 * c->conf.ask_ms;
	return mm_mono_us() - f->posted_us > most * 1000;
}

static void
decide(struct pipe *p, struct mm_job *job)
{
	struct mm_flight *f = mm_flight_of(job);

	f->nops = 0;
	f->flags &= ~(unsigned)(MM_FLIGHT_FORWARD | MM_FLIGHT_FAILED);
	job->said[0] = '\0';
	job->result = MM_OK;
	job->reason = MM_R_NONE;
	if (late(p->c, f)) {
		refuse(p, job, MM_R_BUSY, "the store is slow");
		return;
	}
	if (mm_facts_read(p->c, p->c->decide_reader, f, &p->facts, NULL) !=
	    MM_OK) {
		refuse(p, job, MM_R_BUSY, "the store cannot be read");
		return;
	}
	/* step 3: decide */
	mm_decide(&p->facts, &f->verdict);
	if (f->verdict.act != MM_ACT_ISSUE)
		mm_upstream_end(p->c, f); /* of an earlier try */
	mm_step(p->c, 3);
	strcpy(job->device, f->verdict.device);
	acts[f->verdict.act](p, job);
}

/* Heirs of replays join the list while it is walked. */
static void
decide_all(struct pipe *p)
{
	struct mm_job *j;

	if (p->work.head == NULL)
		return;
	if (mm_reader_begin(p->c->decide_reader, NULL) != MM_OK) {
		while ((j = p->work.head) != NULL) {
			p->work.head = j->next;
			refuse(p, j, MM_R_BUSY, "the store cannot be read");
		}
		return;
	}
	p->facts.product.name[0] = '\0'; /* an older snapshot's */
	while ((j = p->work.head) != NULL) {
		p->work.head = j->next;
		if (j->next == NULL)
			mm_jobs_init(&p->work);
		decide(p, j);
	}
	mm_wire_flush(p->c->wire);
	mm_reader_end(p->c->decide_reader);
}

/* see priv.h */
void *
mm_pipe_run(void *core)
{
	struct pipe p = { .c = core };
	struct mm_job *list;

	mm_buf_init(&p.out, MM_IPC_FRAME_MAX);
	mm_buf_init(&p.in, MM_IPC_FRAME_MAX);
	mm_jobs_init(&p.done);
	while ((list = mm_queue_take(&p.c->jobs, true)) != NULL) {
		admit(&p, list);
		check_secrets(&p);
		lead(&p);
		decide_all(&p);
		mm_core_hand_back(p.c, &p.done);
	}
	mm_buf_wipe(&p.out);
	mm_buf_done(&p.in);
	return NULL;
}
