#include "station/run.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/json.h"
#include "base/time.h"
#include "station/report.h"

/*
 * The line as text: labels come in on standard input, as a scanner types them,
 * a line each; what becomes of them goes out on standard output.
 *
 *	LABEL            the first free fixture with a board in it
 *	FIXTURE LABEL    this one
 *	LABEL+N          N boards at once: this label and the ones that follow
 */
enum { LINE_MAX_N = 256, WAIT_MS = 500 };

/* see run.h */
volatile sig_atomic_t mm_run_stopped;

struct runner {
	struct mm_line line;
	const struct mm_station_args *args;
	char in[LINE_MAX_N];
	size_t n;
	bool ended, too_long;
	bool there[MM_FIXTURES_MOST]; /* what is plugged in, as last told */
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

static void
stepped(void *ctx, const struct mm_place *p)
{
	struct runner *r = ctx;
	struct mm_buf out = MM_BUF_INIT(8192);

	if (p->ended == MM_UNIT_IDLE)
		return;
	mm_report_unit(&out, r->line.conf, p, r->args->json);
	mm_run_put(&out);
}

/* ---- boards come and go ---- */

static void
say_board(const struct runner *r, const struct mm_place *p, bool there)
{
	struct mm_buf out = MM_BUF_INIT(512);
	struct mm_json j = mm_json_over(&out);

	if (r->args->json) {
		mm_json_open(&j, '{');
		mm_json_str(&j, "fixture", p->conf->name);
		mm_json_str(&j, "board", there ? "in" : "out");
		mm_json_close(&j, '}');
		mm_buf_text(&out, "\n");
	} else {
		mm_buf_printf(&out, "%-8s %s\n", p->conf->name, there
		    ? "ready: scan the label" : "no board");
	}
	mm_run_put(&out);
}

static void
look_for_boards(struct runner *r, bool first)
{
	for (unsigned i = 0; i < r->line.nplaces; i++) {
		struct mm_place *p = &r->line.place[i];
		bool there = access(p->conf->port, F_OK) == 0;

		if (mm_place_busy(p) || (there == r->there[i] && !first))
			continue;
		r->there[i] = there;
		say_board(r, p, there);
	}
}

/* ---- labels ---- */

static struct mm_place *
free_place(struct runner *r)
{
	for (unsigned i = 0; i < r->line.nplaces; i++)
		if (!mm_place_busy(&r->line.place[i]) && r->there[i])
			return &r->line.place[i];
	return NULL;
}

static struct mm_place *
place_named(struct runner *r, const char *name)
{
	for (unsigned i = 0; i < r->line.nplaces; i++)
		if (strcmp(r->line.place[i].conf->name, name) == 0)
			return &r->line.place[i];
	return NULL;
}

static void
say_no(const struct runner *r, const char *text)
{
	struct mm_buf out = MM_BUF_INIT(1024);
	struct mm_json j = mm_json_over(&out);

	if (r->args->json) {
		mm_json_open(&j, '{');
		mm_json_str(&j, "error", text);
		mm_json_close(&j, '}');
		mm_buf_text(&out, "\n");
	} else {
		mm_buf_printf(&out, "%s\n", text);
	}
	mm_run_put(&out);
}

static void
scan_at(struct runner *r, struct mm_place *p, const char *serial)
{
	struct mm_buf out = MM_BUF_INIT(8192);
	enum mm_unit_reason reason;

	if (p == NULL) {
		say_no(r, "no fixture is free: take a board out, or plug one "
		    "in");
		return;
	}
	if (mm_place_busy(p)) {
		say_no(r, "this fixture is at work: wait for PASS or FAIL");
		return;
	}
	reason = mm_line_scan(&r->line, p, serial);
	if (reason == MM_UR_NONE)
		return;
	mm_report_refused(&out, p, serial, reason, r->args->json);
	mm_run_put(&out);
}

/* The next label: its last digits count on, as wide as they are. */
static bool
next_label(char *label)
{
	size_t i = strlen(label);

	while (i > 0 && label[i - 1] >= '0' && label[i - 1] <= '9') {
		i--;
		if (label[i] != '9') {
			label[i]++;
			return true;
		}
		label[i] = '0';
	}
	return false;
}

static void
gang(struct runner *r, char *label, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		scan_at(r, free_place(r), label);
		if (i + 1 < n && !next_label(label)) {
			say_no(r, "this label has no number that counts on");
			return;
		}
	}
}

static void
take_label(struct runner *r, char *text)
{
	char *plus = strchr(text, '+'), *space = strchr(text, ' ');
	struct mm_place *p;
	int64_t n = 0;

	if (text[0] == '\0')
		return;
	if (plus != NULL) {
		*plus = '\0';
		if (mm_int_parse(plus + 1, &n, NULL) != MM_OK || n < 1 ||
		    n > MM_FIXTURES_MOST)
			say_no(r, "want LABEL+N, with N of 1 to 32");
		else
			gang(r, text, (unsigned)n);
		return;
	}
	if (space == NULL) {
		scan_at(r, free_place(r), text);
		return;
	}
	*space = '\0';
	p = place_named(r, text);
	if (p == NULL)
		say_no(r, "there is no such fixture");
	else
		scan_at(r, p, space + 1);
}

static void
take_char(struct runner *r, char c)
{
	if (c == '\r')
		return;
	if (c != '\n') {
		if (r->n + 1 < sizeof(r->in))
			r->in[r->n++] = c;
		else
			r->too_long = true;
		return;
	}
	r->in[r->n] = '\0';
	r->n = 0;
	if (r->too_long)
		say_no(r, "that is no label");
	else
		take_label(r, r->in);
	r->too_long = false;
}

static void
read_labels(struct runner *r)
{
	struct pollfd p = { .fd = STDIN_FILENO, .events = POLLIN };
	char chunk[256];
	ssize_t n;

	if (r->ended || poll(&p, 1, 0) != 1)
		return;
	n = read(STDIN_FILENO, chunk, sizeof(chunk));
	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (n <= 0)
		r->ended = true;
	for (ssize_t i = 0; i < n; i++)
		take_char(r, chunk[i]);
}

/* ---- the whole ---- */

static bool
any_busy(const struct runner *r)
{
	for (unsigned i = 0; i < r->line.nplaces; i++)
		if (mm_place_busy(&r->line.place[i]))
			return true;
	return false;
}

static void
loop(struct runner *r)
{
	const struct pollfd in = { .fd = STDIN_FILENO, .events = POLLIN };
	int64_t looked = mm_mono_ms();

	look_for_boards(r, true);
	while (!mm_run_stopped &&
	    !(r->ended && r->args->once && !any_busy(r))) {
		mm_line_run(&r->line, &in, r->ended ? 0 : 1, WAIT_MS);
		if (mm_mono_ms() - looked >= WAIT_MS) {
			looked = mm_mono_ms();
			look_for_boards(r, false);
		}
		read_labels(r);
	}
	for (unsigned i = 0; i < r->line.nplaces; i++)
		mm_line_stop(&r->line, &r->line.place[i]);
}

static void
summary(const struct runner *r, int64_t began_ms)
{
	struct mm_buf out = MM_BUF_INIT(1024);
	struct mm_json j = mm_json_over(&out);
	int64_t ms = mm_mono_ms() - began_ms;
	const struct mm_line *l = &r->line;

	if (!r->args->json) {
		mm_buf_printf(&out, "%u passed, %u failed\n", l->passed,
		    l->failed);
		mm_run_put(&out);
		return;
	}
	mm_json_open(&j, '{');
	mm_json_int(&j, "passed", l->passed);
	mm_json_int(&j, "failed", l->failed);
	mm_json_int(&j, "interrupted", l->interrupted);
	mm_json_int(&j, "units_per_hour", ms > 0
	    ? (int64_t)l->passed * 3600000 / ms : 0);
	mm_json_close(&j, '}');
	mm_buf_text(&out, "\n");
	mm_run_put(&out);
}

/* see run.h */
int
mm_run_line(const struct mm_station_conf *conf,
    const struct mm_station_args *a, enum mm_err *err, struct mm_why *why)
{
	const struct mm_fixture_conf *f[MM_FIXTURES_MOST];
	static struct runner r;
	int64_t began = mm_mono_ms();
	int status;

	if (conf->nfixture == 0) {
		*err = MM_FAIL(why, MM_EINPUT, "the configuration has no "
		    "fixture");
		return mm_err_exit(*err);
	}
	for (size_t i = 0; i < conf->nfixture; i++)
		f[i] = &conf->fixture[i];
	*err = mm_line_open(&r.line, conf, f, (unsigned)conf->nfixture, why);
	if (*err != MM_OK)
		return mm_err_exit(*err);
	r.args = a;
	r.line.accept_clock = a->accept_clock;
	r.line.stepped = stepped;
	r.line.ctx = &r;
	loop(&r);
	summary(&r, began);
	status = r.line.broken != MM_OK ? MM_EXIT_STATION : 0;
	mm_line_close(&r.line);
	return status;
}
