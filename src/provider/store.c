#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/core_object.h>
#include <openssl/err.h>
#include <openssl/params.h>
#include <openssl/store.h>

#include "base/file.h"
#include "base/own.h"
#include "pki/cert.h"
#include "provider/priv.h"

/*
 * mintmark:DIR (provider-storemgmt(7)): what is in use of an agent's folder:
 * its key, wherever that is, its certificate, and the issuers of that.
 */
enum { KEY_MAX = 8192, CERTS_MAX = 65536 };

struct store {
	char dir[PATH_MAX];
	bool key_given;
	unsigned file;        /* of certificates */
	struct mm_buf certs;  /* its text */
	struct mm_bytes rest; /* what of it is still to be given */
};

static const char *const files[] = { "cert.pem", "chain.pem" };
enum { FILES = sizeof(files) / sizeof(files[0]) };

static void *
open_store(void *ctx, const char *uri)
{
	static const char scheme[] = "mintmark:";
	const char *dir = uri + sizeof(scheme) - 1;
	struct store *s;

	(void)ctx;
	if (OPENSSL_strncasecmp(uri, scheme, sizeof(scheme) - 1) != 0 ||
	    dir[0] != '/' || strlen(dir) + 32 > sizeof(s->dir))
		return NULL;
	s = calloc(1, sizeof(*s));
	if (s == NULL)
		return NULL;
	(void)snprintf(s->dir, sizeof(s->dir), "%s", dir);
	mm_buf_init(&s->certs, CERTS_MAX);
	return s;
}

static int
close_store(void *ctx)
{
	struct store *s = ctx;

	mm_buf_done(&s->certs);
	free(s);
	return 1;
}

static bool
read_file(const struct store *s, const char *name, struct mm_buf *out)
{
	char path[PATH_MAX + 32];
	struct mm_why why = { 0 };

	(void)snprintf(path, sizeof(path), "%s/current/%s", s->dir, name);
	if (mm_file_read(path, out, &why) == MM_OK)
		return true;
	ERR_raise_data(ERR_LIB_USER, ERR_R_OPERATION_FAIL, "mintmark-key: %s",
	    why.text);
	return false;
}

static int
give(int object, struct mm_bytes data, OSSL_CALLBACK *cb, void *arg)
{
	OSSL_PARAM params[] = {
		OSSL_PARAM_int(OSSL_OBJECT_PARAM_TYPE, &object),
		OSSL_PARAM_octet_string(OSSL_OBJECT_PARAM_DATA,
		    (void *)(uintptr_t)data.p, data.n),
		OSSL_PARAM_END };

	return cb(params, arg);
}

/* What its file has: whichever decoder knows it takes it, ours where the key is
 * in no file. */
static int
give_key(struct store *s, OSSL_CALLBACK *cb, void *arg)
{
	static const char *const labels[] = { MM_KEY_LABEL, "PRIVATE KEY" };
	MM_OWN(mm_buf_wipe) struct mm_buf text = MM_BUF_INIT(KEY_MAX);
	MM_OWN(mm_buf_wipe) struct mm_buf der = MM_BUF_INIT(KEY_MAX);
	struct mm_bytes rest;

	s->key_given = true;
	if (!read_file(s, "key.pem", &text))
		return 0;
	for (size_t i = 0; i < sizeof(labels) / sizeof(labels[0]); i++) {
		rest = mm_buf_view(&text);
		if (mm_pem_next(&rest, labels[i], &der, NULL) == MM_OK)
			return give(OSSL_OBJECT_PKEY, mm_buf_view(&der), cb,
			    arg);
	}
	return 0;
}

/* The next certificate into der; false: there is none, or it is no PEM. */
static bool
next_cert(struct store *s, struct mm_buf *der)
{
	while (s->file < FILES) {
		if (s->rest.p == NULL) {
			mm_buf_reset(&s->certs);
			if (!read_file(s, files[s->file], &s->certs))
				return false;
			s->rest = mm_buf_view(&s->certs);
		}
		if (s->rest.n > 0 && mm_pem_next(&s->rest, "CERTIFICATE", der,
		    NULL) == MM_OK)
			return true;
		s->rest = (struct mm_bytes){ NULL, 0 };
		s->file++;
	}
	return false;
}

static int
load(void *ctx, OSSL_CALLBACK *cb, void *arg, OSSL_PASSPHRASE_CALLBACK *pass,
    void *pass_arg)
{
	MM_OWN(mm_buf_done) struct mm_buf der = MM_BUF_INIT(MM_CERT_MAX);
	struct store *s = ctx;

	(void)pass;
	(void)pass_arg;
	if (!s->key_given)
		return give_key(s, cb, arg);
	if (next_cert(s, &der))
		return give(OSSL_OBJECT_CERT, mm_buf_view(&der), cb, arg);
	s->file = FILES;
	return 0;
}

static int
at_end(void *ctx)
{
	const struct store *s = ctx;

	return s->key_given && s->file >= FILES;
}

static const OSSL_PARAM *
settable(void *ctx)
{
	static const OSSL_PARAM params[] = {
		OSSL_PARAM_int(OSSL_STORE_PARAM_EXPECT, NULL),
		OSSL_PARAM_END };

	(void)ctx;
	return params;
}

/* A key that is not looked for is not read. */
static int
set_params(void *ctx, const OSSL_PARAM params[])
{
	const OSSL_PARAM *p = OSSL_PARAM_locate_const(params,
	    OSSL_STORE_PARAM_EXPECT);
	struct store *s = ctx;
	int expect;

	if (p == NULL)
		return 1;
	if (!OSSL_PARAM_get_int(p, &expect))
		return 0;
	s->key_given = expect == OSSL_STORE_INFO_CERT;
	if (expect == OSSL_STORE_INFO_PKEY)
		s->file = FILES;
	return 1;
}

#define FN(id, f) { id, (void (*)(void))f }
const OSSL_DISPATCH mm_provider_store[] = {
	FN(OSSL_FUNC_STORE_OPEN, open_store),
	FN(OSSL_FUNC_STORE_SETTABLE_CTX_PARAMS, settable),
	FN(OSSL_FUNC_STORE_SET_CTX_PARAMS, set_params),
	FN(OSSL_FUNC_STORE_LOAD, load),
	FN(OSSL_FUNC_STORE_EOF, at_end),
	FN(OSSL_FUNC_STORE_CLOSE, close_store),
	{ 0, NULL },
};
