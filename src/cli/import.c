#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/own.h"
#include "base/text.h"
#include "cli/bulk.h"
#include "cli/client.h"
#include "cli/commands.h"
#include "cli/import.h"
#include "cli/items.h"
#include "cli/twice.h"

/*
 * Devices from a table, in constant memory: at most three batches are held.  A
 * pass reads the whole of it; with --all-or-nothing a pass that only looks
 * comes before the one that writes.  What the server says of a batch it says
 * of that alone: that a device stands in two batches with two contents is
 * found here, of the digests that it gives (twice.c).
 */
#define OWN_CSV __attribute__((cleanup(mm_csv_close)))

enum { LINE = MM_CSV_LINE };

struct job {
	struct mm_cli *cli;
	const char *path, *shown;
	bool json, dry;
	FILE *errors; /* NULL: standard error */
	struct mm_batch batch[MM_BATCHES];
	unsigned filling; /* which of them; the next one was sent first */
	unsigned long long created, unchanged, failed, done, total, read;
	struct mm_progress progress;
	struct mm_twice twice; /* of a pass that only looks */
};

static void
complain(struct job *j, unsigned long long row, const char *device,
    const char *column, const char *text)
{
	char number[24];

	j->failed++;
	if (j->errors == NULL) {
		fprintf(stderr, "mintmark: row %llu: %s%s%s: %s\n", row, device,
		    device[0] != '\0' ? ": " : "", column, text);
		return;
	}
	snprintf(number, sizeof(number), "%llu", row);
	mm_csv_put(j->errors, number, false);
	mm_csv_put(j->errors, device, false);
	mm_csv_put(j->errors, column, false);
	mm_csv_put(j->errors, text, true);
}

/* ---- a batch ---- */

static const char *
text_of(const json_t *o, const char *name)
{
	const char *v = json_string_value(json_object_get(o, name));

	return v != NULL ? v : "";
}

/* Of rows that are good by themselves. */
static enum mm_err
take_digests(struct job *j, const struct mm_batch *b, const json_t *answer,
    struct mm_why *why)
{
	const json_t *list = json_object_get(answer, "digests"), *e;
	size_t i;

	json_array_foreach(list, i, e)
	{
		const char *hex = json_string_value(e);
		struct mm_twice_row row = { 0 };

		if (i >= b->n || hex == NULL ||
		    mm_hex_parse(hex, strlen(hex), row.digest,
			sizeof(row.digest), NULL) != MM_OK)
			continue;
		row.number = b->number[i];
		memcpy(row.id, b->id[i], sizeof(row.id));
		MM_TRY(mm_twice_add(&j->twice, &row, why));
	}
	return MM_OK;
}

static enum mm_err
take_answer(struct job *j, const struct mm_batch *b, const json_t *answer,
    struct mm_why *why)
{
	const json_t *errors = json_object_get(answer, "errors"), *e;
	size_t i;

	j->created += (unsigned long long)json_integer_value(
	    json_object_get(answer, "created"));
	j->unchanged += (unsigned long long)json_integer_value(
	    json_object_get(answer, "unchanged"));
	json_array_foreach(errors, i, e) {
		json_int_t row = json_integer_value(json_object_get(e, "row"));

		if (row < 1 || row > (json_int_t)b->n)
			continue;
		complain(j, b->number[row - 1], text_of(e, "device"),
		    text_of(e, "column"), text_of(e, "detail"));
	}
	return j->dry ? take_digests(j, b, answer, why) : MM_OK;
}

static struct mm_batch *
after(struct job *j, unsigned n)
{
	return &j->batch[(j->filling + n) % MM_BATCHES];
}

/* What the server says of a batch that it has.  A failure's request id is
 * that of the command's client. */
static enum mm_err
land(struct job *j, struct mm_batch *b, struct mm_why *why)
{
	const json_t *answer;
	enum mm_err rc;

	if (!b->flying)
		return MM_OK;
	rc = mm_batch_land(b, &answer, why);
	if (rc != MM_OK) {
		struct mm_client *c = j->cli->client;

		j->cli->client = b->client;
		b->client = c;
		return rc;
	}
	MM_TRY(take_answer(j, b, answer, why));
	j->done += b->n;
	mm_progress_step(&j->progress, j->total != 0 ? j->read : j->done);
	return MM_OK;
}

/* The oldest that is with the server has to land before there is room. */
static enum mm_err
send(struct job *j, struct mm_why *why)
{
	struct mm_batch *b = after(j, 0), *next = after(j, 1);

	if (b->n == 0)
		return MM_OK;
	if (b->client == NULL)
		MM_TRY(mm_cli_client_new(j->cli, &b->client, why));
	mm_batch_send(b);
	j->filling = (j->filling + 1) % MM_BATCHES;
	MM_TRY(land(j, next, why));
	mm_batch_begin(next, j->dry, !j->json);
	return MM_OK;
}

static enum mm_err
make_room(struct job *j, struct mm_why *why)
{
	return mm_batch_full(after(j, 0)) ? send(j, why) : MM_OK;
}

/* What is with the server still counts where something failed. */
static enum mm_err
land_all(struct job *j, struct mm_why *why)
{
	enum mm_err rc = MM_OK, one;

	for (unsigned i = 0; i < MM_BATCHES; i++) {
		one = land(j, after(j, i), why);
		rc = rc != MM_OK ? rc : one;
	}
	return rc;
}

static enum mm_err
finish(struct job *j, struct mm_why *why)
{
	MM_TRY(send(j, why));
	return land_all(j, why);
}

/* ---- CSV ---- */

static bool
utf8(const struct mm_csv *csv)
{
	for (size_t i = 0; i < csv->n; i++)
		if (!mm_utf8_valid(mm_bytes_of(csv->cell[i])))
			return false;
	return true;
}

static enum mm_err
csv_row(struct job *j, struct mm_csv *csv, bool *end, struct mm_why *why)
{
	struct mm_why own = { 0 };
	enum mm_err rc = mm_csv_next(csv, &own);

	j->read = csv->read;
	*end = rc == MM_ENOTFOUND;
	if (*end)
		return MM_OK;
	if (rc != MM_OK && !csv->whole) /* where the next begins is lost */
		return MM_FAIL(why, rc, "%s", own.text);
	if (rc != MM_OK || !utf8(csv)) {
		complain(j, csv->row, "", "row", rc == MM_OK ? "not UTF-8" :
		    "not as many cells as the header has");
		return MM_OK;
	}
	MM_TRY(make_room(j, why));
	mm_batch_csv(after(j, 0), csv);
	return MM_OK;
}

/* What a row says must be clear from it alone. */
static enum mm_err
check_header(const struct job *j, const struct mm_csv *csv,
    struct mm_why *why)
{
	if (!mm_csv_has(csv, "id") || !mm_csv_has(csv, "product"))
		return MM_FAIL(why, MM_EINPUT, "%.80s: the first line names "
		    "the columns; \"id\" and \"product\" must be among them",
		    j->shown);
	return mm_csv_names(csv, j->shown, why);
}

static enum mm_err
pass_csv(struct job *j, struct mm_why *why)
{
	OWN_CSV struct mm_csv csv = { 0 };
	bool end = false;

	MM_TRY(mm_csv_open(&csv, j->path, why));
	MM_TRY(check_header(j, &csv, why));
	while (!end)
		MM_TRY(csv_row(j, &csv, &end, why));
	return finish(j, why);
}

/* ---- JSON ---- */

static enum mm_err
jsonl_row(struct job *j, const char *line, size_t n, unsigned long long number,
    struct mm_why *why)
{
	const struct mm_bytes row = { (const uint8_t *)line, n };
	char id[MM_DEVICE_ID_MAX + 1];
	struct mm_why own = { 0 };

	if (strspn(line, " \t\r\n") == n)
		return MM_OK;
	if (mm_batch_json_check(row, id, &own) != MM_OK) {
		complain(j, number, "", "row", own.text);
		return MM_OK;
	}
	MM_TRY(make_room(j, why));
	mm_batch_json(after(j, 0), row, id, number);
	return MM_OK;
}

/* Where the next one begins is known. */
static void
skip_line(struct job *j, FILE *f)
{
	int c;

	while ((c = getc(f)) != EOF && c != '\n')
		j->read++;
}

static enum mm_err
each_line(struct job *j, FILE *f, char *line, struct mm_why *why)
{
	for (unsigned long long number = 1; fgets(line, LINE, f) != NULL;
	    number++) {
		size_t n = strlen(line);

		j->read += n;
		if (n + 1 == LINE && line[n - 1] != '\n') {
			complain(j, number, "", "row", "too long");
			skip_line(j, f);
		} else
			MM_TRY(jsonl_row(j, line, n, number, why));
	}
	return ferror(f) ? MM_FAIL(why, MM_ESYS, "%.80s: cannot be read",
	    j->shown) : finish(j, why);
}

static enum mm_err
each_item(struct job *j, struct mm_items *it, char *room, struct mm_why *why)
{
	enum mm_err rc;
	size_t n;

	while ((rc = mm_items_next(it, room, &n, why)) != MM_ENOTFOUND) {
		j->read = it->read;
		if (rc == MM_ELIMIT) {
			complain(j, it->number, "", "row", "too long");
			continue;
		}
		MM_TRY(rc);
		MM_TRY(jsonl_row(j, room, n, it->number, why));
	}
	return finish(j, why);
}

/* An array, or an object a line. */
static enum mm_err
pass_json(struct job *j, struct mm_why *why)
{
	bool is_stdin = strcmp(j->path, "-") == 0;
	FILE *f = is_stdin ? stdin : fopen(j->path, "re");
	char *line = malloc(LINE);
	enum mm_err rc = MM_OK;
	struct mm_items it;

	if (f == NULL)
		rc = MM_FAIL(why, errno == ENOENT ? MM_ENOTFOUND : MM_ESYS,
		    "%.100s: %s", j->path, strerror(errno));
	else if (line == NULL)
		rc = MM_FAIL(why, MM_ENOMEM, "out of memory");
	else
		rc = mm_items_begin(f, LINE, &it) ?
		    each_item(j, &it, line, why) : each_line(j, f, line, why);
	if (f != NULL && !is_stdin)
		fclose(f);
	free(line);
	return rc;
}

/* ---- passes ---- */

/* The server counted it as good: of its batch it was. */
static void
differs(void *ctx, const struct mm_twice_row *row, unsigned long long first)
{
	struct job *j = ctx;
	char text[64];

	snprintf(
	    text, sizeof(text), "stands in row %llu with other content", first);
	complain(j, row->number, row->id, "id", text);
	j->created -= j->created > 0;
}

static enum mm_err
look_twice(struct job *j, struct mm_why *why)
{
	enum mm_err rc = mm_twice_each(&j->twice, differs, j, why);

	mm_twice_done(&j->twice);
	return rc;
}

static enum mm_err
pass(struct job *j, bool dry, struct mm_why *why)
{
	struct stat st;
	enum mm_err rc;

	j->dry = dry;
	if (dry)
		MM_TRY(mm_twice_init(&j->twice, why));
	j->created = j->unchanged = j->done = j->read = 0;
	if (stat(j->path, &st) == 0 && S_ISREG(st.st_mode))
		j->total = (unsigned long long)st.st_size;
	mm_progress_begin(&j->progress, j->cli, j->total ? "bytes" : "devices",
	    j->total);
	mm_batch_begin(after(j, 0), dry, !j->json);
	rc = j->json ? pass_json(j, why) : pass_csv(j, why);
	if (rc != MM_OK)
		(void)land_all(j, NULL);
	mm_progress_end(&j->progress);
	if (rc == MM_OK && dry)
		rc = look_twice(j, why);
	return rc;
}

/* Standard input is read once: what is to be read twice is kept aside, in a
 * file without a name that is gone with *f. */
static enum mm_err
set_aside(FILE **out, char path[64], struct mm_why *why)
{
	char block[65536];
	FILE *f = tmpfile();
	size_t n;

	if (f == NULL)
		return MM_FAIL(why, MM_ESYS, "a temporary file: %s",
		    strerror(errno));
	*out = f;
	while ((n = fread(block, 1, sizeof(block), stdin)) > 0)
		if (fwrite(block, 1, n, f) != n)
			break;
	if (fflush(f) != 0 || ferror(stdin) || ferror(f))
		return MM_FAIL(why, MM_ESYS, "a temporary file: %s",
		    strerror(errno));
	snprintf(path, 64, "/proc/self/fd/%d", fileno(f));
	return MM_OK;
}

static enum mm_err
sum_up(struct job *j, enum mm_err rc, bool whole, struct mm_why *why)
{
	if (rc != MM_OK && j->created + j->unchanged + j->failed == 0)
		return rc; /* nothing has begun */
	if (!j->cli->quiet)
		fprintf(stderr, "mintmark: %llu %s, %llu there already, %llu "
		    "refused\n", j->created, j->dry ? "would be registered" :
		    "registered", j->unchanged, j->failed);
	if (rc != MM_OK)
		mm_cli_hint(j->cli, "what was registered stays; run the same "
		    "command again");
	else if (j->failed != 0)
		rc = MM_FAIL(why, MM_ECONFLICT, "%llu %s refused%s",
		    j->failed, mm_counted(j->failed, "row was", "rows were"),
		    whole && j->dry ? ": nothing was written" : "");
	return rc;
}

static enum mm_err
both_passes(struct job *j, const struct mm_args *a, struct mm_why *why)
{
	bool whole = mm_flag(a, "all-or-nothing");
	enum mm_err rc = pass(j, whole || mm_flag(a, "dry-run"), why);

	if (rc == MM_OK && whole && j->failed == 0 && !mm_flag(a, "dry-run"))
		rc = pass(j, false, why);
	return sum_up(j, rc, whole, why);
}

static enum mm_err
open_errors(struct job *j, const char *path, struct mm_why *why)
{
	if (path == NULL)
		return MM_OK;
	j->errors = fopen(path, "we");
	if (j->errors == NULL)
		return MM_FAIL(why, MM_ESYS, "%.100s: %s", path,
		    strerror(errno));
	fputs("row,device,column,error\n", j->errors);
	return MM_OK;
}

static bool
ends(const char *path, const char *with)
{
	size_t n = strlen(path), m = strlen(with);

	return n >= m && strcmp(path + n - m, with) == 0;
}

/* .json, .jsonl, .ndjson: what comes first says which it is. */
static bool
is_json(const char *format, const char *path)
{
	if (format != NULL)
		return strcmp(format, "json") == 0 ||
		    strcmp(format, "jsonl") == 0;
	return ends(path, ".json") || ends(path, ".jsonl") ||
	    ends(path, ".ndjson");
}

const struct mm_opt mm_opts_device_import[] = {
	{ "format", "FORMAT", "csv or json (default: by the name)",
	    MM_C_WORDS, "csv json jsonl" },
	{ "dry-run", NULL, "look at every row, write nothing", MM_C_NONE,
	    NULL },
	{ "all-or-nothing", NULL, "write nothing if a row is wrong",
	    MM_C_NONE, NULL },
	{ "errors", "FILE", "write the rows that are wrong there, as CSV",
	    MM_C_FILE, NULL },
	{ NULL, NULL, NULL, MM_C_NONE, NULL }
};

static enum mm_err
run(struct job *j, const struct mm_args *a, struct mm_why *why)
{
	char path[64];
	FILE *aside = NULL;
	enum mm_err rc = open_errors(j, mm_arg(a, "errors"), why);

	if (rc == MM_OK && strcmp(j->path, "-") == 0 &&
	    mm_flag(a, "all-or-nothing")) {
		rc = set_aside(&aside, path, why);
		j->path = path;
	}
	if (rc == MM_OK)
		rc = both_passes(j, a, why);
	if (aside != NULL)
		fclose(aside);
	if (j->errors != NULL && fclose(j->errors) != 0 && rc == MM_OK)
		rc = MM_FAIL(why, MM_ESYS, "cannot write the errors: %s",
		    strerror(errno));
	return rc;
}

enum mm_err
mm_cmd_device_import(struct mm_cli *cli, const struct mm_args *a,
    struct mm_why *why)
{
	const char *format = mm_arg(a, "format"), *path = a->pos[0];
	struct job *j = calloc(1, sizeof(*j));
	enum mm_err rc;

	if (j == NULL)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	j->cli = cli;
	j->path = j->shown = path;
	for (unsigned i = 0; i < MM_BATCHES; i++)
		mm_batch_init(&j->batch[i]);
	j->json = is_json(format, path);
	if (format != NULL && !j->json && strcmp(format, "csv") != 0)
		rc = MM_FAIL(why, MM_EINPUT, "--format: want csv or json");
	else
		rc = run(j, a, why);
	for (unsigned i = 0; i < MM_BATCHES; i++)
		mm_batch_done(&j->batch[i]);
	mm_twice_done(&j->twice);
	free(j);
	return rc;
}
