#ifndef CA_H
#define CA_H

#include <openssl/types.h>

#include "mmd.h"

/*
 * A certificate authority for tests: a root, an issuer below it, devices below
 * that.  A key that was certified before gets the same certificate again, from
 * the folder where they are kept, one file a key.
 */
struct ca {
	EVP_PKEY *root_key, *key;
	X509 *root, *issuer;
	char folder[512]; /* "": nothing is kept over the end of the program */
	/* The last certificate and its key's hash, where there is no folder. */
	uint8_t last_key[MMD_HASH], last[1024];
	size_t last_n;
	unsigned issued; /* certificates made, not those given again */
};

#define CA_DER_MAX 1024

/* folder "" or one that exists, with keys of its own if it was used before. */
bool ca_open(struct ca *ca, const char *folder);
void ca_close(struct ca *ca);
/*
 * Verifies a request (PKCS#10, DER) and certifies its key for CN=name.  Gives
 * the certificate and its key's SPKI, both in DER.  False: it is no request,
 * or not signed by its key.
 */
bool ca_certify(struct ca *ca, struct mmd_bytes request, const char *name,
    uint8_t cert[CA_DER_MAX], size_t *cert_n, uint8_t spki[MMD_SPKI_MAX],
    size_t *spki_n);
/* The issuer's certificate: a device's chain. */
bool ca_chain(const struct ca *ca, uint8_t der[CA_DER_MAX], size_t *n);
/* Whether sig is by the SPKI's key over msg, with SHA-256. */
bool ca_verify(struct mmd_bytes spki, struct mmd_bytes msg,
    struct mmd_bytes sig);
void ca_hash(struct mmd_bytes v, uint8_t out[MMD_HASH]);

#endif
