/*
 * Property: what mm_pem_next finds, written again, is found again; unseal
 * never opens what nobody sealed, and never spends more than its bounds.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "pki/cert.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
again(struct mm_bytes der)
{
	struct mm_buf text = MM_BUF_INIT(1U << 20);
	struct mm_buf back = MM_BUF_INIT(1U << 20);
	struct mm_bytes rest;

	mm_pem_put(&text, "CERTIFICATE", der);
	rest = mm_buf_view(&text);
	if (mm_pem_next(&rest, "CERTIFICATE", &back, NULL) != MM_OK ||
	    !mm_bytes_eq(mm_buf_view(&back), der) || rest.n > 1)
		abort();
	mm_buf_done(&text);
	mm_buf_done(&back);
}

/* Whether scrypt would run for long: the seeds' own cost takes 0.1 s. */
static bool
cheap(struct mm_bytes in)
{
	static const uint8_t cost[] = { 0x02, 0x03, 0x00, 0x80, 0x00 };

	return in.n < 512 || memmem(in.p, in.n, cost, sizeof(cost)) == NULL;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct mm_bytes in = { data, size }, rest = in, certs[4];
	struct mm_buf der = MM_BUF_INIT(1U << 20);
	struct mm_secret *secret = NULL;
	size_t n;

	while (mm_pem_next(&rest, "CERTIFICATE", &der, NULL) == MM_OK)
		again(mm_buf_view(&der));
	if (cheap(in) && mm_unseal(in, mm_bytes_of("x"), NULL, &secret, NULL) == MM_OK)
		abort();
	if (mm_pkcs7_walk(in, certs, 4, &n, NULL) == MM_OK && n > 4)
		abort();
	mm_buf_done(&der);
	return 0;
}
