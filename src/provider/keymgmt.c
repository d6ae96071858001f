#include <stdlib.h>
#include <string.h>

#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/params.h>

#include "provider/priv.h"

/* A point that is not compressed, as SEC 1 2.3.3 writes it. */
struct point {
	uint8_t p[1 + MM_KEY_XY];
};

/* see priv.h */
struct mm_provider_key *
mm_provider_key_new(struct mm_provider *p, const struct mm_key *key)
{
	struct mm_provider_key *k = calloc(1, sizeof(*k));

	if (k == NULL)
		return NULL;
	*k = (struct mm_provider_key){ .provider = p, .key = *key,
		.references = 1 };
	return k;
}

/* see priv.h */
void
mm_provider_key_hold(struct mm_provider_key *k)
{
	(void)__atomic_add_fetch(&k->references, 1, __ATOMIC_RELAXED);
}

/* see priv.h */
void
mm_provider_key_free(void *key)
{
	struct mm_provider_key *k = key;

	if (k != NULL && __atomic_sub_fetch(&k->references, 1,
	    __ATOMIC_ACQ_REL) == 0)
		free(k);
}

static struct point
point_of(const struct mm_provider_key *k)
{
	struct point q = { { 0x04 } };

	memcpy(q.p + 1, k->key.xy, MM_KEY_XY);
	return q;
}

/* One that nothing is known of: to be compared with, and no more. */
static void *
new_key(void *ctx)
{
	const struct mm_key none = { .place = MM_KEY_FILE };

	return mm_provider_key_new(ctx, &none);
}

/* The decoder's object, which is taken. */
static void *
load(const void *reference, size_t n)
{
	struct mm_provider_key **from, *k;

	if (n != sizeof(k))
		return NULL;
	from = (struct mm_provider_key **)(uintptr_t)reference;
	k = *from;
	*from = NULL;
	return k;
}

static int
has(const void *key, int selection)
{
	const struct mm_provider_key *k = key;

	if (k == NULL || !k->key.made)
		return 0;
	return (selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY) == 0 ||
	    k->key.place != MM_KEY_FILE;
}

static int
match(const void *a, const void *b, int selection)
{
	const struct mm_provider_key *x = a, *y = b;

	if ((selection & OSSL_KEYMGMT_SELECT_KEYPAIR) == 0)
		return 1; /* the curve: there is one */
	return x->key.made && y->key.made &&
	    memcmp(x->key.xy, y->key.xy, MM_KEY_XY) == 0;
}

static int
put_text(OSSL_PARAM *params, const char *name, const char *value)
{
	OSSL_PARAM *p = OSSL_PARAM_locate(params, name);

	return p == NULL || OSSL_PARAM_set_utf8_string(p, value);
}

static int
put_int(OSSL_PARAM *params, const char *name, int value)
{
	OSSL_PARAM *p = OSSL_PARAM_locate(params, name);

	return p == NULL || OSSL_PARAM_set_int(p, value);
}

static int
put_point(OSSL_PARAM *params, const char *name, const struct point *q)
{
	OSSL_PARAM *p = OSSL_PARAM_locate(params, name);

	return p == NULL || OSSL_PARAM_set_octet_string(p, q->p,
	    sizeof(q->p));
}

enum { BITS = 256, SECURITY_BITS = 128, SIGNATURE_MAX = 72 };

static int
get_params(void *key, OSSL_PARAM params[])
{
	const struct mm_provider_key *k = key;
	struct point q = point_of(k);

	return put_int(params, OSSL_PKEY_PARAM_BITS, BITS) &&
	    put_int(params, OSSL_PKEY_PARAM_SECURITY_BITS, SECURITY_BITS) &&
	    put_int(params, OSSL_PKEY_PARAM_MAX_SIZE, SIGNATURE_MAX) &&
	    put_text(params, OSSL_PKEY_PARAM_DEFAULT_DIGEST, "SHA256") &&
	    put_text(params, OSSL_PKEY_PARAM_GROUP_NAME, MM_PROVIDER_GROUP) &&
	    put_text(params, OSSL_PKEY_PARAM_EC_POINT_CONVERSION_FORMAT,
	    "uncompressed") &&
	    put_point(params, OSSL_PKEY_PARAM_PUB_KEY, &q) &&
	    put_point(params, OSSL_PKEY_PARAM_ENCODED_PUBLIC_KEY, &q);
}

static const OSSL_PARAM *
gettable(void *ctx)
{
	static const OSSL_PARAM params[] = {
		OSSL_PARAM_int(OSSL_PKEY_PARAM_BITS, NULL),
		OSSL_PARAM_int(OSSL_PKEY_PARAM_SECURITY_BITS, NULL),
		OSSL_PARAM_int(OSSL_PKEY_PARAM_MAX_SIZE, NULL),
		OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_DEFAULT_DIGEST, NULL,
		    0),
		OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, NULL, 0),
		OSSL_PARAM_utf8_string(
		    OSSL_PKEY_PARAM_EC_POINT_CONVERSION_FORMAT, NULL, 0),
		OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_PUB_KEY, NULL, 0),
		OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_ENCODED_PUBLIC_KEY,
		    NULL, 0),
		OSSL_PARAM_END };

	(void)ctx;
	return params;
}

/* The public half, for who has a use for it; the other one cannot be. */
static int
export(void *key, int selection, OSSL_CALLBACK *cb, void *arg)
{
	static char group[] = MM_PROVIDER_GROUP;
	const struct mm_provider_key *k = key;
	struct point q = point_of(k);
	const OSSL_PARAM params[] = {
		OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, group,
		    sizeof(group) - 1),
		OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_PUB_KEY, q.p,
		    sizeof(q.p)),
		OSSL_PARAM_END };

	if (!k->key.made ||
	    (selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY) != 0)
		return 0;
	return cb(params, arg);
}

static const OSSL_PARAM *
export_types(int selection)
{
	static const OSSL_PARAM public[] = {
		OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, NULL, 0),
		OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_PUB_KEY, NULL, 0),
		OSSL_PARAM_END };

	return (selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY) != 0 ? NULL
	    : public;
}

static const char *
operation_name(int operation)
{
	return operation == OSSL_OP_SIGNATURE ? "ECDSA" : NULL;
}

#define FN(id, f) { id, (void (*)(void))f }
const OSSL_DISPATCH mm_provider_keymgmt[] = {
	FN(OSSL_FUNC_KEYMGMT_NEW, new_key),
	FN(OSSL_FUNC_KEYMGMT_FREE, mm_provider_key_free),
	FN(OSSL_FUNC_KEYMGMT_LOAD, load),
	FN(OSSL_FUNC_KEYMGMT_HAS, has),
	FN(OSSL_FUNC_KEYMGMT_MATCH, match),
	FN(OSSL_FUNC_KEYMGMT_GET_PARAMS, get_params),
	FN(OSSL_FUNC_KEYMGMT_GETTABLE_PARAMS, gettable),
	FN(OSSL_FUNC_KEYMGMT_EXPORT, export),
	FN(OSSL_FUNC_KEYMGMT_EXPORT_TYPES, export_types),
	FN(OSSL_FUNC_KEYMGMT_QUERY_OPERATION_NAME, operation_name),
	{ 0, NULL },
};
