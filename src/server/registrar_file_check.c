#include <errno.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/own.h"
#include "sandbox/sandbox.h"
#include "server/registrar.h"

/*
 * For "mintmarkd check": whether the registrar's user can read the issuer's
 * certificate and what est needs, and what that is worth.  Asked in a process
 * of that user, where we can become it: folders on the way count, too.
 */

struct said {
	enum mm_err rc;
	struct mm_why why;
};

static struct said
read_files(const struct mm_issuer_conf *i)
{
	MM_OWN(mm_buf_done) struct mm_buf ca = MM_BUF_INIT(MM_CERT_MAX);
	struct said s = { .rc = MM_OK };
	struct mm_est_who w;

	s.rc = mm_registrar_ca(i, &ca, &s.why);
	if (s.rc != MM_OK || !mm_issuer_est(i))
		return s;
	s.rc = mm_est_who_read(i, &w, &s.why);
	if (s.rc == MM_OK)
		mm_est_who_done(&w);
	return s;
}

static struct said
read_as(const char *user, const struct mm_issuer_conf *i)
{
	struct said s = { .rc = MM_OK };

	s.rc = mm_sandbox_drop(user, NULL, &s.why);
	return s.rc == MM_OK ? read_files(i) : s;
}

static struct said
ask_user(const char *user, const struct mm_issuer_conf *i)
{
	struct said s = { .rc = MM_ESYS };
	int fd[2], status;
	pid_t pid;

	if (pipe(fd) != 0)
		return s;
	pid = fork();
	if (pid == 0) {
		s = read_as(user, i);
		_exit(write(fd[1], &s, sizeof(s)) == sizeof(s) ? 0 : 1);
	}
	(void)close(fd[1]);
	if (pid < 0 || read(fd[0], &s, sizeof(s)) != sizeof(s))
		s = (struct said){ .rc = MM_ESYS };
	(void)close(fd[0]);
	if (pid > 0)
		(void)waitpid(pid, &status, 0);
	return s;
}

/* see registrar.h */
enum mm_err
mm_registrar_check_files(const char *user, const struct mm_issuer_conf *i,
    struct mm_why *why)
{
	struct said s = geteuid() == 0 && user[0] != '\0' ?
	    ask_user(user, i) : read_files(i);

	return s.rc == MM_OK ? MM_OK : MM_FAIL(why, s.rc, "issuer %s: %.150s",
	    i->name, s.why.text[0] != '\0' ? s.why.text :
	    "its files cannot be looked at");
}
