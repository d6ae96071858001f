#include <inttypes.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "signer/duty.h"

/* Of a batch that another order was of. */
static enum mm_err
records_of(const struct mm_signer *s, const char *batch, uint64_t *out,
    struct mm_why *why)
{
	MM_OWN(mm_quota_close) struct mm_quota *q = NULL;
	char path[MM_PATH_MAX + 1];
	uint64_t cut;

	if (strcmp(batch, s->duty->order->batch) == 0) {
		*out = mm_quota_counted(s->duty->quota);
		return MM_OK;
	}
	MM_TRY(mm_duty_path(&s->conf->set, batch, "issued", path, why));
	MM_TRY(mm_quota_open(path, false, &q, &cut, why));
	*out = mm_quota_counted(q);
	return MM_OK;
}

/* A lease that was cut off is of one process that is gone. */
static enum mm_err
charge(struct mm_signer *s, struct mm_counter *c, struct mm_why *why)
{
	const char *batch = mm_counter_cut(c);
	uint64_t records;

	if (*batch == '\0')
		return MM_OK;
	MM_TRY(records_of(s, batch, &records, why));
	MM_LOG(MM_LOG_WARN, "counter.cut", MM_S("batch", batch),
	    MM_I("records", (int64_t)records));
	return mm_counter_charge(c, records, why);
}

/* The centre says so for good: no batch is opened again. */
static uint64_t
closed_by(void *ctx, const char *batch)
{
	MM_OWN(mm_buf_done)
	struct mm_buf note = MM_BUF_INIT(MM_WORK_TEXT_MAX + 4096);
	MM_OWN(mm_work_order_free) struct mm_work_order *o = NULL;
	char path[MM_PATH_MAX + 1];
	struct mm_signer *s = ctx;

	if (mm_duty_path(&s->conf->set, batch, "order", path, NULL) != MM_OK ||
	    mm_file_read(path, &note, NULL) != MM_OK ||
	    mm_duty_verify(s->conf, mm_buf_view(&note), &o, NULL) != MM_OK)
		return 0;
	return strcmp(o->batch, batch) == 0 && o->state == MM_WORK_CLOSED
		   ? (uint64_t)o->number
		   : 0;
}

static enum mm_err
open_counter(struct mm_signer *s, struct mm_why *why)
{
	MM_OWN(mm_counter_close) struct mm_counter *c = NULL;
	struct mm_duty *l = s->duty;

	MM_TRY(mm_counter_open(&s->conf->set, s->ledger_key, &c, why));
	MM_TRY(charge(s, c, why));
	if (l->order->state == MM_WORK_CLOSED && l->order->ca_key.n == 0)
		return MM_OK; /* nothing to count: its key is gone */
	mm_counter_make_room(c, closed_by, s);
	MM_TRY(mm_counter_begin(c, l->order->batch,
	    (uint64_t)l->order->number, mm_quota_counted(l->quota), why));
	l->counter = MM_MOVE(c);
	return MM_OK;
}

/* Once and for all: what was put back stays so, and a link to a TPM that was
 * lost is not made anew by a process that is locked in. */
static void
bar(struct mm_duty *l, const struct mm_why *why)
{
	if (l->barred != MM_OK)
		return;
	memcpy(l->barred_why, why->text, sizeof(l->barred_why));
	l->barred = (int)why->code;
	MM_LOG(MM_LOG_ERROR, "counter.barred", MM_S("why", why->text));
}

/* see duty.h */
enum mm_err
mm_duty_counter_load(struct mm_signer *s, struct mm_why *why)
{
	struct mm_duty *l = s->duty;
	struct mm_why own = { 0 };
	enum mm_err rc;

	MM_TRY(mm_counter_level(&s->conf->set, &l->level, why));
	if (l->level == MM_WORK_SOFTWARE)
		return MM_OK;
	rc = open_counter(s, &own);
	if (rc == MM_EAGAIN || rc == MM_EPOLICY || rc == MM_ELIMIT)
		bar(l, &own);
	else if (rc != MM_OK)
		return MM_FAIL(why, rc, "%s", own.text);
	return MM_OK;
}

/* see duty.h */
uint64_t
mm_duty_whole(const struct mm_duty *l)
{
	uint64_t back = mm_quota_scrapped(l->quota);
	uint64_t most = (uint64_t)l->order->scrap;

	return (uint64_t)l->order->share + (back < most ? back : most);
}

/* see duty.h */
uint64_t
mm_duty_lost(const struct mm_duty *l)
{
	uint64_t lost = l->counter == NULL ? 0 : mm_counter_lost(l->counter);
	uint64_t whole = mm_duty_whole(l);

	return lost < whole ? lost : whole;
}

/* see duty.h */
uint64_t
mm_duty_share(const struct mm_duty *l)
{
	return mm_duty_whole(l) - mm_duty_lost(l);
}

/* What was put back shows at the first look that contradicts. */
static enum mm_err
judge(struct mm_duty *l, enum mm_err rc, const struct mm_why *own,
    struct mm_why *why)
{
	if (rc == MM_OK)
		return MM_OK;
	if (rc == MM_EPOLICY)
		bar(l, own);
	return MM_FAIL(why, rc, "%s", own->text);
}

/* see duty.h */
enum mm_err
mm_duty_counter_take(struct mm_duty *l, struct mm_why *why)
{
	struct mm_why own = { 0 };

	if (l->counter == NULL)
		return MM_OK;
	return judge(l,
	    mm_counter_take(l->counter, mm_quota_counted(l->quota), &own), &own,
	    why);
}

/* see duty.h */
enum mm_err
mm_duty_counter_look(struct mm_duty *l, struct mm_why *why)
{
	struct mm_why own = { 0 };

	if (l->counter == NULL)
		return MM_OK;
	return judge(l,
	    mm_counter_look(l->counter, mm_quota_counted(l->quota), &own), &own,
	    why);
}

/* see duty.h */
void
mm_duty_end(struct mm_signer *s)
{
	struct mm_duty *l = s->duty;
	struct mm_why why = { 0 };

	if (l == NULL || l->counter == NULL || l->barred != MM_OK)
		return;
	pthread_mutex_lock(&l->lock);
	if (mm_counter_end(l->counter, mm_quota_counted(l->quota), &why) !=
	    MM_OK)
		MM_LOG(MM_LOG_WARN, "counter.not-ended", MM_S("why", why.text));
	pthread_mutex_unlock(&l->lock);
}
