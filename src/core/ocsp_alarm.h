#ifndef MM_CORE_OCSP_ALARM_H
#define MM_CORE_OCSP_ALARM_H

#include "core/core.h"

/*
 * OCSP questions about serial numbers that could be ours and never were:
 * somebody shows a certificate that was made with a stolen key, or has made
 * the number up.  Strangers ask, so there are bounds; and strangers must not
 * use them up: the first numbers of an hour are entered at once, each as an
 * alert, and of the questions that come after them some are drawn by lot and
 * entered when the hour is over, with how many there were.
 *
 * Zero is a good start.  Not locked.  Times are monotonic, in ms.
 */
enum { MM_OCSP_ALARMS = 8, MM_OCSP_ALARM_MS = 3600 * 1000 };

struct mm_ocsp_alarm {
	char issuer[MM_NAME_MAX + 1];
	uint8_t serial[MM_SERIAL_N];
};
struct mm_ocsp_alarms {
	int64_t since; /* this hour's first; 0: none yet */
	unsigned nfirst, ndrawn;
	uint64_t more;
	struct mm_ocsp_alarm first[MM_OCSP_ALARMS], drawn[MM_OCSP_ALARMS];
};

void mm_ocsp_alarm(struct mm_desk *d, struct mm_ocsp_alarms *s,
    const struct mm_ocsp_alarm *a, int64_t now);
/* Ends the hour, if it is over.  What the store does not take stays for the
 * next time. */
void mm_ocsp_alarms_turn(struct mm_desk *d, struct mm_ocsp_alarms *s,
    int64_t now);

#endif
