/* Work orders at the station: what was imported, and its way to the signer. */
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/own.h"
#include "line/initial.h"
#include "station/own.h"
#include "work/file.h"

enum { SAID_MAX = 8192 };

/* see own.h */
enum mm_err
mm_order_path(const struct mm_station_conf *conf, const char *batch, char *out,
    size_t outn, struct mm_why *why)
{
	if ((size_t)snprintf(out, outn, "%s/orders%s%s%s", conf->state,
		*batch == '\0' ? "" : "/", batch,
		*batch == '\0' ? "" : ".json") >= outn)
		return MM_FAIL(why, MM_ELIMIT, "order: its path is too long");
	return MM_OK;
}

/* It waits: who has it replaces one file. */
static enum mm_err
lock_folder(const char *path, int *fd, struct mm_why *why)
{
	int f = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int rc = f < 0 ? -1 : flock(f, LOCK_EX);

	while (f >= 0 && rc != 0 && errno == EINTR)
		rc = flock(f, LOCK_EX);
	if (rc == 0) {
		*fd = f;
		return MM_OK;
	}
	rc = errno;
	if (f >= 0)
		(void)close(f);
	return MM_FAIL(why, MM_ESYS, "%.100s: %s", path, strerror(rc));
}

/* see own.h */
enum mm_err
mm_order_lock(const struct mm_station_conf *conf, int *fd, struct mm_why *why)
{
	char path[PATH_MAX + 64];
	enum mm_err rc;
	int f = -1;

	MM_TRY(mm_order_path(conf, "", path, sizeof(path), why));
	MM_TRY(lock_folder(path, &f, why));
	rc = mm_file_wipe_left(path, ".json", why);
	if (rc == MM_OK)
		*fd = f;
	else
		(void)close(f);
	return rc;
}

/* see own.h */
void
mm_order_tidy(const struct mm_station_conf *conf)
{
	int fd;

	if (mm_order_lock(conf, &fd, NULL) == MM_OK)
		(void)close(fd);
}

/* What is done with an order that is here. */
typedef enum mm_err order_fn(void *ctx, const struct mm_work_order *o,
    const struct mm_work_file *f, struct mm_why *why);

static enum mm_err
parse_order(const struct mm_work_file *f, order_fn *fn, void *ctx,
    struct mm_why *why)
{
	MM_OWN(mm_work_order_free) struct mm_work_order *o = NULL;
	struct mm_bytes text;

	MM_TRY(mm_note_text(f->note, &text, why));
	MM_TRY(mm_work_order_parse(text, &o, why));
	return fn(ctx, o, f, why);
}

static enum mm_err
with_order(const struct mm_station_conf *conf, const char *batch,
    order_fn *fn, void *ctx, struct mm_why *why)
{
	MM_OWN(mm_buf_wipe) struct mm_buf b = MM_BUF_INIT(MM_WORK_FILE_MAX);
	struct mm_work_file f = { .json = NULL };
	char path[PATH_MAX + 64];
	enum mm_err rc;

	MM_TRY(mm_order_path(conf, batch, path, sizeof(path), why));
	MM_TRY(mm_file_read(path, &b, why));
	MM_TRY(mm_work_file_parse(mm_buf_view(&b), &f, why));
	rc = parse_order(&f, fn, ctx, why);
	mm_work_file_done(&f);
	return rc;
}

static enum mm_err
copy_product(void *ctx, const struct mm_work_order *o,
    const struct mm_work_file *f, struct mm_why *why)
{
	(void)f, (void)why;
	memcpy(ctx, o->product, MM_NAME_MAX + 1);
	return MM_OK;
}

/* see own.h */
enum mm_err
mm_order_product(const struct mm_station_conf *conf, const char *batch,
    char product[MM_NAME_MAX + 1], struct mm_why *why)
{
	return with_order(conf, batch, copy_product, product, why);
}

/* see own.h */
enum mm_err
mm_order_render(const struct mm_work_order *o, struct mm_bytes template,
    const struct mm_order_rows *rows, const char *device,
    struct mm_given *out, struct mm_why *why)
{
	MM_OWN(mm_buf_wipe) struct mm_buf document = MM_BUF_INIT(MM_FILL_MAX);
	const struct mm_initial_of of = { .template = template,
		.fields = rows->table, .device = device,
		.product = o->product, .batch = o->batch,
		.index = rows->index };
	struct mm_initial_made made = { .by_table = false };
	uint8_t mark[32] = { 0 };

	if (o->config_version > 0) {
		MM_TRY(mm_initial_make(&of, &document, &made, why));
		/* An older centre's papers: it takes no other marks. */
		if (made.by_table)
			mm_initial_mark_before(made.salt, made.sha256, mark);
		else
			mm_initial_mark(made.salt, made.sha256, mark);
	}
	MM_TRY(mm_given_set(out, o->config_version, mm_buf_view(&document),
	    mark, why));
	mm_given_salt(out, made.salt);
	out->guessable = made.guessable;
	return MM_OK;
}

struct giving {
	const char *device;
	struct mm_given *out;
};

static enum mm_err
give(void *ctx, const struct mm_work_order *o, const struct mm_work_file *f,
    struct mm_why *why)
{
	const struct giving *g = ctx;
	struct mm_order_rows rows = { .index = NULL };
	struct mm_bytes template = { 0 };

	MM_TRY(mm_work_file_check(f, o, why));
	(void)mm_work_file_paper(f, o->config_sha256, &template);
	(void)mm_work_file_paper(f, o->fields_sha256, &rows.table);
	return mm_order_render(o, template, &rows, g->device, g->out, why);
}

/* see own.h */
enum mm_err
mm_order_give(const struct mm_station_conf *conf, const char *batch,
    const char *device, struct mm_given *out, struct mm_why *why)
{
	struct giving g = { device, out };

	return with_order(conf, batch, give, &g, why);
}

static bool
batch_of(const char *name, char batch[MM_NAME_MAX + 1])
{
	size_t n = strlen(name);

	return n > 5 && strcmp(name + n - 5, ".json") == 0 &&
	       mm_text_copy(batch, MM_NAME_MAX + 1,
		   (struct mm_bytes){ (const uint8_t *)name, n - 5 }) &&
	       mm_name_valid(batch);
}

/* see own.h */
bool
mm_order_has(const struct mm_station_conf *conf, const char *batch)
{
	char path[PATH_MAX + 64];

	return *batch != '\0' &&
	    mm_order_path(conf, batch, path, sizeof(path), NULL) == MM_OK &&
	    access(path, F_OK) == 0;
}

struct each {
	mm_order_fn *fn;
	void *ctx;
	enum mm_err rc;
	struct mm_why *why;
};

static enum mm_err
tell(void *ctx, const struct mm_work_order *o, const struct mm_work_file *f,
    struct mm_why *why)
{
	struct each *e = ctx;

	(void)f, (void)why;
	e->rc = e->fn(e->ctx, o, e->why);
	return MM_OK;
}

/* see own.h */
enum mm_err
mm_order_look(const struct mm_station_conf *conf, const char *batch,
    mm_order_fn *fn, void *ctx, struct mm_why *why)
{
	struct each e = { fn, ctx, MM_OK, why };

	MM_TRY(with_order(conf, batch, tell, &e, why));
	return e.rc;
}

/* see own.h */
enum mm_err
mm_order_each(const struct mm_station_conf *conf, mm_order_fn *fn, void *ctx,
    struct mm_why *why)
{
	char path[PATH_MAX + 64], one[MM_NAME_MAX + 1];
	const struct dirent *e;
	enum mm_err rc = MM_OK;
	DIR *d;

	MM_TRY(mm_order_path(conf, "", path, sizeof(path), why));
	d = opendir(path);
	while (d != NULL && rc == MM_OK && (e = readdir(d)) != NULL) {
		struct each each = { fn, ctx, MM_OK, why };

		if (batch_of(e->d_name, one))
			(void)!with_order(conf, one, tell, &each, NULL);
		rc = each.rc;
	}
	if (d != NULL)
		(void)closedir(d);
	return rc;
}

/* see own.h */
bool
mm_order_damaged(const struct mm_station_conf *conf,
    char batch[MM_NAME_MAX + 1])
{
	char path[PATH_MAX + 64], one[MM_NAME_MAX + 1];
	const struct dirent *e;
	bool found = false;
	DIR *d;

	if (mm_order_path(conf, "", path, sizeof(path), NULL) != MM_OK)
		return false;
	d = opendir(path);
	while (d != NULL && !found && (e = readdir(d)) != NULL) {
		char product[MM_NAME_MAX + 1];

		found = batch_of(e->d_name, one) &&
		    mm_order_product(conf, one, product, NULL) == MM_EINPUT;
	}
	if (d != NULL)
		(void)closedir(d);
	if (found)
		memcpy(batch, one, sizeof(one));
	return found;
}

struct newest {
	int64_t number;
	char batch[MM_NAME_MAX + 1];
};

static enum mm_err
note_newest(void *ctx, const struct mm_work_order *o, struct mm_why *why)
{
	struct newest *n = ctx;

	(void)why;
	if (o->number > n->number) {
		n->number = o->number;
		memcpy(n->batch, o->batch, sizeof(n->batch));
	}
	return MM_OK;
}

/* see own.h */
enum mm_err
mm_order_pick(const struct mm_station_conf *conf, char batch[MM_NAME_MAX + 1],
    struct mm_why *why)
{
	struct newest n = { .number = 0 };

	memcpy(batch, conf->batch, MM_NAME_MAX + 1);
	if (batch[0] != '\0' && (conf->offline != MM_OFFLINE_AWAY ||
	    mm_order_has(conf, batch)))
		return MM_OK;
	MM_TRY(mm_order_each(conf, note_newest, &n, why));
	if (n.number == 0)
		return MM_FAIL(why, MM_ENOTFOUND,
		    "there is no work order: mintmark-station import");
	memcpy(batch, n.batch, sizeof(n.batch));
	return MM_OK;
}

/* ---- to the signer ---- */

static _Noreturn void
become_taker(const struct mm_station_conf *conf, int in, int out)
{
	const char *argv[] = { conf->signer_program, "take-order", "--config",
		conf->signer, NULL };

	if (dup2(in, STDIN_FILENO) == STDIN_FILENO &&
	    dup2(out, STDOUT_FILENO) == STDOUT_FILENO &&
	    dup2(out, STDERR_FILENO) == STDERR_FILENO)
		/* execv changes none of them */
		(void)execv(
		    conf->signer_program, (char *const *)(uintptr_t)argv);
	_exit(127);
}

static void
read_all(int fd, struct mm_buf *out)
{
	char chunk[1024];
	ssize_t n;

	while ((n = read(fd, chunk, sizeof(chunk))) > 0 ||
	       (n < 0 && errno == EINTR))
		if (n > 0 && out->n + (size_t)n <= SAID_MAX)
			mm_buf_put(out, chunk, (size_t)n);
}

/* It reads all before it says anything, and says little: no deadlock. */
static enum mm_err
talk(pid_t pid, int in, int out, struct mm_bytes stream, struct mm_buf *said,
    int *status)
{
	enum mm_err rc = mm_fd_write(in, stream, NULL);

	(void)close(in);
	read_all(out, said);
	(void)close(out);
	while (waitpid(pid, status, 0) < 0 && errno == EINTR)
		continue;
	return rc;
}

static enum mm_err
judge(int status, struct mm_buf *said, struct mm_why *why)
{
	static const enum mm_err codes[] = { MM_EINPUT, MM_EPOLICY, MM_EAUTH,
		MM_ECONFLICT, MM_ENOTFOUND };
	const char *text = mm_buf_cstr(said);
	int exit = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
	enum mm_err rc = MM_ESYS;

	if (exit == 0)
		return MM_OK;
	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
		if (mm_err_exit(codes[i]) == exit)
			rc = codes[i];
	if (exit == 127)
		text = "its program cannot be started";
	return MM_FAIL(why, rc, "the signer: %.*s",
	    text == NULL ? 0 : (int)strcspn(text, "\n"), text);
}

/* see own.h */
enum mm_err
mm_order_take(const struct mm_station_conf *conf, struct mm_bytes stream,
    struct mm_buf *said, struct mm_why *why)
{
	int in[2] = { -1, -1 }, out[2] = { -1, -1 }, status = 0;
	pid_t pid = -1;

	if (pipe2(in, O_CLOEXEC) == 0 && pipe2(out, O_CLOEXEC) == 0)
		pid = fork();
	if (pid == 0)
		become_taker(conf, in[0], out[1]);
	if (in[0] >= 0)
		(void)close(in[0]);
	if (out[1] >= 0)
		(void)close(out[1]);
	if (pid < 0) {
		if (in[1] >= 0)
			(void)close(in[1]);
		if (out[0] >= 0)
			(void)close(out[0]);
		return MM_FAIL(why, MM_ESYS, "cannot start the signer: %s",
		    strerror(errno));
	}
	/* A signer that ends early says why itself. */
	(void)!talk(pid, in[1], out[0], stream, said, &status);
	return judge(status, said, why);
}
