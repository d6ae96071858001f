#include <string.h>

#include "base/own.h"
#include "core/production.h"
#include "server/rest.h"

/* Certificate profiles: as configured, and texts that may become some. */

enum mm_err
mm_rest_profiles(struct mm_rest *r, struct mm_why *why)
{
	const struct mm_config *c = r->s->config;

	mm_json_open(&r->j, '{');
	mm_json_open_key(&r->j, "items", '[');
	for (size_t i = 0; i < c->nprofile; i++)
		MM_TRY(mm_profile_json(&r->j, NULL, &c->profile[i], why));
	mm_json_close(&r->j, ']');
	mm_json_close(&r->j, '}');
	return MM_OK;
}

enum mm_err
mm_rest_profile(struct mm_rest *r, struct mm_why *why)
{
	const struct mm_profile *p;
	char name[MM_NAME_MAX + 1];

	MM_TRY(mm_rest_segment(r, 0, name, sizeof(name), why));
	p = mm_config_profile(r->s->config, name);
	if (p == NULL)
		return MM_FAIL(why, MM_ENOTFOUND, "no such profile");
	return mm_profile_json(&r->j, NULL, p, why);
}

/* What loading it would run into here: an issuer that is not, and a version
 * that is used with other settings. */
static enum mm_err
put_checked(struct mm_rest *r, const struct mm_profile *p,
    struct mm_why *why)
{
	const struct mm_config *c = r->s->config;
	const struct mm_profile *now = mm_config_profile(c, p->name);
	uint8_t a[32], b[32];
	bool differs = false;

	if (now != NULL) {
		MM_TRY(mm_profile_hash(now, a, why));
		MM_TRY(mm_profile_hash(p, b, why));
		differs = memcmp(a, b, sizeof(a)) != 0;
	}
	mm_json_open(&r->j, '{');
	mm_json_open_key(&r->j, "warnings", '[');
	if (mm_config_issuer(c, p->issuer) == NULL)
		mm_json_str(&r->j, NULL, "there is no such issuer here");
	if (differs && now->version == p->version)
		mm_json_str(&r->j, NULL, "it differs from the one in use: "
		    "raise its version");
	mm_json_close(&r->j, ']');
	mm_json_bool(&r->j, "in_use", now != NULL && !differs);
	MM_TRY(mm_profile_json(&r->j, "profile", p, why));
	mm_json_close(&r->j, '}');
	return MM_OK;
}

enum mm_err
mm_rest_profile_check(struct mm_rest *r, struct mm_why *why)
{
	MM_OWN(mm_profiles_done) struct mm_profile_set set = { .n = 0 };
	const json_t *text = json_object_get(r->in, "text");

	if (!json_is_string(text) || json_object_size(r->in) != 1)
		return MM_FAIL(why, MM_EINPUT, "JSON: want \"text\" alone");
	MM_TRY(mm_profiles_read((struct mm_bytes){
	    (const uint8_t *)json_string_value(text),
	    json_string_length(text) }, "profile", &set, why));
	mm_json_open(&r->j, '{');
	mm_json_open_key(&r->j, "items", '[');
	for (size_t i = 0; i < set.n; i++)
		MM_TRY(put_checked(r, &set.profile[i], why));
	mm_json_close(&r->j, ']');
	mm_json_close(&r->j, '}');
	return MM_OK;
}
