#include <stdio.h>
#include <string.h>

#include "base/time.h"
#include "signer/priv.h"
#include "work/order.h"

/* A server whose clock is elsewhere asks for orders of another time. */
#define AGE_MS INT64_C(300000)

/* The line CA is one that was made here, and for nothing but this: a server
 * that was taken over gives no station another. */
static enum mm_err
check_line(const struct mm_signer *s, const struct mm_work_order *o,
    struct mm_why *why)
{
	if (strcmp(o->ca_url, s->conf->set.public_url) != 0)
		return MM_FAIL(why, MM_EPOLICY, "order: \"%.32s\" is no line "
		    "CA that is published there", o->ca_name);
	return mm_line_check(s, o->ca_name, o->ca_chain, why);
}

static enum mm_err
check(const struct mm_worker *w, const struct mm_work_order *o,
    struct mm_why *why)
{
	bool production = w->s->conf->set.production;
	int64_t age = mm_now_ms() - o->made_ms;

	if (strcmp(o->centre, w->s->note_key.name) != 0)
		return MM_FAIL(why, MM_EPOLICY, "order: of centre %.60s",
		    o->centre);
	if ((o->marker == MM_WORK_PRODUCTION) != production)
		return MM_FAIL(why, MM_EPOLICY, "order: a %s CA signs no %s "
		    "order", production ? "production" : "test",
		    mm_work_marker_words[o->marker]);
	if (age > AGE_MS || age < -AGE_MS)
		return MM_FAIL(why, MM_EPOLICY,
		    "order: not made now, by the signer's clock");
	return o->mode == MM_WORK_OFFLINE ? check_line(w->s, o, why) : MM_OK;
}

static void
fill_line(struct mm_item *i, enum mm_journal_kind kind, const char *batch,
    const char *station, int64_t number, struct mm_bytes tbs)
{
	i->line = (struct mm_journal_line){ .kind = kind,
		.number = (uint64_t)number };
	snprintf(i->line.authority, sizeof(i->line.authority), "batch:%s",
	    batch);
	snprintf(i->line.device, sizeof(i->line.device), "%s", station);
	mm_sha256(tbs, i->line.tbs_sha256);
	i->journal = true;
}

static enum mm_err
sign_tbs(struct mm_worker *w, struct mm_bytes tbs, struct mm_why *why)
{
	mm_buf_reset(&w->sig);
	MM_TRY(mm_sign_bytes(w->sign_orders, tbs, &w->sig, why));
	MM_INVARIANT(w->sig.n == 64);
	return MM_OK;
}

static enum mm_err
sign_order(struct mm_worker *w, struct mm_item *i, struct mm_why *why)
{
	MM_OWN(mm_work_order_free) struct mm_work_order *o = NULL;
	struct mm_bytes text = i->req.order_sign.text;

	/* encoding what was read gives these bytes again: parse says so */
	MM_TRY(mm_work_order_parse(text, &o, why));
	MM_TRY(check(w, o, why));
	MM_TRY(sign_tbs(w, text, why));
	mm_note_join(&i->body, text, &w->s->orders_note, w->sig.p);
	fill_line(i, MM_J_ORDER, o->batch, o->station, o->number, text);
	return MM_OK;
}

static enum mm_err
sign_extension(struct mm_worker *w, struct mm_item *i, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf tbs =
	    MM_BUF_INIT(MM_WORK_EXTENSION_MAX + MM_ORIGIN_MAX + 64);
	struct mm_bytes line = i->req.order_sign.text;
	struct mm_work_extension e;

	MM_TRY(mm_work_extension_parse(line, &e, why));
	mm_work_extension_tbs(line, w->s->orders_note.name, &tbs);
	MM_TRY(mm_buf_ok(&tbs, why));
	MM_TRY(sign_tbs(w, mm_buf_view(&tbs), why));
	mm_work_extension_join(&i->body, line, w->sig.p);
	fill_line(i, MM_J_EXTENSION, e.batch, e.station, e.number,
	    mm_buf_view(&tbs));
	return MM_OK;
}

/* see priv.h */
enum mm_err
mm_on_order_sign(struct mm_worker *w, struct mm_item *i, struct mm_why *why)
{
	const char *stopped = mm_signer_barred(w->s, &w->sum);

	if (w->sign_orders == NULL)
		return MM_FAIL(why, MM_EPOLICY,
		    "order: this signer has no key for work orders");
	if (stopped != NULL)
		return MM_FAIL(why, MM_EPOLICY, "order: %s", stopped);
	MM_TRY(i->req.order_sign.extension != 0 ? sign_extension(w, i, why) :
	    sign_order(w, i, why));
	i->rep.order_sign.note = mm_buf_view(&i->body);
	return mm_buf_ok(&i->body, why);
}
