#include "fixture.h"

#include <string.h>

#include "store/backend.h"

/* Documents: versions, and lists by prefix; on every backend. */

struct step {
	const char *what, *id;
	uint64_t expect;
	const char *body; /* "" takes it away */
	enum mm_err want;
	uint64_t version; /* afterwards; 0: there is none */
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

ON_BACKENDS(versions)
ON_BACKENDS(list)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_versions),
		cmocka_unit_test(test_list),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
