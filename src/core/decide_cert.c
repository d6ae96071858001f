#include "core/checks.h"

#include <string.h>

/* ---- certificates ---- */

static const enum mm_reason cert_states[MM_CERT_STATES] = {
	[MM_CERT_ISSUED] = MM_R_NONE,
	[MM_CERT_CONFIRMED] = MM_R_NONE,
	[MM_CERT_SUPERSEDED] = MM_R_SUPERSEDED,
	[MM_CERT_HELD] = MM_R_CERT_REVOKED,
	[MM_CERT_REVOKED] = MM_R_CERT_REVOKED,
	[MM_CERT_ORPHANED] = MM_R_CERT_REVOKED,
};

/* One that chains to us but is not on record is overproduced or forged. */
static enum mm_reason
cert_known(const struct mm_facts *f, struct mm_verdict *v)
{
	if (!f->has_cert || memcmp(f->cert.cert_sha256, f->cert_sha256, 32))
		return MM_R_CERT_UNKNOWN;
	mm_check_name(&v->presented, &f->cert);
	strcpy(v->device, f->cert.device);
	/* a factory certificate is the device's, whoever has it now */
	strcpy(v->product, f->cert.idevid && f->has_device
	    ? f->device.product : f->cert.product);
	return MM_R_NONE;
}

#define SUPERSEDED 4 /* RFC 5280 5.3.1 */

static bool
predecessor_withdrawn(const struct mm_facts *f)
{
	return f->predecessor_state == MM_CERT_HELD ||
	       (f->predecessor_state == MM_CERT_REVOKED &&
		   f->predecessor_reason != SUPERSEDED);
}

/* Until it is confirmed a successor stands and falls with its predecessor:
 * who stole that one's key may be who renewed it. */
static enum mm_reason
cert_good(const struct mm_facts *f, struct mm_verdict *v)
{
	if (f->cert.state == MM_CERT_ISSUED && predecessor_withdrawn(f))
		return MM_R_CERT_REVOKED;
	if (f->cert.state == MM_CERT_ISSUED)
		v->effects |= MM_FX_PROVED;
	return cert_states[f->cert.state];
}

static bool
past_end(const struct mm_facts *f)
{
	return f->expired || f->now_ms / 1000 > f->cert.not_after_s;
}

static enum mm_reason
cert_in_time(const struct mm_facts *f, struct mm_verdict *v)
{
	(void)v;
	return past_end(f) ? MM_R_CERT_EXPIRED : MM_R_NONE;
}

static enum mm_reason
cert_idevid(const struct mm_facts *f, struct mm_verdict *v)
{
	(void)v;
	return f->cert.idevid ? MM_R_NONE : MM_R_LDEVID;
}

static enum mm_reason
cert_ldevid(const struct mm_facts *f, struct mm_verdict *v)
{
	(void)v;
	return f->cert.idevid ? MM_R_IDEVID : MM_R_NONE;
}

static mm_check_fn *const idevid_fit[] = { cert_known, cert_idevid, cert_good,
	cert_in_time, mm_check_device, mm_check_ldevid, NULL };

/* see checks.h */
enum mm_reason
mm_rule_idevid(const struct mm_facts *f, struct mm_verdict *v)
{
	enum mm_reason r = mm_check_all(idevid_fit, f, v);

	return r != MM_R_NONE ? r : mm_rule_claim(f, v);
}

/* An old certificate whose successor is in use: somebody has a copy.  Nothing
 * happens to the successor. */
static enum mm_reason
cert_not_cloned(const struct mm_facts *f, struct mm_verdict *v)
{
	(void)v;
	return f->has_claimed && mm_claim_confirmed(f) &&
		       !mm_claim_replayable(f)
		   ? MM_R_CLONE
		   : MM_R_NONE;
}

/* lifecycle.md, after expiry: within the grace, and the newest only. */
static enum mm_reason
cert_late(const struct mm_facts *f, struct mm_verdict *v)
{
	int64_t late_s = f->now_ms / 1000 - f->cert.not_after_s;

	if (!past_end(f))
		return MM_R_NONE;
	if (late_s > v->profile->grace_s || f->cert.state != MM_CERT_CONFIRMED)
		return MM_R_CERT_EXPIRED;
	if (f->has_newest && f->newest.state == MM_CERT_CONFIRMED &&
	    memcmp(f->newest.serial, f->cert.serial, 16) != 0 &&
	    f->newest.issued_at > f->cert.issued_at)
		return MM_R_CERT_EXPIRED;
	v->effects |= MM_FX_LATE;
	return MM_R_NONE;
}

/* RFC 7030 4.2.2: subject and SubjectAltName as in the current certificate.
 * A request that names nothing asks for nothing else. */
static enum mm_reason
names_same(const struct mm_facts *f, struct mm_verdict *v)
{
	(void)v;
	if (f->san_differs ||
	    (f->cn[0] != '\0' && strcmp(f->cn, f->cert_cn) != 0) ||
	    (f->serial_number[0] != '\0' &&
		strcmp(f->serial_number, f->cert_serial_number) != 0))
		return MM_R_NAMES;
	return MM_R_NONE;
}

static enum mm_reason
key_new(const struct mm_facts *f, struct mm_verdict *v)
{
	return mm_check_same_key(f->spki, f->cert.spki_sha256) &&
		       !v->profile->same_key_renewal
		   ? MM_R_SAME_KEY
		   : MM_R_NONE;
}

/* One device neither spends its profile's ceiling nor fills the ledger.  The
 * same request again is answered all the same. */
static enum mm_reason
not_paced(const struct mm_facts *f, struct mm_verdict *v)
{
	(void)v;
	return f->paced && !mm_claim_replayable(f) ? MM_R_TOO_MANY
						   : MM_R_NONE;
}

static mm_check_fn *const renewal_fit[] = { cert_known, cert_ldevid,
	cert_not_cloned, cert_good, mm_check_device, mm_check_own, cert_late,
	names_same, key_new, not_paced, NULL };

/* see checks.h */
enum mm_reason
mm_rule_renewal(const struct mm_facts *f, struct mm_verdict *v)
{
	enum mm_reason r = mm_check_all(renewal_fit, f, v);

	if (r != MM_R_NONE)
		return r;
	v->effects |= MM_FX_RENEWAL;
	mm_check_name(&v->predecessor, &f->cert);
	return mm_rule_claim(f, v);
}

static mm_check_fn *const confirm_fit[] = { cert_known, cert_good, cert_in_time,
	NULL };

/* Step 8.  What was confirmed before is confirmed. */
enum mm_reason
mm_rule_proof(const struct mm_facts *f, struct mm_verdict *v)
{
	enum mm_reason r = mm_check_all(confirm_fit, f, v);

	if (r != MM_R_NONE)
		return r;
	memcpy(v->predecessor.serial, f->cert.predecessor, 16);
	strcpy(v->predecessor.issuer, f->predecessor_issuer);
	if (mm_check_own(f, v) == MM_R_NONE)
		v->revoke_superseded = v->profile->revoke_superseded;
	v->effects = 0;
	v->act =
	    f->cert.state == MM_CERT_CONFIRMED ? MM_ACT_DONE : MM_ACT_CONFIRM;
	return MM_R_NONE;
}

/* An IDevID is not renewed, and has no grace. */
static enum mm_reason
cert_in_grace(const struct mm_facts *f, struct mm_verdict *v)
{
	if (f->cert.idevid || !past_end(f))
		return cert_in_time(f, v);
	return mm_check_own(f, v) != MM_R_NONE ? MM_R_CERT_EXPIRED
					       : cert_late(f, v);
}

static mm_check_fn *const ask_fit[] = { cert_known, cert_good, cert_in_grace,
	NULL };

/* see checks.h */
enum mm_reason
mm_rule_ask(const struct mm_facts *f, struct mm_verdict *v)
{
	enum mm_reason r = mm_check_all(ask_fit, f, v);

	if (r != MM_R_NONE)
		return r;
	v->effects = 0;
	v->act = MM_ACT_DONE;
	return MM_R_NONE;
}
