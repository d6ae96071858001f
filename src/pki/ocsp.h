#ifndef MM_PKI_OCSP_H
#define MM_PKI_OCSP_H

#include "base/buf.h"
#include "base/bytes.h"
#include "base/err.h"
#include "pki/cert.h"

/*
 * OCSP (RFC 6960) as far as a responder of the lightweight profile speaks it
 * (RFC 9919, RFC 5019): requests for one certificate each, read strictly, and
 * answers that a delegated responder signs.
 */
#define MM_OCSP_REQUEST_MAX 1024
#define MM_OCSP_ID_MAX      128
#define MM_OCSP_NONCE_MAX   128 /* RFC 9654 2.1 */
#define MM_OCSP_ANSWER_MAX  (MM_CERT_MAX + 1024)

/* How names and keys of issuers are hashed in a CertID. */
enum mm_ocsp_hash { MM_OCSP_SHA1, MM_OCSP_SHA256, MM_OCSP_HASHES };

/* RFC 6960 4.1.1: CertID; slices borrow the DER. */
struct mm_ocsp_id {
	struct mm_bytes whole;
	enum mm_ocsp_hash hash;
	struct mm_bytes name_hash, key_hash;
	struct mm_bytes serial; /* INTEGER's contents: 1 to 20 bytes */
};
/* MM_EINPUT: malformed; MM_ENOTFOUND: hashed in a way that we do not know. */
MM_MUST enum mm_err mm_ocsp_id_parse(struct mm_bytes der,
    struct mm_ocsp_id *out, struct mm_why *why);

/* What an issuer's certificates are asked for by. */
struct mm_ocsp_issuer {
	uint8_t name_hash[MM_OCSP_HASHES][32], key_hash[MM_OCSP_HASHES][32];
};
/* der: the issuer's certificate. */
MM_MUST enum mm_err mm_ocsp_issuer_make(struct mm_bytes der,
    struct mm_ocsp_issuer *out, struct mm_why *why);
bool mm_ocsp_is_of(const struct mm_ocsp_id *id,
    const struct mm_ocsp_issuer *issuer);

struct mm_ocsp_request {
	struct mm_ocsp_id id;
	struct mm_bytes nonce; /* {NULL, 0}: none */
};
/*
 * RFC 6960 4.1.  A signature and a name of who asks are read over.
 * MM_EINPUT: malformed, a critical extension that we do not know, a nonce of
 * no or too many bytes, or of more certificates than one;
 * MM_ENOTFOUND: hashed in a way that we do not know.
 */
MM_MUST enum mm_err mm_ocsp_request_parse(struct mm_bytes der,
    struct mm_ocsp_request *out, struct mm_why *why);

/* RFC 6960 4.2.1: an answer that nobody signs; the one-byte enumeration. */
enum mm_ocsp_refusal {
	MM_OCSP_MALFORMED = 1, MM_OCSP_INTERNAL = 2, MM_OCSP_TRY_LATER = 3,
	MM_OCSP_UNAUTHORIZED = 6,
};
#define MM_OCSP_REFUSAL_N 5
void mm_ocsp_refusal(enum mm_ocsp_refusal why, uint8_t out[MM_OCSP_REFUSAL_N]);

enum mm_ocsp_status { MM_OCSP_GOOD, MM_OCSP_REVOKED, MM_OCSP_UNKNOWN };
struct mm_ocsp_answer {
	struct mm_bytes id;      /* CertID, whole, as it was asked */
	enum mm_ocsp_status status;
	int64_t revoked_s;       /* revoked: since when ... */
	uint8_t reason;          /* ... and why; RFC 5280 5.3.1 */
	int64_t made_s, this_s, next_s;
	struct mm_bytes nonce;   /* of the request; {NULL, 0}: none */
	struct mm_bytes key;     /* the responder's: its BIT STRING's bytes */
};
/* Appends the ResponseData (RFC 6960 4.2.1), which the responder signs. */
MM_MUST enum mm_err mm_ocsp_build(const struct mm_ocsp_answer *a,
    struct mm_buf *tbs, struct mm_why *why);
/* Appends the OCSPResponse of it; cert: the responder's, whole. */
void mm_ocsp_join(struct mm_buf *out, struct mm_bytes tbs,
    struct mm_bytes alg, struct mm_bytes sig, struct mm_bytes cert);

#endif
