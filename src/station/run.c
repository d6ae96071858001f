#include "station/run.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "base/json.h"
#include "base/log.h"
#include "base/secret.h"
#include "base/time.h"
#include "station/mes.h"
#include "station/report.h"
#include "station/shift.h"
#include "station/tty.h"
#include "station/web.h"

/*
 * The line as text: labels come in on standard input, as a scanner types them,
 * a line each (labels.c); what becomes of them goes out on standard output.
 */
enum { LINE_MAX_N = MM_SHIFT_LINE, CHUNK_N = 256, WAIT_MS = 500,
	TELL_MS = 1000 };

/* see run.h */
volatile sig_atomic_t mm_run_stopped;

struct runner {
	struct mm_shift shift;
	struct mm_web *web; /* NULL: neither screen nor API */
	struct mm_tty *tty; /* NULL: lines, not a screen */
	struct mm_results *results; /* NULL: nobody is told */
	const struct mm_station_args *args;
	char in[LINE_MAX_N];
	size_t n;
	bool ended, too_long;
	bool is_tty; /* standard input, and it is shown there what is typed */
	bool hidden; /* but not now */
	struct termios was;
};

/* see run.h */
void
mm_run_put(struct mm_buf *text)
{
	const char *s = mm_buf_cstr(text);

	if (s != NULL) {
		(void)fputs(s, stdout);
		(void)fflush(stdout);
	}
	mm_buf_done(text);
}

/* ---- what is told ---- */

static void
say_board(struct mm_buf *out, const struct mm_said *what, bool json)
{
	struct mm_json j = mm_json_over(out);
	const struct mm_place *p = what->place;
	bool ill = !what->there && mm_shift_ill(p);

	if (!json) {
		mm_buf_printf(out, "%-8s %s\n", p->conf->name,
		    what->there ? "ready: scan the label"
			: ill   ? mm_unit_reasons[p->driver->test.reason].what
				: "no board");
		return;
	}
	mm_json_open(&j, '{');
	mm_json_str(&j, "fixture", what->place->conf->name);
	mm_json_str(&j, "board", what->there ? "in" : "out");
	if (ill) {
		mm_report_reason(&j, p->driver->test.reason);
		mm_json_str(&j, "note", p->driver->test.note);
	}
	mm_json_close(&j, '}');
	mm_buf_text(out, "\n");
}

static void
say_no(struct mm_buf *out, enum mm_no no, bool json)
{
	struct mm_json j = mm_json_over(out);

	if (!json) {
		mm_buf_printf(out, "%s\n", mm_nos[no].text);
		return;
	}
	mm_json_open(&j, '{');
	mm_json_str(&j, "error", mm_nos[no].text);
	mm_json_str(&j, "code", mm_nos[no].code);
	mm_json_close(&j, '}');
	mm_buf_text(out, "\n");
}

static void
say_crew(struct mm_buf *out, const struct mm_shift *s, bool json)
{
	const char *who = mm_crew_operator(s->line.crew);
	struct mm_json j = mm_json_over(out);

	if (!json) {
		mm_buf_printf(out, "%s%s\n", who[0] != '\0' ? "badged in: "
		    : "nobody is badged in", who);
		return;
	}
	mm_json_open(&j, '{');
	mm_shift_put_crew(&j, s);
	mm_json_close(&j, '}');
	mm_buf_text(out, "\n");
}

static void
hear(void *ctx, const struct mm_shift *s, const struct mm_said *what)
{
	const struct runner *r = ctx;
	struct mm_buf out = MM_BUF_INIT(8192);
	bool json = r->args->json;

	switch (what->kind) {
	case MM_SAID_UNIT:
		mm_report_unit(&out, s->line.conf, what->place, json);
		break;
	case MM_SAID_BOARD:
		say_board(&out, what, json);
		break;
	case MM_SAID_REFUSED:
		mm_report_refused(
		    &out, what->place, what->serial, what->reason, json);
		break;
	case MM_SAID_LABEL:
		mm_report_label(&out, what->serial, what->reason, json);
		break;
	case MM_SAID_ORDER:
		mm_report_order(&out, json);
		break;
	case MM_SAID_NO:
		say_no(&out, what->no, json);
		break;
	case MM_SAID_DECIDED:
		mm_report_decided(&out,
		    mm_book_find(s->line.book, what->serial), json);
		break;
	case MM_SAID_CREW:
		say_crew(&out, s, json);
		break;
	default:
		break;
	}
	mm_run_put(&out);
}

/* ---- labels ---- */

static void
take_char(struct runner *r, char c)
{
	if (c == '\r' || (r->tty != NULL && mm_tty_key(r->tty, c)))
		return;
	if (r->tty != NULL && (c == '\b' || c == 0x7f)) {
		r->n -= r->n > 0;
		return;
	}
	if (c != '\n') {
		if (r->n + 1 < sizeof(r->in))
			r->in[r->n++] = c;
		else
			r->too_long = true;
		return;
	}
	r->in[r->n] = '\0';
	r->n = 0;
	if (r->too_long || !mm_shift_type(&r->shift, MM_DOOR_TYPED, r->in))
		mm_shift_tell(&r->shift,
		    &(struct mm_said){ .kind = MM_SAID_NO,
			.no = r->too_long ? MM_NO_LABEL : MM_NO_ROOM });
	mm_wipe(r->in, sizeof(r->in)); /* it may have been a badge */
	r->too_long = false;
}

/* What is not read yet waits where it comes from. */
static bool
takes_labels(const struct runner *r)
{
	/* a chunk's lines, the one before and their ends */
	return !r->ended && mm_shift_takes(&r->shift, MM_DOOR_TYPED,
	    LINE_MAX_N + 2 * CHUNK_N);
}

static void
read_labels(struct runner *r)
{
	struct pollfd p = { .fd = STDIN_FILENO, .events = POLLIN };
	char chunk[CHUNK_N];
	ssize_t n;

	if (!takes_labels(r) || poll(&p, 1, 0) != 1)
		return;
	n = read(STDIN_FILENO, chunk, sizeof(chunk));
	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (n <= 0)
		r->ended = true;
	for (ssize_t i = 0; i < n; i++)
		take_char(r, chunk[i]);
	mm_wipe(chunk, sizeof(chunk));
}

/* ---- what a terminal shows of it ---- */

static void
find_terminal(struct runner *r)
{
	r->is_tty = r->tty == NULL && tcgetattr(STDIN_FILENO, &r->was) == 0;
}

static void
set_echo(struct runner *r, bool hidden)
{
	struct termios now = r->was;

	if (!r->is_tty || r->hidden == hidden)
		return;
	if (hidden)
		now.c_lflag &= ~(tcflag_t)ECHO;
	(void)tcsetattr(STDIN_FILENO, TCSANOW, &now);
	r->hidden = hidden;
}

/* Where people badge in, or may have to, a badge is nobody's to read. */
static void
hide_badges(struct runner *r)
{
	const struct mm_crew *c = r->shift.line.crew;

	set_echo(r, mm_crew_asks(c) || mm_crew_unknown(c) != MM_UR_NONE);
}

/* ---- the whole ---- */

static void
show(struct runner *r)
{
	hide_badges(r);
	if (r->web != NULL)
		mm_web_run(r->web);
	if (r->web != NULL || r->tty != NULL)
		mm_sums_ask(&r->shift);
	r->in[r->n] = '\0';
	if (r->tty != NULL)
		mm_tty_draw(r->tty, r->in);
}

/* One round: goes on, then looks at what was typed and asked meanwhile. */
static void
go_on(struct runner *r)
{
	struct pollfd more[3];
	unsigned n = 0;
	int ms = r->tty != NULL ? WAIT_MS / 5 : WAIT_MS;

	if (takes_labels(r))
		more[n++] =
		    (struct pollfd){ .fd = STDIN_FILENO, .events = POLLIN };
	if (r->web != NULL)
		more[n++] = mm_web_wish(r->web, &ms);
	if (r->results != NULL)
		more[n++] = mm_results_wish(r->results);
	mm_shift_run(&r->shift, more, n, ms);
	read_labels(r);
	if (r->results != NULL)
		mm_results_run(r->results);
	show(r);
}

static bool
is_done(const struct runner *r)
{
	return r->ended && r->args->once && !mm_shift_busy(&r->shift) &&
	       (r->results == NULL || !mm_results_busy(r->results));
}

static void
loop(struct runner *r)
{
	find_terminal(r);
	hide_badges(r);
	mm_shift_look(&r->shift);
	while (!mm_run_stopped && !is_done(r))
		go_on(r);
	mm_shift_stop(&r->shift);
	set_echo(r, false);
}

static void
summary(const struct runner *r, int64_t began_ms)
{
	struct mm_buf out = MM_BUF_INIT(1024);
	struct mm_json j = mm_json_over(&out);
	int64_t ms = mm_mono_ms() - began_ms;
	const struct mm_line *l = &r->shift.line;

	if (!r->args->json) {
		mm_buf_printf(
		    &out, "%u passed, %u failed\n", l->passed, l->failed);
		mm_run_put(&out);
		return;
	}
	mm_json_open(&j, '{');
	mm_json_int(&j, "passed", l->passed);
	mm_json_int(&j, "failed", l->failed);
	mm_json_int(&j, "interrupted", l->interrupted);
	mm_json_int(&j, "units_per_hour",
	    ms > 0 ? (int64_t)l->passed * 3600000 / ms : 0);
	mm_json_close(&j, '}');
	mm_buf_text(&out, "\n");
	mm_run_put(&out);
}

static enum mm_err
open_all(
    struct runner *r, const struct mm_station_conf *conf, struct mm_why *why)
{
	MM_TRY(mm_shift_open(&r->shift, conf, why));
	MM_TRY(mm_run_clock(&r->shift.line, r->args, why));
	if (r->args->tty)
		MM_TRY(mm_tty_open(&r->shift, &r->tty, why));
	else
		mm_shift_listen(&r->shift, hear, r);
	MM_TRY(mm_results_open(&r->shift, &r->results, why));
	return mm_web_open(&r->shift, &r->web, why);
}

/* Before the first unit stops by it. */
static void
warn_of_recipes(const struct mm_line *l)
{
	for (int offline = 0; offline < 2; offline++) {
		const char *name = mm_crew_recipe(l->crew, offline != 0);

		if (name[0] != '\0' && mm_station_recipe(l->conf, name) == NULL)
			MM_LOG(MM_LOG_WARN, "recipe.missing",
			    MM_S("recipe", name), MM_S("why",
			    "the batch names it, and station.conf has no such "
			    "recipe: none of its units is made"));
	}
}

/* see run.h */
int
mm_run_line(const struct mm_station_conf *conf, const struct mm_station_args *a,
    enum mm_err *err, struct mm_why *why)
{
	static struct runner r;
	int64_t began = mm_mono_ms();
	int status;

	r.args = a;
	*err = open_all(&r, conf, why);
	if (*err == MM_OK) {
		warn_of_recipes(&r.shift.line);
		loop(&r);
		mm_tty_close(&r.tty);
		mm_line_tell_rest(&r.shift.line, TELL_MS);
		summary(&r, began);
	}
	status = *err != MM_OK                  ? mm_err_exit(*err)
		 : r.shift.line.broken != MM_OK ? MM_EXIT_STATION
						: 0;
	mm_tty_close(&r.tty);
	mm_web_close(&r.web);
	mm_results_close(&r.results);
	mm_shift_close(&r.shift);
	return status;
}
