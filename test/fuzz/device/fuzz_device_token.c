/*
 * Property: bytes are a token or leave the output alone; and whatever is a
 * token has an identity of 24 characters that reads back as the same id.
 */
#include <stdlib.h>
#include <string.h>

#include "mmd_token.h"
#include "port/posix_openssl.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct mmd_openssl_keys none = { NULL };
	struct mmd_crypto crypto = mmd_openssl_crypto(&none);
	struct mmd_token t = { .anchor_n = 99 };
	char identity[MMD_TOKEN_IDENTITY];
	enum mmd_rc rc = mmd_token_parse(&crypto, (struct mmd_bytes){ data,
	    size }, &t);

	if (rc != MMD_OK && t.anchor_n != 99)
		abort();
	if (rc != MMD_OK)
		return 0;
	mmd_token_identity(&t, identity);
	if (strlen(identity) != MMD_TOKEN_IDENTITY - 1 ||
	    memchr(t.server, '\0', sizeof(t.server)) == NULL ||
	    memchr(t.device, '\0', sizeof(t.device)) == NULL ||
	    (t.anchor_n != MMD_TOKEN_ANCHOR && t.anchor_n != MMD_HASH))
		abort();
	return 0;
}
