#include "fixture.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/x509.h>

static void
must(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "fixture: %s\n", what);
	exit(1);
}

static void
reply(struct mm_http_req *req, struct mm_http_resp *resp)
{
	resp->status = 200;
	resp->content_type = "text/plain";
	mm_http_answer(mm_http_of(req->loop), req->ref, resp);
}

static void
on_hello(struct mm_http_req *req, void *ctx)
{
	struct mm_http_resp resp = { .body = MM_BUF_INIT(64) };

	(void)ctx;
	mm_buf_text(&resp.body, "hello\n");
	reply(req, &resp);
}

static void
on_loop(struct mm_http_req *req, void *ctx)
{
	struct mm_http_resp resp = { .body = MM_BUF_INIT(64) };

	(void)ctx;
	mm_buf_printf(&resp.body, "%u\n", mm_http_loop_number(req->loop));
	reply(req, &resp);
}

struct delayed {
	struct mm_http *http;
	struct mm_http_ref ref;
	long ms;
};

static void *
answer_delayed(void *arg)
{
	struct delayed *d = arg;
	struct mm_http_resp resp = { .status = 200,
		.content_type = "text/plain",
		.body = MM_BUF_INIT(64) };
	struct timespec ts = { d->ms / 1000, d->ms % 1000 * 1000000 };

	nanosleep(&ts, NULL);
	mm_buf_text(&resp.body, "hello\n");
	mm_http_answer(d->http, d->ref, &resp);
	free(d);
	return NULL;
}

static long
number(struct mm_http_req *req, const char *name)
{
	char text[16] = "0";

	(void)!mm_http_query(req, name, text, sizeof(text), NULL);
	return atol(text);
}

static void
on_later(struct mm_http_req *req, void *ctx)
{
	struct delayed *d = malloc(sizeof(*d));
	pthread_t t;

	(void)ctx;
	must(d != NULL, "memory");
	*d = (struct delayed){ mm_http_of(req->loop), req->ref,
		number(req, "ms") };
	must(pthread_create(&t, NULL, answer_delayed, d) == 0, "thread");
	pthread_detach(t);
}

static void
on_big(struct mm_http_req *req, void *ctx)
{
	struct mm_http_resp resp = { .body = MM_BUF_INIT(64 << 20) };
	size_t n = (size_t)number(req, "n");
	uint8_t *p = mm_buf_room(&resp.body, n);

	(void)ctx;
	must(p != NULL, "memory");
	memset(p, 'x', n);
	reply(req, &resp);
}

static void
on_what(struct mm_http_req *req, void *ctx)
{
	static const char *const names[] = { "GET", "HEAD", "POST", "PUT",
		"PATCH", "DELETE" };
	struct mm_http_resp resp = { .body = MM_BUF_INIT(1 << 20) };

	(void)ctx;
	mm_buf_text(&resp.body, names[req->method]);
	mm_buf_text(&resp.body, " ");
	mm_buf_bytes(&resp.body, req->path);
	mm_buf_text(&resp.body, "\n");
	mm_buf_bytes(&resp.body, req->query);
	mm_buf_text(&resp.body, "\n");
	mm_buf_bytes(&resp.body, req->body);
	reply(req, &resp);
}

static void
on_echo(struct mm_http_req *req, void *ctx)
{
	struct mm_http_resp resp = { .body = MM_BUF_INIT(65536) };

	(void)ctx;
	mm_buf_bytes(&resp.body, req->body);
	reply(req, &resp);
}

static const struct mm_http_route routes[] = {
	{ MM_HTTP_GET, "/hello", 0, 0, on_hello, NULL },
	{ MM_HTTP_GET, "/loop", 0, 0, on_loop, NULL },
	{ MM_HTTP_GET, "/later", 0, 0, on_later, NULL },
	{ MM_HTTP_GET, "/big", 0, 0, on_big, NULL },
	{ MM_HTTP_POST, "/big", 65536, 0, on_big, NULL },
	{ MM_HTTP_POST, "/echo", 65536, 0, on_echo, NULL },
	{ MM_HTTP_GET, "/what/*", 65536, 0, on_what, NULL },
	{ MM_HTTP_POST, "/what/*", 65536, 0, on_what, NULL },
	{ MM_HTTP_PUT, "/what/*", 65536, 0, on_what, NULL },
	{ MM_HTTP_PATCH, "/what/*", 65536, 0, on_what, NULL },
	{ MM_HTTP_DELETE, "/what/*", 65536, 0, on_what, NULL },
};

static void
certificate_make(struct fixture *f)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *x = X509_new();
	X509_NAME *name;
	uint8_t *p;

	must(key != NULL && x != NULL, "key");
	name = X509_get_subject_name(x);
	X509_NAME_add_entry_by_txt(
	    name, "CN", MBSTRING_ASC, (const uint8_t *)"localhost", -1, -1, 0);
	X509_set_issuer_name(x, name);
	ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
	X509_gmtime_adj(X509_getm_notBefore(x), -86400);
	X509_gmtime_adj(X509_getm_notAfter(x), 86400);
	X509_set_pubkey(x, key);
	must(X509_sign(x, key, EVP_sha256()) > 0, "sign");
	must(i2d_X509(x, NULL) < (int)sizeof(f->cert) &&
		 i2d_PrivateKey(key, NULL) < (int)sizeof(f->key),
	    "size");
	p = f->cert;
	f->cert_n = i2d_X509(x, &p);
	p = f->key;
	f->key_n = i2d_PrivateKey(key, &p);
	X509_free(x);
	EVP_PKEY_free(key);
}

static int
accept_any(int ok, X509_STORE_CTX *ctx)
{
	(void)ok;
	(void)ctx;
	return 1;
}

static enum mm_err
make_ctx(void *ctx, uint16_t loop, OSSL_LIB_CTX *lib, SSL_CTX **out,
    struct mm_why *why)
{
	const struct fixture *f = ctx;
	SSL_CTX *tls = SSL_CTX_new_ex(lib, NULL, TLS_server_method());

	(void)loop;
	if (tls == NULL ||
	    SSL_CTX_use_certificate_ASN1(tls, f->cert_n, f->cert) != 1 ||
	    SSL_CTX_use_PrivateKey_ASN1(EVP_PKEY_EC, tls, f->key, f->key_n) !=
		1)
		return MM_FAIL(why, MM_ECRYPTO, "SSL_CTX");
	SSL_CTX_set_num_tickets(tls, 0);
	SSL_CTX_set_session_cache_mode(tls, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_options(tls, SSL_OP_NO_TICKET);
	if (f->mutual)
		SSL_CTX_set_verify(tls,
		    SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT,
		    accept_any);
	*out = tls;
	return MM_OK;
}

static void
on_access(void *ctx, const struct mm_http_access *a)
{
	struct fixture *f = ctx;

	(void)a;
	__atomic_add_fetch(&f->answered, 1, __ATOMIC_RELAXED);
}

static void
on_round(void *ctx, struct mm_http_loop *loop)
{
	struct fixture *f = ctx;

	(void)loop;
	__atomic_add_fetch(&f->rounds, 1, __ATOMIC_RELAXED);
}

void
fixture_init(struct fixture *f, uint16_t loops)
{
	*f = (struct fixture){ 0 };
	certificate_make(f);
	for (unsigned i = 0; i < 2; i++)
		f->listeners[i] = (struct mm_http_listener_conf){
			.name = i == 0 ? "tls" : "plain",
			.address = "127.0.0.1:0",
			.make_ctx = i == 0 ? make_ctx : NULL,
			.routes = routes,
			.nroutes = sizeof(routes) / sizeof(routes[0]),
			.ctx = f,
		};
	f->conf = (struct mm_http_conf){ .loops = loops,
		.listeners = f->listeners,
		.nlisteners = 2,
		.on_round = on_round,
		.on_access = on_access,
		.ctx = f };
}

void
fixture_start(struct fixture *f)
{
	struct mm_why why = { 0 };

	must(mm_http_open(&f->conf, &f->http, &why) == MM_OK, why.text);
	must(mm_http_start(f->http, &why) == MM_OK, why.text);
}

void
fixture_stop(struct fixture *f, int64_t deadline_ms)
{
	mm_http_drain(f->http, deadline_ms);
	mm_http_close(&f->http);
}
