#ifndef MMD_PRIV_H
#define MMD_PRIV_H

/*
 * For the library's own sources.  <string.h> is not a freestanding header, so
 * the four functions a compiler may call anyway are declared here.
 */

#include "mmd.h"

void *memcpy(void *restrict to, const void *restrict from, size_t n);
void *memmove(void *to, const void *from, size_t n);
void *memset(void *p, int c, size_t n);
int memcmp(const void *a, const void *b, size_t n);

#define MMD_COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* Of one source file for another: reached without a table of addresses. */
#define MMD_HIDDEN __attribute__((visibility("hidden")))

/* Left out of line, where a compiler that builds for size takes it into its
 * callers all the same and the image grows by it. */
#define MMD_ONCE __attribute__((noinline))

/* Bytes of a string constant, without its NUL: in a table, and as a value. */
#define MMD_BYTES(s) { (const uint8_t *)(s), sizeof(s) - 1 }
#define MMD_TEXT(s)  ((struct mmd_bytes)MMD_BYTES(s))

static inline struct mmd_bytes
mmd_bytes_of(const char *s)
{
	size_t n = 0;

	while (s[n] != '\0')
		n++;
	return (struct mmd_bytes){ (const uint8_t *)s, n };
}

static inline bool
mmd_bytes_eq(struct mmd_bytes a, struct mmd_bytes b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

static inline uint8_t
mmd_lower(uint8_t c)
{
	return c >= 'A' && c <= 'Z' ? (uint8_t)(c | 0x20) : c;
}

/* Numbers of the wire and of storage: the high byte first. */
static inline uint16_t
mmd_get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static inline void
mmd_put16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static inline uint32_t
mmd_get32(const uint8_t *p)
{
	return (uint32_t)mmd_get16(p) << 16 | mmd_get16(p + 2);
}

static inline void
mmd_put32(uint8_t *p, uint32_t v)
{
	mmd_put16(p, (uint16_t)(v >> 16));
	mmd_put16(p + 2, (uint16_t)v);
}

/*
 * Character i of the four for a group of bytes, of which there are 1 to 3:
 * the first in bits 16 to 23, those that are missing zero.
 */
uint8_t mmd_base64_char(uint32_t group, size_t have, size_t i);

/*
 * The head of a DER element, whose first bytes, seen of them, are at p; left
 * are there in all: how long the head is and what it holds.  False: not DER.
 */
bool mmd_der_head(const uint8_t *p, size_t seen, size_t left, size_t *head,
    size_t *len);

/*
 * SHA-256 of the slot's SubjectPublicKeyInfo, which is written to scratch:
 * MMD_SPKI_MAX bytes do.  As crypto->public and hash.
 */
enum mmd_rc mmd_own_key(const struct mmd_crypto *crypto, unsigned slot,
    uint8_t *scratch, size_t n, uint8_t out[MMD_HASH]) MMD_MUST;

/*
 * RFC 2986 4.2: info stands at the front of w's memory and sig is no part of
 * it, or behind it; the request is at the end of that memory.  MMD_ESPACE.
 */
struct mmd_derw;
struct mmd_request {
	struct mmd_bytes info;
	struct mmd_bytes sig_alg;
	struct mmd_bytes sig;
};
enum mmd_rc mmd_request_seal(struct mmd_derw *w, const struct mmd_request *r,
    struct mmd_bytes *out) MMD_MUST;

/* memset that a compiler may not drop. */
static inline void
mmd_wipe(void *p, size_t n)
{
	memset(p, 0, n);
	__asm__ volatile("" : : "r"(p) : "memory");
}

#endif
