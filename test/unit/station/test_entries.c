#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../base/rows.h"
#include "base/own.h"
#include "ledger/entry.h"
#include "station/entries.h"

/* A station's ledger: what a tree says of every size, read from a file of
 * which little is in memory. */
enum { N = 64 * 5 + 17 };

static char path[] = "/tmp/mintmark-entries-XXXXXX";

static int
make_file(void **state)
{
	int fd = mkstemp(path);

	(void)state;
	return fd < 0 || close(fd) != 0;
}

static int
clean(void **state)
{
	(void)state;
	return unlink(path);
}

/* Long and short ones: no two blocks are of one length. */
static void
text(unsigned i, char out[400])
{
	snprintf(out, 400,
	    "{\"v\":1,\"type\":\"certificate.%s\",\"at\":\"2026-11-29T12:00:"
	    "00.000Z\",\"device\":\"%.*s\",\"issuer\":\"x\",\"serial\":"
	    "\"%032x\"}", i % 2 == 0 ? "issued" : "confirmed",
	    (int)(i * 7 % 60),
	    "SN-000000000000000000000000000000000000000000000000000000000000",
	    i / 2);
}

static struct mm_entries *
open_it(void)
{
	struct mm_entries *e = NULL;
	struct mm_why why = { 0 };

	if (mm_entries_open(path, &e, &why) != MM_OK)
		fail_msg("%s", why.text);
	return e;
}

/* Of each size that it had, to the last one. */
static void
check_tree(struct mm_entries *e, const struct mm_frontier *at, uint64_t size)
{
	struct mm_hash root, last = mm_frontier_root(&at[size]);
	struct mm_proof p;

	assert_int_equal(mm_tree_root_at(mm_entries_read, e, size, &root,
	    NULL), MM_OK);
	assert_memory_equal(&root, &last, sizeof(root));
	for (uint64_t from = 1; from <= size; from++) {
		struct mm_hash old = mm_frontier_root(&at[from]);

		assert_int_equal(mm_proof_consistency(mm_entries_read, e, from,
		    size, &p, NULL), MM_OK);
		assert_int_equal(mm_proof_verify_consistency(&p, from, &old,
		    size, &last, NULL), MM_OK);
	}
}

static void
check_entries(struct mm_entries *e)
{
	MM_OWN(mm_buf_done) struct mm_buf b = MM_BUF_INIT(MM_ENTRY_MAX);
	char want[400], serial[33];
	uint64_t at;

	for (unsigned i = 0; i < mm_entries_n(e); i++) {
		unsigned k = i * 97 % (unsigned)mm_entries_n(e);

		text(k, want);
		mm_buf_reset(&b);
		assert_int_equal(mm_entries_get(e, k, &b, NULL), MM_OK);
		assert_true(mm_bytes_eq(mm_buf_view(&b), mm_bytes_of(want)));
		snprintf(serial, sizeof(serial), "%032x", k / 2);
		assert_true(mm_entries_find(e, serial, k % 2 == 0 ?
		    MM_ENTRIES_ISSUED : MM_ENTRIES_CONFIRMED, &at));
		assert_int_equal(at, k);
	}
	assert_false(mm_entries_find(e, "nosuch", MM_ENTRIES_ISSUED, &at));
	assert_false(mm_entries_find(e, serial, MM_ENTRIES_DESTROYED, &at));
	assert_int_equal(mm_entries_get(e, mm_entries_n(e), &b, NULL),
	    MM_ENOTFOUND);
}

static void
of_every_size(void **state)
{
	static struct mm_frontier at[N + 1];
	struct mm_entries *e = open_it();
	char one[400];

	(void)state;
	for (unsigned i = 0; i < N; i++) {
		struct mm_hash leaf;

		text(i, one);
		leaf = mm_tree_leaf(mm_bytes_of(one));
		at[i + 1] = at[i];
		mm_frontier_append(&at[i + 1], &leaf);
		assert_int_equal(mm_entries_add(e, mm_bytes_of(one), NULL),
		    MM_OK);
		if (i % 31 == 0 || i % 64 > 61)
			check_tree(e, at, i + 1);
	}
	check_tree(e, at, N);
	check_entries(e);
	mm_entries_close(&e);
	e = open_it();
	assert_int_equal(mm_entries_n(e), N);
	check_tree(e, at, N);
	check_entries(e);
	mm_entries_close(&e);
}

/* Cut in each of its last bytes, or with zeros where they had not arrived:
 * what nobody was told of goes; the rest stays. */
static void
torn_at_the_end(void **state)
{
	static const char zeros[8];
	struct mm_entries *e;
	struct stat st;
	char one[400];
	size_t last;
	int fd;

	(void)state;
	text(N - 1, one);
	last = strlen(one) + 2;
	for (size_t gone = 1; gone <= last; gone += 13) {
		assert_int_equal(stat(path, &st), 0);
		assert_int_equal(truncate(path, st.st_size - (off_t)gone), 0);
		fd = open(path, O_WRONLY | O_APPEND);
		assert_true(fd >= 0);
		if (gone % 2 == 0)
			assert_int_equal(write(fd, zeros, sizeof(zeros)),
			    sizeof(zeros));
		close(fd);
		e = open_it();
		assert_int_equal(mm_entries_n(e), N - 1);
		check_entries(e);
		assert_int_equal(mm_entries_add(e, mm_bytes_of(one), NULL),
		    MM_OK);
		check_entries(e);
		mm_entries_close(&e);
	}
}

static void
damaged_within(void **state)
{
	struct mm_entries *e = NULL;
	struct mm_why why = { 0 };
	int fd = open(path, O_WRONLY);

	(void)state;
	assert_int_equal(pwrite(fd, "x", 1, 2), 1);
	close(fd);
	assert_int_equal(mm_entries_open(path, &e, &why), MM_EPOLICY);
	assert_null(e);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(of_every_size),
		cmocka_unit_test(torn_at_the_end),
		cmocka_unit_test(damaged_within),
	};

	return cmocka_run_group_tests(tests, make_file, clean);
}
