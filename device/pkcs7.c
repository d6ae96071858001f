#include "mmd_x509.h"
#include "priv.h"

/* id-signedData and id-data, RFC 5652 5.1 and 4 */
#define SIGNED_DATA MMD_TEXT("\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02")
#define DATA        MMD_TEXT("\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01")

/*
 * RFC 5652 5.1: version, digestAlgorithms, encapContentInfo, certificates,
 * crls, signerInfos.  Certs-only means that nothing is signed; signerInfos
 * are skipped, not verified, since what counts is each certificate's own
 * signature.
 */
static enum mmd_rc
signed_data(struct mmd_der *sd, struct mmd_pkcs7 *p7)
{
	struct mmd_der encap;

	(void)mmd_der_take(sd, MMD_DER_INTEGER);
	(void)mmd_der_take(sd, MMD_DER_SET);
	encap = mmd_der_into(sd, MMD_DER_SEQ);
	if (!mmd_bytes_eq(mmd_der_take(&encap, MMD_DER_OID), DATA) ||
	    !mmd_der_end(&encap))
		return MMD_EINPUT;
	p7->certs = mmd_der_into(sd, MMD_DER_CTX0);
	if (mmd_der_peek(sd) == 0xa1)
		mmd_der_skip(sd);
	(void)mmd_der_take(sd, MMD_DER_SET);
	return mmd_der_end(sd) ? MMD_OK : MMD_EINPUT;
}

/* see mmd_x509.h */
enum mmd_rc
mmd_pkcs7_open(struct mmd_bytes der, struct mmd_pkcs7 *out)
{
	struct mmd_pkcs7 p7;
	struct mmd_der r = mmd_der_over(der);
	struct mmd_der info = mmd_der_into(&r, MMD_DER_SEQ);
	struct mmd_bytes type = mmd_der_take(&info, MMD_DER_OID);
	struct mmd_der box = mmd_der_into(&info, MMD_DER_CTX0);
	struct mmd_der sd = mmd_der_into(&box, MMD_DER_SEQ);

	if (!mmd_bytes_eq(type, SIGNED_DATA) || !mmd_der_end(&box) ||
	    !mmd_der_end(&info) || !mmd_der_end(&r) ||
	    signed_data(&sd, &p7) != MMD_OK)
		return MMD_EINPUT;
	*out = p7;
	return MMD_OK;
}

/* see mmd_x509.h */
enum mmd_rc
mmd_pkcs7_next(struct mmd_pkcs7 *p7, struct mmd_bytes *cert)
{
	struct mmd_bytes v;

	if (mmd_der_end(&p7->certs))
		return MMD_NONE;
	v = mmd_der_whole(&p7->certs, MMD_DER_SEQ);
	if (p7->certs.bad)
		return MMD_EINPUT;
	*cert = v;
	return MMD_OK;
}
