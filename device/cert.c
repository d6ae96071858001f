#include "mmd_x509.h"
#include "priv.h"

static enum mmd_rc
read_time(struct mmd_der *r, int64_t *at_s)
{
	int tag = mmd_der_peek(r);

	if (tag < 0)
		return MMD_EINPUT;
	return mmd_time_asn1((uint8_t)tag, mmd_der_take(r, (uint8_t)tag),
	    at_s);
}

/* RFC 5280 4.1.2.5 */
static enum mmd_rc
read_validity(struct mmd_der *tbs, struct mmd_cert *c)
{
	struct mmd_der v = mmd_der_into(tbs, MMD_DER_SEQ);
	enum mmd_rc rc = read_time(&v, &c->not_before_s);

	if (rc == MMD_OK)
		rc = read_time(&v, &c->not_after_s);
	return rc == MMD_OK && mmd_der_end(&v) ? MMD_OK : MMD_EINPUT;
}

/* RFC 5280 4.1.2.1: version 3 is [0] { INTEGER 2 }. */
static bool
read_version(struct mmd_der *tbs)
{
	struct mmd_bytes v;

	if (mmd_der_peek(tbs) != MMD_DER_CTX0)
		return false;
	v = mmd_der_take(tbs, MMD_DER_CTX0);
	return mmd_bytes_eq(v, MMD_TEXT("\x02\x01\x02"));
}

/* RFC 5280 4.1.2.9; the unique identifiers before it are not for v3 CAs. */
static void
read_extensions(struct mmd_der *tbs, struct mmd_cert *c)
{
	struct mmd_der x;

	if (mmd_der_peek(tbs) != MMD_DER_CTX3)
		return;
	x = mmd_der_into(tbs, MMD_DER_CTX3);
	c->extensions = mmd_der_take(&x, MMD_DER_SEQ);
	if (!mmd_der_end(&x))
		tbs->bad = true;
}

/*
 * RFC 5280 4.1.2.7, X.690 11.2: keys are whole octets.  Bits said to be
 * unused would be read differently by different readers.
 */
static struct mmd_bytes
read_spki(struct mmd_der *tbs)
{
	struct mmd_bytes whole = mmd_der_whole(tbs, MMD_DER_SEQ), key;
	struct mmd_der r = mmd_der_over(whole);
	struct mmd_der seq = mmd_der_into(&r, MMD_DER_SEQ);

	(void)mmd_der_take(&seq, MMD_DER_SEQ);
	key = mmd_der_take(&seq, MMD_DER_BITS);
	if (!mmd_der_end(&seq) || key.n < 2 || key.p[0] != 0)
		tbs->bad = true;
	return whole;
}

/* RFC 5280 4.1.1.2: the algorithm stands twice and must be the same. */
static enum mmd_rc
read_tbs(struct mmd_cert *c)
{
	struct mmd_der whole = mmd_der_over(c->tbs);
	struct mmd_der tbs = mmd_der_into(&whole, MMD_DER_SEQ);
	struct mmd_bytes alg;

	if (!read_version(&tbs))
		return MMD_EINPUT;
	c->serial = mmd_der_take(&tbs, MMD_DER_INTEGER);
	alg = mmd_der_whole(&tbs, MMD_DER_SEQ);
	c->issuer = mmd_der_whole(&tbs, MMD_DER_SEQ);
	if (read_validity(&tbs, c) != MMD_OK)
		return MMD_EINPUT;
	c->subject = mmd_der_whole(&tbs, MMD_DER_SEQ);
	c->spki = read_spki(&tbs);
	read_extensions(&tbs, c);
	if (!mmd_der_end(&tbs) || c->serial.n == 0 ||
	    !mmd_bytes_eq(alg, c->sig_alg))
		return MMD_EINPUT;
	return MMD_OK;
}

/* see mmd_x509.h */
enum mmd_rc
mmd_cert_parse(struct mmd_bytes der, struct mmd_cert *out)
{
	struct mmd_cert c = { .whole = der };
	struct mmd_der r = mmd_der_over(der);
	struct mmd_der seq = mmd_der_into(&r, MMD_DER_SEQ);

	c.tbs = mmd_der_whole(&seq, MMD_DER_SEQ);
	c.sig_alg = mmd_der_whole(&seq, MMD_DER_SEQ);
	c.sig = mmd_der_take(&seq, MMD_DER_BITS);
	if (!mmd_der_end(&seq) || !mmd_der_end(&r) || c.sig.n < 2 ||
	    c.sig.p[0] != 0 || read_tbs(&c) != MMD_OK)
		return MMD_EINPUT;
	c.sig.p++;
	c.sig.n--;
	*out = c;
	return MMD_OK;
}

/* see mmd_x509.h */
enum mmd_rc
mmd_name_cn(struct mmd_bytes name, struct mmd_bytes *cn)
{
	struct mmd_der r = mmd_der_over(name);
	struct mmd_der rdns = mmd_der_into(&r, MMD_DER_SEQ);

	while (!rdns.bad && rdns.left > 0) {
		struct mmd_der set = mmd_der_into(&rdns, MMD_DER_SET);
		struct mmd_der pair = mmd_der_into(&set, MMD_DER_SEQ);
		struct mmd_bytes type = mmd_der_take(&pair, MMD_DER_OID);
		int tag = mmd_der_peek(&pair);

		if (tag < 0)
			return MMD_EINPUT;
		if (!mmd_bytes_eq(type, MMD_TEXT("\x55\x04\x03")))
			continue;
		*cn = mmd_der_take(&pair, (uint8_t)tag);
		return pair.bad ? MMD_EINPUT : MMD_OK;
	}
	return rdns.bad ? MMD_EINPUT : MMD_NONE;
}
