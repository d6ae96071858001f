#ifndef MM_CORE_CHECKS_H
#define MM_CORE_CHECKS_H

#include "core/decide.h"

/*
 * The policy as tables.  A check says why not, or MM_R_NONE; a rule is a list
 * of checks; the first that objects is the answer.  Which rule a request
 * falls under is the table in decide.c: a kind of authority times a kind of
 * job.  A cell that is empty is a refusal.
 *
 * Shared by the rules alone: decide.h is what the rest of core/ sees.
 */
typedef enum mm_reason mm_check_fn(const struct mm_facts *f,
    struct mm_verdict *v);

/* What else a reason sets off: bits of enum mm_effect.  reasons.c */
unsigned mm_reason_effects(enum mm_reason r);

/* ---- checks.c: what every issuance asks ---- */

/* A NULL-ended list. */
enum mm_reason mm_check_all(mm_check_fn *const *checks,
    const struct mm_facts *f, struct mm_verdict *v);
void mm_check_name(struct mm_named *n, const struct mm_cert_row *row);
bool mm_check_same_key(const uint8_t a[32], const uint8_t b[32]);
bool mm_check_from_token(const struct mm_facts *f);
/* The verdict gets the device's and product's names. */
mm_check_fn mm_check_device, mm_check_key_secret;
/* RFC 7030 3.5; RFC 9266.  p: NULL where the profile is gone. */
enum mm_reason mm_check_bound(const struct mm_facts *f,
    const struct mm_profile *p);

/* A label is a profile's name and must be the one that the authority gives a
 * right to; the verdict gets the profile. */
enum mm_reason mm_check_profile(const struct mm_facts *f, const char *label,
    const char *name, struct mm_verdict *v);
/* RFC 7030 3.2.2: clients that cannot send a label get the default one. */
const char *mm_check_label(const struct mm_facts *f);
/* The product's LDevID profile; the presented certificate's own, at its
 * present version, while there is one of that name. */
mm_check_fn mm_check_ldevid, mm_check_own;
/* NULL: no such profile any more. */
const struct mm_profile *mm_check_profile_of(const struct mm_facts *f,
    const struct mm_cert_row *row);

/* ---- claims.c: when the authority was used before ---- */

bool mm_claim_unconfirmed(const struct mm_facts *f);
bool mm_claim_confirmed(const struct mm_facts *f);
bool mm_claim_replayable(const struct mm_facts *f);
enum mm_reason mm_claim_spent(const struct mm_facts *f);
/* An unconfirmed certificate gives way, at most 3 times in 24 h. */
mm_check_fn mm_claim_replace;
/* true: *r is the whole answer, the stored bytes or why not. */
bool mm_claim_replay(const struct mm_facts *f, struct mm_verdict *v,
    enum mm_reason *r);

/* ---- the rules ---- */

/* What is left to ask before any issuance. */
mm_check_fn mm_rule_issue;
/* The same where a claim may be there: its bytes again, or in its place. */
mm_check_fn mm_rule_claim;
/* decide_batch.c: of what is to be issued, not of what is told again. */
mm_check_fn mm_rule_batch;
/* decide_token.c */
mm_check_fn mm_rule_token;
/* decide_group.c */
mm_check_fn mm_rule_group;
/* decide_cert.c: IDevID to LDevID, renewal, confirmation, when to renew */
mm_check_fn mm_rule_idevid, mm_rule_renewal, mm_rule_proof, mm_rule_ask;

#endif
