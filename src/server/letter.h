#ifndef MM_SERVER_LETTER_H
#define MM_SERVER_LETTER_H

#include "base/settings.h"
#include "base/buf.h"

/*
 * A mail as it goes over the wire (RFC 5322, RFC 2045): plain text in UTF-8,
 * quoted-printable, so that any relay takes it.  Whatever the texts hold, a
 * header's value stays in its line: all but printable ASCII becomes '?', and
 * it is cut at 300.
 */
struct mm_letter {
	const struct mm_settings *set; /* from and to */
	const char *subject, *id;      /* id: unique, of [A-Za-z0-9.-] */
	int64_t at_ms;
	struct mm_bytes text;          /* UTF-8, lines end with '\n' */
};
void mm_letter_put(struct mm_buf *out, const struct mm_letter *l);
/* A line of a text that came from elsewhere, without what could move a
 * cursor, a line or its direction. */
void mm_letter_put_clean(struct mm_buf *out, const char *text);

#endif
