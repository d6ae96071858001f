#include <string.h>

#include "base/time.h"
#include "core/devconf.h"
#include "core/production.h"
#include "line/initial.h"
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

/* ---- initial configurations ---- */

enum { BATCHES_MOST = 50 };

struct batches {
	struct mm_production *of[BATCHES_MOST];
	unsigned n;
};

/* Those with a table that are not closed.  Papers are read afterwards: no
 * document is, while documents are gone through. */
static enum mm_err
take_batch(void *ctx, const void *row, const char *next, struct mm_why *why)
{
	static const uint8_t none[32];
	MM_OWN(mm_production_free) struct mm_production *b = NULL;
	struct batches *all = ctx;

	(void)next, (void)why;
	if (all->n < BATCHES_MOST &&
	    mm_production_parse(row, &b, NULL) == MM_OK &&
	    b->state != MM_WORK_CLOSED &&
	    memcmp(b->order->fields_sha256, none, sizeof(none)) != 0)
		all->of[all->n++] = MM_MOVE(b);
	return MM_OK;
}

static bool
is_salted(struct exam *e, const struct mm_work_order *o)
{
	struct mm_initial_of of = { .device = "" };

	return mm_desk_papers(e->r->desk, o, &of, NULL) != MM_OK ||
	    of.index == NULL || mm_initial_index_salted(of.index);
}

/* A batch's table is what it was made with: those of before there were salts
 * have none, and their entries the documents' bare hashes. */
static void
look_batches(struct exam *e)
{
	struct batches all = { .n = 0 };
	char first[MM_NAME_MAX + 1] = "";
	unsigned n = 0;

	(void)!mm_each_doc(e->r->reader, MM_DOC_BATCH, "", take_batch, &all,
	    NULL);
	for (unsigned i = 0; i < all.n; i++) {
		if (!is_salted(e, all.of[i]->order) && n++ == 0)
			memcpy(first, all.of[i]->id, sizeof(first));
		mm_production_free(&all.of[i]);
	}
	if (n > 0)
		mm_find(e->f, MM_CHECK_CONFIGURATIONS, MM_LEVEL_WARN,
		    "Close them, and make what is left of them as new batches",
		    "%u batches, the first is %s, are of before configurations "
		    "were salted: who reads the ledger can try passwords", n,
		    first);
}

/* see exam.h */
void
mm_exam_configurations(struct exam *e)
{
	look_devices(e);
	look_key(e);
	look_batches(e);
}
