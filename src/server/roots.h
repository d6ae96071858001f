#ifndef MM_SERVER_ROOTS_H
#define MM_SERVER_ROOTS_H

#include "server/priv.h"

/*
 * Lists of the CAs above the issuers, from the file that root_crl names: as
 * many as somebody signed beforehand.  Holding one proves that a CA of our
 * chains signed it; of each CA the last whose time has come stands, and none
 * that is older than one that stood before.  Not locked.
 */
struct mm_roots;
#define MM_ROOTS_PEM (32 * 1024 * 1024)

MM_MUST enum mm_err mm_roots_new(struct mm_server *s, struct mm_roots **out,
    struct mm_why *why);
void mm_roots_free(struct mm_roots **owner);
/* Reads the file again; appends those that stand, and moves *next_s down to
 * their first end. */
void mm_roots_choose(struct mm_roots *r, struct mm_buf *pem,
    int64_t *next_s);
void mm_roots_times(const struct mm_roots *r, struct mm_root_times *out);

#endif
