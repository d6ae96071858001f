#include "fixture.h"

#include <stdio.h>
#include <string.h>

#include "store/backend.h"
#include "store/docs_of.h"

/* Documents: versions, and lists by prefix; on every backend. */

struct step {
	const char *what, *id;
	uint64_t expect;
	const char *body; /* "" takes it away */
	enum mm_err want;
	uint64_t version; /* afterwards; 0: there is none */
	uint64_t as;      /* what it is to get; 0: the next */
};
static const struct step steps[] = {
	{ "replace none", "a", 1, "{}", MM_ENOTFOUND, 0 },
	{ "drop none", "a", MM_DOC_ANY, "", MM_ENOTFOUND, 0 },
	{ "new", "a", 0, "{\"n\":1}", MM_OK, 1 },
	{ "new again", "a", 0, "{}", MM_ECONFLICT, 1 },
	{ "replace", "a", 1, "{\"n\":2}", MM_OK, 2 },
	{ "replace what was", "a", 1, "{}", MM_ESTALE, 2 },
	{ "whatever it is", "a", MM_DOC_ANY, "{\"n\":3}", MM_OK, 3 },
	{ "drop what was", "a", 2, "", MM_ESTALE, 3 },
	{ "drop", "a", 3, "", MM_OK, 0 },
	{ "new or any", "a", MM_DOC_ANY, "{\"n\":4}", MM_OK, 1 },
	{ "no id", "", 0, "{}", MM_EINPUT, 0 },
	{ "drop it again", "a", 1, "", MM_OK, 0 },
	{ "new, named", "a", 0, "{\"n\":5}", MM_OK, 1ull << 61, 1ull << 61 },
	{ "named, new again", "a", 0, "{}", MM_ECONFLICT, 1ull << 61, 7 },
	{ "drop the one before", "a", 1, "", MM_ESTALE, 1ull << 61 },
	{ "replace, named", "a", 1ull << 61, "{\"n\":6}", MM_OK, 7, 7 },
	{ "then the next", "a", 7, "{\"n\":7}", MM_OK, 8 },
	{ "drop, named", "a", 8, "", MM_OK, 0, 9 },
};

static void
doc(struct top *t, enum mm_doc_kind kind, const char *id, uint64_t expect,
    const char *body)
{
	top_init(t, MM_OP_DOC_PUT, 1);
	t->op.u.doc.kind = kind;
	strcpy(t->op.u.doc.id, id);
	t->op.u.doc.expect = expect;
	t->op.u.doc.body = mm_bytes_of(body);
}

static void
stands(struct fx *f, const struct step *s)
{
	struct mm_buf body = MM_BUF_INIT(100);
	uint64_t version = 0;
	enum mm_err err = mm_get_doc(f->r, MM_DOC_WEBHOOK, s->id, &version,
	    &body, NULL);

	assert_int_equal(err, s->version == 0 ? MM_ENOTFOUND : MM_OK);
	assert_int_equal(version, s->version);
	if (s->want == MM_OK && s->version != 0)
		assert_string_equal(mm_buf_cstr(&body), s->body);
	mm_buf_done(&body);
}

static void
versions(const struct mm_store_backend *b)
{
	struct fx f;

	if (!fx_open(&f, b))
		return;
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		struct top t;
		uint64_t before = mm_store_ledger_size(f.s);

		doc(&t, MM_DOC_WEBHOOK, steps[i].id, steps[i].expect,
		    steps[i].body);
		t.op.u.doc.as = steps[i].as;
		print_message("%s\n", steps[i].what);
		assert_int_equal(run1(&f, &t), steps[i].want);
		if (steps[i].want == MM_OK)
			assert_int_equal(t.op.u.doc.version,
			    steps[i].version);
		assert_int_equal(mm_store_ledger_size(f.s),
		    before + (steps[i].want == MM_OK));
		stands(&f, &steps[i]);
	}
	check_whole(&f);
	fx_close(&f);
}

/* Who has read what stands writes over that alone, though the version may have
 * stayed. */
static void
what_was_read(const struct mm_store_backend *b)
{
	static const struct {
		const char *was, *body;
		enum mm_err want;
	} rows[] = {
		{ "{\"n\":1}", "{\"n\":2}", MM_OK },
		{ "{\"n\":1}", "{\"n\":3}", MM_ESTALE },
		{ "{\"n\":2}", "{\"n\":4}", MM_OK },
		{ "{\"n\":2}", "", MM_ESTALE },
		{ NULL, "{\"n\":5}", MM_OK },
		{ "{\"n\":5}", "", MM_OK },
	};
	struct fx f;
	struct top t;

	if (!fx_open(&f, b))
		return;
	doc(&t, MM_DOC_WEBHOOK, "w", 0, "{\"n\":1}");
	assert_int_equal(run1(&f, &t), MM_OK);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct mm_hash was;

		doc(&t, MM_DOC_WEBHOOK, "w", 1, rows[i].body);
		t.op.u.doc.as = 1;
		if (rows[i].was != NULL) {
			was = mm_tree_leaf(mm_bytes_of(rows[i].was));
			t.op.u.doc.was = &was;
		}
		assert_int_equal(run1(&f, &t), rows[i].want);
	}
	check_whole(&f);
	fx_close(&f);
}

/* ---- lists ---- */

static enum mm_err
note(void *ctx, const void *row, const char *next, struct mm_why *why)
{
	const struct mm_doc *d = row;
	char *seen = ctx;

	(void)why;
	assert_string_equal(d->id, next);
	assert_int_equal(d->version, 1);
	strcat(strcat(seen, d->id), " ");
	return MM_OK;
}

static void
list(const struct mm_store_backend *b)
{
	static const char *const ids[] = { "ab.2", "ab", "aa", "ab.1", "ac",
		"B", "ab0" };
	static const struct {
		const char *prefix, *after;
		unsigned most;
		const char *want;
	} rows[] = {
		{ "", "", 100, "B aa ab ab.1 ab.2 ab0 ac " },
		{ "", "ab.1", 2, "ab.2 ab0 " },
		{ "ab.", "", 100, "ab.1 ab.2 " },
		{ "ab.", "ab.1", 100, "ab.2 " },
		{ "ab.", "ac", 100, "" },
		{ "x", "", 100, "" },
	};
	struct fx f;
	struct top t;
	unsigned n;

	if (!fx_open(&f, b))
		return;
	for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
		doc(&t, MM_DOC_DELIVERY, ids[i], 0, "{}");
		assert_int_equal(run1(&f, &t), MM_OK);
	}
	doc(&t, MM_DOC_WEBHOOK, "ab.9", 0, "{}");
	assert_int_equal(run1(&f, &t), MM_OK);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct mm_list l = { .most = rows[i].most, .state = -1 };
		char seen[100] = "";

		strcpy(l.after, rows[i].after);
		assert_int_equal(mm_list_docs(f.r, MM_DOC_DELIVERY,
		    rows[i].prefix, &l, note, seen, NULL), MM_OK);
		assert_string_equal(seen, rows[i].want);
	}
	assert_int_equal(mm_count_docs(f.r, MM_DOC_DELIVERY, "ab.", 100, &n,
	    NULL), MM_OK);
	assert_int_equal(n, 2);
	assert_int_equal(mm_count_docs(f.r, MM_DOC_DELIVERY, "", 5, &n, NULL),
	    MM_OK);
	assert_int_equal(n, 5);
	assert_int_equal(mm_count_docs(f.r, MM_DOC_DELIVERY, "x", 5, &n,
	    NULL), MM_OK);
	assert_int_equal(n, 0);
	fx_close(&f);
}

/* ---- units of a station ---- */

static void
units(const struct mm_store_backend *b)
{
	static const struct {
		const char *id, *body;
	} docs[] = {
		{ "B1/b", "{\"result\":\"issued\",\"station\":\"l1\"}" },
		{ "B1/a", "{\"result\":\"issued\",\"station\":\"l2\"}" },
		{ "B2/c", "{\"result\":\"issued\",\"station\":\"l1\"}" },
		{ "B1/d", "{\"result\":\"issued\",\"station\":\"\"}" },
		{ "B1/e", "{\"result\":\"issued\"}" },
		{ "B1/f", "\"station\":\"l1" }, /* not written by us */
		{ "B10/g", "{\"reason\":\"\\\"station\\\":\\\"l1\\\"\","
		    "\"station\":\"l3\"}" },
		{ "B3/h", "{\"result\":\"issued\",\"station\":\"l1\"}" },
	};
	static const struct {
		const char *station, *prefix, *after;
		unsigned most;
		const char *want;
	} rows[] = {
		{ "l1", "", "", 100, "B1/b B2/c B3/h " },
		{ "l1", "", "B1/b", 1, "B2/c " },
		{ "l1", "B1/", "", 100, "B1/b " },
		{ "l1", "B2/", "B2/c", 100, "" },
		{ "l2", "", "", 100, "B1/a " },
		{ "l3", "", "", 100, "B10/g " },
		{ "L1", "", "", 100, "" }, { "l", "", "", 100, "" },
	};
	struct fx f;
	struct top t;

	if (!fx_open(&f, b))
		return;
	for (size_t i = 0; i < sizeof(docs) / sizeof(docs[0]); i++) {
		doc(&t, MM_DOC_UNIT, docs[i].id, 0, docs[i].body);
		assert_int_equal(run1(&f, &t), MM_OK);
	}
	doc(&t, MM_DOC_WEBHOOK, "B1/x", 0, docs[0].body);
	assert_int_equal(run1(&f, &t), MM_OK);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct mm_list l = { .most = rows[i].most, .state = -1 };
		char seen[100] = "";

		strcpy(l.after, rows[i].after);
		assert_int_equal(mm_list_units_of(f.r, rows[i].station,
		    rows[i].prefix, &l, note, seen, NULL), MM_OK);
		assert_string_equal(seen, rows[i].want);
	}
	fx_close(&f);
}

/* ---- batches of a product ---- */

#define ORDER(text) "{\"state\":\"open\",\"plan\":{\"note\":\"a\",\"order\":" \
	"\"mintmark-order/1\\n{" text "}\\n\"}}"
#define OF(name) "\\\"product\\\":\\\"" name "\\\""

static void
batches(const struct mm_store_backend *b)
{
	static const struct {
		const char *id, *body;
	} docs[] = {
		{ "b3", ORDER("\\\"batch\\\":\\\"b3\\\"," OF("p")) },
		{ "b1", ORDER("\\\"batch\\\":\\\"b1\\\"," OF("p")
		    ",\\\"recipe\\\":\\\"q\\\"") },
		{ "b2", ORDER(OF("q")) },
		/* what people write says nothing of it */
		{ "b4", "{\"plan\":{\"note\":\"\\\"product\\\":\\\"p\\\"\","
		    "\"order\":\"mintmark-order/1\\n{" OF("q") "}\\n\"}}" },
		{ "b5", ORDER("\\\"centre\\\":\\\"\\\\\\\"product\\\\\\\":"
		    "\\\\\\\"p\\\\\\\"\\\"," OF("q")) },
		{ "b6", "{\"plan\":1}" }, { "b7", "{\"product\":\"p\"}" },
		{ "b8", "no JSON" }, { "b9", ORDER("\\\"batch\\\":1") },
	};
	static const struct {
		const char *product, *after;
		unsigned most;
		const char *want;
	} rows[] = {
		{ "p", "", 100, "b1 b3 " }, { "p", "b1", 100, "b3 " },
		{ "p", "", 1, "b1 " }, { "p", "b2", 1, "b3 " },
		{ "q", "", 100, "b2 b4 b5 " }, { "P", "", 100, "" },
		{ "", "", 100, "" },
	};
	struct fx f;
	struct top t;

	if (!fx_open(&f, b))
		return;
	for (size_t i = 0; i < sizeof(docs) / sizeof(docs[0]); i++) {
		doc(&t, MM_DOC_BATCH, docs[i].id, 0, docs[i].body);
		assert_int_equal(run1(&f, &t), MM_OK);
	}
	doc(&t, MM_DOC_STATION, "b1", 0, docs[0].body);
	assert_int_equal(run1(&f, &t), MM_OK);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct mm_list l = { .most = rows[i].most, .state = -1 };
		char seen[100] = "";

		strcpy(l.after, rows[i].after);
		assert_int_equal(mm_list_batches_of(f.r, rows[i].product, &l,
		    note, seen, NULL), MM_OK);
		assert_string_equal(seen, rows[i].want);
	}
	fx_close(&f);
}

/* ---- all of a prefix ---- */

enum { PAGES = 400 }; /* two pages whole, and then one more */

/* In their order, each once; it fails at the one that stop says. */
struct all {
	unsigned n, stop;
};

static enum mm_err
next_one(void *ctx, const void *row, const char *next, struct mm_why *why)
{
	struct all *a = ctx;
	char want[16];

	snprintf(want, sizeof(want), "p.%03u", a->n);
	assert_string_equal(((const struct mm_doc *)row)->id, want);
	assert_string_equal(next, want);
	return ++a->n == a->stop ? MM_FAIL(why, MM_EPOLICY, "enough") : MM_OK;
}

static void
each(const struct mm_store_backend *b)
{
	struct all all = { .n = 0 }, some = { .stop = PAGES / 2 + 3 };
	struct fx f;
	struct top t;

	if (!fx_open(&f, b))
		return;
	doc(&t, MM_DOC_DELIVERY, "p", 0, "{}");
	assert_int_equal(run1(&f, &t), MM_OK);
	doc(&t, MM_DOC_DELIVERY, "q.000", 0, "{}");
	assert_int_equal(run1(&f, &t), MM_OK);
	for (unsigned i = 0; i <= PAGES; i++) {
		char id[16];

		if (i == 0 || i == PAGES) {
			all.n = 0;
			assert_int_equal(mm_each_doc(f.r, MM_DOC_DELIVERY,
			    "p.", next_one, &all, NULL), MM_OK);
			assert_int_equal(all.n, i);
		}
		snprintf(id, sizeof(id), "p.%03u", i);
		doc(&t, MM_DOC_DELIVERY, id, 0, "{}");
		assert_int_equal(run1(&f, &t), MM_OK);
	}
	all.n = 0;
	assert_int_equal(mm_each_doc(f.r, MM_DOC_DELIVERY, "p.", next_one,
	    &all, NULL), MM_OK);
	assert_int_equal(all.n, PAGES + 1);
	assert_int_equal(mm_each_doc(f.r, MM_DOC_DELIVERY, "p.", next_one,
	    &some, NULL), MM_EPOLICY);
	assert_int_equal(some.n, some.stop);
	fx_close(&f);
}

/* ---- counts ---- */

static uint64_t
count_of(struct fx *f, enum mm_doc_kind kind, const char *id)
{
	struct mm_buf body = MM_BUF_INIT(100);
	uint64_t version = 0;
	enum mm_err err = mm_get_doc(f->r, kind, id, &version, &body, NULL);

	assert_true(err == MM_OK || err == MM_ENOTFOUND);
	mm_buf_done(&body);
	return version;
}

struct take {
	const char *what;
	unsigned n;       /* which certificate */
	const char *place;
	uint64_t version, most, station_most;
	enum mm_err want;
};
/* Batch B is at version 1; three certificates, two of them a station's. */
static const struct take takes[] = {
	{ "of another version", 1, "B/l1", 2, 3, 2, MM_ECONFLICT },
	{ "of no batch", 1, "C/l1", 1, 3, 2, MM_ECONFLICT },
	{ "none at all", 1, "B/l1", 1, 0, 2, MM_ECONFLICT },
	{ "the first", 1, "B/l1", 1, 3, 2, MM_OK },
	{ "the first again", 1, "B/l1", 1, 3, 2, MM_ECONFLICT },
	{ "the second", 2, "B/l1", 1, 3, 2, MM_OK },
	{ "more than the share", 3, "B/l1", 1, 3, 2, MM_ECONFLICT },
	{ "another station's", 3, "B/l2", 1, 3, 2, MM_OK },
	{ "more than the quota", 4, "B/l2", 1, 3, 2, MM_ECONFLICT },
	{ "without a station", 4, "B/", 1, 4, 0, MM_OK },
};

static enum mm_err
take(struct fx *f, const struct take *k)
{
	struct mm_op_share share = { .version = k->version, .most = k->most,
		.station_most = k->station_most,
		.unit = mm_bytes_of("{\"result\":\"issued\"}") };
	struct top t;

	memcpy(share.batch, k->place, strcspn(k->place, "/"));
	strcpy(share.place, k->place);
	top_issue(&t, k->n);
	t.op.u.issue.share = &share;
	return run1(f, &t);
}

/* What is refused counts nowhere. */
static void
counts(const struct mm_store_backend *b)
{
	struct top t;
	struct fx f;
	uint64_t n = 0;

	if (!fx_open(&f, b))
		return;
	top_product(&t, PRODUCT);
	assert_int_equal(run1(&f, &t), MM_OK);
	for (unsigned i = 1; i <= 4; i++) {
		top_mint(&t, i);
		assert_int_equal(run1(&f, &t), MM_OK);
	}
	doc(&t, MM_DOC_BATCH, "B", 0, "{}");
	assert_int_equal(run1(&f, &t), MM_OK);
	for (size_t i = 0; i < sizeof(takes) / sizeof(takes[0]); i++) {
		print_message("%s\n", takes[i].what);
		assert_int_equal(take(&f, &takes[i]), takes[i].want);
		n += takes[i].want == MM_OK;
		assert_int_equal(count_of(&f, MM_DOC_COUNT, "B"), n);
	}
	assert_int_equal(count_of(&f, MM_DOC_COUNT, "B/l1"), 2);
	assert_int_equal(count_of(&f, MM_DOC_COUNT, "B/l2"), 1);
	assert_int_equal(count_of(&f, MM_DOC_COUNT, "C"), 0);
	assert_int_equal(count_of(&f, MM_DOC_UNIT, "B/SN-3"), 1);
	check_whole(&f);
	fx_close(&f);
}

/* The same of a group: the device's name in lower case, a count of its own. */
static const struct take group_takes[] = {
	{ "of another version", 1, "g", 2, 2, 0, MM_ECONFLICT },
	{ "of no group", 1, "h", 1, 2, 0, MM_ECONFLICT },
	{ "none at all", 1, "g", 1, 0, 0, MM_ECONFLICT },
	{ "the first", 1, "g", 1, 2, 0, MM_OK },
	{ "the first again", 1, "g", 1, 2, 0, MM_ECONFLICT },
	{ "the second", 2, "g", 1, 2, 0, MM_OK },
	{ "more than the quota", 3, "g", 1, 2, 0, MM_ECONFLICT },
};

static enum mm_err
group_take(struct fx *f, const struct take *k)
{
	struct mm_op_share share = { .group = true, .version = k->version,
		.most = k->most,
		.unit = mm_bytes_of("{\"state\":\"issued\"}") };
	struct top t;

	strcpy(share.batch, k->place);
	top_issue(&t, k->n);
	t.op.u.issue.share = &share;
	return run1(f, &t);
}

static void
groups(const struct mm_store_backend *b)
{
	const size_t n = sizeof(group_takes) / sizeof(group_takes[0]);
	uint64_t made = 0;
	struct top t;
	struct fx f;

	if (!fx_open(&f, b))
		return;
	top_product(&t, PRODUCT);
	assert_int_equal(run1(&f, &t), MM_OK);
	for (unsigned i = 1; i <= 3; i++) {
		top_mint(&t, i);
		assert_int_equal(run1(&f, &t), MM_OK);
	}
	doc(&t, MM_DOC_GROUP, "g", 0, "{}");
	assert_int_equal(run1(&f, &t), MM_OK);
	/* a batch of that name is another thing */
	doc(&t, MM_DOC_BATCH, "g", 0, "{}");
	assert_int_equal(run1(&f, &t), MM_OK);
	doc(&t, MM_DOC_WAITING, "g/sn-1", 0, "{}");
	assert_int_equal(run1(&f, &t), MM_OK);
	doc(&t, MM_DOC_WAITING, "g/sn-3", 0, "{}");
	assert_int_equal(run1(&f, &t), MM_OK);
	for (size_t i = 0; i < n; i++) {
		print_message("%s\n", group_takes[i].what);
		assert_int_equal(group_take(&f, &group_takes[i]),
		    group_takes[i].want);
		assert_int_equal(count_of(&f, MM_DOC_WAITING, "g/sn-1"),
		    made == 0 && group_takes[i].want != MM_OK);
		made += group_takes[i].want == MM_OK;
		assert_int_equal(count_of(&f, MM_DOC_COUNT, "group:g"), made);
	}
	assert_int_equal(count_of(&f, MM_DOC_COUNT, "g"), 0);
	/* whose certificate was refused waits still */
	assert_int_equal(count_of(&f, MM_DOC_WAITING, "g/sn-3"), 1);
	assert_int_equal(count_of(&f, MM_DOC_MEMBER, "g/sn-2"), 1);
	assert_int_equal(count_of(&f, MM_DOC_UNIT, "g/SN-2"), 0);
	check_whole(&f);
	fx_close(&f);
}

/* A document that counts does so where it is written, and not else. */
static void
documents(const struct mm_store_backend *b)
{
	struct top t;
	struct fx f;

	if (!fx_open(&f, b))
		return;
	for (unsigned i = 0; i < 3; i++) {
		doc(&t, MM_DOC_UNIT, "B/SN-1", i / 2, "{}");
		t.op.u.doc.counts[0] = "B//";
		t.op.u.doc.counts[1] = "B/l1/";
		assert_int_equal(run1(&f, &t), i == 1 ? MM_ECONFLICT : MM_OK);
	}
	for (uint64_t i = 1; i < 4; i++) {
		doc(&t, MM_DOC_UNIT, "B/SN-2", MM_DOC_ANY, "{}");
		t.op.u.doc.counts[0] = "B//";
		t.op.u.doc.counted = &i;
		assert_int_equal(run1(&f, &t), i == 2 ? MM_OK : i == 3 ?
		    MM_OK : MM_ESTALE);
	}
	assert_int_equal(count_of(&f, MM_DOC_COUNT, "B//"), 4);
	assert_int_equal(count_of(&f, MM_DOC_COUNT, "B/l1/"), 2);
	check_whole(&f);
	fx_close(&f);
}

/* What goes with a document goes in its step, and stays where it fails. */
static void
endings(const struct mm_store_backend *b)
{
	static const char authority[] = "group:g/sn-1";
	struct mm_claim claim;
	struct top t;
	struct fx f;

	if (!fx_open(&f, b))
		return;
	top_product(&t, PRODUCT);
	assert_int_equal(run1(&f, &t), MM_OK);
	top_mint(&t, 1);
	assert_int_equal(run1(&f, &t), MM_OK);
	top_issue(&t, 1);
	strcpy(t.op.u.issue.row.authority, authority);
	assert_int_equal(run1(&f, &t), MM_OK);
	doc(&t, MM_DOC_WAITING, "g/sn-1", 0, "{}");
	assert_int_equal(run1(&f, &t), MM_OK);
	for (unsigned i = 0; i < 3; i++) {
		bool still = i == 0;

		doc(&t, MM_DOC_MEMBER, "g/sn-1", still ? 7 : MM_DOC_ANY,
		    "{}");
		t.op.u.doc.ends = "g/sn-1";
		t.op.u.doc.frees = authority;
		assert_int_equal(
		    run1(&f, &t), still ? MM_ENOTFOUND : MM_OK);
		assert_int_equal(
		    count_of(&f, MM_DOC_WAITING, "g/sn-1"), still);
		assert_int_equal(mm_get_claim(f.r, authority, &claim, NULL),
		    still ? MM_OK : MM_ENOTFOUND);
	}
	/* the authority is good for another one */
	top_issue(&t, 2);
	strcpy(t.op.u.issue.row.device, "SN-1");
	strcpy(t.op.u.issue.row.authority, authority);
	assert_int_equal(run1(&f, &t), MM_OK);
	check_whole(&f);
	fx_close(&f);
}

ON_BACKENDS(counts)
ON_BACKENDS(documents)
ON_BACKENDS(endings)
ON_BACKENDS(groups)
ON_BACKENDS(versions)
ON_BACKENDS(what_was_read)
ON_BACKENDS(list)
ON_BACKENDS(each)
ON_BACKENDS(units)
ON_BACKENDS(batches)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_versions),
		cmocka_unit_test(test_what_was_read),
		cmocka_unit_test(test_list),
		cmocka_unit_test(test_each),
		cmocka_unit_test(test_units),
		cmocka_unit_test(test_batches),
		cmocka_unit_test(test_counts),
		cmocka_unit_test(test_documents),
		cmocka_unit_test(test_endings),
		cmocka_unit_test(test_groups),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
