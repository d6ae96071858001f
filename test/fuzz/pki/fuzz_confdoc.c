/*
 * Property: a text that is one says the same when it is written again, byte for
 * byte; and nothing verifies that nobody signed.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "pki/confdoc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
again(struct mm_bytes in)
{
	struct mm_buf out = MM_BUF_INIT(MM_CONFDOC_MAX + MM_CONFDOC_HEAD_MAX);
	struct mm_confdoc c;

	if (mm_confdoc_parse(in, &c, NULL) == MM_OK) {
		mm_confdoc_put(&out, &c);
		if (!mm_bytes_eq(mm_buf_view(&out), in))
			abort();
	}
	mm_buf_done(&out);
}

/* An anchor that has signed nothing: made once. */
static const struct mm_buf *
anchor(void)
{
	static const struct mm_conf_list subject = { 1, { "CN=x" } };
	static struct mm_buf der;
	struct mm_buf spki = MM_BUF_INIT(4096), tbs = MM_BUF_INIT(8192);
	struct mm_buf sig = MM_BUF_INIT(1024);
	struct mm_ca_fields f = { .serial = { 1 }, .not_before_s = 1,
		.not_after_s = 2, .subject = &subject, .ca = true };
	struct mm_sign *sign = NULL;
	EVP_PKEY *key = NULL;

	if (der.n > 0)
		return &der;
	mm_buf_init(&der, 8192);
	if (mm_key_make(MM_KEY_P256, &key, NULL) != MM_OK ||
	    mm_sign_new(NULL, key, &sign, NULL) != MM_OK ||
	    mm_key_spki(key, &spki, NULL) != MM_OK)
		abort();
	f.spki = mm_buf_view(&spki);
	if (mm_ca_build(&f, mm_sign_alg(sign), &tbs, NULL) != MM_OK ||
	    mm_sign_bytes(sign, mm_buf_view(&tbs), &sig, NULL) != MM_OK)
		abort();
	mm_cert_join(&der, mm_buf_view(&tbs), mm_sign_alg(sign),
	    mm_buf_view(&sig));
	mm_sign_free(&sign);
	EVP_PKEY_free(key);
	mm_buf_done(&spki);
	mm_buf_done(&tbs);
	mm_buf_done(&sig);
	return &der;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct mm_confdoc_trust trust = { mm_buf_view(anchor()),
		{ NULL, 0 } };
	struct mm_buf text = MM_BUF_INIT(MM_CONFDOC_MAX + MM_CONFDOC_HEAD_MAX);
	struct mm_bytes in = { data, size };

	again(in);
	if (mm_confdoc_verify(in, &trust, &text, NULL) == MM_OK)
		abort();
	mm_buf_done(&text);
	return 0;
}
