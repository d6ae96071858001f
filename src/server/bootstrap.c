#include <openssl/err.h>
#include <openssl/x509_vfy.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/own.h"
#include "core/group.h"
#include "server/bootstrap.h"

enum {
	LEVEL = 2,       /* SSL_CTX_set_security_level(3): 112 bits */
	LEVEL_BITS = 112,
	DEPTH = 8,
};

MM_FREE_FN(free_x509, X509, X509_free)
MM_FREE_FN(free_store, X509_STORE, X509_STORE_free)
MM_FREE_FN(free_ctx, X509_STORE_CTX, X509_STORE_CTX_free)

struct ca {
	uint8_t sha256[32];
	struct mm_buf der;
};
struct boot_loop { /* a loop's own */
	unsigned generation;
	X509_STORE *store;
};
struct mm_boot {
	struct mm_server *s;
	atomic_bool any;          /* there is a credential of a group */
	atomic_uint generation;
	pthread_mutex_t lock;     /* the CAs */
	struct ca ca[MM_CREDENTIAL_CAS_MAX];
	size_t n;
	struct boot_loop loop[MM_LOOPS_MAX];
};

/* ---- what groups have ---- */

struct taking {
	struct ca ca[MM_CREDENTIAL_CAS_MAX];
	size_t n;
};

static void
taking_done(struct taking *t)
{
	for (size_t i = 0; i < t->n; i++)
		mm_buf_done(&t->ca[i].der);
}

static enum mm_err
take_ca(void *ctx, const void *row, const char *next, struct mm_why *why)
{
	struct mm_credential c = MM_CREDENTIAL_INIT;
	struct taking *t = ctx;

	(void)next;
	MM_TRY(mm_credential_parse(row, &c, why));
	if (c.der.n == 0) {
		mm_credential_done(&c);
		return MM_OK;
	}
	t->ca[t->n].der = c.der;
	mm_sha256(mm_buf_view(&c.der), t->ca[t->n].sha256);
	t->n++;
	return MM_OK;
}

static bool
same(const struct mm_boot *b, const struct taking *t)
{
	for (size_t i = 0; b->n == t->n && i < t->n; i++)
		if (memcmp(b->ca[i].sha256, t->ca[i].sha256, 32) != 0)
			return false;
	return b->n == t->n;
}

static void
install(struct mm_boot *b, struct taking *t)
{
	pthread_mutex_lock(&b->lock);
	if (!same(b, t)) {
		struct taking old = { .n = b->n };

		memcpy(old.ca, b->ca, sizeof(old.ca));
		memcpy(b->ca, t->ca, sizeof(b->ca));
		b->n = t->n;
		*t = old;
		atomic_fetch_add(&b->generation, 1);
	}
	pthread_mutex_unlock(&b->lock);
}

static enum mm_err
refresh(struct mm_boot *b, struct mm_store_reader *r, struct mm_why *why)
{
	const struct mm_list l = { .most = MM_CREDENTIAL_CAS_MAX,
		.state = -1 };
	MM_OWN(taking_done) struct taking t = { .n = 0 };
	unsigned n;

	MM_TRY(mm_count_docs(r, MM_DOC_CREDENTIAL, "", 1, &n, why));
	MM_TRY(mm_list_docs(r, MM_DOC_CREDENTIAL, MM_CREDENTIAL_CAS, &l,
	    take_ca, &t, why));
	install(b, &t);
	atomic_store(&b->any, n > 0);
	return MM_OK;
}

/* see bootstrap.h */
void
mm_boot_refresh(struct mm_boot *b, struct mm_store_reader *r)
{
	struct mm_why why = { 0 };

	if (refresh(b, r, &why) != MM_OK)
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
	for (size_t i = 0; i < b->n; i++)
		mm_buf_done(&b->ca[i].der);
	for (size_t i = 0; i < MM_LOOPS_MAX; i++)
		X509_STORE_free(b->loop[i].store);
	pthread_mutex_destroy(&b->lock);
	free(b);
}

/* ---- a loop's store ---- */

static bool
add(X509_STORE *store, OSSL_LIB_CTX *lib, const struct ca *ca)
{
	MM_OWN(free_x509) X509 *x = X509_new_ex(lib, NULL);
	const unsigned char *p = ca->der.p;

	return x != NULL && d2i_X509(&x, &p, (long)ca->der.n) != NULL &&
	       X509_STORE_add_cert(store, x) == 1;
}

/* The CA of a group suffices, wherever it stands in its chain. */
static X509_STORE *
build(struct mm_boot *b, OSSL_LIB_CTX *lib, unsigned *generation)
{
	MM_OWN(free_store) X509_STORE *store = X509_STORE_new();
	bool ok = store != NULL;

	if (ok)
		X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN);
	pthread_mutex_lock(&b->lock);
	*generation = atomic_load(&b->generation);
	for (size_t i = 0; i < b->n && ok; i++)
		ok = add(store, lib, &b->ca[i]);
	pthread_mutex_unlock(&b->lock);
	ERR_clear_error();
	return ok ? MM_MOVE(store) : NULL;
}

static X509_STORE *
store_of(struct mm_boot *b, const struct mm_tls_loop *tls)
{
	struct boot_loop *l = &b->loop[tls->loop];
	X509_STORE *fresh;
	unsigned generation;

	if (l->store != NULL && l->generation == atomic_load(&b->generation))
		return l->store;
	fresh = build(b, tls->lib, &generation);
	if (fresh == NULL)
		return l->store;
	X509_STORE_free(l->store);
	l->store = fresh;
	l->generation = generation;
	return fresh;
}

/* ---- a certificate ---- */

/* An old fleet's certificates, and its CA's, may well be past their end:
 * whether that matters is the group's to say. */
static int
on_verify(int ok, X509_STORE_CTX *ctx)
{
	struct mm_old_cert *out = X509_STORE_CTX_get_app_data(ctx);

	if (X509_STORE_CTX_get_error(ctx) != X509_V_ERR_CERT_HAS_EXPIRED)
		return ok;
	out->expired = true;
	return 1;
}

/* RFC 5280 6.1, for a TLS client (4.2.1.12). */
static bool
chains(X509_STORE *store, OSSL_LIB_CTX *lib, X509 *x, STACK_OF(X509) *rest,
    struct mm_old_cert *out)
{
	MM_OWN(free_ctx) X509_STORE_CTX *ctx = X509_STORE_CTX_new_ex(lib, NULL);
	STACK_OF(X509) *chain;
	X509_VERIFY_PARAM *param;
	unsigned n;

	if (ctx == NULL || X509_STORE_CTX_init(ctx, store, x, rest) != 1 ||
	    X509_STORE_CTX_set_default(ctx, "ssl_client") != 1)
		return false;
	param = X509_STORE_CTX_get0_param(ctx);
	X509_VERIFY_PARAM_set_auth_level(param, LEVEL);
	X509_VERIFY_PARAM_set_depth(param, DEPTH);
	X509_STORE_CTX_set_app_data(ctx, out);
	X509_STORE_CTX_set_verify_cb(ctx, on_verify);
	if (X509_verify_cert(ctx) != 1)
		return false;
	chain = X509_STORE_CTX_get0_chain(ctx);
	return X509_digest(sk_X509_value(chain, sk_X509_num(chain) - 1),
	    EVP_sha256(), out->anchor, &n) == 1;
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
	const struct mm_tls_loop *tls;
	struct mm_old_cert own = { .peer = req->peer };
	X509_STORE *store;
	X509 *x;

	if (req->ssl == NULL || !atomic_load(&b->any))
		return false;
	x = SSL_get0_peer_certificate(req->ssl);
	if (x == NULL || !look(x, &own))
		return false;
	tls = mm_hello_loop(req->ssl);
	store = store_of(b, tls);
	*out = own;
	if (store != NULL && chains(store, tls->lib, x,
	    SSL_get_peer_cert_chain(req->ssl), &own))
		*out = own;
	ERR_clear_error();
	return true;
}
