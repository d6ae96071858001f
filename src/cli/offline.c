#include <string.h>

#include "base/own.h"
#include "cli/ask.h"
#include "cli/commands.h"
#include "cli/rollover.h"

/*
 * What is done at the CA's own machine, without a running server: each
 * command runs mintmark-signer, which journals whatever it signs.
 */
#define END { NULL, NULL, NULL, MM_C_NONE, NULL }
#define OFFLINE                                                            \
	{ "config", "FILE", "mintmark.conf (default "                      \
	    "/etc/mintmark/mintmark.conf)", MM_C_FILE, NULL },             \
	{ "passphrase-file", "FILE", "its first line opens the keys",      \
	    MM_C_FILE, NULL },                                             \
	{ "passphrase-fd", "N", "read the passphrase from this "           \
	    "descriptor", MM_C_NONE, NULL }
#define KEY_TYPE                                                           \
	{ "key-type", "TYPE", "default p256", MM_C_WORDS,                  \
	    "p256 p384 ed25519 rsa2048 rsa3072 rsa4096" }

const struct mm_opt mm_opts_ca_request[] = {
	OFFLINE, KEY_TYPE,
	{ "out", "FILE", "where the request goes (required)", MM_C_FILE,
	    NULL },
	END
};
const struct mm_opt mm_opts_ca_install[] = {
	OFFLINE,
	{ "chain", "FILE", "PEM: the issuer's certificate, then up to the "
	    "root (required)", MM_C_FILE, NULL },
	END
};
#define ROOT_TOKEN \
	{ "root-pin-file", "FILE", "first line is the PIN of the root's token " \
	    "(else it is the passphrase)", MM_C_FILE, NULL }, \
	{ "root-environ", "NAME=VALUE", "the environment of that token's " \
	    "module", MM_C_NONE, NULL }
const struct mm_opt mm_opts_ca_issuer[] = {
	OFFLINE, KEY_TYPE,
	{ "root-key", "KEY", "the root's sealed key, if it was moved away, "
	    "or pkcs11:... of its token", MM_C_FILE, NULL },
	ROOT_TOKEN,
	{ "issuer-years", "N", "its lifetime (default 15)", MM_C_NONE, NULL },
	END
};
const struct mm_opt mm_opts_ca_check_key[] = { OFFLINE, END };
const struct mm_opt mm_opts_ca_rollover[] = {
	OFFLINE, KEY_TYPE,
	{ "name", "NAME", "of the new issuer (default: the old one's, with -2)",
	    MM_C_NONE, NULL },
	{ "from", "TIME", "when it takes over, 2027-01-01T00:00:00Z, or now: "
	    "at the next start (required)", MM_C_NONE, NULL },
	{ "pull", "TIME", "after an incident, with --from now: devices renew "
	    "what the old one issued within that time, 3d", MM_C_NONE, NULL },
	{ "key", "URI", "where its key is, or is made: "
	    "pkcs11:token=...;object=... (RFC 7512), or a file's path (default: "
	    "where the old one's is)", MM_C_NONE, NULL },
	{ "pin-file", "FILE", "first line is that token's PIN (else it is the "
	    "passphrase); keeper_user reads it, else the signer's user",
	    MM_C_FILE, NULL },
	{ "key-environ", "NAME=VALUE", "the environment of that token's "
	    "module", MM_C_NONE, NULL },
	{ "root-key", "KEY", "the root's sealed key, if it was moved away, "
	    "or pkcs11:... of its token", MM_C_FILE, NULL },
	ROOT_TOKEN,
	{ "certificate", "FILE", "ISSUER is an existing CA: PEM of its "
	    "next certificate, up to its root; it is asked as before",
	    MM_C_FILE, NULL },
	{ "issuer-years", "N", "its lifetime (default 15)", MM_C_NONE, NULL },
	{ "out", "FILE", "the root is elsewhere: make a request for it, and "
	    "nothing else yet", MM_C_FILE, NULL },
	{ "chain", "FILE", "the root is elsewhere: PEM of what it answered, up "
	    "to the root", MM_C_FILE, NULL },
	{ "dry-run", NULL, "say what would happen, do nothing", MM_C_NONE,
	    NULL },
	END
};
const struct mm_opt mm_opts_ca_root[] = {
	OFFLINE, KEY_TYPE,
	{ "name", "NAME", "of the new root's files (default: root-2, and so "
	    "on)", MM_C_NONE, NULL },
	{ "root-key", "KEY", "the old root's sealed key, if it was moved "
	    "away, or pkcs11:... of its token", MM_C_FILE, NULL },
	{ "new-root-key", "KEY", "where the new root's sealed key goes "
	    "(default: into the signer's folder), or pkcs11:...: it is made "
	    "in that token", MM_C_FILE, NULL },
	ROOT_TOKEN,
	{ "root-years", "N", "the new root's lifetime, 0 for ever (default "
	    "30)", MM_C_NONE, NULL },
	{ "chain", "FILE", "the roots are elsewhere: PEM of the new root, "
	    "NewWithOld and OldWithNew, as their people made them",
	    MM_C_FILE, NULL },
	{ "dry-run", NULL, "say what would happen, do nothing", MM_C_NONE,
	    NULL },
	END
};
const struct mm_opt mm_opts_ca_root_crl[] = {
	OFFLINE,
	{ "root-key", "KEY", "the root's sealed key, if it was moved away, "
	    "or pkcs11:... of its token", MM_C_FILE, NULL },
	ROOT_TOKEN,
	{ "root-years", "N", "so many lists, at most 100 and as long as it "
	    "lives (default 30)", MM_C_NONE, NULL },
	{ "revoke", "FILE", "PEM of a CA certificate that the root revokes "
	    "first; the lists that are there are replaced", MM_C_FILE, NULL },
	{ "reason", "REASON", "of that (default cACompromise)", MM_C_WORDS,
	    "cACompromise superseded cessationOfOperation "
	    "affiliationChanged" },
	END
};
const struct mm_opt mm_opts_ca_renew_tls[] = {
	OFFLINE,
	{ "tls-dns", "NAME", "a name instead of those it has", MM_C_NONE,
	    NULL },
	{ "tls-ip", "ADDRESS", "an address instead of those it has",
	    MM_C_NONE, NULL },
	{ "tls-days", "N", "its lifetime (default 397)", MM_C_NONE, NULL },
	END
};

/* Options that go to the signer under the same name, as they are. */
static const char *const passed[] = {
	"key-type", "out", "chain", "root-key", "issuer-years", "tls-dns",
	"tls-ip", "tls-days", "root-years", "revoke", "reason", "new-root-key",
	"root-pin-file", "root-environ",
};

static const char *
known(const struct mm_args *a, const char *name)
{
	for (size_t i = 0; a->opts[i].name != NULL; i++)
		if (strcmp(a->opts[i].name, name) == 0)
			return a->value[i];
	return NULL;
}

/* see rollover.h */
enum mm_err
mm_offline_run(const struct mm_args *a, const char *verb, const char *config,
    const char *issuer, struct mm_buf *out, struct mm_why *why)
{
	MM_OWN(mm_secret_free) struct mm_secret *pass = NULL;
	const char *argv[40];
	char flags[sizeof(passed) / sizeof(passed[0])][24];
	char program[512], keeper[512];
	size_t n = 0;

	MM_TRY(mm_find_program("mintmark-signer", program, why));
	MM_TRY(mm_find_program("mintmark-keeper", keeper, why));
	MM_TRY(mm_ask_passphrase(a, MM_OF_KEYS, false, &pass, why));
	argv[n++] = keeper; /* of keys in tokens; becomes the signer */
	argv[n++] = program;
	argv[n++] = verb;
	argv[n++] = "--config";
	argv[n++] = config;
	argv[n++] = "--passphrase-fd";
	argv[n++] = "3";
	if (issuer != NULL) {
		argv[n++] = "--issuer";
		argv[n++] = issuer;
	}
	for (size_t i = 0; i < sizeof(passed) / sizeof(passed[0]); i++)
		if (known(a, passed[i]) != NULL) {
			snprintf(flags[i], sizeof(flags[i]), "--%s", passed[i]);
			argv[n++] = flags[i];
			argv[n++] = known(a, passed[i]);
		}
	argv[n] = NULL;
	return mm_run_program(argv, pass, out, why);
}

static enum mm_err
run(struct mm_cli *cli, const struct mm_args *a, const char *verb,
    const char *needs, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf out = MM_BUF_INIT(1 << 20);
	const char *config = mm_arg(a, "config");

	(void)cli;
	if (needs != NULL && mm_arg(a, needs) == NULL)
		return MM_FAIL(why, MM_EINPUT, "missing --%s", needs);
	MM_TRY(mm_offline_run(a, verb, config ? config :
	    MM_CONF_AT, a->npos > 0 ? a->pos[0] : NULL,
	    &out, why));
	fwrite(out.p, 1, out.n, stdout);
	return MM_OK;
}

enum mm_err
mm_cmd_ca_request(struct mm_cli *cli, const struct mm_args *a,
    struct mm_why *why)
{
	return run(cli, a, "request", "out", why);
}

enum mm_err
mm_cmd_ca_install(struct mm_cli *cli, const struct mm_args *a,
    struct mm_why *why)
{
	return run(cli, a, "install", "chain", why);
}

enum mm_err
mm_cmd_ca_issuer(struct mm_cli *cli, const struct mm_args *a,
    struct mm_why *why)
{
	return run(cli, a, "issuer", NULL, why);
}

enum mm_err
mm_cmd_ca_check_key(struct mm_cli *cli, const struct mm_args *a,
    struct mm_why *why)
{
	return run(cli, a, "check-key", NULL, why);
}

enum mm_err
mm_cmd_ca_renew_tls(struct mm_cli *cli, const struct mm_args *a,
    struct mm_why *why)
{
	return run(cli, a, "renew-tls", NULL, why);
}

enum mm_err
mm_cmd_ca_root_crl(struct mm_cli *cli, const struct mm_args *a,
    struct mm_why *why)
{
	return run(cli, a, "root-crl", NULL, why);
}
