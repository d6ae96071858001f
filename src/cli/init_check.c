#include <errno.h>
#include <ftw.h>
#include <grp.h>
#include <pwd.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/own.h"
#include "cli/plan.h"
#include "pki/profile.h"
#include "store/store.h"

/* What must hold before "init" makes anything, and how it is unmade. */

/* The files below dir that init makes. */
static void
files(const struct mm_plan *p, char issuing[MM_PATH_MAX],
    const char *out[7])
{
	snprintf(issuing, MM_PATH_MAX, "%s/issuing.crt", p->dir);
	out[0] = p->config_path;
	out[1] = p->context_path;
	out[2] = p->admin_key_path;
	out[3] = p->request_path;
	out[4] = p->anchor_path;
	out[5] = p->ledger_key_path;
	out[6] = issuing;
}

static enum mm_err
absent(struct mm_cli *cli, const char *path, struct mm_why *why)
{
	struct stat st;
	bool there = lstat(path, &st) == 0;

	if (!there && errno == ENOENT)
		return MM_OK;
	if (!there)
		return MM_FAIL(why, MM_ESYS, "%.120s: %s", path,
		    strerror(errno));
	mm_cli_hint(cli, "init overwrites nothing; choose another --dir and "
	    "--state, or move the old ones away");
	return MM_FAIL(why, MM_ECONFLICT, "%.120s is there already", path);
}

static enum mm_err
nothing_there(struct mm_cli *cli, const struct mm_plan *p,
    struct mm_why *why)
{
	char issuing[MM_PATH_MAX];
	const char *path[7];

	files(p, issuing, path);
	for (size_t i = 0; i < 7; i++)
		MM_TRY(absent(cli, path[i], why));
	MM_TRY(absent(cli, p->signer_dir, why));
	return absent(cli, p->server_dir, why);
}

/* The nearest folder above that is there must take new names. */
static enum mm_err
can_make(const char *dir, struct mm_why *why)
{
	char path[MM_PATH_MAX];
	struct stat st;
	char *slash;

	snprintf(path, sizeof(path), "%s", dir);
	while (stat(path, &st) != 0 && errno == ENOENT &&
	    (slash = strrchr(path, '/')) != NULL)
		slash[slash == path] = '\0';
	if (stat(path, &st) == 0 && !S_ISDIR(st.st_mode))
		return MM_FAIL(why, MM_ECONFLICT, "%.120s is no directory",
		    path);
	if (access(path, W_OK | X_OK) != 0)
		return MM_FAIL(why, MM_ESYS, "%.100s: %s", path,
		    strerror(errno));
	return MM_OK;
}

static enum mm_err
users_there(struct mm_cli *cli, const struct mm_plan *p, struct mm_why *why)
{
	const char *const user[] = { p->server_user, p->signer_user };

	for (size_t i = 0; i < 2; i++)
		if (user[i][0] != '\0' && getpwnam(user[i]) == NULL) {
			mm_cli_hint(cli, "adduser --system --group mintmark; "
			    "adduser --system --group mintmark-signer; "
			    "addgroup --system mintmark-audit");
			return MM_FAIL(why, MM_ENOTFOUND, "no user %s",
			    user[i]);
		}
	if (p->audit_group[0] != '\0' && getgrnam(p->audit_group) == NULL) {
		mm_cli_hint(cli, "addgroup --system mintmark-audit");
		return MM_FAIL(why, MM_ENOTFOUND, "no group %s",
		    p->audit_group);
	}
	if (p->production && strcmp(p->server_user, p->signer_user) == 0) {
		mm_cli_hint(cli, "a server that shares the signer's user could "
		    "read the keys: run init as root, with --server-user and "
		    "--signer-user, or make a --test CA");
		return MM_FAIL(why, MM_EINPUT, "--server-user, --signer-user: "
		    "production wants two different users");
	}
	return MM_OK;
}

/* The daemons' own reader and its checks, on what will be written. */
static enum mm_err
config_good(const struct mm_plan *p, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf text = MM_BUF_INIT(1 << 20);
	MM_OWN(mm_config_free) struct mm_config *c = NULL;

	mm_plan_config(p, &text);
	MM_TRY(mm_buf_ok(&text, why));
	return mm_config_parse(mm_buf_view(&text), p->config_path, &c, why);
}

/* A database of another host is there before; an empty one is right. */
static enum mm_err
database_answers(const struct mm_plan *p, struct mm_why *why)
{
	MM_OWN(mm_reader_close) struct mm_store_reader *r = NULL;
	struct mm_why w = { 0 };
	enum mm_err rc;

	if (strncmp(p->database, "sqlite:", 7) == 0)
		return MM_OK;
	rc = mm_reader_open(p->database, &r, &w);
	return rc == MM_OK || rc == MM_ENOTFOUND ? MM_OK
	    : MM_FAIL(why, rc, "%s", w.text);
}

/* see plan.h */
enum mm_err
mm_plan_check(struct mm_cli *cli, const struct mm_plan *p, struct mm_why *why)
{
	MM_TRY(users_there(cli, p, why));
	MM_TRY(config_good(p, why));
	MM_TRY(nothing_there(cli, p, why));
	MM_TRY(can_make(p->dir, why));
	MM_TRY(can_make(p->state, why));
	return database_answers(p, why);
}

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)st, (void)type, (void)at;
	(void)remove(path);
	return 0;
}

/* see plan.h */
void
mm_plan_undo(const struct mm_plan *p)
{
	char issuing[MM_PATH_MAX];
	const char *path[7];

	files(p, issuing, path);
	for (size_t i = 0; i < 7; i++)
		(void)unlink(path[i]);
	(void)nftw(p->signer_dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	(void)nftw(p->server_dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	if (!p->has_state)
		(void)rmdir(p->state);
	if (!p->has_dir)
		(void)rmdir(p->dir);
}
