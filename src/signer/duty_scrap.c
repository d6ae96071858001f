#include <stdio.h>
#include <string.h>

#include "base/faults.h"
#include "base/time.h"
#include "signer/duty.h"

/*
 * A unit that is thrown away gives its place in the share back, as often as
 * the order's scrap allowance says: so what is ever signed by an order is at
 * most share and allowance, whoever says what was thrown away.  That it was,
 * nobody proves to a signer; a station program that lies gains the allowance
 * and no more.
 */

static enum mm_err
check(struct mm_duty *l, const struct mm_duty_scrap_req *q,
    struct mm_why *why)
{
	if (l == NULL)
		return MM_FAIL(why, MM_EPOLICY, "this signer works to no "
		    "order");
	if (!mm_device_id_valid(q->device))
		return MM_FAIL(why, MM_EINPUT, "scrap: not a device id");
	if (l->barred != MM_OK)
		return MM_FAIL(why, (enum mm_err)l->barred, "%s",
		    l->barred_why);
	return MM_OK;
}

/* The line goes first: what comes back without a trace would be found by
 * nobody.  One without a record gives nothing back. */
static enum mm_err
scrap(struct mm_worker *w, const struct mm_duty_scrap_req *q,
    struct mm_duty_scrap_rep *rep, struct mm_why *why)
{
	struct mm_duty *l = w->s->duty;
	struct mm_journal_line line = { .kind = MM_J_SCRAPPED,
		.number = (uint64_t)l->order->number };
	uint64_t most = (uint64_t)l->order->scrap;

	MM_TRY(mm_quota_scrap_look(l->quota, most, q->device, q->spki_sha256,
	    why));
	snprintf(line.device, sizeof(line.device), "%s", q->device);
	snprintf(line.authority, sizeof(line.authority), "%s", l->authority);
	memcpy(line.spki_sha256, q->spki_sha256, 32);
	MM_TRY(mm_record_write(w->s->record, &line, 1, why));
	mm_die_at("scrap");
	MM_TRY(mm_quota_scrap(l->quota, most, q->device, q->spki_sha256,
	    mm_now_ms(), why));
	rep->scrapped = mm_quota_scrapped(l->quota);
	rep->most = most;
	return MM_OK;
}

/* see priv.h */
enum mm_err
mm_on_duty_scrap(struct mm_worker *w, struct mm_item *i, struct mm_why *why)
{
	struct mm_duty *l = w->s->duty;
	enum mm_err rc;

	MM_TRY(check(l, &i->req.duty_scrap, why));
	pthread_mutex_lock(&l->lock);
	rc = mm_duty_settle(w->s, why);
	if (rc == MM_OK)
		rc = scrap(w, &i->req.duty_scrap, &i->rep.duty_scrap, why);
	pthread_mutex_unlock(&l->lock);
	return rc;
}
