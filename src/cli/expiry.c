#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "base/own.h"
#include "base/text.h"
#include "base/time.h"
#include "cli/client.h"
#include "cli/commands.h"
#include "cli/ends.h"

/* "expiry": how many certificates end when, as bars; and what else ends. */
enum { DAY_MS = 86400000, BARS_MOST = 1100, NUMBER_N = 12 };

enum step { BY_DAY, BY_WEEK, BY_MONTH };
static const char *const step_names[] = { "day", "week", "month" };

struct bar {
	char from[11]; /* the date of its first day */
	long long n;
};
struct chart {
	enum step by;
	struct bar bar[BARS_MOST];
	size_t n;
	long long most;
};

const struct mm_opt mm_opts_expiry[] = {
	{ "days", "N", "so far ahead, 1 to 1100; default 90", MM_C_NONE, NULL },
	{ "by", "STEP",
	    "a line a day, week or month; default by what fits a "
	    "screen",
	    MM_C_WORDS, "day week month" },
	{ "product", "PRODUCT", "of this product", MM_C_PRODUCT, NULL },
	{ "issuer", "ISSUER", "of this issuer", MM_C_ISSUER, NULL },
	{ "fail-within", "DURATION",
	    "print only what a person has to see to and ends within that "
	    "time (30d), and end with 1 if there is any; for cron",
	    MM_C_NONE, NULL },
	{ NULL, NULL, NULL, MM_C_NONE, NULL },
};

static enum mm_err
ask_step(const struct mm_args *a, long days, enum step *out, struct mm_why *why)
{
	const char *name = mm_arg(a, "by");

	*out = days <= 31 ? BY_DAY : days <= 250 ? BY_WEEK : BY_MONTH;
	if (name == NULL)
		return MM_OK;
	for (unsigned i = 0; i < 3; i++)
		if (strcmp(name, step_names[i]) == 0) {
			*out = (enum step)i;
			return MM_OK;
		}
	return MM_FAIL(
	    why, MM_EINPUT, "--by %.20s: want day, week or month", name);
}

/* ---- from days to bars ---- */

static void
date_text(int64_t ms, char out[11])
{
	char at[MM_TIME_TEXT];

	mm_time_text(ms, at);
	memcpy(out, at, 10);
	out[10] = '\0';
}

/* Months are the calendar's; the first may have begun. */
static bool
begins(const struct chart *c, long day, const char *date)
{
	return day == 0 || c->by == BY_DAY ||
	       (c->by == BY_WEEK ? day % 7 == 0 : strcmp(date + 8, "01") == 0);
}

static long long
ends_on(json_t *by_day, size_t *at, const char *date)
{
	json_t *o = json_array_get(by_day, *at);

	if (o == NULL || strcmp(mm_json_text(o, "day"), date) != 0)
		return 0;
	(*at)++;
	return json_integer_value(json_object_get(o, "certificates"));
}

static void
fill(struct chart *c, json_t *o)
{
	json_t *by_day = json_object_get(o, "by_day");
	long days = json_integer_value(json_object_get(o, "days"));
	int64_t from = 0;
	size_t at = 0;

	(void)!mm_time_parse(mm_json_text(o, "from"), &from, NULL);
	for (long day = 0; day < days; day++) {
		char date[11];

		date_text(from + day * DAY_MS, date);
		if (begins(c, day, date))
			strcpy(c->bar[c->n++].from, date);
		c->bar[c->n - 1].n += ends_on(by_day, &at, date);
		if (c->bar[c->n - 1].n > c->most)
			c->most = c->bar[c->n - 1].n;
	}
}

/* ---- for people ---- */

static void
print_bars(const struct chart *c)
{
	int room = mm_term_width(stdout) - 10 - NUMBER_N - 4;

	printf("%-10s %*s\n",
	    c->by == BY_DAY    ? "DAY"
	    : c->by == BY_WEEK ? "WEEK FROM"
			       : "MONTH FROM",
	    NUMBER_N, "CERTIFICATES");
	for (size_t i = 0; i < c->n; i++) {
		long long n = c->bar[i].n;
		long long hashes =
		    c->most == 0
			? 0
			: (n * (room > 1 ? room : 1) + c->most - 1) / c->most;

		printf("%-10s %*lld", c->bar[i].from, NUMBER_N, n);
		if (hashes > 0)
			fputs("  ", stdout);
		while (hashes-- > 0)
			putchar('#');
		putchar('\n');
	}
}

static void
print_parts(json_t *o, const char *member, const char *noun, const char *title)
{
	const struct mm_column columns[] = { { title, noun },
		{ "CERTIFICATES", "certificates" } };
	json_t *rows = json_object_get(o, member);

	if (json_array_size(rows) < 2)
		return;
	putchar('\n');
	mm_table_print(columns, 2, rows);
}

static void
print_all(const struct mm_cli *cli, json_t *o, const struct chart *c)
{
	long long ended = json_integer_value(json_object_get(o, "ended"));

	print_bars(c);
	printf("%-10s %*lld\n", "later", NUMBER_N,
	    (long long)json_integer_value(json_object_get(o, "later")));
	print_parts(o, "by_product", "product", "PRODUCT");
	print_parts(o, "by_issuer", "issuer", "ISSUER");
	printf("\nas of %s\n", mm_json_text(o, "as_of"));
	if (ended > 0)
		mm_cli_note(cli,
		    "%lld have ended, as long ago as is looked "
		    "ahead, and were not renewed: mintmark cert list --state "
		    "confirmed --expires-to %s names them",
		    ended, mm_json_text(o, "from"));
}

/* Line CAs are many and have no name here. */
static void
name_lines(json_t *o)
{
	json_t *row;
	size_t i;

	json_array_foreach(json_object_get(o, "by_issuer"), i,
	    row) if (mm_json_text(row, "issuer")[0] == '\0')
	    json_object_set_new(row, "issuer", json_string("(line CAs)"));
}

static enum mm_err
ask(struct mm_client *c, const struct mm_args *a, long days, json_t **out,
    struct mm_why *why)
{
	const char *product = mm_arg(a, "product"),
		   *issuer = mm_arg(a, "issuer");
	char path[1024], n[24];

	snprintf(n, sizeof(n), "%ld", days);
	MM_TRY(mm_path(path, why, "/expiry?days=%s&product=%s&issuer=%s", n,
	    product != NULL ? product : "", issuer != NULL ? issuer : ""));
	return mm_client_call(c, "GET", path, NULL, out, why);
}

/* ---- for cron ---- */

static enum mm_err
fail_within(struct mm_cli *cli, struct mm_client *c, const struct mm_args *a,
    struct mm_why *why)
{
	MM_OWN(json_free) json_t *all = NULL, *o = NULL;
	int64_t within_s;

	if (mm_arg(a, "product") != NULL || mm_arg(a, "issuer") != NULL)
		return MM_FAIL(why, MM_EINPUT, "--fail-within looks at "
		    "everything: not with --product or --issuer");
	MM_TRY(mm_duration_parse(mm_arg(a, "fail-within"), &within_s, why));
	MM_TRY(mm_ends_ask(c, &all, why));
	if (all == NULL)
		return MM_FAIL(why, MM_EPOLICY, "this credential may not see "
		    "what of the CA's own ends, or the server is older: want "
		    "a role as support, for all products");
	MM_TRY(mm_ends_within(all, within_s, &o, why));
	cli->status = mm_ends_n(o) > 0;
	if (cli->json)
		mm_json_print(o);
	else
		mm_ends_print_within(o);
	return MM_OK;
}

/* Of one product or issuer it is the chart alone. */
static enum mm_err
ask_ends(struct mm_client *c, const struct mm_args *a, json_t **out,
    struct mm_why *why)
{
	if (mm_arg(a, "product") != NULL || mm_arg(a, "issuer") != NULL)
		return MM_OK;
	return mm_ends_ask(c, out, why);
}

enum mm_err
mm_cmd_expiry(struct mm_cli *cli, const struct mm_args *a, struct mm_why *why)
{
	MM_OWN(json_free) json_t *o = NULL, *ends = NULL;
	struct mm_client *client;
	struct chart c = { 0 };
	long days;

	MM_TRY(mm_arg_int(a, "days", 90, 1, BARS_MOST, &days, why));
	MM_TRY(ask_step(a, days, &c.by, why));
	MM_TRY(mm_cli_client(cli, &client, why));
	if (mm_arg(a, "fail-within") != NULL)
		return fail_within(cli, client, a, why);
	MM_TRY(ask(client, a, days, &o, why));
	MM_TRY(ask_ends(client, a, &ends, why));
	if (cli->json) {
		if (ends != NULL)
			json_object_set(o, "own", ends);
		return mm_json_print(o), MM_OK;
	}
	fill(&c, o);
	name_lines(o);
	print_all(cli, o, &c);
	if (ends != NULL) {
		putchar('\n');
		mm_ends_print(ends, days);
	}
	return MM_OK;
}
