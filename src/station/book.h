#ifndef MM_STATION_BOOK_H
#define MM_STATION_BOOK_H

#include "station/unit.h"

/*
 * Every unit that the journal knows, by its serial: where it stands now.
 * Serials are unique without case.  A unit stays where it is in memory.
 */
struct mm_book;
MM_MUST enum mm_err mm_book_new(struct mm_book **out, struct mm_why *why);
void mm_book_free(struct mm_book **owner);
/* NULL: not known. */
struct mm_unit *mm_book_find(const struct mm_book *b, const char *serial);
/* The same, made (idle) if it was not there. */
MM_MUST enum mm_err mm_book_need(struct mm_book *b, const char *serial,
    struct mm_unit **out, struct mm_why *why);
/* The unit, which is of this book, is to have that key (SHA-256; 0: none):
 * before it has, for it to be found by it. */
MM_MUST enum mm_err mm_book_key(struct mm_book *b, const struct mm_unit *u,
    const uint8_t spki[32], struct mm_why *why);
/* The unit that has a certificate of this key (SHA-256), the first that was
 * made; NULL: none. */
const struct mm_unit *mm_book_find_key(const struct mm_book *b,
    const uint8_t spki[32]);
size_t mm_book_n(const struct mm_book *b);
/* The i-th that was made, from 0. */
struct mm_unit *mm_book_at(const struct mm_book *b, size_t i);

#endif
