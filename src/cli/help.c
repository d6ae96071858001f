#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cli/commands.h"

/* --help, in lines that fit the terminal. */

enum { LEFT = 31, USUAL = 80, LEAST = 40, MOST = 100 };

/* see cmd.h */
int
mm_term_width(FILE *f)
{
	struct winsize w;

	if (!isatty(fileno(f)))
		return USUAL;
	if (ioctl(fileno(f), TIOCGWINSZ, &w) != 0 || w.ws_col == 0)
		return USUAL;
	return w.ws_col < LEAST ? LEAST : w.ws_col > MOST ? MOST : w.ws_col;
}

/* Words from column at on; what does not fit goes on at column indent.  Two
 * spaces between sentences stay one. */
static void
fill(FILE *f, const char *text, int at, int indent)
{
	int width = mm_term_width(f);
	bool first = true;

	for (text += strspn(text, " "); *text != '\0';
	     text += strspn(text, " ")) {
		int n = (int)strcspn(text, " ");

		if (!first && at + 1 + n >= width) {
			fprintf(f, "\n%*s", indent, "");
			at = indent;
			first = true;
		}
		fprintf(f, "%s%.*s", first ? "" : " ", n, text);
		at += n + !first;
		first = false;
		text += n;
	}
	fputc('\n', f);
}

/* A name and what it is; a long name has a line of its own. */
static void
entry(FILE *f, const char *name, const char *text)
{
	int n = (int)strlen(name);

	fprintf(f, "  %s", name);
	if (n + 3 > LEFT)
		fprintf(f, "\n%*s", LEFT, "");
	else
		fprintf(f, "%*s", LEFT - 2 - n, "");
	fill(f, text, LEFT, LEFT);
}

static void
row(FILE *f, const struct mm_cmd *c)
{
	char name[64];

	snprintf(name, sizeof(name), "%s%s%s%s%s", c->noun, c->verb ? " " : "",
	    c->verb ? c->verb : "", c->pos[0] ? " " : "", c->pos);
	entry(f, name, c->does);
}

static void
options(FILE *f, const struct mm_opt *o)
{
	char name[64];

	for (; o != NULL && o->name != NULL; o++) {
		snprintf(name, sizeof(name), "--%s%s%s", o->name,
		    o->arg ? " " : "", o->arg ? o->arg : "");
		entry(f, name, o->help);
	}
}

/* see cmd.h */
void
mm_print_usage(FILE *f)
{
	const char *noun = "";

	fputs("usage: mintmark [GLOBAL OPTIONS] NOUN [VERB] [OPTIONS] "
	      "[ARGS]\n",
	    f);
	for (size_t i = 0; i < mm_ncmds; i++) {
		if (strcmp(noun, mm_cmds[i].noun) != 0 &&
		    mm_cmds[i].verb != NULL)
			fputc('\n', f);
		noun = mm_cmds[i].noun;
		row(f, &mm_cmds[i]);
	}
	fputs("\nglobal options\n", f);
	options(f, mm_global_opts);
	fputc('\n', f);
	fill(f,
	    "\"mintmark NOUN VERB --help\" tells more; man mintmark(1) "
	    "tells all.",
	    0, 0);
}

/* see cmd.h */
void
mm_print_noun(FILE *f, const char *noun)
{
	fprintf(f, "usage: mintmark %s VERB [OPTIONS] [ARGS]\n\n", noun);
	for (size_t i = 0; i < mm_ncmds; i++)
		if (strcmp(mm_cmds[i].noun, noun) == 0)
			row(f, &mm_cmds[i]);
}

/* see cmd.h */
void
mm_print_command(FILE *f, const struct mm_cmd *c)
{
	char text[128];

	fputs("usage: ", f);
	mm_print_synopsis(f, c);
	fputs("\n\n", f);
	mm_sentence(c->does, text, sizeof(text));
	fill(f, text, 0, 0);
	if (c->detail != NULL)
		fill(f, c->detail, 0, 0);
	if (c->opts != NULL && c->opts[0].name != NULL) {
		fputs("\noptions\n", f);
		options(f, c->opts);
	}
}
