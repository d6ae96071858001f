#include "core/checks.h"

#include <string.h>

static enum mm_reason
token_profile(const struct mm_facts *f, struct mm_verdict *v)
{
	return mm_check_profile(f, mm_check_label(f),
	    f->token.profile[0] != '\0' ? f->token.profile
					: f->product.ldevid_profile,
	    v);
}

/* Only a holder of the token can bring another key to it: issuance.md, same
 * authority again. */
static enum mm_reason
token_other_key(const struct mm_facts *f, struct mm_verdict *v)
{
	const struct mm_profile *p = v->profile;

	if (!f->has_claimed || (f->job == MM_JOB_ENROL &&
	    mm_check_same_key(f->claim.spki_sha256, f->spki)))
		return mm_claim_spent(f);
	if (f->job == MM_JOB_KEYGEN && f->claimed.key_origin == 1 &&
	    f->token.state != MM_TOKEN_FROZEN)
		return mm_claim_replace(f, v);
	if (p != NULL && p->on_conflict == MM_CONFLICT_REPLACE &&
	    !f->config->set.production && mm_claim_unconfirmed(f)) {
		v->replaces = true;
		mm_check_name(&v->claimed, &f->claimed);
		return MM_R_NONE;
	}
	if (f->token.state == MM_TOKEN_ISSUED)
		v->effects |= MM_FX_FREEZE;
	if (p != NULL && p->on_conflict == MM_CONFLICT_HOLD &&
	    f->claimed.state == MM_CERT_ISSUED) {
		v->effects |= MM_FX_HOLD;
		mm_check_name(&v->claimed, &f->claimed);
	}
	return MM_R_OTHER_KEY;
}

/* ---- tokens ---- */

static bool
test_token(const char *id)
{
	uint8_t raw[MM_TOKEN_ID_N];

	return mm_token_id_parse(mm_bytes_of(id), raw, NULL) == MM_OK &&
	       (raw[0] & MM_TOKEN_TEST) != 0;
}

/* Unknown, wrong, of the other world and beside a certificate of another
 * device are one answer: no oracle. */
static enum mm_reason
token_proved(const struct mm_facts *f, struct mm_verdict *v)
{
	if (f->guessed && f->has_token) {
		strcpy(v->device, f->token.device);
		strcpy(v->product, f->token.product);
	}
	if (f->guessed)
		return MM_R_GUESSED;
	if (!f->has_token || !f->proved ||
	    test_token(f->token.id) == f->config->set.production)
		return MM_R_CREDENTIAL;
	strcpy(v->device, f->token.device);
	strcpy(v->product, f->has_device ? f->device.product :
	    f->token.product);
	/* Only who holds the secret hears that the devices differ. */
	return f->beside_other ? MM_R_BESIDE : MM_R_NONE;
}

static enum mm_reason
token_alive(const struct mm_facts *f, struct mm_verdict *v)
{
	(void)v;
	return f->token.state == MM_TOKEN_CANCELLED ? MM_R_CANCELLED
						    : MM_R_NONE;
}

static enum mm_reason
token_door(const struct mm_facts *f, struct mm_verdict *v)
{
	if (f->authority == MM_AUTH_TOKEN_BASIC &&
	    (!f->token.bearer || (v->profile != NULL && !v->profile->bearer)))
		return MM_R_DOOR;
	return MM_R_NONE;
}

/* Start and end limit the first claim only. */
static enum mm_reason
token_open(const struct mm_facts *f, struct mm_verdict *v)
{
	if (f->token.state == MM_TOKEN_FROZEN)
		return MM_R_FROZEN;
	if (f->now_ms < f->token.not_before_at)
		return MM_R_NOT_YET;
	if (f->token.state == MM_TOKEN_EXPIRED)
		return MM_R_EXPIRED;
	if (f->now_ms >= f->token.expires_at) {
		v->effects |= MM_FX_EXPIRE;
		return MM_R_EXPIRED;
	}
	return f->token.state == MM_TOKEN_MINTED ? MM_R_NONE : MM_R_CONFIRMED;
}

static enum mm_reason
token_product(const struct mm_facts *f, struct mm_verdict *v)
{
	(void)v;
	return strcmp(f->token.product, f->device.product) == 0 ? MM_R_NONE
								: MM_R_DEVICE;
}

static mm_check_fn *const token_known[] = { token_proved, token_alive, NULL };
static mm_check_fn *const token_first[] = { token_open, mm_check_device,
	token_product, token_profile, NULL };

/* see checks.h */
enum mm_reason
mm_rule_token(const struct mm_facts *f, struct mm_verdict *v)
{
	enum mm_reason profile, r = mm_check_all(token_known, f, v);

	if (r != MM_R_NONE)
		return r;
	profile = token_profile(f, v);
	if (profile == MM_R_LABEL)
		return profile;
	if ((r = token_door(f, v)) != MM_R_NONE)
		return r;
	if (!f->has_claim)
		r = mm_check_all(token_first, f, v);
	else if (mm_claim_replay(f, v, &r))
		return r;
	else
		r = token_other_key(f, v);
	if (r == MM_R_NONE)
		r = profile;
	return r == MM_R_NONE ? mm_rule_issue(f, v) : r;
}
