#ifndef MM_CLI_PRINTED_H
#define MM_CLI_PRINTED_H

#include <stdint.h>

#include <jansson.h>

#include "base/err.h"

/*
 * Which labels were printed: a file of lines "DEVICE ID STATE", appended to
 * and synced, so that an interrupted run prints none twice.  Locked while it
 * is open; a torn last line is as if it were not there.
 */
enum mm_printed {
	MM_PRINTED_NOT,   /* never begun, or it failed before */
	MM_PRINTED_BEGUN, /* nobody knows how it ended */
	MM_PRINTED_DONE
};
struct mm_printed_log {
	int fd;
	json_t *state; /* "DEVICE ID" to its last state */
};
MM_MUST enum mm_err mm_printed_open(struct mm_printed_log *l,
    const char *path, struct mm_why *why);
void mm_printed_close(struct mm_printed_log *l);
enum mm_printed mm_printed_get(const struct mm_printed_log *l,
    const char *device, const uint8_t id[32]);
MM_MUST enum mm_err mm_printed_put(struct mm_printed_log *l,
    const char *device, const uint8_t id[32], enum mm_printed state,
    struct mm_why *why);

#endif
