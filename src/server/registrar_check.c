#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sandbox/sandbox.h"
#include "server/registrar.h"

static bool
is_user(const char *name, uid_t uid)
{
	const struct passwd *pw = name[0] != '\0' ? getpwnam(name) : NULL;

	return pw != NULL && pw->pw_uid == uid;
}

/* Who has the server could otherwise be the registrar; and a script that
 * reaches the network does not belong to who has keys. */
static enum mm_err
check_apart(const struct mm_settings *set, struct mm_why *why)
{
	const char *const others[] = { set->server_user, set->signer_user,
		set->keeper_user };
	const struct passwd *pw = set->registrar_user[0] != '\0' ?
	    getpwnam(set->registrar_user) : NULL;
	uid_t uid = pw != NULL ? pw->pw_uid : 0;

	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		if (uid == 0 || is_user(others[i], uid))
			return MM_FAIL(why, MM_EINPUT, "registrar_user: "
			    "production wants a user of its own for an issuer "
			    "with exec or est: not root's, the server's, the signer's "
			    "or the keeper's");
	return MM_OK;
}

/* see priv.h */
enum mm_err
mm_registrar_known(const struct mm_config *c, struct mm_why *why)
{
	const char *user = c->set.registrar_user;

	if (!mm_config_upstream(c))
		return MM_OK;
	if (user[0] == '\0' || getpwnam(user) != NULL)
		return c->set.production ? check_apart(&c->set, why) : MM_OK;
	return MM_FAIL(why, MM_ENOTFOUND, "registrar_user: no such user: %s",
	    user);
}

static int
run_error(const char *program)
{
	return faccessat(AT_FDCWD, program, X_OK, AT_EACCESS) == 0 ? 0 : errno;
}

/* As that user, where we can become it: folders on the way count, too. */
static int
user_run_error(const char *user, const char *program)
{
	int status = 0;
	pid_t pid;

	if (geteuid() != 0 || user[0] == '\0')
		return run_error(program);
	pid = fork();
	if (pid == 0)
		_exit(mm_sandbox_drop(user, NULL, NULL) == MM_OK ?
		    run_error(program) : EPERM);
	if (pid < 0 || waitpid(pid, &status, 0) != pid ||
	    !WIFEXITED(status))
		return EAGAIN;
	return WEXITSTATUS(status);
}

static bool
is_servers(const struct mm_settings *set, uid_t uid)
{
	const struct passwd *pw = set->server_user[0] != '\0' ?
	    getpwnam(set->server_user) : NULL;

	return pw != NULL && pw->pw_uid == uid &&
	    strcmp(set->server_user, mm_registrar_user(set)) != 0;
}

/* Whoever may write to a folder on the way puts another in its place. */
static enum mm_err
check_way(const struct mm_settings *set, const struct mm_issuer_conf *i,
    const char *key, const char *path, struct mm_why *why)
{
	char dir[MM_PATH_MAX + 1];
	struct stat st;
	char *slash;

	snprintf(dir, sizeof(dir), "%s", path);
	while ((slash = strrchr(dir, '/')) != NULL) {
		slash[slash == dir] = '\0';
		if (stat(dir, &st) != 0)
			return MM_FAIL(why, MM_ENOTFOUND, "issuer %s: %s: "
			    "%.80s: %s", i->name, key, dir,
			    strerror(errno));
		if (is_servers(set, st.st_uid) || ((st.st_mode & S_IWOTH) &&
		    (st.st_mode & S_ISVTX) == 0))
			return MM_FAIL(why, MM_EPOLICY, "issuer %s: %s: "
			    "others may change what is in %.60s: chown root "
			    "it, chmod o-w it", i->name, key, dir);
		if (slash == dir)
			break;
	}
	return MM_OK;
}

static enum mm_err
check_changed(const struct mm_settings *set, const struct mm_issuer_conf *i,
    const char *key, const char *path, const struct stat *st,
    struct mm_why *why)
{
	if ((st->st_mode & (S_IWGRP | S_IWOTH)) != 0 ||
	    is_servers(set, st->st_uid))
		return MM_FAIL(why, MM_EPOLICY, "issuer %s: %s: others may "
		    "change %.60s: chown root it, chmod go-w it", i->name,
		    key, path);
	return check_way(set, i, key, path, why);
}

/* Whom we believe, and who we are: not for the server to say. */
static enum mm_err
check_est(const struct mm_settings *set, const struct mm_issuer_conf *i,
    struct mm_why *why)
{
	const struct {
		const char *key, *path;
	} files[] = {
		{ "est_anchors", i->est_anchors },
		{ "est_certificate", i->est_certificate },
	};
	struct stat st;

	for (size_t k = 0; k < sizeof(files) / sizeof(files[0]); k++) {
		const char *key = files[k].key, *path = files[k].path;

		if (path[0] == '\0')
			continue;
		if (stat(path, &st) != 0)
			return MM_FAIL(why, MM_ENOTFOUND, "issuer %s: %s: "
			    "%.80s: %s", i->name, key, path, strerror(errno));
		MM_TRY(check_changed(set, i, key, path, &st, why));
	}
	return MM_OK;
}

static enum mm_err
check_program(const struct mm_settings *set, const struct mm_issuer_conf *i,
    struct mm_why *why)
{
	const char *program = i->exec.item[0], *user = mm_registrar_user(set);
	struct stat st;
	int err;

	if (stat(program, &st) != 0)
		return MM_FAIL(why, MM_ENOTFOUND, "issuer %s: exec: %.80s: %s",
		    i->name, program, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return MM_FAIL(why, MM_EINPUT, "issuer %s: exec: %.80s is no "
		    "program", i->name, program);
	if ((st.st_mode & (S_ISUID | S_ISGID)) != 0)
		return MM_FAIL(why, MM_EPOLICY, "issuer %s: exec: %.40s: "
		    "the registrar gains no rights (no sudo): give "
		    "registrar_user what it needs", i->name, program);
	MM_TRY(check_changed(set, i, "exec", program, &st, why));
	err = user_run_error(user, program);
	return err == 0 ? MM_OK : MM_FAIL(why, MM_EPOLICY, "issuer %s: exec: "
	    "%.60s cannot be run%s%.32s: %s", i->name, program,
	    user[0] != '\0' ? " by " : "", user, strerror(err));
}

/* see priv.h */
enum mm_err
mm_registrar_check(const struct mm_config *c, struct mm_why *why)
{
	char folder[MM_REGISTRAR_FOLDER_MAX];

	if (!mm_config_upstream(c))
		return MM_OK;
	MM_TRY(mm_registrar_known(c, why));
	MM_TRY(mm_registrar_folder(&c->set, folder, why));
	for (size_t i = 0; i < c->nissuer; i++) {
		const struct mm_issuer_conf *at = &c->issuer[i];

		if (!mm_issuer_upstream(at) || at->retired)
			continue;
		if (!mm_issuer_est(at))
			MM_TRY(check_program(&c->set, at, why));
		MM_TRY(mm_registrar_check_files(mm_registrar_user(&c->set), at,
		    why));
		if (mm_issuer_est(at))
			MM_TRY(check_est(&c->set, at, why));
	}
	return MM_OK;
}
