#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/own.h"
#include "cli/ask.h"
#include "cli/client.h"
#include "cli/commands.h"
#include "line/output.h"
#include "pki/cert.h"

/* An issued certificate in the form that a device or a flasher takes. */
#define END { NULL, NULL, NULL, MM_C_NONE, NULL }
enum { CONFIG_MAX = 65536 };

const struct mm_opt mm_opts_cert_export[] = {
	{ "format", "FORM", "what to write (required)", MM_C_WORDS,
	    "pem der header pkcs12 esp-secure-cert nvs hex" },
	{ "out", "DIR", "the folder it goes to, made if it is not there "
	    "(default: this one)", MM_C_DIR, NULL },
	{ "key", "FILE", "PEM: its private key, if the CA made it; without "
	    "this there is none in what is written", MM_C_FILE, NULL },
	{ "config", "FILE", "the device's configuration, into the image",
	    MM_C_FILE, NULL },
	{ "passphrase-file", "FILE", "pkcs12: its first line seals the file",
	    MM_C_FILE, NULL },
	{ "passphrase-fd", "N", "pkcs12: read it from this descriptor",
	    MM_C_NONE, NULL },
	{ "address", "ADDRESS", "hex: where the image stands: 0x8000",
	    MM_C_NONE, NULL },
	{ "image", "FORM", "hex: what stands there (default der)", MM_C_WORDS,
	    "der esp-secure-cert nvs" },
	{ "size", "BYTES", "of the partition: 0x2000, a multiple of 4096",
	    MM_C_NONE, NULL },
	END
};

/* What an output is made of, and who owns it. */
struct export {
	struct mm_output_in in;
	json_t *cert;
	struct mm_buf ders, config;
	struct mm_secret *pass;
};

static void
export_done(struct export *x)
{
	json_decref(x->cert);
	mm_buf_done(&x->ders);
	mm_buf_wipe(&x->config);
	mm_secret_free(&x->pass);
	mm_pkey_free(&x->in.key);
}

/* A number as C has it; from 0 to 2^32 - 2. */
static enum mm_err
number(const struct mm_args *a, const char *name, size_t none, size_t *out,
    struct mm_why *why)
{
	const char *text = mm_arg(a, name);
	unsigned long long v;
	char *end;

	*out = none;
	if (text == NULL)
		return MM_OK;
	v = strtoull(text, &end, 0);
	if (text[0] < '0' || text[0] > '9' || *end != '\0' ||
	    v >= UINT32_MAX)
		return MM_FAIL(why, MM_EINPUT, "--%s: want a number, as 0x8000 "
		    "or 4096, not \"%.40s\"", name, text);
	*out = (size_t)v;
	return MM_OK;
}

/* Each certificate of the PEM behind the others, and where it is. */
static enum mm_err
take_pem(struct export *x, const char *pem, struct mm_bytes *to, size_t most,
    size_t *n, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf der = MM_BUF_INIT(MM_CERT_MAX);
	struct mm_bytes rest = mm_bytes_of(pem);
	enum mm_err rc;

	while ((rc = mm_pem_next(&rest, "CERTIFICATE", &der, NULL)) == MM_OK) {
		uint8_t *room = mm_buf_room(&x->ders, der.n);

		MM_TRY(mm_buf_ok(&x->ders, why));
		if (*n == most)
			return MM_FAIL(why, MM_ELIMIT, "the chain is too long");
		memcpy(room, der.p, der.n);
		to[(*n)++] = (struct mm_bytes){ room, der.n };
	}
	return rc == MM_ENOTFOUND ? MM_OK : MM_FAIL(why, rc,
	    "the server's answer is no certificate");
}

static enum mm_err
ask(struct mm_cli *cli, const char *serial, struct export *x,
    struct mm_why *why)
{
	struct mm_client *c;
	char path[1024];
	size_t n = 0;

	MM_TRY(mm_path(path, why, "/certificates/%s", serial));
	MM_TRY(mm_cli_client(cli, &c, why));
	MM_TRY(mm_client_call(c, "GET", path, NULL, &x->cert, why));
	x->in.device = mm_json_text(x->cert, "device");
	x->in.made_by_server = strcmp(mm_json_text(x->cert, "key_origin"),
	    "server") == 0;
	if (strcmp(mm_json_text(x->cert, "state"), "revoked") == 0)
		return MM_FAIL(why, MM_EPOLICY, "%s is revoked: no device "
		    "should get it", mm_json_text(x->cert, "serial"));
	/* One piece of memory that never moves: nothing slices it before. */
	mm_buf_init(&x->ders, (MM_OUTPUT_CHAIN + 1) * MM_CERT_MAX);
	if (mm_buf_room(&x->ders, (MM_OUTPUT_CHAIN + 1) * MM_CERT_MAX) == NULL)
		return mm_buf_ok(&x->ders, why);
	mm_buf_reset(&x->ders);
	MM_TRY(take_pem(x, mm_json_text(x->cert, "pem"), &x->in.cert, 1, &n,
	    why));
	if (n != 1)
		return MM_FAIL(why, MM_ENOTFOUND, "the server has no bytes of "
		    "this certificate");
	return take_pem(x, mm_json_text(x->cert, "chain"), x->in.chain,
	    MM_OUTPUT_CHAIN, &x->in.nchain, why);
}

static enum mm_err
extras(const struct mm_args *a, struct export *x, struct mm_why *why)
{
	size_t address;

	MM_TRY(number(a, "address", MM_OUTPUT_NOWHERE, &address, why));
	MM_TRY(number(a, "size", 0, &x->in.size, why));
	x->in.address = (uint32_t)address;
	x->in.of = mm_arg(a, "image");
	mm_buf_init(&x->config, CONFIG_MAX);
	if (mm_arg(a, "config") != NULL) {
		MM_TRY(mm_file_read(mm_arg(a, "config"), &x->config, why));
		x->in.config = mm_buf_view(&x->config);
	}
	if (mm_arg(a, "key") != NULL)
		MM_TRY(mm_key_load_plain(mm_arg(a, "key"), &x->in.key, why));
	if (strcmp(mm_arg(a, "format"), "pkcs12") != 0 &&
	    mm_arg(a, "passphrase-file") == NULL &&
	    mm_arg(a, "passphrase-fd") == NULL)
		return MM_OK;
	MM_TRY(mm_ask_passphrase(a, "the file", true, &x->pass, why));
	x->in.passphrase = mm_secret_view(x->pass);
	return MM_OK;
}

static enum mm_err
path_of(const struct mm_args *a, const struct mm_output_file *f,
    char out[1024], struct mm_why *why)
{
	const char *dir = mm_arg(a, "out");

	return mm_path_join(out, 1024, dir != NULL ? dir : ".", f->name, why);
}

/* All of them, or none: a name that is taken is said first. */
static enum mm_err
store(const struct mm_args *a, const struct mm_output *out,
    struct mm_why *why)
{
	const char *dir = mm_arg(a, "out");
	char path[1024];

	if (dir != NULL && access(dir, F_OK) != 0)
		MM_TRY(mm_dir_make(dir, 0755, why));
	for (size_t i = 0; i < out->n; i++) {
		MM_TRY(path_of(a, &out->file[i], path, why));
		if (access(path, F_OK) == 0)
			return MM_FAIL(why, MM_ECONFLICT, "%.100s is there "
			    "already", path);
	}
	for (size_t i = 0; i < out->n; i++) {
		MM_TRY(path_of(a, &out->file[i], path, why));
		MM_TRY(mm_file_create(path, mm_buf_view(&out->file[i].data),
		    out->file[i].secret ? 0600 : 0644, why));
	}
	return MM_OK;
}

static enum mm_err
report(struct mm_cli *cli, const struct mm_args *a,
    const struct mm_output *out, struct mm_why *why)
{
	MM_OWN(json_free) json_t *list = json_array();
	char path[1024];

	for (size_t i = 0; i < out->n; i++) {
		MM_TRY(path_of(a, &out->file[i], path, why));
		json_array_append_new(list, json_pack("{s:s,s:b,s:I}", "file",
		    path, "secret", out->file[i].secret, "bytes",
		    (json_int_t)out->file[i].data.n));
		if (!cli->json && !cli->quiet)
			printf("%s%s\n", path, out->file[i].secret
			    ? "  (keep it secret)" : "");
	}
	if (cli->json)
		mm_json_print(list);
	return MM_OK;
}

enum mm_err
mm_cmd_cert_export(struct mm_cli *cli, const struct mm_args *a,
    struct mm_why *why)
{
	MM_OWN(export_done) struct export x = { 0 };
	MM_OWN(mm_output_done) struct mm_output out = { 0 };

	if (mm_arg(a, "format") == NULL)
		return MM_FAIL(why, MM_EINPUT, "missing --format");
	MM_TRY(ask(cli, a->pos[0], &x, why));
	MM_TRY(extras(a, &x, why));
	MM_TRY(mm_output_make(mm_arg(a, "format"), &x.in, &out, why));
	MM_TRY(store(a, &out, why));
	return report(cli, a, &out, why);
}
