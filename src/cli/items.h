#ifndef MM_CLI_ITEMS_H
#define MM_CLI_ITEMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "base/err.h"

/*
 * The items of a JSON array, one after another, in constant memory.  Where an
 * item ends is all that is found out here: what is in it is for a JSON parser
 * to say, of each item alone, so that a bad one spoils no other.
 */
struct mm_items {
	FILE *f;
	size_t most;               /* of an item, in bytes */
	unsigned long long read;   /* bytes */
	unsigned long long number; /* of the item, from 1 */
	bool over;                 /* the last one was read */
};

/* Whether what comes first, but for space, is an array's bracket, which is
 * read then; all else is left. */
bool mm_items_begin(FILE *f, size_t most, struct mm_items *out);
/*
 * The next item's bytes, without space around them.  MM_ENOTFOUND: there is no
 * more.  MM_ELIMIT: it is longer than most, and was passed over.  MM_EINPUT:
 * it is no array, or ends in its midst; where the next item begins is lost.
 */
MM_MUST enum mm_err mm_items_next(struct mm_items *it, char *room, size_t *n,
    struct mm_why *why);

#endif
