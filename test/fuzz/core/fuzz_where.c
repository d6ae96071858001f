/* Properties: the conditions that are read, written one behind the other, are
 * the text that they were read from; what is no condition has a reason; a
 * value is a number or the text as it stands, and only numbers are more or
 * less than others. */
#include <stdlib.h>
#include <string.h>

#include "core/where.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const operators[MM_WHERE_OPS] = {
	[MM_WHERE_EQ] = "=", [MM_WHERE_PREFIX] = "^=", [MM_WHERE_LT] = "<",
	[MM_WHERE_LE] = "<=", [MM_WHERE_GT] = ">", [MM_WHERE_GE] = ">=",
};

/* true is 1 and false 0; else strtod's, who reads more than we do. */
static double
number(const char *value)
{
	if (strcmp(value, "true") == 0)
		return 1;
	return strcmp(value, "false") == 0 ? 0 : strtod(value, NULL);
}

static void
mean(struct mm_where w, enum mm_schema_member is, const char *value)
{
	struct mm_why why = { 0 };
	enum mm_err rc = mm_where_value(&w, is, value, &why);
	bool ordered = w.op != MM_WHERE_EQ && w.op != MM_WHERE_PREFIX;

	if (rc != why.code || (rc != MM_OK && (rc != MM_EINPUT || !ordered)))
		abort();
	if (rc != MM_OK)
		return;
	if (w.is_number ? is == MM_SCHEMA_TEXT || w.op == MM_WHERE_PREFIX ||
		w.text[0] != '\0' || w.number != number(value)
			: ordered || strcmp(w.text, value) != 0)
		abort();
}

static const char *
expect(const char *at, const char *text)
{
	if (strncmp(at, text, strlen(text)) != 0)
		abort();
	return at + strlen(text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char text[1024] = "", value[MM_WHERE_VALUE];
	const char *next = text, *at = text;
	struct mm_why why = { 0 };
	struct mm_where w;
	enum mm_err rc;

	memcpy(text, data, size < sizeof(text) ? size : sizeof(text) - 1);
	while ((rc = mm_where_next(&next, &w, value, &why)) == MM_OK) {
		at = expect(at, w.name);
		at = expect(at, operators[w.op]);
		at = expect(at, value);
		if (*at == ';')
			at++;
		if (at != next)
			abort();
		for (unsigned is = 0; is <= MM_SCHEMA_MIXED; is++)
			mean(w, (enum mm_schema_member)is, value);
	}
	if (rc == MM_ENOTFOUND ? *at != '\0' || why.code != MM_OK
			       : rc != MM_EINPUT || why.code != rc)
		abort();
	return 0;
}
