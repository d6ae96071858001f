#include "station/leads.h"

#include "base/file.h"
#include "pki/der.h"

enum { ANCHORS_MAX = 65536 };

/* By an anchor of the issuer's name, if there is one. */
static bool
ends_well(const struct mm_cert *last, struct mm_bytes anchors)
{
	MM_OWN(mm_buf_done) struct mm_buf one = MM_BUF_INIT(MM_CERT_MAX);
	struct mm_cert anchor;
	bool named = false;

	while (mm_pem_next(&anchors, "CERTIFICATE", &one, NULL) == MM_OK) {
		if (mm_cert_walk(mm_buf_view(&one), &anchor, NULL) == MM_OK &&
		    mm_bytes_eq(anchor.subject, last->issuer)) {
			if (mm_cert_verify_by(last, &anchor) == MM_OK)
				return true;
			named = true;
		}
		mm_buf_reset(&one);
	}
	return !named;
}

/* see leads.h */
bool
mm_leads(struct mm_bytes cert, struct mm_bytes chain, struct mm_bytes anchors)
{
	struct mm_rd r = mm_rd_over(chain);
	struct mm_cert c, next;

	if (mm_cert_walk(cert, &c, NULL) != MM_OK)
		return false;
	for (; r.left > 0; c = next)
		if (mm_cert_walk(mm_der_take_whole(&r, MM_DER_SEQ), &next,
		    NULL) != MM_OK || mm_cert_verify_by(&c, &next) != MM_OK)
			return false;
	return !r.bad && ends_well(&c, anchors);
}

/* see leads.h */
bool
mm_leads_to(struct mm_bytes cert, struct mm_bytes chain, const char *anchors)
{
	MM_OWN(mm_buf_done) struct mm_buf pem = MM_BUF_INIT(ANCHORS_MAX);

	/* a station that asks no centre may have none */
	if (mm_file_read(anchors, &pem, NULL) != MM_OK)
		mm_buf_reset(&pem);
	return mm_leads(cert, chain, mm_buf_view(&pem));
}
