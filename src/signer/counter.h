#ifndef MM_SIGNER_COUNTER_H
#define MM_SIGNER_COUNTER_H

#include <openssl/evp.h>

#include "base/err.h"
#include "base/settings.h"

/*
 * The level "rollback-proof" of a station's quota: what its files say was
 * counted is bound to a counter in a TPM, so that a copy of them that is put
 * back is known for what it is.
 *
 * Units are counted in leases of MM_COUNTER_LEASE.  For each lease that is
 * begun, and for one that is ended in order, the file signer_dir/orders/counter
 * is written with the TPM's next value, and then the TPM is advanced.  A file
 * whose value is the TPM's is the newest there is; one that is one ahead was
 * written when the process was killed, or paused; all else was put back, or is
 * another TPM's.
 *
 * A lease serves one process.  One that was not ended in order has a file that
 * could be any of its units old: all of it is counted, what was not made of it
 * is lost.  So putting back an old state never lets more be made than the
 * share, and pulling the plug costs at most a lease's rest.
 *
 *	u32 version, handle; name[34]; u64 value; u16 n; a batch: block16 name,
 *	u64 records, spent, u8 open; u64 floor (not in version 1); HMAC-SHA256
 *	of all before it
 *
 * records: pairs in the batch's counter (signer/quota.h) and spent: what is
 * counted of its share, when the newest lease began or the last one ended.
 * It has room for MM_COUNTER_BATCHES.  Batches that were closed leave it when
 * it is full, and the highest number of the orders that closed them stays as
 * floor: a batch that is not in the file is begun by an order above it only, so
 * that none of theirs, put back with all else, begins at nothing again.
 * Secret and HMAC key come from the ledger's private key: another ledger's
 * file, and another TPM's answers, do not verify.
 *
 * Not thread-safe.
 */
#define MM_COUNTER_LEASE 50
#define MM_COUNTER_FILE  "orders/counter"
#define MM_COUNTER_BATCHES 1024

struct mm_counter;

/* What such a signer's counter withstands, enum mm_work_level: by its settings
 * and files, without asking the TPM.  MM_EPOLICY: they contradict. */
MM_MUST enum mm_err mm_counter_level(
    const struct mm_settings *set, int *level, struct mm_why *why);
/* Makes one in the TPM, and the file's first text for the caller to place. */
MM_MUST enum mm_err mm_counter_make(const struct mm_settings *set,
    EVP_PKEY *ledger, struct mm_buf *out, struct mm_why *why);
/*
 * Reads the file and the TPM.  MM_EAGAIN: the TPM does not answer;
 * MM_EPOLICY: the file was put back or changed, or the TPM is another one.
 */
MM_MUST enum mm_err mm_counter_open(const struct mm_settings *set,
    EVP_PKEY *ledger, struct mm_counter **out, struct mm_why *why);
void mm_counter_close(struct mm_counter **owner);
/* The batch whose lease was not ended in order, to be charged; "": none. */
const char *mm_counter_cut(const struct mm_counter *c);
/* Charges it; records: the pairs that batch has. */
MM_MUST enum mm_err mm_counter_charge(
    struct mm_counter *c, uint64_t records, struct mm_why *why);
/* The number of the order that closed a batch; 0: it is not closed. */
typedef uint64_t mm_counter_closed_fn(void *ctx, const char *batch);
/* Where the file is full, the batches leave it that were closed the longest
 * ago; with the next lease. */
void mm_counter_make_room(struct mm_counter *c, mm_counter_closed_fn *closed,
    void *ctx);
/* Works on that batch from now on, by the order of that number.  MM_EPOLICY: it
 * never had so many pairs, or the order is from before batches that have left;
 * MM_ELIMIT: there is no room. */
MM_MUST enum mm_err mm_counter_begin(struct mm_counter *c, const char *batch,
    uint64_t order, uint64_t records, struct mm_why *why);
/* What of the batch's share was lost with leases. */
uint64_t mm_counter_lost(const struct mm_counter *c);
/*
 * One more pair may be counted when this returns; records: so far.  Both may
 * be called again.  MM_EAGAIN: TPM or disk do not take it; MM_EPOLICY: the TPM
 * was advanced by others.
 */
MM_MUST enum mm_err mm_counter_take(
    struct mm_counter *c, uint64_t records, struct mm_why *why);
/* Whether take would do, without advancing anything. */
MM_MUST enum mm_err mm_counter_look(
    struct mm_counter *c, uint64_t records, struct mm_why *why);
/* In order: nothing is lost, nor counted after this. */
MM_MUST enum mm_err mm_counter_end(
    struct mm_counter *c, uint64_t records, struct mm_why *why);

#endif
