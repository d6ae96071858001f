/* PEM, DER and C headers. */
#include <stdio.h>

#include "base/own.h"
#include "line/output_forms.h"
#include "pki/cert.h"

/* see output_forms.h */
enum mm_err
mm_output_put_key(const struct mm_output_in *in, bool pem, struct mm_buf *out,
    struct mm_why *why)
{
	MM_OWN(mm_buf_wipe) struct mm_buf der = MM_BUF_INIT(8192);

	if (in->key == NULL)
		return MM_OK;
	MM_TRY(mm_key_pkcs8(in->key, &der, why));
	if (pem)
		mm_pem_put(out, "PRIVATE KEY", mm_buf_view(&der));
	else
		mm_buf_bytes(out, mm_buf_view(&der));
	return mm_buf_ok(out, why);
}

/* see output_forms.h */
void
mm_output_put_pem(const struct mm_output_in *in, size_t n, struct mm_buf *out)
{
	mm_pem_put(out, "CERTIFICATE", in->cert);
	for (size_t i = 0; i < n; i++)
		mm_pem_put(out, "CERTIFICATE", in->chain[i]);
}

/* see output_forms.h */
void
mm_output_put_der(const struct mm_output_in *in, struct mm_buf *out)
{
	mm_buf_bytes(out, in->cert);
	for (size_t i = 0; i < in->nchain; i++)
		mm_buf_bytes(out, in->chain[i]);
}

/* see output_forms.h */
enum mm_err
mm_output_pem(const struct mm_output_in *in, struct mm_output *out,
    struct mm_why *why)
{
	mm_output_put_pem(in, in->nchain,
	    mm_output_add(out, in, false, ".pem"));
	if (in->key == NULL)
		return MM_OK;
	return mm_output_put_key(in, true, mm_output_add(out, in, true,
	    ".key"), why);
}

/* see output_forms.h */
enum mm_err
mm_output_der(const struct mm_output_in *in, struct mm_output *out,
    struct mm_why *why)
{
	char suffix[16];

	mm_buf_bytes(mm_output_add(out, in, false, ".der"), in->cert);
	for (size_t i = 0; i < in->nchain; i++) {
		snprintf(suffix, sizeof(suffix), "-ca%u.der", (unsigned)i + 1);
		mm_buf_bytes(mm_output_add(out, in, false, suffix),
		    in->chain[i]);
	}
	if (in->key == NULL)
		return MM_OK;
	return mm_output_put_key(in, false, mm_output_add(out, in, true,
	    "-key.der"), why);
}

/* ---- C header ---- */

enum { IN_LINE = 12 };

static void
put_array(struct mm_buf *out, const char *name, struct mm_bytes v)
{
	mm_buf_printf(out, "\nstatic const unsigned char device_%s[%zu] = {",
	    name, v.n);
	for (size_t i = 0; i < v.n; i++)
		mm_buf_printf(out, "%s0x%02x,", i % IN_LINE == 0 ? "\n\t"
		    : " ", v.p[i]);
	mm_buf_printf(out, "\n};\nenum { device_%s_len = %zu };\n", name,
	    v.n);
}

/* see output_forms.h */
enum mm_err
mm_output_header(const struct mm_output_in *in, struct mm_output *out,
    struct mm_why *why)
{
	MM_OWN(mm_buf_wipe) struct mm_buf part = MM_BUF_INIT(MM_OUTPUT_MAX);
	bool secret = in->key != NULL || in->config.n > 0;
	struct mm_buf *h = mm_output_add(out, in, secret, ".h");

	mm_buf_printf(h, "/* Identity of device %s. */\n"
	    "#ifndef DEVICE_IDENTITY_H\n#define DEVICE_IDENTITY_H\n",
	    in->device);
	mm_buf_printf(h, "\n#define DEVICE_ID \"%s\"\n", in->device);
	put_array(h, "cert", in->cert);
	for (size_t i = 0; i < in->nchain; i++)
		mm_buf_bytes(&part, in->chain[i]);
	if (part.n > 0)
		put_array(h, "chain", mm_buf_view(&part));
	if (in->config.n > 0)
		put_array(h, "config", in->config);
	mm_buf_reset(&part);
	MM_TRY(mm_output_put_key(in, false, &part, why));
	if (part.n > 0)
		put_array(h, "key", mm_buf_view(&part));
	mm_buf_text(h, "\n#endif\n");
	return mm_buf_ok(&part, why);
}
