#ifndef VECTORS_H
#define VECTORS_H

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

/* Hexadecimal of a vector's file; include cmocka before this. */
static inline size_t
vector_unhex(const json_t *row, const char *key, uint8_t *out, size_t cap)
{
	const char *s = json_string_value(json_object_get(row, key));
	size_t n = s == NULL ? 0 : strlen(s) / 2;

	assert_true(n > 0 && n <= cap);
	for (size_t i = 0; i < n; i++) {
		char two[] = { s[2 * i], s[2 * i + 1], '\0' };

		out[i] = (uint8_t)strtoul(two, NULL, 16);
	}
	return n;
}

#endif
