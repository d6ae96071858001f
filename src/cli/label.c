#include "line/label.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/own.h"
#include "base/text.h"
#include "cli/bulk.h"
#include "cli/client.h"
#include "cli/commands.h"
#include "cli/printed.h"
#include "line/qr.h"

/* Labels of devices and of tokens: pictures, ZPL files, printers. */
#define END { NULL, NULL, NULL, MM_C_NONE, NULL }
enum { ZPL_MAX = 8 * MM_FILL_MAX, JSON_MAX = 65536, DEADLINE_MS = 15000 };

#define LABEL_OPTS                                                         \
	{ "format", "FORM", "png, svg: a QR code; zpl: a whole label "     \
	    "(default zpl)", MM_C_WORDS, "png svg zpl" },                  \
	{ "out", "FILE", "a new file of mode 0600; codes of several "      \
	    "tokens: a folder", MM_C_PATH, NULL },                         \
	{ "printer", "PRINTER", "tcp:HOST[:PORT] (9100), or a device: "    \
	    "/dev/usb/lp0", MM_C_FILE, NULL },                             \
	{ "template", "FILE", "ZPL with {{device}}, {{product}}, "         \
	    "{{batch}}, {{code}}, {{token}}, instead of our own",          \
	    MM_C_FILE, NULL },                                             \
	{ "printed", "FILE", "print none that is in this file, and write " \
	    "there what was printed", MM_C_FILE, NULL },                   \
	{ "again", NULL, "print it even so", MM_C_NONE, NULL }

const struct mm_opt mm_opts_device_label[] = {
	LABEL_OPTS,
	{ "code", "TEXT", "of the QR code (default: the device's name)",
	    MM_C_NONE, NULL },
	END
};
const struct mm_opt mm_opts_token_label[] = { LABEL_OPTS, END };

/* Forms that are a picture of the code alone. */
static const struct picture {
	const char *name;
	enum mm_err (*draw)(const char *text, struct mm_buf *out,
	    struct mm_why *why);
} pictures[] = {
	{ "png", mm_qr_png },
	{ "svg", mm_qr_svg },
};

struct press {
	const struct mm_args *a;
	struct mm_fill *template; /* NULL: our own */
	const struct picture *picture; /* NULL: zpl */
	bool logged;
	struct mm_printed_log log;
	struct mm_buf sheet; /* of zpl: what goes to --out */
	unsigned long long printed, skipped;
};

static void
press_done(struct press *p)
{
	mm_fill_free(&p->template);
	mm_buf_wipe(&p->sheet);
	if (p->logged)
		mm_printed_close(&p->log);
}

static enum mm_err
load_template(struct press *p, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf b = MM_BUF_INIT(MM_FILL_MAX);
	const char *path = mm_arg(p->a, "template");

	if (path == NULL)
		return MM_OK;
	MM_TRY(mm_file_read(path, &b, why));
	MM_TRY(mm_fill_parse(MM_FILL_ZPL, mm_buf_view(&b), &p->template,
	    why));
	return mm_label_check(p->template, why);
}

static enum mm_err
read_format(struct press *p, const char *name, struct mm_why *why)
{
	for (size_t i = 0; i < sizeof(pictures) / sizeof(pictures[0]); i++)
		if (strcmp(pictures[i].name, name) == 0)
			p->picture = &pictures[i];
	if (p->picture == NULL && strcmp(name, "zpl") != 0)
		return MM_FAIL(why, MM_EINPUT, "--format: want png, svg or "
		    "zpl, not \"%.40s\"", name);
	return MM_OK;
}

static enum mm_err
press_open(struct press *p, const struct mm_args *a, struct mm_why *why)
{
	const char *format = mm_arg(a, "format");

	p->a = a;
	MM_TRY(read_format(p, format != NULL ? format : "zpl", why));
	if ((mm_arg(a, "out") != NULL) == (mm_arg(a, "printer") != NULL))
		return MM_FAIL(why, MM_EINPUT, "say either --out FILE or "
		    "--printer PRINTER");
	if (p->picture != NULL && (mm_arg(a, "printer") != NULL ||
	    mm_arg(a, "template") != NULL))
		return MM_FAIL(why, MM_EINPUT,
		    "--printer and --template go with zpl");
	if (mm_arg(a, "printed") != NULL && mm_arg(a, "printer") == NULL)
		return MM_FAIL(why, MM_EINPUT,
		    "--printed goes with --printer");
	if (mm_flag(a, "again") && mm_arg(a, "printed") == NULL)
		return MM_FAIL(why, MM_EINPUT, "--again goes with --printed");
	mm_buf_init(&p->sheet, ZPL_MAX);
	MM_TRY(load_template(p, why));
	if (mm_arg(a, "printed") == NULL)
		return MM_OK;
	MM_TRY(mm_printed_open(&p->log, mm_arg(a, "printed"), why));
	p->logged = true;
	return MM_OK;
}

/* ---- one label ---- */

static enum mm_err
to_printer(struct press *p, const char *device, struct mm_bytes zpl,
    struct mm_why *why)
{
	enum mm_err rc;
	uint8_t id[32];

	mm_label_id(device, zpl, id);
	if (p->logged)
		MM_TRY(mm_printed_put(&p->log, device, id, MM_PRINTED_BEGUN,
		    why));
	rc = mm_label_send(mm_arg(p->a, "printer"), zpl, DEADLINE_MS, why);
	if (p->logged && rc != MM_EUNSURE)
		MM_TRY(mm_printed_put(&p->log, device, id, rc == MM_OK
		    ? MM_PRINTED_DONE : MM_PRINTED_NOT, why));
	return rc;
}

/* Whether it is to be printed at all. */
static enum mm_err
is_due(struct press *p, const char *device, struct mm_bytes zpl, bool *due,
    struct mm_why *why)
{
	enum mm_printed state = MM_PRINTED_NOT;
	uint8_t id[32];

	mm_label_id(device, zpl, id);
	if (p->logged && !mm_flag(p->a, "again"))
		state = mm_printed_get(&p->log, device, id);
	if (state == MM_PRINTED_BEGUN)
		return MM_FAIL(why, MM_EUNSURE, "the label of %.64s was begun "
		    "and may be printed: look for it, then --again or leave "
		    "it out", device);
	*due = state == MM_PRINTED_NOT;
	p->skipped += state == MM_PRINTED_DONE;
	return MM_OK;
}

static enum mm_err
put_zpl(struct press *p, const struct mm_label *l, struct mm_why *why)
{
	MM_OWN(mm_buf_wipe) struct mm_buf zpl = MM_BUF_INIT(MM_FILL_MAX);
	bool due = false;

	MM_TRY(mm_label_zpl(p->template, l, &zpl, why));
	MM_TRY(is_due(p, l->device, mm_buf_view(&zpl), &due, why));
	if (!due)
		return MM_OK;
	p->printed++;
	if (mm_arg(p->a, "printer") != NULL)
		return to_printer(p, l->device, mm_buf_view(&zpl), why);
	mm_buf_bytes(&p->sheet, mm_buf_view(&zpl));
	return mm_buf_ok(&p->sheet, why);
}

static enum mm_err
put_picture(struct press *p, const struct mm_label *l, const char *path,
    struct mm_why *why)
{
	MM_OWN(mm_buf_wipe) struct mm_buf b = MM_BUF_INIT(MM_QR_PNG_MAX);

	MM_TRY(p->picture->draw(l->code != NULL ? l->code : l->device, &b,
	    why));
	MM_TRY(mm_file_create(path, mm_buf_view(&b), 0600, why));
	p->printed++;
	return MM_OK;
}

static enum mm_err
press_end(struct mm_cli *cli, struct press *p, struct mm_why *why)
{
	if (p->sheet.n > 0)
		MM_TRY(mm_file_create(mm_arg(p->a, "out"),
		    mm_buf_view(&p->sheet), 0600, why));
	if (cli->json) {
		MM_OWN(json_free) json_t *o = json_pack("{s:I,s:I}", "printed",
		    (json_int_t)p->printed, "skipped", (json_int_t)p->skipped);

		mm_json_print(o);
	} else if (!cli->quiet) {
		fprintf(stderr, "mintmark: %llu %s, %llu had been printed "
		    "before\n", p->printed, mm_counted(p->printed, "label",
		    "labels"), p->skipped);
	}
	return MM_OK;
}

/* ---- commands ---- */

enum mm_err
mm_cmd_device_label(struct mm_cli *cli, const struct mm_args *a,
    struct mm_why *why)
{
	MM_OWN(press_done) struct press p = { 0 };
	MM_OWN(json_free) json_t *device = NULL;
	struct mm_client *c;
	char path[1024];
	struct mm_label l;

	MM_TRY(press_open(&p, a, why));
	MM_TRY(mm_path(path, why, "/devices/%s", a->pos[0]));
	MM_TRY(mm_cli_client(cli, &c, why));
	MM_TRY(mm_client_call(c, "GET", path, NULL, &device, why));
	l = (struct mm_label){ .device = mm_json_text(device, "id"),
		.product = mm_json_text(device, "product"),
		.code = mm_arg(a, "code") };
	if (p.picture != NULL)
		MM_TRY(put_picture(&p, &l, mm_arg(a, "out"), why));
	else
		MM_TRY(put_zpl(&p, &l, why));
	return press_end(cli, &p, why);
}

static enum mm_err
put_token(struct press *p, const struct mm_label *l, bool folder,
    struct mm_why *why)
{
	const char *out = mm_arg(p->a, "out");
	char name[MM_DEVICE_ID_MAX + 8], path[1024];

	if (l->device == NULL || !mm_device_id_valid(l->device) ||
	    l->code == NULL || strncmp(l->code, "mintmark:", 9) != 0)
		return MM_FAIL(why, MM_EINPUT,
		    "a row without device and uri");
	if (p->picture == NULL)
		return put_zpl(p, l, why);
	if (!folder)
		return put_picture(p, l, out, why);
	snprintf(name, sizeof(name), "%s.%s", l->device, p->picture->name);
	MM_TRY(mm_path_join(path, sizeof(path), out, name, why));
	return put_picture(p, l, path, why);
}

/* Of "token create --csv": the columns device, id, uri. */
static enum mm_err
from_csv(struct press *p, const char *path, struct mm_why *why)
{
	const char *out = mm_arg(p->a, "out");
	struct mm_why what = { 0 };
	struct mm_csv csv;
	enum mm_err rc;

	if (p->picture != NULL && mkdir(out, 0700) != 0 && errno != EEXIST)
		return MM_FAIL(why, MM_ESYS, "%.100s: %s", out,
		    strerror(errno));
	MM_TRY(mm_csv_open(&csv, path, why));
	while ((rc = mm_csv_next(&csv, why)) == MM_OK) {
		struct mm_label l = { .device = mm_csv_get(&csv, "device"),
			.product = mm_csv_get(&csv, "product"),
			.code = mm_csv_get(&csv, "uri"),
			.token = mm_csv_get(&csv, "id") };

		rc = put_token(p, &l, true, &what);
		if (rc != MM_OK) {
			rc = MM_FAIL(why, rc, "row %llu: %s", csv.row,
			    what.text);
			break;
		}
	}
	mm_csv_close(&csv);
	return rc == MM_ENOTFOUND ? MM_OK : rc;
}

/* Of "token create --device": one object. */
static enum mm_err
from_json(struct press *p, struct mm_bytes text, struct mm_why *why)
{
	MM_OWN(json_free) json_t *o = json_loadb((const char *)text.p, text.n,
	    JSON_REJECT_DUPLICATES, NULL);
	struct mm_label l = { .device = mm_json_text(o, "device"),
		.product = mm_json_text(o, "product"),
		.code = mm_json_text(o, "uri"),
		.token = mm_json_text(o, "id") };

	return put_token(p, &l, false, why);
}

enum mm_err
mm_cmd_token_label(struct mm_cli *cli, const struct mm_args *a,
    struct mm_why *why)
{
	MM_OWN(press_done) struct press p = { 0 };
	MM_OWN(mm_buf_wipe) struct mm_buf text = MM_BUF_INIT(JSON_MAX);
	struct mm_why what = { 0 };
	enum mm_err rc;

	MM_TRY(press_open(&p, a, why));
	/* A table may be longer than an object can be. */
	rc = mm_file_read(a->pos[0], &text, &what);
	if (rc != MM_OK && rc != MM_ELIMIT)
		return MM_FAIL(why, rc, "%s", what.text);
	if (rc == MM_OK && text.n > 0 && text.p[0] == '{')
		MM_TRY(from_json(&p, mm_buf_view(&text), why));
	else
		MM_TRY(from_csv(&p, a->pos[0], why));
	return press_end(cli, &p, why);
}
