#include "rows.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"

/* Each test runs in a new, empty folder. */
static int
enter_folder(void **state)
{
	static char name[32];

	strcpy(name, "/tmp/mm-test-XXXXXX");
	*state = name;
	return mkdtemp(name) == NULL || chdir(name) != 0;
}

static int
leave_folder(void **state)
{
	char command[64];

	snprintf(command, sizeof(command), "rm -rf %s", (char *)*state);
	return chdir("/") != 0 || system(command) != 0;
}

static int
count_files(void)
{
	DIR *d = opendir(".");
	int n = 0;

	while (readdir(d) != NULL)
		n++;
	closedir(d);
	return n - 2;
}

static void
reads_to_the_limit(void **state)
{
	struct mm_buf b = MM_BUF_INIT(5);
	struct mm_why why = { 0 };

	(void)state;
	assert_int_equal(mm_file_read("f", &b, NULL), MM_ENOTFOUND);
	assert_int_equal(mm_file_create("f", mm_bytes_of("12345"), 0600,
	    NULL), MM_OK);
	assert_int_equal(mm_file_read("f", &b, NULL), MM_OK);
	assert_string_equal(mm_buf_cstr(&b), "12345");
	mm_buf_done(&b);
	mm_buf_init(&b, 4);
	assert_int_equal(mm_file_read("f", &b, &why), MM_ELIMIT);
	assert_int_equal(b.n, 0);
	assert_int_equal(mm_file_read(".", &b, NULL), MM_ESYS);
	mm_buf_done(&b);
}

static void
replaces_whole(void **state)
{
	struct mm_buf b = MM_BUF_INIT(100);
	struct stat st;

	(void)state;
	assert_int_equal(mm_file_replace("f", mm_bytes_of("one"), 0644, NULL),
	    MM_OK);
	assert_int_equal(mm_file_replace("./f", mm_bytes_of("two"), 0640,
	    NULL), MM_OK);
	assert_int_equal(mm_file_read("f", &b, NULL), MM_OK);
	assert_string_equal(mm_buf_cstr(&b), "two");
	assert_int_equal(stat("f", &st), 0);
	assert_int_equal(st.st_mode & 07777, 0640);
	assert_int_equal(count_files(), 1);
	assert_int_equal(mm_file_replace("no/f", mm_bytes_of("x"), 0600, NULL),
	    MM_ENOTFOUND);
	mm_buf_done(&b);
}

/* New or there already, and whatever a kill left under the known name. */
static void
replaces_under_a_lock(void **state)
{
	struct mm_buf b = MM_BUF_INIT(100);
	struct stat st;

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		const char *text = i == 1 ? "two" : "one";

		assert_int_equal(mm_file_replace_locked("f",
		    mm_bytes_of(text), 0640, NULL), MM_OK);
		mm_buf_reset(&b);
		assert_int_equal(mm_file_read("f", &b, NULL), MM_OK);
		assert_string_equal(mm_buf_cstr(&b), text);
		assert_int_equal(stat("f", &st), 0);
		assert_int_equal(st.st_mode & 07777, 0640);
		assert_int_equal(count_files(), 1);
		assert_int_equal(mm_file_create("f" MM_FILE_NEXT,
		    mm_bytes_of("left"), 0600, NULL), MM_OK);
	}
	assert_int_equal(mm_file_replace_locked("no/f", mm_bytes_of("x"),
	    0600, NULL), MM_ENOTFOUND);
	mm_buf_done(&b);
}

/* The bytes are gone where another name still leads to them. */
static void
wipes(void **state)
{
	struct mm_buf b = MM_BUF_INIT(10000);
	char text[5001];

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	assert_int_equal(mm_file_create("f", mm_bytes_of(text), 0600, NULL),
	    MM_OK);
	assert_int_equal(link("f", "same"), 0);
	assert_int_equal(mm_file_wipe("f", NULL), MM_OK);
	assert_int_equal(mm_file_read("same", &b, NULL), MM_OK);
	assert_int_equal(b.n, sizeof(text) - 1);
	for (size_t i = 0; i < b.n; i++)
		assert_int_equal(b.p[i], 0);
	mm_buf_done(&b);
	assert_int_equal(mm_file_wipe("f", NULL), MM_OK);
	assert_int_equal(mm_file_create("g", mm_bytes_of("g"), 0600, NULL),
	    MM_OK);
	assert_int_equal(symlink("g", "l"), 0);
	assert_int_equal(mkfifo("p", 0600), 0);
	assert_int_equal(mm_file_wipe("l", NULL), MM_OK);
	assert_int_equal(mm_file_wipe("p", NULL), MM_OK);
	assert_int_equal(count_files(), 2);
	assert_int_equal(mm_file_read("g", &b, NULL), MM_OK);
	assert_string_equal(mm_buf_cstr(&b), "g");
	mm_buf_done(&b);
	assert_int_equal(mm_file_wipe(".", NULL), MM_ESYS);
}

/* What was replaced is gone where another name still leads to it, and so is
 * what a kill between the two steps leaves. */
static void
replaces_and_wipes(void **state)
{
	struct mm_buf b = MM_BUF_INIT(100);
	struct stat st;

	(void)state;
	assert_int_equal(mm_file_replace_wiping("k.order",
	    mm_bytes_of("secret"), 0600, NULL), MM_OK);
	assert_int_equal(link("k.order", "same"), 0);
	assert_int_equal(mm_file_replace_wiping("k.order", mm_bytes_of("next"),
	    0640, NULL), MM_OK);
	assert_int_equal(mm_file_read("k.order", &b, NULL), MM_OK);
	assert_string_equal(mm_buf_cstr(&b), "next");
	assert_int_equal(stat("k.order", &st), 0);
	assert_int_equal(st.st_mode & 07777, 0640);
	mm_buf_reset(&b);
	assert_int_equal(mm_file_read("same", &b, NULL), MM_OK);
	assert_memory_equal(b.p, "\0\0\0\0\0\0", 6);
	assert_int_equal(count_files(), 2);
	assert_int_equal(mm_file_create("k.order" MM_FILE_NEXT,
	    mm_bytes_of("secret"), 0600, NULL), MM_OK);
	assert_int_equal(link("k.order" MM_FILE_NEXT, "left"), 0);
	assert_int_equal(mm_file_create("order" MM_FILE_NEXT,
	    mm_bytes_of("other"), 0600, NULL), MM_OK);
	assert_int_equal(mm_file_wipe_left(".", ".order", NULL), MM_OK);
	assert_int_equal(mm_file_wipe_left("no", ".order", NULL), MM_OK);
	mm_buf_reset(&b);
	assert_int_equal(mm_file_read("left", &b, NULL), MM_OK);
	assert_memory_equal(b.p, "\0\0\0\0\0\0", 6);
	assert_int_equal(access("k.order" MM_FILE_NEXT, F_OK), -1);
	assert_int_equal(access("order" MM_FILE_NEXT, F_OK), 0);
	mm_buf_done(&b);
}

static void
creates_only_once(void **state)
{
	struct mm_buf b = MM_BUF_INIT(100);

	(void)state;
	assert_int_equal(mm_file_create("f", mm_bytes_of("one"), 0600, NULL),
	    MM_OK);
	assert_int_equal(mm_file_create("f", mm_bytes_of("two"), 0600, NULL),
	    MM_ECONFLICT);
	assert_int_equal(mm_file_read("f", &b, NULL), MM_OK);
	assert_string_equal(mm_buf_cstr(&b), "one");
	assert_int_equal(count_files(), 1);
	mm_buf_done(&b);
}

static void
makes_folders(void **state)
{
	struct stat st;

	(void)state;
	assert_int_equal(mm_dir_make("a/b//c/", 0750, NULL), MM_OK);
	assert_int_equal(mm_dir_make("a/b/c", 0700, NULL), MM_OK);
	assert_int_equal(stat("a/b/c", &st), 0);
	assert_int_equal(st.st_mode & 07777, 0750);
	assert_int_equal(mm_file_create("f", mm_bytes_of(""), 0600, NULL),
	    MM_OK);
	assert_int_equal(mm_dir_make("f", 0700, NULL), MM_ECONFLICT);
	assert_int_equal(mm_dir_make("f/x", 0700, NULL), MM_ECONFLICT);
	assert_int_equal(mm_dir_make("", 0700, NULL), MM_EINPUT);
}

static void
a_lock_is_one_holders(void **state)
{
	int first, second = -1;

	(void)state;
	assert_int_equal(mm_file_lock("l", &first, NULL), MM_OK);
	assert_int_equal(mm_file_lock("l", &second, NULL), MM_ECONFLICT);
	assert_int_equal(second, -1);
	close(first);
	assert_int_equal(mm_file_lock("l", &second, NULL), MM_OK);
	close(second);
	assert_int_equal(symlink("elsewhere", "link"), 0);
	assert_int_equal(mm_file_lock("link", &second, NULL), MM_ESYS);
	assert_int_equal(access("elsewhere", F_OK), -1);
}

static void
joins_paths(void **state)
{
	static const struct {
		const char *dir, *name, *want; /* NULL: does not fit in 8 */
	} rows[] = {
		{ "a", "b", "a/b" }, { "/", "b", "/b" }, { "", "b", "b" },
		{ "abc/", "def", "abc/def" }, { "abc", "def", "abc/def" },
		{ "abcd", "def", NULL }, { "a", "", "a/" },
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		char out[8] = "";
		enum mm_err err = mm_path_join(out, sizeof(out), rows[i].dir,
		    rows[i].name, NULL);
		ROW(rows[i].dir, err == (rows[i].want ? MM_OK : MM_ELIMIT));
		ROW(rows[i].dir,
		    strcmp(out, rows[i].want ? rows[i].want : "") == 0);
	}
}

/* A link may lead anywhere by the time its owner is set. */
static void
owns_no_folder_behind_a_link(void **state)
{
	const struct mm_file_own own = { 0711, geteuid(), getegid() };
	struct stat st;

	(void)state;
	assert_int_equal(mkdir("real", 0700), 0);
	assert_int_equal(symlink("real", "link"), 0);
	assert_int_equal(mm_dir_own("link", &own, NULL), MM_ESYS);
	assert_int_equal(mm_dir_own("link/", &own, NULL), MM_ESYS);
	assert_int_equal(stat("real", &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	assert_int_equal(mm_dir_own("real/", &own, NULL), MM_OK);
	assert_int_equal(stat("real", &st), 0);
	assert_int_equal(st.st_mode & 0777, 0711);
}

#define IN_FOLDER(fn) \
	cmocka_unit_test_setup_teardown(fn, enter_folder, leave_folder)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		IN_FOLDER(reads_to_the_limit),
		IN_FOLDER(replaces_whole),
		IN_FOLDER(replaces_under_a_lock),
		IN_FOLDER(wipes),
		IN_FOLDER(replaces_and_wipes),
		IN_FOLDER(creates_only_once),
		IN_FOLDER(makes_folders),
		IN_FOLDER(owns_no_folder_behind_a_link),
		IN_FOLDER(a_lock_is_one_holders),
		IN_FOLDER(joins_paths),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
