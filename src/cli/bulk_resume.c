#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/own.h"
#include "cli/bulk.h"

/*
 * The --out of a run that was interrupted.  Rows end with a line feed: what
 * stands behind the last one is a row that was torn, or one that is whole and
 * has lost its end in an editor.
 */
#define ANCHOR_DIGITS 43 /* base64url of a SHA-256 */

/* Whether nothing is there but the header or a piece of it. */
static enum mm_err
only_head(const char *path, const char *head, bool *out, struct mm_why *why)
{
	size_t want = strlen(head) + 1;
	char text[MM_BULK_HEAD + 1];
	FILE *f = fopen(path, "re");
	size_t n;

	if (f == NULL)
		return MM_FAIL(why, errno == ENOENT ? MM_ENOTFOUND : MM_ESYS,
		    "%.100s: %s", path, strerror(errno));
	n = fread(text, 1, sizeof(text), f);
	fclose(f);
	*out = n < want && memcmp(text, head, n) == 0;
	return MM_OK;
}

/* A row's last cell is its URI, whose end is the anchor's hash; somebody may
 * have taken that column out. */
static bool
is_whole(const struct mm_csv *row)
{
	const char *uri = mm_csv_get(row, "uri");
	const char *hash = uri != NULL ? strstr(uri, "&a=") : NULL;

	if (uri == NULL)
		return true;
	return hash != NULL && strlen(hash + 3) == ANCHOR_DIGITS;
}

/* A row that was refused is not there, so row numbers would not do. */
static enum mm_err
count(const struct mm_csv *row, json_t *done, struct mm_why *why)
{
	const char *device = mm_csv_get(row, "device");

	device += device[0] == '\''; /* mm_csv_put's */
	if (json_object_set_new(done, device,
		json_integer(1 + json_integer_value(
				     json_object_get(done, device)))) != 0)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	return MM_OK;
}

/* What ends the file otherwise than by a line feed. */
struct tail {
	bool torn, unended;
	unsigned long long at; /* of the torn row's first byte */
};

static enum mm_err
next(struct mm_csv *old, json_t *done, struct tail *t, struct mm_why *why)
{
	struct mm_why w = { 0 };
	unsigned long long start = old->read;
	enum mm_err rc = mm_csv_next(old, &w);
	bool last = feof(old->f) && old->read > start;

	if (last && (rc != MM_OK || !is_whole(old))) {
		*t = (struct tail){ .torn = true, .at = start };
		return MM_ENOTFOUND;
	}
	if (rc == MM_OK) {
		t->unended = last;
		return count(old, done, why);
	}
	return rc == MM_ENOTFOUND ? rc : MM_FAIL(why, rc, "%s", w.text);
}

static enum mm_err
mend(struct mm_cli *cli, const char *path, const struct tail *t, FILE *out,
    struct mm_why *why)
{
	if (t->torn && ftruncate(fileno(out), (off_t)t->at) != 0)
		return MM_FAIL(
		    why, MM_ESYS, "%.100s: %s", path, strerror(errno));
	if (t->torn && !cli->quiet)
		fprintf(stderr,
		    "mintmark: note: %s: its last row was torn "
		    "and is cut; that device gets another token\n",
		    path);
	if (t->unended)
		fputc('\n', out);
	return MM_OK;
}

/* see bulk.h */
enum mm_err
mm_bulk_resume(struct mm_cli *cli, const char *path, const char *head,
    json_t *done, FILE **out, struct mm_why *why)
{
	__attribute__((cleanup(mm_csv_close))) struct mm_csv old = { 0 };
	struct tail t = { .torn = false };
	enum mm_err rc;
	bool fresh = false;

	MM_TRY(only_head(path, head, &fresh, why));
	MM_TRY(mm_out_open(cli, path, true, out, why));
	if (fresh) {
		if (ftruncate(fileno(*out), 0) != 0)
			return MM_FAIL(
			    why, MM_ESYS, "%.100s: %s", path, strerror(errno));
		fputs(head, *out);
		return MM_OK;
	}
	MM_TRY(mm_csv_open(&old, path, why));
	if (!mm_csv_has(&old, "device"))
		return MM_FAIL(
		    why, MM_EINPUT, "%.100s: no column \"device\"", path);
	while ((rc = next(&old, done, &t, why)) == MM_OK)
		;
	return rc == MM_ENOTFOUND ? mend(cli, path, &t, *out, why) : rc;
}
