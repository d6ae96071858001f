#include <string.h>

#include "base/own.h"
#include "cli/client.h"
#include "cli/commands.h"

/*
 * "device why": the server knows what happened and what to do about it; this
 * makes sentences of it.
 */
#define END                                       \
	{                                         \
		NULL, NULL, NULL, MM_C_NONE, NULL \
	}
const struct mm_opt mm_opts_device_why[] = { END };

static const struct {
	const char *door, *words;
} doors[] = {
	{ "handshake", "at the token's handshake" },
	{ "basic", "at the token's HTTP door" },
	{ "mtls", "by its certificate" },
	{ "rest", "when an operator asked for it" },
	{ "sync", "in what a station made offline" },
};

static const char *
door_words(const char *door)
{
	for (size_t i = 0; i < sizeof(doors) / sizeof(doors[0]); i++)
		if (strcmp(doors[i].door, door) == 0)
			return doors[i].words;
	return door;
}

static json_int_t
refusals(const json_t *attempts)
{
	json_int_t n = 0;
	const json_t *a;
	size_t i;

	json_array_foreach(attempts, i, a) n +=
	    json_integer_value(json_object_get(a, "count"));
	return n;
}

static void
say_times(json_int_t n)
{
	if (n == 1)
		printf("once");
	else
		printf("%lld times", (long long)n);
}

static void
say_refused(const json_t *o, const json_t *attempts)
{
	const json_t *last = json_array_get(attempts, 0);

	printf("%s was refused ", mm_json_text(o, "device"));
	say_times(refusals(attempts));
	printf(", last %s %s: %s", mm_json_text(last, "time"),
	    door_words(mm_json_text(last, "door")),
	    mm_json_text(last, "reason"));
	if (mm_json_text(last, "text")[0] != '\0')
		printf(" (%s)", mm_json_text(last, "text"));
	printf(".\n%s.\n", mm_json_text(last, "do"));
}

static void
say_ok(const json_t *o, const json_t *attempts)
{
	const json_t *s = json_object_get(o, "last_success");

	printf("%s: nothing is wrong: last success %s (certificate %s).\n",
	    mm_json_text(o, "device"), mm_json_text(s, "time"),
	    mm_json_text(s, "what"));
	if (json_array_size(attempts) == 0)
		return;
	printf("Before that it was refused ");
	say_times(refusals(attempts));
	printf(", last %s: %s.\n",
	    mm_json_text(json_array_get(attempts, 0), "time"),
	    mm_json_text(json_array_get(attempts, 0), "reason"));
}

/* The other states: what they mean, and what to do. */
static const struct {
	const char *verdict, *what;
} states[] = {
	{ "retired", "is retired: it cannot enrol any more, and its id is "
		     "not used again" },
	{ "waiting", "has a token and has not come yet: check that it is "
		     "switched on and reaches the devices listener" },
	{ "nothing", "has neither a certificate nor a token that is good: "
		     "mint one with mintmark token create --device" },
	{ "no-certificate",
	    "had a certificate and has none in force now: "
	    "enrol it anew with mintmark token create --device" },
};

static void
say_state(const json_t *o)
{
	const char *verdict = mm_json_text(o, "verdict");

	for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++)
		if (strcmp(states[i].verdict, verdict) == 0)
			printf("%s %s%s%s.\n", mm_json_text(o, "device"),
			    states[i].what,
			    strstr(states[i].what, "--device") ? " " : "",
			    strstr(states[i].what, "--device")
				? mm_json_text(o, "device")
				: "");
}

static void
tables(const json_t *o)
{
	static const struct mm_column attempt[] = {
		{ "TIME", "time" },
		{ "N", "count" },
		{ "DOOR", "door" },
		{ "REASON", "reason" },
		{ "PEER", "peer" },
		{ "TOKEN", "token" },
	};
	static const struct mm_column token[] = {
		{ "TOKEN", "id" },
		{ "STATE", "state" },
		{ "DOOR", "door" },
		{ "EXPIRES", "expires" },
	};
	static const struct mm_column cert[] = {
		{ "CERTIFICATE", "serial" },
		{ "STATE", "state" },
		{ "CONFIRMED", "confirmed" },
		{ "NOT AFTER", "not_after" },
	};
	const struct {
		const char *member;
		const struct mm_column *c;
		size_t n;
		const char *noun;
	} rows[] = {
		{ "attempts", attempt, 6, "" },
		{ "tokens", token, 4, "token" },
		{ "certificates", cert, 4, "cert" },
	};
	char more[32];

	for (size_t i = 0; i < 3; i++) {
		json_t *items = json_object_get(o, rows[i].member);

		if (json_array_size(items) == 0)
			continue;
		putchar('\n');
		mm_table_print(rows[i].c, rows[i].n, items);
		snprintf(more, sizeof(more), "more_%s", rows[i].member);
		if (json_is_true(json_object_get(o, more)))
			printf("... and older ones: mintmark %s list "
			    "--device %s\n", rows[i].noun,
			    mm_json_text(o, "device"));
	}
}

enum mm_err
mm_cmd_device_why(
    struct mm_cli *cli, const struct mm_args *a, struct mm_why *why)
{
	MM_OWN(json_free) json_t *o = NULL;
	const json_t *attempts;
	struct mm_client *c;
	char path[1024];

	MM_TRY(mm_path(path, why, "/devices/%s/attempts", a->pos[0]));
	MM_TRY(mm_cli_client(cli, &c, why));
	MM_TRY(mm_client_call(c, "GET", path, NULL, &o, why));
	if (cli->json) {
		mm_json_print(o);
		return MM_OK;
	}
	mm_json_plain(o, 4);
	attempts = json_object_get(o, "attempts");
	if (strcmp(mm_json_text(o, "verdict"), "refused") == 0)
		say_refused(o, attempts);
	else if (strcmp(mm_json_text(o, "verdict"), "ok") == 0)
		say_ok(o, attempts);
	else
		say_state(o);
	tables(o);
	return MM_OK;
}
