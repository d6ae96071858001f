#include "station/sync.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/own.h"
#include "base/time.h"
#include "ledger/entry.h"
#include "station/line.h"
#include "station/revoked.h"
#include "station/run.h"
#include "work/upload.h"

enum { MARK_MAX = 64, WAIT_MS = 500, COMMAND_ENTRIES = 256,
	TELL_MS = 30000 };

/* ---- what the centre has acknowledged ---- */

static enum mm_err
mark_path(const struct mm_station_conf *conf, char path[PATH_MAX + 16],
    struct mm_why *why)
{
	return mm_path_join(path, PATH_MAX + 16, conf->state, "synced", why);
}

/* see sync.h */
enum mm_err
mm_synced_read(const struct mm_station_conf *conf, struct mm_synced *out,
    struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf b = MM_BUF_INIT(MARK_MAX);
	struct mm_synced s = { .size = 0 };
	char path[PATH_MAX + 16];
	const char *text;
	enum mm_err rc;

	*out = s;
	MM_TRY(mark_path(conf, path, why));
	rc = mm_file_read(path, &b, NULL);
	if (rc == MM_ENOTFOUND)
		return MM_OK;
	text = rc == MM_OK ? mm_buf_cstr(&b) : NULL;
	if (text == NULL ||
	    sscanf(text, "%" SCNu64 " %" SCNd64, &s.size, &s.at_ms) != 2)
		return MM_FAIL(
		    why, MM_EINPUT, "synced: damaged: remove it, and sync");
	*out = s;
	return MM_OK;
}

/* see sync.h */
enum mm_err
mm_synced_write(
    const struct mm_station_conf *conf, uint64_t size, struct mm_why *why)
{
	char path[PATH_MAX + 16], text[MARK_MAX];

	MM_TRY(mark_path(conf, path, why));
	snprintf(
	    text, sizeof(text), "%" PRIu64 " %" PRId64 "\n", size, mm_now_ms());
	return mm_file_replace(path, mm_bytes_of(text), 0640, why);
}

static enum mm_err
look(
    struct mm_own *o, uint64_t index, struct mm_unsynced *u, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf b = MM_BUF_INIT(MM_ENTRY_MAX);
	struct mm_entry_view v;
	char at[MM_TIME_TEXT];

	MM_TRY(mm_entries_get(o->entries, index, &b, why));
	mm_entry_look(mm_buf_view(&b), &v);
	if (!mm_bytes_eq(v.type, mm_bytes_of("certificate.issued")) &&
	    !mm_bytes_eq(v.type, mm_bytes_of("certificate.adopted")))
		return MM_OK;
	u->units++;
	if (u->since_ms == 0 &&
	    (!mm_text_copy(at, sizeof(at), v.at) ||
		mm_time_parse(at, &u->since_ms, NULL) != MM_OK))
		return MM_FAIL(why, MM_EINPUT, "ledger: entry without a time");
	return MM_OK;
}

/* see sync.h */
enum mm_err
mm_unsynced_get(
    struct mm_own *o, bool all, struct mm_unsynced *out, struct mm_why *why)
{
	struct mm_unsynced u = { .limit_s = o->order->unsynced_s };
	struct mm_synced have;

	if (o->conf->unsynced_s > 0 &&
	    (u.limit_s == 0 || o->conf->unsynced_s < u.limit_s))
		u.limit_s = o->conf->unsynced_s;
	MM_TRY(mm_synced_read(o->conf, &have, why));
	u.synced_ms = have.at_ms;
	for (uint64_t i = have.size;
	     i < mm_entries_n(o->entries) && (all || u.units == 0); i++)
		MM_TRY(look(o, i, &u, why));
	*out = u;
	return MM_OK;
}

/* see sync.h */
bool
mm_unsynced_stops(const struct mm_unsynced *u, int64_t now_ms)
{
	return u->limit_s > 0 && u->units > 0 &&
	       now_ms - u->since_ms > u->limit_s * 1000;
}

/* ---- asking ---- */

static enum mm_err
ask(struct mm_syncing *s, const char *body, struct mm_why *why)
{
	char path[MM_NAME_MAX + 32];

	snprintf(path, sizeof(path), "/stations/%s/sync", s->own->conf->name);
	return mm_centre_ask(s->centre, s->slot, path, body, why);
}

/* see sync.h */
enum mm_err
mm_syncing_begin(struct mm_syncing *s, struct mm_why *why)
{
	MM_TRY(ask(s, NULL, why));
	s->phase = MM_SYNC_ASKED;
	return MM_OK;
}

static enum mm_err
put_line(void *own, uint64_t index, struct mm_buf *out, struct mm_why *why)
{
	return mm_own_put_entry(own, index, out, why);
}

static enum mm_err
send_from(struct mm_syncing *s, uint64_t from, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf text = MM_BUF_INIT(MM_SYNC_PIECE_MAX);
	struct mm_piece_of of = { .read = mm_entries_read,
		.tree = s->own->entries,
		.line = put_line,
		.ctx = s->own,
		.most = s->most };

	MM_TRY(mm_own_checkpoint(s->own, why));
	of.size = s->own->checkpoint_n;
	of.note = mm_buf_view(&s->own->checkpoint);
	of.since = s->seen;
	/* the centre is to hear of it, too */
	s->older = from > of.size;
	if (s->older)
		from = of.size;
	MM_TRY(mm_piece_put(&of, from, false, &s->to, &text, why));
	MM_TRY(ask(s, mm_buf_cstr(&text), why));
	s->phase = MM_SYNC_SENT;
	return MM_OK;
}

static uint64_t
number(const json_t *o, const char *member)
{
	json_int_t v = json_integer_value(json_object_get(o, member));

	return v > 0 ? (uint64_t)v : 0;
}

static void
add(struct mm_syncing *s, const json_t *a)
{
	const json_t *list = json_object_get(a, "quarantined"), *q;
	const char *device, *reason;
	size_t i;

	s->entries += number(a, "entries");
	s->issued += number(a, "issued");
	s->confirmed += number(a, "confirmed");
	s->unchanged += number(a, "unchanged");
	s->quarantined += json_array_size(list);
	json_array_foreach(list, i, q)
	{
		device = json_string_value(json_object_get(q, "device"));
		reason = json_string_value(json_object_get(q, "reason"));
		snprintf(s->aside, sizeof(s->aside), "%.64s: %.90s",
		    device != NULL ? device : "", reason != NULL ? reason : "");
	}
}

/* It is noted after it was acknowledged: what is lost between is asked for
 * again. */
static enum mm_err
took(struct mm_syncing *s, const json_t *answer, struct mm_why *why)
{
	if (number(answer, "size") != s->to)
		return MM_FAIL(
		    why, MM_EAGAIN, "the centre's answer is of another piece");
	add(s, answer);
	MM_TRY(mm_synced_write(s->own->conf, s->to, why));
	s->phase = MM_SYNC_REST;
	return s->to < mm_entries_n(s->own->entries) ? send_from(s, s->to, why)
						     : MM_OK;
}

static enum mm_err
answered(
    struct mm_syncing *s, const struct mm_centre_answer *a, struct mm_why *why)
{
	if (a->rc == MM_EPOLICY && s->older)
		return MM_FAIL(why, MM_EPOLICY,
		    "the centre has more entries of this station than there "
		    "are here: it was put back to an older state. Make nothing "
		    "more with it");
	if (a->rc != MM_OK)
		return MM_FAIL(why, a->rc, "%s", a->why.text);
	if (s->phase != MM_SYNC_ASKED)
		return took(s, a->body, why);
	s->seen = number(a->body, "signed");
	return send_from(s, number(a->body, "size"), why);
}

/* see sync.h */
enum mm_err
mm_syncing_step(struct mm_syncing *s, struct mm_why *why)
{
	struct mm_centre_answer a;
	enum mm_err rc;

	if (s->phase == MM_SYNC_REST || !mm_centre_take(s->centre, s->slot, &a))
		return MM_OK;
	rc = answered(s, &a, why);
	mm_centre_answer_done(&a);
	if (rc != MM_OK)
		s->phase = MM_SYNC_REST;
	return rc;
}

/* ---- the command ---- */

struct both { /* ways */
	struct mm_syncing up;
	bool began; /* there was a ledger to bring */
	struct mm_sync_order order;
	struct mm_why no_order; /* why none came, or "" */
	struct mm_revoked_n known; /* certificates of this station's */
	struct mm_why no_news;  /* why it is not known, or "" */
	struct mm_why untold;  /* what was scrapped: why not */
	unsigned refused;      /* of that, for good; the last: */
	char why_refused[sizeof(((struct mm_telling *)0)->why_refused)];
};

static void
say_json(struct mm_buf *out, const struct both *b)
{
	const struct mm_syncing *s = &b->up;
	struct mm_json j = mm_json_over(out);

	mm_json_open(&j, '{');
	mm_json_int(&j, "size", (int64_t)s->to);
	mm_json_int(&j, "entries", (int64_t)s->entries);
	mm_json_int(&j, "issued", (int64_t)s->issued);
	mm_json_int(&j, "confirmed", (int64_t)s->confirmed);
	mm_json_int(&j, "unchanged", (int64_t)s->unchanged);
	mm_json_int(&j, "quarantined", (int64_t)s->quarantined);
	if (b->no_news.text[0] != '\0')
		mm_json_str(&j, "no_revocations", b->no_news.text);
	else
		mm_json_int(&j, "revoked", (int64_t)b->known.revoked);
	if (b->no_news.text[0] == '\0')
		mm_json_int(&j, "held", (int64_t)b->known.held);
	if (b->untold.text[0] != '\0')
		mm_json_str(&j, "untold", b->untold.text);
	if (b->refused > 0)
		mm_json_str(&j, "refused", b->why_refused);
	if (b->no_order.text[0] != '\0') {
		mm_json_str(&j, "no_order", b->no_order.text);
	} else {
		mm_json_str(&j, "batch", b->order.batch);
		mm_json_bool(&j, "new_order", b->order.is_new);
	}
	mm_json_close(&j, '}');
	mm_buf_text(out, "\n");
}

static void
say_up(struct mm_buf *out, const struct mm_syncing *s)
{
	if (s->entries == 0)
		mm_buf_printf(out,
		    "nothing new: the centre has all %" PRIu64 " entries\n",
		    s->to);
	else
		mm_buf_printf(out,
		    "%" PRIu64 " entries, %" PRIu64 " certificates, %" PRIu64
		    " proved, %" PRIu64 " put aside by the centre%s%s\n",
		    s->entries, s->issued, s->confirmed, s->quarantined,
		    s->aside[0] != '\0' ? ", the last of them " : "", s->aside);
}

static void
say(const struct both *b, bool json)
{
	struct mm_buf out = MM_BUF_INIT(1024);

	if (json) {
		say_json(&out, b);
		mm_run_put(&out);
		return;
	}
	if (b->began)
		say_up(&out, &b->up);
	if (b->untold.text[0] != '\0')
		mm_buf_printf(&out, "what was scrapped was not told: %s\n",
		    b->untold.text);
	if (b->refused > 0)
		mm_buf_printf(&out, "%u scrapped units were refused by the "
		    "centre, for good; an operator scraps them there (mintmark "
		    "batch scrap); the last of them %s\n", b->refused,
		    b->why_refused);
	if (b->no_news.text[0] != '\0')
		mm_buf_printf(&out, "no news of revocations: %s\n",
		    b->no_news.text);
	if (b->known.revoked > 0)
		mm_buf_printf(&out, "%" PRIu64 " of its certificates are "
		    "revoked: their boards pass no more\n", b->known.revoked);
	if (b->known.held > 0)
		mm_buf_printf(&out, "%" PRIu64 " of its certificates are on "
		    "hold: their boards wait until they are released\n",
		    b->known.held);
	if (b->no_order.text[0] != '\0')
		mm_buf_printf(&out, "no order came: %s\n", b->no_order.text);
	else if (b->order.is_new)
		mm_buf_printf(
		    &out, "a new order of batch %s\n", b->order.batch);
	mm_run_put(&out);
}

static enum mm_err
sync_all(struct mm_syncing *s, struct mm_why *why)
{
	enum mm_err rc = mm_syncing_begin(s, why);

	while (rc == MM_OK && s->phase != MM_SYNC_REST && !mm_run_stopped) {
		mm_centre_wait(s->centre, NULL, 0, WAIT_MS);
		rc = mm_syncing_step(s, why);
	}
	if (rc == MM_OK && mm_run_stopped)
		return MM_FAIL(why, MM_EAGAIN,
		    "stopped: the same command goes on from there");
	return rc;
}

/* Before its first order a station has made nothing. */
static enum mm_err
go_up(const struct mm_station_conf *conf, struct mm_centre *centre,
    struct both *b, struct mm_why *why)
{
	MM_OWN(mm_own_close) struct mm_own *own = NULL;
	char batch[MM_NAME_MAX + 1];
	struct mm_station_conf newest = *conf;

	newest.batch[0] = '\0';
	if (mm_order_pick(&newest, batch, NULL) != MM_OK)
		return MM_OK;
	MM_TRY(mm_own_open(conf, mm_own_patience(conf), &own, why));
	b->began = true;
	b->up = (struct mm_syncing){ .centre = centre,
		.own = own,
		.slot = MM_CENTRE_SYNC,
		.most = COMMAND_ENTRIES };
	return sync_all(&b->up, why);
}

/* An order that is damaged here comes again, papers and all: one that could
 * not be opened is not said to be here. */
static enum mm_err
go_up_whole(const struct mm_station_conf *conf, struct mm_centre *centre,
    struct both *b, struct mm_why *why)
{
	struct mm_why own = { 0 };
	enum mm_err rc = go_up(conf, centre, b, &own);

	if (rc == MM_EINPUT && !b->began &&
	    mm_sync_order(conf, centre, true, &b->order, NULL) == MM_OK)
		return go_up(conf, centre, b, why);
	return rc == MM_OK ? MM_OK : MM_FAIL(why, rc, "%s", own.text);
}

/* Now that the centre has their certificates.  A station that tells it of its
 * units tells of the others, too: what is behind the mark is told to nobody. */
static void
tell_scraps(const struct mm_station_conf *conf, bool alone, struct both *b)
{
	static struct mm_line l;

	if (mm_line_open(&l, conf, NULL, 0, &b->untold) != MM_OK)
		return;
	l.telling.whole = true;
	l.telling.scraps = alone;
	mm_line_tell_rest(&l, TELL_MS);
	b->refused = l.telling.refused;
	memcpy(b->why_refused, l.telling.why_refused, sizeof(b->why_refused));
	mm_line_close(&l);
}

/* Whoever syncs is known at the centre, offline or not.  An order that does
 * not come takes nothing from what went up. */
static enum mm_err
go(const struct mm_station_conf *given, struct both *b, struct mm_why *why)
{
	MM_OWN(mm_centre_close) struct mm_centre *centre = NULL;
	struct mm_station_conf conf = *given;
	enum mm_err rc = MM_OK;

	conf.offline = MM_OFFLINE_AWAY;
	if (conf.signer[0] == '\0')
		return MM_FAIL(why, MM_EINPUT,
		    "this station has no signer of its own: nothing was made "
		    "offline");
	MM_TRY(mm_centre_open(&conf, &centre, why));
	MM_TRY(go_up_whole(&conf, centre, b, why));
	if (!b->order.is_new)
		rc = mm_sync_order(&conf, centre, !b->began, &b->order,
		    &b->no_order);
	if (b->began)
		tell_scraps(&conf, given->offline == MM_OFFLINE_ALWAYS, b);
	(void)!mm_revoked_fetch(&conf, centre, &b->known, &b->no_news);
	return rc == MM_OK || b->began ? MM_OK
	    : MM_FAIL(why, b->no_order.code, "%s", b->no_order.text);
}

/* see run.h */
int
mm_run_sync(const struct mm_station_conf *conf, const struct mm_station_args *a,
    enum mm_err *err, struct mm_why *why)
{
	struct both b = { .began = false };

	*err = go(conf, &b, why);
	if (*err != MM_OK)
		return mm_err_exit(*err);
	say(&b, a->json);
	return b.up.quarantined > 0 ? mm_err_exit(MM_EPOLICY) : 0;
}
