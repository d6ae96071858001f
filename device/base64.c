#include "mmd_codec.h"
#include "priv.h"

/* Of a value below 64. */
static uint8_t
digit(unsigned v)
{
	return (uint8_t)(v < 26 ? 'A' + v
	    : v < 52 ? 'a' - 26 + v
	    : v < 62 ? '0' - 52 + v
	    : v == 62 ? '+' : '/');
}

static int
value(uint8_t c)
{
	for (unsigned i = 0; i < 64; i++)
		if (digit(i) == c)
			return (int)i;
	return -1;
}

static bool
is_space(uint8_t c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* One more character of the group; false if it may not stand here. */
static bool
take(struct mmd_base64 *s, uint8_t c)
{
	int v = value(c);

	if (s->ended)
		return false;
	if (c == '=') {
		if (s->digits < 2)
			return false;
		s->pads++;
		s->acc <<= 6;
		return true;
	}
	if (v < 0 || s->pads > 0)
		return false;
	s->digits++;
	s->acc = s->acc << 6 | (uint32_t)v;
	return true;
}

/* A full group: 3 bytes less the padding, whose bits must be zero. */
static enum mmd_rc
flush(struct mmd_base64 *s, uint8_t *out, size_t cap, size_t *n)
{
	size_t bytes = (size_t)(3 - s->pads);

	if ((s->acc & ((UINT32_C(1) << 8 * s->pads) - 1)) != 0)
		return MMD_EINPUT;
	if (cap - *n < bytes)
		return MMD_ESPACE;
	for (size_t i = 0; i < bytes; i++)
		out[(*n)++] = (uint8_t)(s->acc >> (16 - 8 * i));
	s->ended = s->pads > 0;
	s->digits = s->pads = 0;
	s->acc = 0;
	return MMD_OK;
}

/* see mmd_codec.h */
enum mmd_rc
mmd_base64_decode(struct mmd_base64 *s, struct mmd_bytes in, uint8_t *out,
    size_t cap, size_t *n)
{
	enum mmd_rc rc = s->bad ? MMD_EINPUT : MMD_OK;

	for (size_t i = 0; rc == MMD_OK && i < in.n; i++) {
		if (is_space(in.p[i]))
			continue;
		if (!take(s, in.p[i]))
			rc = MMD_EINPUT;
		else if (s->digits + s->pads == 4)
			rc = flush(s, out, cap, n);
	}
	s->bad = rc != MMD_OK;
	return rc;
}

/* see mmd_codec.h */
enum mmd_rc
mmd_base64_end(const struct mmd_base64 *s)
{
	return s->bad || s->digits + s->pads != 0 ? MMD_EINPUT : MMD_OK;
}

/* see priv.h */
uint8_t
mmd_base64_char(uint32_t group, size_t have, size_t i)
{
	return i > have ? '=' : digit(group >> (18 - 6 * i) & 63);
}

/* see mmd_codec.h */
enum mmd_rc
mmd_base64_encode(struct mmd_bytes in, uint8_t *out, size_t cap, size_t *n)
{
	size_t at = 0;

	if (in.n > SIZE_MAX / 2 || cap < MMD_BASE64_LEN(in.n))
		return MMD_ESPACE;
	for (size_t i = 0; i < in.n; i += 3) {
		size_t have = in.n - i < 3 ? in.n - i : 3;
		uint32_t v = (uint32_t)in.p[i] << 16;

		v |= have > 1 ? (uint32_t)in.p[i + 1] << 8 : 0;
		v |= have > 2 ? in.p[i + 2] : 0;
		for (size_t k = 0; k < 4; k++)
			out[at++] = mmd_base64_char(v, have, k);
	}
	*n = at;
	return MMD_OK;
}
