#ifndef MM_BASE_NOTIFY_H
#define MM_BASE_NOTIFY_H

#include <stdint.h>

/*
 * What a service tells systemd, sd_notify(3) without its library: a datagram
 * to the socket that NOTIFY_SOCKET names.  Without one nothing is told, and
 * nobody minds.
 */
void mm_notify(const char *text);
/*
 * sd_watchdog_enabled(3): how often at most "WATCHDOG=1" is to be told, by
 * WATCHDOG_USEC, if it is meant for this process; 0: not at all.
 */
int64_t mm_notify_watchdog_ms(void);

#endif
