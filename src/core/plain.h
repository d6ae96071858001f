#ifndef MM_CORE_PLAIN_H
#define MM_CORE_PLAIN_H

#include "base/bytes.h"

/*
 * JSON objects in their plainest form, read where they stand: names and texts
 * of printable ASCII without escapes, whole numbers, truths; objects of such
 * inside, but no deeper; no name twice.  Tables are made of nothing else, and
 * a document a row would cost more than all else that is done with it.  What
 * is read here jansson reads the same; of anything else this says only that
 * it is not plain, and jansson has the word.
 */
enum {
	MM_PLAIN_MOST = 32,   /* members */
	MM_PLAIN_DIGITS = 15, /* of a number */
};
enum mm_plain_kind {
	MM_PLAIN_TEXT,   /* what is between its quotes */
	MM_PLAIN_NUMBER, /* as it is written: the one way there is */
	MM_PLAIN_TRUE,
	MM_PLAIN_FALSE,
	MM_PLAIN_OBJECT, /* from bracket to bracket */
};
struct mm_plain_member {
	struct mm_bytes name, value;
	enum mm_plain_kind kind;
};
struct mm_plain {
	struct mm_plain_member member[MM_PLAIN_MOST];
	size_t n;
};

/* Reads over space (RFC 8259 2). */
void mm_plain_space(struct mm_rd *in);
/* The object that comes next, and over it; objects inside of it if deep.
 * false: none, or not plain; where the reader stands then means nothing. */
bool mm_plain_read(struct mm_rd *in, bool deep, struct mm_plain *out);
/* NULL: there is none of this name. */
const struct mm_plain_member *mm_plain_find(const struct mm_plain *o,
    const char *name);
/* In the order in which jansson sorts keys: bytes, the shorter first. */
void mm_plain_sort(struct mm_plain *o);

#endif
