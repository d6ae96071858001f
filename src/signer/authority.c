#include <string.h>
#include <strings.h>

#include "signer/priv.h"

/*
 * What each kind of authority may be about.  Whether the server was entitled
 * to name it cannot be seen from here; what it could never have meant can, and
 * the journal's line then says nothing that contradicts itself.
 */
static const struct {
	const char *head;
	bool keygen; /* the pair may be made here */
	bool idevid; /* factory certificates too */
	bool device; /* it ends in the device's name, after this */
	char before;
} kinds[] = {
	{ "token:", true, true, false, 0 },
	{ "cert:", true, true, false, 0 },
	{ "op:", true, true, false, 0 },
	/* a device that was in the field before: what it had was shared or
	 * old, so its key is its own, and nobody says who made it */
	{ "group:", false, false, true, '/' },
};

static enum mm_err
fits(size_t i, const struct mm_issue_req *q, const struct mm_profile *p,
    struct mm_why *why)
{
	const char *name = q->authority + strlen(kinds[i].head);

	if (q->keygen != 0 && !kinds[i].keygen)
		return MM_FAIL(why, MM_EPOLICY, "%s makes no keys",
		    kinds[i].head);
	if (p->kind == MM_PROFILE_IDEVID && !kinds[i].idevid)
		return MM_FAIL(why, MM_EPOLICY, "%s gives no factory "
		    "certificates", kinds[i].head);
	if (!kinds[i].device)
		return MM_OK;
	name = strchr(name, kinds[i].before);
	return name != NULL && strcasecmp(name + 1, q->device) == 0
		   ? MM_OK
		   : MM_FAIL(why, MM_EINPUT,
			 "issue: the authority is another device's");
}

/* see priv.h */
enum mm_err
mm_authority_fits(const struct mm_issue_req *q, const struct mm_profile *p,
    struct mm_why *why)
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (strncmp(q->authority, kinds[i].head,
			strlen(kinds[i].head)) == 0)
			return fits(i, q, p, why);
	return MM_FAIL(why, MM_EINPUT, "issue: no such kind of authority");
}
