#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../base/rows.h"
#include "base/file.h"
#include "base/own.h"
#include "base/text.h"
#include "station/mirror_priv.h"
#include "station/rows.h"

/* The files of a second disk, by folders of one: which disk they are on is
 * test_station_mirror.py's. */
static char folder[] = "/tmp/mintmark-mirror-XXXXXX";

struct far {
	unsigned n;
	uint64_t done, of;
};

static void
moved(void *ctx, uint64_t done, uint64_t of)
{
	struct far *f = ctx;

	assert_true(done > f->done && done <= of);
	f->n++;
	f->done = done;
	f->of = of;
}

static void
put(const char *name, const char *text)
{
	char path[PATH_MAX];

	assert_int_equal(
	    mm_path_join(path, sizeof(path), folder, name, NULL), MM_OK);
	assert_int_equal(
	    mm_file_replace(path, mm_bytes_of(text), 0600, NULL), MM_OK);
}

static bool
says(const char *name, const char *text)
{
	struct mm_buf b = MM_BUF_INIT(1 << 20);
	char path[PATH_MAX];
	bool same;

	assert_int_equal(
	    mm_path_join(path, sizeof(path), folder, name, NULL), MM_OK);
	same = mm_file_read(path, &b, NULL) == MM_OK &&
	    strcmp(mm_buf_cstr(&b), text) == 0;
	mm_buf_done(&b);
	return same;
}

/* n rows of one station: which, by its label. */
static void
put_rows(const char *name, const char *serial, uint64_t from, uint64_t n)
{
	struct mm_buf b = MM_BUF_INIT(1 << 16);
	struct mm_row r = { .at_ms = 1700000000000,
		.unit = { .attempt = 1, .state = MM_UNIT_SCANNED,
		    .fixture = "f1" } };

	strcpy(r.unit.serial, serial);
	for (r.n = from; r.n < from + n; r.n++)
		mm_row_encode(&r, &b);
	put(name, mm_buf_cstr(&b));
	mm_buf_done(&b);
}

static struct mm_mirror_files
fresh(void)
{
	struct mm_mirror_files f = { .known = false };

	(void)!system("rm -rf own disk; mkdir -p own/records "
		      "disk/s/records");
	snprintf(f.from, sizeof(f.from), "%s/own", folder);
	snprintf(f.disk, sizeof(f.disk), "%s/disk", folder);
	snprintf(f.to, sizeof(f.to), "%s/disk/s", folder);
	put_rows("own/journal", "SN-1", 1, 3);
	return f;
}

/* A disk that is behind says how far it is with each record. */
static void
each_record_is_told(void **state)
{
	struct mm_mirror_files f = fresh();
	struct far far = { 0 };
	char name[40];

	(void)state;
	f.moved = moved;
	f.ctx = &far;
	for (int i = 0; i < 5; i++) {
		snprintf(name, sizeof(name), "own/records/sn-%d.json", i);
		put(name, "{}");
	}
	put("own/records/.new", "no record");
	assert_int_equal(mm_mirror_record(&f, "sn-1.json", NULL), MM_OK);
	assert_int_equal(mm_mirror_catch_up(&f, NULL), MM_OK);
	assert_int_equal(far.n, 4);
	assert_int_equal(far.of, 5);
	assert_true(says("disk/s/records/sn-4.json", "{}"));
	assert_int_equal(mm_mirror_catch_up(&f, NULL), MM_OK);
	assert_int_equal(far.n, 4);
}

/* Entries come a few at a time; the checkpoint that is there is good until
 * one comes that is of them all. */
static void
entries_in_steps(void **state)
{
	static const struct {
		const char *what;
		uint64_t first;
		const char *lines, *checkpoint;
		enum mm_err want;
		const char *are, *last;
	} rows[] = {
		{ "the first ones", 0, "a\nb\n", "", MM_OK, "a\nb\n", NULL },
		{ "with a checkpoint", 2, "c\n", "3", MM_OK, "a\nb\nc\n",
		    "3" },
		{ "more of them", 3, "d\ne\n", "", MM_OK, "a\nb\nc\nd\ne\n",
		    "3" },
		{ "some again", 4, "e\nf\n", "", MM_OK,
		    "a\nb\nc\nd\ne\nf\n", "3" },
		{ "a gap", 7, "h\n", "8", MM_EAGAIN, "a\nb\nc\nd\ne\nf\n",
		    "3" },
		{ "a checkpoint alone", 6, "", "6", MM_OK,
		    "a\nb\nc\nd\ne\nf\n", "6" },
	};
	struct mm_mirror_files f = fresh();

	(void)state;
	assert_int_equal(mm_mirror_catch_up(&f, NULL), MM_OK);
	for (size_t i = 0; i < ROWS(rows); i++) {
		const struct mm_mirror_job job = { NULL, rows[i].first,
			mm_bytes_of(rows[i].lines),
			mm_bytes_of(rows[i].checkpoint) };

		ROW(rows[i].what, mm_mirror_put_entries(&f, &job, NULL) ==
		    rows[i].want);
		ROW(rows[i].what, says("disk/s/entries.jsonl", rows[i].are));
		ROW(rows[i].what, rows[i].last == NULL ||
		    says("disk/s/checkpoint", rows[i].last));
	}
}

/* Numbers that fit are not enough: of rows and entries, the last that the
 * disk has must be the station's. */
static void
of_another_history(void **state)
{
	static const struct {
		const char *what, *serial;
		uint64_t from, n;     /* rows of the copy */
		const char *lines;    /* its entries; the station has a, bc */
		enum mm_err want;
	} rows[] = {
		{ "nothing", NULL, 0, 0, NULL, MM_OK },
		{ "the same", "SN-1", 1, 3, NULL, MM_OK },
		{ "fewer", "SN-1", 1, 2, NULL, MM_OK },
		{ "more", "SN-1", 1, 4, NULL, MM_EPOLICY },
		{ "another station's", "SN-2", 1, 3, NULL, MM_EPOLICY },
		{ "fewer of another's", "SN-2", 1, 1, NULL, MM_EPOLICY },
		{ "one entry", "SN-1", 1, 3, "{\"entry\":\"a\"}\n", MM_OK },
		{ "both", "SN-1", 1, 3, "{\"entry\":\"a\"}\n"
		    "{\"entry\":\"bc\"}\n{\"ent", MM_OK },
		{ "another entry", "SN-1", 1, 3, "{\"entry\":\"a\"}\n"
		    "{\"entry\":\"bd\"}\n", MM_EPOLICY },
		{ "more entries", "SN-1", 1, 3, "{\"entry\":\"a\"}\n"
		    "{\"entry\":\"bc\"}\n{\"entry\":\"d\"}\n",
		    MM_EPOLICY },
		{ "no entry", "SN-1", 1, 3, "nonsense\n", MM_EPOLICY },
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct mm_mirror_files f = fresh();
		struct mm_buf ledger = MM_BUF_INIT(64);
		char path[PATH_MAX];

		mm_buf_block16(&ledger, mm_bytes_of("a"));
		mm_buf_block16(&ledger, mm_bytes_of("bc"));
		assert_int_equal(mm_path_join(path, sizeof(path), f.from,
		    "ledger", NULL), MM_OK);
		assert_int_equal(mm_file_replace(path, mm_buf_view(&ledger),
		    0600, NULL), MM_OK);
		mm_buf_done(&ledger);
		if (rows[i].serial != NULL)
			put_rows("disk/s/journal", rows[i].serial,
			    rows[i].from, rows[i].n);
		if (rows[i].lines != NULL)
			put("disk/s/entries.jsonl", rows[i].lines);
		ROW(rows[i].what,
		    mm_mirror_catch_up(&f, NULL) == rows[i].want);
		ROW(rows[i].what, f.known == (rows[i].want == MM_OK));
	}
}

/* The station's journal was begun anew since: its row stands in an older
 * one. */
static void
rows_that_were_put_by(void **state)
{
	static const struct {
		const char *what, *older, *serial;
		enum mm_err want;
	} rows[] = {
		{ "it is there", "own/journal.7", "SN-1", MM_OK },
		{ "of another", "own/journal.7", "SN-2", MM_EPOLICY },
		{ "it ends before", "own/journal.2", "SN-1", MM_EPOLICY },
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct mm_mirror_files f = fresh();

		put_rows("own/journal", "SN-9", 8, 2);
		put_rows("own/journal.90", "SN-8", 9, 80);
		put_rows(rows[i].older, rows[i].serial, 1, 7);
		put_rows("disk/s/journal", "SN-1", 1, 5);
		ROW(rows[i].what,
		    mm_mirror_catch_up(&f, NULL) == rows[i].want);
	}
}

/* What somebody did to it is seen: it is looked at anew. */
static void
as_it_was_left(void **state)
{
	static const char *const does[] = { "true", "rm disk/s/journal",
		"truncate -s -1 disk/s/journal", "echo >> disk/s/entries.jsonl",
		"mv disk/s disk/old; cp -r disk/old disk/s",
		"rm disk/s/checkpoint", "rm -r disk/s/records",
		"sleep .05; rm disk/s/records/sn-1.json" };

	(void)state;
	for (size_t i = 0; i < ROWS(does); i++) {
		struct mm_mirror_files f = fresh();

		put("own/records/sn-1.json", "{}");
		assert_int_equal(mm_mirror_catch_up(&f, NULL), MM_OK);
		put("disk/s/checkpoint", "1");
		assert_int_equal(mm_mirror_rows(&f, NULL), MM_OK);
		assert_int_equal(system(does[i]), 0);
		ROW(does[i], mm_mirror_is_as_left(&f) == (i == 0));
	}
}

static void
papers(void **state)
{
	struct mm_mirror_files f = fresh();

	(void)state;
	put("own/people-b7.AbC123", "half");
	put("own/decisions", "one\n");
	put("own/people-b7", "{}");
	put("own/station.key", "secret");
	assert_int_equal(mm_mirror_papers(&f, NULL), MM_OK);
	assert_true(says("disk/s/decisions", "one\n"));
	assert_true(says("disk/s/people-b7", "{}"));
	assert_int_not_equal(access("disk/s/station.key", F_OK), 0);
	assert_int_not_equal(access("disk/s/people-b7.AbC123", F_OK), 0);
	put("own/decisions", "one\ntwo\n");
	assert_int_equal(mm_mirror_papers(&f, NULL), MM_OK);
	assert_true(says("disk/s/decisions", "one\ntwo\n"));
	/* what it has is never shortened, nor replaced by another's */
	put("own/decisions", "one\n");
	assert_int_equal(mm_mirror_papers(&f, NULL), MM_EPOLICY);
	put("own/decisions", "one\nTWO\nthree\n");
	assert_int_equal(mm_mirror_papers(&f, NULL), MM_EPOLICY);
	assert_true(says("disk/s/decisions", "one\ntwo\n"));
	put("disk/s/decisions", "one\nT");
	assert_int_equal(mm_mirror_papers(&f, NULL), MM_OK);
	assert_true(says("disk/s/decisions", "one\nTWO\nthree\n"));
}

/* All that is ever done on the disk. */
static enum mm_err
do_all(struct mm_mirror_files *f)
{
	const struct mm_mirror_job job = { NULL, 0, mm_bytes_of("a\n"),
		mm_bytes_of("1") };

	MM_TRY(mm_mirror_make(f, NULL));
	MM_TRY(mm_mirror_catch_up(f, NULL));
	MM_TRY(mm_mirror_record(f, "sn-1.json", NULL));
	MM_TRY(mm_mirror_put_entries(f, &job, NULL));
	MM_TRY(mm_mirror_papers(f, NULL));
	return mm_mirror_rows(f, NULL);
}

/* A stick that somebody prepared: whatever its names lead to is as it was,
 * and so is what waits for a pipe. */
static void
what_was_planted(void **state)
{
	static const struct {
		const char *what, *does;
		enum mm_err want;
	} rows[] = {
		{ "nothing", "true", MM_OK },
		{ "a torn journal", "ln -sf $PWD/victim disk/s/journal",
		    MM_EPOLICY },
		{ "one with two names", "ln -f victim disk/s/journal",
		    MM_EPOLICY },
		{ "nothing at its end", "ln -sf $PWD/none disk/s/journal",
		    MM_EPOLICY },
		{ "a pipe", "mkfifo disk/s/journal", MM_EPOLICY },
		{ "entries", "ln -s $PWD/victim disk/s/entries.jsonl",
		    MM_EPOLICY },
		{ "two of them", "ln victim disk/s/entries.jsonl",
		    MM_EPOLICY },
		{ "decisions", "ln -s $PWD/victim disk/s/decisions",
		    MM_EPOLICY },
		{ "a checkpoint", "ln -s $PWD/victim disk/s/checkpoint",
		    MM_OK }, /* the name is replaced, not written to */
		{ "a record", "ln -s $PWD/victim disk/s/records/sn-1.json",
		    MM_OK },
		{ "people", "ln -s $PWD/victim disk/s/people-b7", MM_OK },
		{ "one that is being written",
		    "ln -s $PWD/victim disk/s/checkpoint.new", MM_OK },
		{ "records", "rm -r disk/s/records; mkdir -p other;"
		    "ln -s $PWD/other disk/s/records", MM_EPOLICY },
		{ "the folder", "mv disk/s other/s; ln -s $PWD/other/s disk/s",
		    MM_EPOLICY },
		{ "no folder", "rm -r disk/s; touch disk/s", MM_EPOLICY },
		{ "a way of one's own", "mv disk there; ln -s there disk",
		    MM_OK },
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct mm_mirror_files f = fresh();

		(void)!system("rm -rf other there none; mkdir other");
		put("victim", "a secret that ends in no line feed");
		put("own/records/sn-1.json", "{}");
		put("own/decisions", "one\n");
		put("own/people-b7", "{}");
		assert_int_equal(system(rows[i].does), 0);
		ROW(rows[i].what, do_all(&f) == rows[i].want);
		ROW(rows[i].what,
		    says("victim", "a secret that ends in no line feed"));
		ROW(rows[i].what, access("none", F_OK) != 0);
		ROW(rows[i].what, access("other/sn-1.json", F_OK) != 0);
	}
	(void)!system("rm -rf disk there other victim");
}

/* Links above the disk are a desktop's; the last one leads where its owner
 * says. */
static void
another_users_link(void **state)
{
	struct mm_mirror_files f;
	struct mm_why why = { 0 };

	(void)state;
	if (geteuid() != 0)
		skip();
	f = fresh();
	(void)!system("mv disk there; ln -s there disk; chown -h 12345 disk");
	assert_int_equal(mm_mirror_make(&f, &why), MM_EPOLICY);
	assert_non_null(strstr(why.text, "another user's"));
	(void)!system("chown 12345 there there/s; chown -h 0 disk");
	assert_int_equal(do_all(&f), MM_ENOTFOUND); /* no such record */
	(void)!system("rm -rf disk there");
}

/* What leaves for the centre is the stick's own. */
static void
export_of_a_planted_one(void **state)
{
	MM_OWN(mm_buf_done) struct mm_buf out = MM_BUF_INIT(1 << 16);
	struct mm_mirror_files f = fresh();
	uint64_t n = 0;

	(void)state;
	put("disk/s/checkpoint", "{}\n{\"size\":1}\n");
	put("disk/s/entries.jsonl", "{}\n");
	assert_int_equal(mm_mirror_export(f.to, &out, &n, NULL), MM_OK);
	put("victim", "a secret\n");
	(void)!system("ln -sf $PWD/victim disk/s/entries.jsonl");
	mm_buf_reset(&out);
	assert_int_equal(mm_mirror_export(f.to, &out, &n, NULL), MM_EPOLICY);
	assert_int_equal(out.n, 0);
	(void)!system("rm -f victim");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_record_is_told),
		cmocka_unit_test(entries_in_steps),
		cmocka_unit_test(of_another_history),
		cmocka_unit_test(rows_that_were_put_by),
		cmocka_unit_test(as_it_was_left),
		cmocka_unit_test(papers),
		cmocka_unit_test(what_was_planted),
		cmocka_unit_test(another_users_link),
		cmocka_unit_test(export_of_a_planted_one),
	};
	int failed;

	if (mkdtemp(folder) == NULL || chdir(folder) != 0)
		return 1;
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	(void)!system("rm -rf own disk");
	(void)rmdir(folder);
	return failed;
}
