#include <string.h>

#include "core/upstream_priv.h"

/*
 * What a first request has to be named: a token's text does not say which
 * device it is for, and nobody can name a request but who signs it.
 */

/* As decide_token.c chooses it. */
static const struct mm_profile *
profile_of(const struct mm_core *c, const struct mm_token_row *t,
    const struct mm_product *product, const char *label)
{
	const char *name = t->profile[0] != '\0' ? t->profile :
	    product->ldevid_profile;

	if (label[0] == '\0')
		label = c->config->set.default_label;
	if (name[0] == '\0' || (label[0] != '\0' && strcmp(label, name) != 0))
		return NULL;
	return mm_config_profile(c->config, name);
}

/* One that is no longer good tells nothing. */
static bool
is_good(const struct mm_token_facts *t)
{
	const struct mm_token_row *row = &t->token;
	int64_t now = mm_now_ms();

	if (t->device.id[0] == '\0' || t->device.state != MM_DEVICE_ACTIVE)
		return false;
	return row->state == MM_TOKEN_ISSUED || (row->state == MM_TOKEN_MINTED
	    && row->not_before_at <= now && now < row->expires_at);
}

static enum mm_err
any(struct mm_why *why)
{
	return MM_FAIL(why, MM_ENOTFOUND, "its request may have any names");
}

/* see upstream.h */
enum mm_err
mm_desk_upstream_names(struct mm_desk *d, const struct mm_authority *token,
    const char *label, struct mm_upstream_names *out, struct mm_why *why)
{
	struct mm_token_facts t;
	struct mm_product product;
	const struct mm_profile *p;
	enum mm_err rc = mm_get_token_facts(d->r, token->token, &t, NULL);

	if (rc == MM_OK && !is_good(&t))
		return any(why);
	if (rc == MM_OK)
		rc = mm_get_product(d->r, t.device.product, &product, NULL);
	if (rc == MM_ENOTFOUND)
		return any(why);
	if (rc != MM_OK)
		return MM_FAIL(why, rc, "the store cannot be read");
	p = profile_of(d->c, &t.token, &product, label);
	if (p == NULL || mm_upstream_of(d->c, p) == NULL)
		return any(why);
	out->profile = p;
	strcpy(out->device, t.device.id);
	strcpy(out->product, t.device.product);
	return MM_OK;
}
