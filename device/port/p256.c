#include "port/p256.h"

#include <string.h>

#define HALF (MMD_P256_RAW / 2)

/* RFC 5480 2: ecPublicKey, secp256r1, a point that is not compressed. */
static const uint8_t spki_head[] = { 0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a,
	0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce,
	0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04 };

/* see p256.h */
enum mmd_rc
mmd_p256_spki(const uint8_t xy[MMD_P256_RAW], uint8_t *p, size_t cap,
    size_t *n)
{
	if (cap < sizeof(spki_head) + MMD_P256_RAW)
		return MMD_ESPACE;
	memcpy(p, spki_head, sizeof(spki_head));
	memcpy(p + sizeof(spki_head), xy, MMD_P256_RAW);
	*n = sizeof(spki_head) + MMD_P256_RAW;
	return MMD_OK;
}

/* X.690 8.3.2: the shortest form, and never negative here. */
static void
put_integer(struct mmd_derw *w, const uint8_t *v)
{
	static const uint8_t zero;
	size_t end = w->at, n = HALF;

	for (; n > 1 && *v == 0; n--)
		v++;
	mmd_derw_put(w, v, n);
	if ((*v & 0x80) != 0)
		mmd_derw_put(w, &zero, 1);
	mmd_derw_wrap(w, MMD_DER_INTEGER, end);
}

/* see p256.h */
enum mmd_rc
mmd_p256_signature(const uint8_t rs[MMD_P256_RAW], uint8_t *p, size_t cap,
    size_t *n)
{
	struct mmd_derw w = mmd_derw_over(p, cap);

	put_integer(&w, rs + HALF);
	put_integer(&w, rs);
	mmd_derw_wrap(&w, MMD_DER_SEQ, cap);
	if (w.bad)
		return MMD_ESPACE;
	*n = cap - w.at;
	memmove(p, p + w.at, *n);
	return MMD_OK;
}
