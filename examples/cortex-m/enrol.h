#ifndef ENROL_H
#define ENROL_H

#include "mmd_est.h"
#include "mmd_store.h"
#include "mmd_token.h"
#include "mmd_x509.h"
#include "modem.h"
#include "port/mbedtls_tls.h"

/*
 * A first enrolment in the field: the token's handshake, EST, the store's
 * LDevID, and confirmation by the new certificate.  All memory is here.
 *
 * It waits (for the network, 20 s at most each time): a board with more to do
 * makes a state machine of it, and the library does not mind.
 */
struct enrol {
	const struct mmd_crypto *crypto;
	const struct mmd_store *store;
	struct modem modem;
	psa_key_id_t first_key;
	/* Its own: */
	const char *step; /* that it failed in, for people */
	struct mmd_token token;
	struct mmd_mbedtls mbedtls;
	struct mmd_io stream;
	struct mmd_tls tls;
	struct mmd_est est;
	struct mmd_est_conf conf;
	uint8_t buf[2048];
	uint8_t issuers[1536]; /* of cacerts, DER in a row */
	size_t issuers_n;
	uint8_t bundle[2048];  /* certificate, issuers, anchor */
	size_t cert_n, anchor_at, all_n;
	int64_t now_s;         /* as the server said, authenticated */
};

/*
 * uri: as the label's QR code has it.  MMD_EPATH: path inspected or wrong
 * server; MMD_EREFUSED: the token (or the request) was refused; and what the
 * library and its ports have.  A key that was made is kept: the same token can
 * be tried again.
 */
enum mmd_rc enrol_run(struct enrol *e, struct mmd_bytes uri) MMD_MUST;

#endif
