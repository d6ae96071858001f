#ifndef MM_WORK_ADOPT_H
#define MM_WORK_ADOPT_H

#include "pki/cert.h"
#include "pki/key.h"
#include "work/order.h"

/*
 * A board that has a certificate of an order's batch which no record knows,
 * because a station's disk died: whether it is one that the order could have
 * made.  A signer that works to the order asks, and who checks its ledger.
 *
 * The CA is the order's own, or another station's for the same batch: that
 * one was made by the issuer of the order's own, and its name is of its
 * station and of the batch.  What was made by a line CA with a name of
 * another form (one of the centre's configuration) is found with its own
 * order alone.  That it is the batch's does not say that its station kept to
 * its share: so what is adopted is put aside for a supervisor.
 *
 * Pure.
 */

/* "line-1-5f3c09a1be77": of the station, for people, and of both. */
void mm_work_line_name(const char *station, const char *batch,
    char name[MM_NAME_MAX + 1]);

struct mm_adopt_ca {
	char name[MM_NAME_MAX + 1]; /* at the centre */
	struct mm_bytes der;        /* its certificate */
	bool own;                   /* the order's */
};
/*
 * The CA that a board's chain (certificates in DER, one after another) begins
 * with, borrowed.  MM_EINPUT: malformed; MM_EAUTH: not of the order's batch.
 */
MM_MUST enum mm_err mm_adopt_ca(const struct mm_work_order *o,
    struct mm_bytes chain, struct mm_key_templates *templates,
    struct mm_adopt_ca *out, struct mm_why *why);
/*
 * The profile of the order's that the certificate follows: by that CA's key,
 * of that device, begun within the order's window.  MM_EAUTH: none, or not
 * signed by the CA.
 */
MM_MUST enum mm_err mm_adopt_profile(const struct mm_work_order *o,
    const struct mm_adopt_ca *ca, const struct mm_profile_set *profiles,
    struct mm_key_templates *templates, const char *device,
    const struct mm_cert *c, const struct mm_profile **out,
    struct mm_why *why);

#endif
