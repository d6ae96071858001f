#ifndef MM_BASE_CRC_H
#define MM_BASE_CRC_H

#include "base/bytes.h"

/* CRC-32 of IEEE 802.3 (as zlib and PNG have it): of "123456789" it is
 * cbf43926.  Finds accidents, not attacks. */
uint32_t mm_crc32(struct mm_bytes b);

#endif
