#ifndef MM_WORK_SERIALS_H
#define MM_WORK_SERIALS_H

#include "base/bytes.h"
#include "base/err.h"
#include "base/text.h"

/*
 * A run of serial numbers as a person writes it: "SN-{000001..005000}".
 *
 * Holding one proves that every serial in it is a device_id, that the run is
 * not empty and that no two of its serials are the same.  Both numbers have
 * as many digits, or the first has no leading zero: then none is padded.
 */
#define MM_SERIALS_TEXT 128 /* a run's text and its NUL, at most */
#define MM_SERIALS_MAX  UINT64_C(10000000)

struct mm_serials {
	char prefix[MM_DEVICE_ID_MAX + 1], suffix[MM_DEVICE_ID_MAX + 1];
	unsigned digits; /* 0: as many as the number needs */
	uint64_t first, last;
};
/* MM_EINPUT: another form, a serial that is no device_id, more than
 * MM_SERIALS_MAX of them. */
MM_MUST enum mm_err mm_serials_parse(
    const char *text, struct mm_serials *out, struct mm_why *why);
/* What parse reads back; text holds MM_SERIALS_TEXT. */
void mm_serials_text(const struct mm_serials *s, char *text);
uint64_t mm_serials_count(const struct mm_serials *s);
/* The serial number at index, from 0; out holds MM_DEVICE_ID_MAX + 1. */
void mm_serials_at(const struct mm_serials *s, uint64_t index, char *out);
/* Whether serial is one of the run, exactly so written, and which. */
bool mm_serials_find(
    const struct mm_serials *s, const char *serial, uint64_t *index);
/* The same, but for upper and lower case. */
bool mm_serials_find_caseless(
    const struct mm_serials *s, const char *serial, uint64_t *index);
/* Whether two runs have a serial in common, but for case, however each is
 * written; which of a's is the first.  In a time that their lengths do not
 * change. */
bool mm_serials_overlap(const struct mm_serials *a,
    const struct mm_serials *b, uint64_t *index);
/* From index *from on, those of one length: the first and the last, which
 * have all others between them in the order of strcasecmp; *from is behind
 * them then.  false: there are no more.  low, high hold MM_DEVICE_ID_MAX + 1.
 */
bool mm_serials_ends(const struct mm_serials *s, uint64_t *from, char *low,
    char *high);
/* Cuts n serials from the front, which become *part.  MM_ECONFLICT if fewer
 * than n are left; if exactly n, *s is no run any more. */
MM_MUST enum mm_err mm_serials_cut(struct mm_serials *s, uint64_t n,
    struct mm_serials *part, struct mm_why *why);

/*
 * Where a serial number would not do as a device's name elsewhere, as bits.
 * A device_id fits more places than these take.
 */
enum mm_serial_misfit {
	MM_MISFIT_AWS = 1,   /* AWS IoT: a thing's name has no dot */
	MM_MISFIT_AZURE = 2, /* Azure DPS: ends in letter, digit, hyphen */
	MM_MISFIT_MQTT = 4,  /* MQTT 3.1.1 3.1.3.1: 23 bytes are always taken */
};
unsigned mm_serial_misfits(const char *serial);
/* The place of one bit, and why it does not fit there. */
const char *mm_serial_misfit_text(unsigned bit);

#endif
