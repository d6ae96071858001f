#ifndef MM_STATION_ARGS_H
#define MM_STATION_ARGS_H

#include <stdbool.h>
#include <stdio.h>

#include "base/err.h"

/*
 * The command line, from tables: parser, help, manual page, completion and
 * reference are all printed from them, so they cannot disagree.
 */
#define MM_STATION_CONFIG "/etc/mintmark/station.conf"

struct mm_station_args {
	const char *command; /* a row of mm_station_commands; help, version */
	const char *operator_badge, *supervisor_badge, *reason;
	const char *config, *serial, *fixture, *order, *out, *name;
	const char *mirror, *times, *from;
	bool json, accept_clock, once, remove, tty, over;
};

struct mm_station_option {
	const char *name, *arg; /* arg NULL: a flag */
	const char *help;
	size_t at;              /* in the struct above */
	unsigned commands;      /* bits, in the commands' order */
};
struct mm_station_command {
	const char *name;
	const char *does;
};
extern const struct mm_station_command mm_station_commands[];
extern const size_t mm_station_ncommands;
extern const struct mm_station_option mm_station_options[];
extern const size_t mm_station_noptions;

/* MM_EINPUT says what is wrong; of what failed only out->json is written. */
MM_MUST enum mm_err mm_station_args_parse(int argc, char **argv,
    struct mm_station_args *out, struct mm_why *why);

/* pages.c */
void mm_station_usage(FILE *f);
void mm_station_man(FILE *f);
void mm_station_bash(FILE *f);
void mm_station_reference(FILE *f); /* Markdown */

#endif
