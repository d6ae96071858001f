#include <openssl/err.h>
#include <openssl/x509_vfy.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/own.h"
#include "core/group.h"
#include "server/bootstrap.h"
#include "server/oldcrl.h"

enum {
	LEVEL = 2,       /* SSL_CTX_set_security_level(3): 112 bits */
	LEVEL_LEGACY = 0,
	LEVEL_BITS = 112,
	FLOOR_BITS = 80, /* of a key: RSA-1024; anybody can make less */
	DEPTH = 8,
};

MM_FREE_FN(free_x509, X509, X509_free)
MM_FREE_FN(free_ctx, X509_STORE_CTX, X509_STORE_CTX_free)

static void
free_cas(STACK_OF(X509) **owner)
{
	sk_X509_pop_free(*owner, X509_free);
	*owner = NULL;
}
/* The certificates in it are others'. */
static void
free_loan(STACK_OF(X509) **owner)
{
	sk_X509_free(*owner);
	*owner = NULL;
}

struct ca {
	uint8_t sha256[32], crl[32]; /* hashes */
	bool has_crl;
	struct mm_buf der;
	struct mm_old_crl list;
};
struct boot_loop { /* a loop's own */
	unsigned generation;
	STACK_OF(X509) *cas;
};
struct mm_boot {
	struct mm_server *s;
	atomic_bool any;          /* there is a credential of a group */
	atomic_bool nothing;      /* there is a group of kind none */
	atomic_uint generation;
	pthread_mutex_t refreshing; /* by one at a time, of what it reads */
	pthread_mutex_t lock;     /* the CAs */
	struct ca ca[MM_CREDENTIAL_TAKEN];
	size_t n;
	uint8_t secret[MM_CREDENTIAL_TAKEN][32]; /* of their ids */
	size_t nsecrets;
	struct boot_loop loop[MM_LOOPS_MAX];
};

/* ---- what groups have ---- */

struct taking {
	struct mm_store_reader *r;
	struct ca ca[MM_CREDENTIAL_TAKEN];
	size_t n;
};

static void
taking_done(struct taking *t)
{
	for (size_t i = 0; i < t->n; i++) {
		mm_buf_done(&t->ca[i].der);
		mm_old_crl_done(&t->ca[i].list);
	}
}

static enum mm_err
take_ca(void *ctx, const void *row, const char *next, struct mm_why *why)
{
	MM_OWN(mm_credential_done)
	struct mm_credential c = MM_CREDENTIAL_INIT;
	struct taking *t = ctx;

	(void)next;
	MM_TRY(mm_credential_parse(row, &c, why));
	if (c.der.n == 0)
		return MM_OK;
	memcpy(t->ca[t->n].crl, c.crl, 32);
	t->ca[t->n].has_crl = c.has_crl;
	mm_sha256(mm_buf_view(&c.der), t->ca[t->n].sha256);
	t->ca[t->n].der = c.der;
	mm_buf_init(&c.der, 0);
	t->n++;
	return MM_OK;
}

/* Parsed once; it stays with the CA when that is installed again. */
static enum mm_err
take_list(struct taking *t, struct ca *ca, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf der = MM_BUF_INIT(MM_OLD_CRL_MAX);
	MM_OWN(free_x509) X509 *x = NULL;
	const unsigned char *p = ca->der.p;

	x = d2i_X509(NULL, &p, (long)ca->der.n);
	if (x == NULL)
		return MM_FAIL(why, MM_ESYS, "a CA of a group cannot be read");
	MM_TRY(mm_credential_crl(t->r, ca->crl, &der, why));
	return mm_old_crl_read(mm_buf_view(&der), x, &ca->list, why);
}

static bool
same(const struct mm_boot *b, const struct taking *t)
{
	for (size_t i = 0; b->n == t->n && i < t->n; i++)
		if (memcmp(b->ca[i].sha256, t->ca[i].sha256, 32) != 0 ||
		    memcmp(b->ca[i].crl, t->ca[i].crl, 32) != 0)
			return false;
	return b->n == t->n;
}

static void
swap(struct mm_boot *b, struct taking *t)
{
	struct taking old = { .n = b->n };

	memcpy(old.ca, b->ca, sizeof(old.ca));
	memcpy(b->ca, t->ca, sizeof(b->ca));
	b->n = t->n;
	*t = old;
	atomic_fetch_add(&b->generation, 1);
}

/* Lists are read before the lock is taken; who refreshes is alone, so what was
 * the same still is. */
static enum mm_err
install(struct mm_boot *b, struct taking *t, struct mm_why *why)
{
	enum mm_err rc = MM_OK;
	bool is_same;

	pthread_mutex_lock(&b->lock);
	is_same = same(b, t);
	pthread_mutex_unlock(&b->lock);
	if (is_same)
		return MM_OK;
	for (size_t i = 0; rc == MM_OK && i < t->n; i++)
		if (t->ca[i].has_crl)
			rc = take_list(t, &t->ca[i], why);
	if (rc != MM_OK)
		return rc;
	pthread_mutex_lock(&b->lock);
	swap(b, t);
	pthread_mutex_unlock(&b->lock);
	return MM_OK;
}

/* ---- secrets, and nothing ---- */

struct secrets {
	uint8_t sha256[MM_CREDENTIAL_TAKEN][32];
	size_t n;
};

static enum mm_err
take_secret(void *ctx, const void *row, const char *next, struct mm_why *why)
{
	const char *hex = next + strlen(MM_CREDENTIAL_SECRETS);
	struct secrets *s = ctx;

	(void)row;
	return mm_hex_parse(hex, strlen(hex), s->sha256[s->n++], 32, why);
}

static enum mm_err
refresh_others(struct mm_boot *b, struct mm_store_reader *r,
    struct mm_why *why)
{
	const struct mm_list l = { .most = MM_CREDENTIAL_TAKEN,
		.state = -1 };
	struct secrets s = { .n = 0 };
	unsigned n;

	MM_TRY(mm_count_docs(r, MM_DOC_CREDENTIAL, MM_CREDENTIAL_NOTHINGS, 1,
	    &n, why));
	MM_TRY(mm_list_docs(r, MM_DOC_CREDENTIAL, MM_CREDENTIAL_SECRETS, &l,
	    take_secret, &s, why));
	pthread_mutex_lock(&b->lock);
	memcpy(b->secret, s.sha256, sizeof(b->secret));
	b->nsecrets = s.n;
	pthread_mutex_unlock(&b->lock);
	atomic_store(&b->nothing, n > 0);
	return MM_OK;
}

/* see bootstrap.h */
bool
mm_boot_secret(struct mm_boot *b, const char *token)
{
	uint8_t sha256[32];
	bool yes = false;

	if (!b->s->config->set.claim_secrets)
		return false;
	mm_sha256(mm_bytes_of(token), sha256);
	pthread_mutex_lock(&b->lock);
	for (size_t i = 0; i < b->nsecrets; i++)
		yes = yes || memcmp(b->secret[i], sha256, 32) == 0;
	pthread_mutex_unlock(&b->lock);
	return yes;
}

/* see bootstrap.h */
bool
mm_boot_nothing(const struct mm_boot *b)
{
	return b->s->config->set.pairing && atomic_load(&b->nothing);
}

static enum mm_err
refresh(struct mm_boot *b, struct mm_store_reader *r, struct mm_why *why)
{
	const struct mm_list l = { .most = MM_CREDENTIAL_TAKEN,
		.state = -1 };
	MM_OWN(taking_done) struct taking t = { .r = r };
	unsigned n;

	MM_TRY(mm_count_docs(r, MM_DOC_CREDENTIAL, "", 1, &n, why));
	MM_TRY(mm_list_docs(r, MM_DOC_CREDENTIAL, MM_CREDENTIAL_CAS, &l,
	    take_ca, &t, why));
	MM_TRY(install(b, &t, why));
	atomic_store(&b->any, n > 0);
	return refresh_others(b, r, why);
}

/* see bootstrap.h; what one has read no other has replaced by something newer
 * before it is installed */
void
mm_boot_refresh(struct mm_boot *b, struct mm_store_reader *r)
{
	struct mm_why why = { 0 };
	enum mm_err rc;

	pthread_mutex_lock(&b->refreshing);
	rc = refresh(b, r, &why);
	pthread_mutex_unlock(&b->refreshing);
	if (rc != MM_OK)
		MM_LOG(MM_LOG_WARN, "groups", MM_S("why", why.text));
}

/* see bootstrap.h */
enum mm_err
mm_boot_new(struct mm_server *s, struct mm_boot **out, struct mm_why *why)
{
	MM_OWN(mm_boot_free) struct mm_boot *b = calloc(1, sizeof(*b));
	struct mm_store_reader *r = NULL;
	enum mm_err rc;

	if (b == NULL)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	b->s = s;
	pthread_mutex_init(&b->refreshing, NULL);
	pthread_mutex_init(&b->lock, NULL);
	rc = mm_reader_open(s->config->set.database, &r, why);
	if (rc == MM_OK)
		rc = refresh(b, r, why);
	mm_reader_close(&r);
	MM_TRY(rc);
	*out = MM_MOVE(b);
	return MM_OK;
}

/* see bootstrap.h */
void
mm_boot_free(struct mm_boot **owner)
{
	struct mm_boot *b = MM_MOVE(*owner);

	if (b == NULL)
		return;
	for (size_t i = 0; i < b->n; i++) {
		mm_buf_done(&b->ca[i].der);
		mm_old_crl_done(&b->ca[i].list);
	}
	for (size_t i = 0; i < MM_LOOPS_MAX; i++)
		free_cas(&b->loop[i].cas);
	pthread_mutex_destroy(&b->lock);
	pthread_mutex_destroy(&b->refreshing);
	free(b);
}

/* ---- a loop's certificates ---- */

static bool
add(STACK_OF(X509) *cas, OSSL_LIB_CTX *lib, const struct ca *ca)
{
	MM_OWN(free_x509) X509 *x = X509_new_ex(lib, NULL);
	const unsigned char *p = ca->der.p;

	if (x == NULL || d2i_X509(&x, &p, (long)ca->der.n) == NULL ||
	    sk_X509_push(cas, x) <= 0)
		return false;
	x = NULL;
	return true;
}

static STACK_OF(X509) *
build(struct mm_boot *b, OSSL_LIB_CTX *lib, unsigned *generation)
{
	MM_OWN(free_cas) STACK_OF(X509) *cas = sk_X509_new_null();
	bool ok = cas != NULL;

	pthread_mutex_lock(&b->lock);
	*generation = atomic_load(&b->generation);
	for (size_t i = 0; i < b->n && ok; i++)
		ok = add(cas, lib, &b->ca[i]);
	pthread_mutex_unlock(&b->lock);
	ERR_clear_error();
	return ok ? MM_MOVE(cas) : NULL;
}

static STACK_OF(X509) *
cas_of(struct mm_boot *b, const struct mm_tls_loop *tls)
{
	struct boot_loop *l = &b->loop[tls->loop];
	STACK_OF(X509) *fresh;
	unsigned generation;

	if (l->cas != NULL && l->generation == atomic_load(&b->generation))
		return l->cas;
	fresh = build(b, tls->lib, &generation);
	if (fresh == NULL)
		return l->cas;
	free_cas(&l->cas);
	l->cas = fresh;
	l->generation = generation;
	return fresh;
}

/* ---- a certificate ---- */

/* An old fleet's certificates, and its CA's, may well be past their end:
 * whether that matters is the group's to say. */
static int
on_verify(int ok, X509_STORE_CTX *ctx)
{
	bool *expired = X509_STORE_CTX_get_app_data(ctx);

	if (X509_STORE_CTX_get_error(ctx) != X509_V_ERR_CERT_HAS_EXPIRED)
		return ok;
	*expired = true;
	return 1;
}

/* A certificate being looked at: which CAs may end its chain, and what may
 * stand between. */
struct looking {
	struct mm_boot *b;
	OSSL_LIB_CTX *lib;
	X509 *x;
	STACK_OF(X509) *ends, *between;
	int level;
};

/* Whether a CA's list has one of the chain's, whose issuer is the next. */
static bool
is_revoked(struct mm_boot *b, STACK_OF(X509) *chain)
{
	bool yes = false;
	unsigned n;

	pthread_mutex_lock(&b->lock);
	for (int i = 0; i + 1 < sk_X509_num(chain); i++) {
		uint8_t issuer[32];

		if (X509_digest(sk_X509_value(chain, i + 1), EVP_sha256(),
			issuer, &n) != 1)
			yes = true;
		for (size_t k = 0; k < b->n; k++)
			yes = yes || (memcmp(b->ca[k].sha256, issuer, 32) ==
			    0 && mm_old_crl_has(&b->ca[k].list,
			    X509_get0_serialNumber(sk_X509_value(chain, i))));
	}
	pthread_mutex_unlock(&b->lock);
	return yes;
}

/* Whether one can be signed by who is not its issuer: RFC 6151 2. */
static bool
is_forgeable(X509 *x)
{
	int digest;

	return X509_get_signature_info(x, &digest, NULL, NULL, NULL) != 1 ||
	       digest == NID_md5 || digest == NID_md4 || digest == NID_md2 ||
	       digest == NID_mdc2;
}

static bool
is_poor(X509 *x)
{
	const EVP_PKEY *key = X509_get0_pubkey(x);

	return key == NULL || EVP_PKEY_get_security_bits(key) < FLOOR_BITS;
}

/* What nobody may come with, at the legacy listener either.  The last one's
 * signature is not looked at: a group has the certificate itself.  The first
 * one's key is, where it came. */
static bool
is_below_floor(STACK_OF(X509) *chain)
{
	for (int i = 0; i < sk_X509_num(chain); i++)
		if ((i > 0 && is_poor(sk_X509_value(chain, i))) ||
		    (i + 1 < sk_X509_num(chain) &&
			is_forgeable(sk_X509_value(chain, i))))
			return true;
	return false;
}

/* RFC 5280 6.1, for a TLS client (4.2.1.12).  The CA of a group suffices,
 * wherever it stands in its chain: end is the nearest of ends. */
static bool
chains(const struct looking *l, struct mm_old_anchor *out, X509 **end)
{
	MM_OWN(free_ctx) X509_STORE_CTX *ctx =
	    X509_STORE_CTX_new_ex(l->lib, NULL);
	STACK_OF(X509) *chain;
	X509_VERIFY_PARAM *param;
	unsigned n;

	if (ctx == NULL ||
	    X509_STORE_CTX_init(ctx, NULL, l->x, l->between) != 1 ||
	    X509_STORE_CTX_set_default(ctx, "ssl_client") != 1)
		return false;
	X509_STORE_CTX_set0_trusted_stack(ctx, l->ends);
	param = X509_STORE_CTX_get0_param(ctx);
	if (X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_PARTIAL_CHAIN) != 1)
		return false;
	X509_VERIFY_PARAM_set_auth_level(param, l->level);
	X509_VERIFY_PARAM_set_depth(param, DEPTH);
	X509_STORE_CTX_set_app_data(ctx, &out->expired);
	X509_STORE_CTX_set_verify_cb(ctx, on_verify);
	if (X509_verify_cert(ctx) != 1)
		return false;
	chain = X509_STORE_CTX_get0_chain(ctx);
	if (is_below_floor(chain))
		return false;
	*end = sk_X509_value(chain, sk_X509_num(chain) - 1);
	out->revoked = is_revoked(l->b, chain);
	return X509_digest(*end, EVP_sha256(), out->sha256, &n) == 1;
}

static X509 *
taken_out(STACK_OF(X509) *list, const X509 *x)
{
	for (int i = 0; i < sk_X509_num(list); i++)
		if (X509_cmp(sk_X509_value(list, i), x) == 0)
			return sk_X509_delete(list, i);
	return NULL;
}

/* The nearest CA hides none above it: each that was found is only one that may
 * stand between for the next. */
static void
find_anchors(struct looking *l, struct mm_old_cert *out)
{
	X509 *end;

	while (out->nanchors < MM_OLD_ANCHORS) {
		struct mm_old_anchor a = { .expired = false };

		if (!chains(l, &a, &end))
			return;
		out->anchor[out->nanchors++] = a;
		end = taken_out(l->ends, end);
		if (end == NULL || sk_X509_push(l->between, end) <= 0)
			return;
	}
}

static void
look_up(struct mm_boot *b, SSL *ssl, int level, struct mm_old_cert *out)
{
	const struct mm_tls_loop *tls = mm_hello_loop(ssl);
	STACK_OF(X509) *sent = SSL_get_peer_cert_chain(ssl);
	STACK_OF(X509) *cas = cas_of(b, tls);
	MM_OWN(free_loan) STACK_OF(X509) *ends = NULL;
	MM_OWN(free_loan) STACK_OF(X509) *between = NULL;
	struct looking l = { .b = b, .lib = tls->lib, .level = level,
		.x = SSL_get0_peer_certificate(ssl) };

	if (cas == NULL)
		return;
	ends = sk_X509_dup(cas);
	between = sent != NULL ? sk_X509_dup(sent) : sk_X509_new_null();
	l.ends = ends;
	l.between = between;
	if (ends != NULL && between != NULL)
		find_anchors(&l, out);
}

static void
name(X509 *x, int nid, char out[65])
{
	X509_NAME *subject = X509_get_subject_name(x);
	int i = X509_NAME_get_index_by_NID(subject, nid, -1);
	ASN1_STRING *v = i < 0 ? NULL : X509_NAME_ENTRY_get_data(
	    X509_NAME_get_entry(subject, i));

	out[0] = '\0';
	if (v != NULL)
		(void)!mm_text_copy(out, 65, (struct mm_bytes){
		    ASN1_STRING_get0_data(v), (size_t)ASN1_STRING_length(v) });
	if (!mm_device_id_valid(out))
		out[0] = '\0';
}

/* What holds of it with or without a chain. */
static bool
look(X509 *x, struct mm_old_cert *out)
{
	const EVP_PKEY *key = X509_get0_pubkey(x);
	unsigned n;

	if (key == NULL ||
	    X509_digest(x, EVP_sha256(), out->sha256, &n) != 1 ||
	    X509_cmp_current_time(X509_get0_notBefore(x)) >= 0)
		return false;
	out->expired = X509_cmp_current_time(X509_get0_notAfter(x)) <= 0;
	out->weak = EVP_PKEY_get_security_bits(key) < LEVEL_BITS;
	name(x, NID_commonName, out->cn);
	name(x, NID_serialNumber, out->serial_number);
	return true;
}

/* see bootstrap.h; a certificate that is good by itself may be one of a
 * group's single ones, of which there are too many for here */
bool
mm_boot_look(struct mm_boot *b, const struct mm_http_req *req,
    struct mm_old_cert *out)
{
	const struct mm_conn *c = req->conn_data;
	struct mm_old_cert own = { .peer = req->peer };
	X509 *x;

	if (req->ssl == NULL || c == NULL || !atomic_load(&b->any))
		return false;
	x = SSL_get0_peer_certificate(req->ssl);
	if (x == NULL || !look(x, &own))
		return false;
	look_up(b, req->ssl, LEVEL, &own);
	own.legacy = c->legacy && !is_poor(x); /* else weak, for all groups */
	if (c->legacy && own.nanchors == 0) {
		look_up(b, req->ssl, LEVEL_LEGACY, &own);
		own.weak |= own.nanchors > 0;
	}
	*out = own;
	ERR_clear_error();
	return true;
}
