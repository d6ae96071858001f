#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <openssl/rand.h>

#include "base/time.h"
#include "pki/possession.h"
#include "signer/duty.h"
#include "work/adopt.h"

/*
 * A board whose record died with a disk.  What it shows is judged here and not
 * by the station program: the CA, the certificate's names and window, that the
 * board has its key.  It counts as if it were signed now, so that a share is
 * no more than a share, and the pair has this certificate from then on.
 */

/* Nobody was asked whether anything is signed: only where the board was. */
static enum mm_err
check_asked(const struct mm_duty *l, const struct mm_duty_adopt_req *q,
    struct mm_cert *c, struct mm_why *why)
{
	if (!mm_device_id_valid(q->device))
		return MM_FAIL(why, MM_EINPUT, "adopt: not a device id");
	if (q->chain.n == 0 || q->chain.n > MM_QUOTA_CHAIN ||
	    q->der.n > MM_CERT_MAX)
		return MM_FAIL(why, MM_EINPUT, "adopt: certificate or chain "
		    "of no such length");
	MM_TRY(mm_cert_walk(q->der, c, why));
	if (c->serial.n != MM_SERIAL_N)
		return MM_FAIL(why, MM_EAUTH, "adopt: its serial number is "
		    "none of ours");
	return mm_duty_orders(l, q->device) ? MM_OK
	    : MM_FAIL(why, MM_EPOLICY, "order: %s is none of its serial "
	    "numbers", q->device);
}

/* The board is there now: what it signed for somebody else, or before, is no
 * proof, whoever kept it. */
static enum mm_err
spend_nonce(struct mm_duty *l, const struct mm_duty_adopt_req *q,
    struct mm_why *why)
{
	bool good;

	if (!atomic_load(&l->asks_nonces))
		return MM_FAIL(why, MM_EAGAIN, "adopt: this station program is "
		    "older than its signer and asks it for no nonce: put one "
		    "version of both up, and start the station again");
	pthread_mutex_lock(&l->lock);
	good = mm_nonces_take(&l->nonces, q->device, q->nonce, mm_mono_ms());
	pthread_mutex_unlock(&l->lock);
	return good ? MM_OK : MM_FAIL(why, MM_ESTALE, "adopt: what the board "
	    "signed is over no nonce of this signer's, or over an old one: it "
	    "must prove it again");
}

static enum mm_err
check_proof(struct mm_duty *l, const struct mm_duty_adopt_req *q,
    struct mm_why *why)
{
	struct mm_possession p = { .hardware = q->hardware,
		.signature = q->signature };

	MM_TRY(spend_nonce(l, q, why));
	memcpy(p.nonce, q->nonce, sizeof(p.nonce));
	return mm_possession_verify(q->der, &p, why) == MM_OK
	    ? MM_OK : MM_FAIL(why, MM_EAUTH, "adopt: the board does not prove "
	    "its certificate");
}

/* Under the lock: an extension changes share and end. */
static enum mm_err
count(struct mm_worker *w, const struct mm_duty_adopt_req *q,
    const struct mm_cert *c, struct mm_why *why)
{
	struct mm_duty *l = w->s->duty;
	struct mm_quota_pair p = { .number = (uint64_t)l->order->number,
		.at_ms = mm_now_ms(), .der = q->der, .chain = q->chain };
	const struct mm_profile *profile = NULL;
	struct mm_journal_line line;
	struct mm_adopt_ca ca;

	MM_TRY(mm_duty_right(l, why));
	MM_TRY(mm_adopt_ca(l->order, q->chain, w->templates, &ca, why));
	MM_TRY(mm_adopt_profile(l->order, &ca, &l->profiles, w->templates,
	    q->device, c, &profile, why));
	mm_sha256(c->spki.whole, p.spki_sha256);
	mm_sha256(c->tbs, p.tbs_sha256);
	snprintf(p.device, sizeof(p.device), "%s", q->device);
	snprintf(p.issuer, sizeof(p.issuer), "%s", ca.name);
	snprintf(p.profile, sizeof(p.profile), "%s@%" PRId64, profile->name,
	    profile->version);
	MM_TRY(mm_duty_line(l, &p, &line, why));
	return mm_duty_count_pair(w, &p, &line, why);
}

/* What the pair has: the same is nothing new.  One that was scrapped has given
 * its place back, and takes no other. */
static enum mm_err
find(struct mm_worker *w, struct mm_item *i, const struct mm_cert *c,
    struct mm_why *why)
{
	struct mm_duty_find_req pair = { .batch = "" };
	struct mm_quota_pair have = { .number = 0 };

	memcpy(pair.device, i->req.duty_adopt.device, sizeof(pair.device));
	mm_sha256(c->spki.whole, pair.spki_sha256);
	MM_TRY(mm_duty_find(w, &pair, i, &have, why));
	MM_TRY(mm_duty_kept(&have, pair.device, why));
	return mm_bytes_eq(have.der, i->req.duty_adopt.der) ? MM_OK
	    : MM_FAIL(why, MM_ECONFLICT, "adopt: this pair has another "
	    "certificate");
}

/* see priv.h */
enum mm_err
mm_on_duty_nonce(struct mm_worker *w, struct mm_item *i, struct mm_why *why)
{
	const struct mm_duty_nonce_req *q = &i->req.duty_nonce;
	uint8_t *nonce = i->rep.duty_nonce.nonce;
	struct mm_duty *l = w->s->duty;

	if (l == NULL)
		return MM_FAIL(why, MM_EPOLICY, "this signer works to no "
		    "order");
	if (!mm_device_id_valid(q->device))
		return MM_FAIL(why, MM_EINPUT, "adopt: not a device id");
	if (!mm_duty_orders(l, q->device))
		return MM_FAIL(why, MM_EPOLICY, "order: %s is none of its "
		    "serial numbers", q->device);
	if (RAND_bytes(nonce, MM_NONCE_N) != 1)
		return MM_FAIL(why, MM_ECRYPTO, "no random numbers");
	pthread_mutex_lock(&l->lock);
	mm_nonces_put(&l->nonces, q->device, nonce, mm_mono_ms());
	pthread_mutex_unlock(&l->lock);
	return MM_OK;
}

/* see priv.h */
enum mm_err
mm_on_duty_adopt(struct mm_worker *w, struct mm_item *i, struct mm_why *why)
{
	const struct mm_duty_adopt_req *q = &i->req.duty_adopt;
	struct mm_duty *l = w->s->duty;
	const char *stopped = mm_signer_stopped(w->s, &w->sum);
	struct mm_cert c;
	enum mm_err rc;

	if (l == NULL)
		return MM_FAIL(why, MM_EPOLICY, "this signer works to no "
		    "order");
	MM_TRY(check_asked(l, q, &c, why));
	MM_TRY(check_proof(l, q, why));
	rc = find(w, i, &c, why);
	i->rep.duty_adopt.again = rc == MM_OK;
	if (rc != MM_ENOTFOUND)
		return rc;
	if (stopped != NULL)
		return MM_FAIL(why, MM_EAGAIN, "%s", stopped);
	pthread_mutex_lock(&l->lock);
	rc = count(w, q, &c, why);
	pthread_mutex_unlock(&l->lock);
	return rc;
}
