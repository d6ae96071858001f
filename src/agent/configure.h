#ifndef MM_AGENT_CONFIGURE_H
#define MM_AGENT_CONFIGURE_H

#include "agent/agent.h"
#include "agent/store.h"

/*
 * What the device is configured to, as its server says it: fetched by mutual
 * TLS, verified up to the anchor that came with the identity
 * (pki/confdoc.h), and kept:
 *
 *	configuration/a/ b/    a slot each: document.json, signed.p7m, version
 *	configuration/current  symbolic link to the slot in use
 *
 * A slot is filled before the link is switched, so that programs find a whole
 * document whenever the power goes.  Its version never goes down.
 */
struct mm_agent_configured {
	uint32_t version; /* in use; 0: none */
	uint8_t sha256[32];
	bool fresh;       /* by this call */
};

/* Storage; a test has its own. */
struct mm_agent_confstore {
	/* What is in use, version 0: nothing; and whether it is whole. */
	enum mm_err (*have)(void *ctx, struct mm_agent_configured *out,
	    bool *whole, struct mm_why *why);
	enum mm_err (*put)(void *ctx, const struct mm_agent_configured *c,
	    struct mm_bytes document, struct mm_bytes signed_,
	    struct mm_why *why);
	void *ctx;
};
/* In the identity's folder, whose lock is the caller's.  look: makes nothing;
 * MM_ENOTFOUND. */
MM_MUST enum mm_err mm_agent_confstore_open(struct mm_agent_store *s,
    const char *dir, bool look, struct mm_why *why);
struct mm_agent_confstore mm_agent_confstore(struct mm_agent_store *s);

/*
 * Asks, by the identity in use; *out is what is in use then, also where this
 * fails: version 0 where what is stored is damaged.  MM_ENOTFOUND: the server
 * has none for this device.  MM_EPOLICY: what it sent is older than what is in
 * use, for another certificate, or not signed as it must be.
 */
MM_MUST enum mm_err mm_agent_configure(struct mm_agent *a,
    const struct mm_agent_confstore *s, struct mm_agent_configured *out,
    struct mm_why *why);
/* dir/configuration/current/document.json */
void mm_agent_document_path(const char *dir, char out[PATH_MAX]);
/* "7-0123456789abcdef": of version and hash, as the server's tags are. */
#define MM_AGENT_CONFMARK 48
void mm_agent_confmark(const struct mm_agent_configured *c,
    char out[MM_AGENT_CONFMARK]);

#endif
