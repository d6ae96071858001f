#ifndef MM_SIGNER_QUOTA_H
#define MM_SIGNER_QUOTA_H

#include "base/buf.h"
#include "base/text.h"
#include "pki/cert.h"

/*
 * What a station's signer has signed of one batch, or taken over: the counter
 * of its quota, one record for each distinct pair of device and public key,
 * with the certificate that it got.  A record is on the disk before its
 * signature leaves, so pulling the plug spends and gives nothing; and the same
 * pair has the same certificate for ever.
 *
 * It is a file: level "software".  It withstands mistakes and the station
 * program, not whoever can write the signer's files or put an old disk back.
 * One process at a time has it (the signer's lock); not thread-safe.
 *
 *	u32 length, u32 crc32 of the body, body
 *
 * A body without a chain ends without one: as all did before boards were
 * adopted.  One that begins with 0 where the order's number stands says that
 * the pair behind it is scrapped: it gives its place back, once.  Before there
 * were such, a signer refuses to start on a file that has one in it, or cuts
 * it off as a torn one, and gives nothing back.
 */
#define MM_QUOTA_RECORD (MM_CERT_MAX + MM_QUOTA_CHAIN + 1024)
#define MM_QUOTA_CHAIN  8192
struct mm_quota;
struct mm_quota_pair {
	uint64_t number; /* of the order */
	int64_t at_ms;
	char device[MM_DEVICE_ID_MAX + 1];
	char profile[MM_NAME_MAX + 12], issuer[MM_NAME_MAX + 1];
	uint8_t spki_sha256[32], tbs_sha256[32];
	struct mm_bytes der;
	struct mm_bytes chain; /* of one that was adopted; else empty */
	bool scrapped; /* and no certificate is given for it any more */
};

/* Reads it, or makes it (make), else MM_ENOTFOUND; a torn last record, whose
 * signature cannot have left, is cut off (*cut: its bytes).  MM_EPOLICY: it
 * was changed. */
MM_MUST enum mm_err mm_quota_open(const char *path, bool make,
    struct mm_quota **out, uint64_t *cut, struct mm_why *why);
void mm_quota_close(struct mm_quota **owner);
uint64_t mm_quota_counted(const struct mm_quota *q);
/* Pairs of these that are scrapped. */
uint64_t mm_quota_scrapped(const struct mm_quota *q);
/* MM_ENOTFOUND: the pair was never signed for; der and chain
 * live in *arena. */
MM_MUST enum mm_err mm_quota_find(const struct mm_quota *q,
    const char *device, const uint8_t spki_sha256[32], struct mm_buf *arena,
    struct mm_quota_pair *out, struct mm_why *why);
/* The one that was counted last; MM_ENOTFOUND: none. */
MM_MUST enum mm_err mm_quota_last(const struct mm_quota *q,
    struct mm_buf *arena, struct mm_quota_pair *out, struct mm_why *why);
/*
 * Counts a pair; it is on the disk when it returns.  MM_EPOLICY: share are
 * counted; MM_ECONFLICT: this pair is; MM_EAGAIN: the disk does not take it,
 * and nothing is counted.
 */
MM_MUST enum mm_err mm_quota_count(struct mm_quota *q, uint64_t share,
    const struct mm_quota_pair *p, struct mm_why *why);
/*
 * The pair is scrapped; that is on the disk when it returns.  MM_ENOTFOUND:
 * it is not counted; MM_ECONFLICT: it was scrapped before; MM_EPOLICY: most
 * are; MM_EAGAIN: the disk does not take it.  look: whether it could be.
 */
MM_MUST enum mm_err mm_quota_scrap_look(const struct mm_quota *q,
    uint64_t most, const char *device, const uint8_t spki_sha256[32],
    struct mm_why *why);
MM_MUST enum mm_err mm_quota_scrap(struct mm_quota *q, uint64_t most,
    const char *device, const uint8_t spki_sha256[32], int64_t at_ms,
    struct mm_why *why);

#endif
