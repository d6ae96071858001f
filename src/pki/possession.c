#include "pki/possession.h"

#include <string.h>

#include "base/own.h"
#include "pki/priv.h"

static const char label[] = "mintmark-prove";

/* By SHA-256 whatever the key, as the link says. */
static const struct mm_sig_alg *
algorithm(enum mm_key_type t)
{
	return mm_sig_of(t == MM_KEY_P384 ? MM_KEY_P256 : t);
}

static enum mm_err
load(struct mm_bytes der, struct mm_cert *c, EVP_PKEY **key,
    struct mm_why *why)
{
	MM_OWN(mm_key_templates_free) struct mm_key_templates *t = NULL;

	MM_TRY(mm_cert_walk(der, c, why));
	if (c->spki.type == MM_KEY_TYPES)
		return MM_FAIL(why, MM_EINPUT, "certificate: not a key that "
		    "we certify");
	MM_TRY(mm_key_templates_new(NULL, &t, why));
	return mm_spki_load(&c->spki, t, key, why);
}

static enum mm_err
put_text(struct mm_bytes cert, const uint8_t nonce[MM_POSSESSION_NONCE],
    struct mm_bytes hardware, struct mm_buf *out, struct mm_why *why)
{
	uint8_t hash[32];

	if (hardware.n == 0 || hardware.n > MM_POSSESSION_HARDWARE)
		return MM_FAIL(why, MM_EINPUT, "hardware: want 1 to %d bytes",
		    MM_POSSESSION_HARDWARE);
	mm_sha256(cert, hash);
	mm_buf_put(out, label, sizeof(label) - 1);
	mm_buf_put(out, nonce, MM_POSSESSION_NONCE);
	mm_buf_bytes(out, hardware);
	mm_buf_put(out, hash, sizeof(hash));
	return mm_buf_ok(out, why);
}

/* see possession.h */
enum mm_err
mm_possession_sign(struct mm_bytes cert, EVP_PKEY *key,
    const uint8_t nonce[MM_POSSESSION_NONCE], struct mm_bytes hardware,
    struct mm_buf *out, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf text = MM_BUF_INIT(128);
	MM_OWN(mm_sign_free) struct mm_sign *sign = NULL;

	MM_TRY(put_text(cert, nonce, hardware, &text, why));
	MM_TRY(mm_sign_new(NULL, key, &sign, why));
	return mm_sign_bytes(sign, mm_buf_view(&text), out, why);
}

/* see possession.h */
enum mm_err
mm_possession_verify(struct mm_bytes cert, const struct mm_possession *p,
    struct mm_why *why)
{
	MM_OWN(mm_pkey_free) EVP_PKEY *key = NULL;
	MM_OWN(mm_buf_done) struct mm_buf text = MM_BUF_INIT(128);
	char words[120];
	struct mm_cert c;
	enum mm_err rc;

	MM_TRY(put_text(cert, p->nonce, p->hardware, &text, why));
	MM_TRY(load(cert, &c, &key, why));
	rc = mm_sig_verify(NULL, key, algorithm(c.spki.type),
	    mm_buf_view(&text), p->signature);
	if (rc == MM_OK)
		return MM_OK;
	rc = mm_openssl_fail(MM_EAUTH, words);
	return MM_FAIL(why, rc, "the proof does not hold");
}
