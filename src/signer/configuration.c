#include <string.h>

#include "base/time.h"
#include "pki/confdoc.h"
#include "signer/priv.h"

/*
 * Configurations of fielded devices.  What the server wants of a device is the
 * server's to say: here it becomes a text that can be nothing else, signed by
 * a key that is good for nothing else, with a line in the journal.
 */

static enum mm_err
check(const struct mm_config_sign_req *q, const struct mm_responder *p,
    struct mm_why *why)
{
	if (!mm_device_id_valid(q->device) || q->version < 1 ||
	    q->version > (uint64_t)mm_now_s() || q->document.n == 0 ||
	    q->document.n > MM_CONFDOC_MAX)
		return MM_FAIL(why, MM_EINPUT, "configuration: out of range");
	/* a version is less than the seconds of the clock, so that a server
	 * that was taken over uses none up that the next one needs; the server
	 * starts another signer in good time */
	if (mm_now_s() > p->not_after_s)
		return MM_FAIL(why, MM_ENOTFOUND,
		    "configuration: its signer's certificate has ended");
	return MM_OK;
}

static void
fill_line(struct mm_item *i, const struct mm_responder *p,
    struct mm_bytes text)
{
	const struct mm_config_sign_req *q = &i->req.config_sign;
	uint8_t document[32];

	i->line = (struct mm_journal_line){ .kind = MM_J_CONFIGURATION,
		.number = q->version };
	memcpy(i->line.issuer, p->issuer_name, sizeof(i->line.issuer));
	memcpy(i->line.serial, p->serial, sizeof(i->line.serial));
	memcpy(i->line.device, q->device, sizeof(i->line.device));
	mm_sha256(text, i->line.tbs_sha256);
	mm_sha256(q->document, document);
	mm_salted_sha256(q->salt, (struct mm_bytes){ document, 32 },
	    i->line.document_sha256);
	i->journal = true;
}

static enum mm_err
sign(struct mm_worker *w, struct mm_item *i, struct mm_responder *p,
    struct mm_buf *text, struct mm_why *why)
{
	const struct mm_config_sign_req *q = &i->req.config_sign;
	struct mm_confdoc c = { .version = (uint32_t)q->version,
		.document = q->document };
	struct mm_confdoc_by by = { .cert = mm_buf_view(&p->der),
		.issuer = mm_buf_view(&p->issuer_der),
		.alg = mm_sign_alg(p->sign) };

	memcpy(c.device, q->device, sizeof(c.device));
	memcpy(c.certificate, q->certificate, sizeof(c.certificate));
	memcpy(c.salt, q->salt, sizeof(c.salt));
	mm_confdoc_put(text, &c);
	MM_TRY(mm_buf_ok(text, why));
	mm_buf_reset(&w->sig);
	MM_TRY(mm_sign_bytes(p->sign, mm_buf_view(text), &w->sig, why));
	by.sig = mm_buf_view(&w->sig);
	MM_TRY(mm_confdoc_join(&i->secret, mm_buf_view(text), &by, why));
	fill_line(i, p, mm_buf_view(text));
	return MM_OK;
}

/* see priv.h */
enum mm_err
mm_on_config_sign(struct mm_worker *w, struct mm_item *i, struct mm_why *why)
{
	MM_OWN(mm_buf_wipe) struct mm_buf text =
	    MM_BUF_INIT(MM_CONFDOC_MAX + MM_CONFDOC_HEAD_MAX);
	const struct mm_config_sign_req *q = &i->req.config_sign;
	const char *barred = mm_signer_barred(w->s, &w->sum);
	struct mm_responder *p;

	if (barred != NULL)
		return MM_FAIL(why, MM_EAGAIN, "configuration: %s", barred);
	MM_TRY(mm_responder_find(w, q->responder, MM_RESPONDER_CONFIG, &p,
	    why));
	MM_TRY(check(q, p, why));
	MM_TRY(sign(w, i, p, &text, why));
	i->rep.config_sign.der = mm_buf_view(&i->secret);
	return MM_OK;
}
