#include "signer/dispatch.h"

#include <string.h>

#include "base/faults.h"
#include "base/log.h"
#include "base/time.h"

/*
 * Everything the process that holds the keys will do for anyone, as one
 * table.  No request carries a digest or bytes to be signed: the signer gets
 * fields, builds the object itself and refuses what its profiles do not
 * allow.  Which link may carry a kind stands in ipc/msg.h.
 */
enum {
	SECRET = 1 << 0, /* request or answer hold a secret: wiped */
};
static const struct {
	enum mm_err (*run)(struct mm_worker *, struct mm_item *,
	    struct mm_why *);
	unsigned flags;
} requests[MM_IPC_KIND_COUNT] = {
	[MM_IPC_HELLO] = { mm_on_hello, 0 },
	[MM_IPC_ISSUE] = { mm_on_issue, SECRET },
	[MM_IPC_POSSESS] = { mm_on_possess, 0 },
	[MM_IPC_TOKEN_MINT] = { mm_on_token_mint, SECRET },
	[MM_IPC_TOKEN_PSK] = { mm_on_token_psk, SECRET },
	[MM_IPC_TOKEN_CHECK] = { mm_on_token_check, SECRET },
	[MM_IPC_CRL_BEGIN] = { mm_on_crl_begin, 0 },
	[MM_IPC_CRL_ADD] = { mm_on_crl_add, 0 },
	[MM_IPC_CRL_SIGN] = { mm_on_crl_sign, 0 },
	[MM_IPC_CRL_READ] = { mm_on_crl_read, 0 },
	[MM_IPC_LEDGER_ADD] = { mm_on_ledger_add, 0 },
	[MM_IPC_LEDGER_SIGN] = { mm_on_ledger_sign, 0 },
	[MM_IPC_LEDGER_CHECK] = { mm_on_ledger_check, 0 },
	[MM_IPC_OUTSTANDING] = { mm_on_outstanding, 0 },
	[MM_IPC_STATUS] = { mm_on_status, 0 },
	[MM_IPC_ORDER_SIGN] = { mm_on_order_sign, 0 },
	[MM_IPC_DUTY_STATUS] = { mm_on_duty_status, 0 },
	[MM_IPC_DUTY_FIND] = { mm_on_duty_find, 0 },
	[MM_IPC_LINE_MAKE] = { mm_on_line_make, 0 },
	[MM_IPC_LINE_OPEN] = { mm_on_line_open, 0 },
	[MM_IPC_DUTY_EXTEND] = { mm_on_duty_extend, 0 },
	[MM_IPC_OCSP_START] = { mm_on_ocsp_start, 0 },
	[MM_IPC_OCSP_SIGN] = { mm_on_ocsp_sign, 0 },
	[MM_IPC_CONFIG_SIGN] = { mm_on_config_sign, SECRET },
	[MM_IPC_DUTY_ADOPT] = { mm_on_duty_adopt, 0 },
	[MM_IPC_DUTY_NONCE] = { mm_on_duty_nonce, 0 },
	[MM_IPC_DUTY_SCRAP] = { mm_on_duty_scrap, 0 },
};

static void
run_item(struct mm_worker *w, unsigned kind, struct mm_bytes body,
    struct mm_item *i)
{
	const struct mm_msg *m = mm_ipc_msg(kind);

	i->why = (struct mm_why){ 0 };
	i->journal = false;
	mm_buf_reset(&i->body);
	mm_buf_reset(&i->secret);
	memset(&i->rep, 0, sizeof(i->rep));
	i->rc = mm_fields_get(body, m->req, m->nreq, &i->req, &i->why);
	if (i->rc == MM_OK)
		i->rc = requests[kind].run(w, i, &i->why);
}

/* One write for all that was signed, before any of it leaves. */
static void
write_journal(struct mm_worker *w, unsigned n)
{
	struct mm_why why = { 0 };
	size_t lines = 0;
	enum mm_err err;

	for (unsigned k = 0; k < n; k++)
		if (w->item[k].rc == MM_OK && w->item[k].journal)
			w->line[lines++] = w->item[k].line;
	if (lines == 0)
		return;
	mm_die_at("journal");
	err = mm_record_write(w->s->record, w->line, lines, &why);
	mm_die_at("journalled");
	lines = 0;
	for (unsigned k = 0; k < n; k++) {
		struct mm_item *i = &w->item[k];
		if (i->rc != MM_OK || !i->journal)
			continue;
		i->line.n = w->line[lines++].n;
		i->rc = err;
		i->why = why;
	}
	if (err != MM_OK)
		MM_LOG(MM_LOG_ERROR, "journal.failed", MM_S("why", why.text));
}

/* The journal's number is known only now. */
static void
finish(struct mm_worker *w, unsigned kind, struct mm_item *i)
{
	if (i->rc == MM_OK && i->journal)
		w->s->signed_n++;
	if (i->rc == MM_OK && kind == MM_IPC_ISSUE)
		i->rep.issue.journal_n = i->line.n;
	if (i->rc == MM_OK)
		return;
	w->s->refused_n++;
	if (i->rc == MM_ESYS || i->rc == MM_ECRYPTO || i->rc == MM_EBUG)
		MM_LOG(MM_LOG_ERROR, "request.failed",
		    MM_S("kind", mm_ipc_msg(kind)->name),
		    MM_S("why", i->why.text), MM_S("at", i->why.at));
}

static enum mm_err
answer(struct mm_worker *w, unsigned kind, unsigned n, mm_send_fn *send,
    void *ctx, struct mm_why *why)
{
	mm_frame_begin(&w->out, kind);
	for (unsigned k = 0; k < n; k++) {
		struct mm_item *i = &w->item[k];
		if (mm_frame_put_rep(&w->out, i->tag, i->rc, i->why.text,
			&i->rep))
			continue;
		if (mm_frame_count(&w->out) > 0)
			MM_TRY(send(ctx, mm_buf_view(&w->out), why));
		mm_frame_begin(&w->out, kind);
		if (!mm_frame_put_rep(&w->out, i->tag, i->rc, i->why.text,
			&i->rep) &&
		    !mm_frame_put_rep(&w->out, i->tag, MM_ELIMIT,
			"answer is longer than a message", NULL))
			return MM_FAIL(why, MM_ENOMEM, "no room to answer");
	}
	return send(ctx, mm_buf_view(&w->out), why);
}

static void
wipe(struct mm_worker *w, unsigned n)
{
	for (unsigned k = 0; k < n; k++) {
		struct mm_item *i = &w->item[k];
		mm_wipe(&i->req, sizeof(i->req));
		mm_wipe(&i->rep, sizeof(i->rep));
		if (i->secret.n > 0)
			mm_wipe(i->secret.p, i->secret.n);
	}
	mm_wipe(w->in.p, w->in.n);
	mm_wipe(w->out.p, w->out.n);
}

/* see dispatch.h */
enum mm_err
mm_signer_handle(struct mm_worker *w, struct mm_bytes frame, mm_send_fn *send,
    void *ctx, struct mm_why *why)
{
	struct mm_frame f;
	struct mm_bytes body;
	enum mm_err err;
	unsigned n = 0;
	uint32_t tag;

	MM_TRY(mm_frame_parse(frame, &f, why));
	if (f.answer || requests[f.kind].run == NULL ||
	    (mm_ipc_msg(f.kind)->links & w->role) == 0)
		return MM_FAIL(why, MM_EINPUT, "%s does not belong on this "
		    "link", mm_ipc_msg(f.kind)->name);
	mm_record_sum(w->s->record, &w->sum);
	for (; mm_frame_next(&f, &tag, &body); n++) {
		w->item[n].tag = tag;
		run_item(w, f.kind, body, &w->item[n]);
	}
	write_journal(w, n);
	for (unsigned k = 0; k < n; k++)
		finish(w, f.kind, &w->item[k]);
	if (f.kind == MM_IPC_ISSUE)
		mm_die_at("answer");
	err = answer(w, f.kind, n, send, ctx, why);
	if (f.kind == MM_IPC_ISSUE)
		mm_die_at("answered");
	if (requests[f.kind].flags & SECRET)
		wipe(w, n);
	return err;
}
