#ifndef MMD_PORT_P256_H
#define MMD_PORT_P256_H

#include "mmd_codec.h"

/*
 * For the ports to crypto that gives P-256 raw, 64 bytes for a point as for a
 * signature: the same as X.509 has it.
 */
#define MMD_P256_RAW 64

/* The SubjectPublicKeyInfo of the point x, y (RFC 5480 2).  MMD_ESPACE. */
enum mmd_rc mmd_p256_spki(const uint8_t xy[MMD_P256_RAW], uint8_t *p,
    size_t cap, size_t *n) MMD_MUST;
/* The ECDSA-Sig-Value of r, s (RFC 3279 2.2.3), up to 72 bytes.  MMD_ESPACE. */
enum mmd_rc mmd_p256_signature(const uint8_t rs[MMD_P256_RAW], uint8_t *p,
    size_t cap, size_t *n) MMD_MUST;

#endif
