#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/own.h"
#include "base/text.h"
#include "base/time.h"
#include "cli/batch.h"
#include "cli/client.h"
#include "pki/key.h"

/* Batches: production orders, and the work orders that stations get. */

enum { ORDER_LINE_MAX = 65536 };
#define NCOL(c) (sizeof(c) / sizeof((c)[0]))
#define END                                       \
	{                                         \
		NULL, NULL, NULL, MM_C_NONE, NULL \
	}

static const struct mm_column columns[] = {
	{ "BATCH", "id" },
	{ "PRODUCT", "product" },
	{ "STATE", "state" },
	{ "QUANTITY", "quantity" },
	{ "SCRAP", "scrap" },
	{ "SERIALS", "serials" },
	{ "UNTIL", "until" },
};
static const struct mm_filter filters[] = {
	{ "product", "product" },
	{ "state", "state" },
};
const struct mm_opt mm_opts_batch_list[] = {
	{ "product", "PRODUCT", "of this product", MM_C_PRODUCT, NULL },
	{ "state", "STATE", "in this state", MM_C_WORDS, "open paused closed" },
	MM_LIST_OPTS, END
};

enum mm_err
mm_cmd_batch_list(
    struct mm_cli *cli, const struct mm_args *a, struct mm_why *why)
{
	return mm_list_command(cli, a, "/batches", filters, NCOL(filters),
	    columns, NCOL(columns), why);
}

const struct mm_opt mm_opts_batch_show[] = { END };
MM_SHOW(batch_show, "GET", "/batches/%s")

static const struct mm_column unit_columns[] = {
	{ "DEVICE", "device" },
	{ "RESULT", "result" },
	{ "STATION", "station" },
	{ "AT", "at" },
	{ "REASON", "reason" },
};
static const struct mm_filter unit_filters[] = {
	{ "result", "result" },
	{ "station", "station" },
};
const struct mm_opt mm_opts_batch_units[] = {
	{ "result", "RESULT", "of which this became", MM_C_WORDS,
	    "issued passed failed scrapped quarantined" },
	{ "station", "STATION", "of this station", MM_C_NONE, NULL },
	MM_LIST_OPTS, END
};

enum mm_err
mm_cmd_batch_units(
    struct mm_cli *cli, const struct mm_args *a, struct mm_why *why)
{
	char path[1024];

	MM_TRY(mm_path(path, why, "/batches/%s/units", a->pos[0]));
	return mm_list_command(cli, a, path, unit_filters,
	    NCOL(unit_filters), unit_columns, NCOL(unit_columns), why);
}

/* The place just before a serial number's in the list of units: no number has
 * a byte behind '~', so nothing is between the two. */
static void
just_before(const char *batch, const char *serial, char out[256])
{
	const int n = (int)strlen(serial) - 1;

	snprintf(out, 256, "%.40s/%.*s%c%s", batch, n, serial,
	    serial[n] - 1, n + 1 < MM_DEVICE_ID_MAX ? "~" : "");
}

/* The unit of that serial number, owned. */
static enum mm_err
find_unit(struct mm_cli *cli, const char *batch, const char *serial,
    json_t **out, struct mm_why *why)
{
	MM_OWN(json_free) json_t *page = NULL;
	struct mm_client *c;
	char path[1024], after[256];
	json_t *unit;
	size_t i;

	if (!mm_device_id_valid(serial))
		return MM_FAIL(why, MM_EINPUT, "%.64s: no serial number",
		    serial);
	just_before(batch, serial, after);
	MM_TRY(mm_cli_client(cli, &c, why));
	MM_TRY(mm_path(path, why, "/batches/%s/units?limit=1&after=%s",
	    batch, after));
	MM_TRY(mm_client_call(c, "GET", path, NULL, &page, why));
	json_array_foreach(json_object_get(page, "items"), i, unit)
		if (strcmp(mm_json_text(unit, "device"), serial) == 0) {
			*out = json_incref(unit);
			return MM_OK;
		}
	return MM_FAIL(why, MM_ENOTFOUND, "batch %.40s: nothing has become "
	    "of %.64s", batch, serial);
}

/* As a station reports it; station: NULL for the one that the unit is of. */
static enum mm_err
tell(struct mm_cli *cli, const struct mm_args *a, const char *result,
    const char *station, bool clear, struct mm_why *why)
{
	MM_OWN(json_free) json_t *unit = NULL;
	char now[MM_TIME_TEXT], path[1024];
	json_t *told = json_object(), *body;
	enum mm_err rc;

	mm_json_opt(told, "reason", a, "reason");
	body = json_pack("{s:[o]}", "units", told);
	if (body == NULL)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	rc = find_unit(cli, a->pos[0], a->pos[1], &unit, why);
	if (rc == MM_OK)
		rc = mm_path(path, why, "/batches/%s/units", a->pos[0]);
	if (rc != MM_OK)
		return json_decref(body), rc;
	mm_time_text(mm_now_ms(), now);
	json_object_set_new(body, "station", json_string(station != NULL ?
	    station : mm_json_text(unit, "station")));
	if (clear)
		json_object_set_new(body, "clear", json_true());
	json_object_set_new(told, "serial", json_string(a->pos[1]));
	json_object_set_new(told, "result", json_string(result));
	json_object_set_new(told, "at", json_string(now));
	return mm_object_command(cli, "POST", path, body, why);
}

const struct mm_opt mm_opts_batch_scrap[] = {
	{ "reason", "TEXT", "why; kept with the unit", MM_C_NONE, NULL },
	END
};

/* Of the station that made the unit: another's word of it would put it
 * aside. */
enum mm_err
mm_cmd_batch_scrap(
    struct mm_cli *cli, const struct mm_args *a, struct mm_why *why)
{
	return tell(cli, a, "scrapped", NULL, false, why);
}

const struct mm_opt mm_opts_batch_release[] = {
	{ "result", "RESULT", "what became of it (required)", MM_C_WORDS,
	    "passed failed" },
	{ "station", "STATION",
	    "whose unit it is (default: who is on record)", MM_C_NONE,
	    NULL },
	{ "reason", "TEXT", "why; kept with the unit", MM_C_NONE, NULL },
	END
};

enum mm_err
mm_cmd_batch_release(
    struct mm_cli *cli, const struct mm_args *a, struct mm_why *why)
{
	const char *result = mm_arg(a, "result");

	if (result == NULL)
		return MM_FAIL(why, MM_EINPUT, "--result is missing");
	return tell(cli, a, result, mm_arg(a, "station"), true, why);
}

const struct mm_opt mm_opts_batch_report[] = { END };
MM_SHOW(batch_report, "GET", "/batches/%s/report")

/* ---- create ---- */

const struct mm_opt mm_opts_batch_create[] = {
	{ "product", "PRODUCT", "what is made (required)", MM_C_PRODUCT, NULL },
	{ "quantity", "N", "how many (required)", MM_C_NONE, NULL },
	{ "until", "TIME",
	    "the end of the right to make them, or how long "
	    "from now, like 30d (required)",
	    MM_C_NONE, NULL },
	{ "serials", "RUN", "their serial numbers: 'SN-{000001..005000}'",
	    MM_C_NONE, NULL },
	{ "serials-file", "FILE", "the same from a file, one a line", MM_C_FILE,
	    NULL },
	{ "next-free", NULL,
	    "stations take the next serial and print it; "
	    "alone: the product's next free ones",
	    MM_C_NONE, NULL },
	{ "scrap", "N|P%", "how many besides may be scrapped (default 0)",
	    MM_C_NONE, NULL },
	{ "shares", "LIST",
	    "stations and their part of the quantity: "
	    "l3=2500,l4=2500",
	    MM_C_NONE, NULL },
	{ "scan", "RULE",
	    "how a serial is cut from a label (default plain): "
	    "gs1, 'label:*S/N {serial};*'",
	    MM_C_NONE, NULL },
	{ "sample", "LABEL", "a label of the batch, to try the rule with",
	    MM_C_NONE, NULL },
	{ "template", "FILE", "of the devices' initial configuration",
	    MM_C_FILE, NULL },
	{ "rows", "CSV", "its fields, a row for each serial number", MM_C_FILE,
	    NULL },
	{ "config-version", "N", "its version (default 1)", MM_C_NONE, NULL },
	{ "people", "CSV",
	    "operators and supervisors: id, role, badge; "
	    "badges are hashed before they are sent",
	    MM_C_FILE, NULL },
	{ "not-before", "TIME", "the beginning (default now)", MM_C_NONE,
	    NULL },
	{ "unsynced", "DURATION",
	    "stop a station that has not been synced "
	    "for so long",
	    MM_C_NONE, NULL },
	{ "level", "LEVEL", "what a station's counter must withstand",
	    MM_C_WORDS, "software rollback-proof hardware" },
	{ "on-conflict", "WHAT",
	    "another key under a serial number that was "
	    "done: stop, or (tests only) replace",
	    MM_C_WORDS, "stop replace" },
	{ "lock", "WHAT",
	    "never: boards stay open at the end; without it those of a "
	    "production batch are locked, and those of a test batch are not",
	    MM_C_WORDS, "never" },
	{ "mode", "MODE",
	    "who signs certificates: the centre (online, the default), or "
	    "each station's own signer within its share (offline)",
	    MM_C_WORDS, "online offline" },
	{ "recipe", "NAME", "one that the stations have installed", MM_C_NONE,
	    NULL },
	{ "id", "ID", "its name (default: one is made up)", MM_C_NONE, NULL },
	{ "note", "TEXT", "words for people", MM_C_NONE, NULL },
	{ "dry-run", NULL, "check everything, make nothing", MM_C_NONE, NULL },
	END
};

enum mm_err
mm_cmd_batch_create(
    struct mm_cli *cli, const struct mm_args *a, struct mm_why *why)
{
	json_t *o = json_object();
	enum mm_err rc = mm_batch_body(a, o, why);

	if (rc != MM_OK)
		return json_decref(o), rc;
	MM_TRY(mm_object_command(cli, "POST", "/batches", o, why));
	if (mm_flag(a, "dry-run") && !cli->quiet)
		fputs("mintmark: note: --dry-run: nothing was made\n", stderr);
	return MM_OK;
}

/* ---- open, pause, close, extend, share ---- */

MM_BECOMES(batch, open, "/batches/%s/open")
MM_BECOMES(batch, pause, "/batches/%s/pause")
MM_BECOMES(batch, close, "/batches/%s/close")

const struct mm_opt mm_opts_batch_extend[] = {
	{ "reason", "TEXT", "why (required)", MM_C_NONE, NULL },
	{ "quantity", "N", "the new quantity", MM_C_NONE, NULL },
	{ "scrap", "N", "the new scrap allowance", MM_C_NONE, NULL },
	{ "until", "TIME", "the new end, or how long from now", MM_C_NONE,
	    NULL },
	MM_IF_VERSION_OPT, END
};

static enum mm_err
put_number(
    const struct mm_args *a, const char *name, json_t *o, struct mm_why *why)
{
	long v;

	if (mm_arg(a, name) == NULL)
		return MM_OK;
	MM_TRY(mm_arg_int(a, name, 0, 1, 10000000, &v, why));
	json_object_set_new(o, name, json_integer(v));
	return MM_OK;
}

enum mm_err
mm_cmd_batch_extend(
    struct mm_cli *cli, const struct mm_args *a, struct mm_why *why)
{
	json_t *o = json_object();
	enum mm_err rc;

	mm_json_opt(o, "reason", a, "reason");
	rc = mm_arg(a, "reason") == NULL
		 ? MM_FAIL(why, MM_EINPUT, "missing --reason")
		 : put_number(a, "quantity", o, why);
	if (rc == MM_OK)
		rc = put_number(a, "scrap", o, why);
	if (rc == MM_OK && mm_arg(a, "until") != NULL)
		rc = mm_batch_time(o, "until", mm_arg(a, "until"), why);
	if (rc != MM_OK)
		return json_decref(o), rc;
	MM_TRY(mm_change_command(cli, a, "/batches/%s/extend", o, why));
	mm_cli_hint(cli, "stations have it with their next order: \"mintmark "
			 "batch share\" shares it out");
	return MM_OK;
}

const struct mm_opt mm_opts_batch_share[] = { MM_IF_VERSION_OPT, END };

enum mm_err
mm_cmd_batch_share(
    struct mm_cli *cli, const struct mm_args *a, struct mm_why *why)
{
	json_t *o = json_object();
	enum mm_err rc = mm_batch_shares(a->pos[1], o, why);

	if (rc != MM_OK)
		return json_decref(o), rc;
	return mm_change_command(cli, a, "/batches/%s/shares", o, why);
}

/* ---- work orders ---- */

const struct mm_opt mm_opts_batch_order[] = {
	{ "station", "STATION", "whose (required)", MM_C_NONE, NULL },
	{ "out", "FILE",
	    "the file for the station's stick (required but "
	    "with --extension)",
	    MM_C_FILE, NULL },
	{ "line-ca", "FILE",
	    "an offline batch: the station's line CA, as mintmark-signer "
	    "export-line printed it; with the station's first order",
	    MM_C_FILE, NULL },
	{ "recipient", "FILE",
	    "instead: the certificate that the station's station-init made; "
	    "the centre makes the line CA for it",
	    MM_C_FILE, NULL },
	{ "extension", NULL,
	    "print the order's new share and end as a line "
	    "to be scanned",
	    MM_C_NONE, NULL },
	END
};

/* Who carries the stick compares the hash at the station. */
static void
say_written(const struct mm_cli *cli, const struct mm_args *a,
    struct mm_bytes file)
{
	const char *path = mm_arg(a, "out"), *station = mm_arg(a, "station");
	uint8_t hash[32];
	char hex[65];

	mm_sha256(file, hash);
	mm_hex_text(hash, 32, hex);
	if (cli->json) {
		json_t *o = json_pack("{s:s,s:s,s:s,s:I,s:s}", "file", path,
		    "batch", a->pos[0], "station", station, "bytes",
		    (json_int_t)file.n, "sha256", hex);

		mm_json_print(o);
		json_decref(o);
	} else if (!cli->quiet) {
		printf("wrote %s: the order of batch %s for station %s, %zu "
		       "bytes\nsha256 %s\n", path, a->pos[0], station,
		    file.n, hex);
	}
}

/* Whole or not at all: a stick is pulled out early.  Its papers may hold what
 * is secret of devices. */
static enum mm_err
write_order(const struct mm_cli *cli, const struct mm_args *a, json_t *file,
    struct mm_why *why)
{
	char *text = json_dumps(file, JSON_COMPACT);
	enum mm_err rc;

	if (text == NULL)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	rc = mm_file_replace(mm_arg(a, "out"), mm_bytes_of(text), 0600, why);
	if (rc == MM_OK)
		say_written(cli, a, mm_bytes_of(text));
	free(text);
	return rc;
}

/* Its key is sealed: it goes to the centre and on to the stick as it is. */
static enum mm_err
put_line(const char *path, json_t *o, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf b = MM_BUF_INIT(ORDER_LINE_MAX);
	json_t *line;

	MM_TRY(mm_file_read(path, &b, why));
	line = json_loadb(
	    (const char *)b.p, b.n, JSON_REJECT_DUPLICATES, NULL);
	if (!json_is_object(line)) {
		json_decref(line);
		return MM_FAIL(why, MM_EINPUT,
		    "%.90s: not what mintmark-signer export-line prints",
		    path);
	}
	json_object_set_new(o, "line", line);
	return MM_OK;
}

static enum mm_err
put_recipient(const char *path, json_t *o, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf b = MM_BUF_INIT(ORDER_LINE_MAX);

	MM_TRY(mm_file_read(path, &b, why));
	json_object_set_new(o, "recipient",
	    json_stringn((const char *)b.p, b.n));
	return MM_OK;
}

static enum mm_err
ask_order(struct mm_cli *cli, const struct mm_args *a, json_t **out,
    struct mm_why *why)
{
	MM_OWN(json_free)
	json_t *o = json_pack("{s:s,s:b}", "station", mm_arg(a, "station"),
	    "extension", mm_flag(a, "extension"));
	struct mm_client *c;
	char p[1024];

	if (mm_arg(a, "line-ca") != NULL)
		MM_TRY(put_line(mm_arg(a, "line-ca"), o, why));
	if (mm_arg(a, "recipient") != NULL)
		MM_TRY(put_recipient(mm_arg(a, "recipient"), o, why));
	MM_TRY(mm_path(p, why, "/batches/%s/order", a->pos[0]));
	MM_TRY(mm_cli_client(cli, &c, why));
	return mm_client_call(c, "POST", p, o, out, why);
}

enum mm_err
mm_cmd_batch_order(
    struct mm_cli *cli, const struct mm_args *a, struct mm_why *why)
{
	MM_OWN(json_free) json_t *answer = NULL;

	if (mm_arg(a, "station") == NULL)
		return MM_FAIL(why, MM_EINPUT, "missing --station");
	if ((mm_arg(a, "out") != NULL) == mm_flag(a, "extension"))
		return MM_FAIL(why, MM_EINPUT, "say --out FILE or --extension");
	if (mm_arg(a, "line-ca") != NULL && mm_arg(a, "out") == NULL)
		return MM_FAIL(why, MM_EINPUT, "--line-ca goes with --out");
	MM_TRY(ask_order(cli, a, &answer, why));
	if (mm_arg(a, "out") != NULL) {
		MM_TRY(write_order(cli, a, answer, why));
		mm_cli_hint(cli, "the station's signer verifies it by the key "
				 "that \"mintmark station pin\" prints");
		return MM_OK;
	}
	if (cli->json)
		mm_json_print(answer);
	else
		printf("%s\n", mm_json_text(answer, "extension"));
	return MM_OK;
}
