#include <stdlib.h>
#include <string.h>

#include <openssl/rand.h>

#include "base/file.h"
#include "base/text.h"
#include "base/time.h"
#include "cli/batch.h"
#include "cli/bulk.h"
#include "work/order.h"

/* What "mintmark batch create" sends, from its options and files. */

#define OWN_CSV   __attribute__((cleanup(mm_csv_close)))
#define FILE_MOST (2U << 20)

/* ---- numbers and times ---- */

static enum mm_err
number(const char *opt, const char *text, int64_t *out, struct mm_why *why)
{
	if (mm_int_parse(text, out, NULL) != MM_OK || *out < 0)
		return MM_FAIL(
		    why, MM_EINPUT, "--%s: want a whole number", opt);
	return MM_OK;
}

/* "150", or "3%" of the quantity, which is rounded up. */
static enum mm_err
scrap(const char *text, int64_t quantity, int64_t *out, struct mm_why *why)
{
	size_t n = strlen(text);
	char digits[24];
	int64_t percent;

	if (n == 0 || text[n - 1] != '%')
		return number("scrap", text, out, why);
	if (!mm_text_copy(digits, sizeof(digits),
		(struct mm_bytes){ (const uint8_t *)text, n - 1 }) ||
	    mm_int_parse(digits, &percent, NULL) != MM_OK || percent < 0 ||
	    percent > 100)
		return MM_FAIL(
		    why, MM_EINPUT, "--scrap: want a number, or 0%% to 100%%");
	*out = (quantity * percent + 99) / 100;
	return MM_OK;
}

/* see batch.h */
enum mm_err
mm_batch_time(
    json_t *o, const char *member, const char *text, struct mm_why *why)
{
	char at[MM_TIME_TEXT];
	int64_t s;

	if (mm_duration_parse(text, &s, NULL) == MM_OK) {
		mm_time_text_s(mm_now_s() + s, at);
		text = at;
	}
	if (mm_time_parse(text, &s, NULL) != MM_OK)
		return MM_FAIL(why, MM_EINPUT,
		    "%s: want a time, like "
		    "2026-12-31T18:00:00Z, or how long from now, like 30d",
		    member);
	json_object_set_new(o, member, json_string(text));
	return MM_OK;
}

static enum mm_err
put_numbers(const struct mm_args *a, json_t *o, struct mm_why *why)
{
	int64_t quantity, spare = 0;

	MM_TRY(number("quantity", mm_arg(a, "quantity"), &quantity, why));
	if (mm_arg(a, "scrap") != NULL)
		MM_TRY(scrap(mm_arg(a, "scrap"), quantity, &spare, why));
	json_object_set_new(o, "quantity", json_integer(quantity));
	json_object_set_new(o, "scrap", json_integer(spare));
	MM_TRY(mm_batch_time(o, "until", mm_arg(a, "until"), why));
	return mm_arg(a, "not-before") == NULL
		   ? MM_OK
		   : mm_batch_time(
			 o, "not_before", mm_arg(a, "not-before"), why);
}

/* ---- serial numbers ---- */

static enum mm_err
put_list(const char *path, json_t *o, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf b = MM_BUF_INIT(FILE_MOST);
	json_t *list = json_array();
	const char *text, *end;

	json_object_set_new(o, "serial_list", list);
	MM_TRY(mm_file_read(path, &b, why));
	text = mm_buf_cstr(&b);
	for (; text != NULL && *text != '\0'; text = end) {
		size_t n = strcspn(text, "\r\n");

		if (n > 0)
			json_array_append_new(list, json_stringn(text, n));
		end = text + n;
		end += strspn(end, "\r\n");
	}
	return MM_OK;
}

static enum mm_err
put_serials(const struct mm_args *a, json_t *o, struct mm_why *why)
{
	const char *run = mm_arg(a, "serials");
	const char *file = mm_arg(a, "serials-file");
	bool next = mm_flag(a, "next-free");

	if ((run != NULL && file != NULL) ||
	    (run == NULL && file == NULL && !next))
		return MM_FAIL(why, MM_EINPUT,
		    "say --serials RUN, "
		    "--serials-file FILE or --next-free");
	mm_json_opt(o, "serials", a, "serials");
	if (next)
		json_object_set_new(o, "take", json_string("next"));
	return file != NULL ? put_list(file, o, why) : MM_OK;
}

/* ---- shares: "l3=2500,l4=2500" ---- */

/* see batch.h */
enum mm_err
mm_batch_shares(const char *text, json_t *o, struct mm_why *why)
{
	json_t *list = json_array();

	json_object_set_new(o, "shares", list);
	while (*text != '\0') {
		size_t n = strcspn(text, ","), name = strcspn(text, "=");
		char digits[24];
		int64_t share;

		if (name >= n ||
		    !mm_text_copy(digits, sizeof(digits),
			(struct mm_bytes){
			    (const uint8_t *)text + name + 1, n - name - 1 }) ||
		    mm_int_parse(digits, &share, NULL) != MM_OK)
			return MM_FAIL(why, MM_EINPUT,
			    "shares: want "
			    "STATION=NUMBER, with commas between them");
		json_array_append_new(list,
		    json_pack("{s:o,s:I}", "station", json_stringn(text, name),
			"share", (json_int_t)share));
		text += n + (text[n] == ',');
	}
	return MM_OK;
}

/* ---- people: CSV with id, role, badge ---- */

/* The badge's text does not leave this machine. */
static enum mm_err
put_person(const struct mm_csv *csv, const uint8_t salt[16], json_t *list,
    struct mm_why *why)
{
	const char *id = mm_csv_get(csv, "id");
	const char *role = mm_csv_get(csv, "role");
	const char *badge = mm_csv_get(csv, "badge");
	char hex[65];
	uint8_t hash[32];

	if (id == NULL || role == NULL || badge == NULL)
		return MM_FAIL(why, MM_EINPUT,
		    "%s: want the columns id, role and badge", csv->path);
	MM_TRY(mm_work_badge(mm_bytes_of(badge), salt, hash, why));
	mm_hex_text(hash, 32, hex);
	json_array_append_new(list,
	    json_pack("{s:s,s:s,s:s}", "id", id, "role", role, "badge", hex));
	return MM_OK;
}

static enum mm_err
put_people(const char *path, json_t *o, struct mm_why *why)
{
	OWN_CSV struct mm_csv csv = { 0 };
	json_t *list = json_array();
	uint8_t salt[16];
	char hex[33];
	enum mm_err rc;

	json_object_set_new(o, "people", list);
	if (RAND_bytes(salt, sizeof(salt)) != 1)
		return MM_FAIL(why, MM_ECRYPTO, "no random bytes");
	mm_hex_text(salt, sizeof(salt), hex);
	json_object_set_new(o, "badge_salt", json_string(hex));
	MM_TRY(mm_csv_open(&csv, path, why));
	while ((rc = mm_csv_next(&csv, why)) == MM_OK)
		MM_TRY(put_person(&csv, salt, list, why));
	return rc == MM_ENOTFOUND ? MM_OK : rc;
}

/* ---- initial configuration: a template and a table ---- */

/* see batch.h */
enum mm_err
mm_batch_rows(const char *path, json_t *config, struct mm_why *why)
{
	OWN_CSV struct mm_csv csv = { 0 };
	json_t *columns = json_array(), *rows = json_array();
	enum mm_err rc;

	json_object_set_new(config, "columns", columns);
	json_object_set_new(config, "rows", rows);
	MM_TRY(mm_csv_open(&csv, path, why));
	for (size_t i = 0; i < csv.nnames; i++)
		json_array_append_new(columns, json_string(csv.name[i]));
	while ((rc = mm_csv_next(&csv, why)) == MM_OK) {
		json_t *row = json_array();

		for (size_t i = 0; i < csv.n; i++)
			json_array_append_new(row, json_string(csv.cell[i]));
		json_array_append_new(rows, row);
	}
	return rc == MM_ENOTFOUND ? MM_OK : rc;
}

static enum mm_err
put_config(const struct mm_args *a, json_t *o, struct mm_why *why)
{
	MM_OWN(mm_buf_wipe) struct mm_buf text = MM_BUF_INIT(65536);
	const char *template = mm_arg(a, "template");
	const char *rows = mm_arg(a, "rows");
	json_t *config = json_object();
	long version;

	json_object_set_new(o, "configuration", config);
	if (template == NULL || rows == NULL)
		return MM_FAIL(
		    why, MM_EINPUT, "--template and --rows go together");
	MM_TRY(mm_arg_int(a, "config-version", 1, 1, INT32_MAX, &version, why));
	MM_TRY(mm_file_read(template, &text, why));
	json_object_set_new(config, "version", json_integer(version));
	json_object_set_new(
	    config, "template", json_stringn((const char *)text.p, text.n));
	return mm_batch_rows(rows, config, why);
}

/* ---- the whole ---- */

static enum mm_err
check_there(const struct mm_args *a, struct mm_why *why)
{
	static const char *const must[] = { "product", "quantity", "until" };

	for (size_t i = 0; i < 3; i++)
		if (mm_arg(a, must[i]) == NULL)
			return MM_FAIL(why, MM_EINPUT, "missing --%s", must[i]);
	return MM_OK;
}

/* see batch.h */
enum mm_err
mm_batch_body(const struct mm_args *a, json_t *o, struct mm_why *why)
{
	static const struct {
		const char *member, *opt;
	} texts[] = {
		{ "id", "id" },
		{ "product", "product" },
		{ "scan", "scan" },
		{ "sample", "sample" },
		{ "unsynced", "unsynced" },
		{ "mode", "mode" },
		{ "level", "level" },
		{ "on_conflict", "on-conflict" },
		{ "lock", "lock" },
		{ "recipe", "recipe" },
		{ "note", "note" },
	};

	MM_TRY(check_there(a, why));
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		mm_json_opt(o, texts[i].member, a, texts[i].opt);
	MM_TRY(put_numbers(a, o, why));
	MM_TRY(put_serials(a, o, why));
	if (mm_arg(a, "shares") != NULL)
		MM_TRY(mm_batch_shares(mm_arg(a, "shares"), o, why));
	if (mm_arg(a, "people") != NULL)
		MM_TRY(put_people(mm_arg(a, "people"), o, why));
	if (mm_arg(a, "template") != NULL || mm_arg(a, "rows") != NULL)
		MM_TRY(put_config(a, o, why));
	if (mm_flag(a, "dry-run"))
		json_object_set_new(o, "dry_run", json_true());
	return MM_OK;
}
