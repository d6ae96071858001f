#include "cli/bulk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/rand.h>

#include "base/file.h"
#include "base/own.h"
#include "base/secret.h"
#include "base/text.h"
#include "cli/client.h"
#include "cli/commands.h"

#define OWN_CSV __attribute__((cleanup(mm_csv_close)))

enum { BATCH = 500 }; /* rows a request carries */

/* The columns that are read and written: of tokens that are made, and of
 * codes that there are. */
static const struct form {
	const char *const *input, *const *output; /* to NULL */
	const char *inputs;                       /* in words */
	bool code;
} forms[] = {
	{ (const char *const[]){ "device", "product", "profile", "ttl",
	      "not_before", "door", "bound_spki_sha256", NULL },
	    (const char *const[]){ "device", "id", "token", "expires", "uri",
		NULL },
	    "device, product, profile, ttl, not_before, door or "
	    "bound_spki_sha256", false },
	{ (const char *const[]){ "device", "code", "product", "profile",
	      "ttl", "not_before", "bound_spki_sha256", NULL },
	    (const char *const[]){ "device", "id", "expires", NULL },
	    "device, code, product, profile, ttl, not_before or "
	    "bound_spki_sha256", true },
};
/* How long a batch waits for a server that says when to come again. */
enum { WAIT_MOST_S = 900, PAUSE_MOST_S = 300 };

struct job {
	struct mm_cli *cli;
	struct mm_csv *csv;
	const struct mm_args *a;
	const struct form *form;
	json_t *defaults; /* borrowed */
	FILE *rows; /* that no file of the caller's has; or NULL */
	FILE *out;
	json_t *done; /* by device: rows of --out, for --resume; or NULL */
	unsigned long long made, failed, skipped;
	bool cramped; /* told that the server wants us to wait */
	struct mm_stop stop;
	struct mm_progress progress;
};

static json_t *
spec(const struct job *j)
{
	json_t *o = json_copy(j->defaults);

	for (const char *const *in = j->form->input; *in != NULL; in++) {
		const char *v = mm_csv_get(j->csv, *in);

		if (v != NULL && v[0] != '\0')
			json_object_set_new(o, *in, json_string(v));
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

		fprintf(stderr, "mintmark: device %s: ",
		    device ? device : "?");
		mm_text_put(stderr, detail ? detail : "refused");
		fputc('\n', stderr);
		j->failed++;
		return;
	}
	/* The answer to a request of before, which does not say it again. */
	if (!j->form->code &&
	    json_string_value(json_object_get(item, "token")) == NULL) {
		fprintf(stderr, "mintmark: device %s: token %s was made, but "
		    "its text was lost: cancel it\n", device ? device : "?",
		    mm_json_text(item, "id"));
		j->failed++;
		return;
	}
	for (const char *const *out = j->form->output; *out != NULL; out++) {
		const char *v = json_string_value(json_object_get(item, *out));

		mm_csv_put(j->out, v ? v : "", out[1] == NULL);
	}
	j->made++;
}

static void
pause_for(struct job *j, long s, const char *words)
{
	if (!j->cramped && !j->cli->quiet)
		fprintf(stderr, "%smintmark: note: the server asks to wait "
		    "(%s); going on when it allows\n",
		    j->progress.drawn ? "\n" : "", words);
	j->cramped = true;
	(void)mm_stop_wanted(&j->stop, s);
}

/*
 * RFC 9110 10.2.3: asks again when the server said to.  The key makes sure
 * that a request whose answer was a mistaken 503 is not done twice.
 */
static enum mm_err
post(struct job *j, struct mm_client *c, json_t *body, json_t **answer,
    struct mm_why *why)
{
	char key[33];
	uint8_t dice[16];
	long waited = 0;

	if (RAND_bytes(dice, sizeof(dice)) != 1)
		return MM_FAIL(why, MM_ECRYPTO, "no random bytes");
	mm_hex_text(dice, sizeof(dice), key);
	for (;;) {
		struct mm_why w = { 0 };
		enum mm_err rc;
		long s;

		mm_client_idempotency(c, key);
		rc = mm_client_call(c, "POST", "/tokens", body, answer, &w);
		s = mm_client_retry_after(c);
		if ((rc != MM_ERATE && rc != MM_EAGAIN && rc != MM_EBUSY) ||
		    s < 0 ||
		    s > PAUSE_MOST_S || waited >= WAIT_MOST_S ||
		    mm_stop_wanted(&j->stop, 0)) {
			if (rc != MM_OK)
				return MM_FAIL(why, rc, "%s", w.text);
			return MM_OK;
		}
		pause_for(j, s > 0 ? s : 1, w.text);
		waited += s > 0 ? s : 1;
	}
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
	MM_TRY(post(j, c, body, &answer, why));
	json_array_foreach(json_object_get(answer, "items"), i, item)
		write_row(j, item);
	json_array_clear(tokens);
	if (fflush(j->out) != 0 || (j->out != stdout &&
	    fsync(fileno(j->out)) != 0 && errno != EINVAL))
		return MM_FAIL(why, MM_ESYS, "cannot write the tokens: %s",
		    strerror(errno));
	mm_progress_step(&j->progress, j->made + j->failed + j->skipped);
	return MM_OK;
}

/* Whether --out has a row for this one; each row there counts once. */
static bool
is_done(struct job *j, const char *device)
{
	json_t *n = json_object_get(j->done, device);

	if (json_integer_value(n) < 1)
		return false;
	json_integer_set(n, json_integer_value(n) - 1);
	j->skipped++;
	return true;
}

/* see bulk.h */
enum mm_err
mm_out_open(struct mm_cli *cli, const char *path, bool append, FILE **out,
    struct mm_why *why)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC |
	    (append ? O_APPEND : O_CREAT | O_EXCL), 0600);

	if (fd < 0 && errno == EEXIST)
		mm_cli_hint(cli, "nothing was minted, and nothing is "
		    "overwritten: name another file");
	if (fd < 0 || (*out = fdopen(fd, "a")) == NULL)
		return MM_FAIL(why, errno == EEXIST ? MM_ECONFLICT
		    : errno == ENOENT ? MM_ENOTFOUND : MM_ESYS,
		    "%.100s: %s", path, strerror(errno));
	return MM_OK;
}

/* The first line of what is written. */
static const char *
head_of(const struct job *j, char head[MM_BULK_HEAD])
{
	head[0] = '\0';
	for (const char *const *out = j->form->output; *out != NULL; out++) {
		strcat(head, *out);
		strcat(head, out[1] != NULL ? "," : "\n");
	}
	return head;
}

static enum mm_err
open_out(struct job *j, const struct mm_args *a, struct mm_why *why)
{
	char head[MM_BULK_HEAD];
	const char *path = mm_arg(a, "out");

	if (mm_flag(a, "resume"))
		return mm_bulk_resume(j->cli, path, head_of(j, head),
		    j->done, &j->out, why);
	j->out = stdout;
	if (path != NULL) {
		if (access(path, F_OK) == 0)
			mm_cli_hint(j->cli, "to go on with an interrupted run "
			    "say --resume; else name another file");
		j->out = NULL;
		MM_TRY(mm_out_open(j->cli, path, false, &j->out, why));
	}
	fputs(head_of(j, head), j->out);
	return MM_OK;
}

static enum mm_err
each(struct job *j, struct mm_why *why)
{
	MM_OWN(json_free) json_t *tokens = json_array();
	enum mm_err rc;

	while ((rc = mm_csv_next(j->csv, why)) == MM_OK) {
		const char *device = mm_csv_get(j->csv, "device");

		if (device == NULL || !mm_device_id_valid(device))
			return MM_FAIL(why, MM_EINPUT,
			    "%.60s: row %llu: \"%.40s\" is not a device id",
			    j->csv->path, j->csv->row, device ? device : "");
		if (is_done(j, device))
			continue;
		json_array_append_new(tokens, spec(j));
		if (json_array_size(tokens) == BATCH)
			MM_TRY(send(j, tokens, why));
		if (mm_stop_wanted(&j->stop, 0))
			return MM_FAIL(why, MM_EAGAIN, "interrupted");
	}
	return rc == MM_ENOTFOUND ? send(j, tokens, why) : rc;
}

static enum mm_err
finish(struct job *j, enum mm_err rc, struct mm_why *why)
{
	bool named = j->out != NULL && j->out != stdout;

	mm_progress_end(&j->progress);
	if (named && fclose(j->out) != 0 && rc == MM_OK)
		rc = MM_FAIL(why, MM_ESYS, "cannot write the tokens: %s",
		    strerror(errno));
	if (!j->cli->quiet)
		fprintf(stderr, "mintmark: %llu %s, %llu refused\n", j->made,
		    j->form->code ? mm_counted(j->made, "code imported",
		    "codes imported") : mm_counted(j->made, "token minted",
		    "tokens minted"), j->failed);
	if (rc == MM_OK && j->failed != 0)
		rc = MM_FAIL(why, MM_ECONFLICT, "%llu %s refused",
		    j->failed, mm_counted(j->failed, "row was",
		    "rows were"));
	if (rc != MM_OK && named)
		mm_cli_hint(j->cli, "what was minted is in the output; the "
		    "same command with --resume goes on there");
	if (j->stop.caught != 0 && !j->cli->quiet)
		fprintf(stderr, "mintmark: interrupted%s\n", named ? ": the "
		    "same command with --resume goes on there" : "");
	mm_stop_end(&j->stop);
	return rc;
}

static bool
is_input(const struct form *form, const char *name)
{
	for (const char *const *in = form->input; *in != NULL; in++)
		if (strcmp(*in, name) == 0)
			return true;
	return false;
}

/* A column that is left out because its name is mistyped could be the one that
 * binds tokens to keys. */
static enum mm_err
open_csv(struct job *j, struct mm_why *why)
{
	struct mm_csv *csv = j->csv;

	MM_TRY(mm_bulk_rows(j->cli, j->a, &j->rows, csv, why));
	for (int i = 0; i < 1 + j->form->code; i++)
		if (!mm_csv_has(csv, j->form->input[i]))
			return MM_FAIL(why, MM_EINPUT, "%.80s: the first line "
			    "names the columns; \"%s\" is not among them",
			    csv->path, j->form->input[i]);
	MM_TRY(mm_csv_names(csv, csv->path, why));
	for (size_t i = 0; i < csv->nnames; i++)
		if (!is_input(j->form, csv->name[i]))
			return MM_FAIL(why, MM_EINPUT, "%.80s: column "
			    "\"%.40s\": want %s", csv->path, csv->name[i],
			    j->form->inputs);
	return MM_OK;
}

/* What can be read twice is read whole before anything is minted. */
static enum mm_err
check_first(struct job *j, unsigned long long *rows, struct mm_why *why)
{
	struct stat st;

	if (fstat(fileno(j->csv->f), &st) != 0 || !S_ISREG(st.st_mode) ||
	    j->csv->f == stdin)
		return MM_OK;
	MM_TRY(mm_bulk_check(j->cli, j->csv, j->defaults, false, rows, why));
	mm_csv_close(j->csv);
	return open_csv(j, why);
}

static enum mm_err
dry_run(struct job *j, struct mm_why *why)
{
	unsigned long long good = 0;
	enum mm_err rc = mm_bulk_check(j->cli, j->csv, j->defaults, true,
	    &good, why);

	if (!j->cli->quiet)
		fprintf(stderr, "mintmark: %llu %s would be minted\n", good,
		    mm_counted(good, "row", "rows"));
	return rc;
}

static enum mm_err
mint(struct job *j, struct mm_why *why)
{
	unsigned long long rows = 0;
	enum mm_err rc;

	MM_TRY(check_first(j, &rows, why));
	rc = open_out(j, j->a, why);
	if (rc != MM_OK) {
		if (j->out != NULL)
			fclose(j->out);
		return rc;
	}
	mm_progress_begin(&j->progress, j->cli, "rows", rows);
	mm_stop_begin(&j->stop);
	rc = each(j, why);
	return finish(j, rc, why);
}

/* see bulk.h */
enum mm_err
mm_bulk_tokens(struct mm_cli *cli, const struct mm_args *a, bool codes,
    struct mm_why *why)
{
	MM_OWN(json_free) json_t *defaults = codes ? json_object() :
	    mm_token_defaults(a);
	MM_OWN(json_free) json_t *done = NULL;
	OWN_CSV struct mm_csv csv = { 0 };
	struct job j = { .cli = cli, .csv = &csv, .a = a,
		.form = &forms[codes], .defaults = defaults };
	enum mm_err rc;

	if (mm_flag(a, "resume") && mm_arg(a, "out") == NULL)
		return MM_FAIL(why, MM_EINPUT, "--resume needs --out FILE");
	if (mm_flag(a, "resume"))
		j.done = done = json_object();
	rc = open_csv(&j, why);
	if (rc == MM_OK)
		rc = mm_flag(a, "dry-run") ? dry_run(&j, why) : mint(&j, why);
	if (j.rows != NULL)
		fclose(j.rows);
	return rc;
}

/* see bulk.h */
enum mm_err
mm_out_json(FILE **f, const char *path, json_t *v, struct mm_why *why)
{
	FILE *out = MM_MOVE(*f);
	char *text = v != NULL ? json_dumps(v, JSON_INDENT(2)) : NULL;
	bool good = text != NULL && mm_fd_write(fileno(out),
	    mm_bytes_of(text), NULL) == MM_OK && fsync(fileno(out)) == 0;
	int error = errno;

	if (text != NULL)
		mm_wipe(text, strlen(text));
	free(text);
	good = fclose(out) == 0 && good;
	if (good)
		return MM_OK;
	unlink(path);
	return v == NULL ? MM_OK : MM_FAIL(why, MM_ESYS, "%.100s: %s", path,
	    strerror(error));
}
