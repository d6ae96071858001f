#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../base/rows.h"
#include "base/file.h"
#include "base/time.h"
#include "station/revoked.h"

/* What the centre says of revocations is kept, and found again. */

static struct mm_station_conf conf;
static char dir[] = "/tmp/mintmark-revoked-XXXXXX";

static int
make_dir(void **state)
{
	(void)state;
	return mkdtemp(dir) == NULL ||
	       !mm_text_copy(conf.state, sizeof(conf.state), mm_bytes_of(dir));
}

static void
path_of(char path[PATH_MAX], const char *issuer)
{
	snprintf(path, PATH_MAX, "%s/revocations/%s", dir, issuer);
}

static int
clean(void **state)
{
	static const char *const names[] = { "one", "two", "" };
	char path[PATH_MAX];

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		path_of(path, names[i]);
		(void)remove(path);
	}
	return rmdir(dir);
}

/* Serial numbers, with a blank between them. */
static json_t *
page_of(const char *serials)
{
	json_t *page = json_array();
	char text[256], *rest = text, *serial;

	snprintf(text, sizeof(text), "%s", serials);
	while ((serial = strtok_r(rest, " ", &rest)) != NULL)
		json_array_append_new(page, json_pack("{s:s}", "serial",
		    serial));
	return page;
}

static enum mm_err
add(struct mm_buf *rows, const char *serials, bool held)
{
	json_t *page = page_of(serials);
	enum mm_err rc = mm_revoked_add(rows, page, held, NULL);

	json_decref(page);
	return rc;
}

static void
keep(const char *issuer, const char *held, const char *revoked,
    struct mm_revoked_n *n)
{
	struct mm_buf rows = MM_BUF_INIT(1 << 20);

	assert_int_equal(add(&rows, held, true), MM_OK);
	assert_int_equal(add(&rows, revoked, false), MM_OK);
	assert_int_equal(mm_revoked_keep(&conf, issuer, &rows, n, NULL),
	    MM_OK);
	mm_buf_done(&rows);
}

static const struct {
	const char *what, *held, *revoked, *want;
	uint64_t nheld, nrevoked;
} kept[] = {
	{ "none", "", "", "", 0, 0 },
	{ "one", "", "ab", "ab\n", 0, 1 },
	{ "in order", "", "c3 0a b2 0a1", "0a\n0a1\nb2\nc3\n", 0, 4 },
	{ "once", "", "0a c3 0a", "0a\nc3\n", 0, 2 },
	{ "held", "b1", "0a c3", "0a\nb1 held\nc3\n", 1, 2 },
	{ "held, then revoked", "b1 0a", "0a", "0a\nb1 held\n", 1, 1 },
	{ "released: what the centre says is all", "", "c3", "c3\n", 0, 1 },
};

static void
whole_and_in_order(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++) {
		struct mm_buf file = MM_BUF_INIT(4096);
		struct mm_revoked_n n;
		char path[PATH_MAX];

		keep("one", kept[i].held, kept[i].revoked, &n);
		path_of(path, "one");
		assert_int_equal(mm_file_read(path, &file, NULL), MM_OK);
		if (strcmp(mm_buf_cstr(&file), kept[i].want) != 0 ||
		    n.held != kept[i].nheld || n.revoked != kept[i].nrevoked)
			fail_msg("%s: %s", kept[i].what, (char *)file.p);
		mm_buf_done(&file);
	}
}

static const struct {
	const char *what, *serial;
	enum mm_err want;
	bool held;
} looks[] = {
	{ "the first", "01", MM_OK, false },
	{ "the last", "f0", MM_OK, false },
	{ "in the middle", "7a", MM_OK, false },
	{ "held", "55", MM_OK, true },
	{ "another line CA's", "9c", MM_OK, false },
	{ "before all", "00", MM_ENOTFOUND, false },
	{ "behind all", "ff", MM_ENOTFOUND, false },
	{ "between", "56", MM_ENOTFOUND, false },
	{ "the beginning of one", "7", MM_ENOTFOUND, false },
	{ "one and more", "7a0", MM_ENOTFOUND, false },
};

static void
found_in_any_list(void **state)
{
	struct mm_revoked_n n;
	bool held = false;

	(void)state;
	keep("one", "55", "f0 7a 01 33 80", &n);
	keep("two", "", "9c", &n);
	for (size_t i = 0; i < sizeof(looks) / sizeof(looks[0]); i++) {
		enum mm_err rc = mm_revoked_look(&conf, looks[i].serial, &held,
		    NULL);

		if (rc != looks[i].want ||
		    (rc == MM_OK && held != looks[i].held))
			fail_msg("%s: %d", looks[i].what, (int)rc);
	}
}

/* Nothing new is not written again: the file is the same one. */
static void
written_if_it_changes(void **state)
{
	struct stat was, is;
	struct mm_revoked_n n;
	char path[PATH_MAX];

	(void)state;
	path_of(path, "one");
	keep("one", "", "ab 0a", &n);
	assert_int_equal(stat(path, &was), 0);
	keep("one", "", "0a ab", &n);
	assert_int_equal(stat(path, &is), 0);
	assert_int_equal(was.st_ino, is.st_ino);
	assert_int_equal(was.st_mtim.tv_nsec, is.st_mtim.tv_nsec);
	keep("one", "", "0a", &n);
	assert_int_equal(stat(path, &is), 0);
	assert_int_not_equal(was.st_ino, is.st_ino);
}

/* No verdict by what is no list. */
static void
damage_is_said(void **state)
{
	static const char *const bad[] = { "no\n", "0a\n\n0b\n", "0a held it\n",
		"0A\n" };
	struct mm_why why = { 0 };
	char path[PATH_MAX];
	bool held = false;

	(void)state;
	path_of(path, "one");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		why = (struct mm_why){ 0 };
		assert_int_equal(mm_file_replace(path, mm_bytes_of(bad[i]),
		    0600, NULL), MM_OK);
		assert_int_equal(mm_revoked_look(&conf, "0a1", &held, &why),
		    MM_EINPUT);
		assert_non_null(strstr(why.text, "revocations/one: damaged"));
	}
}

static const struct {
	const char *what, *page;
	enum mm_err want;
} pages[] = {
	{ "empty", "[]", MM_OK },
	{ "one", "[{\"serial\":\"0a\"}]", MM_OK },
	{ "no list", "{}", MM_EINPUT },
	{ "no serial", "[{}]", MM_EINPUT },
	{ "of no length", "[{\"serial\":\"\"}]", MM_EINPUT },
	{ "no text", "[{\"serial\":1}]", MM_EINPUT },
	{ "capitals", "[{\"serial\":\"0A\"}]", MM_EINPUT },
	{ "two lines", "[{\"serial\":\"0a\\n0b\"}]", MM_EINPUT },
	{ "40 digits", "[{\"serial\":"
	    "\"0123456789012345678901234567890123456789\"}]", MM_OK },
	{ "41 digits", "[{\"serial\":"
	    "\"01234567890123456789012345678901234567890\"}]", MM_EINPUT },
};

static void
only_serial_numbers(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(pages) / sizeof(pages[0]); i++) {
		struct mm_buf rows = MM_BUF_INIT(4096);
		json_t *page = json_loads(pages[i].page, 0, NULL);

		assert_non_null(page);
		if (mm_revoked_add(&rows, page, false, NULL) != pages[i].want)
			fail_msg("%s", pages[i].what);
		json_decref(page);
		mm_buf_done(&rows);
	}
}

/* 400,000, 13 MB: no cap is met, and each page costs what the first did. */
static void
many(void **state)
{
	enum { PAGES = 800, EACH = 500 };
	struct mm_buf rows = MM_BUF_INIT(64 << 20);
	struct mm_revoked_n n;
	char serial[33];
	bool held = false;

	(void)state;
	for (uint64_t i = 0; i < PAGES; i++) {
		json_t *page = json_array();

		for (uint64_t k = 0; k < EACH; k++) {
			snprintf(serial, sizeof(serial), "%016jx%016jx",
			    (uintmax_t)((i * EACH + k) *
			    UINT64_C(0x9e3779b97f4a7c15)), (uintmax_t)k);
			json_array_append_new(page, json_pack("{s:s}",
			    "serial", serial));
		}
		assert_int_equal(mm_revoked_add(&rows, page, false, NULL),
		    MM_OK);
		json_decref(page);
	}
	assert_int_equal(mm_revoked_keep(&conf, "one", &rows, &n, NULL),
	    MM_OK);
	assert_int_equal(n.revoked, PAGES * EACH);
	assert_int_equal(mm_revoked_look(&conf, serial, &held, NULL), MM_OK);
	serial[31] = 'x';
	assert_int_equal(mm_revoked_look(&conf, serial, &held, NULL),
	    MM_ENOTFOUND);
	mm_buf_done(&rows);
}

/* Before the first news. */
static void
nothing_is_known(void **state)
{
	bool held = false;

	(void)state;
	assert_int_equal(mm_revoked_look(&conf, "0a", &held, NULL),
	    MM_ENOTFOUND);
}

/* It is not forgotten before the centre has said it again. */
static void
what_a_version_before_kept_counts(void **state)
{
	struct mm_why why = { 0 };
	char path[PATH_MAX];
	bool held = true;

	(void)state;
	snprintf(path, sizeof(path), "%s/revoked", dir);
	assert_int_equal(mm_file_replace(path,
	    mm_bytes_of("beef01\n0a\nbeef02\n"), 0640, &why), MM_OK);
	assert_int_equal(mm_revoked_look(&conf, "0a", &held, &why), MM_OK);
	assert_false(held);
	assert_int_equal(mm_revoked_look(&conf, "beef02", &held, &why), MM_OK);
	assert_int_equal(mm_revoked_look(&conf, "beef", &held, &why),
	    MM_ENOTFOUND);
	mm_revoked_forget_old(&conf);
	assert_int_equal(mm_revoked_look(&conf, "0a", &held, &why),
	    MM_ENOTFOUND);
	assert_int_not_equal(access(path, F_OK), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_known),
		cmocka_unit_test(what_a_version_before_kept_counts),
		cmocka_unit_test(whole_and_in_order),
		cmocka_unit_test(found_in_any_list),
		cmocka_unit_test(written_if_it_changes),
		cmocka_unit_test(only_serial_numbers),
		cmocka_unit_test(damage_is_said),
		cmocka_unit_test(many),
	};

	return cmocka_run_group_tests(tests, make_dir, clean);
}
