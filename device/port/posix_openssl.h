#ifndef MMD_POSIX_OPENSSL_H
#define MMD_POSIX_OPENSSL_H

#include <openssl/types.h>

#include "mmd.h"

/*
 * The ports for POSIX with OpenSSL 3: crypto, tls, clock, and a TCP
 * connection for tls to stand on.  nv is the program's own (files).
 *
 * Each struct is the caller's and must outlive the port made over it.
 */

/*
 * Keys are PKCS#8 PEM in nv's MMD_NV_KEY, unencrypted, made and used here; or
 * PEM of another kind that a provider knows, which the program has loaded.
 * Zeroed but for nv to begin with.
 */
struct mmd_openssl_keys {
	const struct mmd_nv *nv;
	/* The port's own: a public key, and the hash of what it is in. */
	uint8_t of[MMD_HASH], spki[MMD_SPKI_MAX];
	size_t spki_n;
};

struct mmd_crypto mmd_openssl_crypto(struct mmd_openssl_keys *keys);
/* The slot's key; the caller frees it.  MMD_NONE, MMD_EPORT. */
enum mmd_rc mmd_openssl_key(const struct mmd_nv *nv, unsigned slot,
    EVP_PKEY **out) MMD_MUST;

/*
 * A TLS client over a connected, non-blocking socket, which close closes.
 * Zeroed but for fd and nv to begin with.
 */
struct mmd_openssl_tls {
	int fd;
	const struct mmd_nv *nv;
	char reason[120]; /* after a failure: for people, may be "" */
	/* When all of the server's chain is valid, whether it was refused or
	 * not; 0 and 0: not known. */
	int64_t from_s, until_s;
	/* The port's own: */
	SSL_CTX *ctx;
	SSL *ssl;
	const struct mmd_tls_want *want; /* from open to the end of shake */
	enum mmd_tls_mode mode;
	bool cert_seen, wants_write;
};

struct mmd_tls mmd_openssl_tls(struct mmd_openssl_tls *t);
/* After MMD_MORE: until the socket is ready; MMD_MORE if that takes longer. */
enum mmd_rc mmd_openssl_wait(const struct mmd_openssl_tls *t, int timeout_ms)
    MMD_MUST;

/*
 * Connects within timeout_ms, resolving the name first (which may take as
 * long as the resolver likes).  MMD_NONE: no such name; MMD_ECLOSED: refused
 * or no answer.
 */
enum mmd_rc mmd_posix_connect(const char *host, const char *port,
    int timeout_ms, int *fd) MMD_MUST;

struct mmd_clock mmd_posix_clock(void);

#endif
