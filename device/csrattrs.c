#include "mmd_x509.h"
#include "priv.h"

/* RFC 9908 3.4: an RDN of a template may lack its value, a Name's may not. */
static enum mmd_rc
check_name(struct mmd_bytes name)
{
	struct mmd_der r = mmd_der_over(name);
	struct mmd_der rdns = mmd_der_into(&r, MMD_DER_SEQ);
	bool whole = rdns.left > 0;

	while (!rdns.bad && rdns.left > 0) {
		struct mmd_der set = mmd_der_into(&rdns, MMD_DER_SET);
		struct mmd_der pair = mmd_der_into(&set, MMD_DER_SEQ);

		(void)mmd_der_take(&pair, MMD_DER_OID);
		if (pair.bad || !mmd_der_end(&set))
			return MMD_EINPUT;
		whole = whole && pair.left > 0;
		if (pair.left > 0)
			mmd_der_skip(&pair);
		if (!mmd_der_end(&pair))
			return MMD_EINPUT;
	}
	if (rdns.bad || !mmd_der_end(&r))
		return MMD_EINPUT;
	return whole ? MMD_OK : MMD_NONE;
}

/* Of the attribute's values, which are one. */
static enum mmd_rc
template_subject(struct mmd_der *attribute, struct mmd_bytes *subject)
{
	struct mmd_der values = mmd_der_into(attribute, MMD_DER_SET);
	struct mmd_der info = mmd_der_into(&values, MMD_DER_SEQ);
	struct mmd_bytes name;
	enum mmd_rc rc;

	(void)mmd_der_take(&info, MMD_DER_INTEGER);
	if (info.bad || !mmd_der_end(&values) || !mmd_der_end(attribute))
		return MMD_EINPUT;
	if (mmd_der_peek(&info) != MMD_DER_SEQ)
		return MMD_NONE;
	name = mmd_der_whole(&info, MMD_DER_SEQ);
	if (info.bad)
		return MMD_EINPUT;
	rc = check_name(name);
	if (rc == MMD_OK)
		*subject = name;
	return rc;
}

/* see mmd_x509.h */
enum mmd_rc
mmd_csrattrs_subject(struct mmd_bytes der, struct mmd_bytes *subject)
{
	static const struct mmd_bytes template = MMD_BYTES(
	    "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x02\x3d");
	struct mmd_der r = mmd_der_over(der);
	struct mmd_der all = mmd_der_into(&r, MMD_DER_SEQ);

	if (!mmd_der_end(&r))
		return MMD_EINPUT;
	while (!all.bad && all.left > 0) {
		struct mmd_der one;

		if (mmd_der_peek(&all) != MMD_DER_SEQ) {
			mmd_der_skip(&all);
			continue;
		}
		one = mmd_der_into(&all, MMD_DER_SEQ);
		if (mmd_bytes_eq(mmd_der_take(&one, MMD_DER_OID), template))
			return template_subject(&one, subject);
	}
	return all.bad ? MMD_EINPUT : MMD_NONE;
}

/* ---- and the request that is called so ---- */

/* What of a request stays: its key and how it is signed. */
static enum mmd_rc
kept(struct mmd_bytes request, struct mmd_bytes *spki,
    struct mmd_bytes *sig_alg)
{
	struct mmd_der r = mmd_der_over(request);
	struct mmd_der all = mmd_der_into(&r, MMD_DER_SEQ);
	struct mmd_der info = mmd_der_into(&all, MMD_DER_SEQ);

	(void)mmd_der_take(&info, MMD_DER_INTEGER);
	(void)mmd_der_take(&info, MMD_DER_SEQ);
	*spki = mmd_der_whole(&info, MMD_DER_SEQ);
	*sig_alg = mmd_der_whole(&all, MMD_DER_SEQ);
	return info.bad || all.bad ? MMD_EPORT : MMD_OK;
}

/* RFC 2986 4.1; the last one first */
static struct mmd_bytes
put_info(struct mmd_derw *w, struct mmd_bytes subject, struct mmd_bytes spki)
{
	size_t end = w->at;

	mmd_derw_put(w, "\xa0\x00", 2);
	mmd_derw_put(w, spki.p, spki.n);
	mmd_derw_put(w, subject.p, subject.n);
	mmd_derw_put(w, "\x02\x01\x00", 3);
	mmd_derw_wrap(w, MMD_DER_SEQ, end);
	return (struct mmd_bytes){ w->buf + w->at, end - w->at };
}

struct signing {
	uint8_t spki[MMD_SPKI_MAX], alg[32], sig[2 * MMD_SPKI_MAX];
	struct mmd_bytes key, sig_alg;
	size_t n; /* of sig */
};

static enum mmd_rc
keep(struct signing *s, struct mmd_bytes request)
{
	struct mmd_bytes key, alg;
	enum mmd_rc rc = kept(request, &key, &alg);

	if (rc != MMD_OK)
		return rc;
	if (key.n > sizeof(s->spki) || alg.n > sizeof(s->alg))
		return MMD_ESPACE;
	memcpy(s->spki, key.p, key.n);
	memcpy(s->alg, alg.p, alg.n);
	s->key = (struct mmd_bytes){ s->spki, key.n };
	s->sig_alg = (struct mmd_bytes){ s->alg, alg.n };
	return MMD_OK;
}

/* see mmd_x509.h; request.c stays as small as a board wants it, so what is
 * known of keys and signatures is read out of a request of its */
enum mmd_rc
mmd_request_write_as(const struct mmd_crypto *crypto, unsigned slot,
    struct mmd_bytes subject, uint8_t *buf, size_t cap, struct mmd_bytes *out)
{
	struct mmd_derw w = mmd_derw_over(buf, cap);
	struct mmd_request r;
	struct signing s;
	enum mmd_rc rc = mmd_request_write(crypto, slot, MMD_TEXT("-"), buf,
	    cap, out);

	if (rc == MMD_OK)
		rc = subject.n == 0 ? MMD_EINPUT : keep(&s, *out);
	if (rc != MMD_OK)
		return rc;
	r.info = put_info(&w, subject, s.key);
	if (w.bad)
		return MMD_ESPACE;
	rc = mmd_request_sign(crypto, slot, &r.info, s.sig, sizeof(s.sig),
	    &s.n);
	if (rc != MMD_OK)
		return rc;
	memmove(buf, r.info.p, r.info.n);
	r.info.p = buf;
	r.sig = (struct mmd_bytes){ s.sig, s.n };
	r.sig_alg = s.sig_alg;
	return mmd_request_seal(&w, &r, out);
}
