#include "mmd_token.h"
#include "priv.h"

/* The first 40 bits of a hash as 8 digits of Crockford base32. */
static void
put_digits(const uint8_t hash[MMD_HASH], char out[MMD_PAIRING_CODE])
{
	static const char digits[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
	uint64_t v = 0;

	for (size_t i = 0; i < 5; i++)
		v = v << 8 | hash[i];
	for (size_t i = 0; i < 8; i++)
		out[i < 4 ? i : i + 1] = digits[v >> (35 - 5 * i) & 31];
	out[4] = '-';
	out[MMD_PAIRING_CODE - 1] = '\0';
}

/* see mmd_token.h */
enum mmd_rc
mmd_pairing_code(const struct mmd_crypto *crypto, unsigned slot,
    struct mmd_bytes device, char out[MMD_PAIRING_CODE])
{
	static const uint8_t head[] = "mintmark pairing code v1\n";
	uint8_t spki[MMD_SPKI_MAX], hash[MMD_HASH];
	uint8_t name[MMD_TOKEN_DEVICE_MAX];
	struct mmd_bytes parts[] = { { head, sizeof(head) - 1 },
		{ name, device.n }, { (const uint8_t *)"\n", 1 },
		{ hash, sizeof(hash) } };
	struct mmd_bytes key = { spki, 0 };
	enum mmd_rc rc;

	if (device.n > sizeof(name))
		return MMD_EINPUT;
	for (size_t i = 0; i < device.n; i++)
		name[i] = mmd_lower(device.p[i]);
	rc = crypto->public(crypto->ctx, slot, spki, sizeof(spki), &key.n);
	if (rc == MMD_OK)
		rc = crypto->hash(crypto->ctx, &key, 1, hash);
	if (rc == MMD_OK)
		rc = crypto->hash(crypto->ctx, parts, 4, hash);
	if (rc == MMD_OK)
		put_digits(hash, out);
	return rc;
}
