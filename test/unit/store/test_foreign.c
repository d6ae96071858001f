#include "fixture.h"

#include <string.h>

#include "base/own.h"
#include "store/backend.h"

/* Another CA's certificates: the same one may come again, and what was asked
 * goes with its record; on every backend. */

static void
foreign(uint8_t serial[16])
{
	serial[0] |= 0x80;
}

static void
issue(struct top *t, unsigned n)
{
	top_issue(t, n);
	foreign(t->op.u.issue.row.serial);
}

static void
orphan(struct top *t, unsigned n)
{
	top_orphan(t, n);
	foreign(t->op.u.orphan.row.serial);
}

static enum mm_cert_state
state_of(struct fx *f, const uint8_t serial[16])
{
	struct mm_cert_row row;

	assert_int_equal(mm_get_cert(f->r, serial, &row, NULL), MM_OK);
	return row.state;
}

static void
another_key(struct mm_cert_row *row)
{
	spki_of(77, row->spki_sha256);
}

static void
another_hash(struct mm_cert_row *row)
{
	row->cert_sha256[0] ^= 1;
}

static void
another_device(struct mm_cert_row *row)
{
	strcpy(row->device, "SN-2");
	strcpy(row->authority, "op:0123:SN-2");
}

static void
of_ours(struct mm_cert_row *row)
{
	row->serial[0] &= 0x7f;
}

/* How the orphan differs from what comes, and whether that is a conflict. */
static const struct {
	void (*differs)(struct mm_cert_row *row);
	enum mm_err want;
} rows[] = {
	{ another_key, MM_ECONFLICT },
	{ another_hash, MM_ECONFLICT },
	{ NULL, MM_OK },
	{ another_device, MM_ECONFLICT },
};

struct seen {
	uint64_t want[2];
	unsigned n, found;
};

static enum mm_err
see(void *ctx, uint64_t index, struct mm_bytes entry, struct mm_why *why)
{
	struct seen *s = ctx;

	(void)entry, (void)why;
	s->n++;
	for (unsigned i = 0; i < 2; i++)
		s->found += index == s->want[i];
	return MM_OK;
}

/* The device's history has both, once. */
static void
history(struct fx *f, uint64_t orphaned, uint64_t issued)
{
	struct seen s = { { orphaned, issued }, 0, 0 };

	assert_int_equal(mm_list_history(f->r, "SN-1", UINT64_MAX, 100, see,
	    &s, NULL), MM_OK);
	assert_int_equal(s.found, 2);
	/* its token's, two other orphans' */
	assert_int_equal(s.n, 5);
}

static void
comes_again(const struct mm_store_backend *b)
{
	struct fx f;
	struct top t, o;
	uint64_t orphaned;

	if (!fx_open(&f, b))
		return;
	for (unsigned n = 1; n <= 2; n++) {
		top_mint(&t, n);
		assert_int_equal(run1(&f, &t), MM_OK);
	}
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct mm_cert_row row;

		issue(&t, 1);
		t.op.u.issue.row.serial[15] = (uint8_t)i;
		orphan(&o, 1);
		o.op.u.orphan.row = t.op.u.issue.row;
		if (rows[i].differs != NULL)
			rows[i].differs(&o.op.u.orphan.row);
		assert_int_equal(run1(&f, &o), MM_OK);
		orphaned = o.op.index;
		assert_int_equal(run1(&f, &t), rows[i].want);
		assert_int_equal(mm_get_cert(f.r, t.op.u.issue.row.serial,
		    &row, NULL), MM_OK);
		assert_int_equal(row.state, rows[i].want == MM_OK ?
		    MM_CERT_ISSUED : MM_CERT_ORPHANED);
		check_whole(&f);
		if (rows[i].want != MM_OK)
			continue;
		assert_int_equal(row.entry, t.op.index);
		assert_int_equal(row.revoked_at, 0);
		history(&f, orphaned, t.op.index);
		/* it is on record now, and that is that */
		assert_int_equal(run1(&f, &t), MM_ECONFLICT);
		assert_int_equal(run1(&f, &o), MM_ECONFLICT);
	}
	fx_close(&f);
}

/* One of ours is revoked by its orphan, on a list: it stays so. */
static void
ours_does_not(const struct mm_store_backend *b)
{
	struct fx f;
	struct top t, o;

	if (!fx_open(&f, b))
		return;
	top_mint(&t, 1);
	assert_int_equal(run1(&f, &t), MM_OK);
	issue(&t, 1);
	of_ours(&t.op.u.issue.row);
	orphan(&o, 1);
	o.op.u.orphan.row = t.op.u.issue.row;
	assert_int_equal(run1(&f, &o), MM_OK);
	assert_int_equal(run1(&f, &t), MM_ECONFLICT);
	assert_int_equal(state_of(&f, t.op.u.issue.row.serial),
	    MM_CERT_ORPHANED);
	fx_close(&f);
}

/* Revoked it is no orphan any more, and has what it was with it. */
static void
revoked_does_not(const struct mm_store_backend *b)
{
	static const enum mm_cert_state back[] = { MM_CERT_HELD,
		MM_CERT_CONFIRMED };
	MM_OWN(mm_buf_done) struct mm_buf der = MM_BUF_INIT(1000);
	struct fx f;
	struct top t, o, v;
	uint8_t *serial = t.op.u.issue.row.serial;

	if (!fx_open(&f, b))
		return;
	top_mint(&t, 1);
	assert_int_equal(run1(&f, &t), MM_OK);
	issue(&t, 1);
	orphan(&o, 1);
	o.op.u.orphan.row = t.op.u.issue.row;
	o.op.u.orphan.der = t.op.u.issue.der;
	assert_int_equal(run1(&f, &o), MM_OK);
	assert_int_equal(mm_get_cert_der(f.r, serial, &der, NULL), MM_OK);
	assert_int_equal(der.n, t.op.u.issue.der.n);
	for (unsigned i = 0; i < 2; i++) {
		top_revoke(&v, 1, back[i]);
		memcpy(v.op.u.revoke.serial, serial, 16);
		assert_int_equal(run1(&f, &v), MM_ECONFLICT);
	}
	for (unsigned i = 0; i < 2; i++) {
		top_revoke(&v, 1, MM_CERT_REVOKED);
		memcpy(v.op.u.revoke.serial, serial, 16);
		v.op.u.revoke.reason = 1;
		assert_int_equal(run1(&f, &v), MM_OK);
		assert_int_equal(v.op.u.revoke.already, i);
		assert_int_equal(state_of(&f, serial), MM_CERT_REVOKED);
	}
	assert_int_equal(run1(&f, &t), MM_ECONFLICT);
	assert_int_equal(state_of(&f, serial), MM_CERT_REVOKED);
	check_whole(&f);
	fx_close(&f);
}

/* ---- what was asked ---- */

static void
asked(struct top *t, const struct mm_cert_row *with)
{
	top_init(t, MM_OP_DOC_PUT, 1);
	t->op.u.doc.kind = MM_DOC_ASKED;
	strcpy(t->op.u.doc.id, "a/1");
	t->op.u.doc.expect = MM_DOC_ANY;
	t->op.u.doc.with = with;
	if (with == NULL)
		t->op.u.doc.body = mm_bytes_of("{}");
	else
		t->op.nentries = 0;
}

static bool
is_asked(struct fx *f)
{
	struct mm_buf body = MM_BUF_INIT(100);
	uint64_t version;
	enum mm_err err = mm_get_doc(f->r, MM_DOC_ASKED, "a/1", &version,
	    &body, NULL);

	mm_buf_done(&body);
	return err == MM_OK;
}

/* In one run with it, as the core does. */
static void
both(struct fx *f, struct top *record, struct top *drop)
{
	struct mm_op *ops[] = { &record->op, &drop->op };
	struct mm_why why = { 0 };

	must(mm_store_run(f->s, ops, 2, &why), &why);
}

static void
goes_with_its_record(const struct mm_store_backend *b)
{
	struct fx f;
	struct top t, o, doc, drop;

	if (!fx_open(&f, b))
		return;
	top_mint(&t, 1);
	assert_int_equal(run1(&f, &t), MM_OK);
	asked(&doc, NULL);
	assert_int_equal(run1(&f, &doc), MM_OK);
	/* spent meanwhile: neither */
	top_token(&o, 1, 1U << MM_TOKEN_MINTED, MM_TOKEN_CANCELLED);
	assert_int_equal(run1(&f, &o), MM_OK);
	issue(&t, 1);
	asked(&drop, &t.op.u.issue.row);
	both(&f, &t, &drop);
	assert_int_equal(t.op.result, MM_ECONFLICT);
	assert_int_equal(drop.op.result, MM_ESTALE);
	assert_true(is_asked(&f));
	/* as an orphan: both */
	orphan(&o, 1);
	o.op.u.orphan.row = t.op.u.issue.row;
	asked(&drop, &o.op.u.orphan.row);
	both(&f, &o, &drop);
	assert_int_equal(o.op.result, MM_OK);
	assert_int_equal(drop.op.result, MM_OK);
	assert_false(is_asked(&f));
	/* the record of another time is not its */
	assert_int_equal(run1(&f, &doc), MM_OK);
	t.op.u.issue.row.issued_at++;
	asked(&drop, &t.op.u.issue.row);
	assert_int_equal(run1(&f, &drop), MM_ESTALE);
	assert_true(is_asked(&f));
	fx_close(&f);
}

static void
with_the_certificate(const struct mm_store_backend *b)
{
	struct fx f;
	struct top t, doc, drop;

	if (!fx_open(&f, b))
		return;
	top_mint(&t, 1);
	assert_int_equal(run1(&f, &t), MM_OK);
	asked(&doc, NULL);
	assert_int_equal(run1(&f, &doc), MM_OK);
	issue(&t, 1);
	asked(&drop, &t.op.u.issue.row);
	both(&f, &t, &drop);
	assert_int_equal(t.op.result, MM_OK);
	assert_int_equal(drop.op.result, MM_OK);
	assert_false(is_asked(&f));
	check_whole(&f);
	fx_close(&f);
}

ON_BACKENDS(comes_again)
ON_BACKENDS(ours_does_not)
ON_BACKENDS(revoked_does_not)
ON_BACKENDS(goes_with_its_record)
ON_BACKENDS(with_the_certificate)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_comes_again),
		cmocka_unit_test(test_ours_does_not),
		cmocka_unit_test(test_revoked_does_not),
		cmocka_unit_test(test_goes_with_its_record),
		cmocka_unit_test(test_with_the_certificate),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
