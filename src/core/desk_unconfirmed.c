#include <stdio.h>
#include <string.h>

#include "core/priv.h"

/*
 * Step 8 for those that never come: a certificate that its device has not
 * confirmed stays good (a plain EST client may never return), but somebody is
 * told, once a day.
 */
#define COUNT_MOST 1000000 /* an index of that many is read in a moment */

static enum mm_err
keep_row(void *ctx, const void *row, const char *next, struct mm_why *why)
{
	(void)next, (void)why;
	*(struct mm_cert_row *)ctx = *(const struct mm_cert_row *)row;
	return MM_OK;
}

/* The day's key goes with the entry: one transaction, one entry a day. */
static enum mm_err
enter(struct mm_desk *d, struct mm_op *op, uint64_t n,
    const struct mm_cert_row *oldest, struct mm_why *why)
{
	struct mm_papers p = mm_papers_over(&d->buf);
	struct mm_entry e = { .type = MM_E_ALERT };
	char serial[33], count[24], from[MM_TIME_TEXT];

	mm_hex_text(oldest->serial, 16, serial);
	snprintf(count, sizeof(count), "%llu", (unsigned long long)n);
	mm_time_text(oldest->issued_at, from);
	e.field[MM_F_REASON] = "unconfirmed";
	e.field[MM_F_COUNT] = count;
	e.field[MM_F_DEVICE] = oldest->device;
	if (oldest->product[0] != '\0')
		e.field[MM_F_PRODUCT] = oldest->product;
	e.field[MM_F_ISSUER] = oldest->issuer;
	e.field[MM_F_SERIAL] = serial;
	e.field[MM_F_PROFILE] = oldest->profile;
	e.field[MM_F_FROM] = from;
	mm_papers_add(&p, &e);
	MM_TRY(mm_desk_run(d, &p, op, why));
	mm_core_note(d->c, 2, "certificates.unconfirmed", count);
	return MM_OK;
}

static enum mm_err
look(struct mm_desk *d, struct mm_op *op, struct mm_why *why)
{
	struct mm_list l = { .most = 1, .state = MM_CERT_ISSUED,
		.issued_to = op->u.answer.at -
		    d->c->config->set.unconfirmed_alert_s * 1000 };
	struct mm_cert_row oldest;
	uint64_t n;

	MM_TRY(mm_get_unconfirmed(d->r, l.issued_to, COUNT_MOST, &n, why));
	if (n == 0)
		return MM_OK;
	memset(&oldest, 0, sizeof(oldest));
	MM_TRY(mm_list_certs(d->r, &l, keep_row, &oldest, why));
	return enter(d, op, n, &oldest, why);
}

/* see priv.h */
enum mm_err
mm_desk_unconfirmed(struct mm_desk *d, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf body = MM_BUF_INIT(64);
	struct mm_op op = { .kind = MM_OP_ANSWER_PUT };
	struct mm_answer_row seen;
	enum mm_err rc;

	if (d->c->config->set.unconfirmed_alert_s == 0)
		return MM_OK;
	op.u.answer.at = mm_now_ms();
	snprintf(op.u.answer.key, sizeof(op.u.answer.key), "unconfirmed:%lld",
	    (long long)(op.u.answer.at / 86400000));
	rc = mm_get_answer(d->r, op.u.answer.key, &seen, &body, NULL);
	if (rc == MM_OK)
		return MM_OK;
	if (rc != MM_ENOTFOUND)
		return MM_FAIL(why, rc, "store: cannot be read");
	return look(d, &op, why);
}
