#include "fixture.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server.h"
#include "store/docs_of.h"

/* ---- opening ---- */

static void
connect(struct fx *f, bool create)
{
	struct mm_why why = { 0 };

	must(mm_store_open(f->url, create, &f->s, &why), &why);
	must(mm_reader_open(f->url, &f->r, &why), &why);
}

/* In memory where there is such a place: these tests sync a lot. */
void
fx_dir(struct fx *f)
{
	snprintf(f->dir, sizeof(f->dir), "%s/mm-store-XXXXXX",
	    access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	assert_non_null(mkdtemp(f->dir));
}

bool
fx_open(struct fx *f, const struct mm_store_backend *b)
{
	memset(f, 0, sizeof(*f));
	if (strcmp(mm_store_backend_scheme(b), "sqlite") == 0) {
		fx_dir(f);
		snprintf(f->url, sizeof(f->url), "sqlite:%s/store.db",
		    f->dir);
	} else {
		if (!pg_server(NULL))
			return false;
		pg_database(f->url, sizeof(f->url));
	}
	connect(f, true);
	return true;
}

void
fx_reopen(struct fx *f)
{
	mm_reader_close(&f->r);
	mm_store_close(&f->s);
	connect(f, false);
}

/* Of three batches two are of product "p". */
#define ORDER(text) \
	"{\"plan\":{\"order\":\"mintmark-order/1\\n{" text "}\\n\"}}"
static const char *const batch_bodies[] = {
	ORDER("\\\"product\\\":\\\"p\\\""),
	ORDER("\\\"product\\\":\\\"q\\\""),
	ORDER("\\\"batch\\\":\\\"b2\\\",\\\"product\\\":\\\"p\\\""),
};
#undef ORDER

void
fx_put_batches(struct fx *f)
{
	struct top t;

	for (unsigned i = 0; i < 3; i++) {
		top_init(&t, MM_OP_DOC_PUT, 1);
		t.op.u.doc.kind = MM_DOC_BATCH;
		snprintf(t.op.u.doc.id, sizeof(t.op.u.doc.id), "b%u", i);
		t.op.u.doc.body = mm_bytes_of(batch_bodies[i]);
		assert_int_equal(run1(f, &t), MM_OK);
	}
}

static enum mm_err
note_id(void *ctx, const void *row, const char *next, struct mm_why *why)
{
	(void)row, (void)why;
	strcat(ctx, next);
	return MM_OK;
}

void
fx_check_batches(struct fx *f)
{
	struct mm_list l = { .most = 10, .state = -1 };
	struct mm_why why = { 0 };
	char seen[100] = "";

	must(mm_list_batches_of(f->r, "p", &l, note_id, seen, &why), &why);
	assert_string_equal(seen, "b0b2");
}

void
fx_close(struct fx *f)
{
	DIR *d;
	struct dirent *e;

	mm_reader_close(&f->r);
	mm_store_close(&f->s);
	if (f->dir[0] == '\0') {
		pg_drop(f->url);
		return;
	}
	d = opendir(f->dir);
	while (d != NULL && (e = readdir(d)) != NULL)
		if (e->d_name[0] != '.')
			unlinkat(dirfd(d), e->d_name, 0);
	if (d != NULL)
		closedir(d);
	rmdir(f->dir);
}

void
fx_recycle(struct fx *f)
{
	if (f->dir[0] != '\0') {
		fx_close(f);
		return;
	}
	mm_reader_close(&f->r);
	mm_store_close(&f->s);
	pg_recycle(f->url);
}

/* ---- contents from a number ---- */

void
serial_of(unsigned n, uint8_t out[16])
{
	memset(out, 0x5a, 16);
	out[0] = 1;
	for (unsigned i = 0; i < 4; i++)
		out[1 + i] = (uint8_t)(n >> (24 - 8 * i));
}

void
spki_of(unsigned n, uint8_t out[32])
{
	struct mm_hash h = mm_tree_leaf((struct mm_bytes){
	    (const uint8_t *)&n, sizeof(n) });

	memcpy(out, h.b, 32);
}

void
token_of(unsigned n, char out[25])
{
	snprintf(out, 25, "mm1-%020u", n);
}

static void
device_of(unsigned n, char out[MM_DEVICE_ID_MAX + 1])
{
	snprintf(out, MM_DEVICE_ID_MAX + 1, "SN-%u", n);
}

void
top_init(struct top *t, enum mm_op_kind kind, unsigned n)
{
	memset(t, 0, sizeof(*t));
	t->op.kind = kind;
	t->op.nentries = 1;
	for (unsigned i = 0; i < MM_OP_ENTRIES; i++) {
		snprintf(t->entry[i], sizeof(t->entry[i]),
		    "{\"v\":1,\"type\":\"test.%d\",\"n\":%u,\"i\":%u}",
		    (int)kind, n, i);
		t->op.entry[i] = mm_bytes_of(t->entry[i]);
	}
	serial_of(n, t->serial);
}

void
top_product(struct top *t, const char *name)
{
	struct mm_product *p = &t->op.u.product.row;

	top_init(t, MM_OP_PRODUCT_PUT, 0);
	snprintf(p->name, sizeof(p->name), "%s", name);
	snprintf(p->description, sizeof(p->description), "A %s", name);
	snprintf(p->ldevid_profile, sizeof(p->ldevid_profile), "ldevid");
	p->created_at = T0;
}

void
top_device(struct top *t, unsigned n)
{
	struct mm_device *d = &t->op.u.device.row;

	top_init(t, MM_OP_DEVICE_PUT, n);
	device_of(n, d->id);
	snprintf(d->product, sizeof(d->product), PRODUCT);
	d->created_at = T0 + n;
}

void
top_mint(struct top *t, unsigned n)
{
	struct mm_token_row *k = &t->op.u.mint.row;

	top_init(t, MM_OP_TOKEN_MINT, n);
	token_of(n, k->id);
	device_of(n, k->device);
	snprintf(k->product, sizeof(k->product), PRODUCT);
	k->created_at = k->not_before_at = T0 + n;
	k->expires_at = T0 + n + 1000;
	t->op.u.mint.make_device = true;
}

static void
row_of(struct mm_cert_row *r, unsigned n)
{
	char token[25];

	serial_of(n, r->serial);
	device_of(n, r->device);
	token_of(n, token);
	snprintf(r->product, sizeof(r->product), PRODUCT);
	snprintf(r->issuer, sizeof(r->issuer), ISSUER);
	snprintf(r->profile, sizeof(r->profile), "thermo@3");
	snprintf(r->authority, sizeof(r->authority), "token:%s", token);
	spki_of(n, r->spki_sha256);
	spki_of(n + 1000000000U, r->cert_sha256);
	r->issued_at = T0 + n;
	r->not_before_s = T0 / 1000;
	r->not_after_s = T0 / 1000 + 1000000 + n % 1000;
	r->shard = n % 7;
}

void
top_issue(struct top *t, unsigned n)
{
	struct mm_op_issue *i = &t->op.u.issue;

	top_init(t, MM_OP_ISSUE, n);
	row_of(&i->row, n);
	for (size_t k = 0; k < sizeof(t->der); k++)
		t->der[k] = (uint8_t)(n * 7 + k);
	i->der = (struct mm_bytes){ t->der, 600 };
}

void
top_confirm(struct top *t, unsigned n)
{
	top_init(t, MM_OP_CONFIRM, n);
	serial_of(n, t->op.u.confirm.serial);
	t->op.u.confirm.at = T0 + n + 500;
}

void
top_revoke(struct top *t, unsigned n, enum mm_cert_state to)
{
	top_init(t, MM_OP_REVOKE, n);
	serial_of(n, t->op.u.revoke.serial);
	t->op.u.revoke.to = to;
	t->op.u.revoke.reason = 5; /* cessationOfOperation */
	t->op.u.revoke.at = T0 + n + 900;
}

void
top_orphan(struct top *t, unsigned n)
{
	top_init(t, MM_OP_ORPHAN, n);
	row_of(&t->op.u.orphan.row, n);
}

void
top_token(struct top *t, unsigned n, unsigned from, unsigned to)
{
	top_init(t, MM_OP_TOKEN_STATE, n);
	token_of(n, t->op.u.token.id);
	t->op.u.token.from = from;
	t->op.u.token.to = to;
}

void
top_operator(struct top *t, unsigned n)
{
	struct mm_operator *o = &t->op.u.operator_;

	top_init(t, MM_OP_OPERATOR_PUT, n);
	snprintf(o->id, sizeof(o->id), "%016x", n);
	strcpy(o->name, "Ada");
	strcpy(o->roles, "admin");
	memset(o->secret_sha256, 3, 32);
	o->created_at = T0;
}

void
top_operator_gone(struct top *t, unsigned n)
{
	top_operator(t, n);
	t->op.kind = MM_OP_OPERATOR_REVOKE;
	t->op.u.operator_.revoked_at = T0 + 5;
}

void
top_operator_cert(struct top *t, unsigned n)
{
	struct mm_operator *o = &t->op.u.operator_;

	top_operator(t, n);
	o->kind = MM_OPERATOR_CERTIFICATE;
	memset(o->secret_sha256, 0, 32);
	memset(o->spki_sha256, 0x70 + (int)n, 32);
	strcpy(o->description, "on a card");
	strcpy(o->sources, "10.0.0.0/8");
}

void
top_operator_erase(struct top *t, unsigned n)
{
	top_operator(t, n);
	t->op.kind = MM_OP_OPERATOR_ERASE;
}

void
top_checkpoint(struct top *t, unsigned size)
{
	top_init(t, MM_OP_CHECKPOINT_PUT, size);
	t->op.nentries = 0;
	t->op.u.checkpoint.size = size;
	t->op.u.checkpoint.note = mm_bytes_of("note");
}

void
top_crl(struct top *t, unsigned number)
{
	top_init(t, MM_OP_CRL_PUT, number);
	strcpy(t->op.u.crl.issuer, ISSUER);
	t->op.u.crl.number = number;
	t->op.u.crl.next_s = 77;
	t->op.u.crl.der = mm_bytes_of("crl");
}

/* Of the run: shards 5 and 7, or 7 alone after another one. */
#define FOLLOWS(n) 0, 0, 0, 0, 0, 0, 0, n
#define ANY_ONE    255, 255, 255, 255, 255, 255, 255, 255
#define LIST(c)    0, 0, 0, 1, c

void
fx_shards_alone(struct top *t)
{
	static const uint8_t two[] = { 0, 0, 0, 5, ANY_ONE, LIST('a'),
		0, 0, 0, 7, ANY_ONE, LIST('b') };

	t->op.u.crl.der.n = 0;
	t->op.u.crl.shards = (struct mm_bytes){ two, sizeof(two) };
}

void
fx_shards_too(struct top *t)
{
	struct mm_bytes der = t->op.u.crl.der;

	fx_shards_alone(t);
	t->op.u.crl.der = der;
}

void
fx_shard_after_2(struct top *t)
{
	static const uint8_t one[] = { 0, 0, 0, 7, FOLLOWS(2), LIST('c') };

	t->op.u.crl.der.n = 0;
	t->op.u.crl.shards = (struct mm_bytes){ one, sizeof(one) };
}

void
fx_shards_5_any_7_after_2(struct top *t)
{
	static const uint8_t two[] = { 0, 0, 0, 5, ANY_ONE, LIST('d'),
		0, 0, 0, 7, FOLLOWS(2), LIST('d') };

	t->op.u.crl.der.n = 0;
	t->op.u.crl.shards = (struct mm_bytes){ two, sizeof(two) };
}

void
top_answer(struct top *t, unsigned hours)
{
	struct mm_op_answer *a = &t->op.u.answer;

	top_init(t, MM_OP_ANSWER_PUT, hours);
	t->op.nentries = 0;
	strcpy(a->key, "op/key");
	memset(a->request_sha256, 9, 32);
	a->status = 201;
	a->body = mm_bytes_of("{}");
	a->at = T0 + (int64_t)hours * 3600000;
}

/* ---- running and looking ---- */

void
must(enum mm_err err, const struct mm_why *why)
{
	if (err != MM_OK)
		fail_msg("%s: %s", mm_err_slug(err), why->text);
}

enum mm_err
run_all(struct fx *f, struct top *t, size_t n)
{
	struct mm_op *ops[512];
	struct mm_why why = { 0 };

	assert_true(n <= 512);
	for (size_t i = 0; i < n; i++)
		ops[i] = &t[i].op;
	return mm_store_run(f->s, ops, n, &why);
}

enum mm_err
run1(struct fx *f, struct top *t)
{
	enum mm_err err = run_all(f, t, 1);

	return err == MM_OK ? t->op.result : err;
}

int
cert_state(struct fx *f, unsigned n)
{
	struct mm_cert_row row;
	uint8_t serial[16];

	serial_of(n, serial);
	return mm_get_cert(f->r, serial, &row, NULL) == MM_OK ?
	    (int)row.state : -1;
}

int
token_state(struct fx *f, unsigned n)
{
	struct mm_token_row row;
	char id[25];

	token_of(n, id);
	return mm_get_token(f->r, id, &row, NULL) == MM_OK ?
	    (int)row.state : -1;
}

/* ---- the whole ---- */

struct tiles {
	struct fx *f;
	struct mm_buf buf;
};

static enum mm_err
tile(void *ctx, const struct mm_tile_id *id, struct mm_bytes *out,
    struct mm_why *why)
{
	struct tiles *t = ctx;

	mm_buf_reset(&t->buf);
	MM_TRY(mm_get_tile(t->f->r, id, &t->buf, why));
	*out = mm_buf_view(&t->buf);
	return MM_OK;
}

static enum mm_err
grow(void *ctx, uint64_t index, struct mm_bytes entry, struct mm_why *why)
{
	struct mm_frontier *frontier = ctx;
	struct mm_hash leaf = mm_tree_leaf(entry);

	(void)why;
	assert_int_equal(index, frontier->size);
	mm_frontier_append(frontier, &leaf);
	return MM_OK;
}

static void
check_root(struct fx *f, uint64_t size)
{
	struct tiles t = { f, MM_BUF_INIT(1 << 20) };
	struct mm_tile_reader reader = { tile, &t, size };
	struct mm_frontier frontier = { 0 };
	struct mm_hash want, got;
	struct mm_why why = { 0 };

	must(mm_each_entry(f->r, 0, size, grow, &frontier, &why), &why);
	want = mm_frontier_root(&frontier);
	must(mm_tree_root_at(mm_tile_read, &reader, size, &got, &why), &why);
	assert_memory_equal(want.b, got.b, MM_HASH_N);
	mm_buf_done(&t.buf);
}

struct tally {
	uint64_t rows, listed;
	char next[MM_AUTHORITY_TEXT];
};

static enum mm_err
tally(void *ctx, const void *row, const char *next, struct mm_why *why)
{
	struct tally *t = ctx;

	(void)row;
	(void)why;
	t->rows++;
	snprintf(t->next, sizeof(t->next), "%s", next);
	return MM_OK;
}

static enum mm_err
tally_cert(void *ctx, const void *row, const char *next, struct mm_why *why)
{
	const struct mm_cert_row *c = row;
	struct tally *t = ctx;

	t->listed += c->state == MM_CERT_HELD || c->state == MM_CERT_REVOKED ||
	    c->state == MM_CERT_ORPHANED;
	return tally(ctx, row, next, why);
}

typedef enum mm_err list_fn(struct mm_store_reader *r,
    const struct mm_list *l, mm_row_fn *fn, void *ctx, struct mm_why *why);

static struct tally
count(struct fx *f, list_fn *list, mm_row_fn *fn)
{
	struct mm_list l = { .most = 100, .state = -1 };
	struct tally t = { 0 };
	struct mm_why why = { 0 };
	uint64_t before;

	do {
		before = t.rows;
		snprintf(l.after, sizeof(l.after), "%s", t.next);
		must(list(f->r, &l, fn, &t, &why), &why);
	} while (t.rows > before);
	return t;
}

void
check_whole(struct fx *f)
{
	struct mm_store_counts c;
	struct mm_why why = { 0 };
	struct tally certs = count(f, mm_list_certs, tally_cert);

	must(mm_get_counts(f->r, &c, &why), &why);
	assert_int_equal(certs.rows, c.certs);
	assert_int_equal(certs.listed, c.revoked);
	assert_int_equal(count(f, mm_list_devices, tally).rows, c.devices);
	assert_int_equal(count(f, mm_list_tokens, tally).rows, c.tokens);
	assert_int_equal(count(f, mm_list_products, tally).rows, c.products);
	if (f->s != NULL)
		assert_int_equal(mm_store_ledger_size(f->s), c.entries);
	assert_int_equal(mm_get_entry(f->r, c.entries,
	    &(struct mm_buf){ .max = 100 }, NULL), MM_ENOTFOUND);
	if (c.entries > 0)
		check_root(f, c.entries);
	if (c.entries > 1)
		check_root(f, c.entries - 1);
}
