#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/own.h"
#include "base/time.h"
#include "station/mes.h"
#include "station/report.h"

enum {
	FIRST_RETRY_MS = 1000,
	RETRY_MS = 60000,
	RESULT_MAX = 8192,
	NAME_N = 40,
	REFUSED = 65 /* EX_DATAERR of sysexits.h */
};

struct mm_results {
	const struct mm_station_conf *conf;
	struct mm_results_sum *sum; /* the shift's, for who looks */
	char dir[PATH_MAX + 16];
	uint64_t first, next; /* numbers of files: the oldest, one to come */
	struct mm_child child;
	bool running;
	int64_t retry_ms, pause_ms; /* 0: the last one was told */
};

static const char refused[] = "refused";

/* In the folder, or in its folder. */
static enum mm_err
path_in(const struct mm_results *r, const char *folder, uint64_t n, char *out,
    size_t outn, struct mm_why *why)
{
	char name[NAME_N];

	snprintf(name, sizeof(name), "%s%s%020" PRIu64 ".json", folder,
	    *folder == '\0' ? "" : "/", n);
	return mm_path_join(out, outn, r->dir, name, why);
}

static enum mm_err
path_of(const struct mm_results *r, uint64_t n, char *out, size_t outn,
    struct mm_why *why)
{
	return path_in(r, "", n, out, outn, why);
}

static void
count(struct mm_results *r)
{
	r->sum->waiting = r->next - r->first;
	r->sum->failing = r->pause_ms > 0;
}

/* ---- what is to be told ---- */

static void
keep(struct mm_results *r, struct mm_bytes text)
{
	char path[PATH_MAX + 64];
	struct mm_why why = { 0 };
	enum mm_err rc = path_of(r, r->next, path, sizeof(path), &why);

	if (rc == MM_OK)
		rc = mm_file_replace_locked(path, text, 0640, &why);
	if (rc == MM_OK)
		r->next++;
	else
		MM_LOG(MM_LOG_ERROR, "result-lost", MM_S("why", why.text));
	count(r);
}

static void
hear(void *ctx, const struct mm_shift *s, const struct mm_said *what)
{
	struct mm_buf text = MM_BUF_INIT(RESULT_MAX);
	struct mm_results *r = ctx;

	if (what->kind == MM_SAID_UNIT)
		mm_report_unit(&text, s->line.conf, what->place, true);
	if (text.n > 0 && mm_buf_ok(&text, NULL) == MM_OK)
		keep(r, mm_buf_view(&text));
	mm_buf_done(&text);
}

/* ---- telling it ---- */

static void
begin(struct mm_results *r)
{
	struct mm_buf text = MM_BUF_INIT(RESULT_MAX);
	char path[PATH_MAX + 64];
	enum mm_err rc = path_of(r, r->first, path, sizeof(path), NULL);

	if (rc == MM_OK)
		rc = mm_file_read(path, &text, NULL);
	if (rc == MM_OK) {
		mm_child_begin(&r->child, &r->conf->mes_result,
		    r->conf->mes_limit_s, mm_buf_view(&text));
		r->running = true;
	} else if (rc == MM_ENOTFOUND) {
		r->first++;
	} else {
		r->retry_ms = mm_mono_ms() + RETRY_MS;
	}
	mm_buf_done(&text);
}

static void
told(struct mm_results *r)
{
	char path[PATH_MAX + 64];

	if (path_of(r, r->first, path, sizeof(path), NULL) == MM_OK)
		(void)unlink(path);
	r->first++;
	r->retry_ms = r->pause_ms = 0;
}

/* It will never be taken, so says the program: those behind it go on. */
static bool
put_aside(struct mm_results *r)
{
	char from[PATH_MAX + 64], to[PATH_MAX + 64], dir[PATH_MAX + 64];

	if (mm_path_join(dir, sizeof(dir), r->dir, refused, NULL) != MM_OK ||
	    mm_dir_make(dir, 0750, NULL) != MM_OK ||
	    path_of(r, r->first, from, sizeof(from), NULL) != MM_OK ||
	    path_in(r, refused, r->first, to, sizeof(to), NULL) != MM_OK ||
	    rename(from, to) != 0)
		return false;
	MM_LOG(MM_LOG_WARN, "result-refused", MM_S("file", to));
	r->sum->refused++;
	told(r);
	return true;
}

static void
not_told(struct mm_results *r)
{
	if (r->pause_ms == 0)
		MM_LOG(MM_LOG_WARN, "result-not-told",
		    MM_I("waiting", (int64_t)(r->next - r->first)),
		    MM_S("why", r->child.note));
	r->pause_ms = r->pause_ms == 0 ? FIRST_RETRY_MS : 2 * r->pause_ms;
	if (r->pause_ms > RETRY_MS)
		r->pause_ms = RETRY_MS;
	r->retry_ms = mm_mono_ms() + r->pause_ms;
}

/* see mes.h */
void
mm_results_run(struct mm_results *r)
{
	int status = 0, code;
	enum mm_child_got got;

	if (!r->running && r->first < r->next && mm_mono_ms() >= r->retry_ms)
		begin(r);
	if (!r->running)
		return;
	got = mm_child_run(&r->child, &status);
	if (got == MM_CHILD_WAIT)
		return;
	r->running = false;
	code = got == MM_CHILD_ENDED && WIFEXITED(status) ? WEXITSTATUS(status)
							  : -1;
	if (code == 0)
		told(r);
	else if (code != REFUSED || !put_aside(r))
		not_told(r);
	count(r);
}

/* see mes.h */
struct pollfd
mm_results_wish(const struct mm_results *r)
{
	return mm_child_wish(&r->child);
}

/* see mes.h */
bool
mm_results_busy(const struct mm_results *r)
{
	return r->first < r->next && r->pause_ms == 0;
}

/* ---- opening ---- */

static bool
number_of(const char *name, uint64_t *n)
{
	int end = 0;

	return sscanf(name, "%20" SCNu64 ".json%n", n, &end) == 1 && end > 0 &&
	       end == (int)strlen(name);
}

/* The numbers that are there, from an earlier start. */
static enum mm_err
look(struct mm_results *r, struct mm_why *why)
{
	const struct dirent *e;
	DIR *d = opendir(r->dir);
	uint64_t n = 0;

	if (d == NULL)
		return MM_FAIL(
		    why, MM_ESYS, "%.100s: %s", r->dir, strerror(errno));
	r->first = UINT64_MAX;
	while ((e = readdir(d)) != NULL) {
		if (!number_of(e->d_name, &n))
			continue;
		r->first = n < r->first ? n : r->first;
		r->next = n + 1 > r->next ? n + 1 : r->next;
	}
	(void)closedir(d);
	if (r->first == UINT64_MAX)
		r->first = r->next;
	return MM_OK;
}

/* Those too; a number is not given to another one. */
static void
look_aside(struct mm_results *r)
{
	char dir[PATH_MAX + 64];
	const struct dirent *e;
	uint64_t n = 0;
	bool none = r->first == r->next;
	DIR *d = mm_path_join(dir, sizeof(dir), r->dir, refused, NULL) == MM_OK
		     ? opendir(dir)
		     : NULL;

	while (d != NULL && (e = readdir(d)) != NULL) {
		if (!number_of(e->d_name, &n))
			continue;
		r->sum->refused++;
		r->next = n + 1 > r->next ? n + 1 : r->next;
	}
	if (d != NULL)
		(void)closedir(d);
	if (none)
		r->first = r->next;
}

/* see mes.h */
enum mm_err
mm_results_open(struct mm_shift *s, struct mm_results **out, struct mm_why *why)
{
	MM_OWN(mm_results_close) struct mm_results *r = NULL;

	*out = NULL;
	if (s->line.conf->mes_result.n == 0)
		return MM_OK;
	r = calloc(1, sizeof(*r));
	if (r == NULL)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	r->conf = s->line.conf;
	mm_child_init(&r->child);
	MM_TRY(
	    mm_path_join(r->dir, sizeof(r->dir), r->conf->state, "mes", why));
	MM_TRY(mm_dir_make(r->dir, 0750, why));
	MM_TRY(look(r, why));
	r->sum = &s->results;
	*r->sum = (struct mm_results_sum){ .tells = true };
	look_aside(r);
	count(r);
	mm_shift_listen(s, hear, r);
	*out = MM_MOVE(r);
	return MM_OK;
}

/* see mes.h */
void
mm_results_close(struct mm_results **owner)
{
	if (*owner == NULL)
		return;
	mm_child_done(&(*owner)->child);
	free(*owner);
	*owner = NULL;
}
