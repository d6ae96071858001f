#include "agent/args.h"

#include <limits.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

/* see args.h */
const char mm_agent_usage[] =
    "usage: mintmark-agent [--json] [-v] command [options]\n"
    "\n"
    "  enrol   first identity, by a token or an old certificate\n"
    "          --token-file FILE    the token: text, URI or JSON\n"
    "          --credential FILE    or an old certificate, with its issuers\n"
    "          --credential-key FILE  and its key (default: same file)\n"
    "          --anchor FILE        and whom the server is believed by\n"
    "          --pairing            or nothing but --anchor: shows a code that\n"
    "                               a person compares, and waits\n"
    "          --server HOST:PORT   default: what the token says\n"
    "          --dir DIR            where the identity is kept\n"
    "          --device NAME        default: what the token says\n"
    "          --key URI            make the key there: file: (default),\n"
    "                               tpm2: or pkcs11:...; see\n"
    "                               mintmark-agent(1)\n"
    "          --key-type TYPE      p256 (default), p384, rsa2048, ed25519\n"
    "          --keep-token         do not remove the token file afterwards\n"
    "          --replace            use the token though there is an identity\n"
    "  renew   a new certificate by the present one, if it is time\n"
    "          --dir DIR  [--server HOST:PORT] [--keep-key] [--key-type TYPE]\n"
    "          --key URI            the new one there; default: where the old\n"
    "                               one is\n"
    "          --now                whether it is time or not\n"
    "          --ask                the server says when it is time\n"
    "  config  what the server configures this device to, fetched and kept\n"
    "          --dir DIR  [--server HOST:PORT]\n"
    "  status  the identity in use, and how the service does\n"
    "          --dir DIR, or --config FILE\n"
    "  run     the service: both of these by itself, and programs of yours\n"
    "          that are told; see mintmark-agent(1)\n"
    "          --config FILE        default: /etc/mintmark/agent.conf\n"
    "  reference  what may be in that file\n"
    "\n"
    "  --renew-percent N  of a certificate's life, then it is time: default 66\n"
    "  --tls 1.2|1.3      only this version (a token's default: 1.3)\n"
    "  --clock MODE       auto (default), system, server\n"
    "  --retry N          tries after the first, default 5\n"
    "  --timeout SECONDS  for a connection and for an answer, default 30\n"
    "  --deadline SECONDS for all together, default 0: none\n"
    "  --label NAME       EST label\n"
    "  --quiet            do not say on standard error why a try failed\n"
    "  --json             the result as one JSON object\n"
    "  -v                 say what is done, on standard error\n"
    "  --help, --version\n"
    "\n"
    "exit: 0 done, 1 failed here, 2 usage or malformed, 3 not allowed or the\n"
    "server is not the right one, 4 nothing there, 5 conflict, 6 too large,\n"
    "7 try again later, 8 token or certificate refused, 9 not yet time to\n"
    "renew, 10 there is an identity and the token was not used, 70 a bug\n";

enum { ENROL = 1, RENEW = 2, STATUS = 4, RUN = 8, REFERENCE = 16, CONFIG = 32,
	ONLINE = ENROL | RENEW | CONFIG, ONCE = ONLINE | STATUS,
	ANY = ONCE | RUN | REFERENCE };

static const struct {
	const char *name;
	unsigned bit;
} commands[] = {
	{ "enrol", ENROL }, { "renew", RENEW }, { "status", STATUS },
	{ "run", RUN }, { "reference", REFERENCE }, { "config", CONFIG },
};

#define AT(field) offsetof(struct mm_agent_args, field)
static const struct option {
	const char *name;
	size_t at;
	bool flag;
	unsigned commands;
} options[] = {
	{ "--token-file", AT(token_file), false, ENROL },
	{ "--credential", AT(credential), false, ENROL },
	{ "--credential-key", AT(credential_key), false, ENROL },
	{ "--key", AT(key), false, ENROL | RENEW },
	{ "--anchor", AT(anchor), false, ENROL },
	{ "--server", AT(server), false, ONLINE },
	{ "--config", AT(config), false, RUN | STATUS },
	{ "--dir", AT(dir), false, ONCE },
	{ "--device", AT(device), false, ENROL },
	{ "--label", AT(label), false, ENROL | RENEW },
	{ "--key-type", AT(key_type), false, ENROL | RENEW },
	{ "--tls", AT(tls), false, ONLINE },
	{ "--clock", AT(clock), false, ONLINE },
	{ "--retry", AT(retry), false, ONLINE },
	{ "--timeout", AT(timeout), false, ONLINE },
	{ "--deadline", AT(deadline), false, ONLINE },
	{ "--renew-percent", AT(percent), false, ONCE },
	{ "--now", AT(now), true, RENEW },
	{ "--ask", AT(ask), true, RENEW },
	{ "--keep-key", AT(keep_key), true, RENEW },
	{ "--keep-token", AT(keep_token), true, ENROL },
	{ "--replace", AT(replace), true, ENROL },
	{ "--pairing", AT(pairing), true, ENROL },
	{ "--erase-token", 0, true, ENROL }, /* the default, said aloud */
	{ "--json", AT(json), true, ANY },
	{ "--quiet", AT(quiet), true, ANY },
	{ "-v", AT(verbose), true, ANY },
};

static const struct option *
find(const char *name, size_t n)
{
	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++)
		if (strlen(options[i].name) == n &&
		    strncmp(options[i].name, name, n) == 0)
			return &options[i];
	return NULL;
}

/* One option of "--name value" or "--name=value"; *i moves over it. */
static enum mm_err
take_option(struct mm_agent_args *a, unsigned *used, int argc, char **argv,
    int *i)
{
	const char *word = argv[*i], *eq = strchr(word, '=');
	const struct option *o = find(word,
	    eq != NULL ? (size_t)(eq - word) : strlen(word));

	if (o == NULL || (o->flag && eq != NULL))
		return MM_EINPUT;
	*used &= o->commands;
	if (o->flag) {
		if (o->at != 0)
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

/* A word for people to find, unless it could be a token: logs are kept. */
static const char *
shown(const char *word)
{
	return strcasestr(word, "mm1-") != NULL ? "(a token?)" : word;
}

/* The index of text in names, 0 for none given; MM_EINPUT if not there. */
static enum mm_err
choice(const char *what, const char *text, const char *const names[],
    unsigned *out, struct mm_why *why)
{
	*out = 0;
	for (unsigned i = 0; text != NULL; i++) {
		if (names[i] == NULL)
			return MM_FAIL(why, MM_EINPUT, "%s: not \"%.40s\"",
			    what, shown(text));
		if (strcmp(names[i], text) == 0) {
			*out = i;
			break;
		}
	}
	return MM_OK;
}

static const struct number {
	const char *name;
	size_t text, to;
	unsigned preset, least, most;
} numbers[] = {
	{ "--retry", AT(retry), AT(retries), 5, 0, 1000 },
	{ "--timeout", AT(timeout), AT(timeout_s), 30, 1, 3600 },
	{ "--deadline", AT(deadline), AT(deadline_s), 0, 0, 604800 },
	{ "--renew-percent", AT(percent), AT(renew_percent), 66, 1, 99 },
};

static enum mm_err
number(struct mm_agent_args *a, const struct number *x, struct mm_why *why)
{
	const char *text = *(const char **)((char *)a + x->text);
	char *end = NULL;
	unsigned long v = text == NULL ? x->preset : strtoul(text, &end, 10);

	if (text != NULL && (text[0] < '0' || text[0] > '9' || *end != '\0'))
		v = ULONG_MAX;
	if (v < x->least || v > x->most)
		return MM_FAIL(why, MM_EINPUT, "%s: want %u to %u", x->name,
		    x->least, x->most);
	*(unsigned *)((char *)a + x->to) = (unsigned)v;
	return MM_OK;
}

/* --key was the old credential's before keys could be elsewhere. */
static enum mm_err
take_key(struct mm_agent_args *a, struct mm_why *why)
{
	enum mm_key_place place;
	const char *colon;

	if (a->key == NULL)
		return MM_OK;
	colon = strchr(a->key, ':');
	if (colon == NULL && a->credential != NULL &&
	    a->credential_key == NULL) {
		a->credential_key = a->key;
		return MM_OK;
	}
	if (a->keep_key)
		return MM_FAIL(why, MM_EINPUT,
		    "--key is for a new key, --keep-key for the old one");
	a->key_in = a->key;
	return mm_key_place_of(a->key, &place, why);
}

static enum mm_err
interpret(struct mm_agent_args *a, struct mm_why *why)
{
	static const char *const keys[] = { "p256", "p384", "rsa2048",
		"ed25519", NULL };
	static const char *const clocks[] = { "auto", "system", "server",
		NULL };
	static const char *const versions[] = { "any", "1.2", "1.3", NULL };
	static const unsigned tls[] = { 0, 12, 13 };
	unsigned key = 0, clock = 0, version = 0;

	MM_TRY(choice("--key-type", a->key_type, keys, &key, why));
	MM_TRY(choice("--clock", a->clock, clocks, &clock, why));
	MM_TRY(choice("--tls", a->tls, versions, &version, why));
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		MM_TRY(number(a, &numbers[i], why));
	MM_TRY(take_key(a, why));
	if (a->label != NULL && !mm_name_valid(a->label))
		return MM_FAIL(why, MM_EINPUT, "--label: bad name");
	a->key_kind = (enum mmd_key_kind)key;
	a->clock_mode = (enum mm_agent_clock)clock;
	a->tls_version = tls[version];
	return MM_OK;
}

static enum mm_err
take_word(struct mm_agent_args *a, const char *word, struct mm_why *why)
{
	if (a->command != NULL)
		return MM_FAIL(why, MM_EINPUT, "\"%.60s\" is one word too many",
		    shown(word));
	a->command = word;
	return MM_OK;
}

static enum mm_err
check(struct mm_agent_args *a, unsigned used, struct mm_why *why)
{
	size_t i = 0, n = sizeof(commands) / sizeof(commands[0]);

	if (a->command == NULL)
		return MM_FAIL(why, MM_EINPUT, "no command");
	while (i < n && strcmp(commands[i].name, a->command) != 0)
		i++;
	if (i == n)
		return MM_FAIL(why, MM_EINPUT, "no command \"%.60s\"",
		    shown(a->command));
	if ((used & commands[i].bit) == 0)
		return MM_FAIL(why, MM_EINPUT,
		    "an option is not for \"%s\"", a->command);
	if ((commands[i].bit & ONCE) != 0 && a->dir == NULL &&
	    a->config == NULL)
		return MM_FAIL(why, MM_EINPUT, "--dir is missing");
	if (commands[i].bit == STATUS && a->dir != NULL && a->config != NULL)
		return MM_FAIL(why, MM_EINPUT, "--dir or --config");
	return interpret(a, why);
}

static enum mm_err
parse(int argc, char **argv, struct mm_agent_args *a, struct mm_why *why)
{
	unsigned used = ANY;

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--help") == 0 ||
		    strcmp(argv[i], "--version") == 0) {
			a->command = argv[i] + 2;
			return MM_OK;
		}
		if (argv[i][0] != '-')
			MM_TRY(take_word(a, argv[i], why));
		else if (take_option(a, &used, argc, argv, &i) != MM_OK)
			return MM_FAIL(why, MM_EINPUT,
			    "option \"%.60s\" is unknown or lacks its value",
			    shown(argv[i < argc ? i : argc - 1]));
	}
	return check(a, used, why);
}

/* see args.h */
enum mm_err
mm_agent_args_parse(int argc, char **argv, struct mm_agent_args *out,
    struct mm_why *why)
{
	struct mm_agent_args a = { 0 };

	/* Wherever it stands, behind a mistake too. */
	for (int i = 1; i < argc; i++)
		a.json |= strcmp(argv[i], "--json") == 0;
	out->json = a.json;
	MM_TRY(parse(argc, argv, &a, why));
	*out = a;
	return MM_OK;
}
