#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../base/rows.h"
#include "base/file.h"
#include "base/text.h"
#include "base/time.h"
#include "station/mirror_priv.h"
#include "station/steps.h"

/* The thread of a second disk, and the units that wait for it.  A record that
 * is a pipe to which nobody writes is a disk that hangs. */
enum { LONG_MS = 20000, TRIES = 10000 };
static char folder[] = "/tmp/mintmark-mirror-line-XXXXXX";
static char disk[] = "/dev/shm/mintmark-mirror-line-XXXXXX";
static struct mm_station_conf conf = { .name = "s" };

static bool
two_disks(void)
{
	struct stat a, b, root;

	return stat(folder, &a) == 0 && stat(disk, &b) == 0 &&
	       stat("/", &root) == 0 && a.st_dev != b.st_dev &&
	       root.st_dev != b.st_dev;
}

static struct mm_mirror *
open_it(void)
{
	struct mm_mirror *m = NULL;

	assert_int_equal(mm_mirror_open(&conf, &m, NULL), MM_OK);
	return m;
}

static void
becomes(struct mm_mirror *m, enum mm_mirror_is want)
{
	for (int i = 0; i < TRIES && mm_mirror_is(m, NULL, NULL) != want; i++)
		(void)usleep(1000);
	assert_int_equal(mm_mirror_is(m, NULL, NULL), want);
}

static bool
is_copied(const char *name)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/s/records/%s", disk, name);
	for (int i = 0; i < TRIES && access(path, F_OK) != 0; i++)
		(void)usleep(1000);
	return access(path, F_OK) == 0;
}

static int
fresh(void **state)
{
	char sh[200];

	(void)state;
	snprintf(sh, sizeof(sh),
	    "rm -rf '%s'/* records journal ledger; "
	    "mkdir records; touch journal",
	    disk);
	return system(sh);
}

static int
opened_by_reader(const char *path)
{
	int fd = -1;

	for (int i = 0; i < TRIES && fd < 0; i++) {
		fd = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
		if (fd < 0)
			(void)usleep(1000);
	}
	assert_true(fd >= 0);
	return fd;
}

/* Nobody asked for anything yet: it is away all the same, and comes back. */
static void
it_hangs_while_it_is_caught_up(void **state)
{
	struct mm_mirror *m;
	char why[160];
	int fd;

	(void)state;
	if (!two_disks())
		skip();
	assert_int_equal(mkfifo("records/sn-1.json", 0600), 0);
	m = open_it();
	fd = opened_by_reader("records/sn-1.json");
	assert_int_equal(mm_mirror_is(m, NULL, NULL), MM_MIRROR_UNKNOWN);
	pthread_mutex_lock(&m->lock);
	assert_int_not_equal(m->waits_ms, 0);
	m->waits_ms -= LONG_MS;
	pthread_mutex_unlock(&m->lock);
	assert_int_equal(mm_mirror_is(m, NULL, why), MM_MIRROR_AWAY);
	assert_non_null(strstr(why, "hangs"));
	assert_int_equal(mm_mirror_look(m, 1), MM_MIRROR_GONE);
	assert_int_equal(write(fd, "{}", 2), 2);
	assert_int_equal(close(fd), 0);
	becomes(m, MM_MIRROR_THERE);
	assert_true(is_copied("sn-1.json"));
	mm_mirror_close(&m);
}

/* Of the disk, or of what the station is to bring there. */
static void
copying_has_an_end(void **state)
{
	static struct mm_unit unit = { .serial = "SN-2",
		.state = MM_UNIT_CONFIRMED };
	static struct mm_line l = { .conf = &conf };
	static struct mm_place p = { .unit = &unit };
	enum mm_unit_reason reason = MM_UR_NONE;

	(void)state;
	if (!two_disks())
		skip();
	l.mirror = open_it();
	becomes(l.mirror, MM_MIRROR_THERE);
	assert_int_equal(
	    mm_file_replace("records/sn-2.json", mm_bytes_of("{}"), 0600, NULL),
	    MM_OK);
	mm_mirror_want(l.mirror, 5);
	assert_int_equal(mm_mirror_is(l.mirror, NULL, NULL), MM_MIRROR_COPIES);
	assert_int_equal(mm_line_mirror(&l), MM_UR_NONE);
	assert_int_equal(mm_step_last(&l, &p, &reason), MM_EV_DONE);
	assert_int_equal(mm_step_last_end(&l, &p, NULL, &reason), MM_EVENTS);
	assert_false(p.mirrored);
	l.stuck_ms = mm_mono_ms() - LONG_MS;
	strcpy(l.stuck_why, "the signer is gone");
	assert_int_equal(mm_line_mirror(&l), MM_UR_MIRROR);
	assert_int_not_equal(
	    mm_step_last_end(&l, &p, NULL, &reason), MM_EVENTS);
	assert_int_equal(reason, MM_UR_MIRROR);
	assert_string_equal(p.note, "the signer is gone");
	/* nobody waits for it where it may be away; the record comes later */
	l.stuck_ms = 0;
	conf.mirror_gone = MM_MIRROR_WARN;
	assert_int_equal(mm_step_last(&l, &p, &reason), MM_EV_DONE);
	(void)mm_step_last_end(&l, &p, NULL, &reason);
	conf.mirror_gone = MM_MIRROR_STOP;
	assert_true(p.mirrored);
	assert_true(is_copied("sn-2.json"));
	/* what nothing brings any more is not waited for */
	mm_line_copy(&l);
	becomes(l.mirror, MM_MIRROR_THERE);
	mm_mirror_close(&l.mirror);
}

/* Entries that cannot be read: since when, and why. */
static void
what_cannot_be_brought(void **state)
{
	static struct mm_own own;
	static struct mm_line l = { .conf = &conf, .own = &own };
	const struct mm_bytes bad = mm_bytes_of("{\"type\":\"nonsense\"}");

	(void)state;
	if (!two_disks())
		skip();
	assert_int_equal(
	    mm_file_replace("ledger", (struct mm_bytes){ 0 }, 0600, NULL),
	    MM_OK);
	assert_int_equal(mm_entries_open("ledger", &own.entries, NULL), MM_OK);
	for (int i = 0; i < 9; i++)
		assert_int_equal(mm_entries_add(own.entries, bad, NULL), MM_OK);
	l.mirror = open_it();
	becomes(l.mirror, MM_MIRROR_THERE);
	for (int i = 0; i < TRIES && l.stuck_ms == 0; i++) {
		mm_line_copy(&l);
		(void)usleep(1000);
	}
	assert_int_not_equal(l.stuck_ms, 0);
	assert_string_not_equal(l.stuck_why, "");
	becomes(l.mirror, MM_MIRROR_COPIES);
	mm_mirror_close(&l.mirror);
	mm_entries_close(&own.entries);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(it_hangs_while_it_is_caught_up, fresh),
		cmocka_unit_test_setup(copying_has_an_end, fresh),
		cmocka_unit_test_setup(what_cannot_be_brought, fresh),
	};
	int failed;

	if (mkdtemp(folder) == NULL || chdir(folder) != 0)
		return 1;
	if (mkdtemp(disk) == NULL)
		disk[0] = '\0';
	snprintf(conf.state, sizeof(conf.state), "%s", folder);
	snprintf(conf.mirror, sizeof(conf.mirror), "%s", disk);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	snprintf(conf.mirror, sizeof(conf.mirror), "rm -rf '%s'", disk);
	(void)!system(conf.mirror);
	(void)!system("rm -rf records journal ledger");
	(void)rmdir(folder);
	return failed;
}
