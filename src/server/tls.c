#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/log.h"
#include "base/secret.h"
#include "base/time.h"
#include "server/attempts.h"

/*
 * TLS of the two encrypted listeners.  Files are read here, once and by a
 * worker; each loop makes its own SSL_CTX from memory.
 */
#define PEM_MAX  65536
#define CERTS_MAX 64
#define FAILURES  1024

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

/* What identifies a file's contents without reading it. */
struct stamp {
	struct timespec at;
	off_t size;
	ino_t inode;
};

/* Failed handshakes of one token id. */
struct failures {
	uint8_t id[MM_TOKEN_ID_N];
	int64_t hour;   /* of its last line; 0: a free slot */
	int64_t count;  /* since that line */
};

struct mm_tls {
	struct mm_server *s;
	pthread_mutex_t lock; /* the buffers and the failures */
	struct failures failures[FAILURES];
	struct mm_buf cert, key;
	struct stamp stamp[2];
	struct mm_buf trust[CERTS_MAX];
	size_t ntrust;
	uint8_t anchor[32];
	struct mm_tls_loop loop[MM_LOOPS_MAX];
};

MM_FREE_FN(free_bio, BIO, BIO_free)
MM_FREE_FN(free_x509, X509, X509_free)
MM_FREE_FN(free_ctx, SSL_CTX, SSL_CTX_free)

static enum mm_err
tls_fail(struct mm_why *why, const char *what)
{
	char words[120];

	return MM_FAIL(why, MM_ECRYPTO, "tls: %s: %s", what,
	    mm_openssl_why(words));
}

/* ---- files ---- */

static struct stamp
stamp_of(const char *path)
{
	struct stat st;

	if (stat(path, &st) != 0)
		return (struct stamp){ 0 };
	return (struct stamp){ st.st_mtim, st.st_size, st.st_ino };
}

static bool
stamp_same(const struct stamp *a, const struct stamp *b)
{
	return a->at.tv_sec == b->at.tv_sec &&
	    a->at.tv_nsec == b->at.tv_nsec && a->size == b->size &&
	    a->inode == b->inode;
}

/* Every certificate of a PEM file joins the trust store. */
static enum mm_err
trust_file(struct mm_tls *t, const char *path, struct mm_why *why)
{
	struct mm_buf pem = MM_BUF_INIT(PEM_MAX);
	struct mm_bytes rest;
	enum mm_err rc = mm_file_read(path, &pem, why);

	rest = mm_buf_view(&pem);
	while (rc == MM_OK && t->ntrust < CERTS_MAX) {
		struct mm_buf *der = &t->trust[t->ntrust];

		mm_buf_init(der, MM_CERT_MAX);
		rc = mm_pem_next(&rest, "CERTIFICATE", der, NULL);
		if (rc == MM_OK)
			t->ntrust++;
		else
			mm_buf_done(der);
	}
	mm_buf_done(&pem);
	if (rc == MM_ENOTFOUND && t->ntrust > 0)
		return MM_OK;
	return rc == MM_OK ? MM_OK
	    : MM_FAIL(why, rc, "%s: no certificate in it", path);
}

static enum mm_err
anchor_hash(struct mm_tls *t, struct mm_why *why)
{
	struct mm_cert c;

	MM_TRY(mm_cert_walk(mm_buf_view(&t->trust[0]), &c, why));
	mm_sha256(c.spki.whole, t->anchor);
	return MM_OK;
}

static enum mm_err
read_trust(struct mm_tls *t, struct mm_why *why)
{
	const struct mm_config *c = t->s->config;

	MM_TRY(trust_file(t, c->set.trust_anchor, why));
	MM_TRY(anchor_hash(t, why));
	for (size_t i = 0; i < c->nissuer; i++)
		MM_TRY(trust_file(t, c->issuer[i].certificate, why));
	return MM_OK;
}

static enum mm_err
read_pair(struct mm_tls *t, struct mm_why *why)
{
	const struct mm_settings *set = &t->s->config->set;
	struct mm_buf cert = MM_BUF_INIT(PEM_MAX), key = MM_BUF_INIT(PEM_MAX);
	enum mm_err rc = mm_file_read(set->tls_certificate, &cert, why);

	if (rc == MM_OK)
		rc = mm_file_read(set->tls_key, &key, why);
	if (rc != MM_OK) {
		mm_buf_done(&cert);
		mm_buf_wipe(&key);
		return rc;
	}
	pthread_mutex_lock(&t->lock);
	mm_buf_done(&t->cert);
	mm_buf_wipe(&t->key);
	t->cert = cert;
	t->key = key;
	pthread_mutex_unlock(&t->lock);
	return MM_OK;
}

/* see priv.h */
enum mm_err
mm_tls_reload(struct mm_tls *t, bool force, bool *changed, struct mm_why *why)
{
	const struct mm_settings *set = &t->s->config->set;
	struct stamp now[2] = { stamp_of(set->tls_certificate),
		stamp_of(set->tls_key) };

	*changed = false;
	if (!force && stamp_same(&now[0], &t->stamp[0]) &&
	    stamp_same(&now[1], &t->stamp[1]))
		return MM_OK;
	MM_TRY(read_pair(t, why));
	memcpy(t->stamp, now, sizeof(now));
	*changed = true;
	return MM_OK;
}

/* ---- contexts ---- */

static int
no_passphrase(char *buf, int size, int writing, void *arg)
{
	(void)buf, (void)size, (void)writing, (void)arg;
	return -1;
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
			return tls_fail(why, "tls_certificate");
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
		return tls_fail(why, "tls_key");
	if (SSL_CTX_use_PrivateKey(ctx, key) != 1 ||
	    SSL_CTX_check_private_key(ctx) != 1)
		return tls_fail(why, "tls_key does not fit tls_certificate");
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
		return tls_fail(why, "context");
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
			return tls_fail(why, "trust store");
	}
	/* An issuer suffices: one signature to verify, not the chain's. */
	X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN);
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, on_verify);
	SSL_CTX_set_verify_depth(ctx, MM_CHAIN_MAX);
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

	MM_TRY(server_ctx(t, lib, &ctx, why));
	MM_TRY(trust(t, ctx, lib, why));
	MM_TRY(bare_ctx(lib, TOKEN13, TOKEN12, &token, why));
	MM_TRY(mm_hello_install(ctx, MM_MOVE(token), &t->loop[loop], why));
	*out = MM_MOVE(ctx);
	return MM_OK;
}

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

/* The id's slot, or one whose hour is over; NULL: none.  A look at all of
 * them costs little beside a handshake. */
static struct failures *
failures_of(struct mm_tls *t, const uint8_t id[MM_TOKEN_ID_N], int64_t hour)
{
	struct failures *old = NULL;

	for (size_t i = 0; i < FAILURES; i++) {
		struct failures *f = &t->failures[i];

		if (f->hour != 0 && memcmp(f->id, id, MM_TOKEN_ID_N) == 0)
			return f;
		if (old == NULL && f->hour != hour)
			old = f;
	}
	if (old != NULL) {
		*old = (struct failures){ 0 };
		memcpy(old->id, id, MM_TOKEN_ID_N);
	}
	return old;
}

/*
 * One line an id and hour: how many failures it stands for, else 0.  An id
 * keeps its slot for its hour, so that made-up ids give FAILURES lines an
 * hour at most.
 */
static int64_t
line_due(struct mm_tls *t, const uint8_t id[MM_TOKEN_ID_N])
{
	int64_t hour = mm_now_s() / 3600, due = 0;
	struct failures *f;

	pthread_mutex_lock(&t->lock);
	f = failures_of(t, id, hour);
	if (f != NULL)
		f->count++;
	if (f != NULL && f->hour != hour) {
		due = f->count;
		f->count = 0;
		f->hour = hour;
	}
	pthread_mutex_unlock(&t->lock);
	return due;
}

/* see priv.h; the alert has been sent: counted and told, and true, so that the
 * source is slowed if it goes on; never refused */
bool
mm_tls_failed(void *ctx, SSL *ssl, const struct in6_addr *peer)
{
	struct mm_server *s = ctx;
	const struct mm_conn *c = mm_hello_conn(ssl);
	char id[MM_TOKEN_ID_TEXT], from[INET6_ADDRSTRLEN];
	int64_t count;

	if (c == NULL || !c->token || !c->psk_known)
		return false;
	mm_core_count_refusal(s->core, MM_R_CREDENTIAL);
	mm_token_id_text(c->id, id);
	mm_attempts_note(s->attempts, &(struct mm_attempt){
	    .door = MM_DOOR_HANDSHAKE, .reason = MM_R_CREDENTIAL, .token = id,
	    .peer = peer, .text = "the handshake failed: not the token's key"
	    });
	count = line_due(s->tls, c->id);
	if (count == 0)
		return true;
	mm_answer_peer(peer, from);
	MM_LOG(MM_LOG_WARN, "handshake-refused", MM_S("token", id),
	    MM_I("count", count), MM_S("peer", from));
	return true;
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
		return tls_fail(why, "ex_data");
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
	mm_buf_init(&t->cert, PEM_MAX);
	mm_buf_init(&t->key, PEM_MAX);
	MM_TRY(make_indexes(t, why));
	MM_TRY(read_trust(t, why));
	if (s->config->set.devices_listen[0] != '\0' ||
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

static bool
ends(struct mm_bytes der, int64_t *not_after_s)
{
	struct mm_cert c;

	if (mm_cert_walk(der, &c, NULL) != MM_OK)
		return false;
	*not_after_s = c.not_after_s;
	return true;
}

/* see priv.h */
bool
mm_tls_ends(struct mm_tls *t, int64_t *not_after_s)
{
	struct mm_buf der = MM_BUF_INIT(MM_CERT_MAX);
	struct mm_bytes pem;
	bool ok;

	pthread_mutex_lock(&t->lock);
	pem = mm_buf_view(&t->cert);
	ok = mm_pem_next(&pem, "CERTIFICATE", &der, NULL) == MM_OK;
	pthread_mutex_unlock(&t->lock);
	ok = ok && ends(mm_buf_view(&der), not_after_s);
	mm_buf_done(&der);
	return ok;
}

/* see priv.h */
bool
mm_tls_anchor_ends(const struct mm_tls *t, int64_t *not_after_s)
{
	return ends(mm_buf_view(&t->trust[0]), not_after_s);
}

/* see priv.h */
void
mm_tls_anchor(const struct mm_tls *t, uint8_t sha256[32])
{
	memcpy(sha256, t->anchor, 32);
}
