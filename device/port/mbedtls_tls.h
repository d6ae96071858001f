#ifndef MMD_MBEDTLS_TLS_H
#define MMD_MBEDTLS_TLS_H

#include <mbedtls/ssl.h>
#include <psa/crypto.h>

#include "mmd.h"

/*
 * A TLS client by mbed TLS, 3.6 or 2.28, over any byte stream.  With 3.6 a
 * token's handshake is TLS 1.3 or 1.2 as it is built; with 2.28 it is 1.2.
 * The device's key is PSA's and never seen here (MBEDTLS_USE_PSA_CRYPTO).
 *
 * What it wants of mbed TLS's configuration: SHA-256, P-256, for a token
 * PSK with (EC)DHE and AES-128-GCM or ChaCha20-Poly1305.  Records that a server
 * sends may be 16 KB long, unless it takes the extension that asks for less:
 * MBEDTLS_SSL_IN_CONTENT_LEN must hold the largest answer, 4 KB with chains of
 * two certificates.
 *
 * A validity is checked only if want->at_s says when it is, or mbed TLS has a
 * clock of its own (MBEDTLS_HAVE_TIME_DATE).
 */
struct mmd_mbedtls {
	const struct mmd_io *io; /* to the server, connected */
	psa_key_id_t first;      /* as in struct mmd_psa_keys */
	int why; /* after a failure: mbed TLS's code, or minus an alert */
	/* The port's own: */
	mbedtls_ssl_context ssl;
	mbedtls_ssl_config conf;
	mbedtls_x509_crt anchor, own;
	mbedtls_pk_context key;
	enum mmd_tls_mode mode;
	int64_t at_s;
};

/* t must outlive the port; close frees what open took. */
struct mmd_tls mmd_mbedtls_tls(struct mmd_mbedtls *t);

#endif
