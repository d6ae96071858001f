/*
 * Properties: a run that parses prints the same; its ends are device_ids that
 * it finds again; a cut leaves two runs that parse and count as many.
 */
#include <stdlib.h>
#include <string.h>

#include "work/serials.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_at(const struct mm_serials *s, uint64_t index)
{
	char serial[MM_DEVICE_ID_MAX + 1];
	uint64_t found;

	mm_serials_at(s, index, serial);
	if (!mm_device_id_valid(serial) ||
	    !mm_serials_find(s, serial, &found) || found != index)
		abort();
}

static void
check_text(const struct mm_serials *s, const char *want)
{
	char text[MM_SERIALS_TEXT];
	struct mm_serials again;

	mm_serials_text(s, text);
	if ((want != NULL && strcmp(text, want) != 0) ||
	    mm_serials_parse(text, &again, NULL) != MM_OK)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char text[MM_SERIALS_TEXT + 64];
	struct mm_serials s, part;
	uint64_t n;

	if (!mm_text_copy(text, sizeof(text),
	    (struct mm_bytes){ data, size }) ||
	    mm_serials_parse(text, &s, NULL) != MM_OK)
		return 0;
	check_text(&s, text);
	n = mm_serials_count(&s);
	check_at(&s, 0);
	check_at(&s, n / 2);
	check_at(&s, n - 1);
	if (n < 2)
		return 0;
	if (mm_serials_cut(&s, n / 2, &part, NULL) != MM_OK ||
	    mm_serials_count(&s) + mm_serials_count(&part) != n)
		abort();
	check_text(&s, NULL);
	check_text(&part, NULL);
	return 0;
}
