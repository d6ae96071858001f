#include <openssl/err.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>

#include "base/secret.h"
#include "server/priv.h"

/*
 * The ClientHello decides once whether a connection is a token connection.
 *
 * OpenSSL alone would fall back from a refused pre-shared key to its
 * certificate without a word: when a SHA-384 suite was chosen first, when
 * the identity is unknown, when a 1.2 client prefers another suite.  So a
 * token connection is given an SSL_CTX without any certificate and with the
 * suites that fit a token only: it succeeds with the token or fails.
 *
 * Every identity of token form gets a key (the signer derives one for an
 * unknown id too), so an unknown id and a wrong secret are the same flights
 * and the same alert: 47 in TLS 1.3, 20 in 1.2.
 */
enum {
	PSK_DEADLINE_MS = 50,
	IDENTITIES_MAX = 8,      /* of a ClientHello: more are not looked at */
	ECDHE_PSK_CHACHA = 0xccac, /* RFC 7905 3 */
	TLS_UNIQUE_N = 12,
	EXPORTER_N = 32,
};

static struct mm_tls_loop *
loop_of(const SSL *ssl)
{
	return SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
}

/* see priv.h */
const struct mm_tls_loop *
mm_hello_loop(const SSL *ssl)
{
	return loop_of(ssl);
}

struct mm_conn *
mm_hello_conn(SSL *ssl)
{
	return SSL_get_ex_data(ssl, loop_of(ssl)->conn_index);
}

/* see priv.h; RFC 8446 4.2.11: PskIdentity identities<7..2^16-1>, binders. */
bool
mm_hello_offers_token(struct mm_bytes extension)
{
	struct mm_rd r = mm_rd_over(extension);
	struct mm_rd ids = mm_rd_over(mm_rd_block16(&r));
	uint8_t id[MM_TOKEN_ID_N];

	for (unsigned i = 0; i < IDENTITIES_MAX && ids.left > 0; i++) {
		struct mm_bytes text = mm_rd_block16(&ids);

		(void)mm_rd_u32(&ids); /* obfuscated_ticket_age */
		if (ids.bad)
			return false;
		if (mm_token_id_parse(text, id, NULL) == MM_OK)
			return true;
	}
	return false;
}

static bool
offers_suite(struct mm_bytes suites, unsigned wanted)
{
	struct mm_rd r = mm_rd_over(suites);

	while (r.left >= 2)
		if (mm_rd_u16(&r) == wanted)
			return true;
	return false;
}

static bool
is_token_hello(SSL *ssl)
{
	struct mm_bytes psk = { 0 }, suites = { 0 };

	suites.n = SSL_client_hello_get0_ciphers(ssl, &suites.p);
	if (offers_suite(suites, ECDHE_PSK_CHACHA))
		return true;
	return SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_psk, &psk.p,
	    &psk.n) == 1 && mm_hello_offers_token(psk);
}

static bool
become_token(SSL *ssl, const struct mm_tls_loop *l)
{
	SSL_CTX *now = SSL_get_SSL_CTX(ssl);
	SSL_CTX *token = SSL_CTX_get_ex_data(now, l->token_index);

	if (token == NULL || SSL_set_SSL_CTX(ssl, token) != token)
		return false;
	SSL_certs_clear(ssl);
	SSL_set_verify(ssl, SSL_VERIFY_NONE, NULL);
	return true;
}

static int
on_hello(SSL *ssl, int *alert, void *arg)
{
	const struct mm_tls_loop *l = arg;
	struct mm_conn *c = mm_hello_conn(ssl);
	bool token = is_token_hello(ssl);

	if (c != NULL) { /* RFC 8446 4.1.4: the hello after a retry request */
		*alert = SSL_AD_ILLEGAL_PARAMETER;
		return c->token == token ? SSL_CLIENT_HELLO_SUCCESS
					 : SSL_CLIENT_HELLO_ERROR;
	}
	*alert = SSL_AD_INTERNAL_ERROR;
	c = calloc(1, sizeof(*c));
	if (c == NULL)
		return SSL_CLIENT_HELLO_ERROR;
	mm_buf_init(&c->der, MM_CERT_MAX);
	c->token = token;
	if (SSL_set_ex_data(ssl, l->conn_index, c) != 1) {
		mm_tls_conn_free(c);
		return SSL_CLIENT_HELLO_ERROR;
	}
	if (token && !become_token(ssl, l))
		return SSL_CLIENT_HELLO_ERROR;
	return SSL_CLIENT_HELLO_SUCCESS;
}

/* The one thing that an event loop waits for: at most 50 ms.  A second hello
 * (after a retry request) asks with the same id again. */
static bool
ask_psk(struct mm_tls_loop *l, struct mm_conn *c,
    const uint8_t id[MM_TOKEN_ID_N], enum mm_token_use use)
{
	struct mm_token_psk_req req = { .use = (uint8_t)use };
	struct mm_token_psk_rep rep;
	int fd = mm_core_psk_fd(l->s->core, l->loop);

	if (c->psk_known && memcmp(c->id, id, MM_TOKEN_ID_N) == 0)
		return true;
	memcpy(req.id, id, MM_TOKEN_ID_N);
	if (fd < 0 || mm_ipc_call(fd, MM_IPC_TOKEN_PSK, &req, &rep, &l->frame,
	    PSK_DEADLINE_MS, NULL) != MM_OK)
		return false;
	memcpy(c->id, id, MM_TOKEN_ID_N);
	memcpy(c->psk, rep.psk, MM_TOKEN_PSK_N);
	c->psk_known = true;
	mm_wipe(&rep, sizeof(rep));
	mm_wipe(l->frame.p, l->frame.n);
	return true;
}

/* RFC 8446 4.2.11: an external key is bound to one hash: SHA-256. */
static SSL_SESSION *
session_of(SSL *ssl, const uint8_t psk[MM_TOKEN_PSK_N])
{
	static const unsigned char aes128_gcm_sha256[] = { 0x13, 0x01 };
	SSL_SESSION *s = SSL_SESSION_new();

	if (s != NULL && SSL_SESSION_set1_master_key(s, psk,
	    MM_TOKEN_PSK_N) == 1 &&
	    SSL_SESSION_set_cipher(s, SSL_CIPHER_find(ssl,
	    aes128_gcm_sha256)) == 1 &&
	    SSL_SESSION_set_protocol_version(s, TLS1_3_VERSION) == 1)
		return s;
	SSL_SESSION_free(s);
	return NULL;
}

/* TLS 1.3.  Identities of another form (stale tickets) are passed over. */
static int
on_find_session(SSL *ssl, const unsigned char *identity, size_t n,
    SSL_SESSION **out)
{
	struct mm_conn *c = mm_hello_conn(ssl);
	uint8_t id[MM_TOKEN_ID_N];

	*out = NULL;
	if (c == NULL || !c->token || mm_token_id_parse(
	    (struct mm_bytes){ identity, n }, id, NULL) != MM_OK)
		return 1;
	if (!ask_psk(loop_of(ssl), c, id, MM_TOKEN_TLS13))
		return 0;
	*out = session_of(ssl, c->psk);
	return *out != NULL;
}

/*
 * TLS 1.2.  OpenSSL asks this callback in 1.3 too, where on_find_session has
 * said all there is to say.  A length of 0 would be alert 115, an oracle; an
 * identity that is no token gets a random key, and no signer gets 80.
 */
static unsigned int
on_psk_server(SSL *ssl, const char *identity, unsigned char *psk,
    unsigned int most)
{
	struct mm_conn *c = mm_hello_conn(ssl);
	uint8_t id[MM_TOKEN_ID_N];

	if (SSL_version(ssl) == TLS1_3_VERSION)
		return 0;
	if (c == NULL || !c->token || most < MM_TOKEN_PSK_N)
		return PSK_MAX_PSK_LEN + 1;
	if (mm_token_id_parse(mm_bytes_of(identity), id, NULL) != MM_OK)
		return RAND_bytes(psk, MM_TOKEN_PSK_N) == 1
		    ? MM_TOKEN_PSK_N : PSK_MAX_PSK_LEN + 1;
	if (!ask_psk(loop_of(ssl), c, id, MM_TOKEN_TLS12))
		return PSK_MAX_PSK_LEN + 1;
	memcpy(psk, c->psk, MM_TOKEN_PSK_N);
	return MM_TOKEN_PSK_N;
}

static void
callbacks(SSL_CTX *ctx, struct mm_tls_loop *l)
{
	SSL_CTX_set_app_data(ctx, l);
	SSL_CTX_set_client_hello_cb(ctx, on_hello, l);
	SSL_CTX_set_psk_find_session_callback(ctx, on_find_session);
	SSL_CTX_set_psk_server_callback(ctx, on_psk_server);
}

/* see priv.h */
enum mm_err
mm_hello_install(SSL_CTX *ctx, SSL_CTX *take_token_ctx, struct mm_tls_loop *l,
    struct mm_why *why)
{
	callbacks(ctx, l);
	if (take_token_ctx == NULL)
		return MM_OK;
	callbacks(take_token_ctx, l);
	if (SSL_CTX_set_ex_data(ctx, l->token_index, take_token_ctx) == 1)
		return MM_OK;
	SSL_CTX_free(take_token_ctx);
	return MM_FAIL(why, MM_ENOMEM, "tls: out of memory");
}

/* RFC 5929 3.1: the first Finished of the handshake, which in a full one is
 * the client's; without extended master secret it binds nothing. */
static bool
is_tls_unique(SSL *ssl, struct mm_bytes got)
{
	uint8_t finished[TLS_UNIQUE_N];

	return SSL_get_peer_finished(ssl, finished, sizeof(finished)) ==
	    sizeof(finished) &&
	    mm_bytes_eq_ct(got, (struct mm_bytes){ finished,
	    sizeof(finished) });
}

/* RFC 9266 2 */
static bool
is_exporter(SSL *ssl, struct mm_bytes got)
{
	static const char label[] = "EXPORTER-Channel-Binding";
	uint8_t v[EXPORTER_N];

	return SSL_export_keying_material(ssl, v, sizeof(v), label,
	    sizeof(label) - 1, (const uint8_t *)"", 0, 1) == 1 &&
	    mm_bytes_eq_ct(got, (struct mm_bytes){ v, sizeof(v) });
}

/* RFC 7030 3.5.  Other contents of challengePassword are ignored. */
bool
mm_hello_binding(SSL *ssl, struct mm_bytes challenge, bool *wrong)
{
	struct mm_buf got = MM_BUF_INIT(64);
	bool ok = false;

	*wrong = false;
	if (challenge.n == 0 || challenge.n > 64 ||
	    mm_base64_parse(challenge, &got, NULL) != MM_OK ||
	    (SSL_version(ssl) < TLS1_3_VERSION &&
	    SSL_get_extms_support(ssl) != 1)) {
		mm_buf_done(&got);
		return false;
	}
	if (got.n == TLS_UNIQUE_N && SSL_version(ssl) == TLS1_2_VERSION) {
		ok = is_tls_unique(ssl, mm_buf_view(&got));
		*wrong = !ok;
	} else if (got.n == EXPORTER_N) {
		ok = is_exporter(ssl, mm_buf_view(&got));
	}
	mm_buf_done(&got);
	return ok;
}
