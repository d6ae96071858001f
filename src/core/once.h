#ifndef MM_CORE_ONCE_H
#define MM_CORE_ONCE_H

#include "core/core.h"

/* What is done once, by a command of its own and not by a running server. */

/*
 * First start ("mintmark init"): opens a new store with the entries that
 * belong before all others, and the first administrator.  Needs no signer.
 */
MM_MUST enum mm_err mm_core_found(const struct mm_config *config,
    struct mm_bytes ledger_key, const char *admin_name, char key_text[80],
    struct mm_why *why);

/*
 * Of several nodes, this one's signer signs the checkpoints from now on.
 * Nothing is changed unless yes.  key: the ledger's.  Takes ten seconds where
 * the node before did not say goodbye.  MM_ECONFLICT: that one is alive, or it
 * is this one; MM_EPOLICY: key, last checkpoint and stored entries do not
 * belong together.
 */
struct mm_takeover {
	char from[MM_NAME_MAX + 1]; /* the node that signed before */
	uint64_t size;              /* of its last checkpoint; 0 none */
	uint64_t turn;
};
MM_MUST enum mm_err mm_core_takeover(const struct mm_config *config,
    const struct mm_note_key *key, bool yes, struct mm_takeover *out,
    struct mm_why *why);

#endif
