#include "agent/store.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/faults.h"
#include "base/text.h"

static const char *const slots[MMD_SLOTS] = { "a", "b" };

static const struct {
	const char *name;
	mode_t mode;
} items[MMD_NV_ITEMS] = {
	[MMD_NV_KEY] = { "key.pem", 0600 },
	[MMD_NV_CERT] = { "cert.pem", 0644 },
	[MMD_NV_CHAIN] = { "chain.pem", 0644 },
	[MMD_NV_ANCHOR] = { "anchor.pem", 0644 },
	[MMD_NV_SERVER] = { "server", 0644 },
	[MMD_NV_TIME] = { "time", 0644 },
	[MMD_NV_CONFIRMED] = { "confirmed", 0644 },
	[MMD_NV_RECEIPT] = { "receipt.json", 0644 },
	[MMD_NV_TOKEN] = { "token-id", 0644 },
};

/* see store.h */
const char *
mm_agent_slot_name(unsigned slot)
{
	MM_INVARIANT(slot < MMD_SLOTS);
	return slots[slot];
}

static void
item_path(const struct mm_agent_store *s, unsigned slot,
    enum mmd_nv_item item, char out[PATH_MAX])
{
	MM_INVARIANT(item < MMD_NV_ITEMS);
	snprintf(out, PATH_MAX, "%s/%s/%s", s->dir, mm_agent_slot_name(slot),
	    items[item].name);
}

static enum mmd_rc
rc_of(enum mm_err err)
{
	if (err == MM_OK)
		return MMD_OK;
	return err == MM_ENOTFOUND ? MMD_NONE
	    : err == MM_ELIMIT ? MMD_ESPACE : MMD_EPORT;
}

static struct mm_why *
fresh(struct mm_agent_store *s)
{
	s->why = (struct mm_why){ 0 };
	return &s->why;
}

static enum mmd_rc
get(void *ctx, unsigned slot, enum mmd_nv_item item, uint8_t *p, size_t cap,
    size_t *n)
{
	struct mm_agent_store *s = ctx;
	struct mm_buf b = MM_BUF_INIT(cap);
	char path[PATH_MAX];
	enum mm_err err;

	item_path(s, slot, item, path);
	err = mm_file_read(path, &b, fresh(s));
	if (err == MM_OK) {
		if (b.n > 0)
			memcpy(p, b.p, b.n);
		*n = b.n;
	}
	mm_buf_wipe(&b);
	return rc_of(err);
}

static enum mmd_rc
put(void *ctx, unsigned slot, enum mmd_nv_item item, struct mmd_bytes data)
{
	struct mm_agent_store *s = ctx;
	char path[PATH_MAX];

	enum mm_err err;

	item_path(s, slot, item, path);
	mm_die_at("nv");
	err = mm_file_replace_locked(path, (struct mm_bytes){ data.p, data.n },
	    items[item].mode, fresh(s));
	mm_die_at("nv");
	return rc_of(err);
}

static enum mm_err
sync_dir(const char *path, struct mm_why *why)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool ok = fd >= 0 && fsync(fd) == 0;

	if (fd >= 0)
		(void)close(fd);
	return ok ? MM_OK : MM_FAIL(why, MM_ESYS, "cannot sync %.90s: %s",
	    path, strerror(errno));
}

static enum mmd_rc
erase(void *ctx, unsigned slot, enum mmd_nv_item item)
{
	struct mm_agent_store *s = ctx;
	char path[PATH_MAX];

	item_path(s, slot, item, path);
	mm_die_at("nv");
	if (item == MMD_NV_KEY)
		return rc_of(mm_file_wipe(path, fresh(s)));
	if (unlink(path) != 0)
		return errno == ENOENT ? MMD_OK
		    : rc_of(MM_FAIL(fresh(s), MM_ESYS,
		        "cannot remove %.90s: %s", path, strerror(errno)));
	snprintf(path, sizeof(path), "%s/%s", s->dir, slots[slot]);
	return rc_of(sync_dir(path, fresh(s)));
}

/* A link cannot be rewritten, but renaming another over it is atomic. */
static enum mmd_rc
select_slot(void *ctx, unsigned slot)
{
	struct mm_agent_store *s = ctx;
	char next[PATH_MAX], current[PATH_MAX];

	snprintf(next, sizeof(next), "%s/current" MM_FILE_NEXT, s->dir);
	snprintf(current, sizeof(current), "%s/current", s->dir);
	mm_die_at("nv");
	if ((unlink(next) != 0 && errno != ENOENT) ||
	    symlink(mm_agent_slot_name(slot), next) != 0 ||
	    rename(next, current) != 0)
		return rc_of(MM_FAIL(fresh(s), MM_ESYS,
		    "cannot switch %.90s: %s", current, strerror(errno)));
	return rc_of(sync_dir(s->dir, fresh(s)));
}

static enum mmd_rc
selected(void *ctx, unsigned *slot)
{
	struct mm_agent_store *s = ctx;
	char current[PATH_MAX], target[8] = "";

	snprintf(current, sizeof(current), "%s/current", s->dir);
	if (readlink(current, target, sizeof(target) - 1) < 0)
		return errno == ENOENT ? MMD_NONE
		    : rc_of(MM_FAIL(fresh(s), MM_ESYS,
		        "cannot read %.90s: %s", current, strerror(errno)));
	for (unsigned i = 0; i < MMD_SLOTS; i++)
		if (strcmp(target, slots[i]) == 0) {
			*slot = i;
			return MMD_OK;
		}
	return rc_of(MM_FAIL(fresh(s), MM_ESYS, "%.90s points elsewhere",
	    current));
}

/* see store.h */
struct mmd_nv
mm_agent_store_nv(struct mm_agent_store *s)
{
	return (struct mmd_nv){ get, put, erase, select_slot, selected, s };
}

/* see store.h */
enum mm_err
mm_agent_store_look(struct mm_agent_store *s, const char *dir,
    struct mm_why *why)
{
	*s = (struct mm_agent_store){ .lock = -1 };
	if (!mm_text_copy(s->dir, sizeof(s->dir), mm_bytes_of(dir)))
		return MM_FAIL(why, MM_ELIMIT, "--dir: the path is too long");
	if (access(dir, X_OK) != 0)
		return MM_FAIL(why, errno == ENOENT || errno == ENOTDIR
		    ? MM_ENOTFOUND : MM_ESYS, "no identity in %.90s: %s",
		    dir, strerror(errno));
	return MM_OK;
}

/*
 * Whoever else can write a folder can swap what is in it.  A link to the
 * folder itself is the administrator's business, one inside it nobody's.
 */
static enum mm_err
check_dir(const char *path, int follow, struct mm_why *why)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | follow);
	struct stat st;
	bool known = fd >= 0 && fstat(fd, &st) == 0;
	int errnum = errno;

	if (fd >= 0)
		(void)close(fd);
	if (!known)
		return MM_FAIL(why, errnum == ELOOP || errnum == ENOTDIR
		    ? MM_EPOLICY : MM_ESYS, "cannot use %.90s: %s", path,
		    errnum == ENOTDIR || errnum == ELOOP
		    ? "not a directory of its own" : strerror(errnum));
	if (st.st_uid != geteuid())
		return MM_FAIL(why, MM_EPOLICY,
		    "%.90s belongs to another user (%u)", path,
		    (unsigned)st.st_uid);
	if ((st.st_mode & (S_IWGRP | S_IWOTH)) != 0)
		return MM_FAIL(why, MM_EPOLICY,
		    "%.90s can be written by others: chmod go-w", path);
	return MM_OK;
}

static enum mm_err
open_slots(const char *dir, struct mm_why *why)
{
	char path[PATH_MAX];

	MM_TRY(mm_dir_make(dir, 0700, why));
	MM_TRY(check_dir(dir, 0, why));
	for (unsigned i = 0; i < MMD_SLOTS; i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, slots[i]);
		MM_TRY(mm_dir_make(path, 0700, why));
		MM_TRY(check_dir(path, O_NOFOLLOW, why));
	}
	return MM_OK;
}

/* What a kill within a replacement left.  The lock is held. */
static enum mm_err
sweep(const struct mm_agent_store *s, struct mm_why *why)
{
	char path[PATH_MAX + sizeof(MM_FILE_NEXT)];

	for (unsigned slot = 0; slot < MMD_SLOTS; slot++)
		for (size_t i = 0; i < MMD_NV_ITEMS; i++) {
			snprintf(path, sizeof(path), "%s/%s/%s" MM_FILE_NEXT,
			    s->dir, slots[slot], items[i].name);
			MM_TRY(mm_file_wipe(path, why));
		}
	snprintf(path, sizeof(path), "%s/current" MM_FILE_NEXT, s->dir);
	return mm_file_wipe(path, why);
}

/* see store.h */
enum mm_err
mm_agent_store_open(struct mm_agent_store *s, const char *dir,
    struct mm_why *why)
{
	char path[PATH_MAX];

	*s = (struct mm_agent_store){ .lock = -1 };
	if (!mm_text_copy(s->dir, sizeof(s->dir), mm_bytes_of(dir)))
		return MM_FAIL(why, MM_ELIMIT, "--dir: the path is too long");
	MM_TRY(open_slots(dir, why));
	snprintf(path, sizeof(path), "%s/lock", dir);
	MM_TRY(mm_file_lock(path, &s->lock, why));
	MM_TRY(sweep(s, why));
	return sync_dir(dir, why);
}

/* see store.h */
enum mm_err
mm_agent_store_within(struct mm_agent_store *s, const char *dir,
    struct mm_why *why)
{
	*s = (struct mm_agent_store){ .lock = -1 };
	if (!mm_text_copy(s->dir, sizeof(s->dir), mm_bytes_of(dir)))
		return MM_FAIL(why, MM_ELIMIT, "--dir: the path is too long");
	MM_TRY(open_slots(dir, why));
	return sweep(s, why);
}

/* see store.h */
void
mm_agent_store_close(struct mm_agent_store *s)
{
	if (s->lock >= 0)
		(void)close(s->lock);
	s->lock = -1;
}
