#ifndef MM_WORK_EXPORT_PRIV_H
#define MM_WORK_EXPORT_PRIV_H

#include <jansson.h>

#include "ledger/entry.h"
#include "pki/key.h"
#include "work/export.h"

/* Between export.c, which reads, and export_unit.c, which judges; the first
 * two are upload.c's and sync.c's too. */

/* The next line as JSON; NULL: none, or none that is one. */
json_t *mm_export_line(struct mm_bytes *rest);
/* The first line: whose it is, and the tree before its first entry.  false: it
 * is none. */
bool mm_export_head(const json_t *o, char station[MM_NAME_MAX + 1],
    struct mm_frontier *before);
/* {NULL, 0}: it has no such text. */
struct mm_bytes mm_export_text(const json_t *o, const char *key);

/* It has that whole number, and not a text or nothing. */
bool mm_export_is(const json_t *o, const char *key, json_int_t want);

struct mm_export_cert { /* an issuance */
	uint64_t index;
	char device[MM_DEVICE_ID_MAX + 1], serial[65];
	uint8_t spki[32];
	size_t order;         /* of the terms'; norders: none */
	size_t der_at, der_n; /* in ders */
};
struct mm_export_proof { /* a confirmation */
	uint64_t index;
	char device[MM_DEVICE_ID_MAX + 1], serial[65];
	size_t at, n; /* in proofs; n 0: none came with it */
	uint8_t sha256[32];
};
struct mm_export {
	const struct mm_export_terms *terms;
	struct mm_export_report report;
	struct mm_key_templates *templates;
	struct mm_frontier tree;
	struct mm_export_cert *cert;
	struct mm_export_proof *proof;
	size_t ncert, certs, nproof, proofs_cap;
	struct mm_buf ders, proofs;
};
void mm_export_fault(
    struct mm_export *x, uint64_t index, const char *device, const char *what);
/* An issuance with its certificate; a confirmation with what was signed. */
MM_MUST enum mm_err mm_export_issued(struct mm_export *x, uint64_t index,
    const struct mm_entry *e, struct mm_bytes der, struct mm_why *why);
MM_MUST enum mm_err mm_export_confirmed(struct mm_export *x, uint64_t index,
    const struct mm_entry *e, struct mm_bytes proof, struct mm_why *why);
/* When all are there: doubles, shares, proofs. */
void mm_export_compare(struct mm_export *x);

#endif
