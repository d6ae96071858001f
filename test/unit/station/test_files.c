#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../base/rows.h"
#include "station/driver.h"

/* The driver files, where its folder hangs: what is read is a pipe that
 * nobody writes to. */
static char folder[] = "/tmp/mintmark-files-XXXXXX";
static struct mm_fixture_conf conf = { .name = "f1",
	.driver = MM_DRIVER_FILES };
static struct mm_driver_answer answer;

static enum mm_driver_got
goes_on(struct mm_driver *d, enum mm_unit_reason *reason)
{
	enum mm_driver_got got;

	while ((got = d->class->run(d, &answer, reason)) == MM_DRIVER_WAIT) {
		struct pollfd p = d->class->wish(d);

		(void)poll(&p, 1, 20);
	}
	return got;
}

static enum mm_driver_got
says_hello(struct mm_driver *d, const char *serial)
{
	const struct mm_driver_job job = { .effect = MM_DO_HELLO,
		.serial = serial };
	enum mm_unit_reason reason = MM_UR_NONE;

	assert_int_equal(d->class->open(d, &reason), MM_DRIVER_DONE);
	d->class->begin(d, &job);
	return goes_on(d, &reason);
}

/* As a look that was waited for, or one after it, has it. */
static void
becomes(struct mm_driver *d, bool there)
{
	for (int i = 0; i < 10000 && mm_driver_there(d) != there; i++)
		(void)usleep(1000);
	assert_int_equal(mm_driver_there(d), there);
}

/* Neither an effect nor a look waits for it; whoever looks for a free fixture
 * soon hears that it is none; and when it is over the next unit is made. */
static void
a_folder_that_hangs(void **state)
{
	static const struct mm_driver_job job = { .effect = MM_DO_HELLO,
		.serial = "SN-1" };
	enum mm_unit_reason reason = MM_UR_NONE;
	struct mm_driver *d = NULL;
	int fd;

	(void)state;
	assert_int_equal(mkdir("SN-1", 0700), 0);
	assert_int_equal(mkfifo("SN-1/private.pkcs8", 0600), 0);
	assert_int_equal(mm_driver_new(&conf, &d, NULL), MM_OK);
	becomes(d, true);
	assert_int_equal(d->class->open(d, &reason), MM_DRIVER_DONE);
	d->class->begin(d, &job);
	for (int i = 0; i < 3; i++)
		assert_int_equal(
		    d->class->run(d, &answer, &reason), MM_DRIVER_WAIT);
	assert_true(mm_driver_there(d));
	/* whoever took it off begins no other while it hangs */
	while ((fd = open("SN-1/private.pkcs8", O_WRONLY | O_NONBLOCK)) < 0)
		(void)d->class->run(d, &answer, &reason);
	d->class->close(d);
	assert_int_equal(d->class->open(d, &reason), MM_DRIVER_FAILED);
	assert_int_equal(reason, MM_UR_FILES);
	becomes(d, false);
	assert_int_equal(write(fd, "no key\n", 7), 7);
	assert_int_equal(close(fd), 0);
	while (d->class->open(d, &reason) != MM_DRIVER_DONE)
		(void)usleep(1000);
	becomes(d, true);
	assert_int_equal(says_hello(d, "SN-2"), MM_DRIVER_DONE);
	assert_false(answer.said.has_key);
	d->class->close(d);
	mm_driver_free(&d);
}

/* The key of the unit before is nobody else's. */
static void
one_after_the_other(void **state)
{
	struct mm_driver_job job = { .effect = MM_DO_KEY, .serial = "SN-3" };
	enum mm_unit_reason reason = MM_UR_NONE;
	struct mm_driver *d = NULL;
	size_t n;

	(void)state;
	assert_int_equal(mm_driver_new(&conf, &d, NULL), MM_OK);
	assert_int_equal(says_hello(d, "SN-3"), MM_DRIVER_DONE);
	assert_false(answer.said.has_key);
	d->class->begin(d, &job);
	assert_int_equal(goes_on(d, &reason), MM_DRIVER_DONE);
	n = answer.der_n;
	assert_true(n > 0);
	d->class->close(d);
	for (int i = 0; i < 3; i++)
		assert_true(mm_driver_there(d));
	assert_int_equal(says_hello(d, "SN-4"), MM_DRIVER_DONE);
	assert_false(answer.said.has_key);
	d->class->close(d);
	assert_int_equal(says_hello(d, "SN-3"), MM_DRIVER_DONE);
	assert_true(answer.said.has_key);
	d->class->close(d);
	mm_driver_free(&d);
}

static void
no_folder(void **state)
{
	struct mm_fixture_conf none = conf;
	static const struct mm_driver_job job = { .effect = MM_DO_HELLO,
		.serial = "SN-1" };
	enum mm_unit_reason reason = MM_UR_NONE;
	struct mm_driver *d = NULL;

	(void)state;
	snprintf(none.folder, sizeof(none.folder), "%s/none", folder);
	assert_int_equal(mm_driver_new(&none, &d, NULL), MM_OK);
	assert_false(mm_driver_there(d));
	assert_int_equal(d->class->open(d, &reason), MM_DRIVER_DONE);
	d->class->begin(d, &job);
	assert_int_equal(goes_on(d, &reason), MM_DRIVER_FAILED);
	assert_int_equal(reason, MM_UR_NO_PORT);
	mm_driver_free(&d);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_folder_that_hangs),
		cmocka_unit_test(one_after_the_other),
		cmocka_unit_test(no_folder),
	};
	int failed;

	if (mkdtemp(folder) == NULL || chdir(folder) != 0)
		return 1;
	snprintf(conf.folder, sizeof(conf.folder), "%s", folder);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	(void)!system("rm -rf SN-1 SN-2 SN-3 SN-4");
	(void)rmdir(folder);
	return failed;
}
