#include "server/event.h"

#include <stdio.h>
#include <string.h>

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

static bool
one_of(const char *list, struct mm_bytes v)
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

/* see event.h */
enum mm_err
mm_event_filter_check(const struct mm_event_filter *f, struct mm_why *why)
{
	const char *list = f->types;
	struct mm_bytes word;

	while (next_word(&list, &word))
		if (!names_a_type(word))
			return MM_FAIL(why, MM_EINPUT, "type: there is no "
			    "\"%.*s\"", word.n < 40 ? (int)word.n : 40,
			    (const char *)word.p);
	return MM_OK;
}

/* see event.h */
bool
mm_event_wanted(const struct mm_event_filter *f,
    const struct mm_entry_view *v)
{
	return one_of(f->types, v->type) && one_of(f->products, v->product) &&
	    (f->device[0] == '\0' ||
	    mm_bytes_eq(mm_bytes_of(f->device), v->device));
}

/* see event.h */
bool
mm_event_may_see(const struct mm_login *login, const struct mm_entry_view *v)
{
	const unsigned readers = MM_ROLE_ADMIN | MM_ROLE_OPERATOR |
	    MM_ROLE_SUPPORT | MM_ROLE_AUDITOR;

	(void)v;
	return (login->roles & readers) != 0;
}

/* see event.h */
void
mm_event_put(struct mm_json *j, uint64_t index, struct mm_bytes entry)
{
	mm_json_open(j, '{');
	mm_json_int(j, "index", (int64_t)index);
	mm_json_raw(j, "entry", entry);
	mm_json_close(j, '}');
}

/* see event.h */
void
mm_event_put_next(struct mm_json *j, uint64_t seen, bool more)
{
	char text[24];

	if (seen > 0) {
		snprintf(text, sizeof(text), "%llu",
		    (unsigned long long)seen - 1);
		mm_json_str(j, "next", text);
	}
	mm_json_bool(j, "more", more);
}
