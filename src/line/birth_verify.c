#include <jansson.h>
#include <openssl/x509_vfy.h>

#include "base/own.h"
#include "base/text.h"
#include "ledger/receipt.h"
#include "line/birth_priv.h"
#include "line/initial.h"
#include "line/x509.h"

MM_FREE_FN(store_free, X509_STORE, X509_STORE_free)
MM_FREE_FN(ctx_free, X509_STORE_CTX, X509_STORE_CTX_free)

enum { CHAIN_MAX = 16 };

/* ---- receipts ---- */

static enum mm_err
verify_receipt(struct mm_bytes json, const struct mm_note_key *key,
    struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf arena = MM_BUF_INIT(MM_BIRTH_MAX);
	struct mm_checkpoint head;
	struct mm_receipt r;

	MM_TRY(mm_receipt_parse(json, &arena, &r, why));
	return mm_receipt_verify(&r, key, &head, why);
}

/* ---- the certificate ---- */

static enum mm_err
load_all(struct mm_bytes pem, STACK_OF(X509) *to, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf der = MM_BUF_INIT(MM_CERT_MAX);
	enum mm_err rc;

	while ((rc = mm_pem_next(&pem, "CERTIFICATE", &der, NULL)) == MM_OK) {
		const unsigned char *p = der.p;
		X509 *one = d2i_X509(NULL, &p, (long)der.n);

		if (one == NULL || sk_X509_num(to) == CHAIN_MAX ||
		    sk_X509_push(to, one) <= 0) {
			X509_free(one);
			return MM_FAIL(why, MM_EINPUT,
			    "birth record: a bad certificate, or too many");
		}
	}
	return rc == MM_ENOTFOUND ? MM_OK : MM_FAIL(why, rc,
	    "birth record: bad PEM");
}

static enum mm_err
trust(X509_STORE *store, STACK_OF(X509) *chain, STACK_OF(X509) *roots,
    struct mm_why *why)
{
	int n = sk_X509_num(chain);

	if (sk_X509_num(roots) == 0 && n == 0)
		return MM_FAIL(why, MM_EPOLICY, "birth record: no chain in "
		    "it, and no root given");
	for (int i = 0; i < sk_X509_num(roots); i++)
		if (X509_STORE_add_cert(store, sk_X509_value(roots, i)) != 1)
			return mm_x509_failed("birth record", why);
	if (sk_X509_num(roots) == 0 &&
	    X509_STORE_add_cert(store, sk_X509_value(chain, n - 1)) != 1)
		return mm_x509_failed("birth record", why);
	/* A birth stays true when a certificate ends; a pinned issuing CA is
	 * as good as a root. */
	return X509_STORE_set_flags(store, X509_V_FLAG_NO_CHECK_TIME |
	    X509_V_FLAG_PARTIAL_CHAIN) == 1 ? MM_OK : mm_x509_failed("birth record", why);
}

static enum mm_err
verify_path(X509_STORE *store, X509 *leaf, STACK_OF(X509) *chain,
    struct mm_why *why)
{
	MM_OWN(ctx_free) X509_STORE_CTX *ctx = X509_STORE_CTX_new();

	if (ctx == NULL || X509_STORE_CTX_init(ctx, store, leaf, chain) != 1)
		return mm_x509_failed("birth record", why);
	if (X509_verify_cert(ctx) == 1)
		return MM_OK;
	return MM_FAIL(why, MM_EPOLICY, "birth record: RFC 5280 6: the "
	    "certificate: %s", X509_verify_cert_error_string(
	    X509_STORE_CTX_get_error(ctx)));
}

static enum mm_err
verify_cert(const struct mm_birth *b, struct mm_bytes roots_pem,
    struct mm_why *why)
{
	MM_OWN(mm_x509s_free) STACK_OF(X509) *leaf = sk_X509_new_null();
	MM_OWN(mm_x509s_free) STACK_OF(X509) *chain = sk_X509_new_null();
	MM_OWN(mm_x509s_free) STACK_OF(X509) *roots = sk_X509_new_null();
	MM_OWN(store_free) X509_STORE *store = X509_STORE_new();

	if (leaf == NULL || chain == NULL || roots == NULL || store == NULL)
		return mm_x509_failed("birth record", why);
	MM_TRY(load_all(mm_buf_view(&b->certificate), leaf, why));
	MM_TRY(load_all(mm_buf_view(&b->chain), chain, why));
	MM_TRY(load_all(roots_pem, roots, why));
	if (sk_X509_num(leaf) != 1)
		return MM_FAIL(why, MM_EINPUT,
		    "birth record: want one certificate");
	if (roots_pem.n > 0 && sk_X509_num(roots) == 0)
		return MM_FAIL(why, MM_EINPUT, "no root certificate in PEM");
	MM_TRY(trust(store, chain, roots, why));
	return verify_path(store, sk_X509_value(leaf, 0), chain, why);
}

/* see birth.h */
enum mm_err
mm_birth_verify(const struct mm_birth *b, const struct mm_note_key *ledger,
    struct mm_bytes roots, struct mm_why *why)
{
	MM_TRY(verify_receipt(mm_buf_view(&b->receipt), ledger, why));
	if (b->confirmation.n > 0)
		MM_TRY(verify_receipt(mm_buf_view(&b->confirmation), ledger,
		    why));
	return verify_cert(b, roots, why);
}

/* ---- the configuration ---- */

static bool
is_marked(struct mm_bytes document, const uint8_t salt[MM_SALT_N],
    const char *want)
{
	uint8_t hash[32], said[32];

	mm_sha256(document, hash);
	return mm_hex_parse(want, strlen(want), said, sizeof(said), NULL) ==
	    MM_OK && mm_initial_is_mark(said, salt, hash);
}

/* As each document is (fill.h): else the very bytes that a mark is the hash of
 * would pass for one. */
static bool
is_json(struct mm_bytes document)
{
	json_t *v = json_loadb((const char *)document.p, document.n,
	    JSON_REJECT_DUPLICATES, NULL);
	bool is = v != NULL;

	json_decref(v);
	return is;
}

/* see birth.h */
enum mm_err
mm_birth_verify_configuration(const struct mm_birth *b,
    struct mm_bytes document, struct mm_why *why)
{
	const char *want = b->value[MM_B_configuration_sha256];
	const char *salt = b->value[MM_B_configuration_salt];
	uint8_t raw[MM_SALT_N] = { 0 };

	if (want[0] == '\0')
		return MM_FAIL(why, MM_EPOLICY, "birth record: the device was "
		    "given no configuration");
	if (salt[0] != '\0' && mm_hex_parse(salt, strlen(salt), raw,
	    sizeof(raw), NULL) != MM_OK)
		return MM_FAIL(why, MM_EINPUT, "birth record: a salt is %d "
		    "hexadecimal digits", 2 * MM_SALT_N);
	if (!is_json(document))
		return MM_FAIL(why, MM_EPOLICY, "birth record: no "
		    "configuration: it is no JSON");
	if (is_marked(document, raw, want))
		return MM_OK;
	if (document.n > 0 && document.p[document.n - 1] == '\n') {
		document.n--;
		if (is_marked(document, raw, want))
			return MM_OK;
	}
	return salt[0] != '\0' ? MM_FAIL(why, MM_EPOLICY, "birth record: the "
	    "device was given another configuration than this")
	    : MM_FAIL(why, MM_ENOTFOUND, "birth record: it cannot be told "
	    "without the salt of its configuration's hash");
}
