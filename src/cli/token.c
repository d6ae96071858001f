#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/file.h"
#include "base/own.h"
#include "cli/bulk.h"
#include "cli/client.h"
#include "cli/commands.h"
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

const struct mm_opt mm_opts_token_cancel[] = { END };

enum mm_err
mm_cmd_token_cancel(struct mm_cli *cli, const struct mm_args *a,
    struct mm_why *why)
{
	return on_token(cli, a, "POST", "/tokens/%s/cancel", NULL, why);
}

const struct mm_opt mm_opts_token_thaw[] = {
	{ "keep", NULL, "the first key stays", MM_C_NONE, NULL },
	{ "rebind", "SHA256", "bind to the key with this hash; revokes the "
	    "first certificate", MM_C_NONE, NULL },
	END
};

enum mm_err
mm_cmd_token_thaw(struct mm_cli *cli, const struct mm_args *a,
    struct mm_why *why)
{
	const char *rebind = mm_arg(a, "rebind");

	if (mm_flag(a, "keep") == (rebind != NULL))
		return MM_FAIL(why, MM_EINPUT,
		    "say either --keep or --rebind SHA256");
	return on_token(cli, a, "POST", "/tokens/%s/thaw",
	    rebind ? json_pack("{s:s}", "rebind_spki_sha256", rebind)
		   : json_pack("{s:b}", "keep", 1), why);
}

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
	{ "out", "FILE", "write the token file (JSON) or the CSV there, mode "
	    "0600", MM_C_FILE, NULL },
	{ "qr", NULL, "show the token's URI as a QR code on the terminal",
	    MM_C_NONE, NULL },
	{ "qr-png", "FILE", "write that code there, mode 0600", MM_C_FILE,
	    NULL },
	{ "csv", "FILE", "one token for each row; - is standard input",
	    MM_C_FILE, NULL },
	{ "resume", NULL, "with --csv: leave out the devices that --out has", MM_C_NONE,
	    NULL },
	{ "dry-run", NULL, "with --csv: read and check all rows, and their products",
	    MM_C_NONE, NULL },
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

/* After the token was shown or kept: a code that fails loses nothing. */
static enum mm_err
show_code(const struct mm_args *a, const json_t *made, struct mm_why *why)
{
	MM_OWN(mm_buf_wipe) struct mm_buf code = MM_BUF_INIT(MM_QR_PNG_MAX);
	const char *uri = json_string_value(json_object_get(made, "uri"));
	const char *png = mm_arg(a, "qr-png");

	if (!mm_flag(a, "qr") && png == NULL)
		return MM_OK;
	if (uri == NULL)
		return MM_FAIL(why, MM_ESYS, "the server's answer has no uri");
	if (mm_flag(a, "qr")) {
		MM_TRY(mm_qr_blocks(uri, &code, why));
		fwrite(code.p, 1, code.n, stdout);
		mm_buf_reset(&code);
	}
	if (png == NULL)
		return MM_OK;
	MM_TRY(mm_qr_png(uri, &code, why));
	return mm_file_create(png, mm_buf_view(&code), 0600, why);
}

static enum mm_err
create_one(struct mm_cli *cli, const struct mm_args *a, struct mm_why *why)
{
	MM_OWN(json_free) json_t *body = mm_token_defaults(a);
	MM_OWN(json_free) json_t *made = NULL;
	const char *path = mm_arg(a, "out");
	struct mm_client *c;
	FILE *out = NULL;
	enum mm_err rc;

	MM_TRY(mm_cli_client(cli, &c, why));
	if (path != NULL)
		MM_TRY(mm_out_open(cli, path, false, &out, why));
	rc = mm_client_call(c, "POST", "/tokens", body, &made, why);
	hint_for(cli, a, rc);
	if (path != NULL && rc != MM_OK) {
		(void)!mm_out_json(&out, path, NULL, NULL);
		return rc;
	}
	MM_TRY(rc);
	if (path != NULL && (rc = mm_out_json(&out, path, made, why)) != MM_OK)
		mm_cli_hint(cli, "its secret is lost: \"mintmark token cancel "
		    "%s\", then make another", mm_json_text(made, "id"));
	MM_TRY(rc);
	if (path == NULL && cli->json)
		mm_json_print(made);
	else if (path == NULL)
		mm_object_print(made);
	return show_code(a, made, why);
}

/* Said before a token is made that nobody would see. */
static enum mm_err
check_code(const struct mm_cli *cli, const struct mm_args *a,
    struct mm_why *why)
{
	if (mm_arg(a, "csv") != NULL &&
	    (mm_flag(a, "qr") || mm_arg(a, "qr-png") != NULL))
		return MM_FAIL(why, MM_EINPUT,
		    "--qr and --qr-png go with --device");
	if (mm_flag(a, "qr") && (cli->json || !isatty(STDOUT_FILENO)))
		return MM_FAIL(why, MM_EINPUT, "--qr wants a terminal, and "
		    "no --json: --qr-png FILE writes a picture");
	return MM_OK;
}

enum mm_err
mm_cmd_token_create(struct mm_cli *cli, const struct mm_args *a,
    struct mm_why *why)
{
	if ((mm_arg(a, "csv") != NULL) == (mm_arg(a, "device") != NULL))
		return MM_FAIL(why, MM_EINPUT,
		    "say either --device DEVICE or --csv FILE");
	if (mm_arg(a, "ttl") != NULL)
		MM_TRY(mm_bulk_ttl(mm_arg(a, "ttl"), why));
	MM_TRY(check_code(cli, a, why));
	if (mm_arg(a, "csv") != NULL)
		return mm_bulk_tokens(cli, a, why);
	if (mm_flag(a, "resume") || mm_flag(a, "dry-run"))
		return MM_FAIL(why, MM_EINPUT,
		    "--resume and --dry-run go with --csv");
	return create_one(cli, a, why);
}
