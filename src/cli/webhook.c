#include <string.h>

#include "cli/commands.h"

#define END { NULL, NULL, NULL, MM_C_NONE, NULL }
#define NCOL(c) (sizeof(c) / sizeof((c)[0]))

static const struct mm_column hook_columns[] = {
	{ "ID", "id" }, { "STATE", "state" }, { "URL", "url" },
	{ "TYPES", "types" }, { "PRODUCTS", "products" },
	{ "BATCH", "batch" },
};
const struct mm_opt mm_opts_webhook_list[] = { MM_LIST_OPTS, END };

enum mm_err
mm_cmd_webhook_list(struct mm_cli *cli, const struct mm_args *a,
    struct mm_why *why)
{
	return mm_list_command(cli, a, "/webhooks", NULL, 0, hook_columns,
	    NCOL(hook_columns), why);
}

static enum mm_err
on_hook(struct mm_cli *cli, const struct mm_args *a, const char *method,
    const char *fmt, struct mm_why *why)
{
	char p[1024];

	MM_TRY(mm_path(p, why, fmt, a->pos[0]));
	return mm_object_command(cli, method, p, NULL, why);
}

#define ON_HOOK(name, method, path)                                        \
	const struct mm_opt mm_opts_webhook_##name[] = { END };            \
	enum mm_err mm_cmd_webhook_##name(struct mm_cli *cli,              \
	    const struct mm_args *a, struct mm_why *why)                   \
	{                                                                  \
		return on_hook(cli, a, method, path, why);                 \
	}
ON_HOOK(show, "GET", "/webhooks/%s")
ON_HOOK(remove, "DELETE", "/webhooks/%s")
ON_HOOK(pause, "POST", "/webhooks/%s/pause")
ON_HOOK(resume, "POST", "/webhooks/%s/resume")
ON_HOOK(test, "POST", "/webhooks/%s/test")

/* ---- create ---- */

const struct mm_opt mm_opts_webhook_create[] = {
	{ "types", "LIST", "these event types only, with commas; one that "
	    "ends in a dot stands for all that begin so", MM_C_NONE, NULL },
	{ "products", "LIST", "events of these products only, with commas",
	    MM_C_PRODUCT, NULL },
	{ "batch", NULL, "up to 100 events in one POST", MM_C_NONE, NULL },
	{ "from", "N", "begin with the event of this index (default: what "
	    "comes next)", MM_C_NONE, NULL },
	{ "description", "TEXT", "words for people", MM_C_NONE, NULL },
	END
};

static enum mm_err
put_from(json_t *o, const struct mm_args *a, struct mm_why *why)
{
	long from;

	if (mm_arg(a, "from") == NULL)
		return MM_OK;
	MM_TRY(mm_arg_int(a, "from", 0, 0, 1L << 52, &from, why));
	json_object_set_new(o, "from", json_integer(from));
	return MM_OK;
}

enum mm_err
mm_cmd_webhook_create(struct mm_cli *cli, const struct mm_args *a,
    struct mm_why *why)
{
	json_t *o = json_pack("{s:s}", "url", a->pos[0]);
	enum mm_err rc;

	mm_json_list(o, "types", a, "types");
	mm_json_list(o, "products", a, "products");
	mm_json_opt(o, "description", a, "description");
	if (mm_flag(a, "batch"))
		json_object_set_new(o, "batch", json_true());
	rc = put_from(o, a, why);
	if (rc != MM_OK)
		return json_decref(o), rc;
	mm_cli_hint(cli, "the secret is shown once: the receiver verifies "
	    "with it");
	return mm_object_command(cli, "POST", "/webhooks", o, why);
}

/* ---- rotate, replay ---- */

const struct mm_opt mm_opts_webhook_rotate[] = { END };

enum mm_err
mm_cmd_webhook_rotate(struct mm_cli *cli, const struct mm_args *a,
    struct mm_why *why)
{
	mm_cli_hint(cli, "both secrets sign for 24 hours: give the new one to "
	    "the receiver within them");
	return on_hook(cli, a, "POST", "/webhooks/%s/rotate", why);
}

const struct mm_opt mm_opts_webhook_replay[] = {
	{ "from", "N", "the index to begin with (required)", MM_C_NONE, NULL },
	END
};

enum mm_err
mm_cmd_webhook_replay(struct mm_cli *cli, const struct mm_args *a,
    struct mm_why *why)
{
	json_t *o = json_object();
	char p[1024];
	enum mm_err rc;

	rc = mm_arg(a, "from") == NULL
	    ? MM_FAIL(why, MM_EINPUT, "missing --from") : put_from(o, a, why);
	if (rc == MM_OK)
		rc = mm_path(p, why, "/webhooks/%s/replay", a->pos[0]);
	if (rc != MM_OK)
		return json_decref(o), rc;
	return mm_object_command(cli, "POST", p, o, why);
}

/* ---- the authorise hook ---- */

const struct mm_opt mm_opts_authorise_show[] = { END };
const struct mm_opt mm_opts_authorise_rotate[] = { END };

enum mm_err
mm_cmd_authorise_show(struct mm_cli *cli, const struct mm_args *a,
    struct mm_why *why)
{
	(void)a;
	return mm_object_command(cli, "GET", "/authorise", NULL, why);
}

enum mm_err
mm_cmd_authorise_rotate(struct mm_cli *cli, const struct mm_args *a,
    struct mm_why *why)
{
	(void)a;
	mm_cli_hint(cli, "the secret is shown once; the one before it, if "
	    "any, signs for 24 hours more");
	return mm_object_command(cli, "POST", "/authorise/rotate", NULL, why);
}

/* ---- dead letters ---- */

static const struct mm_column letter_columns[] = {
	{ "INDEX", "index" }, { "AT", "at" }, { "ATTEMPTS", "attempts" },
	{ "WHY", "why" },
};
const struct mm_opt mm_opts_webhook_dead_letters[] = {
	{ "retry", "N", "try this one again now", MM_C_NONE, NULL },
	MM_LIST_OPTS, END
};

enum mm_err
mm_cmd_webhook_dead_letters(struct mm_cli *cli, const struct mm_args *a,
    struct mm_why *why)
{
	char p[1024];

	if (mm_arg(a, "retry") != NULL) {
		MM_TRY(mm_path(p, why, "/webhooks/%s/dead-letters/%s/retry",
		    a->pos[0], mm_arg(a, "retry")));
		return mm_object_command(cli, "POST", p, NULL, why);
	}
	MM_TRY(mm_path(p, why, "/webhooks/%s/dead-letters", a->pos[0]));
	return mm_list_command(cli, a, p, NULL, 0, letter_columns,
	    NCOL(letter_columns), why);
}
