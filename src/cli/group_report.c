#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli/bulk.h"
#include "cli/client.h"
#include "cli/commands.h"

/* "group report": how far a group's devices have come, added up of pages. */

enum { BAR = 40 };

const struct mm_opt mm_opts_group_report[] = {
	{ "csv", "FILE", "write each device and what became of it there, as "
	    "CSV (- is standard output)", MM_C_FILE, NULL },
	{ NULL, NULL, NULL, MM_C_NONE, NULL },
};

static const char *const counted[] = { "looked", "over", "issued", "revoked",
	"approved", "refused", "not_yet" };
#define NCOUNTED (sizeof(counted) / sizeof(counted[0]))

static json_int_t
number(const json_t *o, const char *name)
{
	return json_integer_value(json_object_get(o, name));
}

/* ---- added up ---- */

static void
add(json_t *sum, const json_t *page)
{
	const char *seen = mm_json_text(page, "last_seen");

	for (size_t i = 0; i < NCOUNTED; i++)
		json_object_set_new(sum, counted[i],
		    json_integer(number(sum, counted[i]) +
			number(page, counted[i])));
	/* one form, so that the later is the greater */
	if (strcmp(seen, mm_json_text(sum, "last_seen")) > 0)
		json_object_set_new(sum, "last_seen", json_string(seen));
}

/* Devices of the range that have not come have no record; those that wait
 * are among them, or in the list. */
static void
finish(json_t *sum)
{
	json_int_t unseen = number(sum, "in_range") - number(sum, "looked");
	json_int_t not_yet = number(sum, "not_yet") + (unseen > 0 ? unseen : 0);
	json_int_t left;

	not_yet -= number(sum, "waiting");
	json_object_set_new(sum, "not_yet",
	    json_integer(not_yet > 0 ? not_yet : 0));
	left = number(sum, "not_yet") + number(sum, "issued") +
	    number(sum, "approved") + number(sum, "waiting");
	json_object_set_new(sum, "closable", json_boolean(left == 0));
	json_object_del(sum, "looked");
	json_object_del(sum, "next");
}

static enum mm_err
ask_page(struct mm_client *c, const char *group, const char *after,
    json_t **out, struct mm_why *why)
{
	char p[1024];

	if (after[0] == '\0')
		MM_TRY(mm_path(p, why, "/groups/%s/report", group));
	else
		MM_TRY(mm_path(p, why, "/groups/%s/report?after=%s", group,
		    after));
	return mm_client_call(c, "GET", p, NULL, out, why);
}

static enum mm_err
add_up(struct mm_client *c, const char *group, json_t **out,
    struct mm_why *why)
{
	MM_OWN(json_free) json_t *sum = NULL;

	MM_TRY(ask_page(c, group, "", &sum, why));
	while (json_object_get(sum, "next") != NULL) {
		MM_OWN(json_free) json_t *page = NULL;

		MM_TRY(ask_page(c, group, mm_json_text(sum, "next"), &page,
		    why));
		add(sum, page);
		json_object_del(sum, "next");
		if (json_object_get(page, "next") != NULL)
			json_object_set(sum, "next",
			    json_object_get(page, "next"));
	}
	finish(sum);
	*out = MM_MOVE(sum);
	return MM_OK;
}

/* ---- for people ---- */

static void
print_bar(json_int_t over, json_int_t all)
{
	int full = all > 0 ? (int)(over * BAR / all) : 0;

	putchar('[');
	for (int i = 0; i < BAR; i++)
		putchar(i < full ? '#' : '.');
	printf("] %lld of %lld over (%lld %%)\n", (long long)over,
	    (long long)all, (long long)(all > 0 ? over * 100 / all : 0));
}

static void
print_report(json_t *sum)
{
	static const struct {
		const char *name, *words;
	} lines[] = {
		{ "over", "over: they proved their new identity" },
		{ "issued", "have a certificate, not proved yet" },
		{ "waiting", "wait for a person" },
		{ "approved", "may come, approved" },
		{ "not_yet", "have not come yet" },
		{ "refused", "were refused by an operator" },
		{ "revoked", "had a certificate that was revoked" },
		{ "conflicts", "other keys came (conflicts)" },
	};
	json_int_t all = number(sum, "over") + number(sum, "issued") +
	    number(sum, "waiting") + number(sum, "approved") +
	    number(sum, "not_yet");

	printf("%s: %s until %s\n", mm_json_text(sum, "group"),
	    mm_json_text(sum, "state"), mm_json_text(sum, "until"));
	print_bar(number(sum, "over"), all);
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		if (number(sum, lines[i].name) > 0 || i == 0)
			printf("%10lld %s\n",
			    (long long)number(sum, lines[i].name),
			    lines[i].words);
	if (json_object_get(sum, "last_seen") != NULL)
		printf("the last one came at %s\n",
		    mm_json_text(sum, "last_seen"));
	if (json_is_true(json_object_get(sum, "closable")) &&
	    strcmp(mm_json_text(sum, "state"), "closed") != 0)
		printf("all have come: \"mintmark group close %s\"\n",
		    mm_json_text(sum, "group"));
}

/* ---- each device ---- */

static void
put_rows(FILE *f, const json_t *items)
{
	static const char *const cells[] = { "device", "state", "certificate",
		"serial", "at" };
	const json_t *row;
	size_t i;

	json_array_foreach(items, i, row)
		for (size_t k = 0; k < 5; k++)
			mm_csv_put(f, mm_json_text(row, cells[k]), k == 4);
}

static enum mm_err
write_rows(struct mm_client *c, const char *group, FILE *f,
    struct mm_why *why)
{
	MM_OWN(json_free) json_t *page = NULL;
	char p[1024];

	fputs("device,state,certificate,serial,since\n", f);
	MM_TRY(mm_path(p, why, "/groups/%s/devices?limit=1000", group));
	for (;;) {
		json_t *next = NULL;

		MM_TRY(mm_client_call(c, "GET", p, NULL, &next, why));
		json_decref(page);
		page = next;
		put_rows(f, json_object_get(page, "items"));
		if (json_object_get(page, "next") == NULL)
			return MM_OK;
		MM_TRY(mm_path(p, why, "/groups/%s/devices?limit=1000&after=%s",
		    group, mm_json_text(page, "next")));
	}
}

static enum mm_err
write_csv(struct mm_client *c, const char *group, const char *path,
    struct mm_why *why)
{
	bool out = strcmp(path, "-") == 0;
	FILE *f = out ? stdout : fopen(path, "we");
	enum mm_err rc;

	if (f == NULL)
		return MM_FAIL(why, MM_ESYS, "%.100s: %s", path,
		    strerror(errno));
	rc = write_rows(c, group, f, why);
	if ((out ? fflush(f) : fclose(f)) != 0 && rc == MM_OK)
		rc = MM_FAIL(why, MM_ESYS, "%.100s: %s", path,
		    strerror(errno));
	return rc;
}

enum mm_err
mm_cmd_group_report(struct mm_cli *cli, const struct mm_args *a,
    struct mm_why *why)
{
	MM_OWN(json_free) json_t *sum = NULL;
	struct mm_client *c;

	MM_TRY(mm_cli_client(cli, &c, why));
	if (mm_arg(a, "csv") != NULL)
		MM_TRY(write_csv(c, a->pos[0], mm_arg(a, "csv"), why));
	if (mm_arg(a, "csv") != NULL && strcmp(mm_arg(a, "csv"), "-") == 0)
		return MM_OK;
	MM_TRY(add_up(c, a->pos[0], &sum, why));
	if (cli->json)
		mm_json_print(sum);
	else
		print_report(sum);
	return MM_OK;
}
