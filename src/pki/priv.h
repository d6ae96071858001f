#ifndef MM_PKI_PRIV_H
#define MM_PKI_PRIV_H

/* Shared by pki's own files; nobody else includes this. */

#include "base/text.h"
#include "base/time.h"
#include "pki/cert.h"
#include "pki/der.h"

#define MM_COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* Strings that foreign names hold and we never write. */
#define MM_DER_NUMERIC 0x12
#define MM_DER_T61     0x14
#define MM_DER_BMP     0x1e

/* An INTEGER's contents: minimal and not negative. */
bool mm_der_natural_ok(struct mm_bytes v);
/* An OBJECT IDENTIFIER's contents: whole, minimal subidentifiers. */
bool mm_der_oid_ok(struct mm_bytes v);
/* Contents from dotted text; 0 if it is not an OID. */
#define MM_OID_MAX 64
size_t mm_der_oid_encode(const char *dotted, uint8_t out[MM_OID_MAX]);
/* Dotted text that mm_der_put_oid can write. */
bool mm_der_oid_valid(const char *dotted);
/* A universal value of a type that names and attributes may hold. */
bool mm_der_value_ok(uint8_t tag, struct mm_bytes body);

/* Name ::= SEQUENCE OF SET OF SEQUENCE { OID, string }; empty is fine. */
bool mm_name_ok(struct mm_bytes name);
/* Appends the dotted text of an OID's contents. */
void mm_oid_text(struct mm_bytes oid, struct mm_buf *out);
/* AlgorithmIdentifier, whole: SEQUENCE { OID, ANY OPTIONAL }. */
bool mm_alg_ok(struct mm_bytes alg);
/* Contents of Extensions: well formed, none twice, at most 64. */
bool mm_extensions_ok(struct mm_bytes extensions);

/* The next extension of Extensions' contents; false at the end. */
struct mm_extension {
	struct mm_bytes oid, value;
	bool critical;
};
bool mm_extension_next(struct mm_rd *r, struct mm_extension *out);

/* The next attribute of a Name's contents, across its RDNs. */
struct mm_attribute {
	struct mm_bytes oid, value;
	uint8_t tag;
};
struct mm_name_rd {
	struct mm_rd rdns, set;
};
struct mm_name_rd mm_name_over(struct mm_bytes name);
bool mm_name_next(struct mm_name_rd *r, struct mm_attribute *out);

/* A TBSCertificate, whole; fills all of out but whole, alg, signature. */
MM_MUST enum mm_err mm_tbs_walk(struct mm_bytes tbs, struct mm_cert *out,
    struct mm_bytes *alg, struct mm_why *why);

/* Splits without judging the key: type MM_KEY_TYPES where it is not ours. */
MM_MUST enum mm_err mm_spki_split(struct mm_bytes der, struct mm_spki *out,
    struct mm_why *why);

/* Signature algorithms: which key they need and how they hash. */
enum mm_sig_kind { MM_SIG_ECDSA, MM_SIG_RSA, MM_SIG_PSS, MM_SIG_ED25519 };
/* The name of an AlgorithmIdentifier that we have no row for. */
const char *mm_alg_foreign(struct mm_bytes alg);

struct mm_sig_alg {
	struct mm_bytes der; /* AlgorithmIdentifier, whole */
	enum mm_sig_kind kind;
	unsigned bits; /* of SHA-2 */
};
/* NULL: not accepted (RFC 8017 B.1, BCP: no MD5, no SHA-1). */
const struct mm_sig_alg *mm_sig_find(struct mm_bytes alg);
bool mm_sig_fits(const struct mm_sig_alg *a, enum mm_key_type t);
/* What a key of this type signs with. */
const struct mm_sig_alg *mm_sig_of(enum mm_key_type t);
/* Padding and hash of an initialised context. */
bool mm_sig_prepare(EVP_PKEY_CTX *c, const struct mm_sig_alg *a);
MM_MUST enum mm_err mm_sig_verify(OSSL_LIB_CTX *lib, EVP_PKEY *key,
    const struct mm_sig_alg *a, struct mm_bytes tbs, struct mm_bytes sig);
/* The same in a context that was made before; not for Ed25519. */
MM_MUST enum mm_err mm_sig_verify_in(EVP_PKEY_CTX *c,
    const struct mm_sig_alg *a, struct mm_bytes tbs, struct mm_bytes sig);
/* For mm_sig_verify_in: a context that holds this P-256 or P-384 key until
 * the next call.  NULL: the point is not on its curve.  Making key and
 * context anew takes locks and 6 us. */
EVP_PKEY_CTX *mm_point_ctx(const struct mm_spki *s,
    struct mm_key_templates *t);

/* Pieces of a TBSCertificate that both builders write. */
struct mm_ext_mark {
	size_t seq, value;
};
struct mm_ext_mark mm_ext_open(struct mm_buf *b, const char *oid,
    bool critical);
void mm_recovery_put_purpose(struct mm_buf *b);
void mm_confdoc_put_purpose(struct mm_buf *b);
void mm_ext_close(struct mm_buf *b, struct mm_ext_mark m);
void mm_ext_put_aki(struct mm_buf *b, struct mm_bytes key_id);
void mm_ext_put_ski(struct mm_buf *b, struct mm_bytes key);
void mm_ext_put_usage(struct mm_buf *b, unsigned bits); /* 1 << bit */
void mm_name_put(struct mm_buf *b, const char *oid, uint8_t tag,
    const char *value);
MM_MUST enum mm_err mm_subject_put(struct mm_buf *b,
    const struct mm_conf_list *items, const char *device,
    const char *product, struct mm_why *why);
/* Version to validity. */
void mm_tbs_put_head(struct mm_buf *b, struct mm_bytes serial,
    struct mm_bytes alg, struct mm_bytes issuer, const int64_t validity[2]);

/* SHA-2 without fetching; bits 256, 384 or 512; gives the length. */
size_t mm_sha2(unsigned bits, struct mm_bytes b, uint8_t out[64]);

#endif
