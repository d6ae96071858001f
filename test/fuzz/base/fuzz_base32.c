/*
 * Properties: bytes survive text and back; text that parses is, up to case
 * and O, I, L, the text of what it parsed to.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

#define MOST 256

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char
fold(uint8_t c)
{
	c = (uint8_t)toupper(c);
	if (c == 'O')
		return '0';
	return c == 'I' || c == 'L' ? '1' : (char)c;
}

static void
check_bytes(const uint8_t *data, size_t n)
{
	char text[MOST * 2];
	uint8_t back[MOST];

	mm_base32_text(data, n, text);
	if (strlen(text) != (8 * n + 4) / 5 ||
	    mm_base32_parse(text, strlen(text), back, n, NULL) != MM_OK ||
	    (n > 0 && memcmp(back, data, n) != 0))
		abort();
}

static void
check_text(const uint8_t *data, size_t size)
{
	char text[MOST * 2];
	uint8_t got[MOST];
	size_t n = size * 5 / 8;

	if (mm_base32_parse((const char *)data, size, got, n, NULL) != MM_OK)
		return;
	mm_base32_text(got, n, text);
	for (size_t i = 0; i < size; i++)
		if (text[i] != fold(data[i]))
			abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size > MOST)
		return 0;
	check_bytes(data, size);
	check_text(data, size);
	return 0;
}
