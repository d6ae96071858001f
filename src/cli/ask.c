#include "cli/ask.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/own.h"

/* scrypt makes a guess dear, not a short passphrase long. */
enum { PASSPHRASE_MIN = 8 };

/* *v: the answer, in line, or the preset. */
static enum mm_err
from_person(const struct mm_question *q, char *line, size_t n, const char **v,
    struct mm_why *why)
{
	fprintf(stderr, "%s%s%s%s: ", q->text, q->preset ? " [" : "",
	    q->preset ? q->preset : "", q->preset ? "]" : "");
	if (fgets(line, (int)n, stdin) == NULL)
		return MM_FAIL(why, MM_EINPUT, "no answer");
	line[strcspn(line, "\r\n")] = '\0';
	if (line[0] != '\0')
		*v = line;
	return MM_OK;
}

static enum mm_err
take(struct mm_cli *cli, const struct mm_question *q, const char *v,
    struct mm_why *why)
{
	if (v == NULL || v[0] == '\0')
		return MM_FAIL(why, MM_EINPUT, "missing --%s", q->opt);
	if (strlen(v) >= q->outn)
		return MM_FAIL(why, MM_ELIMIT, "--%s: \"%.60s\" is too long",
		    q->opt, v);
	strcpy(q->out, v);
	return q->check != NULL ? q->check(cli, q->ctx, why) : MM_OK;
}

/* see ask.h */
enum mm_err
mm_ask(struct mm_cli *cli, const struct mm_args *a,
    const struct mm_question *q, struct mm_why *why)
{
	const char *given = mm_arg(a, q->opt), *v;
	char line[512];

	if (given != NULL || !isatty(STDIN_FILENO) || !cli->tty)
		return take(cli, q, given != NULL ? given : q->preset, why);
	for (;;) {
		struct mm_why wrong = { 0 };

		v = q->preset;
		MM_TRY(from_person(q, line, sizeof(line), &v, why));
		if (take(cli, q, v, &wrong) == MM_OK)
			return MM_OK;
		fprintf(stderr, "%s%s%s\n", wrong.text,
		    cli->hint[0] != '\0' ? "; " : "", cli->hint);
		cli->hint[0] = '\0';
	}
}

/* The file is there, and nobody may be behind it. */
static bool
has_tty(void)
{
	int fd = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);

	if (fd >= 0)
		(void)close(fd);
	return fd >= 0;
}

static enum mm_err
from_terminal(const char *of, bool new_one, struct mm_secret **out,
    struct mm_why *why)
{
	char prompt[64];

	MM_OWN(mm_secret_free) struct mm_secret *one = NULL;
	MM_OWN(mm_secret_free) struct mm_secret *two = NULL;

	if (!has_tty())
		return MM_FAIL(why, MM_EINPUT, "the passphrase of %s is "
		    "missing, and there is no terminal to ask on: give "
		    "--passphrase-file FILE or --passphrase-fd N", of);
	snprintf(prompt, sizeof(prompt), "Passphrase of %s: ", of);
	MM_TRY(mm_secret_from_tty(prompt, &one, why));
	if (new_one) {
		MM_TRY(mm_secret_from_tty("The same again: ", &two, why));
		if (!mm_bytes_eq_ct(mm_secret_view(one), mm_secret_view(two)))
			return MM_FAIL(why, MM_EINPUT,
			    "the two passphrases differ");
	}
	*out = MM_MOVE(one);
	return MM_OK;
}

/* Where it comes from. */
static enum mm_err
passphrase(const struct mm_args *a, const char *of, bool new_one,
    struct mm_secret **out, struct mm_why *why)
{
	long fd;

	if (mm_arg(a, "passphrase-fd") != NULL) {
		MM_TRY(mm_arg_int(a, "passphrase-fd", 0, 0, 1 << 20, &fd,
		    why));
		return mm_secret_from_fd((int)fd, out, why);
	}
	if (mm_arg(a, "passphrase-file") != NULL)
		return mm_secret_from_file(mm_arg(a, "passphrase-file"), out,
		    why);
	return from_terminal(of, new_one, out, why);
}

/* see ask.h */
enum mm_err
mm_ask_passphrase(const struct mm_args *a, const char *of, bool new_one,
    struct mm_secret **out, struct mm_why *why)
{
	MM_OWN(mm_secret_free) struct mm_secret *pass = NULL;

	MM_TRY(passphrase(a, of, new_one, &pass, why));
	if (new_one && pass->n < PASSPHRASE_MIN)
		return MM_FAIL(why, MM_EINPUT, "the passphrase has %zu "
		    "characters, at least %d are wanted", pass->n,
		    PASSPHRASE_MIN);
	*out = MM_MOVE(pass);
	return MM_OK;
}

/* see ask.h */
enum mm_err
mm_find_program(const char *name, char out[512], struct mm_why *why)
{
	static const char *const beside[] = { "%s/%s", "%s/../server/%s",
		"%s/../signer/%s", "%s/../libexec/mintmark/%s",
		"%s/../sbin/%s" };
	char self[400];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (n <= 0)
		return MM_FAIL(why, MM_ESYS, "where is this program?");
	self[n] = '\0';
	*strrchr(self, '/') = '\0';
	for (size_t i = 0; i < sizeof(beside) / sizeof(beside[0]); i++) {
		char *real;

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
		snprintf(out, 512, beside[i], self, name);
#pragma GCC diagnostic pop
		real = access(out, X_OK) == 0 ? realpath(out, NULL) : NULL;
		if (real != NULL && strlen(real) < 512) {
			strcpy(out, real);
			free(real);
			return MM_OK;
		}
		free(real);
	}
	return MM_FAIL(why, MM_ENOTFOUND, "%s: not beside this program", name);
}

struct pipes {
	int secret[2], out[2];
};

static void
close_both(int p[2])
{
	for (int i = 0; i < 2; i++)
		if (p[i] >= 0)
			close(p[i]);
}

static _Noreturn void
child(const char *const argv[], struct pipes *p)
{
	/* Copies above 3 first, so that neither lands on the other's number. */
	if (dup2(p->out[1], STDOUT_FILENO) < 0 || dup2(p->secret[0], 3) < 0)
		_exit(126);
	closefrom(4);
	execv(argv[0], (char *const *)(uintptr_t)argv);
	_exit(127);
}

static enum mm_err
collect(int fd, struct mm_buf *out)
{
	char part[4096];
	ssize_t n;

	while ((n = read(fd, part, sizeof(part))) > 0 ||
	    (n < 0 && errno == EINTR))
		if (n > 0)
			mm_buf_put(out, part, (size_t)n);
	return mm_buf_ok(out, NULL);
}

/* The code whose exit status the program gave; it has told why already. */
static enum mm_err
code_of(int status, const char *program, struct mm_why *why)
{
	int exit = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
	enum mm_err rc = exit < 0 ? MM_ESYS : MM_EBUG;

	if (exit == 0)
		return MM_OK;
	for (unsigned i = MM_ERR_COUNT; i-- > 1;)
		if (mm_err_exit((enum mm_err)i) == exit)
			rc = (enum mm_err)i;
	return MM_FAIL(why, rc, "%s failed (its words are above)", program);
}

/* see ask.h */
enum mm_err
mm_run_program(const char *const argv[], const struct mm_secret *passphrase,
    struct mm_buf *out, struct mm_why *why)
{
	struct pipes p = { { -1, -1 }, { -1, -1 } };
	const char *slash = strrchr(argv[0], '/');
	enum mm_err rc = MM_OK;
	int status = 0;
	pid_t pid;

	if (pipe(p.secret) != 0 || pipe(p.out) != 0 || (pid = fork()) < 0) {
		close_both(p.secret);
		close_both(p.out);
		return MM_FAIL(why, MM_ESYS, "cannot start %s: %s", argv[0],
		    strerror(errno));
	}
	if (pid == 0)
		child(argv, &p);
	close(p.secret[0]);
	close(p.out[1]);
	p.secret[0] = p.out[1] = -1;
	if (passphrase != NULL) {
		rc = mm_fd_write(p.secret[1], mm_secret_view(passphrase), NULL);
		if (rc == MM_OK)
			rc = mm_fd_write(p.secret[1], mm_bytes_of("\n"), NULL);
	}
	close(p.secret[1]);
	p.secret[1] = -1;
	if (collect(p.out[0], out) != MM_OK)
		rc = MM_ELIMIT;
	close_both(p.out);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	MM_TRY(code_of(status, slash ? slash + 1 : argv[0], why));
	return rc == MM_OK ? MM_OK : MM_FAIL(why, rc, "%s: broken pipe",
	    argv[0]);
}
