#include "station/leads.h"

#include "base/file.h"
#include "pki/der.h"

enum { ANCHORS_MAX = 65536 };

/* The names first: MM_EPOLICY of what comes then is a kind of key or signature
 * that is not verified here. */
static enum mm_err
link_holds(const struct mm_cert *c, const struct mm_cert *issuer,
    bool *unsure, struct mm_why *why)
{
	enum mm_err rc;

	if (!mm_bytes_eq(issuer->subject, c->issuer))
		return MM_FAIL(why, MM_EPOLICY,
		    "chain: who is next is not who signed it");
	rc = mm_cert_verify_by(c, issuer);
	if (rc == MM_OK)
		return MM_OK;
	if (rc != MM_EPOLICY || unsure == NULL)
		return MM_FAIL(why, MM_EPOLICY, rc == MM_EPOLICY
		    ? "chain: its issuer's kind of key is not verified here"
		    : "chain: a signature does not hold");
	*unsure = true;
	return MM_OK;
}

/* By an anchor of the issuer's name, if there is one.  anchors: none, or at
 * least one certificate. */
static enum mm_err
ends_well(const struct mm_cert *last, struct mm_bytes anchors, bool *unsure,
    struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf one = MM_BUF_INIT(MM_CERT_MAX);
	struct mm_cert anchor;
	bool named = false, any = false, maybe = false;
	enum mm_err rc = MM_OK;

	while (anchors.n > 0 && rc == MM_OK &&
	    (rc = mm_pem_next(&anchors, "CERTIFICATE", &one, NULL)) == MM_OK) {
		any = true;
		rc = mm_cert_walk(mm_buf_view(&one), &anchor, NULL);
		if (rc == MM_OK &&
		    mm_bytes_eq(anchor.subject, last->issuer)) {
			bool blind = false;

			named = true;
			if (link_holds(last, &anchor, &blind, NULL) == MM_OK &&
			    !blind)
				return MM_OK;
			maybe = maybe || blind;
		}
		mm_buf_reset(&one);
	}
	if ((rc != MM_OK && rc != MM_ENOTFOUND) || (rc == MM_ENOTFOUND && !any))
		return MM_FAIL(why, MM_EINPUT,
		    "anchor: it is no PEM file of certificates");
	if (named && (!maybe || unsure == NULL))
		return MM_FAIL(why, MM_EPOLICY,
		    "chain: it ends at another root of the anchor's name");
	if (named)
		*unsure = true;
	return MM_OK;
}

/* see leads.h */
enum mm_err
mm_leads(struct mm_bytes cert, struct mm_bytes chain, struct mm_bytes anchors,
    bool *unsure, struct mm_why *why)
{
	struct mm_rd r = mm_rd_over(chain);
	struct mm_cert c, next;
	bool *may = NULL; /* the certificate's own link must hold */

	*unsure = false;
	if (mm_cert_walk(cert, &c, NULL) != MM_OK)
		return MM_FAIL(why, MM_EPOLICY, "chain: no certificate");
	for (; r.left > 0; c = next, may = unsure) {
		if (mm_cert_walk(mm_der_take_whole(&r, MM_DER_SEQ), &next,
		    NULL) != MM_OK)
			return MM_FAIL(why, MM_EPOLICY,
			    "chain: an issuer that is no certificate");
		MM_TRY(link_holds(&c, &next, may, why));
	}
	return ends_well(&c, anchors, may, why);
}

/* see leads.h */
enum mm_err
mm_leads_to(struct mm_bytes cert, struct mm_bytes chain,
    const struct mm_station_conf *conf, bool *unsure, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf pem = MM_BUF_INIT(ANCHORS_MAX);
	struct mm_why own = { 0 };
	enum mm_err rc = mm_file_read(conf->anchor, &pem, &own);

	if (rc == MM_OK && pem.n == 0)
		return MM_FAIL(why, MM_EINPUT, "anchor: empty: %.120s",
		    conf->anchor);
	if (rc == MM_ENOTFOUND && conf->offline == MM_OFFLINE_ALWAYS)
		rc = MM_OK;
	if (rc != MM_OK)
		return MM_FAIL(why, rc == MM_EPOLICY ? MM_ESYS : rc,
		    "anchor: %.140s", own.text);
	return mm_leads(cert, chain, mm_buf_view(&pem), unsure, why);
}
