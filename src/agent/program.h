#ifndef MM_AGENT_PROGRAM_H
#define MM_AGENT_PROGRAM_H

#include "agent/args.h"
#include "agent/configure.h"
#include "agent/link.h"
#include "agent/old.h"
#include "agent/store.h"

/* All that a command works with; too large for a stack frame of its own. */
struct mm_agent_program {
	struct mm_agent_args args;
	struct mm_agent_store store;
	struct mmd_nv nv;
	struct mm_agent_keyring keyring;
	struct mmd_nv nv_keys; /* nv, with keys that may be elsewhere */
	struct mmd_crypto crypto;
	struct mmd_clock clock;
	struct mm_agent_wire wire;
	struct mm_agent_link link;
	struct mm_agent_old old;
	struct mmd_nv nv_old; /* nv_keys, with the old one's key */
	struct mm_agent agent;
	bool looked; /* by the last visit, and nothing was to be done */
	/* Of the configuration, found out beside the rest. */
	struct mm_agent_store conf;
	struct mm_agent_configured configured; /* in use */
	enum mm_err conf_err; /* MM_ENOTFOUND: the server has none */
	struct mm_why conf_why;
	int32_t conf_retry_s; /* as struct mm_agent has it */
};

/* By p->args, which is borrowed from then on.  Nothing is opened. */
void mm_agent_program_init(struct mm_agent_program *p);
void mm_agent_program_done(struct mm_agent_program *p);

/* The commands of the command line; *out is written only on success. */
MM_MUST enum mm_err mm_agent_program_enrol(struct mm_agent_program *p,
    struct mm_agent_status *out, struct mm_why *why);
MM_MUST enum mm_err mm_agent_program_renew(struct mm_agent_program *p,
    struct mm_agent_status *out, struct mm_why *why);
MM_MUST enum mm_err mm_agent_program_status(struct mm_agent_program *p,
    struct mm_agent_status *out, struct mm_why *why);
/* Asks for the configuration by the identity that is there; out is that. */
MM_MUST enum mm_err mm_agent_program_config(struct mm_agent_program *p,
    struct mm_agent_status *out, struct mm_why *why);
/*
 * All that there is to do now, as the service does it: the first identity by
 * the token's file, if there is one and no identity; a renewal, if it is
 * time; then the configuration, of which p has the rest.  MM_ENOTFOUND: neither
 * identity nor token.
 *
 * look: the server is not asked if we see by ourselves that there is nothing
 * to do.
 */
MM_MUST enum mm_err mm_agent_program_visit(struct mm_agent_program *p,
    bool look, struct mm_agent_status *out, struct mm_why *why);
/* What the system, a TPM or a token said is more use than that it failed. */
void mm_agent_program_explain(struct mm_agent_program *p, enum mm_err err,
    struct mm_why *why);

#endif
