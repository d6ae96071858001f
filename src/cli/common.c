#include <stdarg.h>
#include <string.h>

#include "base/own.h"
#include "base/text.h"
#include "base/time.h"
#include "cli/client.h"
#include "cli/commands.h"

enum { PAGE = 1000, PATH_N = 1024, URL_N = 4096 };

/* RFC 3986 2.1: all but unreserved. */
static void
percent(struct mm_buf *b, const char *s)
{
	for (; *s != '\0'; s++) {
		unsigned char c = (unsigned char)*s;

		if (strchr("-._~", c) || (c >= '0' && c <= '9') ||
		    ((c | 32) >= 'a' && (c | 32) <= 'z'))
			mm_buf_u8(b, c);
		else
			mm_buf_printf(b, "%%%02X", c);
	}
}

/* see commands.h */
enum mm_err
mm_path(char out[1024], struct mm_why *why, const char *fmt, ...)
{
	MM_OWN(mm_buf_done) struct mm_buf b = MM_BUF_INIT(PATH_N - 1);
	const char *text;
	va_list ap;

	va_start(ap, fmt);
	for (; *fmt != '\0'; fmt++) {
		if (fmt[0] == '%' && fmt[1] == 's') {
			percent(&b, va_arg(ap, const char *));
			fmt++;
		} else
			mm_buf_u8(&b, (uint8_t)*fmt);
	}
	va_end(ap);
	MM_TRY(mm_buf_ok(&b, why));
	text = mm_buf_cstr(&b);
	if (text == NULL)
		return MM_FAIL(why, MM_ELIMIT, "name too long");
	strcpy(out, text);
	return MM_OK;
}

/* see commands.h */
const char *
mm_json_text(const json_t *o, const char *member)
{
	const char *v = json_string_value(json_object_get(o, member));

	return v != NULL ? v : "";
}

/* see commands.h */
void
mm_json_opt(json_t *o, const char *member, const struct mm_args *a,
    const char *opt)
{
	const char *v = mm_arg(a, opt);

	if (v != NULL)
		json_object_set_new(o, member, json_string(v));
}

static json_t *
split(const char *text)
{
	json_t *list = json_array();

	for (const char *comma; *text != '\0'; text = comma) {
		comma = strchr(text, ',');
		comma = comma ? comma : text + strlen(text);
		json_array_append_new(list,
		    json_stringn(text, (size_t)(comma - text)));
		comma += *comma == ',';
	}
	return list;
}

/* see commands.h */
void
mm_json_list(json_t *o, const char *member, const struct mm_args *a,
    const char *opt)
{
	const char *v = mm_arg(a, opt);

	if (v != NULL)
		json_object_set_new(o, member, split(v));
}

static enum mm_err
put_filter(struct mm_buf *b, const struct mm_filter *f, const char *v,
    struct mm_why *why)
{
	char then[MM_TIME_TEXT];
	int64_t ago_s;

	mm_buf_printf(b, "&%s=", f->param);
	if (f->ago) {
		MM_TRY(mm_duration_parse(v, &ago_s, why));
		mm_time_text_s(mm_now_s() - ago_s, then);
		v = then;
	}
	percent(b, v);
	return MM_OK;
}

/* Some lists are as short as the configuration, and come whole: those whose
 * command has no --limit. */
static bool
in_pages(const struct mm_args *a)
{
	for (const struct mm_opt *o = a->opts; o->name != NULL; o++)
		if (strcmp(o->name, "limit") == 0)
			return true;
	return false;
}

static enum mm_err
query(struct mm_buf *b, const char *path, const struct mm_args *a,
    const struct mm_filter *f, size_t nf, struct mm_why *why)
{
	mm_buf_text(b, path);
	if (!in_pages(a))
		return mm_buf_ok(b, why);
	mm_buf_printf(b, "?limit=%d", PAGE);
	for (size_t i = 0; i < nf; i++)
		if (mm_arg(a, f[i].opt) != NULL)
			MM_TRY(put_filter(b, &f[i], mm_arg(a, f[i].opt),
			    why));
	return mm_buf_ok(b, why);
}

/* One page: prints or collects; *after is set to the next key or emptied. */
static enum mm_err
page(struct mm_cli *cli, const char *base, char after[512], json_t *all,
    struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf b = MM_BUF_INIT(URL_N);
	MM_OWN(json_free) json_t *answer = NULL;
	struct mm_client *c;
	const char *next;

	MM_TRY(mm_cli_client(cli, &c, why));
	mm_buf_text(&b, base);
	if (after[0] != '\0') {
		mm_buf_text(&b, "&after=");
		percent(&b, after);
	}
	if (mm_buf_cstr(&b) == NULL)
		return MM_FAIL(why, MM_ELIMIT, "filters too long");
	MM_TRY(mm_client_call(c, "GET", mm_buf_cstr(&b), NULL, &answer, why));
	json_array_extend(all, json_object_get(answer, "items"));
	next = json_string_value(json_object_get(answer, "next"));
	snprintf(after, 512, "%s", next ? next : "");
	return MM_OK;
}

/* see commands.h */
enum mm_err
mm_list_command(struct mm_cli *cli, const struct mm_args *a, const char *path,
    const struct mm_filter *f, size_t nf, const struct mm_column *c, size_t nc,
    struct mm_why *why)
{
	MM_OWN(json_free) json_t *all = json_array();
	MM_OWN(mm_buf_done) struct mm_buf base = MM_BUF_INIT(URL_N);
	char after[512] = "";
	long limit = 0;

	if (in_pages(a)) {
		MM_TRY(mm_arg_int(a, "limit", PAGE, 0, 100000000, &limit,
		    why));
		if (mm_arg(a, "after") != NULL)
			snprintf(after, sizeof(after), "%s",
			    mm_arg(a, "after"));
	}
	MM_TRY(query(&base, path, a, f, nf, why));
	do
		MM_TRY(page(cli, mm_buf_cstr(&base), after, all, why));
	while (after[0] != '\0' &&
	    (limit == 0 || json_array_size(all) < (size_t)limit));
	while (limit != 0 && json_array_size(all) > (size_t)limit)
		json_array_remove(all, json_array_size(all) - 1);
	if (cli->json)
		mm_json_print(all);
	else
		mm_table_print(c, nc, all);
	if (!cli->json && after[0] != '\0')
		fprintf(stderr, "mintmark: note: there are more; go on with "
		    "--after %s, or --limit 0 for all\n", after);
	return MM_OK;
}

/* What --if-version takes stands in a header. */
static void
show_version(const struct mm_client *c, json_t *answer)
{
	int64_t version = mm_client_version(c);

	if (version >= 0 && json_is_object(answer) &&
	    json_object_get(answer, "version") == NULL)
		json_object_set_new(answer, "version", json_integer(version));
}

/* see commands.h */
enum mm_err
mm_if_version(struct mm_cli *cli, const struct mm_args *a, struct mm_why *why)
{
	struct mm_client *c;
	long version;

	if (mm_arg(a, "if-version") == NULL)
		return MM_OK;
	MM_TRY(mm_arg_int(a, "if-version", 0, 0, 1L << 52, &version, why));
	MM_TRY(mm_cli_client(cli, &c, why));
	mm_client_if_version(c, version);
	return MM_OK;
}

/* see commands.h */
enum mm_err
mm_object_command(struct mm_cli *cli, const char *method, const char *path,
    json_t *take_body, struct mm_why *why)
{
	MM_OWN(json_free) json_t *body = take_body;
	MM_OWN(json_free) json_t *answer = NULL;
	struct mm_client *c;

	MM_TRY(mm_cli_client(cli, &c, why));
	MM_TRY(mm_client_call(c, method, path, body, &answer, why));
	show_version(c, answer);
	if (cli->json)
		mm_json_print(answer);
	else if (!cli->quiet)
		mm_object_print(answer);
	return MM_OK;
}
