#include <stdlib.h>
#include <string.h>

#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#include "port/p256.h"
#include "provider/places.h"
#include "provider/priv.h"

enum { SIGNATURE_MAX = 72 };

/* One signature: of a digest that the program made, or of what it gives. */
struct signature {
	struct mm_provider *provider;
	struct mm_provider_key *key; /* a reference */
	EVP_MD *md;
	EVP_MD_CTX *hash;
};

/* RFC 5758 3.2: AlgorithmIdentifiers, by the digest's size. */
static const struct {
	const char *digest;
	uint8_t id[12];
} algorithms[] = {
	{ "SHA2-256", { 0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d,
	    0x04, 0x03, 0x02 } },
	{ "SHA2-384", { 0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d,
	    0x04, 0x03, 0x03 } },
	{ "SHA2-512", { 0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d,
	    0x04, 0x03, 0x04 } },
};

static void *
new_signature(void *ctx, const char *propq)
{
	struct signature *s = calloc(1, sizeof(*s));

	(void)propq;
	if (s != NULL)
		s->provider = ctx;
	return s;
}

static void
free_signature(void *ctx)
{
	struct signature *s = ctx;

	if (s == NULL)
		return;
	mm_provider_key_free(s->key);
	EVP_MD_free(s->md);
	EVP_MD_CTX_free(s->hash);
	free(s);
}

static void *
dup_signature(void *ctx)
{
	const struct signature *s = ctx;
	struct signature *d = new_signature(s->provider, NULL);

	if (d == NULL)
		return NULL;
	d->key = s->key;
	if (d->key != NULL)
		mm_provider_key_hold(d->key);
	d->md = s->md;
	if (d->md != NULL)
		(void)EVP_MD_up_ref(d->md);
	if (s->hash == NULL)
		return d;
	d->hash = EVP_MD_CTX_new();
	if (d->hash != NULL && EVP_MD_CTX_copy_ex(d->hash, s->hash) == 1)
		return d;
	free_signature(d);
	return NULL;
}

/* Only those that are strong enough for the curve. */
static const char *
known(const EVP_MD *md)
{
	for (size_t i = 0; i < sizeof(algorithms) / sizeof(algorithms[0]); i++)
		if (EVP_MD_is_a(md, algorithms[i].digest))
			return algorithms[i].digest;
	return NULL;
}

static int
set_digest(struct signature *s, const char *name)
{
	EVP_MD *md = EVP_MD_fetch(s->provider->lib, name, NULL);

	if (md == NULL || known(md) == NULL) {
		EVP_MD_free(md);
		ERR_raise_data(ERR_LIB_USER, ERR_R_PASSED_INVALID_ARGUMENT,
		    "mintmark-key: no digest %s", name);
		return 0;
	}
	EVP_MD_free(s->md);
	s->md = md;
	return 1;
}

static int
set_params(void *ctx, const OSSL_PARAM params[])
{
	const OSSL_PARAM *p = params == NULL ? NULL :
	    OSSL_PARAM_locate_const(params, OSSL_SIGNATURE_PARAM_DIGEST);
	const char *name;

	if (p == NULL)
		return 1;
	return OSSL_PARAM_get_utf8_string_ptr(p, &name) &&
	    set_digest(ctx, name);
}

static const OSSL_PARAM *
settable(void *ctx, void *provider)
{
	static const OSSL_PARAM params[] = {
		OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_DIGEST, NULL, 0),
		OSSL_PARAM_END };

	(void)ctx;
	(void)provider;
	return params;
}

static int
put_algorithm(const struct signature *s, OSSL_PARAM *p)
{
	for (size_t i = 0; s->md != NULL &&
	    i < sizeof(algorithms) / sizeof(algorithms[0]); i++)
		if (EVP_MD_is_a(s->md, algorithms[i].digest))
			return OSSL_PARAM_set_octet_string(p,
			    algorithms[i].id, sizeof(algorithms[i].id));
	return 0;
}

static int
get_params(void *ctx, OSSL_PARAM params[])
{
	const struct signature *s = ctx;
	OSSL_PARAM *id = OSSL_PARAM_locate(params,
	    OSSL_SIGNATURE_PARAM_ALGORITHM_ID);
	OSSL_PARAM *digest = OSSL_PARAM_locate(params,
	    OSSL_SIGNATURE_PARAM_DIGEST);

	if (id != NULL && !put_algorithm(s, id))
		return 0;
	return digest == NULL || (s->md != NULL &&
	    OSSL_PARAM_set_utf8_string(digest, known(s->md)));
}

static const OSSL_PARAM *
gettable(void *ctx, void *provider)
{
	static const OSSL_PARAM params[] = {
		OSSL_PARAM_octet_string(OSSL_SIGNATURE_PARAM_ALGORITHM_ID,
		    NULL, 0),
		OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_DIGEST, NULL, 0),
		OSSL_PARAM_END };

	(void)ctx;
	(void)provider;
	return params;
}

static int
sign_init(void *ctx, void *key, const OSSL_PARAM params[])
{
	struct signature *s = ctx;

	if (key != NULL) {
		mm_provider_key_hold(key);
		mm_provider_key_free(s->key);
		s->key = key;
	}
	return s->key != NULL && set_params(s, params);
}

/*
 * FIPS 186-5 6.4.1: of a digest that is longer than the curve's order the
 * first bits count; a shorter one is a smaller number.
 */
static void
fit(const uint8_t *digest, size_t n, uint8_t out[MM_KEY_DIGEST])
{
	memset(out, 0, MM_KEY_DIGEST);
	if (n >= MM_KEY_DIGEST)
		memcpy(out, digest, MM_KEY_DIGEST);
	else
		memcpy(out + MM_KEY_DIGEST - n, digest, n);
}

static int
sign(void *ctx, unsigned char *sig, size_t *sig_n, size_t cap,
    const unsigned char *digest, size_t n)
{
	const struct signature *s = ctx;
	uint8_t fitted[MM_KEY_DIGEST], rs[MM_KEY_RS];
	struct mm_why why = { 0 };

	*sig_n = SIGNATURE_MAX;
	if (sig == NULL)
		return 1;
	fit(digest, n, fitted);
	if (mm_provider_sign(&s->key->key, fitted, rs, &why) != MM_OK) {
		ERR_raise_data(ERR_LIB_USER, ERR_R_OPERATION_FAIL,
		    "mintmark-key: %s", why.text);
		return 0;
	}
	return mmd_p256_signature(rs, sig, cap, sig_n) == MMD_OK;
}

static int
digest_init(void *ctx, const char *md, void *key, const OSSL_PARAM params[])
{
	struct signature *s = ctx;

	if (!sign_init(s, key, params) ||
	    !set_digest(s, md != NULL && md[0] != '\0' ? md : "SHA256"))
		return 0;
	EVP_MD_CTX_free(s->hash);
	s->hash = EVP_MD_CTX_new();
	return s->hash != NULL &&
	    EVP_DigestInit_ex2(s->hash, s->md, NULL) == 1;
}

static int
digest_update(void *ctx, const unsigned char *data, size_t n)
{
	const struct signature *s = ctx;

	return s->hash != NULL && EVP_DigestUpdate(s->hash, data, n) == 1;
}

static int
digest_final(void *ctx, unsigned char *sig, size_t *sig_n, size_t cap)
{
	struct signature *s = ctx;
	uint8_t digest[EVP_MAX_MD_SIZE];
	unsigned n = 0;

	*sig_n = SIGNATURE_MAX;
	if (sig == NULL)
		return 1;
	return s->hash != NULL &&
	    EVP_DigestFinal_ex(s->hash, digest, &n) == 1 &&
	    sign(s, sig, sig_n, cap, digest, n);
}

#define FN(id, f) { id, (void (*)(void))f }
const OSSL_DISPATCH mm_provider_signature[] = {
	FN(OSSL_FUNC_SIGNATURE_NEWCTX, new_signature),
	FN(OSSL_FUNC_SIGNATURE_FREECTX, free_signature),
	FN(OSSL_FUNC_SIGNATURE_DUPCTX, dup_signature),
	FN(OSSL_FUNC_SIGNATURE_SIGN_INIT, sign_init),
	FN(OSSL_FUNC_SIGNATURE_SIGN, sign),
	FN(OSSL_FUNC_SIGNATURE_DIGEST_SIGN_INIT, digest_init),
	FN(OSSL_FUNC_SIGNATURE_DIGEST_SIGN_UPDATE, digest_update),
	FN(OSSL_FUNC_SIGNATURE_DIGEST_SIGN_FINAL, digest_final),
	FN(OSSL_FUNC_SIGNATURE_SET_CTX_PARAMS, set_params),
	FN(OSSL_FUNC_SIGNATURE_SETTABLE_CTX_PARAMS, settable),
	FN(OSSL_FUNC_SIGNATURE_GET_CTX_PARAMS, get_params),
	FN(OSSL_FUNC_SIGNATURE_GETTABLE_CTX_PARAMS, gettable),
	{ 0, NULL },
};
