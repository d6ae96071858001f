#include "base/file.h"
#include "base/own.h"
#include "pki/foreign.h"

/* Issuers by the names in their certificates. */
#define PEM_MAX (64 * 1024)

struct named {
	struct mm_buf der;
	struct mm_cert c;
};

static enum mm_err
read_named(const char *path, struct named *out, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf pem = MM_BUF_INIT(PEM_MAX);
	struct mm_bytes rest;

	MM_TRY(mm_file_read(path, &pem, why));
	rest = mm_buf_view(&pem);
	mm_buf_reset(&out->der);
	MM_TRY(mm_pem_next(&rest, "CERTIFICATE", &out->der, why));
	return mm_cert_walk(mm_buf_view(&out->der), &out->c, why);
}

static enum mm_err
check_one(const struct mm_config *c, const struct mm_issuer_conf *theirs,
    struct named *a, struct named *b, struct mm_why *why)
{
	MM_TRY(read_named(theirs->certificate, a, why));
	for (size_t i = 0; i < c->nissuer; i++) {
		const struct mm_issuer_conf *own = &c->issuer[i];

		if (mm_issuer_upstream(own))
			continue;
		MM_TRY(read_named(own->certificate, b, why));
		if (mm_bytes_eq(a->c.subject, b->c.subject))
			return MM_FAIL(why, MM_EPOLICY, "issuers %s and %s: "
			    "the subject of an existing CA is not that of "
			    "one whose key is ours", theirs->name, own->name);
	}
	return MM_OK;
}

/* see foreign.h */
enum mm_err
mm_foreign_apart(const struct mm_config *c, struct mm_why *why)
{
	struct named a = { .der = MM_BUF_INIT(MM_CERT_MAX) };
	struct named b = { .der = MM_BUF_INIT(MM_CERT_MAX) };
	enum mm_err rc = MM_OK;

	for (size_t i = 0; rc == MM_OK && i < c->nissuer; i++)
		if (mm_issuer_upstream(&c->issuer[i]))
			rc = check_one(c, &c->issuer[i], &a, &b, why);
	mm_buf_done(&a.der);
	mm_buf_done(&b.der);
	return rc;
}
