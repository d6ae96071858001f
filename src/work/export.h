#ifndef MM_WORK_EXPORT_H
#define MM_WORK_EXPORT_H

#include "ledger/entry.h"
#include "pki/cert.h"
#include "work/order.h"

/*
 * What a station made offline, as "mintmark-station export" writes it: lines
 * of JSON, {"v":1,"station","centre","origin","from":N}, with "frontier" (of
 * the tree before entry N, base64) unless N is 0, then for each entry
 * of the station's ledger {"entry":"<JSON>"} with "certificate" (base64 of
 * DER) beside an issuance and "proof" beside a confirmation, and at the end
 * {"size":N,"checkpoint":"<note>"}.
 *
 * mm_export_check believes nothing of it that it has not verified: MM_OK says
 * that these are the entries that the station's signer signed, all of them,
 * and that they go on where the last ones ended.  What is wrong with single
 * units is told one by one: those are for quarantine.  It does not say that
 * the station told the truth of a board, nor that it made no second history:
 * that is what the kept checkpoint is for.
 *
 * Pure: no file, no clock, no store.
 */
struct mm_export_order { /* one that the station was given */
	const struct mm_work_order *order;
	struct mm_bytes list; /* its paper of serial numbers; n 0: a run */
	const struct mm_profile_set *profiles; /* that it names */
};

struct mm_export_terms {
	const struct mm_note_key *ledger; /* the station's, pinned */
	const struct mm_export_order *orders;
	size_t norders;
	uint64_t kept_size; /* what was seen last; 0: nothing */
	struct mm_hash kept_root;
	/* One fault of the unit in entry index; device may be "". */
	void (*fault)(
	    void *ctx, uint64_t index, const char *device, const char *what);
	void *ctx;
};

struct mm_export_report {
	char station[MM_NAME_MAX + 1];
	uint64_t size;
	struct mm_hash root;
	uint64_t issued, confirmed, faults;
};

/* MM_EINPUT: damaged, or half a file; MM_EPOLICY: not what the key signed, or
 * another history than the one that was seen. */
MM_MUST enum mm_err mm_export_check(struct mm_bytes file,
    const struct mm_export_terms *terms, struct mm_export_report *out,
    struct mm_why *why);

/*
 * Whether a certificate is what the order's profile says of that device, rule
 * by rule (mm_lint_tbs), and begins within the order's window.  Its signature
 * is looked at elsewhere.  NULL: nothing is wrong; else what is, which may
 * live in *room.
 */
const char *mm_export_fault_of_profile(const struct mm_work_order *o,
    const struct mm_profile *p, const char *device, const struct mm_cert *c,
    struct mm_why *room);
/* The same of one that another CA than the order's own made (work/adopt.h);
 * by NULL: the order's. */
struct mm_export_ca {
	const char *name; /* at the centre */
	struct mm_bytes der;
};
struct mm_export_made {
	const struct mm_work_order *order;
	const struct mm_export_ca *by;
	const struct mm_profile *profile;
	const char *device;
};
const char *mm_export_fault_of_made(const struct mm_export_made *m,
    const struct mm_cert *c, struct mm_why *room);
/* The one of "name@version"; NULL: none. */
const struct mm_profile *mm_export_profile(const struct mm_profile_set *set,
    const char *label);

/* Whether a station's ledger has an entry of that type there. */
bool mm_export_may_hold(enum mm_entry_type type, uint64_t index);

/*
 * One unit, for who has its order elsewhere.  NULL: nothing is wrong.  cert:
 * whether this is the certificate of the issuance; *c is walked then.  proof:
 * whether the text is the one of that hash, and what the device signed in it
 * proves the certificate.
 */
#define MM_EXPORT_ADOPTED \
	"taken over from its board: the record of its making was lost"
/* The same, of a station whose signer made no nonce for it. */
#define MM_EXPORT_ADOPTED_OLD \
	"taken over from its board, by a station of before its signer made " \
	"what a board proves itself over: the board may not have been there"
const char *mm_export_adopted(const struct mm_entry *e);
#define MM_EXPORT_NONCE "signer-nonce" /* an entry's action */
#define MM_EXPORT_NOT_MADE "proved a certificate that was not made for it"
/* What stands beside an entry is not signed, but the entry names its hash: NULL
 * if it is that, else what is not, which is the file's damage and no fault of
 * the unit. */
const char *mm_export_damage(
    const struct mm_entry *e, struct mm_bytes der, struct mm_bytes proof);
const char *mm_export_fault_of_cert(
    const struct mm_entry *e, struct mm_bytes der, struct mm_cert *c);
const char *mm_export_fault_of_proof(
    const uint8_t sha256[32], struct mm_bytes json, struct mm_bytes der);

#endif
