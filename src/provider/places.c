#include "provider/places.h"

#include <openssl/err.h>

/* see places.h */
const struct mm_key_ops *const mm_provider_places[MM_KEY_PLACES] = {
#ifdef MM_WITH_TPM
	[MM_KEY_TPM2] = &mm_provider_tpm2,
#endif
#ifdef MM_WITH_PKCS11
	[MM_KEY_PKCS11] = &mm_provider_pkcs11,
#endif
};

/* A signature is asked for through OpenSSL, which has room for a number. */
static _Thread_local struct mm_why last;

/* see places.h */
enum mm_err
mm_provider_sign(const struct mm_key *key,
    const uint8_t digest[MM_KEY_DIGEST], uint8_t rs[MM_KEY_RS],
    struct mm_why *why)
{
	const struct mm_key_ops *ops = mm_provider_places[key->place];
	struct mm_why w = { 0 };
	enum mm_err err;

	if (!key->made)
		err = MM_FAIL(&w, MM_ENOTFOUND, "the key was never made");
	else if (ops == NULL)
		err = MM_FAIL(&w, MM_EPOLICY, "mintmark-key was built without "
		    "%s:", mm_key_place_name(key->place));
	else {
		/* A token's module may be made of OpenSSL, too: what it leaves
		 * in the queue would be taken for TLS's own. */
		(void)ERR_set_mark();
		err = ops->sign(key, digest, rs, &w);
		(void)ERR_pop_to_mark();
	}
	last = w;
	return err == MM_OK ? MM_OK : MM_FAIL(why, err, "%s", w.text);
}

/* see places.h */
bool
mm_provider_failure(struct mm_why *out)
{
	if (last.code == MM_OK)
		return false;
	*out = last;
	last = (struct mm_why){ 0 };
	return true;
}
