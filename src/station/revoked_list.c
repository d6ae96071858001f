#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/own.h"
#include "station/revoked.h"

/* A file's lines: a serial number, and " held" of one that is. */
enum { PATH_N = PATH_MAX + 16, LINE = MM_REVOKED_SERIAL + 8 };
#define ROW_N  sizeof(struct mm_revoked_row)
#define HEX    "0123456789abcdef"
#define HELD   " held"
#define FOLDER "revocations"
#define OLD    "revoked"

/* ---- what the centre says ---- */

/* see revoked.h */
enum mm_err
mm_revoked_add(struct mm_buf *rows, const json_t *items, bool held,
    struct mm_why *why)
{
	const json_t *item;
	size_t i;

	if (!json_is_array(items))
		return MM_FAIL(why, MM_EINPUT, "revocations: want a list");
	json_array_foreach(items, i, item)
	{
		const char *serial = json_string_value(json_object_get(item,
		    "serial"));
		struct mm_revoked_row row = { .held = held };

		if (serial == NULL || serial[0] == '\0' ||
		    strlen(serial) > MM_REVOKED_SERIAL ||
		    strspn(serial, HEX) != strlen(serial))
			return MM_FAIL(why, MM_EINPUT,
			    "revocations: what is no serial number");
		strcpy(row.serial, serial);
		mm_buf_put(rows, &row, sizeof(row));
	}
	return mm_buf_ok(rows, why);
}

/* ---- what is kept ---- */

static int
order(const void *a, const void *b)
{
	const struct mm_revoked_row *x = a, *y = b;
	int by = strcmp(x->serial, y->serial);

	return by != 0 ? by : x->held - y->held;
}

/* The first of the same serial number stays. */
static void
sort(struct mm_buf *rows, struct mm_revoked_n *n)
{
	struct mm_revoked_row *row = (void *)rows->p;
	size_t had = rows->n / ROW_N, kept = 0;

	*n = (struct mm_revoked_n){ 0, 0 };
	if (had == 0)
		return;
	qsort(row, had, ROW_N, order);
	for (size_t i = 0; i < had; i++) {
		if (kept > 0 &&
		    strcmp(row[kept - 1].serial, row[i].serial) == 0)
			continue;
		row[kept++] = row[i];
		n->held += row[i].held != 0;
	}
	rows->n = kept * ROW_N;
	n->revoked = kept - n->held;
}

static void
put_text(const struct mm_buf *rows, struct mm_buf *text)
{
	const struct mm_revoked_row *row = (const void *)rows->p;

	for (size_t i = 0; i < rows->n / ROW_N; i++) {
		mm_buf_text(text, row[i].serial);
		mm_buf_text(text, row[i].held != 0 ? HELD "\n" : "\n");
	}
}

static bool
is_kept(const char *path, struct mm_bytes text)
{
	MM_OWN(mm_file_unmap) struct mm_bytes was = { NULL, 0 };

	return mm_file_map(path, &was, NULL) == MM_OK &&
	    mm_bytes_eq(was, text);
}

/* see revoked.h */
enum mm_err
mm_revoked_keep(const struct mm_station_conf *conf, const char *issuer,
    struct mm_buf *rows, struct mm_revoked_n *n, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf text = MM_BUF_INIT(rows->max);
	char dir[PATH_N], path[PATH_N];

	sort(rows, n);
	put_text(rows, &text);
	MM_TRY(mm_buf_ok(&text, why));
	MM_TRY(mm_path_join(dir, sizeof(dir), conf->state, FOLDER, why));
	MM_TRY(mm_path_join(path, sizeof(path), dir, issuer, why));
	if (is_kept(path, mm_buf_view(&text)))
		return MM_OK;
	MM_TRY(mm_dir_make(dir, 0750, why));
	return mm_file_replace(path, mm_buf_view(&text), 0640, why);
}

/* ---- looking ---- */

/* The line that a byte lies in, without its end. */
static struct mm_bytes
line_at(struct mm_bytes list, size_t at)
{
	const uint8_t *end = memchr(list.p + at, '\n', list.n - at);

	while (at > 0 && list.p[at - 1] != '\n')
		at--;
	return (struct mm_bytes){ list.p + at,
		(size_t)((end != NULL ? end : list.p + list.n) - list.p) - at };
}

static enum mm_err
look_in(struct mm_bytes list, const char *serial, bool *held,
    struct mm_why *why)
{
	size_t lo = 0, hi = list.n;

	while (lo < hi) {
		struct mm_bytes line = line_at(list, lo + (hi - lo) / 2);
		char text[LINE];
		size_t n = 0;
		int by;

		while (n < line.n && n < sizeof(text) - 1 &&
		    line.p[n] != '\0' && strchr(HEX, line.p[n]) != NULL) {
			text[n] = (char)line.p[n];
			n++;
		}
		text[n] = '\0';
		*held = mm_bytes_eq((struct mm_bytes){ line.p + n,
		    line.n - n }, mm_bytes_of(HELD));
		if (n == 0 || (n < line.n && !*held))
			return MM_FAIL(why, MM_EINPUT, "damaged");
		by = strcmp(text, serial);
		if (by == 0)
			return MM_OK;
		if (by < 0)
			lo = (size_t)(line.p - list.p) + line.n + 1;
		else
			hi = (size_t)(line.p - list.p);
	}
	return MM_ENOTFOUND;
}

static enum mm_err
look_in_file(const char *dir, const char *name, const char *serial,
    bool *held, struct mm_why *why)
{
	MM_OWN(mm_file_unmap) struct mm_bytes list = { NULL, 0 };
	struct mm_why own = { 0 };
	char path[PATH_N];
	enum mm_err rc;

	MM_TRY(mm_path_join(path, sizeof(path), dir, name, why));
	rc = mm_file_map(path, &list, &own);
	if (rc == MM_OK)
		rc = look_in(list, serial, held, &own);
	return rc == MM_OK || rc == MM_ENOTFOUND ? rc : MM_FAIL(why, rc,
	    "%s/%.64s: %.60s: remove it, then mintmark-station sync", FOLDER,
	    name, own.text);
}

static enum mm_err
look_in_folder(const char *dir, const char *serial, bool *held,
    struct mm_why *why)
{
	enum mm_err rc = MM_ENOTFOUND;
	const struct dirent *e;
	DIR *d = opendir(dir);

	if (d == NULL)
		return errno == ENOENT ? MM_ENOTFOUND : MM_FAIL(why, MM_ESYS,
		    "%s: %s", FOLDER, strerror(errno));
	while (rc == MM_ENOTFOUND && (e = readdir(d)) != NULL)
		if (e->d_name[0] != '.')
			rc = look_in_file(dir, e->d_name, serial, held, why);
	(void)closedir(d);
	return rc;
}

/* A version before had one list of all, in the order it came, of what is
 * revoked for good: true until the folder has it. */
static enum mm_err
look_in_old(const struct mm_station_conf *conf, const char *serial,
    struct mm_why *why)
{
	MM_OWN(mm_file_unmap) struct mm_bytes list = { NULL, 0 };
	char path[PATH_N];
	size_t n = strlen(serial);

	MM_TRY(mm_path_join(path, sizeof(path), conf->state, OLD, why));
	if (access(path, F_OK) != 0 && errno == ENOENT)
		return MM_ENOTFOUND;
	MM_TRY(mm_file_map(path, &list, why));
	for (size_t at = 0; at < list.n;) {
		struct mm_bytes line = line_at(list, at);

		if (line.n == n && memcmp(line.p, serial, n) == 0)
			return MM_OK;
		at += line.n + 1;
	}
	return MM_ENOTFOUND;
}

/* see revoked.h */
void
mm_revoked_forget_old(const struct mm_station_conf *conf)
{
	char path[PATH_N];

	if (mm_path_join(path, sizeof(path), conf->state, OLD, NULL) == MM_OK)
		(void)unlink(path);
}

/* see revoked.h; of a board that another station made, its line CA is not
 * known here, and serial numbers are random: each list is looked at. */
enum mm_err
mm_revoked_look(const struct mm_station_conf *conf, const char *serial,
    bool *held, struct mm_why *why)
{
	char dir[PATH_N];
	enum mm_err rc;

	MM_TRY(mm_path_join(dir, sizeof(dir), conf->state, FOLDER, why));
	rc = look_in_folder(dir, serial, held, why);
	if (rc != MM_ENOTFOUND)
		return rc;
	*held = false;
	return look_in_old(conf, serial, why);
}
