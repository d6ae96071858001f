#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/secret.h"
#include "server/tls.h"

/* TLS of the two encrypted listeners: its connections, and the whole. */

/* ---- connections ---- */

/* What must hold now, whatever OpenSSL let through. */
static bool
keeps_word(SSL *ssl, const struct mm_conn *c)
{
	bool psk = SSL_version(ssl) == TLS1_3_VERSION
	    ? SSL_session_reused(ssl) == 1
	    : SSL_CIPHER_get_kx_nid(SSL_get_current_cipher(ssl)) ==
	    NID_kx_ecdhe_psk;

	return c->token == psk && (!psk || c->psk_known ||
	    SSL_version(ssl) != TLS1_3_VERSION);
}

static enum mm_err
keep_peer(SSL *ssl, struct mm_conn *c)
{
	X509 *x = SSL_get0_peer_certificate(ssl);
	unsigned char *p;
	int n = x == NULL ? 0 : i2d_X509(x, NULL);

	if (n <= 0)
		return n == 0 ? MM_OK : MM_ECRYPTO;
	p = mm_buf_room(&c->der, (size_t)n);
	if (p == NULL)
		return MM_ELIMIT;
	return i2d_X509(x, &p) == n ? MM_OK : MM_ECRYPTO;
}

/*
 * A TLS 1.3 server has nothing to send after the client's Finished, so its
 * acknowledgement would wait for 40 ms, and with it the request of a client
 * that has not switched Nagle's algorithm off (RFC 896): most small ones.
 */
static void
acknowledge(SSL *ssl)
{
	const int on = 1;

	(void)setsockopt(SSL_get_fd(ssl), IPPROTO_TCP, TCP_QUICKACK, &on,
	    sizeof(on));
}

/* see priv.h */
enum mm_err
mm_tls_secured(void *ctx, SSL *ssl, const struct in6_addr *peer,
    void **conn_data)
{
	struct mm_server *s = ctx;
	struct mm_conn *c = mm_hello_conn(ssl);

	(void)peer;
	if (c == NULL || !keeps_word(ssl, c))
		return MM_EBUG;
	mm_wipe(c->psk, sizeof(c->psk));
	MM_TRY(keep_peer(ssl, c));
	acknowledge(ssl);
	(void)SSL_set_ex_data(ssl, s->tls->loop[0].conn_index, NULL);
	*conn_data = c;
	return MM_OK;
}

/* see priv.h */
enum mm_err
mm_tls_legacy_secured(void *ctx, SSL *ssl, const struct in6_addr *peer,
    void **conn_data)
{
	MM_TRY(mm_tls_secured(ctx, ssl, peer, conn_data));
	((struct mm_conn *)*conn_data)->legacy = true;
	return MM_OK;
}

/* see priv.h */
enum mm_err
mm_tls_operator_secured(void *ctx, SSL *ssl, const struct in6_addr *peer,
    void **conn_data)
{
	struct mm_conn *c;
	enum mm_err rc;

	(void)ctx, (void)peer;
	if (SSL_get0_peer_certificate(ssl) == NULL)
		return MM_OK;
	c = calloc(1, sizeof(*c));
	if (c == NULL)
		return MM_ENOMEM;
	c->operator_ = true;
	mm_buf_init(&c->der, MM_CERT_MAX);
	rc = keep_peer(ssl, c);
	if (rc == MM_OK)
		*conn_data = c;
	else
		mm_tls_conn_free(c);
	return rc;
}

/* see priv.h */
void
mm_tls_conn_free(void *conn_data)
{
	struct mm_conn *c = conn_data;

	if (c == NULL)
		return;
	mm_wipe(c->psk, sizeof(c->psk));
	mm_buf_done(&c->der);
	free(c);
}

/* ---- whole ---- */

static void
drop_conn(void *parent, void *ptr, CRYPTO_EX_DATA *ad, int index, long argl,
    void *argp)
{
	(void)parent, (void)ad, (void)index, (void)argl, (void)argp;
	mm_tls_conn_free(ptr);
}

static void
drop_token_ctx(void *parent, void *ptr, CRYPTO_EX_DATA *ad, int index,
    long argl, void *argp)
{
	(void)parent, (void)ad, (void)index, (void)argl, (void)argp;
	SSL_CTX_free(ptr);
}

static enum mm_err
make_indexes(struct mm_tls *t, struct mm_why *why)
{
	int conn = SSL_get_ex_new_index(0, NULL, NULL, NULL, drop_conn);
	int token = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL,
	    drop_token_ctx);

	if (conn < 0 || token < 0)
		return mm_tls_openssl_failed(why, "ex_data");
	for (uint16_t i = 0; i < MM_LOOPS_MAX; i++) {
		t->loop[i] = (struct mm_tls_loop){ .s = t->s, .loop = i,
			.conn_index = conn, .token_index = token };
		mm_buf_init(&t->loop[i].frame, MM_IPC_FRAME_MAX);
	}
	return MM_OK;
}

/* see priv.h */
enum mm_err
mm_tls_new(struct mm_server *s, struct mm_tls **out, struct mm_why *why)
{
	MM_OWN(mm_tls_free) struct mm_tls *t = calloc(1, sizeof(*t));
	bool changed;

	if (t == NULL)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	t->s = s;
	pthread_mutex_init(&t->lock, NULL);
	mm_buf_init(&t->cert, MM_TLS_PEM_MAX);
	mm_buf_init(&t->key, MM_TLS_PEM_MAX);
	MM_TRY(make_indexes(t, why));
	MM_TRY(mm_tls_read_trust(t, why));
	if (s->config->set.devices_listen[0] != '\0' ||
	    s->config->set.legacy_listen[0] != '\0' ||
	    s->config->set.operators_listen[0] != '\0')
		MM_TRY(mm_tls_reload(t, true, &changed, why));
	*out = MM_MOVE(t);
	return MM_OK;
}

/* see priv.h */
void
mm_tls_free(struct mm_tls **owner)
{
	struct mm_tls *t = MM_MOVE(*owner);

	if (t == NULL)
		return;
	mm_buf_done(&t->cert);
	mm_buf_wipe(&t->key);
	for (size_t i = 0; i < t->ntrust; i++)
		mm_buf_done(&t->trust[i]);
	for (size_t i = 0; i < MM_LOOPS_MAX; i++)
		mm_buf_wipe(&t->loop[i].frame);
	pthread_mutex_destroy(&t->lock);
	free(t);
}

/* see priv.h */
void
mm_tls_anchor(const struct mm_tls *t, uint8_t sha256[32])
{
	memcpy(sha256, t->anchor, 32);
}
