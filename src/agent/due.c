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
};

static enum mm_err
run_ask_time(struct mm_agent *a, void *arg, int32_t *retry_s,
    struct mm_why *why)
{
	const struct asking *q = arg;
	struct mm_agent_reply r = { .retry_s = -1 };
	enum mm_err err;

	MM_TRY(mm_agent_open_mutual(a, q->slot, q->id, why));
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

/* see priv.h */
enum mm_err
mm_agent_due(struct mm_agent *a, unsigned slot,
    const struct mm_agent_identity *id, bool *due, struct mm_why *why)
{
	struct asking q = { slot, id };
	const struct mm_agent_try ask = { run_ask_time, &q };
	struct mmd_cert c;
	int64_t at = 0;

	*due = a->now;
	if (a->now)
		return MM_OK;
	MM_TRY(mm_agent_fail(mmd_cert_parse(mm_to_mmd(mm_buf_view(&id->cert)),
	    &c), "own certificate", why));
	MM_TRY(mm_agent_renew_at(a, &c, &at, why));
	if (at == 0)
		return MM_OK;
	if (must_ask_time(a, slot))
		MM_TRY(mm_agent_attempt(a, &ask, why));
	*due = mm_agent_now_s(a) >= at;
	return MM_OK;
}
