#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/own.h"
#include "core/upstream_priv.h"
#include "pki/foreign.h"

/*
 * Issuers that are another CA's.  A job whose verdict is to issue has its
 * names compared and its possession proved; what is about to be asked is
 * written down, as a document and a ledger entry; only then does the question
 * leave.  With the answer the document goes, in the same step as the record
 * of the certificate, or as the entry of why there is none.  A document that
 * no process waits for any more is a question whose answer was lost.
 *
 * A certificate whose record something stood in the way of is kept while its
 * job is decided anew: by a verdict that still fits it is recorded, and the CA
 * is not asked for another one; else it is settled, as any signature is.
 *
 * A CA that does not answer, or says no, is left alone for a while
 * (upstream_rest.h).
 */
enum {
	GRACE_MS = 1000 * MM_UPSTREAM_GRACE_S,
	LEASE_MS = 5000,
	BODY_MAX = 2048, PAPER_MAX = 4096,
};

struct mm_going {
	struct mm_op op;             /* its document's */
	struct mm_buf body, paper;
	struct mm_flight *flight;
	struct mm_going *next;       /* of all that there are */
	uint64_t number;
	int64_t until;               /* monotonic; 0: not asked yet */
	int64_t asked_at;            /* ... */
	int64_t leased_at;           /* ...: its lease was written */
	struct mm_cert_row row;      /* kept: what could not be recorded */
	uint8_t id[16];
	size_t issuer;
	enum mm_forwarded how;
	unsigned again_s;            /* when to come again, after a no */
	uint8_t wrong[32];           /* SHA-256 of what came instead */
	bool came;
	bool known;                  /* ... and it is on record already */
	bool alone;                  /* no device's doing: nobody was asked */
	bool made;                   /* counted as that once the job is over */
	bool kept;                   /* it is in job->der, and on no record */
};

struct mm_upstream {
	pthread_mutex_t lock;
	struct mm_core *c;
	struct mm_going *all;
	struct mm_at_issuer *at;     /* of each issuer of the configuration */
	uint64_t number;
};

static bool
init_each(struct mm_upstream *u)
{
	const struct mm_config *config = u->c->config;

	u->at = calloc(config->nissuer + 1, sizeof(*u->at));
	for (size_t i = 0; u->at != NULL && i < config->nissuer; i++)
		if (mm_issuer_upstream(&config->issuer[i]) &&
		    !mm_at_init(&u->at[i], config->nprofile))
			return false;
	return u->at != NULL;
}

/* see priv.h */
enum mm_err
mm_upstream_new(struct mm_core *c, struct mm_why *why)
{
	struct mm_upstream *u = calloc(1, sizeof(*u));

	if (u == NULL)
		return MM_FAIL(why, MM_ENOMEM, "upstream: no memory");
	u->c = c;
	pthread_mutex_init(&u->lock, NULL);
	if (!init_each(u)) {
		mm_upstream_free(&u);
		return MM_FAIL(why, MM_ENOMEM, "upstream: no memory");
	}
	c->upstream = u;
	return MM_OK;
}

/* see priv.h */
void
mm_upstream_free(struct mm_upstream **owner)
{
	struct mm_upstream *u = MM_MOVE(*owner);

	if (u == NULL)
		return;
	pthread_mutex_destroy(&u->lock);
	for (size_t i = 0; u->at != NULL && i < u->c->config->nissuer; i++)
		mm_at_done(&u->at[i]);
	free(u->at);
	free(u);
}

/* see priv.h */
void
mm_going_free(struct mm_going **owner)
{
	struct mm_going *g = MM_MOVE(*owner);

	if (g == NULL)
		return;
	mm_buf_done(&g->body);
	mm_buf_done(&g->paper);
	free(g);
}

/* see priv.h */
const struct mm_issuer_conf *
mm_upstream_of(const struct mm_core *c, const struct mm_profile *p)
{
	const struct mm_issuer_conf *i = mm_config_issuing(c->config,
	    p->issuer, mm_now_s());

	return i != NULL && mm_issuer_upstream(i) ? i : NULL;
}

/* ---- those that are under way ---- */

static struct mm_at_who
who_of(const struct mm_upstream *u, const struct mm_flight *f)
{
	return (struct mm_at_who){ .device = f->verdict.device,
		.spki = f->spki, .profile = (size_t)(f->verdict.profile -
		    u->c->config->profile) };
}

/* Who has no chance need not prove anything. */
static bool
looks_open(struct mm_upstream *u, struct mm_flight *f,
    const struct mm_issuer_conf *i)
{
	const struct mm_at_who who = who_of(u, f);
	bool open;

	pthread_mutex_lock(&u->lock);
	open = mm_at_may(&u->at[i - u->c->config->issuer], &who,
	    i->at_once, &f->job->retry_after_s);
	pthread_mutex_unlock(&u->lock);
	if (open)
		f->job->retry_after_s = 0;
	return open;
}

/* Takes a place, if the issuer has one now: who has proved its key. */
static bool
enter(struct mm_upstream *u, struct mm_flight *f)
{
	struct mm_going *g = f->going;
	struct mm_at_issuer *at = &u->at[g->issuer];
	const struct mm_at_who who = who_of(u, f);
	bool room;

	pthread_mutex_lock(&u->lock);
	room = mm_at_may(at, &who,
	    u->c->config->issuer[g->issuer].at_once, &f->job->retry_after_s);
	if (room) {
		g->asked_at = g->leased_at = mm_mono_ms();
		mm_at_ask(at, &who, g->asked_at);
		f->job->retry_after_s = 0;
		g->number = ++u->number;
		g->next = u->all;
		u->all = g;
	}
	pthread_mutex_unlock(&u->lock);
	return room;
}

/* The caller has the lock. */
static void
cut(struct mm_upstream *u, struct mm_going *g)
{
	struct mm_going **at = &u->all;

	while (*at != NULL && *at != g)
		at = &(*at)->next;
	if (*at == NULL)
		return;
	*at = g->next;
	u->at[g->issuer].under_way--;
}

/* Its document is somebody's at every instant: settle.c has it first. */
static void
leave(struct mm_upstream *u, struct mm_flight *f)
{
	struct mm_going *g = f->going;
	char id[MM_DOC_ID_MAX + 1];

	if (g == NULL)
		return;
	mm_upstream_doc(u->c, f, id);
	if (g->kept)
		mm_settle_add(u->c, &g->row, mm_buf_view(&f->job->der), id);
	pthread_mutex_lock(&u->lock);
	cut(u, g);
	if (g->made)
		u->at[g->issuer].stats.n[MM_FORWARD_MADE]++;
	pthread_mutex_unlock(&u->lock);
	mm_going_free(&f->going);
}

/* Whoever takes it out answers it: once. */
static struct mm_going *
take(struct mm_upstream *u, uint64_t number, int64_t before)
{
	struct mm_going *g;

	pthread_mutex_lock(&u->lock);
	for (g = u->all; g != NULL; g = g->next)
		if (g->until != 0 && (number != 0 ? g->number == number :
		    g->until <= before))
			break;
	if (g != NULL)
		g->until = 0;
	pthread_mutex_unlock(&u->lock);
	return g;
}

static void
count(struct mm_upstream *u, struct mm_going *g,
    const struct mm_forward_rep *rep)
{
	const struct mm_at_who who = who_of(u, g->flight);
	struct mm_at_who told = who;
	bool all;

	if (g->alone)
		told.device = NULL;
	pthread_mutex_lock(&u->lock);
	all = mm_at_tell(&u->at[g->issuer], rep, &told, g->asked_at);
	(void)mm_at_may(&u->at[g->issuer], &who, INT64_MAX, &g->again_s);
	pthread_mutex_unlock(&u->lock);
	if (!all)
		mm_core_note(u->c, 2, "upstream", "more devices than can be "
		    "kept wait for what their CA decides: those whose time "
		    "comes first are asked for too soon");
}

/* ---- D ---- */

static struct mm_foreign
foreign_of(struct mm_core *c, const struct mm_flight *f, size_t issuer)
{
	const struct mm_chain *chain = mm_chains_issuer(c->chains,
	    c->config->issuer[issuer].name);

	return (struct mm_foreign){ .profile = f->verdict.profile,
		.device = f->verdict.device, .product = f->verdict.product,
		.issuer = chain->der[0] };
}

static struct mm_going *
going_new(struct mm_flight *f, size_t issuer)
{
	struct mm_going *g = calloc(1, sizeof(*g));

	if (g == NULL)
		return NULL;
	mm_buf_init(&g->body, BODY_MAX);
	mm_buf_init(&g->paper, PAPER_MAX);
	g->flight = f;
	g->issuer = issuer;
	if (getrandom(g->id, sizeof(g->id), 0) != sizeof(g->id))
		mm_going_free(&g);
	return g;
}

/* see priv.h */
enum mm_reason
mm_upstream_admit(struct mm_core *c, struct mm_flight *f,
    const struct mm_issuer_conf *i)
{
	size_t issuer = (size_t)(i - c->config->issuer);
	struct mm_foreign what = foreign_of(c, f, issuer);
	struct mm_why why = { 0 };

	leave(c->upstream, f); /* of an earlier try */
	if (f->job->kind == MM_JOB_KEYGEN)
		return MM_R_PROFILE;
	if (mm_foreign_request(&f->job->csr, &what, &why) != MM_OK) {
		snprintf(f->job->said, sizeof(f->job->said), "%s", why.text);
		return MM_R_UPSTREAM_NAMES;
	}
	if (c->conf.forward == NULL)
		return MM_R_UPSTREAM_AWAY;
	if (!looks_open(c->upstream, f, i))
		return MM_R_UPSTREAM_AWAY;
	f->going = going_new(f, issuer);
	if (f->going == NULL)
		return MM_R_BUSY;
	f->flags |= MM_FLIGHT_FORWARD;
	return MM_R_NONE;
}

/* ---- what is written ---- */

static void
asked_of(const struct mm_core *c, const struct mm_flight *f,
    struct mm_upstream_asked *a)
{
	const struct mm_verdict *v = &f->verdict;
	uint8_t hash[32];

	strcpy(a->authority, v->authority);
	strcpy(a->device, v->device);
	strcpy(a->product, v->product);
	strcpy(a->issuer, c->config->issuer[f->going->issuer].name);
	snprintf(a->profile, sizeof(a->profile), "%s@%lld", v->profile->name,
	    (long long)v->profile->version);
	mm_hex_text(f->spki, 32, a->spki);
	mm_sha256(mm_buf_view(&f->job->request), hash);
	mm_hex_text(hash, 32, a->request);
	strcpy(a->node, c->config->set.node);
	strcpy(a->session, c->nodes.session);
}

static enum mm_err
put_body(const struct mm_upstream_asked *a, struct mm_buf *body,
    struct mm_why *why)
{
	struct mm_json j = mm_json_over(body);

	mm_buf_reset(body);
	mm_json_open(&j, '{');
	mm_json_str(&j, "authority", a->authority);
	mm_json_str(&j, "device", a->device);
	mm_json_str(&j, "product", a->product);
	mm_json_str(&j, "issuer", a->issuer);
	mm_json_str(&j, "profile", a->profile);
	mm_json_str(&j, "spki_sha256", a->spki);
	mm_json_str(&j, "request_sha256", a->request);
	mm_json_str(&j, "node", a->node);
	mm_json_str(&j, "session", a->session);
	mm_json_close(&j, '}');
	return mm_buf_ok(body, why);
}

static void
doc_id(const struct mm_core *c, const struct mm_going *g,
    char out[MM_DOC_ID_MAX + 1])
{
	char hex[33];

	mm_hex_text(g->id, sizeof(g->id), hex);
	snprintf(out, MM_DOC_ID_MAX + 1, "%s/%s", c->config->set.node, hex);
}

/* see upstream_priv.h */
void
mm_upstream_doc(const struct mm_core *c, const struct mm_flight *f,
    char out[MM_DOC_ID_MAX + 1])
{
	out[0] = '\0';
	if (f->going != NULL)
		doc_id(c, f->going, out);
}

static struct mm_op *
drop(struct mm_core *c, struct mm_going *g, const struct mm_cert_row *with)
{
	char id[MM_DOC_ID_MAX + 1];

	doc_id(c, g, id);
	mm_upstream_drop(id, with, &g->op);
	return &g->op;
}

static enum mm_err
note(struct mm_core *c, struct mm_flight *f)
{
	struct mm_going *g = f->going;
	struct mm_papers p = mm_papers_over(&g->paper);
	struct mm_upstream_asked a;
	struct mm_entry e;

	asked_of(c, f, &a);
	MM_TRY(put_body(&a, &g->body, NULL));
	f->op[0] = drop(c, g, NULL);
	f->nops = 1;
	g->op.u.doc.expect = 0; /* not taken away: put */
	g->op.u.doc.body = mm_buf_view(&g->body);
	mm_upstream_entry(&a, MM_E_UPSTREAM_ASKED, &e);
	mm_papers_add(&p, &e);
	return mm_papers_seal(&p, &g->op, NULL);
}

/* see priv.h */
enum mm_reason
mm_upstream_note(struct mm_core *c, struct mm_flight *f)
{
	if (!enter(c->upstream, f))
		return MM_R_UPSTREAM_AWAY;
	return note(c, f) == MM_OK ? MM_R_NONE : MM_R_BUSY;
}

/* ---- asking ---- */

static void
ask(struct mm_core *c, struct mm_flight *f, struct mm_forward_req *q)
{
	const struct mm_verdict *v = &f->verdict;

	strcpy(q->issuer, c->config->issuer[f->going->issuer].name);
	strcpy(q->profile, v->profile->name);
	q->profile_version = (uint32_t)v->profile->version;
	strcpy(q->device, v->device);
	strcpy(q->product, v->product);
	strcpy(q->authority, v->authority);
	q->renewal = (v->effects & MM_FX_RENEWAL) != 0;
	memcpy(q->id, f->going->id, sizeof(q->id));
	q->csr = mm_buf_view(&f->job->request);
}

static void
answered(struct mm_core *c, struct mm_going *g,
    const struct mm_forward_rep *rep);

/* see priv.h; once it may be answered it is another thread's */
void
mm_upstream_go(struct mm_core *c, struct mm_flight *f)
{
	struct mm_forward_req q = { .renewal = 0 };
	struct mm_going *g = f->going;
	const uint64_t number = g->number;
	const int64_t now = mm_mono_ms();
	int64_t within = c->config->issuer[g->issuer].answer_within_s * 1000;
	struct mm_forward_rep away = { .how = MM_FORWARD_AWAY,
		.why = "the registrar is away" };

	ask(c, f, &q);
	q.begin_by_ms = (uint64_t)now + 1000 * MM_UPSTREAM_BEGIN_S;
	pthread_mutex_lock(&c->upstream->lock);
	g->until = now + within + GRACE_MS;
	c->upstream->at[g->issuer].stats.asked++;
	pthread_mutex_unlock(&c->upstream->lock);
	if (c->conf.forward(c->conf.ctx, number, &q))
		return;
	g = take(c->upstream, number, 0);
	if (g == NULL)
		return;
	g->alone = true;
	answered(c, g, &away);
}

/* ---- the answer ---- */

/* What is in job->der, for this verdict: the ops that record it. */
static enum mm_err
record(struct mm_core *c, struct mm_flight *f, struct mm_why *why)
{
	const struct mm_issuer_conf *i = &c->config->issuer[f->going->issuer];
	struct mm_foreign what = foreign_of(c, f, f->going->issuer);
	struct mm_issue_rep made = { .shard = 0 };
	struct mm_job *job = f->job;
	struct mm_cert cert;

	made.der = mm_buf_view(&job->der);
	MM_TRY(mm_foreign_lint(made.der, &job->csr, &what, mm_now_s(), why));
	MM_TRY(mm_cert_walk(made.der, &cert, why));
	mm_foreign_number(&cert, made.serial);
	strcpy(made.issuer, i->name);
	memcpy(made.spki_sha256, f->spki, 32);
	made.not_before_s = (uint64_t)cert.not_before_s;
	made.not_after_s = (uint64_t)cert.not_after_s;
	memcpy(job->serial, made.serial, 16);
	strcpy(job->issuer, made.issuer);
	strcpy(job->profile, f->verdict.profile->name);
	strcpy(job->device, f->verdict.device);
	job->not_after_s = cert.not_after_s;
	f->nops = 0;
	MM_TRY(mm_ops_issue(f, &made, why));
	/* if it was not recorded, the document stays until an orphan is */
	f->op[f->nops++] = drop(c, f->going, &job->op.u.issue.row);
	return MM_OK;
}

static enum mm_err
take_made(struct mm_core *c, struct mm_flight *f,
    const struct mm_forward_rep *rep, struct mm_why *why)
{
	struct mm_job *job = f->job;

	mm_buf_reset(&job->der);
	mm_buf_bytes(&job->der, rep->der);
	MM_TRY(mm_buf_ok(&job->der, why));
	return record(c, f, why);
}

/* see upstream_priv.h */
void
mm_upstream_keep(struct mm_flight *f)
{
	f->going->row = f->job->op.u.issue.row;
	f->going->kept = true;
}

/* see upstream_priv.h */
bool
mm_upstream_kept(const struct mm_flight *f)
{
	return f->going != NULL && f->going->kept;
}

/* see upstream_priv.h */
bool
mm_upstream_again(struct mm_core *c, struct mm_flight *f,
    const struct mm_issuer_conf *i)
{
	if (!mm_upstream_kept(f) ||
	    i != &c->config->issuer[f->going->issuer] ||
	    record(c, f, NULL) != MM_OK)
		return false;
	f->going->kept = false;
	return true;
}

static const char *const reasons[MM_FORWARDS] = {
	[MM_FORWARD_REFUSED] = "refused",
	[MM_FORWARD_WRONG] = "wrong-answer",
	[MM_FORWARD_AWAY] = "unavailable",
	[MM_FORWARD_LOST] = "no-answer",
	[MM_FORWARD_PENDING] = "pending",
	[MM_FORWARD_OURS] = "not-asked",
};

static enum mm_err
note_failed(struct mm_core *c, struct mm_flight *f, struct mm_why *why)
{
	struct mm_going *g = f->going;
	struct mm_papers p = mm_papers_over(&g->paper);
	struct mm_upstream_asked a;
	struct mm_entry e;
	char wrong[65];

	asked_of(c, f, &a);
	f->op[0] = drop(c, g, NULL);
	f->nops = 1;
	mm_upstream_entry(&a, g->how == MM_FORWARD_LOST ?
	    MM_E_UPSTREAM_UNKNOWN : MM_E_UPSTREAM_REFUSED, &e);
	e.field[MM_F_REASON] = g->known ? "on-record" : reasons[g->how];
	mm_hex_text(g->wrong, 32, wrong);
	if (g->came && g->how == MM_FORWARD_WRONG)
		e.field[MM_F_CERT_SHA256] = wrong;
	mm_papers_add(&p, &e);
	return mm_papers_seal(&p, &g->op, why);
}

static unsigned
again_s(const struct mm_going *g, const struct mm_forward_rep *rep)
{
	switch (g->how) {
	case MM_FORWARD_PENDING:
		return mm_at_pending_s(rep->retry_after_s);
	case MM_FORWARD_AWAY:
		return mm_at_away_s(rep->retry_after_s);
	case MM_FORWARD_LOST:
		return MM_AGAIN_BUSY_S;
	case MM_FORWARD_WRONG:
		return MM_AGAIN_NO_S;
	default:
		return g->again_s;
	}
}

static void
failed(struct mm_core *c, struct mm_flight *f,
    const struct mm_forward_rep *rep)
{
	struct mm_going *g = f->going;
	struct mm_why why = { 0 };

	g->how = (enum mm_forwarded)rep->how;
	g->came = rep->der.n > 0;
	if (rep->der.n == sizeof(g->wrong)) /* the registrar keeps it */
		memcpy(g->wrong, rep->der.p, sizeof(g->wrong));
	else
		mm_sha256(rep->der, g->wrong);
	snprintf(f->job->said, sizeof(f->job->said), "%s", rep->why);
	f->job->retry_after_s = again_s(g, rep);
	f->flags |= MM_FLIGHT_FAILED;
	/* without the entry the document stays, and housekeeping enters it */
	if (note_failed(c, f, &why) != MM_OK)
		f->nops = 0;
}

/* Any thread; g's flight is this one's until it is W's. */
static void
answered(struct mm_core *c, struct mm_going *g,
    const struct mm_forward_rep *rep)
{
	struct mm_forward_rep said = *rep;
	struct mm_flight *f = g->flight;
	struct mm_why why = { 0 };

	f->flags &= ~(unsigned)MM_FLIGHT_FORWARD;
	if (said.how == MM_FORWARD_MADE &&
	    take_made(c, f, &said, &why) != MM_OK) {
		said.how = MM_FORWARD_WRONG;
		snprintf(said.why, sizeof(said.why), "%s", why.text);
	}
	count(c->upstream, g, &said);
	g->made = said.how == MM_FORWARD_MADE;
	if (!g->made) {
		mm_core_note(c, 2, "upstream", said.why);
		failed(c, f, &said);
	}
	f->job->next = NULL;
	mm_queue_put(&c->commits, f->job);
}

/*
 * see priv.h; it is there twice, as the CA gave it before: under another
 * authority, or withdrawn since.  Asking anew would bring it again, for ever.
 */
void
mm_upstream_known(struct mm_core *c, struct mm_flight *f, bool own)
{
	const struct mm_forward_rep rep = { .how = MM_FORWARD_WRONG,
		.der = mm_buf_view(&f->job->der),
		.why = "the certificate that it gave is on record already" };

	pthread_mutex_lock(&c->upstream->lock);
	mm_at_tally(&c->upstream->at[f->going->issuer], MM_FORWARD_WRONG,
	    rep.why);
	pthread_mutex_unlock(&c->upstream->lock);
	f->going->made = false;
	mm_core_note(c, 2, "upstream", rep.why);
	f->going->known = true;
	failed(c, f, &rep);
	if (own) /* another node's, for this very request */
		f->job->retry_after_s = MM_AGAIN_BUSY_S;
	f->job->next = NULL;
	mm_queue_put(&c->commits, f->job);
}

/* see core.h */
void
mm_core_forwarded(struct mm_core *c, uint64_t number,
    const struct mm_forward_rep *rep)
{
	struct mm_going *g = number == 0 || rep->how >= MM_FORWARDS ? NULL :
	    take(c->upstream, number, 0);

	if (g != NULL)
		answered(c, g, rep);
	else
		mm_core_note(c, 2, "upstream", "an answer that nobody "
		    "waits for (any more)");
}

/* An authority is this node's as long as it asks, and not for long after the
 * node's end.  A flight that is asked for is nobody's: it stays as it is. */
static void
hold_leases(struct mm_upstream *u, int64_t now)
{
	pthread_mutex_lock(&u->lock);
	for (struct mm_going *g = u->all; g != NULL; g = g->next) {
		if (g->until == 0 || now - g->leased_at < LEASE_MS)
			continue;
		g->leased_at = now;
		mm_lease_renew(u->c, g->flight);
	}
	pthread_mutex_unlock(&u->lock);
}

/* see priv.h */
void
mm_upstream_late(struct mm_core *c)
{
	const struct mm_forward_rep lost = { .how = MM_FORWARD_LOST,
		.why = "no answer in time" };
	int64_t now = c->stopping ? INT64_MAX : mm_mono_ms();
	struct mm_going *g;

	while ((g = take(c->upstream, 0, now)) != NULL)
		answered(c, g, &lost);
	hold_leases(c->upstream, mm_mono_ms());
}

/* see priv.h */
enum mm_reason
mm_upstream_failed(struct mm_flight *f)
{
	enum mm_forwarded how = f->going->how;

	return how == MM_FORWARD_AWAY || how == MM_FORWARD_LOST ?
	    MM_R_UPSTREAM_AWAY : MM_R_UPSTREAM_NO;
}

/* see priv.h */
void
mm_upstream_end(struct mm_core *c, struct mm_flight *f)
{
	leave(c->upstream, f);
}

/* see upstream_priv.h */
bool
mm_upstream_going(struct mm_core *c, const char *id)
{
	char own[MM_DOC_ID_MAX + 1];
	bool found = false;

	pthread_mutex_lock(&c->upstream->lock);
	for (const struct mm_going *g = c->upstream->all; g != NULL && !found;
	     g = g->next) {
		doc_id(c, g, own);
		found = strcmp(own, id) == 0;
	}
	pthread_mutex_unlock(&c->upstream->lock);
	return found || mm_settle_waits(c, id);
}

/* see upstream_priv.h */
void
mm_upstream_interrupted(struct mm_core *c, const char *issuer)
{
	const struct mm_issuer_conf *i = mm_config_issuer(c->config, issuer);

	if (i == NULL || !mm_issuer_upstream(i))
		return;
	pthread_mutex_lock(&c->upstream->lock);
	mm_at_tally(&c->upstream->at[i - c->config->issuer], MM_FORWARD_LOST,
	    "the process that asked it ended");
	pthread_mutex_unlock(&c->upstream->lock);
}

/* see upstream.h */
bool
mm_core_upstream(struct mm_core *c, const char *issuer,
    struct mm_upstream_stats *out)
{
	const struct mm_issuer_conf *i = mm_config_issuer(c->config, issuer);

	if (i == NULL || !mm_issuer_upstream(i))
		return false;
	pthread_mutex_lock(&c->upstream->lock);
	*out = c->upstream->at[i - c->config->issuer].stats;
	out->waiting = c->upstream->at[i - c->config->issuer].under_way;
	out->next_at = mm_at_next(&c->upstream->at[i - c->config->issuer]);
	pthread_mutex_unlock(&c->upstream->lock);
	return true;
}

/* see upstream.h */
int64_t
mm_core_upstream_next(struct mm_core *c, const char *issuer, size_t profile)
{
	const struct mm_issuer_conf *i = mm_config_issuer(c->config, issuer);
	int64_t next;

	if (i == NULL || !mm_issuer_upstream(i))
		return 0;
	pthread_mutex_lock(&c->upstream->lock);
	next = mm_at_next_of(&c->upstream->at[i - c->config->issuer], profile);
	pthread_mutex_unlock(&c->upstream->lock);
	return next;
}
