#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/own.h"
#include "hsm/priv.h"
#include "pki/profile.h"
#include "sandbox/sandbox.h"

/*
 * mintmark-keeper PROGRAM COMMAND ... --config FILE ...
 *
 * Starts a keeper for each issuer of the configuration whose key is in a
 * token, then becomes PROGRAM (mintmark-signer) with the sockets to them in
 * one more argument, --keys.  So the program that holds the other keys never
 * starts another, and neither knows a PKCS#11 module nor the library that
 * loads one.
 */
#define KEYS_MAX 8192
#define KEPT_MAX 64 /* as many issuers as a signer has */

/* The program's words. */
struct words {
	int n;
	char **word;
};

/* A flag's value, from *at on; NULL: it is not there any more. */
static const char *
next_value(const struct words *w, const char *flag, int *at)
{
	size_t n = strlen(flag);

	for (; *at < w->n; ++*at) {
		const char *word = w->word[*at];

		if (strncmp(word, flag, n) != 0)
			continue;
		if (word[n] == '=')
			return w->word[(*at)++] + n + 1;
		if (word[n] == '\0' && *at + 1 < w->n)
			return w->word[*at += 1];
	}
	return NULL;
}

static const char *
value_of(const struct words *w, const char *flag)
{
	int at = 2;

	return next_value(w, flag, &at);
}

/* Both ends of control and lanes: [0] the program's, [1] the keeper's. */
struct pairs {
	int fd[1 + MM_HSM_SESSIONS][2];
};

static enum mm_err
make_pairs(struct pairs *p, struct mm_why *why)
{
	for (size_t i = 0; i <= MM_HSM_SESSIONS; i++)
		if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, p->fd[i]) != 0)
			return MM_FAIL(why, MM_ESYS, "socketpair: %s",
			    strerror(errno));
	return MM_OK;
}

/* ---- as the keeper ---- */

/* The lowest of its ends that is not below; UINT_MAX: none. */
static unsigned
next_end(const struct pairs *p, unsigned from)
{
	unsigned best = UINT_MAX;

	for (size_t i = 0; i <= MM_HSM_SESSIONS; i++) {
		unsigned fd = (unsigned)p->fd[i][1];

		if (fd >= from && fd < best)
			best = fd;
	}
	return best;
}

/* Nothing else stays open: the passphrase's pipe, the server's links, the ends
 * of other keepers. */
static enum mm_err
keep_ends(const struct pairs *p, struct mm_keeper *k, struct mm_why *why)
{
	unsigned from = 3, end;

	do {
		end = next_end(p, from);
		if (end > from && close_range(from, end == UINT_MAX ? end :
		    end - 1, 0) != 0)
			return MM_FAIL(why, MM_ESYS, "cannot close: %s",
			    strerror(errno));
		from = end + 1;
	} while (end != UINT_MAX);
	k->control = p->fd[0][1];
	for (size_t i = 0; i < MM_HSM_SESSIONS; i++)
		k->lane[i] = p->fd[i + 1][1];
	return MM_OK;
}

/* The module's environment is what the configuration gives it. */
static void
set_environ(const struct mm_issuer_conf *conf)
{
	char *path = getenv("PATH"), *asan = getenv("ASAN_OPTIONS");
	char kept[2][1024] = { "", "" };

	snprintf(kept[0], sizeof(kept[0]), "%s", path == NULL ? "" : path);
	snprintf(kept[1], sizeof(kept[1]), "%s", asan == NULL ? "" : asan);
	(void)clearenv();
	if (kept[0][0] != '\0')
		(void)setenv("PATH", kept[0], 1);
	if (kept[1][0] != '\0')
		(void)setenv("ASAN_OPTIONS", kept[1], 1);
	for (size_t i = 0; i < conf->key_environ.n; i++) {
		char name[MM_CONF_ITEM_MAX];
		char *value;

		memcpy(name, conf->key_environ.item[i], sizeof(name));
		value = strchr(name, '=');
		if (value == NULL)
			continue;
		*value = '\0';
		(void)setenv(name, value + 1, 1);
	}
}

static enum mm_err
become(const struct mm_settings *set, pid_t parent, struct mm_why *why)
{
	const char *user = set->keeper_user[0] != '\0' ? set->keeper_user :
	    set->signer_user;

	signal(SIGINT, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	if (geteuid() == 0)
		MM_TRY(mm_sandbox_drop(user, set->keeper_group, why));
	MM_TRY(mm_sandbox_harden(0, why));
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != parent)
		return MM_FAIL(why, MM_ESYS, "its program has ended");
	return MM_OK;
}

struct keeping { /* an issuer, or a root, whose key is in a token */
	const struct mm_issuer_conf *conf;
	struct mm_guard *guard;
	uint8_t pin_id[32];
};

static _Noreturn void
be_keeper(const struct mm_config *c, const struct keeping *of,
    const struct pairs *p, pid_t parent)
{
	const struct mm_issuer_conf *conf = of->conf;
	struct mm_keeper k = { .conf = conf, .guard = of->guard };
	struct mm_why why = { 0 };

	set_environ(conf);
	if (keep_ends(p, &k, &why) != MM_OK ||
	    become(&c->set, parent, &why) != MM_OK) {
		fprintf(stderr, "mintmark-keeper: %s: %s\n", conf->name,
		    why.text);
		_exit(1);
	}
	(void)prctl(PR_SET_NAME, "mintmark-keeper");
	mm_keeper_run(&k);
	_exit(0);
}

/* ---- before the program ---- */

static enum mm_err
start(const struct mm_config *c, const struct keeping *of,
    struct mm_buf *keys, struct mm_why *why)
{
	struct pairs p;
	pid_t parent = getpid(), pid;

	MM_TRY(make_pairs(&p, why));
	pid = fork();
	if (pid < 0)
		return MM_FAIL(why, MM_ESYS, "fork: %s", strerror(errno));
	if (pid == 0)
		be_keeper(c, of, &p, parent);
	mm_buf_printf(keys, "%s%s=", keys->n > 0 ? "," : "", of->conf->name);
	for (size_t i = 0; i <= MM_HSM_SESSIONS; i++) {
		close(p.fd[i][1]);
		mm_buf_printf(keys, "%s%d", i > 0 ? ":" : "", p.fd[i][0]);
	}
	return MM_OK;
}

/* The guard of one before it, of the same token, or a new one. */
static enum mm_err
find_guard(struct keeping *all, size_t n, struct mm_why *why)
{
	struct keeping *of = &all[n];

	MM_TRY(mm_hsm_pin_id(of->conf, of->pin_id, why));
	for (size_t i = 0; i < n; i++)
		if (memcmp(all[i].pin_id, of->pin_id, 32) == 0) {
			of->guard = all[i].guard;
			return MM_OK;
		}
	return mm_guard_new(&of->guard, why);
}

/* false: that root's key is in no token. */
static bool
root_of(const struct words *w, const char *flag, const char *name,
    struct mm_issuer_conf *out)
{
	const char *key = value_of(w, flag), *v = value_of(w, "--root-pin-file");
	int at = 2;

	memset(out, 0, sizeof(*out));
	if (key == NULL ||
	    !mm_text_copy(out->key, sizeof(out->key), mm_bytes_of(key)) ||
	    !mm_issuer_in_token(out))
		return false;
	snprintf(out->name, sizeof(out->name), "%s", name);
	snprintf(out->pin_file, sizeof(out->pin_file), "%s", v ? v : "");
	while (out->key_environ.n < MM_CONF_LIST_MAX &&
	    (v = next_value(w, "--root-environ", &at)) != NULL)
		(void)!mm_text_copy(out->key_environ.item[out->key_environ.n++],
		    MM_CONF_ITEM_MAX, mm_bytes_of(v));
	return true;
}

/* Of a program that makes and uses roots; it answers for what it was told. */
static enum mm_err
start_roots(const struct mm_config *c, const struct words *w,
    struct keeping *all, size_t n, struct mm_buf *keys, struct mm_why *why)
{
	static const struct {
		const char *flag, *name;
	} roots[] = { { "--root-key", MM_HSM_ROOT },
		{ "--new-root-key", MM_HSM_NEW_ROOT } };
	struct mm_issuer_conf conf[2];

	for (size_t i = 0; i < 2; i++) {
		if (!root_of(w, roots[i].flag, roots[i].name, &conf[i]))
			continue;
		all[n] = (struct keeping){ .conf = &conf[i] };
		MM_TRY(find_guard(all, n, why));
		MM_TRY(start(c, &all[n++], keys, why));
	}
	return MM_OK;
}

/* A configuration that cannot be read is the program's to complain about. */
static enum mm_err
start_all(const struct words *w, struct mm_buf *keys, struct mm_why *why)
{
	MM_OWN(mm_config_free) struct mm_config *c = NULL;
	const char *config = value_of(w, "--config");
	struct keeping all[KEPT_MAX + 2];
	size_t n = 0;

	if (config == NULL || mm_config_load(config, &c, NULL) != MM_OK)
		return MM_OK;
	for (size_t i = 0; i < c->nissuer; i++) {
		if (!mm_issuer_in_token(&c->issuer[i]))
			continue;
		if (n == KEPT_MAX)
			return MM_FAIL(why, MM_ELIMIT, "more than %d keys in "
			    "tokens", KEPT_MAX);
		all[n] = (struct keeping){ .conf = &c->issuer[i] };
		MM_TRY(find_guard(all, n, why));
		MM_TRY(start(c, &all[n++], keys, why));
	}
	MM_TRY(start_roots(c, w, all, n, keys, why));
	return mm_buf_ok(keys, why);
}

static int
become_program(int argc, char **argv, struct mm_buf *keys)
{
	char **words = calloc((size_t)argc + 3, sizeof(*words));
	char flag[] = "--keys";
	int n = argc - 1;

	if (words == NULL)
		return 1;
	memcpy(words, argv + 1, sizeof(*words) * (size_t)n);
	if (keys->n > 0) {
		words[n++] = flag;
		words[n] = (char *)(uintptr_t)mm_buf_cstr(keys);
	}
	execv(words[0], words);
	fprintf(stderr, "mintmark-keeper: %s: %s\n", words[0],
	    strerror(errno));
	free(words);
	return 127;
}

int
main(int argc, char **argv)
{
	MM_OWN(mm_buf_done) struct mm_buf keys = MM_BUF_INIT(KEYS_MAX);
	struct mm_why why = { 0 };
	int rc;

	if (argc == 2 && strcmp(argv[1], "--version") == 0)
		return printf("mintmark-keeper %s\n", MM_VERSION) < 0;
	if (argc < 3 || argv[1][0] != '/') {
		fprintf(stderr, "usage: mintmark-keeper /PATH/OF/PROGRAM "
		    "COMMAND --config FILE ...\n");
		return mm_err_exit(MM_EINPUT);
	}
	if (start_all(&(struct words){ argc, argv }, &keys, &why) != MM_OK) {
		fprintf(stderr, "mintmark-keeper: %s\n", why.text);
		return mm_err_exit(why.code);
	}
	rc = become_program(argc, argv, &keys);
	return rc;
}
