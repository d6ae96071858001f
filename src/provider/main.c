#include <stdlib.h>

#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/params.h>
#include <openssl/provider.h>

#include "provider/places.h"
#include "provider/priv.h"

static const OSSL_ALGORITHM decoders[] = {
	{ MM_PROVIDER_NAMES, MM_PROVIDER_PROPS ",input=pem",
	    mm_provider_decoder_pem, "MINTMARK KEY in PEM" },
	{ MM_PROVIDER_NAMES, MM_PROVIDER_PROPS ",input=der",
	    mm_provider_decoder_der, "MINTMARK KEY in DER" },
	{ NULL, NULL, NULL, NULL },
};
static const OSSL_ALGORITHM keymgmts[] = {
	{ MM_PROVIDER_NAMES, MM_PROVIDER_PROPS, mm_provider_keymgmt,
	    "P-256 in a TPM or a token" },
	{ NULL, NULL, NULL, NULL },
};
static const OSSL_ALGORITHM signatures[] = {
	{ "ECDSA", MM_PROVIDER_PROPS, mm_provider_signature,
	    "ECDSA by a TPM or a token" },
	{ NULL, NULL, NULL, NULL },
};
static const OSSL_ALGORITHM stores[] = {
	{ "mintmark", MM_PROVIDER_PROPS, mm_provider_store,
	    "mintmark:DIR, the identity in an agent's folder" },
	{ NULL, NULL, NULL, NULL },
};

static const struct {
	int operation;
	const OSSL_ALGORITHM *algorithms;
} offered[] = {
	{ OSSL_OP_DECODER, decoders },
	{ OSSL_OP_KEYMGMT, keymgmts },
	{ OSSL_OP_SIGNATURE, signatures },
	{ OSSL_OP_STORE, stores },
};

static const OSSL_ALGORITHM *
query(void *ctx, int operation, int *no_cache)
{
	(void)ctx;
	*no_cache = 0;
	for (size_t i = 0; i < sizeof(offered) / sizeof(offered[0]); i++)
		if (offered[i].operation == operation)
			return offered[i].algorithms;
	return NULL;
}

static void
teardown(void *ctx)
{
	struct mm_provider *p = ctx;

	OSSL_LIB_CTX_free(p->lib);
	free(p);
}

static const OSSL_PARAM *
gettable(void *ctx)
{
	static const OSSL_PARAM params[] = {
		OSSL_PARAM_utf8_ptr(OSSL_PROV_PARAM_NAME, NULL, 0),
		OSSL_PARAM_utf8_ptr(OSSL_PROV_PARAM_VERSION, NULL, 0),
		OSSL_PARAM_int(OSSL_PROV_PARAM_STATUS, NULL),
		OSSL_PARAM_END };

	(void)ctx;
	return params;
}

static int
get_params(void *ctx, OSSL_PARAM params[])
{
	OSSL_PARAM *name = OSSL_PARAM_locate(params, OSSL_PROV_PARAM_NAME);
	OSSL_PARAM *version = OSSL_PARAM_locate(params,
	    OSSL_PROV_PARAM_VERSION);
	OSSL_PARAM *status = OSSL_PARAM_locate(params, OSSL_PROV_PARAM_STATUS);

	(void)ctx;
	return (name == NULL || OSSL_PARAM_set_utf8_ptr(name,
	    "Mintmark's keys in TPM and token")) &&
	    (version == NULL ||
	    OSSL_PARAM_set_utf8_ptr(version, MM_VERSION)) &&
	    (status == NULL || OSSL_PARAM_set_int(status, 1));
}

/* desk.h: for the agent, which makes keys and removes them. */
static int
capabilities(void *ctx, const char *capability, OSSL_CALLBACK *cb, void *arg)
{
	static struct mm_key_desk desk;
	struct mm_key_desk *shown = &desk;
	const OSSL_PARAM params[] = {
		OSSL_PARAM_octet_ptr(MM_KEY_CAPABILITY, &shown,
		    sizeof(shown)),
		OSSL_PARAM_END };

	(void)ctx;
	if (OPENSSL_strcasecmp(capability, MM_KEY_CAPABILITY) != 0)
		return 1;
	desk.layout = MM_KEY_LAYOUT;
	for (unsigned i = 0; i < MM_KEY_PLACES; i++)
		desk.ops[i] = mm_provider_places[i];
	desk.failure = mm_provider_failure;
	desk.notes = mm_provider_pin_notes;
	return cb(params, arg);
}

#define FN(id, f) { id, (void (*)(void))f }
static const OSSL_DISPATCH provider[] = {
	FN(OSSL_FUNC_PROVIDER_TEARDOWN, teardown),
	FN(OSSL_FUNC_PROVIDER_GETTABLE_PARAMS, gettable),
	FN(OSSL_FUNC_PROVIDER_GET_PARAMS, get_params),
	FN(OSSL_FUNC_PROVIDER_QUERY_OPERATION, query),
	FN(OSSL_FUNC_PROVIDER_GET_CAPABILITIES, capabilities),
	{ 0, NULL },
};

/* The provider's section of openssl.cnf (places.h). */
static const char *const section[MM_PROVIDER_RULES] = {
	[MM_PROVIDER_MODULE] = "pkcs11-module",
	[MM_PROVIDER_DEVICE] = "tpm-device",
};

static bool
take_word(OSSL_FUNC_core_get_params_fn *get, const OSSL_CORE_HANDLE *core,
    enum mm_provider_rule rule)
{
	const char *path = NULL;
	OSSL_PARAM params[] = {
		OSSL_PARAM_utf8_ptr(section[rule], &path, 0),
		OSSL_PARAM_END };

	if (get(core, params) != 1 || path == NULL ||
	    mm_provider_allow(rule, true, path))
		return true;
	ERR_raise_data(ERR_LIB_USER, ERR_R_PASSED_INVALID_ARGUMENT,
	    "mintmark-key: %s: want an absolute path", section[rule]);
	return false;
}

static bool
take_section(const OSSL_CORE_HANDLE *core, const OSSL_DISPATCH *in)
{
	OSSL_FUNC_core_get_params_fn *get = NULL;
	bool ok = true;

	for (; in->function_id != 0; in++)
		if (in->function_id == OSSL_FUNC_CORE_GET_PARAMS)
			get = OSSL_FUNC_core_get_params(in);
	for (unsigned i = 0; ok && get != NULL && i < MM_PROVIDER_RULES; i++)
		ok = take_word(get, core, (enum mm_provider_rule)i);
	return ok;
}

OSSL_provider_init_fn OSSL_provider_init;

/* provider-base(7): what OpenSSL looks for in a module. */
int
OSSL_provider_init(const OSSL_CORE_HANDLE *core, const OSSL_DISPATCH *in,
    const OSSL_DISPATCH **out, void **ctx)
{
	struct mm_provider *p;

	if (!take_section(core, in))
		return 0;
	p = calloc(1, sizeof(*p));
	if (p == NULL)
		return 0;
	p->lib = OSSL_LIB_CTX_new_child(core, in);
	if (p->lib == NULL) {
		free(p);
		return 0;
	}
	*out = provider;
	*ctx = p;
	return 1;
}
