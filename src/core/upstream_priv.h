#ifndef MM_CORE_UPSTREAM_PRIV_H
#define MM_CORE_UPSTREAM_PRIV_H

#include "core/priv.h"
#include "core/upstream.h"
#include "core/upstream_at.h"

/* upstream.c, as the pipeline sees it. */

#define MM_UPSTREAM_GRACE_S 5 /* past the registrar's own deadline */
#define MM_UPSTREAM_BEGIN_S 3 /* of these at most on the way there */

struct mm_upstream;
MM_MUST enum mm_err mm_upstream_new(struct mm_core *c, struct mm_why *why);
void mm_upstream_free(struct mm_upstream **owner);
struct mm_going;
void mm_going_free(struct mm_going **owner);
/* Whose certificates the verdict's profile has now; NULL: the signer's. */
const struct mm_issuer_conf *mm_upstream_of(const struct mm_core *c,
    const struct mm_profile *p);
/* D: a verdict to issue; the signer is asked for possession next.  Else the
 * job is refused, for this reason. */
MM_MUST enum mm_reason mm_upstream_admit(struct mm_core *c,
    struct mm_flight *f, const struct mm_issuer_conf *i);
/* W: possession is proved: what W writes before the CA is asked.  Else the
 * job is refused, for this reason. */
MM_MUST enum mm_reason mm_upstream_note(struct mm_core *c,
    struct mm_flight *f);
/* W, after that was written: no longer the caller's; it comes by c->commits
 * with what became of it. */
void mm_upstream_go(struct mm_core *c, struct mm_flight *f);
/* W: the certificate that came is on record already, of this authority or
 * another; it comes by c->commits again, refused. */
void mm_upstream_known(struct mm_core *c, struct mm_flight *f, bool own);
/* W: its record could not be made, and nobody has that certificate: it is
 * kept for what is decided now, or else settled when the job ends. */
void mm_upstream_keep(struct mm_flight *f);
bool mm_upstream_kept(const struct mm_flight *f);
/* D: a verdict to issue.  true: what was kept fits it; W writes it. */
bool mm_upstream_again(struct mm_core *c, struct mm_flight *f,
    const struct mm_issuer_conf *i);
/* W: that is written.  Why the job has no certificate. */
enum mm_reason mm_upstream_failed(struct mm_flight *f);
/* W: those whose time is over; all of them when it stops. */
void mm_upstream_late(struct mm_core *c);
/* The job is over, or decided anew. */
void mm_upstream_end(struct mm_core *c, struct mm_flight *f);
/* What is kept of a question until its answer is on record: a document. */
struct mm_upstream_asked { /* an entry's fields, and that one's members */
	char authority[MM_AUTHORITY_TEXT], device[MM_DEVICE_ID_MAX + 1];
	char product[MM_NAME_MAX + 1], issuer[MM_NAME_MAX + 1];
	char profile[MM_NAME_MAX + 12], spki[65], request[65];
	char node[MM_NAME_MAX + 1], session[33]; /* who asked */
};
void mm_upstream_entry(const struct mm_upstream_asked *a,
    enum mm_entry_type type, struct mm_entry *e);
/* Its id; "": the flight has none. */
void mm_upstream_doc(const struct mm_core *c, const struct mm_flight *f,
    char out[MM_DOC_ID_MAX + 1]);
/* The op that takes it away; with: only together with that record. */
void mm_upstream_drop(const char *id, const struct mm_cert_row *with,
    struct mm_op *op);
/* leases.c: it is had for as long again. */
void mm_lease_renew(struct mm_core *c, const struct mm_flight *f);
/* settle.c: it is of one that is not settled yet. */
bool mm_settle_waits(struct mm_core *c, const char *asked);
/* Somebody in this process sees to that one. */
bool mm_upstream_going(struct mm_core *c, const char *id);
/* What was asked by a process that ended is entered as unknown. */
void mm_upstream_interrupted(struct mm_core *c, const char *issuer);
/* upstream_left.c, housekeeping: what was asked by a process that ended is
 * entered. */
MM_MUST enum mm_err mm_desk_upstream(struct mm_desk *d, struct mm_why *why);

/* ---- chains.c: whose its certificates are ---- */

/* Whether that is the subject of a configured issuer that is another CA's. */
bool mm_chains_upstream(const struct mm_chains *c, struct mm_bytes subject);
/* The numbers that certificates with that serial number are recorded under:
 * itself, and another one for each issuer that is another CA's.  false: no
 * more; *at begins with 0. */
bool mm_chains_number(const struct mm_chains *c,
    const struct mm_any_serial *serial, size_t *at,
    uint8_t number[MM_SERIAL_N]);

#endif
