#ifndef MM_SERVER_ORDER_H
#define MM_SERVER_ORDER_H

#include <stdatomic.h>

#include "base/buf.h"
#include "core/core.h"

/*
 * How far times go back in the ledger.  A search by time may halve only where
 * they hardly do; after a clock that was wrong for a while, by a year say,
 * halving ends at any place and leaves out what it should find.  To refuse
 * writes by such a clock would not do: there are ledgers that have them, a
 * clock that was ahead leaves the same, and a revocation must not wait for
 * the time service.  So the entries are looked at once, each, and who
 * searches asks here whether to halve or to walk: slower, and right.
 *
 * Zeroed memory is one that has looked at nothing.  Any thread may ask.
 */
enum mm_order_of {
	MM_ORDER_ENTRIES, /* all that are in the ledger */
	MM_ORDER_ROWS,    /* devices registered and certificates issued: the
	                   * records have these times, in this order */
	MM_ORDER_COUNT
};
struct mm_order {
	atomic_bool busy; /* somebody looks; newest_ms is theirs */
	int64_t newest_ms[MM_ORDER_COUNT];
	atomic_uint_fast64_t seen; /* entries looked at */
	atomic_int_fast64_t back_ms[MM_ORDER_COUNT];
	/* the housekeeper's own */
	bool read;     /* what the last start left */
	uint64_t kept; /* entries seen, as the store has it */
};
/* Looks on, up to size and for about ms milliseconds; not at all while another
 * thread does.  What cannot be read is looked at the next time. */
void mm_order_look(struct mm_order *o, struct mm_store_reader *r,
    uint64_t size, int64_t ms);
/*
 * What was seen, as a document that the next start goes on from: else the
 * first minutes after one would spend 2 us on every entry there ever was.
 * write: false, and nothing is written, while somebody looks.  read: false
 * where the document is damaged, of a larger ledger than size, or of less than
 * was seen already; then nothing has changed.
 */
bool mm_order_write(struct mm_order *o, struct mm_buf *json);
bool mm_order_read(struct mm_order *o, struct mm_bytes json, uint64_t size);
/* Housekeeping: looks on for a while, and has the store know how far
 * (document MM_DOC_NODE "times"). */
void mm_order_keep(struct mm_order *o, struct mm_desk *d);
/* In a ledger of size entries no time is before an earlier one by more than
 * slack_ms; false too while not all have been looked at. */
bool mm_order_within(const struct mm_order *o, enum mm_order_of what,
    uint64_t size, int64_t slack_ms);

#endif
