#ifndef MM_CLI_CMD_H
#define MM_CLI_CMD_H

#include <stdbool.h>
#include <stdio.h>

#include <jansson.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/own.h"

/*
 * The command line is tables: mm_cmds[] and each command's options.
 * Dispatch, help, completion for bash and zsh, the man page and the CLI
 * reference are all printed from them, so they cannot disagree.
 *
 * A command reads its options by name, prints results on standard output and
 * returns a code; it never exits.  What went wrong goes into *why; what the
 * user could do about it, into mm_cli_hint.
 */

MM_FREE_FN(json_free, json_t, json_decref)

/* What an option's value is, for completion. */
enum mm_complete {
	MM_C_NONE, MM_C_FILE, MM_C_DIR,
	MM_C_PATH, /* a file or a folder */
	MM_C_DEVICE, MM_C_PRODUCT, MM_C_PROFILE,
	MM_C_TOKEN, MM_C_SERIAL, MM_C_ISSUER, MM_C_REASON, MM_C_WORDS
};

struct mm_opt {
	const char *name; /* without "--" */
	const char *arg;  /* "FILE"; NULL: a flag */
	const char *help;
	enum mm_complete complete;
	const char *words; /* MM_C_WORDS: space-separated */
};

#define MM_ARGS_MAX 32
struct mm_args {
	const struct mm_opt *opts;
	const char *value[MM_ARGS_MAX]; /* by option; "" for a flag */
	const char *pos[MM_ARGS_MAX];
	int npos;
};
/* The option's value, or NULL if it was not given. */
const char *mm_arg(const struct mm_args *a, const char *name);
bool mm_flag(const struct mm_args *a, const char *name);
/* A whole number in a range; preset where it was not given. */
MM_MUST enum mm_err mm_arg_int(const struct mm_args *a, const char *name,
    long preset, long min, long max, long *out, struct mm_why *why);

struct mm_client;
struct mm_own_cert;
struct mm_cli {
	bool json, quiet, tty; /* tty: standard error is one */
	const char *server, *ca, *key_file, *context;
	const char *cert, *cert_key; /* instead of a key file */
	const char *approval;
	struct mm_client *client; /* made at first use */
	struct mm_own_cert *own_cert; /* the same; NULL: an API key */
	int status; /* the exit status of a command that has not failed */
	bool unverified; /* failed, since what was checked does not hold */
	const char *code; /* of its failure; NULL: its error's */
	const char *beside; /* a configuration that may have a context */
	char hint[256];
	char request_id[33];      /* of the last answer that was a problem */
};
/* The exit status of a check that found a ledger, a receipt or records wrong;
 * other failures have mm_err_exit's. */
#define MM_CLI_EXIT_UNVERIFIED 9
/* Marks rc, unless it is of a kind that says nothing of what was checked. */
MM_MUST enum mm_err mm_cli_unverified(struct mm_cli *cli, enum mm_err rc);
/* Printed with a failure, below it. */
void mm_cli_hint(struct mm_cli *cli, const char *fmt, ...) MM_PRINTF(2);
/* Printed at once on standard error, for people: not with --json or --quiet. */
void mm_cli_note(const struct mm_cli *cli, const char *fmt, ...) MM_PRINTF(2);
/* The connection to mintmarkd's operators listener. */
MM_MUST enum mm_err mm_cli_client(struct mm_cli *cli, struct mm_client **out,
    struct mm_why *why);
/* Another one, which is the caller's. */
MM_MUST enum mm_err mm_cli_client_new(struct mm_cli *cli,
    struct mm_client **out, struct mm_why *why);

/* The trust anchor's file, by option or context; for who asks no server of
 * the operators'. */
MM_MUST enum mm_err mm_cli_anchor(struct mm_cli *cli, char out[512],
    struct mm_why *why);

typedef enum mm_err mm_cmd_fn(struct mm_cli *cli, const struct mm_args *a,
    struct mm_why *why);

struct mm_cmd {
	const char *noun, *verb; /* verb NULL: the noun alone is the command */
	const char *pos;         /* "DEVICE", "[FILE]", "" */
	int npos_min, npos_max;
	const char *does;        /* one line, no full stop */
	const char *detail;      /* for the man page; NULL none */
	const struct mm_opt *opts; /* ended by a NULL name; NULL none */
	enum mm_complete complete; /* of the positional arguments */
	mm_cmd_fn *run;
};
extern const struct mm_cmd mm_cmds[];
extern const size_t mm_ncmds;
extern const struct mm_opt mm_global_opts[];

/* opts.c: splits what follows "noun verb"; MM_EINPUT with what is wrong. */
MM_MUST enum mm_err mm_args_parse(const struct mm_cmd *cmd, int argc,
    char *argv[], struct mm_args *out, struct mm_why *why);

/* help.c: --help, in lines that fit the terminal (80 columns if f is none). */
void mm_print_usage(FILE *f);
void mm_print_command(FILE *f, const struct mm_cmd *cmd);
void mm_print_noun(FILE *f, const char *noun);
int mm_term_width(FILE *f);

/* print.c: everything else that is printed from the tables. */
void mm_print_synopsis(FILE *f, const struct mm_cmd *cmd);
/* "make a token" as "Make a token." */
void mm_sentence(const char *does, char *out, size_t n);
void mm_print_bash(FILE *f);
void mm_print_zsh(FILE *f);
void mm_print_man(FILE *f);
void mm_print_reference(FILE *f); /* Markdown */
void mm_print_problems(FILE *f);  /* problems.c */

/* table.c: rows for people.  Columns are "title\0json member". */
struct mm_column {
	const char *title, *member;
};
#define MM_COLUMNS_MAX 12
struct mm_table {
	const struct mm_column *c;
	size_t nc;
	size_t width[MM_COLUMNS_MAX];
	bool begun; /* the titles are printed, and the widths fixed */
};
/* Rows of a JSON array of objects, in columns that fit the first ones. */
void mm_table_rows(struct mm_table *t, json_t *items);
/* One JSON array of objects as an aligned table. */
void mm_table_print(const struct mm_column *c, size_t nc, json_t *items);
/* One object as "key: value" lines; multi-line texts (PEM) follow at the end. */
void mm_object_print(json_t *object);
/* On standard output, indented and with a line's end. */
void mm_json_print(json_t *value);
/* The same by jansson's flags, without.  A terminal gets no orders. */
void mm_json_dump(FILE *f, json_t *value, size_t flags);
/*
 * What came from elsewhere, for a terminal, which takes orders: a control
 * character (C0 but line ends and tabs, DEL, C1) is printed as \\xNN, and so is
 * a byte that is not UTF-8.
 */
void mm_text_put(FILE *f, const char *text);
/* The word for so many of a thing. */
const char *mm_counted(unsigned long long n, const char *one,
    const char *more);
/* The same for JSON as it came, which stays JSON: \\u009b, and \\ufffd for
 * what is not UTF-8. */
void mm_json_put(FILE *f, struct mm_bytes json);
/* The same in place, where a line end is none of ours either: '?' each. */
void mm_text_plain(char *text);
/* The same for every text in v, depth levels down. */
void mm_json_plain(json_t *v, int depth);

/* progress.c: one line on standard error, redrawn at most 10 times a second,
 * only on a terminal and only after a second; "total 0" is unknown. */
struct mm_progress {
	const char *what;
	unsigned long long done, total;
	long long began_ms, drawn_ms;
	int shown; /* characters in the line */
	bool on, drawn;
};
void mm_progress_begin(struct mm_progress *p, const struct mm_cli *cli,
    const char *what, unsigned long long total);
void mm_progress_step(struct mm_progress *p, unsigned long long done);
void mm_progress_end(struct mm_progress *p);

#endif
