#include "agent/priv.h"

#include <string.h>

#include <openssl/err.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

#include "base/own.h"

#define CERTS_MAX 16

MM_FREE_FN(x509_free, X509, X509_free)
MM_FREE_FN(store_free, X509_STORE, X509_STORE_free)
MM_FREE_FN(ctx_free, X509_STORE_CTX, X509_STORE_CTX_free)

static void
stack_free(STACK_OF(X509) **owner)
{
	sk_X509_pop_free(*owner, X509_free);
	*owner = NULL;
}

/* Whether this is the anchor: by the token's hash, or as already known. */
static enum mmd_rc
is_anchor(struct mm_agent *a, const struct mmd_token *token,
    const struct mmd_cert *c, struct mmd_bytes known)
{
	struct mmd_cert anchor;

	if (token != NULL)
		return mmd_token_anchor_check(a->crypto, token, c->spki);
	if (mmd_cert_parse(known, &anchor) != MMD_OK)
		return MMD_EINPUT;
	return anchor.spki.n == c->spki.n &&
	    memcmp(anchor.spki.p, c->spki.p, c->spki.n) == 0 ? MMD_OK
	    : MMD_EANCHOR;
}

static X509 *
x509_of(struct mm_bytes der)
{
	const uint8_t *p = der.p;

	return d2i_X509(NULL, &p, (long)der.n);
}

/* A CA of that name and key, signed by issuer's key. */
static bool
vouches(X509 *issuer, X509 *link, X509 *of)
{
	bool yes = X509_NAME_cmp(X509_get_subject_name(link),
	    X509_get_subject_name(of)) == 0 &&
	    EVP_PKEY_eq(X509_get0_pubkey(link), X509_get0_pubkey(of)) == 1 &&
	    X509_check_ca(link) == 1 &&
	    X509_check_issued(issuer, link) == X509_V_OK &&
	    X509_verify(link, X509_get0_pubkey(issuer)) == 1;

	ERR_clear_error();
	return yes;
}

static bool
is_newer(X509 *a, X509 *than)
{
	return ASN1_TIME_compare(X509_get0_notBefore(a),
	    X509_get0_notBefore(than)) > 0;
}

/* NewWithOld, for that root: among what came.  What a root has signed for an
 * issuing CA is none, whose key is online and may get lost: such a CA may have
 * so many below it and no more, which a link does not say. */
static bool
is_linked(X509 *anchor, X509 *root, struct mm_bytes links)
{
	const uint8_t *p = links.p, *end = links.p + links.n;

	while (p < end) {
		MM_OWN(x509_free) X509 *x = d2i_X509(NULL, &p,
		    (long)(end - p));

		if (x == NULL)
			break;
		if (X509_get_pathlen(x) == -1 && vouches(anchor, x, root))
			return true;
	}
	ERR_clear_error();
	return false;
}

/*
 * RFC 7030 4.1.3: the most recent root is the anchor, once the one that we have
 * vouches for it (RFC 4210 4.4).  OldWithNew is as good a link back: so only
 * forward.
 */
static void
move_on(struct mm_agent_identity *id, struct mm_bytes roots)
{
	const uint8_t *p = roots.p, *end = roots.p + roots.n;

	while (p < end) {
		MM_OWN(x509_free) X509 *anchor =
		    x509_of(mm_buf_view(&id->anchor));
		const uint8_t *at = p;
		MM_OWN(x509_free) X509 *root = d2i_X509(NULL, &p,
		    (long)(end - p));

		if (anchor == NULL || root == NULL ||
		    !vouches(anchor, anchor, anchor))
			break;
		if (!is_newer(root, anchor) || !vouches(root, root, root) ||
		    !is_linked(anchor, root, mm_buf_view(&id->chain)))
			continue;
		mm_buf_reset(&id->anchor);
		mm_buf_bytes(&id->anchor, (struct mm_bytes){ at,
		    (size_t)(p - at) });
	}
	ERR_clear_error();
}

/* Of the anchor's key there may be two: itself, and what another root signed
 * of it, which is a link as any. */
static enum mm_err
sort_one(struct mm_agent_identity *id, struct mmd_bytes der, bool self,
    enum mmd_rc is, struct mmd_bytes *anchor, struct mm_why *why)
{
	if (is != MMD_OK && is != MMD_EANCHOR)
		return mm_agent_fail(is, "trust anchor", why);
	if (is == MMD_OK && (self || anchor->p == NULL))
		*anchor = der;
	if (!self)
		mm_buf_bytes(&id->chain, mm_of_mmd(der));
	else if (is != MMD_OK)
		mm_buf_bytes(&id->roots, mm_of_mmd(der));
	return MM_OK;
}

/* Known by its key alone: its dates count only if that key signed them. */
static void
take_anchor(struct mm_agent_identity *id, bool first, struct mm_bytes der)
{
	MM_OWN(x509_free) X509 *x = x509_of(der);

	if (!first && (x == NULL || !vouches(x, x, x)))
		return;
	mm_buf_reset(&id->anchor);
	mm_buf_bytes(&id->anchor, der);
}

/* see priv.h */
enum mm_err
mm_agent_take_cacerts(struct mm_agent *a, const struct mmd_token *token,
    struct mm_bytes pkcs7, struct mm_agent_identity *id, struct mm_why *why)
{
	struct mmd_bytes der, anchor = { NULL, 0 };
	struct mmd_bytes known = mm_to_mmd(mm_buf_view(&id->anchor));
	struct mmd_pkcs7 p7;
	struct mmd_cert c;
	enum mmd_rc rc;

	MM_TRY(mm_agent_fail(mmd_pkcs7_open(mm_to_mmd(pkcs7), &p7), "cacerts",
	    why));
	mm_buf_reset(&id->chain);
	mm_buf_reset(&id->roots);
	while ((rc = mmd_pkcs7_next(&p7, &der)) == MMD_OK) {
		MM_TRY(mm_agent_fail(mmd_cert_parse(der, &c), "cacerts",
		    why));
		MM_TRY(sort_one(id, der, c.subject.n == c.issuer.n &&
		    memcmp(c.subject.p, c.issuer.p, c.issuer.n) == 0,
		    is_anchor(a, token, &c, known), &anchor, why));
	}
	if (rc != MMD_NONE || anchor.p == NULL)
		return MM_FAIL(why, MM_EPOLICY, token != NULL
		    ? "cacerts: the anchor that the token names is not there"
		    : "cacerts: our anchor is not there any more");
	take_anchor(id, token != NULL, mm_of_mmd(anchor));
	MM_TRY(mm_buf_ok(&id->chain, why));
	MM_TRY(mm_buf_ok(&id->roots, why));
	MM_TRY(mm_buf_ok(&id->anchor, why));
	if (id->roots.n > 0 && id->chain.n > 0)
		move_on(id, mm_buf_view(&id->roots));
	return mm_buf_ok(&id->anchor, why);
}

static bool
push_all(STACK_OF(X509) *to, struct mm_bytes ders)
{
	const uint8_t *p = ders.p, *end = ders.p + ders.n;

	for (int i = 0; p < end; i++) {
		MM_OWN(x509_free) X509 *x = d2i_X509(NULL, &p,
		    (long)(end - p));

		if (x == NULL || i == CERTS_MAX || !sk_X509_push(to, x))
			return false;
		x = NULL;
	}
	return true;
}

/* RFC 5280 6.1.  Times are not checked: a device with a wrong clock gets its
 * certificate all the same. */
static enum mm_err
verify(struct mm_bytes der, struct mm_bytes between, X509_STORE *store,
    struct mm_why *why)
{
	MM_OWN(x509_free) X509 *cert = x509_of(der);
	MM_OWN(stack_free) STACK_OF(X509) *chain = sk_X509_new_null();
	MM_OWN(ctx_free) X509_STORE_CTX *ctx = X509_STORE_CTX_new();
	int ok;

	if (cert == NULL || chain == NULL || ctx == NULL ||
	    (between.n > 0 && !push_all(chain, between)) ||
	    X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN |
	    X509_V_FLAG_NO_CHECK_TIME) != 1 ||
	    X509_STORE_CTX_init(ctx, store, cert, chain) != 1) {
		ERR_clear_error();
		return MM_FAIL(why, MM_ECRYPTO, "cannot check the chain");
	}
	ok = X509_verify_cert(ctx);
	ERR_clear_error();
	return ok == 1 ? MM_OK : MM_FAIL(why, MM_EPOLICY,
	    "issued certificate: no chain to the anchor: %s",
	    X509_verify_cert_error_string(X509_STORE_CTX_get_error(ctx)));
}

static bool
is_below(const struct mm_agent_identity *id, X509 *root)
{
	MM_OWN(store_free) X509_STORE *store = X509_STORE_new();

	return root != NULL && store != NULL &&
	    X509_STORE_add_cert(store, root) == 1 &&
	    verify(mm_buf_view(&id->cert), mm_buf_view(&id->chain), store,
	    NULL) == MM_OK;
}

/* A renewal stays below the root that the certificate before is below, by
 * what came with that one: who has the server, and not the CA, moves nobody to
 * a CA of his own. */
static bool
counts(const struct mm_agent_identity *id, X509 *root)
{
	MM_OWN(x509_free) X509 *ours = id->before == NULL ? NULL :
	    x509_of(mm_buf_view(&id->before->anchor));

	if (!vouches(root, root, root))
		return false;
	return id->named || (id->before != NULL &&
	    !is_below(id->before, ours) && is_below(id->before, root));
}

static bool
trust_others(X509_STORE *store, const struct mm_agent_identity *id)
{
	const uint8_t *p = id->roots.p, *end = p == NULL ? p : p + id->roots.n;

	while (p < end) {
		MM_OWN(x509_free) X509 *x = d2i_X509(NULL, &p,
		    (long)(end - p));

		if (x == NULL || (counts(id, x) &&
		    X509_STORE_add_cert(store, x) != 1))
			return false;
	}
	return true;
}

/*
 * see priv.h; beside the anchor counts what the server, which was believed by
 * it, says to be roots (RFC 7030 4.1.3): the maker's own CA may issue, and be
 * below nothing of ours.  For our own certificate alone: connections and
 * documents are believed by the anchor.
 */
enum mm_err
mm_agent_check_chain(const struct mm_agent_identity *id, struct mm_why *why)
{
	MM_OWN(x509_free) X509 *anchor = x509_of(mm_buf_view(&id->anchor));
	MM_OWN(store_free) X509_STORE *store = X509_STORE_new();

	if (anchor == NULL || store == NULL ||
	    X509_STORE_add_cert(store, anchor) != 1 ||
	    !trust_others(store, id)) {
		ERR_clear_error();
		return MM_FAIL(why, MM_ECRYPTO, "cannot check the chain");
	}
	return verify(mm_buf_view(&id->cert), mm_buf_view(&id->chain), store,
	    why);
}

/* see priv.h */
enum mm_err
mm_agent_take_cert(struct mm_agent *a, unsigned slot, struct mm_bytes pkcs7,
    struct mm_agent_identity *id, struct mm_why *why)
{
	struct mmd_pkcs7 p7;
	struct mmd_bytes der;
	struct mmd_cert c;
	uint8_t spki[2 * MMD_SPKI_MAX];
	size_t n = 0;

	MM_TRY(mm_agent_fail(a->crypto->public(a->crypto->ctx, slot, spki,
	    sizeof(spki), &n), "own key", why));
	MM_TRY(mm_agent_fail(mmd_pkcs7_open(mm_to_mmd(pkcs7), &p7),
	    "issued certificate", why));
	/* RFC 7030 4.2.3: one certificate; others beside it are passed over. */
	do {
		enum mmd_rc rc = mmd_pkcs7_next(&p7, &der);

		if (rc == MMD_NONE)
			return MM_FAIL(why, MM_EPOLICY,
			    "issued certificate: not for our key");
		MM_TRY(mm_agent_fail(rc, "issued certificate", why));
		MM_TRY(mm_agent_fail(mmd_cert_parse(der, &c),
		    "issued certificate", why));
	} while (c.spki.n != n || memcmp(c.spki.p, spki, n) != 0);
	mm_buf_reset(&id->cert);
	mm_buf_bytes(&id->cert, mm_of_mmd(der));
	MM_TRY(mm_buf_ok(&id->cert, why));
	return mm_agent_check_chain(id, why);
}
