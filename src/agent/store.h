#ifndef MM_AGENT_STORE_H
#define MM_AGENT_STORE_H

#include "base/file.h"
#include "mmd.h"

/*
 * The device library's nv port as a directory:
 *
 *	a/ b/           a slot each: key.pem, cert.pem, chain.pem, anchor.pem,
 *	                server, time, confirmed, receipt.json
 *	current         symbolic link to the slot in use
 *	lock            held while the agent works
 *
 * Every change is a link or a rename, synced, so that the directory is
 * consistent whenever the power goes.  What a kill can leave beside these,
 * one of their names with MM_FILE_NEXT behind it, is wiped by the next open.
 */
#define MM_AGENT_DIR_MAX 3072

struct mm_agent_store {
	char dir[MM_AGENT_DIR_MAX];
	int lock;          /* descriptor, or -1 */
	struct mm_why why; /* of the last failed call through the port */
};

/*
 * Makes the directory and its slots if they are not there (mode 0700).
 * MM_ECONFLICT: another agent is at work.  MM_EPOLICY: others could change
 * what is in it: not our own, or writable by more than us.
 */
MM_MUST enum mm_err mm_agent_store_open(struct mm_agent_store *s,
    const char *dir, struct mm_why *why);
/* The same of a folder inside of one whose lock is the caller's; there are only
 * slots and the link in it that the caller knows. */
MM_MUST enum mm_err mm_agent_store_within(struct mm_agent_store *s,
    const char *dir, struct mm_why *why);
/* Without making or locking anything; MM_ENOTFOUND. */
MM_MUST enum mm_err mm_agent_store_look(struct mm_agent_store *s,
    const char *dir, struct mm_why *why);
void mm_agent_store_close(struct mm_agent_store *s);
struct mmd_nv mm_agent_store_nv(struct mm_agent_store *s);
const char *mm_agent_slot_name(unsigned slot); /* "a", "b" */

#endif
