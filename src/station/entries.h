#ifndef MM_STATION_ENTRIES_H
#define MM_STATION_ENTRIES_H

#include "base/buf.h"
#include "ledger/tree.h"

/*
 * The station's own ledger, for what it makes offline: its entries in one
 * file, as the bundles of a ledger are (u16 length, bytes), and their tree in
 * memory.  The station's signer signs its checkpoints.  One process at a time
 * has it: the journal's lock.
 */
struct mm_entries;

/* Reads it, or makes it.  What is not whole at its end is cut off: nobody was
 * told of it.  MM_EPOLICY: damaged. */
MM_MUST enum mm_err mm_entries_open(const char *path, struct mm_entries **out,
    struct mm_why *why);
void mm_entries_close(struct mm_entries **owner);
uint64_t mm_entries_n(const struct mm_entries *e);
/* Appends one, on the disk when it returns.  MM_ESYS: it is not there. */
MM_MUST enum mm_err mm_entries_add(struct mm_entries *e, struct mm_bytes json,
    struct mm_why *why);
MM_MUST enum mm_err mm_entries_get(const struct mm_entries *e, uint64_t index,
    struct mm_buf *out, struct mm_why *why);
/* For proofs of a tree of any size that it had: a mm_tree_read_fn. */
enum mm_err mm_entries_read(void *entries, unsigned level, uint64_t index,
    struct mm_hash *out, struct mm_why *why);
/* Where the entry stands that says it of a certificate, by its serial in
 * hexadecimal; false: there is none. */
enum mm_entries_what { MM_ENTRIES_ISSUED, /* or adopted */
	MM_ENTRIES_CONFIRMED,
	MM_ENTRIES_DESTROYED, /* of a line CA's */
	MM_ENTRIES_WHATS };
bool mm_entries_find(const struct mm_entries *e, const char *serial,
    enum mm_entries_what what, uint64_t *index);

#endif
