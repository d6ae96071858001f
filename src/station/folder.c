#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/json.h"
#include "base/own.h"
#include "line/output.h"
#include "pki/csr.h"
#include "pki/possession.h"
#include "station/folder.h"

/*
 * What a folder of files answers as a device does, FOLDER/SERIAL.  The key is
 * made once and never made again while its file is there; bundle.json is
 * written last, and names every file with its hash: without it there is no
 * bundle.  "locked" is the end.
 */
enum { FILE_MAX = 8 << 20, MADE_UP = 16 };

/* ---- its files ---- */

static enum mm_err
path_of(const struct mm_folder *f, const char *name, char out[PATH_MAX],
    struct mm_why *why)
{
	return mm_path_join(out, PATH_MAX, f->dir, name, why);
}

static enum mm_err
read_file(const struct mm_folder *f, const char *name, struct mm_buf *out,
    struct mm_why *why)
{
	char path[PATH_MAX];

	MM_TRY(path_of(f, name, path, why));
	return mm_file_read(path, out, why);
}

static enum mm_err
put_file(const struct mm_folder *f, const char *name, struct mm_bytes data,
    bool secret, struct mm_why *why)
{
	char path[PATH_MAX];

	MM_TRY(path_of(f, name, path, why));
	return mm_file_replace(path, data, secret ? 0600 : 0640, why);
}

static bool
has(const struct mm_folder *f, const char *name)
{
	char path[PATH_MAX];

	return path_of(f, name, path, NULL) == MM_OK && access(path, F_OK) == 0;
}

/* MM_ENOTFOUND: none was made yet. */
static enum mm_err
load_key(struct mm_folder *f, struct mm_why *why)
{
	char path[PATH_MAX];

	if (f->key != NULL)
		return MM_OK;
	MM_TRY(path_of(f, "private.pkcs8", path, why));
	return mm_key_load_plain(path, &f->key, why);
}

/* No board has said a thing: a name that two bundles never share. */
static void
make_up(const struct mm_folder *f, uint8_t out[MADE_UP])
{
	uint8_t hash[32];

	mm_sha256(mm_bytes_of(f->job.serial), hash);
	memcpy(out, hash, MADE_UP);
}

/* ---- the bundle ---- */

static bool
is_whole(const struct mm_folder *f, const json_t *file)
{
	MM_OWN(mm_buf_wipe) struct mm_buf data = MM_BUF_INIT(FILE_MAX);
	const char *name = json_string_value(json_object_get(file, "name"));
	const char *hex = json_string_value(json_object_get(file, "sha256"));
	uint8_t want[32], is[32];

	if (name == NULL || hex == NULL || strchr(name, '/') != NULL ||
	    mm_hex_parse(hex, strlen(hex), want, 32, NULL) != MM_OK ||
	    read_file(f, name, &data, NULL) != MM_OK)
		return false;
	mm_sha256(mm_buf_view(&data), is);
	return memcmp(is, want, sizeof(is)) == 0;
}

static bool
read_hash(const json_t *b, const char *key, uint8_t out[32])
{
	const char *hex = json_string_value(json_object_get(b, key));

	return hex != NULL &&
	       mm_hex_parse(hex, strlen(hex), out, 32, NULL) == MM_OK;
}

/* Every file is read back; what it says of itself. */
static bool
read_bundle(const struct mm_folder *f, struct mm_unit_said *said)
{
	MM_OWN(mm_buf_done) struct mm_buf text = MM_BUF_INIT(1 << 16);
	json_t *b, *list, *one;
	bool whole;
	size_t i;

	if (read_file(f, "bundle.json", &text, NULL) != MM_OK)
		return false;
	b = json_loadb(
	    (const char *)text.p, text.n, JSON_REJECT_DUPLICATES, NULL);
	list = json_object_get(b, "files");
	whole = json_array_size(list) > 0 &&
		read_hash(b, "cert_sha256", said->cert);
	json_array_foreach(list, i, one) whole = whole && is_whole(f, one);
	said->has_bundle = whole && read_hash(b, "bundle_sha256", said->bundle);
	said->config = json_integer_value(json_object_get(b,
	    "config_version"));
	json_decref(b);
	return whole;
}

static enum mm_err
note(const struct mm_folder *f, struct mm_json *j, const char *name,
    struct mm_bytes data, bool secret, struct mm_why *why)
{
	uint8_t hash[32];

	mm_sha256(data, hash);
	mm_json_open(j, '{');
	mm_json_str(j, "name", name);
	mm_json_bool(j, "secret", secret);
	mm_json_hex(j, "sha256", (struct mm_bytes){ hash, sizeof(hash) });
	mm_json_close(j, '}');
	return put_file(f, name, data, secret, why);
}

static enum mm_err
put_output(const struct mm_folder *f, const struct mm_output_in *in,
    const char *form, struct mm_json *j, struct mm_why *why)
{
	struct mm_output_in one = *in;
	struct mm_output out = { 0 };
	enum mm_err rc;

	if (strcmp(form, "hex") == 0) {
		one.address = (uint32_t)f->conf->address;
		one.key = NULL; /* DER of the certificates takes none */
	}
	rc = mm_output_make(form, &one, &out, why);
	for (size_t i = 0; rc == MM_OK && i < out.n; i++)
		rc = note(f, j, out.file[i].name,
		    mm_buf_view(&out.file[i].data), out.file[i].secret, why);
	mm_output_done(&out);
	return rc;
}

static enum mm_err
split_chain(struct mm_bytes all, struct mm_output_in *in, struct mm_why *why)
{
	while (all.n > 0) {
		struct mm_cert c;
		struct mm_bytes one = all;

		if (in->nchain == MM_OUTPUT_CHAIN || all.n < 4 ||
		    all.p[1] != 0x82)
			return MM_FAIL(why, MM_EINPUT,
			    "chain: too long, or no "
			    "certificates");
		one.n = 4U + ((size_t)all.p[2] << 8) + all.p[3];
		if (one.n > all.n)
			return MM_FAIL(why, MM_EINPUT, "chain: cut off");
		MM_TRY(mm_cert_walk(one, &c, why));
		in->chain[in->nchain++] = one;
		all.p += one.n;
		all.n -= one.n;
	}
	return MM_OK;
}

static enum mm_err
put_outputs(struct mm_folder *f, struct mm_json *j, struct mm_why *why)
{
	const struct mm_conf_list *forms = &f->conf->outputs;
	struct mm_output_in in = { .device = f->job.serial,
		.cert = f->job.cert,
		.key = f->key,
		.made_by_server = true,
		.address = MM_OUTPUT_NOWHERE };

	MM_TRY(split_chain(f->job.chain, &in, why));
	MM_TRY(note(f, j, "certificate.der", f->job.cert, false, why));
	for (size_t i = 0; i < forms->n; i++)
		MM_TRY(put_output(f, &in, forms->item[i], j, why));
	return MM_OK;
}

/* The device's configuration as it is; what may be secret in it, is. */
static enum mm_err
put_config(const struct mm_folder *f, struct mm_json *j, uint32_t *version,
    struct mm_why *why)
{
	struct mm_rd r = mm_rd_over(f->job.conf);

	if (f->job.conf.n == 0)
		return MM_OK;
	*version = mm_rd_u32(&r);
	return note(f, j, "configuration.json", mm_rd_take(&r, r.left), true,
	    why);
}

static enum mm_err
make_bundle(struct mm_folder *f, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf text = MM_BUF_INIT(1 << 16);
	struct mm_json j = mm_json_over(&text);
	uint32_t version = 0;
	uint8_t hash[32];

	MM_TRY(load_key(f, why));
	mm_sha256(f->job.cert, hash);
	mm_json_open(&j, '{');
	mm_json_int(&j, "v", 1);
	mm_json_str(&j, "device", f->job.serial);
	mm_json_str(&j, "key_made_by", "station");
	mm_json_hex(&j, "cert_sha256", (struct mm_bytes){ hash, 32 });
	mm_json_hex(&j, "bundle_sha256", (struct mm_bytes){
	    f->job.bundle_hash, sizeof(f->job.bundle_hash) });
	mm_json_open_key(&j, "files", '[');
	MM_TRY(put_outputs(f, &j, why));
	MM_TRY(put_config(f, &j, &version, why));
	mm_json_close(&j, ']');
	if (version > 0)
		mm_json_int(&j, "config_version", version);
	mm_json_close(&j, '}');
	mm_buf_text(&text, "\n");
	MM_TRY(mm_buf_ok(&text, why));
	/* Who knows all of a configuration but a password could try that, by
	 * its hashes. */
	return put_file(f, "bundle.json", mm_buf_view(&text), version > 0,
	    why);
}

/* ---- what a device would answer ---- */

static enum mm_err
put_der(
    struct mm_driver_answer *out, const struct mm_buf *der, struct mm_why *why)
{
	MM_TRY(mm_buf_ok(der, why));
	if (der->n > sizeof(out->der))
		return MM_FAIL(why, MM_ELIMIT, "too long");
	memcpy(out->der, der->p, der->n);
	out->der_n = der->n;
	return MM_OK;
}

static enum mm_err
say_key(struct mm_folder *f, struct mm_driver_answer *out, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf der = MM_BUF_INIT(MM_DRIVER_DER_MAX);

	MM_TRY(mm_key_spki(f->key, &der, why));
	return put_der(out, &der, why);
}

static enum mm_err
hello(struct mm_folder *f, struct mm_driver_answer *out, struct mm_why *why)
{
	uint8_t name[MADE_UP];
	enum mm_err rc = load_key(f, NULL);

	memset(&out->said, 0, sizeof(out->said));
	make_up(f, name);
	mm_hex_text(name, sizeof(name), out->said.hw);
	out->said.has_key = rc == MM_OK;
	if (rc == MM_ENOTFOUND)
		return MM_OK;
	if (rc != MM_OK)
		return MM_FAIL(why, rc, "private.pkcs8 cannot be read");
	MM_TRY(say_key(f, out, why));
	mm_sha256((struct mm_bytes){ out->der, out->der_n }, out->said.spki);
	out->said.has_cert = read_bundle(f, &out->said);
	out->said.locked = out->said.has_cert && has(f, "locked");
	return MM_OK;
}

/* The one there is, if there is one. */
static enum mm_err
make_key(struct mm_folder *f, struct mm_driver_answer *out, struct mm_why *why)
{
	char path[PATH_MAX];
	enum mm_err rc;

	MM_TRY(mm_dir_make(f->dir, 0700, why));
	rc = load_key(f, NULL);
	if (rc != MM_OK && rc != MM_ENOTFOUND)
		return MM_FAIL(why, rc, "private.pkcs8 cannot be read");
	if (rc == MM_ENOTFOUND) {
		MM_TRY(path_of(f, "private.pkcs8", path, why));
		MM_TRY(mm_key_make(MM_KEY_P256, &f->key, why));
		rc = mm_key_save_plain(path, f->key, 0600, why);
		if (rc != MM_OK)
			mm_pkey_free(&f->key);
		MM_TRY(rc);
	}
	return say_key(f, out, why);
}

static enum mm_err
csr(struct mm_folder *f, struct mm_driver_answer *out, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf der = MM_BUF_INIT(MM_DRIVER_DER_MAX);

	MM_TRY(load_key(f, why));
	MM_TRY(mm_csr_make(f->key, f->job.serial, &der, why));
	return put_der(out, &der, why);
}

/* What is locked is written once more only as it was. */
static enum mm_err
put(struct mm_folder *f, struct mm_driver_answer *out, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf text = MM_BUF_INIT(256);
	uint8_t is[32], hash[32] = { 0 };

	(void)out;
	if (!has(f, "locked"))
		return MM_OK;
	MM_TRY(read_file(f, "locked", &text, why));
	mm_sha256(f->job.cert, is);
	return text.n > 64 && mm_hex_parse((const char *)text.p, 64, hash, 32,
	    NULL) == MM_OK && memcmp(is, hash, 32) == 0 ? MM_OK
	    : MM_FAIL(why, MM_EPOLICY, "it is locked with another "
	    "certificate");
}

static enum mm_err
commit(struct mm_folder *f, struct mm_driver_answer *out, struct mm_why *why)
{
	MM_TRY(put(f, out, why));
	return make_bundle(f, why);
}

static enum mm_err
prove(struct mm_folder *f, struct mm_driver_answer *out, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf cert = MM_BUF_INIT(FILE_MAX);
	MM_OWN(mm_buf_done) struct mm_buf sig = MM_BUF_INIT(MM_DRIVER_DER_MAX);
	uint8_t name[MADE_UP];

	make_up(f, name);
	MM_TRY(load_key(f, why));
	MM_TRY(read_file(f, "certificate.der", &cert, why));
	MM_TRY(mm_possession_sign(mm_buf_view(&cert), f->key, f->job.random,
	    (struct mm_bytes){ name, sizeof(name) }, &sig, why));
	return put_der(out, &sig, why);
}

static enum mm_err
get(struct mm_folder *f, struct mm_driver_answer *out, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf cert = MM_BUF_INIT(MM_DRIVER_DER_MAX);

	MM_TRY(read_file(f, "certificate.der", &cert, why));
	out->cert_n = cert.n; /* a bundle has its chain in other forms */
	return put_der(out, &cert, why);
}

static enum mm_err
lock(struct mm_folder *f, struct mm_driver_answer *out, struct mm_why *why)
{
	char hex[66];

	(void)out;
	mm_hex_text(f->job.cert_hash, 32, hex);
	strcpy(hex + 64, "\n");
	return put_file(f, "locked", mm_bytes_of(hex), false, why);
}

static enum mm_err (*const effects[MM_EFFECTS])(
    struct mm_folder *f, struct mm_driver_answer *out, struct mm_why *why) = {
	[MM_DO_HELLO] = hello,
	[MM_DO_KEY] = make_key,
	[MM_DO_CSR] = csr,
	[MM_DO_PUT] = put,
	[MM_DO_COMMIT] = commit,
	[MM_DO_READ_BACK] = hello,
	[MM_DO_PROVE] = prove,
	[MM_DO_LOCK] = lock,
	[MM_DO_CHECK] = hello,
	[MM_DO_GET] = get,
};

/* see folder.h */
enum mm_err
mm_folder_do(struct mm_folder *f, struct mm_driver_answer *out,
    struct mm_why *why)
{
	MM_INVARIANT(effects[f->job.effect] != NULL);
	memset(out, 0, sizeof(*out));
	MM_TRY(mm_path_join(f->dir, sizeof(f->dir), f->conf->folder,
	    f->job.serial, why));
	return effects[f->job.effect](f, out, why);
}
