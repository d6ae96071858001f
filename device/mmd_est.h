#ifndef MMD_EST_H
#define MMD_EST_H

#include "mmd_codec.h"

/*
 * EST (RFC 7030, RFC 8951) as a machine: it says which bytes to send, is
 * given the bytes that came, and tells when an answer is whole.  It does not
 * read, write, wait or know TLS; the caller's stream must already have
 * proved the peer.
 *
 *	mmd_est_init(&e, &conf);
 *	mmd_est_start(&e, MMD_EST_CACERTS, none);
 *	while ((rc = mmd_est_run(&e, &tls->io)) == MMD_MORE)
 *		wait for the stream;
 *	if (rc == MMD_OK && e.http.status == 200)
 *		use e.body;
 *
 * Several requests go one after another over one stream, until
 * e.http.close.  A request that got no answer may be started again on a new
 * stream: the same key gets the same certificate.
 */
enum mmd_est_op {
	MMD_EST_CACERTS,  /* GET: PKCS#7 of the anchor and issuers, 4.1 */
	MMD_EST_CSRATTRS, /* GET: what to ask for, 4.5; 204: nothing */
	MMD_EST_ENROLL,   /* POST a request: PKCS#7 of one certificate, 4.2 */
	MMD_EST_REENROLL, /* the same by the identity at hand, 4.2.2 */
	MMD_EST_CONFIRM,  /* "the new certificate works": 204 */
	MMD_EST_RECEIPT,  /* GET the birth record (JSON); 404: none kept */
	MMD_EST_OPS
};

struct mmd_est_conf {
	const char *host;     /* Host header: "name" or "name:port" */
	const char *label;    /* RFC 7030 3.2.2, or NULL */
	const char *user, *password; /* HTTP Basic, or NULL */
	/*
	 * Holds the request with its body in base64 while it goes out, then
	 * the decoded answer: 1,500 bytes do for P-256 and short chains.
	 */
	uint8_t *buf;
	size_t cap;
	/*
	 * Header lines of ENROLL, each with its CRLF, or NULL.  Beside an
	 * identity that a token's new one is to replace: "Mintmark-Replaces: "
	 * and its serial number in hex; the server refuses a token of another
	 * device then and leaves it unspent.
	 */
	const char *more;
};

struct mmd_est {
	struct mmd_http http;  /* status, date_s, retry_s, close */
	/*
	 * The answer's content once MMD_OK, in the caller's buf: decoded
	 * with status 200, else as it came and cut to fit (a reason for
	 * people).
	 */
	struct mmd_bytes body;
	/* The machine's own: */
	const struct mmd_est_conf *conf;
	struct mmd_base64 b64;
	enum mmd_est_op op;
	uint8_t state;
	size_t out, out_n, n;
};

/* conf is borrowed until the last call. */
void mmd_est_init(struct mmd_est *e, const struct mmd_est_conf *conf);
/*
 * Begins a request; request is its DER for ENROLL and REENROLL (not within
 * conf->buf), else empty.  It is copied.  MMD_ESPACE;
 * MMD_ESTATE: an answer is awaited.
 */
enum mmd_rc mmd_est_start(struct mmd_est *e, enum mmd_est_op op,
    struct mmd_bytes request) MMD_MUST;
/* What is to be sent now (n = 0: nothing), and that n bytes of it went. */
struct mmd_bytes mmd_est_output(const struct mmd_est *e);
void mmd_est_sent(struct mmd_est *e, size_t n);
/*
 * Takes bytes that came.  MMD_MORE: go on.  MMD_OK: the answer is whole, and
 * its status says what it means.  MMD_EINPUT: not HTTP, not the type asked
 * for, or bytes beyond the answer; MMD_ESPACE: larger than buf.
 */
enum mmd_rc mmd_est_input(struct mmd_est *e, struct mmd_bytes in) MMD_MUST;
/* Moves bytes between the machine and a stream until it would wait. */
enum mmd_rc mmd_est_run(struct mmd_est *e, const struct mmd_io *io) MMD_MUST;

#endif
