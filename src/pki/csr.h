#ifndef MM_PKI_CSR_H
#define MM_PKI_CSR_H

#include "base/bytes.h"
#include "base/err.h"
#include "pki/key.h"

/*
 * Certification requests (RFC 2986) as devices send them.
 *
 * A struct mm_csr that mm_csr_walk filled was well formed DER with nothing
 * after it, version 0, a key type that we certify in principle, and a
 * signature algorithm that fits the key.  It does NOT prove possession:
 * mm_csr_verify does, and only the signer calls it.  Slices borrow the DER.
 */
#define MM_CSR_MAX 8192

struct mm_csr {
	struct mm_bytes info;      /* CertificationRequestInfo, whole: signed */
	struct mm_bytes subject;   /* Name, whole */
	struct mm_spki spki;
	struct mm_bytes alg;       /* signature's AlgorithmIdentifier, whole */
	struct mm_bytes signature; /* BIT STRING's contents */
	struct mm_bytes challenge; /* challengePassword's text; may be empty */
	struct mm_bytes extensions;/* extensionRequest's; may be empty */
	struct mm_bytes strange;   /* OID of the first further attribute */
};

/* MM_ELIMIT above MM_CSR_MAX, MM_EINPUT, MM_EPOLICY (weak key, SHA-1...). */
MM_MUST enum mm_err mm_csr_walk(struct mm_bytes der, struct mm_csr *out,
    struct mm_why *why);
/* RFC 2986 4.2: the signature holds under the request's own key. */
MM_MUST enum mm_err mm_csr_verify(const struct mm_csr *csr,
    OSSL_LIB_CTX *lib, struct mm_key_templates *templates,
    struct mm_why *why);
/* SHA-256 of the SubjectPublicKeyInfo: the key's name everywhere. */
void mm_csr_key_hash(const struct mm_csr *csr, uint8_t out[32]);
/* The subject's CN and serialNumber as texts ("" if absent): for matching
 * RFC 7030 4.2.2 only, never copied into a certificate. */
void mm_csr_subject_names(const struct mm_csr *csr, char cn[65],
    char serial_number[65]);
/* Makes a request: for tests, the CLI and serverkeygen. */
MM_MUST enum mm_err mm_csr_make(EVP_PKEY *key, const char *cn,
    struct mm_buf *der, struct mm_why *why);

#endif
