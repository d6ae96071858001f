#include <string.h>

#include "cli/commands.h"

/* Completion, manual page and reference: all from the tables. */

/* see cmd.h */
void
mm_print_synopsis(FILE *f, const struct mm_cmd *c)
{
	fprintf(f, "mintmark %s", c->noun);
	if (c->verb != NULL)
		fprintf(f, " %s", c->verb);
	if (c->opts != NULL && c->opts[0].name != NULL)
		fputs(" [OPTIONS]", f);
	if (c->pos[0] != '\0')
		fprintf(f, " %s", c->pos);
}

/* see cmd.h */
void
mm_sentence(const char *does, char *out, size_t n)
{
	snprintf(out, n, "%s.", does);
	if (out[0] >= 'a' && out[0] <= 'z')
		out[0] = (char)(out[0] - 'a' + 'A');
}

/* ---- completion ---- */

static const char *const kinds[] = {
	[MM_C_NONE] = "", [MM_C_FILE] = "@file", [MM_C_DIR] = "@dir",
	[MM_C_PATH] = "@file",
	[MM_C_DEVICE] = "device", [MM_C_PRODUCT] = "product",
	[MM_C_PROFILE] = "profile", [MM_C_TOKEN] = "token",
	[MM_C_SERIAL] = "serial", [MM_C_ISSUER] = "issuer",
	[MM_C_REASON] = "reason", [MM_C_WORDS] = "",
};

static void
nouns(FILE *f)
{
	for (size_t i = 0; i < mm_ncmds; i++)
		if (i == 0 || strcmp(mm_cmds[i].noun, mm_cmds[i - 1].noun))
			fprintf(f, "%s%s", i ? " " : "", mm_cmds[i].noun);
}

static void
verbs(FILE *f, const char *noun)
{
	for (size_t i = 0; i < mm_ncmds; i++)
		if (strcmp(mm_cmds[i].noun, noun) == 0 && mm_cmds[i].verb)
			fprintf(f, "%s ", mm_cmds[i].verb);
}

static void
flags(FILE *f, const struct mm_opt *o)
{
	for (; o != NULL && o->name != NULL; o++)
		fprintf(f, "--%s ", o->name);
}

/* "head --opt) words;;" rows for what an option's value can be. */
static void
values(FILE *f, const char *head, const struct mm_opt *o)
{
	for (; o != NULL && o->name != NULL; o++)
		if (o->words != NULL)
			fprintf(f, "\t%s--%s') words='%s' ;;\n", head, o->name,
			    o->words);
		else if (o->complete != MM_C_NONE)
			fprintf(f, "\t%s--%s') kind='%s' ;;\n", head, o->name,
			    kinds[o->complete]);
		else if (o->arg != NULL)
			fprintf(f, "\t%s--%s') words=' ' ;;\n", head, o->name);
}

/* Global options stand anywhere; a command's own are looked for first. */
static void
all_values(FILE *f)
{
	char head[64];

	fputs("\tcase \"$noun $verb $prev\" in\n", f);
	for (size_t i = 0; i < mm_ncmds; i++) {
		snprintf(head, sizeof(head), "'%s %s ", mm_cmds[i].noun,
		    mm_cmds[i].verb ? mm_cmds[i].verb : "");
		values(f, head, mm_cmds[i].opts);
	}
	fputs("\tesac\n\t[ -n \"$words$kind\" ] || case \"$prev\" in\n",
	    f);
	values(f, "'", mm_global_opts);
	fputs("\tesac\n", f);
}

/* The part that both shells share: sets words or kind from noun, verb, prev. */
static void
body(FILE *f)
{
	all_values(f);
	fputs("\t[ -n \"$words$kind\" ] || case \"$noun\" in\n"
	      "\t'') words='--help --version ", f);
	flags(f, mm_global_opts);
	nouns(f);
	fputs("' ;;\n\tesac\n\t[ -n \"$words$kind\" ] || "
	      "case \"$noun $verb\" in\n", f);
	for (size_t i = 0; i < mm_ncmds; i++) {
		const struct mm_cmd *c = &mm_cmds[i];

		fprintf(f, "\t'%s %s') words='--help ", c->noun,
		    c->verb ? c->verb : "");
		flags(f, c->opts);
		fprintf(f, "'; kind='%s' ;;\n", kinds[c->complete]);
	}
	for (size_t i = 0; i < mm_ncmds; i++)
		if (mm_cmds[i].verb != NULL &&
		    (i == 0 || strcmp(mm_cmds[i].noun, mm_cmds[i - 1].noun))) {
			fprintf(f, "\t'%s ') words='", mm_cmds[i].noun);
			verbs(f, mm_cmds[i].noun);
			fputs("' ;;\n", f);
		}
	fputs("\tesac\n"
	      "\tcase \"$kind\" in\n"
	      "\t''|@*) ;;\n"
	      "\t*) words=\"$words $(mintmark --quiet complete \"$kind\" "
	      "2>/dev/null)\" ;;\n"
	      "\tesac\n", f);
}

/*
 * The part that both shells share: from line, n and i (the first word after
 * the program's) to noun, verb and prev, then to words or kind.
 */
static void
scan(FILE *f)
{
	fputs("\twhile [ $i -lt $n ]; do\n"
	      "\t\tw=${line[i]}; prev=$w\n"
	      "\t\tcase \"$w\" in\n"
	      "\t\t", f);
	for (const struct mm_opt *o = mm_global_opts; o->name != NULL; o++)
		if (o->arg != NULL)
			fprintf(f, "--%s|", o->name);
	fputs("--) i=$((i+1)); [ $i -ge $n ] || prev= ;;\n"
	      "\t\t-*) ;;\n"
	      "\t\t*) if [ -z \"$noun\" ]; then noun=$w; "
	      "elif [ -z \"$verb\" ]; then verb=$w; fi ;;\n"
	      "\t\tesac\n"
	      "\t\ti=$((i+1))\n"
	      "\tdone\n"
	      "\tcase \" ", f);
	for (size_t i = 0; i < mm_ncmds; i++)
		if (mm_cmds[i].verb == NULL)
			fprintf(f, "%s ", mm_cmds[i].noun);
	fputs("\" in *\" $noun \"*) verb= ;; esac\n", f);
	body(f);
}

/* see cmd.h */
void
mm_print_bash(FILE *f)
{
	fputs("# bash completion for mintmark(1); made by "
	      "\"mintmark completion bash\"\n"
	      "_mintmark() {\n"
	      "\tlocal cur=${COMP_WORDS[COMP_CWORD]} n=0 i=1\n"
	      "\tlocal noun= verb= prev= words= kind= w glue=\n"
	      "\tlocal -a line=()\n"
	      "\tCOMPREPLY=()\n"
	      "\t# bash breaks a word at : and =, https://host for one\n"
	      "\tfor w in \"${COMP_WORDS[@]:0:COMP_CWORD+1}\"; do\n"
	      "\t\tcase \"$glue$w\" in\n"
	      "\t\t[:=]*) line[n-1]+=$w ;;\n"
	      "\t\t*) line[n]=$w; n=$((n+1)) ;;\n"
	      "\t\tesac\n"
	      "\t\tcase \"$w\" in *[:=]) glue=: ;; *) glue= ;; esac\n"
	      "\tdone\n"
	      "\tn=$((n-1))\n", f);
	scan(f);
	fputs("\tCOMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n"
	      "\tcase \"$kind\" in\n"
	      "\t@file) COMPREPLY+=($(compgen -f -- \"$cur\")) ;;\n"
	      "\t@dir) COMPREPLY+=($(compgen -d -- \"$cur\")) ;;\n"
	      "\tesac\n"
	      "}\n"
	      "complete -F _mintmark mintmark\n", f);
}

/* see cmd.h */
void
mm_print_zsh(FILE *f)
{
	fputs("#compdef mintmark\n"
	      "# zsh completion for mintmark(1); made by "
	      "\"mintmark completion zsh\"\n"
	      "_mintmark() {\n"
	      "\tlocal -a line=(\"${words[@]}\")\n"
	      "\tlocal n=$CURRENT i=2 noun= verb= prev= words= kind= w\n", f);
	scan(f);
	fputs("\tcompadd -- ${=words}\n"
	      "\tcase \"$kind\" in\n"
	      "\t@file) _files ;;\n"
	      "\t@dir) _files -/ ;;\n"
	      "\tesac\n"
	      "}\n"
	      "compdef _mintmark mintmark\n", f);
}

/* ---- manual page and reference ---- */

static const struct {
	enum mm_err code;
	const char *text;
	int status; /* of no code; else 0 */
} exits[] = {
	{ MM_OK, "done", 0 },
	{ MM_ESYS, "a system call or the cryptography failed", 0 },
	{ MM_EINPUT, "wrong usage or malformed input", 0 },
	{ MM_EPOLICY, "not allowed", 0 },
	{ MM_ENOTFOUND, "there is no such thing", 0 },
	{ MM_ECONFLICT, "conflict: it exists already, its state forbids it, "
	    "or it has changed", 0 },
	{ MM_ELIMIT, "too large", 0 },
	{ MM_EAGAIN, "not now: try again later", 0 },
	{ MM_EAUTH, "the credential was refused", 0 },
	{ MM_OK, "a ledger or a receipt does not verify, or the records "
	    "differ", MM_CLI_EXIT_UNVERIFIED },
	{ MM_EBUG, "a bug in mintmark", 0 },
};

static int
exit_of(size_t i)
{
	return exits[i].status != 0 ? exits[i].status
	    : mm_err_exit(exits[i].code);
}

/* Lines of roff must not begin with a dot, and "-" is a hyphen. */
static void
roff(FILE *f, const char *s)
{
	for (; *s != '\0'; s++)
		if (*s == '-')
			fputs("\\-", f);
		else if (*s == '\\')
			fputs("\\e", f);
		else
			fputc(*s, f);
}

static void
roff_options(FILE *f, const struct mm_opt *o)
{
	for (; o != NULL && o->name != NULL; o++) {
		fputs(".TP\n\\fB\\-\\-", f);
		roff(f, o->name);
		fprintf(f, "\\fR%s%s\n", o->arg ? " " : "",
		    o->arg ? o->arg : "");
		roff(f, o->help);
		fputs(".\n", f);
	}
}

/* see cmd.h */
void
mm_print_man(FILE *f)
{
	char text[128];

	fputs(".TH MINTMARK 1 \"\" \"mintmark " MM_VERSION "\" "
	      "\"Mintmark manual\"\n.SH NAME\nmintmark \\- the command line "
	      "of Mintmark, identities for devices\n.SH SYNOPSIS\n"
	      ".B mintmark\n[\\fIglobal options\\fR] \\fInoun\\fR "
	      "[\\fIverb\\fR] [\\fIoptions\\fR] [\\fIarguments\\fR]\n"
	      ".SH DESCRIPTION\nA client of mintmarkd's operators listener, "
	      "and the tool that sets a CA up.\n.SH GLOBAL OPTIONS\n", f);
	roff_options(f, mm_global_opts);
	fputs(".SH COMMANDS\n", f);
	for (size_t i = 0; i < mm_ncmds; i++) {
		fputs(".SS \"", f);
		mm_print_synopsis(f, &mm_cmds[i]);
		fputs("\"\n", f);
		mm_sentence(mm_cmds[i].does, text, sizeof(text));
		roff(f, text);
		fputc('\n', f);
		if (mm_cmds[i].detail != NULL) {
			fputs(".PP\n", f);
			roff(f, mm_cmds[i].detail);
			fputc('\n', f);
		}
		roff_options(f, mm_cmds[i].opts);
	}
	fputs(".SH EXIT STATUS\n", f);
	for (size_t i = 0; i < sizeof(exits) / sizeof(exits[0]); i++)
		fprintf(f, ".TP\n%d\n%s.\n", exit_of(i),
		    exits[i].text);
	fputs(".SH FILES\n.TP\n~/.config/mintmark/context.json\nwhere "
	      "server, ca and key_file are looked up if no option and no "
	      "MINTMARK_CONTEXT names another file.\n.SH SEE ALSO\n"
	      "mintmarkd(8), mintmark\\-signer(8), mintmark\\-agent(1)\n", f);
}

static void
md_options(FILE *f, const struct mm_opt *o)
{
	if (o == NULL || o->name == NULL)
		return;
	fputs("\n| option | meaning |\n|---|---|\n", f);
	for (; o->name != NULL; o++)
		fprintf(f, "| `--%s%s%s` | %s |\n", o->name, o->arg ? " " : "",
		    o->arg ? o->arg : "", o->help);
}

/* see cmd.h */
void
mm_print_reference(FILE *f)
{
	char text[128];

	fputs("# Command reference\n\nMade by `mintmark reference`; do not "
	      "edit.\n\n## Global options\n", f);
	md_options(f, mm_global_opts);
	fputs("\n## Exit status\n\n| status | meaning |\n|---|---|\n", f);
	for (size_t i = 0; i < sizeof(exits) / sizeof(exits[0]); i++)
		fprintf(f, "| %d | %s |\n", exit_of(i),
		    exits[i].text);
	for (size_t i = 0; i < mm_ncmds; i++) {
		fputs("\n## `", f);
		mm_print_synopsis(f, &mm_cmds[i]);
		fputs("`\n\n", f);
		mm_sentence(mm_cmds[i].does, text, sizeof(text));
		fprintf(f, "%s\n", text);
		if (mm_cmds[i].detail != NULL)
			fprintf(f, "\n%s\n", mm_cmds[i].detail);
		md_options(f, mm_cmds[i].opts);
	}
}

/* see cmd.h */
const char *
mm_counted(unsigned long long n, const char *one, const char *more)
{
	return n == 1 ? one : more;
}
