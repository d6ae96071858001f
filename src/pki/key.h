#ifndef MM_PKI_KEY_H
#define MM_PKI_KEY_H

#include <openssl/evp.h>

#include "base/buf.h"
#include "base/own.h"
#include "base/secret.h"

/* libcrypto uses its default context without asking whether there was memory
 * for it: every program asks, before anything else of it.  MM_ENOMEM. */
MM_MUST enum mm_err mm_openssl_ready(struct mm_why *why);

/*
 * Key types, public keys as they stand in requests, private keys in files.
 */
enum mm_key_type {
	MM_KEY_P256, MM_KEY_P384, MM_KEY_ED25519, MM_KEY_RSA2048,
	MM_KEY_RSA3072, MM_KEY_RSA4096, MM_KEY_TYPES
};
/* "p256", "p384", "ed25519", "rsa2048", ...: configuration and API. */
const char *mm_key_type_name(enum mm_key_type t);
MM_MUST enum mm_err mm_key_type_parse(const char *name, enum mm_key_type *out,
    struct mm_why *why);

MM_FREE_FN(mm_pkey_free, EVP_PKEY, EVP_PKEY_free)

/*
 * A SubjectPublicKeyInfo read strictly: named curve, RSA exponent 65537, RSA
 * 2048..4096 bits, no ROCA fingerprint, no bytes after.  Borrowed slices.
 * That an EC point is on its curve is known only after mm_spki_load.
 */
struct mm_spki {
	enum mm_key_type type;
	struct mm_bytes whole; /* the SPKI's DER */
	struct mm_bytes key;   /* BIT STRING's contents without unused-bits */
};
/* MM_EINPUT: malformed; MM_EPOLICY: a key nobody should certify. */
MM_MUST enum mm_err mm_spki_parse(struct mm_bytes der, struct mm_spki *out,
    struct mm_why *why);
/*
 * A verifying key without OpenSSL's decoders: EVP_PKEY_copy_parameters from
 * a template and EVP_PKEY_set1_encoded_public_key (checks the point).
 * templates is per thread: mm_key_templates_new.
 */
struct mm_key_templates;
MM_MUST enum mm_err mm_key_templates_new(OSSL_LIB_CTX *lib,
    struct mm_key_templates **out, struct mm_why *why);
void mm_key_templates_free(struct mm_key_templates **owner);
MM_MUST enum mm_err mm_spki_load(const struct mm_spki *spki,
    struct mm_key_templates *templates, EVP_PKEY **out, struct mm_why *why);

/* SHA-256 of any bytes, the fast way. */
void mm_sha256(struct mm_bytes b, uint8_t out[32]);
void mm_sha256_2(struct mm_bytes a, struct mm_bytes b, uint8_t out[32]);
/* Of n parts in a row. */
void mm_sha256_parts(const struct mm_bytes *part, size_t n, uint8_t out[32]);
/* Where a protocol names issuers by it (RFC 6960 4.1.1); never to sign. */
void mm_sha1(struct mm_bytes b, uint8_t out[20]);

/* RFC 2104; not HMAC(3), whose every use fetches the algorithm anew. */
void mm_hmac_sha256(struct mm_bytes key, struct mm_bytes data,
    uint8_t out[32]);
/*
 * The hash of what can be guessed (attributes, a name), for a record that
 * others read: SHA-256 of a salt and then the text.  The salt stays where the
 * text is and goes with it; after that nobody can tell what was hashed.
 * A salt of zeros is none: the hash of the text alone, as older records have.
 * MM_ECRYPTO: no random bytes.
 */
#define MM_SALT_N 16
MM_MUST enum mm_err mm_salt_make(uint8_t salt[MM_SALT_N], struct mm_why *why);
void mm_salted_sha256(const uint8_t salt[MM_SALT_N], struct mm_bytes text,
    uint8_t out[32]);

MM_MUST enum mm_err mm_key_make(enum mm_key_type t, EVP_PKEY **out,
    struct mm_why *why);
MM_MUST enum mm_err mm_key_type_of(EVP_PKEY *key, enum mm_key_type *out,
    struct mm_why *why);
/* Appends the SubjectPublicKeyInfo's DER. */
MM_MUST enum mm_err mm_key_spki(EVP_PKEY *key, struct mm_buf *out,
    struct mm_why *why);
/* Appends unencrypted PKCS#8 DER: serverkeygen and sealing only. */
MM_MUST enum mm_err mm_key_pkcs8(EVP_PKEY *key, struct mm_buf *out,
    struct mm_why *why);
MM_MUST enum mm_err mm_key_from_pkcs8(struct mm_bytes der, EVP_PKEY **out,
    struct mm_why *why);

/*
 * Sealed secrets: EncryptedPrivateKeyInfo (RFC 5958) with PBES2, scrypt
 * (RFC 7914: N 2^15, r 8, p 1) and AES-256-GCM (RFC 5084), as PEM
 * "ENCRYPTED PRIVATE KEY".  Any secret bytes can be sealed; for keys they are
 * PKCS#8.  A wrong passphrase is MM_EAUTH.
 *
 * What scrypt makes of one passphrase can be kept in a struct mm_stretched:
 * secrets that are sealed with the same one share their salt (each has a nonce
 * of its own), and are opened with the same one for the price of one.  NULL:
 * each for itself.  To guess the passphrase costs the same either way, since
 * one file suffices for that.
 */
struct mm_stretched;
MM_MUST enum mm_err mm_stretched_new(struct mm_stretched **out,
    struct mm_why *why);
void mm_stretched_free(struct mm_stretched **owner); /* wipes it */
MM_MUST enum mm_err mm_seal(struct mm_bytes secret, struct mm_bytes passphrase,
    struct mm_stretched *kept, struct mm_buf *pem, struct mm_why *why);
MM_MUST enum mm_err mm_unseal(struct mm_bytes pem, struct mm_bytes passphrase,
    struct mm_stretched *kept, struct mm_secret **out, struct mm_why *why);
MM_MUST enum mm_err mm_key_load(const char *path, struct mm_bytes passphrase,
    struct mm_stretched *kept, EVP_PKEY **out, struct mm_why *why);
MM_MUST enum mm_err mm_key_save(const char *path, EVP_PKEY *key,
    struct mm_bytes passphrase, struct mm_why *why);
/* Unsealed PEM "PRIVATE KEY", mode 0600 or as given: TLS server keys. */
MM_MUST enum mm_err mm_key_save_plain(const char *path, EVP_PKEY *key,
    unsigned mode, struct mm_why *why);
MM_MUST enum mm_err mm_key_load_plain(const char *path, EVP_PKEY **out,
    struct mm_why *why);

/*
 * The same for a program that has a key already, of 32 random bytes, for this
 * secret alone: a nonce of 12 bytes, the ciphertext, a tag of 16.  MM_EAUTH:
 * it was sealed by another key, or changed.
 */
MM_MUST enum mm_err mm_box_seal(const uint8_t key[32], struct mm_bytes secret,
    struct mm_buf *out, struct mm_why *why);
MM_MUST enum mm_err mm_box_open(const uint8_t key[32], struct mm_bytes box,
    struct mm_secret **out, struct mm_why *why);

/*
 * A private key on its way to one machine: CMS AuthEnvelopedData (RFC 5083,
 * AES-256-GCM) of its PKCS#8 for a recipient's certificate, by key agreement
 * (RFC 5753, SHA-256).  cert: DER, of a key on a NIST curve; nothing of it but
 * its key, issuer and serial is used.  MM_EINPUT: no certificate, or of
 * another kind of key, no such CMS;
 * MM_EAUTH: it is for another key, or was changed.
 */
MM_MUST enum mm_err mm_key_wrap(EVP_PKEY *key, struct mm_bytes cert,
    struct mm_buf *out, struct mm_why *why);
MM_MUST enum mm_err mm_key_unwrap(struct mm_bytes wrapped, EVP_PKEY *key,
    struct mm_bytes cert, EVP_PKEY **out, struct mm_why *why);

/*
 * Signing with a reused context; one per thread and key.  alg is the
 * AlgorithmIdentifier's DER that belongs in a certificate.
 */
struct mm_sign;
MM_MUST enum mm_err mm_sign_new(OSSL_LIB_CTX *lib, EVP_PKEY *key,
    struct mm_sign **out, struct mm_why *why);
/*
 * The same for a key that is elsewhere, of which this has the public half: fn
 * answers as a PKCS#11 module does (CKM_ECDSA of a hash: r and s in a row;
 * CKM_RSA_PKCS of a DigestInfo), at most *n bytes.  What comes back and does
 * not verify by key is MM_ECRYPTO: no signature but the key's own leaves.
 * MM_EPOLICY: an Ed25519 key.
 */
typedef enum mm_err mm_sign_far_fn(void *ctx, struct mm_bytes input,
    uint8_t *sig, size_t *n, struct mm_why *why);
MM_MUST enum mm_err mm_sign_new_far(EVP_PKEY *key, mm_sign_far_fn *fn,
    void *ctx, struct mm_sign **out, struct mm_why *why);
void mm_sign_free(struct mm_sign **owner);
struct mm_bytes mm_sign_alg(const struct mm_sign *s);
/* Appends the signature (DER for ECDSA, raw otherwise). */
MM_MUST enum mm_err mm_sign_bytes(struct mm_sign *s, struct mm_bytes tbs,
    struct mm_buf *out, struct mm_why *why);
/* Verifies; alg is the AlgorithmIdentifier's whole DER. */
MM_MUST enum mm_err mm_verify_bytes(OSSL_LIB_CTX *lib, EVP_PKEY *key,
    struct mm_bytes alg, struct mm_bytes tbs, struct mm_bytes sig,
    struct mm_why *why);

/* Drains OpenSSL's error queue into words: the one place.  fail: MM_ENOMEM if
 * it lacked memory, which is nobody's input's fault; else usual. */
const char *mm_openssl_why(char out[120]);
MM_MUST enum mm_err mm_openssl_fail(enum mm_err usual, char out[120]);

#endif
