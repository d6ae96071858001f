#include "server.h"

#include <ctype.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <openssl/pkcs7.h>
#include <openssl/sha.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

/* Made once, before any fork; the tests are one thread. */
static struct {
	EVP_PKEY *root_key, *ca_key, *stranger;
	X509 *root, *ca;
} keys;

static struct server *in_use;

/* The connection at hand; one agent at a time. */
static struct {
	bool token;
	struct server_cert *client;
	uint8_t body[8192];
} conn;

static X509 *
issue(EVP_PKEY *pub, const char *cn, X509 *issuer, EVP_PKEY *key, bool ca)
{
	X509 *x = X509_new();
	X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, NULL,
	    NID_basic_constraints, ca ? "critical,CA:TRUE" : "CA:FALSE");
	static long serial = 100;

	X509_set_version(x, X509_VERSION_3);
	ASN1_INTEGER_set(X509_get_serialNumber(x), serial++ + getpid() * 100L);
	X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN",
	    MBSTRING_ASC, (const uint8_t *)cn, -1, -1, 0);
	X509_set_issuer_name(x, X509_get_subject_name(issuer != NULL ? issuer
	    : x));
	X509_gmtime_adj(X509_getm_notBefore(x), -3600);
	X509_gmtime_adj(X509_getm_notAfter(x), 86400 * 30);
	X509_set_pubkey(x, pub);
	X509_add_ext(x, e, -1);
	X509_EXTENSION_free(e);
	if (X509_sign(x, key, EVP_sha256()) <= 0)
		abort();
	return x;
}

/* see server.h */
struct server *
server_new(void)
{
	struct server *s = mmap(NULL, sizeof(*s), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (s == MAP_FAILED)
		abort();
	in_use = s;
	keys.root_key = EVP_EC_gen("P-256");
	keys.ca_key = EVP_EC_gen("P-256");
	keys.stranger = EVP_EC_gen("P-256");
	keys.root = issue(keys.root_key, "Root", NULL, keys.root_key, true);
	keys.ca = issue(keys.ca_key, "CA", keys.root, keys.root_key, true);
	return s;
}

/* see server.h */
struct server *
server_in_use(void)
{
	return in_use;
}

/* see server.h */
void
server_free(struct server *s)
{
	X509_free(keys.root);
	X509_free(keys.ca);
	EVP_PKEY_free(keys.root_key);
	EVP_PKEY_free(keys.ca_key);
	EVP_PKEY_free(keys.stranger);
	munmap(s, sizeof(*s));
}

/* see server.h */
void
server_reset(struct server *s)
{
	memset(s, 0, sizeof(*s));
}

/* see server.h */
void
server_keep_newest(struct server *s)
{
	s->certs[0] = s->certs[s->ncerts - 1];
	memset(s->certs + 1, 0, sizeof(s->certs) - sizeof(s->certs[0]));
	s->ncerts = 1;
}

/* see server.h */
void
server_step(struct server *s)
{
	if (++s->steps == s->kill_at)
		(void)kill(getpid(), SIGKILL);
}

/* see server.h */
struct mmd_token
server_token(void)
{
	struct mmd_token t = { .id = { 1, 2, 3 }, .secret = { 4, 5, 6 },
		.anchor_n = MMD_HASH, .device = "SN-1" };
	uint8_t *spki = NULL;
	int n = i2d_PUBKEY(keys.root_key, &spki);

	SHA256(spki, (size_t)n, t.anchor);
	OPENSSL_free(spki);
	return t;
}

/* see server.h */
struct server_cert *
server_find(struct server *s, struct mmd_bytes der)
{
	for (size_t i = 0; i < s->ncerts; i++)
		if (s->certs[i].n == der.n &&
		    memcmp(s->certs[i].der, der.p, der.n) == 0)
			return &s->certs[i];
	return NULL;
}

static enum mm_err
open_conn(void *ctx, const struct mmd_tls_want *want, struct mm_why *why)
{
	struct server *s = ctx;

	server_step(s);
	s->opened++;
	conn.token = want->mode == MMD_TLS_TOKEN;
	conn.client = NULL;
	if (conn.token)
		return MM_OK;
	s->checked_at_s = want->at_s;
	conn.client = server_find(s, want->cert);
	return conn.client != NULL ? MM_OK
	    : MM_FAIL(why, MM_EAUTH, "unknown certificate");
}

static struct mm_bytes
pkcs7_of(X509 *one, X509 *two)
{
	PKCS7 *p7 = PKCS7_new();
	uint8_t *p = conn.body;
	int n;

	PKCS7_set_type(p7, NID_pkcs7_signed);
	PKCS7_content_new(p7, NID_pkcs7_data);
	PKCS7_set_detached(p7, 1);
	PKCS7_add_certificate(p7, one);
	if (two != NULL)
		PKCS7_add_certificate(p7, two);
	n = i2d_PKCS7(p7, &p);
	PKCS7_free(p7);
	return (struct mm_bytes){ conn.body, (size_t)n };
}

static X509 *
by_key(struct server *s, EVP_PKEY *key)
{
	for (size_t i = 0; i < s->ncerts; i++) {
		const uint8_t *p = s->certs[i].der;
		X509 *x = d2i_X509(NULL, &p, (long)s->certs[i].n);

		if (EVP_PKEY_eq(X509_get0_pubkey(x), key) == 1)
			return x;
		X509_free(x);
	}
	return NULL;
}

static X509 *
issue_new(struct server *s, EVP_PKEY *key)
{
	struct server_cert *c = &s->certs[s->ncerts];
	uint8_t *p = c->der;
	X509 *x = issue(s->other_key ? keys.stranger : key, "SN-1", keys.ca,
	    s->other_ca ? keys.stranger : keys.ca_key, false);

	if (s->ncerts == CERTS_MAX)
		abort();
	c->n = (size_t)i2d_X509(x, &p);
	s->ncerts++;
	return x;
}

static void
enroll(struct server *s, struct mm_bytes request, struct mm_agent_reply *r)
{
	const uint8_t *p = request.p;
	X509_REQ *req = d2i_X509_REQ(NULL, &p, (long)request.n);
	EVP_PKEY *key = X509_REQ_get0_pubkey(req);
	X509 *x = by_key(s, key);

	if (X509_REQ_verify(req, key) != 1)
		abort();
	if (x == NULL && conn.token && s->claims > 0)
		r->status = 409;
	else if (x == NULL) {
		x = issue_new(s, key);
		s->claims += conn.token;
	}
	if (x != NULL)
		r->body = pkcs7_of(x, NULL);
	X509_free(x);
	X509_REQ_free(req);
}

static void
confirm(struct server *s, struct mm_agent_reply *r)
{
	r->status = s->refuse_confirm != 0 ? s->refuse_confirm
	    : conn.client->revoked ? 403 : 204;
	if (r->status == 204)
		conn.client->confirmed = true;
}

static enum mm_err
ask(void *ctx, enum mmd_est_op op, struct mm_bytes request,
    struct mm_agent_reply *out, struct mm_why *why)
{
	struct server *s = ctx;
	struct mm_agent_reply r = { .status = 200, .date_s = s->date_s,
		.retry_s = -1 };

	(void)why;
	server_step(s);
	if (s->busy > 0) {
		s->busy--;
		r.status = 503;
		r.retry_s = 3;
	} else if (op == MMD_EST_CACERTS)
		r.body = pkcs7_of(keys.ca, s->other_anchor ? NULL
		    : keys.root);
	else if (op == MMD_EST_ENROLL || op == MMD_EST_REENROLL)
		enroll(s, request, &r);
	else if (op == MMD_EST_CONFIRM)
		confirm(s, &r);
	else
		r.status = 404;
	server_step(s); /* done, and the answer lost */
	*out = r;
	return MM_OK;
}

/* "%s" in the window is the serial of the connection's certificate. */
static void
renewal(const struct server *s, struct mm_agent_reply *r)
{
	const uint8_t *p = conn.client->der;
	X509 *x = d2i_X509(NULL, &p, (long)conn.client->n);
	BIGNUM *n = ASN1_INTEGER_to_BN(X509_get0_serialNumber(x), NULL);
	char *hex = BN_bn2hex(n);
	const char *mark = strstr(s->window, "%s");

	for (char *c = hex; *c != '\0'; c++)
		*c = (char)tolower((unsigned char)*c);
	r->body.p = conn.body;
	r->body.n = (size_t)snprintf((char *)conn.body, sizeof(conn.body),
	    "%.*s%s%s", mark != NULL ? (int)(mark - s->window) : 0, s->window,
	    mark != NULL ? hex : "", mark != NULL ? mark + 2 : s->window);
	r->retry_s = s->again_s;
	OPENSSL_free(hex);
	BN_free(n);
	X509_free(x);
}

static enum mm_err
get(void *ctx, const char *path, const char *tag, struct mm_agent_reply *out,
    struct mm_why *why)
{
	struct server *s = ctx;
	struct mm_agent_reply r = { .status = 200, .date_s = s->date_s,
		.retry_s = -1 };

	(void)why;
	(void)tag;
	server_step(s);
	if (s->busy > 0) {
		s->busy--;
		r.status = 503;
		r.retry_s = 3;
	} else if (s->refuse_window != 0) {
		r.status = s->refuse_window;
	} else if (strcmp(path, "renewal") != 0 || s->window[0] == '\0' ||
	    conn.client == NULL)
		r.status = 404;
	else
		renewal(s, &r);
	*out = r;
	return MM_OK;
}

static void
close_conn(void *ctx)
{
	(void)ctx;
}

static void
pause_for(void *ctx, int64_t ms)
{
	struct server *s = ctx;

	s->slept_ms += ms;
}

/* see server.h */
struct mm_agent_link
server_link(struct server *s)
{
	return (struct mm_agent_link){ open_conn, ask, get, close_conn,
		pause_for, s };
}
