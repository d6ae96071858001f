#include "fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * Lists against what a loop over all rows says: every combination of filters,
 * every page size, with rows added between the pages.
 */

#define N 360

static const char *const products[] = { "thermo", "valve", "pump" };
static const char *const issuers[] = { "line-ca", "cloud-ca" };
static const char *const profiles[] = { "a@1", "a@2" };

/* What certificate i is, by its number. */
struct fact {
	const char *product, *issuer, *profile;
	int state;
	int64_t not_after_s;
	unsigned device;
	int64_t issued_at; /* clocks go back: not in the order of storing */
};

static struct fact
fact_of(unsigned i)
{
	static const int states[] = { MM_CERT_ISSUED, MM_CERT_CONFIRMED,
		MM_CERT_REVOKED, MM_CERT_HELD, MM_CERT_CONFIRMED };

	return (struct fact){ products[i / 4 % 3], issuers[i % 2],
		profiles[i / 2 % 2], states[i % 5],
		1000 + (i * 37) % 100, i / 4,
		T0 + (i + 90) % 200 * 1000 };
}

static void
make_cert(struct fx *f, unsigned i)
{
	struct fact w = fact_of(i);
	struct mm_cert_row *row;
	struct top t;

	top_device(&t, w.device);
	strcpy(t.op.u.device.row.product, w.product);
	(void)run1(f, &t);
	top_issue(&t, i);
	row = &t.op.u.issue.row;
	snprintf(row->device, sizeof(row->device), "SN-%u", w.device);
	snprintf(row->authority, sizeof(row->authority), "op:x:%u", i);
	strcpy(row->product, w.product);
	strcpy(row->issuer, w.issuer);
	strcpy(row->profile, w.profile);
	row->not_after_s = w.not_after_s;
	row->issued_at = w.issued_at;
	t.op.u.issue.confirmed = w.state == MM_CERT_CONFIRMED;
	assert_int_equal(run1(f, &t), MM_OK);
	if (w.state != MM_CERT_REVOKED && w.state != MM_CERT_HELD)
		return;
	top_revoke(&t, i, w.state);
	assert_int_equal(run1(f, &t), MM_OK);
}

static bool
wanted(const struct mm_list *l, unsigned i)
{
	struct fact w = fact_of(i);
	char device[32];

	snprintf(device, sizeof(device), "SN-%u", w.device);
	return (l->device == NULL || strcmp(l->device, device) == 0) &&
	    (l->product == NULL || strcmp(l->product, w.product) == 0) &&
	    (l->issuer == NULL || strcmp(l->issuer, w.issuer) == 0) &&
	    (l->profile == NULL || strcmp(l->profile, w.profile) == 0) &&
	    (l->state == -1 || l->state == w.state) &&
	    (l->expires_from_s == 0 || w.not_after_s >= l->expires_from_s) &&
	    (l->expires_to_s == 0 || w.not_after_s < l->expires_to_s) &&
	    (l->issued_to == 0 || w.issued_at < l->issued_to);
}

/* Rows as they come: their numbers. */
struct seen {
	unsigned n, number[2 * N];
	char next[MM_AUTHORITY_TEXT];
};

static enum mm_err
see(void *ctx, const void *row, const char *next, struct mm_why *why)
{
	const uint8_t *s = ((const struct mm_cert_row *)row)->serial;
	struct seen *seen = ctx;

	(void)why;
	assert_true(seen->n < 2 * N);
	seen->number[seen->n++] = (unsigned)s[1] << 24 | s[2] << 16 |
	    s[3] << 8 | s[4];
	snprintf(seen->next, sizeof(seen->next), "%s", next);
	return MM_OK;
}

static int64_t
time_of(const struct mm_list *l, unsigned i)
{
	struct fact w = fact_of(i);

	return l->issued_to != 0 ? w.issued_at :
	    l->expires_from_s != 0 || l->expires_to_s != 0 ? w.not_after_s : 0;
}

static int
by_place(const void *a, const void *b, void *list)
{
	unsigned i = *(const unsigned *)a, j = *(const unsigned *)b;
	const struct mm_list *l = list;
	int64_t x = time_of(l, i), y = time_of(l, j);

	if (l->newest_first)
		return i > j ? -1 : i < j;
	if (x != y)
		return x < y ? -1 : 1;
	return i < j ? -1 : i > j;
}

static void
check_list(struct fx *f, struct mm_list *l, unsigned most)
{
	struct seen seen = { 0 };
	struct mm_why why = { 0 };
	unsigned want[N], n = 0, before;

	for (unsigned i = 0; i < N; i++)
		if (wanted(l, i))
			want[n++] = i;
	qsort_r(want, n, sizeof(want[0]), by_place, l);
	l->most = most;
	do {
		before = seen.n;
		snprintf(l->after, sizeof(l->after), "%s", seen.next);
		must(mm_list_certs(f->r, l, see, &seen, &why), &why);
		assert_true(seen.n - before <= most);
	} while (seen.n - before == most);
	assert_int_equal(seen.n, n);
	if (n > 0)
		assert_memory_equal(seen.number, want, n * sizeof(want[0]));
}

static void
every_combination(const struct mm_store_backend *b)
{
	static const int states[] = { -1, MM_CERT_ISSUED, MM_CERT_REVOKED,
		MM_CERT_ORPHANED };
	static const int64_t spans[][2] = { { 0, 0 }, { 1010, 0 },
		{ 0, 1050 }, { 1020, 1021 }, { 2000, 0 } };
	struct fx f;

	if (!fx_open(&f, b))
		return;
	for (unsigned i = 0; i < N; i++)
		make_cert(&f, i);
	for (unsigned c = 0; c < 2 * 3 * 3 * 2 * 4 * 5; c++) {
		struct mm_list l = {
			.device = c % 2 ? "SN-3" : NULL,
			.product = c / 2 % 3 == 0 ? NULL :
			    c / 2 % 3 == 1 ? "valve" : "nosuch",
			.issuer = c / 6 % 3 == 0 ? NULL :
			    issuers[c / 6 % 3 - 1],
			.profile = c / 18 % 2 ? "a@2" : NULL,
			.state = states[c / 36 % 4],
			.expires_from_s = spans[c / 144][0],
			.expires_to_s = spans[c / 144][1],
		};
		check_list(&f, &l, c % 7 == 0 ? 1 : c % 5 == 0 ? 70 : 400);
	}
	check_whole(&f);
	fx_close(&f);
}

/* The newest of a device, and under filters. */
static void
newest_first(const struct mm_store_backend *b)
{
	static const int states[] = { -1, MM_CERT_CONFIRMED, MM_CERT_REVOKED,
		MM_CERT_ORPHANED };
	struct fx f;

	if (!fx_open(&f, b))
		return;
	for (unsigned i = 0; i < N; i++)
		make_cert(&f, i);
	for (unsigned c = 0; c < 4 * 3 * 3; c++) {
		struct mm_list l = { .device = c % 4 ? "SN-3" : "SN-nosuch",
			.issuer = c / 4 % 3 == 0 ? NULL :
			    issuers[c / 4 % 3 - 1],
			.state = states[c % 4], .newest_first = true };

		check_list(&f, &l, 1 + c / 12 * 2);
	}
	fx_close(&f);
}

static enum mm_err
keep_token(void *ctx, const void *row, const char *next, struct mm_why *why)
{
	char (*ids)[2][25] = ctx;

	(void)next, (void)why;
	strcpy((*ids)[(*ids)[0][0] != '\0'],
	    ((const struct mm_token_row *)row)->id);
	return MM_OK;
}

static void
newest_tokens_first(const struct mm_store_backend *b)
{
	struct mm_list l = { .most = 1, .state = -1, .device = "SN-4",
		.newest_first = true };
	char ids[2][25] = { "", "" }, want[2][25];
	struct top t;
	struct fx f;

	if (!fx_open(&f, b))
		return;
	for (unsigned i = 0; i < 3; i++) {
		top_mint(&t, i);
		strcpy(t.op.u.mint.row.device, i == 1 ? "SN-5" : "SN-4");
		assert_int_equal(run1(&f, &t), MM_OK);
	}
	token_of(2, want[0]);
	token_of(0, want[1]);
	for (unsigned i = 0; i < 3; i++) {
		must(mm_list_tokens(f.r, &l, keep_token, &ids, NULL), NULL);
		strcpy(l.after, i < 2 ? ids[i] : "");
	}
	assert_string_equal(ids[0], want[0]);
	assert_string_equal(ids[1], want[1]);
	fx_close(&f);
}

static void
newest_refused(const struct mm_store_backend *b)
{
	static const uint8_t key[32];
	static const struct mm_list bad[] = {
		{ .most = 5, .state = -1 },
		{ .most = 5, .state = -1, .product = "valve" },
		{ .most = 5, .state = -1, .device = "SN-3",
		    .expires_to_s = 5000 },
		{ .most = 5, .state = MM_CERT_ISSUED, .device = "SN-3",
		    .issued_to = T0 },
		{ .most = 5, .state = -1, .device = "SN-3",
		    .spki_sha256 = key },
	};
	struct seen seen = { 0 };
	struct fx f;

	if (!fx_open(&f, b))
		return;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct mm_list l = bad[i];

		l.newest_first = true;
		assert_int_equal(mm_list_certs(f.r, &l, see, &seen, NULL),
		    MM_EINPUT);
	}
	fx_close(&f);
}

/* A device's certificates go with it to another product, and are found where
 * every list would look for them; what it is issued then is of the new one. */
static void
moved(const struct mm_store_backend *b)
{
	static const char *const way[] = { "pump", "valve", "pump" };
	struct seen seen;
	struct mm_list l = { .most = 400 };
	struct fx f;
	struct top t;

	if (!fx_open(&f, b))
		return;
	for (unsigned i = 0; i < 24; i++)
		make_cert(&f, i);
	for (unsigned m = 0; m < 3; m++) {
		top_device(&t, 3);
		strcpy(t.op.u.device.row.product, way[m]);
		t.op.u.device.replace = true;
		assert_int_equal(run1(&f, &t), MM_OK);
		for (unsigned p = 0; p < 3 * 7; p++) {
			unsigned want = 0;

			l.product = products[p % 3];
			l.state = (int)(p / 3) - 1;
			l.expires_to_s = m == 2 ? 5000 : 0;
			for (unsigned i = 0; i < 24; i++)
				want += (l.state == -1 ||
				    l.state == fact_of(i).state) &&
				    strcmp(i / 4 == 3 ? way[m] :
				    fact_of(i).product, l.product) == 0;
			seen.n = 0;
			must(mm_list_certs(f.r, &l, see, &seen, NULL), NULL);
			assert_int_equal(seen.n, want);
		}
	}
	check_whole(&f);
	fx_close(&f);
}

/* Unconfirmed ones by age, under every other filter; and their number. */
static void
unconfirmed(const struct mm_store_backend *b)
{
	struct fx f;
	uint64_t n, want = 0;

	if (!fx_open(&f, b))
		return;
	for (unsigned i = 0; i < N; i++)
		make_cert(&f, i);
	for (unsigned c = 0; c < 2 * 3 * 3 * 2 * 3; c++) {
		struct mm_list l = {
			.device = c % 2 ? "SN-3" : NULL,
			.product = c / 2 % 3 == 0 ? NULL :
			    c / 2 % 3 == 1 ? "valve" : "nosuch",
			.issuer = c / 6 % 3 == 0 ? NULL :
			    issuers[c / 6 % 3 - 1],
			.profile = c / 18 % 2 ? "a@2" : NULL,
			.state = MM_CERT_ISSUED,
			.issued_to = T0 + 1000 * (int64_t[]){ 1, 77,
			    5000 }[c / 36],
		};
		check_list(&f, &l, c % 7 == 0 ? 1 : c % 5 == 0 ? 13 : 400);
	}
	for (unsigned i = 0; i < N; i++)
		want += fact_of(i).state == MM_CERT_ISSUED &&
		    fact_of(i).issued_at < T0 + 77000;
	assert_int_equal(mm_get_unconfirmed(f.r, T0 + 77000, 1000, &n, NULL),
	    MM_OK);
	assert_true(n == want && want > 9);
	assert_int_equal(mm_get_unconfirmed(f.r, T0 + 77000, 9, &n, NULL),
	    MM_OK);
	assert_int_equal(n, 9);
	fx_close(&f);
}

static void
unconfirmed_refused(const struct mm_store_backend *b)
{
	static const struct mm_list bad[] = {
		{ .most = 5, .state = -1, .issued_to = T0 },
		{ .most = 5, .state = MM_CERT_CONFIRMED, .issued_to = T0 },
		{ .most = 5, .state = MM_CERT_ISSUED, .issued_to = T0,
		    .expires_to_s = 5000 },
	};
	struct seen seen = { 0 };
	struct fx f;

	if (!fx_open(&f, b))
		return;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(mm_list_certs(f.r, &bad[i], see, &seen,
		    NULL), MM_EINPUT);
	fx_close(&f);
}

/* What was there when the walk began is seen once, whatever is added. */
static void
rows_added_between_pages(const struct mm_store_backend *b)
{
	struct fx f;
	struct mm_list l = { .most = 7, .state = -1, .product = "valve" };
	struct seen seen = { 0 };
	unsigned next = 120, before, n = 0;

	if (!fx_open(&f, b))
		return;
	for (unsigned i = 0; i < next; i++)
		make_cert(&f, i);
	do {
		before = seen.n;
		snprintf(l.after, sizeof(l.after), "%s", seen.next);
		assert_int_equal(mm_list_certs(f.r, &l, see, &seen, NULL),
		    MM_OK);
		for (unsigned i = 0; i < 12 && next < N; i++)
			make_cert(&f, next++);
	} while (seen.n > before);
	for (unsigned i = 0; i < N; i++)
		if (wanted(&l, i))
			assert_int_equal(seen.number[n++], i);
	assert_int_equal(seen.n, n);
	fx_close(&f);
}

static void
keys_that_are_none(const struct mm_store_backend *b)
{
	static const char *const bad[] = { "x", "1010", "00", "-",
		"1010-zz", "01000000005a5a5a5a5a5a5a5a5a5a5a",
		"9999-01000000005a5a5a5a5a5a5a5a5a5a5a" };
	struct fx f;
	struct seen seen = { 0 };
	struct mm_list l = { .state = -1 };

	if (!fx_open(&f, b))
		return;
	assert_int_equal(mm_list_certs(f.r, &l, see, &seen, NULL), MM_EINPUT);
	l.most = 10;
	for (unsigned i = 0; i < 2 * sizeof(bad) / sizeof(bad[0]); i++) {
		l.expires_to_s = i % 2 ? 5000 : 0;
		snprintf(l.after, sizeof(l.after), "%s", bad[i / 2]);
		assert_int_equal(mm_list_certs(f.r, &l, see, &seen, NULL),
		    MM_EINPUT);
	}
	fx_close(&f);
}

/* In serial order, held ones too, another issuer's and expired ones not. */
static void
revoked(const struct mm_store_backend *b)
{
	struct fx f;
	struct seen seen = { 0 };
	unsigned n = 0;

	if (!fx_open(&f, b))
		return;
	for (unsigned i = N; i-- > 0;)
		make_cert(&f, i);
	assert_int_equal(mm_list_revoked(f.r, "cloud-ca", 1050, see, &seen,
	    NULL), MM_OK);
	for (unsigned i = 0; i < N; i++) {
		struct fact w = fact_of(i);
		if (strcmp(w.issuer, "cloud-ca") == 0 &&
		    (w.state == MM_CERT_REVOKED || w.state == MM_CERT_HELD) &&
		    w.not_after_s >= 1050)
			assert_int_equal(seen.number[n++], i);
	}
	assert_int_equal(seen.n, n);
	assert_true(n > 0);
	fx_close(&f);
}

static bool
is_listed(unsigned i, int64_t from, int64_t to)
{
	struct fact w = fact_of(i);

	return strcmp(w.issuer, "cloud-ca") == 0 && w.not_after_s >= 1050 &&
	    (w.state == MM_CERT_REVOKED || w.state == MM_CERT_HELD) &&
	    i % 7 >= from && i % 7 <= to;
}

static void
check_shards(struct fx *f, int64_t from, int64_t to, unsigned but)
{
	struct mm_shards_of of = { "cloud-ca", 1050, from, to };
	struct seen seen = { 0 };
	unsigned n = 0;

	assert_int_equal(mm_list_revoked_shards(f->r, &of, see, &seen, NULL),
	    MM_OK);
	for (unsigned i = 0; i < N; i++)
		if (is_listed(i, from, to) && i != but)
			assert_int_equal(seen.number[n++], i);
	assert_int_equal(seen.n, n);
}

/* The same by shard, whatever becomes of a certificate; an orphan apart. */
static void
revoked_shards(const struct mm_store_backend *b)
{
	const struct mm_shards_of apart = { ISSUER, 0, MM_SHARD_NONE,
		MM_SHARD_NONE };
	struct seen seen = { 0 };
	struct fx f;
	struct top t;
	unsigned held = 3;

	if (!fx_open(&f, b))
		return;
	for (unsigned i = N; i-- > 0;)
		make_cert(&f, i);
	for (unsigned k = 0; k < 8; k++)
		check_shards(&f, k, k, N);
	check_shards(&f, 2, 5, N);
	while (!is_listed(held, 0, 6) ||
	    fact_of(held).state != MM_CERT_HELD)
		held++;
	top_revoke(&t, held, MM_CERT_CONFIRMED);
	assert_int_equal(run1(&f, &t), MM_OK);
	check_shards(&f, 0, 6, held);
	top_revoke(&t, held, MM_CERT_HELD);
	assert_int_equal(run1(&f, &t), MM_OK);
	top_revoke(&t, held, MM_CERT_REVOKED);
	assert_int_equal(run1(&f, &t), MM_OK);
	check_shards(&f, 0, 6, N);
	check_shards(&f, -1, -1, N);
	top_orphan(&t, N);
	assert_int_equal(run1(&f, &t), MM_OK);
	assert_int_equal(mm_list_revoked_shards(f.r, &apart, see, &seen,
	    NULL), MM_OK);
	assert_int_equal(seen.n, 1);
	assert_int_equal(seen.number[0], N);
	fx_close(&f);
}

struct names {
	unsigned n;
	char last[MM_AUTHORITY_TEXT];
};

static enum mm_err
ascending(void *ctx, const void *row, const char *next, struct mm_why *why)
{
	struct names *names = ctx;

	(void)row;
	(void)why;
	assert_true(strcasecmp(names->last, next) < 0);
	names->n++;
	snprintf(names->last, sizeof(names->last), "%s", next);
	return MM_OK;
}

static enum mm_err
count(void *ctx, const void *row, const char *next, struct mm_why *why)
{
	struct names *names = ctx;

	(void)row;
	(void)why;
	names->n++;
	snprintf(names->last, sizeof(names->last), "%s", next);
	return MM_OK;
}

static void
devices_and_tokens(const struct mm_store_backend *b)
{
	struct fx f;
	struct top t;
	struct names names = { 0 };
	struct mm_list l = { .most = 9, .state = -1, .product = "valve" };

	if (!fx_open(&f, b))
		return;
	for (unsigned i = 0; i < 90; i++) {
		top_mint(&t, i);
		strcpy(t.op.u.mint.row.product, products[i % 3]);
		assert_int_equal(run1(&f, &t), MM_OK);
	}
	top_token(&t, 4, 1U << MM_TOKEN_MINTED, MM_TOKEN_CANCELLED);
	assert_int_equal(run1(&f, &t), MM_OK);
	for (unsigned before = 1; names.n != before;) {
		before = names.n;
		snprintf(l.after, sizeof(l.after), "%s", names.last);
		assert_int_equal(mm_list_devices(f.r, &l, ascending, &names,
		    NULL), MM_OK);
	}
	assert_int_equal(names.n, 30);
	names = (struct names){ 0 };
	for (unsigned before = 1; names.n != before;) {
		before = names.n;
		snprintf(l.after, sizeof(l.after), "%s", names.last);
		assert_int_equal(mm_list_tokens(f.r, &l, ascending, &names,
		    NULL), MM_OK);
	}
	assert_int_equal(names.n, 30);
	l.state = MM_TOKEN_CANCELLED;
	l.after[0] = '\0';
	names.n = 0;
	assert_int_equal(mm_list_tokens(f.r, &l, count, &names, NULL), MM_OK);
	assert_int_equal(names.n, 1);
	l = (struct mm_list){ .most = 9, .state = -1, .device = "sn-4" };
	assert_int_equal(mm_list_tokens(f.r, &l, count, &names, NULL), MM_OK);
	assert_int_equal(names.n, 2);
	fx_close(&f);
}

struct ends {
	unsigned n, rounds;
};

static void
see_end(void *ctx, const struct mm_ending *at)
{
	struct ends *ends = ctx;

	assert_true(at->not_after_s >= 1000 && at->not_after_s < 1100);
	ends->n++;
}

static struct ends
walk_ends(struct fx *f, unsigned most, int64_t until_ms)
{
	struct mm_ending at = { .over = false };
	struct ends ends = { 0 };

	for (; !at.over; ends.rounds++) {
		unsigned before = ends.n;

		assert_true(ends.rounds < 10 * N);
		assert_int_equal(mm_walk_ends(f->r, &at, most, until_ms,
		    see_end, &ends, NULL), MM_OK);
		assert_true(ends.n - before <= most);
	}
	return ends;
}

/* Each once, whatever a round is; states that have none are part of it. */
static void
ends_in_rounds(const struct mm_store_backend *b)
{
	const struct {
		unsigned most;
		int64_t until_ms;
		unsigned least;
	} rows[] = { { 10000, 0, 1 }, { 1, 0, N / 5 * 4 }, { 7, 0, 41 },
		{ 10000, 1, 36 } }; /* no time: a state of a class at once */
	struct fx f;

	if (!fx_open(&f, b))
		return;
	for (unsigned i = 0; i < N; i++)
		make_cert(&f, i);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ends ends = walk_ends(&f, rows[i].most,
		    rows[i].until_ms);

		assert_int_equal(ends.n, N / 5 * 4);
		assert_true(ends.rounds >= rows[i].least);
	}
	fx_close(&f);
}

ON_BACKENDS(ends_in_rounds)
ON_BACKENDS(every_combination)
ON_BACKENDS(rows_added_between_pages)
ON_BACKENDS(keys_that_are_none)
ON_BACKENDS(revoked)
ON_BACKENDS(revoked_shards)
ON_BACKENDS(devices_and_tokens)
ON_BACKENDS(newest_first)
ON_BACKENDS(newest_tokens_first)
ON_BACKENDS(newest_refused)
ON_BACKENDS(moved)
ON_BACKENDS(unconfirmed)
ON_BACKENDS(unconfirmed_refused)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ends_in_rounds),
		cmocka_unit_test(test_every_combination),
		cmocka_unit_test(test_rows_added_between_pages),
		cmocka_unit_test(test_keys_that_are_none),
		cmocka_unit_test(test_revoked),
		cmocka_unit_test(test_revoked_shards),
		cmocka_unit_test(test_devices_and_tokens),
		cmocka_unit_test(test_newest_first),
		cmocka_unit_test(test_newest_tokens_first),
		cmocka_unit_test(test_newest_refused),
		cmocka_unit_test(test_moved),
		cmocka_unit_test(test_unconfirmed),
		cmocka_unit_test(test_unconfirmed_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
