#include <string.h>

#include "server/rest.h"

/* What one administrator alone should not do: a table of conditions, which
 * the routes name. */

static bool
makes_admin(const struct mm_rest *r)
{
	const json_t *roles = json_object_get(r->in, "roles"), *item;
	size_t i;

	json_array_foreach(roles, i, item)
		if (json_is_string(item) && strstr(json_string_value(item),
		    mm_role_name(MM_ROLE_ADMIN)) != NULL)
			return true;
	return false;
}

static bool
mints_many(const struct mm_rest *r)
{
	return json_array_size(json_object_get(r->in, "tokens")) >
	    (size_t)r->s->config->set.bulk_mint_above;
}

static bool
differs(const struct mm_rest *r, const char *member, const char *now)
{
	const char *v = json_string_value(json_object_get(r->in, member));

	return strcmp(v != NULL ? v : "", now) != 0;
}

/* Of a product that is replaced: what certificates its devices get.  One that
 * cannot be read may be changed by this. */
static bool
changes_profile(const struct mm_rest *r)
{
	struct mm_product now;
	char name[MM_NAME_MAX + 1];
	enum mm_err rc;

	if (mm_rest_segment(r, 0, name, sizeof(name), NULL) != MM_OK)
		return false;
	rc = mm_get_product(r->reader, name, &now, NULL);
	if (rc != MM_OK)
		return rc != MM_ENOTFOUND;
	return differs(r, "ldevid_profile", now.ldevid_profile) ||
	    differs(r, "idevid_profile", now.idevid_profile);
}

static bool
always(const struct mm_rest *r)
{
	(void)r;
	return true;
}

/* see rest.h; a recovery makes administrators where there are none to ask */
const struct mm_danger mm_danger_keys = { "keys", makes_admin, true };
const struct mm_danger mm_danger_mint = { "bulk-mint", mints_many, false };
const struct mm_danger mm_danger_profile = { "profile", changes_profile,
	false };
/* There is no call that thaws several: one by one is how it is done. */
const struct mm_danger mm_danger_thaw = { "bulk-thaw", always, false };

/* Whoever watches anything watches who is an administrator: else one of them
 * would make himself a second. */
static bool
watched(const struct mm_settings *set, const char *action)
{
	if (set->four_eyes.n > 0 && strcmp(action, "keys") == 0)
		return true;
	for (size_t i = 0; i < set->four_eyes.n; i++)
		if (strcmp(set->four_eyes.item[i], action) == 0)
			return true;
	return false;
}

/* see rest.h */
bool
mm_approval_needed(const struct mm_rest *r)
{
	const struct mm_rest_call *c = r->req->route->data;
	const struct mm_danger *d = c->danger;

	return d != NULL && watched(&r->s->config->set, d->action) &&
	    !(d->recovery_may &&
	    r->login.kind == MM_OPERATOR_RECOVERY) && d->applies(r);
}
