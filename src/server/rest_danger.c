#include <string.h>

#include "base/log.h"
#include "core/group.h"
#include "server/rest.h"

/* What one administrator alone should not do: a table of conditions, which
 * the routes name. */

static enum mm_err
makes_admin(struct mm_rest *r, bool *yes, struct mm_why *why)
{
	const json_t *roles = json_object_get(r->in, "roles"), *item;
	size_t i;

	(void)why;
	*yes = false;
	json_array_foreach(roles, i, item)
		*yes |= json_is_string(item) && strstr(json_string_value(item),
		    mm_role_name(MM_ROLE_ADMIN)) != NULL;
	return MM_OK;
}

/* Counted over a day: else many are minted in calls of a few each.  What was
 * approved is beside that count, so that it stops nothing afterwards; and an
 * approval is used for what it was given, however much room there is by now. */
static enum mm_err
mints_many(struct mm_rest *r, bool *yes, struct mm_why *why)
{
	const json_t *list = json_object_get(r->in, "tokens");
	size_t n = list != NULL ? json_array_size(list) : 1;

	*yes = r->approval[0] != '\0';
	if (*yes)
		return MM_OK;
	MM_TRY(mm_desk_mints_count(r->desk, r->login.id, n,
	    (uint64_t)r->s->config->set.bulk_mint_above, yes, why));
	r->counted = *yes ? 0 : n;
	return MM_OK;
}

/* see rest.h; of a call whose end is not known all counts */
void
mm_danger_minted(struct mm_rest *r, enum mm_err rc, uint64_t before)
{
	struct mm_why why = { 0 };

	if (rc != MM_OK)
		r->minted = mm_desk_writes(r->desk) != before ? r->counted : 0;
	if (r->minted < r->counted && mm_desk_mints_back(r->desk, r->login.id,
	    r->counted - r->minted, &why) != MM_OK)
		MM_LOG(MM_LOG_WARN, "minted", MM_S("id", r->req->id),
		    MM_S("why", why.text));
}

static bool
differs(const struct mm_rest *r, const char *member, const char *now)
{
	const char *v = json_string_value(json_object_get(r->in, member));

	return strcmp(v != NULL ? v : "", now) != 0;
}

/* Of a product that is replaced: what certificates its devices get. */
static enum mm_err
changes_profile(struct mm_rest *r, bool *yes, struct mm_why *why)
{
	struct mm_product now;
	char name[MM_NAME_MAX + 1];
	enum mm_err rc;

	*yes = false;
	if (mm_rest_segment(r, 0, name, sizeof(name), NULL) != MM_OK)
		return MM_OK;
	rc = mm_get_product(r->reader, name, &now, NULL);
	if (rc == MM_ENOTFOUND)
		return MM_OK;
	if (rc != MM_OK)
		return MM_FAIL(why, rc, "the store cannot be read");
	*yes = differs(r, "ldevid_profile", now.ldevid_profile) ||
	    differs(r, "idevid_profile", now.idevid_profile);
	return MM_OK;
}

/* A device of another product gets that product's certificates. */
static enum mm_err
moves(struct mm_rest *r, bool *yes, struct mm_why *why)
{
	struct mm_device now;
	char id[MM_DEVICE_ID_MAX + 1];
	enum mm_err rc;

	*yes = false;
	if (json_object_get(r->in, "product") == NULL ||
	    mm_rest_segment(r, 0, id, sizeof(id), NULL) != MM_OK)
		return MM_OK;
	rc = mm_get_device(r->reader, id, &now, NULL);
	if (rc == MM_ENOTFOUND)
		return MM_OK;
	if (rc != MM_OK)
		return MM_FAIL(why, rc, "the store cannot be read");
	*yes = differs(r, "product", now.product);
	return MM_OK;
}

/* To hold what may be stolen is done at once, and can be undone. */
static enum mm_err
changes_many(struct mm_rest *r, bool *yes, struct mm_why *why)
{
	const char *verb = json_string_value(
	    json_object_get(r->in, "action"));

	(void)why;
	*yes = !json_is_true(json_object_get(r->in, "dry_run")) &&
	    (verb == NULL || strcmp(verb, "hold") != 0);
	return MM_OK;
}

static enum mm_err
always(struct mm_rest *r, bool *yes, struct mm_why *why)
{
	(void)r, (void)why;
	*yes = true;
	return MM_OK;
}

/* A line CA signs whatever its station's signer is told to sign. */
static enum mm_err
gives_line(struct mm_rest *r, bool *yes, struct mm_why *why)
{
	(void)why;
	*yes = json_object_get(r->in, "recipient") != NULL ||
	    json_object_get(r->in, "line") != NULL;
	return MM_OK;
}

/* While it is paused nobody comes; opening it is looked at. */
static enum mm_err
adds_to_open(struct mm_rest *r, bool *yes, struct mm_why *why)
{
	struct mm_group g;
	char id[MM_NAME_MAX + 1];
	enum mm_err rc;

	*yes = false;
	if (mm_rest_segment(r, 0, id, sizeof(id), NULL) != MM_OK)
		return MM_OK;
	rc = mm_group_get(r->reader, id, &g, NULL);
	if (rc == MM_ENOTFOUND)
		return MM_OK;
	if (rc != MM_OK)
		return MM_FAIL(why, rc, "the store cannot be read");
	*yes = g.state == MM_WORK_OPEN;
	return MM_OK;
}

/* see rest.h; a recovery makes administrators where there are none to ask */
const struct mm_danger mm_danger_keys = { "keys", makes_admin, true, false, NULL };
const struct mm_danger mm_danger_mint = { "bulk-mint", mints_many, false, false, NULL };
const struct mm_danger mm_danger_profile = { "profile", changes_profile,
	false, false, NULL };
const struct mm_danger mm_danger_move = { "profile", moves, false,
	false, NULL };
/* More units, or more time for them. */
const struct mm_danger mm_danger_quota = { "quota", always, false, false, NULL };
/* What did not fit is in force from then on. */
const struct mm_danger mm_danger_quarantine = { "quarantine", always, false, false, NULL };
/* A product's, or a batch's: what thousands of devices do from then on. */
const struct mm_danger mm_danger_configuration = { "configuration", always,
	false, false, NULL };
const struct mm_danger mm_danger_line = { "line-ca", gives_line, false, false, NULL };
/* Whoever holds an old credential gets what is opened here. */
const struct mm_danger mm_danger_group = { "bootstrap", always, false, false, NULL };
const struct mm_danger mm_danger_members = { "bootstrap", adds_to_open,
	false, false, NULL };
const struct mm_danger mm_danger_mass = { "mass-revoke", changes_many,
	false, true, mm_certs_look };
/* One after the other is many, too. */
const struct mm_danger mm_danger_thaw = { "bulk-thaw", always, false, false, NULL };
const struct mm_danger mm_danger_thaws = { "bulk-thaw", changes_many, false,
	true, NULL };

/* see rest.h; whoever watches anything watches who is an administrator: else
 * one of them would make himself a second */
bool
mm_danger_watched(const struct mm_settings *set, const char *action)
{
	if (set->four_eyes.n > 0 && strcmp(action, "keys") == 0)
		return true;
	for (size_t i = 0; i < set->four_eyes.n; i++)
		if (strcmp(set->four_eyes.item[i], action) == 0)
			return true;
	return false;
}

/* see rest.h */
enum mm_err
mm_approval_needed(struct mm_rest *r, bool *yes, struct mm_why *why)
{
	const struct mm_rest_call *c = r->req->route->data;
	const struct mm_danger *d = c->danger;

	*yes = false;
	if (d == NULL || !mm_danger_watched(&r->s->config->set, d->action) ||
	    (d->recovery_may && r->login.kind == MM_OPERATOR_RECOVERY))
		return MM_OK;
	return d->applies(r, yes, why);
}
