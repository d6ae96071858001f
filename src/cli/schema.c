#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/own.h"
#include "cli/client.h"
#include "cli/commands.h"

/* The schema of a product's devices. */

enum { SCHEMA_MAX = 65536 };

const struct mm_opt mm_opts_product_schema[] = {
	{ "set", "FILE", "make this JSON Schema the product's", MM_C_FILE,
	    NULL },
	{ "force", NULL, "with --set: though devices do not fit", MM_C_NONE,
	    NULL },
	{ "check", "FILE", "name the devices that do not fit this one",
	    MM_C_FILE, NULL },
	{ "remove", NULL, "the product has none any more", MM_C_NONE, NULL },
	{ "if-version", "N", "with --set and --remove: fail (exit status 5) if "
	    "it is at another version than this one", MM_C_NONE, NULL },
	{ NULL, NULL, NULL, MM_C_NONE, NULL }
};

static enum mm_err
load(const char *path, json_t **out, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf b = MM_BUF_INIT(SCHEMA_MAX);
	json_error_t where;

	MM_TRY(mm_file_read(path, &b, why));
	*out = json_loadb((const char *)b.p, b.n, JSON_REJECT_DUPLICATES,
	    &where);
	return *out != NULL ? MM_OK : MM_FAIL(why, MM_EINPUT,
	    "%.80s: line %d: %s", path, where.line, where.text);
}

/* Piece by piece, until every device is in the index. */
static enum mm_err
index_all(struct mm_client *c, const char *path, struct mm_why *why)
{
	bool done = false;

	while (!done) {
		MM_OWN(json_free) json_t *answer = NULL;

		MM_TRY(mm_client_call(c, "POST", path, NULL, &answer, why));
		done = json_is_true(json_object_get(answer, "done"));
	}
	return MM_OK;
}

static enum mm_err
set(struct mm_cli *cli, const struct mm_args *a, struct mm_why *why)
{
	MM_OWN(json_free) json_t *schema = NULL;
	MM_OWN(json_free) json_t *answer = NULL;
	struct mm_client *c;
	char p[1024];

	MM_TRY(load(mm_arg(a, "set"), &schema, why));
	MM_TRY(mm_path(p, why, mm_flag(a, "force") ?
	    "/products/%s/schema?force=true" : "/products/%s/schema",
	    a->pos[0]));
	MM_TRY(mm_cli_client(cli, &c, why));
	MM_TRY(mm_if_version(cli, a, why));
	MM_TRY(mm_client_call(c, "PUT", p, schema, &answer, why));
	if (cli->json)
		mm_json_print(answer);
	else
		mm_object_print(answer);
	MM_TRY(mm_path(p, why, "/products/%s/schema/index", a->pos[0]));
	return index_all(c, p, why);
}

static enum mm_err
check_page(struct mm_client *c, const char *path, json_t *body, json_t *all,
    long long *unfit, struct mm_why *why)
{
	MM_OWN(json_free) json_t *answer = NULL;
	const json_t *next;

	MM_TRY(mm_client_call(c, "POST", path, body, &answer, why));
	json_array_extend(all, json_object_get(answer, "devices"));
	*unfit += json_integer_value(json_object_get(answer, "unfit"));
	next = json_object_get(answer, "next");
	json_object_set_new(body, "after",
	    json_string(next != NULL ? json_string_value(next) : ""));
	return MM_OK;
}

static enum mm_err
check(struct mm_cli *cli, const struct mm_args *a, struct mm_why *why)
{
	static const struct mm_column columns[] = { { "DEVICE", "device" },
		{ "COLUMN", "column" }, { "WHY", "detail" } };
	MM_OWN(json_free) json_t *body = json_object();
	MM_OWN(json_free) json_t *all = json_array();
	struct mm_client *c;
	json_t *schema = NULL;
	long long unfit = 0;
	char p[1024];

	MM_TRY(load(mm_arg(a, "check"), &schema, why));
	json_object_set_new(body, "schema", schema);
	MM_TRY(mm_path(p, why, "/products/%s/schema/check", a->pos[0]));
	MM_TRY(mm_cli_client(cli, &c, why));
	do
		MM_TRY(check_page(c, p, body, all, &unfit, why));
	while (json_string_length(json_object_get(body, "after")) > 0);
	if (cli->json)
		mm_json_print(all);
	else if (unfit > 0)
		mm_table_print(columns, 3, all);
	return unfit == 0 ? MM_OK : MM_FAIL(why, MM_ECONFLICT,
	    "%lld %s not fit", unfit, mm_counted((unsigned long long)unfit,
	    "device does", "devices do"));
}

enum mm_err
mm_cmd_product_schema(struct mm_cli *cli, const struct mm_args *a,
    struct mm_why *why)
{
	MM_OWN(json_free) json_t *answer = NULL;
	struct mm_client *c;
	char p[1024];

	if (mm_arg(a, "set") != NULL)
		return set(cli, a, why);
	if (mm_arg(a, "check") != NULL)
		return check(cli, a, why);
	MM_TRY(mm_path(p, why, "/products/%s/schema", a->pos[0]));
	if (mm_flag(a, "remove")) {
		MM_TRY(mm_if_version(cli, a, why));
		return mm_object_command(cli, "DELETE", p, NULL, why);
	}
	MM_TRY(mm_cli_client(cli, &c, why));
	MM_TRY(mm_client_call(c, "GET", p, NULL, &answer, why));
	mm_json_print(json_object_get(answer, "schema"));
	return MM_OK;
}
