#include "station/catalogue.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/own.h"

struct mm_catalogue {
	json_t *own, *english;
};

static enum mm_err
read_texts(const char *text, json_t **out, struct mm_why *why)
{
	json_error_t where;

	*out = json_loads(text, JSON_REJECT_DUPLICATES, &where);
	return *out != NULL
		   ? MM_OK
		   : MM_FAIL(why, MM_ENOMEM, "catalogue: %s", where.text);
}

/* see catalogue.h */
enum mm_err
mm_catalogue_open(int language, struct mm_catalogue **out, struct mm_why *why)
{
	MM_OWN(mm_catalogue_close)
	struct mm_catalogue *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	MM_TRY(read_texts(mm_screen_en_json, &c->english, why));
	MM_TRY(read_texts(
	    language == MM_LANGUAGE_DE ? mm_screen_de_json : mm_screen_en_json,
	    &c->own, why));
	*out = MM_MOVE(c);
	return MM_OK;
}

/* see catalogue.h */
void
mm_catalogue_close(struct mm_catalogue **owner)
{
	if (*owner == NULL)
		return;
	json_decref((*owner)->own);
	json_decref((*owner)->english);
	free(*owner);
	*owner = NULL;
}

static const char *
find(const struct mm_catalogue *c, const char *key)
{
	const char *text = json_string_value(json_object_get(c->own, key));

	return text != NULL
		   ? text
		   : json_string_value(json_object_get(c->english, key));
}

/* see catalogue.h */
void
mm_catalogue_put(const struct mm_catalogue *c, struct mm_buf *out,
    const char *key, const char *value)
{
	const char *text = find(c, key), *open, *end;

	text = text != NULL ? text : key;
	open = strchr(text, '{');
	end = open != NULL ? strchr(open, '}') : NULL;
	if (end == NULL) {
		mm_buf_text(out, text);
		return;
	}
	mm_buf_put(out, text, (size_t)(open - text));
	mm_buf_text(out, value);
	mm_buf_text(out, end + 1);
}

/* see catalogue.h */
void
mm_catalogue_reason(const struct mm_catalogue *c, struct mm_buf *out,
    enum mm_unit_reason reason, bool todo)
{
	const struct mm_unit_reason_text *r = &mm_unit_reasons[reason];
	char key[64];
	const char *text;

	snprintf(
	    key, sizeof(key), "reason.%s.%s", r->code, todo ? "to_do" : "what");
	text = find(c, key);
	mm_buf_text(out, text != NULL ? text : todo ? r->todo : r->what);
}
