#include <errno.h>
#include <string.h>
#include <time.h>

#include "core/priv.h"

/*
 * L: what is durable goes to the signer's tree, in order and without gaps;
 * within a second, or at once when somebody waits, the tree's head is signed
 * and stored.  It also settles what never became durable.
 */
#define FEED_BYTES   (100 * 1024)
#define FEED_MS      25 /* under load entries wait for company */
#define SIGN_MS      1000
#define TICK_MS      500
#define SHARED_TICK_MS 200 /* what other nodes write is looked for */
#define ASK_MS       5000
#define ASK_AGE_MS   10000
#define STATUS_MS    2000
#define STATUS_TRIES 3
#define LOOK_MS      200

/* ---- feeding ---- */

struct feeding {
	struct mm_core *c;
	struct mm_buf *out;
	uint64_t next; /* index after the last one that went in */
	uint32_t tag;
};

/* MM_ELIMIT: the frame is full, which only ends the walk. */
static enum mm_err
feed_one(void *ctx, uint64_t index, struct mm_bytes entry,
    struct mm_why *why)
{
	struct feeding *g = ctx;
	struct mm_ledger_add_req req = { index, entry };

	(void)why;
	if (mm_frame_count(g->out) > 0 && g->out->n + entry.n > FEED_BYTES)
		return MM_ELIMIT;
	if (!mm_frame_put_req(g->out, g->tag++, &req))
		return MM_ELIMIT;
	g->next = index + 1;
	if (mm_store_shared(g->c->store) || mm_lines_n(g->c->lines) > 0)
		mm_listed_entry(g->c, index, entry);
	return MM_OK;
}

static enum mm_err
check_answers(struct mm_frame *answer, uint64_t size, struct mm_why *why)
{
	struct mm_ledger_add_rep rep = { 0 };
	struct mm_bytes body;
	uint32_t tag;

	while (mm_frame_next(answer, &tag, &body))
		MM_TRY(mm_answer_get(MM_IPC_LEDGER_ADD, body, &rep, why));
	if (rep.size != size)
		return MM_FAIL(why, MM_EBUG, "ledger: the signer's tree has "
		    "%llu entries, want %llu", (unsigned long long)rep.size,
		    (unsigned long long)size);
	return MM_OK;
}

static enum mm_err
feed_frame(struct mm_core *c, uint64_t from, uint64_t to, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf out = MM_BUF_INIT(MM_IPC_FRAME_MAX);
	MM_OWN(mm_buf_done) struct mm_buf in = MM_BUF_INIT(MM_IPC_FRAME_MAX);
	struct feeding g = { c, &out, from, mm_wire_tag(c->wire) };
	struct mm_frame answer;
	enum mm_err rc;

	if (to - from > MM_IPC_ITEMS_MAX)
		to = from + MM_IPC_ITEMS_MAX;
	mm_frame_begin(&out, MM_IPC_LEDGER_ADD);
	rc = mm_each_entry(c->feed_reader, from, to, feed_one, &g, why);
	if (rc != MM_OK && rc != MM_ELIMIT)
		return rc;
	if (g.next == from)
		return MM_FAIL(why, MM_EBUG, "ledger: entry %llu is missing",
		    (unsigned long long)from);
	MM_TRY(mm_wire_batch(c->wire, MM_LINE_LEDGER, &out, &in, &answer,
	    why));
	MM_TRY(check_answers(&answer, g.next, why));
	pthread_mutex_lock(&c->lock);
	c->fed = g.next;
	pthread_mutex_unlock(&c->lock);
	return MM_OK;
}

/* see priv.h */
enum mm_err
mm_feed_all(struct mm_core *c, struct mm_why *why)
{
	for (;;) {
		uint64_t from, to;

		pthread_mutex_lock(&c->lock);
		from = c->fed;
		to = c->ledger_size;
		pthread_mutex_unlock(&c->lock);
		if (from >= to)
			return MM_OK;
		MM_TRY(feed_frame(c, from, to, why));
	}
}

/* ---- signing ---- */

static enum mm_err
store_note(struct mm_core *c, const struct mm_ledger_sign_rep *rep,
    struct mm_why *why)
{
	struct mm_op op = { .kind = MM_OP_CHECKPOINT_PUT };

	op.u.checkpoint.size = rep->size;
	op.u.checkpoint.note = rep->note;
	op.u.checkpoint.turn = c->nodes.turn;
	MM_TRY(mm_core_run1(c, &op, why));
	pthread_mutex_lock(&c->lock);
	c->checkpoint_size = rep->size;
	c->checkpoint_at = mm_now_ms();
	c->want_checkpoint = false;
	pthread_mutex_unlock(&c->lock);
	mm_core_noted(c);
	return MM_OK;
}

/* see priv.h */
enum mm_err
mm_feed_sign(struct mm_core *c, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf frame =
	    MM_BUF_INIT(MM_IPC_FRAME_MAX);
	struct mm_ledger_sign_req req;
	struct mm_ledger_sign_rep rep;
	uint64_t have;

	if (c->nodes.follows)
		return MM_OK;
	pthread_mutex_lock(&c->lock);
	req.size = c->fed;
	have = c->checkpoint_size;
	if (req.size <= have)
		c->want_checkpoint = false;
	pthread_mutex_unlock(&c->lock);
	if (req.size <= have)
		return MM_OK;
	MM_TRY(mm_wire_call(c->wire, MM_LINE_LEDGER, MM_IPC_LEDGER_SIGN, &req,
	    &rep, &frame, why));
	return store_note(c, &rep, why);
}

/* see priv.h */
void
mm_feed_want(struct mm_core *c)
{
	pthread_mutex_lock(&c->lock);
	c->want_checkpoint = true;
	pthread_cond_signal(&c->tick);
	pthread_mutex_unlock(&c->lock);
}

/* ---- meeting a signer ---- */

static enum mm_err
check_hello(struct mm_core *c, const struct mm_hello_rep *rep,
    struct mm_why *why)
{
	const struct mm_settings *set = &c->config->set;

	if ((rep->production != 0) != set->production)
		return MM_FAIL(why, MM_EPOLICY, "signer: one of the two is "
		    "for tests, the other for production");
	if (strcmp(rep->origin, set->ledger_origin) != 0)
		return MM_FAIL(why, MM_EPOLICY, "signer: its ledger is "
		    "\"%.60s\", want \"%.60s\"", rep->origin,
		    set->ledger_origin);
	if (strcmp(rep->node, set->node) != 0)
		return MM_FAIL(why, MM_EPOLICY, "signer: it is node \"%s\", "
		    "want \"%s\"", rep->node, set->node);
	if (rep->tree_size > c->ledger_size)
		return MM_FAIL(why, MM_EPOLICY, "store is behind the signer: "
		    "restore (%llu entries, the signer has %llu)",
		    (unsigned long long)c->ledger_size,
		    (unsigned long long)rep->tree_size);
	return MM_OK;
}

/* Who the signer is and where its tree ends. */
static enum mm_err
hello(struct mm_core *c, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf frame =
	    MM_BUF_INIT(MM_IPC_FRAME_MAX);
	struct mm_hello_req req = { MM_IPC_VERSION };
	struct mm_hello_rep rep;
	enum mm_err rc;

	MM_TRY(mm_wire_call(c->wire, MM_LINE_LEDGER, MM_IPC_HELLO, &req, &rep,
	    &frame, why));
	pthread_mutex_lock(&c->lock);
	rc = check_hello(c, &rep, why);
	if (rc == MM_OK) {
		mm_note_key_make(&c->key, rep.origin, rep.ledger_key);
		memcpy(c->orders_key, rep.orders_key, sizeof(c->orders_key));
		mm_hex_text(rep.place, sizeof(rep.place), c->nodes.place);
		c->nodes.signs = rep.signs != 0;
		c->fed = rep.tree_size;
		mm_word_anew(&c->word);
	}
	pthread_mutex_unlock(&c->lock);
	return rc == MM_OK ? mm_clocks_enter(c, rep.clocks, why) : rc;
}

/* false: it was overtaken (word.h).  Whether it issues and why it does not
 * change together, for who looks at both. */
static bool
take_status(struct mm_core *c, const struct mm_status_rep *rep,
    uint64_t known_n)
{
	bool taken, news = false;

	pthread_mutex_lock(&c->lock);
	taken = mm_word_take(&c->word, rep, known_n);
	if (taken) {
		atomic_store(&c->issuing, rep->issuing != 0 &&
		    !c->nodes.fenced);
		c->signer_at = mm_mono_ms();
		c->signer_skew_ms = (int64_t)rep->now_ms - mm_now_ms();
		news = !c->nodes.fenced && mm_core_reason(c, rep->why);
	}
	pthread_mutex_unlock(&c->lock);
	if (news)
		mm_core_reason_tell(c, rep->why);
	return taken;
}

static uint64_t
known_n(struct mm_core *c)
{
	uint64_t n;

	pthread_mutex_lock(&c->lock);
	n = c->word.signed_n;
	pthread_mutex_unlock(&c->lock);
	return n;
}

/* A signer that is there may still have a reason to issue nothing.  One that
 * signs all the while may overtake itself more than once. */
static enum mm_err
ask_status(struct mm_core *c, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf frame =
	    MM_BUF_INIT(MM_IPC_FRAME_MAX);
	struct mm_status_req req = { 0 };
	struct mm_status_rep rep;
	unsigned tries = STATUS_TRIES;
	uint64_t known;

	do {
		known = known_n(c);
		MM_TRY(mm_wire_call(c->wire, MM_LINE_LEDGER, MM_IPC_STATUS,
		    &req, &rep, &frame, why));
	} while (!take_status(c, &rep, known) && --tries > 0);
	return MM_OK;
}

/* see priv.h; a fence that comes meanwhile stands */
void
mm_feed_signed(struct mm_core *c, uint64_t journal_n)
{
	bool over, news;

	pthread_mutex_lock(&c->lock);
	over = mm_word_signed(&c->word, journal_n) && !c->nodes.fenced;
	if (over)
		atomic_store(&c->issuing, true);
	news = over && mm_core_reason(c, "");
	pthread_mutex_unlock(&c->lock);
	if (over && c->nodes.fenced)
		atomic_store(&c->issuing, false);
	else if (news)
		mm_core_reason_tell(c, "");
}

/* see priv.h */
enum mm_err
mm_feed_greet(struct mm_core *c, struct mm_why *why)
{
	MM_TRY(hello(c, why));
	if (!c->has_feed)
		MM_TRY(mm_nodes_start(c, why));
	MM_TRY(mm_nodes_catch_up(c, why));
	MM_TRY(mm_settle_ask(c, 0, why));
	mm_wire_set_up(c->wire, true);
	return ask_status(c, why);
}

/* ---- the thread ---- */

struct feeder {
	struct mm_core *c;
	int64_t feed_at, sign_at, ask_at, status_at, look_at; /* monotonic */
	bool greet;              /* a signer has not been met yet */
	bool tired;              /* something failed: no sooner than a tick */
};

static struct timespec
deadline(int64_t ms)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	t.tv_nsec += ms * 1000000;
	t.tv_sec += t.tv_nsec / 1000000000;
	t.tv_nsec %= 1000000000;
	return t;
}

/* Reading and a frame cost as much for one entry as for many.  What comes
 * after a quiet while goes at once, and so does a frame that is full. */
static bool
feed_due(const struct feeder *f)
{
	const struct mm_core *c = f->c;

	return c->fed < c->ledger_size && (c->want_checkpoint ||
	    c->ledger_size - c->fed >= MM_IPC_ITEMS_MAX ||
	    mm_mono_ms() >= f->feed_at);
}

static bool
news(const struct feeder *f)
{
	const struct mm_core *c = f->c;

	if (c->leave || c->greet)
		return true;
	if (f->tired || (c->unsettled == NULL && !mm_wire_up(c->wire)))
		return false;
	return c->unsettled != NULL || feed_due(f) ||
	    (c->want_checkpoint && !c->nodes.follows &&
	    c->checkpoint_size < c->ledger_size);
}

static int64_t
sooner(int64_t at, int64_t due, int64_t now)
{
	return due > now && due < at ? due : at;
}

/* A tick, unless a checkpoint is due before, or entries that rest. */
static int64_t
wake_at(const struct feeder *f, int64_t tick)
{
	const struct mm_core *c = f->c;
	int64_t now = mm_mono_ms();

	if (f->tired)
		return tick;
	if (c->fed < c->ledger_size)
		tick = sooner(tick, f->feed_at, now);
	return c->fed > c->checkpoint_size ? sooner(tick, f->sign_at, now)
					   : tick;
}

/* Until there is something new, or a tick has passed, or a checkpoint is due.
 */
static void
wait_for_news(struct feeder *f)
{
	struct mm_core *c = f->c;
	int64_t tick = mm_mono_ms() +
	    (mm_store_shared(c->store) ? SHARED_TICK_MS : TICK_MS);
	struct timespec until;

	pthread_mutex_lock(&c->lock);
	while (!news(f)) {
		int64_t left = wake_at(f, tick) - mm_mono_ms();

		c->feed_rests = c->fed < c->ledger_size;
		until = deadline(left > 0 ? left : 0);
		if (pthread_cond_timedwait(&c->tick, &c->lock, &until) ==
		    ETIMEDOUT)
			break;
	}
	c->feed_rests = false;
	f->greet = f->greet || c->greet;
	c->greet = false;
	pthread_mutex_unlock(&c->lock);
}

static bool
sign_due(struct feeder *f)
{
	struct mm_core *c = f->c;
	bool due;

	pthread_mutex_lock(&c->lock);
	due = !c->nodes.follows && c->fed > c->checkpoint_size &&
	    (c->want_checkpoint || mm_mono_ms() >= f->sign_at);
	pthread_mutex_unlock(&c->lock);
	return due;
}

static enum mm_err
work(struct feeder *f, struct mm_why *why)
{
	struct mm_core *c = f->c;

	if (mm_mono_ms() >= f->status_at) {
		f->status_at = mm_mono_ms() + STATUS_MS;
		MM_TRY(ask_status(c, why));
	}
	MM_TRY(mm_nodes_catch_up(c, why));
	f->feed_at = mm_mono_ms() + FEED_MS;
	if (sign_due(f)) {
		MM_TRY(mm_feed_sign(c, why));
		f->sign_at = mm_mono_ms() + SIGN_MS;
	}
	if (mm_mono_ms() >= f->ask_at) {
		f->ask_at = mm_mono_ms() + ASK_MS;
		MM_TRY(mm_settle_ask(c, ASK_AGE_MS, why));
	}
	return MM_OK;
}

/* Where nothing is written, nobody else finds out that the store is away.  A
 * connection that broke meanwhile is made anew by the second look.  Once it
 * is away, mm_settle_run finds out when it is back. */
static void
look_at_store(struct feeder *f)
{
	struct mm_core *c = f->c;
	struct mm_why why = { 0 };
	uint64_t size;

	if (!c->store_ok || mm_mono_ms() < f->look_at)
		return;
	f->look_at = mm_mono_ms() + LOOK_MS;
	if (mm_get_ledger_size(c->feed_reader, &size, NULL) == MM_OK ||
	    mm_get_ledger_size(c->feed_reader, &size, &why) == MM_OK)
		return;
	atomic_store(&c->store_ok, false);
	mm_core_note(c, 2, "store.failed", why.text);
}

/* One turn.  What fails is tried again a tick later. */
static enum mm_err
turn(struct feeder *f, struct mm_why *why)
{
	struct mm_core *c = f->c;

	look_at_store(f);
	MM_TRY(mm_nodes_turn(c, why));
	if (!mm_settle_run(c))
		return MM_FAIL(why, MM_EAGAIN, "a signature is not settled");
	if (f->greet) {
		enum mm_err rc = mm_feed_greet(c, why);
		if (rc != MM_OK) {
			mm_core_not_ready(c, why->text);
			return rc;
		}
		f->greet = false;
	}
	if (!mm_wire_up(c->wire))
		return MM_OK;
	/* an answer that came too late has moved the tree all the same */
	if (f->tired)
		MM_TRY(hello(c, why));
	return work(f, why);
}

/* see priv.h */
void *
mm_feed_run(void *core)
{
	struct feeder f = { .c = core };

	while (!f.c->leave) {
		struct mm_why why = { 0 };

		wait_for_news(&f);
		f.tired = turn(&f, &why) != MM_OK;
		if (f.tired)
			mm_core_note(f.c, 2, "ledger.feed", why.text);
	}
	return NULL;
}
