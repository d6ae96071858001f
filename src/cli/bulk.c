#include "cli/bulk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/own.h"
#include "base/secret.h"
#include "base/text.h"
#include "cli/client.h"

MM_FREE_FN(json_free, json_t, json_decref)
#define OWN_CSV __attribute__((cleanup(mm_csv_close)))

/* Rows a request carries, and the columns that are written. */
enum { BATCH = 500, NFIELDS = 5 };
static const char *const fields[NFIELDS] = {
	"device", "id", "token", "expires", "uri",
};
static const char *const inputs[] = {
	"device", "product", "profile", "ttl", "not_before", "door",
	"bound_spki_sha256",
};

struct job {
	struct mm_cli *cli;
	struct mm_csv *csv;
	json_t *defaults; /* borrowed */
	FILE *out;
	unsigned long long made, failed, total;
	struct mm_progress progress;
};

static json_t *
spec(const struct job *j)
{
	json_t *o = json_copy(j->defaults);

	for (size_t i = 0; i < sizeof(inputs) / sizeof(inputs[0]); i++) {
		const char *v = mm_csv_get(j->csv, inputs[i]);

		if (v != NULL && v[0] != '\0')
			json_object_set_new(o, inputs[i], json_string(v));
	}
	return o;
}

static void
write_row(struct job *j, json_t *item)
{
	json_t *error = json_object_get(item, "error");
	const char *device = json_string_value(json_object_get(item, "device"));

	if (error != NULL) {
		const char *detail = json_string_value(
		    json_object_get(error, "detail"));

		fprintf(stderr, "mintmark: device %s: %s\n",
		    device ? device : "?", detail ? detail : "refused");
		j->failed++;
		return;
	}
	for (int i = 0; i < NFIELDS; i++) {
		const char *v = json_string_value(
		    json_object_get(item, fields[i]));

		mm_csv_put(j->out, v ? v : "", i + 1 == NFIELDS);
	}
	j->made++;
}

/* One request; its rows are on the disk before the next one is made. */
static enum mm_err
send(struct job *j, json_t *tokens, struct mm_why *why)
{
	MM_OWN(json_free) json_t *body = json_pack("{s:O}", "tokens", tokens);
	MM_OWN(json_free) json_t *answer = NULL;
	struct mm_client *c;
	size_t i;
	json_t *item;

	if (json_array_size(tokens) == 0)
		return MM_OK;
	MM_TRY(mm_cli_client(j->cli, &c, why));
	MM_TRY(mm_client_call(c, "POST", "/tokens", body, &answer, why));
	json_array_foreach(json_object_get(answer, "items"), i, item)
		write_row(j, item);
	json_array_clear(tokens);
	if (fflush(j->out) != 0)
		return MM_FAIL(why, MM_ESYS, "cannot write the tokens: %s",
		    strerror(errno));
	mm_progress_step(&j->progress, j->total ? j->csv->read
						: j->made + j->failed);
	return MM_OK;
}

/* Rows that --out has already, for --resume: skipped, by number. */
static enum mm_err
count_rows(const char *path, unsigned long long *rows, struct mm_why *why)
{
	OWN_CSV struct mm_csv old;
	enum mm_err rc = mm_csv_open(&old, path, why);

	*rows = 0;
	while (rc == MM_OK && (rc = mm_csv_next(&old, why)) == MM_OK)
		++*rows;
	return rc == MM_ENOTFOUND && old.f != NULL ? MM_OK : rc;
}

static enum mm_err
open_out(struct job *j, const struct mm_args *a, struct mm_why *why)
{
	const char *path = mm_arg(a, "out");
	bool resume = mm_flag(a, "resume");
	int fd;

	if (path == NULL) {
		j->out = stdout;
	} else {
		fd = open(path, O_WRONLY | O_CLOEXEC |
		    (resume ? O_APPEND : O_CREAT | O_EXCL), 0600);
		if (fd < 0 && errno == EEXIST)
			mm_cli_hint(j->cli, "to go on with an interrupted run "
			    "say --resume; else name another file");
		if (fd < 0)
			return MM_FAIL(why, errno == EEXIST ? MM_ECONFLICT
			    : MM_ESYS, "%.100s: %s", path, strerror(errno));
		j->out = fdopen(fd, "a");
	}
	for (int i = 0; !resume && i < NFIELDS; i++)
		mm_csv_put(j->out, fields[i], i + 1 == NFIELDS);
	return MM_OK;
}

static enum mm_err
each(struct job *j, unsigned long long skip, bool dry, struct mm_why *why)
{
	MM_OWN(json_free) json_t *tokens = json_array();
	enum mm_err rc;

	while ((rc = mm_csv_next(j->csv, why)) == MM_OK) {
		const char *device = mm_csv_get(j->csv, "device");

		if (device == NULL || !mm_device_id_valid(device))
			return MM_FAIL(why, MM_EINPUT,
			    "%.60s: row %llu: \"%.40s\" is not a device id",
			    j->csv->path, j->csv->row, device ? device : "");
		if (j->csv->row <= skip)
			continue;
		if (dry) {
			j->made++;
			continue;
		}
		json_array_append_new(tokens, spec(j));
		if (json_array_size(tokens) == BATCH)
			MM_TRY(send(j, tokens, why));
	}
	return rc == MM_ENOTFOUND ? send(j, tokens, why) : rc;
}

static enum mm_err
finish(struct job *j, enum mm_err rc, bool dry, struct mm_why *why)
{
	mm_progress_end(&j->progress);
	if (j->out != NULL && j->out != stdout && fclose(j->out) != 0 &&
	    rc == MM_OK)
		rc = MM_FAIL(why, MM_ESYS, "cannot write the tokens: %s",
		    strerror(errno));
	if (!j->cli->quiet)
		fprintf(stderr, "mintmark: %llu %s, %llu refused\n", j->made,
		    dry ? "rows would be minted" : "tokens minted", j->failed);
	if (rc != MM_OK)
		mm_cli_hint(j->cli, "what was minted is in the output; the "
		    "same command with --resume goes on there");
	else if (j->failed != 0)
		rc = MM_FAIL(why, MM_ECONFLICT, "%llu rows were refused",
		    j->failed);
	return rc;
}

/* see bulk.h */
enum mm_err
mm_bulk_tokens(struct mm_cli *cli, const struct mm_args *a,
    struct mm_why *why)
{
	MM_OWN(json_free) json_t *defaults = mm_token_defaults(a);
	OWN_CSV struct mm_csv csv = { 0 };
	struct job j = { .cli = cli, .csv = &csv, .defaults = defaults };
	bool dry = mm_flag(a, "dry-run");
	unsigned long long skip = 0;
	struct stat st;
	enum mm_err rc;

	if (mm_flag(a, "resume") && mm_arg(a, "out") == NULL)
		return MM_FAIL(why, MM_EINPUT, "--resume needs --out FILE");
	MM_TRY(mm_csv_open(&csv, mm_arg(a, "csv"), why));
	if (!mm_csv_has(&csv, "device"))
		return MM_FAIL(why, MM_EINPUT, "%.80s: the first line names "
		    "the columns; \"device\" is not among them", csv.path);
	if (mm_flag(a, "resume"))
		MM_TRY(count_rows(mm_arg(a, "out"), &skip, why));
	if (!dry)
		MM_TRY(open_out(&j, a, why));
	if (fstat(fileno(csv.f), &st) == 0 && S_ISREG(st.st_mode))
		j.total = (unsigned long long)st.st_size;
	mm_progress_begin(&j.progress, cli, j.total ? "bytes" : "tokens",
	    j.total);
	rc = each(&j, skip, dry, why);
	return finish(&j, rc, dry, why);
}

/* see bulk.h */
enum mm_err
mm_bulk_write_json(const char *path, json_t *v, struct mm_why *why)
{
	char *text = json_dumps(v, JSON_INDENT(2));
	enum mm_err rc;

	if (text == NULL)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	rc = mm_file_create(path, mm_bytes_of(text), 0600, why);
	mm_wipe(text, strlen(text));
	free(text);
	return rc;
}
