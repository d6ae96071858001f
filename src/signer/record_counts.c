#include <inttypes.h>
#include <string.h>

#include "signer/record_priv.h"

/* Counters, ceilings and what is outstanding. */

/* What fills the journal without a certificate; no line makes so many. */
#define TOKENS_A_MINUTE 100000

/* see record_priv.h */
struct mm_state_row *
mm_record_day(struct mm_state *s, const struct mm_journal_line *l)
{
	char name[sizeof(l->profile)];

	memcpy(name, l->profile, sizeof(name));
	name[strcspn(name, "@")] = '\0';
	return mm_state_row(s->day, &s->nday, name);
}

/* see record_priv.h; of tens of thousands of line CAs no number each is kept:
 * each list's is above all of theirs before */
void
mm_record_note_crl(struct mm_state *s, const struct mm_journal_line *l)
{
	const char *run = l->authority[0] != '\0' ? l->authority : l->issuer;
	struct mm_state_row *row = mm_state_row(s->crl, &s->ncrl, run);

	if (row != NULL && l->number > row->count)
		row->count = l->number;
}

static enum mm_err
spend_locked(struct mm_record *r, struct mm_state_row *row,
    const int64_t limit[2], int64_t now_s, struct mm_why *why)
{
	struct mm_minute *m = &r->minute[row - r->state->day];

	if (now_s / MM_RECORD_DAY_S > row->day) {
		row->day = now_s / MM_RECORD_DAY_S;
		row->count = 0;
	}
	if (now_s / MM_RECORD_MINUTE_S > m->minute)
		*m = (struct mm_minute){ .minute = now_s / MM_RECORD_MINUTE_S };
	if (limit[0] > 0 && m->n >= limit[0])
		return MM_FAIL(why, MM_EPOLICY, "profile %s: the signer's "
		    "ceiling of %" PRId64 " a minute", row->name, limit[0]);
	if (limit[1] > 0 && row->count >= (uint64_t)limit[1])
		return MM_FAIL(why, MM_EPOLICY, "profile %s: the signer's "
		    "ceiling of %" PRId64 " a day", row->name, limit[1]);
	m->n++;
	row->count++;
	return MM_OK;
}

/* see record.h */
enum mm_err
mm_record_spend(struct mm_record *r, const char *profile, int64_t per_minute,
    int64_t per_day, int64_t now_s, struct mm_why *why)
{
	const int64_t limit[2] = { per_minute, per_day };
	struct mm_state_row *row;
	enum mm_err err;

	pthread_mutex_lock(&r->lock);
	row = mm_state_row(r->state->day, &r->state->nday, profile);
	err = row == NULL ? MM_FAIL(why, MM_ELIMIT, "too many profiles") :
			    spend_locked(r, row, limit, now_s, why);
	pthread_mutex_unlock(&r->lock);
	return err;
}

/* see record.h; a minute or a day that is over has nothing to give back to */
void
mm_record_give_back(struct mm_record *r, const char *profile, int64_t now_s)
{
	struct mm_state_row *row;

	pthread_mutex_lock(&r->lock);
	row = mm_state_row(r->state->day, &r->state->nday, profile);
	if (row != NULL) {
		struct mm_minute *m = &r->minute[row - r->state->day];

		if (row->day == now_s / MM_RECORD_DAY_S && row->count > 0)
			row->count--;
		if (m->minute == now_s / MM_RECORD_MINUTE_S && m->n > 0)
			m->n--;
	}
	pthread_mutex_unlock(&r->lock);
}

static unsigned
percent(uint64_t n, int64_t limit)
{
	uint64_t v = limit > 0 ? n * 100 / (uint64_t)limit : 0;

	return v < 100 ? (unsigned)v : 100;
}

/* see record.h; a profile without a row has signed nothing */
unsigned
mm_record_used(struct mm_record *r, const char *profile, int64_t per_minute,
    int64_t per_day, int64_t now_s)
{
	unsigned minute = 0, day = 0;

	pthread_mutex_lock(&r->lock);
	for (size_t i = 0; i < r->state->nday; i++) {
		const struct mm_state_row *row = &r->state->day[i];
		const struct mm_minute *m = &r->minute[i];

		if (strcmp(row->name, profile) != 0)
			continue;
		if (row->day == now_s / MM_RECORD_DAY_S)
			day = percent(row->count, per_day);
		if (m->minute == now_s / MM_RECORD_MINUTE_S)
			minute = percent((uint64_t)m->n, per_minute);
	}
	pthread_mutex_unlock(&r->lock);
	return day > minute ? day : minute;
}

/* see record.h */
enum mm_err
mm_record_spend_token(struct mm_record *r, int64_t now_s, struct mm_why *why)
{
	enum mm_err err = MM_OK;

	pthread_mutex_lock(&r->lock);
	if (now_s / MM_RECORD_MINUTE_S > r->token.minute)
		r->token = (struct mm_minute){
			.minute = now_s / MM_RECORD_MINUTE_S };
	if (r->token.n >= TOKENS_A_MINUTE)
		err = MM_FAIL(why, MM_ERATE, "token: the signer's ceiling of "
		    "%d a minute", TOKENS_A_MINUTE);
	else
		r->token.n++;
	pthread_mutex_unlock(&r->lock);
	return err;
}

/* A CRL's are all in its serial; a responder has an issuer and a key. */
static bool
same_signature(const struct mm_journal_line *a,
    const struct mm_journal_line *b)
{
	bool responder = a->kind == MM_J_RESPONDER;

	if (a->kind == MM_J_CRL || b->kind == MM_J_CRL)
		return a->kind == b->kind;
	if (responder != (b->kind == MM_J_RESPONDER) ||
	    (responder && strcmp(a->issuer, b->issuer) != 0))
		return false;
	return strcmp(a->device, b->device) == 0 &&
	    strcmp(a->profile, b->profile) == 0 &&
	    memcmp(a->spki_sha256, b->spki_sha256, 32) == 0;
}

/* see record.h */
enum mm_err
mm_record_settle(struct mm_record *r, const struct mm_journal_line *claim,
    struct mm_why *why)
{
	const struct mm_outset_item *it;
	enum mm_err err = MM_OK;

	pthread_mutex_lock(&r->lock);
	it = mm_outset_get(r->out, claim->serial);
	if (it == NULL)
		err = MM_FAIL(why, MM_ENOTFOUND, "not outstanding");
	else if (!same_signature(&it->line, claim))
		err = MM_FAIL(why, MM_EPOLICY, "entry names another device, "
		    "profile or key");
	else
		mm_outset_drop(r->out, claim->serial);
	pthread_mutex_unlock(&r->lock);
	return err;
}

/* see record.h */
enum mm_err
mm_record_crl_number(struct mm_record *r, const char *issuer, uint64_t number,
    struct mm_why *why)
{
	struct mm_state_row *row;
	enum mm_err err = MM_OK;

	pthread_mutex_lock(&r->lock);
	row = mm_state_row(r->state->crl, &r->state->ncrl, issuer);
	if (row == NULL)
		err = MM_FAIL(why, MM_ELIMIT, "too many issuers");
	else if (number <= row->count || number > INT64_MAX)
		err = MM_FAIL(why, MM_ECONFLICT, "CRL number %" PRIu64
		    ": issuer %s is at %" PRIu64, number, issuer, row->count);
	pthread_mutex_unlock(&r->lock);
	return err;
}

/* see record.h */
uint64_t
mm_record_crl_next(struct mm_record *r, const char *issuer)
{
	struct mm_state_row *row;
	uint64_t next;

	pthread_mutex_lock(&r->lock);
	row = mm_state_row(r->state->crl, &r->state->ncrl, issuer);
	next = row == NULL ? 0 : row->count + 1;
	pthread_mutex_unlock(&r->lock);
	return next;
}

/* see record.h */
const struct mm_clocks *
mm_record_clocks(const struct mm_record *r)
{
	return &r->clocks;
}

/* see record.h */
void
mm_record_sum(struct mm_record *r, struct mm_record_sum *out)
{
	const struct mm_outset_item *it;

	pthread_mutex_lock(&r->lock);
	it = mm_outset_each(r->out, NULL);
	*out = (struct mm_record_sum){ .n = r->chain.n,
		.at_ms = r->chain.at_ms, .broken = r->broken,
		.outstanding = mm_outset_count(r->out),
		.oldest_ms = it == NULL ? 0 : it->line.at_ms };
	pthread_mutex_unlock(&r->lock);
}

static void
put_outstanding(struct mm_buf *out, const struct mm_journal_line *l)
{
	struct mm_outstanding o = { .journal_n = l->n,
		.not_after_s = (uint64_t)l->not_after_s,
		.responder = l->kind == MM_J_RESPONDER,
		.crl = l->kind == MM_J_CRL ? l->number : 0 };
	struct mm_buf body = MM_BUF_INIT(MM_JOURNAL_LINE_MAX);

	memcpy(o.serial, l->serial, sizeof(o.serial));
	memcpy(o.issuer, l->issuer, sizeof(o.issuer));
	memcpy(o.device, l->device, sizeof(o.device));
	memcpy(o.authority, l->authority, sizeof(o.authority));
	memcpy(o.profile, l->profile, sizeof(o.profile));
	memcpy(o.spki_sha256, l->spki_sha256, sizeof(o.spki_sha256));
	memcpy(o.tbs_sha256, l->tbs_sha256, sizeof(o.tbs_sha256));
	mm_fields_put(&body, mm_outstanding_fields, mm_outstanding_nfields,
	    &o);
	mm_buf_block16(out, mm_buf_view(&body));
	mm_buf_done(&body);
}

/* see record.h */
unsigned
mm_record_outstanding(struct mm_record *r, int64_t before_ms, unsigned most,
    struct mm_buf *out)
{
	const struct mm_outset_item *it = NULL;
	unsigned n = 0;

	pthread_mutex_lock(&r->lock);
	/* a clock that was set back leaves later times before earlier ones */
	while (n < most && (it = mm_outset_each(r->out, it)) != NULL)
		if (it->line.at_ms < before_ms) {
			put_outstanding(out, &it->line);
			n++;
		}
	pthread_mutex_unlock(&r->lock);
	return n;
}
