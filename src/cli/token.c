#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/file.h"
#include "base/own.h"
#include "cli/bulk.h"
#include "cli/client.h"
#include "cli/commands.h"
#include "cli/mass.h"
#include "line/qr.h"
#include "pki/token.h"

#define END { NULL, NULL, NULL, MM_C_NONE, NULL }

static const struct mm_column columns[] = {
	{ "TOKEN", "id" }, { "DEVICE", "device" }, { "PRODUCT", "product" },
	{ "STATE", "state" }, { "DOOR", "door" }, { "EXPIRES", "expires" },
};
static const struct mm_filter filters[] = {
	{ "device", "device" }, { "product", "product" }, { "state", "state" },
};
const struct mm_opt mm_opts_token_list[] = {
	{ "device", "DEVICE", "of this device", MM_C_DEVICE, NULL },
	{ "product", "PRODUCT", "of this product", MM_C_PRODUCT, NULL },
	{ "state", "STATE", "in this state", MM_C_WORDS,
	    "minted issued confirmed frozen cancelled expired" },
	MM_LIST_OPTS, END
};

enum mm_err
mm_cmd_token_list(struct mm_cli *cli, const struct mm_args *a,
    struct mm_why *why)
{
	return mm_list_command(cli, a, "/tokens", filters,
	    sizeof(filters) / sizeof(filters[0]), columns,
	    sizeof(columns) / sizeof(columns[0]), why);
}

/* Upper case; O is 0, I and L are 1. */
static char
digit(char c)
{
	c = (char)(c >= 'a' && c <= 'z' ? c - 32 : c);
	return (char)(c == 'O' ? '0' : c == 'I' || c == 'L' ? '1' : c);
}

/*
 * The id, also of a whole token: its secret has no business in a path, which
 * is logged.  Read as mmd_token_parse does: white space and "-" anywhere, any
 * case.
 */
static enum mm_err
id_of(const char *text, char out[MM_TOKEN_ID_TEXT], struct mm_why *why)
{
	static const char head[] = "mm1-";
	const char *at = strncasecmp(text, "mintmark:", 9) == 0 ? text + 9
	    : text;
	size_t n = sizeof(head) - 1;

	if (strncasecmp(at, head, n) != 0)
		return MM_FAIL(why, MM_EINPUT, "a token's id begins with mm1-");
	strcpy(out, head);
	for (at += n; *at != '\0' && n + 1 < MM_TOKEN_ID_TEXT; at++)
		if (*at != '-' && *at != ' ')
			out[n++] = digit(*at);
	out[n] = '\0';
	if (n + 1 == MM_TOKEN_ID_TEXT && *at != '\0')
		fprintf(stderr, "mintmark: note: that was a whole token; only "
		    "its id, %s, is sent\n", out);
	return MM_OK;
}

static enum mm_err
on_token(struct mm_cli *cli, const struct mm_args *a, const char *method,
    const char *path, json_t *take_body, struct mm_why *why)
{
	char p[1024], id[MM_TOKEN_ID_TEXT];
	enum mm_err rc = id_of(a->pos[0], id, why);

	if (rc == MM_OK)
		rc = mm_path(p, why, path, id);
	if (rc != MM_OK)
		return json_decref(take_body), rc;
	return mm_object_command(cli, method, p, take_body, why);
}

const struct mm_opt mm_opts_token_show[] = { END };

enum mm_err
mm_cmd_token_show(struct mm_cli *cli, const struct mm_args *a,
    struct mm_why *why)
{
	return on_token(cli, a, "GET", "/tokens/%s", NULL, why);
}

const struct mm_opt mm_opts_token_cancel[] = { MM_TOKEN_MASS_OPTS, END };

/* One by its name; what only a selection has is refused. */
static enum mm_err
want_one(const struct mm_args *a, struct mm_why *why)
{
	if (a->npos == 0)
		return MM_FAIL(why, MM_EINPUT, "name a token, or say which: "
		    "--product, --batch, --created-from, --created-to");
	if (mm_flag(a, "dry-run"))
		return MM_FAIL(why, MM_EINPUT, "--dry-run: of a selection");
	return MM_OK;
}

static enum mm_err
run_many(struct mm_cli *cli, const struct mm_args *a,
    const struct mm_mass_kind *k, const char *verb, json_t *take_body,
    struct mm_why *why)
{
	if (mm_arg(a, "reason") == NULL && !mm_flag(a, "dry-run")) {
		json_decref(take_body);
		return MM_FAIL(why, MM_EINPUT, "of a selection: want "
		    "--reason WORD, for the audit");
	}
	mm_json_opt(take_body, "reason", a, "reason");
	return mm_mass_run(cli, a, k, verb, mm_arg(a, "reason"), take_body,
	    why);
}

enum mm_err
mm_cmd_token_cancel(struct mm_cli *cli, const struct mm_args *a,
    struct mm_why *why)
{
	json_t *body;

	if (mm_mass_selects(&mm_mass_cancel, a))
		return run_many(cli, a, &mm_mass_cancel, "cancel",
		    json_object(), why);
	MM_TRY(want_one(a, why));
	body = json_object();
	mm_json_opt(body, "reason", a, "reason");
	return on_token(cli, a, "POST", "/tokens/%s/cancel", body, why);
}

const struct mm_opt mm_opts_token_thaw[] = {
	{ "keep", NULL, "the first key stays", MM_C_NONE, NULL },
	{ "rebind", "SHA256", "of one: bind it to the key with this hash; "
	    "revokes the first certificate", MM_C_NONE, NULL },
	MM_TOKEN_MASS_OPTS, END
};

enum mm_err
mm_cmd_token_thaw(struct mm_cli *cli, const struct mm_args *a,
    struct mm_why *why)
{
	const char *rebind = mm_arg(a, "rebind");
	json_t *body;

	if (mm_flag(a, "keep") == (rebind != NULL))
		return MM_FAIL(why, MM_EINPUT,
		    "say either --keep or --rebind SHA256");
	if (mm_mass_selects(&mm_mass_thaw, a) && rebind != NULL)
		return MM_FAIL(why, MM_EINPUT, "--rebind is of one token: "
		    "of many say --keep");
	if (mm_mass_selects(&mm_mass_thaw, a))
		return run_many(cli, a, &mm_mass_thaw, "thaw",
		    json_pack("{s:b}", "keep", 1), why);
	MM_TRY(want_one(a, why));
	body = rebind ? json_pack("{s:s}", "rebind_spki_sha256", rebind)
	    : json_pack("{s:b}", "keep", 1);
	mm_json_opt(body, "reason", a, "reason");
	return on_token(cli, a, "POST", "/tokens/%s/thaw", body, why);
}

/* Where a token goes. */
#define ONE_OUT_OPTS                                                        \
	{ "out", "FILE", "write the token file (JSON) or the CSV there, "   \
	    "mode 0600", MM_C_FILE, NULL },                                 \
	{ "qr", NULL, "show the token's URI as a QR code on the terminal",  \
	    MM_C_NONE, NULL },                                              \
	{ "qr-png", "FILE", "write that code there, mode 0600", MM_C_FILE,  \
	    NULL },                                                         \
	{ "qr-svg", "FILE", "the same as SVG", MM_C_FILE, NULL }
const struct mm_opt mm_opts_token_create[] = {
	{ "device", "DEVICE", "the device it is for", MM_C_DEVICE, NULL },
	{ "product", "PRODUCT", "its product; makes the device if it is new",
	    MM_C_PRODUCT, NULL },
	{ "profile", "PROFILE", "instead of the product's", MM_C_PROFILE,
	    NULL },
	{ "ttl", "TIME", "how long it is good: 90s, 15m, 72h, 30d",
	    MM_C_NONE, NULL },
	{ "not-before", "TIME", "not good before (RFC 3339)", MM_C_NONE,
	    NULL },
	{ "door", "DOOR", "handshake (default) or bearer: HTTP Basic, where "
	    "the profile allows", MM_C_WORDS, "handshake bearer" },
	{ "bound-key", "SHA256", "only the key with this hash may claim it",
	    MM_C_NONE, NULL },
	ONE_OUT_OPTS,
	{ "csv", "FILE", "one token for each row; - is standard input",
	    MM_C_FILE, NULL },
	{ "serials", "RUN", "one for each serial number: "
	    "'SN-{000001..005000}'", MM_C_NONE, NULL },
	{ "batch", "BATCH", "one for each unit that was made of it",
	    MM_C_NONE, NULL },
	{ "resume", NULL, "of many: leave out the devices that --out has",
	    MM_C_NONE, NULL },
	{ "dry-run", NULL, "of many: read and check all rows, and their "
	    "products", MM_C_NONE, NULL },
	END
};

/* see bulk.h */
json_t *
mm_token_defaults(const struct mm_args *a)
{
	json_t *o = json_object();

	mm_json_opt(o, "device", a, "device");
	mm_json_opt(o, "product", a, "product");
	mm_json_opt(o, "profile", a, "profile");
	mm_json_opt(o, "ttl", a, "ttl");
	mm_json_opt(o, "not_before", a, "not-before");
	mm_json_opt(o, "door", a, "door");
	mm_json_opt(o, "bound_spki_sha256", a, "bound-key");
	return o;
}

static void
hint_for(struct mm_cli *cli, const struct mm_args *a, enum mm_err rc)
{
	if (rc == MM_ENOTFOUND && mm_arg(a, "product") == NULL)
		mm_cli_hint(cli, "a device that is not there yet is made if "
		    "its product is named: --product PRODUCT");
	if (rc == MM_EPOLICY && mm_arg(a, "door") != NULL &&
	    strcmp(mm_arg(a, "door"), "bearer") == 0)
		mm_cli_hint(cli, "a bearer token needs a profile with \"bearer "
		    "= true\" in mintmark.conf (and a new version there); "
		    "the default door, handshake, needs nothing");
}

/* The forms of a code, and what each is asked for by. */
static const struct {
	const char *opt;
	enum mm_err (*draw)(const char *text, struct mm_buf *out,
	    struct mm_why *why);
} codes[] = {
	{ "qr", mm_qr_blocks }, /* on standard output */
	{ "qr-png", mm_qr_png },
	{ "qr-svg", mm_qr_svg },
};
#define NCODES (sizeof(codes) / sizeof(codes[0]))

static bool
wants_code(const struct mm_args *a)
{
	for (size_t i = 0; i < NCODES; i++)
		if (mm_arg(a, codes[i].opt) != NULL)
			return true;
	return false;
}

/* After the token was shown or kept: a code that fails loses nothing. */
static enum mm_err
show_code(const struct mm_args *a, const json_t *made, struct mm_why *why)
{
	const char *uri = json_string_value(json_object_get(made, "uri"));

	if (wants_code(a) && uri == NULL)
		return MM_FAIL(why, MM_ESYS, "the server's answer has no uri");
	for (size_t i = 0; i < NCODES; i++) {
		MM_OWN(mm_buf_wipe) struct mm_buf b =
		    MM_BUF_INIT(MM_QR_PNG_MAX);
		const char *path = mm_arg(a, codes[i].opt);

		if (path == NULL)
			continue;
		MM_TRY(codes[i].draw(uri, &b, why));
		if (i == 0)
			fwrite(b.p, 1, b.n, stdout);
		else
			MM_TRY(mm_file_create(path, mm_buf_view(&b), 0600,
			    why));
	}
	return MM_OK;
}

/* Makes one and shows it, or keeps it in --out, which is opened before. */
static enum mm_err
create_one(struct mm_cli *cli, const struct mm_args *a, const char *path,
    json_t *take_body, struct mm_why *why)
{
	MM_OWN(json_free) json_t *body = take_body;
	MM_OWN(json_free) json_t *made = NULL;
	const char *file = mm_arg(a, "out");
	struct mm_client *c;
	FILE *out = NULL;
	enum mm_err rc;

	MM_TRY(mm_cli_client(cli, &c, why));
	if (file != NULL)
		MM_TRY(mm_out_open(cli, file, false, &out, why));
	rc = mm_client_call(c, "POST", path, body, &made, why);
	if (file != NULL && rc != MM_OK) {
		(void)!mm_out_json(&out, file, NULL, NULL);
		return rc;
	}
	MM_TRY(rc);
	if (file != NULL && (rc = mm_out_json(&out, file, made, why)) != MM_OK)
		mm_cli_hint(cli, "its secret is lost: \"mintmark token remint "
		    "%s\" makes another", mm_json_text(made, "id"));
	MM_TRY(rc);
	if (file == NULL && cli->json)
		mm_json_print(made);
	else if (file == NULL)
		mm_object_print(made);
	return show_code(a, made, why);
}

/* Said before a token is made that nobody would see. */
static enum mm_err
check_code(const struct mm_cli *cli, const struct mm_args *a, bool many,
    struct mm_why *why)
{
	if (many && wants_code(a))
		return MM_FAIL(why, MM_EINPUT, "--qr, --qr-png and --qr-svg "
		    "go with --device; \"token label\" makes those of many");
	if (mm_flag(a, "qr") && (cli->json || !isatty(STDOUT_FILENO)))
		return MM_FAIL(why, MM_EINPUT, "--qr wants a terminal, and "
		    "no --json: --qr-png FILE writes a picture");
	return MM_OK;
}

/* How many are said of what tokens are made for. */
static int
sources(const struct mm_args *a)
{
	return (mm_arg(a, "device") != NULL) + (mm_arg(a, "csv") != NULL) +
	    (mm_arg(a, "serials") != NULL) + (mm_arg(a, "batch") != NULL);
}

enum mm_err
mm_cmd_token_create(struct mm_cli *cli, const struct mm_args *a,
    struct mm_why *why)
{
	enum mm_err rc;

	if (sources(a) != 1)
		return MM_FAIL(why, MM_EINPUT, "say one of --device DEVICE, "
		    "--csv FILE, --serials RUN and --batch BATCH");
	if (mm_arg(a, "ttl") != NULL)
		MM_TRY(mm_bulk_ttl(mm_arg(a, "ttl"), why));
	MM_TRY(check_code(cli, a, mm_bulk_wanted(a), why));
	if (mm_bulk_wanted(a))
		return mm_bulk_tokens(cli, a, false, why);
	if (mm_flag(a, "resume") || mm_flag(a, "dry-run"))
		return MM_FAIL(why, MM_EINPUT, "--resume and --dry-run go "
		    "with --csv, --serials and --batch");
	rc = create_one(cli, a, "/tokens", mm_token_defaults(a), why);
	hint_for(cli, a, rc);
	return rc;
}

const struct mm_opt mm_opts_token_remint[] = {
	{ "ttl", "TIME", "how long the new one is good: 90s, 15m, 72h, 30d",
	    MM_C_NONE, NULL },
	{ "reason", "WORD", "why, for the audit", MM_C_NONE, NULL },
	ONE_OUT_OPTS, END
};

enum mm_err
mm_cmd_token_remint(struct mm_cli *cli, const struct mm_args *a,
    struct mm_why *why)
{
	char path[1024], id[MM_TOKEN_ID_TEXT];
	json_t *body;

	if (mm_arg(a, "ttl") != NULL)
		MM_TRY(mm_bulk_ttl(mm_arg(a, "ttl"), why));
	MM_TRY(check_code(cli, a, false, why));
	MM_TRY(id_of(a->pos[0], id, why));
	MM_TRY(mm_path(path, why, "/tokens/%s/remint", id));
	body = json_object();
	mm_json_opt(body, "ttl", a, "ttl");
	mm_json_opt(body, "reason", a, "reason");
	return create_one(cli, a, path, body, why);
}

const struct mm_opt mm_opts_token_import[] = {
	{ "csv", "FILE", "the table; - is standard input", MM_C_FILE, NULL },
	{ "out", "FILE", "write device, token's id and end there, mode 0600",
	    MM_C_FILE, NULL },
	{ "resume", NULL, "leave out the devices that --out has", MM_C_NONE,
	    NULL },
	{ "dry-run", NULL, "read and check all rows, and their products",
	    MM_C_NONE, NULL },
	END
};

enum mm_err
mm_cmd_token_import(struct mm_cli *cli, const struct mm_args *a,
    struct mm_why *why)
{
	if (mm_arg(a, "csv") == NULL)
		return MM_FAIL(why, MM_EINPUT, "say --csv FILE");
	return mm_bulk_tokens(cli, a, true, why);
}
