/*
 * A rule, a line end, a label.  Property: what comes out is a device id, the
 * same each time.
 */
#include <stdlib.h>
#include <string.h>

#include "line/scan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *end = size > 0 ? memchr(data, '\n', size) : NULL;
	char one[MM_DEVICE_ID_MAX + 1], two[MM_DEVICE_ID_MAX + 1];
	struct mm_scan_rule rule;
	struct mm_bytes label;
	char text[1024];

	if (end == NULL || !mm_text_copy(text, sizeof(text),
	    (struct mm_bytes){ data, (size_t)(end - data) }))
		return 0;
	label = (struct mm_bytes){ end + 1, size - (size_t)(end - data) - 1 };
	if (mm_scan_rule_parse(text, &rule, NULL) != MM_OK ||
	    mm_scan(&rule, label, one, NULL) != MM_OK)
		return 0;
	if (!mm_device_id_valid(one) ||
	    mm_scan(&rule, label, two, NULL) != MM_OK ||
	    strcmp(one, two) != 0)
		abort();
	return 0;
}
