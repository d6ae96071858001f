#include <string.h>

#include "station/args.h"
#include "station/conf.h"
#include "station/unit.h"
#include "station/web.h"

/* What is printed from the tables. */

static const struct {
	int status;
	const char *what;
} exits[] = {
	{ MM_EXIT_PASSED, "passed" },
	{ MM_EXIT_STATION, "the station itself failed: stop the line" },
	{ 2, "wrong usage, or a malformed configuration" },
	{ MM_EXIT_REFUSED, "refused: this serial may not be made here" },
	{ 4, "a file is not there" },
	{ 5, "another station program has the journal" },
	{ MM_EXIT_LATER, "the same again will do: it goes on where it was" },
	{ MM_EXIT_BOARD, "the board, its cable, its fixture" },
	{ MM_EXIT_SWAPPED, "another board than the label says" },
	{ MM_EXIT_SUPERVISOR, "put aside: a supervisor must look at it" },
	{ 70, "a bug" },
};
#define NEXITS (sizeof(exits) / sizeof(exits[0]))

static void
entry(FILE *f, const char *name, const char *arg, const char *text)
{
	fprintf(f, "  %s%s%s\n        %s\n", name, arg != NULL ? " " : "",
	    arg != NULL ? arg : "", text);
}

/* see args.h */
void
mm_station_usage(FILE *f)
{
	fputs("usage: mintmark-station COMMAND [OPTIONS]\n\n", f);
	for (size_t i = 0; i < mm_station_ncommands; i++)
		entry(f, mm_station_commands[i].name, NULL,
		    mm_station_commands[i].does);
	fputs("\noptions\n", f);
	for (size_t i = 0; i < mm_station_noptions; i++)
		entry(f, mm_station_options[i].name,
		    mm_station_options[i].arg, mm_station_options[i].help);
	fputs("  --help, --version\n\nexit status\n", f);
	for (size_t i = 0; i < NEXITS; i++)
		fprintf(f, "  %2d  %s\n", exits[i].status, exits[i].what);
}

/* mdoc takes a "-" as a hyphen; options have minus signs. */
static void
put_flag(FILE *f, const char *name)
{
	for (; *name != '\0'; name++) {
		if (*name == '-')
			fputs("\\-", f);
		else
			fputc(*name, f);
	}
}

/* see args.h */
void
mm_station_man(FILE *f)
{
	fputs(".Dd November 29, 2026\n.Dt MINTMARK-STATION 1\n.Os\n.Sh NAME\n"
	    ".Nm mintmark-station\n.Nd make devices at a production line\n"
	    ".Sh SYNOPSIS\n.Nm\n.Ar command\n.Op Ar options\n"
	    ".Sh DESCRIPTION\n"
	    "Takes devices from blank to locked: each makes its own key, the "
	    "centre certifies\nit, the device proves it, and a birth record "
	    "is kept.\nA unit that was interrupted, at whatever moment, goes "
	    "on where it was when its\nlabel is scanned again.\n"
	    ".Bl -tag -width Ds\n", f);
	for (size_t i = 0; i < mm_station_ncommands; i++)
		fprintf(f, ".It Cm %s\n%s\n", mm_station_commands[i].name,
		    mm_station_commands[i].does);
	fputs(".El\n.Pp\nOptions:\n.Bl -tag -width Ds\n", f);
	for (size_t i = 0; i < mm_station_noptions; i++) {
		const struct mm_station_option *o = &mm_station_options[i];

		fputs(".It Sy ", f);
		put_flag(f, o->name);
		if (o->arg != NULL)
			fprintf(f, " Ar %s", o->arg);
		fprintf(f, "\n%s\n", o->help);
	}
	fputs(".El\n.Sh FILES\n.Bl -tag -width Ds\n"
	    ".It Pa " MM_STATION_CONFIG "\n"
	    "fixtures, centre, credential; docs/reference/station.md has its "
	    "keys\n.El\n.Sh EXIT STATUS\n.Bl -tag -width Ds\n", f);
	for (size_t i = 0; i < NEXITS; i++)
		fprintf(f, ".It %d\n%s\n", exits[i].status, exits[i].what);
	fputs(".El\n.Sh SEE ALSO\n.Xr mintmark 1 ,\n.Xr mintmarkd 8\n", f);
}

/* see args.h */
void
mm_station_bash(FILE *f)
{
	fputs("# bash completion for mintmark-station; made by "
	    "\"mintmark-station completion\"\n_mintmark_station() {\n"
	    "\tlocal word=${COMP_WORDS[COMP_CWORD]}\n"
	    "\tlocal before=${COMP_WORDS[COMP_CWORD-1]} command= w=\n\n"
	    "\tfor w in \"${COMP_WORDS[@]:1:COMP_CWORD-1}\"; do\n"
	    "\t\tcase $w in ", f);
	for (size_t i = 0; i < mm_station_ncommands; i++)
		fprintf(f, "%s%s", i > 0 ? "|" : "",
		    mm_station_commands[i].name);
	fputs(") command=$w ;; esac\n\tdone\n\tcase $before in\n"
	    "\t--config) COMPREPLY=($(compgen -f -- \"$word\")); return ;;\n"
	    "\t--serial|--fixture|--name) COMPREPLY=(); return ;;\n\tesac\n"
	    "\tcase $command in\n", f);
	for (size_t i = 0; i < mm_station_ncommands; i++) {
		fprintf(f, "\t%s) w='", mm_station_commands[i].name);
		for (size_t j = 0; j < mm_station_noptions; j++)
			if ((mm_station_options[j].commands & (1U << i)) != 0)
				fprintf(f, "%s ", mm_station_options[j].name);
		fputs("' ;;\n", f);
	}
	fputs("\t*) w='", f);
	for (size_t i = 0; i < mm_station_ncommands; i++)
		fprintf(f, "%s ", mm_station_commands[i].name);
	fputs("--help --version' ;;\n\tesac\n"
	    "\tCOMPREPLY=($(compgen -W \"$w\" -- \"$word\"))\n}\n"
	    "complete -F _mintmark_station mintmark-station\n", f);
}

static void
put_configuration(FILE *f)
{
	struct mm_buf page = MM_BUF_INIT(1 << 20);
	const char *text;

	mm_station_conf_reference(&page);
	text = mm_buf_cstr(&page);
	fputs(text != NULL ? text : "", f);
	mm_buf_done(&page);
}

/* see args.h */
void
mm_station_reference(FILE *f)
{
	fputs("# Station reference\n\nMade by `mintmark-station reference`; "
	    "do not edit.\n\n## Exit status\n\n| status | means |\n|---|---|\n",
	    f);
	for (size_t i = 0; i < NEXITS; i++)
		fprintf(f, "| %d | %s |\n", exits[i].status, exits[i].what);
	fputs("\n## Reasons\n\nWhy a unit did not pass. The code never "
	    "changes its meaning.\n\n| code | exit | on the screen | what to "
	    "do |\n|---|---|---|---|\n", f);
	for (size_t i = 1; i < MM_UNIT_REASONS; i++)
		fprintf(f, "| `%s` | %d | %s | %s |\n",
		    mm_unit_reasons[i].code, mm_unit_reasons[i].exit,
		    mm_unit_reasons[i].what, mm_unit_reasons[i].todo);
	fputs("\n## States\n\nWhat a row of the journal says of a unit, and "
	    "what is being done then.\n\n| state | doing | row is on the disk "
	    "before it |\n|---|---|---|\n", f);
	for (unsigned i = 1; i < MM_UNIT_STATES; i++)
		fprintf(f, "| %s | %s | %s |\n", mm_unit_state_names[i],
		    mm_unit_effect_names[mm_unit_effect(
		    (enum mm_unit_state)i)], mm_unit_syncs(
		    (enum mm_unit_state)i) ? "yes" : "");
	fputs("\n## API\n\n[line.md](../line.md#from-a-test-program) says how "
	    "it is reached.\n\n", f);
	mm_web_reference(f);
	fputs("\n## Configuration\n\n", f);
	put_configuration(f);
}
