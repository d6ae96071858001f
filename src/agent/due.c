#include "agent/priv.h"

/* see priv.h */
enum mm_err
mm_agent_renew_at(struct mm_agent *a, const struct mmd_cert *c,
    int64_t *at_s, struct mm_why *why)
{
	int64_t life = c->not_after_s - c->not_before_s;
	int64_t left = life * (100 - (int64_t)a->renew_percent) / 100;
	int64_t spread = left / 2 < life / 20 ? left / 2 : life / 20;
	uint8_t h[MMD_HASH];

	*at_s = 0;
	/* RFC 5280 4.1.2.5: 99991231235959Z says that it has no end. */
	if (c->not_after_s == MMD_TIME_FOREVER)
		return MM_OK;
	MM_TRY(mm_agent_fail(a->crypto->hash(a->crypto->ctx, &c->whole, 1, h),
	    "hashing the certificate", why));
	*at_s = c->not_after_s - left + spread * (h[0] << 8 | h[1]) / 65536;
	return MM_OK;
}

struct asking {
	unsigned slot;
	const struct mm_agent_identity *id;
	const struct mmd_cert *c;
	bool window;   /* asked for, and not only the time */
	int64_t *at_s; /* changed by it */
	bool there;    /* the server is: it is there for a renewal, too */
};

/* A server that has no such resource does not say; nor does one whose answer
 * we cannot read: renewing is more than when. */
static enum mm_err
ask_window(struct mm_agent *a, const struct asking *q, int32_t *retry_s,
    struct mm_why *why)
{
	struct mm_agent_reply r = { .retry_s = -1 };
	uint8_t hash[MMD_HASH];
	enum mm_err err = mm_agent_get(a, "renewal", NULL, &r, why);

	mm_agent_learn_time(a, r.date_s);
	*retry_s = r.retry_s;
	if (err == MM_ENOTFOUND)
		return MM_OK;
	MM_TRY(err);
	MM_TRY(mm_agent_fail(a->crypto->hash(a->crypto->ctx, &q->c->whole, 1,
	    hash), "hashing the certificate", why));
	if (mm_agent_window_parse(r.body, q->c, hash,
	    q->at_s, NULL) != MM_OK)
		return MM_OK;
	a->ask_s = r.retry_s;
	a->renew_at_s = *q->at_s;
	a->said = true;
	return MM_OK;
}

static enum mm_err
run_ask(struct mm_agent *a, void *arg, int32_t *retry_s, struct mm_why *why)
{
	struct asking *q = arg;
	struct mm_agent_reply r = { .retry_s = -1 };
	enum mm_err err;

	q->there = false;
	MM_TRY(mm_agent_open_mutual(a, q->slot, q->id, why));
	q->there = true;
	if (q->window)
		return ask_window(a, q, retry_s, why);
	err = mm_agent_ask(a, MMD_EST_CACERTS, (struct mm_bytes){ NULL, 0 },
	    &r, why);
	mm_agent_learn_time(a, r.date_s);
	*retry_s = r.retry_s;
	return err;
}

/*
 * A clock behind the last time told is wrong, and by it a certificate would
 * never be due; so is any clock if only the server's is believed.
 */
static bool
must_ask_time(struct mm_agent *a, unsigned slot)
{
	if (a->clock == MM_CLOCK_SYSTEM || a->skew_s != 0)
		return false;
	return a->clock == MM_CLOCK_SERVER ||
	    mm_agent_now_s(a) < mm_agent_last_told(a, slot);
}

/*
 * What a server says of when is a hint: whatever it or a proxy before it
 * answers, or does not, a certificate that is due by our own reckoning is
 * renewed, and one that has ended is so whatever was said.
 */
static enum mm_err
ask_server(struct mm_agent *a, struct asking *q, bool *due,
    struct mm_why *why)
{
	const struct mm_agent_try t = { run_ask, q };
	struct mm_why w = { 0 };
	enum mm_err err = mm_agent_attempt(a, &t, &w);
	int64_t now = mm_agent_now_s(a);

	*due = *q->at_s != 0 && now >= *q->at_s;
	if (q->window && q->there && q->c->not_after_s != MMD_TIME_FOREVER)
		*due |= now > q->c->not_after_s;
	if (err == MM_OK || (q->window && q->there && *due))
		return MM_OK;
	if (why != NULL && why->code == MM_OK)
		*why = w;
	return err;
}

/* see priv.h */
enum mm_err
mm_agent_due(struct mm_agent *a, unsigned slot,
    const struct mm_agent_identity *id, bool *due, struct mm_why *why)
{
	struct mmd_cert c;
	int64_t at = 0;
	struct asking q = { .slot = slot, .id = id, .c = &c,
		.window = a->ask, .at_s = &at };

	*due = a->now;
	if (a->now)
		return MM_OK;
	MM_TRY(mm_agent_fail(mmd_cert_parse(mm_to_mmd(mm_buf_view(&id->cert)),
	    &c), "own certificate", why));
	MM_TRY(mm_agent_renew_at(a, &c, &at, why));
	if (!a->ask && at == 0)
		return MM_OK;
	if (a->ask || must_ask_time(a, slot))
		return ask_server(a, &q, due, why);
	*due = at != 0 && mm_agent_now_s(a) >= at;
	return MM_OK;
}
