#include "agent/token_file.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "agent/priv.h"
#include "base/file.h"

/* An editor's UTF-8 byte order mark says nothing here. */
static struct mm_bytes
without_mark(struct mm_bytes v)
{
	static const uint8_t mark[] = { 0xef, 0xbb, 0xbf };

	if (v.n < sizeof(mark) || memcmp(v.p, mark, sizeof(mark)) != 0)
		return v;
	return (struct mm_bytes){ v.p + sizeof(mark), v.n - sizeof(mark) };
}

static bool
all_zero(struct mm_bytes v)
{
	for (size_t i = 0; i < v.n; i++)
		if (v.p[i] != 0)
			return false;
	return v.n > 0;
}

/* see token_file.h */
enum mm_err
mm_agent_token_read(struct mm_agent_token_source *s,
    const struct mmd_crypto *crypto, struct mmd_token *out,
    struct mm_why *why)
{
	struct mm_buf text = MM_BUF_INIT(MM_AGENT_TOKEN_FILE_MAX);
	struct stat st;
	enum mm_err err;
	struct mm_bytes v;

	/* The words would show it, and the list of processes did. */
	if (strncasecmp(s->path, "mm1-", 4) == 0)
		return MM_FAIL(why, MM_EINPUT,
		    "--token-file: want a file's name, not the token");
	err = mm_file_read(s->path, &text, why);
	v = mm_buf_view(&text);
	if (err == MM_OK && all_zero(v))
		err = MM_FAIL(why, MM_ENOTFOUND, "%.90s: erased", s->path);
	if (err == MM_OK)
		err = mm_agent_fail(mmd_token_parse(crypto,
		    mm_to_mmd(without_mark(v)), out), "token", why);
	mm_buf_wipe(&text);
	s->exposed = err == MM_OK && stat(s->path, &st) == 0 &&
	    S_ISREG(st.st_mode) && (st.st_mode & 077) != 0;
	return err;
}

/* see token_file.h */
enum mm_err
mm_agent_token_erase(const char *path, struct mm_why *why)
{
	char real[PATH_MAX];
	struct stat st;

	if (realpath(path, real) == NULL || stat(real, &st) != 0 ||
	    !S_ISREG(st.st_mode))
		return MM_OK;
	return mm_file_wipe(real, why);
}
