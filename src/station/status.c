#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/json.h"
#include "base/own.h"
#include "base/time.h"
#include "station/run.h"
#include "station/sync.h"

enum { HOUR_S = 3600 };

static enum mm_err
take(void *ctx, const struct mm_row *r)
{
	struct mm_book *b = ctx;
	struct mm_unit *u;

	MM_TRY(mm_book_need(b, r->unit.serial, &u, NULL));
	*u = r->unit;
	return MM_OK;
}

/* A record whose unit the journal has no rows of any more. */
static bool
is_old(const struct mm_book *b, const char *name)
{
	char serial[MM_DEVICE_ID_MAX + 1];
	size_t n = strlen(name);

	if (n < 6 || strcmp(name + n - 5, ".json") != 0)
		return false;
	return mm_text_copy(serial, sizeof(serial),
		   (struct mm_bytes){ (const uint8_t *)name, n - 5 }) &&
	       mm_book_find(b, serial) == NULL;
}

static enum mm_err
count(const struct mm_station_conf *conf, const struct mm_book *b,
    unsigned n[MM_UNIT_STATES], struct mm_why *why)
{
	char path[PATH_MAX + 16];
	const struct dirent *e;
	DIR *d;

	memset(n, 0, MM_UNIT_STATES * sizeof(n[0]));
	for (size_t i = 0; i < mm_book_n(b); i++)
		n[mm_book_at(b, i)->state]++;
	MM_TRY(mm_path_join(path, sizeof(path), conf->state, "records", why));
	d = opendir(path);
	while (d != NULL && (e = readdir(d)) != NULL)
		n[MM_UNIT_PASSED] += is_old(b, e->d_name);
	if (d != NULL)
		(void)closedir(d);
	return MM_OK;
}

/* ---- what is made offline ---- */

struct order {
	bool there, asked; /* asked: s is the signer's */
	struct mm_duty_status_rep s;
	struct mm_unsynced u;
	struct mm_why why; /* why it was not asked */
	char no_recipe[MM_NAME_MAX + 1]; /* that it names, and is not here */
};

struct named {
	const struct mm_station_conf *conf;
	struct order *o;
};

static enum mm_err
note_recipe(void *ctx, const struct mm_work_order *o, struct mm_why *why)
{
	struct named *n = ctx;

	(void)why;
	if (o->recipe[0] != '\0' &&
	    mm_station_recipe(n->conf, o->recipe) == NULL)
		strcpy(n->o->no_recipe, o->recipe);
	return MM_OK;
}

/* The signer has one station program at a time: while that runs, it is the one
 * that shows this. */
static void
look_at_order(const struct mm_station_conf *conf, struct order *o)
{
	MM_OWN(mm_own_close) struct mm_own *own = NULL;
	char batch[MM_NAME_MAX + 1];
	enum mm_err rc;

	if (conf->signer[0] == '\0' ||
	    mm_order_pick(conf, batch, NULL) != MM_OK)
		return;
	o->there = true;
	(void)!mm_order_look(conf, batch, note_recipe,
	    &(struct named){ conf, o }, NULL); /* damaged: the signer's why */
	rc = mm_own_open(conf, 0, &own, &o->why);
	if (rc == MM_OK)
		rc = mm_own_status(own, &o->s, &o->why);
	if (rc == MM_OK)
		rc = mm_unsynced_get(own, true, &o->u, &o->why);
	o->asked = rc == MM_OK;
}

static void
put_unsynced_json(struct mm_json *j, const struct mm_unsynced *u)
{
	mm_json_int(j, "unsynced", (int64_t)u->units);
	if (u->units > 0)
		mm_json_time(j, "unsynced_since", u->since_ms);
	if (u->synced_ms > 0)
		mm_json_time(j, "synced", u->synced_ms);
	if (u->limit_s > 0)
		mm_json_int(j, "unsynced_limit_s", u->limit_s);
}

static void
put_span(struct mm_buf *out, const char *what, int64_t seconds)
{
	if (seconds < 2 * HOUR_S)
		mm_buf_printf(out, "%s %.0f min", what, (double)seconds / 60);
	else
		mm_buf_printf(out, "%s %.1f h", what,
		    (double)seconds / HOUR_S);
}

static void
put_unsynced(struct mm_buf *out, const struct mm_unsynced *u)
{
	int64_t now = mm_now_ms();

	mm_buf_printf(out, "unsynced     %" PRIu64, u->units);
	if (u->units > 0)
		put_span(out, ", for", (now - u->since_ms) / 1000);
	if (u->limit_s > 0)
		put_span(out, ", at most", u->limit_s);
	mm_buf_text(out, "\n");
	if (mm_unsynced_stops(u, now))
		mm_buf_printf(out, "stopped      %s\n",
		    mm_unit_reasons[MM_UR_UNSYNCED].what);
}

static void
put_order_json(struct mm_json *j, const struct order *o)
{
	if (!o->there) {
		mm_json_null(j, "order");
		return;
	}
	mm_json_open_key(j, "order", '{');
	if (o->no_recipe[0] != '\0')
		mm_json_str(j, "no_recipe", o->no_recipe);
	if (o->asked) {
		mm_json_str(j, "batch", o->s.batch);
		mm_json_int(j, "number", (int64_t)o->s.number);
		mm_json_int(j, "share", (int64_t)o->s.share);
		mm_json_int(j, "counted", (int64_t)o->s.counted);
		mm_json_int(j, "lost", (int64_t)o->s.lost);
		mm_json_time(j, "not_before", (int64_t)o->s.not_before_ms);
		mm_json_time(j, "until", (int64_t)o->s.until_ms);
		mm_json_str(j, "level", o->s.level);
		mm_json_bool(j, "may", o->s.may != 0);
		put_unsynced_json(j, &o->u);
	}
	if (!o->asked || o->s.may == 0)
		mm_json_str(j, "why", o->asked ? o->s.why : o->why.text);
	mm_json_close(j, '}');
}

static void
put_order(struct mm_buf *out, const struct order *o)
{
	if (o->there && !o->asked)
		mm_buf_printf(out, "order        %s\n", o->why.text);
	if (o->no_recipe[0] != '\0')
		mm_buf_printf(out, "no recipe    the order names %s: add "
		    "recipe \"%s\" {} to station.conf, or no unit is made\n",
		    o->no_recipe, o->no_recipe);
	if (!o->there || !o->asked)
		return;
	mm_buf_printf(out, "order        %s, number %" PRIu64 "\n", o->s.batch,
	    o->s.number);
	mm_buf_printf(out, "quota        %" PRIu64 " of %" PRIu64,
	    o->s.counted, o->s.share);
	if (o->s.lost > 0)
		mm_buf_printf(out, ", %" PRIu64 " lost", o->s.lost);
	mm_buf_printf(out, ", counter: %s\n", o->s.level);
	put_unsynced(out, &o->u);
	if (o->s.may == 0)
		mm_buf_printf(out, "stopped      %s\n", o->s.why);
}

static void
put_counts(struct mm_buf *out, const unsigned n[MM_UNIT_STATES],
    const struct order *order, bool json)
{
	struct mm_json j = mm_json_over(out);

	if (json)
		mm_json_open(&j, '{');
	for (unsigned i = 1; i < MM_UNIT_STATES; i++) {
		bool shown =
		    n[i] > 0 || i == MM_UNIT_PASSED || i == MM_UNIT_FAILED;

		if (json && shown)
			mm_json_int(&j, mm_unit_state_names[i], n[i]);
		else if (shown)
			mm_buf_printf(
			    out, "%-12s %u\n", mm_unit_state_names[i], n[i]);
	}
	if (json) {
		put_order_json(&j, order);
		mm_json_close(&j, '}');
		mm_buf_text(out, "\n");
	} else {
		put_order(out, order);
	}
}

static enum mm_err
load(const struct mm_station_conf *conf, struct mm_book *b, struct mm_why *why)
{
	char path[PATH_MAX + 16];
	struct stat st;

	if (stat(conf->state, &st) != 0)
		return MM_FAIL(why, errno == ENOENT ? MM_ENOTFOUND : MM_ESYS,
		    "state: %s: %.80s: before the first unit, or not what "
		    "run uses?", strerror(errno), conf->state);
	if (!S_ISDIR(st.st_mode))
		return MM_FAIL(why, MM_EINPUT, "state: no folder: %.100s",
		    conf->state);
	MM_TRY(mm_path_join(path, sizeof(path), conf->state, "journal", why));
	/* a station with its first order, and no unit yet */
	if (access(path, F_OK) != 0 && errno == ENOENT)
		return MM_OK;
	return mm_rows_read(path, take, b, why);
}

/* see run.h */
int
mm_run_status(const struct mm_station_conf *conf,
    const struct mm_station_args *a, enum mm_err *err, struct mm_why *why)
{
	MM_OWN(mm_book_free) struct mm_book *b = NULL;
	struct mm_buf out = MM_BUF_INIT(8192);
	unsigned n[MM_UNIT_STATES];
	struct order order = { .there = false };

	*err = mm_book_new(&b, why);
	if (*err == MM_OK)
		*err = load(conf, b, why);
	if (*err != MM_OK)
		return mm_err_exit(*err);
	*err = count(conf, b, n, why);
	if (*err != MM_OK)
		return mm_err_exit(*err);
	look_at_order(conf, &order);
	put_counts(&out, n, &order, a->json);
	mm_run_put(&out);
	return 0;
}
