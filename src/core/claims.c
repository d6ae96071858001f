#include "core/checks.h"

#include <string.h>

/* ---- what happens when the authority was used before ---- */

/* see checks.h */
bool
mm_claim_unconfirmed(const struct mm_facts *f)
{
	return f->claimed.state == MM_CERT_ISSUED ||
	       (f->claimed.state == MM_CERT_HELD &&
		   f->claimed.confirmed_at == 0);
}

/* see checks.h */
bool
mm_claim_confirmed(const struct mm_facts *f)
{
	return f->claimed.state == MM_CERT_CONFIRMED ||
	       f->claimed.state == MM_CERT_SUPERSEDED ||
	       f->claimed.confirmed_at != 0;
}

/* Same key: the stored bytes.  Where issuing confirms, for seven days. */
bool
mm_claim_replayable(const struct mm_facts *f)
{
	if (!f->has_claimed || f->job == MM_JOB_KEYGEN ||
	    !mm_check_same_key(f->claim.spki_sha256, f->spki))
		return false;
	return mm_claim_unconfirmed(f) ||
	       (f->claimed.state == MM_CERT_CONFIRMED &&
		   f->claimed.confirmed_at == f->claimed.issued_at &&
		   f->now_ms - f->claimed.issued_at < MM_REPLAY_MS);
}

/* see checks.h; of one whose year was dropped nobody knows more than that it
 * was there */
enum mm_reason
mm_claim_spent(const struct mm_facts *f)
{
	if (!f->has_claimed)
		return MM_R_CONFIRMED;
	return mm_claim_confirmed(f) && f->claimed.state != MM_CERT_REVOKED
		   ? MM_R_CONFIRMED
		   : MM_R_CERT_REVOKED;
}

/* see checks.h */
enum mm_reason
mm_claim_replace(const struct mm_facts *f, struct mm_verdict *v)
{
	if (!f->has_claimed || f->claimed.state != MM_CERT_ISSUED)
		return mm_claim_spent(f);
	if (f->claim.replaced >= MM_REPLACEMENTS_MAX &&
	    f->now_ms - f->claim.replaced_at < MM_REPLACEMENTS_MS)
		return MM_R_TOO_MANY;
	v->replaces = true;
	mm_check_name(&v->claimed, &f->claimed);
	return MM_R_NONE;
}

/* true: *r is the whole answer.  The stored one's profile says what binding
 * it wants: a label cannot choose another. */
bool
mm_claim_replay(
    const struct mm_facts *f, struct mm_verdict *v, enum mm_reason *r)
{
	if (!mm_claim_replayable(f))
		return false;
	*r = mm_check_bound(f, mm_check_profile_of(f, &f->claimed));
	if (*r == MM_R_NONE)
		*r = mm_check_key_secret(f, v);
	if (*r != MM_R_NONE)
		return true;
	v->act = MM_ACT_REPLAY;
	mm_check_name(&v->claimed, &f->claimed);
	strcpy(v->device, f->claimed.device);
	strcpy(v->product, f->claimed.product);
	return true;
}

/* see checks.h */
enum mm_reason
mm_rule_claim(const struct mm_facts *f, struct mm_verdict *v)
{
	enum mm_reason r;

	if (f->has_claim) {
		if (mm_claim_replay(f, v, &r))
			return r;
		if ((r = mm_claim_replace(f, v)) != MM_R_NONE)
			return r;
	}
	return mm_rule_issue(f, v);
}
