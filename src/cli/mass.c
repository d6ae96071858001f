#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/own.h"
#include "cli/client.h"
#include "cli/mass.h"

/*
 * "cert revoke", "hold" and "release", "token thaw" and "cancel" of many: what
 * is selected is looked at first, and shown; then the same call is made until
 * nothing is left, each from where the one before ended.
 */
enum {
	CSV_MAX = 64 * 1024 * 1024,
	SERIALS_MOST = 1000,
	HEX_N = 32,
	PATH_N = 1024,
	TRIES = 120, /* where another's selection is at work, a second each */
};

static const char *const cert_members[][2] = {
	{ "batch", "batch" }, { "station", "station" },
	{ "product", "product" }, { "issuer", "issuer" },
	{ "profile", "profile" }, { "device", "device" },
	{ "issued-from", "issued_from" }, { "issued-to", "issued_to" },
	{ "key-type", "key_type" }, { "where", "where" }, { NULL, NULL },
};
static const char *const token_members[][2] = {
	{ "batch", "batch" }, { "product", "product" },
	{ "created-from", "created_from" }, { "created-to", "created_to" },
	{ NULL, NULL },
};
/* see mass.h */
const struct mm_mass_kind mm_mass_certs = { "certificate", "certificates",
	"/certificates/revoke", cert_members };
const struct mm_mass_kind mm_mass_thaw = { "token", "tokens",
	"/tokens/thaw", token_members };
const struct mm_mass_kind mm_mass_cancel = { "token", "tokens",
	"/tokens/cancel", token_members };

/* see mass.h */
bool
mm_mass_selects(const struct mm_mass_kind *k, const struct mm_args *a)
{
	for (size_t i = 0; k->members[i][0] != NULL; i++)
		if (mm_arg(a, k->members[i][0]) != NULL)
			return true;
	return k == &mm_mass_certs && mm_arg(a, "csv") != NULL;
}

struct mass {
	struct mm_cli *cli;
	const struct mm_args *a;
	const struct mm_mass_kind *k;
	const char *verb, *reason;
	json_t *said; /* besides the selection */
	const char *approval; /* of the first part; NULL */
	json_t *all; /* the answers, added up */
	struct mm_progress progress;
};

static json_int_t
number(const json_t *o, const char *member)
{
	return json_integer_value(json_object_get(o, member));
}

static void
add_number(json_t *to, const json_t *o, const char *member)
{
	json_object_set_new(to, member, json_integer(number(to, member) +
	    number(o, member)));
}

static void
add_up(json_t *all, json_t *o)
{
	static const char *const sums[] = { "found", "changed", "refused",
		"unknown" };
	json_t *states = json_object_get(o, "states");
	json_t *to = json_object_get(all, "states"), *sample, *v;
	const char *key;
	size_t i;

	for (i = 0; i < sizeof(sums) / sizeof(sums[0]); i++)
		add_number(all, o, sums[i]);
	json_object_foreach(states, key, v)
		add_number(to, states, key);
	sample = json_object_get(all, "sample");
	json_array_foreach(json_object_get(o, "sample"), i, v)
		if (json_array_size(sample) < 10)
			json_array_append(sample, v);
	json_object_set(all, "left", json_object_get(o, "left"));
}

/* Where it goes on, and how much at once, are no part of what is asked for. */
static enum mm_err
path_of(const struct mass *m, const char *next, char path[PATH_N],
    struct mm_why *why)
{
	const char *limit = mm_arg(m->a, "limit");
	size_t n = limit != NULL ? strlen(limit) : 0;

	if (n > 0 && (n > 5 || strspn(limit, "0123456789") != n))
		return MM_FAIL(why, MM_EINPUT, "--limit: want a number");
	if ((size_t)snprintf(path, PATH_N,
	    "%s?limit=%s&after=%s", m->k->path, n > 0 ? limit : "",
	    next) >= PATH_N)
		return MM_FAIL(why, MM_ELIMIT, "the server's key is too long");
	return MM_OK;
}

/* One at a time at a server: another one's call is over in seconds. */
static enum mm_err
call(struct mass *m, json_t *body, bool dry_run, const char *next,
    json_t **out, struct mm_why *why)
{
	struct mm_client *c;
	char path[PATH_N];

	MM_TRY(path_of(m, next, path, why));
	MM_TRY(mm_cli_client(m->cli, &c, why));
	for (unsigned tries = 0;; tries++) {
		struct mm_why said = { 0 };
		enum mm_err rc;

		mm_client_approval(c, dry_run ? NULL : m->approval);
		rc = mm_client_call(c, "POST", path, body, out, &said);
		if (rc != MM_EBUSY || tries == TRIES)
			return rc == MM_OK ? rc :
			    MM_FAIL(why, rc, "%s", said.text);
		sleep(1);
	}
}

static void
begin_body(const struct mass *m, json_t *body, bool dry_run)
{
	json_object_update(body, m->said);
	json_object_set_new(body, "dry_run", json_boolean(dry_run));
}

/* Until nothing is left of it. */
static enum mm_err
do_part(struct mass *m, json_t *body, bool dry_run, struct mm_why *why)
{
	MM_OWN(json_free) json_t *last = NULL;
	const char *next = "";
	bool left = true;

	begin_body(m, body, dry_run);
	while (left) {
		json_t *o = NULL;

		MM_TRY(call(m, body, dry_run, next, &o, why));
		add_up(m->all, o);
		left = json_is_true(json_object_get(o, "left"));
		json_decref(last);
		last = o;
		next = json_string_value(json_object_get(o, "next"));
		if (left && next == NULL)
			return MM_FAIL(why, MM_EAGAIN, "the server does not "
			    "say where it goes on");
		mm_progress_step(&m->progress, (unsigned long long)number(
		    m->all, dry_run ? "found" : "changed"));
	}
	return MM_OK;
}

/* ---- serials from a file ---- */

static bool
is_serial(const char *at, size_t n)
{
	return n == HEX_N && strspn(at, "0123456789abcdefABCDEF") >= n;
}

/* The first cell, without the quotes that a spreadsheet may set. */
static const char *
first_cell(const char *at, size_t *n)
{
	*n = strcspn(at, ",;\t\r\n");
	if (*n < 2 || at[0] != '"' || at[*n - 1] != '"')
		return at;
	*n -= 2;
	return at + 1;
}

/* A first line may say what is below it, in a word; with a digit it is a
 * serial with a mistake in it, which is not passed over. */
static bool
is_head(const char *at, size_t n, size_t line)
{
	for (size_t i = 0; i < n; i++)
		if (at[i] >= '0' && at[i] <= '9')
			return false;
	return line == 1;
}

/* The first cell of each line that is a serial; a head is passed over. */
static enum mm_err
next_serials(const char **at, size_t *line, json_t *list, struct mm_why *why)
{
	while (**at != '\0' && json_array_size(list) < SERIALS_MOST) {
		size_t n;
		const char *cell = first_cell(*at, &n);

		++*line;
		if (is_serial(cell, n))
			json_array_append_new(list, json_stringn(cell, n));
		else if (n > 0 && !is_head(cell, n, *line))
			return MM_FAIL(why, MM_EINPUT, "--csv: line %zu does "
			    "not begin with a serial number of %d "
			    "hexadecimal digits", *line, HEX_N);
		*at += strcspn(*at, "\n");
		*at += **at == '\n';
	}
	return MM_OK;
}

/* What the options say; of a file's serial numbers, too. */
static json_t *
conditions(const struct mass *m)
{
	json_t *body = json_object();

	for (size_t i = 0; m->k->members[i][0] != NULL; i++)
		mm_json_opt(body, m->k->members[i][1], m->a,
		    m->k->members[i][0]);
	return body;
}

static enum mm_err
do_csv(struct mass *m, bool dry_run, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf text = MM_BUF_INIT(CSV_MAX);
	const char *at;
	size_t line = 0;

	MM_TRY(mm_file_read(mm_arg(m->a, "csv"), &text, why));
	at = mm_buf_cstr(&text);
	if (at == NULL)
		return MM_FAIL(why, MM_ELIMIT, "--csv: too large");
	if (strncmp(at, "\xef\xbb\xbf", 3) == 0)
		at += 3; /* a spreadsheet's byte order mark */
	while (*at != '\0') {
		MM_OWN(json_free) json_t *body = conditions(m);
		json_t *list = json_array();

		json_object_set_new(body, "serials", list);
		MM_TRY(next_serials(&at, &line, list, why));
		if (json_array_size(list) > 0)
			MM_TRY(do_part(m, body, dry_run, why));
		m->approval = NULL; /* it was of that part */
	}
	return MM_OK;
}

static enum mm_err
do_all(struct mass *m, bool dry_run, struct mm_why *why)
{
	MM_OWN(json_free) json_t *body = conditions(m);

	m->approval = m->cli->approval;
	json_decref(m->all);
	m->all = json_pack("{s:s,s:b,s:{},s:[]}", "action", m->verb,
	    "dry_run", dry_run, "states", "sample");
	if (m->k == &mm_mass_certs && mm_arg(m->a, "csv") != NULL)
		return do_csv(m, dry_run, why);
	return do_part(m, body, dry_run, why);
}

/* ---- what is said ---- */

static void
print_look(const struct mass *m)
{
	const char *key;
	json_t *v;
	bool more = json_is_true(json_object_get(m->all, "left"));
	size_t i;

	printf("%lld%s %s would be changed (%s%s%s)\n",
	    (long long)number(m->all, "found"), more ? " or more" : "",
	    number(m->all, "found") == 1 && !more ? m->k->thing :
	    m->k->things, m->verb, m->reason != NULL ? ", " : "",
	    m->reason != NULL ? m->reason : "");
	json_object_foreach(json_object_get(m->all, "states"), key, v)
		printf("  %-12s %lld\n", key, (long long)json_integer_value(v));
	if (number(m->all, "unknown") > 0)
		printf("  %-12s %lld\n", "unknown",
		    (long long)number(m->all, "unknown"));
	json_array_foreach(json_object_get(m->all, "sample"), i, v)
	{
		printf("  %s  ", mm_json_text(v, m->k == &mm_mass_certs ?
		    "serial" : "id"));
		mm_text_put(stdout, mm_json_text(v, "device"));
		printf("  %s\n", mm_json_text(v, "state"));
	}
}

static enum mm_err
say(const struct mass *m, bool dry_run)
{
	if (m->cli->json)
		mm_json_print(m->all);
	else if (dry_run)
		print_look(m);
	else
		printf("%lld changed, %lld refused, %lld unknown\n",
		    (long long)number(m->all, "changed"),
		    (long long)number(m->all, "refused"),
		    (long long)number(m->all, "unknown"));
	return MM_OK;
}

/* Nobody revokes many without having seen how many: on a terminal he is
 * asked, elsewhere --yes says that he has. */
static enum mm_err
confirm(struct mass *m, struct mm_why *why)
{
	char answer[16];

	if (mm_flag(m->a, "yes"))
		return MM_OK;
	if (!isatty(STDIN_FILENO) || !m->cli->tty) {
		mm_cli_hint(m->cli, "look first with --dry-run, then say "
		    "--yes");
		return MM_FAIL(why, MM_EPOLICY, "not confirmed");
	}
	MM_TRY(do_all(m, true, why));
	print_look(m);
	fprintf(stderr, "Go on? [y/N] ");
	if (fgets(answer, sizeof(answer), stdin) == NULL ||
	    (answer[0] | 32) != 'y')
		return MM_FAIL(why, MM_EPOLICY, "not confirmed");
	return MM_OK;
}

static enum mm_err
carry_out(struct mass *m, struct mm_why *why)
{
	bool dry_run = mm_flag(m->a, "dry-run");
	enum mm_err rc;

	if (m->a->npos > 0)
		return MM_FAIL(why, MM_EINPUT, "say one by its name, or a "
		    "selection, not both");
	if (!dry_run)
		MM_TRY(confirm(m, why));
	mm_progress_begin(&m->progress, m->cli, m->k->things, 0);
	rc = do_all(m, dry_run, why);
	mm_progress_end(&m->progress);
	MM_TRY(rc);
	return say(m, dry_run);
}

/* see mass.h */
enum mm_err
mm_mass_run(struct mm_cli *cli, const struct mm_args *a,
    const struct mm_mass_kind *k, const char *verb, const char *reason,
    json_t *take_body, struct mm_why *why)
{
	MM_OWN(json_free) json_t *said = take_body;
	struct mass m = { .cli = cli, .a = a, .k = k, .verb = verb,
		.reason = reason, .said = said };
	enum mm_err rc = carry_out(&m, why);

	json_decref(m.all);
	return rc;
}
