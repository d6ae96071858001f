#ifndef MM_CORE_WINDOW_H
#define MM_CORE_WINDOW_H

#include <stdint.h>

#include "base/err.h"

/*
 * When a certificate should be renewed, by the server's word: the idea of
 * RFC 9773 for a fleet.  Pure: no clock, no dice, no store; whoever asks again
 * hears the same until time or an operator changes it.
 *
 * Time is divided into periods, and each device has its place in them, by its
 * name's hash.  A certificate is renewed at the first such place after 7/8 of
 * a period of its life.  So a fleet that was made in a week renews over a
 * whole period at a constant rate, and once it has, one period after another:
 * how it came to be is forgotten.  The period is two thirds of the profile's
 * renew_percent of a life, and at most 48 hundredths of it; so a first
 * certificate is renewed between 7/12 and 5/4 of renew_percent, and none
 * after 9/10 of its life.
 *
 * A certificate whose place has passed (the device was off, or the server)
 * gets another place within a short period, so that those who could not come
 * for two days do not come in one minute.
 */
struct mm_window_of {
	int64_t now_s;
	int64_t not_before_s, not_after_s;
	int64_t life_s;     /* the profile's; 0: as the certificate has it */
	unsigned percent;   /* the profile's renew_percent, 1 to 99 */
	uint8_t place[8];   /* the device's: uniform, such as a hash */
	/* After an incident it is renewed between pull_from_s and pull_until_s
	 * (0: there was none, or it was issued since). */
	int64_t pull_from_s, pull_until_s;
};

enum mm_window_why {
	MM_WINDOW_NEVER,  /* it has no end, and nothing pulls it */
	MM_WINDOW_PLACE,  /* its place in the period */
	MM_WINDOW_MISSED, /* that passed, and this is another one */
	MM_WINDOW_PULLED, /* by an operator */
	MM_WINDOW_LAST,   /* its end is near: now */
	MM_WINDOW_WHYS
};
extern const char *const mm_window_words[MM_WINDOW_WHYS];

struct mm_window {
	enum mm_window_why why;
	int64_t start_s, end_s; /* a client takes any second of it; NEVER: 0 */
	int64_t again_s;        /* ask again in: RFC 9773 4.3.2 */
};

void mm_window_find(const struct mm_window_of *of, struct mm_window *out);

#endif
