#include "agent/old.h"

#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/secret.h"
#include "pki/cert.h"

enum { FILE_MAX = 65536 };

/* see old.h */
void
mm_agent_old_init(struct mm_agent_old *o, const struct mmd_nv *under)
{
	mm_buf_init(&o->cert, MM_AGENT_DER_MAX);
	mm_buf_init(&o->chain, MM_AGENT_CHAIN_MAX);
	mm_buf_init(&o->anchor, MM_AGENT_DER_MAX);
	mm_buf_init(&o->key, FILE_MAX);
	o->under = under;
}

/* see old.h */
void
mm_agent_old_done(struct mm_agent_old *o)
{
	mm_buf_done(&o->cert);
	mm_buf_done(&o->chain);
	mm_buf_done(&o->anchor);
	mm_buf_wipe(&o->key);
}

/* The first certificate of a file, and the others, if they are wanted. */
static enum mm_err
read_certs(const char *path, struct mm_buf *one, struct mm_buf *others,
    struct mm_why *why)
{
	MM_OWN(mm_buf_wipe) struct mm_buf file = MM_BUF_INIT(FILE_MAX);
	struct mm_bytes rest;

	mm_buf_reset(one);
	MM_TRY(mm_file_read(path, &file, why));
	rest = mm_buf_view(&file);
	if (mm_pem_next(&rest, "CERTIFICATE", one, NULL) != MM_OK)
		return MM_FAIL(why, MM_EINPUT, "%.90s: no certificate in it",
		    path);
	if (others == NULL)
		return mm_buf_ok(one, why);
	mm_buf_reset(others);
	while (mm_pem_next(&rest, "CERTIFICATE", others, NULL) == MM_OK)
		;
	return mm_buf_ok(others, why);
}

static bool
is_exposed(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISREG(st.st_mode) &&
	    (st.st_mode & (S_IRWXG | S_IRWXO)) != 0;
}

/* see old.h */
enum mm_err
mm_agent_old_load(struct mm_agent_old *o, struct mm_agent_old_files *files,
    struct mm_why *why)
{
	const char *key = files->key != NULL ? files->key : files->cert;

	if (files->anchor == NULL)
		return MM_FAIL(why, MM_EINPUT, "--anchor is missing: it "
		    "wants the server's anchor, too");
	MM_TRY(read_certs(files->anchor, &o->anchor, NULL, why));
	if (files->cert == NULL)
		return MM_OK;
	MM_TRY(read_certs(files->cert, &o->cert, &o->chain, why));
	mm_buf_wipe(&o->key);
	mm_buf_init(&o->key, FILE_MAX);
	files->exposed = is_exposed(key);
	return mm_file_read(key, &o->key, why);
}

/* ---- as storage ---- */

static enum mmd_rc
get(void *ctx, unsigned slot, enum mmd_nv_item item, uint8_t *p, size_t cap,
    size_t *n)
{
	const struct mm_agent_old *o = ctx;

	if (slot != MM_AGENT_OLD_SLOT)
		return o->under->get(o->under->ctx, slot, item, p, cap, n);
	if (item != MMD_NV_KEY || o->key.n == 0)
		return MMD_NONE;
	if (o->key.n > cap)
		return MMD_ESPACE;
	memcpy(p, o->key.p, o->key.n);
	*n = o->key.n;
	return MMD_OK;
}

static enum mmd_rc
put(void *ctx, unsigned slot, enum mmd_nv_item item, struct mmd_bytes data)
{
	const struct mm_agent_old *o = ctx;

	return slot == MM_AGENT_OLD_SLOT ? MMD_EPORT
	    : o->under->put(o->under->ctx, slot, item, data);
}

static enum mmd_rc
erase(void *ctx, unsigned slot, enum mmd_nv_item item)
{
	const struct mm_agent_old *o = ctx;

	return slot == MM_AGENT_OLD_SLOT ? MMD_EPORT
	    : o->under->erase(o->under->ctx, slot, item);
}

static enum mmd_rc
choose(void *ctx, unsigned slot)
{
	const struct mm_agent_old *o = ctx;

	return slot == MM_AGENT_OLD_SLOT ? MMD_EPORT
	    : o->under->select(o->under->ctx, slot);
}

static enum mmd_rc
chosen(void *ctx, unsigned *slot)
{
	const struct mm_agent_old *o = ctx;

	return o->under->selected(o->under->ctx, slot);
}

/* see old.h */
struct mmd_nv
mm_agent_old_nv(struct mm_agent_old *o)
{
	return (struct mmd_nv){ .get = get, .put = put, .erase = erase,
		.select = choose, .selected = chosen, .ctx = o };
}
