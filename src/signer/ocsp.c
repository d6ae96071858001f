#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/rand.h>

#include "base/time.h"
#include "pki/ocsp.h"
#include "signer/far.h"

/*
 * Delegated OCSP responders (RFC 6960 4.2.2.2), and likewise who signs
 * configurations (configuration.c).  Their keys are made here, never leave, and
 * end with the process: what they sign says what the server believes of a
 * serial, or wants of a device, and no CA's key is used for it.
 */
enum {
	RESPONDERS_MAX = 2048,     /* older ones go: start makes new ones */
	LIFE_S = 7 * 86400,
	BACK_S = 300,              /* backdated, for clocks that differ */
	ANSWER_MOST_S = 7 * 86400, /* nextUpdate after thisUpdate */
};

static void
free_one(struct mm_responder *p)
{
	if (p == NULL)
		return;
	mm_sign_free(&p->sign);
	mm_buf_done(&p->issuer_der);
	mm_buf_done(&p->der);
	free(p);
}
MM_FREE_FN(responder_free, struct mm_responder, free_one)

/* see priv.h */
void
mm_responders_free(struct mm_responder **owner)
{
	struct mm_responder *p, *next;

	for (p = *owner; p != NULL; p = next) {
		next = p->next;
		free_one(p);
	}
	*owner = NULL;
}

/* see priv.h */
enum mm_err
mm_signer_find_ca(const struct mm_signer *s, const char *name, size_t *out,
    struct mm_why *why)
{
	for (size_t i = 0; i < s->nca; i++)
		if (s->ca[i].key != NULL &&
		    strcmp(s->ca[i].issuer.name, name) == 0) {
			*out = i;
			return MM_OK;
		}
	return MM_FAIL(why, MM_EPOLICY, "the signer has no issuer \"%.32s\" "
	    "with a key", name);
}

/* ---- a new responder ---- */

static enum mm_err
fill(const struct mm_issuer *issuer, struct mm_ca_fields *f,
    struct mm_why *why)
{
	uint8_t random[10];

	if (RAND_bytes(random, sizeof(random)) != 1)
		return MM_FAIL(why, MM_ECRYPTO, "no random bytes");
	mm_serial_make(mm_now_ms(), random, f->serial);
	f->not_before_s = mm_now_s() - BACK_S;
	if (f->not_before_s < issuer->not_before_s)
		f->not_before_s = issuer->not_before_s;
	f->not_after_s = mm_now_s() + LIFE_S;
	if (f->not_after_s > issuer->not_after_s)
		f->not_after_s = issuer->not_after_s;
	f->issuer_subject = issuer->subject;
	f->issuer_key_id = (struct mm_bytes){ issuer->key_id,
		sizeof(issuer->key_id) };
	return f->not_after_s > mm_now_s() ? MM_OK :
	    MM_FAIL(why, MM_EPOLICY, "issuer %s has expired", issuer->name);
}

/* The journal has its line, on the disk, before anybody can see it. */
static enum mm_err
enter(struct mm_worker *w, const struct mm_issuer *issuer,
    const struct mm_ca_fields *f, struct mm_ocsp_start_rep *p,
    struct mm_why *why)
{
	struct mm_journal_line l = { .kind = MM_J_RESPONDER,
		.not_after_s = f->not_after_s };

	memcpy(l.issuer, issuer->name, sizeof(l.issuer));
	memcpy(l.serial, f->serial, sizeof(l.serial));
	mm_sha256(f->spki, l.spki_sha256);
	mm_sha256(mm_buf_view(&w->tbs), l.tbs_sha256);
	MM_TRY(mm_record_write(w->s->record, &l, 1, why));
	MM_TRY(mm_record_flush(w->s->record, why));
	p->journal_n = l.n;
	memcpy(p->serial, l.serial, sizeof(p->serial));
	memcpy(p->spki_sha256, l.spki_sha256, sizeof(p->spki_sha256));
	p->not_before_s = (uint64_t)f->not_before_s;
	p->not_after_s = (uint64_t)f->not_after_s;
	return MM_OK;
}

/* The CA signs its certificate; tbs and sig are the worker's. */
static enum mm_err
certify(struct mm_worker *w, const struct mm_ca *ca, struct mm_bytes spki,
    struct mm_responder *n, struct mm_ocsp_start_rep *p, struct mm_why *why)
{
	static const char *const names[MM_RESPONDER_USES] = {
		[MM_RESPONDER_OCSP] = "CN=OCSP responder",
		[MM_RESPONDER_CONFIG] = "CN=Configuration signer",
	};
	MM_OWN(mm_sign_free) struct mm_sign *sign = NULL;
	const struct mm_issuer *issuer = &ca->issuer;
	struct mm_conf_list subject = { .n = 1 };
	struct mm_ca_fields f = { .responder = n->use == MM_RESPONDER_OCSP,
		.configures = n->use == MM_RESPONDER_CONFIG,
		.subject = &subject, .spki = spki };
	struct mm_buf *der = &n->der;

	if (f.configures && ca->line)
		return MM_FAIL(why, MM_EPOLICY, "configuration: a line's CA "
		    "certifies nobody for that");
	(void)!mm_text_copy(subject.item[0], sizeof(subject.item[0]),
	    mm_bytes_of(names[n->use]));
	MM_TRY(mm_ca_sign_new(ca, &sign, why));
	MM_TRY(fill(issuer, &f, why));
	mm_buf_reset(&w->tbs);
	mm_buf_reset(&w->sig);
	MM_TRY(mm_ca_build(&f, mm_sign_alg(sign), &w->tbs, why));
	MM_TRY(mm_sign_bytes(sign, mm_buf_view(&w->tbs), &w->sig, why));
	MM_TRY(enter(w, issuer, &f, p, why));
	mm_cert_join(der, mm_buf_view(&w->tbs), mm_sign_alg(sign),
	    mm_buf_view(&w->sig));
	MM_TRY(mm_buf_ok(der, why));
	mm_sha256(mm_buf_view(der), p->cert_sha256);
	return MM_OK;
}

static enum mm_err
make(struct mm_worker *w, const struct mm_ca *ca, enum mm_responder_use use,
    struct mm_ocsp_start_rep *p, struct mm_responder **out, struct mm_why *why)
{
	MM_OWN(responder_free) struct mm_responder *n = calloc(1, sizeof(*n));
	MM_OWN(mm_buf_done) struct mm_buf spki = MM_BUF_INIT(256);
	MM_OWN(mm_pkey_free) EVP_PKEY *key = NULL;
	struct mm_cert c;

	if (n == NULL)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	n->use = use;
	memcpy(n->issuer_name, ca->issuer.name, sizeof(n->issuer_name));
	mm_buf_init(&n->der, MM_CERT_MAX);
	mm_buf_init(&n->issuer_der, MM_CERT_MAX);
	mm_buf_bytes(&n->issuer_der, mm_buf_view(&ca->der));
	MM_TRY(mm_buf_ok(&n->issuer_der, why));
	MM_TRY(mm_key_make(MM_KEY_P256, &key, why));
	MM_TRY(mm_key_spki(key, &spki, why));
	MM_TRY(mm_sign_new(NULL, key, &n->sign, why));
	MM_TRY(mm_ocsp_issuer_make(mm_buf_view(&ca->der), &n->issuer,
	    why));
	MM_TRY(certify(w, ca, mm_buf_view(&spki), n, p, why));
	MM_TRY(mm_cert_walk(mm_buf_view(&n->der), &c, why));
	n->key = c.spki.key;
	n->not_after_s = c.not_after_s;
	memcpy(n->serial, p->serial, sizeof(n->serial));
	*out = MM_MOVE(n);
	return MM_OK;
}

/* The newest first; what is behind the most is forgotten. */
static void
keep(struct mm_worker *w, struct mm_responder *take)
{
	struct mm_responder *p = take;

	take->next = w->responder;
	w->responder = take;
	for (unsigned i = 1; p != NULL && i < RESPONDERS_MAX; i++)
		p = p->next;
	if (p != NULL)
		mm_responders_free(&p->next);
}

/* A line CA that was made here is opened for this alone. */
static enum mm_err
start_line(struct mm_worker *w, struct mm_item *i, struct mm_responder **out,
    struct mm_why *why)
{
	const struct mm_ocsp_start_req *q = &i->req.ocsp_start;
	struct mm_line_open_req open = { .der = q->der, .kept = q->kept };
	struct mm_ca ca = { .key = NULL };
	enum mm_err rc;

	memcpy(open.name, q->issuer, sizeof(open.name));
	rc = mm_line_ca_open(w->s, &open, &ca, why);
	if (rc == MM_OK)
		rc = make(w, &ca, (enum mm_responder_use)q->use,
		    &i->rep.ocsp_start, out, why);
	mm_ca_done(&ca);
	return rc;
}

/* see priv.h */
enum mm_err
mm_on_ocsp_start(struct mm_worker *w, struct mm_item *i, struct mm_why *why)
{
	const struct mm_ocsp_start_req *q = &i->req.ocsp_start;
	const char *stopped = mm_signer_stopped(w->s, &w->sum);
	struct mm_responder *made = NULL;
	size_t ca = 0;

	if (stopped != NULL)
		return MM_FAIL(why, MM_EAGAIN, "ocsp: %s", stopped);
	if (q->use >= MM_RESPONDER_USES)
		return MM_FAIL(why, MM_EINPUT, "ocsp: no such use");
	if (q->kept.n > 0) {
		MM_TRY(start_line(w, i, &made, why));
	} else {
		MM_TRY(mm_signer_find_ca(w->s, q->issuer, &ca, why));
		MM_TRY(make(w, &w->s->ca[ca], (enum mm_responder_use)q->use,
		    &i->rep.ocsp_start, &made, why));
	}
	keep(w, made);
	return MM_OK;
}

/* see priv.h */
enum mm_err
mm_responder_find(struct mm_worker *w, const uint8_t serial[MM_SERIAL_N],
    enum mm_responder_use use, struct mm_responder **out, struct mm_why *why)
{
	struct mm_responder *p = w->responder;

	while (p != NULL && (p->use != use ||
	    memcmp(p->serial, serial, sizeof(p->serial)) != 0))
		p = p->next;
	if (p == NULL)
		return MM_FAIL(why, MM_ENOTFOUND, "no such responder");
	*out = p;
	return MM_OK;
}

/* ---- an answer ---- */

/* An answer of the future, or one that is good for weeks, would outlive the
 * server's honesty. */
static enum mm_err
check_times(const struct mm_ocsp_sign_req *q, const struct mm_responder *p,
    struct mm_why *why)
{
	if (q->this_s > (uint64_t)(mm_now_s() + BACK_S) ||
	    q->next_s <= q->this_s || q->next_s - q->this_s > ANSWER_MOST_S)
		return MM_FAIL(why, MM_EPOLICY, "ocsp: thisUpdate or "
		    "nextUpdate is out of range");
	if (q->next_s > (uint64_t)p->not_after_s)
		return MM_FAIL(why, MM_EPOLICY, "ocsp: the responder's "
		    "certificate ends at %" PRId64, p->not_after_s);
	return MM_OK;
}

static enum mm_err
check(const struct mm_ocsp_sign_req *q, const struct mm_responder *p,
    struct mm_why *why)
{
	struct mm_ocsp_id id;

	MM_TRY(mm_ocsp_id_parse(q->id, &id, why));
	if (!mm_ocsp_is_of(&id, &p->issuer))
		return MM_FAIL(why, MM_EPOLICY, "ocsp: the responder is "
		    "another issuer's");
	if (q->status > MM_OCSP_UNKNOWN || q->revoked_s > MM_TIME_FOREVER_S ||
	    q->nonce.n > MM_OCSP_NONCE_MAX ||
	    (!mm_reason_revokes(q->reason) && q->reason != 6))
		return MM_FAIL(why, MM_EINPUT, "ocsp: out of range");
	return check_times(q, p, why);
}

static enum mm_err
answer(struct mm_worker *w, const struct mm_ocsp_sign_req *q,
    struct mm_responder *p, struct mm_buf *out, struct mm_why *why)
{
	struct mm_ocsp_answer a = { .id = q->id,
		.status = (enum mm_ocsp_status)q->status,
		.revoked_s = (int64_t)q->revoked_s, .reason = q->reason,
		.made_s = mm_now_s(), .this_s = (int64_t)q->this_s,
		.next_s = (int64_t)q->next_s, .nonce = q->nonce,
		.key = p->key };

	if (a.this_s > a.made_s)
		a.this_s = a.made_s;
	mm_buf_reset(&w->tbs);
	mm_buf_reset(&w->sig);
	MM_TRY(mm_ocsp_build(&a, &w->tbs, why));
	MM_TRY(mm_sign_bytes(p->sign, mm_buf_view(&w->tbs), &w->sig, why));
	mm_ocsp_join(out, mm_buf_view(&w->tbs), mm_sign_alg(p->sign),
	    mm_buf_view(&w->sig), mm_buf_view(&p->der));
	return mm_buf_ok(out, why);
}

/* see priv.h */
enum mm_err
mm_on_ocsp_sign(struct mm_worker *w, struct mm_item *i, struct mm_why *why)
{
	const struct mm_ocsp_sign_req *q = &i->req.ocsp_sign;
	const char *clock = mm_signer_barred(w->s, &w->sum);
	struct mm_responder *p;

	if (clock != NULL)
		return MM_FAIL(why, MM_EAGAIN, "ocsp: %s", clock);
	MM_TRY(mm_responder_find(w, q->responder, MM_RESPONDER_OCSP, &p,
	    why));
	MM_TRY(check(q, p, why));
	MM_TRY(answer(w, q, p, &i->body, why));
	i->rep.ocsp_sign.der = mm_buf_view(&i->body);
	return MM_OK;
}
