#include <string.h>

#include "server/priv.h"

/* White space that clients put around everything. */
static struct mm_bytes
trim(struct mm_bytes v)
{
	while (v.n > 0 && strchr(" \t\r\n", v.p[0]) != NULL && v.p[0] != 0)
		v.p++, v.n--;
	return v;
}

/*
 * A PKCS#10 is longer than 127 bytes, so its DER goes 30 81, 30 82: base64
 * text has no byte above 7f.
 */
static bool
is_der(struct mm_bytes v)
{
	return v.n > 2 && v.p[0] == MM_DER_SEQ && (v.p[1] & 0x80) != 0;
}

/* see priv.h */
bool
mm_est_is_pem(struct mm_bytes body)
{
	static const char begin[] = "-----BEGIN ";
	struct mm_bytes v = trim(body);

	return v.n > sizeof(begin) && memcmp(v.p, begin,
	    sizeof(begin) - 1) == 0;
}

static enum mm_err
read_pem(struct mm_bytes body, struct mm_buf *der, struct mm_why *why)
{
	static const char *const labels[] = { "CERTIFICATE REQUEST",
		"NEW CERTIFICATE REQUEST" };

	for (size_t i = 0; i < 2; i++) {
		struct mm_bytes rest = body;

		if (mm_pem_next(&rest, labels[i], der, NULL) == MM_OK)
			return MM_OK;
	}
	return MM_FAIL(why, MM_EINPUT, "body: not a CERTIFICATE REQUEST");
}

/* see priv.h */
enum mm_err
mm_est_read(struct mm_bytes body, struct mm_buf *der, struct mm_why *why)
{
	struct mm_bytes v = trim(body);

	if (v.n == 0)
		return MM_FAIL(why, MM_EINPUT, "body: no request in it");
	if (is_der(v)) {
		mm_buf_bytes(der, v);
		return mm_buf_ok(der, why);
	}
	if (mm_est_is_pem(v))
		return read_pem(v, der, why);
	return mm_base64_parse(v, der, why);
}

/* see priv.h */
void
mm_est_put_pkcs7(struct mm_buf *out, struct mm_buf *scratch,
    const struct mm_bytes *der, size_t n, unsigned wrap)
{
	mm_buf_reset(scratch);
	mm_pkcs7_certs(scratch, der, n);
	if (scratch->err != MM_OK)
		out->err = scratch->err;
	mm_base64_put(out, mm_buf_view(scratch), wrap);
}

static void
put_part(struct mm_buf *out, const char *type)
{
	mm_buf_printf(out, "--" MM_EST_BOUNDARY "\r\nContent-Type: %s\r\n"
	    "Content-Transfer-Encoding: base64\r\n\r\n", type);
}

/* see priv.h */
void
mm_est_put_keygen(struct mm_buf *out, struct mm_bytes pkcs8,
    struct mm_bytes pkcs7_base64, unsigned wrap)
{
	put_part(out, "application/pkcs8");
	mm_base64_put(out, pkcs8, wrap);
	mm_buf_text(out, "\r\n");
	put_part(out, "application/pkcs7-mime; smime-type=certs-only");
	mm_buf_bytes(out, pkcs7_base64);
	mm_buf_text(out, "\r\n--" MM_EST_BOUNDARY "--\r\n");
}
