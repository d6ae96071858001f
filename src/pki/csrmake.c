#include "pki/priv.h"

/* see csr.h; RFC 2986 4.1 */
static void
put_info(struct mm_buf *b, const char *cn, struct mm_bytes spki)
{
	size_t info = mm_der_open(b, MM_DER_SEQ), name, rdn, attribute;

	mm_der_put_uint(b, 0);
	name = mm_der_open(b, MM_DER_SEQ);
	if (cn[0] != '\0') {
		rdn = mm_der_open(b, MM_DER_SET);
		attribute = mm_der_open(b, MM_DER_SEQ);
		mm_der_put_oid(b, "2.5.4.3");
		mm_der_put(b, MM_DER_UTF8, mm_bytes_of(cn));
		mm_der_close(b, attribute);
		mm_der_close(b, rdn);
	}
	mm_der_close(b, name);
	mm_buf_bytes(b, spki);
	mm_der_put(b, MM_DER_CTXC(0), (struct mm_bytes){ NULL, 0 });
	mm_der_close(b, info);
}

/* see csr.h */
enum mm_err
mm_csr_make(EVP_PKEY *key, const char *cn, struct mm_buf *der,
    struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf spki = MM_BUF_INIT(MM_CSR_MAX);
	MM_OWN(mm_buf_done) struct mm_buf info = MM_BUF_INIT(MM_CSR_MAX);
	MM_OWN(mm_buf_done) struct mm_buf sig = MM_BUF_INIT(MM_CSR_MAX);
	MM_OWN(mm_sign_free) struct mm_sign *s = NULL;

	MM_TRY(mm_key_spki(key, &spki, why));
	put_info(&info, cn, mm_buf_view(&spki));
	MM_TRY(mm_buf_ok(&info, why));
	MM_TRY(mm_sign_new(NULL, key, &s, why));
	MM_TRY(mm_sign_bytes(s, mm_buf_view(&info), &sig, why));
	mm_cert_join(der, mm_buf_view(&info), mm_sign_alg(s),
	    mm_buf_view(&sig));
	return mm_buf_ok(der, why);
}
