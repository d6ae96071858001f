#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/log.h"
#include "base/own.h"
#include "base/time.h"
#include "server/deliver.h"

/* One webhook: from its cursor to a POST, and what the answer means. */
enum {
	SCAN = 2000,         /* entries looked at in one step */
	ROOM = MM_IPC_FRAME_MAX - 4096, /* of a body, the rest is its head */
	WAIT_MOST_S = 86400, /* a receiver's Retry-After is believed to here */
	GONE = 410,
};

/* ---- bodies ---- */

/* see deliver.h */
void
mm_event_body(struct mm_buf *out, uint64_t index, struct mm_bytes entry,
    const char *ca_serial)
{
	struct mm_json j = mm_json_over(out);
	struct mm_entry_view v;

	mm_entry_look(entry, &v);
	mm_json_open(&j, '{');
	mm_json_strn(&j, "type", v.type);
	mm_json_strn(&j, "timestamp", v.at);
	mm_json_open_key(&j, "data", '{');
	mm_event_put_in(&j, index, entry, ca_serial);
	mm_json_close(&j, '}');
	mm_json_close(&j, '}');
}

/* see deliver.h */
void
mm_event_bodies_open(struct mm_json *j)
{
	mm_json_open(j, '{');
	mm_json_str(j, "type", "mintmark.events");
	mm_json_open_key(j, "data", '[');
}

/* see deliver.h */
void
mm_event_bodies_close(struct mm_json *j, struct mm_bytes at)
{
	mm_json_close(j, ']');
	mm_json_strn(j, "timestamp", at);
	mm_json_close(j, '}');
}

/* see deliver.h: the same events always have the same name */
void
mm_parcel_name(const struct mm_deliver *d, const struct mm_hook *h,
    uint64_t first, uint64_t last, char out[97])
{
	int n = snprintf(out, 97, "%s.%llu", d->origin,
	    (unsigned long long)first);

	if (h->batch)
		snprintf(out + n, 97 - (size_t)n, "-%llu",
		    (unsigned long long)last);
}

/* ---- collecting ---- */

struct collecting {
	struct mm_run *r;
	struct mm_json j;
	char at[MM_TIME_TEXT]; /* of the last one */
	int64_t first_at;      /* of the first; 0: none yet */
};

static unsigned
most(const struct mm_run *r)
{
	return r->hook.batch ? MM_HOOK_BATCH : 1;
}

static enum mm_err
put_event(struct collecting *c, const struct mm_event *e, struct mm_why *why)
{
	struct mm_run *r = c->r;
	char ca_serial[MM_CA_SERIAL_TEXT];

	MM_TRY(mm_event_ca_serial(e->reader, &e->v, ca_serial, why));
	if (r->hook.batch) {
		if (r->n == 0)
			mm_event_bodies_open(&c->j);
		mm_event_put(&c->j, e->index, e->json, ca_serial);
	} else {
		mm_event_body(&r->parcel.body, e->index, e->json, ca_serial);
	}
	(void)!mm_text_copy(c->at, sizeof(c->at), e->v.at);
	if (r->n == 0)
		(void)!mm_time_parse(c->at, &c->first_at, NULL);
	r->index[r->n++] = e->index;
	return MM_OK;
}

/* MM_ELIMIT ends the walk: the parcel is full. */
static enum mm_err
collect_one(void *ctx, struct mm_event *e, struct mm_why *why)
{
	struct collecting *c = ctx;
	struct mm_run *r = c->r;
	bool yes;

	if (r->n == most(r))
		return MM_ELIMIT;
	MM_TRY(mm_event_wanted(&r->hook.filter, e, &yes, why));
	if (yes) {
		if (r->n > 0 && r->parcel.body.n + e->json.n + 192 > ROOM)
			return MM_ELIMIT;
		MM_TRY(put_event(c, e, why));
	}
	r->after = e->index + 1;
	return MM_OK;
}

/* Fills the parcel from the cursor on; without a match the cursor moves. */
static enum mm_err
collect(struct mm_deliver *d, struct mm_run *r, uint64_t size,
    struct mm_why *why)
{
	struct collecting c = { .r = r };
	uint64_t from = (uint64_t)r->at.next;
	uint64_t to = from + SCAN < size ? from + SCAN : size;
	enum mm_err rc;

	mm_parcel_reset(&r->parcel);
	c.j = mm_json_over(&r->parcel.body);
	r->n = 0;
	r->after = from;
	rc = mm_event_each(mm_desk_reader(d->desk), from, to, collect_one, &c,
	    why);
	if (rc != MM_OK && rc != MM_ELIMIT)
		return rc;
	r->oldest_at = c.first_at;
	if (r->n == 0) {
		r->at.next = (int64_t)r->after;
		r->dirty = true;
		return MM_OK;
	}
	if (r->hook.batch)
		mm_event_bodies_close(&c.j, mm_bytes_of(c.at));
	mm_parcel_name(d, &r->hook, r->index[0], r->index[r->n - 1],
	    r->parcel.id);
	return mm_buf_ok(&r->parcel.body, why);
}

/* ---- state ---- */

/* see deliver.h */
void
mm_run_drop(struct mm_run *r)
{
	mm_parcel_reset(&r->parcel);
	r->n = 0;
	r->due = 0;
	r->oldest_at = 0;
}

/* see deliver.h */
void
mm_run_free(struct mm_run **owner)
{
	struct mm_run *r = MM_MOVE(*owner);

	if (r == NULL)
		return;
	mm_buf_done(&r->parcel.body);
	free(r);
}

static void
fail_later(struct mm_run *r, const struct mm_why *why)
{
	MM_LOG(MM_LOG_WARN, "webhook", MM_S("webhook", r->hook.id),
	    MM_S("why", why->text));
	r->due = mm_mono_ms() + MM_DELIVER_RETRY_MS;
}

/* For whoever asks how it does. */
static void
show(struct mm_deliver *d, struct mm_run *r, const struct mm_deliver_rep *rep)
{
	int64_t left = r->due - mm_mono_ms();

	pthread_mutex_lock(&d->lock);
	r->live.at = r->at;
	r->live.state = r->hook.state;
	r->live.oldest_at = r->oldest_at;
	r->live.retry_at = r->at.attempts > 0 && left > 0
	    ? mm_now_ms() + left : 0;
	if (rep != NULL) {
		r->live.last_status = rep->status;
		r->live.last_at = mm_now_ms();
		memcpy(r->live.last_why, rep->why, sizeof(rep->why));
	}
	pthread_mutex_unlock(&d->lock);
}

/* The courier has a deadline of its own; one that forgets is no receiver's
 * fault, so it is no attempt. */
static void
look_late(struct mm_deliver *d, struct mm_run *r)
{
	int64_t late = d->s->config->set.webhook_timeout_s * 1000 +
	    MM_DELIVER_LATE_MS;

	if (mm_mono_ms() - r->parcel.sent_at > late)
		r->parcel.tag = 0;
}

/* A suspect is under way alone, so that it is known what a courier dies of. */
static bool
may_go(const struct mm_deliver *d, const struct mm_run *r)
{
	for (const struct mm_run *q = d->runs; q != NULL; q = q->next)
		if (q->parcel.tag != 0 && (r->suspect || q->suspect))
			return false;
	return true;
}

/* see deliver.h */
bool
mm_run_step(struct mm_deliver *d, struct mm_run *r, uint64_t size)
{
	struct mm_why why = { 0 };

	if (r->hook.state != MM_HOOK_ACTIVE || d->link < 0 ||
	    d->keyless[0] != '\0')
		return false;
	if (r->parcel.tag != 0) {
		look_late(d, r);
		return false;
	}
	if (mm_mono_ms() < r->due)
		return false;
	if (r->n == 0 && (uint64_t)r->at.next < size) {
		if (collect(d, r, size, &why) != MM_OK) {
			mm_run_drop(r);
			fail_later(r, &why);
			return false;
		}
		show(d, r, NULL);
	}
	/* the last look: whatever took its time, the lease may have ended */
	if (r->n > 0 && !mm_core_delivers(d->s->core))
		return false;
	if (r->n > 0)
		return may_go(d, r) &&
		    !mm_deliver_send(d, &r->hook, &r->parcel) &&
		    d->link >= 0 && !d->blocked;
	return (uint64_t)r->at.next < size;
}

/* see deliver.h */
int64_t
mm_run_due(const struct mm_run *r)
{
	if (r->hook.state != MM_HOOK_ACTIVE)
		return INT64_MAX;
	if (r->parcel.tag != 0)
		return r->parcel.sent_at + 60000;
	return r->due > mm_mono_ms() ? r->due : INT64_MAX;
}

/* ---- outcomes ---- */

static void
succeed(struct mm_deliver *d, struct mm_run *r)
{
	pthread_mutex_lock(&d->lock);
	r->live.delivered += r->n;
	pthread_mutex_unlock(&d->lock);
	r->at.next = (int64_t)r->after;
	r->at.failing_since = r->at.attempts = 0;
	r->dirty = true;
	mm_run_drop(r);
}

static void
give_up(struct mm_deliver *d, struct mm_run *r, const char *reason)
{
	struct mm_why why = { 0 };
	enum mm_err rc = mm_deliver_disable(d, r, reason, &why);

	if (rc == MM_ESTALE) /* an operator was first */
		mm_deliver_changed(d);
	else if (rc != MM_OK)
		fail_later(r, &why);
}

/* Somewhat later than the schedule says, so that many that failed together do
 * not come back together. */
static int64_t
pause_ms(const struct mm_settings *set, const struct mm_run *r,
    const struct mm_deliver_rep *rep)
{
	const char *text =
	    set->webhook_retries.item[r->at.attempts - 1];
	int64_t s = 1, ask = (int64_t)(rep->retry_after_s < WAIT_MOST_S
	    ? rep->retry_after_s : WAIT_MOST_S);
	uint16_t random = 0;

	(void)!mm_duration_parse(text, &s, NULL);
	(void)!getrandom(&random, sizeof(random), 0);
	s = s * 1000 + s * 200 * random / UINT16_MAX;
	return ask * 1000 > s ? ask * 1000 : s;
}

static void
bury(struct mm_deliver *d, struct mm_run *r, const struct mm_deliver_rep *rep)
{
	struct mm_why why = { 0 };
	char text[200];

	snprintf(text, sizeof(text), "%u %.160s", rep->status, rep->why);
	if (r->live.dead + r->n > MM_HOOK_DEAD_MOST) {
		give_up(d, r, "too-many-dead-letters");
	} else if (mm_deliver_bury(d, r, text, &why) == MM_OK) {
		r->at.attempts = 0;
		mm_run_drop(r);
	} else {
		r->at.attempts--; /* the last one, once more */
		fail_later(r, &why);
	}
}

static void
fail(struct mm_deliver *d, struct mm_run *r, const struct mm_deliver_rep *rep)
{
	const struct mm_settings *set = &d->s->config->set;
	int64_t now = mm_now_ms(), since;

	r->at.attempts++;
	pthread_mutex_lock(&d->lock);
	r->live.failed++;
	pthread_mutex_unlock(&d->lock);
	if (r->at.failing_since == 0)
		r->at.failing_since = now;
	r->dirty = true;
	since = r->at.failing_since > r->hook.resumed_at
	    ? r->at.failing_since : r->hook.resumed_at;
	MM_LOG(MM_LOG_INFO, "webhook.failed", MM_S("webhook", r->hook.id),
	    MM_I("status", rep->status), MM_I("attempt", r->at.attempts),
	    MM_S("why", rep->why));
	r->parcel.tag = 0;
	if (rep->status == GONE)
		give_up(d, r, "receiver-gone");
	else if (now - since > set->webhook_give_up_s * 1000)
		give_up(d, r, "receiver-failing");
	else if (r->at.attempts > (int64_t)set->webhook_retries.n)
		bury(d, r, rep);
	else
		r->due = mm_mono_ms() + pause_ms(set, r, rep);
}

/* see deliver.h */
void
mm_run_outcome(struct mm_deliver *d, struct mm_run *r,
    const struct mm_deliver_rep *rep)
{
	r->suspect = false;
	/* Whoever delivers now has the progress; a letter that we bury, a
	 * webhook that we give up, would be his. */
	if (!mm_core_delivers(d->s->core)) {
		mm_run_drop(r);
		return;
	}
	if (rep->status / 100 == 2)
		succeed(d, r);
	else
		fail(d, r, rep);
	show(d, r, rep);
}

/* see deliver.h */
void
mm_run_bereft(struct mm_deliver *d, struct mm_run *r, bool alone)
{
	static const struct mm_deliver_rep rep = { .why = MM_COURIER_GONE };

	if (alone)
		mm_run_outcome(d, r, &rep);
	else
		r->parcel.tag = 0;
	r->suspect = r->n > 0;
}
