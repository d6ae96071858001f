#include "line/output.h"

#include <stdio.h>
#include <string.h>

#include "base/own.h"
#include "base/text.h"
#include "line/output_forms.h"
#include "pki/cert.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

const struct mm_output_form mm_output_forms[] = {
	{ "pem", "The certificate and its chain, leaf first, as TLS programs "
	    "want them; the key as PKCS#8.",
	    "`DEVICE.pem`, `DEVICE.key`", MM_OUT_KEY, 0, mm_output_pem },
	{ "der", "Each certificate by itself; the key as PKCS#8.",
	    "`DEVICE.der`, `DEVICE-ca1.der` (the issuer) and on, "
	    "`DEVICE-key.der`", MM_OUT_KEY, 0, mm_output_der },
	{ "header", "C arrays `device_cert`, `device_chain` (DER, one after "
	    "the other), `device_config` and `device_key`, and their lengths.",
	    "`DEVICE.h`", MM_OUT_KEY | MM_OUT_CONFIG, 0, mm_output_header },
	{ "pkcs12", "Certificate, chain and key, sealed by a passphrase "
	    "(PBES2, AES-256-CBC, MAC with SHA-256).", "`DEVICE.p12`",
	    MM_OUT_KEY | MM_OUT_PASSPHRASE, MM_OUT_PASSPHRASE,
	    mm_output_pkcs12 },
	{ "esp-secure-cert", "Espressif's `esp_secure_cert` partition, TLV "
	    "form: device certificate (with those between it and the root), "
	    "CA certificate (the root, or the chain's last), key, "
	    "configuration as user data 1; 8 KiB.",
	    "`DEVICE-esp_secure_cert.bin`",
	    MM_OUT_KEY | MM_OUT_CONFIG | MM_OUT_SIZE, 0,
	    mm_output_esp_secure_cert },
	{ "nvs", "An NVS partition of ESP-IDF, name space `esp_secure_cert`: "
	    "texts `dev_cert`, `ca_cert`, `priv_key`, `device`, blob "
	    "`config`; 24 KiB.", "`DEVICE-nvs.bin`",
	    MM_OUT_KEY | MM_OUT_CONFIG | MM_OUT_SIZE, 0, mm_output_nvs },
	{ "hex", "Intel HEX at an address: the certificate and its chain as "
	    "DER one after the other, or the image of another form.",
	    "`DEVICE.hex`", MM_OUT_KEY | MM_OUT_CONFIG | MM_OUT_ADDRESS |
	    MM_OUT_SIZE | MM_OUT_OF, MM_OUT_ADDRESS, mm_output_hex },
};
const size_t mm_noutput_forms = COUNT(mm_output_forms);

static const struct {
	unsigned bit;
	const char *name;
} extras[] = {
	{ MM_OUT_KEY, "key" }, { MM_OUT_PASSPHRASE, "passphrase" },
	{ MM_OUT_CONFIG, "configuration" }, { MM_OUT_ADDRESS, "address" },
	{ MM_OUT_SIZE, "size" }, { MM_OUT_OF, "image" },
};

/* see output.h */
void
mm_output_done(struct mm_output *out)
{
	for (size_t i = 0; i < out->n; i++)
		mm_buf_wipe(&out->file[i].data);
	*out = (struct mm_output){ 0 };
}

/* see output.h */
struct mm_buf *
mm_output_add(struct mm_output *out, const struct mm_output_in *in,
    bool secret, const char *suffix)
{
	struct mm_output_file *f = &out->file[out->n];

	MM_INVARIANT(out->n < COUNT(out->file));
	snprintf(f->name, sizeof(f->name), "%s%s", in->device, suffix);
	f->secret = secret;
	mm_buf_init(&f->data, MM_OUTPUT_MAX);
	out->n++;
	return &f->data;
}

static unsigned
given(const struct mm_output_in *in)
{
	return (in->key != NULL ? MM_OUT_KEY : 0U) |
	    (in->passphrase.n > 0 ? MM_OUT_PASSPHRASE : 0U) |
	    (in->config.n > 0 ? MM_OUT_CONFIG : 0U) |
	    (in->address != MM_OUTPUT_NOWHERE ? MM_OUT_ADDRESS : 0U) |
	    (in->size != 0 ? MM_OUT_SIZE : 0U) |
	    (in->of != NULL ? MM_OUT_OF : 0U);
}

static enum mm_err
check_extras(const struct mm_output_form *f, unsigned has,
    struct mm_why *why)
{
	for (size_t i = 0; i < COUNT(extras); i++) {
		unsigned bit = extras[i].bit;

		if ((has & bit & ~f->takes) != 0)
			return MM_FAIL(why, MM_EINPUT, "%s takes no %s",
			    f->name, extras[i].name);
		if ((f->needs & bit & ~has) != 0)
			return MM_FAIL(why, MM_EINPUT, "%s wants %s %s",
			    f->name, strchr("aei", extras[i].name[0]) != NULL
			    ? "an" : "a", extras[i].name);
	}
	return MM_OK;
}

/* The one gate that every key passes on its way out. */
static enum mm_err
check_key(const struct mm_output_in *in, const struct mm_cert *cert,
    struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf spki = MM_BUF_INIT(4096);

	if (in->key == NULL)
		return MM_OK;
	if (!in->made_by_server)
		return MM_FAIL(why, MM_EPOLICY, "the key of %.64s was made on "
		    "the device: it stays there", in->device);
	MM_TRY(mm_key_spki(in->key, &spki, why));
	if (!mm_bytes_eq(mm_buf_view(&spki), cert->spki.whole))
		return MM_FAIL(why, MM_EINPUT,
		    "the key is not that of the certificate");
	return MM_OK;
}

static enum mm_err
check(const struct mm_output_in *in, struct mm_why *why)
{
	struct mm_cert cert, ca;

	if (!mm_device_id_valid(in->device))
		return MM_FAIL(why, MM_EINPUT, "not a device id");
	if (in->nchain > MM_OUTPUT_CHAIN)
		return MM_FAIL(why, MM_ELIMIT, "a chain of %zu, at most %d",
		    in->nchain, MM_OUTPUT_CHAIN);
	MM_TRY(mm_cert_walk(in->cert, &cert, why));
	for (size_t i = 0; i < in->nchain; i++)
		MM_TRY(mm_cert_walk(in->chain[i], &ca, why));
	return check_key(in, &cert, why);
}

static enum mm_err
all_ok(const struct mm_output *out, struct mm_why *why)
{
	for (size_t i = 0; i < out->n; i++)
		MM_TRY(mm_buf_ok(&out->file[i].data, why));
	return MM_OK;
}

/* see output.h */
enum mm_err
mm_output_make(const char *form, const struct mm_output_in *in,
    struct mm_output *out, struct mm_why *why)
{
	const struct mm_output_form *f = NULL;
	enum mm_err rc;

	for (size_t i = 0; i < COUNT(mm_output_forms); i++)
		if (strcmp(mm_output_forms[i].name, form) == 0)
			f = &mm_output_forms[i];
	if (f == NULL)
		return MM_FAIL(why, MM_ENOTFOUND, "no form \"%.32s\": "
		    "\"mintmark reference outputs\" has them", form);
	MM_TRY(check_extras(f, given(in), why));
	MM_TRY(check(in, why));
	*out = (struct mm_output){ 0 };
	rc = f->make(in, out, why);
	if (rc == MM_OK)
		rc = all_ok(out, why);
	if (rc != MM_OK)
		mm_output_done(out);
	return rc;
}

/* see output.h */
void
mm_output_print_reference(struct mm_buf *out)
{
	mm_buf_text(out, "# Outputs reference\n\n"
	    "Made by `mintmark reference outputs`; do not edit.\n\n"
	    "The forms of `mintmark cert export`, and of a station.  A key is "
	    "in an output only where it is given, and is taken only where the "
	    "record says that the server made it; a file with a key has mode "
	    "0600.  [outputs.md](../outputs.md) shows how they are used.\n\n"
	    "| Form | Holds | Files | Takes | Needs |\n"
	    "|---|---|---|---|---|\n");
	for (size_t i = 0; i < COUNT(mm_output_forms); i++) {
		const struct mm_output_form *f = &mm_output_forms[i];

		mm_buf_printf(out, "| `%s` | %s | %s |", f->name, f->holds,
		    f->files);
		for (int needs = 0; needs < 2; needs++) {
			const char *lead = " ";

			for (size_t e = 0; e < COUNT(extras); e++)
				if ((extras[e].bit &
				    (needs ? f->needs : f->takes)) != 0) {
					mm_buf_printf(out, "%s%s", lead,
					    extras[e].name);
					lead = ", ";
				}
			mm_buf_text(out, " |");
		}
		mm_buf_text(out, "\n");
	}
}
