#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <poll.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../base/rows.h"
#include "base/crc.h"
#include "base/file.h"
#include "base/own.h"
#include "station/rows.h"

static char dir[64], path[96];

static int
make_dir(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/mintmark-rows-XXXXXX");
	if (mkdtemp(dir) == NULL)
		return -1;
	snprintf(path, sizeof(path), "%s/journal", dir);
	return 0;
}

static int
drop_dir(void **state)
{
	(void)state;
	(void)unlink(path);
	return rmdir(dir);
}

struct seen {
	unsigned n;
	struct mm_row last;
};

static enum mm_err
see(void *ctx, const struct mm_row *r)
{
	struct seen *s = ctx;

	s->n++;
	s->last = *r;
	return MM_OK;
}

static struct mm_unit
unit(enum mm_unit_state s)
{
	struct mm_unit u = { .serial = "SN-1", .fixture = "f1", .attempt = 1,
		.state = s };

	if (s > MM_UNIT_SCANNED)
		strcpy(u.hw, "0aff");
	if (s >= MM_UNIT_KEYED)
		memset(u.spki, 3, 32);
	if (s >= MM_UNIT_ISSUED)
		memset(u.cert, 4, 32);
	return u;
}

/* A whole unit's rows. */
static unsigned
write_unit(void)
{
	struct mm_rows *j = NULL;
	struct seen s = { 0 };
	struct mm_why why = { 0 };
	unsigned n = 0;

	assert_int_equal(mm_rows_open(path, see, &s, &j, &why), MM_OK);
	for (enum mm_unit_state st = MM_UNIT_SCANNED; st != MM_UNIT_STATES;
	     st = mm_unit_next(st, MM_EV_DONE), n++) {
		struct mm_unit u = unit(st);

		assert_int_equal(mm_rows_add(j, &u, mm_unit_syncs(st), &why),
		    MM_OK);
	}
	mm_rows_close(&j);
	return n;
}

static void
rows_come_back(void **state)
{
	struct mm_rows *j = NULL;
	struct seen s = { 0 };
	unsigned n = write_unit();

	(void)state;
	assert_int_equal(mm_rows_open(path, see, &s, &j, NULL), MM_OK);
	assert_int_equal(s.n, n);
	assert_int_equal(s.last.unit.state, MM_UNIT_PASSED);
	assert_string_equal(s.last.unit.hw, "0aff");
	assert_int_equal(mm_rows_last_at(j), s.last.at_ms);
	assert_int_equal(mm_rows_torn(j), 0);
	/* One program at a time. */
	{
		struct mm_rows *other = NULL;

		assert_int_equal(mm_rows_open(path, see, &s, &other, NULL),
		    MM_ECONFLICT);
	}
	mm_rows_close(&j);
}

static unsigned
count_lines(struct mm_bytes b)
{
	unsigned n = 0;

	for (size_t i = 0; i < b.n; i++)
		n += b.p[i] == '\n';
	return n;
}

/* Power goes at every byte of the last row, and at many of the others: what is
 * whole is there, and what follows is numbered on. */
static void
torn_at_any_byte(void **state)
{
	MM_OWN(mm_buf_done) struct mm_buf all = MM_BUF_INIT(1 << 16);
	unsigned n = write_unit(), lines = 0;
	size_t step = 17;

	(void)state;
	assert_int_equal(mm_file_read(path, &all, NULL), MM_OK);
	for (size_t cut = 0; cut <= all.n; cut += step) {
		struct mm_unit u = unit(MM_UNIT_FAILED);
		struct mm_rows *j = NULL;
		struct seen s = { 0 };

		lines = count_lines((struct mm_bytes){ all.p, cut });
		if (lines == n - 1)
			step = 1;
		assert_int_equal(mm_file_replace(path,
		    (struct mm_bytes){ all.p, cut }, 0600, NULL), MM_OK);
		assert_int_equal(mm_rows_open(path, see, &s, &j, NULL),
		    MM_OK);
		assert_int_equal(s.n, lines);
		assert_int_equal(mm_rows_add(j, &u, true, NULL), MM_OK);
		mm_rows_close(&j);
		s = (struct seen){ 0 };
		assert_int_equal(mm_rows_read(path, see, &s, NULL), MM_OK);
		assert_int_equal(s.n, lines + 1);
		assert_int_equal(s.last.n, lines + 1);
	}
	assert_int_equal(lines, n);
}

/* A changed bit anywhere but in the last rows, which nothing rests on yet,
 * stops the start; in them it cuts them off. */
static void
damage_is_not_guessed_away(void **state)
{
	MM_OWN(mm_buf_done) struct mm_buf all = MM_BUF_INIT(1 << 16);
	size_t last;

	(void)state;
	write_unit();
	assert_int_equal(mm_file_read(path, &all, NULL), MM_OK);
	for (last = all.n - 1; all.p[last - 1] != '\n'; last--)
		continue;
	for (size_t i = 0; i < all.n; i += 7) {
		struct seen s = { 0 };
		enum mm_err rc;

		all.p[i] ^= 4;
		assert_int_equal(mm_file_replace(path, mm_buf_view(&all),
		    0600, NULL), MM_OK);
		all.p[i] ^= 4;
		rc = mm_rows_read(path, see, &s, NULL);
		if (i < last)
			assert_int_equal(rc, MM_EPOLICY);
		else
			assert_int_equal(rc, MM_OK);
		assert_true(s.n < MM_UNIT_STATES && (i >= last ||
		    s.last.unit.state != MM_UNIT_PASSED));
	}
}

/* Two rows that nobody waited for, the first of them lost, the second not. */
static void
rows_that_nobody_waited_for_may_go_together(void **state)
{
	MM_OWN(mm_buf_done) struct mm_buf b = MM_BUF_INIT(1 << 16);
	static const enum mm_unit_state steps[] = { MM_UNIT_REQUESTED,
		MM_UNIT_ISSUED, MM_UNIT_WRITTEN, MM_UNIT_STORED };
	size_t ends[4];
	struct seen s = { 0 };

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		struct mm_row r = { .n = i + 1, .at_ms = 1000,
			.unit = unit(steps[i]) };

		mm_row_encode(&r, &b);
		ends[i] = b.n;
	}
	b.p[ends[0] + 30] ^= 1;
	assert_int_equal(mm_file_replace(path,
	    (struct mm_bytes){ b.p, ends[2] }, 0600, NULL), MM_OK);
	assert_int_equal(mm_rows_read(path, see, &s, NULL), MM_OK);
	assert_int_equal(s.n, 1);
	/* STORED was waited for: a commit may have followed. */
	assert_int_equal(mm_file_replace(path, mm_buf_view(&b), 0600, NULL),
	    MM_OK);
	assert_int_equal(mm_rows_read(path, see, &s, NULL), MM_EPOLICY);
}

static void
a_full_disk_takes_nothing_back(void **state)
{
	struct rlimit old, small;
	struct mm_unit u = unit(MM_UNIT_SCANNED);
	struct mm_rows *j = NULL;
	struct seen s = { 0 };
	struct mm_why why = { 0 };

	(void)state;
	(void)signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(mm_rows_open(path, see, &s, &j, NULL), MM_OK);
	assert_int_equal(mm_rows_add(j, &u, true, NULL), MM_OK);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	small = old;
	small.rlim_cur = 200; /* in the middle of the second row */
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	assert_int_equal(mm_rows_add(j, &u, true, &why), MM_ESYS);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	/* With room again it goes on, and nothing is torn. */
	assert_int_equal(mm_rows_reserve(j, NULL), MM_OK);
	assert_int_equal(mm_rows_add(j, &u, true, NULL), MM_OK);
	mm_rows_close(&j);
	assert_int_equal(mm_rows_open(path, see, &s, &j, NULL), MM_OK);
	assert_int_equal(s.n, 2);
	assert_int_equal(mm_rows_torn(j), 0);
	mm_rows_close(&j);
}

struct giving {
	unsigned n;
};

static bool
give(void *ctx, struct mm_unit *out)
{
	struct giving *g = ctx;

	*out = unit(MM_UNIT_QUARANTINED);
	return g->n-- > 0;
}

static void
a_new_file_goes_on_where_the_old_one_ended(void **state)
{
	MM_OWN(mm_rows_close) struct mm_rows *j = NULL;
	struct giving g = { 2 };
	struct mm_unit u = unit(MM_UNIT_PASSED);
	struct mm_rows *other = NULL;
	struct seen s = { 0 };
	unsigned n = write_unit();
	char old[128];

	(void)state;
	assert_int_equal(mm_rows_open(path, see, &s, &j, NULL), MM_OK);
	snprintf(old, sizeof(old), "%s.%u", path, n);
	/* As if power had gone between the two names. */
	assert_int_equal(link(path, old), 0);
	assert_int_equal(mm_rows_renew(j, give, &g, NULL), MM_OK);
	assert_int_equal(mm_rows_add(j, &u, true, NULL), MM_OK);
	/* It is locked as the old one was. */
	assert_int_equal(mm_rows_open(path, see, &s, &other, NULL),
	    MM_ECONFLICT);
	s = (struct seen){ 0 };
	assert_int_equal(mm_rows_read(path, see, &s, NULL), MM_OK);
	assert_int_equal(s.n, 3);
	assert_int_equal(s.last.n, n + 3);
	s = (struct seen){ 0 };
	assert_int_equal(mm_rows_read(old, see, &s, NULL), MM_OK);
	assert_int_equal(s.n, n);
	assert_int_equal(unlink(old), 0);
	/* A name that is another file's is not taken away. */
	snprintf(old, sizeof(old), "%s.%u", path, n + 3);
	assert_int_equal(mm_file_create(old, mm_bytes_of("x"), 0600, NULL),
	    MM_OK);
	g.n = 1;
	assert_int_equal(mm_rows_renew(j, give, &g, NULL), MM_ESYS);
	assert_int_equal(mm_rows_add(j, &u, true, NULL), MM_OK);
	s = (struct seen){ 0 };
	assert_int_equal(mm_rows_read(path, see, &s, NULL), MM_OK);
	assert_int_equal(s.last.n, n + 4);
	assert_int_equal(unlink(old), 0);
}

/* Whoever only looks has the lock for a moment. */
static void
held_for_a_moment(void **state)
{
	struct mm_rows *j = NULL;
	struct seen s = { 0 };
	int ready[2], status;
	char c;
	pid_t pid;

	(void)state;
	(void)write_unit();
	assert_int_equal(pipe(ready), 0);
	pid = fork();
	if (pid == 0) {
		int fd = open(path, O_RDONLY | O_CLOEXEC);
		bool is = flock(fd, LOCK_EX | LOCK_NB) == 0 &&
		    write(ready[1], "x", 1) == 1;

		(void)poll(NULL, 0, 40);
		_exit(is ? 0 : 1);
	}
	assert_true(pid > 0);
	assert_int_equal(read(ready[0], &c, 1), 1);
	assert_int_equal(mm_rows_open(path, see, &s, &j, NULL), MM_OK);
	mm_rows_close(&j);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	(void)close(ready[0]);
	(void)close(ready[1]);
}

static void
the_checksum_is_the_usual_one(void **state)
{
	(void)state;
	assert_int_equal(mm_crc32(mm_bytes_of("123456789")), 0xcbf43926);
}

#define T(f) cmocka_unit_test_setup_teardown(f, make_dir, drop_dir)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(rows_come_back),
		T(torn_at_any_byte),
		T(damage_is_not_guessed_away),
		T(rows_that_nobody_waited_for_may_go_together),
		T(a_new_file_goes_on_where_the_old_one_ended),
		T(a_full_disk_takes_nothing_back),
		T(held_for_a_moment),
		cmocka_unit_test(the_checksum_is_the_usual_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
