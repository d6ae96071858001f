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

/* see possession.h */
enum mm_err
mm_possession_verify(struct mm_bytes cert, const struct mm_possession *p,
    struct mm_why *why)
{
	MM_OWN(mm_pkey_free) EVP_PKEY *key = NULL;
	MM_OWN(mm_buf_done) struct mm_buf text = MM_BUF_INIT(128);
	uint8_t hash[32];
	char words[120];
	struct mm_cert c;
	enum mm_err rc;

	if (p->hardware.n == 0 || p->hardware.n > MM_POSSESSION_HARDWARE)
		return MM_FAIL(why, MM_EINPUT, "hardware: want 1 to %d bytes",
		    MM_POSSESSION_HARDWARE);
	MM_TRY(load(cert, &c, &key, why));
	mm_sha256(cert, hash);
	mm_buf_put(&text, label, sizeof(label) - 1);
	mm_buf_put(&text, p->nonce, sizeof(p->nonce));
	mm_buf_bytes(&text, p->hardware);
	mm_buf_put(&text, hash, sizeof(hash));
	MM_TRY(mm_buf_ok(&text, why));
	rc = mm_sig_verify(NULL, key, algorithm(c.spki.type),
	    mm_buf_view(&text), p->signature);
	if (rc == MM_OK)
		return MM_OK;
	rc = mm_openssl_fail(MM_EAUTH, words);
	return MM_FAIL(why, rc, "the proof does not hold");
}
