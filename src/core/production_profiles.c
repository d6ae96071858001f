#include <pthread.h>
#include <string.h>

#include "core/production_priv.h"
#include "work/export.h"

/*
 * The profiles of a batch that is made offline, as they were when it was made:
 * its stations have them with their orders, and the configuration goes on.
 */

/* see production.h */
enum mm_err
mm_profiles_read(struct mm_bytes text, const char *path,
    struct mm_profile_set *out, struct mm_why *why)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	enum mm_err rc;

	pthread_mutex_lock(&lock);
	rc = mm_profiles_parse(text, path, out, why);
	pthread_mutex_unlock(&lock);
	return rc;
}

/* As the configuration has it: what a batch without a paper goes by. */
static enum mm_err
put_current(const struct mm_desk *d, const struct mm_work_profile *w,
    struct mm_buf *out, struct mm_why *why)
{
	const struct mm_profile *p = mm_config_profile(d->c->config, w->name);
	uint8_t hash[32];

	if (p == NULL)
		return MM_FAIL(why, MM_ECONFLICT,
		    "profile %s of the "
		    "batch is gone",
		    w->name);
	MM_TRY(mm_profile_hash(p, hash, why));
	if (memcmp(hash, w->sha256, 32) != 0)
		return MM_FAIL(why, MM_ECONFLICT,
		    "profile %s is at "
		    "version %lld, the batch was made for %lld",
		    w->name, (long long)p->version, (long long)w->version);
	mm_profile_text(p, out);
	return MM_OK;
}

static enum mm_err
put_all_current(const struct mm_desk *d, const struct mm_work_order *o,
    struct mm_buf *out, struct mm_why *why)
{
	for (size_t i = 0; i < o->profiles_n; i++)
		MM_TRY(put_current(d, &o->profiles[i], out, why));
	return mm_buf_ok(out, why);
}

/* see production.h */
enum mm_err
mm_desk_profiles_keep(
    struct mm_desk *d, struct mm_production *b, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf text = MM_BUF_INIT(MM_PAPER_MAX);

	MM_TRY(put_all_current(d, b->order, &text, why));
	mm_sha256(mm_buf_view(&text), b->profiles_sha256);
	return mm_desk_paper_put(
	    d, mm_buf_view(&text), b->profiles_sha256, why);
}

/* see production.h */
enum mm_err
mm_desk_profiles(struct mm_desk *d, const struct mm_production *b,
    struct mm_buf *out, struct mm_why *why)
{
	if (mm_zero(b->profiles_sha256, 32))
		return put_all_current(d, b->order, out, why);
	return mm_paper_get(d->r, b->profiles_sha256, out, why);
}

/* see production.h; the batch's plan has its hash, the document that names the
 * paper is no proof of it */
const struct mm_profile *
mm_production_profile(const struct mm_production *b,
    const struct mm_profile_set *set, const char *label)
{
	const struct mm_profile *p = mm_export_profile(set, label);
	const struct mm_work_order *o = b->order;
	uint8_t hash[32];

	if (p == NULL || mm_profile_hash(p, hash, NULL) != MM_OK)
		return NULL;
	for (size_t i = 0; i < o->profiles_n; i++)
		if (strcmp(o->profiles[i].name, p->name) == 0)
			return memcmp(hash, o->profiles[i].sha256, 32) == 0
				   ? p
				   : NULL;
	return NULL;
}
