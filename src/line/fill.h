#ifndef MM_LINE_FILL_H
#define MM_LINE_FILL_H

#include "base/buf.h"

/*
 * A template that is filled with a device's fields: its initial
 * configuration, a label.  Pure.
 *
 *	{{name}}         the field's value
 *	{{name:secret}}  the same; never shown, logged or named in an error
 *	{{{{             two braces that are no field
 *
 * A name is 1 to 32 of [a-z0-9_], a letter first.  Nothing else has a
 * meaning, so }} by itself is two braces.  A field may stand in it often, and
 * is then marked as secret everywhere or nowhere.
 *
 * What a value may be, and how it is written, goes by the form:
 *	text  UTF-8 without control characters, as it is
 *	json  in a string: escaped as RFC 8259 7 wants; elsewhere: a number,
 *	      true, false or null.  What comes out is JSON
 *	zpl   in the data of a field with hexadecimal escapes (^FH^FD): every
 *	      byte but letters, digits, space, "-" and "." is escaped, so that
 *	      no serial can be a command to the printer
 */
enum mm_fill_form { MM_FILL_TEXT, MM_FILL_JSON, MM_FILL_ZPL, MM_FILL_FORMS };
#define MM_FILL_MAX    65536 /* bytes of a template, and of what it gives */
#define MM_FILL_VALUE  4096  /* of a value */
#define MM_FILL_FIELDS 32
#define MM_FILL_NAME   32
struct mm_fill;

const char *mm_fill_form_name(enum mm_fill_form f); /* "text", ... */
MM_MUST enum mm_err mm_fill_form_parse(const char *name,
    enum mm_fill_form *out, struct mm_why *why);

/* MM_EINPUT or MM_ELIMIT, with line and column. */
MM_MUST enum mm_err mm_fill_parse(enum mm_fill_form form,
    struct mm_bytes text, struct mm_fill **out, struct mm_why *why);
void mm_fill_free(struct mm_fill **owner);

size_t mm_fill_count(const struct mm_fill *f);
const char *mm_fill_name(const struct mm_fill *f, size_t i);
bool mm_fill_secret(const struct mm_fill *f, size_t i);

/*
 * Appends what comes out with value[i] for field i.  shown, if not NULL, gets
 * the same with "(secret)" for every secret: that one may be logged.  Failed:
 * *field is the field that was wrong, or mm_fill_count if it was the whole;
 * why says what, and no value.  Wipe out if a field is secret.
 */
MM_MUST enum mm_err mm_fill_render(const struct mm_fill *f,
    const char *const *value, struct mm_buf *out, struct mm_buf *shown,
    size_t *field, struct mm_why *why);

#endif
