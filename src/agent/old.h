#ifndef MM_AGENT_OLD_H
#define MM_AGENT_OLD_H

#include "agent/agent.h"

/*
 * An old or shared certificate, with which a device in the field comes for its
 * first identity: files that the firmware has, which are read and left alone.
 *
 * Its key is in storage for TLS alone, in a slot that no identity has.
 */
#define MM_AGENT_OLD_SLOT MMD_SLOTS

struct mm_agent_old {
	struct mm_buf cert, chain, anchor; /* DER */
	struct mm_buf key;                 /* as its file has it */
	const struct mmd_nv *under;
};
void mm_agent_old_init(struct mm_agent_old *o, const struct mmd_nv *under);
void mm_agent_old_done(struct mm_agent_old *o);
struct mm_agent_old_files {
	const char *cert;   /* PEM: its own first, then its issuers; NULL:
	                     * there is none, the anchor alone is read */
	const char *key;    /* PEM, not encrypted; NULL: in the same file */
	const char *anchor; /* PEM: whom the server is believed by */
	bool exposed;       /* out: others than its owner may read the key */
};
/* MM_ENOTFOUND, MM_EINPUT. */
MM_MUST enum mm_err mm_agent_old_load(struct mm_agent_old *o,
    struct mm_agent_old_files *files, struct mm_why *why);
/* Storage with its key in MM_AGENT_OLD_SLOT; o is the context. */
struct mmd_nv mm_agent_old_nv(struct mm_agent_old *o);

#endif
