#include "cli/files.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A word of a command's arguments that is a file's name: "FILE", "[ORDER...]". */
static bool
is_file(const char *word, size_t n)
{
	static const char *const files[] = { "FILE", "EXPORT", "ORDER",
		"JOURNAL" };

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		if (strlen(files[i]) == n && memcmp(files[i], word, n) == 0)
			return true;
	return false;
}

/* The i-th argument's word, or the last one's, which may stand for many. */
static bool
names_file(const char *words, int i)
{
	size_t n;

	do {
		words += strcspn(words, "ABCDEFGHIJKLMNOPQRSTUVWXYZ");
		n = strspn(words, "ABCDEFGHIJKLMNOPQRSTUVWXYZ");
		if (i-- == 0 || strpbrk(words + n,
		    "ABCDEFGHIJKLMNOPQRSTUVWXYZ") == NULL)
			return is_file(words, n);
		words += n;
	} while (*words != '\0');
	return false;
}

static enum mm_err
no_folder(const char *option, const char *path, struct mm_why *why)
{
	struct stat st;

	if (path == NULL || stat(path, &st) != 0 || !S_ISDIR(st.st_mode))
		return MM_OK;
	return MM_FAIL(why, MM_EINPUT, "%s%s%.90s: is a folder, and a file is "
	    "wanted", option != NULL ? option : "", option != NULL ? " " : "",
	    path);
}

static enum mm_err
globals(const struct mm_cli *cli, struct mm_why *why)
{
	MM_TRY(no_folder("--context", cli->context, why));
	MM_TRY(no_folder("--ca", cli->ca, why));
	MM_TRY(no_folder("--key-file", cli->key_file, why));
	MM_TRY(no_folder("--cert", cli->cert, why));
	return no_folder("--cert-key", cli->cert_key, why);
}

/* see files.h */
enum mm_err
mm_cli_files_check(const struct mm_cli *cli, const struct mm_cmd *c,
    const struct mm_args *a, struct mm_why *why)
{
	char option[40];

	MM_TRY(globals(cli, why));
	for (size_t i = 0; a->opts != NULL && a->opts[i].name != NULL; i++) {
		if (a->opts[i].complete != MM_C_FILE || a->value[i] == NULL)
			continue;
		snprintf(option, sizeof(option), "--%s", a->opts[i].name);
		MM_TRY(no_folder(option, a->value[i], why));
	}
	for (int i = 0; i < a->npos; i++)
		if (names_file(c->pos, i))
			MM_TRY(no_folder(NULL, a->pos[i], why));
	return MM_OK;
}

/* see files.h */
enum mm_err
mm_cli_files_open(const char *path, struct mm_why *why)
{
	if (path == NULL || access(path, R_OK) == 0)
		return MM_OK;
	return MM_FAIL(why, errno == ENOENT ? MM_ENOTFOUND : MM_ESYS,
	    "%.100s: %s", path, strerror(errno));
}

static bool
ends(const char *text, const char *with)
{
	size_t n = strlen(text), m = strlen(with);

	return n > m + 2 && memcmp(text + n - m - 2, ": ", 2) == 0 &&
	    memcmp(text + n - m, with, m) == 0;
}

/* see files.h */
enum mm_err
mm_cli_files_say(struct mm_cli *cli, enum mm_err rc, struct mm_why *why)
{
	static const struct {
		int errnum;
		enum mm_err code;
		const char *hint;
	} rows[] = {
		{ EACCES, MM_EPOLICY, "this user may not; \"namei -l PATH\" "
		    "shows whose each part of it is" },
		{ EPERM, MM_EPOLICY, "this user may not" },
		{ EROFS, MM_EPOLICY, "that file system is mounted read-only: "
		    "name another place" },
		{ EISDIR, MM_EINPUT, "it is a folder: name a file" },
		{ ENOTDIR, MM_EINPUT, "a part of that path is no folder" },
		{ ELOOP, MM_EINPUT, "a link of that path leads to itself" },
		{ ENAMETOOLONG, MM_EINPUT, "name a shorter path" },
		{ ENOSPC, MM_EAGAIN, "the disk is full: make room, then the "
		    "same command again" },
		{ EDQUOT, MM_EAGAIN, "this user's quota is used up: make "
		    "room, then the same command again" },
	};

	if (rc != MM_ESYS)
		return rc;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (ends(why->text, strerror(rows[i].errnum))) {
			mm_cli_hint(cli, "%s", rows[i].hint);
			return rows[i].code;
		}
	return rc;
}
