/* Images of flash: what goes where in them. */
#include <string.h>

#include "base/own.h"
#include "line/image.h"
#include "line/output_forms.h"
#include "pki/cert.h"

/*
 * A TLS program sends all that is between the device's certificate and the
 * root, and trusts the root.  So a root at the chain's end is the CA
 * certificate, and what comes before it follows the device's; without a root
 * the chain's last is both.
 */
struct parts {
	struct mm_buf device, ca, key; /* PEM */
};

static void
parts_done(struct parts *p)
{
	mm_buf_done(&p->device);
	mm_buf_done(&p->ca);
	mm_buf_wipe(&p->key);
}

static bool
ends_in_root(const struct mm_output_in *in)
{
	struct mm_cert last;

	return in->nchain > 0 &&
	    mm_cert_walk(in->chain[in->nchain - 1], &last, NULL) == MM_OK &&
	    mm_bytes_eq(last.subject, last.issuer);
}

static enum mm_err
parts_make(const struct mm_output_in *in, struct parts *p, struct mm_why *why)
{
	mm_buf_init(&p->device, MM_OUTPUT_MAX);
	mm_buf_init(&p->ca, MM_OUTPUT_MAX);
	mm_buf_init(&p->key, MM_OUTPUT_MAX);
	mm_output_put_pem(in, in->nchain - ends_in_root(in), &p->device);
	if (in->nchain > 0)
		mm_pem_put(&p->ca, "CERTIFICATE", in->chain[in->nchain - 1]);
	MM_TRY(mm_output_put_key(in, true, &p->key, why));
	MM_TRY(mm_buf_ok(&p->ca, why));
	return mm_buf_ok(&p->device, why);
}

/* PEM in the partition ends in a NUL, as mbed TLS wants it. */
static struct mm_bytes
with_nul(struct mm_buf *pem)
{
	mm_buf_u8(pem, 0);
	return mm_buf_view(pem);
}

static enum mm_err
put_esp(const struct mm_output_in *in, struct mm_buf *out, struct mm_why *why)
{
	MM_OWN(parts_done) struct parts p = { 0 };
	struct mm_tlv r[4];
	size_t n = 0;

	MM_TRY(parts_make(in, &p, why));
	if (p.ca.n > 0)
		r[n++] = (struct mm_tlv){ MM_TLV_CA_CERT, with_nul(&p.ca) };
	r[n++] = (struct mm_tlv){ MM_TLV_DEV_CERT, with_nul(&p.device) };
	if (p.key.n > 0)
		r[n++] = (struct mm_tlv){ MM_TLV_PRIV_KEY, with_nul(&p.key) };
	if (in->config.n > 0)
		r[n++] = (struct mm_tlv){ MM_TLV_USER_1, in->config };
	MM_TRY(mm_buf_ok(&p.key, why));
	return mm_tlv_image(r, n, in->size != 0 ? in->size : MM_TLV_SIZE, out,
	    why);
}

static enum mm_err
put_nvs(const struct mm_output_in *in, struct mm_buf *out, struct mm_why *why)
{
	MM_OWN(parts_done) struct parts p = { 0 };
	struct mm_nvs r[5];
	size_t n = 0;

	MM_TRY(parts_make(in, &p, why));
	if (p.ca.n > 0)
		r[n++] = (struct mm_nvs){ "ca_cert", true,
			mm_buf_view(&p.ca) };
	r[n++] = (struct mm_nvs){ "dev_cert", true, mm_buf_view(&p.device) };
	if (p.key.n > 0)
		r[n++] = (struct mm_nvs){ "priv_key", true,
			mm_buf_view(&p.key) };
	r[n++] = (struct mm_nvs){ "device", true, mm_bytes_of(in->device) };
	if (in->config.n > 0)
		r[n++] = (struct mm_nvs){ "config", false, in->config };
	return mm_nvs_image("esp_secure_cert", r, n,
	    in->size != 0 ? in->size : MM_NVS_SIZE, out, why);
}

/* see output_forms.h */
enum mm_err
mm_output_esp_secure_cert(const struct mm_output_in *in,
    struct mm_output *out, struct mm_why *why)
{
	return put_esp(in, mm_output_add(out, in,
	    in->key != NULL || in->config.n > 0, "-esp_secure_cert.bin"), why);
}

/* see output_forms.h */
enum mm_err
mm_output_nvs(const struct mm_output_in *in, struct mm_output *out,
    struct mm_why *why)
{
	return put_nvs(in, mm_output_add(out, in,
	    in->key != NULL || in->config.n > 0, "-nvs.bin"), why);
}

/* ---- Intel HEX ---- */

static enum mm_err
put_der(const struct mm_output_in *in, struct mm_buf *out, struct mm_why *why)
{
	if (in->key != NULL || in->config.n > 0 || in->size != 0)
		return MM_FAIL(why, MM_EINPUT, "hex of der holds certificates "
		    "alone: no key, configuration or size");
	mm_output_put_der(in, out);
	return mm_buf_ok(out, why);
}

static const struct {
	const char *name;
	enum mm_err (*put)(const struct mm_output_in *in, struct mm_buf *out,
	    struct mm_why *why);
} images[] = {
	{ "der", put_der }, { "esp-secure-cert", put_esp }, { "nvs", put_nvs },
};

/* see output_forms.h */
enum mm_err
mm_output_hex(const struct mm_output_in *in, struct mm_output *out,
    struct mm_why *why)
{
	MM_OWN(mm_buf_wipe) struct mm_buf image = MM_BUF_INIT(MM_IMAGE_MAX);
	const char *of = in->of != NULL ? in->of : "der";
	bool secret = in->key != NULL || in->config.n > 0;

	for (size_t i = 0; i < sizeof(images) / sizeof(images[0]); i++) {
		if (strcmp(images[i].name, of) != 0)
			continue;
		MM_TRY(images[i].put(in, &image, why));
		return mm_hex_image(mm_buf_view(&image), in->address,
		    mm_output_add(out, in, secret, ".hex"), why);
	}
	return MM_FAIL(why, MM_EINPUT, "hex of \"%.32s\": want der, "
	    "esp-secure-cert or nvs", of);
}
