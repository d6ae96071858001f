#include "mmd_x509.h"
#include "priv.h"

#define NAME_MAX 64 /* RFC 5280 A.1: ub-common-name */

static const struct mmd_signature *
signature_of(const struct mmd_crypto *crypto, struct mmd_bytes spki)
{
	/* RFC 5758 3.2: ecdsa-with-SHA256 */
	static const struct mmd_signature ecdsa = { MMD_BYTES(
	    "\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x02"), false };

	return crypto->signature == NULL ? &ecdsa : crypto->signature(spki);
}

/* Name ::= SEQUENCE { SET { SEQUENCE { commonName, UTF8String } } } */
static void
put_name(struct mmd_derw *w, struct mmd_bytes name)
{
	size_t end = w->at;

	mmd_derw_put(w, name.p, name.n);
	mmd_derw_wrap(w, MMD_DER_UTF8, end);
	mmd_derw_put(w, "\x06\x03\x55\x04\x03", 5);
	mmd_derw_wrap(w, MMD_DER_SEQ, end);
	mmd_derw_wrap(w, MMD_DER_SET, end);
	mmd_derw_wrap(w, MMD_DER_SEQ, end);
}

/* RFC 2986 4.1: version 0, subject, key, no attributes.  Last one first. */
static void
put_info(struct mmd_derw *w, struct mmd_bytes name, struct mmd_bytes spki)
{
	size_t end = w->at;

	mmd_derw_put(w, "\xa0\x00", 2);
	mmd_derw_put(w, spki.p, spki.n);
	put_name(w, name);
	mmd_derw_put(w, "\x02\x01\x00", 3);
	mmd_derw_wrap(w, MMD_DER_SEQ, end);
}

static enum mmd_rc
sign(const struct mmd_crypto *crypto, unsigned slot, bool whole_message,
    const struct mmd_bytes *msg, uint8_t *sig, size_t cap, size_t *n)
{
	uint8_t hash[MMD_HASH];
	enum mmd_rc rc;

	if (whole_message)
		return crypto->sign == NULL ? MMD_EPORT
		    : crypto->sign(crypto->ctx, slot, *msg, sig, cap, n);
	rc = crypto->hash(crypto->ctx, msg, 1, hash);
	return rc != MMD_OK ? rc
	    : crypto->sign_hash(crypto->ctx, slot, hash, sig, cap, n);
}

/* see mmd_x509.h */
enum mmd_rc
mmd_request_sign(const struct mmd_crypto *crypto, unsigned slot,
    const struct mmd_bytes *msg, uint8_t *buf, size_t cap, size_t *n)
{
	struct mmd_bytes spki = { buf, 0 };
	enum mmd_rc rc = crypto->public(crypto->ctx, slot, buf, cap, &spki.n);
	const struct mmd_signature *by;

	if (rc != MMD_OK)
		return rc;
	by = signature_of(crypto, spki);
	return by == NULL ? MMD_EPORT
	    : sign(crypto, slot, by->whole_message, msg, buf, cap, n);
}

/* see priv.h; writing from the end moves both to where they belong, the
 * signature first */
enum mmd_rc
mmd_request_seal(struct mmd_derw *w, const struct mmd_request *r,
    struct mmd_bytes *out)
{
	*w = mmd_derw_over(w->buf, w->cap);
	mmd_derw_put(w, r->sig.p, r->sig.n);
	mmd_derw_put(w, "", 1); /* unused bits */
	mmd_derw_wrap(w, MMD_DER_BITS, w->cap);
	mmd_derw_put(w, r->sig_alg.p, r->sig_alg.n);
	mmd_derw_put(w, r->info.p, r->info.n);
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
	const struct mmd_signature *by;
	struct mmd_bytes spki = { buf, 0 };
	struct mmd_request r;
	enum mmd_rc rc;

	if (name.n == 0 || name.n > NAME_MAX)
		return MMD_EINPUT;
	rc = crypto->public(crypto->ctx, slot, buf, cap, &spki.n);
	if (rc != MMD_OK)
		return rc;
	by = signature_of(crypto, spki);
	if (by == NULL)
		return MMD_EPORT;
	put_info(&w, name, spki);
	if (w.bad)
		return MMD_ESPACE;
	r.info = (struct mmd_bytes){ buf, cap - w.at };
	memmove(buf, buf + w.at, r.info.n);
	r.sig.p = buf + r.info.n;
	r.sig_alg = by->alg;
	rc = sign(crypto, slot, by->whole_message, &r.info, buf + r.info.n,
	    cap - r.info.n, &r.sig.n);
	return rc != MMD_OK ? rc : mmd_request_seal(&w, &r, out);
}
