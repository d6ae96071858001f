#include <stdio.h>
#include <string.h>

#include "base/own.h"
#include "base/text.h"
#include "base/time.h"
#include "cli/commands.h"
#include "cli/pages.h"

/*
 * "device silent": whose certificate is in use, should have been renewed and
 * was not.  The server has every certificate renewed before nine tenths of its
 * life are over (core/window.h); who is past that has not come, or could not.
 */
enum { PROFILES_MOST = 64 };

const struct mm_opt mm_opts_device_silent[] = {
	{ "product", "PRODUCT", "of this product", MM_C_PRODUCT, NULL },
	{ "ended", NULL, "those alone whose certificate has ended",
	    MM_C_NONE, NULL },
	{ NULL, NULL, NULL, MM_C_NONE, NULL },
};

struct silent {
	struct {
		char name[MM_NAME_MAX + 1];
		int64_t life_s;
	} profile[PROFILES_MOST];
	size_t nprofile;
	int64_t now_ms, most_s; /* the longest life */
	bool ended;
	json_t *rows;
};

static void
silent_done(struct silent *s)
{
	json_decref(s->rows);
}

/* Of what is renewed and has an end. */
static void
take_profile(struct silent *s, const json_t *row)
{
	int64_t life_s = json_integer_value(json_object_get(row, "lifetime"));

	if (strcmp(mm_json_text(row, "kind"), "ldevid") != 0 || life_s <= 0 ||
	    s->nprofile == PROFILES_MOST)
		return;
	snprintf(s->profile[s->nprofile].name, MM_NAME_MAX + 1, "%s",
	    mm_json_text(row, "name"));
	s->profile[s->nprofile++].life_s = life_s;
	if (life_s > s->most_s)
		s->most_s = life_s;
}

/* By the profile's name, whatever its version; 0: it is not renewed. */
static int64_t
life_of(const struct silent *s, const char *label)
{
	size_t n = strcspn(label, "@");

	for (size_t i = 0; i < s->nprofile; i++)
		if (strlen(s->profile[i].name) == n &&
		    memcmp(s->profile[i].name, label, n) == 0)
			return s->profile[i].life_s;
	return 0;
}

static enum mm_err
take_cert(void *ctx, json_t *row, struct mm_why *why)
{
	struct silent *s = ctx;
	int64_t life_s = life_of(s, mm_json_text(row, "profile"));
	int64_t end_ms, due_ms;
	char at[MM_TIME_TEXT];

	MM_TRY(mm_time_parse(mm_json_text(row, "not_after"), &end_ms, why));
	due_ms = end_ms - life_s / 10 * 1000;
	if (life_s == 0 || due_ms > s->now_ms ||
	    (s->ended && end_ms > s->now_ms))
		return MM_OK;
	mm_time_text(due_ms, at);
	json_array_append_new(s->rows, json_pack("{s:s,s:s,s:s,s:s,s:s}",
	    "device", mm_json_text(row, "device"), "product",
	    mm_json_text(row, "product"), "serial",
	    mm_json_text(row, "serial"), "due", at, "not_after",
	    mm_json_text(row, "not_after")));
	return MM_OK;
}

static enum mm_err
ask(struct mm_cli *cli, struct silent *s, const struct mm_args *a,
    struct mm_why *why)
{
	const char *product = mm_arg(a, "product");
	char path[1024], until[MM_TIME_TEXT];
	MM_OWN(json_free) json_t *profiles = NULL;
	struct mm_client *c;
	json_t *row;
	size_t i;

	MM_TRY(mm_cli_client(cli, &c, why));
	MM_TRY(mm_client_call(c, "GET", "/profiles", NULL, &profiles, why));
	json_array_foreach(json_object_get(profiles, "items"), i, row)
		take_profile(s, row);
	s->now_ms = mm_now_ms();
	mm_time_text(s->now_ms + s->most_s / 10 * 1000, until);
	MM_TRY(mm_path(path, why, "/certificates?state=confirmed&expires_to=%s"
	    "&product=%s", until, product == NULL ? "" : product));
	return mm_pages_each(c, path, take_cert, s, why);
}

enum mm_err
mm_cmd_device_silent(struct mm_cli *cli, const struct mm_args *a,
    struct mm_why *why)
{
	static const struct mm_column columns[] = { { "DEVICE", "device" },
		{ "PRODUCT", "product" }, { "SERIAL", "serial" },
		{ "DUE BEFORE", "due" }, { "NOT AFTER", "not_after" } };
	MM_OWN(silent_done) struct silent s = { .rows = json_array(),
		.ended = mm_flag(a, "ended") };
	json_t *o;

	MM_TRY(ask(cli, &s, a, why));
	if (!cli->json) {
		mm_table_print(columns, sizeof(columns) / sizeof(columns[0]),
		    s.rows);
		return MM_OK;
	}
	o = json_pack("{s:O}", "items", s.rows);
	mm_json_print(o);
	json_decref(o);
	return MM_OK;
}
