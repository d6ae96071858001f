#ifndef MMD_X509_H
#define MMD_X509_H

#include "mmd_codec.h"

/*
 * Writes a certificate request (PKCS#10, RFC 2986): subject CN=name and
 * nothing else, the public key of the slot, no attributes.  The server
 * names the device from what it knows (never from here), so no csrattrs
 * could change what is needed.  name: 1 to 64 characters of UTF-8.
 *
 * The request is at out->p, somewhere in buf.  400 bytes do for P-256, 500
 * for P-384, 1,000 for RSA.  MMD_ESPACE, MMD_NONE (no key), the port's.
 */
enum mmd_rc mmd_request_write(const struct mmd_crypto *crypto, unsigned slot,
    struct mmd_bytes name, uint8_t *buf, size_t cap, struct mmd_bytes *out)
    MMD_MUST;

/*
 * The same with a subject of more than that: a Name, DER, as it is.  Where the
 * maker's own CA is asked, requests are passed on, and the server says by its
 * csrattrs what they have to be called (mmd_csrattrs_subject).
 */
enum mmd_rc mmd_request_write_as(const struct mmd_crypto *crypto,
    unsigned slot, struct mmd_bytes subject, uint8_t *buf, size_t cap,
    struct mmd_bytes *out) MMD_MUST;
/*
 * The subject of the template in a csrattrs answer (RFC 7030 4.5, RFC 9908
 * 3.4), borrowed; what else is asked for is passed over.  MMD_NONE: there is
 * none, or it leaves a value to the device; MMD_EINPUT.
 */
enum mmd_rc mmd_csrattrs_subject(struct mmd_bytes der,
    struct mmd_bytes *subject) MMD_MUST;

/*
 * What a key signs with, of every kind that there is: for struct mmd_crypto,
 * of a port whose keys are of more than one.  NULL: none of them.
 */
const struct mmd_signature *mmd_signature_of(struct mmd_bytes spki);

/*
 * Signs any message by the slot's key, in the form that X.509 has for it:
 * ECDSA or RSA over SHA-256, or Ed25519.  buf holds the public key first, then
 * *n bytes of signature.  MMD_ESPACE, MMD_NONE (no key), the port's.
 */
enum mmd_rc mmd_request_sign(const struct mmd_crypto *crypto, unsigned slot,
    const struct mmd_bytes *msg, uint8_t *buf, size_t cap, size_t *n)
    MMD_MUST;

/*
 * A certificate (RFC 5280 4.1) as slices of its DER.  That it parsed proves
 * its shape and nothing else: no signature is checked here.
 */
struct mmd_cert {
	struct mmd_bytes whole;   /* the certificate */
	struct mmd_bytes tbs;     /* what is signed, with tag */
	struct mmd_bytes serial;  /* contents of the INTEGER */
	struct mmd_bytes issuer, subject; /* Names, with tag */
	struct mmd_bytes spki;    /* SubjectPublicKeyInfo, with tag */
	struct mmd_bytes extensions; /* contents of the SEQUENCE, or n = 0 */
	struct mmd_bytes sig_alg; /* AlgorithmIdentifier, with tag */
	struct mmd_bytes sig;     /* without the count of unused bits */
	int64_t not_before_s, not_after_s;
};

/* der must be the certificate exactly. */
enum mmd_rc mmd_cert_parse(struct mmd_bytes der, struct mmd_cert *c)
    MMD_MUST;
/* The first commonName of a Name, borrowed; MMD_NONE. */
enum mmd_rc mmd_name_cn(struct mmd_bytes name, struct mmd_bytes *cn) MMD_MUST;

/* The certificates of a certs-only PKCS#7 (RFC 5272 4.1, RFC 5652 5). */
struct mmd_pkcs7 {
	struct mmd_der certs;
};

enum mmd_rc mmd_pkcs7_open(struct mmd_bytes der, struct mmd_pkcs7 *p7)
    MMD_MUST;
/* The next one's DER, borrowed; MMD_NONE at the end, MMD_EINPUT. */
enum mmd_rc mmd_pkcs7_next(struct mmd_pkcs7 *p7, struct mmd_bytes *cert)
    MMD_MUST;

#endif
