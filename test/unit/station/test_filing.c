#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "../base/rows.h"
#include "base/time.h"
#include "station/steps.h"

/* Labels as files, one unit's after the other's. */
static char folder[] = "/tmp/mintmark-filing-XXXXXX";
static struct mm_station_conf conf = { .printer_limit_s = 60 };
static struct mm_unit one = { .serial = "SN-1", .batch = "b7" },
		      other = { .serial = "SN-2", .batch = "b7" };

static struct mm_line *
fresh(void)
{
	static struct mm_line l;

	memset(&l, 0, sizeof(l));
	l.conf = &conf;
	assert_int_equal(mm_print_open(&l.print, &conf, NULL), MM_OK);
	return &l;
}

static enum mm_unit_event
waits(struct mm_line *l, struct mm_place *p, enum mm_unit_reason *reason)
{
	enum mm_unit_event e = MM_EVENTS;

	for (int i = 0; i < 10000 && e == MM_EVENTS; i++) {
		e = mm_step_labelled(l, p, NULL, reason);
		(void)usleep(1000);
	}
	return e;
}

static void
both_are_there(const char *serial)
{
	static const char *const end[] = { "zpl", "png" };
	char path[sizeof(folder) + 80];

	for (size_t i = 0; i < ROWS(end); i++) {
		snprintf(
		    path, sizeof(path), "%s/%s.%s", folder, serial, end[i]);
		ROW(path, access(path, R_OK) == 0);
		(void)unlink(path);
	}
}

/* A wait for others' is not the folder's fault, however long, as long as it
 * goes on with them. */
static void
one_after_the_other(void **state)
{
	struct mm_place a = { .unit = &one }, b = { .unit = &other };
	enum mm_unit_reason reason = MM_UR_NONE;
	struct mm_line *l = fresh();

	(void)state;
	assert_int_equal(mm_step_label(l, &a, &reason), MM_EV_DONE);
	assert_int_equal(mm_step_label(l, &b, &reason), MM_EV_DONE);
	assert_int_equal(mm_step_labelled(l, &a, NULL, &reason), MM_EVENTS);
	b.turn_ms = mm_mono_ms() - 100000;
	assert_int_equal(mm_step_labelled(l, &b, NULL, &reason), MM_EVENTS);
	assert_int_equal(waits(l, &a, &reason), MM_EV_SKIP);
	assert_int_equal(waits(l, &b, &reason), MM_EV_SKIP);
	both_are_there("SN-1");
	both_are_there("SN-2");
	mm_print_close(&l->print);
}

/* One that goes on with nobody's fails whoever waits; what was dropped holds
 * nobody up when it is over. */
static void
it_does_not_go_on(void **state)
{
	struct mm_place a = { .unit = &one }, b = { .unit = &other };
	enum mm_unit_reason reason = MM_UR_NONE;
	struct mm_line *l = fresh();

	(void)state;
	assert_int_equal(mm_step_label(l, &a, &reason), MM_EV_DONE);
	assert_int_equal(mm_step_label(l, &b, &reason), MM_EV_DONE);
	assert_int_equal(mm_step_labelled(l, &a, NULL, &reason), MM_EVENTS);
	conf.printer_limit_s = 0;
	(void)usleep(5000);
	assert_int_not_equal(mm_step_labelled(l, &b, NULL, &reason), MM_EVENTS);
	conf.printer_limit_s = 60;
	assert_int_equal(reason, MM_UR_LABEL);
	assert_non_null(strstr(b.note, "does not answer"));
	mm_print_drop(&l->print, &one);
	b.filed = false;
	b.turn_ms = mm_mono_ms();
	assert_int_equal(waits(l, &b, &reason), MM_EV_SKIP);
	both_are_there("SN-1");
	both_are_there("SN-2");
	mm_print_close(&l->print);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_after_the_other),
		cmocka_unit_test(it_does_not_go_on),
	};
	int failed;

	if (mkdtemp(folder) == NULL)
		return 1;
	snprintf(conf.label_files, sizeof(conf.label_files), "%s", folder);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	(void)rmdir(folder);
	return failed;
}
