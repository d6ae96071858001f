#include <string.h>

#include "cli/client.h"
#include "cli/commands.h"

/* Stations that take work orders. */

#define END                                       \
	{                                         \
		NULL, NULL, NULL, MM_C_NONE, NULL \
	}

static const struct mm_column columns[] = {
	{ "STATION", "id" },
	{ "STATE", "state" },
	{ "KEY", "key" },
	{ "ORDER", "order_number" },
	{ "DESCRIPTION", "description" },
};
const struct mm_opt mm_opts_station_list[] = { MM_LIST_OPTS, END };
MM_LIST(station_list, "/stations", columns)
const struct mm_opt mm_opts_station_show[] = { END };
MM_SHOW(station_show, "GET", "/stations/%s")
const struct mm_opt mm_opts_station_remove[] = { END };
MM_SHOW(station_remove, "POST", "/stations/%s/remove")

const struct mm_opt mm_opts_station_create[] = {
	{ "key", "ID",
	    "its credential, which has the role line alone "
	    "(required)",
	    MM_C_NONE, NULL },
	{ "description", "TEXT", "words for people", MM_C_NONE, NULL }, END
};

enum mm_err
mm_cmd_station_create(
    struct mm_cli *cli, const struct mm_args *a, struct mm_why *why)
{
	json_t *o;

	if (mm_arg(a, "key") == NULL) {
		mm_cli_hint(cli, "\"mintmark key create NAME --role line "
				 "--certificate station.crt\" makes it");
		return MM_FAIL(why, MM_EINPUT, "missing --key");
	}
	o = json_pack("{s:s}", "id", a->pos[0]);
	mm_json_opt(o, "key", a, "key");
	mm_json_opt(o, "description", a, "description");
	return mm_object_command(cli, "POST", "/stations", o, why);
}

/* What a station's signer pins. */
const struct mm_opt mm_opts_station_pin[] = { END };

enum mm_err
mm_cmd_station_pin(
    struct mm_cli *cli, const struct mm_args *a, struct mm_why *why)
{
	(void)a;
	return mm_print_bytes(cli, "/api/v1/orders/key", "key", why);
}
