#include "fixture.h"

#include <stdio.h>
#include <string.h>

/* What was written comes back, in every form it can be asked for. */

static void
small_rows_come_back(const struct mm_store_backend *b)
{
	struct fx f;
	struct top t;
	struct mm_product p;
	struct mm_operator o;

	if (!fx_open(&f, b))
		return;
	top_product(&t, PRODUCT);
	assert_int_equal(run1(&f, &t), MM_OK);
	assert_int_equal(mm_get_product(f.r, PRODUCT, &p, NULL), MM_OK);
	assert_string_equal(p.name, PRODUCT);
	assert_string_equal(p.description, "A thermo");
	assert_string_equal(p.ldevid_profile, "ldevid");
	assert_string_equal(p.hw_type_oid, "");
	assert_int_equal(p.created_at, T0);
	top_operator(&t, 5);
	assert_int_equal(run1(&f, &t), MM_OK);
	assert_int_equal(mm_get_operator(f.r, "0000000000000005", &o, NULL),
	    MM_OK);
	assert_memory_equal(o.secret_sha256, t.op.u.operator_.secret_sha256,
	    32);
	fx_close(&f);
}

static void
operator_by_its_key(const struct mm_store_backend *b)
{
	struct fx f;
	struct top t;
	struct mm_operator o;
	uint8_t none[32] = { 1 };

	if (!fx_open(&f, b))
		return;
	top_operator_cert(&t, 5);
	strcpy(t.op.u.operator_.scope, "product:a,product:b");
	assert_int_equal(run1(&f, &t), MM_OK);
	assert_int_equal(mm_get_operator_key(f.r,
	    t.op.u.operator_.spki_sha256, &o, NULL), MM_OK);
	assert_string_equal(o.id, t.op.u.operator_.id);
	assert_int_equal(o.kind, MM_OPERATOR_CERTIFICATE);
	assert_string_equal(o.scope, "product:a,product:b");
	assert_string_equal(o.sources, "10.0.0.0/8");
	assert_string_equal(o.description, "on a card");
	assert_int_equal(o.used_at, 0);
	assert_int_equal(mm_get_operator_key(f.r, none, &o, NULL),
	    MM_ENOTFOUND);
	t.op.kind = MM_OP_OPERATOR_USED;
	t.op.nentries = 0;
	t.op.u.operator_.used_at = T0 + 9;
	assert_int_equal(run1(&f, &t), MM_OK);
	t.op.u.operator_.used_at = T0 + 8;
	assert_int_equal(run1(&f, &t), MM_OK);
	top_operator_erase(&t, 5);
	assert_int_equal(run1(&f, &t), MM_OK);
	assert_int_equal(mm_get_operator(f.r, o.id, &o, NULL), MM_OK);
	assert_string_equal(o.name, "");
	assert_string_equal(o.description, "");
	assert_int_equal(o.used_at, T0 + 9);
	fx_close(&f);
}

/* Of operator 5, to a key of these bytes. */
static enum mm_err
next_key(struct fx *f, struct top *t, enum mm_op_kind kind, uint8_t byte)
{
	struct mm_operator *o = &t->op.u.operator_;

	t->op.kind = kind;
	o->next_expires_at = T0 + 70;
	o->renewed_at = T0 + 7;
	memset(o->next_spki, byte, 32);
	return run1(f, t);
}
#define RENEW   MM_OP_OPERATOR_RENEW
#define CONFIRM MM_OP_OPERATOR_CONFIRM

static enum mm_err
by_key(struct fx *f, uint8_t byte, struct mm_operator *o)
{
	uint8_t spki[32];

	memset(spki, byte, 32);
	return mm_get_operator_key(f->r, spki, o, NULL);
}

/* The next key is its own from the start, and good once it is confirmed. */
static void
operator_gets_another_key(const struct mm_store_backend *b)
{
	struct mm_operator o;
	struct fx f;
	struct top t;

	if (!fx_open(&f, b))
		return;
	top_operator_cert(&t, 5); /* its key: 0x75 */
	t.op.u.operator_.life_ms = 1000;
	assert_int_equal(run1(&f, &t), MM_OK);
	assert_int_equal(next_key(&f, &t, RENEW, 0x75), MM_ECONFLICT);
	assert_int_equal(next_key(&f, &t, RENEW, 0x21), MM_OK);
	assert_int_equal(by_key(&f, 0x75, &o), MM_OK);
	assert_int_equal(by_key(&f, 0x21, &o), MM_OK);
	assert_int_equal(o.spki_sha256[0], 0x75);
	assert_int_equal(o.next_spki[0], 0x21);
	assert_int_equal(o.expires_at, 0);
	assert_int_equal(o.next_expires_at, T0 + 70);
	assert_int_equal(o.renewed_at, T0 + 7);
	assert_int_equal(o.life_ms, 1000);
	assert_int_equal(next_key(&f, &t, RENEW, 0x22), MM_OK);
	assert_int_equal(next_key(&f, &t, CONFIRM, 0x21), MM_ESTALE);
	assert_int_equal(next_key(&f, &t, CONFIRM, 0x22), MM_OK);
	assert_int_equal(by_key(&f, 0x75, &o), MM_ENOTFOUND);
	assert_int_equal(by_key(&f, 0x22, &o), MM_OK);
	assert_int_equal(o.spki_sha256[0], 0x22);
	assert_int_equal(o.expires_at, T0 + 70);
	t.op.nentries = 0;
	assert_int_equal(next_key(&f, &t, CONFIRM, 0x22), MM_OK);
	fx_close(&f);
}

/* Keys that were an operator's, or were to be, are nobody's again; and what is
 * revoked gets none. */
static void
operator_keys_are_spent(const struct mm_store_backend *b)
{
	struct fx f;
	struct top t;

	if (!fx_open(&f, b))
		return;
	top_operator_cert(&t, 5);
	assert_int_equal(run1(&f, &t), MM_OK);
	assert_int_equal(next_key(&f, &t, RENEW, 0x21), MM_OK);
	assert_int_equal(next_key(&f, &t, RENEW, 0x22), MM_OK);
	assert_int_equal(next_key(&f, &t, CONFIRM, 0x22), MM_OK);
	assert_int_equal(next_key(&f, &t, RENEW, 0x23), MM_ESTALE);
	memset(t.op.u.operator_.spki_sha256, 0x22, 32);
	assert_int_equal(next_key(&f, &t, RENEW, 0x75), MM_ECONFLICT);
	assert_int_equal(next_key(&f, &t, RENEW, 0x21), MM_ECONFLICT);
	for (int i = 0; i < 2; i++) {
		top_operator_cert(&t, 6);
		memset(t.op.u.operator_.spki_sha256, i == 0 ? 0x75 : 0x21, 32);
		assert_int_equal(run1(&f, &t), MM_ECONFLICT);
	}
	top_operator(&t, 7);
	assert_int_equal(run1(&f, &t), MM_OK);
	top_operator_gone(&t, 5);
	assert_int_equal(run1(&f, &t), MM_OK);
	memset(t.op.u.operator_.spki_sha256, 0x22, 32);
	assert_int_equal(next_key(&f, &t, RENEW, 0x23), MM_EPOLICY);
	assert_int_equal(next_key(&f, &t, CONFIRM, 0x23), MM_EPOLICY);
	fx_close(&f);
}

static void
certificate_comes_back(const struct mm_store_backend *b)
{
	struct fx f;
	struct top t;
	struct mm_cert_row row, *in = &t.op.u.issue.row;
	uint8_t none[16] = { 0 };
	struct mm_buf der = MM_BUF_INIT(1000);

	if (!fx_open(&f, b))
		return;
	top_mint(&t, 1);
	assert_int_equal(run1(&f, &t), MM_OK);
	top_issue(&t, 1);
	assert_int_equal(run1(&f, &t), MM_OK);
	assert_int_equal(mm_get_cert(f.r, t.serial, &row, NULL), MM_OK);
	in->entry = t.op.index;
	assert_string_equal(row.device, in->device);
	assert_string_equal(row.profile, in->profile);
	assert_string_equal(row.issuer, in->issuer);
	assert_string_equal(row.authority, in->authority);
	assert_memory_equal(row.cert_sha256, in->cert_sha256, 32);
	assert_memory_equal(row.predecessor, none, 16);
	assert_int_equal(row.not_after_s, in->not_after_s);
	assert_int_equal(row.shard, in->shard);
	assert_int_equal(row.entry, in->entry);
	assert_int_equal(mm_get_cert_der(f.r, t.serial, &der, NULL), MM_OK);
	assert_int_equal(der.n, 600);
	assert_memory_equal(der.p, t.der, 600);
	mm_buf_done(&der);
	fx_close(&f);
}

/* By authority, by key, by device without case. */
static void
certificate_is_found(const struct mm_store_backend *b)
{
	struct fx f;
	struct top t, gone;
	struct mm_cert_row row, *in = &t.op.u.issue.row;
	struct mm_claim claim;
	struct mm_device d;
	struct mm_key_use use;
	struct mm_token_facts facts;
	uint8_t none[32] = { 0 };

	if (!fx_open(&f, b))
		return;
	top_mint(&t, 1);
	assert_int_equal(run1(&f, &t), MM_OK);
	top_issue(&t, 1);
	assert_int_equal(mm_get_token_facts(f.r, in->authority + 6, &facts,
	    NULL), MM_OK);
	assert_string_equal(facts.token.id, in->authority + 6);
	assert_int_equal(facts.token.state, MM_TOKEN_MINTED);
	assert_string_equal(facts.device.id, "SN-1");
	assert_int_equal(facts.device.state, MM_DEVICE_ACTIVE);
	assert_false(facts.claimed);
	assert_int_equal(run1(&f, &t), MM_OK);
	assert_int_equal(mm_get_token_facts(f.r, in->authority + 6, &facts,
	    NULL), MM_OK);
	assert_int_equal(facts.token.state, MM_TOKEN_ISSUED);
	assert_true(facts.claimed);
	assert_int_equal(mm_get_token_facts(f.r, "mm1-none", &facts, NULL),
	    MM_ENOTFOUND);
	assert_int_equal(mm_get_claim(f.r, in->authority, &claim, NULL),
	    MM_OK);
	assert_memory_equal(claim.serial, t.serial, 16);
	assert_int_equal(claim.replaced, 0);
	assert_int_equal(mm_get_claim(f.r, "token:none", &claim, NULL),
	    MM_ENOTFOUND);
	assert_int_equal(mm_get_key_use(f.r, in->spki_sha256, &use, NULL),
	    MM_OK);
	assert_string_equal(use.device, "SN-1");
	assert_false(use.compromised);
	assert_int_equal(mm_get_key_use(f.r, none, &use, NULL),
	    MM_ENOTFOUND);
	assert_int_equal(mm_get_device(f.r, "sn-1", &d, NULL), MM_OK);
	assert_string_equal(d.id, "SN-1");
	assert_int_equal(mm_get_device_cert(f.r, "SN-1", false, &row, NULL),
	    MM_OK);
	assert_int_equal(mm_get_device_cert(f.r, "SN-1", true, &row, NULL),
	    MM_ENOTFOUND);
	top_revoke(&gone, 1, MM_CERT_REVOKED);
	gone.op.u.revoke.reason = 1;
	assert_int_equal(run1(&f, &gone), MM_OK);
	assert_int_equal(mm_get_key_use(f.r, in->spki_sha256, &use, NULL),
	    MM_OK);
	assert_true(use.compromised);
	fx_close(&f);
}

static void
successor_and_replacements(const struct mm_store_backend *b)
{
	struct fx f;
	struct top t;
	struct mm_claim claim;
	struct mm_cert_row row;
	uint8_t first[16], last[16];
	char authority[38] = "cert:";

	if (!fx_open(&f, b))
		return;
	top_mint(&t, 1);
	assert_int_equal(run1(&f, &t), MM_OK);
	top_issue(&t, 1);
	assert_int_equal(run1(&f, &t), MM_OK);
	serial_of(1, first);
	mm_hex_text(first, 16, authority + 5);
	assert_int_equal(mm_get_successor(f.r, first, &row, NULL),
	    MM_ENOTFOUND);
	for (unsigned i = 0; i < 4; i++) {
		top_issue(&t, 10 + i);
		strcpy(t.op.u.issue.row.device, "sn-1");
		strcpy(t.op.u.issue.row.authority, authority);
		memcpy(t.op.u.issue.row.predecessor, first, 16);
		/* the third: more than 24 h after the first replacement */
		t.op.u.issue.row.issued_at = T0 + (i == 3 ? 90000000 : i);
		t.op.u.issue.replaces = i > 0 ? last : NULL;
		assert_int_equal(run1(&f, &t), MM_OK);
		assert_int_equal(mm_get_successor(f.r, first, &row, NULL),
		    MM_OK);
		assert_memory_equal(row.serial, t.serial, 16);
		assert_memory_equal(row.predecessor, first, 16);
		assert_int_equal(mm_get_claim(f.r, authority, &claim, NULL),
		    MM_OK);
		assert_int_equal(claim.replaced, i == 3 ? 1 : i);
		memcpy(last, t.serial, 16);
	}
	check_whole(&f);
	fx_close(&f);
}

struct heads {
	unsigned n;
	struct mm_shard_row row[4];
};

static enum mm_err
head(void *ctx, const void *row, const char *next, struct mm_why *why)
{
	struct heads *h = ctx;

	(void)next, (void)why;
	assert_true(h->n < 4);
	h->row[h->n++] = *(const struct mm_shard_row *)row;
	return MM_OK;
}

/* Each shard's newest, of one issuer. */
static void
shards(const struct mm_store_backend *b)
{
	struct mm_buf list = MM_BUF_INIT(100), got = MM_BUF_INIT(100);
	struct heads h = { 0 };
	struct fx f;
	struct top t;
	uint64_t n;
	int64_t next;

	if (!fx_open(&f, b))
		return;
	mm_op_crl_shard(&list, 65535, MM_CRL_ANY, mm_bytes_of("last"));
	mm_op_crl_shard(&list, 2, 0, mm_bytes_of("two"));
	top_crl(&t, 4);
	t.op.u.crl.der.n = 0;
	t.op.u.crl.shards = mm_buf_view(&list);
	assert_int_equal(run1(&f, &t), MM_OK);
	mm_buf_reset(&list);
	mm_op_crl_shard(&list, 2, 4, mm_bytes_of("two again"));
	top_crl(&t, 9);
	t.op.u.crl.der.n = 0;
	t.op.u.crl.shards = mm_buf_view(&list);
	assert_int_equal(run1(&f, &t), MM_OK);
	assert_int_equal(mm_list_shards(f.r, ISSUER, head, &h, NULL), MM_OK);
	assert_int_equal(h.n, 2);
	assert_int_equal(h.row[0].shard, 2);
	assert_int_equal(h.row[0].number, 9);
	assert_int_equal(h.row[1].shard, 65535);
	assert_int_equal(h.row[1].number, 4);
	assert_int_equal(h.row[1].next_s, 77);
	assert_int_equal(mm_get_shard(f.r, ISSUER, 2, &n, &next, &got, NULL),
	    MM_OK);
	assert_int_equal(n, 9);
	assert_int_equal(next, 77);
	assert_string_equal(mm_buf_cstr(&got), "two again");
	assert_int_equal(mm_get_shard(f.r, "another", 2, &n, &next, &got,
	    NULL), MM_ENOTFOUND);
	assert_int_equal(mm_get_crl(f.r, ISSUER, &n, &next, NULL, NULL),
	    MM_ENOTFOUND);
	mm_buf_done(&list);
	mm_buf_done(&got);
	fx_close(&f);
}

static void
documents_come_back(const struct mm_store_backend *b)
{
	struct fx f;
	struct top t;
	struct mm_buf buf = MM_BUF_INIT(100);
	uint64_t n;
	int64_t next;
	struct mm_answer_row row;

	if (!fx_open(&f, b))
		return;
	assert_int_equal(mm_get_checkpoint(f.r, &n, &buf, NULL),
	    MM_ENOTFOUND);
	assert_int_equal(mm_get_crl(f.r, ISSUER, &n, &next, &buf, NULL),
	    MM_ENOTFOUND);
	top_crl(&t, 4);
	assert_int_equal(run1(&f, &t), MM_OK);
	top_checkpoint(&t, 1);
	assert_int_equal(run1(&f, &t), MM_OK);
	top_answer(&t, 0);
	assert_int_equal(run1(&f, &t), MM_OK);
	assert_int_equal(mm_get_crl(f.r, ISSUER, &n, &next, &buf, NULL),
	    MM_OK);
	assert_int_equal(n, 4);
	assert_int_equal(next, 77);
	n = 0;
	assert_int_equal(mm_get_crl(f.r, ISSUER, &n, &next, NULL, NULL),
	    MM_OK);
	assert_int_equal(n, 4);
	assert_int_equal(mm_get_shard(f.r, ISSUER, 7, &n, &next, &buf, NULL),
	    MM_ENOTFOUND);
	assert_int_equal(mm_get_checkpoint(f.r, &n, &buf, NULL), MM_OK);
	assert_int_equal(n, 1);
	assert_int_equal(mm_get_answer(f.r, "op/key", &row, &buf, NULL),
	    MM_OK);
	assert_int_equal(row.status, 201);
	assert_int_equal(row.request_sha256[31], 9);
	assert_int_equal(row.at, t.op.u.answer.at);
	assert_string_equal(mm_buf_cstr(&buf), "crlnote{}");
	mm_buf_done(&buf);
	fx_close(&f);
}

/* A batch of reads sees one state, whatever is written meanwhile. */
static void
snapshot_holds(const struct mm_store_backend *b)
{
	struct fx f;
	struct top t;
	uint64_t size;

	if (!fx_open(&f, b))
		return;
	assert_int_equal(mm_reader_begin(f.r, NULL), MM_OK);
	top_init(&t, MM_OP_ENTRY, 1);
	assert_int_equal(run1(&f, &t), MM_OK);
	assert_int_equal(mm_get_ledger_size(f.r, &size, NULL), MM_OK);
	assert_int_equal(size, 0);
	assert_int_equal(mm_store_tidy(f.r, NULL), MM_OK);
	mm_reader_end(f.r);
	assert_int_equal(mm_get_ledger_size(f.r, &size, NULL), MM_OK);
	assert_int_equal(size, 1);
	assert_int_equal(mm_store_tidy(f.r, NULL), MM_OK);
	check_whole(&f);
	fx_close(&f);
}

/* ---- opening ---- */

static void
opening(const struct mm_store_backend *b)
{
	struct fx f;
	struct mm_store *second = NULL;
	struct mm_store_reader *r = NULL;

	assert_int_equal(mm_store_open("nosuch:x", true, &second, NULL),
	    MM_EINPUT);
	if (!fx_open(&f, b))
		return;
	/* A file has one writer; a server has as many as there are nodes. */
	assert_int_equal(mm_store_open(f.url, false, &second, NULL),
	    f.dir[0] != '\0' ? MM_ECONFLICT : MM_OK);
	mm_store_close(&second);
	assert_int_equal(mm_reader_open(f.url, &r, NULL), MM_OK);
	mm_reader_close(&r);
	mm_store_close(&f.s);
	assert_int_equal(mm_store_open(f.url, true, &f.s, NULL), MM_OK);
	check_whole(&f);
	fx_close(&f);
	assert_int_equal(mm_store_open(f.url, false, &second, NULL),
	    MM_ENOTFOUND);
	assert_int_equal(mm_reader_open(f.url, &r, NULL), MM_ENOTFOUND);
}

ON_BACKENDS(small_rows_come_back)
ON_BACKENDS(operator_by_its_key)
ON_BACKENDS(operator_gets_another_key)
ON_BACKENDS(operator_keys_are_spent)
ON_BACKENDS(certificate_comes_back)
ON_BACKENDS(certificate_is_found)
ON_BACKENDS(successor_and_replacements)
ON_BACKENDS(documents_come_back)
ON_BACKENDS(shards)
ON_BACKENDS(snapshot_holds)
ON_BACKENDS(opening)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_small_rows_come_back),
		cmocka_unit_test(test_operator_by_its_key),
		cmocka_unit_test(test_operator_gets_another_key),
		cmocka_unit_test(test_operator_keys_are_spent),
		cmocka_unit_test(test_certificate_comes_back),
		cmocka_unit_test(test_certificate_is_found),
		cmocka_unit_test(test_successor_and_replacements),
		cmocka_unit_test(test_documents_come_back),
		cmocka_unit_test(test_shards),
		cmocka_unit_test(test_snapshot_holds),
		cmocka_unit_test(test_opening),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
