#include "mmd_x509.h"
#include "priv.h"

#define NAME_MAX 64 /* RFC 5280 A.1: ub-common-name */

/* How a key is recognised in its SubjectPublicKeyInfo, and what it signs. */
static const struct algorithm {
	struct mmd_bytes key_oid; /* whole */
	struct mmd_bytes sig_alg; /* AlgorithmIdentifier, whole */
	bool whole_message;
} algorithms[] = {
	/* RFC 5480 2.1.1, RFC 5758 3.2: ecPublicKey, ecdsa-with-SHA256 */
	{ MMD_BYTES("\x06\x07\x2a\x86\x48\xce\x3d\x02\x01"),
	    MMD_BYTES("\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x02"),
	    false },
	/* RFC 8017 A.1: rsaEncryption, sha256WithRSAEncryption */
	{ MMD_BYTES("\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01"),
	    MMD_BYTES("\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0b"
	    "\x05\x00"), false },
	/* RFC 8410 3: Ed25519 */
	{ MMD_BYTES("\x06\x03\x2b\x65\x70"), MMD_BYTES("\x30\x05\x06\x03\x2b\x65\x70"),
	    true },
};

/* RFC 5280 4.1: in front of the OID are the heads of two SEQUENCEs. */
static const struct algorithm *
algorithm_of(struct mmd_bytes spki)
{
	size_t head;

	for (int i = 0; i < 2; i++) {
		if (!mmd_der_head(spki, spki.n, &head, &spki.n) ||
		    spki.p[0] != MMD_DER_SEQ)
			return NULL;
		spki.p += head;
	}
	for (size_t i = 0; i < MMD_COUNT(algorithms); i++) {
		const struct algorithm *a = &algorithms[i];

		if (spki.n >= a->key_oid.n &&
		    memcmp(spki.p, a->key_oid.p, a->key_oid.n) == 0)
			return a;
	}
	return NULL;
}

/* Name ::= SEQUENCE { SET { SEQUENCE { commonName, UTF8String } } } */
static void
put_name(struct mmd_derw *w, struct mmd_bytes name)
{
	size_t end = w->at;

	mmd_derw_put(w, name);
	mmd_derw_wrap(w, MMD_DER_UTF8, end);
	mmd_derw_put(w, MMD_TEXT("\x06\x03\x55\x04\x03"));
	mmd_derw_wrap(w, MMD_DER_SEQ, end);
	mmd_derw_wrap(w, MMD_DER_SET, end);
	mmd_derw_wrap(w, MMD_DER_SEQ, end);
}

/* RFC 2986 4.1: version 0, subject, key, no attributes.  Last one first. */
static void
put_info(struct mmd_derw *w, struct mmd_bytes name, struct mmd_bytes spki)
{
	size_t end = w->at;

	mmd_derw_put(w, MMD_TEXT("\xa0\x00"));
	mmd_derw_put(w, spki);
	put_name(w, name);
	mmd_derw_put(w, MMD_TEXT("\x02\x01\x00"));
	mmd_derw_wrap(w, MMD_DER_SEQ, end);
}

static enum mmd_rc
sign(const struct mmd_crypto *crypto, unsigned slot, bool whole_message,
    struct mmd_bytes msg, uint8_t *sig, size_t cap, size_t *n)
{
	uint8_t hash[MMD_HASH];
	enum mmd_rc rc;

	if (whole_message)
		return crypto->sign == NULL ? MMD_EPORT
		    : crypto->sign(crypto->ctx, slot, msg, sig, cap, n);
	rc = crypto->hash(crypto->ctx, &msg, 1, hash);
	return rc != MMD_OK ? rc
	    : crypto->sign_hash(crypto->ctx, slot, hash, sig, cap, n);
}

/* see mmd_x509.h */
enum mmd_rc
mmd_request_sign(const struct mmd_crypto *crypto, unsigned slot,
    struct mmd_bytes msg, uint8_t *buf, size_t cap, size_t *n)
{
	struct mmd_bytes spki = { buf, 0 };
	enum mmd_rc rc = crypto->public(crypto->ctx, slot, buf, cap, &spki.n);
	const struct algorithm *alg;

	if (rc != MMD_OK)
		return rc;
	alg = algorithm_of(spki);
	return alg == NULL ? MMD_EPORT
	    : sign(crypto, slot, alg->whole_message, msg, buf, cap, n);
}

/* see priv.h; writing from the end moves both to where they belong, the
 * signature first */
enum mmd_rc
mmd_request_seal(struct mmd_derw *w, const struct mmd_request *r,
    struct mmd_bytes *out)
{
	*w = mmd_derw_over(w->buf, w->cap);
	mmd_derw_put(w, r->sig);
	mmd_derw_put(w, MMD_TEXT("\0"));
	mmd_derw_wrap(w, MMD_DER_BITS, w->cap);
	mmd_derw_put(w, r->sig_alg);
	mmd_derw_put(w, r->info);
	mmd_derw_wrap(w, MMD_DER_SEQ, w->cap);
	if (w->bad)
		return MMD_ESPACE;
	*out = (struct mmd_bytes){ w->buf + w->at, w->cap - w->at };
	return MMD_OK;
}

/* see mmd_x509.h */
enum mmd_rc
mmd_request_write(const struct mmd_crypto *crypto, unsigned slot,
    struct mmd_bytes name, uint8_t *buf, size_t cap, struct mmd_bytes *out)
{
	struct mmd_derw w = mmd_derw_over(buf, cap);
	const struct algorithm *alg;
	struct mmd_bytes spki = { buf, 0 };
	struct mmd_request r;
	enum mmd_rc rc;

	if (name.n == 0 || name.n > NAME_MAX)
		return MMD_EINPUT;
	rc = crypto->public(crypto->ctx, slot, buf, cap, &spki.n);
	if (rc != MMD_OK)
		return rc;
	alg = algorithm_of(spki);
	if (alg == NULL)
		return MMD_EPORT;
	put_info(&w, name, spki);
	if (w.bad)
		return MMD_ESPACE;
	r.info = (struct mmd_bytes){ buf, cap - w.at };
	memmove(buf, buf + w.at, r.info.n);
	r.sig.p = buf + r.info.n;
	r.sig_alg = alg->sig_alg;
	rc = sign(crypto, slot, alg->whole_message, r.info, buf + r.info.n,
	    cap - r.info.n, &r.sig.n);
	return rc != MMD_OK ? rc : mmd_request_seal(&w, &r, out);
}
