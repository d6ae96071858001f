#include "station/web_priv.h"

#include "base/own.h"
#include "pki/key.h"

MM_FREE_FN(free_ctx, SSL_CTX, SSL_CTX_free)

static int
no_passphrase(char *buf, int size, int writing, void *arg)
{
	(void)buf, (void)size, (void)writing, (void)arg;
	return -1;
}

static enum mm_err
failed(struct mm_why *why, const char *what)
{
	char words[120];

	return MM_FAIL(why, MM_ECRYPTO, "%s: %s", what, mm_openssl_why(words));
}

/* see web_priv.h */
enum mm_err
mm_web_tls(void *ctx, uint16_t loop, OSSL_LIB_CTX *lib, SSL_CTX **out,
    struct mm_why *why)
{
	const struct mm_door *d = ctx;
	const struct mm_station_conf *c = d->web->shift->line.conf;
	MM_OWN(free_ctx)
	SSL_CTX *tls = SSL_CTX_new_ex(lib, NULL, TLS_server_method());

	(void)loop;
	if (tls == NULL ||
	    SSL_CTX_set_min_proto_version(tls, TLS1_2_VERSION) != 1 ||
	    SSL_CTX_set_num_tickets(tls, 0) != 1)
		return failed(why, "tls");
	SSL_CTX_set_options(tls,
	    SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
	SSL_CTX_set_session_cache_mode(tls, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_default_passwd_cb(tls, no_passphrase);
	if (SSL_CTX_use_certificate_chain_file(tls, c->api_cert) != 1)
		return failed(why, "api_cert");
	if (SSL_CTX_use_PrivateKey_file(
		tls, c->api_cert_key, SSL_FILETYPE_PEM) != 1 ||
	    SSL_CTX_check_private_key(tls) != 1)
		return failed(why, "api_cert_key");
	*out = MM_MOVE(tls);
	return MM_OK;
}
