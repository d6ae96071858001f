#include "core/checks.h"

#include <string.h>
#include <strings.h>

/* see checks.h */
enum mm_reason
mm_check_all(
    mm_check_fn *const *checks, const struct mm_facts *f, struct mm_verdict *v)
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

/* see checks.h */
void
mm_check_name(struct mm_named *n, const struct mm_cert_row *row)
{
	memcpy(n->serial, row->serial, 16);
	strcpy(n->issuer, row->issuer);
}

/* see checks.h */
bool
mm_check_same_key(const uint8_t a[32], const uint8_t b[32])
{
	return memcmp(a, b, 32) == 0;
}

/* see checks.h */
bool
mm_check_from_token(const struct mm_facts *f)
{
	return f->authority == MM_AUTH_TOKEN_PSK ||
	       f->authority == MM_AUTH_TOKEN_BASIC;
}

/* ---- what every issuance asks ---- */

/* see checks.h */
enum mm_reason
mm_check_device(const struct mm_facts *f, struct mm_verdict *v)
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
		if (!unset(want[i], 32) &&
		    (f->job == MM_JOB_KEYGEN ||
			!mm_check_same_key(want[i], f->spki)))
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
enum mm_reason
mm_check_key_secret(const struct mm_facts *f, struct mm_verdict *v)
{
	(void)v;
	return f->job != MM_JOB_KEYGEN && f->key_compromised
		   ? MM_R_KEY_COMPROMISED
		   : MM_R_NONE;
}

static enum mm_reason
key_type(const struct mm_facts *f, struct mm_verdict *v)
{
	if (f->job == MM_JOB_KEYGEN)
		return v->profile->serverkeygen ? MM_R_NONE : MM_R_PROFILE;
	return mm_profile_takes_key(v->profile, f->key_type) ? MM_R_NONE
							     : MM_R_KEY_TYPE;
}

/* RFC 7030 3.5; RFC 9266.  p: NULL where the profile is gone. */
enum mm_reason
mm_check_bound(const struct mm_facts *f, const struct mm_profile *p)
{
	if (f->binding_wrong ||
	    (p != NULL && p->require_tls_exporter && !f->binding_ok))
		return MM_R_BINDING;
	return MM_R_NONE;
}

static enum mm_reason
binding(const struct mm_facts *f, struct mm_verdict *v)
{
	return mm_check_bound(f, v->profile);
}

/* ---- profiles and labels ---- */

/* A label is a profile's name and must be the one that the authority gives a
 * right to. */
enum mm_reason
mm_check_profile(const struct mm_facts *f, const char *label, const char *name,
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
const char *
mm_check_label(const struct mm_facts *f)
{
	return f->label[0] != '\0' ? f->label : f->config->set.default_label;
}

/* see checks.h */
enum mm_reason
mm_check_ldevid(const struct mm_facts *f, struct mm_verdict *v)
{
	return mm_check_profile(
	    f, mm_check_label(f), f->product.ldevid_profile, v);
}

/* see checks.h */
const struct mm_profile *
mm_check_profile_of(const struct mm_facts *f, const struct mm_cert_row *row)
{
	char name[MM_PROFILE_TEXT];
	size_t n = strcspn(row->profile, "@");

	memcpy(name, row->profile, n);
	name[n] = '\0';
	return mm_config_profile(f->config, name);
}

/* Renewal keeps the certificate's own profile, at its present version, while
 * there is one of that name. */
enum mm_reason
mm_check_own(const struct mm_facts *f, struct mm_verdict *v)
{
	const struct mm_profile *own = mm_check_profile_of(f, &f->cert);

	return mm_check_profile(f, f->label,
	    own != NULL ? own->name : f->product.ldevid_profile, v);
}

static mm_check_fn *const fit[] = { mm_check_device, binding, key_bound,
	key_type, key_free, mm_check_key_secret, NULL };
/* see checks.h */
enum mm_reason
mm_rule_issue(const struct mm_facts *f, struct mm_verdict *v)
{
	enum mm_reason r = mm_check_all(fit, f, v);

	if (r == MM_R_NONE)
		v->act = MM_ACT_ISSUE;
	return r;
}
