#include <locale.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "pki/key.h"
#include "sandbox/sandbox.h"
#include "signer/run.h"
#include "signer/setup.h"

static enum mm_err
cmd_run(const struct mm_opts *o, struct mm_why *why)
{
	const struct mm_load_opts lo = { .config = o->config,
		.passphrase_fd = (int)o->passphrase_fd,
		.pulse_fd = (int)o->pulse_fd, .batch = o->batch,
		.keys = o->keys };
	struct mm_links links;

	if (o->links == NULL)
		return MM_FAIL(why, MM_EINPUT, "run: --links is missing");
	MM_TRY(mm_links_parse(o->links, &links, why));
	return mm_run(&lo, &links, why);
}

#define COMMON " config passphrase-fd keys "
#define ISSUER " issuer issuer-subject key-type "
#define ROOT   "root-key root-pin-file root-environ "
#define TLS    " tls-dns tls-ip tls-days "

static const struct {
	const char *name;
	mm_command_fn *run;
	const char *flags, *help;
} commands[] = {
	{ "run", cmd_run, COMMON "links pulse-fd batch ",
	    "serve the links (started by mintmarkd)" },
	{ "init", mm_cmd_init,
	    COMMON ISSUER TLS " root root-subject root-years "
	    ROOT "issuer-years request ",
	    "make keys, CAs and the journal, once" },
	{ "request", mm_cmd_request, COMMON ISSUER "out ",
	    "make an issuing CA's key and its request" },
	{ "install", mm_cmd_install, COMMON "issuer chain ",
	    "install the certificate that answers the request" },
	{ "issuer", mm_cmd_issuer, COMMON ISSUER "issuer-years " ROOT,
	    "make one more issuing CA below the own root" },
	{ "root", mm_cmd_root, COMMON "issuer root-subject root-years " ROOT
	    "new-root-key key-type chain ",
	    "another root in the place of --issuer's, and what joins both" },
	{ "root-crl", mm_cmd_root_crl, COMMON
	    "issuer root-years " ROOT "revoke reason ",
	    "the own root's revocation lists of the years to come" },
	{ "renew-tls", mm_cmd_renew_tls, COMMON TLS "issuer ",
	    "a new certificate for the TLS server" },
	{ "recover-admin", mm_cmd_recover_admin, COMMON "issuer out ",
	    "break the glass: an administrator's certificate, for an hour" },
	{ "check-key", mm_cmd_check_key, COMMON "issuer ",
	    "sign once with an issuer's key, and say what it is" },
	{ "token-key", mm_cmd_token_key, COMMON,
	    "a new version of the token master key" },
	{ "accept-clock", mm_cmd_accept_clock, " config yes keys ",
	    "go on after the clock was ahead and is right again" },
	{ "export-node", mm_cmd_export_node, COMMON "out ",
	    "what one more node's signer needs, sealed" },
	{ "join", mm_cmd_join, COMMON "from ",
	    "set this node's signer up from such a file" },
	{ "take-ledger", mm_cmd_take_ledger, COMMON "from ",
	    "put the ledger's key in its place, to sign checkpoints here" },
	{ "station-init", mm_cmd_station_init,
	    COMMON "station orders-key ",
	    "set a station's signer up, which works to the centre's orders" },
	{ "take-order", mm_cmd_take_order, COMMON,
	    "a station's: verify a work order on standard input, keep it" },
	{ "export-line", mm_cmd_export_line, COMMON "issuer recipient ",
	    "print a line CA with its key, sealed for a station's signer" },
	{ "ledger-key", mm_cmd_ledger_key, COMMON,
	    "print the ledger's verifier key" },
	{ "orders-key", mm_cmd_orders_key, COMMON,
	    "print the verifier key of work orders, for stations to pin" },
};
#define NCOMMANDS (sizeof(commands) / sizeof(commands[0]))

static int
usage(FILE *to, int status)
{
	fprintf(to, "usage: mintmark-signer COMMAND --config FILE ...\n\n");
	for (size_t i = 0; i < NCOMMANDS; i++)
		fprintf(to, "  %-13s %s\n", commands[i].name,
		    commands[i].help);
	return status;
}

static int
fail(const char *command, const struct mm_why *why, enum mm_err err)
{
	if (strcmp(command, "run") == 0)
		MM_LOG(MM_LOG_ERROR, "signer.failed", MM_S("why", why->text));
	else
		fprintf(stderr, "mintmark-signer: %s: %s\n", command,
		    why->text);
	return mm_err_exit(err);
}

int
main(int argc, char **argv)
{
	struct mm_why why = { 0 };
	struct mm_opts o;
	enum mm_err err;

	setlocale(LC_ALL, "C");
	mm_log_open("mintmark-signer", MM_LOG_INFO);
	if (argc == 2 && strcmp(argv[1], "--help") == 0)
		return usage(stdout, 0);
	if (argc == 2 && strcmp(argv[1], "--version") == 0)
		return printf("mintmark-signer %s\n", MM_VERSION) < 0;
	for (size_t i = 0; argc > 1 && i < NCOMMANDS; i++) {
		if (strcmp(argv[1], commands[i].name) != 0)
			continue;
		err = mm_opts_parse(argc - 1, argv + 1, commands[i].flags, &o,
		    &why);
		if (err == MM_OK && commands[i].run != cmd_run)
			err = mm_sandbox_harden(0, &why);
		if (err == MM_OK)
			err = mm_openssl_ready(&why);
		if (err == MM_OK)
			err = commands[i].run(&o, &why);
		return err == MM_OK ? 0 : fail(argv[1], &why, err);
	}
	return usage(stderr, mm_err_exit(MM_EINPUT));
}
