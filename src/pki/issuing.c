#include <string.h>

#include "base/time.h"
#include "pki/profile.h"

/* see profile.h */
const char *const mm_issuer_states[MM_ISSUER_STATES] = {
	[MM_ISSUER_ISSUING] = "issuing",
	[MM_ISSUER_NEXT] = "next",
	[MM_ISSUER_FOLLOWED] = "followed",
	[MM_ISSUER_RETIRED] = "retired",
};

/* see profile.h */
const struct mm_issuer_conf *
mm_config_follower(const struct mm_config *c, const char *name)
{
	for (size_t i = 0; i < c->nissuer; i++)
		if (c->issuer[i].follows[0] != '\0' &&
		    strcmp(c->issuer[i].follows, name) == 0)
			return &c->issuer[i];
	return NULL;
}

/* see profile.h */
int64_t
mm_issuer_from(const struct mm_issuer_conf *i)
{
	int64_t at_ms = 0;

	/* what mm_config_check_follows has seen can be read */
	if (i->follows_from[0] != '\0')
		(void)!mm_time_parse(i->follows_from, &at_ms, NULL);
	return at_ms / 1000;
}

/* see profile.h */
const struct mm_issuer_conf *
mm_config_issuing(const struct mm_config *c, const char *name, int64_t now_s)
{
	const struct mm_issuer_conf *i = mm_config_issuer(c, name), *next;

	for (size_t n = 0; i != NULL && n < c->nissuer; n++) {
		next = mm_config_follower(c, i->name);
		if (next == NULL || now_s < mm_issuer_from(next))
			break;
		i = next;
	}
	return i;
}

/* see profile.h */
const struct mm_issuer_conf *
mm_config_first(const struct mm_config *c, const struct mm_issuer_conf *i)
{
	const struct mm_issuer_conf *before = i;

	for (size_t n = 0; before != NULL && n < c->nissuer; n++) {
		i = before;
		before = mm_config_issuer(c, i->follows);
	}
	return i;
}

/* see profile.h */
enum mm_issuer_state
mm_config_state(const struct mm_config *c, const struct mm_issuer_conf *i,
    int64_t now_s)
{
	const struct mm_issuer_conf *next = mm_config_follower(c, i->name);

	if (i->retired)
		return MM_ISSUER_RETIRED;
	if (i->follows[0] != '\0' && now_s < mm_issuer_from(i))
		return MM_ISSUER_NEXT;
	return next != NULL && now_s >= mm_issuer_from(next) ?
	    MM_ISSUER_FOLLOWED : MM_ISSUER_ISSUING;
}

static bool
has_from(const struct mm_config *c, const struct mm_profile *p,
    const struct mm_issuer_conf *i)
{
	const struct mm_issuer_conf *named = mm_config_issuer(c, p->issuer);

	return named != NULL &&
	    mm_config_first(c, named) == mm_config_first(c, i);
}

/* see profile.h */
const struct mm_profile *
mm_config_longest(const struct mm_config *c, const struct mm_issuer_conf *i)
{
	const struct mm_profile *most = NULL;

	for (size_t k = 0; k < c->nprofile; k++)
		if (c->profile[k].lifetime_s > 0 &&
		    has_from(c, &c->profile[k], i) && (most == NULL ||
		    c->profile[k].lifetime_s > most->lifetime_s))
			most = &c->profile[k];
	return most;
}

/* see profile.h */
int64_t
mm_config_grace(const struct mm_config *c, const struct mm_issuer_conf *i)
{
	int64_t most = 0;

	for (size_t k = 0; k < c->nprofile; k++)
		if (has_from(c, &c->profile[k], i) &&
		    c->profile[k].grace_s > most)
			most = c->profile[k].grace_s;
	return most;
}

/* ---- what a configuration may say ---- */

static enum mm_err
check_one(const struct mm_config *c, const struct mm_issuer_conf *i,
    struct mm_why *why)
{
	const struct mm_issuer_conf *of = mm_config_issuer(c, i->follows);
	int64_t at_ms;

	if (i->follows_from[0] != '\0' &&
	    mm_time_parse(i->follows_from, &at_ms, NULL) != MM_OK)
		return MM_FAIL(why, MM_EINPUT, "issuer %s: follows_from: want "
		    "2027-01-01T00:00:00Z", i->name);
	if (i->follows[0] == '\0')
		return i->follows_from[0] == '\0' ? MM_OK :
		    MM_FAIL(why, MM_EINPUT, "issuer %s: follows_from without "
		    "follows", i->name);
	if (of == NULL)
		return MM_FAIL(why, MM_EINPUT, "issuer %s: it follows \"%s\", "
		    "which is no issuer", i->name, i->follows);
	if (mm_config_follower(c, i->follows) != i)
		return MM_FAIL(why, MM_EINPUT, "issuer %s: another one "
		    "follows %s already", i->name, i->follows);
	if (i->line || of->line || (i->lines > 0) != (of->lines > 0))
		return MM_FAIL(why, MM_EINPUT, "issuer %s: it cannot follow "
		    "%s: both sign devices, or both line CAs", i->name,
		    i->follows);
	return MM_OK;
}

/* Where there is no ring, a walk from any of them has an end. */
static enum mm_err
check_end(const struct mm_config *c, const struct mm_issuer_conf *i,
    struct mm_why *why)
{
	const struct mm_issuer_conf *at = i;

	for (size_t n = 0; at != NULL; n++) {
		if (n == c->nissuer)
			return MM_FAIL(why, MM_EINPUT, "issuer %s: it follows "
			    "itself", i->name);
		at = mm_config_issuer(c, at->follows);
	}
	return MM_OK;
}

/* see profile.h */
enum mm_err
mm_config_check_follows(const struct mm_config *c, struct mm_why *why)
{
	for (size_t i = 0; i < c->nissuer; i++)
		MM_TRY(check_one(c, &c->issuer[i], why));
	for (size_t i = 0; i < c->nissuer; i++)
		MM_TRY(check_end(c, &c->issuer[i], why));
	return MM_OK;
}
