#include "port/sha256.h"

#include "priv.h"

/* FIPS 180-4 5.3.3: of the square roots of the first eight primes. */
static const uint32_t first[8] = { 0x6a09e667, 0xbb67ae85, 0x3c6ef372,
	0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19 };

/* 4.2.2: of the cube roots of the first 64. */
static const uint32_t constants[64] = {
	0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1,
	0x923f82a4, 0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3,
	0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786,
	0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
	0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147,
	0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13,
	0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b,
	0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
	0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a,
	0x5b9cca4f, 0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208,
	0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2
};

static inline uint32_t
rotate(uint32_t x, unsigned n)
{
	return x >> n | x << (32 - n);
}

/* 6.2.2 1: the message's schedule. */
static void
expand(uint32_t w[64])
{
	for (size_t i = 16; i < 64; i++) {
		uint32_t a = w[i - 15], b = w[i - 2];

		w[i] = w[i - 16] + w[i - 7] +
		    (rotate(a, 7) ^ rotate(a, 18) ^ a >> 3) +
		    (rotate(b, 17) ^ rotate(b, 19) ^ b >> 10);
	}
}

/* 6.2.2 3: v is a to h; k is the round's constant and word. */
static void
turn(uint32_t v[8], uint32_t k)
{
	uint32_t a = v[0], e = v[4];
	uint32_t t = v[7] + k + (rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25)) +
	    ((e & (v[5] ^ v[6])) ^ v[6]);
	uint32_t u = t + (rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22)) +
	    ((a & v[1]) | (v[2] & (a | v[1])));

	for (size_t i = 7; i > 0; i--)
		v[i] = v[i - 1];
	v[4] += t;
	v[0] = u;
}

static void
block(struct mmd_sha256 *s)
{
	expand(s->w);
	memcpy(s->v, s->state, sizeof(s->v));
	for (size_t i = 0; i < 64; i++)
		turn(s->v, constants[i] + s->w[i]);
	for (size_t i = 0; i < 8; i++)
		s->state[i] += s->v[i];
}

/* see sha256.h */
void
mmd_sha256_init(struct mmd_sha256 *s)
{
	memcpy(s->state, first, sizeof(first));
	s->n = 0;
}

/* see sha256.h */
void
mmd_sha256_put(struct mmd_sha256 *s, const uint8_t *p, size_t n)
{
	while (n-- > 0) {
		uint32_t *w = &s->w[s->n++ / 4 % 16];

		*w = *w << 8 | *p++;
		if (s->n % 64 == 0)
			block(s);
	}
}

/* see sha256.h; FIPS 180-4 5.1.1: a bit, zeros, the length in bits */
void
mmd_sha256_end(struct mmd_sha256 *s, uint8_t out[MMD_HASH])
{
	static const uint8_t one_bit = 0x80, none;
	const uint8_t *pad = &one_bit;
	uint32_t n = s->n;

	do {
		mmd_sha256_put(s, pad, 1);
		pad = &none;
	} while (s->n % 64 != 56);
	s->w[14] = n >> 29;
	s->w[15] = n << 3;
	block(s);
	for (size_t i = 0; i < 8; i++)
		mmd_put32(out + 4 * i, s->state[i]);
}
