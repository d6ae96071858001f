#ifndef MM_STATION_EXEC_H
#define MM_STATION_EXEC_H

#include "station/driver.h"

/*
 * What a fixture's program is told, and what it answers: docs/line.md, "A
 * program of your own".  For exec.c and its tests.
 */
void mm_exec_put_job(struct mm_buf *out, const struct mm_fixture_conf *conf,
    const struct mm_driver_job *job);

struct mm_exec_result {
	enum mm_driver_got got; /* not WAIT */
	enum mm_unit_reason reason;
	char note[160];
};
/*
 * Lines of JSON; the last one with "result" counts, others are its log.
 * MM_EINPUT: there is no such line, or it lacks what the step wants.
 */
MM_MUST enum mm_err mm_exec_read(struct mm_bytes said,
    const struct mm_driver_job *job, struct mm_driver_answer *out,
    struct mm_exec_result *result, struct mm_why *why);

/* The job by which it is asked whether it works, and what came of it: only an
 * answer that names its tool, or the reason selftest-failed, is one. */
void mm_exec_put_selftest(struct mm_buf *out,
    const struct mm_fixture_conf *conf, const char *recipe, int64_t now_s);
void mm_exec_read_selftest(struct mm_bytes said, bool status_0,
    struct mm_selftest *out);

#endif
