#include <string.h>

#include "base/log.h"
#include "base/time.h"
#include "station/line.h"

/* While units are made: what was made offline goes to the centre. */

enum { ENTRIES = 16, LATER_MS = 60000 };

static bool
is_due(struct mm_line *l)
{
	const struct mm_station_conf *conf = l->conf;
	int64_t now = mm_mono_ms();
	bool first = l->sync_due_ms == 0;
	char batch[MM_NAME_MAX + 1];

	if (conf->sync_s == 0 || conf->signer[0] == '\0' ||
	    now < l->sync_due_ms)
		return false;
	l->sync_due_ms = now + conf->sync_s * 1000;
	/* What an earlier run has left is looked for once; the signer is
	 * started for that as for a unit. */
	if (first && l->own == NULL &&
	    mm_order_pick(conf, batch, NULL) == MM_OK &&
	    mm_own_open(conf, MM_OWN_WAIT_MS, &l->own, NULL) != MM_OK)
		return false;
	return l->own != NULL;
}

static bool
has_news(const struct mm_line *l)
{
	struct mm_synced have;

	return mm_synced_read(l->conf, &have, NULL) == MM_OK &&
	       have.size < mm_entries_n(l->own->entries);
}

static void
begin(struct mm_line *l)
{
	struct mm_why why = { 0 };

	l->syncing = (struct mm_syncing){ .centre = l->centre,
		.own = l->own,
		.slot = MM_CENTRE_SYNC,
		.most = ENTRIES };
	if (mm_syncing_begin(&l->syncing, &why) != MM_OK)
		l->syncing.phase = MM_SYNC_REST;
}

/* What is the same as the last time is no news in a log. */
static bool
is_new(struct mm_why *last, const struct mm_why *why)
{
	bool is = strcmp(last->text, why->text) != 0;

	*last = *why;
	return is;
}

/* What went wrong for longer than a network is away is for a person. */
static void
tell(struct mm_line *l, enum mm_err rc, const struct mm_why *why)
{
	const struct mm_syncing *s = &l->syncing;

	if (rc != MM_OK) {
		l->sync_due_ms = mm_mono_ms() + LATER_MS;
		if (rc != MM_EAGAIN && is_new(&l->refused, why))
			MM_LOG(MM_LOG_ERROR, "sync.refused",
			    MM_S("why", why->text));
		return;
	}
	l->telling.news = true; /* what was scrapped waited for it */
	if (s->phase != MM_SYNC_REST)
		return;
	l->refused.text[0] = '\0';
	MM_LOG(MM_LOG_INFO, "sync.done", MM_I("entries", s->entries));
	if (s->quarantined > 0)
		MM_LOG(MM_LOG_ERROR, "sync.put-aside",
		    MM_I("units", s->quarantined), MM_S("last", s->aside));
}

/* Of the batch that is made now; of earlier ones "sync" asks. */
static void
hear(struct mm_line *l)
{
	if (l->own->order->ca_name[0] == '\0' ||
	    mm_revoking_begin(&l->revoking, l->conf, l->centre,
	    l->own->order->ca_name, NULL) != MM_OK)
		l->revoking.asked = false;
}

static void
go_on_hearing(struct mm_line *l)
{
	struct mm_why why = { 0 };
	enum mm_err rc = mm_revoking_step(&l->revoking, &why);

	if (rc == MM_EAGAIN || (rc == MM_OK && l->revoking.asked))
		return;
	if (!is_new(&l->no_news, &why))
		return;
	if (rc != MM_OK)
		MM_LOG(MM_LOG_WARN, "sync.no-revocations",
		    MM_S("why", why.text));
	else
		MM_LOG(MM_LOG_INFO, "sync.revocations",
		    MM_I("revoked", l->revoking.n.revoked),
		    MM_I("held", l->revoking.n.held));
}

/* see line.h */
void
mm_line_sync(struct mm_line *l)
{
	struct mm_why why = { 0 };
	enum mm_err rc;

	if (l->revoking.asked) {
		go_on_hearing(l);
		return;
	}
	if (l->syncing.phase == MM_SYNC_REST) {
		if (is_due(l))
			(has_news(l) ? begin : hear)(l);
		return;
	}
	/* its signer went, and with it whom this was about */
	if (l->own != l->syncing.own) {
		mm_centre_drop(l->centre, MM_CENTRE_SYNC);
		l->syncing.phase = MM_SYNC_REST;
		return;
	}
	rc = mm_syncing_step(&l->syncing, &why);
	tell(l, rc, &why);
	if (rc == MM_OK && l->syncing.phase == MM_SYNC_REST)
		hear(l);
}
