#include "signer/nonces.h"

#include <string.h>

/* see nonces.h */
void
mm_nonces_put(struct mm_nonces *n, const char *device,
    const uint8_t nonce[MM_NONCE_N], int64_t now_ms)
{
	struct mm_nonce *to = &n->of[n->next++ % MM_NONCES];

	*to = (struct mm_nonce){ .until_ms = now_ms + MM_NONCE_MS };
	memcpy(to->bytes, nonce, sizeof(to->bytes));
	strncpy(to->device, device, sizeof(to->device) - 1);
}

/* see nonces.h; that of another device is not taken: it is still that one's */
bool
mm_nonces_take(struct mm_nonces *n, const char *device,
    const uint8_t nonce[MM_NONCE_N], int64_t now_ms)
{
	for (unsigned i = 0; i < MM_NONCES; i++) {
		struct mm_nonce *one = &n->of[i];
		bool good = now_ms < one->until_ms;

		if (one->until_ms == 0 ||
		    memcmp(one->bytes, nonce, sizeof(one->bytes)) != 0 ||
		    strcmp(one->device, device) != 0)
			continue;
		one->until_ms = 0;
		return good;
	}
	return false;
}
