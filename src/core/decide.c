#include "core/decide.h"

#include <string.h>
#include <strings.h>

/*
 * The policy as tables.  A check says why not, or MM_R_NONE; a rule is a list
 * of checks; the first that objects is the answer.  Which rule a request
 * falls under is the table at the end: a kind of authority times a kind of
 * job.  A cell that is empty is a refusal.
 */
typedef enum mm_reason check_fn(const struct mm_facts *f,
    struct mm_verdict *v);

static const char *const texts[MM_REASON_COUNT] = {
#define X(e, text) [e] = text,
	MM_REASONS(X)
#undef X
};

/* What the caller can do about a reason, and what else it sets off. */
static const struct {
	enum mm_err code;
	unsigned effects;
} meanings[MM_REASON_COUNT] = {
	[MM_R_MALFORMED] = { MM_EINPUT, 0 },
	[MM_R_POSSESSION] = { MM_EINPUT, 0 },
	[MM_R_CREDENTIAL] = { MM_EAUTH, 0 },
	[MM_R_DOOR] = { MM_EPOLICY, 0 },
	[MM_R_NOT_YET] = { MM_EPOLICY, 0 },
	[MM_R_EXPIRED] = { MM_EPOLICY, 0 },
	[MM_R_CANCELLED] = { MM_EPOLICY, 0 },
	[MM_R_FROZEN] = { MM_ECONFLICT, 0 },
	[MM_R_OTHER_KEY] = { MM_ECONFLICT, MM_FX_ALERT },
	[MM_R_BOUND_KEY] = { MM_EPOLICY, MM_FX_ALERT },
	[MM_R_IN_FLIGHT] = { MM_ECONFLICT, 0 },
	[MM_R_CONFIRMED] = { MM_ECONFLICT, 0 },
	[MM_R_CERT_UNKNOWN] = { MM_EPOLICY, MM_FX_ALERT },
	[MM_R_CERT_REVOKED] = { MM_EPOLICY, 0 },
	[MM_R_CERT_EXPIRED] = { MM_EPOLICY, 0 },
	[MM_R_SUPERSEDED] = { MM_EPOLICY, 0 },
	[MM_R_CLONE] = { MM_EPOLICY, MM_FX_ALERT },
	[MM_R_IDEVID] = { MM_EPOLICY, 0 },
	[MM_R_LDEVID] = { MM_EPOLICY, 0 },
	[MM_R_NAMES] = { MM_EPOLICY, 0 },
	[MM_R_SAME_KEY] = { MM_EPOLICY, 0 },
	[MM_R_KEY_TAKEN] = { MM_ECONFLICT, MM_FX_ALERT },
	[MM_R_KEY_COMPROMISED] = { MM_EPOLICY, MM_FX_ALERT },
	[MM_R_BESIDE] = { MM_EPOLICY, 0 },
	[MM_R_KEY_TYPE] = { MM_EPOLICY, 0 },
	[MM_R_PROFILE] = { MM_EPOLICY, 0 },
	[MM_R_LABEL] = { MM_ENOTFOUND, 0 },
	[MM_R_DEVICE] = { MM_EPOLICY, 0 },
	[MM_R_BINDING] = { MM_EPOLICY, 0 },
	[MM_R_TOO_MANY] = { MM_ERATE, MM_FX_ALERT },
	[MM_R_CEILING] = { MM_EPOLICY, 0 },
	[MM_R_BUSY] = { MM_EAGAIN, 0 },
};

/* see core.h */
const char *
mm_reason_text(enum mm_reason r)
{
	return r < MM_REASON_COUNT ? texts[r] : "";
}

/* see decide.h */
enum mm_err
mm_reason_code(enum mm_reason r)
{
	return meanings[r].code;
}

static enum mm_reason
all_of(check_fn *const *checks, const struct mm_facts *f,
    struct mm_verdict *v)
{
	enum mm_reason r = MM_R_NONE;

	while (r == MM_R_NONE && *checks != NULL)
		r = (*checks++)(f, v);
	return r;
}

static bool
unset(const uint8_t *p, size_t n)
{
	uint8_t any = 0;

	while (n > 0)
		any |= p[--n];
	return any == 0;
}

static void
name_cert(struct mm_named *n, const struct mm_cert_row *row)
{
	memcpy(n->serial, row->serial, 16);
	strcpy(n->issuer, row->issuer);
}

static bool
same_key(const uint8_t a[32], const uint8_t b[32])
{
	return memcmp(a, b, 32) == 0;
}

static bool
from_token(const struct mm_facts *f)
{
	return f->authority == MM_AUTH_TOKEN_PSK ||
	    f->authority == MM_AUTH_TOKEN_BASIC;
}

/* ---- what every issuance asks ---- */

static enum mm_reason
device_active(const struct mm_facts *f, struct mm_verdict *v)
{
	if (!f->has_device || f->device.state != MM_DEVICE_ACTIVE ||
	    !f->has_product)
		return MM_R_DEVICE;
	strcpy(v->device, f->device.id);
	strcpy(v->product, f->product.name);
	return MM_R_NONE;
}

/* The factory's or the token's record of the key.  A pair that the signer
 * would make can be neither. */
static enum mm_reason
key_bound(const struct mm_facts *f, struct mm_verdict *v)
{
	const uint8_t *want[] = { f->device.bound_spki,
		f->has_token ? f->token.bound_spki : f->device.bound_spki };

	(void)v;
	for (size_t i = 0; i < 2; i++)
		if (!unset(want[i], 32) && (f->job == MM_JOB_KEYGEN ||
		    !same_key(want[i], f->spki)))
			return MM_R_BOUND_KEY;
	return MM_R_NONE;
}

/* The duplicate-key alarm: cloned flash, broken random numbers. */
static enum mm_reason
key_free(const struct mm_facts *f, struct mm_verdict *v)
{
	if (f->job == MM_JOB_KEYGEN || f->key_device[0] == '\0' ||
	    strcasecmp(f->key_device, v->device) == 0)
		return MM_R_NONE;
	return MM_R_KEY_TAKEN;
}

/* Somebody else has it. */
static enum mm_reason
key_secret(const struct mm_facts *f, struct mm_verdict *v)
{
	(void)v;
	return f->job != MM_JOB_KEYGEN && f->key_compromised ?
	    MM_R_KEY_COMPROMISED : MM_R_NONE;
}

static enum mm_reason
key_type(const struct mm_facts *f, struct mm_verdict *v)
{
	if (f->job == MM_JOB_KEYGEN)
		return v->profile->serverkeygen ? MM_R_NONE : MM_R_PROFILE;
	return mm_profile_takes_key(v->profile, f->key_type) ? MM_R_NONE :
							       MM_R_KEY_TYPE;
}

/* RFC 7030 3.5; RFC 9266.  p: NULL where the profile is gone. */
static enum mm_reason
bound_to(const struct mm_facts *f, const struct mm_profile *p)
{
	if (f->binding_wrong ||
	    (p != NULL && p->require_tls_exporter && !f->binding_ok))
		return MM_R_BINDING;
	return MM_R_NONE;
}

static enum mm_reason
binding(const struct mm_facts *f, struct mm_verdict *v)
{
	return bound_to(f, v->profile);
}

/* ---- profiles and labels ---- */

/* A label is a profile's name and must be the one that the authority gives a
 * right to. */
static enum mm_reason
take_profile(const struct mm_facts *f, const char *label, const char *name,
    struct mm_verdict *v)
{
	const struct mm_profile *p;

	if (label[0] != '\0' && mm_config_profile(f->config, label) == NULL)
		return MM_R_LABEL;
	p = name[0] != '\0' ? mm_config_profile(f->config, name) : NULL;
	if (p == NULL || (label[0] != '\0' && strcmp(label, name) != 0))
		return MM_R_PROFILE;
	v->profile = p;
	return MM_R_NONE;
}

/* RFC 7030 3.2.2: clients that cannot send a label get the default one. */
static const char *
label_of(const struct mm_facts *f)
{
	return f->label[0] != '\0' ? f->label : f->config->set.default_label;
}

static enum mm_reason
token_profile(const struct mm_facts *f, struct mm_verdict *v)
{
	return take_profile(f, label_of(f), f->token.profile[0] != '\0' ?
	    f->token.profile : f->product.ldevid_profile, v);
}

static enum mm_reason
ldevid_profile(const struct mm_facts *f, struct mm_verdict *v)
{
	return take_profile(f, label_of(f), f->product.ldevid_profile, v);
}

/* An operator may ask for either of the product's. */
static enum mm_reason
product_profile(const struct mm_facts *f, struct mm_verdict *v)
{
	const struct mm_product *p = &f->product;
	const char *name = p->ldevid_profile;

	if (name[0] == '\0' || strcmp(f->label, p->idevid_profile) == 0)
		name = p->idevid_profile;
	if (f->label[0] == '\0' && p->ldevid_profile[0] != '\0')
		name = p->ldevid_profile;
	return take_profile(f, f->label, name, v);
}

static const struct mm_profile *
profile_of(const struct mm_facts *f, const struct mm_cert_row *row)
{
	char name[MM_PROFILE_TEXT];
	size_t n = strcspn(row->profile, "@");

	memcpy(name, row->profile, n);
	name[n] = '\0';
	return mm_config_profile(f->config, name);
}

/* Renewal keeps the certificate's own profile, at its present version, while
 * there is one of that name. */
static enum mm_reason
own_profile(const struct mm_facts *f, struct mm_verdict *v)
{
	const struct mm_profile *own = profile_of(f, &f->cert);

	return take_profile(f, f->label, own != NULL ? own->name :
	    f->product.ldevid_profile, v);
}

/* ---- what happens when the authority was used before ---- */

static bool
unconfirmed(const struct mm_facts *f)
{
	return f->claimed.state == MM_CERT_ISSUED ||
	    (f->claimed.state == MM_CERT_HELD && f->claimed.confirmed_at == 0);
}

static bool
was_confirmed(const struct mm_facts *f)
{
	return f->claimed.state == MM_CERT_CONFIRMED ||
	    f->claimed.state == MM_CERT_SUPERSEDED ||
	    f->claimed.confirmed_at != 0;
}

/* Same key: the stored bytes.  Where issuing confirms, for seven days. */
static bool
replayable(const struct mm_facts *f)
{
	if (!f->has_claimed || f->job == MM_JOB_KEYGEN ||
	    !same_key(f->claim.spki_sha256, f->spki))
		return false;
	return unconfirmed(f) || (f->claimed.state == MM_CERT_CONFIRMED &&
	    f->claimed.confirmed_at == f->claimed.issued_at &&
	    f->now_ms - f->claimed.issued_at < MM_REPLAY_MS);
}

static enum mm_reason
spent(const struct mm_facts *f)
{
	return was_confirmed(f) && f->claimed.state != MM_CERT_REVOKED ?
	    MM_R_CONFIRMED : MM_R_CERT_REVOKED;
}

static enum mm_reason
replace_claimed(const struct mm_facts *f, struct mm_verdict *v)
{
	if (!f->has_claimed || f->claimed.state != MM_CERT_ISSUED)
		return spent(f);
	if (f->claim.replaced >= MM_REPLACEMENTS_MAX &&
	    f->now_ms - f->claim.replaced_at < MM_REPLACEMENTS_MS)
		return MM_R_TOO_MANY;
	v->replaces = true;
	name_cert(&v->claimed, &f->claimed);
	return MM_R_NONE;
}

/* true: *r is the whole answer.  The stored one's profile says what binding
 * it wants: a label cannot choose another. */
static bool
replayed(const struct mm_facts *f, struct mm_verdict *v, enum mm_reason *r)
{
	if (!replayable(f))
		return false;
	*r = bound_to(f, profile_of(f, &f->claimed));
	if (*r == MM_R_NONE)
		*r = key_secret(f, v);
	if (*r != MM_R_NONE)
		return true;
	v->act = MM_ACT_REPLAY;
	name_cert(&v->claimed, &f->claimed);
	strcpy(v->device, f->claimed.device);
	strcpy(v->product, f->claimed.product);
	return true;
}

/* Only a holder of the token can bring another key to it: issuance.md, same
 * authority again. */
static enum mm_reason
token_other_key(const struct mm_facts *f, struct mm_verdict *v)
{
	const struct mm_profile *p = v->profile;

	if (same_key(f->claim.spki_sha256, f->spki) && f->job == MM_JOB_ENROL)
		return spent(f);
	if (f->job == MM_JOB_KEYGEN && f->claimed.key_origin == 1 &&
	    f->token.state != MM_TOKEN_FROZEN)
		return replace_claimed(f, v);
	if (p != NULL && p->on_conflict == MM_CONFLICT_REPLACE &&
	    !f->config->set.production && unconfirmed(f)) {
		v->replaces = true;
		name_cert(&v->claimed, &f->claimed);
		return MM_R_NONE;
	}
	if (f->token.state == MM_TOKEN_ISSUED)
		v->effects |= MM_FX_FREEZE;
	if (p != NULL && p->on_conflict == MM_CONFLICT_HOLD &&
	    f->claimed.state == MM_CERT_ISSUED) {
		v->effects |= MM_FX_HOLD;
		name_cert(&v->claimed, &f->claimed);
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
	if (!f->has_token || !f->proved ||
	    test_token(f->token.id) == f->config->set.production)
		return MM_R_CREDENTIAL;
	strcpy(v->device, f->token.device);
	strcpy(v->product, f->token.product);
	/* Only who holds the secret hears that the devices differ. */
	return f->beside_other ? MM_R_BESIDE : MM_R_NONE;
}

static enum mm_reason
token_alive(const struct mm_facts *f, struct mm_verdict *v)
{
	(void)v;
	return f->token.state == MM_TOKEN_CANCELLED ? MM_R_CANCELLED :
						      MM_R_NONE;
}

static enum mm_reason
token_door(const struct mm_facts *f, struct mm_verdict *v)
{
	if (f->authority == MM_AUTH_TOKEN_BASIC && (!f->token.bearer ||
	    (v->profile != NULL && !v->profile->bearer)))
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
	return strcmp(f->token.product, f->device.product) == 0 ?
	    MM_R_NONE : MM_R_DEVICE;
}

static check_fn *const fit[] = { device_active, binding, key_bound, key_type,
	key_free, key_secret, NULL };
static check_fn *const token_known[] = { token_proved, token_alive, NULL };
static check_fn *const token_first[] = { token_open, device_active,
	token_product, token_profile, NULL };

static enum mm_reason
issue(const struct mm_facts *f, struct mm_verdict *v)
{
	enum mm_reason r = all_of(fit, f, v);

	if (r == MM_R_NONE)
		v->act = MM_ACT_ISSUE;
	return r;
}

static enum mm_reason
by_token(const struct mm_facts *f, struct mm_verdict *v)
{
	enum mm_reason profile, r = all_of(token_known, f, v);

	if (r != MM_R_NONE)
		return r;
	profile = token_profile(f, v);
	if (profile == MM_R_LABEL)
		return profile;
	if ((r = token_door(f, v)) != MM_R_NONE)
		return r;
	if (!f->has_claim)
		r = all_of(token_first, f, v);
	else if (replayed(f, v, &r))
		return r;
	else
		r = token_other_key(f, v);
	if (r == MM_R_NONE)
		r = profile;
	return r == MM_R_NONE ? issue(f, v) : r;
}

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
	name_cert(&v->presented, &f->cert);
	strcpy(v->device, f->cert.device);
	strcpy(v->product, f->cert.product);
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

static check_fn *const idevid_fit[] = { cert_known, cert_idevid, cert_good,
	cert_in_time, device_active, ldevid_profile, NULL };

static enum mm_reason
by_idevid(const struct mm_facts *f, struct mm_verdict *v)
{
	enum mm_reason r = all_of(idevid_fit, f, v);

	if (r != MM_R_NONE)
		return r;
	if (f->has_claim) {
		if (replayed(f, v, &r))
			return r;
		if ((r = replace_claimed(f, v)) != MM_R_NONE)
			return r;
	}
	return issue(f, v);
}

/* An old certificate whose successor is in use: somebody has a copy.  Nothing
 * happens to the successor. */
static enum mm_reason
cert_not_cloned(const struct mm_facts *f, struct mm_verdict *v)
{
	(void)v;
	return f->has_claimed && was_confirmed(f) && !replayable(f) ?
	    MM_R_CLONE : MM_R_NONE;
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
	return same_key(f->spki, f->cert.spki_sha256) &&
	    !v->profile->same_key_renewal ? MM_R_SAME_KEY : MM_R_NONE;
}

static check_fn *const renewal_fit[] = { cert_known, cert_ldevid,
	cert_not_cloned, cert_good, device_active, own_profile, cert_late,
	names_same, key_new, NULL };

static enum mm_reason
by_renewal(const struct mm_facts *f, struct mm_verdict *v)
{
	enum mm_reason r = all_of(renewal_fit, f, v);

	if (r != MM_R_NONE)
		return r;
	v->effects |= MM_FX_RENEWAL;
	name_cert(&v->predecessor, &f->cert);
	if (f->has_claim) {
		if (replayed(f, v, &r))
			return r;
		if ((r = replace_claimed(f, v)) != MM_R_NONE)
			return r;
	}
	return issue(f, v);
}

static check_fn *const confirm_fit[] = { cert_known, cert_good, cert_in_time,
	NULL };

/* Step 8.  What was confirmed before is confirmed. */
static enum mm_reason
by_proof(const struct mm_facts *f, struct mm_verdict *v)
{
	enum mm_reason r = all_of(confirm_fit, f, v);

	if (r != MM_R_NONE)
		return r;
	memcpy(v->predecessor.serial, f->cert.predecessor, 16);
	strcpy(v->predecessor.issuer, f->predecessor_issuer);
	if (own_profile(f, v) == MM_R_NONE)
		v->revoke_superseded = v->profile->revoke_superseded;
	v->effects = 0;
	v->act = f->cert.state == MM_CERT_CONFIRMED ? MM_ACT_DONE :
						      MM_ACT_CONFIRM;
	return MM_R_NONE;
}

/* ---- operators ---- */

static check_fn *const operator_fit[] = { device_active, product_profile,
	NULL };

/* Facts give a fresh claim name once the last one's certificate is in use,
 * so what is claimed here is unconfirmed or has this very key. */
static enum mm_reason
by_operator(const struct mm_facts *f, struct mm_verdict *v)
{
	enum mm_reason r = f->proved ? all_of(operator_fit, f, v) :
				       MM_R_CREDENTIAL;

	if (r != MM_R_NONE)
		return r;
	if (f->has_claim) {
		if (replayed(f, v, &r))
			return r;
		if ((r = replace_claimed(f, v)) != MM_R_NONE)
			return r;
	}
	return issue(f, v);
}

#define JOB_KINDS (MM_JOB_CONFIRM + 1)

static check_fn *const rules[MM_AUTH_KINDS][JOB_KINDS] = {
	[MM_AUTH_TOKEN_PSK] = {
		[MM_JOB_ENROL] = by_token,
		[MM_JOB_KEYGEN] = by_token,
	},
	[MM_AUTH_TOKEN_BASIC] = {
		[MM_JOB_ENROL] = by_token,
		[MM_JOB_KEYGEN] = by_token,
	},
	[MM_AUTH_DEVICE] = {
		[MM_JOB_ENROL] = by_idevid,
		[MM_JOB_KEYGEN] = by_idevid,
		[MM_JOB_REENROL] = by_renewal,
		[MM_JOB_CONFIRM] = by_proof,
	},
	[MM_AUTH_OPERATOR] = {
		[MM_JOB_ENROL] = by_operator,
		[MM_JOB_KEYGEN] = by_operator,
	},
};

/* A certificate may renew, a token may not: 403, not "who are you". */
static void
refuse(const struct mm_facts *f, struct mm_verdict *v, enum mm_reason r,
    bool ruled)
{
	bool known = !from_token(f) || f->proved;

	v->act = MM_ACT_REFUSE;
	v->reason = r;
	v->code = !ruled && known ? MM_EPOLICY : meanings[r].code;
	v->effects = (v->effects & (MM_FX_FREEZE | MM_FX_HOLD |
	    MM_FX_EXPIRE)) | meanings[r].effects;
}

/* see decide.h */
void
mm_decide(const struct mm_facts *f, struct mm_verdict *out)
{
	check_fn *rule = NULL;
	enum mm_reason r = MM_R_CREDENTIAL;

	memset(out, 0, sizeof(*out));
	strcpy(out->authority, f->claim_name);
	if ((unsigned)f->authority < MM_AUTH_KINDS &&
	    (unsigned)f->job < JOB_KINDS)
		rule = rules[f->authority][f->job];
	if (rule != NULL)
		r = rule(f, out);
	if (r != MM_R_NONE)
		refuse(f, out, r, rule != NULL);
}
