#include "server/ceilings.h"

#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/file.h"
#include "base/own.h"

enum { MINUTE_S = 60, DAY_S = 86400, FILE_MAX = 1 << 20 };

struct used {
	int64_t at, n; /* which minute or day; how many in it */
};

struct mm_ceilings {
	const struct mm_config *c;
	struct used *minute, *day; /* of each of its profiles */
	char path[MM_PATH_MAX + 1];
};

/* A clock that was set back begins nothing anew. */
static void
turn(struct used *u, int64_t at)
{
	if (at > u->at)
		u->n = 0;
	u->at = at;
}

static bool
has_ceiling(const struct mm_profile *p)
{
	return p->per_minute > 0 || p->per_day > 0;
}

/* ---- the file: {"profile":{"day":20787,"in_day":3,...}, ...} ---- */

static void
put_used(struct mm_json *j, const char *at, const char *n,
    const struct used *u)
{
	mm_json_int(j, at, u->at);
	mm_json_int(j, n, u->n);
}

static enum mm_err
save(const struct mm_ceilings *all, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf b = MM_BUF_INIT(FILE_MAX);
	struct mm_json j = mm_json_over(&b);

	mm_json_open(&j, '{');
	for (size_t i = 0; i < all->c->nprofile; i++) {
		if (!has_ceiling(&all->c->profile[i]))
			continue;
		mm_json_open_key(&j, all->c->profile[i].name, '{');
		put_used(&j, "minute", "in_minute", &all->minute[i]);
		put_used(&j, "day", "in_day", &all->day[i]);
		mm_json_close(&j, '}');
	}
	mm_json_close(&j, '}');
	mm_buf_u8(&b, '\n');
	MM_TRY(mm_buf_ok(&b, why));
	return mm_file_replace_locked(all->path, mm_buf_view(&b), 0600, why);
}

static bool
take_used(json_t *o, const char *at, const char *n, struct used *u)
{
	json_t *v = json_object_get(o, at), *m = json_object_get(o, n);

	if (!json_is_integer(v) || !json_is_integer(m) ||
	    json_integer_value(m) < 0)
		return false;
	*u = (struct used){ json_integer_value(v), json_integer_value(m) };
	return true;
}

static bool
take(struct mm_ceilings *all, json_t *root)
{
	bool good = json_is_object(root);

	for (size_t i = 0; good && i < all->c->nprofile; i++) {
		json_t *o = json_object_get(root, all->c->profile[i].name);

		if (o != NULL)
			good = take_used(o, "minute", "in_minute",
			    &all->minute[i]) &&
			    take_used(o, "day", "in_day", &all->day[i]);
	}
	return good;
}

static enum mm_err
load(struct mm_ceilings *all, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf b = MM_BUF_INIT(FILE_MAX);
	enum mm_err rc = mm_file_read(all->path, &b, why);
	json_t *root;
	bool good;

	if (rc == MM_ENOTFOUND) {
		if (why != NULL)
			*why = (struct mm_why){ 0 };
		return MM_OK;
	}
	MM_TRY(rc);
	root = json_loadb((const char *)b.p, b.n, JSON_REJECT_DUPLICATES,
	    NULL);
	good = take(all, root);
	json_decref(root);
	return good ? MM_OK : MM_FAIL(why, MM_EINPUT, "%.100s cannot be read: "
	    "without it ceilings would begin anew", all->path);
}

/* see ceilings.h */
enum mm_err
mm_ceilings_open(const char *folder, const struct mm_config *c,
    struct mm_ceilings **out, struct mm_why *why)
{
	MM_OWN(mm_ceilings_free) struct mm_ceilings *all =
	    calloc(1, sizeof(*all));

	if (all != NULL) {
		all->c = c;
		all->minute = calloc(c->nprofile + 1, sizeof(*all->minute));
		all->day = calloc(c->nprofile + 1, sizeof(*all->day));
	}
	if (all == NULL || all->minute == NULL || all->day == NULL)
		return MM_FAIL(why, MM_ENOMEM, "ceilings: no memory");
	MM_TRY(mm_path_join(all->path, sizeof(all->path), folder, "used.json",
	    why));
	MM_TRY(load(all, why));
	*out = MM_MOVE(all);
	return MM_OK;
}

/* see ceilings.h */
void
mm_ceilings_free(struct mm_ceilings **owner)
{
	struct mm_ceilings *all = MM_MOVE(*owner);

	if (all == NULL)
		return;
	free(all->minute);
	free(all->day);
	free(all);
}

/* see ceilings.h */
enum mm_err
mm_ceilings_spend(struct mm_ceilings *all, const struct mm_profile *p,
    int64_t now_s, struct mm_why *why)
{
	size_t i = (size_t)(p - all->c->profile);
	struct used *minute = &all->minute[i], *day = &all->day[i];
	enum mm_err rc;

	if (!has_ceiling(p))
		return MM_OK;
	turn(minute, now_s / MINUTE_S);
	turn(day, now_s / DAY_S);
	if (p->per_minute > 0 && minute->n >= p->per_minute)
		return MM_FAIL(why, MM_EPOLICY, "profile %s: the registrar's "
		    "ceiling of %lld a minute", p->name,
		    (long long)p->per_minute);
	if (p->per_day > 0 && day->n >= p->per_day)
		return MM_FAIL(why, MM_EPOLICY, "profile %s: the registrar's "
		    "ceiling of %lld a day", p->name, (long long)p->per_day);
	minute->n++;
	day->n++;
	rc = save(all, why);
	if (rc == MM_OK)
		return MM_OK;
	minute->n--;
	day->n--;
	return rc;
}

/* see ceilings.h; a minute or day that is over is nobody's to give back to,
 * and where it cannot be written it stays spent */
void
mm_ceilings_give_back(struct mm_ceilings *all, const struct mm_profile *p,
    int64_t spent_s)
{
	size_t i = (size_t)(p - all->c->profile);
	struct used *minute = &all->minute[i], *day = &all->day[i];

	if (!has_ceiling(p))
		return;
	if (minute->at == spent_s / MINUTE_S && minute->n > 0)
		minute->n--;
	if (day->at == spent_s / DAY_S && day->n > 0)
		day->n--;
	(void)!save(all, NULL);
}
