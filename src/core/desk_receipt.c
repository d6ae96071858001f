#include <string.h>

#include "core/priv.h"
#include "ledger/receipt.h"

/* Receipts: the entry, its proof and a checkpoint that covers it. */

/* One that covers it is asked for at once. */
static enum mm_err
check_covered(struct mm_core *c, uint64_t index, uint64_t *uncovered,
    struct mm_why *why)
{
	bool covered;

	pthread_mutex_lock(&c->lock);
	covered = index < c->checkpoint_size;
	if (!covered) {
		c->want_checkpoint = true;
		pthread_cond_signal(&c->tick);
	}
	pthread_mutex_unlock(&c->lock);
	if (covered)
		return MM_OK;
	*uncovered = index;
	return MM_FAIL(why, MM_EAGAIN, "no checkpoint covers entry %llu yet",
	    (unsigned long long)index);
}

struct tiles {
	struct mm_store_reader *r;
	struct mm_buf buf;
};

static enum mm_err
get_tile(void *ctx, const struct mm_tile_id *id, struct mm_bytes *out,
    struct mm_why *why)
{
	struct tiles *t = ctx;

	mm_buf_reset(&t->buf);
	MM_TRY(mm_get_tile(t->r, id, &t->buf, why));
	*out = mm_buf_view(&t->buf);
	return MM_OK;
}

/* see priv.h */
enum mm_err
mm_stored_root(struct mm_store_reader *r, uint64_t size, struct mm_hash *out,
    struct mm_why *why)
{
	struct tiles t = { r, MM_BUF_INIT(MM_TILE_W * MM_HASH_N) };
	struct mm_tile_reader reader = { get_tile, &t, size };
	enum mm_err rc = mm_tree_root_at(mm_tile_read, &reader, size, out,
	    why);

	mm_buf_done(&t.buf);
	return rc;
}

static enum mm_err
prove(struct mm_desk *d, uint64_t index, uint64_t size, struct mm_proof *out,
    struct mm_why *why)
{
	struct tiles t = { d->r, MM_BUF_INIT(MM_TILE_W * MM_HASH_N) };
	struct mm_tile_reader reader = { get_tile, &t, size };
	enum mm_err rc = mm_proof_inclusion(mm_tile_read, &reader, index,
	    size, out, why);

	mm_buf_done(&t.buf);
	return rc;
}

static void
put_chain(struct mm_desk *d, const char *issuer, struct mm_buf *pem)
{
	const struct mm_chain *chain = issuer == NULL ? NULL :
	    mm_issuer_chain(d->c, issuer);

	for (size_t i = 0; chain != NULL && i < chain->n; i++)
		mm_pem_put(pem, "CERTIFICATE", chain->der[i]);
}

static enum mm_err
make(struct mm_desk *d, uint64_t index, const char *issuer,
    struct mm_buf *json, uint64_t *uncovered, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf entry = MM_BUF_INIT(MM_ENTRY_MAX);
	MM_OWN(mm_buf_done) struct mm_buf note = MM_BUF_INIT(MM_NOTE_MAX);
	MM_OWN(mm_buf_done) struct mm_buf pem = MM_BUF_INIT(256 * 1024);
	struct mm_receipt r = { .index = index };
	uint64_t size;

	MM_TRY(check_covered(d->c, index, uncovered, why));
	MM_TRY(mm_get_checkpoint(d->r, &size, &note, why));
	MM_TRY(mm_get_entry(d->r, index, &entry, why));
	MM_TRY(prove(d, index, size, &r.proof, why));
	put_chain(d, issuer, &pem);
	r.entry = mm_buf_view(&entry);
	r.note = mm_buf_view(&note);
	r.chain_pem = mm_buf_view(&pem);
	return mm_receipt_encode(&r, json, why);
}

/* see core.h */
enum mm_err
mm_desk_receipt_at(struct mm_desk *d, uint64_t index, struct mm_buf *json,
    uint64_t *uncovered, struct mm_why *why)
{
	uint64_t size;

	*uncovered = UINT64_MAX;
	MM_TRY(mm_get_ledger_size(d->r, &size, why));
	if (index >= size)
		return MM_FAIL(why, MM_ENOTFOUND, "no entry %llu",
		    (unsigned long long)index);
	return make(d, index, NULL, json, uncovered, why);
}

/* see core.h */
enum mm_err
mm_desk_receipt(struct mm_desk *d, const char *device, struct mm_buf *json,
    uint64_t *uncovered, struct mm_why *why)
{
	struct mm_cert_row row[2];
	bool has[2] = { false, false };

	*uncovered = UINT64_MAX;
	for (int idevid = 0; idevid < 2; idevid++) {
		enum mm_err rc = mm_get_device_cert(d->r, device, idevid,
		    &row[idevid], NULL);

		if (rc != MM_OK && rc != MM_ENOTFOUND)
			return MM_FAIL(why, rc, "the store cannot be read");
		has[idevid] = rc == MM_OK;
	}
	if (!has[0] && !has[1])
		return MM_FAIL(why, MM_ENOTFOUND, "device %.64s has no "
		    "certificate", device);
	if (!has[0] || (has[1] && row[1].issued_at > row[0].issued_at))
		row[0] = row[1];
	return make(d, row[0].entry, row[0].issuer, json, uncovered, why);
}

/* ---- by a device ---- */

static enum mm_err
decide(struct mm_desk *d, struct mm_job *job, struct mm_facts *facts,
    struct mm_why *why)
{
	struct mm_flight *f = mm_flight_of(job);
	enum mm_err rc;

	MM_TRY(mm_reader_begin(d->r, why));
	rc = mm_facts_read(d->c, d->r, f, facts, why);
	mm_reader_end(d->r);
	MM_TRY(rc);
	mm_decide(facts, &f->verdict);
	return f->verdict.act != MM_ACT_REFUSE ? MM_OK :
	    MM_FAIL(why, f->verdict.code, "%s",
	    mm_reason_text(f->verdict.reason));
}

/* see priv.h */
enum mm_err
mm_desk_judge(struct mm_desk *d, enum mm_job_kind kind,
    const struct mm_authority *a, struct mm_facts *facts,
    enum mm_reason *reason, struct mm_why *why)
{
	MM_OWN(mm_job_free) struct mm_job *job = mm_job_new(kind);
	const struct mm_verdict *v;

	*reason = MM_R_NONE;
	if (job == NULL)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	job->authority = *a;
	v = &mm_flight_of(job)->verdict;
	if (decide(d, job, facts, why) == MM_OK)
		return MM_OK;
	*reason = v->reason;
	return v->reason != MM_R_NONE ? v->code : MM_EAGAIN;
}

/* see core.h */
enum mm_err
mm_desk_receipt_own(struct mm_desk *d, const struct mm_authority *a,
    struct mm_buf *json, uint64_t *uncovered, enum mm_reason *reason,
    struct mm_why *why)
{
	struct mm_facts facts = { 0 };

	*uncovered = UINT64_MAX;
	MM_TRY(mm_desk_judge(d, MM_JOB_CONFIRM, a, &facts, reason, why));
	return mm_desk_receipt(d, facts.cert.device, json, uncovered, why);
}
