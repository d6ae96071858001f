#ifndef MM_CLI_ASK_H
#define MM_CLI_ASK_H

#include "base/secret.h"
#include "cli/cmd.h"

/*
 * What "init" needs to know: an option, else a question on the terminal, else
 * the preset (NULL: none).  Without a terminal a question that has no preset
 * is an error.  A person whose answer is not good is told why and asked again.
 */
struct mm_question {
	const char *opt, *text, *preset;
	char *out; /* the answer, with its end at most so long */
	size_t outn;
	/* Whether that is good; NULL: whatever it is. */
	enum mm_err (*check)(struct mm_cli *cli, const void *ctx,
	    struct mm_why *why);
	const void *ctx;
};
MM_MUST enum mm_err mm_ask(struct mm_cli *cli, const struct mm_args *a,
    const struct mm_question *q, struct mm_why *why);
/* --passphrase-fd, --passphrase-file or the terminal (twice when new); of:
 * what it opens.  MM_EINPUT: none of them is there. */
#define MM_OF_KEYS "the CA's keys"
MM_MUST enum mm_err mm_ask_passphrase(const struct mm_args *a,
    const char *of, bool new_one, struct mm_secret **out, struct mm_why *why);

/*
 * Runs a program of ours; the passphrase through a pipe (--passphrase-fd 3),
 * never in an argument.  Its standard output goes into *out, its standard
 * error to ours.  The program's exit status becomes the code.
 */
MM_MUST enum mm_err mm_run_program(const char *const argv[],
    const struct mm_secret *passphrase, struct mm_buf *out,
    struct mm_why *why);
/* Beside this program, else as configured: "mintmarkd", "mintmark-signer". */
MM_MUST enum mm_err mm_find_program(const char *name, char out[512],
    struct mm_why *why);

#endif
