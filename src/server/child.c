#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/file.h"
#include "server/monitor.h"

#define EXIT_NO_EXEC 127

/* "issue:5,issue:6,ledger:7": how the signer takes its links. */
static const char *
role_name(unsigned role)
{
	static const struct {
		enum mm_link role;
		const char *name;
	} rows[] = {
		{ MM_LINK_ISSUE, "issue" }, { MM_LINK_LEDGER, "ledger" },
		{ MM_LINK_OPS, "ops" }, { MM_LINK_PSK, "psk" },
		{ MM_LINK_CHECK, "check" }, { MM_LINK_OCSP, "ocsp" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if ((unsigned)rows[i].role == role)
			return rows[i].name;
	return "?";
}

static void
links_text(const struct mm_links *l, char *out, size_t outn)
{
	size_t n = 0;

	out[0] = '\0';
	for (unsigned i = 0; i < l->n && n < outn; i++)
		n += (size_t)snprintf(out + n, outn - n, "%s%s:%d",
		    i > 0 ? "," : "", role_name(l->link[i].role),
		    l->link[i].fd);
}

/* A pipe holds a page at least; a passphrase is 1,024 bytes at most. */
static enum mm_err
passphrase_pipe(struct mm_bytes passphrase, int *fd, struct mm_why *why)
{
	static const uint8_t end = '\n';
	int p[2];
	enum mm_err rc;

	if (pipe2(p, O_CLOEXEC) != 0)
		return MM_FAIL(why, MM_ESYS, "pipe: %s", strerror(errno));
	rc = mm_fd_write(p[1], passphrase, why);
	if (rc == MM_OK)
		rc = mm_fd_write(p[1], (struct mm_bytes){ &end, 1 }, why);
	close(p[1]);
	if (rc != MM_OK)
		close(p[0]);
	else
		*fd = p[0];
	return rc;
}

static void
unblock_signals(void)
{
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static void
keep_open(int fd)
{
	(void)fcntl(fd, F_SETFD, 0);
}

/* As the child, before its exec: what the caller let through is not its. */
static void
keep_only(int fd)
{
	keep_open(fd);
	if (fd > 3)
		(void)close_range(3, (unsigned)fd - 1, 0);
	closefrom(fd < 3 ? 3 : fd + 1);
}

/* What could be read again (a file) is not left behind; the numbers of
 * standard input and its like stay taken. */
static void
forget(int fd)
{
	int null = fd < 3 ? open("/dev/null", O_RDWR | O_CLOEXEC) : -1;

	if (fd >= 3)
		close(fd);
	if (null >= 0) {
		(void)dup2(null, fd);
		close(null);
	}
}

static enum mm_err
fork_child(pid_t *pid, struct mm_why *why)
{
	pid_t p = fork();

	if (p < 0)
		return MM_FAIL(why, MM_ESYS, "fork: %s", strerror(errno));
	if (p == 0)
		unblock_signals();
	*pid = p;
	return MM_OK;
}

static _Noreturn void
no_exec(const char *program)
{
	fprintf(stderr, "mintmarkd: %s: %s\n", program, strerror(errno));
	_exit(EXIT_NO_EXEC);
}

/*
 * Of the starter's environment, which may hold passwords of other programs, or
 * by SSLKEYLOGFILE have libcurl write down its connections' keys, the signer
 * and the server's aides have what loader, libraries, clocks and tests' tools
 * read.
 */
#define ENV_MOST 64
static const char *const kept[] = {
	"TZ=", "LANG=", "LC_", "LD_PRELOAD=", "LD_LIBRARY_PATH=",
	"OPENSSL_CONF=", "OPENSSL_MODULES=", "ASAN_OPTIONS=",
	"LSAN_OPTIONS=", "UBSAN_OPTIONS=", "FAKETIME",
#ifdef MM_FAULTS
	"MINTMARK_",
#endif
};

static void
kept_environ(char *out[ENV_MOST + 1])
{
	size_t n = 0;

	for (char **e = environ; *e != NULL && n < ENV_MOST; e++)
		for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
			if (strncmp(*e, kept[i], strlen(kept[i])) == 0) {
				out[n++] = *e;
				break;
			}
	out[n] = NULL;
}

/* see monitor.h */
enum mm_err
mm_child_keeper(const char *signer, char out[MM_PATH_MAX + 1],
    struct mm_why *why)
{
	char folder[MM_PATH_MAX + 1];
	char *slash;

	snprintf(folder, sizeof(folder), "%s", signer);
	slash = strrchr(folder, '/');
	if (slash != NULL)
		*slash = '\0';
	return mm_path_join(out, MM_PATH_MAX + 1, folder, "mintmark-keeper",
	    why);
}

/* see monitor.h */
enum mm_err
mm_child_signer(const struct mm_child_conf *conf, pid_t *pid,
    struct mm_why *why)
{
	char roles[512], fd_text[16], pulse[16], *env[ENV_MOST + 1];
	char keeper[MM_PATH_MAX + 1];
	const char *const words[] = { keeper, conf->program, "run",
		"--config", conf->config_path, "--links", roles,
		"--passphrase-fd", fd_text, "--pulse-fd", pulse, NULL };
	const char *const *argv = conf->keeper ? words : words + 1;
	int fd = -1;
	enum mm_err rc;

	MM_TRY(mm_child_keeper(conf->program, keeper, why));
	links_text(conf->links, roles, sizeof(roles));
	MM_TRY(passphrase_pipe(conf->passphrase, &fd, why));
	snprintf(fd_text, sizeof(fd_text), "%d", fd);
	snprintf(pulse, sizeof(pulse), "%d", conf->pulse);
	kept_environ(env);
	rc = fork_child(pid, why);
	if (rc == MM_OK && *pid == 0) {
		for (unsigned i = 0; i < conf->links->n; i++)
			keep_open(conf->links->link[i].fd);
		keep_open(conf->pulse);
		keep_open(fd);
		execve(argv[0], (char *const *)(uintptr_t)argv, env);
		no_exec(argv[0]);
	}
	close(fd);
	return rc;
}

static enum mm_err
run_self(const char *role, const char *config_path, int control,
    char *const *env, pid_t *pid, struct mm_why *why)
{
	static const char self[] = "/proc/self/exe";
	char fd_text[16];

	snprintf(fd_text, sizeof(fd_text), "%d", control);
	MM_TRY(fork_child(pid, why));
	if (*pid != 0)
		return MM_OK;
	keep_only(control);
	execle(self, "mintmarkd", role, "--config", config_path,
	    "--control", fd_text, (char *)NULL, env);
	no_exec(self);
}

/* see monitor.h */
enum mm_err
mm_child_self(const char *role, const char *config_path, int control,
    pid_t *pid, struct mm_why *why)
{
	return run_self(role, config_path, control, environ, pid, why);
}

/* see monitor.h */
enum mm_err
mm_child_aide(const char *role, const char *config_path, int control,
    pid_t *pid, struct mm_why *why)
{
	char *env[ENV_MOST + 1];

	kept_environ(env);
	return run_self(role, config_path, control, env, pid, why);
}

/* see monitor.h */
enum mm_err
mm_child_passphrase(const struct mm_config *config, int fd,
    struct mm_secret **out, struct mm_why *why)
{
	if (fd >= 0) {
		enum mm_err rc = mm_secret_from_fd(fd, out, why);
		forget(fd);
		return rc;
	}
	if (config->set.passphrase_file[0] != '\0')
		return mm_secret_from_file(config->set.passphrase_file, out,
		    why);
	return mm_secret_from_tty("Passphrase of the issuers' keys: ", out,
	    why);
}
