#ifndef MM_BASE_EIGHT_H
#define MM_BASE_EIGHT_H

#include <stdint.h>

/* Eight bytes looked at in one go: a word of that byte eight times, and one
 * that is not 0 where a byte of x is less than n (at most 128). */
#define MM_EACH(byte) (UINT64_C(0x0101010101010101) * (byte))
#define MM_LESS(x, n) (((x) - MM_EACH(n)) & ~(x) & MM_EACH(0x80))

#endif
