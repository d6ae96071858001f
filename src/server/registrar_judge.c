#include <stdio.h>

#include "base/file.h"
#include "base/own.h"
#include "base/time.h"
#include "server/registrar.h"

/* What came, whichever way, against profile, key and names: only what was
 * looked at and found wrong is wrong. */
#define PEM_MAX (64 * 1024)

/* see registrar.h */
void
mm_outcome_say(struct mm_outcome *out, enum mm_forwarded how,
    const char *text)
{
	out->how = how;
	snprintf(out->text, sizeof(out->text), "%s", text);
}

/* see registrar.h; of the file each time: it may have been replaced, and
 * there is time. */
enum mm_err
mm_registrar_ca(const struct mm_issuer_conf *i, struct mm_buf *ca,
    struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf pem = MM_BUF_INIT(PEM_MAX);
	struct mm_why no = { 0 };
	struct mm_bytes rest;
	struct mm_cert c;
	enum mm_err rc = mm_file_read(i->certificate, &pem, &no);

	rest = mm_buf_view(&pem);
	if (rc == MM_OK)
		rc = mm_pem_next(&rest, "CERTIFICATE", ca, &no);
	if (rc == MM_OK)
		rc = mm_cert_walk(mm_buf_view(ca), &c, &no);
	return rc == MM_OK ? MM_OK : MM_FAIL(why, MM_ESYS, "the issuer's "
	    "certificate: %.130s", no.text);
}

/* A fault of ours says nothing of the certificate: it is there, and nobody
 * knows whether it is right. */
static enum mm_forwarded
how_of(enum mm_err rc)
{
	return rc == MM_OK ? MM_FORWARD_MADE :
	    rc == MM_EPOLICY || rc == MM_EINPUT ? MM_FORWARD_WRONG :
	    MM_FORWARD_LOST;
}

/* see registrar.h */
void
mm_outcome_judge(const struct mm_asking *a, struct mm_outcome *out)
{
	const struct mm_foreign what = { .profile = a->profile,
		.device = a->q.device, .product = a->q.product,
		.issuer = mm_buf_view(&a->ca) };
	struct mm_why why = { 0 };
	enum mm_err rc = mm_foreign_lint(mm_buf_view(&out->der), &a->csr,
	    &what, mm_now_s(), &why);

	out->how = how_of(rc);
	if (rc != MM_OK)
		snprintf(out->text, sizeof(out->text), "the certificate "
		    "breaks a rule: %.120s", why.text);
}
