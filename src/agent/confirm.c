#include "agent/priv.h"

#include <string.h>

#include "base/own.h"

struct proof {
	unsigned slot;
	const struct mm_agent_identity *id;
	struct mm_buf receipt; /* what came, or empty */
};

static enum mm_err
run_proof(struct mm_agent *a, void *arg, int32_t *retry_s, struct mm_why *why)
{
	const struct mm_bytes none = { NULL, 0 };
	struct mm_agent_reply r = { .retry_s = -1 };
	struct proof *p = arg;
	enum mm_err err;

	MM_TRY(mm_agent_open_mutual(a, p->slot, p->id, why));
	err = mm_agent_ask(a, MMD_EST_CONFIRM, none, &r, why);
	*retry_s = r.retry_s;
	MM_TRY(err);
	/* The receipt is a courtesy: without it the identity is as good. */
	mm_buf_reset(&p->receipt);
	if (mm_agent_ask(a, MMD_EST_RECEIPT, none, &r, NULL) == MM_OK &&
	    r.status == 200)
		mm_buf_bytes(&p->receipt, r.body);
	return MM_OK;
}

/* see priv.h */
enum mm_err
mm_agent_confirm(struct mm_agent *a, unsigned slot, struct mm_why *why)
{
	MM_OWN(mm_agent_identity_done) struct mm_agent_identity id;
	struct proof p = { .slot = slot, .id = &id,
		.receipt = MM_BUF_INIT(MM_AGENT_CHAIN_MAX) };
	const struct mm_agent_try t = { run_proof, &p };
	struct mmd_bytes receipt;
	enum mm_err err;

	mm_agent_identity_init(&id);
	MM_TRY(mm_agent_identity_load(a, slot, &id, why));
	err = mm_agent_attempt(a, &t, why);
	receipt = mm_to_mmd(mm_buf_view(&p.receipt));
	if (err == MM_OK && receipt.n > 0)
		err = mm_agent_fail(a->nv->put(a->nv->ctx, slot,
		    MMD_NV_RECEIPT, receipt), "storing the receipt", why);
	if (err == MM_OK)
		err = mm_agent_fail(a->nv->put(a->nv->ctx, slot,
		    MMD_NV_CONFIRMED, mm_to_mmd(mm_bytes_of("yes\n"))),
		    "noting the confirmation", why);
	mm_buf_done(&p.receipt);
	return err;
}
