/*
 * The one file that calls OpenSSL's low-level hashes: in 3.0 every other way
 * fetches the algorithm anew, under a lock, and that costs more than hashing
 * a request does.
 */
#define OPENSSL_SUPPRESS_DEPRECATED

#include <string.h>

#include <openssl/rand.h>
#include <openssl/sha.h>

#include "pki/priv.h"
#include "pki/salt.h"

/* see key.h */
void
mm_sha256_parts(const struct mm_bytes *part, size_t n, uint8_t out[32])
{
	SHA256_CTX c;

	SHA256_Init(&c);
	for (size_t i = 0; i < n; i++)
		SHA256_Update(&c, part[i].p, part[i].n);
	SHA256_Final(out, &c);
	mm_wipe(&c, sizeof(c)); /* tokens and master keys pass through here */
}

/* see key.h */
void
mm_sha256_2(struct mm_bytes a, struct mm_bytes b, uint8_t out[32])
{
	mm_sha256_parts((const struct mm_bytes[]){ a, b }, 2, out);
}

/* see key.h */
void
mm_sha256(struct mm_bytes b, uint8_t out[32])
{
	mm_sha256_2(b, (struct mm_bytes){ NULL, 0 }, out);
}

/* see key.h */
void
mm_sha1(struct mm_bytes b, uint8_t out[20])
{
	SHA_CTX c;

	SHA1_Init(&c);
	SHA1_Update(&c, b.p, b.n);
	SHA1_Final(out, &c);
}

/* see key.h; RFC 2104 2 */
void
mm_hmac_sha256(struct mm_bytes key, struct mm_bytes data, uint8_t out[32])
{
	uint8_t inner[64], outer[64], hashed[32];

	if (key.n > sizeof(inner)) {
		mm_sha256(key, hashed);
		key = (struct mm_bytes){ hashed, sizeof(hashed) };
	}
	for (size_t i = 0; i < sizeof(inner); i++) {
		uint8_t k = i < key.n ? key.p[i] : 0;

		inner[i] = k ^ 0x36;
		outer[i] = k ^ 0x5c;
	}
	mm_sha256_2((struct mm_bytes){ inner, sizeof(inner) }, data, out);
	mm_sha256_2((struct mm_bytes){ outer, sizeof(outer) },
	    (struct mm_bytes){ out, 32 }, out);
	mm_wipe(inner, sizeof(inner));
	mm_wipe(outer, sizeof(outer));
}

/* see key.h */
enum mm_err
mm_salt_make(uint8_t salt[MM_SALT_N], struct mm_why *why)
{
	return mm_salts_make(salt, 1, why);
}

/* see salt.h */
enum mm_err
mm_salts_make(uint8_t *salts, size_t n, struct mm_why *why)
{
	return RAND_bytes(salts, (int)(n * MM_SALT_N)) == 1 ? MM_OK :
	    MM_FAIL(why, MM_ECRYPTO, "no random bytes");
}

/* see key.h */
void
mm_salted_sha256(const uint8_t salt[MM_SALT_N], struct mm_bytes text,
    uint8_t out[32])
{
	static const uint8_t none[MM_SALT_N];
	size_t n = memcmp(salt, none, MM_SALT_N) != 0 ? MM_SALT_N : 0;

	mm_sha256_2((struct mm_bytes){ salt, n }, text, out);
}

/* see priv.h */
size_t
mm_sha2(unsigned bits, struct mm_bytes b, uint8_t out[64])
{
	SHA512_CTX c;

	if (bits == 256) {
		mm_sha256(b, out);
		return 32;
	}
	MM_INVARIANT(bits == 384 || bits == 512);
	if (bits == 384)
		SHA384_Init(&c);
	else
		SHA512_Init(&c);
	SHA512_Update(&c, b.p, b.n);
	if (bits == 384)
		SHA384_Final(out, &c);
	else
		SHA512_Final(out, &c);
	return bits / 8;
}
