#include <stdio.h>
#include <string.h>

#include "base/time.h"
#include "cli/commands.h"
#include "cli/ends.h"

enum { DAY_S = 86400 };

/* see ends.h */
enum mm_err
mm_ends_ask(struct mm_client *c, json_t **out, struct mm_why *why)
{
	struct mm_why own = { 0 };
	enum mm_err rc = mm_client_call(c, "GET", "/expiry/ends", NULL, out,
	    &own);

	if (rc == MM_OK)
		return MM_OK;
	*out = NULL;
	/* a server of before the list says that there is no such path */
	return rc == MM_EPOLICY || rc == MM_ENOTFOUND ? MM_OK :
	    MM_FAIL(why, rc, "%s", own.text);
}

/* ---- tables ---- */

static int64_t
end_of(const json_t *row)
{
	int64_t ms = 0;

	(void)!mm_time_parse(mm_json_text(row, "ends"), &ms, NULL);
	return ms / 1000;
}

/* There may be many of these. */
static bool
is_peoples(const json_t *row)
{
	static const char *const words[] = { "api-key",
		"operator-certificate", "group", "batch" };

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strcmp(mm_json_text(row, "kind"), words[i]) == 0)
			return true;
	return false;
}

/* The server's clock is what counts. */
static int64_t
now_of(const json_t *o)
{
	int64_t ms = 0;

	return mm_time_parse(mm_json_text(o, "as_of"), &ms, NULL) == MM_OK ?
	    ms / 1000 : mm_now_s();
}

/* A row with what the table shows of it. */
static json_t *
shown(json_t *row, int64_t now_s)
{
	json_t *o = json_copy(row);
	int64_t left = end_of(row) - now_s;
	char text[32], at[32];

	snprintf(at, sizeof(at), "%.16s", mm_json_text(row, "ends"));
	if (strlen(at) > 10)
		at[10] = ' ';
	if (left < 2 * DAY_S && left > -2 * DAY_S)
		snprintf(text, sizeof(text), "%lld h",
		    (long long)(left / 3600));
	else
		snprintf(text, sizeof(text), "%lld d",
		    (long long)(left / DAY_S));
	json_object_set_new(o, "at", json_string(at));
	json_object_set_new(o, "left", json_string(text));
	if (json_is_true(json_object_get(row, "late")))
		json_object_set_new(o, "renewed", json_string("LATE"));
	if (json_object_get(o, "of") == NULL)
		json_object_set_new(o, "of", json_string(""));
	return o;
}

static void
print_items(json_t *rows)
{
	static const struct mm_column columns[] = { { "KIND", "kind" },
		{ "NAME", "name" }, { "ENDS (UTC)", "at" }, { "IN", "left" },
		{ "RENEWED", "renewed" }, { "WHOSE", "of" } };

	if (json_array_size(rows) > 0)
		mm_table_print(columns, sizeof(columns) / sizeof(columns[0]),
		    rows);
}

static void
print_products(json_t *products)
{
	static const struct mm_column columns[] = { { "PRODUCT", "product" },
		{ "IN USE", "in_use" }, { "LATE", "late" },
		{ "7 DAYS", "7d" }, { "30 DAYS", "30d" },
		{ "90 DAYS", "90d" } };
	json_t *row, *rows = json_array();
	size_t i;

	json_array_foreach(products, i, row)
	{
		json_t *o = json_copy(row);

		json_object_update(o, json_object_get(row, "ends"));
		json_array_append_new(rows, o);
	}
	if (json_array_size(rows) > 0) {
		mm_table_print(columns, sizeof(columns) / sizeof(columns[0]),
		    rows);
		putchar('\n');
	}
	json_decref(rows);
}

static json_t *
products_of(json_t *o)
{
	return json_object_get(json_object_get(o, "devices"), "products");
}

/* see ends.h */
void
mm_ends_print(json_t *o, long days)
{
	int64_t now_s = now_of(o), until_s = now_s + days * DAY_S;
	json_t *row, *rows = json_array();
	long long later = json_integer_value(json_object_get(o, "later"));
	size_t i;

	json_array_foreach(json_object_get(o, "items"), i, row)
	{
		if (is_peoples(row) && end_of(row) >= until_s)
			later++;
		else
			json_array_append_new(rows, shown(row, now_s));
	}
	print_products(products_of(o));
	print_items(rows);
	if (later > 0)
		printf("%lld more end later\n", later);
	json_decref(rows);
}

/* ---- what has to be done ---- */

static bool
wants_hand(const json_t *row, int64_t until_s)
{
	if (strcmp(mm_json_text(row, "renewed"), "by-hand") == 0)
		return end_of(row) < until_s;
	return json_is_true(json_object_get(row, "late"));
}

/* see ends.h */
enum mm_err
mm_ends_within(json_t *o, int64_t within_s, json_t **out, struct mm_why *why)
{
	json_t *row, *items = json_array(), *products = json_array();
	int64_t until_s = now_of(o) + within_s;
	size_t i;

	json_array_foreach(json_object_get(o, "items"), i, row)
	{
		if (wants_hand(row, until_s))
			json_array_append(items, row);
	}
	json_array_foreach(products_of(o), i, row)
	{
		if (json_is_true(json_object_get(row, "not_renewed")))
			json_array_append(products, row);
	}
	*out = json_pack("{s:o,s:o,s:O?}", "items", items, "products",
	    products, "as_of", json_object_get(o, "as_of"));
	return *out != NULL ? MM_OK : MM_FAIL(why, MM_ENOMEM, "out of memory");
}

/* see ends.h */
size_t
mm_ends_n(json_t *o)
{
	return json_array_size(json_object_get(o, "items")) +
	    json_array_size(json_object_get(o, "products"));
}

/* see ends.h */
void
mm_ends_print_within(json_t *o)
{
	json_t *row;
	size_t i;

	mm_json_plain(o, 3);
	json_array_foreach(json_object_get(o, "items"), i, row)
	{
		json_t *s = shown(row, now_of(o));

		printf("%s %s%s%s%s ends %s UTC (%s)\n  -> %s\n",
		    mm_json_text(s, "kind"), mm_json_text(s, "name"),
		    mm_json_text(s, "of")[0] != '\0' ? ", " : "",
		    mm_json_text(s, "of"),
		    strcmp(mm_json_text(s, "renewed"), "LATE") == 0 ?
		    ", not renewed in time," : "", mm_json_text(s, "at"),
		    mm_json_text(s, "left"), mm_json_text(s, "do"));
		json_decref(s);
	}
	json_array_foreach(json_object_get(o, "products"), i, row)
		printf("product %s: %lld of %lld certificates in use should "
		    "have been renewed\n  -> mintmark device silent --product "
		    "%s names the devices\n", mm_json_text(row, "product"),
		    (long long)json_integer_value(
		        json_object_get(row, "late")),
		    (long long)json_integer_value(
		        json_object_get(row, "in_use")),
		    mm_json_text(row, "product"));
}
