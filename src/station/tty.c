#include "station/tty.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "base/own.h"
#include "base/time.h"
#include "station/catalogue.h"

enum {
	PAGE_MAX = 1 << 16,
	DRAW_MS = 100,
	AGAIN_MS = 5000,
	ALERT_MS = 8000,
	TYPED_N = 256
};

#define PLAIN "\033[0m"
#define BOLD  "\033[1m"

struct mm_tty {
	struct mm_shift *shift;
	struct mm_catalogue *texts;
	int language;
	bool is_tty;
	struct termios was;
	char escape[8]; /* a key's sequence so far */
	size_t escape_n;
	uint64_t drawn; /* changes, then */
	int64_t drawn_ms;
	bool stale;
	char typed[TYPED_N];
	/* What was refused a moment ago: */
	int64_t alert_ms; /* 0: nothing */
	struct mm_said alert;
};

/* ---- opening ---- */

static void
hear(void *ctx, const struct mm_shift *s, const struct mm_said *what)
{
	struct mm_tty *t = ctx;

	(void)s;
	if (what->kind == MM_SAID_NO || what->kind == MM_SAID_REFUSED ||
	    what->kind == MM_SAID_LABEL || what->kind == MM_SAID_ORDER) {
		t->alert = *what;
		t->alert.serial = NULL; /* it is the teller's */
		t->alert_ms = mm_mono_ms();
	} else if (what->kind == MM_SAID_UNIT) {
		t->alert_ms = 0;
	}
}

/* Characters as they come, and no echo: the line is drawn with the rest. */
static void
take_terminal(struct mm_tty *t)
{
	struct termios now;

	t->is_tty = tcgetattr(STDIN_FILENO, &t->was) == 0;
	if (!t->is_tty)
		return;
	now = t->was;
	now.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
	(void)tcsetattr(STDIN_FILENO, TCSANOW, &now);
}

/* see tty.h */
enum mm_err
mm_tty_open(struct mm_shift *s, struct mm_tty **out, struct mm_why *why)
{
	MM_OWN(mm_tty_close) struct mm_tty *t = calloc(1, sizeof(*t));

	if (t == NULL)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	t->shift = s;
	t->language = s->line.conf->language;
	t->stale = true;
	MM_TRY(mm_catalogue_open(t->language, &t->texts, why));
	take_terminal(t);
	mm_shift_listen(s, hear, t);
	*out = MM_MOVE(t);
	return MM_OK;
}

/* see tty.h */
void
mm_tty_close(struct mm_tty **owner)
{
	struct mm_tty *t = *owner;

	if (t == NULL)
		return;
	if (t->is_tty)
		(void)tcsetattr(STDIN_FILENO, TCSANOW, &t->was);
	if (t->drawn_ms != 0)
		(void)fputs("\r\n", stdout);
	mm_catalogue_close(&t->texts);
	free(t);
	*owner = NULL;
}

/* ---- keys ---- */

static void
change_language(struct mm_tty *t)
{
	struct mm_catalogue *now = NULL;
	int next = (t->language + 1) % MM_LANGUAGES;

	if (mm_catalogue_open(next, &now, NULL) != MM_OK)
		return;
	mm_catalogue_close(&t->texts);
	t->texts = now;
	t->language = next;
	t->stale = true;
}

/* F2 as terminals send it. */
static bool
is_f2(const char *sequence)
{
	return strcmp(sequence, "OQ") == 0 || strcmp(sequence, "[12~") == 0 ||
	       strcmp(sequence, "[[B") == 0;
}

static bool
sequence_ends(const struct mm_tty *t)
{
	char c = t->escape[t->escape_n - 1];
	bool opens = t->escape_n == 1 && (c == '[' || c == 'O');
	bool linux_f = t->escape_n == 2 && c == '[';

	return !opens && !linux_f &&
	       (c == '~' || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
		   t->escape_n + 1 == sizeof(t->escape));
}

/* see tty.h */
bool
mm_tty_key(struct mm_tty *t, char c)
{
	if (c == '\033') {
		memset(t->escape, 0, sizeof(t->escape));
		t->escape[0] = c;
		t->escape_n = 0;
		return true;
	}
	if (t->escape[0] == '\0')
		return false;
	t->escape[t->escape_n++] = c;
	if (sequence_ends(t)) {
		if (is_f2(t->escape))
			change_language(t);
		memset(t->escape, 0, sizeof(t->escape));
		t->escape_n = 0;
	}
	return true;
}

/* ---- the page ---- */

struct page {
	struct mm_tty *t;
	struct mm_buf out;
};

static void
text(struct page *p, const char *key, const char *value)
{
	mm_catalogue_put(p->t->texts, &p->out, key, value);
}

/* The text of a key in three parts. */
static void
put_key(struct page *p, const char *kind, const char *name, const char *more,
    const char *value)
{
	char key[80];

	snprintf(key, sizeof(key), "%s.%s%s", kind, name, more);
	text(p, key, value);
}

static void
end_line(struct page *p)
{
	mm_buf_text(&p->out, PLAIN "\033[K\r\n");
}

static void
clock_text(int64_t at_ms, char out[6])
{
	time_t at = (time_t)(at_ms / 1000);
	struct tm tm;

	if (localtime_r(&at, &tm) == NULL ||
	    strftime(out, 6, "%H:%M", &tm) == 0)
		strcpy(out, "--:--");
}

static void
put_crew(struct page *p)
{
	const struct mm_crew *c = p->t->shift->line.crew;
	const char *who = mm_crew_operator(c);

	if (!mm_crew_asks(c))
		return;
	mm_buf_text(&p->out, "  |  ");
	text(p, who[0] != '\0' ? "crew.in" : "crew.nobody", who);
	if (mm_crew_supervisor(c)[0] != '\0') {
		mm_buf_text(&p->out, "  ");
		text(p, "crew.supervisor", mm_crew_supervisor(c));
	}
}

/* One that is there is worth no word. */
static void
put_mirror(struct page *p)
{
	const struct mm_shift *s = p->t->shift;
	uint64_t done = 0, of = 0;
	char far[48];

	if (s->mirror_was == MM_MIRROR_AWAY) {
		mm_buf_text(&p->out, "  |  ");
		text(p, "mirror.away", "");
	} else if (s->mirror_was == MM_MIRROR_COPIES) {
		mm_mirror_far(s->line.mirror, &done, &of);
		snprintf(far, sizeof(far), "%llu / %llu",
		    (unsigned long long)done, (unsigned long long)of);
		mm_buf_text(&p->out, "  |  ");
		text(p, "mirror.copies", far);
	}
}

static void
put_head(struct page *p)
{
	const struct mm_line *l = &p->t->shift->line;
	static const char *const keys[] = {
		[MM_CENTRE_UNKNOWN] = "centre.unknown",
		[MM_CENTRE_THERE] = "centre.there",
		[MM_CENTRE_AWAY] = "centre.away",
	};
	char since[6], now[6], units[24];
	int64_t at = 0;
	enum mm_centre_is is = mm_centre_is(l->centre, &at);

	clock_text(mm_now_ms(), now);
	clock_text(at, since);
	mm_buf_printf(&p->out, BOLD " %s" PLAIN "  %s  %s  | ", l->conf->name,
	    l->conf->product, l->conf->batch);
	text(p, l->conf->offline == MM_OFFLINE_ALWAYS ? "centre.own" : keys[is],
	    since);
	if (p->t->shift->syncs) {
		snprintf(units, sizeof(units), "%llu",
		    (unsigned long long)p->t->shift->unsynced.units);
		mm_buf_text(&p->out, "  |  ");
		text(p,
		    p->t->shift->unsynced.units > 0 ? "sync.waits"
						    : "sync.none",
		    units);
	}
	put_mirror(p);
	put_crew(p);
	mm_buf_printf(&p->out, "  |  %s", now);
	end_line(p);
	end_line(p);
}

static void
put_alert(struct page *p)
{
	const struct mm_said *a = &p->t->alert;

	if (a->kind == MM_SAID_LABEL && a->reason == MM_UR_NONE) {
		text(p, "label.again", "");
		return;
	}
	if (a->kind == MM_SAID_ORDER) {
		text(p, "order.extended", "");
		return;
	}
	if (a->kind != MM_SAID_NO) {
		if (a->place != NULL)
			mm_buf_printf(&p->out, "%s: ", a->place->conf->name);
		mm_catalogue_reason(p->t->texts, &p->out, a->reason, false);
		mm_buf_text(&p->out, ": ");
		mm_catalogue_reason(p->t->texts, &p->out, a->reason, true);
		return;
	}
	put_key(p, "no", mm_nos[a->no].code, "", "");
}

static void
put_step(struct page *p)
{
	const struct mm_place *place = NULL;
	enum mm_next next = mm_shift_next(p->t->shift, &place);
	const char *where = place != NULL ? place->conf->name : "";

	if (next == MM_NEXT_SEE) {
		mm_buf_printf(&p->out, "%s: ", where);
		mm_catalogue_reason(p->t->texts, &p->out, place->reason, true);
		return;
	}
	put_key(p, "next", mm_next_name(next), "", where);
	mm_buf_text(&p->out, ": ");
	if (next == MM_NEXT_STOP)
		mm_catalogue_reason(
		    p->t->texts, &p->out, mm_shift_stopped(p->t->shift), false);
	else
		put_key(p, "next", mm_next_name(next), ".more", where);
}

static void
put_next(struct page *p)
{
	mm_buf_text(&p->out, BOLD " >> ");
	if (p->t->alert_ms != 0)
		put_alert(p);
	else
		put_step(p);
	end_line(p);
	end_line(p);
}

static void
put_more(struct page *p, unsigned i, const char *tile)
{
	const struct mm_place *place = &p->t->shift->line.place[i];
	bool again = place->known || place->replayed;
	char seconds[24];

	if (strcmp(tile, "failed") == 0) {
		mm_catalogue_reason(p->t->texts, &p->out, place->reason, false);
		return;
	}
	if (strcmp(tile, "empty") == 0 && mm_shift_ill(place)) {
		mm_catalogue_reason(p->t->texts, &p->out,
		    place->driver->test.reason, false);
		return;
	}
	if (strcmp(tile, "working") == 0) {
		put_key(p, "step",
		    place->away_ms != 0 ? "waits"
					: mm_unit_effect_names[mm_unit_effect(
					      place->unit->state)],
		    "", "");
		return;
	}
	snprintf(seconds, sizeof(seconds), "%lld.%lld",
	    (long long)place->took_ms / 1000,
	    (long long)place->took_ms / 100 % 10);
	put_key(p, tile,
	    strcmp(tile, "passed") != 0 ? "more"
	    : place->labels > 1         ? "reprinted"
	    : again                     ? "again"
					: "more",
	    "", seconds);
}

static void
put_tile(struct page *p, unsigned i)
{
	static const struct {
		const char *tile, *look;
	} looks[] = { { "passed", "\033[1;37;42m" },
		{ "failed", "\033[1;37;41m" }, { "working", "\033[1;34m" },
		{ "ready", BOLD }, { "empty", "" } };
	const struct mm_place *place = &p->t->shift->line.place[i];
	const char *tile = mm_shift_tile(p->t->shift, i), *device;

	mm_buf_printf(&p->out, " %-10s ", place->conf->name);
	for (size_t k = 0; k < sizeof(looks) / sizeof(looks[0]); k++)
		if (strcmp(looks[k].tile, tile) == 0)
			mm_buf_text(&p->out, looks[k].look);
	mm_buf_text(&p->out, " ");
	put_key(p, "tile", tile, "", "");
	device = place->unit != NULL            ? place->unit->serial
		 : *tile == 'p' || *tile == 'f' ? place->last
						: "";
	mm_buf_printf(&p->out, " " PLAIN "  %s  ", device);
	put_more(p, i, tile);
	end_line(p);
}

static void
put_count(struct page *p, const char *key, int64_t n, const char *unit)
{
	mm_buf_text(&p->out, " ");
	text(p, key, "");
	if (n < 0)
		mm_buf_text(&p->out, " " BOLD "-" PLAIN " ");
	else
		mm_buf_printf(
		    &p->out, " " BOLD "%lld%s" PLAIN " ", (long long)n, unit);
}

static void
put_level(struct page *p, const char *level)
{
	char key[sizeof("level.") + MM_NAME_MAX];

	if (level[0] == '\0')
		return;
	snprintf(key, sizeof(key), "level.%s", level);
	mm_buf_text(&p->out, "(");
	text(p, key, "");
	mm_buf_text(&p->out, ") ");
}

static void
put_counts(struct page *p)
{
	const struct mm_shift *s = p->t->shift;

	end_line(p);
	put_count(p, "counter.passed", s->line.passed, "");
	put_count(p, "counter.failed", s->line.failed, "");
	put_count(p, "counter.left", s->left, "");
	put_level(p, s->level);
	put_count(p, "counter.rate", mm_sums_per_hour(s), "");
	put_count(p, "counter.p99", mm_sums_p99_ms(s), " ms");
	end_line(p);
}

static void
put_failures(struct page *p)
{
	const struct mm_shift *s = p->t->shift;
	unsigned n = s->nfailures < 3 ? s->nfailures : 3;
	char at[6];

	end_line(p);
	mm_buf_text(&p->out, " ");
	text(p, n > 0 ? "failures" : "failures.none", "");
	end_line(p);
	for (unsigned i = 1; i <= n; i++) {
		const struct mm_shift_failure *f =
		    &s->failure[(s->nfailures - i) % MM_SHIFT_FAILURES];

		clock_text(f->at_ms, at);
		mm_buf_printf(
		    &p->out, " %s %s %s  ", at, f->fixture, f->device);
		mm_catalogue_reason(p->t->texts, &p->out, f->reason, true);
		end_line(p);
	}
	end_line(p);
}

static void
draw(struct mm_tty *t)
{
	struct page p = { .t = t, .out = MM_BUF_INIT(PAGE_MAX) };
	const char *s;

	/* lines that are too long are cut, not wrapped */
	mm_buf_text(&p.out, "\033[?7l\033[H");
	put_head(&p);
	put_next(&p);
	for (unsigned i = 0; i < t->shift->line.nplaces; i++)
		put_tile(&p, i);
	put_counts(&p);
	put_failures(&p);
	mm_buf_printf(&p.out, " > %s\033[K\033[J\033[?7h", t->typed);
	s = mm_buf_cstr(&p.out);
	if (s != NULL) {
		(void)fputs(s, stdout);
		(void)fflush(stdout);
	}
	mm_buf_done(&p.out);
}

/* What is typed may be a badge, a supervisor's while an operator is in, too:
 * all but a decision's words. */
static bool
hides(const struct mm_tty *t, const char *typed)
{
	const struct mm_crew *c = t->shift->line.crew;

	return typed[0] != '!' &&
	    (mm_crew_asks(c) || mm_crew_unknown(c) != MM_UR_NONE);
}

/* What was typed came from anywhere: nothing of it moves the cursor. */
static bool
take_typed(struct mm_tty *t, const char *typed)
{
	char plain[TYPED_N];
	bool hidden = hides(t, typed);
	size_t n = 0;

	for (; typed[n] != '\0' && n + 1 < sizeof(plain); n++)
		plain[n] = hidden ? '*'
		    : typed[n] < ' ' || typed[n] > '~' ? '?' : typed[n];
	plain[n] = '\0';
	if (strcmp(t->typed, plain) == 0)
		return false;
	memcpy(t->typed, plain, n + 1);
	return true;
}

/* see tty.h */
void
mm_tty_draw(struct mm_tty *t, const char *typed)
{
	int64_t now = mm_mono_ms();

	t->stale |= take_typed(t, typed);
	if (t->alert_ms != 0 && now - t->alert_ms > ALERT_MS) {
		t->alert_ms = 0;
		t->stale = true;
	}
	t->stale |= now - t->drawn_ms > AGAIN_MS;
	if (!t->stale &&
	    (t->drawn == t->shift->changes || now - t->drawn_ms < DRAW_MS))
		return;
	t->stale = false;
	t->drawn = t->shift->changes;
	t->drawn_ms = now;
	draw(t);
}
