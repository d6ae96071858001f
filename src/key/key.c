#include "key/key.h"

#include <string.h>

#include "base/own.h"
#include "base/text.h"
#include "mmd_codec.h"
#include "pki/cert.h"

enum { DER_MAX = 2048 };

static const struct mmd_bytes version = { (const uint8_t *)"\1", 1 };

static bool
same(struct mmd_bytes a, struct mmd_bytes b)
{
	return a.n == b.n && memcmp(a.p, b.p, a.n) == 0;
}

static bool
take_uri(struct mmd_bytes v, struct mm_key *out)
{
	for (size_t i = 0; i < v.n; i++)
		if (v.p[i] <= ' ' || v.p[i] > '~')
			return false;
	return mm_text_copy(out->uri, sizeof(out->uri),
	    (struct mm_bytes){ v.p, v.n }) &&
	    mm_key_place_of(out->uri, &out->place, NULL) == MM_OK &&
	    out->place != MM_KEY_FILE;
}

static bool
take_blob(struct mmd_bytes v, struct mm_key_blob *out)
{
	if (v.n > sizeof(out->p))
		return false;
	if (v.n > 0)
		memcpy(out->p, v.p, v.n);
	out->n = v.n;
	return true;
}

static bool
take_point(struct mmd_bytes v, struct mm_key *out)
{
	out->made = v.n == MM_KEY_XY;
	if (out->made)
		memcpy(out->xy, v.p, MM_KEY_XY);
	return out->made || v.n == 0;
}

/* see key.h */
enum mm_err
mm_key_parse_der(struct mm_bytes der, struct mm_key *out, struct mm_why *why)
{
	struct mmd_bytes v, uri, xy, public, wrapped;
	struct mm_key key = { .made = false };
	struct mmd_der top = mmd_der_over((struct mmd_bytes){ der.p, der.n });
	struct mmd_der r;

	r = mmd_der_into(&top, MMD_DER_SEQ);
	v = mmd_der_take(&r, MMD_DER_INTEGER);
	uri = mmd_der_take(&r, MMD_DER_UTF8);
	xy = mmd_der_take(&r, MMD_DER_OCTETS);
	public = mmd_der_take(&r, MMD_DER_OCTETS);
	wrapped = mmd_der_take(&r, MMD_DER_OCTETS);
	if (!mmd_der_end(&r) || !mmd_der_end(&top))
		return MM_FAIL(why, MM_EINPUT, "key: the block is damaged");
	if (!same(v, version))
		return MM_FAIL(why, MM_EINPUT,
		    "key: the block is of a newer version");
	if (!take_uri(uri, &key) || !take_point(xy, &key) ||
	    !take_blob(public, &key.public) ||
	    !take_blob(wrapped, &key.wrapped))
		return MM_FAIL(why, MM_EINPUT, "key: the block is not ours");
	*out = key;
	return MM_OK;
}

/* see key.h */
enum mm_err
mm_key_parse(struct mm_bytes pem, struct mm_key *out, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf der = MM_BUF_INIT(DER_MAX);

	MM_TRY(mm_pem_next(&pem, MM_KEY_LABEL, &der, why));
	return mm_key_parse_der(mm_buf_view(&der), out, why);
}

static void
put_octets(struct mmd_derw *w, const uint8_t *p, size_t n)
{
	size_t end = w->at;

	mmd_derw_put(w, p, n);
	mmd_derw_wrap(w, MMD_DER_OCTETS, end);
}

/* see key.h; written from its end */
void
mm_key_encode(const struct mm_key *key, struct mm_buf *pem)
{
	uint8_t der[DER_MAX];
	struct mmd_derw w = mmd_derw_over(der, sizeof(der));
	size_t end;

	put_octets(&w, key->wrapped.p, key->wrapped.n);
	put_octets(&w, key->public.p, key->public.n);
	put_octets(&w, key->xy, key->made ? MM_KEY_XY : 0);
	end = w.at;
	mmd_derw_put(&w, key->uri, strlen(key->uri));
	mmd_derw_wrap(&w, MMD_DER_UTF8, end);
	end = w.at;
	mmd_derw_put(&w, version.p, version.n);
	mmd_derw_wrap(&w, MMD_DER_INTEGER, end);
	mmd_derw_wrap(&w, MMD_DER_SEQ, sizeof(der));
	MM_INVARIANT(!w.bad);
	mm_pem_put(pem, MM_KEY_LABEL, (struct mm_bytes){ der + w.at,
	    sizeof(der) - w.at });
}

/* see key.h; one that is not made has nothing but its place */
bool
mm_key_same(const struct mm_key *a, const struct mm_key *b)
{
	return a->place == b->place && strcmp(a->uri, b->uri) == 0 &&
	    (!a->made || !b->made ||
	    memcmp(a->xy, b->xy, sizeof(a->xy)) == 0);
}
