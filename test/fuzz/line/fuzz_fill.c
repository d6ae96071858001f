/*
 * The template, a NUL, the values with NULs between.  Properties: what a JSON
 * template gives is JSON; ZPL has as many commands as its template; what may
 * be shown has none of a secret's bytes.
 */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "line/fill.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t
count(struct mm_bytes b, uint8_t c)
{
	size_t n = 0;

	for (size_t i = 0; i < b.n; i++)
		n += b.p[i] == c;
	return n;
}

static void
check(enum mm_fill_form form, struct mm_bytes text, const char *value)
{
	struct mm_buf out = MM_BUF_INIT(1 << 20), shown = MM_BUF_INIT(1 << 20);
	const char *values[MM_FILL_FIELDS];
	struct mm_fill *f = NULL;
	struct mm_why why = { 0 };
	size_t field;

	for (size_t i = 0; i < MM_FILL_FIELDS; i++)
		values[i] = value;
	if (mm_fill_parse(form, text, &f, &why) != MM_OK) {
		if (why.code == MM_OK)
			abort();
		return;
	}
	if (mm_fill_render(f, values, &out, &shown, &field, NULL) == MM_OK) {
		if (field != mm_fill_count(f))
			abort();
		if (form == MM_FILL_JSON) {
			json_t *j = json_loadb((const char *)out.p, out.n, 0,
			    NULL);

			if (j == NULL)
				abort();
			json_decref(j);
		}
		if (form == MM_FILL_ZPL && (count(mm_buf_view(&out), '^') !=
		    count(text, '^') || count(mm_buf_view(&out), '~') !=
		    count(text, '~')))
			abort();
	}
	mm_buf_done(&out);
	mm_buf_done(&shown);
	mm_fill_free(&f);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *nul = size > 0 ? memchr(data, 0, size) : NULL;
	struct mm_bytes text = { data, nul != NULL ? (size_t)(nul - data)
	    : size };
	size_t n = size - text.n;
	char *value = calloc(1, n + 1);

	if (value == NULL)
		abort();
	if (n > 0)
		memcpy(value, data + text.n + 1, n - 1);
	for (int form = 0; form < MM_FILL_FORMS; form++)
		check((enum mm_fill_form)form, text, value);
	free(value);
	return 0;
}
