#include "pki/key.h"

#include <string.h>

#include <openssl/err.h>
#include <openssl/x509.h>

#include "base/file.h"
#include "pki/priv.h"

#define PEM_MAX 65536

MM_FREE_FN(p8_free, PKCS8_PRIV_KEY_INFO, PKCS8_PRIV_KEY_INFO_free)

static const struct {
	const char *name, *openssl;
	int bits; /* RSA only */
} types[MM_KEY_TYPES] = {
	[MM_KEY_P256] = { "p256", "P-256", 0 },
	[MM_KEY_P384] = { "p384", "P-384", 0 },
	[MM_KEY_ED25519] = { "ed25519", "ED25519", 0 },
	[MM_KEY_RSA2048] = { "rsa2048", "RSA", 2048 },
	[MM_KEY_RSA3072] = { "rsa3072", "RSA", 3072 },
	[MM_KEY_RSA4096] = { "rsa4096", "RSA", 4096 },
};

/* see key.h */
enum mm_err
mm_openssl_ready(struct mm_why *why)
{
	return OSSL_LIB_CTX_get0_global_default() != NULL ? MM_OK :
	    MM_FAIL(why, MM_ENOMEM, "out of memory");
}

/* see key.h; without memory other errors follow from the first */
enum mm_err
mm_openssl_fail(enum mm_err usual, char out[120])
{
	unsigned long e = ERR_get_error();
	const char *reason = ERR_reason_error_string(e);
	enum mm_err rc = usual;

	if (reason != NULL)
		BIO_snprintf(out, 120, "%s", reason);
	else if (e != 0)
		ERR_error_string_n(e, out, 120);
	else
		BIO_snprintf(out, 120, "no reason given");
	for (; e != 0; e = ERR_get_error())
		if (ERR_GET_REASON(e) == ERR_R_MALLOC_FAILURE)
			rc = MM_ENOMEM;
	return rc;
}

/* see key.h */
const char *
mm_openssl_why(char out[120])
{
	(void)!mm_openssl_fail(MM_OK, out);
	return out;
}

/* see key.h */
const char *
mm_key_type_name(enum mm_key_type t)
{
	return t < MM_KEY_TYPES ? types[t].name : "unknown";
}

/* see key.h */
enum mm_err
mm_key_type_parse(const char *name, enum mm_key_type *out, struct mm_why *why)
{
	for (unsigned i = 0; i < MM_KEY_TYPES; i++)
		if (strcmp(types[i].name, name) == 0) {
			*out = (enum mm_key_type)i;
			return MM_OK;
		}
	return MM_FAIL(why, MM_EINPUT, "key type: \"%.32s\" is not one of "
	    "p256, p384, ed25519, rsa2048, rsa3072, rsa4096", name);
}

/* see key.h */
enum mm_err
mm_key_make(enum mm_key_type t, EVP_PKEY **out, struct mm_why *why)
{
	EVP_PKEY *key = NULL;
	char text[120];

	if (t == MM_KEY_P256 || t == MM_KEY_P384)
		key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", types[t].openssl);
	else if (t == MM_KEY_ED25519)
		key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	else if (t < MM_KEY_TYPES)
		key = EVP_PKEY_Q_keygen(NULL, NULL, "RSA",
		    (size_t)types[t].bits);
	if (key == NULL)
		return MM_FAIL(why, MM_ECRYPTO, "cannot make a key: %s",
		    mm_openssl_why(text));
	*out = key;
	return MM_OK;
}

static bool
is_curve(EVP_PKEY *key, const char *openssl_name)
{
	char name[32];
	size_t n;

	return EVP_PKEY_get_group_name(key, name, sizeof(name), &n) == 1 &&
	    strcmp(name, openssl_name) == 0;
}

/* see key.h */
enum mm_err
mm_key_type_of(EVP_PKEY *key, enum mm_key_type *out, struct mm_why *why)
{
	int bits = EVP_PKEY_get_bits(key);

	if (EVP_PKEY_is_a(key, "ED25519")) {
		*out = MM_KEY_ED25519;
		return MM_OK;
	}
	if (EVP_PKEY_is_a(key, "EC") && (is_curve(key, "prime256v1") ||
	    is_curve(key, "secp384r1"))) {
		*out = bits == 256 ? MM_KEY_P256 : MM_KEY_P384;
		return MM_OK;
	}
	for (unsigned i = MM_KEY_RSA2048; i < MM_KEY_TYPES; i++)
		if (EVP_PKEY_is_a(key, "RSA") && bits == types[i].bits) {
			*out = (enum mm_key_type)i;
			return MM_OK;
		}
	return MM_FAIL(why, MM_EPOLICY, "key: type is not accepted");
}

/* see key.h */
enum mm_err
mm_key_spki(EVP_PKEY *key, struct mm_buf *out, struct mm_why *why)
{
	uint8_t *der = NULL;
	int n = i2d_PUBKEY(key, &der);
	char text[120];

	if (n <= 0)
		return MM_FAIL(why, MM_ECRYPTO, "cannot encode a key: %s",
		    mm_openssl_why(text));
	mm_buf_put(out, der, (size_t)n);
	OPENSSL_free(der);
	return mm_buf_ok(out, why);
}

/* see key.h */
enum mm_err
mm_key_pkcs8(EVP_PKEY *key, struct mm_buf *out, struct mm_why *why)
{
	MM_OWN(p8_free) PKCS8_PRIV_KEY_INFO *p8 = EVP_PKEY2PKCS8(key);
	uint8_t *der = NULL;
	int n = p8 == NULL ? -1 : i2d_PKCS8_PRIV_KEY_INFO(p8, &der);
	char text[120];

	if (n <= 0)
		return MM_FAIL(why, MM_ECRYPTO, "cannot encode a key: %s",
		    mm_openssl_why(text));
	mm_buf_put(out, der, (size_t)n);
	OPENSSL_clear_free(der, (size_t)n);
	return mm_buf_ok(out, why);
}

/* see key.h */
enum mm_err
mm_key_from_pkcs8(struct mm_bytes der, EVP_PKEY **out, struct mm_why *why)
{
	const uint8_t *p = der.p;
	MM_OWN(p8_free) PKCS8_PRIV_KEY_INFO *p8 = NULL;
	EVP_PKEY *key;
	char text[120];

	if (der.n > PEM_MAX)
		return MM_FAIL(why, MM_ELIMIT, "private key: %zu bytes", der.n);
	p8 = d2i_PKCS8_PRIV_KEY_INFO(NULL, &p, (long)der.n);
	if (p8 == NULL || p != der.p + der.n ||
	    (key = EVP_PKCS82PKEY(p8)) == NULL)
		return MM_FAIL(why, MM_EINPUT,
		    "private key: RFC 5958: not PKCS#8: %s",
		    mm_openssl_why(text));
	*out = key;
	return MM_OK;
}

/* see key.h */
enum mm_err
mm_key_load(const char *path, struct mm_bytes passphrase,
    struct mm_stretched *kept, EVP_PKEY **out, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf pem = MM_BUF_INIT(PEM_MAX);
	MM_OWN(mm_secret_free) struct mm_secret *der = NULL;

	MM_TRY(mm_file_read(path, &pem, why));
	MM_TRY(mm_unseal(mm_buf_view(&pem), passphrase, kept, &der, why));
	return mm_key_from_pkcs8(mm_secret_view(der), out, why);
}

/* see key.h */
enum mm_err
mm_key_save(const char *path, EVP_PKEY *key, struct mm_bytes passphrase,
    struct mm_why *why)
{
	MM_OWN(mm_buf_wipe) struct mm_buf der = MM_BUF_INIT(PEM_MAX);
	MM_OWN(mm_buf_done) struct mm_buf pem = MM_BUF_INIT(PEM_MAX);

	MM_TRY(mm_key_pkcs8(key, &der, why));
	MM_TRY(mm_seal(mm_buf_view(&der), passphrase, NULL, &pem, why));
	return mm_file_create(path, mm_buf_view(&pem), 0600, why);
}

/* see key.h */
enum mm_err
mm_key_save_plain(const char *path, EVP_PKEY *key, unsigned mode,
    struct mm_why *why)
{
	MM_OWN(mm_buf_wipe) struct mm_buf der = MM_BUF_INIT(PEM_MAX);
	MM_OWN(mm_buf_wipe) struct mm_buf pem = MM_BUF_INIT(PEM_MAX);

	MM_TRY(mm_key_pkcs8(key, &der, why));
	mm_pem_put(&pem, "PRIVATE KEY", mm_buf_view(&der));
	MM_TRY(mm_buf_ok(&pem, why));
	return mm_file_replace(path, mm_buf_view(&pem), mode, why);
}

/* see key.h */
enum mm_err
mm_key_load_plain(const char *path, EVP_PKEY **out, struct mm_why *why)
{
	/* what openssl(1), certbot and others call the same thing */
	static const char *const labels[] = { "PRIVATE KEY", "EC PRIVATE KEY",
		"RSA PRIVATE KEY" };
	MM_OWN(mm_buf_wipe) struct mm_buf pem = MM_BUF_INIT(PEM_MAX);
	MM_OWN(mm_buf_wipe) struct mm_buf der = MM_BUF_INIT(PEM_MAX);
	char text[120];

	MM_TRY(mm_file_read(path, &pem, why));
	for (size_t i = 0; i < MM_COUNT(labels); i++) {
		struct mm_bytes rest = mm_buf_view(&pem);
		enum mm_err rc = mm_pem_next(&rest, labels[i], &der, NULL);
		const uint8_t *p = der.p;
		EVP_PKEY *key = NULL;

		if (rc == MM_ENOTFOUND)
			continue;
		if (rc == MM_OK)
			key = d2i_AutoPrivateKey(NULL, &p, (long)der.n);
		if (key == NULL)
			return MM_FAIL(why, MM_EINPUT,
			    "%.80s: cannot read the private key: %s", path,
			    mm_openssl_why(text));
		*out = key;
		return MM_OK;
	}
	return MM_FAIL(why, MM_EINPUT, "%.100s: no private key in PEM", path);
}
