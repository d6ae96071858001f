#include "fixture.h"

#include <stdio.h>
#include <string.h>

/* Devices under conditions, their attributes' index, versions, histories. */

enum { DEVICES = 60 };

/* SN-n: revision B0..B4, lot n, odd ones blue; every third has certificates
 * of "line-ca", every seventh (too) of "cloud-ca" with another key type. */
static void
put_device(struct fx *f, unsigned n, const char *indexed)
{
	struct top t;

	top_device(&t, n);
	snprintf(t.op.u.device.row.attributes,
	    sizeof(t.op.u.device.row.attributes),
	    "{\"blue\":%s,\"hw_rev\":\"B%u\",\"lot\":%u,\"x\":{\"y\":1}}",
	    n % 2 ? "true" : "false", n % 5, n);
	t.op.u.device.indexed = indexed;
	if (n % 10 == 9)
		strcpy(t.op.u.device.row.product, "other");
	t.op.u.device.row.created_at = T0 + n * 120000;
	assert_int_equal(run1(f, &t), MM_OK);
}

static void
put_cert(struct fx *f, unsigned n, unsigned device, const char *issuer)
{
	struct top t;

	top_issue(&t, n);
	snprintf(t.op.u.issue.row.device, sizeof(t.op.u.issue.row.device),
	    "SN-%u", device);
	if (device % 10 == 9)
		strcpy(t.op.u.issue.row.product, "other");
	strcpy(t.op.u.issue.row.issuer, issuer);
	snprintf(t.op.u.issue.row.authority, MM_AUTHORITY_TEXT, "op:%u", n);
	t.op.u.issue.row.issued_at = T0 + device * 120000;
	t.op.u.issue.row.key_type = issuer[0] == 'l' ? 1 : 3;
	assert_int_equal(run1(f, &t), MM_OK);
}

static void
fill(struct fx *f, const char *indexed)
{
	for (unsigned n = 0; n < DEVICES; n++)
		put_device(f, n, indexed);
	for (unsigned n = 0; n < DEVICES; n++) {
		if (n % 3 == 0)
			put_cert(f, n, n, "line-ca");
		if (n % 3 == 0 && n % 2 == 0) /* and once more */
			put_cert(f, n + 200, n, "line-ca");
		if (n % 7 == 0)
			put_cert(f, n + 100, n, "cloud-ca");
	}
}

struct seen {
	uint64_t set; /* bit n: SN-n */
	unsigned n, pages;
};

static enum mm_err
note(void *ctx, const void *row, const char *next, struct mm_why *why)
{
	struct seen *s = ctx;
	unsigned n;

	(void)next;
	(void)why;
	assert_int_equal(sscanf(((const struct mm_device *)row)->id, "SN-%u",
	    &n), 1);
	assert_false(s->set >> n & 1); /* once */
	s->set |= UINT64_C(1) << n;
	s->n++;
	return MM_OK;
}

static struct seen
walk(struct fx *f, struct mm_recall q, unsigned most, unsigned scan)
{
	struct seen s = { 0 };
	struct mm_why why = { 0 };

	q.most = most;
	q.scan = scan;
	do {
		must(mm_recall_devices(f->r, &q, note, &s, q.after, &why),
		    &why);
		s.pages++;
		assert_true(s.pages < 1000);
	} while (q.after[0] != '\0');
	return s;
}

#define TEXT_IS(n, o, t, ix) \
	{ .name = n, .op = MM_WHERE_##o, .text = t, .indexed = ix }
#define NUMBER_IS(n, o, v, ix) \
	{ .name = n, .op = MM_WHERE_##o, .is_number = true, .number = v, \
	    .indexed = ix }
#define ANY .state = -1

static bool all_(unsigned n) { (void)n; return true; }
static bool none_(unsigned n) { (void)n; return false; }
static bool b2(unsigned n) { return n % 5 == 2; }
static bool b2_blue(unsigned n) { return n % 5 == 2 && n % 2 == 1; }
static bool over40(unsigned n) { return n > 40; }
static bool least40(unsigned n) { return n >= 40; }
static bool upto10(unsigned n) { return n <= 10; }
static bool below10(unsigned n) { return n < 10; }
static bool middle(unsigned n) { return n >= 10 && n < 20; }
static bool other(unsigned n) { return n % 10 == 9; }
static bool other_blue_40(unsigned n) { return n % 10 == 9 && n > 40; }
static bool cloud(unsigned n) { return n % 7 == 0; }
static bool line(unsigned n) { return n % 3 == 0; }
static bool line_b2(unsigned n) { return n % 3 == 0 && n % 5 == 2; }
static bool issued_low(unsigned n) { return n % 3 == 0 && n < 30; }
static bool twelve(unsigned n) { return n == 12; }
static bool b_and_40(unsigned n) { return n > 40; }

/* Each is asked with and without an index, and must find the same. */
static const struct {
	const char *what;
	struct mm_recall q;
	bool (*is)(unsigned n);
} rows[] = {
	{ "all", { ANY }, all_ },
	{ "retired", { .state = MM_DEVICE_RETIRED }, none_ },
	{ "equal", { ANY, .nwhere = 1, .where = {
	    TEXT_IS("hw_rev", EQ, "B2", true) } }, b2 },
	{ "equal, and a truth", { ANY, .nwhere = 2, .where = {
	    NUMBER_IS("blue", EQ, 1, true),
	    TEXT_IS("hw_rev", EQ, "B2", true) } }, b2_blue },
	{ "no such", { ANY, .nwhere = 1, .where = {
	    TEXT_IS("hw_rev", EQ, "b2", true) } }, none_ },
	{ "a text is no number", { ANY, .nwhere = 1, .where = {
	    TEXT_IS("lot", EQ, "7", true) } }, none_ },
	{ "nor a member that is an object", { ANY, .nwhere = 1, .where = {
	    TEXT_IS("x", PREFIX, "", true) } }, none_ },
	{ "prefix", { ANY, .nwhere = 1, .where = {
	    TEXT_IS("hw_rev", PREFIX, "B", true) } }, all_ },
	{ "prefix, one", { ANY, .nwhere = 1, .where = {
	    TEXT_IS("hw_rev", PREFIX, "B2", true) } }, b2 },
	{ "above", { ANY, .nwhere = 1, .where = {
	    NUMBER_IS("lot", GT, 40, true) } }, over40 },
	{ "from", { ANY, .nwhere = 1, .where = {
	    NUMBER_IS("lot", GE, 40, true) } }, least40 },
	{ "up to", { ANY, .nwhere = 1, .where = {
	    NUMBER_IS("lot", LE, 10, true) } }, upto10 },
	{ "below", { ANY, .nwhere = 1, .where = {
	    NUMBER_IS("lot", LT, 10, true) } }, below10 },
	{ "between", { ANY, .nwhere = 2, .where = {
	    NUMBER_IS("lot", GE, 10, true),
	    NUMBER_IS("lot", LT, 20, true) } }, middle },
	{ "prefix, and above", { ANY, .nwhere = 2, .where = {
	    TEXT_IS("hw_rev", PREFIX, "B", true),
	    NUMBER_IS("lot", GT, 40, true) } }, b_and_40 },
	{ "product", { ANY, .product = "other" }, other },
	{ "product that is none", { ANY, .product = "x" }, none_ },
	{ "product, above", { ANY, .product = "other", .nwhere = 1,
	    .where = { NUMBER_IS("lot", GT, 40, true) } }, other_blue_40 },
	{ "created", { ANY, .created_from = T0 + 10 * 120000,
	    .created_to = T0 + 20 * 120000 }, middle },
	{ "issuer", { ANY, .issuer = "cloud-ca" }, cloud },
	{ "key type", { ANY, .key_type = 3 }, cloud },
	{ "both of one certificate", { ANY, .key_type = 3,
	    .issuer = "line-ca" }, none_ },
	{ "issuer, equal", { ANY, .issuer = "line-ca", .nwhere = 1, .where = {
	    TEXT_IS("hw_rev", EQ, "B2", true) } }, line_b2 },
	{ "issued", { ANY, .issuer = "line-ca", .issued_from = T0,
	    .issued_to = T0 + 30 * 120000 }, issued_low },
	{ "issued from", { ANY, .issued_from = T0, .key_type = 1 }, line },
	{ "named", { ANY, .device = "sn-12" }, twelve },
	{ "named, and more", { ANY, .device = "SN-12", .issuer = "line-ca",
	    .nwhere = 1, .where = { TEXT_IS("hw_rev", EQ, "B2", true) } },
	    twelve },
	{ "named, not of the product", { ANY, .device = "SN-12",
	    .product = "x" }, none_ },
	{ "named, nobody", { ANY, .device = "SN-999" }, none_ },
};

static void
recall(const struct mm_store_backend *b)
{
	static const unsigned sizes[][2] = { { 100, 1000 }, { 3, 1000 },
		{ 7, 5 }, { 1, 1 } };
	struct fx f;

	if (!fx_open(&f, b))
		return;
	fill(&f, "[\"hw_rev\",\"lot\",\"blue\",\"x\"]");
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct mm_recall q = rows[i].q;
		uint64_t want = 0;
		struct seen s;

		print_message("%s\n", rows[i].what);
		for (unsigned n = 0; n < DEVICES; n++)
			if (rows[i].is(n))
				want |= UINT64_C(1) << n;
		for (unsigned k = 0; k < 4; k++) {
			assert_true(walk(&f, q, sizes[k][0],
			    sizes[k][1]).set == want);
			for (unsigned w = 0; w < q.nwhere; w++)
				q.where[w].indexed = !q.where[w].indexed;
		}
		q.until_ms = 1; /* over before it began */
		s = walk(&f, q, 100, 1000);
		assert_true(s.set == want);
		assert_true(s.pages >= s.n || b != mm_store_backends[0]);
	}
	fx_close(&f);
}

static void
bounds(const struct mm_store_backend *b)
{
	static const char *const bad[] = { "x1", "e", "d", "d1:n2", "e1x",
		"-1", "e99999999999999999999" };
	struct mm_recall q = { ANY, .most = 10, .scan = 10, .nwhere = 1,
		.where = { TEXT_IS("hw_rev", EQ, "B2", true) } };
	struct seen s = { 0 };
	char next[MM_RECALL_AFTER];
	struct fx f;

	if (!fx_open(&f, b))
		return;
	fill(&f, NULL);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		strcpy(q.after, bad[i]);
		assert_int_equal(mm_recall_devices(f.r, &q, note, &s, next,
		    NULL), MM_EINPUT);
	}
	/* what no schema marked is not in the index */
	q.after[0] = '\0';
	assert_int_equal(mm_recall_devices(f.r, &q, note, &s, next, NULL),
	    MM_OK);
	assert_int_equal(s.n, 0);
	/* a page looks at no more than it may, and says so */
	q.where[0].indexed = false;
	q.where[0].text[1] = '9';
	assert_int_equal(mm_recall_devices(f.r, &q, note, &s, next, NULL),
	    MM_OK);
	assert_int_equal(s.n, 0);
	assert_string_not_equal(next, "");
	fx_close(&f);
}

/* ---- the index follows the rows, and another schema ---- */

static unsigned
count_of(struct fx *f, const char *rev)
{
	struct mm_recall q = { ANY, .nwhere = 1, .where = {
		TEXT_IS("hw_rev", EQ, "", true) } };

	strcpy(q.where[0].text, rev);
	return walk(f, q, 100, 1000).n;
}

static void
index_again(struct fx *f, const char *indexed)
{
	struct top t;

	top_init(&t, MM_OP_DEVICES_INDEX, 0);
	t.op.nentries = 0;
	t.op.u.index.most = 7;
	t.op.u.index.indexed = indexed;
	strcpy(t.op.u.index.product, PRODUCT);
	do {
		assert_int_equal(run1(f, &t), MM_OK);
		strcpy(t.op.u.index.after, t.op.u.index.next);
	} while (t.op.u.index.next[0] != '\0');
}

static void
indexing(const struct mm_store_backend *b)
{
	struct fx f;
	struct top t;

	if (!fx_open(&f, b))
		return;
	fill(&f, NULL);
	assert_int_equal(count_of(&f, "B2"), 0);
	index_again(&f, "[\"hw_rev\"]");
	assert_int_equal(count_of(&f, "B2"), 12);
	assert_int_equal(count_of(&f, "B4"), 12 - 6); /* of the other product */
	top_device(&t, 2);
	strcpy(t.op.u.device.row.attributes, "{\"hw_rev\":\"C\"}");
	t.op.u.device.indexed = "[\"hw_rev\"]";
	t.op.u.device.replace = true;
	assert_int_equal(run1(&f, &t), MM_OK);
	assert_int_equal(count_of(&f, "B2"), 11);
	assert_int_equal(count_of(&f, "C"), 1);
	index_again(&f, NULL);
	assert_int_equal(count_of(&f, "B2") + count_of(&f, "C"), 0);
	check_whole(&f);
	fx_close(&f);
}

/* ---- versions ---- */

static void
versions(const struct mm_store_backend *b)
{
	struct mm_device d;
	struct fx f;
	struct top t, doc;

	if (!fx_open(&f, b))
		return;
	put_device(&f, 1, NULL);
	assert_int_equal(mm_get_device(f.r, "sn-1", &d, NULL), MM_OK);
	top_device(&t, 1);
	t.op.u.device.replace = t.op.u.device.if_version = true;
	t.op.u.device.row.version = d.version + 1;
	assert_int_equal(run1(&f, &t), MM_ESTALE);
	t.op.u.device.row.version = d.version;
	assert_int_equal(run1(&f, &t), MM_OK);
	assert_int_equal(run1(&f, &t), MM_ESTALE); /* it is another now */
	t.op.u.device.replace = t.op.u.device.if_version = false;
	assert_int_equal(run1(&f, &t), MM_ECONFLICT);
	t.op.u.device.same_is_fine = true;
	assert_int_equal(run1(&f, &t), MM_OK);
	assert_true(t.op.u.device.already);
	strcpy(t.op.u.device.row.attributes, "{}");
	assert_int_equal(run1(&f, &t), MM_ECONFLICT);
	/* the schema that it was checked against */
	t.op.u.device.replace = t.op.u.device.if_schema = true;
	t.op.u.device.schema = 1;
	assert_int_equal(run1(&f, &t), MM_ESTALE);
	top_init(&doc, MM_OP_DOC_PUT, 1);
	strcpy(doc.op.u.doc.id, PRODUCT);
	doc.op.u.doc.body = mm_bytes_of("{}");
	assert_int_equal(run1(&f, &doc), MM_OK);
	assert_int_equal(run1(&f, &t), MM_OK);
	fx_close(&f);
}

/* What one op of a transaction made of the schema the next one sees; what
 * became of a row the one that puts it again. */
static void
many(const struct mm_store_backend *b)
{
	static const enum mm_err want[] = { MM_OK, MM_OK, MM_ECONFLICT, MM_OK,
		MM_ESTALE, MM_OK };
	struct top t[6];
	struct fx f;

	if (!fx_open(&f, b))
		return;
	for (unsigned i = 0; i < 6; i++) {
		top_device(&t[i], i < 3 ? 7 : 8);
		t[i].op.u.device.if_schema = t[i].op.u.device.same_is_fine =
		    true;
	}
	strcpy(t[2].op.u.device.row.attributes, "{\"hw_rev\":\"C\"}");
	top_init(&t[3], MM_OP_DOC_PUT, 1);
	strcpy(t[3].op.u.doc.id, PRODUCT);
	t[3].op.u.doc.body = mm_bytes_of("{}");
	t[5].op.u.device.schema = 1;
	assert_int_equal(run_all(&f, t, 6), MM_OK);
	for (unsigned i = 0; i < 6; i++)
		assert_int_equal(t[i].op.result, want[i]);
	assert_false(t[0].op.u.device.already);
	assert_true(t[1].op.u.device.already);
	assert_false(t[5].op.u.device.already);
	assert_int_equal(run1(&f, &t[0]), MM_ESTALE);
	check_whole(&f);
	fx_close(&f);
}

static void
products(const struct mm_store_backend *b)
{
	struct mm_product p;
	struct fx f;
	struct top t;

	if (!fx_open(&f, b))
		return;
	top_product(&t, PRODUCT);
	assert_int_equal(run1(&f, &t), MM_OK);
	assert_int_equal(mm_get_product(f.r, PRODUCT, &p, NULL), MM_OK);
	assert_int_equal(p.version, 1);
	t.op.u.product.replace = t.op.u.product.if_version = true;
	t.op.u.product.row.version = 2;
	assert_int_equal(run1(&f, &t), MM_ESTALE);
	t.op.u.product.row.version = 1;
	assert_int_equal(run1(&f, &t), MM_OK);
	assert_int_equal(mm_get_product(f.r, PRODUCT, &p, NULL), MM_OK);
	assert_int_equal(p.version, 2);
	fx_close(&f);
}

/* ---- histories ---- */

struct list {
	char text[1000];
	uint64_t last;
};

/* "kind.n.i " of each entry, as the fixture writes them. */
static enum mm_err
note_entry(void *ctx, uint64_t index, struct mm_bytes entry,
    struct mm_why *why)
{
	struct list *l = ctx;
	char json[256];
	int kind;
	unsigned n, i;

	(void)why;
	assert_true(index < l->last);
	l->last = index;
	assert_true(mm_text_copy(json, sizeof(json), entry));
	assert_int_equal(sscanf(json,
	    "{\"v\":1,\"type\":\"test.%d\",\"n\":%u,\"i\":%u}", &kind, &n, &i),
	    3);
	snprintf(l->text + strlen(l->text), 40, "%d.%u.%u ", kind, n, i);
	return MM_OK;
}

static void
history_is(struct fx *f, const char *device, const char *want)
{
	struct list all = { "", UINT64_MAX }, one = all;
	uint64_t before;

	assert_int_equal(mm_list_history(f->r, device, UINT64_MAX, 100,
	    note_entry, &all, NULL), MM_OK);
	assert_string_equal(all.text, want);
	do {
		before = one.last;
		assert_int_equal(mm_list_history(f->r, device, before, 1,
		    note_entry, &one, NULL), MM_OK);
	} while (one.last != before);
	assert_string_equal(one.text, want);
}

/* Two devices' lives, woven into each other. */
static void
history(const struct mm_store_backend *b)
{
	struct top t[10];
	char want[400];
	struct fx f;

	if (!fx_open(&f, b))
		return;
	top_mint(&t[0], 1); /* 0: of the device, 1: of the token */
	t[0].op.nentries = 2;
	top_mint(&t[1], 2);
	top_issue(&t[2], 1);
	top_issue(&t[3], 2);
	top_issue(&t[4], 11); /* replaces 1: its second entry is 1's */
	strcpy(t[4].op.u.issue.row.device, "SN-1");
	strcpy(t[4].op.u.issue.row.authority,
	    t[2].op.u.issue.row.authority);
	memcpy(t[4].op.u.issue.row.spki_sha256,
	    t[2].op.u.issue.row.spki_sha256, 32);
	t[4].op.u.issue.replaces = t[2].serial;
	t[4].op.u.issue.confirmed = true;
	t[4].op.nentries = 3;
	top_issue(&t[5], 12); /* renews 11 */
	strcpy(t[5].op.u.issue.row.device, "SN-1");
	strcpy(t[5].op.u.issue.row.authority, "renewal");
	memcpy(t[5].op.u.issue.row.predecessor, t[4].serial, 16);
	top_confirm(&t[6], 12);
	t[6].op.u.confirm.supersedes = t[4].serial;
	t[6].op.nentries = 2;
	top_revoke(&t[7], 12, MM_CERT_REVOKED);
	top_token(&t[8], 2, ~0U, MM_TOKEN_FROZEN);
	t[8].op.nentries = 2;
	top_device(&t[9], 1);
	t[9].op.u.device.replace = true;
	assert_int_equal(run_all(&f, t, 10), MM_OK);
	for (unsigned i = 0; i < 10; i++)
		must(t[i].op.result, &t[i].op.why);
	snprintf(want, sizeof(want),
	    "%d.1.0 %d.12.0 %d.12.1 %d.12.0 %d.12.0 %d.11.2 %d.11.1 %d.11.0 "
	    "%d.1.0 %d.1.1 %d.1.0 ", MM_OP_DEVICE_PUT, MM_OP_REVOKE,
	    MM_OP_CONFIRM, MM_OP_CONFIRM, MM_OP_ISSUE, MM_OP_ISSUE,
	    MM_OP_ISSUE, MM_OP_ISSUE, MM_OP_ISSUE, MM_OP_TOKEN_MINT,
	    MM_OP_TOKEN_MINT);
	history_is(&f, "SN-1", want);
	snprintf(want, sizeof(want), "%d.2.1 %d.2.0 %d.2.0 %d.2.0 ",
	    MM_OP_TOKEN_STATE, MM_OP_TOKEN_STATE, MM_OP_ISSUE,
	    MM_OP_TOKEN_MINT);
	history_is(&f, "sn-2", want);
	assert_int_equal(mm_list_history(f.r, "SN-3", UINT64_MAX, 1,
	    note_entry, want, NULL), MM_ENOTFOUND);
	check_whole(&f);
	fx_close(&f);
}

/* ---- a key's certificates ---- */

static enum mm_err
count(void *ctx, const void *row, const char *next, struct mm_why *why)
{
	(void)row;
	(void)next;
	(void)why;
	++*(unsigned *)ctx;
	return MM_OK;
}

static void
by_key(const struct mm_store_backend *b)
{
	uint8_t spki[32];
	struct mm_list l = { .most = 10, .state = -1, .spki_sha256 = spki };
	unsigned n = 0;
	struct fx f;

	if (!fx_open(&f, b))
		return;
	fill(&f, NULL);
	spki_of(3, spki);
	assert_int_equal(mm_list_certs(f.r, &l, count, &n, NULL), MM_OK);
	assert_int_equal(n, 1);
	l.device = "sn-3";
	assert_int_equal(mm_list_certs(f.r, &l, count, &n, NULL), MM_OK);
	assert_int_equal(n, 2);
	l.device = "SN-6";
	assert_int_equal(mm_list_certs(f.r, &l, count, &n, NULL), MM_OK);
	assert_int_equal(n, 2);
	l.device = NULL;
	spki_of(4, spki);
	assert_int_equal(mm_list_certs(f.r, &l, count, &n, NULL), MM_OK);
	assert_int_equal(n, 2);
	fx_close(&f);
}

ON_BACKENDS(recall)
ON_BACKENDS(bounds)
ON_BACKENDS(indexing)
ON_BACKENDS(versions)
ON_BACKENDS(many)
ON_BACKENDS(products)
ON_BACKENDS(history)
ON_BACKENDS(by_key)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_recall),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_indexing),
		cmocka_unit_test(test_versions),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_products),
		cmocka_unit_test(test_history),
		cmocka_unit_test(test_by_key),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
