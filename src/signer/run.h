#ifndef MM_SIGNER_RUN_H
#define MM_SIGNER_RUN_H

#include "signer/priv.h"

/*
 * The serving signer: loads, locks itself in, then one thread a link until
 * all links are closed or SIGTERM comes.
 */
MM_MUST enum mm_err mm_run(const struct mm_load_opts *o,
    const struct mm_links *links, struct mm_why *why);
/* "issue:5,psk:7": roles and descriptors. */
MM_MUST enum mm_err mm_links_parse(const char *text, struct mm_links *out,
    struct mm_why *why);

#endif
