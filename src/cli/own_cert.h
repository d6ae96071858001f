#ifndef MM_CLI_OWN_CERT_H
#define MM_CLI_OWN_CERT_H

#include "cli/cmd.h"

/*
 * The operator's own certificate, as files: renewed by its owner in the last
 * third of its life, in the files that it is in.  While commands use it they
 * share a lock (the certificate's file name with ".lock"); a renewal has that
 * lock alone, so it waits for a command that runs long, and no command sees one
 * file of the new pair and one of the old.
 */
struct mm_own_cert;

/*
 * Before the files are read; key NULL: in cert's file.  by_itself: it may be
 * renewed without being asked for.  What a renewal that was killed has left is
 * put right.  Nothing that goes wrong here is a failure of the command's.
 */
void mm_own_cert_hold(struct mm_cli *cli, const char *cert, const char *key,
    bool by_itself);
/* After a command that succeeded: renews it if that is due. */
void mm_own_cert_due(struct mm_cli *cli);
/* Renews it now; *out is what the server says of the credential. */
MM_MUST enum mm_err mm_own_cert_renew(struct mm_cli *cli, json_t **out,
    struct mm_why *why);
void mm_own_cert_free(struct mm_own_cert **owner);

#endif
