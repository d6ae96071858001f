#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/time.h"
#include "signer/far.h"

#define ENTRIES_MAX 2000000
#define ENTRY_N     25 /* 16 serial, u64 at_s, u8 reason */
#define FUTURE_S    300
#define READ_MOST   (120 * 1024)

/* run: the name under which its lists' numbers are kept. */
static enum mm_err
find_ca(const struct mm_signer *s, const char *name, const struct mm_ca **out,
    const char **run, struct mm_why *why)
{
	const struct mm_ca *line = &s->crl.line;
	size_t i;

	if (mm_signer_find_ca(s, name, &i, NULL) == MM_OK) {
		*out = &s->ca[i];
		*run = name;
		return MM_OK;
	}
	if (line->key == NULL || strcmp(line->issuer.name, name) != 0)
		return MM_FAIL(why, MM_EPOLICY,
		    "crl: the signer has no such issuer");
	*out = line;
	*run = line->above->issuer.name;
	return MM_OK;
}

/*
 * Numbers are milliseconds of the clock, and one that is used up cannot come
 * again: a huge one would end revocation; only the last one's successor may be
 * ahead of the clock, when that was set back.  A CRL of the far future, or one
 * that is good for years, would outlive the server's honesty: twice the
 * configured life is the most.
 */
static enum mm_err
check_times(const struct mm_crl_begin_req *q, int64_t crl_hours,
    uint64_t next, struct mm_why *why)
{
	uint64_t most = (uint64_t)crl_hours * 3600 * 2;

	if (q->this_s > (uint64_t)(mm_now_s() + FUTURE_S))
		return MM_FAIL(why, MM_EPOLICY, "crl: thisUpdate is in the "
		    "future");
	if (q->number > (uint64_t)(mm_now_ms() + FUTURE_S * 1000) &&
	    q->number > next)
		return MM_FAIL(why, MM_EPOLICY, "crl: number is above what "
		    "the clock gives");
	if (q->next_s <= q->this_s || q->next_s - q->this_s > most)
		return MM_FAIL(why, MM_EPOLICY, "crl: nextUpdate must be "
		    "after thisUpdate by at most %" PRIu64 " s", most);
	return MM_OK;
}

/* Ascending, so none twice; of an issuer whose certificates say where their
 * shard is. */
static enum mm_err
take_shards(struct mm_crl_job *c, const struct mm_crl_begin_req *q,
    const struct mm_issuer *i, struct mm_why *why)
{
	struct mm_rd r = mm_rd_over(q->shards);
	size_t n = q->shards.n / 2;

	if (q->shards.n % 2 != 0 || n > MM_CRL_RUN_MOST || q->whole > 1)
		return MM_FAIL(why, MM_EINPUT, "crl: a run is of at most %d "
		    "shards", MM_CRL_RUN_MOST);
	if (n > 0 && i->crl_url[0] == '\0')
		return MM_FAIL(why, MM_EPOLICY, "crl: without public_url there "
		    "are no shards");
	for (size_t k = 0; k < n; k++) {
		c->shard[k] = mm_rd_u16(&r);
		if (c->shard[k] >= i->shards ||
		    (k > 0 && c->shard[k] <= c->shard[k - 1]))
			return MM_FAIL(why, MM_EPOLICY, "crl: issuer %s has "
			    "%u shards, and each is named once, in order",
			    i->name, i->shards);
	}
	c->nshard = n;
	c->whole = q->whole != 0 || n == 0;
	return MM_OK;
}

static enum mm_err
begin(struct mm_signer *s, const struct mm_crl_begin_req *q,
    uint64_t *number, struct mm_why *why)
{
	struct mm_crl_job *c = &s->crl;
	const struct mm_ca *ca = NULL;
	const char *run = "";
	uint64_t next;

	MM_TRY(find_ca(s, q->issuer, &ca, &run, why));
	MM_TRY(mm_ca_ready(ca, why)); /* or all is gathered for nothing */
	next = mm_record_crl_next(s->record, run);
	MM_TRY(check_times(q, ca->crl_hours, next, why));
	*number = q->number > next ? q->number : next;
	MM_TRY(mm_record_crl_number(s->record, run, *number, why));
	c->open = false;
	MM_TRY(take_shards(c, q, &ca->issuer, why));
	c->open = true;
	c->ca = ca;
	memcpy(c->run, run, strlen(run) + 1);
	c->number = *number;
	c->this_s = (int64_t)q->this_s;
	c->next_s = (int64_t)q->next_s;
	c->n = 0;
	mm_buf_done(&c->der);
	return MM_OK;
}

static enum mm_err
grow(struct mm_crl_job *c, size_t more, struct mm_why *why)
{
	struct mm_crl_entry *p;
	size_t want = c->n + more;

	if (want > ENTRIES_MAX)
		return MM_FAIL(why, MM_ELIMIT, "crl: more than %d entries",
		    ENTRIES_MAX);
	if (want <= c->cap)
		return MM_OK;
	want += want / 2;
	p = realloc(c->entry, want * sizeof(*p));
	if (p == NULL)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	c->entry = p;
	c->cap = want;
	return MM_OK;
}

/* RFC 5280 5.3.1: 0 to 10 without 7; removeFromCRL is for deltas. */
static bool
reason_valid(uint8_t reason)
{
	return reason <= 10 && reason != 7 && reason != 8;
}

/* What is left out of its shard can be hidden in no other one. */
static const char *
fault_of(const struct mm_crl_job *c, const struct mm_crl_entry *e)
{
	if (!reason_valid(e->reason) || e->at_s < 0 ||
	    e->at_s > MM_TIME_FOREVER_S)
		return "out of range";
	return c->whole || mm_crl_job_place(c, e->serial) != SIZE_MAX ? NULL :
	    "of no shard of this run";
}

static enum mm_err
add(struct mm_crl_job *c, struct mm_bytes in, struct mm_why *why)
{
	struct mm_rd r = mm_rd_over(in);
	size_t n = in.n / ENTRY_N, kept = c->n;
	const char *fault;

	if (!c->open)
		return MM_FAIL(why, MM_ECONFLICT, "crl: none was begun");
	if (in.n % ENTRY_N != 0)
		return MM_FAIL(why, MM_EINPUT, "crl: entries are not whole");
	MM_TRY(grow(c, n, why));
	for (size_t k = 0; k < n; k++) {
		struct mm_crl_entry *e = &c->entry[c->n + k];
		memcpy(e->serial, mm_rd_take(&r, 16).p, 16);
		e->at_s = (int64_t)mm_rd_u64(&r);
		e->reason = mm_rd_u8(&r);
		fault = fault_of(c, e);
		if (fault != NULL) {
			c->n = kept;
			return MM_FAIL(why, MM_EINPUT, "crl: entry %zu is %s",
			    kept + k, fault);
		}
	}
	c->n += n;
	return MM_OK;
}

static void
close_job(struct mm_crl_job *c)
{
	free(c->entry);
	c->entry = NULL;
	c->n = c->cap = 0;
	c->open = false;
}

/* The number is checked again: it may have been used since begin. */
static enum mm_err
finish(struct mm_worker *w, struct mm_crl_sign_rep *p, struct mm_why *why)
{
	struct mm_crl_job *c = &w->s->crl;
	const char *clock = mm_signer_barred(w->s, &w->sum);
	enum mm_err err;

	if (clock != NULL)
		return MM_FAIL(why, MM_EAGAIN, "crl: %s", clock);
	if (w->sum.outstanding >= MM_OUTSTANDING_MOST)
		return MM_FAIL(why, MM_EAGAIN, "crl: too many signatures are "
		    "not in the ledger yet");
	if (!c->open)
		return MM_FAIL(why, MM_ECONFLICT, "crl: none was begun");
	MM_TRY(mm_ca_ready(c->ca, why));
	MM_TRY(mm_record_crl_number(w->s->record, c->run, c->number, why));
	err = mm_crl_job_sign(w, c, why);
	close_job(c);
	MM_TRY(err);
	p->der_n = c->der.n;
	mm_sha256(mm_buf_view(&c->der), p->sha256);
	return MM_OK;
}

/* see priv.h */
enum mm_err
mm_on_crl_begin(struct mm_worker *w, struct mm_item *i, struct mm_why *why)
{
	enum mm_err err;

	pthread_mutex_lock(&w->s->crl.lock);
	err = begin(w->s, &i->req.crl_begin, &i->rep.crl_begin.number, why);
	pthread_mutex_unlock(&w->s->crl.lock);
	return err;
}

/* see priv.h */
enum mm_err
mm_on_crl_add(struct mm_worker *w, struct mm_item *i, struct mm_why *why)
{
	struct mm_crl_job *c = &w->s->crl;
	enum mm_err err;

	pthread_mutex_lock(&c->lock);
	err = add(c, i->req.crl_add.entries, why);
	i->rep.crl_add.total = c->n;
	pthread_mutex_unlock(&c->lock);
	return err;
}

/* see priv.h */
enum mm_err
mm_on_crl_sign(struct mm_worker *w, struct mm_item *i, struct mm_why *why)
{
	enum mm_err err;

	pthread_mutex_lock(&w->s->crl.lock);
	err = finish(w, &i->rep.crl_sign, why);
	pthread_mutex_unlock(&w->s->crl.lock);
	return err;
}

/* see priv.h */
enum mm_err
mm_on_crl_read(struct mm_worker *w, struct mm_item *i, struct mm_why *why)
{
	const struct mm_crl_read_req *q = &i->req.crl_read;
	struct mm_crl_job *c = &w->s->crl;
	enum mm_err err = MM_OK;
	size_t n;

	pthread_mutex_lock(&c->lock);
	if (q->offset > c->der.n) {
		err = MM_FAIL(why, MM_ENOTFOUND, "crl: past its end");
	} else {
		n = c->der.n - (size_t)q->offset;
		n = n < READ_MOST ? n : READ_MOST;
		n = n < q->most ? n : q->most;
		mm_buf_put(&i->body, n == 0 ? NULL : c->der.p + q->offset, n);
		err = mm_buf_ok(&i->body, why);
	}
	pthread_mutex_unlock(&c->lock);
	i->rep.crl_read.der = mm_buf_view(&i->body);
	return err;
}
