#include "station/steps.h"

#include <stdio.h>
#include <string.h>

#include <openssl/rand.h>

#include "base/log.h"
#include "base/time.h"
#include "pki/possession.h"
#include "station/leads.h"

/* see steps.h */
enum mm_unit_event
mm_step_given(struct mm_place *p, enum mm_unit_event cert,
    enum mm_unit_reason *reason)
{
	mm_given_seal(&p->given, mm_buf_view(&p->cert),
	    mm_buf_view(&p->chain));
	/* It was in use, and the board does not have it any more. */
	if (p->known && cert == MM_EV_DONE)
		return mm_step_hold(MM_UR_CERT_GONE, reason);
	cert = mm_given_judge(&p->given, &p->said, cert, reason);
	/* What the ledger says that it was given stays so. */
	return p->known && cert == MM_EV_DONE
	    ? mm_step_hold(MM_UR_CONFIG_OTHER, reason) : cert;
}

/* see steps.h */
enum mm_unit_event
mm_step_leads(const struct mm_line *l, struct mm_place *p,
    enum mm_unit_reason *reason)
{
	struct mm_why why = { 0 };
	bool unsure = false;
	enum mm_err rc = mm_leads_to(mm_buf_view(&p->cert),
	    mm_buf_view(&p->chain), l->conf, &unsure, &why);

	if (rc != MM_OK) {
		mm_step_note(p, why.text);
		return mm_step_fail(rc == MM_EPOLICY ? MM_UR_CERT
						     : MM_UR_ANCHOR, reason);
	}
	if (unsure)
		MM_LOG(MM_LOG_WARN, "chain.unverified",
		    MM_S("device", p->unit->serial), MM_S("why", "above its "
		    "issuer are kinds of key or signature that are not "
		    "verified here"));
	return MM_EV_DONE;
}

/* see steps.h */
enum mm_unit_event
mm_step_may_give(const struct mm_line *l, struct mm_place *p,
    enum mm_unit_reason *reason)
{
	if (l->conf->short_secrets)
		p->given.guessable = false;
	return p->said.has_cert || mm_given_may(&p->given, &p->said)
	    ? MM_EV_DONE : mm_step_fail(MM_UR_LIBRARY, reason);
}

/* ---- the device's ---- */

/* see steps.h */
enum mm_unit_event
mm_step_tell(struct mm_line *l, struct mm_place *p, enum mm_unit_reason *reason)
{
	uint8_t random[MM_DRIVER_RANDOM];

	(void)l;
	return RAND_bytes(random, sizeof(random)) == 1
	    ? mm_step_tell_over(p, random)
	    : mm_step_fail(MM_UR_RANDOM, reason);
}

/* see steps.h */
enum mm_unit_event
mm_step_tell_over(struct mm_place *p, const uint8_t random[MM_DRIVER_RANDOM])
{
	struct mm_driver_job *j = &p->job;

	memset(j, 0, sizeof(*j));
	j->effect = mm_unit_effect(p->unit->state);
	j->serial = p->unit->serial;
	j->now_s = mm_now_s();
	memcpy(j->random, random, sizeof(j->random));
	j->cert = mm_buf_view(&p->cert);
	j->chain = mm_buf_view(&p->chain);
	j->conf = mm_buf_view(&p->given.part);
	memcpy(j->cert_hash, p->unit->cert, sizeof(j->cert_hash));
	memcpy(j->bundle_hash, p->given.bundle, sizeof(j->bundle_hash));
	memcpy(j->salted_hash, p->given.salted, sizeof(j->salted_hash));
	j->salt = p->given.has_salt ? p->given.salt : NULL;
	p->given.written |= j->effect == MM_DO_COMMIT;
	p->driver->class->begin(p->driver, j);
	return MM_EV_DONE;
}

static enum mm_unit_event
open_way(struct mm_line *l, struct mm_place *p, enum mm_unit_reason *reason)
{
	if (p->driver->class->open(p->driver, reason) == MM_DRIVER_FAILED)
		return MM_EV_FAIL;
	return mm_step_tell(l, p, reason);
}

/* The batch's word goes before station.conf's: what is for tests stays open,
 * and what is for sale is locked. */
static struct mm_unit_rules
rules_of(const struct mm_line *l, const struct mm_place *p)
{
	struct mm_unit_rules rules = l->rules;

	(void)mm_crew_rules(l->crew, p->offline, &rules);
	return rules;
}

/* Another unit that this board's key was certified for; NULL: none. */
static const struct mm_unit *
has_another_label(const struct mm_line *l, const struct mm_place *p,
    const struct mm_unit_rules *rules)
{
	const struct mm_unit *u = p->said.has_key && !rules->replace
	    ? mm_book_find_key(l->book, p->said.spki) : NULL;

	return u != p->unit ? u : NULL;
}

static enum mm_unit_event
heard(struct mm_line *l, struct mm_place *p, struct mm_centre_answer *a,
    enum mm_unit_reason *reason)
{
	const struct mm_unit_rules rules = rules_of(l, p);
	const struct mm_unit *other;

	(void)a;
	p->said = p->answer.said;
	other = has_another_label(l, p, &rules);
	if (other != NULL) {
		snprintf(p->note, sizeof(p->note), "it was made as %s",
		    other->serial);
		return mm_step_fail(MM_UR_KEY_TAKEN, reason);
	}
	return mm_unit_hear(p->unit, &p->said, &rules, reason);
}

/* It has one: its request will say the same again. */
static enum mm_unit_event
want_key(struct mm_line *l, struct mm_place *p, enum mm_unit_reason *reason)
{
	return p->said.has_key ? MM_EV_SKIP : mm_step_tell(l, p, reason);
}

static enum mm_unit_event
made_key(struct mm_line *l, struct mm_place *p, struct mm_centre_answer *a,
    enum mm_unit_reason *reason)
{
	uint8_t hash[32];

	(void)l;
	(void)a;
	mm_sha256((struct mm_bytes){ p->answer.der, p->answer.der_n }, hash);
	return mm_unit_hear_key(p->unit, hash, reason);
}

static enum mm_unit_event
requested(struct mm_line *l, struct mm_place *p, struct mm_centre_answer *a,
    enum mm_unit_reason *reason)
{
	struct mm_why why = { 0 };
	struct mm_csr csr;
	uint8_t hash[32];

	(void)l;
	(void)a;
	mm_buf_reset(&p->csr);
	mm_buf_put(&p->csr, p->answer.der, p->answer.der_n);
	if (mm_csr_walk(mm_buf_view(&p->csr), &csr, &why) != MM_OK) {
		mm_step_note(p, why.text);
		return mm_step_fail(MM_UR_REQUEST, reason);
	}
	mm_csr_key_hash(&csr, hash);
	return mm_unit_hear_key(p->unit, hash, reason);
}

static enum mm_unit_event
stored(struct mm_line *l, struct mm_place *p, struct mm_centre_answer *a,
    enum mm_unit_reason *reason)
{
	(void)l;
	(void)p;
	(void)a;
	(void)reason;
	return MM_EV_DONE;
}

static enum mm_unit_event
read_back(struct mm_line *l, struct mm_place *p, struct mm_centre_answer *a,
    enum mm_unit_reason *reason)
{
	(void)l;
	(void)a;
	p->said = p->answer.said;
	return mm_given_read_back(&p->given, &p->said,
	    mm_unit_read_back(p->unit, &p->said,
	    p->unit->state == MM_UNIT_LOCKED, reason), reason);
}

static enum mm_unit_event
proved(struct mm_line *l, struct mm_place *p, struct mm_centre_answer *a,
    enum mm_unit_reason *reason)
{
	uint8_t hw[MM_POSSESSION_HARDWARE];
	struct mm_possession proof = { .hardware = { hw,
		strlen(p->unit->hw) / 2 },
		.signature = { p->answer.der, p->answer.der_n } };
	struct mm_why why = { 0 };

	(void)l;
	(void)a;
	memcpy(proof.nonce, p->job.random, sizeof(proof.nonce));
	if (p->answer.der_n > sizeof(p->proof) || mm_hex_parse(p->unit->hw,
	    strlen(p->unit->hw), hw, proof.hardware.n, &why) != MM_OK ||
	    mm_possession_verify(mm_buf_view(&p->cert), &proof, &why) !=
	    MM_OK) {
		mm_step_note(p, why.text);
		return mm_step_fail(MM_UR_PROOF, reason);
	}
	memcpy(p->nonce, proof.nonce, sizeof(p->nonce));
	memcpy(p->proof, p->answer.der, p->answer.der_n);
	p->proof_n = p->answer.der_n;
	return MM_EV_DONE;
}

static enum mm_unit_event
want_lock(struct mm_line *l, struct mm_place *p, enum mm_unit_reason *reason)
{
	return !rules_of(l, p).lock || p->said.locked
	    ? MM_EV_SKIP : mm_step_tell(l, p, reason);
}

/* see steps.h */
const struct mm_step mm_steps[MM_EFFECTS] = {
	[MM_DO_HELLO] = { MM_BY_DEVICE, open_way, heard },
	[MM_DO_ADMIT] = { MM_BY_CENTRE, mm_step_admit, mm_step_admitted },
	[MM_DO_KEY] = { MM_BY_DEVICE, want_key, made_key },
	[MM_DO_CSR] = { MM_BY_DEVICE, mm_step_tell, requested },
	[MM_DO_ISSUE] = { MM_BY_CENTRE, mm_step_issue, mm_step_issued },
	[MM_DO_PUT] = { MM_BY_DEVICE, mm_step_tell, stored },
	[MM_DO_COMMIT] = { MM_BY_DEVICE, mm_step_tell, stored },
	[MM_DO_READ_BACK] = { MM_BY_DEVICE, mm_step_tell, read_back },
	[MM_DO_PROVE] = { MM_BY_DEVICE, mm_step_tell, proved },
	[MM_DO_CONFIRM] = { MM_BY_CENTRE, mm_step_confirm, mm_step_confirmed },
	[MM_DO_LOCK] = { MM_BY_DEVICE, want_lock, stored },
	[MM_DO_CHECK] = { MM_BY_DEVICE, mm_step_tell, read_back },
	[MM_DO_RECORD] = { MM_BY_CENTRE, mm_step_record, mm_step_recorded },
	[MM_DO_LABEL] = { MM_BY_OUTSIDE, mm_step_last,
	    mm_step_last_end },
	[MM_DO_GET] = { MM_BY_DEVICE, mm_step_get, mm_step_got },
	[MM_DO_ADOPT] = { MM_BY_CENTRE, mm_step_adopt, mm_step_adopted },
};

/* see steps.h */
const struct mm_step mm_steps_own[MM_EFFECTS] = {
	[MM_DO_ADMIT] = { MM_BY_US, mm_step_own_admit, NULL },
	[MM_DO_ISSUE] = { MM_BY_US, mm_step_own_issue, NULL },
	[MM_DO_CONFIRM] = { MM_BY_US, mm_step_own_confirm, NULL },
	[MM_DO_RECORD] = { MM_BY_US, mm_step_own_record, NULL },
	[MM_DO_PROVE] = { MM_BY_DEVICE, mm_step_own_challenge, proved },
	[MM_DO_ADOPT] = { MM_BY_US, mm_step_own_adopt, NULL },
};

/* see steps.h */
const struct mm_step *
mm_step_of(const struct mm_place *p)
{
	enum mm_unit_effect e = mm_unit_effect(p->unit->state);

	return p->offline && mm_steps_own[e].by != MM_BY_NOBODY
	    ? &mm_steps_own[e] : &mm_steps[e];
}
