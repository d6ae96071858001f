#ifndef MM_CORE_CREDENTIAL_H
#define MM_CORE_CREDENTIAL_H

#include "core/core.h"
#include "ledger/entry.h"

/*
 * An operator's certificate, renewed by its owner.  It is the same credential
 * with another key: id, roles, scope and age are those of the record, so that
 * what an administrator ends is over with all its keys, and no renewal is a
 * second person.  The key that was is good until the next one is used.
 */

/* Until when (milliseconds) a renewal would be good that was made now; 0: there
 * is none, or it would gain nothing. */
int64_t mm_operator_renewal_end(const struct mm_desk *d,
    const struct mm_operator *o);
/*
 * der: a certificate of the next key, signed by itself, which is how it is
 * proved.  The same one again is no other renewal.  *out is what is stored.
 * MM_EPOLICY: it is none that is renewed; MM_EINPUT, MM_ECONFLICT: not such a
 * certificate; MM_ERATE: it was less than an hour ago.
 */
MM_MUST enum mm_err mm_desk_operator_renew(struct mm_desk *d,
    const struct mm_login *by, struct mm_bytes der, struct mm_operator *out,
    struct mm_why *why);

/* ---- within core ---- */

/* The next key was used, which ends the one before.  MM_EAUTH: it is not the
 * next one any more. */
MM_MUST enum mm_err mm_operator_confirm(struct mm_desk *d,
    const struct mm_operator *row, struct mm_why *why);
/* desk_operators.c: who administrates may have changed. */
void mm_admins_changed(struct mm_desk *d);
struct mm_papers;
/* desk_operators.c: an entry with all that stands in the record. */
void mm_operator_enter(struct mm_papers *p, enum mm_entry_type type,
    const struct mm_operator *row, const char *actor);

#endif
