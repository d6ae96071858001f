#ifndef MM_SERVER_EVENT_H
#define MM_SERVER_EVENT_H

#include "base/json.h"
#include "ledger/entry.h"
#include "server/priv.h"
#include "server/scope.h"
#include "server/upstream.h"

/*
 * The event feed: the ledger's own entries, by cursor.  There is no second
 * table of events; a cursor is the index of the last entry looked at, so it
 * moves past what a filter leaves out, and what follows is found again after
 * any restart of either side.
 */

/* Lists as mm_entry_one_of reads them. */
#define MM_EVENT_TYPES_MAX 511
#define MM_EVENT_PRODUCTS_MAX 511
struct mm_event_filter {
	char types[MM_EVENT_TYPES_MAX + 1];
	char products[MM_EVENT_PRODUCTS_MAX + 1];
	char device[MM_DEVICE_ID_MAX + 1];
};
/*
 * An entry on its way to whoever may see it.  What it is about is found when
 * the first login that is limited asks, and once.
 */
struct mm_event {
	uint64_t index;
	struct mm_bytes json;
	struct mm_entry_view v;
	struct mm_store_reader *reader;
	bool asked;
	struct mm_scoped owner; /* asked */
};
typedef enum mm_err mm_event_fn(void *ctx, struct mm_event *e,
    struct mm_why *why);
/*
 * Whether a filter lets an entry through.  Its product is the one that it was
 * entered with, or, for those that were entered without one, that of the
 * device now.  A device's id counts without case.  Fails where the store
 * cannot be read.
 */
MM_MUST enum mm_err mm_event_wanted(const struct mm_event_filter *f,
    struct mm_event *e, bool *yes, struct mm_why *why);
/* MM_ECONFLICT: a cursor behind the end was given by another ledger than this
 * one, or by what this one was before it was restored: whoever waited there
 * would miss, without a word, all that comes before. */
MM_MUST enum mm_err mm_event_from_check(uint64_t from, uint64_t size,
    struct mm_why *why);
/* As mm_each_entry, but fn may ask the reader: it is called between reads. */
MM_MUST enum mm_err mm_event_each(struct mm_store_reader *r, uint64_t from,
    uint64_t to, mm_event_fn *fn, void *ctx, struct mm_why *why);
/*
 * Whether a login may see an entry: the one place that decides, for feeds,
 * long polls and lists of entries.  A login limited to products or batches
 * sees what is about a device that is of one of them now, or about one itself,
 * and nothing that is about none.  Fails where the store cannot be read: that
 * is no answer, and nothing to step over.  memo: see scope.h.
 */
MM_MUST enum mm_err mm_event_may_see(const struct mm_login *login,
    struct mm_scope_memo *memo, struct mm_event *e, bool *yes,
    struct mm_why *why);
/* How many entries to look at between two looks at the clock: most, or fewer
 * where each may cost this login a look-up a batch. */
unsigned mm_event_round(const struct mm_login *login, unsigned most);
/* Its credential has come to its end, or was shut out. */
bool mm_event_login_over(const struct mm_login *login);
/* {"index":N,"entry":{...}}, in an array; "ca_serial" with them, if it is not
 * "". */
void mm_event_put(struct mm_json *j, uint64_t index, struct mm_bytes entry,
    const char *ca_serial);
/* The same members, in an object that is open. */
void mm_event_put_in(struct mm_json *j, uint64_t index, struct mm_bytes entry,
    const char *ca_serial);
/* The serial number that its certificate's own CA, an existing one, gave; "":
 * it is of none. */
MM_MUST enum mm_err mm_event_ca_serial(struct mm_store_reader *r,
    const struct mm_entry_view *v, char out[MM_CA_SERIAL_TEXT],
    struct mm_why *why);
/* What follows the items: "next" and "more". */
void mm_event_put_next(struct mm_json *j, uint64_t seen, bool more);

/* ---- watch.c: long polls ---- */

enum { MM_WATCH_MOST = 1000, MM_WATCH_WAIT_MAX_S = 60 };

struct mm_watch;
/* One thread with a reader of its own. */
MM_MUST enum mm_err mm_watch_open(struct mm_server *s, struct mm_watch **out,
    struct mm_why *why);
/* New entries are durable.  Any thread; waits for nothing. */
void mm_watch_grown(struct mm_watch *w);
struct mm_wish {
	struct mm_http_ref ref;
	char id[17]; /* the request's */
	struct mm_login login;
	struct mm_event_filter filter;
	uint64_t from; /* entries before it have been looked at */
	unsigned most;
	int64_t wait_ms;
	struct mm_scope_memo memo; /* of the login's */
};
/* The peer of a request has closed its side: if it waits here, it is answered
 * at once, with what there is.  Any thread; waits for nothing. */
void mm_watch_left(struct mm_watch *w, struct mm_http_ref ref);
/*
 * Takes the request over: it is answered when an entry that it wants is
 * durable, or at its deadline with an empty page.  MM_ECONFLICT: there are
 * entries from w->from on that nobody will look at again: read first.
 * MM_EAGAIN: too many wait already.
 */
MM_MUST enum mm_err mm_watch_add(struct mm_watch *w,
    const struct mm_wish *wish, struct mm_why *why);
unsigned mm_watch_waiting(struct mm_watch *w);
/* Answers all that wait and takes no more. */
void mm_watch_stop(struct mm_watch *w);
void mm_watch_close(struct mm_watch **owner);

/* ---- cover.c: calls that wait for a checkpoint ---- */

struct mm_cover;
MM_MUST enum mm_err mm_cover_new(struct mm_server *s, struct mm_cover **out,
    struct mm_why *why);
void mm_cover_free(struct mm_cover **owner);
/*
 * Takes the call over: it runs again, from its beginning, once a checkpoint
 * covers the entry, or after two seconds.  false: it has waited before, or
 * too many do: it stays the caller's.  Any thread; waits for nothing.
 */
MM_MUST bool mm_cover_wait(struct mm_cover *c, struct mm_call *take_call,
    uint64_t index);
/* By the thread of watch.c, after each of its turns: hands back who is due,
 * all of them when closed; when the next one is (monotonic). */
int64_t mm_cover_turn(struct mm_cover *c, bool closed);

#endif
