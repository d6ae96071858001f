#include <string.h>

#include "ledger/entry.h"

/* What people ask entries by: lists of types, or of products. */

/* The next of a comma-separated list; false at its end. */
static bool
next_word(const char **list, struct mm_bytes *word)
{
	size_t n = strcspn(*list, ",");

	if (**list == '\0')
		return false;
	*word = (struct mm_bytes){ (const uint8_t *)*list, n };
	*list += n + ((*list)[n] == ',');
	return true;
}

/* An exact name, or one that ends in a dot and begins the value. */
static bool
matches(struct mm_bytes word, struct mm_bytes v)
{
	if (word.n > 0 && word.p[word.n - 1] == '.' && v.n > word.n)
		v.n = word.n;
	return mm_bytes_eq(word, v);
}

/* see entry.h */
bool
mm_entry_one_of(const char *list, struct mm_bytes v)
{
	struct mm_bytes word;

	if (*list == '\0')
		return true;
	while (next_word(&list, &word))
		if (matches(word, v))
			return true;
	return false;
}

static bool
names_a_type(struct mm_bytes word)
{
	for (unsigned t = 0; t < MM_ENTRY_TYPE_COUNT; t++)
		if (matches(word, mm_bytes_of(
		    mm_entry_type_name((enum mm_entry_type)t))))
			return true;
	return false;
}

/* see entry.h */
enum mm_err
mm_entry_types_check(const char *list, struct mm_why *why)
{
	struct mm_bytes word;

	while (next_word(&list, &word))
		if (!names_a_type(word))
			return MM_FAIL(why, MM_EINPUT, "type: there is no "
			    "\"%.*s\"", word.n < 40 ? (int)word.n : 40,
			    (const char *)word.p);
	return MM_OK;
}
