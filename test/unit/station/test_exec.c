#include <jansson.h>

#include "../base/rows.h"
#include "base/own.h"
#include "station/exec.h"

#define HELLO "{\"result\":\"done\",\"hardware\":\"0Aff\",\"firmware\":\"f 1\""

static const struct {
	const char *what;
	enum mm_unit_effect effect;
	const char *said;
	enum mm_err rc;
	enum mm_driver_got got;
	enum mm_unit_reason why;
} rows[] = {
	{ "hello", MM_DO_HELLO, HELLO "}\n", MM_OK, MM_DRIVER_DONE,
	    MM_UR_NONE },
	{ "without an end", MM_DO_HELLO, HELLO "}", MM_OK,
	    MM_DRIVER_DONE, MM_UR_NONE },
	{ "a log before", MM_DO_HELLO, "esptool 4\n{\"log\":1}\n[]\n"
	    HELLO "}\nbye\n", MM_OK, MM_DRIVER_DONE, MM_UR_NONE },
	{ "the last one counts", MM_DO_PUT, "{\"result\":\"done\"}\n"
	    "{\"result\":\"failed\",\"reason\":\"no-room\"}\n", MM_OK,
	    MM_DRIVER_FAILED, MM_UR_ROOM },
	{ "a reason that is not its own", MM_DO_PUT,
	    "{\"result\":\"failed\",\"reason\":\"refused\"}\n", MM_OK,
	    MM_DRIVER_FAILED, MM_UR_DRIVER },
	{ "no reason", MM_DO_PUT, "{\"result\":\"failed\"}", MM_OK,
	    MM_DRIVER_FAILED, MM_UR_DRIVER },
	{ "again", MM_DO_COMMIT, "{\"result\":\"again\"}", MM_OK,
	    MM_DRIVER_AGAIN, MM_UR_NONE },
	{ "again, of a lock", MM_DO_LOCK, "{\"result\":\"again\"}",
	    MM_EINPUT },
	{ "a request", MM_DO_CSR,
	    "{\"result\":\"done\",\"csr\":\"AQID\"}", MM_OK,
	    MM_DRIVER_DONE, MM_UR_NONE },
	{ "done, without one", MM_DO_CSR, "{\"result\":\"done\"}",
	    MM_EINPUT },
	{ "no base64", MM_DO_CSR,
	    "{\"result\":\"done\",\"csr\":\"!\"}", MM_EINPUT },
	{ "a certificate and its chain", MM_DO_GET, "{\"result\":\"done\","
	    "\"certificate\":\"AQID\",\"chain\":\"BAU=\"}", MM_OK,
	    MM_DRIVER_DONE, MM_UR_NONE },
	{ "no chain", MM_DO_GET, "{\"result\":\"done\","
	    "\"certificate\":\"AQID\"}", MM_EINPUT },
	{ "hardware is none", MM_DO_HELLO, "{\"result\":\"done\","
	    "\"hardware\":\"\"}", MM_EINPUT },
	{ "hardware is half a digit", MM_DO_HELLO,
	    "{\"result\":\"done\",\"hardware\":\"0\"}", MM_EINPUT },
	{ "a hash is none", MM_DO_HELLO, HELLO
	    ",\"spki_sha256\":\"00\"}", MM_EINPUT },
	{ "nothing", MM_DO_LOCK, "", MM_EINPUT },
	{ "no result", MM_DO_LOCK, "{\"done\":true}\n", MM_EINPUT },
	{ "another result", MM_DO_LOCK, "{\"result\":\"ok\"}\n",
	    MM_EINPUT },
};

static void
answers(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct mm_driver_job job = { .effect = rows[i].effect };
		struct mm_driver_answer a = { .der_n = 0 };
		struct mm_exec_result r = { .got = MM_DRIVER_WAIT };

		ROW(rows[i].what, mm_exec_read(mm_bytes_of(rows[i].said),
		    &job, &a, &r, NULL) == rows[i].rc);
		if (rows[i].rc != MM_OK)
			continue;
		ROW(rows[i].what, r.got == rows[i].got);
		ROW(rows[i].what, r.reason == rows[i].why);
		if (job.effect == MM_DO_HELLO)
			ROW(rows[i].what, strcmp(a.said.hw, "0aff") == 0);
		if (job.effect == MM_DO_CSR)
			ROW(rows[i].what, a.der_n == 3 && a.der[2] == 3);
		if (job.effect == MM_DO_GET)
			ROW(rows[i].what, a.cert_n == 3 && a.der_n == 5 &&
			    a.der[3] == 4);
	}
}

static void
a_job_is_one_line_of_json(void **state)
{
	static const struct mm_fixture_conf conf = { .name = "f1",
		.port = "/dev/\"x\"" };
	struct mm_driver_job job = { .effect = MM_DO_PROVE, .serial = "SN-1" };

	(void)state;
	for (unsigned e = MM_DO_HELLO; e < MM_EFFECTS; e++) {
		MM_OWN(mm_buf_done) struct mm_buf out = MM_BUF_INIT(4096);
		json_t *o;

		job.effect = (enum mm_unit_effect)e;
		mm_exec_put_job(&out, &conf, &job);
		assert_ptr_equal(memchr(out.p, '\n', out.n), out.p + out.n - 1);
		o = json_loadb((const char *)out.p, out.n, 0, NULL);
		assert_string_equal(json_string_value(json_object_get(o,
		    "port")), conf.port);
		assert_int_equal(json_object_get(o, "nonce") != NULL,
		    e == MM_DO_PROVE);
		assert_int_equal(json_object_get(o, "stir") != NULL,
		    e == MM_DO_KEY);
		json_decref(o);
	}
}

static const struct {
	const char *what, *said;
	bool status_0;
	enum mm_selftest_is is;
} tests_of[] = {
	{ "it works", "x\n{\"result\":\"done\",\"tool\":\"t\"}", true,
	    MM_SELFTEST_WORKS },
	{ "and fails", "{\"result\":\"done\",\"tool\":\"t\"}", false,
	    MM_SELFTEST_FAILED },
	{ "it does not work", "{\"result\":\"failed\",\"reason\":"
	    "\"selftest-failed\"}", false, MM_SELFTEST_FAILED },
	{ "no tool", "{\"result\":\"done\"}", true, MM_SELFTEST_SILENT },
	{ "a step's reason", "{\"result\":\"failed\",\"reason\":"
	    "\"no-room\"}", true, MM_SELFTEST_SILENT },
	{ "nothing", "", true, MM_SELFTEST_SILENT },
	{ "no JSON", "usage: flash", false, MM_SELFTEST_SILENT },
};

static void
self_tests(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(tests_of); i++) {
		struct mm_selftest t;

		mm_exec_read_selftest(mm_bytes_of(tests_of[i].said),
		    tests_of[i].status_0, &t);
		ROW(tests_of[i].what, t.is == tests_of[i].is);
		ROW(tests_of[i].what, (t.reason == MM_UR_SELFTEST) ==
		    (t.is == MM_SELFTEST_FAILED));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(answers),
		cmocka_unit_test(self_tests),
		cmocka_unit_test(a_job_is_one_line_of_json),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
