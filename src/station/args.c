#include "station/args.h"

#include <stddef.h>
#include <string.h>

enum { ENROL = 1, PROVISION = 2, RUN = 4, STATUS = 8, RELEASE = 16,
	SCRAP = 32, IMPORT = 64, EXPORT = 128, API_KEY = 256,
	SYNC = 512, LABEL = 1024, FIXTURES = 2048, BLINK = 4096,
	REPORT = 8192, ADOPT = 16384, SELFTEST = 32768,
	ONE = PROVISION | ADOPT,
	PEOPLE = RELEASE | SCRAP,
	ANY = ENROL | PROVISION | RUN | STATUS | PEOPLE | IMPORT | EXPORT |
	    API_KEY | SYNC | LABEL | FIXTURES | BLINK |
	    REPORT | ADOPT | SELFTEST };

/* see args.h; in the order of the bits above */
const struct mm_station_command mm_station_commands[] = {
	{ "enrol", "make this station's key and certificate, if there are "
	    "none, and ask the centre whether it knows them" },
	{ "provision", "make one unit, for scripts and test programs" },
	{ "run", "make units as their labels are scanned: a label, or "
	    "FIXTURE LABEL, a line on standard input" },
	{ "status", "what the journal says of the units so far" },
	{ "release", "a supervisor: let a unit be tried again that was put "
	    "aside; what board its label was for is forgotten, and the centre "
	    "decides" },
	{ "scrap", "a supervisor: throw a unit away; its label is used up, and "
	    "one that was signed for here and did not prove its identity gives "
	    "its quota back, within the order's allowance" },
	{ "import", "give a work order, from a stick, to this station's "
	    "signer, which verifies it" },
	{ "export", "write what was made offline to a file, for the centre" },
	{ "api-key", "make a key for a test program on the line's network, or "
	    "remove it; it is shown once" },
	{ "sync", "bring what was made offline to the centre, over the "
	    "network, and take the newest order; export and import do the "
	    "same by file" },
	{ "label", "print the label of a unit that has passed once more; while "
	    "run is at work, \"print LABEL\" is typed there" },
	{ "fixtures", "what is plugged in at which fixture, and the terminals "
	    "at USB places that are no fixture's yet" },
	{ "blink", "greet what is plugged in at a fixture again and again: the "
	    "adapter whose lamps flicker is that fixture's" },
	{ "report", "units, yield and units an hour of each shift and batch, "
	    "as CSV" },
	{ "adopt", "take a board over that has a certificate of the batch and "
	    "no record, because a disk died: it is put aside for a "
	    "supervisor" },
	{ "selftest", "before the shift: ask the program of each fixture that "
	    "has one whether its tool and adapter work" },
	{ "man", "print the manual page" },
	{ "completion", "print the completion for bash" },
	{ "reference", "print docs/reference/station.md" },
};
const size_t mm_station_ncommands =
    sizeof(mm_station_commands) / sizeof(mm_station_commands[0]);

#define AT(field) offsetof(struct mm_station_args, field)
/* see args.h */
const struct mm_station_option mm_station_options[] = {
	{ "--config", "FILE", "station.conf; default "
	    "/etc/mintmark/station.conf", AT(config), ANY },
	{ "--serial", "SN", "the serial number on the label", AT(serial),
	    ONE | PEOPLE | LABEL },
	{ "--fixture", "NAME", "the fixture that the board is in", AT(fixture),
	    ONE | BLINK | SELFTEST },
	{ "--times", "N", "how often; default 20, some six seconds",
	    AT(times), BLINK },
	{ "--order", "FILE", "the work order's file", AT(order), IMPORT },
	{ "--out", "FILE", "where to write to", AT(out), EXPORT },
	{ "--from", "N", "without the first N entries, which the centre has: "
	    "mintmark station sync says how many", AT(from), EXPORT },
	{ "--mirror", "FOLDER", "the copy that a mirror has of a station: its "
	    "export is made of that alone", AT(mirror), EXPORT },
	{ "--name", "NAME", "whose key it is", AT(name), API_KEY },
	{ "--remove", NULL, "the key is none from now on", AT(remove),
	    API_KEY },
	{ "--over-allowance", NULL, "scrap: no more may be scrapped within the "
	    "order's allowance; this one gives no quota back", AT(over),
	    SCRAP },
	{ "--once", NULL, "end when all that was scanned is done and standard "
	    "input has ended", AT(once), RUN },
	{ "--accept-clock", NULL, "a supervisor says that this station's "
	    "clock is right, though the journal is ahead of it",
	    AT(accept_clock), ONE | RUN },
	{ "--operator-badge-file", "FILE", "the text of the badge of who "
	    "stands there, where the batch names its people; - is standard "
	    "input", AT(operator_badge), ONE },
	{ "--supervisor-badge-file", "FILE", "the same of a supervisor, who "
	    "decides", AT(supervisor_badge), PEOPLE | ONE | RUN },
	{ "--reason", "TEXT", "why: kept with the decision", AT(reason),
	    PEOPLE | ONE | RUN },
	{ "--tty", NULL, "the screen as text in this terminal, instead of "
	    "lines", AT(tty), RUN },
	{ "--json", NULL, "results as JSON, an object a line", AT(json), ANY },
};
const size_t mm_station_noptions =
    sizeof(mm_station_options) / sizeof(mm_station_options[0]);

static const struct mm_station_option *
find(const char *name, size_t n)
{
	for (size_t i = 0; i < mm_station_noptions; i++)
		if (strlen(mm_station_options[i].name) == n &&
		    strncmp(mm_station_options[i].name, name, n) == 0)
			return &mm_station_options[i];
	return NULL;
}

/* One option of "--name value" or "--name=value"; *i moves over it. */
static enum mm_err
take_option(struct mm_station_args *a, unsigned *used, int argc, char **argv,
    int *i)
{
	const char *word = argv[*i], *eq = strchr(word, '=');
	const struct mm_station_option *o = find(word,
	    eq != NULL ? (size_t)(eq - word) : strlen(word));

	if (o == NULL || (o->arg == NULL && eq != NULL))
		return MM_EINPUT;
	*used &= o->commands;
	if (o->arg == NULL) {
		*(bool *)((char *)a + o->at) = true;
		return MM_OK;
	}
	if (eq == NULL && ++*i >= argc)
		return MM_EINPUT;
	word = eq != NULL ? eq + 1 : argv[*i];
	/* An empty word or the next option: a variable that was not set. */
	if (word[0] == '\0' || (eq == NULL && strncmp(word, "--", 2) == 0))
		return MM_EINPUT;
	*(const char **)((char *)a + o->at) = word;
	return MM_OK;
}

/* What a command cannot do without. */
static enum mm_err
check_needs(const struct mm_station_args *a, unsigned bit, struct mm_why *why)
{
	if ((bit & (ONE | PEOPLE | LABEL)) != 0 && a->serial == NULL)
		return MM_FAIL(why, MM_EINPUT, "%s wants --serial",
		    a->command);
	if (bit == IMPORT && a->order == NULL)
		return MM_FAIL(why, MM_EINPUT, "import wants --order");
	if (bit == EXPORT && a->out == NULL)
		return MM_FAIL(why, MM_EINPUT, "export wants --out");
	if (bit == API_KEY && a->name == NULL)
		return MM_FAIL(why, MM_EINPUT, "api-key wants --name");
	if ((bit & (ONE | BLINK)) != 0 && a->fixture == NULL)
		return MM_FAIL(why, MM_EINPUT, "%s wants --fixture",
		    a->command);
	return MM_OK;
}

static enum mm_err
check(const struct mm_station_args *a, unsigned used, bool any,
    struct mm_why *why)
{
	size_t i = 0;

	if (a->command == NULL)
		return MM_FAIL(why, MM_EINPUT, "no command: "
		    "mintmark-station --help lists them");
	while (i < mm_station_ncommands &&
	    strcmp(mm_station_commands[i].name, a->command) != 0)
		i++;
	if (i == mm_station_ncommands)
		return MM_FAIL(why, MM_EINPUT, "no command \"%.60s\": "
		    "mintmark-station --help lists them", a->command);
	if (any && (used & (1U << i)) == 0)
		return MM_FAIL(why, MM_EINPUT, "an option is not for \"%s\"",
		    a->command);
	return check_needs(a, 1U << i, why);
}

static enum mm_err
parse(int argc, char **argv, struct mm_station_args *a, struct mm_why *why)
{
	unsigned used = ANY;
	bool any = false;

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--help") == 0 ||
		    strcmp(argv[i], "--version") == 0) {
			a->command = argv[i] + 2;
			return MM_OK;
		}
		const char *word = argv[i];

		if (word[0] == '-') {
			any = true;
			if (take_option(a, &used, argc, argv, &i) != MM_OK)
				return MM_FAIL(why, MM_EINPUT, "option "
				    "\"%.60s\" is unknown or lacks its value",
				    word);
		} else if (a->command != NULL) {
			return MM_FAIL(why, MM_EINPUT, "\"%.60s\" is one word "
			    "too many", word);
		} else {
			a->command = word;
		}
	}
	return check(a, used, any, why);
}

/* see args.h */
enum mm_err
mm_station_args_parse(int argc, char **argv, struct mm_station_args *out,
    struct mm_why *why)
{
	struct mm_station_args a = { .config = MM_STATION_CONFIG };

	/* Wherever it stands, behind a mistake too. */
	for (int i = 1; i < argc; i++)
		a.json |= strcmp(argv[i], "--json") == 0;
	out->json = a.json;
	MM_TRY(parse(argc, argv, &a, why));
	*out = a;
	return MM_OK;
}
