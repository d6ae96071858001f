#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/own.h"
#include "cli/client.h"
#include "cli/commands.h"
#include "pki/profile.h"

/* Profiles before they are loaded. */

MM_FREE_FN(text_free, char, free)

enum { CONF_MAX = 1 << 20, JSON_MAX = 1 << 20 };

static bool
is_whole(struct mm_bytes text)
{
	return memmem(text.p, text.n, "\nissuer \"", 9) != NULL;
}

/* An array of objects, of a file of profiles or a whole configuration. */
static enum mm_err
load(const char *path, json_t **out, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf text = MM_BUF_INIT(CONF_MAX);
	MM_OWN(mm_buf_done) struct mm_buf json = MM_BUF_INIT(JSON_MAX);
	MM_OWN(mm_profiles_done) struct mm_profile_set set = { .n = 0 };
	MM_OWN(mm_config_free) struct mm_config *whole = NULL;
	struct mm_json j = mm_json_over(&json);

	MM_TRY(mm_file_read(path, &text, why));
	if (is_whole(mm_buf_view(&text)))
		MM_TRY(mm_config_load(path, &whole, why));
	else
		MM_TRY(mm_profiles_parse(mm_buf_view(&text), path, &set, why));
	mm_json_open(&j, '[');
	for (size_t i = 0; i < set.n; i++)
		MM_TRY(mm_profile_json(&j, NULL, &set.profile[i], why));
	for (size_t i = 0; whole != NULL && i < whole->nprofile; i++)
		MM_TRY(mm_profile_json(&j, NULL, &whole->profile[i], why));
	mm_json_close(&j, ']');
	MM_TRY(mm_buf_ok(&json, why));
	*out = json_loadb((const char *)json.p, json.n, 0, NULL);
	return *out != NULL ? MM_OK : MM_FAIL(why, MM_ENOMEM, "out of memory");
}

const struct mm_opt mm_opts_profile_check[] = {
	{ "loaded", NULL, "by the server: against what it has loaded",
	    MM_C_NONE, NULL },
	{ NULL, NULL, NULL, MM_C_NONE, NULL }
};

/* What the server says of them: whether their issuers are there, and whether
 * one is in use with other settings. */
static enum mm_err
check_loaded(struct mm_cli *cli, const char *path, struct mm_why *why)
{
	static const struct mm_column columns[] = {
		{ "NAME", "profile.name" }, { "VERSION", "profile.version" },
		{ "IN USE", "in_use" }, { "WARNINGS", "warnings" } };
	MM_OWN(mm_buf_done) struct mm_buf text = MM_BUF_INIT(CONF_MAX);
	MM_OWN(json_free) json_t *answer = NULL;
	MM_OWN(json_free) json_t *body = NULL;
	struct mm_client *c;

	MM_TRY(mm_file_read(path, &text, why));
	if (is_whole(mm_buf_view(&text)))
		return MM_FAIL(why, MM_EINPUT, "%.80s: a whole configuration; "
		    "--loaded wants its profile blocks alone", path);
	body = json_pack("{s:s%}", "text", text.p, text.n);
	if (body == NULL)
		return MM_FAIL(why, MM_EINPUT, "%.80s: not UTF-8", path);
	MM_TRY(mm_cli_client(cli, &c, why));
	MM_TRY(mm_client_call(c, "POST", "/profiles/check", body, &answer,
	    why));
	if (cli->json)
		mm_json_print(json_object_get(answer, "items"));
	else
		mm_table_print(columns, 4, json_object_get(answer, "items"));
	return MM_OK;
}

enum mm_err
mm_cmd_profile_check(struct mm_cli *cli, const struct mm_args *a,
    struct mm_why *why)
{
	static const struct mm_column columns[] = { { "NAME", "name" },
		{ "VERSION", "version" }, { "KIND", "kind" },
		{ "ISSUER", "issuer" }, { "HASH", "hash" } };
	MM_OWN(json_free) json_t *all = NULL;

	if (mm_flag(a, "loaded"))
		return check_loaded(cli, a->pos[0], why);
	MM_TRY(load(a->pos[0], &all, why));
	if (cli->json)
		mm_json_print(all);
	else
		mm_table_print(columns, 5, all);
	return MM_OK;
}

/* ---- diff ---- */

const struct mm_opt mm_opts_profile_diff[] = {
	{ NULL, NULL, NULL, MM_C_NONE, NULL }
};

static json_t *
difference(const char *key, const json_t *now, const json_t *then)
{
	MM_OWN(text_free) char *a = json_dumps(now, JSON_ENCODE_ANY);
	MM_OWN(text_free) char *b = json_dumps(then, JSON_ENCODE_ANY);

	return json_pack("{s:s,s:s,s:s}", "field", key, "now", a ? a : "",
	    "then", b ? b : "");
}

static json_t *
compare(json_t *now, json_t *then)
{
	json_t *out = json_array(), *v;
	const char *key;

	json_object_foreach(then, key, v)
		if (strcmp(key, "hash") != 0 &&
		    !json_equal(v, json_object_get(now, key)))
			json_array_append_new(out, difference(key,
			    json_object_get(now, key), v));
	return out;
}

static json_t *
named(const json_t *all, const char *name)
{
	json_t *p;
	size_t i;

	json_array_foreach(all, i, p)
		if (strcmp(json_string_value(json_object_get(p, "name")),
		    name) == 0)
			return p;
	return NULL;
}

enum mm_err
mm_cmd_profile_diff(struct mm_cli *cli, const struct mm_args *a,
    struct mm_why *why)
{
	static const struct mm_column columns[] = { { "FIELD", "field" },
		{ "NOW", "now" }, { "THEN", "then" } };
	MM_OWN(json_free) json_t *all = NULL;
	MM_OWN(json_free) json_t *now = NULL;
	MM_OWN(json_free) json_t *out = NULL;
	struct mm_client *c;
	json_t *then;
	char p[1024];

	MM_TRY(load(a->pos[1], &all, why));
	then = named(all, a->pos[0]);
	if (then == NULL)
		return MM_FAIL(why, MM_ENOTFOUND, "%.80s: there is no profile "
		    "%.32s in it", a->pos[1], a->pos[0]);
	MM_TRY(mm_path(p, why, "/profiles/%s", a->pos[0]));
	MM_TRY(mm_cli_client(cli, &c, why));
	MM_TRY(mm_client_call(c, "GET", p, NULL, &now, why));
	out = compare(now, then);
	if (cli->json)
		mm_json_print(out);
	else if (json_array_size(out) > 0)
		mm_table_print(columns, 3, out);
	if (json_array_size(out) > 0 && json_equal(json_object_get(now,
	    "version"), json_object_get(then, "version")))
		mm_cli_note(cli, "a version is fixed once used: raise it");
	return MM_OK;
}
