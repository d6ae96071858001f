#include "port/posix_openssl.h"

#include <poll.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

#define SUITES_13 "TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256"
#define SUITES_12 "ECDHE-PSK-CHACHA20-POLY1305"

/* Which alerts say that our own proof was refused, by mode. */
static const struct {
	enum mmd_tls_mode mode;
	int alert;
} refusals[] = {
	{ MMD_TLS_TOKEN, SSL_AD_BAD_RECORD_MAC },
	{ MMD_TLS_TOKEN, SSL_AD_ILLEGAL_PARAMETER },
	{ MMD_TLS_TOKEN, SSL_AD_DECRYPT_ERROR },
	{ MMD_TLS_TOKEN, SSL_AD_UNKNOWN_PSK_IDENTITY },
	{ MMD_TLS_MUTUAL, SSL_AD_BAD_CERTIFICATE },
	{ MMD_TLS_MUTUAL, SSL_AD_UNSUPPORTED_CERTIFICATE },
	{ MMD_TLS_MUTUAL, SSL_AD_CERTIFICATE_REVOKED },
	{ MMD_TLS_MUTUAL, SSL_AD_CERTIFICATE_EXPIRED },
	{ MMD_TLS_MUTUAL, SSL_AD_CERTIFICATE_UNKNOWN },
	{ MMD_TLS_MUTUAL, SSL_AD_UNKNOWN_CA },
	{ MMD_TLS_MUTUAL, SSL_AD_ACCESS_DENIED },
	{ MMD_TLS_MUTUAL, SSL_AD_CERTIFICATE_REQUIRED },
};

/* "certificate verify failed" alone helps nobody to mend it. */
static void
tell_check(struct mmd_openssl_tls *t)
{
	static const char head[] = "the server's certificate: ";
	const long rc = SSL_get_verify_result(t->ssl);
	const size_t n = sizeof(head) - 1;

	(void)memcpy(t->reason, head, n);
	(void)strncpy(t->reason + n, X509_verify_cert_error_string(rc),
	    sizeof(t->reason) - n - 1);
}

/* What the error queue says, which is drained here. */
static enum mmd_rc
explain(struct mmd_openssl_tls *t)
{
	unsigned long e = ERR_get_error();
	int reason = ERR_GET_REASON(e);
	const char *text = ERR_reason_error_string(e);

	ERR_clear_error();
	if (t->cert_seen)
		text = "the server answered with a certificate";
	(void)strncpy(t->reason, text != NULL ? text : "",
	    sizeof(t->reason) - 1);
	if (t->cert_seen)
		return MMD_EPATH;
	if (reason == SSL_R_CERTIFICATE_VERIFY_FAILED && t->ssl != NULL)
		tell_check(t);
	/* internal_error: the server cannot look a token up just now */
	if (e == 0 || reason == SSL_R_UNEXPECTED_EOF_WHILE_READING ||
	    reason == SSL_AD_INTERNAL_ERROR + SSL_AD_REASON_OFFSET)
		return MMD_ECLOSED;
	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++)
		if (refusals[i].mode == t->mode && ERR_GET_LIB(e) ==
		    ERR_LIB_SSL && reason == refusals[i].alert +
		    SSL_AD_REASON_OFFSET)
			return MMD_EREFUSED;
	return MMD_EPATH;
}

static enum mmd_rc
outcome(struct mmd_openssl_tls *t, int ret)
{
	int e = SSL_get_error(t->ssl, ret);

	t->wants_write = e == SSL_ERROR_WANT_WRITE;
	if (e == SSL_ERROR_WANT_READ || e == SSL_ERROR_WANT_WRITE)
		return MMD_MORE;
	if (e == SSL_ERROR_ZERO_RETURN)
		return MMD_ECLOSED;
	return explain(t);
}

static int64_t
seconds_of(const ASN1_TIME *at)
{
	struct tm tm;

	return ASN1_TIME_to_tm(at, &tm) == 1 ? (int64_t)timegm(&tm) : 0;
}

/* A clock that is wrong is found out by them: whoever chooses another time
 * has all of it checked again. */
static int
note_times(int ok, X509_STORE_CTX *store)
{
	const SSL *ssl = X509_STORE_CTX_get_ex_data(store,
	    SSL_get_ex_data_X509_STORE_CTX_idx());
	struct mmd_openssl_tls *t = SSL_get_app_data(ssl);
	STACK_OF(X509) *chain = X509_STORE_CTX_get0_chain(store);

	for (int i = 0; i < sk_X509_num(chain); i++) {
		const X509 *x = sk_X509_value(chain, i);
		int64_t from = seconds_of(X509_get0_notBefore(x));
		int64_t until = seconds_of(X509_get0_notAfter(x));

		if (from > t->from_s)
			t->from_s = from;
		if (t->until_s == 0 || until < t->until_s)
			t->until_s = until;
	}
	return ok;
}

/* Only called if the server sent a certificate: never right with a token. */
static int
refuse_certificate(X509_STORE_CTX *store, void *arg)
{
	struct mmd_openssl_tls *t = arg;

	t->cert_seen = true;
	X509_STORE_CTX_set_error(store, X509_V_ERR_APPLICATION_VERIFICATION);
	return 0;
}

static int
give_session(SSL *ssl, const EVP_MD *md, const unsigned char **id, size_t *idn,
    SSL_SESSION **out)
{
	static const unsigned char aes128_gcm_sha256[] = { 0x13, 0x01 };
	const struct mmd_openssl_tls *t = SSL_get_app_data(ssl);
	SSL_SESSION *s;

	*out = NULL;
	if (md != NULL && EVP_MD_get_type(md) != NID_sha256)
		return 0;
	s = SSL_SESSION_new();
	if (s == NULL || !SSL_SESSION_set1_master_key(s, t->want->psk,
	    MMD_HASH) || !SSL_SESSION_set_cipher(s,
	    SSL_CIPHER_find(ssl, aes128_gcm_sha256)) ||
	    !SSL_SESSION_set_protocol_version(s, TLS1_3_VERSION)) {
		SSL_SESSION_free(s);
		return 0;
	}
	*id = (const unsigned char *)t->want->identity;
	*idn = strlen(t->want->identity);
	*out = s;
	return 1;
}

static unsigned
give_key(SSL *ssl, const char *hint, char *identity, unsigned identity_n,
    unsigned char *psk, unsigned psk_n)
{
	const struct mmd_openssl_tls *t = SSL_get_app_data(ssl);
	size_t n = strlen(t->want->identity);

	(void)hint;
	if (n + 1 > identity_n || psk_n < MMD_HASH)
		return 0;
	memcpy(identity, t->want->identity, n + 1);
	memcpy(psk, t->want->psk, MMD_HASH);
	return MMD_HASH;
}

static bool
set_token(struct mmd_openssl_tls *t)
{
	SSL_CTX_set_verify(t->ctx, SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_cert_verify_callback(t->ctx, refuse_certificate, t);
	if (t->want->version == 12)
		SSL_CTX_set_psk_client_callback(t->ctx, give_key);
	else
		SSL_CTX_set_psk_use_session_callback(t->ctx, give_session);
	return SSL_CTX_set_ciphersuites(t->ctx, SUITES_13) == 1 &&
	    SSL_CTX_set_cipher_list(t->ctx, SUITES_12) == 1;
}

static X509 *
next_cert(struct mmd_bytes *der)
{
	const uint8_t *p = der->p;
	X509 *x = der->n == 0 ? NULL : d2i_X509(NULL, &p, (long)der->n);

	if (x == NULL)
		return NULL;
	der->n -= (size_t)(p - der->p);
	der->p = p;
	return x;
}

/* The anchor is believed whether or not it signed itself.  The purpose is asked
 * of each CA, too: one that is for clients alone, such as a line's, whose key
 * lies at a station, has no servers below it. */
static bool
set_anchor(struct mmd_openssl_tls *t)
{
	struct mmd_bytes der = t->want->anchor;
	X509 *x = next_cert(&der);
	X509_STORE *store = SSL_CTX_get_cert_store(t->ctx);
	bool ok = x != NULL && X509_STORE_add_cert(store, x) == 1 &&
	    X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN) == 1 &&
	    SSL_CTX_set_purpose(t->ctx, X509_PURPOSE_SSL_SERVER) == 1;

	X509_free(x);
	SSL_CTX_set_verify(t->ctx, SSL_VERIFY_PEER, note_times);
	return ok;
}

static bool
set_identity(struct mmd_openssl_tls *t)
{
	struct mmd_bytes der = t->want->cert, chain = t->want->chain;
	X509 *x = next_cert(&der);
	EVP_PKEY *key = NULL;
	bool ok = x != NULL &&
	    mmd_openssl_key(t->nv, t->want->slot, &key) == MMD_OK &&
	    SSL_CTX_use_certificate(t->ctx, x) == 1 &&
	    SSL_CTX_use_PrivateKey(t->ctx, key) == 1;

	X509_free(x);
	EVP_PKEY_free(key);
	while (ok && chain.n > 0) {
		x = next_cert(&chain);
		ok = x != NULL && SSL_CTX_add1_chain_cert(t->ctx, x) == 1;
		X509_free(x);
	}
	return ok;
}

static bool
set_mode(struct mmd_openssl_tls *t)
{
	switch (t->want->mode) {
	case MMD_TLS_TOKEN:
		return set_token(t);
	case MMD_TLS_MUTUAL:
		return set_anchor(t) && set_identity(t);
	case MMD_TLS_ANCHOR:
		return set_anchor(t);
	default:
		return false;
	}
}

/* A token is for one version: its key differs between them. */
static bool
set_versions(struct mmd_openssl_tls *t)
{
	unsigned v = t->want->version;
	bool token = t->want->mode == MMD_TLS_TOKEN;
	int least = v == 13 || (token && v == 0) ? TLS1_3_VERSION
	    : TLS1_2_VERSION;
	int most = v == 12 ? TLS1_2_VERSION : TLS1_3_VERSION;

	SSL_CTX_set_session_cache_mode(t->ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_options(t->ctx, SSL_OP_NO_TICKET);
	SSL_CTX_set_mode(t->ctx, SSL_MODE_ENABLE_PARTIAL_WRITE |
	    SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_AUTO_RETRY);
	return SSL_CTX_set_min_proto_version(t->ctx, least) == 1 &&
	    SSL_CTX_set_max_proto_version(t->ctx, most) == 1;
}

/* RFC 9525 2: the name or address asked for, in the certificate's SAN.  Never
 * its subject's CN: a device's is what the device is called. */
static bool
set_peer(struct mmd_openssl_tls *t)
{
	X509_VERIFY_PARAM *param = SSL_get0_param(t->ssl);
	const char *host = t->want->host;

	if (t->want->at_s != 0)
		X509_VERIFY_PARAM_set_time(param, (time_t)t->want->at_s);
	if (t->want->mode == MMD_TLS_TOKEN)
		return true;
	if (X509_VERIFY_PARAM_set1_ip_asc(param, host) == 1)
		return true;
	ERR_clear_error();
	X509_VERIFY_PARAM_set_hostflags(param,
	    X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
	/* SSL_set_tlsext_host_name, without its cast that drops const. */
	return SSL_set1_host(t->ssl, host) == 1 &&
	    SSL_ctrl(t->ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME,
	    TLSEXT_NAMETYPE_host_name, (void *)(uintptr_t)host) == 1;
}

static void
close_tls(void *ctx)
{
	struct mmd_openssl_tls *t = ctx;

	if (t->ssl != NULL && SSL_is_init_finished(t->ssl))
		(void)SSL_shutdown(t->ssl);
	SSL_free(t->ssl);
	SSL_CTX_free(t->ctx);
	if (t->fd >= 0)
		(void)close(t->fd);
	ERR_clear_error();
	t->ssl = NULL;
	t->ctx = NULL;
	t->fd = -1;
}

static enum mmd_rc
open_tls(void *ctx, const struct mmd_tls_want *want)
{
	struct mmd_openssl_tls *t = ctx;

	t->want = want;
	t->mode = want->mode;
	t->cert_seen = false;
	t->from_s = t->until_s = 0;
	t->reason[0] = '\0';
	t->ctx = SSL_CTX_new(TLS_client_method());
	if (t->ctx != NULL && set_versions(t) && set_mode(t))
		t->ssl = SSL_new(t->ctx);
	if (t->ssl == NULL || SSL_set_app_data(t->ssl, t) != 1 ||
	    !set_peer(t) || SSL_set_fd(t->ssl, t->fd) != 1) {
		(void)explain(t);
		close_tls(t);
		return MMD_EPORT;
	}
	SSL_set_connect_state(t->ssl);
	return MMD_OK;
}

/*
 * RFC 8446 4.2.11: a server may pass over the key and go on with a
 * certificate.  That is never what a token asked for.
 */
static enum mmd_rc
token_taken(struct mmd_openssl_tls *t)
{
	if (SSL_get0_peer_certificate(t->ssl) == NULL &&
	    (SSL_version(t->ssl) == TLS1_2_VERSION ||
	    SSL_session_reused(t->ssl) == 1))
		return MMD_OK;
	(void)strcpy(t->reason, "the server did not take the token's key");
	return MMD_EPATH;
}

static enum mmd_rc
shake(void *ctx)
{
	struct mmd_openssl_tls *t = ctx;
	int ret;

	ERR_clear_error();
	ret = SSL_do_handshake(t->ssl);
	if (ret != 1)
		return outcome(t, ret);
	return t->mode == MMD_TLS_TOKEN ? token_taken(t) : MMD_OK;
}

static enum mmd_rc
read_tls(void *ctx, uint8_t *p, size_t n, size_t *done)
{
	struct mmd_openssl_tls *t = ctx;
	int ret;

	ERR_clear_error();
	ret = SSL_read_ex(t->ssl, p, n, done);
	return ret == 1 ? MMD_OK : outcome(t, ret);
}

static enum mmd_rc
write_tls(void *ctx, const uint8_t *p, size_t n, size_t *done)
{
	struct mmd_openssl_tls *t = ctx;
	int ret;

	ERR_clear_error();
	ret = SSL_write_ex(t->ssl, p, n, done);
	return ret == 1 ? MMD_OK : outcome(t, ret);
}

/* see posix_openssl.h */
struct mmd_tls
mmd_openssl_tls(struct mmd_openssl_tls *t)
{
	return (struct mmd_tls){ open_tls, shake, close_tls,
		{ read_tls, write_tls, t }, t };
}

/* see posix_openssl.h */
enum mmd_rc
mmd_openssl_wait(const struct mmd_openssl_tls *t, int timeout_ms)
{
	struct pollfd p = { .fd = t->fd,
		.events = t->wants_write ? POLLOUT : POLLIN };
	int n = poll(&p, 1, timeout_ms);

	if (n < 0)
		return MMD_EPORT;
	return n == 0 ? MMD_MORE : MMD_OK;
}
