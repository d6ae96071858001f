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

	mm_buf_printf(b, "%s=", f->param);
	if (f->ago) {
		MM_TRY(mm_duration_parse(v, &ago_s, why));
		mm_time_text_s(mm_now_s() - ago_s, then);
		v = then;
	}
	percent(b, v);
	mm_buf_text(b, "&");
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

/* A list as it is printed: a page at a time, so that any length will do. */
struct listing {
	struct mm_cli *cli;
	struct mm_table table;
	struct mm_buf base; /* the path with its filters */
	char after[512];    /* the next page's key; "": there is none */
	long left;          /* rows to print; -1: all */
	bool in_pages, any;
};

static enum mm_err
query(struct listing *l, const char *path, const struct mm_args *a,
    const struct mm_filter *f, size_t nf, struct mm_why *why)
{
	mm_buf_text(&l->base, path);
	if (!l->in_pages)
		return mm_buf_ok(&l->base, why);
	mm_buf_text(&l->base, "?");
	for (size_t i = 0; i < nf; i++)
		if (mm_arg(a, f[i].opt) != NULL)
			MM_TRY(put_filter(&l->base, &f[i],
			    mm_arg(a, f[i].opt), why));
	return mm_buf_ok(&l->base, why);
}

/* No more rows than are wanted: the key that comes with them is the last
 * one's. */
static enum mm_err
page_url(const struct listing *l, struct mm_buf *b, struct mm_why *why)
{
	mm_buf_bytes(b, mm_buf_view(&l->base));
	if (l->in_pages)
		mm_buf_printf(b, "limit=%ld",
		    l->left < 0 || l->left > PAGE ? PAGE : l->left);
	if (l->after[0] != '\0') {
		mm_buf_text(b, "&after=");
		percent(b, l->after);
	}
	return mm_buf_cstr(b) != NULL ? MM_OK
	    : MM_FAIL(why, MM_ELIMIT, "filters too long");
}

static void
print_json(struct listing *l, const json_t *items)
{
	json_t *item;
	size_t i;

	json_array_foreach(items, i, item) {
		fputs(l->any || i > 0 ? ",\n" : "[\n", stdout);
		mm_json_dump(stdout, item, JSON_INDENT(2));
	}
}

/* What is no page is not the end of the list. */
static enum mm_err
check_page(const struct listing *l, const json_t *items, const char *next,
    struct mm_why *why)
{
	json_t *item;
	size_t i;

	if (!json_is_array(items))
		return MM_FAIL(why, MM_EAGAIN, "the server's answer is no page "
		    "of a list");
	json_array_foreach(items, i, item)
		if (!json_is_object(item))
			return MM_FAIL(why, MM_EAGAIN, "the server's page has "
			    "something that is no row");
	if (next[0] != '\0' && strcmp(next, l->after) == 0)
		return MM_FAIL(why, MM_EAGAIN, "the server's page leads to "
		    "itself");
	return MM_OK;
}

static void
print_page(struct listing *l, json_t *items)
{
	size_t n = json_array_size(items);

	if (l->cli->json)
		print_json(l, items);
	else if (n > 0)
		mm_table_rows(&l->table, items);
	l->any = l->any || n > 0;
	if (l->left > 0)
		l->left = (long)n < l->left ? l->left - (long)n : 0;
}

/* Prints one page; l->after becomes the next one's key. */
static enum mm_err
page(struct listing *l, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf b = MM_BUF_INIT(URL_N);
	MM_OWN(json_free) json_t *answer = NULL;
	struct mm_client *c;
	json_t *items;
	const char *next;

	MM_TRY(page_url(l, &b, why));
	MM_TRY(mm_cli_client(l->cli, &c, why));
	MM_TRY(mm_client_call(c, "GET", mm_buf_cstr(&b), NULL, &answer, why));
	items = json_object_get(answer, "items");
	next = mm_json_text(answer, "next");
	MM_TRY(check_page(l, items, next, why));
	if (!mm_text_copy(l->after, sizeof(l->after), mm_bytes_of(next)))
		return MM_FAIL(why, MM_ELIMIT, "the server's key of the next "
		    "page is too long");
	print_page(l, items);
	return !ferror(stdout) ? MM_OK
	    : MM_FAIL(why, MM_ESYS, "cannot write the output");
}

static void
end(struct listing *l)
{
	if (l->cli->json)
		puts(l->any ? "\n]" : "[]");
	else if (!l->any)
		mm_table_rows(&l->table, NULL);
	if (l->after[0] != '\0')
		mm_cli_note(l->cli, "there are more; go on with --after %s, or "
		    "--limit 0 for all", l->after);
}

static enum mm_err
list(struct listing *l, const struct mm_args *a, const char *path,
    const struct mm_filter *f, size_t nf, struct mm_why *why)
{
	if (l->in_pages) {
		MM_TRY(mm_arg_int(a, "limit", PAGE, 0, 100000000, &l->left,
		    why));
		l->left = l->left == 0 ? -1 : l->left;
		if (mm_arg(a, "after") != NULL &&
		    !mm_text_copy(l->after, sizeof(l->after),
		    mm_bytes_of(mm_arg(a, "after"))))
			return MM_FAIL(why, MM_EINPUT, "--after: not a key of "
			    "this list");
	}
	MM_TRY(query(l, path, a, f, nf, why));
	do
		MM_TRY(page(l, why));
	while (l->after[0] != '\0' && l->left != 0);
	end(l);
	return MM_OK;
}

/* see commands.h */
enum mm_err
mm_list_command(struct mm_cli *cli, const struct mm_args *a, const char *path,
    const struct mm_filter *f, size_t nf, const struct mm_column *c, size_t nc,
    struct mm_why *why)
{
	struct listing l = { .cli = cli, .table = { .c = c, .nc = nc },
		.base = MM_BUF_INIT(URL_N), .left = -1,
		.in_pages = in_pages(a) };
	enum mm_err rc = list(&l, a, path, f, nf, why);

	mm_buf_done(&l.base);
	return rc;
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
	else
		mm_object_print(answer);
	return MM_OK;
}

enum mm_err
mm_change_command(struct mm_cli *cli, const struct mm_args *a,
    const char *fmt, json_t *take_body, struct mm_why *why)
{
	char p[1024];
	enum mm_err rc = mm_if_version(cli, a, why);

	if (rc == MM_OK)
		rc = mm_path(p, why, fmt, a->pos[0]);
	if (rc != MM_OK)
		return json_decref(take_body), rc;
	return mm_object_command(cli, "POST", p, take_body, why);
}

/* see commands.h */
enum mm_err
mm_dry_print(const struct mm_cli *cli, json_t *now, const char *state,
    const char *words)
{
	json_object_set_new(now, "dry_run", json_true());
	json_object_set_new(now, "would_be", json_string(state));
	if (cli->json)
		mm_json_print(now);
	else
		mm_text_put(stdout, words);
	return MM_OK;
}
