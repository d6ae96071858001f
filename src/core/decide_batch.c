#include "core/checks.h"

#include <stdio.h>
#include <string.h>

#include "work/order.h"

/* ---- batches: whether this unit is one of the order's ---- */

/* What is a station's is made in a batch: else its quota would be a wish. */
static enum mm_reason
is_there(const struct mm_facts *f, struct mm_verdict *v)
{
	(void)v;
	if (f->batch.name[0] == '\0')
		return MM_R_NO_BATCH;
	return f->batch.found ? MM_R_NONE : MM_R_BATCH;
}

static enum mm_reason
is_open(const struct mm_facts *f, struct mm_verdict *v)
{
	const struct mm_work_order *o = f->batch.order;

	(void)v;
	return f->batch.state == MM_WORK_OPEN &&
		       f->now_ms >= o->not_before_ms && f->now_ms < o->until_ms
		   ? MM_R_NONE
		   : MM_R_BATCH;
}

static enum mm_reason
is_of_it(const struct mm_facts *f, struct mm_verdict *v)
{
	return strcmp(f->batch.order->product, v->product) == 0 &&
		       f->batch.has_serial
		   ? MM_R_NONE
		   : MM_R_BATCH_SERIAL;
}

/* Two stations, or two keys, had its serial number: one of them is none of
 * ours, and what is known of it is not written over. */
static enum mm_reason
is_clear(const struct mm_facts *f, struct mm_verdict *v)
{
	(void)v;
	return f->batch.quarantined ? MM_R_BATCH_UNIT : MM_R_NONE;
}

/* What stations may sign by themselves is not signed here once more. */
static enum mm_reason
is_ours(const struct mm_facts *f, struct mm_verdict *v)
{
	(void)v;
	return f->batch.offline ? MM_R_BATCH_OFFLINE : MM_R_NONE;
}

/* Shares that are named are all there are. */
static enum mm_reason
has_share(const struct mm_facts *f, struct mm_verdict *v)
{
	(void)v;
	return f->batch.has_share || !f->batch.shared ? MM_R_NONE
						      : MM_R_BATCH_SHARE;
}

/* As it was when the batch was made: its hash stands in the order, and a
 * version is never another. */
static enum mm_reason
has_profile(const struct mm_facts *f, struct mm_verdict *v)
{
	const struct mm_work_order *o = f->batch.order;

	for (size_t i = 0; i < o->profiles_n; i++)
		if (strcmp(o->profiles[i].name, v->profile->name) == 0 &&
		    o->profiles[i].version == v->profile->version)
			return MM_R_NONE;
	return MM_R_PROFILE;
}

static enum mm_reason
has_quota(const struct mm_facts *f, struct mm_verdict *v)
{
	const struct mm_batch_facts *b = &f->batch;

	(void)v;
	return b->made < b->most &&
		       (!b->has_share || b->station_made < b->station_most)
		   ? MM_R_NONE
		   : MM_R_QUOTA;
}

static mm_check_fn *const fit[] = { is_there, is_open, is_of_it,
	is_clear, is_ours, has_share, has_profile, has_quota, NULL };

/* see checks.h */
enum mm_reason
mm_rule_batch(const struct mm_facts *f, struct mm_verdict *v)
{
	const struct mm_batch_facts *b = &f->batch;
	enum mm_reason r;

	if (b->name[0] == '\0' && b->station[0] == '\0')
		return MM_R_NONE;
	r = mm_check_all(fit, f, v);
	if (r != MM_R_NONE)
		return r;
	v->in_batch = true;
	v->share.group = false;
	v->share.version = b->version;
	v->share.most = (uint64_t)b->most;
	v->share.station_most = (uint64_t)b->station_most;
	strcpy(v->share.batch, b->name);
	snprintf(v->share.place, sizeof(v->share.place), "%s/%s", b->name,
	    b->has_share ? b->station : "");
	return MM_R_NONE;
}
