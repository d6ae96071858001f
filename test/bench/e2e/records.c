/*
 * Makes N certificates, each with device, token and confirmation, as journal,
 * ledger and database would have them had they been issued: for measuring
 * "ledger reconcile", which must say that they agree.
 *
 *	records DATABASE JOURNAL TEMPLATE.der PRODUCT PROFILE@VERSION ISSUER \
 *	    ORIGIN N
 *
 * The CA was initialised and is not running, and cannot run with them, for
 * nothing here is signed: certificates are the template with other serials
 * and keys.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/text.h"
#include "base/time.h"
#include "ledger/journal.h"
#include "ledger/note.h"
#include "ledger/tree.h"
#include "made.h"
#include "pki/cert.h"
#include "pki/key.h"

enum { BATCH = 4096, POINT_N = 64, OPS = 3, ROOM = 4096 };
#define JOURNAL_MOST ((size_t)4 << 30)

struct work {
	struct mm_op op[OPS];
	struct mm_buf entry[OPS + 1], der;
	char token[MM_TOKEN_ID_TEXT];
};

struct records {
	struct mm_store *store;
	struct mm_store_reader *reader;
	const char *product, *profile, *issuer, *origin;
	struct mm_buf template, lines;
	struct mm_cert cert;
	struct mm_journal_chain chain;
	struct mm_frontier tree;
	int64_t now_ms;
	FILE *journal;
	struct work work[BATCH];
};

static void
put(struct mm_op *op, struct mm_buf *buf, struct mm_entry *e)
{
	made_entry(e, buf);
	op->entry[op->nentries++] = mm_buf_view(buf);
}

static void
mint(struct records *r, struct work *w, uint64_t n)
{
	struct mm_op *op = &w->op[0];
	struct mm_token_row *t = &op->u.mint.row;
	struct mm_entry device = { .type = MM_E_DEVICE_CREATED,
		.at_ms = r->now_ms };
	struct mm_entry token = { .type = MM_E_TOKEN_MINTED,
		.at_ms = r->now_ms };
	char expires[MM_TIME_TEXT];

	made_token(n, w->token);
	op->kind = MM_OP_TOKEN_MINT;
	op->u.mint.make_device = true;
	strcpy(t->id, w->token);
	snprintf(
	    t->device, sizeof(t->device), "REC-%08llu", (unsigned long long)n);
	strcpy(t->product, r->product);
	t->created_at = t->not_before_at = r->now_ms;
	t->expires_at = r->now_ms + 259200000;
	mm_time_text(t->expires_at, expires);
	device.field[MM_F_DEVICE] = token.field[MM_F_DEVICE] = t->device;
	device.field[MM_F_PRODUCT] = token.field[MM_F_PRODUCT] = t->product;
	token.field[MM_F_TOKEN] = t->id;
	token.field[MM_F_EXPIRES] = expires;
	put(op, &w->entry[0], &device);
	put(op, &w->entry[1], &token);
}

/* The template with another serial and another point. */
static void
make_cert(struct records *r, struct work *w, uint64_t n, struct mm_cert *out)
{
	struct mm_cert_row *row = &w->op[1].u.issue.row;
	size_t serial = (size_t)(r->cert.serial.p - r->template.p);
	size_t point = (size_t)(r->cert.spki.whole.p - r->template.p) +
		       r->cert.spki.whole.n - POINT_N;
	struct mm_why why = { 0 };

	mm_buf_reset(&w->der);
	mm_buf_bytes(&w->der, mm_buf_view(&r->template));
	made_serial(n, r->now_ms, row->serial);
	memcpy(w->der.p + serial, row->serial, 16);
	made_noise(n, 3, w->der.p + point);
	made_noise(n, 4, w->der.p + point + 32);
	made_must(mm_cert_walk(mm_buf_view(&w->der), out, &why), &why);
	mm_sha256(out->spki.whole, row->spki_sha256);
	mm_sha256(mm_buf_view(&w->der), row->cert_sha256);
	row->key_type = (uint8_t)(1 + out->spki.type);
	row->not_before_s = out->not_before_s;
	row->not_after_s = out->not_after_s;
}

static void
issue(struct records *r, struct work *w, uint64_t n)
{
	struct mm_op *op = &w->op[1];
	struct mm_cert_row *row = &op->u.issue.row;
	struct mm_journal_line l = { .kind = MM_J_CERTIFICATE };
	struct mm_cert cert;

	op->kind = MM_OP_ISSUE;
	strcpy(row->device, w->op[0].u.mint.row.device);
	strcpy(row->product, r->product);
	strcpy(row->profile, r->profile);
	strcpy(row->issuer, r->issuer);
	snprintf(row->authority, sizeof(row->authority), "token:%s", w->token);
	row->issued_at = r->now_ms;
	make_cert(r, w, n, &cert);
	op->u.issue.der = mm_buf_view(&w->der);
	made_cert_entry(MM_E_CERT_ISSUED, row, &w->entry[2]);
	op->entry[op->nentries++] = mm_buf_view(&w->entry[2]);
	strcpy(l.issuer, row->issuer);
	strcpy(l.device, row->device);
	strcpy(l.authority, row->authority);
	strcpy(l.profile, row->profile);
	memcpy(l.serial, row->serial, 16);
	memcpy(l.spki_sha256, row->spki_sha256, 32);
	mm_sha256(cert.tbs, l.tbs_sha256);
	l.not_after_s = row->not_after_s;
	mm_journal_link(&r->chain, &l, r->now_ms, &r->lines);
}

static void
confirm(struct records *r, struct work *w)
{
	const struct mm_cert_row *row = &w->op[1].u.issue.row;
	struct mm_op *op = &w->op[2];
	struct mm_entry e = { .type = MM_E_CERT_CONFIRMED, .at_ms = r->now_ms };
	char serial[33];

	op->kind = MM_OP_CONFIRM;
	memcpy(op->u.confirm.serial, row->serial, 16);
	op->u.confirm.at = r->now_ms;
	mm_hex_text(row->serial, 16, serial);
	e.field[MM_F_SERIAL] = serial;
	e.field[MM_F_ISSUER] = row->issuer;
	e.field[MM_F_DEVICE] = row->device;
	put(op, &w->entry[3], &e);
}

static void
make(struct records *r, struct work *w, uint64_t n)
{
	struct mm_journal_line l = { .kind = MM_J_TOKEN };

	memset(w->op, 0, sizeof(w->op));
	r->now_ms += 5;
	mint(r, w, n);
	strcpy(l.token, w->token);
	mm_journal_link(&r->chain, &l, r->now_ms, &r->lines);
	issue(r, w, n);
	confirm(r, w);
}

static enum mm_err
one_leaf(void *ctx, uint64_t index, struct mm_bytes json, struct mm_why *why)
{
	struct records *r = ctx;
	struct mm_hash leaf = mm_tree_leaf(json);

	(void)index, (void)why;
	mm_frontier_append(&r->tree, &leaf);
	return MM_OK;
}

/* As the signer would have signed it, but for the signature. */
static void
checkpoint(struct records *r)
{
	struct mm_buf text = MM_BUF_INIT(MM_NOTE_MAX);
	struct mm_journal_line l = { .kind = MM_J_CHECKPOINT };
	struct mm_checkpoint c = { .size = 0 };
	struct mm_why why = { 0 };

	made_must(mm_each_entry(r->reader, r->tree.size,
		      mm_store_ledger_size(r->store), one_leaf, r, &why),
	    &why);
	c.size = l.number = r->tree.size;
	c.root = mm_frontier_root(&r->tree);
	snprintf(c.origin, sizeof(c.origin), "%s", r->origin);
	mm_checkpoint_text(&c, &text);
	mm_sha256(mm_buf_view(&text), l.tbs_sha256);
	mm_buf_done(&text);
	mm_journal_link(&r->chain, &l, r->now_ms, &r->lines);
}

static void
batch(struct records *r, uint64_t from, uint64_t to)
{
	static struct mm_op *ops[OPS * BATCH];
	struct mm_why why = { 0 };
	size_t n = 0;

	for (uint64_t i = from; i < to; i++) {
		struct work *w = &r->work[i - from];

		make(r, w, i);
		for (unsigned k = 0; k < OPS; k++)
			ops[n++] = &w->op[k];
	}
	made_must(mm_store_run(r->store, ops, n, &why), &why);
	for (size_t i = 0; i < n; i++)
		made_must(ops[i]->result, &ops[i]->why);
	made_must(mm_store_tidy(r->reader, &why), &why);
	fwrite(r->lines.p, 1, r->lines.n, r->journal);
	mm_buf_reset(&r->lines);
}

static void
open_all(struct records *r, char *argv[])
{
	struct mm_buf old = MM_BUF_INIT(JOURNAL_MOST);
	struct mm_journal_line l;
	struct mm_why why = { 0 };
	struct mm_bytes rest;

	mm_buf_init(&r->template, MM_CERT_MAX);
	mm_buf_init(&r->lines, (size_t)64 << 20);
	made_must(mm_file_read(argv[3], &r->template, &why), &why);
	made_must(
	    mm_cert_walk(mm_buf_view(&r->template), &r->cert, &why), &why);
	made_must(mm_file_read(argv[2], &old, &why), &why);
	rest = mm_buf_view(&old);
	while (mm_journal_next(&rest, &r->chain, &l, NULL) == MM_OK)
		;
	mm_buf_done(&old);
	r->journal = fopen(argv[2], "ae");
	if (r->journal == NULL)
		exit(1);
	made_must(mm_store_open(argv[1], false, &r->store, &why), &why);
	made_must(mm_reader_open(argv[1], &r->reader, &why), &why);
}

int
main(int argc, char *argv[])
{
	static struct records r;
	uint64_t n;

	if (argc != 9) {
		fprintf(stderr, "usage: records DATABASE JOURNAL TEMPLATE.der "
				"PRODUCT PROFILE@VERSION ISSUER ORIGIN N\n");
		return 2;
	}
	r.product = argv[4];
	r.profile = argv[5];
	r.issuer = argv[6];
	r.origin = argv[7];
	n = strtoull(argv[8], NULL, 10);
	r.now_ms = mm_now_ms();
	for (unsigned i = 0; i < BATCH; i++) {
		mm_buf_init(&r.work[i].der, MM_CERT_MAX);
		for (unsigned k = 0; k <= OPS; k++)
			mm_buf_init(&r.work[i].entry[k], ROOM);
	}
	open_all(&r, argv);
	for (uint64_t at = 0; at < n; at += BATCH)
		batch(&r, at, at + BATCH < n ? at + BATCH : n);
	checkpoint(&r);
	fwrite(r.lines.p, 1, r.lines.n, r.journal);
	mm_reader_close(&r.reader);
	mm_store_close(&r.store);
	return fclose(r.journal) == 0 ? 0 : 1;
}
