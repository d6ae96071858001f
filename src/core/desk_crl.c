#include <stdio.h>
#include <string.h>

#include "core/priv.h"

/*
 * Complete revocation lists: when one is to be signed.  How, is crl_run.c's;
 * those of shards are shards.c's.
 */
#define AHEAD_S    300
#define TRIES      5               /* of nodes that sign at once */
#define LOOK_BACK_MS  600000       /* a clock's, and a transaction's, slack */
#define AGAIN_MS      60000        /* a line CA's, that could not be signed */
/* Of line CAs' lists in a round: 64 that are signed, or 1,024 looks at the
 * store that find none to be due. */
#define LIST_COST     16
#define ROUND_COST    (64 * LIST_COST)

/* Number: Unix milliseconds, never below the last one's successor; the signer
 * may know of one that was signed and never stored.  Of a line CA the one
 * shard that its certificates name is in the same run. */
static enum mm_err
sign(struct mm_desk *d, const struct mm_list_of *of,
    struct mm_crl_mark *mark, struct mm_why *why)
{
	static const uint16_t first = 0;
	const bool shard = of->line != NULL &&
	    d->c->config->set.public_url[0] != '\0';
	struct mm_crl_run run = { .of = of, .whole = true,
		.follows = mark->number, .number = mark->number + 1,
		.shard = &first, .nshard = shard };

	MM_TRY(mm_crl_run(d, &run, why));
	*mark = (struct mm_crl_mark){ mark->revocations, run.number,
		run.next_s };
	mm_listed_stored(d->c, of->listed, run.size);
	return MM_OK;
}

/* see priv.h */
bool
mm_crl_due(int64_t crl_hours, int64_t next_s)
{
	int64_t left = next_s - mm_now_s();

	return left < crl_hours * 1800 || left > crl_hours * 3600 + AHEAD_S;
}

/* The number and the end of the list that stands: a process before this one,
 * or another node, signed it. */
static enum mm_err
stored_list(struct mm_desk *d, const struct mm_list_of *of,
    struct mm_crl_mark *out, struct mm_why *why)
{
	enum mm_err rc = mm_get_crl(d->r, of->name, &out->number,
	    &out->next_s, NULL, NULL);

	return rc == MM_OK || rc == MM_ENOTFOUND ? MM_OK :
	    MM_FAIL(why, rc, "the store cannot be read");
}

static enum mm_err
last_revoked(void *ctx, const void *row, const char *next, struct mm_why *why)
{
	const struct mm_cert_row *c = row;
	int64_t *last = ctx;

	(void)next, (void)why;
	if (c->revoked_at > *last)
		*last = c->revoked_at;
	return MM_OK;
}

/* A restart signs a fresh list of each configured issuer; of line CAs only
 * where something was revoked about when the last one was signed, or since: it
 * may have been the last thing that was done. */
static enum mm_err
look_back(struct mm_desk *d, const struct mm_list_of *of, uint64_t number,
    struct mm_why *why)
{
	int64_t last = 0;

	MM_TRY(mm_list_revoked(d->r, of->name, mm_now_s(), last_revoked, &last,
	    why));
	pthread_mutex_lock(&d->c->lock);
	of->line->looked = true;
	if (last > 0 && last + LOOK_BACK_MS > (int64_t)number &&
	    of->listed->since == 0)
		of->listed->since = mm_mono_ms();
	pthread_mutex_unlock(&d->c->lock);
	return MM_OK;
}

/* What was signed last, as far as this process knows. */
static enum mm_err
last_list(struct mm_desk *d, const struct mm_list_of *of,
    struct mm_crl_mark *out, struct mm_why *why)
{
	struct mm_core *c = d->c;
	bool looked;

	pthread_mutex_lock(&c->lock);
	*out = *of->mark;
	looked = of->line == NULL || of->line->looked;
	pthread_mutex_unlock(&c->lock);
	if (out->number == 0)
		MM_TRY(stored_list(d, of, out, why));
	return looked ? MM_OK : look_back(d, of, out->number, why);
}

static void
keep_mark(struct mm_core *c, const struct mm_list_of *of,
    const struct mm_crl_mark *mark)
{
	pthread_mutex_lock(&c->lock);
	if (mark->number > of->mark->number)
		*of->mark = *mark;
	pthread_mutex_unlock(&c->lock);
}

/* Another node's list came first: the store is asked again. */
static void
forget_number(struct mm_core *c, const struct mm_list_of *of)
{
	pthread_mutex_lock(&c->lock);
	of->mark->number = 0;
	pthread_mutex_unlock(&c->lock);
}

/* What this process has revoked: a configured issuer's list is signed after
 * whatever it was, but not each of thousands of line CAs' for what another
 * one's device did. */
static uint64_t
revoked_by_us(struct mm_core *c, const struct mm_list_of *of)
{
	uint64_t n = c->revocations;

	if (of->line == NULL)
		return n;
	pthread_mutex_lock(&c->lock);
	n = of->listed->ours;
	pthread_mutex_unlock(&c->lock);
	return n;
}

static bool
wanted(struct mm_core *c, const struct mm_list_of *of,
    const struct mm_crl_mark *mark, uint64_t revocations)
{
	return mark->revocations != revocations ||
	    mm_crl_due(of->crl_hours, mark->next_s) ||
	    mm_listed_late(c, of->listed);
}

struct done {
	uint64_t number; /* of the list that stands */
	bool fresh;      /* signed now */
};

static enum mm_err
sign_if_due(struct mm_desk *d, const struct mm_list_of *of, bool force,
    struct done *done, struct mm_why *why)
{
	struct mm_core *c = d->c;
	uint64_t now = revoked_by_us(c, of);
	struct mm_crl_mark mark;
	bool want;

	MM_TRY(last_list(d, of, &mark, why));
	want = force || wanted(c, of, &mark, now);
	/* another node may have signed one since: no number is lost, and
	 * perhaps nothing is due */
	if (want && mm_store_shared(c->store)) {
		MM_TRY(stored_list(d, of, &mark, why));
		want = force || wanted(c, of, &mark, now);
	}
	if (want) {
		mark.revocations = now;
		MM_TRY(sign(d, of, &mark, why));
	}
	keep_mark(d->c, of, &mark);
	*done = (struct done){ mark.number, want };
	return MM_OK;
}

static enum mm_err
list(struct mm_desk *d, const char *issuer, bool force, struct done *done,
    struct mm_why *why)
{
	struct mm_why own = { 0 };
	enum mm_err rc = MM_ECONFLICT;
	struct mm_list_of of;

	if (!mm_list_find(d->c, issuer, &of))
		return MM_FAIL(why, MM_ENOTFOUND, "no issuer \"%.32s\"",
		    issuer);
	for (unsigned i = 0; i < TRIES && rc == MM_ECONFLICT; i++) {
		own = (struct mm_why){ 0 };
		rc = sign_if_due(d, &of, force, done, &own);
		if (rc == MM_ECONFLICT)
			forget_number(d->c, &of);
	}
	return rc == MM_OK ? MM_OK : MM_FAIL(why, rc, "%s", own.text);
}

/* see core.h */
enum mm_err
mm_desk_crl(struct mm_desk *d, const char *issuer, bool force,
    uint64_t *number, struct mm_why *why)
{
	struct done done;

	MM_TRY(list(d, issuer, force, &done, why));
	*number = done.number;
	return force ? mm_desk_shards(d, issuer, true, why) : MM_OK;
}

/* ---- line CAs ---- */

/* One that could not be signed is left in peace for a while. */
static bool
is_resting(const struct mm_made_line *line, int64_t now)
{
	return line->failed_at != 0 && now - line->failed_at < AGAIN_MS;
}

/* Something was revoked, by us or so long ago that we do it. */
static bool
waits(struct mm_core *c, const struct mm_made_line *line, int64_t now)
{
	const struct mm_listed *l = &line->listed;

	return !is_resting(line, now) &&
	    (l->ours != line->mark.revocations || (l->since != 0 &&
	    now - l->since >= c->nodes.patience_ms));
}

/* What the core remembers says that there may be something to do. */
static bool
may_be_due(struct mm_core *c, const struct mm_made_line *line, int64_t now)
{
	return !is_resting(line, now) && (line->mark.number == 0 ||
	    !line->looked || mm_crl_due(mm_lines_hours(c->config, line),
	    line->mark.next_s));
}

static unsigned
list_line(struct mm_desk *d, struct mm_made_line *line, int64_t now)
{
	struct done done = { .fresh = true };
	struct mm_why why = { 0 };
	enum mm_err rc = list(d, line->name, false, &done, &why);

	if (rc != MM_OK)
		mm_core_note(d->c, 2, "crl.failed", why.text);
	pthread_mutex_lock(&d->c->lock);
	line->failed_at = rc == MM_OK ? 0 : now;
	pthread_mutex_unlock(&d->c->lock);
	return done.fresh ? LIST_COST : 1;
}

typedef bool may_fn(struct mm_core *c, const struct mm_made_line *line,
    int64_t now);

/* From where the last round stopped, so that each has its turn. */
static void
go_round(struct mm_desk *d, may_fn *may, size_t *at, unsigned *left)
{
	struct mm_core *c = d->c;
	size_t n = mm_lines_n(c->lines), i;
	int64_t now = mm_mono_ms();

	for (i = 0; i < n && *left >= LIST_COST; i++) {
		struct mm_made_line *line =
		    mm_lines_at(c->lines, (*at + i) % n);
		bool must = false;

		pthread_mutex_lock(&c->lock);
		must = line != NULL && may(c, line, now);
		pthread_mutex_unlock(&c->lock);
		if (must)
			*left -= list_line(d, line, now);
	}
	if (n > 0)
		*at = (*at + i) % n;
}

/* see priv.h; what was revoked goes before what ends some day */
void
mm_lines_list(struct mm_desk *d)
{
	unsigned left = ROUND_COST;

	go_round(d, waits, &d->c->lines_at[0], &left);
	go_round(d, may_be_due, &d->c->lines_at[1], &left);
}
