#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "signer/priv.h"

/*
 * By which versions of the token master line CAs are kept: what is sealed so
 * is in the database, for as long as their devices last, and without the
 * master no list of theirs is ever signed again.  So a folder that lacks one of
 * them does not start.  signer_dir/line-masters has them, two hexadecimal
 * digits and a line end each.
 */
enum { LINE_N = 3, FILE_MAX = 256 * LINE_N };

struct mm_masters {
	pthread_mutex_t lock;
	bool used[256];
	char path[MM_PATH_MAX + 1];
};

static enum mm_err
parse(struct mm_bytes text, bool used[256], struct mm_why *why)
{
	uint8_t version;

	for (size_t i = 0; i < text.n; i += LINE_N) {
		if (text.n - i < LINE_N || text.p[i + 2] != '\n' ||
		    mm_hex_parse((const char *)text.p + i, 2, &version, 1,
			NULL) != MM_OK)
			return MM_FAIL(why, MM_EINPUT, "line-masters: not a "
			    "line of two digits");
		used[version] = true;
	}
	return MM_OK;
}

static enum mm_err
check(const struct mm_signer *s, const struct mm_masters *m,
    struct mm_why *why)
{
	for (unsigned v = 0; v < 256; v++)
		if (m->used[v] && s->master[v] == NULL)
			return MM_FAIL(why, MM_EPOLICY, "keys/token-%02x.key "
			    "is gone, and keys of line CAs are sealed by it: "
			    "put it back", v);
	return MM_OK;
}

/* see priv.h */
enum mm_err
mm_masters_load(const struct mm_signer *s, struct mm_masters **out,
    struct mm_why *why)
{
	MM_OWN(mm_masters_free) struct mm_masters *m = calloc(1, sizeof(*m));
	MM_OWN(mm_buf_done) struct mm_buf text = MM_BUF_INIT(FILE_MAX);

	if (m == NULL)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	pthread_mutex_init(&m->lock, NULL);
	MM_TRY(mm_signer_path(&s->conf->set, "line-masters", m->path, why));
	if (access(m->path, F_OK) == 0) {
		MM_TRY(mm_file_read(m->path, &text, why));
		MM_TRY(parse(mm_buf_view(&text), m->used, why));
	}
	MM_TRY(check(s, m, why));
	*out = MM_MOVE(m);
	return MM_OK;
}

/* see priv.h */
void
mm_masters_free(struct mm_masters **owner)
{
	if (*owner == NULL)
		return;
	pthread_mutex_destroy(&(*owner)->lock);
	free(*owner);
	*owner = NULL;
}

static enum mm_err
write_file(const struct mm_masters *m, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf text = MM_BUF_INIT(FILE_MAX);

	for (unsigned v = 0; v < 256; v++)
		if (m->used[v])
			mm_buf_printf(&text, "%02x\n", v);
	return mm_file_replace(m->path, mm_buf_view(&text), 0600, why);
}

/* see priv.h */
enum mm_err
mm_masters_use(struct mm_masters *m, uint8_t version, struct mm_why *why)
{
	enum mm_err rc = MM_OK;

	pthread_mutex_lock(&m->lock);
	if (!m->used[version]) {
		m->used[version] = true;
		rc = write_file(m, why);
		m->used[version] = rc == MM_OK;
	}
	pthread_mutex_unlock(&m->lock);
	return rc == MM_OK ? MM_OK : MM_EAGAIN;
}
