#include <stdio.h>
#include <string.h>

#include "core/devconf_priv.h"

/* Who has not taken what it should have: of those that have ever asked. */

enum { PAGE = 200 };

struct looking {
	char device[PAGE][MM_DEVICE_ID_MAX + 1];
	unsigned n;
	char last[MM_DOC_ID_MAX + 1];
};

/* The id of a record is its device's, which is found without case. */
static enum mm_err
take(void *ctx, const void *row, const char *next, struct mm_why *why)
{
	const struct mm_doc *doc = row;
	struct looking *l = ctx;

	(void)why;
	(void)!mm_text_copy(l->last, sizeof(l->last), mm_bytes_of(next));
	if (mm_text_copy(l->device[l->n], sizeof(l->device[0]),
	    mm_bytes_of(doc->id)))
		l->n++;
	return MM_OK;
}

static bool
is_behind(const struct mm_devconf_given *g, enum mm_devconf_state state,
    int64_t before_ms)
{
	if (state == MM_DEVCONF_OFFERED)
		return g->given_at < before_ms;
	return state == MM_DEVCONF_OLD && g->has && g->set_at < before_ms;
}

static enum mm_err
look_at(struct mm_desk *d, const char *id, int64_t before_ms,
    struct mm_devconf_behind *out, struct mm_why *why)
{
	MM_OWN(mm_devconf_given_done) struct mm_devconf_given g =
	    MM_DEVCONF_GIVEN_INIT;
	enum mm_devconf_state state;
	struct mm_device dev;
	enum mm_err rc = mm_get_device(d->r, id, &dev, NULL);

	if (rc == MM_ENOTFOUND || (rc == MM_OK &&
	    dev.state != MM_DEVICE_ACTIVE))
		return MM_OK;
	if (rc != MM_OK)
		return MM_FAIL(why, rc, "the store cannot be read");
	MM_TRY(mm_desk_devconf_state(d, &dev, &g, &state, why));
	out->looked++;
	out->behind += is_behind(&g, state, before_ms);
	return MM_OK;
}

/* see devconf.h */
enum mm_err
mm_desk_devconf_behind(struct mm_desk *d, int64_t before_ms, unsigned most,
    struct mm_devconf_behind *out, struct mm_why *why)
{
	struct mm_devconf_behind b = { .all = true };
	struct mm_list docs = { .most = PAGE, .state = -1 };
	struct looking l = { .n = 0 };

	MM_TRY(mm_count_docs(d->r, MM_DOC_DEVCONF, "", most, &b.sets, why));
	do {
		b.all = b.looked < most;
		if (!b.all)
			break;
		l.n = 0;
		snprintf(docs.after, sizeof(docs.after), "%s", l.last);
		MM_TRY(mm_list_docs(d->r, MM_DOC_GIVEN, "", &docs, take, &l,
		    why));
		for (unsigned i = 0; i < l.n; i++)
			MM_TRY(look_at(d, l.device[i], before_ms, &b, why));
	} while (l.n == PAGE);
	*out = b;
	return MM_OK;
}

/* see devconf.h */
void
mm_core_devconf_key(struct mm_core *c, int64_t *ends_s, int64_t *missing_s)
{
	*ends_s = atomic_load(&c->config_ends);
	*missing_s = atomic_load(&c->config_missing);
}
