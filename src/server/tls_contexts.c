#include <openssl/err.h>
#include <openssl/pem.h>

#include "server/tls.h"

/* An SSL_CTX a loop and listener. */
#define SUITES13                                              \
	"TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256" \
	":TLS_AES_256_GCM_SHA384"
/* RFC 9325 4.2: forward secrecy and AEAD only. */
#define SUITES12                                                        \
	"ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-CHACHA20-POLY1305"   \
	":ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES128-GCM-SHA256"    \
	":ECDHE-RSA-CHACHA20-POLY1305:ECDHE-RSA-AES256-GCM-SHA384"
#define TOKEN13 "TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256"
#define TOKEN12 "ECDHE-PSK-CHACHA20-POLY1305"

MM_FREE_FN(free_bio, BIO, BIO_free)
MM_FREE_FN(free_x509, X509, X509_free)
MM_FREE_FN(free_ctx, SSL_CTX, SSL_CTX_free)

/* see tls.h */
enum mm_err
mm_tls_openssl_failed(struct mm_why *why, const char *what)
{
	char words[120];

	return MM_FAIL(why, MM_ECRYPTO, "tls: %s: %s", what,
	    mm_openssl_why(words));
}

static int
no_passphrase(char *buf, int size, int writing, void *arg)
{
	(void)buf, (void)size, (void)writing, (void)arg;
	return -1;
}

/* Whoever pins the other root than the chain's own gets to it by this. */
static enum mm_err
add_link(struct mm_tls *t, SSL_CTX *ctx, OSSL_LIB_CTX *lib,
    struct mm_why *why)
{
	MM_OWN(free_x509) X509 *x = X509_new_ex(lib, NULL);
	STACK_OF(X509) *chain = NULL;
	const X509 *last;
	unsigned char *name = NULL;
	const unsigned char *p;
	struct mm_bytes der;
	bool found;
	int n;

	if (SSL_CTX_get0_chain_certs(ctx, &chain) != 1)
		return MM_OK;
	last = sk_X509_num(chain) > 0 ?
	    sk_X509_value(chain, sk_X509_num(chain) - 1) :
	    SSL_CTX_get0_certificate(ctx);
	if (last == NULL)
		return MM_OK;
	n = i2d_X509_NAME(X509_get_issuer_name(last), &name);
	found = n > 0 && mm_chain_link(t->s->core,
	    (struct mm_bytes){ name, (size_t)n }, &der);
	OPENSSL_free(name);
	p = found ? der.p : NULL;
	if (!found)
		return MM_OK;
	return x != NULL && d2i_X509(&x, &p, (long)der.n) != NULL &&
	    SSL_CTX_add1_chain_cert(ctx, x) == 1 ? MM_OK :
	    mm_tls_openssl_failed(why, "root_links");
}

static enum mm_err
use_chain(SSL_CTX *ctx, OSSL_LIB_CTX *lib, struct mm_bytes pem,
    struct mm_why *why)
{
	MM_OWN(free_bio) BIO *bio = BIO_new_mem_buf(pem.p, (int)pem.n);
	unsigned n;

	for (n = 0; bio != NULL; n++) {
		MM_OWN(free_x509) X509 *x = X509_new_ex(lib, NULL);

		if (x == NULL || PEM_read_bio_X509(bio, &x, NULL, NULL) == NULL)
			break;
		if (n == 0 ? SSL_CTX_use_certificate(ctx, x) != 1
			   : SSL_CTX_add1_chain_cert(ctx, x) != 1)
			return mm_tls_openssl_failed(why, "tls_certificate");
	}
	ERR_clear_error();
	return n > 0 ? MM_OK
	    : MM_FAIL(why, MM_EINPUT, "tls_certificate: no certificate in it");
}

static enum mm_err
use_key(SSL_CTX *ctx, OSSL_LIB_CTX *lib, struct mm_bytes pem,
    struct mm_why *why)
{
	MM_OWN(free_bio) BIO *bio = BIO_new_mem_buf(pem.p, (int)pem.n);
	MM_OWN(mm_pkey_free) EVP_PKEY *key = bio == NULL ? NULL
	    : PEM_read_bio_PrivateKey_ex(bio, NULL, no_passphrase, NULL, lib,
	    NULL);

	if (key == NULL)
		return mm_tls_openssl_failed(why, "tls_key");
	if (SSL_CTX_use_PrivateKey(ctx, key) != 1 ||
	    SSL_CTX_check_private_key(ctx) != 1)
		return mm_tls_openssl_failed(why, "tls_key does not fit tls_certificate");
	return MM_OK;
}

/* No tickets, no session cache, no early data, no renegotiation: every
 * connection proves itself. */
static enum mm_err
bare_ctx(OSSL_LIB_CTX *lib, const char *suites13, const char *suites12,
    SSL_CTX **out, struct mm_why *why)
{
	static const unsigned char id[] = "mintmark";
	char groups[] = "X25519:P-256:P-384";
	MM_OWN(free_ctx) SSL_CTX *ctx =
	    SSL_CTX_new_ex(lib, NULL, TLS_server_method());

	if (ctx == NULL ||
	    SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) != 1 ||
	    SSL_CTX_set_ciphersuites(ctx, suites13) != 1 ||
	    SSL_CTX_set_cipher_list(ctx, suites12) != 1 ||
	    SSL_CTX_set1_groups_list(ctx, groups) != 1 ||
	    SSL_CTX_set_session_id_context(ctx, id, sizeof(id) - 1) != 1 ||
	    SSL_CTX_set_num_tickets(ctx, 0) != 1)
		return mm_tls_openssl_failed(why, "context");
	SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION |
	    SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_NO_COMPRESSION);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
	*out = MM_MOVE(ctx);
	return MM_OK;
}

static enum mm_err
server_ctx(struct mm_tls *t, OSSL_LIB_CTX *lib, SSL_CTX **out,
    struct mm_why *why)
{
	MM_OWN(free_ctx) SSL_CTX *ctx = NULL;
	enum mm_err rc;

	MM_TRY(bare_ctx(lib, SUITES13, SUITES12, &ctx, why));
	pthread_mutex_lock(&t->lock);
	rc = use_chain(ctx, lib, mm_buf_view(&t->cert), why);
	if (rc == MM_OK)
		rc = add_link(t, ctx, lib, why);
	if (rc == MM_OK)
		rc = use_key(ctx, lib, mm_buf_view(&t->key), why);
	pthread_mutex_unlock(&t->lock);
	if (rc == MM_OK)
		*out = MM_MOVE(ctx);
	return rc;
}

/*
 * An operator is known by the public key: who signed the certificate, and
 * until when, says nothing.  TLS still has it prove the private key.
 */
static int
any_certificate(X509_STORE_CTX *store, void *arg)
{
	(void)store, (void)arg;
	return 1;
}

/* see priv.h */
enum mm_err
mm_tls_operators_ctx(void *ctx, uint16_t loop, OSSL_LIB_CTX *lib,
    SSL_CTX **out, struct mm_why *why)
{
	struct mm_server *s = ctx;

	(void)loop;
	MM_TRY(server_ctx(s->tls, lib, out, why));
	SSL_CTX_set_cert_verify_callback(*out, any_certificate, NULL);
	SSL_CTX_set_verify(*out, SSL_VERIFY_PEER, NULL);
	return MM_OK;
}

/* ---- client certificates ---- */

/*
 * A wrong or expired certificate does not end the handshake: HTTP can tell
 * the device why, an alert cannot.
 */
static int
on_verify(int ok, X509_STORE_CTX *store)
{
	SSL *ssl = X509_STORE_CTX_get_ex_data(store,
	    SSL_get_ex_data_X509_STORE_CTX_idx());
	struct mm_conn *c = mm_hello_conn(ssl);
	int error = X509_STORE_CTX_get_error(store);

	if (ok)
		return 1;
	if (c == NULL)
		return 0;
	if (error == X509_V_ERR_CERT_HAS_EXPIRED &&
	    X509_STORE_CTX_get_error_depth(store) == 0) {
		c->cert_expired = true;
		return 1;
	}
	if (!c->cert_bad)
		(void)!mm_text_copy(c->cert_why, sizeof(c->cert_why),
		    mm_bytes_of(X509_verify_cert_error_string(error)));
	c->cert_bad = true;
	return 1;
}

/* A device may send nothing but its own certificate.  That of the line CA
 * which signed it is in no store: there are many, and more each day. */
static int
find_line(X509 **issuer, X509_STORE_CTX *store, X509 *x)
{
	int found = X509_STORE_CTX_get1_issuer(issuer, store, x);
	SSL *ssl = X509_STORE_CTX_get_ex_data(store,
	    SSL_get_ex_data_X509_STORE_CTX_idx());
	const struct mm_tls_loop *l = ssl == NULL ? NULL : mm_hello_loop(ssl);
	unsigned char *name = NULL;
	MM_OWN(free_x509) X509 *line = NULL;
	const unsigned char *p;
	struct mm_bytes der;
	int n;

	if (found != 0 || l == NULL)
		return found;
	n = i2d_X509_NAME(X509_get_issuer_name(x), &name);
	if (n > 0 && mm_core_line_named(l->s->core,
	    (struct mm_bytes){ name, (size_t)n }, &der)) {
		p = der.p;
		line = X509_new_ex(l->lib, NULL);
		found = line != NULL &&
		    d2i_X509(&line, &p, (long)der.n) != NULL;
	}
	if (found == 1)
		*issuer = MM_MOVE(line);
	OPENSSL_free(name);
	return found;
}

static enum mm_err
trust(struct mm_tls *t, SSL_CTX *ctx, OSSL_LIB_CTX *lib, struct mm_why *why)
{
	X509_STORE *store = SSL_CTX_get_cert_store(ctx);

	for (size_t i = 0; i < t->ntrust; i++) {
		MM_OWN(free_x509) X509 *x = X509_new_ex(lib, NULL);
		const unsigned char *p = t->trust[i].p;

		if (x == NULL ||
		    d2i_X509(&x, &p, (long)t->trust[i].n) == NULL ||
		    X509_STORE_add_cert(store, x) != 1)
			return mm_tls_openssl_failed(why, "trust store");
	}
	/* An issuer suffices: one signature to verify, not the chain's. */
	X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN);
	X509_STORE_set_get_issuer(store, find_line);
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, on_verify);
	SSL_CTX_set_verify_depth(ctx, MM_CHAIN_MAX);
	return MM_OK;
}

/*
 * see priv.h; level 0: RSA-1024 and SHA-1 in a client's certificate and in what
 * it signs.  Versions and suites are those of the others.
 */
enum mm_err
mm_tls_legacy_ctx(void *ctx_, uint16_t loop, OSSL_LIB_CTX *lib, SSL_CTX **out,
    struct mm_why *why)
{
	struct mm_server *s = ctx_;
	struct mm_tls *t = s->tls;
	MM_OWN(free_ctx) SSL_CTX *ctx = NULL;

	t->loop[loop].lib = lib;
	MM_TRY(server_ctx(t, lib, &ctx, why));
	MM_TRY(trust(t, ctx, lib, why));
	SSL_CTX_set_security_level(ctx, 0);
	MM_TRY(mm_hello_install(ctx, NULL, &t->loop[loop], why));
	*out = MM_MOVE(ctx);
	return MM_OK;
}

/* see priv.h */
enum mm_err
mm_tls_devices_ctx(void *ctx_, uint16_t loop, OSSL_LIB_CTX *lib,
    SSL_CTX **out, struct mm_why *why)
{
	struct mm_server *s = ctx_;
	struct mm_tls *t = s->tls;
	MM_OWN(free_ctx) SSL_CTX *ctx = NULL, *token = NULL;

	t->loop[loop].lib = lib;
	MM_TRY(server_ctx(t, lib, &ctx, why));
	MM_TRY(trust(t, ctx, lib, why));
	MM_TRY(bare_ctx(lib, TOKEN13, TOKEN12, &token, why));
	MM_TRY(mm_hello_install(ctx, MM_MOVE(token), &t->loop[loop], why));
	*out = MM_MOVE(ctx);
	return MM_OK;
}
