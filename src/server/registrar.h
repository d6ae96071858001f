#ifndef MM_SERVER_REGISTRAR_H
#define MM_SERVER_REGISTRAR_H

#include "base/child.h"
#include "pki/foreign.h"
#include "server/ceilings.h"
#include "server/priv.h"

/*
 * The registrar's own files only.  Two processes of one user: the warden
 * (warden.c), which the monitor knows, and below it the one that asks
 * (registrar.c).  Whichever of them ends, and however, the programs that were
 * started go too.
 */
enum { MM_REGISTRAR_MOST = 256 }; /* at a time; issuers' at_once is less */

struct mm_asking {
	struct mm_child child;
	struct mm_buf frame;     /* what q points into */
	struct mm_forward_req q;
	struct mm_csr csr;
	const struct mm_issuer_conf *issuer;
	const struct mm_profile *profile;
	char file[MM_CONF_ITEM_MAX];
	uint32_t tag;
	bool used;
	bool counted;            /* against the profile's ceilings */
};

/* What became of it; text says why it is not MADE. */
struct mm_outcome {
	enum mm_forwarded how;
	struct mm_buf der;       /* MADE, WRONG: what came */
	char text[161];
};

/* ---- registrar_ask.c ---- */

/* Starts the program: its request's file is folder/N.csr, n its place. */
MM_MUST enum mm_err mm_asking_start(struct mm_asking *a, const char *folder,
    size_t n, struct mm_why *why);
/* false: it still runs.  The outcome's buffer is the caller's. */
bool mm_asking_look(struct mm_asking *a, struct mm_outcome *out);
/* Ends the program and removes the file, whatever there is of them. */
void mm_asking_done(struct mm_asking *a);

/* ---- registrar_folder.c: requests' files, and what is used up ---- */

/* registrar_dir, or what stands for it; MM_ELIMIT: longer than a program's
 * argument may be. */
#define MM_REGISTRAR_FOLDER_MAX (MM_CONF_ITEM_MAX - 32)
MM_MUST enum mm_err mm_registrar_folder(const struct mm_settings *set,
    char out[MM_REGISTRAR_FOLDER_MAX], struct mm_why *why);
/* Before the user is dropped: makes it that user's. */
MM_MUST enum mm_err mm_registrar_folder_make(const struct mm_settings *set,
    const char *path, struct mm_why *why);
/* After: it is ours and nobody else's (MM_EPOLICY), no other registrar has it
 * (MM_ECONFLICT: one that is ending is waited for), and nothing is left in it
 * of one that ended. */
MM_MUST enum mm_err mm_registrar_folder_take(const char *path, int *lock,
    struct mm_why *why);
/* For who could not do so himself: nothing is left in it. */
void mm_registrar_folder_leave(const char *path);
/* Who the registrar is. */
const char *mm_registrar_user(const struct mm_settings *set);

/* ---- warden.c ---- */

/*
 * Forks: the child runs work(ctx) and ends with what that returns.  The
 * warden passes a request to end on, waits, and then ends all that the child
 * had started, whatever group it is in.  The child is asked to end when the
 * warden goes.  Returns the child's exit status; in the child it does not.
 */
int mm_warden_run(int (*work)(void *ctx), void *ctx, int link);

#endif
