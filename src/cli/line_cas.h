#ifndef MM_CLI_LINE_CAS_H
#define MM_CLI_LINE_CAS_H

#include "base/buf.h"
#include "cli/marks.h"
#include "pki/profile.h"
#include "store/store.h"

/*
 * For "ledger reconcile": the line CAs that the signer made.  Each is a
 * signature as devices' certificates are: in the journal, in the ledger (by
 * issuer.made) and in the database, there as a document.
 */
#define MM_LINE_CA_LABEL "line+ca@1" /* its profile in the journal */

struct mm_line_ca_seen {
	char name[MM_NAME_MAX + 1];
	struct mm_buf der; /* its certificate */
	struct mm_mark mark;
};

/* As mm_mark_who; of a line CA without the one above it, which the entry does
 * not name. */
void mm_line_ca_who(struct mm_mark *m, const char *device, const char *issuer,
    const char *profile);
/* All of the database.  What is no line CA is a difference. */
typedef enum mm_err mm_line_ca_fn(void *ctx,
    const struct mm_line_ca_seen *seen, struct mm_why *why);
MM_MUST enum mm_err mm_line_cas_each(struct mm_store_reader *db,
    json_t *differences, mm_line_ca_fn *fn, void *ctx, struct mm_why *why);

#endif
