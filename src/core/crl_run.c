#include <stdio.h>
#include <string.h>

#include "base/time.h"
#include "core/priv.h"
#include "ledger/shards.h"
#include "pki/der.h"

/*
 * A run of revocation lists: the signer builds them from serials that we list;
 * its line is ours alone from begin to the last piece read, and until they are
 * stored.
 */
#define ENTRY_N  25                /* serial, u64 at_s, u8 reason */
#define PIECE_N  (4000 * ENTRY_N)
#define READ_N   (96 * 1024)
#define CRL_MAX  ((size_t)256 << 20)
#define TEXT_MAX 4096              /* of "shards" */
#define SLOW_MS  4000              /* no answer for so long: it was too much */

struct listing {
	struct mm_desk *d;
	struct mm_crl_run *run;
	struct mm_buf piece;
	uint64_t n;
};

/* What the store takes meanwhile is not the signer's time. */
static enum mm_err
ask(struct listing *l, unsigned kind, const void *req, void *rep,
    struct mm_why *why)
{
	const int64_t began = mm_mono_ms();
	enum mm_err rc = mm_wire_call(l->d->c->wire, MM_LINE_OPS, kind, req,
	    rep, &l->d->frame, why);

	l->run->slow = rc == MM_EAGAIN && mm_mono_ms() - began >= SLOW_MS;
	return rc;
}

static enum mm_err
send_piece(struct listing *l, struct mm_why *why)
{
	struct mm_crl_add_req req = { mm_buf_view(&l->piece) };
	struct mm_crl_add_rep rep;

	if (l->piece.n == 0)
		return MM_OK;
	MM_TRY(ask(l, MM_IPC_CRL_ADD, &req, &rep, why));
	mm_buf_reset(&l->piece);
	return MM_OK;
}

static enum mm_err
list_one(void *ctx, const void *row, const char *next, struct mm_why *why)
{
	const struct mm_cert_row *c = row;
	struct listing *l = ctx;

	(void)next;
	mm_buf_put(&l->piece, c->serial, 16);
	mm_buf_u64(&l->piece, (uint64_t)(c->revoked_at / 1000));
	mm_buf_u8(&l->piece, c->reason);
	MM_TRY(mm_buf_ok(&l->piece, why));
	l->n++;
	return l->piece.n == PIECE_N ? send_piece(l, why) : MM_OK;
}

/* By the certificate's own number: what it was issued with stands in it.  A
 * list by another count of shards would lack it. */
static enum mm_err
list_of_shard(void *ctx, const void *row, const char *next,
    struct mm_why *why)
{
	const struct mm_cert_row *c = row;
	struct listing *l = ctx;

	if (mm_serial_shard(c->serial, l->run->shards) == c->shard)
		return list_one(ctx, row, next, why);
	l->run->odd = true;
	return MM_FAIL(why, MM_EPOLICY, "issuer %s: crl_shards is not what it "
	    "was: complete lists stand for its shards", c->issuer);
}

static bool
is_in(const struct mm_crl_run *run, unsigned shard)
{
	for (size_t i = 0; i < run->nshard; i++)
		if (run->shard[i] == shard)
			return true;
	return false;
}

static enum mm_err
list_orphan(void *ctx, const void *row, const char *next, struct mm_why *why)
{
	const struct mm_cert_row *c = row;
	const struct listing *l = ctx;

	return !is_in(l->run, mm_serial_shard(c->serial, l->run->shards))
		   ? MM_OK
		   : list_one(ctx, row, next, why);
}

/* Neighbours at one go. */
static enum mm_err
list_shards(struct listing *l, struct mm_why *why)
{
	const struct mm_crl_run *run = l->run;
	struct mm_shards_of of = { run->of->name, run->this_s,
		MM_SHARD_NONE, MM_SHARD_NONE };

	MM_TRY(mm_list_revoked_shards(l->d->r, &of, list_orphan, l, why));
	for (size_t i = 0; i < run->nshard; i++) {
		of.from = run->shard[i];
		while (i + 1 < run->nshard &&
		       run->shard[i + 1] == run->shard[i] + 1)
			i++;
		of.to = run->shard[i];
		MM_TRY(mm_list_revoked_shards(l->d->r, &of, list_of_shard, l,
		    why));
	}
	return MM_OK;
}

static enum mm_err
list_all(struct listing *l, struct mm_why *why)
{
	MM_TRY(mm_get_ledger_size(l->d->r, &l->run->size, why));
	if (l->run->whole)
		MM_TRY(mm_list_revoked(l->d->r, l->run->of->name,
		    l->run->this_s, list_one, l, why));
	else
		MM_TRY(list_shards(l, why));
	return send_piece(l, why);
}

static enum mm_err
read_back(struct listing *l, uint64_t n, struct mm_buf *der,
    struct mm_why *why)
{
	while (der->n < n) {
		struct mm_crl_read_req req = { der->n, READ_N };
		struct mm_crl_read_rep rep;

		MM_TRY(ask(l, MM_IPC_CRL_READ, &req, &rep, why));
		if (rep.der.n == 0)
			return MM_FAIL(why, MM_EBUG, "crl: ends early");
		mm_buf_bytes(der, rep.der);
		MM_TRY(mm_buf_ok(der, why));
	}
	return MM_OK;
}

/* A line CA's key is the signer's for this run alone. */
static enum mm_err
open_line(struct listing *l, struct mm_why *why)
{
	const struct mm_made_line *line = l->run->of->line;
	MM_OWN(mm_line_kept_done) struct mm_line_kept k = { .to = { 0 } };
	struct mm_line_open_req req = { .der = mm_buf_view(&line->der) };
	struct mm_line_open_rep rep;

	MM_TRY(mm_line_read(l->d->r, line->name, &k, why));
	strcpy(req.name, line->name);
	req.kept = mm_buf_view(&k.kept);
	return ask(l, MM_IPC_LINE_OPEN, &req, &rep, why);
}

static enum mm_err
begin(struct listing *l, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf shards =
	    MM_BUF_INIT(2 * MM_CRL_RUN_MOST);
	struct mm_crl_run *run = l->run;
	struct mm_crl_begin_req req = { .number = run->number,
		.this_s = (uint64_t)run->this_s,
		.next_s = (uint64_t)run->next_s, .whole = run->whole };
	struct mm_crl_begin_rep rep;

	strcpy(req.issuer, run->of->name);
	for (size_t i = 0; i < run->nshard; i++)
		mm_buf_u16(&shards, run->shard[i]);
	MM_TRY(mm_buf_ok(&shards, why));
	req.shards = mm_buf_view(&shards);
	MM_TRY(ask(l, MM_IPC_CRL_BEGIN, &req, &rep, why));
	run->number = rep.number;
	return MM_OK;
}

/* The whole conversation; the line is locked. */
static enum mm_err
build(struct listing *l, struct mm_buf *der, struct mm_why *why)
{
	const struct mm_crl_sign_req none = { 0 };
	struct mm_crl_sign_rep sign;

	if (l->run->of->line != NULL)
		MM_TRY(open_line(l, why));
	MM_TRY(begin(l, why));
	MM_TRY(list_all(l, why));
	MM_TRY(ask(l, MM_IPC_CRL_SIGN, &none, &sign, why));
	return read_back(l, sign.der_n, der, why);
}

/* The complete one, then the shards' in their order. */
static enum mm_err
split(const struct mm_crl_run *run, struct mm_bytes all, struct mm_op_crl *op,
    struct mm_buf *shards, struct mm_why *why)
{
	struct mm_rd r = mm_rd_over(all);

	if (run->whole)
		op->der = mm_der_take_whole(&r, MM_DER_SEQ);
	for (size_t i = 0; i < run->nshard; i++)
		mm_op_crl_shard(shards, run->shard[i],
		    run->after != NULL ? run->after[i] : MM_CRL_ANY,
		    mm_der_take_whole(&r, MM_DER_SEQ));
	if (!mm_rd_end(&r))
		return MM_FAIL(why, MM_EBUG, "crl: not what was asked for");
	op->shards = mm_buf_view(shards);
	return mm_buf_ok(shards, why);
}

struct crl_texts {
	char number[24], count[24], size[24], expires[MM_TIME_TEXT];
	char shards[TEXT_MAX];
};

static enum mm_err
entry_of(const struct listing *l, struct mm_entry *e, struct crl_texts *t,
    struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf text = MM_BUF_INIT(TEXT_MAX - 1);
	const struct mm_crl_run *run = l->run;

	snprintf(t->number, sizeof(t->number), "%llu",
	    (unsigned long long)run->number);
	snprintf(t->count, sizeof(t->count), "%llu", (unsigned long long)l->n);
	snprintf(t->size, sizeof(t->size), "%llu",
	    (unsigned long long)run->size);
	mm_time_text_s(run->next_s, t->expires);
	mm_shards_put(&text, run->whole, run->shard, run->nshard);
	MM_TRY(mm_buf_ok(&text, why));
	(void)!mm_text_copy(t->shards, sizeof(t->shards), mm_buf_view(&text));
	e->field[MM_F_ISSUER] = run->of->name;
	e->field[MM_F_NUMBER] = t->number;
	e->field[MM_F_COUNT] = t->count;
	e->field[MM_F_SIZE] = t->size;
	e->field[MM_F_EXPIRES] = t->expires;
	e->field[MM_F_NODE] = mm_node_or_null(l->d->c);
	e->field[MM_F_SHARDS] = run->nshard > 0 ? t->shards : NULL;
	return MM_OK;
}

static enum mm_err
store(struct listing *l, struct mm_bytes der, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf shards = MM_BUF_INIT(2 * CRL_MAX);
	struct mm_papers p = mm_papers_over(&l->d->buf);
	struct mm_entry e = { .type = MM_E_CRL_SIGNED };
	struct mm_op op = { .kind = MM_OP_CRL_PUT };
	const struct mm_crl_run *run = l->run;
	struct crl_texts t;

	strcpy(op.u.crl.issuer, run->of->name);
	op.u.crl.number = run->number;
	op.u.crl.this_s = run->this_s;
	op.u.crl.next_s = run->next_s;
	op.u.crl.follows = &run->follows;
	MM_TRY(split(run, der, &op.u.crl, &shards, why));
	MM_TRY(entry_of(l, &e, &t, why));
	mm_papers_add(&p, &e);
	return mm_desk_run(l->d, &p, &op, why);
}

/* see priv.h */
enum mm_err
mm_crl_run(struct mm_desk *d, struct mm_crl_run *run, struct mm_why *why)
{
	struct listing l = { d, run, MM_BUF_INIT(PIECE_N), 0 };
	struct mm_buf der = MM_BUF_INIT(CRL_MAX);
	uint64_t now = (uint64_t)mm_now_ms();
	enum mm_err rc;

	/* promise 8: what cannot be entered is not signed */
	if (!d->c->store_ok)
		return MM_FAIL(why, MM_EAGAIN, "the store is away");
	if (run->number < now)
		run->number = now;
	run->this_s = mm_now_s();
	run->next_s = run->this_s + run->of->crl_hours * 3600;
	/* stored before the next one is begun: lists never go back */
	mm_wire_lock(d->c->wire, MM_LINE_OPS);
	rc = build(&l, &der, why);
	if (rc == MM_OK)
		rc = store(&l, mm_buf_view(&der), why);
	mm_wire_unlock(d->c->wire, MM_LINE_OPS);
	run->n = l.n;
	mm_buf_done(&l.piece);
	mm_buf_done(&der);
	return rc;
}
