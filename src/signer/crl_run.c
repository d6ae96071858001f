#include <stdlib.h>
#include <string.h>

#include "signer/priv.h"

/*
 * The lists of a run: the complete one of all entries, each shard's of its
 * own.  A line each, one number; all lines are written before any list can be
 * read.
 */
#define LINES_MOST 64 /* in a write */
/* An entry in DER, with its extension and lengths; a list around them. */
#define ENTRY_DER  64
#define LIST_DER   4096

struct run {
	struct mm_worker *w;
	struct mm_crl_job *c;
	struct mm_sign *sign;
	struct mm_buf tbs;
	struct mm_buf der; /* one list after the other */
	struct mm_crl_entry *part; /* the entries by shard ... */
	size_t *from;              /* ... each shard's from here on */
	struct mm_journal_line *line;
	size_t nline;
};

/* see priv.h */
size_t
mm_crl_job_place(const struct mm_crl_job *c, const uint8_t serial[MM_SERIAL_N])
{
	unsigned shard = mm_issuer_shard(&c->ca->issuer, serial);
	size_t low = 0, high = c->nshard;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (c->shard[mid] < shard)
			low = mid + 1;
		else
			high = mid;
	}
	return low < c->nshard && c->shard[low] == shard ? low : SIZE_MAX;
}

/* A counting sort, which keeps the order of a shard's entries. */
static enum mm_err
part(struct run *r, struct mm_why *why)
{
	const struct mm_crl_job *c = r->c;
	size_t sum = 0;

	r->from = calloc(c->nshard + 2, sizeof(*r->from));
	r->part = calloc(c->n + 1, sizeof(*r->part));
	if (r->from == NULL || r->part == NULL)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	for (size_t i = 0; i < c->n; i++) {
		size_t at = mm_crl_job_place(c, c->entry[i].serial);

		if (at != SIZE_MAX)
			r->from[at + 2]++;
	}
	for (size_t k = 0; k < c->nshard + 2; k++)
		r->from[k] = sum += r->from[k];
	for (size_t i = 0; i < c->n; i++) {
		size_t at = mm_crl_job_place(c, c->entry[i].serial);

		if (at != SIZE_MAX)
			r->part[r->from[at + 1]++] = c->entry[i];
	}
	return MM_OK;
}

static enum mm_err
sign_list(struct run *r, const struct mm_crl_of *of, struct mm_why *why)
{
	const struct mm_ca *ca = r->c->ca;
	struct mm_journal_line *l = &r->line[r->nline];
	struct mm_buf *sig = &r->w->sig;
	bool whole = of->shard == MM_CRL_WHOLE;

	mm_buf_reset(&r->tbs);
	MM_TRY(mm_crl_build(&ca->issuer, of, mm_sign_alg(r->sign), &r->tbs,
	    why));
	mm_buf_reset(sig);
	MM_TRY(mm_sign_bytes(r->sign, mm_buf_view(&r->tbs), sig, why));
	mm_cert_join(&r->der, mm_buf_view(&r->tbs), mm_sign_alg(r->sign),
	    mm_buf_view(sig));
	*l = (struct mm_journal_line){ .kind = whole ? MM_J_CRL : MM_J_SHARD,
		.number = of->number, .shard = whole ? 0 : of->shard };
	memcpy(l->issuer, ca->issuer.name, sizeof(l->issuer));
	if (ca == &r->c->line)
		memcpy(l->authority, r->c->run, sizeof(r->c->run));
	mm_sha256(mm_buf_view(&r->tbs), l->tbs_sha256);
	r->nline++;
	return mm_buf_ok(&r->der, why);
}

static enum mm_err
sign_all(struct run *r, struct mm_why *why)
{
	const struct mm_crl_job *c = r->c;
	struct mm_crl_of of = { c->number, c->this_s, c->next_s, MM_CRL_WHOLE,
		c->entry, c->n };

	if (c->whole)
		MM_TRY(sign_list(r, &of, why));
	if (c->nshard > 0)
		MM_TRY(part(r, why));
	for (size_t k = 0; k < c->nshard; k++) {
		of.shard = c->shard[k];
		of.entry = r->part + r->from[k];
		of.n = r->from[k + 1] - r->from[k];
		MM_TRY(sign_list(r, &of, why));
	}
	return MM_OK;
}

/* No entry brings a line back after a power cut, so they are flushed. */
static enum mm_err
write_lines(struct run *r, struct mm_why *why)
{
	struct mm_record *record = r->w->s->record;

	for (size_t at = 0; at < r->nline; at += LINES_MOST) {
		size_t n = r->nline - at;

		MM_TRY(mm_record_write(record, r->line + at,
		    n < LINES_MOST ? n : LINES_MOST, why));
	}
	return mm_record_flush(record, why);
}

static enum mm_err
make(struct run *r, struct mm_why *why)
{
	struct mm_crl_job *c = r->c;
	size_t most = (c->n + 1) * ENTRY_DER + LIST_DER;

	mm_buf_init(&r->tbs, most);
	mm_buf_init(&r->der, (c->whole + (c->nshard > 0)) * most +
	    c->nshard * LIST_DER);
	r->line = calloc(c->nshard + 1, sizeof(*r->line));
	if (r->line == NULL)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	MM_TRY(sign_all(r, why));
	return write_lines(r, why);
}

/* see priv.h */
enum mm_err
mm_crl_job_sign(struct mm_worker *w, struct mm_crl_job *c, struct mm_why *why)
{
	MM_OWN(mm_sign_free) struct mm_sign *own = NULL;
	struct run r = { .w = w, .c = c };
	enum mm_err err;

	if (c->ca == &c->line)
		MM_TRY(mm_sign_new(NULL, c->ca->key, &own, why));
	r.sign = own != NULL ? own : w->sign[c->ca - w->s->ca];
	err = make(&r, why);
	if (err == MM_OK) {
		mm_buf_done(&c->der);
		c->der = r.der;
		r.der = (struct mm_buf){ 0 };
		w->s->signed_n += r.nline;
	}
	mm_buf_done(&r.tbs);
	mm_buf_done(&r.der);
	free(r.line);
	free(r.from);
	free(r.part);
	return err;
}
