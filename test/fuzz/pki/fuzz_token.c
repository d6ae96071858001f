/*
 * Property: a token that parses prints to a text that parses to itself; so
 * do an id, a secret and a pairing code.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "pki/token.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
whole(struct mm_bytes in)
{
	struct mm_token t, again;
	char text[MM_TOKEN_TEXT];

	if (mm_token_parse(in, &t, NULL) != MM_OK)
		return;
	mm_token_text(&t, text);
	if (mm_token_parse(mm_bytes_of(text), &again, NULL) != MM_OK ||
	    memcmp(&t, &again, sizeof(t)) != 0)
		abort();
}

static void
id_only(struct mm_bytes in)
{
	uint8_t id[MM_TOKEN_ID_N], again[MM_TOKEN_ID_N];
	char text[MM_TOKEN_ID_TEXT];

	if (mm_token_id_parse(in, id, NULL) != MM_OK)
		return;
	mm_token_id_text(id, text);
	if (mm_token_id_parse(mm_bytes_of(text), again, NULL) != MM_OK ||
	    memcmp(id, again, sizeof(id)) != 0)
		abort();
}

static void
secret_only(struct mm_bytes in)
{
	uint8_t secret[MM_TOKEN_SECRET_N], again[MM_TOKEN_SECRET_N];
	char text[33];

	if (mm_token_secret_parse(in, secret, NULL) != MM_OK)
		return;
	mm_token_secret_text(secret, text);
	if (mm_token_secret_parse(mm_bytes_of(text), again, NULL) != MM_OK ||
	    memcmp(secret, again, sizeof(secret)) != 0)
		abort();
}

static void
pairing(struct mm_bytes in)
{
	char typed[33], code[MM_PAIRING_TEXT], again[MM_PAIRING_TEXT];

	if (!mm_text_copy(typed, sizeof(typed), in) ||
	    mm_pairing_parse(typed, code, NULL) != MM_OK)
		return;
	if (mm_pairing_parse(code, again, NULL) != MM_OK ||
	    strcmp(code, again) != 0)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct mm_bytes in = { data, size };

	whole(in);
	pairing(in);
	id_only(in);
	secret_only(in);
	return 0;
}
