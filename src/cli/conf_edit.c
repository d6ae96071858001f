#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/own.h"
#include "cli/rollover.h"

/* see rollover.h */
enum mm_err
mm_conf_edit_begin(struct mm_conf_edit *e, const struct mm_args *a,
    struct mm_why *why)
{
	const char *path = mm_arg(a, "config");

	e->path = path != NULL ? path : MM_CONF_AT;
	mm_buf_init(&e->text, MM_CONF_FILE_MAX);
	mm_buf_init(&e->next, MM_CONF_FILE_MAX);
	MM_TRY(mm_file_read(e->path, &e->text, why));
	MM_TRY(mm_config_parse(mm_buf_view(&e->text), e->path, &e->config,
	    why));
	mm_buf_bytes(&e->next, mm_buf_view(&e->text));
	return mm_buf_ok(&e->next, why);
}

/* see rollover.h */
enum mm_err
mm_conf_edit_check(struct mm_conf_edit *e, struct mm_why *why)
{
	MM_TRY(mm_buf_ok(&e->next, why));
	return mm_config_parse(mm_buf_view(&e->next), e->path, &e->planned,
	    why);
}

static enum mm_err
changed(const struct mm_conf_edit *e, struct mm_why *why)
{
	return MM_FAIL(why, MM_ECONFLICT, "%.100s was changed meanwhile: "
	    "again", e->path);
}

static enum mm_err
own_of(const struct mm_conf_edit *e, struct mm_file_own *out,
    struct mm_why *why)
{
	struct stat st;

	if (stat(e->path, &st) != 0)
		return changed(e, why);
	*out = (struct mm_file_own){ st.st_mode & 0777, st.st_uid, st.st_gid };
	return MM_OK;
}

/* see rollover.h */
enum mm_err
mm_conf_edit_place(const struct mm_conf_edit *e, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf now = MM_BUF_INIT(MM_CONF_FILE_MAX);
	struct mm_file_own own;

	MM_TRY(mm_file_read(e->path, &now, why));
	if (!mm_bytes_eq(mm_buf_view(&now), mm_buf_view(&e->text)))
		return changed(e, why);
	MM_TRY(own_of(e, &own, why));
	return mm_file_replace_as(e->path, mm_buf_view(&e->next), &own, why);
}

/* see rollover.h */
enum mm_err
mm_conf_edit_aside(const struct mm_conf_edit *e, const char *path,
    struct mm_why *why)
{
	struct mm_file_own own;

	MM_TRY(own_of(e, &own, why));
	return mm_file_create_as(path, mm_buf_view(&e->next), &own, why);
}

/* see rollover.h */
void
mm_conf_edit_done(struct mm_conf_edit *e)
{
	mm_config_free(&e->config);
	mm_config_free(&e->planned);
	mm_buf_done(&e->text);
	mm_buf_done(&e->next);
}

/* see rollover.h */
enum mm_err
mm_conf_edit_sign(const struct mm_conf_edit *e, const struct mm_args *a,
    const char *verb, const char *issuer, json_t **said, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf out = MM_BUF_INIT(1 << 20);
	char aside[MM_PATH_MAX + 16];
	enum mm_err rc;

	snprintf(aside, sizeof(aside), "%.500s.rollover", e->path);
	if (unlink(aside) != 0 && errno != ENOENT)
		return MM_FAIL(why, MM_ESYS, "%.100s: %s", aside,
		    strerror(errno));
	MM_TRY(mm_conf_edit_aside(e, aside, why));
	rc = mm_offline_run(a, verb, aside, issuer, &out, why);
	(void)unlink(aside);
	if (rc == MM_OK)
		*said = json_loadb((const char *)out.p, out.n, 0, NULL);
	return rc;
}

/* The next line of text from *at on, without what is before its first word;
 * false: there is none. */
static bool
next_line(struct mm_bytes text, size_t *at, struct mm_bytes *line)
{
	const uint8_t *from = text.p + *at, *end;
	size_t n;

	if (*at >= text.n)
		return false;
	end = memchr(from, '\n', text.n - *at);
	n = end == NULL ? text.n - *at : (size_t)(end - from);
	*at += n + 1;
	while (n > 0 && (*from == ' ' || *from == '\t')) {
		from++;
		n--;
	}
	*line = (struct mm_bytes){ from, n };
	return true;
}

static bool
begins(struct mm_bytes line, const char *word)
{
	size_t n = strlen(word);

	return line.n >= n && memcmp(line.p, word, n) == 0;
}

/* The line is the key's: init writes each of them. */
static bool
is_key(struct mm_bytes line, const char *key)
{
	size_t n = strlen(key);

	return begins(line, key) && (line.n == n || line.p[n] == ' ' ||
	    line.p[n] == '\t' || line.p[n] == '=');
}

/* What is to be replaced: the key's line within the issuer's block, or nothing
 * behind the block's first line.  Titles are names and stand as they are. */
static bool
find_place(struct mm_bytes text, const char *issuer, const char *key,
    struct mm_bytes *out)
{
	char head[MM_NAME_MAX + 16];
	struct mm_bytes line;
	bool within = false;
	size_t at = 0;

	snprintf(head, sizeof(head), "issuer \"%s\"", issuer);
	while (next_line(text, &at, &line)) {
		if (within && begins(line, "}"))
			break;
		if (within && is_key(line, key)) {
			*out = line;
			break;
		}
		if (!within && begins(line, head) &&
		    memchr(line.p, '{', line.n) != NULL &&
		    memchr(line.p, '}', line.n) == NULL) {
			within = true;
			*out = (struct mm_bytes){ line.p + line.n, 0 };
		}
	}
	return within;
}

/* value instead of what is there. */
static enum mm_err
put(struct mm_conf_edit *e, struct mm_bytes at, const char *before,
    const char *key, const char *value, const char *behind,
    struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf whole = MM_BUF_INIT(MM_CONF_FILE_MAX);
	const size_t n = (size_t)(at.p - e->next.p);

	mm_buf_put(&whole, e->next.p, n);
	mm_buf_printf(&whole, "%s%s = %s%s", before, key, value, behind);
	mm_buf_put(&whole, at.p + at.n, e->next.n - n - at.n);
	MM_TRY(mm_buf_ok(&whole, why));
	mm_buf_reset(&e->next);
	mm_buf_bytes(&e->next, mm_buf_view(&whole));
	return mm_buf_ok(&e->next, why);
}

/* see rollover.h */
enum mm_err
mm_conf_edit_top(struct mm_conf_edit *e, const char *key, const char *value,
    struct mm_why *why)
{
	struct mm_bytes line;
	size_t at = 0;
	int depth = 0;

	while (next_line(mm_buf_view(&e->next), &at, &line)) {
		if (depth == 0 && is_key(line, key))
			return put(e, line, "", key, value, "", why);
		if (begins(line, "#"))
			continue;
		depth += memchr(line.p, '{', line.n) != NULL;
		depth -= memchr(line.p, '}', line.n) != NULL;
	}
	return put(e, (struct mm_bytes){ e->next.p, 0 }, "", key, value, "\n",
	    why);
}

/* see rollover.h */
enum mm_err
mm_conf_edit_issuer(struct mm_conf_edit *e, const char *issuer,
    const char *key, const char *value, struct mm_why *why)
{
	struct mm_bytes at = { NULL, 0 };

	if (!find_place(mm_buf_view(&e->next), issuer, key, &at))
		return MM_FAIL(why, MM_EINPUT, "%.80s: the line issuer \"%s\" "
		    "{ is not found: write %s = %.40s into that block",
		    e->path, issuer, key, value);
	return put(e, at, at.n == 0 ? "\n\t" : "", key, value, "", why);
}
