/*
 * Public keys into libcrypto without its decoders: OpenSSL 3.0 makes a
 * decoder context, under contended locks, for every key that d2i reads.
 */
#include <stdlib.h>

#include <openssl/core_names.h>

#include "pki/priv.h"

MM_FREE_FN(ctx_free, EVP_PKEY_CTX, EVP_PKEY_CTX_free)

struct mm_key_templates {
	OSSL_LIB_CTX *lib;
	EVP_PKEY *p256, *p384; /* parameters only */
	EVP_PKEY_CTX *rsa;     /* ready for EVP_PKEY_fromdata */
	EVP_PKEY_CTX *verify[2]; /* P-256, P-384: its key is the last one */
};

static EVP_PKEY *
curve_template(OSSL_LIB_CTX *lib, const char *curve)
{
	MM_OWN(ctx_free) EVP_PKEY_CTX *c =
	    EVP_PKEY_CTX_new_from_name(lib, "EC", NULL);
	EVP_PKEY *out = NULL;

	if (c == NULL || EVP_PKEY_paramgen_init(c) != 1 ||
	    EVP_PKEY_CTX_set_group_name(c, curve) != 1 ||
	    EVP_PKEY_paramgen(c, &out) != 1)
		return NULL;
	return out;
}

static EVP_PKEY_CTX *
verifier(OSSL_LIB_CTX *lib, EVP_PKEY *template)
{
	MM_OWN(mm_pkey_free) EVP_PKEY *key = EVP_PKEY_new();

	if (key == NULL || template == NULL ||
	    EVP_PKEY_copy_parameters(key, template) != 1)
		return NULL;
	return EVP_PKEY_CTX_new_from_pkey(lib, key, NULL);
}

/* see key.h */
enum mm_err
mm_key_templates_new(OSSL_LIB_CTX *lib, struct mm_key_templates **out,
    struct mm_why *why)
{
	MM_OWN(mm_key_templates_free) struct mm_key_templates *t =
	    calloc(1, sizeof(*t));
	char text[120];

	if (t == NULL)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	t->lib = lib;
	t->p256 = curve_template(lib, "P-256");
	t->p384 = curve_template(lib, "P-384");
	t->rsa = EVP_PKEY_CTX_new_from_name(lib, "RSA", NULL);
	t->verify[0] = verifier(lib, t->p256);
	t->verify[1] = verifier(lib, t->p384);
	if (t->verify[0] == NULL || t->verify[1] == NULL || t->rsa == NULL ||
	    EVP_PKEY_fromdata_init(t->rsa) != 1)
		return MM_FAIL(why, MM_ECRYPTO, "key templates: %s",
		    mm_openssl_why(text));
	*out = MM_MOVE(t);
	return MM_OK;
}

/* see key.h */
void
mm_key_templates_free(struct mm_key_templates **owner)
{
	struct mm_key_templates *t = *owner;

	if (t == NULL)
		return;
	EVP_PKEY_free(t->p256);
	EVP_PKEY_free(t->p384);
	EVP_PKEY_CTX_free(t->rsa);
	EVP_PKEY_CTX_free(t->verify[0]);
	EVP_PKEY_CTX_free(t->verify[1]);
	free(t);
	*owner = NULL;
}

static EVP_PKEY *
load_point(const struct mm_spki *s, EVP_PKEY *template)
{
	MM_OWN(mm_pkey_free) EVP_PKEY *key = EVP_PKEY_new();

	if (key == NULL || EVP_PKEY_copy_parameters(key, template) != 1 ||
	    EVP_PKEY_set1_encoded_public_key(key, s->key.p, s->key.n) != 1)
		return NULL;
	return MM_MOVE(key);
}

/* OSSL_PARAM integers are native: little-endian on every host we build for */
static void
reversed(struct mm_bytes v, uint8_t *out)
{
	for (size_t i = 0; i < v.n; i++)
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
		out[i] = v.p[v.n - 1 - i];
#else
		out[i] = v.p[i];
#endif
}

static EVP_PKEY *
load_rsa(const struct mm_spki *s, EVP_PKEY_CTX *c)
{
	struct mm_rd outer = mm_rd_over(s->key);
	struct mm_rd r = mm_rd_over(mm_der_take(&outer, MM_DER_SEQ));
	struct mm_bytes n = mm_der_take(&r, MM_DER_INTEGER);
	uint32_t e = mm_der_take_uint(&r);
	uint8_t native[520];
	OSSL_PARAM params[3];
	EVP_PKEY *out = NULL;

	if (r.bad || n.n > sizeof(native))
		return NULL;
	reversed(n, native);
	params[0] = OSSL_PARAM_construct_BN(OSSL_PKEY_PARAM_RSA_N, native,
	    n.n);
	params[1] = OSSL_PARAM_construct_uint32(OSSL_PKEY_PARAM_RSA_E, &e);
	params[2] = OSSL_PARAM_construct_end();
	if (EVP_PKEY_fromdata(c, &out, EVP_PKEY_PUBLIC_KEY, params) != 1)
		return NULL;
	return out;
}

/* see key.h */
enum mm_err
mm_spki_load(const struct mm_spki *s, struct mm_key_templates *t,
    EVP_PKEY **out, struct mm_why *why)
{
	EVP_PKEY *key = NULL;
	char text[120];
	enum mm_err rc;

	if (s->type == MM_KEY_P256)
		key = load_point(s, t->p256);
	else if (s->type == MM_KEY_P384)
		key = load_point(s, t->p384);
	else if (s->type == MM_KEY_ED25519)
		key = EVP_PKEY_new_raw_public_key_ex(t->lib, "ED25519", NULL,
		    s->key.p, s->key.n);
	else if (s->type < MM_KEY_TYPES)
		key = load_rsa(s, t->rsa);
	if (key != NULL) {
		*out = key;
		return MM_OK;
	}
	rc = mm_openssl_fail(MM_EINPUT, text);
	return MM_FAIL(why, rc, "key: not a valid public key: %s", text);
}

/* see priv.h */
EVP_PKEY_CTX *
mm_point_ctx(const struct mm_spki *s, struct mm_key_templates *t)
{
	EVP_PKEY_CTX *c = t->verify[s->type == MM_KEY_P384];

	if (EVP_PKEY_set1_encoded_public_key(EVP_PKEY_CTX_get0_pkey(c),
		s->key.p, s->key.n) != 1)
		return NULL;
	return c;
}
