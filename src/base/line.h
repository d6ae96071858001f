#ifndef MM_BASE_LINE_H
#define MM_BASE_LINE_H

#include "base/buf.h"

/*
 * Records of a journal as lines of JSON: a table says which member of a
 * struct stands under which key, in its order.  One that is zero or "" is left
 * out unless it must be there; texts are printable ASCII without quote and
 * backslash, so that nothing is escaped.  A line that was read is exactly what
 * would be written: the same record always has the same bytes.
 */
enum mm_line_type {
	MM_LINE_NUMBER,  /* uint64_t, up to INT64_MAX */
	MM_LINE_TIME_MS, /* int64_t */
	MM_LINE_TIME_S,  /* int64_t */
	MM_LINE_NAME,    /* an enum, by names */
	MM_LINE_TEXT,    /* char[] */
	MM_LINE_HEX,     /* uint8_t[] of at most 64 */
};

struct mm_line_column {
	const char *key; /* up to 20 characters */
	enum mm_line_type type;
	size_t at, size;
	bool must;
	/* NAME: "" is one that is left out. */
	const char *const *names;
	unsigned nnames;
};
#define MM_LINE_COLUMN(key, type, record, f, must)             \
	{ key, type, offsetof(record, f), sizeof(((record *)0)->f), must, \
	    NULL, 0 }
#define MM_LINE_NAMES(key, record, f, must, names)             \
	{ key, MM_LINE_NAME, offsetof(record, f),              \
	    sizeof(((record *)0)->f), must, names,             \
	    sizeof(names) / sizeof((names)[0]) }

struct mm_line_form {
	const struct mm_line_column *column;
	size_t n, max; /* max: of a line, without its LF */
};

/* Whether a text can stand in a line as it is. */
bool mm_line_text_valid(const char *s);
/* Appends the record and an LF. */
void mm_line_put(const struct mm_line_form *f, const void *record,
    struct mm_buf *out);
/* line: without its LF.  record, zeroed by the caller, is written whatever
 * comes of it; false: not the one form of a record. */
MM_MUST bool mm_line_get(const struct mm_line_form *f, struct mm_bytes line,
    void *record);

#endif
