/* Property: a text is a schema or there is a reason; what a schema made of
 * attributes it makes of them again; the check answers both times alike; what
 * is good where it stands is good as a document, and the same text. */
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "base/text.h"
#include "core/property.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
use(const struct mm_schema *s, char once[2049])
{
	char again[2049], both[2049], plain[2049], column[MM_SCHEMA_COLUMN];
	bool good = mm_schema_plain(s, mm_bytes_of(once), true, plain,
	    sizeof(plain));
	enum mm_err checked, read;

	MM_OWN(json_free) json_t *o = once[0] == '\0' ? json_object() :
	    json_loads(once, JSON_REJECT_DUPLICATES, NULL);

	if (!json_is_object(o)) {
		if (good)
			abort();
		return;
	}
	read = mm_schema_read(s, o, true, column, NULL);
	if (good && (read != MM_OK || mm_attributes_text(o, both,
	    sizeof(both), NULL) != MM_OK || strcmp(both, plain) != 0))
		abort();
	if (json_object_size(o) == 0)
		strcpy(both, once);
	else if (mm_attributes_text(o, both, sizeof(both), NULL) != MM_OK)
		return;
	if (mm_schema_convert(s, once, 2049, NULL) != MM_OK)
		return;
	checked = mm_schema_check(s, once, column, NULL);
	if (read != checked || strcmp(both, once) != 0)
		abort();
	strcpy(again, once);
	if (mm_schema_convert(s, again, sizeof(again), NULL) != MM_OK ||
	    strcmp(once, again) != 0 ||
	    mm_schema_check(s, again, column, NULL) != checked)
		abort();
}

/* Schema, a line feed, attributes. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	MM_OWN(mm_schema_free) struct mm_schema *s = NULL;
	const uint8_t *line = size > 0 ? memchr(data, '\n', size) : NULL;
	size_t n = line != NULL ? (size_t)(line - data) : size;
	struct mm_bytes rest = { data + n, size - n };
	char attributes[2049];
	struct mm_why why = { 0 };
	bool indexed;
	enum mm_err rc = mm_schema_parse((struct mm_bytes){ data, n }, &s,
	    &why);

	if ((rc == MM_OK) != (why.code == MM_OK) ||
	    (rc == MM_OK) != (s != NULL))
		abort();
	if (s == NULL)
		return 0;
	(void)mm_schema_member(s, "a", &indexed);
	if (mm_text_copy(attributes, sizeof(attributes), rest))
		use(s, attributes);
	return 0;
}
