#ifndef MM_CLI_ROLLOVER_H
#define MM_CLI_ROLLOVER_H

#include "cli/cmd.h"
#include "pki/profile.h"

/*
 * Changing which issuer signs: "ca rollover" and "ca retire", at the CA's own
 * machine.  Who signs is said in mintmark.conf alone, which the server cannot
 * write; these commands check what they change, and replace the file whole.
 */
struct mm_conf_edit { /* mintmark.conf, as it is and as it will be */
	const char *path;
	struct mm_buf text, next;
	struct mm_config *config, *planned;
};
/* Reads what --config names. */
MM_MUST enum mm_err mm_conf_edit_begin(struct mm_conf_edit *e,
    const struct mm_args *a, struct mm_why *why);
/* What stands in next is a configuration that the daemons take. */
MM_MUST enum mm_err mm_conf_edit_check(struct mm_conf_edit *e,
    struct mm_why *why);
/* Puts next in its place, with the owner and mode of before; MM_ECONFLICT: it
 * was changed since it was read. */
MM_MUST enum mm_err mm_conf_edit_place(const struct mm_conf_edit *e,
    struct mm_why *why);
/* The same in a new file of another name. */
MM_MUST enum mm_err mm_conf_edit_aside(const struct mm_conf_edit *e,
    const char *path, struct mm_why *why);
void mm_conf_edit_done(struct mm_conf_edit *e);

/* Sets a key in an issuer's block of next; value: as it is written.  MM_EINPUT:
 * the block is not written as init and rollover write it. */
MM_MUST enum mm_err mm_conf_edit_issuer(struct mm_conf_edit *e,
    const char *issuer, const char *key, const char *value,
    struct mm_why *why);

/* The same outside of any block. */
MM_MUST enum mm_err mm_conf_edit_top(struct mm_conf_edit *e, const char *key,
    const char *value, struct mm_why *why);

/* The signer does verb by what stands in next, told by a file of its own: the
 * one that the daemons read does not change before all is there.  What it says;
 * NULL: nothing that is JSON. */
MM_MUST enum mm_err mm_conf_edit_sign(const struct mm_conf_edit *e,
    const struct mm_args *a, const char *verb, const char *issuer,
    json_t **said, struct mm_why *why);

/* revoked.c: the list of root_crl that stands, of whoever signed that issuer,
 * names it; MM_EPOLICY: none does. */
MM_MUST enum mm_err mm_issuer_revoked(const struct mm_config *c,
    const struct mm_issuer_conf *i, struct mm_why *why);

/* What whoever runs the root has to put into the certificate. */
void mm_answer_sheet(const struct mm_config *c,
    const struct mm_issuer_conf *i, struct mm_buf *out);

/* offline.c: mintmark-signer with --config config and --issuer issuer and those
 * options of its that were given; its JSON. */
MM_MUST enum mm_err mm_offline_run(const struct mm_args *a, const char *verb,
    const char *config, const char *issuer, struct mm_buf *out,
    struct mm_why *why);

#endif
