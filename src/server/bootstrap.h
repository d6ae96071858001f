#ifndef MM_SERVER_BOOTSTRAP_H
#define MM_SERVER_BOOTSTRAP_H

#include "server/priv.h"

/*
 * Client certificates that are none of ours, as evidence for bootstrap groups.
 *
 * The CAs of groups are in no listener's trust store: a certificate of theirs
 * stays "not to be believed" for everything, and is looked at here only where
 * a first enrolment is asked for.  What it proves is the possession of its
 * key, by the handshake, and here whose chain it ends: verified as OpenSSL
 * does for a client's at security level 2, but for ends that are past, which
 * are said.  What came by the legacy listener may be below that level, which is
 * said, too, but not below what is forged by anybody: keys under 80 bits of
 * security (RSA-1024 has them) and signatures with MD5.
 *
 * The CAs are the store's; each loop has its own certificates of them.  A
 * chain may end at several of them, one above the other: all count.
 */
struct mm_boot;
MM_MUST enum mm_err mm_boot_new(struct mm_server *s, struct mm_boot **out,
    struct mm_why *why);
void mm_boot_free(struct mm_boot **owner);
/* Takes what the store says now; a worker's, after a change and now and then,
 * for other nodes' changes. */
void mm_boot_refresh(struct mm_boot *b, struct mm_store_reader *r);
/* Whether that token is the secret of a group, open or not. */
bool mm_boot_secret(struct mm_boot *b, const char *token);
/* Whether there is a group whose devices come with nothing. */
bool mm_boot_nothing(const struct mm_boot *b);
/* The connection's certificate; false: there are no groups, or it is none that
 * could be one's. */
bool mm_boot_look(struct mm_boot *b, const struct mm_http_req *req,
    struct mm_old_cert *out);

#endif
