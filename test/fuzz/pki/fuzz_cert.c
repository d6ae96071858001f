/*
 * Property: a certificate we accept is the same certificate to libcrypto; an
 * issuer made of it has room for its name.
 */
#include <stdint.h>
#include <stdlib.h>

#include "agree.h"
#include "pki/cert.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct mm_issuer_conf conf = { .name = "x",
		.crl_shards = 2 };
	struct mm_bytes der = { data, size };
	struct mm_buf text = MM_BUF_INIT(1U << 17);
	struct mm_issuer issuer;
	struct mm_cert c;
	bool accepted;

	if (agree_cert(der, &accepted) != NULL)
		abort();
	if (mm_issuer_make(&issuer, &conf, "http://x", der, NULL) == MM_OK &&
	    !accepted)
		abort();
	if (accepted && mm_cert_walk(der, &c, NULL) == MM_OK)
		mm_name_text(c.subject, &text);
	mm_buf_done(&text);
	return 0;
}
