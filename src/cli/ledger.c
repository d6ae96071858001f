#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <errno.h>
#include <unistd.h>

#include "base/file.h"
#include "base/own.h"
#include "base/time.h"
#include "cli/bulk.h"
#include "cli/commands.h"
#include "cli/source.h"
#include "ledger/receipt.h"

#define END { NULL, NULL, NULL, MM_C_NONE, NULL }
#define OWN_SOURCE __attribute__((cleanup(mm_source_close)))

enum { RECEIPT_MAX = 1 << 20 };

/* see commands.h */
enum mm_err
mm_print_bytes(struct mm_cli *cli, const char *path, const char *member,
    struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf b = MM_BUF_INIT(RECEIPT_MAX);
	MM_OWN(json_free) json_t *object = NULL;
	struct mm_client *c;

	MM_TRY(mm_cli_client(cli, &c, why));
	MM_TRY(mm_client_bytes(c, path, &b, why));
	if (cli->json) {
		object = json_pack("{s:s%}", member, b.p, b.n);
		if (object == NULL)
			return MM_FAIL(why, MM_EINPUT, "not UTF-8");
		mm_json_print(object);
		return MM_OK;
	}
	fwrite(b.p, 1, b.n, stdout);
	if (b.n != 0 && b.p[b.n - 1] != '\n')
		putchar('\n');
	return MM_OK;
}

const struct mm_opt mm_opts_ledger_checkpoint[] = { END };

enum mm_err
mm_cmd_ledger_checkpoint(struct mm_cli *cli, const struct mm_args *a,
    struct mm_why *why)
{
	(void)a;
	return mm_print_bytes(cli, "/ledger/checkpoint", "checkpoint", why);
}

const struct mm_opt mm_opts_ledger_key[] = { END };

enum mm_err
mm_cmd_ledger_key(struct mm_cli *cli, const struct mm_args *a,
    struct mm_why *why)
{
	(void)a;
	return mm_print_bytes(cli, "/api/v1/ledger/key", "key", why);
}

#define RECEIPT_OPTS                                                       \
	{ "out", "FILE", "write it there instead", MM_C_FILE, NULL }, END

const struct mm_opt mm_opts_device_receipt[] = { RECEIPT_OPTS };
const struct mm_opt mm_opts_ledger_receipt[] = { RECEIPT_OPTS };

static enum mm_err
receipt(struct mm_cli *cli, const struct mm_args *a, const char *fmt,
    struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf b = MM_BUF_INIT(RECEIPT_MAX);
	const char *out = mm_arg(a, "out");
	struct mm_client *c;
	char path[1024];

	MM_TRY(mm_path(path, why, fmt, a->pos[0]));
	MM_TRY(mm_cli_client(cli, &c, why));
	MM_TRY(mm_client_bytes(c, path, &b, why));
	if (out != NULL)
		return mm_file_replace(out, mm_buf_view(&b), 0644, why);
	fwrite(b.p, 1, b.n, stdout);
	putchar('\n');
	return MM_OK;
}

enum mm_err
mm_cmd_device_receipt(struct mm_cli *cli, const struct mm_args *a,
    struct mm_why *why)
{
	return receipt(cli, a, "/api/v1/devices/%s/receipt", why);
}

enum mm_err
mm_cmd_ledger_receipt(struct mm_cli *cli, const struct mm_args *a,
    struct mm_why *why)
{
	return receipt(cli, a, "/api/v1/ledger/receipts/%s", why);
}

const struct mm_opt mm_opts_ledger_verify_receipt[] = {
	{ "key", "KEY", "the ledger's verifier key, as text or file "
	    "(required)", MM_C_FILE, NULL },
	END
};

static void
show_json(const struct mm_receipt *r, const struct mm_checkpoint *c)
{
	MM_OWN(mm_buf_done) struct mm_buf out = MM_BUF_INIT(2 * RECEIPT_MAX);
	struct mm_json j = mm_json_over(&out);

	mm_json_open(&j, '{');
	mm_json_bool(&j, "verified", true);
	mm_json_int(&j, "index", (int64_t)r->index);
	mm_json_str(&j, "origin", c->origin);
	mm_json_int(&j, "size", (int64_t)c->size);
	mm_json_raw(&j, "entry", r->entry);
	mm_json_close(&j, '}');
	mm_json_put(stdout, mm_buf_view(&out));
	putchar('\n');
}

static void
show_receipt(const struct mm_cli *cli, const struct mm_receipt *r,
    const struct mm_checkpoint *c)
{
	if (cli->json) {
		show_json(r, c);
		return;
	}
	printf("verified: entry %llu of ", (unsigned long long)r->index);
	mm_text_put(stdout, c->origin);
	printf(", in the tree of %llu %s that its key signed.\n%s",
	    (unsigned long long)c->size, mm_counted(c->size, "entry",
	    "entries"), r->chain_pem.n == 0 ? ""
	    : "The chain that lies beside it is not part of the proof.\n");
	mm_json_put(stdout, r->entry);
	putchar('\n');
}

enum mm_err
mm_cmd_ledger_verify_receipt(struct mm_cli *cli, const struct mm_args *a,
    struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf file = MM_BUF_INIT(RECEIPT_MAX);
	MM_OWN(mm_buf_done) struct mm_buf arena = MM_BUF_INIT(RECEIPT_MAX);
	struct mm_source nowhere = { .cli = cli };
	struct mm_note_key key;
	struct mm_checkpoint c;
	struct mm_receipt r;
	enum mm_err rc;
	bool trusted;

	if (mm_arg(a, "key") == NULL) {
		mm_cli_hint(cli, "\"mintmark ledger key\" prints it; keep it "
		    "from a source that you trust");
		return MM_FAIL(why, MM_EINPUT, "missing --key");
	}
	MM_TRY(mm_source_key(&nowhere, mm_arg(a, "key"), &key, &trusted, why));
	MM_TRY(mm_file_read(a->pos[0], &file, why));
	rc = mm_receipt_parse(mm_buf_view(&file), &arena, &r, why);
	if (rc == MM_OK)
		rc = mm_receipt_verify(&r, &key, &c, why);
	if (rc != MM_OK)
		return mm_cli_unverified(cli, rc);
	show_receipt(cli, &r, &c);
	return MM_OK;
}

/* ---- entries and export ---- */

#define ENTRY_OPTS                                                         \
	{ "since", "N|TIME", "from this index, or from this time on",      \
	    MM_C_NONE, NULL },                                             \
	{ "type", "TYPE", "entries of this type only, or of all that "     \
	    "begin with it: certificate.; several with commas", MM_C_NONE, \
	    NULL },                                                        \
	{ "device", "DEVICE", "entries of this device only", MM_C_DEVICE,  \
	    NULL }

const struct mm_opt mm_opts_ledger_entries[] = {
	ENTRY_OPTS,
	{ "limit", "N", "at most N (default 100, with --listed 1000; 0: "
	    "all)", MM_C_NONE, NULL },
	{ "listed", NULL, "as the server lists them, without the tiles",
	    MM_C_NONE, NULL },
	{ "after", "N", "with --listed: start after this index", MM_C_NONE,
	    NULL },
	END
};
const struct mm_opt mm_opts_ledger_export[] = {
	ENTRY_OPTS,
	{ "format", "FORMAT", "jsonl (default), csv or tiles", MM_C_WORDS,
	    "jsonl csv tiles" },
	{ "out", "PATH", "a file; for tiles a new directory (required)",
	    MM_C_PATH, NULL },
	{ "from", "DIR", "read a copied directory instead of the server",
	    MM_C_DIR, NULL },
	END
};

struct export {
	FILE *f;
	struct mm_source *source;
	const char *type, *device;
	int64_t since_ms;
	uint64_t from, printed, next; /* next: after the last one printed */
	uint64_t later; /* printed, of a form that is not known */
	unsigned long limit; /* 0: none */
	bool csv;
	struct mm_progress progress;
	char arena[MM_ENTRY_MAX + 64];
};

static void
put_csv(struct export *x, uint64_t index, const struct mm_entry_read *r)
{
	const struct mm_entry *e = &r->e;
	char at[MM_TIME_TEXT];

	mm_time_text(e->at_ms, at);
	fprintf(x->f, "%llu,%s,%s,", (unsigned long long)index, at,
	    r->type);
	for (unsigned i = 0; i < MM_ENTRY_FIELD_COUNT; i++)
		mm_csv_put(x->f, e->field[i] ? e->field[i] : "",
		    i + 1 == MM_ENTRY_FIELD_COUNT);
}

/* A file gets the bytes as they are, a terminal what it can bear. */
static void
put_json(struct export *x, uint64_t index, struct mm_bytes json)
{
	fprintf(x->f, "{\"index\":%llu,\"entry\":",
	    (unsigned long long)index);
	if (x->f == stdout)
		mm_json_put(x->f, json);
	else
		fwrite(json.p, 1, json.n, x->f);
	fputs("}\n", x->f);
}

/* As the server does: device ids count without case. */
static bool
wanted(const struct export *x, const struct mm_entry_read *r)
{
	const char *device = r->e.field[MM_F_DEVICE];

	return r->e.at_ms >= x->since_ms &&
	    mm_entry_one_of(x->type, mm_bytes_of(r->type)) &&
	    (x->device == NULL ||
	    (device != NULL && strcasecmp(x->device, device) == 0));
}

static enum mm_err
put_entry(void *ctx, uint64_t index, struct mm_bytes json,
    struct mm_why *why)
{
	struct export *x = ctx;
	struct mm_entry_read e;

	mm_progress_step(&x->progress, index);
	if (index < x->from)
		return MM_OK;
	MM_TRY(mm_entry_read(json, x->arena, sizeof(x->arena), &e, why));
	if (!wanted(x, &e))
		return MM_OK;
	x->printed++;
	x->later += e.later;
	x->source->enough = x->printed == x->limit;
	x->next = index + 1;
	if (x->csv)
		put_csv(x, index, &e);
	else
		put_json(x, index, json);
	if (ferror(x->f))
		return MM_FAIL(why, MM_ESYS, "cannot write: %s",
		    strerror(errno));
	return MM_OK;
}

static enum mm_err
filters(struct export *x, const struct mm_args *a, struct mm_why *why)
{
	const char *since = mm_arg(a, "since");
	char *end;

	x->type = mm_arg(a, "type") != NULL ? mm_arg(a, "type") : "";
	MM_TRY(mm_entry_types_check(x->type, why));
	x->device = mm_arg(a, "device");
	if (since == NULL)
		return MM_OK;
	x->from = strtoull(since, &end, 10);
	if (*end == '\0' && end != since)
		return MM_OK;
	x->from = 0;
	return mm_time_parse(since, &x->since_ms, why);
}

static enum mm_err
walk(struct mm_cli *cli, struct export *x, const char *where,
    struct mm_why *why)
{
	OWN_SOURCE struct mm_source s = { 0 };
	struct mm_note_key key;
	struct mm_checkpoint c;
	bool trusted;

	MM_TRY(mm_source_open(&s, cli, where, why));
	MM_TRY(mm_source_key(&s, NULL, &key, &trusted, why));
	MM_TRY(mm_source_checkpoint(&s, &key, &c, NULL, why));
	x->source = &s;
	mm_progress_begin(&x->progress, cli, "entries", c.size);
	MM_TRY(mm_source_each(&s, x->from, c.size, put_entry, x, why));
	mm_progress_end(&x->progress);
	if (s.enough && x->next < c.size)
		mm_cli_note(cli, "there may be more; go on with --since %llu, "
		    "or --limit 0 for all", (unsigned long long)x->next);
	return MM_OK;
}

/* A credential that is limited reads no tile: others' entries are in it. */
static enum mm_err
listed(struct mm_cli *cli, const struct mm_args *a, struct mm_why *why)
{
	static const struct mm_filter listed_filters[] = {
		{ "type", "type" }, { "device", "device" },
	};

	if (mm_arg(a, "since") != NULL)
		return MM_FAIL(why, MM_EINPUT, "--since: not with --listed, "
		    "which has --after");
	return mm_entries_command(cli, a, "/ledger/entries", listed_filters, 2,
	    why);
}

enum mm_err
mm_cmd_ledger_entries(struct mm_cli *cli, const struct mm_args *a,
    struct mm_why *why)
{
	struct export *x;
	enum mm_err rc;
	long limit;

	if (mm_flag(a, "listed"))
		return listed(cli, a, why);
	if (mm_arg(a, "after") != NULL)
		return MM_FAIL(why, MM_EINPUT, "--after: with --listed; else "
		    "--since");
	x = calloc(1, sizeof(*x));
	if (x == NULL)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	x->f = stdout;
	rc = mm_arg_int(a, "limit", 100, 0, 100000000, &limit, why);
	if (rc == MM_OK)
		rc = filters(x, a, why);
	if (rc == MM_OK) {
		x->limit = (unsigned long)limit;
		rc = walk(cli, x, NULL, why);
	}
	free(x);
	return rc;
}

/* ---- a copy that verifies ---- */

struct copy {
	struct mm_source *source;
	const char *out;
	struct mm_tile_edge edge;
	struct mm_progress progress;
};

static enum mm_err
copy_object(struct copy *c, const char *path, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf b = MM_BUF_INIT(32 << 20);
	char full[1024], *slash;

	MM_TRY(mm_source_get(c->source, path, &b, why));
	MM_TRY(mm_path_join(full, sizeof(full), c->out, path, why));
	slash = strrchr(full, '/');
	*slash = '\0';
	MM_TRY(mm_dir_make(full, 0755, why));
	*slash = '/';
	return mm_file_create(full, mm_buf_view(&b), 0644, why);
}

static enum mm_err
copy_tile(struct copy *c, bool entries, unsigned level, uint64_t index,
    unsigned width, struct mm_why *why)
{
	struct mm_tile_id id = { entries, level, index, width };
	char path[MM_TILE_PATH_MAX];

	mm_tile_path(&id, path);
	return copy_object(c, path, why);
}

/* All tiles that a tree of this size has, level by level. */
static enum mm_err
copy_tiles(struct copy *c, uint64_t size, struct mm_why *why)
{
	for (unsigned level = 0; level < MM_TILE_LEVELS; level++) {
		uint64_t n = size >> (8 * level);

		for (uint64_t i = 0; i * MM_TILE_W < n; i++) {
			uint64_t left = n - i * MM_TILE_W;
			unsigned w = left < MM_TILE_W ? (unsigned)left
						      : MM_TILE_W;

			MM_TRY(copy_tile(c, false, level, i, w, why));
			if (level == 0)
				MM_TRY(copy_tile(c, true, 0, i, w, why));
			if (level == 0)
				mm_progress_step(&c->progress, i * MM_TILE_W);
		}
	}
	return MM_OK;
}

static const char readme[] =
    "A copy of a Mintmark ledger (C2SP tlog-tiles layout).\n"
    "checkpoint: the signed tree head; key: the verifier key; tile/: hashes;\n"
    "tile/entries/: the entries.  Check it: mintmark ledger verify DIR --key\n"
    "KEY, with KEY from a source that you trust, or any tool that reads\n"
    "https://c2sp.org/tlog-tiles.\n";

static enum mm_err
copy_ledger(struct mm_cli *cli, const char *where, const char *out,
    struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf note = MM_BUF_INIT(MM_NOTE_MAX);
	MM_OWN(mm_buf_done) struct mm_buf text = MM_BUF_INIT(MM_NOTE_MAX);
	OWN_SOURCE struct mm_source s = { 0 };
	struct copy c = { .source = &s, .out = out };
	struct mm_note_key key;
	struct mm_checkpoint head;
	char path[1024];
	bool trusted;

	MM_TRY(mm_source_open(&s, cli, where, why));
	MM_TRY(mm_source_key(&s, NULL, &key, &trusted, why));
	MM_TRY(mm_source_checkpoint(&s, &key, &head, &note, why));
	if (mkdir(out, 0755) != 0)
		return MM_FAIL(why, errno == EEXIST ? MM_ECONFLICT : MM_ESYS,
		    "%.100s: %s", out, strerror(errno));
	mm_progress_begin(&c.progress, cli, "entries", head.size);
	MM_TRY(copy_tiles(&c, head.size, why));
	mm_progress_end(&c.progress);
	mm_note_key_text(&key, &text);
	mm_buf_text(&text, "\n");
	MM_TRY(mm_path_join(path, sizeof(path), out, "key", why));
	MM_TRY(mm_file_create(path, mm_buf_view(&text), 0644, why));
	MM_TRY(mm_path_join(path, sizeof(path), out, "README", why));
	MM_TRY(mm_file_create(path, mm_bytes_of(readme), 0644, why));
	/* Last: a directory without it is not a ledger. */
	MM_TRY(mm_path_join(path, sizeof(path), out, "checkpoint", why));
	return mm_file_create(path, mm_buf_view(&note), 0644, why);
}

static enum mm_err
export_file(struct mm_cli *cli, const struct mm_args *a, struct export *x,
    struct mm_why *why)
{
	enum mm_err rc;

	MM_TRY(filters(x, a, why));
	x->f = fopen(mm_arg(a, "out"), "wxe");
	if (x->f == NULL)
		return MM_FAIL(why, errno == EEXIST ? MM_ECONFLICT : MM_ESYS,
		    "%.100s: %s", mm_arg(a, "out"), strerror(errno));
	if (x->csv) {
		fputs("index,at,type", x->f);
#define X(e, name) fputs("," name, x->f);
		MM_ENTRY_FIELDS(X)
#undef X
		fputc('\n', x->f);
	}
	rc = walk(cli, x, mm_arg(a, "from"), why);
	if (fclose(x->f) != 0 && rc == MM_OK)
		rc = MM_FAIL(why, MM_ESYS, "cannot write: %s",
		    strerror(errno));
	if (rc != MM_OK) /* made here, and nobody wants half of it */
		unlink(mm_arg(a, "out"));
	if (rc == MM_OK && !cli->quiet)
		fprintf(stderr, "mintmark: %llu %s written\n",
		    (unsigned long long)x->printed,
		    mm_counted(x->printed, "entry", "entries"));
	if (rc == MM_OK && x->csv && x->later != 0)
		mm_cli_note(cli, "%llu of them are of a form that this release "
		    "does not know: the table has what it knows of them, "
		    "--format jsonl has all", (unsigned long long)x->later);
	return rc;
}

enum mm_err
mm_cmd_ledger_export(struct mm_cli *cli, const struct mm_args *a,
    struct mm_why *why)
{
	const char *format = mm_arg(a, "format") ? mm_arg(a, "format")
						 : "jsonl";
	struct export *x;
	enum mm_err rc;

	if (mm_arg(a, "out") == NULL)
		return MM_FAIL(why, MM_EINPUT, "missing --out");
	if (strcmp(format, "tiles") == 0)
		return copy_ledger(cli, mm_arg(a, "from"), mm_arg(a, "out"),
		    why);
	if (strcmp(format, "jsonl") != 0 && strcmp(format, "csv") != 0)
		return MM_FAIL(why, MM_EINPUT,
		    "--format: want jsonl, csv or tiles, not \"%.40s\"",
		    format);
	x = calloc(1, sizeof(*x));
	if (x == NULL)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	x->csv = strcmp(format, "csv") == 0;
	rc = export_file(cli, a, x, why);
	free(x);
	return rc;
}
