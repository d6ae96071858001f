#include <inttypes.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "signer/duty.h"

/*
 * An order's extension: a line of text that the centre signed, for more units
 * or more time.  orders/<batch>.extension is the last one that was taken; it
 * counts for the order of its number and none else.
 */

static enum mm_err
verify(const struct mm_duty *l, struct mm_bytes line,
    struct mm_work_extension *e, struct mm_why *why)
{
	struct mm_work_order probe = *l->order; /* numbers and borrowed texts */

	MM_TRY(mm_work_extension_verify(line, &l->key, e, why));
	return mm_work_extension_apply(e, &probe, why);
}

/* The caller holds the lock, or is alone. */
static void
apply(struct mm_duty *l, const struct mm_work_extension *e)
{
	l->order->share = e->share;
	l->order->until_ms = e->until_ms;
	/* an end that was seen is one: it was another */
	if (e->until_ms > l->seen_ms)
		l->ended = false;
}

/* see duty.h */
enum mm_err
mm_duty_extend_load(struct mm_signer *s, struct mm_why *why)
{
	MM_OWN(mm_buf_done)
	struct mm_buf line = MM_BUF_INIT(MM_WORK_EXTENSION_MAX + 2);
	struct mm_duty *l = s->duty;
	struct mm_work_extension e;
	char path[MM_PATH_MAX + 1];
	enum mm_err rc;

	MM_TRY(mm_duty_path(
	    &s->conf->set, l->order->batch, "extension", path, why));
	rc = mm_file_read(path, &line, NULL);
	if (rc == MM_ENOTFOUND)
		return MM_OK;
	if (rc != MM_OK)
		return MM_FAIL(why, rc, "%.100s cannot be read", path);
	MM_TRY(mm_work_extension_verify(mm_buf_view(&line), &l->key, &e, why));
	/* of an earlier order, which this one has replaced */
	if (verify(l, mm_buf_view(&line), &e, NULL) == MM_OK)
		apply(l, &e);
	return MM_OK;
}

/* It is on the disk before anything is signed on its account. */
static enum mm_err
take(struct mm_signer *s, struct mm_bytes line, struct mm_work_extension *e,
    struct mm_why *why)
{
	struct mm_duty *l = s->duty;
	char path[MM_PATH_MAX + 1];

	MM_TRY(verify(l, line, e, why));
	MM_TRY(mm_duty_path(
	    &s->conf->set, l->order->batch, "extension", path, why));
	MM_TRY(mm_file_replace_locked(path, line, 0600, why));
	apply(l, e);
	return MM_OK;
}

/* see priv.h */
enum mm_err
mm_on_duty_extend(struct mm_worker *w, struct mm_item *i, struct mm_why *why)
{
	struct mm_duty *l = w->s->duty;
	struct mm_work_extension e = { .share = 0 };
	enum mm_err rc;

	if (l == NULL)
		return MM_FAIL(
		    why, MM_EPOLICY, "this signer works to no order");
	pthread_mutex_lock(&l->lock);
	rc = take(w->s, mm_bytes_of(i->req.duty_extend.line), &e, why);
	pthread_mutex_unlock(&l->lock);
	if (rc != MM_OK)
		return rc;
	i->rep.duty_extend.share = (uint64_t)e.share;
	i->rep.duty_extend.until_ms = (uint64_t)e.until_ms;
	MM_LOG(MM_LOG_INFO, "order.extended", MM_S("batch", e.batch),
	    MM_I("share", e.share));
	return MM_OK;
}
