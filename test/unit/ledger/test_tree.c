#include "../base/rows.h"

#include "base/buf.h"
#include "base/text.h"
#include "ledger/tree.h"

#define MOST 70 /* leaves of the trees that are walked through */

/* The reference inputs of Certificate Transparency's own tests. */
static const char *const inputs[8] = { "", "00", "10", "2021", "3031",
	"40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f" };

#define ROOT1 \
	"6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
#define ROOT2 \
	"fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"
#define ROOT4 \
	"d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"

static const char *const roots[9] = {
	"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
	ROOT1,
	ROOT2,
	"aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
	ROOT4,
	"4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
	"76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
	"ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
	"5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
};

struct leaves {
	uint64_t n;
	struct mm_hash hash[MOST];
};

static struct leaves
reference_leaves(void)
{
	struct leaves l = { .n = 8 };

	for (size_t i = 0; i < 8; i++) {
		uint8_t b[16];
		size_t n = strlen(inputs[i]) / 2;
		assert_int_equal(mm_hex_parse(inputs[i], 2 * n, b, n, NULL),
		    MM_OK);
		l.hash[i] = mm_tree_leaf((struct mm_bytes){ b, n });
	}
	return l;
}

static struct leaves
numbered_leaves(void)
{
	struct leaves l = { .n = MOST };

	for (size_t i = 0; i < MOST; i++) {
		uint8_t b = (uint8_t)i;
		l.hash[i] = mm_tree_leaf((struct mm_bytes){ &b, 1 });
	}
	return l;
}

/* The largest power of two smaller than n > 1: RFC 6962 2.1's k. */
static uint64_t
split(uint64_t n)
{
	uint64_t k = 1;

	while (k * 2 < n)
		k *= 2;
	return k;
}

/* MTH, PATH and SUBPROOF, as RFC 6962 defines them. */
static struct mm_hash
mth(const struct mm_hash *d, uint64_t n)
{
	struct mm_hash l, r;

	if (n == 0)
		return mm_tree_empty();
	if (n == 1)
		return d[0];
	l = mth(d, split(n));
	r = mth(d + split(n), n - split(n));
	return mm_tree_node(&l, &r);
}

static void
path(uint64_t m, const struct mm_hash *d, uint64_t n, struct mm_proof *p)
{
	uint64_t k;

	if (n == 1)
		return;
	k = split(n);
	if (m < k) {
		path(m, d, k, p);
		p->hash[p->n++] = mth(d + k, n - k);
	} else {
		path(m - k, d + k, n - k, p);
		p->hash[p->n++] = mth(d, k);
	}
}

static void
subproof(uint64_t m, const struct mm_hash *d, uint64_t n, bool whole,
    struct mm_proof *p)
{
	uint64_t k;

	if (m == n) {
		if (!whole)
			p->hash[p->n++] = mth(d, n);
		return;
	}
	k = split(n);
	if (m <= k) {
		subproof(m, d, k, whole, p);
		p->hash[p->n++] = mth(d + k, n - k);
	} else {
		subproof(m - k, d + k, n - k, false, p);
		p->hash[p->n++] = mth(d, k);
	}
}

static enum mm_err
read_leaves(void *ctx, unsigned level, uint64_t index, struct mm_hash *out,
    struct mm_why *why)
{
	const struct leaves *l = ctx;

	if (level > 6 || (index + 1) << level > l->n)
		return MM_FAIL(why, MM_ENOTFOUND, "not there");
	*out = mth(l->hash + (index << level), UINT64_C(1) << level);
	return MM_OK;
}

static bool
is_hex(const struct mm_hash *h, const char *hex)
{
	char text[MM_HASH_N * 2 + 1];

	mm_hex_text(h->b, MM_HASH_N, text);
	return strcmp(text, hex) == 0;
}

static bool
same_proof(const struct mm_proof *a, const struct mm_proof *b)
{
	return a->n == b->n &&
	    memcmp(a->hash, b->hash, a->n * sizeof(a->hash[0])) == 0;
}

static void
roots_are_those_of_rfc_6962(void **state)
{
	struct leaves l = reference_leaves();
	struct mm_frontier f = { 0 };

	(void)state;
	for (size_t n = 0; n <= 8; n++) {
		struct mm_hash root = mm_frontier_root(&f), at;
		ROW(roots[n], is_hex(&root, roots[n]));
		assert_int_equal(mm_tree_root_at(read_leaves, &l, n, &at,
		    NULL), MM_OK);
		ROW(roots[n], is_hex(&at, roots[n]));
		if (n < 8)
			mm_frontier_append(&f, &l.hash[n]);
	}
}

#define H00 "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7"
#define H01 "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e"
#define H02 "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4"
#define H03 "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b"
#define H04 "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0"
#define H05 "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a"

static void
proofs_are_those_of_certificate_transparency(void **state)
{
	static const struct {
		const char *what;
		bool consistency;
		uint64_t a, b; /* index and size, or first and second */
		const char *hash[4];
	} rows[] = {
		{ "leaf 0 of 8", false, 0, 8, { H00, H01, H02 } },
		{ "leaf 5 of 8", false, 5, 8, { H03, H04, ROOT4 } },
		{ "leaf 2 of 3", false, 2, 3, { ROOT2 } },
		{ "leaf 1 of 5", false, 1, 5, { ROOT1, H01, H03 } },
		{ "leaf 0 of 1", false, 0, 1, { NULL } },
		{ "1 to 1", true, 1, 1, { NULL } },
		{ "1 to 8", true, 1, 8, { H00, H01, H02 } },
		{ "6 to 8", true, 6, 8, { H05, H04, ROOT4 } },
		{ "2 to 5", true, 2, 5, { H01, H03 } },
	};
	struct leaves l = reference_leaves();

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct mm_proof p;
		unsigned n = 0;
		enum mm_err err = rows[i].consistency ?
		    mm_proof_consistency(read_leaves, &l, rows[i].a, rows[i].b,
			&p, NULL) :
		    mm_proof_inclusion(read_leaves, &l, rows[i].a, rows[i].b,
			&p, NULL);
		ROW(rows[i].what, err == MM_OK);
		for (; rows[i].hash[n] != NULL; n++)
			ROW(rows[i].what, n < p.n &&
			    is_hex(&p.hash[n], rows[i].hash[n]));
		ROW(rows[i].what, n == p.n);
	}
}

static void
every_inclusion_proof_holds(void **state)
{
	struct leaves l = numbered_leaves();

	(void)state;
	for (uint64_t size = 1; size <= MOST; size++) {
		struct mm_hash root = mth(l.hash, size);
		for (uint64_t i = 0; i < size; i++) {
			struct mm_proof got, want = { 0 };
			path(i, l.hash, size, &want);
			assert_int_equal(mm_proof_inclusion(read_leaves, &l, i,
			    size, &got, NULL), MM_OK);
			assert_true(same_proof(&got, &want));
			assert_int_equal(mm_proof_verify_inclusion(&got, i,
			    size, &l.hash[i], &root, NULL), MM_OK);
		}
	}
}

static void
every_consistency_proof_holds(void **state)
{
	struct leaves l = numbered_leaves();

	(void)state;
	for (uint64_t to = 1; to <= MOST; to++) {
		struct mm_hash to_root = mth(l.hash, to);
		for (uint64_t from = 1; from <= to; from++) {
			struct mm_hash from_root = mth(l.hash, from);
			struct mm_proof got, want = { 0 };
			subproof(from, l.hash, to, true, &want);
			assert_int_equal(mm_proof_consistency(read_leaves, &l,
			    from, to, &got, NULL), MM_OK);
			assert_true(same_proof(&got, &want));
			assert_int_equal(mm_proof_verify_consistency(&got,
			    from, &from_root, to, &to_root, NULL), MM_OK);
		}
	}
}

/* Each single change of a true statement makes it false. */
static void
a_changed_inclusion_is_refused(void **state)
{
	struct leaves l = numbered_leaves();
	struct mm_hash root = mth(l.hash, 13);

	(void)state;
	for (uint64_t i = 0; i < 13; i++) {
		struct mm_proof p, bad;
		struct mm_why why = { 0 };
		assert_int_equal(mm_proof_inclusion(read_leaves, &l, i, 13, &p,
		    NULL), MM_OK);
		assert_int_equal(mm_proof_verify_inclusion(&p, i, 13,
		    &l.hash[i + 1], &root, &why), MM_EPOLICY);
		assert_non_null(strstr(why.text, "RFC 9162"));
		assert_int_equal(mm_proof_verify_inclusion(&p, (i + 1) % 13,
		    13, &l.hash[i], &root, NULL), MM_EPOLICY);
		assert_int_equal(mm_proof_verify_inclusion(&p, i, i, &l.hash[i],
		    &root, NULL), MM_EPOLICY);
		for (unsigned k = 0; k < p.n; k++) {
			bad = p;
			bad.hash[k].b[31] ^= 1;
			assert_int_equal(mm_proof_verify_inclusion(&bad, i, 13,
			    &l.hash[i], &root, NULL), MM_EPOLICY);
		}
		bad = p;
		bad.n--;
		assert_int_equal(mm_proof_verify_inclusion(&bad, i, 13,
		    &l.hash[i], &root, NULL), MM_EPOLICY);
		bad.n = p.n + 1;
		bad.hash[p.n] = root;
		assert_int_equal(mm_proof_verify_inclusion(&bad, i, 13,
		    &l.hash[i], &root, NULL), MM_EPOLICY);
	}
}

static void
a_changed_consistency_is_refused(void **state)
{
	struct leaves l = numbered_leaves();
	struct mm_hash to = mth(l.hash, 13);

	(void)state;
	for (uint64_t from = 1; from < 13; from++) {
		struct mm_hash old = mth(l.hash, from), other = old;
		struct mm_proof p, bad;
		other.b[0] ^= 1;
		assert_int_equal(mm_proof_consistency(read_leaves, &l, from,
		    13, &p, NULL), MM_OK);
		assert_int_equal(mm_proof_verify_consistency(&p, from, &other,
		    13, &to, NULL), MM_EPOLICY);
		assert_int_equal(mm_proof_verify_consistency(&p, from, &old,
		    13, &other, NULL), MM_EPOLICY);
		for (unsigned k = 0; k < p.n; k++) {
			bad = p;
			bad.hash[k].b[0] ^= 0x80;
			assert_int_equal(mm_proof_verify_consistency(&bad,
			    from, &old, 13, &to, NULL), MM_EPOLICY);
		}
		bad = (struct mm_proof){ 0 };
		assert_int_equal(mm_proof_verify_consistency(&bad, from, &old,
		    13, &to, NULL), MM_EPOLICY);
		bad = p;
		bad.hash[bad.n++] = to;
		assert_int_equal(mm_proof_verify_consistency(&bad, from, &old,
		    13, &to, NULL), MM_EPOLICY);
	}
}

static void
sizes_out_of_range_are_refused(void **state)
{
	struct leaves l = numbered_leaves();
	struct mm_proof p = { 0 };
	struct mm_hash root = mth(l.hash, 5);

	(void)state;
	assert_int_equal(mm_proof_inclusion(read_leaves, &l, 5, 5, &p, NULL),
	    MM_EINPUT);
	assert_int_equal(mm_proof_inclusion(read_leaves, &l, 0, 0, &p, NULL),
	    MM_EINPUT);
	assert_int_equal(mm_proof_consistency(read_leaves, &l, 0, 5, &p,
	    NULL), MM_EINPUT);
	assert_int_equal(mm_proof_consistency(read_leaves, &l, 6, 5, &p,
	    NULL), MM_EINPUT);
	assert_int_equal(mm_proof_inclusion(read_leaves, &l, 0, MOST + 1, &p,
	    NULL), MM_ENOTFOUND);
	assert_int_equal(mm_proof_verify_consistency(&p, 0, &root, 5, &root,
	    NULL), MM_EINPUT);
	assert_int_equal(mm_proof_verify_inclusion(&p, 0, 0, &root, &root,
	    NULL), MM_EPOLICY);
}

/* The largest trees: shifts must not run over. */
static enum mm_err
read_anything(void *ctx, unsigned level, uint64_t index, struct mm_hash *out,
    struct mm_why *why)
{
	(void)ctx;
	(void)why;
	*out = (struct mm_hash){ { (uint8_t)level, (uint8_t)index } };
	return MM_OK;
}

static void
huge_trees_do_not_overflow(void **state)
{
	static const uint64_t sizes[] = { UINT64_MAX, UINT64_C(1) << 63,
		(UINT64_C(1) << 63) + 1, UINT64_MAX - 1 };
	struct mm_proof p;
	struct mm_hash root;

	(void)state;
	for (size_t i = 0; i < ROWS(sizes); i++) {
		uint64_t n = sizes[i];
		const uint64_t at[] = { 0, n / 2, n - 1 };
		assert_int_equal(mm_tree_root_at(read_anything, NULL, n, &root,
		    NULL), MM_OK);
		for (size_t k = 0; k < ROWS(at); k++) {
			assert_int_equal(mm_proof_inclusion(read_anything,
			    NULL, at[k], n, &p, NULL), MM_OK);
			assert_in_range(p.n, 1, 64);
		}
	}
	/* The longest proof there is room for, and one longer. */
	assert_int_equal(mm_proof_consistency(read_anything, NULL,
	    (UINT64_C(1) << 62) + 1, UINT64_C(1) << 63, &p, NULL), MM_OK);
	assert_int_equal(p.n, MM_PROOF_MAX);
	assert_int_equal(mm_proof_consistency(read_anything, NULL,
	    (UINT64_C(1) << 62) + 1, UINT64_MAX, &p, NULL), MM_ELIMIT);
}

static void
a_frontier_survives_encoding(void **state)
{
	struct leaves l = numbered_leaves();
	struct mm_frontier f = { 0 };

	(void)state;
	for (uint64_t n = 0; n < MOST; n++) {
		struct mm_buf b = MM_BUF_INIT(8 + 64 * MM_HASH_N);
		struct mm_frontier back;
		struct mm_hash want = mth(l.hash, n), got;
		mm_frontier_encode(&f, &b);
		assert_int_equal(mm_frontier_parse(mm_buf_view(&b), &back,
		    NULL), MM_OK);
		got = mm_frontier_root(&back);
		assert_memory_equal(got.b, want.b, MM_HASH_N);
		assert_int_equal(mm_frontier_parse((struct mm_bytes){ b.p,
		    b.n - 1 }, &back, NULL), MM_EINPUT);
		mm_buf_u8(&b, 0);
		assert_int_equal(mm_frontier_parse(mm_buf_view(&b), &back,
		    NULL), MM_EINPUT);
		mm_buf_done(&b);
		mm_frontier_append(&f, &l.hash[n]);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(roots_are_those_of_rfc_6962),
		cmocka_unit_test(proofs_are_those_of_certificate_transparency),
		cmocka_unit_test(every_inclusion_proof_holds),
		cmocka_unit_test(every_consistency_proof_holds),
		cmocka_unit_test(a_changed_inclusion_is_refused),
		cmocka_unit_test(a_changed_consistency_is_refused),
		cmocka_unit_test(sizes_out_of_range_are_refused),
		cmocka_unit_test(huge_trees_do_not_overflow),
		cmocka_unit_test(a_frontier_survives_encoding),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
