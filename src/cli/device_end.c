#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "cli/client.h"
#include "cli/commands.h"

/* The end of a device, or of a part of its life: retired, given to another
 * owner, back from repair.  Each is looked at with --dry-run first. */
#define END { NULL, NULL, NULL, MM_C_NONE, NULL }
#define LOOK_OPTS                                                          \
	{ "dry-run", NULL, "say what would happen, do nothing", MM_C_NONE, \
	    NULL },                                                        \
	{ "yes", NULL, "do not ask before doing it", MM_C_NONE, NULL }
#define REASON_OPT                                                         \
	{ "reason", "WORD", "why, for the audit (required)", MM_C_NONE, NULL }

const struct mm_opt mm_opts_device_retire[] = { LOOK_OPTS, END };
const struct mm_opt mm_opts_device_transfer[] = {
	{ "product", "PRODUCT", "that it comes to (required)", MM_C_PRODUCT,
	    NULL },
	{ "idevid", NULL, "by its IDevID it may have a certificate of its new "
	    "owner, without a token", MM_C_NONE, NULL },
	REASON_OPT, LOOK_OPTS, END
};
const struct mm_opt mm_opts_device_repair[] = {
	{ "bound-key", "SHA256", "of the new board, where the factory has "
	    "recorded it", MM_C_NONE, NULL },
	REASON_OPT, LOOK_OPTS, END
};

/* One of the ways that a device's certificates end. */
struct turn {
	struct mm_cli *cli;
	const struct mm_args *a;
	const char *path;     /* of the call */
	const char *would; /* what becomes of it */
	const char *becomes;
	bool keeps_idevid;
	const char *product; /* that it comes to; NULL: it stays */
};

/* What is not over yet, of its certificates. */
static size_t
count_live(const struct turn *t, const json_t *device)
{
	static const char live[] = " issued confirmed superseded held ";
	char word[32];
	size_t n = 0, i;
	json_t *c;

	json_array_foreach(json_object_get(device, "certificates"), i, c)
	{
		snprintf(word, sizeof(word), " %s ", mm_json_text(c, "state"));
		n += strstr(live, word) != NULL && !(t->keeps_idevid &&
		    json_is_true(json_object_get(c, "idevid")));
	}
	return n;
}

/* On a terminal only: who calls from a script has decided. */
static enum mm_err
confirm(const struct turn *t, size_t live, struct mm_why *why)
{
	char answer[16];

	if (mm_flag(t->a, "yes") || !isatty(STDIN_FILENO) || !t->cli->tty)
		return MM_OK;
	fprintf(stderr, "%s %s, and %zu %s would be revoked.  Go on? [y/N] ",
	    t->a->pos[0], t->would, live, mm_counted(live, "certificate",
	    "certificates"));
	if (fgets(answer, sizeof(answer), stdin) == NULL ||
	    (answer[0] | 32) != 'y')
		return MM_FAIL(why, MM_EPOLICY, "not confirmed");
	return MM_OK;
}

static enum mm_err
look_and_do(const struct turn *t, json_t *take_body, struct mm_why *why)
{
	MM_OWN(json_free) json_t *body = take_body;
	MM_OWN(json_free) json_t *now = NULL;
	char p[1024], words[512];
	struct mm_client *c;
	size_t live;

	MM_TRY(mm_path(p, why, "/devices/%s", t->a->pos[0]));
	MM_TRY(mm_cli_client(t->cli, &c, why));
	MM_TRY(mm_client_call(c, "GET", p, NULL, &now, why));
	live = count_live(t, now);
	if (strcmp(mm_json_text(now, "state"), "retired") == 0)
		snprintf(words, sizeof(words), "%s is retired already: "
		    "nothing would happen.\n", t->a->pos[0]);
	else if (t->product != NULL &&
	    strcmp(mm_json_text(now, "product"), t->product) == 0)
		snprintf(words, sizeof(words), "%s is of product %s already: "
		    "nothing would be ended but what one that failed has "
		    "left.\n", t->a->pos[0], t->product);
	else
		snprintf(words, sizeof(words), "%s %s, and %zu %s would be "
		    "revoked.\n", t->a->pos[0], t->would, live,
		    mm_counted(live, "certificate", "certificates"));
	if (mm_flag(t->a, "dry-run"))
		return mm_dry_print(t->cli, now, t->becomes, words);
	MM_TRY(confirm(t, live, why));
	MM_TRY(mm_path(p, why, t->path, t->a->pos[0]));
	return mm_object_command(t->cli, "POST", p, json_incref(body), why);
}

enum mm_err
mm_cmd_device_retire(struct mm_cli *cli, const struct mm_args *a,
    struct mm_why *why)
{
	return look_and_do(&(struct turn){ cli, a, "/devices/%s/retire",
	    "would be retired for good: its id never comes back", "retired",
	    false, NULL },
	    json_object(), why);
}

static enum mm_err
want(const struct mm_args *a, const char *opt, struct mm_why *why)
{
	return mm_arg(a, opt) != NULL ? MM_OK :
	    MM_FAIL(why, MM_EINPUT, "--%s is needed", opt);
}

enum mm_err
mm_cmd_device_transfer(struct mm_cli *cli, const struct mm_args *a,
    struct mm_why *why)
{
	json_t *body;

	MM_TRY(want(a, "product", why));
	MM_TRY(want(a, "reason", why));
	body = json_object();
	mm_json_opt(body, "product", a, "product");
	mm_json_opt(body, "reason", a, "reason");
	if (mm_flag(a, "idevid"))
		json_object_set_new(body, "idevid", json_true());
	return look_and_do(&(struct turn){ cli, a, "/devices/%s/transfer",
	    mm_flag(a, "idevid") ? "would come to another product and keep "
	    "its IDevID alone, by which it may have a certificate of that; "
	    "its tokens would be cancelled" :
	    "would come to another product and keep its IDevID alone; its "
	    "tokens would be cancelled", "active", true,
	    mm_arg(a, "product") }, body, why);
}

enum mm_err
mm_cmd_device_repair(struct mm_cli *cli, const struct mm_args *a,
    struct mm_why *why)
{
	json_t *body;

	MM_TRY(want(a, "reason", why));
	body = json_object();
	mm_json_opt(body, "bound_spki_sha256", a, "bound-key");
	mm_json_opt(body, "reason", a, "reason");
	return look_and_do(&(struct turn){ cli, a, "/devices/%s/repair",
	    "would be made anew with another key; its tokens would be "
	    "cancelled", "active", false }, body, why);
}
