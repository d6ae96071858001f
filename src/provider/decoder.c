#include <openssl/bio.h>
#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/core_object.h>
#include <openssl/err.h>
#include <openssl/params.h>

#include "base/own.h"
#include "provider/priv.h"

/* Certificates may stand before a key in its file. */
enum { TEXT_MAX = 65536, PIECE = 2048 };

static void *
new_decoder(void *ctx)
{
	return ctx;
}

static void
free_decoder(void *ctx)
{
	(void)ctx;
}

/* 0: whatever is wanted. */
static int
does_selection(void *ctx, int selection)
{
	(void)ctx;
	return selection == 0 ||
	    (selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY) != 0;
}

static void
read_all(const struct mm_provider *p, OSSL_CORE_BIO *from,
    struct mm_buf *out)
{
	BIO *in = BIO_new_from_core_bio(p->lib, from);
	uint8_t piece[PIECE];
	size_t n;

	while (in != NULL && BIO_read_ex(in, piece, sizeof(piece), &n) == 1)
		mm_buf_put(out, piece, n);
	BIO_free(in);
}

static int
give(struct mm_provider_key *k, OSSL_CALLBACK *cb, void *arg)
{
	static char type[] = "EC";
	int object = OSSL_OBJECT_PKEY;
	const OSSL_PARAM params[] = {
		OSSL_PARAM_int(OSSL_OBJECT_PARAM_TYPE, &object),
		OSSL_PARAM_utf8_string(OSSL_OBJECT_PARAM_DATA_TYPE, type,
		    sizeof(type) - 1),
		OSSL_PARAM_octet_string(OSSL_OBJECT_PARAM_REFERENCE, &k,
		    sizeof(k)),
		OSSL_PARAM_END };
	int ok = cb(params, arg);

	mm_provider_key_free(k); /* NULL, if it was taken */
	return ok;
}

static int
refuse(const struct mm_why *why)
{
	ERR_raise_data(ERR_LIB_USER, ERR_R_PASSED_INVALID_ARGUMENT,
	    "mintmark-key: %s", why->text);
	return 0;
}

static int
give_parsed(struct mm_provider *p, const struct mm_key *key,
    OSSL_CALLBACK *cb, void *arg)
{
	struct mm_why why = { 0 };
	struct mm_provider_key *k;

	if (!key->made) {
		(void)!MM_FAIL(&why, MM_ENOTFOUND, "the key was never made");
		return refuse(&why);
	}
	k = mm_provider_key_new(p, key);
	return k != NULL && give(k, cb, arg);
}

/*
 * provider-decoder(7): what is not ours is left to the others.  A text may be
 * a private key, so that it is wiped.
 */
static int
decode_pem(void *ctx, OSSL_CORE_BIO *from, int selection, OSSL_CALLBACK *cb,
    void *cb_arg, OSSL_PASSPHRASE_CALLBACK *pass, void *pass_arg)
{
	MM_OWN(mm_buf_wipe) struct mm_buf text = MM_BUF_INIT(TEXT_MAX);
	struct mm_why why = { 0 };
	struct mm_key key;
	enum mm_err err;

	(void)selection;
	(void)pass;
	(void)pass_arg;
	read_all(ctx, from, &text);
	if (mm_buf_ok(&text, NULL) != MM_OK)
		return 1;
	err = mm_key_parse(mm_buf_view(&text), &key, &why);
	if (err == MM_ENOTFOUND)
		return 1;
	return err == MM_OK ? give_parsed(ctx, &key, cb, cb_arg)
	    : refuse(&why);
}

/* What came out of a block already, as OSSL_STORE does it. */
static int
decode_der(void *ctx, OSSL_CORE_BIO *from, int selection, OSSL_CALLBACK *cb,
    void *cb_arg, OSSL_PASSPHRASE_CALLBACK *pass, void *pass_arg)
{
	MM_OWN(mm_buf_wipe) struct mm_buf der = MM_BUF_INIT(TEXT_MAX);
	struct mm_key key;

	(void)selection;
	(void)pass;
	(void)pass_arg;
	read_all(ctx, from, &der);
	if (mm_buf_ok(&der, NULL) != MM_OK ||
	    mm_key_parse_der(mm_buf_view(&der), &key, NULL) != MM_OK)
		return 1;
	return give_parsed(ctx, &key, cb, cb_arg);
}

#define FN(id, f) { id, (void (*)(void))f }
#define USUAL                                                    \
	FN(OSSL_FUNC_DECODER_NEWCTX, new_decoder),               \
	FN(OSSL_FUNC_DECODER_FREECTX, free_decoder),             \
	FN(OSSL_FUNC_DECODER_DOES_SELECTION, does_selection)
const OSSL_DISPATCH mm_provider_decoder_pem[] = {
	USUAL,
	FN(OSSL_FUNC_DECODER_DECODE, decode_pem),
	{ 0, NULL },
};
const OSSL_DISPATCH mm_provider_decoder_der[] = {
	USUAL,
	FN(OSSL_FUNC_DECODER_DECODE, decode_der),
	{ 0, NULL },
};
