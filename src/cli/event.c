#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/own.h"
#include "base/text.h"
#include "cli/client.h"
#include "cli/commands.h"

/* The event feed, as lines: for people, or JSON lines for programs. */
#define END { NULL, NULL, NULL, MM_C_NONE, NULL }
#define FILTERS                                                            \
	{ "after", "N", "events after index N; follow: default latest",    \
	    MM_C_NONE, NULL },                                             \
	{ "type", "TYPE", "of this type, or of all that begin with it: "   \
	    "certificate.; several with commas", MM_C_NONE, NULL },        \
	{ "device", "DEVICE", "of this device", MM_C_DEVICE, NULL },       \
	{ "product", "PRODUCT", "of this product", MM_C_PRODUCT, NULL }

enum { WAIT_S = 55, PAGE = 500, PAUSE_MOST_S = 30 };

struct follow {
	struct mm_cli *cli;
	const struct mm_args *a;
	char after[24];
	const char *state;         /* file, or NULL */
	long left;                 /* events to print; -1: all */
	unsigned pause_s;
};

const struct mm_opt mm_opts_event_list[] = {
	FILTERS,
	{ "limit", "N", "at most N (default 100; 0: all)", MM_C_NONE, NULL },
	END
};
const struct mm_opt mm_opts_event_follow[] = {
	FILTERS,
	{ "state", "FILE", "keep the cursor in FILE and go on from there",
	    MM_C_FILE, NULL },
	{ "count", "N", "end after N events", MM_C_NONE, NULL },
	END
};

static const char *
text_of(json_t *o, const char *name)
{
	const char *v = json_string_value(json_object_get(o, name));

	return v != NULL ? v : "";
}

static void
print_one(const struct mm_cli *cli, json_t *item)
{
	json_t *e = json_object_get(item, "entry");
	const char *key;
	json_t *v;

	if (cli->json) {
		mm_json_dump(stdout, item, JSON_COMPACT);
		putchar('\n');
		return;
	}
	mm_json_plain(item, 2);
	printf("%8" JSON_INTEGER_FORMAT "  %s  %s",
	    json_integer_value(json_object_get(item, "index")),
	    text_of(e, "at"), text_of(e, "type"));
	json_object_foreach(e, key, v)
		if (json_is_string(v) && strstr(" type at time_source ", key) ==
		    NULL && strlen(json_string_value(v)) < 40)
			printf(" %s=%s", key, json_string_value(v));
	putchar('\n');
}

/* The path of the next page. */
static enum mm_err
page_path(const struct follow *f, int wait_s, char out[1024],
    struct mm_why *why)
{
	static const char *const filters[] = { "type", "device", "product" };
	char part[1024], wait[8], limit[24];
	long n = f->left >= 0 && f->left < PAGE ? f->left : PAGE;
	size_t at;

	snprintf(wait, sizeof(wait), "%d", wait_s);
	snprintf(limit, sizeof(limit), "%ld", n);
	MM_TRY(mm_path(out, why, "/events?after=%s&wait=%s&limit=%s",
	    f->after, wait, limit));
	for (size_t i = 0; i < sizeof(filters) / sizeof(filters[0]); i++) {
		const char *v = mm_arg(f->a, filters[i]);

		if (v == NULL)
			continue;
		MM_TRY(mm_path(part, why, "&%s=%s", filters[i], v));
		at = strlen(out);
		if ((size_t)snprintf(out + at, 1024 - at, "%s", part) >=
		    1024 - at)
			return MM_FAIL(why, MM_ELIMIT, "filters too long");
	}
	return MM_OK;
}

/* Printed first, then remembered: a crash between repeats, and loses
 * nothing. */
static enum mm_err
remember(const struct follow *f, struct mm_why *why)
{
	if (f->state == NULL)
		return MM_OK;
	return mm_file_replace(f->state, mm_bytes_of(f->after), 0644, why);
}

static enum mm_err
one_page(struct follow *f, int wait_s, bool *more, struct mm_why *why)
{
	MM_OWN(json_free) json_t *answer = NULL;
	struct mm_client *c;
	const char *next;
	char path[1024];
	json_t *item;
	size_t i;

	MM_TRY(page_path(f, wait_s, path, why));
	MM_TRY(mm_cli_client(f->cli, &c, why));
	MM_TRY(mm_client_call(c, "GET", path, NULL, &answer, why));
	json_array_foreach(json_object_get(answer, "items"), i, item) {
		print_one(f->cli, item);
		f->left -= f->left > 0;
	}
	if (fflush(stdout) != 0)
		return MM_FAIL(why, MM_ESYS, "cannot write");
	next = json_string_value(json_object_get(answer, "next"));
	if (next != NULL && strcmp(next, f->after) != 0) {
		snprintf(f->after, sizeof(f->after), "%s", next);
		MM_TRY(remember(f, why));
	}
	*more = json_is_true(json_object_get(answer, "more"));
	return MM_OK;
}

/* --after, else the state file's, else where a command begins. */
static enum mm_err
begin_at(struct follow *f, const char *preset, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf b =
	    MM_BUF_INIT(sizeof(f->after) - 1);
	const char *after = mm_arg(f->a, "after");
	enum mm_err rc;

	if (after == NULL && f->state != NULL) {
		rc = mm_file_read(f->state, &b, NULL);
		if (rc != MM_OK && rc != MM_ENOTFOUND)
			return MM_FAIL(why, rc, "%.100s cannot be read",
			    f->state);
		after = rc == MM_OK && b.n > 0 ? mm_buf_cstr(&b) : NULL;
	}
	if (!mm_text_copy(f->after, sizeof(f->after),
	    mm_bytes_of(after != NULL ? after : preset)))
		return MM_FAIL(why, MM_EINPUT, "--after: want an index");
	f->after[strcspn(f->after, "\n")] = '\0';
	return MM_OK;
}

enum mm_err
mm_cmd_event_list(struct mm_cli *cli, const struct mm_args *a,
    struct mm_why *why)
{
	struct follow f = { .cli = cli, .a = a };
	bool more = true;

	MM_TRY(mm_arg_int(a, "limit", 100, 0, 100000000, &f.left, why));
	if (f.left == 0)
		f.left = -1;
	MM_TRY(begin_at(&f, "-1", why));
	while (more && f.left != 0)
		MM_TRY(one_page(&f, 0, &more, why));
	if (more)
		mm_cli_note(cli, "there are more; go on with --after %s, or "
		    "--limit 0 for all", f.after);
	return MM_OK;
}

/* A server that is away for a moment comes back; a refusal stays one. */
static enum mm_err
come_again(struct follow *f, enum mm_err rc, const struct mm_why *why)
{
	if (rc != MM_EAGAIN && rc != MM_ERATE)
		return rc;
	if (!f->cli->quiet)
		fprintf(stderr, "mintmark: note: %s; again in %u s\n",
		    why->text, f->pause_s);
	sleep(f->pause_s);
	f->pause_s = f->pause_s * 2 > PAUSE_MOST_S ? PAUSE_MOST_S
						   : f->pause_s * 2;
	return MM_OK;
}

enum mm_err
mm_cmd_event_follow(struct mm_cli *cli, const struct mm_args *a,
    struct mm_why *why)
{
	struct follow f = { .cli = cli, .a = a, .state = mm_arg(a, "state"),
		.pause_s = 1 };

	MM_TRY(mm_arg_int(a, "count", -1, 1, 100000000, &f.left, why));
	MM_TRY(begin_at(&f, "latest", why));
	while (f.left != 0) {
		struct mm_why this = { 0 };
		bool more;
		enum mm_err rc = one_page(&f, WAIT_S, &more, &this);

		if (rc == MM_OK) {
			f.pause_s = 1;
			continue;
		}
		rc = come_again(&f, rc, &this);
		if (rc != MM_OK) {
			*why = this;
			return rc;
		}
	}
	return MM_OK;
}
