#ifndef MM_SIGNER_NONCES_H
#define MM_SIGNER_NONCES_H

#include "base/text.h"

/*
 * Nonces that the signer made and has not seen again: what a board signs over
 * one of them it has signed since.  Each is for one device, is taken once, and
 * ends after some time or when so many others were made after it.  Pure: the
 * caller has the random bytes and the clock; nothing is locked.
 */
enum { MM_NONCES = 64, MM_NONCE_N = 32 };
#define MM_NONCE_MS (10 * 60 * 1000)

struct mm_nonces { /* begins as zeros */
	struct mm_nonce {
		int64_t until_ms; /* monotonic; 0: none */
		uint8_t bytes[MM_NONCE_N];
		char device[MM_DEVICE_ID_MAX + 1];
	} of[MM_NONCES];
	unsigned next;
};

void mm_nonces_put(struct mm_nonces *n, const char *device,
    const uint8_t nonce[MM_NONCE_N], int64_t now_ms);
/* False: not made here for that device, taken before, or too old. */
bool mm_nonces_take(struct mm_nonces *n, const char *device,
    const uint8_t nonce[MM_NONCE_N], int64_t now_ms);

#endif
