/* The alert that ended a connection is told by no function. */
#define MBEDTLS_ALLOW_PRIVATE_ACCESS

#include "port/mbedtls_tls.h"

#include <string.h>

#include <mbedtls/oid.h>
#include <mbedtls/psa_util.h>
#include <mbedtls/version.h>

#include "mmd_x509.h"

#define ALERT_INTERNAL 80

/* RFC 8446 6.2, RFC 5246 7.2: which say that our own proof was refused. */
static const uint8_t token_refused[] = { 20, 47, 51, 115 };
static const uint8_t cert_refused[] = { 42, 43, 44, 45, 46, 48, 49, 116 };

/* The suites of SHA-256 alone: others fall back to certificates. */
static const int token_suites[] = {
#if MBEDTLS_VERSION_MAJOR >= 3 && defined(MBEDTLS_SSL_PROTO_TLS1_3)
	MBEDTLS_TLS1_3_AES_128_GCM_SHA256,
	MBEDTLS_TLS1_3_CHACHA20_POLY1305_SHA256,
#endif
	MBEDTLS_TLS_ECDHE_PSK_WITH_CHACHA20_POLY1305_SHA256,
	0
};

static enum mmd_rc
refusal(const struct mmd_mbedtls *t, uint8_t alert)
{
	bool token = t->mode == MMD_TLS_TOKEN;
	const uint8_t *all = token ? token_refused : cert_refused;
	size_t n = token ? sizeof(token_refused) : sizeof(cert_refused);

	if (t->mode != MMD_TLS_ANCHOR && memchr(all, alert, n) != NULL)
		return MMD_EREFUSED;
	/* The server cannot look a token up just now. */
	return alert == ALERT_INTERNAL ? MMD_ECLOSED : MMD_EPATH;
}

/* What mbed TLS's result says; at least 0 is success. */
static enum mmd_rc
outcome(struct mmd_mbedtls *t, int ret)
{
	if (ret >= 0)
		return MMD_OK;
	t->why = ret;
	switch (ret) {
	case MBEDTLS_ERR_SSL_WANT_READ:
	case MBEDTLS_ERR_SSL_WANT_WRITE:
#if defined(MBEDTLS_ERR_SSL_RECEIVED_NEW_SESSION_TICKET)
	case MBEDTLS_ERR_SSL_RECEIVED_NEW_SESSION_TICKET:
#endif
		return MMD_MORE;
	case MBEDTLS_ERR_SSL_CONN_EOF:
	case MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY:
		return MMD_ECLOSED;
	case MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE:
		t->why = -t->ssl.in_msg[1];
		return refusal(t, t->ssl.in_msg[1]);
	case MBEDTLS_ERR_SSL_ALLOC_FAILED:
	case MBEDTLS_ERR_SSL_INTERNAL_ERROR:
	case MBEDTLS_ERR_SSL_BUFFER_TOO_SMALL:
		return MMD_EPORT; /* nobody's but the board's */
	default:
		return MMD_EPATH;
	}
}

static int
moved(enum mmd_rc rc, size_t n, int again)
{
	if (rc == MMD_OK)
		return (int)n;
	return rc == MMD_MORE ? again : MBEDTLS_ERR_SSL_CONN_EOF;
}

static int
send_raw(void *ctx, const unsigned char *p, size_t n)
{
	const struct mmd_mbedtls *t = ctx;
	size_t done = 0;

	return moved(t->io->write(t->io->ctx, p, n, &done), done,
	    MBEDTLS_ERR_SSL_WANT_WRITE);
}

static int
receive_raw(void *ctx, unsigned char *p, size_t n)
{
	const struct mmd_mbedtls *t = ctx;
	size_t done = 0;

	return moved(t->io->read(t->io->ctx, p, n, &done), done,
	    MBEDTLS_ERR_SSL_WANT_READ);
}

/*
 * RFC 5280 4.1.2.5, at the time that the caller was told.  And 4.2.1.12 of the
 * CAs, too, which mbed TLS does not ask: one that is for clients alone, such
 * as a line's, whose key lies at a station, has no servers below it.
 */
static int
check_cert(void *ctx, mbedtls_x509_crt *crt, int depth, uint32_t *flags)
{
	const struct mmd_mbedtls *t = ctx;
	struct mmd_cert c;

#if MBEDTLS_VERSION_MAJOR >= 3 || \
    defined(MBEDTLS_X509_CHECK_EXTENDED_KEY_USAGE)
	if (depth > 0 && mbedtls_x509_crt_check_extended_key_usage(crt,
	    MBEDTLS_OID_SERVER_AUTH,
	    MBEDTLS_OID_SIZE(MBEDTLS_OID_SERVER_AUTH)) != 0)
		*flags |= MBEDTLS_X509_BADCERT_EXT_KEY_USAGE;
#else
#error "MBEDTLS_X509_CHECK_EXTENDED_KEY_USAGE is needed: see check_cert"
#endif
	if (t->at_s == 0)
		return 0;
	if (mmd_cert_parse((struct mmd_bytes){ crt->raw.p, crt->raw.len },
	    &c) != MMD_OK)
		*flags |= MBEDTLS_X509_BADCERT_OTHER;
	else if (t->at_s < c.not_before_s)
		*flags |= MBEDTLS_X509_BADCERT_FUTURE;
	else if (t->at_s > c.not_after_s)
		*flags |= MBEDTLS_X509_BADCERT_EXPIRED;
	return 0;
}

#if MBEDTLS_VERSION_MAJOR >= 3
static void
set_versions(struct mmd_mbedtls *t, unsigned version)
{
#if defined(MBEDTLS_SSL_PROTO_TLS1_3)
	if (version != 12)
		mbedtls_ssl_conf_max_tls_version(&t->conf,
		    MBEDTLS_SSL_VERSION_TLS1_3);
	if (version == 13)
		mbedtls_ssl_conf_min_tls_version(&t->conf,
		    MBEDTLS_SSL_VERSION_TLS1_3);
	if (t->mode == MMD_TLS_TOKEN)
		mbedtls_ssl_conf_tls13_key_exchange_modes(&t->conf,
		    MBEDTLS_SSL_TLS1_3_KEY_EXCHANGE_MODE_PSK_EPHEMERAL);
#endif
	if (version == 12)
		mbedtls_ssl_conf_max_tls_version(&t->conf,
		    MBEDTLS_SSL_VERSION_TLS1_2);
}
#else
static void
set_versions(struct mmd_mbedtls *t, unsigned version)
{
	(void)version;
	mbedtls_ssl_conf_min_version(&t->conf, MBEDTLS_SSL_MAJOR_VERSION_3,
	    MBEDTLS_SSL_MINOR_VERSION_3);
}
#endif

/* Whether this build has it; 0 is the best there is. */
static bool
has_version(unsigned version)
{
#if MBEDTLS_VERSION_MAJOR >= 3 && defined(MBEDTLS_SSL_PROTO_TLS1_3)
	if (version == 13)
		return true;
#endif
#if defined(MBEDTLS_SSL_PROTO_TLS1_2)
	if (version == 12)
		return true;
#endif
	return version == 0;
}

static int
set_token(struct mmd_mbedtls *t, const struct mmd_tls_want *want)
{
	mbedtls_ssl_conf_ciphersuites(&t->conf, token_suites);
	return mbedtls_ssl_conf_psk(&t->conf, want->psk, MMD_HASH,
	    (const unsigned char *)want->identity, strlen(want->identity));
}

static int
set_anchor(struct mmd_mbedtls *t, const struct mmd_tls_want *want)
{
	mbedtls_ssl_conf_authmode(&t->conf, MBEDTLS_SSL_VERIFY_REQUIRED);
	mbedtls_ssl_conf_ca_chain(&t->conf, &t->anchor, NULL);
	mbedtls_ssl_conf_verify(&t->conf, check_cert, t);
	return mbedtls_x509_crt_parse_der(&t->anchor, want->anchor.p,
	    want->anchor.n);
}

/* The certificate, then its issuers, one after another. */
static int
set_identity(struct mmd_mbedtls *t, const struct mmd_tls_want *want)
{
	struct mmd_der r = mmd_der_over(want->chain);
	int ret = mbedtls_x509_crt_parse_der(&t->own, want->cert.p,
	    want->cert.n);

	while (ret == 0 && r.left > 0) {
		struct mmd_bytes der = mmd_der_whole(&r, MMD_DER_SEQ);

		ret = r.bad ? MBEDTLS_ERR_X509_INVALID_FORMAT
		    : mbedtls_x509_crt_parse_der(&t->own, der.p, der.n);
	}
	if (ret == 0)
		ret = mbedtls_pk_setup_opaque(&t->key, t->first + want->slot);
	return ret != 0 ? ret
	    : mbedtls_ssl_conf_own_cert(&t->conf, &t->own, &t->key);
}

static int
set_mode(struct mmd_mbedtls *t, const struct mmd_tls_want *want)
{
	int ret;

	if (want->mode == MMD_TLS_TOKEN)
		return set_token(t, want);
	ret = set_anchor(t, want);
	return ret != 0 || want->mode == MMD_TLS_ANCHOR ? ret
	    : set_identity(t, want);
}

static void
close_tls(void *ctx)
{
	struct mmd_mbedtls *t = ctx;

	/* Best effort: a stream that would wait is not waited for. */
	(void)mbedtls_ssl_close_notify(&t->ssl);
	mbedtls_ssl_free(&t->ssl);
	mbedtls_ssl_config_free(&t->conf);
	mbedtls_x509_crt_free(&t->anchor);
	mbedtls_x509_crt_free(&t->own);
	mbedtls_pk_free(&t->key);
}

static int
set_up(struct mmd_mbedtls *t, const struct mmd_tls_want *want)
{
	int ret = mbedtls_ssl_config_defaults(&t->conf, MBEDTLS_SSL_IS_CLIENT,
	    MBEDTLS_SSL_TRANSPORT_STREAM, MBEDTLS_SSL_PRESET_DEFAULT);

	if (ret != 0)
		return ret;
	mbedtls_ssl_conf_rng(&t->conf, mbedtls_psa_get_random,
	    MBEDTLS_PSA_RANDOM_STATE);
	set_versions(t, want->version);
	ret = set_mode(t, want);
	if (ret == 0)
		ret = mbedtls_ssl_setup(&t->ssl, &t->conf);
	if (ret == 0 && t->mode != MMD_TLS_TOKEN)
		ret = mbedtls_ssl_set_hostname(&t->ssl, want->host);
	mbedtls_ssl_set_bio(&t->ssl, t, send_raw, receive_raw, NULL);
	return ret;
}

static enum mmd_rc
open_tls(void *ctx, const struct mmd_tls_want *want)
{
	struct mmd_mbedtls *t = ctx;

	t->mode = want->mode;
	t->at_s = want->at_s;
	mbedtls_ssl_init(&t->ssl);
	mbedtls_ssl_config_init(&t->conf);
	mbedtls_x509_crt_init(&t->anchor);
	mbedtls_x509_crt_init(&t->own);
	mbedtls_pk_init(&t->key);
	t->why = has_version(want->version) ? set_up(t, want)
	    : MBEDTLS_ERR_SSL_FEATURE_UNAVAILABLE;
	if (t->why == 0)
		return MMD_OK;
	close_tls(t);
	return MMD_EPORT;
}

static enum mmd_rc
shake(void *ctx)
{
	struct mmd_mbedtls *t = ctx;

	return outcome(t, mbedtls_ssl_handshake(&t->ssl));
}

static enum mmd_rc
read_tls(void *ctx, uint8_t *p, size_t n, size_t *done)
{
	struct mmd_mbedtls *t = ctx;
	int ret = mbedtls_ssl_read(&t->ssl, p, n);

	if (ret == 0)
		return MMD_ECLOSED;
	if (ret > 0)
		*done = (size_t)ret;
	return outcome(t, ret);
}

static enum mmd_rc
write_tls(void *ctx, const uint8_t *p, size_t n, size_t *done)
{
	struct mmd_mbedtls *t = ctx;
	int ret = mbedtls_ssl_write(&t->ssl, p, n);

	if (ret >= 0)
		*done = (size_t)ret;
	return outcome(t, ret);
}

/* see mbedtls_tls.h */
struct mmd_tls
mmd_mbedtls_tls(struct mmd_mbedtls *t)
{
	return (struct mmd_tls){ open_tls, shake, close_tls,
		{ read_tls, write_tls, t }, t };
}
