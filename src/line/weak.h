#ifndef MM_LINE_WEAK_H
#define MM_LINE_WEAK_H

#include "line/initial.h"

/*
 * Secret fields of a configuration whose values could be guessed.  Pure.
 *
 * A value is short if it has fewer than MM_WEAK_LEAST bytes beside its
 * device's id, wherever that stands in it and however its letters are
 * written; it is repeated if another row has the same.  One that is neither
 * may still be a word that somebody chose: nothing here proves a secret good.
 */
#define MM_WEAK_LEAST 16

bool mm_weak_short(const char *value, const char *device);
/* How many of the values stand in more than one place; sorts them. */
size_t mm_weak_repeated(const char **value, size_t n);

struct mm_weak { /* a secret field: in how many rows it is which */
	char name[MM_FILL_NAME + 1];
	size_t shorts, repeated;
};

#endif
