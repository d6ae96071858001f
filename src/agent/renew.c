#include "agent/priv.h"

#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "base/secret.h"

#define KEY_MAX 4096

struct renewal {
	unsigned from, to;
	struct mm_bytes request;
	const struct mm_agent_identity *old;
	struct mm_agent_identity *id;
};

static enum mm_err
run_renewal(struct mm_agent *a, void *arg, int32_t *retry_s,
    struct mm_why *why)
{
	const struct mm_bytes none = { NULL, 0 };
	struct mm_agent_reply r = { .retry_s = -1 };
	struct renewal *n = arg;
	enum mm_err err;

	MM_TRY(mm_agent_open_mutual(a, n->from, n->old, why));
	err = mm_agent_ask(a, MMD_EST_CACERTS, none, &r, why);
	mm_agent_learn_time(a, r.date_s);
	*retry_s = r.retry_s;
	MM_TRY(err);
	mm_buf_reset(&n->id->anchor);
	mm_buf_bytes(&n->id->anchor, mm_buf_view(&n->old->anchor));
	memcpy(n->id->token, n->old->token, sizeof(n->id->token));
	MM_TRY(mm_agent_take_cacerts(a, NULL, r.body, n->id, why));
	err = mm_agent_ask(a, MMD_EST_REENROLL, n->request, &r, why);
	*retry_s = r.retry_s;
	MM_TRY(err);
	return mm_agent_take_cert(a, n->to, r.body, n->id, why);
}

/* see priv.h */
enum mm_err
mm_agent_recycle(struct mm_agent *a, unsigned slot, struct mm_why *why)
{
	static const enum mmd_nv_item order[] = { MMD_NV_KEY, MMD_NV_CERT,
		MMD_NV_CHAIN, MMD_NV_ANCHOR, MMD_NV_SERVER, MMD_NV_TIME,
		MMD_NV_RECEIPT, MMD_NV_TOKEN, MMD_NV_CONFIRMED };

	for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++)
		MM_TRY(mm_agent_fail(a->nv->erase(a->nv->ctx, slot, order[i]),
		    "clearing the idle slot", why));
	return MM_OK;
}

static enum mm_err
copy_key(struct mm_agent *a, unsigned from, unsigned to, struct mm_why *why)
{
	uint8_t key[KEY_MAX];
	struct mmd_bytes v = { key, 0 };
	enum mmd_rc rc = a->nv->get(a->nv->ctx, from, MMD_NV_KEY, key,
	    sizeof(key), &v.n);

	if (rc == MMD_OK)
		rc = a->nv->put(a->nv->ctx, to, MMD_NV_KEY, v);
	mm_wipe(key, sizeof(key));
	return mm_agent_fail(rc, "keeping the key", why);
}

/* see priv.h */
bool
mm_agent_waiting(struct mm_agent *a, unsigned slot)
{
	return mm_agent_has(a, slot, MMD_NV_KEY) &&
	    !mm_agent_has(a, slot, MMD_NV_CERT) &&
	    !mm_agent_has(a, slot, MMD_NV_CONFIRMED);
}

/* RFC 7030 4.2.2: the subject is the old one's; of a CN there is no more. */
static enum mm_err
keep_subject(struct mm_agent *a, unsigned to,
    const struct mm_agent_identity *old, struct mm_buf *request,
    struct mm_why *why)
{
	struct mmd_cert c;

	MM_TRY(mm_agent_fail(mmd_cert_parse(mm_to_mmd(mm_buf_view(
	    &old->cert)), &c), "own certificate", why));
	return mm_agent_request_as(a, to, mm_of_mmd(c.subject), request, why);
}

static enum mm_err
exchange(struct mm_agent *a, unsigned from, unsigned to,
    const struct mm_agent_identity *old, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf request = MM_BUF_INIT(4096);
	MM_OWN(mm_agent_identity_done) struct mm_agent_identity id;
	struct mm_agent_status s;
	struct renewal n = { .from = from, .to = to, .old = old, .id = &id };
	const struct mm_agent_try t = { run_renewal, &n };

	mm_agent_identity_init(&id);
	id.before = old;
	if (!mm_agent_waiting(a, to)) {
		MM_TRY(mm_agent_recycle(a, to, why));
		if (a->keep_key)
			MM_TRY(copy_key(a, from, to, why));
	}
	MM_TRY(mm_agent_identity_describe(a, from, old, &s, why));
	MM_TRY(mm_agent_request(a, to, s.device[0] != '\0' ? s.device : "-",
	    &request, why));
	if (s.device[0] == '\0')
		MM_TRY(keep_subject(a, to, old, &request, why));
	n.request = mm_buf_view(&request);
	MM_TRY(mm_agent_attempt(a, &t, why));
	return mm_agent_identity_store(a, to, &id, why);
}

static enum mm_err
choose(struct mm_agent *a, unsigned slot, struct mm_why *why)
{
	return mm_agent_fail(a->nv->select(a->nv->ctx, slot),
	    "switching identities", why);
}

/*
 * The identity in use was never confirmed: a renewal was interrupted after
 * the switch.  If the server will not have it, the one before it is good
 * still.
 */
static enum mm_err
settle(struct mm_agent *a, unsigned *slot, struct mm_agent_identity *id,
    struct mm_why *why)
{
	struct mm_why w = { 0 };
	enum mm_err err = mm_agent_confirm(a, *slot, &w);
	unsigned other = 1 - *slot;

	if (err == MM_OK) {
		id->confirmed = true;
		return MM_OK;
	}
	if ((err != MM_EAUTH && err != MM_EPOLICY && err != MM_ECONFLICT) ||
	    mm_agent_identity_load(a, other, id, NULL) != MM_OK ||
	    !id->confirmed) {
		if (why != NULL && why->code == MM_OK)
			*why = w;
		return err;
	}
	*slot = other;
	return choose(a, other, why);
}

/* Whether the idle slot holds what an interrupted renewal only has to use. */
static bool
ready(struct mm_agent *a, unsigned slot)
{
	MM_OWN(mm_agent_identity_done) struct mm_agent_identity id;

	mm_agent_identity_init(&id);
	return mm_agent_identity_load(a, slot, &id, NULL) == MM_OK &&
	    !id.confirmed;
}

static enum mm_err
replace(struct mm_agent *a, unsigned from,
    const struct mm_agent_identity *old, struct mm_why *why)
{
	unsigned to = 1 - from;

	if (!ready(a, to))
		MM_TRY(exchange(a, from, to, old, why));
	MM_TRY(choose(a, to, why));
	MM_TRY(mm_agent_confirm(a, to, why));
	return mm_agent_recycle(a, from, why);
}

/* Replaces a confirmed identity if it is time. */
static enum mm_err
replace_if_due(struct mm_agent *a, unsigned slot,
    const struct mm_agent_identity *id, bool *due, struct mm_why *why)
{
	unsigned idle = 1 - slot;

	*due = true;
	if (ready(a, idle))
		return replace(a, slot, id, why);
	/* A kill after the confirmation left what it superseded. */
	if (!mm_agent_waiting(a, idle))
		MM_TRY(mm_agent_recycle(a, idle, why));
	MM_TRY(mm_agent_due(a, slot, id, due, why));
	return *due ? replace(a, slot, id, why) : MM_OK;
}

/* see agent.h */
enum mm_err
mm_agent_renew(struct mm_agent *a, struct mm_agent_status *out,
    struct mm_why *why)
{
	MM_OWN(mm_agent_identity_done) struct mm_agent_identity id;
	bool unsettled, due = true;
	unsigned slot, before;

	mm_agent_identity_init(&id);
	MM_TRY(mm_agent_selected(a, &slot, why));
	MM_TRY(mm_agent_identity_load(a, slot, &id, why));
	before = slot;
	unsettled = !id.confirmed;
	if (unsettled)
		MM_TRY(settle(a, &slot, &id, why));
	if (!unsettled)
		MM_TRY(replace_if_due(a, slot, &id, &due, why));
	else if (slot == before) /* confirming was all there was to do */
		MM_TRY(mm_agent_recycle(a, 1 - slot, why));
	else {
		MM_TRY(mm_agent_recycle(a, before, why));
		MM_TRY(replace(a, slot, &id, why));
	}
	MM_TRY(mm_agent_status(a, out, why));
	if (!due && a->said)
		out->renew_at_s = a->renew_at_s;
	out->early = !due;
	out->renewed = due;
	return MM_OK;
}
