#ifndef MM_AGENT_TOKEN_FILE_H
#define MM_AGENT_TOKEN_FILE_H

#include "base/err.h"
#include "mmd_token.h"

/*
 * The token's file: read once, erased when it is spent.  A file of zeros is
 * one whose erasure was interrupted, and counts as removed.
 */
#define MM_AGENT_TOKEN_FILE_MAX 4096

struct mm_agent_token_source {
	const char *path;
	bool exposed; /* others than its owner may read it */
};

/* MM_ENOTFOUND: it was used and removed.  A byte order mark is skipped. */
MM_MUST enum mm_err mm_agent_token_read(struct mm_agent_token_source *s,
    const struct mmd_crypto *crypto, struct mmd_token *out,
    struct mm_why *why);
/*
 * Overwrites and removes the file, or the one that a link points to.  What is
 * not a file (a pipe, standard input) is left alone.
 */
MM_MUST enum mm_err mm_agent_token_erase(const char *path,
    struct mm_why *why);

#endif
