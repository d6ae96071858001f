#ifndef MM_CLI_TWICE_H
#define MM_CLI_TWICE_H

#include <stdio.h>

#include "base/err.h"
#include "base/text.h"

/*
 * Finds the rows of a table that name a device again with other content,
 * however far apart they stand, in constant memory: the rows are sorted in
 * pieces, on disk in a file without a name, and the pieces are merged.
 */
enum { MM_TWICE_DIGEST = 16 };

struct mm_twice_row {
	unsigned long long number;       /* which of the table */
	char id[MM_DEVICE_ID_MAX + 1];   /* compared without case */
	uint8_t digest[MM_TWICE_DIGEST]; /* of its content */
};
struct mm_twice {
	FILE *file;               /* of the pieces before this one, or NULL */
	struct mm_twice_row *row; /* this piece */
	size_t n;
	unsigned pieces; /* in the file */
};

MM_MUST enum mm_err mm_twice_init(struct mm_twice *t, struct mm_why *why);
void mm_twice_done(struct mm_twice *t);
/* MM_ESYS: no room on disk; MM_ELIMIT: more than 33,554,432 rows. */
MM_MUST enum mm_err mm_twice_add(
    struct mm_twice *t, const struct mm_twice_row *row, struct mm_why *why);
/* Each row that differs from the first one of its device, first's number with
 * it; by device, and then in the table's order.  Once. */
typedef void mm_twice_fn(
    void *ctx, const struct mm_twice_row *row, unsigned long long first);
MM_MUST enum mm_err mm_twice_each(
    struct mm_twice *t, mm_twice_fn *fn, void *ctx, struct mm_why *why);

#endif
