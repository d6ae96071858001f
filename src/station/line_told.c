#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/time.h"
#include "station/line.h"

/*
 * What became of units of a batch is told to the centre, for its report: many
 * at once, over the station's connection and beside the units.  The same may
 * be told again and is nothing new there (rest_units.c); so a row's number in
 * the file "told" is all that is kept, and it need not be the newest.
 */
enum { MOST = 200, SOON_MS = 200, LATER_MS = 60000, BODY_MAX = 1 << 17 };

/* NULL: nothing that a batch's report has.  That the centre was away or the
 * quota gone is no fault of the unit's. */
static const char *
word_of(const struct mm_unit *u)
{
	static const bool is_told[MM_UNIT_STATES] = {
		[MM_UNIT_PASSED] = true,
		[MM_UNIT_FAILED] = true,
		[MM_UNIT_QUARANTINED] = true,
		[MM_UNIT_SCRAPPED] = true,
	};

	if (!is_told[u->state] || u->batch[0] == '\0' ||
	    (u->state == MM_UNIT_FAILED &&
		mm_unit_reasons[u->reason].exit != MM_EXIT_BOARD))
		return NULL;
	return mm_unit_state_names[u->state];
}

/* ---- up to where it was told ---- */

static enum mm_err
mark_path(const struct mm_line *l, char path[PATH_MAX + 16], struct mm_why *why)
{
	return mm_path_join(path, PATH_MAX + 16, l->conf->state, "told", why);
}

/* see line.h */
uint64_t
mm_line_told(const struct mm_line *l)
{
	struct mm_buf text = MM_BUF_INIT(64);
	char path[PATH_MAX + 16], *end;
	const char *s = NULL;
	uint64_t row = 0;

	if (mark_path(l, path, NULL) == MM_OK &&
	    mm_file_read(path, &text, NULL) == MM_OK)
		s = mm_buf_cstr(&text);
	if (s != NULL)
		row = strtoull(s, &end, 10);
	mm_buf_done(&text);
	return row;
}

static void
mark(const struct mm_line *l)
{
	char path[PATH_MAX + 16], text[32];
	struct mm_why why = { 0 };

	snprintf(text, sizeof(text), "%" PRIu64 "\n", l->telling.row);
	if (mark_path(l, path, &why) != MM_OK ||
	    mm_file_replace(path, mm_bytes_of(text), 0640, &why) != MM_OK)
		MM_LOG(MM_LOG_WARN, "results.mark", MM_S("why", why.text));
}

static bool
is_own_scrap(const struct mm_unit *u)
{
	return u->state == MM_UNIT_SCRAPPED && u->by == MM_UNIT_BY_STATION;
}

/* see line.h; a station that never asks the centre tells it nothing, but what
 * it scrapped, with sync */
bool
mm_line_owes(const struct mm_line *l, const struct mm_unit *u)
{
	if (u->told != MM_UNIT_UNTOLD || word_of(u) == NULL)
		return false;
	return l->conf->offline != MM_OFFLINE_ALWAYS && !l->telling.scraps
	    ? true : is_own_scrap(u);
}

/* A centre that does not know its certificate yet would revoke nothing: first
 * the entries, then what was scrapped of them. */
static bool
waits(const struct mm_line *l, struct mm_unit *u)
{
	struct mm_synced have;

	if (!is_own_scrap(u) || l->telling.whole)
		return false;
	if (l->own == NULL)
		return true;
	if (u->after == 0)
		u->after = mm_entries_n(l->own->entries);
	return mm_synced_read(l->conf, &have, NULL) != MM_OK ||
	    have.size < u->after;
}

/* ---- one report ---- */

static void
put_unit(struct mm_json *j, const struct mm_unit *u)
{
	static const uint8_t none[32];

	mm_json_open(j, '{');
	mm_json_str(j, "serial", u->serial);
	mm_json_str(j, "result", word_of(u));
	if (u->reason != MM_UR_NONE)
		mm_json_str(j, "reason", mm_unit_reason_codes[u->reason]);
	if (memcmp(u->spki, none, 32) != 0)
		mm_json_hex(j, "spki_sha256", (struct mm_bytes){ u->spki, 32 });
	mm_json_time(j, "at", u->at_ms);
	mm_json_close(j, '}');
}

/* Those of one batch, which that of the first names. */
static void
put_units(struct mm_line *l, struct mm_json *j)
{
	struct mm_telling *t = &l->telling;

	t->n = t->waiting = 0;
	t->all = true;
	for (size_t i = 0; i < mm_book_n(l->book); i++) {
		struct mm_unit *u = mm_book_at(l->book, i);

		if (!mm_line_owes(l, u))
			continue;
		if (waits(l, u)) {
			t->all = false;
			t->waiting++;
			continue;
		}
		if (t->n == 0)
			strcpy(t->batch, u->batch);
		if (t->n == t->most || strcmp(t->batch, u->batch) != 0) {
			t->all = false;
			continue;
		}
		put_unit(j, u);
		u->told = MM_UNIT_TELLING;
		t->n++;
	}
}

/* Those that were under way: they were heard, or are told later. */
static void
settle(struct mm_line *l, enum mm_unit_told told)
{
	for (size_t i = 0; i < mm_book_n(l->book); i++) {
		struct mm_unit *u = mm_book_at(l->book, i);

		if (u->told == MM_UNIT_TELLING)
			u->told = told;
	}
}

static void
ask(struct mm_line *l)
{
	struct mm_telling *t = &l->telling;
	struct mm_buf body = MM_BUF_INIT(BODY_MAX);
	struct mm_json j = mm_json_over(&body);
	char path[MM_NAME_MAX + 32];
	const char *text;

	if (t->most == 0)
		t->most = MOST;
	t->row = mm_rows_last(l->rows);
	mm_json_open(&j, '{');
	mm_json_str(&j, "station", l->conf->name);
	mm_json_open_key(&j, "units", '[');
	put_units(l, &j);
	mm_json_close(&j, ']');
	mm_json_close(&j, '}');
	text = mm_buf_cstr(&body);
	snprintf(path, sizeof(path), "/batches/%s/units", t->batch);
	t->asked = t->n > 0 && text != NULL &&
		   mm_centre_ask(l->centre, MM_CENTRE_TOLD, path, text, NULL) ==
		       MM_OK;
	t->news = t->n > 0;
	if (!t->asked)
		settle(l, MM_UNIT_UNTOLD);
	mm_buf_done(&body);
}

/* The centre has looked at it and does not want it. */
static bool
is_verdict(enum mm_err rc)
{
	return rc == MM_EINPUT || rc == MM_EPOLICY || rc == MM_ENOTFOUND ||
	       rc == MM_ECONFLICT;
}

/* For good: whoever is to decide has it by name. */
static void
refuse(struct mm_line *l, const struct mm_centre_answer *a)
{
	struct mm_telling *t = &l->telling;
	const struct mm_unit *u = NULL;

	for (size_t i = 0; i < mm_book_n(l->book); i++)
		if (mm_book_at(l->book, i)->told == MM_UNIT_TELLING)
			u = mm_book_at(l->book, i);
	if (u == NULL)
		return;
	if (is_own_scrap(u)) {
		t->refused++;
		snprintf(t->why_refused, sizeof(t->why_refused), "%s: %.120s",
		    u->serial, a->why.text);
	}
	MM_LOG(MM_LOG_ERROR, "results.refused", MM_S("batch", t->batch),
	    MM_S("device", u->serial),
	    MM_S("result", mm_unit_state_names[u->state]),
	    MM_S("why", a->why.text));
}

static void
take(struct mm_line *l, const struct mm_centre_answer *a)
{
	struct mm_telling *t = &l->telling;

	t->due_ms = mm_mono_ms();
	if (a->rc == MM_OK) {
		settle(l, MM_UNIT_TOLD);
		if (t->all)
			mark(l);
	} else if (!is_verdict(a->rc)) {
		settle(l, MM_UNIT_UNTOLD);
		t->due_ms += LATER_MS;
	} else if (t->n > 1) { /* one of them: which, is found one by one */
		settle(l, MM_UNIT_UNTOLD);
		t->most = 1;
	} else {
		refuse(l, a);
		settle(l, MM_UNIT_TOLD);
	}
}

/* see line.h */
void
mm_line_tell(struct mm_line *l)
{
	struct mm_telling *t = &l->telling;
	struct mm_centre_answer a;

	if (t->asked && mm_centre_take(l->centre, MM_CENTRE_TOLD, &a)) {
		t->asked = false;
		take(l, &a);
		mm_centre_answer_done(&a);
	}
	if (t->asked || !t->news || mm_mono_ms() < t->due_ms)
		return;
	ask(l);
	if (!t->news)
		t->most = MOST;
}

/* see line.h */
void
mm_line_tell_rest(struct mm_line *l, int64_t ms)
{
	int64_t until = mm_mono_ms() + ms;

	if (l->away_until_ms > mm_mono_ms() ||
	    mm_centre_is(l->centre, NULL) == MM_CENTRE_AWAY)
		return;
	l->telling.due_ms = 0;
	l->telling.news = true; /* what waited may not any more */
	while (l->telling.news && l->telling.due_ms <= mm_mono_ms() &&
	       mm_mono_ms() < until) {
		mm_line_tell(l);
		mm_centre_wait(l->centre, NULL, 0, 20);
	}
	if (!l->telling.news && l->telling.waiting == 0 &&
	    l->conf->offline != MM_OFFLINE_ALWAYS) {
		l->telling.row = mm_rows_last(l->rows);
		mark(l);
	}
}

/* see line.h */
void
mm_line_note(struct mm_line *l, struct mm_unit *u)
{
	u->at_ms = mm_rows_last_at(l->rows);
	if (mm_unit_active(u->state) ||
	    (u->state == MM_UNIT_PASSED && u->was == MM_UNIT_WAS_PASSED))
		return; /* that it passes once more is no news */
	u->told = MM_UNIT_UNTOLD;
	if (!mm_line_owes(l, u))
		return;
	if (!l->telling.news)
		l->telling.due_ms = mm_mono_ms() + SOON_MS;
	l->telling.news = true;
}
