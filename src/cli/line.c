#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/own.h"
#include "cli/client.h"
#include "cli/commands.h"
#include "cli/source.h"
#include "work/export.h"
#include "work/file.h"

/* What a station made offline, looked at without believing it. */
#define END                                       \
	{                                         \
		NULL, NULL, NULL, MM_C_NONE, NULL \
	}
enum { KEPT_MAX = 128 };

const struct mm_opt mm_opts_line_check[] = {
	{ "key", "KEY", "the station's ledger key, as text or file (required)",
	    MM_C_FILE, NULL },
	{ "keep", "FILE",
	    "remember here how far the station's ledger was "
	    "seen; the next one must go on from there",
	    MM_C_FILE, NULL },
	END
};

struct given { /* orders */
	struct mm_buf text[MM_ARGS_MAX];
	struct mm_work_file file[MM_ARGS_MAX];
	struct mm_work_order *order[MM_ARGS_MAX];
	struct mm_profile_set profiles[MM_ARGS_MAX];
	struct mm_export_order as[MM_ARGS_MAX];
	size_t n;
};

static void
given_done(struct given *g)
{
	for (size_t i = 0; i < MM_ARGS_MAX; i++) {
		mm_work_order_free(&g->order[i]);
		mm_profiles_done(&g->profiles[i]);
		mm_work_file_done(&g->file[i]);
		mm_buf_done(&g->text[i]);
	}
}

/* An order is the operator's own file: whose it is, is not asked. */
static enum mm_err
take_order(struct given *g, const char *path, struct mm_why *why)
{
	size_t i = g->n;
	struct mm_bytes text;

	mm_buf_init(&g->text[i], MM_WORK_FILE_MAX);
	MM_TRY(mm_file_read(path, &g->text[i], why));
	MM_TRY(mm_work_file_parse(mm_buf_view(&g->text[i]), &g->file[i], why));
	MM_TRY(mm_note_text(g->file[i].note, &text, why));
	MM_TRY(mm_work_order_parse(text, &g->order[i], why));
	MM_TRY(mm_work_file_check(&g->file[i], g->order[i], why));
	MM_TRY(mm_work_file_profiles(
	    &g->file[i], g->order[i], &g->profiles[i], why));
	g->as[i].profiles = &g->profiles[i];
	g->as[i].order = g->order[i];
	(void)mm_work_file_paper(
	    &g->file[i], g->order[i]->serials_sha256, &g->as[i].list);
	g->n++;
	return MM_OK;
}

/* ---- what was seen last ---- */

static enum mm_err
read_kept(const char *path, struct mm_export_terms *t, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf b = MM_BUF_INIT(KEPT_MAX);
	enum mm_err rc = mm_file_read(path, &b, why);
	const char *text = rc == MM_OK ? mm_buf_cstr(&b) : NULL;
	char hex[65];

	if (rc == MM_ENOTFOUND) {
		*why = (struct mm_why){ 0 };
		return MM_OK;
	}
	MM_TRY(rc);
	if (text == NULL ||
	    sscanf(text, "%" SCNu64 " %64[0-9a-f]", &t->kept_size, hex) != 2 ||
	    mm_hex_parse(hex, strlen(hex), t->kept_root.b,
		sizeof(t->kept_root.b), NULL) != MM_OK)
		return MM_FAIL(
		    why, MM_EINPUT, "%.90s: not what --keep wrote", path);
	return MM_OK;
}

static enum mm_err
write_kept(
    const char *path, const struct mm_export_report *r, struct mm_why *why)
{
	char text[KEPT_MAX], hex[65];

	mm_hex_text(r->root.b, sizeof(r->root.b), hex);
	snprintf(text, sizeof(text), "%" PRIu64 " %s\n", r->size, hex);
	return mm_file_replace(path, mm_bytes_of(text), 0644, why);
}

/* ---- saying it ---- */

static void
fault(void *ctx, uint64_t index, const char *device, const char *what)
{
	const struct mm_cli *cli = ctx;
	MM_OWN(mm_buf_done) struct mm_buf out = MM_BUF_INIT(1024);
	struct mm_json j = mm_json_over(&out);

	if (cli->json) {
		mm_json_open(&j, '{');
		mm_json_int(&j, "entry", (int64_t)index);
		mm_json_str(&j, "device", device);
		mm_json_str(&j, "fault", what);
		mm_json_close(&j, '}');
		mm_json_put(stdout, mm_buf_view(&out));
		putchar('\n');
		return;
	}
	printf("entry %" PRIu64 " ", index);
	mm_text_put(stdout, device);
	printf(": %s\n", what);
}

static void
say(const struct mm_cli *cli, const struct mm_export_report *r)
{
	MM_OWN(mm_buf_done) struct mm_buf out = MM_BUF_INIT(1024);
	struct mm_json j = mm_json_over(&out);

	if (!cli->json) {
		printf("station %s: %" PRIu64 " entries that its signer "
		       "signed, %" PRIu64 " certificates, %" PRIu64
		       " proved, %" PRIu64 " faults\n",
		    r->station, r->size, r->issued, r->confirmed, r->faults);
		return;
	}
	mm_json_open(&j, '{');
	mm_json_str(&j, "station", r->station);
	mm_json_int(&j, "size", (int64_t)r->size);
	mm_json_hex(&j, "root", (struct mm_bytes){ r->root.b, MM_HASH_N });
	mm_json_int(&j, "issued", (int64_t)r->issued);
	mm_json_int(&j, "confirmed", (int64_t)r->confirmed);
	mm_json_int(&j, "faults", (int64_t)r->faults);
	mm_json_close(&j, '}');
	mm_json_put(stdout, mm_buf_view(&out));
	putchar('\n');
}

static enum mm_err
check(struct mm_cli *cli, const struct mm_args *a, struct given *g,
    struct mm_why *why)
{
	MM_OWN(mm_file_unmap) struct mm_bytes file = { NULL, 0 };
	struct mm_source nowhere = { .cli = cli };
	const char *keep = mm_arg(a, "keep");
	struct mm_export_terms t = { .fault = fault, .ctx = cli };
	struct mm_export_report r;
	struct mm_note_key key;
	enum mm_err rc;
	bool trusted;

	MM_TRY(mm_source_key(&nowhere, mm_arg(a, "key"), &key, &trusted, why));
	for (int i = 1; i < a->npos; i++)
		MM_TRY(take_order(g, a->pos[i], why));
	t.ledger = &key;
	t.orders = g->as;
	t.norders = g->n;
	if (keep != NULL)
		MM_TRY(read_kept(keep, &t, why));
	MM_TRY(mm_file_map(a->pos[0], &file, why));
	rc = mm_export_check(file, &t, &r, why);
	if (rc != MM_OK)
		return mm_cli_unverified(cli, rc);
	say(cli, &r);
	if (keep != NULL)
		MM_TRY(write_kept(keep, &r, why));
	return r.faults == 0
		   ? MM_OK
		   : MM_FAIL(why, MM_EPOLICY, "%" PRIu64 " faults", r.faults);
}

enum mm_err
mm_cmd_line_check(
    struct mm_cli *cli, const struct mm_args *a, struct mm_why *why)
{
	MM_OWN(given_done) struct given g = { .n = 0 };

	if (mm_arg(a, "key") == NULL) {
		mm_cli_hint(cli, "mintmark-signer station-init printed it: "
				 "ledger_key");
		return MM_FAIL(why, MM_EINPUT, "missing --key");
	}
	return check(cli, a, &g, why);
}
