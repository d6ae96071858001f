/* Property: a request we accept is the same request to libcrypto, where that
 * can read what we read over (who asks, and his signature), and our answer to
 * it is whole. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/ocsp.h>

#include "pki/ocsp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
must(bool holds)
{
	if (!holds)
		abort();
}

/* One question, of this serial number, with this nonce. */
static void
agree(const uint8_t *data, size_t size, const struct mm_ocsp_request *q)
{
	const unsigned char *p = data;
	OCSP_REQUEST *theirs = d2i_OCSP_REQUEST(NULL, &p, (long)size);
	ASN1_INTEGER *serial;
	unsigned char der[32], *out = der;
	int n;

	if (theirs == NULL)
		return;
	must(p == data + size);
	must(OCSP_request_onereq_count(theirs) == 1);
	must(OCSP_id_get0_info(NULL, NULL, NULL, &serial,
	    OCSP_onereq_get0_id(OCSP_request_onereq_get0(theirs, 0))) == 1);
	n = i2d_ASN1_INTEGER(serial, &out);
	must(n == (int)q->id.serial.n + 2 &&
	    memcmp(der + 2, q->id.serial.p, q->id.serial.n) == 0);
	must((q->nonce.n > 0) == (OCSP_REQUEST_get_ext_by_NID(theirs,
	    NID_id_pkix_OCSP_Nonce, -1) >= 0));
	OCSP_REQUEST_free(theirs);
}

static void
answer(const struct mm_ocsp_request *q, uint8_t turn)
{
	static const uint8_t sig[8], cert[4] = { 0x30, 2, 5, 0 };
	static const uint8_t alg[] = { 0x30, 10, 6, 8, 0x2a, 0x86, 0x48, 0xce,
		0x3d, 4, 3, 2 };
	struct mm_ocsp_answer a = { .id = q->id.whole, .nonce = q->nonce,
		.status = (enum mm_ocsp_status)(turn % 3), .reason = turn & 1,
		.revoked_s = 1700000000, .made_s = 1800000000,
		.this_s = 1800000000, .next_s = 1800003600,
		.key = { sig, sizeof(sig) } };
	struct mm_buf tbs = MM_BUF_INIT(4096), out = MM_BUF_INIT(8192);
	struct mm_rd r;

	must(mm_ocsp_build(&a, &tbs, NULL) == MM_OK);
	mm_ocsp_join(&out, mm_buf_view(&tbs), (struct mm_bytes){ alg,
	    sizeof(alg) }, (struct mm_bytes){ sig, sizeof(sig) },
	    (struct mm_bytes){ cert, sizeof(cert) });
	must(mm_buf_ok(&out, NULL) == MM_OK);
	r = mm_rd_over(mm_buf_view(&out));
	(void)mm_rd_take(&r, out.n);
	must(mm_rd_end(&r));
	mm_buf_done(&tbs);
	mm_buf_done(&out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct mm_ocsp_request q;

	if (mm_ocsp_request_parse((struct mm_bytes){ data, size }, &q, NULL) !=
	    MM_OK)
		return 0;
	agree(data, size, &q);
	answer(&q, data[size - 1]);
	return 0;
}
