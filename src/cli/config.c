#include <string.h>

#include "base/file.h"
#include "base/own.h"
#include "base/secret.h"
#include "cli/batch.h"
#include "cli/client.h"
#include "cli/commands.h"

/* Configuration in the field. */

enum { TEMPLATE_MAX = 65536, SCHEMA_MAX = 16384 };
#define NCOL(c) (sizeof(c) / sizeof((c)[0]))
#define END { NULL, NULL, NULL, MM_C_NONE, NULL }
#define WHOSE                                                              \
	{ "product", "PRODUCT", "of this product's devices", MM_C_PRODUCT, \
	    NULL },                                                        \
	{ "batch", "BATCH", "of this batch's devices", MM_C_NONE, NULL },  \
	{ "device", "DEVICE", "of this device", MM_C_DEVICE, NULL }
#define TEXTS                                                              \
	{ "template", "FILE", "the document, JSON with {{field}} and "     \
	    "{{field:secret}}", MM_C_FILE, NULL },                         \
	{ "rows", "CSV", "its fields, a row for each device (default: they " \
	    "are the devices' attributes)", MM_C_FILE, NULL },             \
	{ "schema", "FILE", "with --product: JSON Schema that each document " \
	    "of its devices must fit", MM_C_FILE, NULL }

/* The path of the one set that the options name, and what follows. */
static enum mm_err
path_of(const struct mm_args *a, const char *more, char p[1024],
    struct mm_why *why)
{
	static const struct {
		const char *opt, *path;
	} kinds[] = {
		{ "product", "/products/%s/configuration%s" },
		{ "batch", "/batches/%s/configuration%s" },
		{ "device", "/devices/%s/configuration%s" },
	};
	const char *path = NULL, *id = NULL;

	for (size_t i = 0; i < 3; i++) {
		const char *v = mm_arg(a, kinds[i].opt);

		if (v != NULL && id != NULL)
			return MM_FAIL(why, MM_EINPUT, "say --product, "
			    "--batch or --device: one of them");
		if (v != NULL) {
			id = v;
			path = kinds[i].path;
		}
	}
	if (id == NULL)
		return MM_FAIL(why, MM_EINPUT, "whose configuration? say "
		    "--product, --batch or --device");
	MM_TRY(mm_path(p, why, path, id, ""));
	strncat(p, more, 1023 - strlen(p));
	return MM_OK;
}

/* ---- list, show, history, remove ---- */

static const struct mm_column set_columns[] = {
	{ "SCOPE", "scope" }, { "ID", "id" }, { "PRODUCT", "product" },
	{ "VERSION", "version" }, { "STATE", "state" },
	{ "CHANGED", "changed" },
};
static const struct mm_filter set_filters[] = { { "product", "product" } };
const struct mm_opt mm_opts_config_list[] = {
	{ "product", "PRODUCT", "of this product", MM_C_PRODUCT, NULL },
	MM_LIST_OPTS, END
};

enum mm_err
mm_cmd_config_list(struct mm_cli *cli, const struct mm_args *a,
    struct mm_why *why)
{
	return mm_list_command(cli, a, "/configurations", set_filters,
	    NCOL(set_filters), set_columns, NCOL(set_columns), why);
}

static enum mm_err
get(struct mm_cli *cli, const struct mm_args *a, json_t **out,
    struct mm_why *why)
{
	struct mm_client *c;
	char p[1024];

	MM_TRY(path_of(a, "", p, why));
	MM_TRY(mm_cli_client(cli, &c, why));
	return mm_client_call(c, "GET", p, NULL, out, why);
}

/* A line a row, as in a CSV file of plain words. */
static void
flatten_rows(json_t *o)
{
	MM_OWN(mm_buf_done) struct mm_buf text = MM_BUF_INIT(16U << 20);
	json_t *rows = json_object_get(o, "rows"), *row, *cell;
	size_t i, k;

	json_array_foreach(rows, i, row) {
		json_array_foreach(row, k, cell)
			mm_buf_printf(&text, "%s%s", k > 0 ? ", " : "",
			    json_string_value(cell));
		mm_buf_text(&text, "\n");
	}
	if (rows != NULL && text.err == MM_OK)
		json_object_set_new(o, "rows", json_stringn(
		    (const char *)text.p, text.n));
}

const struct mm_opt mm_opts_config_show[] = { WHOSE, END };

enum mm_err
mm_cmd_config_show(struct mm_cli *cli, const struct mm_args *a,
    struct mm_why *why)
{
	MM_OWN(json_free) json_t *o = NULL;

	MM_TRY(get(cli, a, &o, why));
	if (cli->json) {
		mm_json_print(o);
		return MM_OK;
	}
	json_object_del(o, "history"); /* has a command of its own */
	flatten_rows(o);
	mm_object_print(o);
	return MM_OK;
}

static const struct mm_column past_columns[] = {
	{ "VERSION", "version" }, { "CHANGE", "change" }, { "AT", "at" },
	{ "BY", "by" }, { "TEMPLATE", "template_sha256" },
};
const struct mm_opt mm_opts_config_history[] = { WHOSE, END };

enum mm_err
mm_cmd_config_history(struct mm_cli *cli, const struct mm_args *a,
    struct mm_why *why)
{
	MM_OWN(json_free) json_t *o = NULL;
	json_t *past;

	MM_TRY(get(cli, a, &o, why));
	past = json_object_get(o, "history");
	if (cli->json)
		mm_json_print(past);
	else
		mm_table_print(past_columns, NCOL(past_columns), past);
	return MM_OK;
}

const struct mm_opt mm_opts_config_remove[] = { WHOSE, MM_IF_VERSION_OPT,
	END };

enum mm_err
mm_cmd_config_remove(struct mm_cli *cli, const struct mm_args *a,
    struct mm_why *why)
{
	char p[1024];

	MM_TRY(path_of(a, "", p, why));
	MM_TRY(mm_if_version(cli, a, why));
	return mm_object_command(cli, "DELETE", p, NULL, why);
}

/* ---- set, check ---- */

static enum mm_err
put_template(const char *path, json_t *o, struct mm_why *why)
{
	MM_OWN(mm_buf_wipe) struct mm_buf text = MM_BUF_INIT(TEMPLATE_MAX);
	json_t *v;

	MM_TRY(mm_file_read(path, &text, why));
	v = json_stringn((const char *)text.p, text.n);
	if (v == NULL)
		return MM_FAIL(why, MM_EINPUT, "%.80s: not a text in UTF-8",
		    path);
	json_object_set_new(o, "template", v);
	return MM_OK;
}

static enum mm_err
put_schema(const char *path, json_t *o, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf text = MM_BUF_INIT(SCHEMA_MAX);
	json_error_t where;
	json_t *v;

	MM_TRY(mm_file_read(path, &text, why));
	v = json_loadb((const char *)text.p, text.n, JSON_REJECT_DUPLICATES,
	    &where);
	if (v == NULL)
		return MM_FAIL(why, MM_EINPUT, "%.80s: line %d: %s", path,
		    where.line, where.text);
	json_object_set_new(o, "schema", v);
	return MM_OK;
}

/* An empty one where no template is given. */
static enum mm_err
body_of(const struct mm_args *a, json_t *o, struct mm_why *why)
{
	const char *template = mm_arg(a, "template");
	const char *rows = mm_arg(a, "rows"), *schema = mm_arg(a, "schema");

	if (template == NULL && (rows != NULL || schema != NULL))
		return MM_FAIL(why, MM_EINPUT, "missing --template");
	if (template != NULL)
		MM_TRY(put_template(template, o, why));
	if (rows != NULL)
		MM_TRY(mm_batch_rows(rows, o, why));
	return schema != NULL ? put_schema(schema, o, why) : MM_OK;
}

static enum mm_err
check_page(struct mm_client *c, const char *path, json_t *body, json_t *all,
    long long n[2], struct mm_why *why)
{
	MM_OWN(json_free) json_t *answer = NULL;
	const json_t *next;

	MM_TRY(mm_client_call(c, "POST", path, body, &answer, why));
	json_array_extend(all, json_object_get(answer, "devices"));
	n[0] += json_integer_value(json_object_get(answer, "checked"));
	n[1] += json_integer_value(json_object_get(answer, "unfit"));
	next = json_object_get(answer, "next");
	json_object_set_new(body, "after",
	    json_string(next != NULL ? json_string_value(next) : ""));
	return MM_OK;
}

static enum mm_err
check(struct mm_cli *cli, const struct mm_args *a, struct mm_why *why)
{
	static const struct mm_column columns[] = { { "DEVICE", "device" },
		{ "WHY", "detail" } };
	MM_OWN(json_free) json_t *body = json_object();
	MM_OWN(json_free) json_t *all = json_array();
	struct mm_client *c;
	long long n[2] = { 0, 0 };
	char p[1024];

	MM_TRY(path_of(a, "/check", p, why));
	MM_TRY(body_of(a, body, why));
	MM_TRY(mm_cli_client(cli, &c, why));
	do
		MM_TRY(check_page(c, p, body, all, n, why));
	while (json_string_length(json_object_get(body, "after")) > 0);
	if (cli->json)
		mm_json_print(all);
	else if (n[1] > 0)
		mm_table_print(columns, 2, all);
	if (n[1] > 0)
		return MM_FAIL(why, MM_ECONFLICT, "it cannot be made for %lld "
		    "of %lld devices", n[1], n[0]);
	mm_cli_note(cli, "it can be made for all of %lld devices\n", n[0]);
	return MM_OK;
}

const struct mm_opt mm_opts_config_check[] = { WHOSE, TEXTS, END };

enum mm_err
mm_cmd_config_check(struct mm_cli *cli, const struct mm_args *a,
    struct mm_why *why)
{
	return check(cli, a, why);
}

const struct mm_opt mm_opts_config_set[] = { WHOSE, TEXTS,
	{ "dry-run", NULL, "render it for every device, change nothing",
	    MM_C_NONE, NULL },
	{ "force", NULL, "though it cannot be made for some devices, which "
	    "keep what they have", MM_C_NONE, NULL },
	MM_IF_VERSION_OPT, END };

enum mm_err
mm_cmd_config_set(struct mm_cli *cli, const struct mm_args *a,
    struct mm_why *why)
{
	MM_OWN(json_free) json_t *body = json_object();
	char p[1024];

	if (mm_arg(a, "template") == NULL)
		return MM_FAIL(why, MM_EINPUT, "missing --template");
	if (mm_flag(a, "dry-run"))
		return check(cli, a, why);
	MM_TRY(path_of(a, mm_flag(a, "force") ? "?force=true" : "", p, why));
	MM_TRY(body_of(a, body, why));
	MM_TRY(mm_if_version(cli, a, why));
	return mm_object_command(cli, "PUT", p, MM_MOVE(body), why);
}

/* ---- devices ---- */

const struct mm_opt mm_opts_config_preview[] = { END };
MM_SHOW(config_preview, "GET", "/devices/%s/configuration/preview")

static const struct mm_column device_columns[] = {
	{ "DEVICE", "device" }, { "STATE", "state" }, { "VERSION", "version" },
	{ "HELD", "held" }, { "SINCE", "at" },
};
static const struct mm_filter device_filters[] = { { "state", "state" } };
const struct mm_opt mm_opts_config_devices[] = {
	{ "state", "STATE", "in this state", MM_C_WORDS,
	    "current offered old never" },
	MM_LIST_OPTS, END
};

enum mm_err
mm_cmd_config_devices(struct mm_cli *cli, const struct mm_args *a,
    struct mm_why *why)
{
	char p[1024];

	MM_TRY(mm_path(p, why, "/products/%s/configuration/devices",
	    a->pos[0]));
	return mm_list_command(cli, a, p, device_filters,
	    NCOL(device_filters), device_columns, NCOL(device_columns), why);
}
