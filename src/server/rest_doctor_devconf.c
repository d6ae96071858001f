#include "base/time.h"
#include "core/devconf.h"
#include "server/exam.h"

/* Configuration in the field: who is behind, and what it is signed by. */

enum { LOOK_MOST = 2000, BEHIND_DAYS = 7, BEHIND_WARN = 10 /* percent */ };

static void
look_devices(struct exam *e)
{
	const int64_t before = mm_now_ms() - BEHIND_DAYS * 86400000LL;
	struct mm_devconf_behind b;

	if (mm_desk_devconf_behind(e->r->desk, before, LOOK_MOST, &b, NULL) !=
	    MM_OK)
		mm_find(e->f, MM_CHECK_CONFIGURATIONS, MM_LEVEL_WARN,
		    "Try again; mintmark status says more",
		    "what devices are configured to cannot be read");
	else if (b.sets == 0)
		mm_find(e->f, MM_CHECK_CONFIGURATIONS, MM_LEVEL_OK, NULL,
		    "nothing is configured in the field");
	else
		mm_find(e->f, MM_CHECK_CONFIGURATIONS,
		    b.behind * 100 > b.looked * BEHIND_WARN ? MM_LEVEL_WARN
		    : MM_LEVEL_OK,
		    "mintmark config devices PRODUCT --state old, and offered; "
		    "then see what they were refused with (mintmark why)",
		    "%u of %s%u devices that asked for their configuration "
		    "have not taken one that is %d days old", b.behind,
		    b.all ? "" : "the first ", b.looked, BEHIND_DAYS);
}

/* Made anew at half of its life, by who asks next. */
static void
look_key(struct exam *e)
{
	int64_t ends, missing;

	mm_core_devconf_key(e->r->s->core, &ends, &missing);
	if (missing != 0)
		mm_find(e->f, MM_CHECK_CONFIGURATIONS, MM_LEVEL_FAIL,
		    "See to the signer, and to the issuer's end: devices keep "
		    "what they have meanwhile",
		    "no issuer certifies the key that signs configurations, "
		    "for %lld minutes", (long long)(mm_now_s() - missing) / 60);
	else if (ends > mm_now_s())
		mm_find(e->f, MM_CHECK_CONFIGURATIONS, MM_LEVEL_OK, NULL,
		    "the key that signs configurations is certified for %lld "
		    "hours", (long long)(ends - mm_now_s()) / 3600);
}

/* see exam.h */
void
mm_exam_configurations(struct exam *e)
{
	look_devices(e);
	look_key(e);
}
