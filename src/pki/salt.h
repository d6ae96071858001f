#ifndef MM_PKI_SALT_H
#define MM_PKI_SALT_H

#include "pki/key.h"

/* As mm_salt_make (key.h), n at once: salts[n * MM_SALT_N].  The generator
 * takes longer to be asked than to answer. */
MM_MUST enum mm_err mm_salts_make(uint8_t *salts, size_t n,
    struct mm_why *why);

#endif
