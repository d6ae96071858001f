#include "core/core.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "base/time.h"
#include "core/codes.h"
#include "core/priv.h"
#include "core/round.h"
#include "core/upstream_priv.h"

#define JOBS_DEFAULT 1024

/* ---- opening and closing ---- */

static enum mm_err
open_store(struct mm_core *c, struct mm_why *why)
{
	const char *url = c->config->set.database;

	MM_TRY(mm_store_open(url, false, &c->store, why));
	c->round_most = mm_store_shared(c->store) ? MM_ROUND_LEAST :
	    MM_ROUND_OPS;
	MM_TRY(mm_reader_open(url, &c->decide_reader, why));
	MM_TRY(mm_reader_open(url, &c->commit_reader, why));
	return mm_reader_open(url, &c->feed_reader, why);
}

static enum mm_err
read_ledger(struct mm_core *c, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf note = MM_BUF_INIT(MM_NOTE_MAX);
	enum mm_err rc;

	MM_TRY(mm_found_loaded(c->store, c->feed_reader, c->config, why));
	c->ledger_size = mm_store_ledger_size(c->store);
	rc = mm_get_checkpoint(c->feed_reader, &c->checkpoint_size, &note,
	    NULL);
	if (rc == MM_ENOTFOUND)
		c->checkpoint_size = 0;
	else if (rc != MM_OK)
		return MM_FAIL(why, rc, "store: cannot read the checkpoint");
	return MM_OK;
}

static enum mm_err
init(struct mm_core *c, struct mm_why *why)
{
	unsigned most = c->conf.jobs_max;

	pthread_mutex_init(&c->lock, NULL);
	pthread_mutex_init(&c->responding, NULL);
	pthread_cond_init(&c->tick, NULL);
	c->kick = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (c->kick < 0)
		return MM_FAIL(why, MM_ESYS, "core: no eventfd");
	mm_queue_init(&c->jobs, offsetof(struct mm_job, next), -1);
	mm_queue_init(&c->commits, offsetof(struct mm_job, next), c->kick);
	mm_queue_init(&c->batches, offsetof(struct mm_batch, next), c->kick);
	mm_queue_init(&c->ends, offsetof(struct mm_lease_end, next), -1);
	c->store_ok = true;
	c->revocations = 1; /* a restart signs fresh lists */
	MM_TRY(mm_chains_load(c->config, &c->chains, why));
	MM_TRY(mm_reserve_new(most, &c->reserve, why));
	MM_TRY(mm_guesses_new(&c->guesses, why));
	MM_TRY(mm_counts_new(&c->counts, why));
	MM_TRY(mm_forecaster_new(&c->forecaster, why));
	MM_TRY(mm_batches_new(&c->at_work, why));
	MM_TRY(mm_asking_new(&c->asking, why));
	MM_TRY(mm_upstream_new(c, why));
	MM_TRY(mm_wire_new(most, &c->wire, why));
	MM_TRY(mm_commit_new(c, why));
	c->marks = calloc(c->config->nissuer + 1, sizeof(*c->marks));
	c->listed = calloc(c->config->nissuer + 1, sizeof(*c->listed));
	if (c->marks == NULL || c->listed == NULL)
		return MM_FAIL(why, MM_ENOMEM, "core: no memory");
	MM_TRY(mm_shards_new(c->config, &c->shards, why));
	MM_TRY(open_store(c, why));
	MM_TRY(mm_lines_new(c, &c->lines, why));
	return read_ledger(c, why);
}

/* see core.h */
enum mm_err
mm_core_open(const struct mm_core_conf *conf, struct mm_core **out,
    struct mm_why *why)
{
	MM_OWN(mm_core_close) struct mm_core *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return MM_FAIL(why, MM_ENOMEM, "core: no memory");
	c->conf = *conf;
	c->config = conf->config;
	c->kick = -1;
	if (c->conf.jobs_max == 0)
		c->conf.jobs_max = JOBS_DEFAULT;
	snprintf(c->why, sizeof(c->why), "starting");
	MM_TRY(init(c, why));
	*out = MM_MOVE(c);
	return MM_OK;
}

/* see core.h */
void
mm_core_close(struct mm_core **owner)
{
	struct mm_core *c = *owner;
	struct mm_unsettled *next;

	if (c == NULL)
		return;
	mm_core_stop(c, 0);
	for (struct mm_unsettled *u = c->unsettled; u != NULL; u = next) {
		next = u->next;
		free(u);
	}
	mm_lease_ends_free(c);
	if (c->has_fresh)
		mm_links_close(&c->fresh);
	if (c->kick >= 0)
		close(c->kick);
	mm_reader_close(&c->decide_reader);
	mm_reader_close(&c->commit_reader);
	mm_reader_close(&c->feed_reader);
	mm_store_close(&c->store);
	mm_lines_free(&c->lines);
	mm_chains_free(&c->chains);
	mm_reserve_free(&c->reserve);
	mm_guesses_free(&c->guesses);
	mm_batches_free(&c->at_work);
	mm_counts_free(&c->counts);
	mm_forecaster_free(&c->forecaster);
	mm_asking_free(&c->asking);
	mm_upstream_free(&c->upstream);
	mm_wire_free(&c->wire);
	free(c->round);
	free(c->marks);
	free(c->listed);
	mm_shards_free(c->config, &c->shards);
	free(c);
	*owner = NULL;
}

/* ---- starting ---- */

static enum mm_err
thread(pthread_t *t, bool *has, void *(*run)(void *), struct mm_core *c,
    struct mm_why *why)
{
	if (pthread_create(t, NULL, run, c) != 0)
		return MM_FAIL(why, MM_ESYS, "core: no thread");
	*has = true;
	return MM_OK;
}

static void
pause_ms(long ms)
{
	struct timespec t = { ms / 1000, ms % 1000 * 1000000 };

	nanosleep(&t, NULL);
}

static enum mm_err
start(struct mm_core *c, const struct mm_links *links, struct mm_why *why)
{
	MM_TRY(mm_wire_install(c->wire, links, why));
	MM_TRY(thread(&c->commit, &c->has_commit, mm_commit_run, c, why));
	MM_TRY(mm_feed_greet(c, why));
	/* what a signer cannot sign now, the feeder asks for again */
	if (c->issuing)
		MM_TRY(mm_feed_sign(c, why));
	MM_TRY(thread(&c->feed, &c->has_feed, mm_feed_run, c, why));
	return thread(&c->decide, &c->has_decide, mm_pipe_run, c, why);
}

/* see core.h */
enum mm_err
mm_core_start(struct mm_core *c, const struct mm_links *links,
    struct mm_why *why)
{
	enum mm_err rc = start(c, links, why);

	if (rc == MM_OK)
		atomic_store(&c->accepting, true);
	else
		mm_core_stop(c, 0);
	return rc;
}

/* see core.h */
void
mm_core_relink(struct mm_core *c, const struct mm_links *links)
{
	pthread_mutex_lock(&c->lock);
	if (c->has_fresh)
		mm_links_close(&c->fresh);
	c->fresh = *links;
	c->has_fresh = true;
	pthread_mutex_unlock(&c->lock);
	mm_kick(c->kick);
}

/* see core.h */
bool
mm_core_signer_gone(const struct mm_core *c)
{
	return mm_wire_gone(c->wire);
}

/* see core.h */
int
mm_core_psk_fd(struct mm_core *c, unsigned loop)
{
	return mm_wire_psk(c->wire, loop);
}

/* ---- stopping ---- */

/* First those in flight may land; then they are told to come again. */
static void
land_all(struct mm_core *c, int64_t deadline_ms)
{
	int64_t until = mm_mono_ms() + deadline_ms;

	while (c->in_flight > 0 && mm_mono_ms() < until)
		pause_ms(2);
	atomic_store(&c->stopping, true);
	while (c->in_flight > 0) {
		mm_kick(c->kick);
		pause_ms(2);
	}
}

static void
last_entries(struct mm_core *c)
{
	struct mm_why why = { 0 };
	enum mm_err rc = mm_counts_flush(c, true, &why);

	if (mm_wire_up(c->wire)) {
		if (rc == MM_OK)
			rc = mm_feed_all(c, &why);
		if (rc == MM_OK)
			rc = mm_feed_sign(c, &why);
	}
	if (rc != MM_OK)
		mm_core_note(c, 2, "stop", why.text);
}

/* see core.h */
void
mm_core_stop(struct mm_core *c, int64_t deadline_ms)
{
	atomic_store(&c->accepting, false);
	if (c->has_decide) {
		land_all(c, deadline_ms);
		mm_queue_close(&c->jobs);
		pthread_join(c->decide, NULL);
		c->has_decide = false;
	}
	if (c->has_feed) {
		pthread_mutex_lock(&c->lock);
		atomic_store(&c->leave, true);
		pthread_cond_broadcast(&c->tick);
		pthread_mutex_unlock(&c->lock);
		pthread_join(c->feed, NULL);
		c->has_feed = false;
		last_entries(c);
	}
	if (c->has_commit) {
		mm_nodes_stop(c);
		atomic_store(&c->quit, true);
		mm_kick(c->kick);
		pthread_join(c->commit, NULL);
		c->has_commit = false;
		mm_forget_last(c);
	}
}

/* ---- jobs ---- */

/* After the last thread is gone nobody else would hand it back. */
static void
turn_away(struct mm_core *c, struct mm_job *list)
{
	struct mm_jobs done;
	struct mm_job *next;

	mm_jobs_init(&done);
	for (; list != NULL; list = next) {
		next = list->next;
		mm_core_refuse(list, MM_R_BUSY, "stopped");
		mm_core_finish(c, list, &done);
	}
	mm_core_hand_back(c, &done);
}

static bool
admitted(struct mm_core *c)
{
	if (c->in_flight++ < c->conf.jobs_max && c->accepting)
		return true;
	c->in_flight--;
	return false;
}

/* see core.h */
void
mm_core_post(struct mm_core *c, struct mm_job *list)
{
	for (struct mm_job *j = list; j != NULL; j = j->next) {
		struct mm_flight *f = mm_flight_of(j);

		f->node = c->config->set.node;
		f->tries = f->nops = 0;
		f->ask_until = 0;
		f->ask.answered = false;
		f->posted_us = mm_mono_us();
		f->flags = admitted(c) ? 0 : MM_FLIGHT_BUSY;
	}
	if (!mm_queue_put(&c->jobs, list))
		turn_away(c, list);
}

/* ---- writing for others ---- */

static enum mm_err
run_some(struct mm_core *c, struct mm_op **ops, size_t n, struct mm_why *why)
{
	struct mm_batch b = { .ops = ops, .n = n };

	if (!c->has_commit)
		return MM_FAIL(why, MM_EAGAIN, "the store is closed");
	mm_waiter_init(&b.waiter);
	mm_queue_put(&c->batches, &b);
	mm_waiter_wait(&b.waiter);
	return b.rc == MM_OK ? MM_OK :
	    MM_FAIL(why, b.rc, "store: %s", b.why.text);
}

/* see priv.h */
enum mm_err
mm_core_run(struct mm_core *c, struct mm_op **ops, size_t n,
    struct mm_why *why)
{
	while (n > 0) {
		size_t some = n < MM_ROUND_OPS / 2 ? n : MM_ROUND_OPS / 2;
		MM_TRY(run_some(c, ops, some, why));
		ops += some;
		n -= some;
	}
	return MM_OK;
}

/* see priv.h */
enum mm_err
mm_core_run1(struct mm_core *c, struct mm_op *op, struct mm_why *why)
{
	MM_TRY(mm_core_run(c, &op, 1, why));
	return op->result == MM_OK ? MM_OK :
	    MM_FAIL(why, op->result, "%s", op->why.text);
}

/* ---- what it looks like from outside ---- */

/* see core.h */
uint64_t
mm_core_ledger_size(struct mm_core *c)
{
	uint64_t size;

	pthread_mutex_lock(&c->lock);
	size = c->ledger_size;
	pthread_mutex_unlock(&c->lock);
	return size;
}

/* see core.h */
uint64_t
mm_core_covered(struct mm_core *c)
{
	uint64_t size;

	pthread_mutex_lock(&c->lock);
	size = c->checkpoint_size;
	pthread_mutex_unlock(&c->lock);
	return size;
}

/* see priv.h */
void
mm_core_noted(struct mm_core *c)
{
	if (c->conf.noted != NULL)
		c->conf.noted(c->conf.ctx);
}

/* see priv.h */
void
mm_core_note(struct mm_core *c, int level, const char *event,
    const char *text)
{
	if (c->conf.note != NULL)
		c->conf.note(c->conf.ctx, level, event, text);
}

/* see word.h */
bool
mm_core_reason(struct mm_core *c, const char *text)
{
	bool news = strcmp(c->why, text) != 0;

	snprintf(c->why, sizeof(c->why), "%s", text);
	return news;
}

/* see word.h */
void
mm_core_reason_tell(struct mm_core *c, const char *text)
{
	mm_core_note(c, text[0] != '\0' ? 2 : 1, "signer",
	    text[0] != '\0' ? text : "ready");
}

/* see priv.h */
void
mm_core_not_ready(struct mm_core *c, const char *text)
{
	bool news;

	pthread_mutex_lock(&c->lock);
	news = mm_core_reason(c, text);
	pthread_mutex_unlock(&c->lock);
	if (news)
		mm_core_reason_tell(c, text);
}

/* see core.h */
void
mm_core_stats(struct mm_core *c, struct mm_core_stats *out)
{
	*out = (struct mm_core_stats){ .issued = c->issued,
		.replayed = c->replayed, .renewed = c->renewed,
		.confirmed = c->confirmed, .refused = c->refused,
		.busy = c->busy, .orphans = c->orphans,
		.orphan_at = c->orphan_at,
		.in_flight = c->in_flight,
		.signer_up = mm_wire_up(c->wire), .store_ok = c->store_ok };
	pthread_mutex_lock(&c->lock);
	out->tree_size = c->ledger_size;
	out->checkpoint_size = c->checkpoint_size;
	out->checkpoint_at = c->checkpoint_at;
	out->signer = c->word.status;
	out->signer_known = c->signer_at != 0;
	out->signer_age_ms = mm_mono_ms() - c->signer_at;
	out->signer_skew_ms = c->signer_skew_ms;
	out->admins = c->admins;
	out->admins_until = c->admins_until;
	memcpy(out->why, c->why, sizeof(out->why));
	pthread_mutex_unlock(&c->lock);
	out->ready = c->accepting && out->signer_up && out->store_ok &&
	    c->issuing;
	out->waiting = mm_wire_waiting(c->wire);
	if (!out->store_ok)
		snprintf(out->why, sizeof(out->why), "the store is away");
}

/* see core.h */
void
mm_core_refusals(const struct mm_core *c, uint64_t n[MM_REASON_COUNT])
{
	for (unsigned i = 0; i < MM_REASON_COUNT; i++)
		n[i] = c->refusals[i];
}

/* see core.h */
const struct mm_hist *
mm_core_hist(const struct mm_core *c, enum mm_core_hist which)
{
	return &c->hist[which];
}

/* see core.h */
void
mm_core_note_key(struct mm_core *c, struct mm_buf *out)
{
	struct mm_note_key key;

	pthread_mutex_lock(&c->lock);
	key = c->key;
	pthread_mutex_unlock(&c->lock);
	mm_note_key_text(&key, out);
}
