#include "signer/duty.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/faults.h"
#include "base/time.h"

/* see duty.h */
bool
mm_duty_orders(const struct mm_duty *l, const char *serial)
{
	char key[MM_DEVICE_ID_MAX + 3];
	uint64_t at;
	int n;

	if (l->order->serials[0] != '\0')
		return mm_serials_find(&l->run, serial, &at);
	n = snprintf(key, sizeof(key), "\n%s\n", serial);
	return memmem(l->list.p, l->list.n, key, (size_t)n) != NULL;
}

/* Of the order alone: an end that was seen is one, whatever the clock says. */
static enum mm_err
check_order(const struct mm_duty *l, struct mm_why *why)
{
	return mm_work_order_check_now(
	    l->order, l->ended ? l->order->until_ms : mm_now_ms(), why);
}

/* see duty.h; and of the counter */
enum mm_err
mm_duty_right(const struct mm_duty *l, struct mm_why *why)
{
	uint64_t share = mm_duty_share(l);
	uint64_t lost = mm_duty_lost(l);

	MM_TRY(check_order(l, why));
	if (mm_quota_counted(l->quota) < share)
		return MM_OK;
	if (lost == 0)
		return MM_FAIL(why, MM_EPOLICY,
		    "order: all %" PRIu64 " of "
		    "this station's share are made",
		    mm_duty_whole(l));
	return MM_FAIL(why, MM_EPOLICY,
	    "order: all %" PRIu64 " of this station's share are made, or "
	    "were lost (%" PRIu64 ") when the signer was cut off",
	    mm_duty_whole(l), lost);
}

/* see duty.h */
enum mm_err
mm_duty_admit(
    struct mm_signer *s, const struct mm_issue_req *q, struct mm_why *why)
{
	struct mm_duty *l = s->duty;
	enum mm_err rc;

	if (q->keygen != 0 || strcmp(q->authority, l->authority) != 0 ||
	    strcmp(q->product, l->order->product) != 0)
		return MM_FAIL(why, MM_EPOLICY,
		    "order: it is of batch %s, "
		    "product %s",
		    l->order->batch, l->order->product);
	if (!mm_duty_orders(l, q->device))
		return MM_FAIL(why, MM_EPOLICY,
		    "order: %s is none of its "
		    "serial numbers",
		    q->device);
	pthread_mutex_lock(&l->lock);
	rc = mm_duty_right(l, why);
	pthread_mutex_unlock(&l->lock);
	return rc;
}

/* ---- counting ---- */

static enum mm_err
write_line(struct mm_signer *s, struct mm_duty *l, struct mm_journal_line *line,
    struct mm_why *why)
{
	mm_die_at("journal");
	MM_TRY(mm_record_write(s->record, line, 1, why));
	l->settled = true;
	mm_die_at("journalled");
	return MM_OK;
}

/* see duty.h; as it was written before the counter's record, but for number
 * and time */
enum mm_err
mm_duty_line(const struct mm_duty *l, const struct mm_quota_pair *p,
    struct mm_journal_line *out, struct mm_why *why)
{
	struct mm_cert c;

	MM_TRY(mm_cert_walk(p->der, &c, why));
	*out = (struct mm_journal_line){ .kind = MM_J_CERTIFICATE,
		.not_after_s = c.not_after_s };
	if (c.serial.n != sizeof(out->serial))
		return MM_FAIL(why, MM_EBUG, "quota: not our certificate");
	memcpy(out->serial, c.serial.p, sizeof(out->serial));
	memcpy(out->spki_sha256, p->spki_sha256, 32);
	memcpy(out->tbs_sha256, p->tbs_sha256, 32);
	snprintf(out->issuer, sizeof(out->issuer), "%s", p->issuer);
	snprintf(out->device, sizeof(out->device), "%s", p->device);
	snprintf(out->profile, sizeof(out->profile), "%s", p->profile);
	snprintf(out->authority, sizeof(out->authority), "%s%s",
	    p->chain.n > 0 ? MM_J_ADOPTED : "", l->authority);
	return MM_OK;
}

/* What was counted and could not be entered is entered before anything else
 * is counted, or leaves. */
static enum mm_err
settle(struct mm_signer *s, struct mm_duty *l, struct mm_why *why)
{
	struct mm_journal_line line;
	struct mm_quota_pair last;

	if (l->settled)
		return MM_OK;
	MM_TRY(mm_quota_last(l->quota, &l->arena, &last, why));
	MM_TRY(mm_duty_line(l, &last, &line, why));
	return write_line(s, l, &line, why);
}

/* see duty.h */
enum mm_err
mm_duty_settle(struct mm_signer *s, struct mm_why *why)
{
	return settle(s, s->duty, why);
}

/* see duty.h */
enum mm_err
mm_duty_count_pair(struct mm_worker *w, const struct mm_quota_pair *p,
    struct mm_journal_line *line, struct mm_why *why)
{
	struct mm_duty *l = w->s->duty;

	MM_TRY(settle(w->s, l, why));
	MM_TRY(mm_duty_counter_take(l, why));
	MM_TRY(mm_quota_count(l->quota, mm_duty_share(l), p, why));
	l->settled = false;
	return write_line(w->s, l, line, why);
}

static enum mm_err
count_locked(struct mm_worker *w, struct mm_item *i, struct mm_why *why)
{
	struct mm_duty *l = w->s->duty;
	struct mm_quota_pair p = { .number = (uint64_t)l->order->number,
		.at_ms = mm_now_ms(),
		.der = mm_buf_view(&i->body) };

	memcpy(p.spki_sha256, i->line.spki_sha256, 32);
	memcpy(p.tbs_sha256, i->line.tbs_sha256, 32);
	snprintf(p.device, sizeof(p.device), "%s", i->line.device);
	snprintf(p.profile, sizeof(p.profile), "%s", i->line.profile);
	snprintf(p.issuer, sizeof(p.issuer), "%s", i->line.issuer);
	i->journal = false; /* not with its frame: now */
	MM_TRY(mm_duty_count_pair(w, &p, &i->line, why));
	w->s->signed_n++;
	return MM_OK;
}

/* see duty.h */
enum mm_err
mm_duty_count(struct mm_worker *w, struct mm_item *i, struct mm_why *why)
{
	enum mm_err rc;

	pthread_mutex_lock(&w->s->duty->lock);
	rc = count_locked(w, i, why);
	pthread_mutex_unlock(&w->s->duty->lock);
	return rc;
}

/* ---- what was signed before ---- */

/* What an earlier batch's orders had signed is still asked for: the ledger
 * has all of it.  One is kept open; nothing is counted there. */
static enum mm_err
quota_of(struct mm_signer *s, const char *batch, const struct mm_quota **out,
    struct mm_why *why)
{
	struct mm_duty *l = s->duty;
	char path[MM_PATH_MAX + 1];
	uint64_t cut;

	*out = l->quota;
	if (*batch == '\0' || strcmp(batch, l->order->batch) == 0)
		return MM_OK;
	if (!mm_name_valid(batch))
		return MM_FAIL(why, MM_EINPUT, "find: not a batch's name");
	if (l->before == NULL || strcmp(batch, l->before_batch) != 0) {
		mm_quota_close(&l->before);
		MM_TRY(mm_duty_path(&s->conf->set, batch, "issued", path, why));
		MM_TRY(mm_quota_open(path, false, &l->before, &cut, why));
		snprintf(l->before_batch, sizeof(l->before_batch), "%s", batch);
	}
	*out = l->before;
	return MM_OK;
}

/* Both of them, one behind the other. */
static enum mm_err
keep(struct mm_item *i, struct mm_quota_pair *p, struct mm_why *why)
{
	size_t at = i->body.n;

	mm_buf_bytes(&i->body, p->der);
	mm_buf_bytes(&i->body, p->chain);
	MM_TRY(mm_buf_ok(&i->body, why));
	p->der.p = i->body.p + at;
	p->chain.p = p->der.p + p->der.n;
	return MM_OK;
}

/* see duty.h */
enum mm_err
mm_duty_find(struct mm_worker *w, const struct mm_duty_find_req *q,
    struct mm_item *i, struct mm_quota_pair *out, struct mm_why *why)
{
	struct mm_duty *l = w->s->duty;
	const struct mm_quota *quota = NULL;
	enum mm_err rc;

	pthread_mutex_lock(&l->lock);
	rc = settle(w->s, l, why);
	if (rc == MM_OK)
		rc = quota_of(w->s, q->batch, &quota, why);
	if (rc == MM_OK)
		rc = mm_quota_find(
		    quota, q->device, q->spki_sha256, &l->arena, out, why);
	if (rc == MM_OK)
		rc = keep(i, out, why);
	pthread_mutex_unlock(&l->lock);
	return rc;
}

/* see duty.h */
enum mm_err
mm_duty_kept(const struct mm_quota_pair *p, const char *device,
    struct mm_why *why)
{
	return !p->scrapped ? MM_OK : MM_FAIL(why, MM_EPOLICY,
	    "order: %s was scrapped with this key: it gets no certificate",
	    device);
}

/* see duty.h; possession is proved each time */
enum mm_err
mm_duty_again(struct mm_worker *w, struct mm_item *i, struct mm_why *why)
{
	const struct mm_issue_req *q = &i->req.issue;
	struct mm_issue_rep *rep = &i->rep.issue;
	struct mm_quota_pair p = { .number = 0 };
	struct mm_duty_find_req pair = { .batch = "" };
	struct mm_cert c;
	struct mm_csr csr;

	MM_TRY(mm_csr_walk(q->csr, &csr, why));
	mm_csr_key_hash(&csr, pair.spki_sha256);
	memcpy(pair.device, q->device, sizeof(pair.device));
	MM_TRY(mm_duty_find(w, &pair, i, &p, why));
	MM_TRY(mm_duty_kept(&p, q->device, why));
	MM_TRY(mm_csr_verify(&csr, NULL, w->templates, why));
	MM_TRY(mm_cert_walk(p.der, &c, why));
	MM_INVARIANT(c.serial.n == sizeof(rep->serial));
	memcpy(rep->serial, c.serial.p, sizeof(rep->serial));
	memcpy(rep->spki_sha256, pair.spki_sha256, sizeof(rep->spki_sha256));
	memcpy(rep->issuer, p.issuer, sizeof(rep->issuer));
	rep->not_before_s = (uint64_t)c.not_before_s;
	rep->not_after_s = (uint64_t)c.not_after_s;
	rep->der = p.der;
	i->line.n = 0; /* no line of the journal is this answer's */
	return MM_OK;
}

/* see priv.h */
enum mm_err
mm_on_duty_find(struct mm_worker *w, struct mm_item *i, struct mm_why *why)
{
	struct mm_duty_find_rep *rep = &i->rep.duty_find;
	struct mm_quota_pair p = { .number = 0 };

	if (w->s->duty == NULL)
		return MM_FAIL(why, MM_EPOLICY,
		    "this signer works to no "
		    "order");
	MM_TRY(mm_duty_find(w, &i->req.duty_find, i, &p, why));
	rep->number = p.number;
	memcpy(rep->profile, p.profile, sizeof(rep->profile));
	memcpy(rep->issuer, p.issuer, sizeof(rep->issuer));
	rep->der = p.der;
	rep->chain = p.chain;
	return MM_OK;
}

/* What the counter says comes first: it is the station's, not the order's. */
static void
fill_right(struct mm_worker *w, struct mm_duty *l,
    struct mm_duty_status_rep *rep)
{
	const char *stopped = mm_signer_stopped(w->s, &w->sum);
	struct mm_why not = { 0 };
	enum mm_err rc = mm_duty_right(l, &not );

	if (stopped == NULL && rc == MM_OK)
		rc = mm_duty_counter_look(l, &not );
	else if (l->barred != MM_OK)
		rc = (enum mm_err)l->barred;
	rep->may = rc == MM_OK && stopped == NULL;
	rep->over = check_order(l, NULL) != MM_OK;
	rep->counted = mm_quota_counted(l->quota);
	rep->lost = mm_duty_lost(l);
	if (l->barred == MM_EPOLICY)
		rep->counter = MM_IPC_COUNTER_BACK;
	else if (l->barred != MM_OK || rc == MM_EAGAIN)
		rep->counter = MM_IPC_COUNTER_AWAY;
	snprintf(rep->why, sizeof(rep->why), "%s",
	    stopped != NULL ? stopped : not .text);
}

/* see priv.h */
enum mm_err
mm_on_duty_status(struct mm_worker *w, struct mm_item *i, struct mm_why *why)
{
	struct mm_duty_status_rep *rep = &i->rep.duty_status;
	struct mm_duty *l = w->s->duty;

	if (l == NULL)
		return MM_FAIL(why, MM_EPOLICY,
		    "this signer works to no "
		    "order");
	pthread_mutex_lock(&l->lock);
	fill_right(w, l, rep);
	rep->share = mm_duty_whole(l);
	rep->until_ms = (uint64_t)l->order->until_ms;
	pthread_mutex_unlock(&l->lock);
	memcpy(rep->batch, l->order->batch, sizeof(rep->batch));
	memcpy(rep->station, l->order->station, sizeof(rep->station));
	rep->number = (uint64_t)l->order->number;
	rep->not_before_ms = (uint64_t)l->order->not_before_ms;
	snprintf(rep->level, sizeof(rep->level), "%s",
	    mm_work_level_words[l->level]);
	return MM_OK;
}
