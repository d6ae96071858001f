/* What the service decides and what it starts: pace.h, hook.h, conf.h. */
#include <dirent.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../base/rows.h"
#include "agent/conf.h"
#include "agent/hook.h"
#include "agent/pace.h"
#include "base/file.h"
#include "base/time.h"

#define HOUR_MS (3600 * 1000)
#define NOW INT64_C(1800000000)

static const struct mm_pace pace = { 6 * 3600, 30, 3600 };

static const struct {
	const char *what;
	struct mm_pace_of of;
	int64_t least, most; /* of any dice */
} next_rows[] = {
	{ "well, nothing said", { MM_OK, 0, -1, NOW, 0 },
	    6 * HOUR_MS / 8 * 7, 6 * HOUR_MS },
	{ "well, asked to come in an hour", { MM_OK, 0, 3600, NOW, 0 },
	    HOUR_MS / 8 * 7, HOUR_MS },
	{ "well, at once is too soon", { MM_OK, 0, 0, NOW, 0 },
	    60000 / 8 * 7, 60000 },
	{ "well, never is too late", { MM_OK, 0, INT32_MAX, NOW, 0 },
	    7 * 24 * HOUR_MS / 8 * 7, 7 * 24 * HOUR_MS },
	{ "renewal is later", { MM_OK, 0, 3600, NOW, NOW + 86400 },
	    HOUR_MS / 8 * 7, HOUR_MS },
	{ "renewal is sooner", { MM_OK, 0, 3600, NOW, NOW + 600 },
	    600000, 600000 },
	{ "renewal is over", { MM_OK, 0, 3600, NOW, NOW - 600 }, 1000, 1000 },
	{ "failed once", { MM_EAGAIN, 1, -1, NOW, 0 }, 15000, 30000 },
	{ "failed twice", { MM_EAGAIN, 2, -1, NOW, 0 }, 30000, 60000 },
	{ "failed for weeks", { MM_EAGAIN, 9999, -1, NOW, 0 }, HOUR_MS / 2,
	    HOUR_MS },
	{ "failed, though it is time", { MM_EAGAIN, 1, -1, NOW, NOW - 5 },
	    15000, 30000 },
	{ "told to come again", { MM_EAGAIN, 7, 100, NOW, 0 }, 100000,
	    150000 },
	{ "told nonsense", { MM_EAGAIN, 1, INT32_MAX, NOW, 0 },
	    HOUR_MS / 3 * 2, HOUR_MS },
	{ "told later than its end", { MM_EAGAIN, 1, 604800, NOW, 0,
	    NOW + 2400 }, 200000, 300000 },
	{ "told soon, and its end is near", { MM_EAGAIN, 1, 10, NOW, 0,
	    NOW + 2400 }, 10000, 15000 },
	{ "told later at the very end", { MM_EAGAIN, 1, 604800, NOW, 0,
	    NOW + 3 }, 20000, 30000 },
	{ "told later after its end", { MM_EAGAIN, 1, 604800, NOW, 0,
	    NOW - 86400 }, HOUR_MS / 3 * 2, HOUR_MS },
	{ "failed for days before its end", { MM_EAGAIN, 9999, -1, NOW, 0,
	    NOW + 2400 }, 150000, 300000 },
	{ "failed long before its end", { MM_EAGAIN, 9999, -1, NOW, 0,
	    NOW + 86400 }, HOUR_MS / 2, HOUR_MS },
	{ "refused for good", { MM_EPOLICY, 20, -1, NOW, 0 }, HOUR_MS / 2,
	    HOUR_MS },
};

static void
goes_next(void **state)
{
	static const uint16_t dice[] = { 0, 1, 32768, 65535 };

	(void)state;
	for (size_t i = 0; i < ROWS(next_rows); i++) {
		int64_t low = INT64_MAX, high = 0;

		for (size_t k = 0; k < ROWS(dice); k++) {
			int64_t ms = mm_pace_next_ms(&pace, &next_rows[i].of,
			    dice[k]);

			low = ms < low ? ms : low;
			high = ms > high ? ms : high;
		}
		ROW(next_rows[i].what, low >= next_rows[i].least);
		ROW(next_rows[i].what, high <= next_rows[i].most);
		/* and the dice have all of it */
		ROW(next_rows[i].what, high - low >=
		    (next_rows[i].most - next_rows[i].least) / 100 * 99);
	}
}

/* The server said NOW when this machine had run for 1000 s. */
static const struct {
	const char *what;
	int64_t told_s, boot_ms, system_s, skew_s;
} clock_rows[] = {
	{ "never told", 0, 5000000, 100, 0 },
	{ "right", NOW, 1600000, NOW + 600, 0 },
	{ "a little wrong", NOW, 1600000, NOW + 890, 0 },
	{ "starts in 1970", NOW, 1600000, 700, NOW - 100 },
	{ "jumps ahead", NOW, 1600000, NOW + 600 + 86400, -86400 },
	{ "jumps back", NOW, 1600000, NOW + 600 - 86400, 86400 },
	{ "weeks offline", NOW, 1000000 + INT64_C(3628800000),
	    NOW + 3628800 + 299, 0 },
	{ "weeks offline, and a jump", NOW, 1000000 + INT64_C(3628800000),
	    NOW + 3628800 + 301, -301 },
};

static void
knows_the_time(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(clock_rows); i++) {
		const struct mm_pace_clock c = { clock_rows[i].told_s,
			1000000 };

		ROW(clock_rows[i].what, mm_pace_skew_s(&c,
		    clock_rows[i].boot_ms, clock_rows[i].system_s) ==
		    clock_rows[i].skew_s);
	}
}

/* Who knows the time goes when it would; who does not, within five minutes. */
static void
stands_a_jump(void **state)
{
	const struct mm_pace_clock knows = { NOW, 0 }, not = { 0, 0 };

	(void)state;
	assert_int_equal(mm_pace_jump_ms(&knows, HOUR_MS, 0), HOUR_MS);
	assert_int_equal(mm_pace_jump_ms(&not, HOUR_MS, 0), 0);
	assert_in_range(mm_pace_jump_ms(&not, HOUR_MS, 65535), 299000, 300000);
	assert_int_equal(mm_pace_jump_ms(&not, 1000, 65535), 1000);
}

/* ---- hooks ---- */

static char dir[] = "/tmp/mintmark-hook.XXXXXX";

static struct mm_conf_list
shell(const char *script)
{
	struct mm_conf_list l = { .n = 3, .item = { "/bin/sh", "-c" } };

	snprintf(l.item[2], sizeof(l.item[2]), "%s", script);
	return l;
}

/* One run of it: how its end was judged, "" if it was well. */
static const char *
run(struct mm_hook *h, int64_t boot_ms)
{
	struct pollfd p;

	mm_hook_begin(h, boot_ms, mm_bytes_of("{\"event\":\"test\"}\n"));
	while (!mm_hook_run(h, boot_ms, 0)) {
		p = mm_child_wish(&h->child);
		(void)poll(&p, 1, p.fd < 0 ? 10 : 1000);
	}
	return h->note;
}

static const struct {
	const char *what, *script, *note;
	int64_t limit_s;
} hook_rows[] = {
	{ "well", "exit 0", "", 60 },
	{ "fails", "exit 3", "ended with status 3", 60 },
	{ "dies", "kill -9 $$", "was killed by signal 9", 60 },
	{ "hangs", "sleep 1000", "took longer than 1 s", 1 },
	{ "floods", "yes", "said too much", 60 },
	{ "has its line", "read l; test \"$l\" = '{\"event\":\"test\"}'", "", 60 },
	{ "has nothing else", "test -z \"$NOTIFY_SOCKET$SECRET\"", "", 60 },
};

static void
judges_hooks(void **state)
{
	(void)state;
	(void)setenv("SECRET", "s", 1);
	(void)setenv("NOTIFY_SOCKET", "/nowhere", 1);
	for (size_t i = 0; i < ROWS(hook_rows); i++) {
		struct mm_conf_list program = shell(hook_rows[i].script);
		struct mm_hook h = { .event = "judged", .program = &program,
			.limit_s = hook_rows[i].limit_s, .pace = pace };

		mm_hook_init(&h, dir);
		mm_hook_want(&h, hook_rows[i].what);
		ROW(hook_rows[i].what, mm_hook_due(&h));
		ROW(hook_rows[i].what, strcmp(run(&h, 0),
		    hook_rows[i].note) == 0);
		ROW(hook_rows[i].what, mm_hook_due(&h) ==
		    (h.note[0] != '\0'));
		mm_hook_done(&h);
	}
	(void)unsetenv("NOTIFY_SOCKET");
}

/* Until it has ended well, with pauses; and once for each thing. */
static void
tells_once(void **state)
{
	struct mm_conf_list program = shell("exit 1");
	struct mm_hook h = { .event = "once", .program = &program,
		.limit_s = 60, .pace = pace };
	struct mm_hook again = h;

	(void)state;
	mm_hook_init(&h, dir);
	assert_false(mm_hook_due(&h));
	mm_hook_want(&h, "a");
	assert_string_equal(run(&h, 1000), "ended with status 1");
	assert_int_equal(h.next_ms, 31000);
	mm_hook_begin(&h, 30999, mm_bytes_of("\n"));
	assert_string_equal(h.runs, "");
	assert_string_equal(run(&h, 31000), "ended with status 1");
	assert_int_equal(h.next_ms, 91000);
	/* for something else the pause is over */
	mm_hook_want(&h, "b");
	program = shell("exit 0");
	assert_string_equal(run(&h, 31001), "");
	assert_false(mm_hook_due(&h));
	/* and a service that starts knows it */
	mm_hook_init(&again, dir);
	mm_hook_want(&again, "b");
	assert_false(mm_hook_due(&again));
	mm_hook_want(&again, "c");
	assert_true(mm_hook_due(&again));
	mm_hook_done(&h);
	mm_hook_done(&again);
}

/* What it is told of while it runs is another run's. */
static void
changes_while_it_runs(void **state)
{
	struct mm_conf_list program = shell("exit 0");
	struct mm_hook h = { .event = "changes", .program = &program,
		.limit_s = 60, .pace = pace };

	(void)state;
	mm_hook_init(&h, dir);
	mm_hook_want(&h, "a");
	mm_hook_begin(&h, 0, mm_bytes_of("\n"));
	mm_hook_want(&h, "b");
	assert_string_equal(run(&h, 0), "");
	assert_string_equal(h.told, "a");
	assert_true(mm_hook_due(&h));
	assert_string_equal(run(&h, 0), "");
	assert_false(mm_hook_due(&h));
	mm_hook_done(&h);
}

/* A folder that cannot be written: told all the same, and only once. */
static void
needs_no_disk(void **state)
{
	struct mm_conf_list program = shell("exit 0");
	struct mm_hook h = { .event = "nowhere", .program = &program,
		.limit_s = 60, .pace = pace };

	(void)state;
	mm_hook_init(&h, "/proc/self");
	mm_hook_want(&h, "a");
	assert_string_equal(run(&h, 0), "");
	assert_false(mm_hook_due(&h));
	mm_hook_done(&h);
}

/* ---- configuration ---- */

static const struct {
	const char *what, *text, *words; /* words: NULL, or of the refusal */
} conf_rows[] = {
	{ "empty", "", NULL },
	{ "whole", "dir = \"/d\"\nserver = \"ca:8443\"\ntls = \"1.3\"\n"
	    "on_renewed = { \"/bin/true\", \"x y\" }\nretry = \"1s\"\n", NULL },
	{ "no path", "on_renewed = { \"systemctl\", \"reload\" }\n",
	    "absolute path" },
	{ "no port", "server = \"ca\"\n", "host:port" },
	{ "device", "device = \"a b\"\n", "bad name" },
	{ "pauses", "retry = \"1h\"\nretry_most = \"1m\"\n", "shorter" },
	{ "unknown", "servers = \"ca:1\"\n", "servers" },
	{ "choice", "clock = \"sun\"\n", "clock" },
};

static void
reads_its_file(void **state)
{
	static struct mm_agent_conf c;
	char path[PATH_MAX];

	(void)state;
	snprintf(path, sizeof(path), "%s/agent.conf", dir);
	for (size_t i = 0; i < ROWS(conf_rows); i++) {
		struct mm_why why = { 0 };
		enum mm_err err;

		assert_int_equal(mm_file_replace(path,
		    mm_bytes_of(conf_rows[i].text), 0600, NULL), MM_OK);
		memset(&c, 0, sizeof(c));
		err = mm_agent_conf_load(path, &c, &why);
		ROW(conf_rows[i].what, (err == MM_OK) ==
		    (conf_rows[i].words == NULL));
		if (conf_rows[i].words != NULL)
			ROW(conf_rows[i].what, strstr(why.text,
			    conf_rows[i].words) != NULL);
	}
}

static int
clean(void **state)
{
	char rm[sizeof(dir) + 16];

	(void)state;
	snprintf(rm, sizeof(rm), "rm -rf %s", dir);
	return system(rm);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(goes_next),
		cmocka_unit_test(knows_the_time),
		cmocka_unit_test(stands_a_jump),
		cmocka_unit_test(judges_hooks),
		cmocka_unit_test(tells_once),
		cmocka_unit_test(changes_while_it_runs),
		cmocka_unit_test(needs_no_disk),
		cmocka_unit_test(reads_its_file),
	};

	if (mkdtemp(dir) == NULL)
		return 1;
	return cmocka_run_group_tests(tests, NULL, clean);
}
