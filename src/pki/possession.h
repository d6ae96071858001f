#ifndef MM_PKI_POSSESSION_H
#define MM_PKI_POSSESSION_H

#include "pki/cert.h"

/*
 * What a device signs at the line to prove its certificate
 * (docs/protocol/link.md, prove): "mintmark-prove", a nonce, its hardware id,
 * the certificate's SHA-256.  Nobody could sign it before there was the
 * certificate, so it proves that this device had key and certificate after it
 * was issued, whoever chose the nonce.
 */
#define MM_POSSESSION_NONCE    32
#define MM_POSSESSION_HARDWARE 32

struct mm_possession {
	uint8_t nonce[MM_POSSESSION_NONCE];
	struct mm_bytes hardware; /* 1 to MM_POSSESSION_HARDWARE bytes */
	struct mm_bytes signature;
};

/* MM_EINPUT: not a certificate, or hardware is none; MM_EAUTH: it does not
 * hold. */
MM_MUST enum mm_err mm_possession_verify(struct mm_bytes cert,
    const struct mm_possession *p, struct mm_why *why);

/* For a key that is not in a device: appends what it would sign. */
MM_MUST enum mm_err mm_possession_sign(struct mm_bytes cert, EVP_PKEY *key,
    const uint8_t nonce[MM_POSSESSION_NONCE], struct mm_bytes hardware,
    struct mm_buf *out, struct mm_why *why);

#endif
