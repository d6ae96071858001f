#ifndef MM_BASE_TIME_H
#define MM_BASE_TIME_H

#include <stdint.h>

#include "base/err.h"

/*
 * Times are UTC.  *_at in milliseconds since 1970 unless a name ends in _s.
 * The wall clock is read in one place so that a test can move it (faketime).
 */
int64_t mm_now_ms(void);
int64_t mm_now_s(void);
int64_t mm_mono_ms(void); /* monotonic: for deadlines and durations */
int64_t mm_mono_us(void);
int64_t mm_boot_ms(void); /* the same, with what the machine slept */

/* "2026-11-23T05:00:00.123Z": 24 characters and a NUL. */
#define MM_TIME_TEXT 25
void mm_time_text(int64_t at_ms, char out[MM_TIME_TEXT]);
/* "2026-11-23T05:00:00Z": 20 characters and a NUL. */
void mm_time_text_s(int64_t at_s, char out[MM_TIME_TEXT]);
/* RFC 3339 with Z or offset, 0 to 9 fractional digits, years 1970..9999. */
MM_MUST enum mm_err mm_time_parse(const char *s, int64_t *at_ms,
    struct mm_why *why);

struct mm_civil {
	int year, month, day, hour, minute, second;
};
/* Proleptic Gregorian; any second of the years 1..9999. */
struct mm_civil mm_time_civil(int64_t at_s);
int64_t mm_time_from_civil(struct mm_civil c);

/* 99991231235959Z: "no well-defined expiration", RFC 5280 4.1.2.5. */
#define MM_TIME_FOREVER_S INT64_C(253402300799)

#endif
