#include <string.h>

#include "cli/client.h"
#include "cli/commands.h"

#define END { NULL, NULL, NULL, MM_C_NONE, NULL }
#define NCOL(c) (sizeof(c) / sizeof((c)[0]))

static const struct mm_column hook_columns[] = {
	{ "ID", "id" }, { "STATE", "state" }, { "URL", "url" },
	{ "TYPES", "types" }, { "PRODUCTS", "products" },
	{ "BATCH", "batch" },
};
const struct mm_opt mm_opts_webhook_list[] = { MM_LIST_OPTS, END };
MM_LIST(webhook_list, "/webhooks", hook_columns)

static enum mm_err
on_hook(struct mm_cli *cli, const struct mm_args *a, const char *method,
    const char *fmt, struct mm_why *why)
{
	char p[1024];

	MM_TRY(mm_path(p, why, fmt, a->pos[0]));
	return mm_object_command(cli, method, p, NULL, why);
}

static enum mm_err
change_hook(struct mm_cli *cli, const struct mm_args *a, const char *method,
    const char *fmt, struct mm_why *why)
{
	MM_TRY(mm_if_version(cli, a, why));
	return on_hook(cli, a, method, fmt, why);
}

#define ON_HOOK(name, fn, method, path, ...)                               \
	const struct mm_opt mm_opts_webhook_##name[] = { __VA_ARGS__ };    \
	enum mm_err mm_cmd_webhook_##name(struct mm_cli *cli,              \
	    const struct mm_args *a, struct mm_why *why)                   \
	{                                                                  \
		return fn(cli, a, method, path, why);                      \
	}
ON_HOOK(show, on_hook, "GET", "/webhooks/%s", END)
ON_HOOK(remove, change_hook, "DELETE", "/webhooks/%s", MM_IF_VERSION_OPT, END)
ON_HOOK(pause, change_hook, "POST", "/webhooks/%s/pause",
    MM_IF_VERSION_OPT, END)
ON_HOOK(resume, change_hook, "POST", "/webhooks/%s/resume",
    MM_IF_VERSION_OPT, END)
ON_HOOK(test, on_hook, "POST", "/webhooks/%s/test", END)

/* ---- create, change ---- */

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

static void
put_lists(json_t *o, const struct mm_args *a)
{
	mm_json_list(o, "types", a, "types");
	mm_json_list(o, "products", a, "products");
	mm_json_opt(o, "description", a, "description");
}

enum mm_err
mm_cmd_webhook_create(struct mm_cli *cli, const struct mm_args *a,
    struct mm_why *why)
{
	json_t *o = json_pack("{s:s}", "url", a->pos[0]);
	enum mm_err rc;

	put_lists(o, a);
	if (mm_flag(a, "batch"))
		json_object_set_new(o, "batch", json_true());
	rc = put_from(o, a, why);
	if (rc != MM_OK)
		return json_decref(o), rc;
	MM_TRY(mm_object_command(cli, "POST", "/webhooks", o, why));
	mm_cli_note(cli, "the secret is shown once: the receiver verifies "
	    "with it");
	return MM_OK;
}

const struct mm_opt mm_opts_webhook_change[] = {
	{ "url", "URL", "where to", MM_C_NONE, NULL },
	{ "types", "LIST", "these event types only, with commas; \"\": all",
	    MM_C_NONE, NULL },
	{ "products", "LIST", "events of these products only, with commas; "
	    "\"\": of all", MM_C_PRODUCT, NULL },
	{ "batch", "YES|NO", "whether up to 100 events are in one POST",
	    MM_C_WORDS, "yes no" },
	{ "description", "TEXT", "words for people", MM_C_NONE, NULL },
	MM_IF_VERSION_OPT, END
};

/* What is not named stays as now has it. */
static enum mm_err
changed(const struct mm_args *a, json_t *now, json_t *o, struct mm_why *why)
{
	static const char *const keep[] = { "url", "description", "types",
		"products", "batch" };
	static const char *const lists[] = { "types", "products" };
	const char *batch = mm_arg(a, "batch");

	for (size_t i = 0; i < NCOL(keep); i++)
		json_object_set(o, keep[i], json_object_get(now, keep[i]));
	mm_json_opt(o, "url", a, "url");
	put_lists(o, a);
	for (size_t i = 0; i < NCOL(lists); i++) /* all is no list */
		if (json_array_size(json_object_get(o, lists[i])) == 0)
			json_object_del(o, lists[i]);
	if (batch == NULL)
		return MM_OK;
	if (strcmp(batch, "yes") != 0 && strcmp(batch, "no") != 0)
		return MM_FAIL(why, MM_EINPUT, "--batch: want yes or no");
	json_object_set_new(o, "batch", json_boolean(batch[0] == 'y'));
	return MM_OK;
}

enum mm_err
mm_cmd_webhook_change(struct mm_cli *cli, const struct mm_args *a,
    struct mm_why *why)
{
	MM_OWN(json_free) json_t *now = NULL;
	MM_OWN(json_free) json_t *o = json_object();
	struct mm_client *c;
	char p[1024];

	MM_TRY(mm_path(p, why, "/webhooks/%s", a->pos[0]));
	MM_TRY(mm_cli_client(cli, &c, why));
	MM_TRY(mm_client_call(c, "GET", p, NULL, &now, why));
	/* nobody's change since is undone */
	mm_client_if_version(c, mm_client_version(c));
	MM_TRY(mm_if_version(cli, a, why));
	MM_TRY(changed(a, now, o, why));
	return mm_object_command(cli, "PUT", p, json_incref(o), why);
}

/* ---- rotate, replay ---- */

const struct mm_opt mm_opts_webhook_rotate[] = { MM_IF_VERSION_OPT, END };

enum mm_err
mm_cmd_webhook_rotate(struct mm_cli *cli, const struct mm_args *a,
    struct mm_why *why)
{
	MM_TRY(change_hook(cli, a, "POST", "/webhooks/%s/rotate", why));
	mm_cli_note(cli, "the secret is shown once; both sign for 24 hours: "
	    "give the new one to the receiver within them");
	return MM_OK;
}

const struct mm_opt mm_opts_webhook_replay[] = {
	{ "from", "N", "the index to begin with (required)", MM_C_NONE, NULL },
	MM_IF_VERSION_OPT, END
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
	if (rc == MM_OK)
		rc = mm_if_version(cli, a, why);
	if (rc != MM_OK)
		return json_decref(o), rc;
	return mm_object_command(cli, "POST", p, o, why);
}

/* ---- the authorise hook ---- */

const struct mm_opt mm_opts_authorise_show[] = { END };
const struct mm_opt mm_opts_authorise_rotate[] = { MM_IF_VERSION_OPT, END };

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
	MM_TRY(mm_if_version(cli, a, why));
	MM_TRY(mm_object_command(cli, "POST", "/authorise/rotate", NULL,
	    why));
	mm_cli_note(cli, "the secret is shown once; the one before it, if "
	    "any, signs for 24 hours more");
	return MM_OK;
}

/* ---- mails ---- */

const struct mm_opt mm_opts_mail_show[] = { END };
const struct mm_opt mm_opts_mail_test[] = { END };

enum mm_err
mm_cmd_mail_show(struct mm_cli *cli, const struct mm_args *a,
    struct mm_why *why)
{
	(void)a;
	return mm_object_command(cli, "GET", "/mail", NULL, why);
}

enum mm_err
mm_cmd_mail_test(struct mm_cli *cli, const struct mm_args *a,
    struct mm_why *why)
{
	MM_OWN(json_free) json_t *o = NULL;
	struct mm_client *c;

	(void)a;
	MM_TRY(mm_cli_client(cli, &c, why));
	MM_TRY(mm_client_call(c, "POST", "/mail/test", NULL, &o, why));
	if (!json_is_true(json_object_get(o, "delivered")))
		cli->status = mm_err_exit(MM_EAGAIN);
	if (cli->json)
		mm_json_print(o);
	else
		mm_object_print(o);
	return MM_OK;
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
