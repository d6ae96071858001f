#include <stdio.h>
#include <string.h>

#include "station/report.h"
#include "station/run.h"

enum { WAIT_MS = 1000, TELL_MS = 1000 };

static int
refused(const struct mm_place *p, const char *serial,
    enum mm_unit_reason reason, bool json)
{
	struct mm_buf out = MM_BUF_INIT(8192);

	mm_report_refused(&out, p, serial, reason, json);
	mm_run_put(&out);
	return mm_unit_reasons[reason].exit;
}

static int
one(struct mm_line *l, const struct mm_station_args *a)
{
	struct mm_buf out = MM_BUF_INIT(8192);
	struct mm_place *p = &l->place[0];
	bool adopts = strcmp(a->command, "adopt") == 0;
	enum mm_unit_reason reason = adopts
	    ? mm_line_adopt(l, p, a->serial) : mm_line_scan(l, p, a->serial);

	if (reason != MM_UR_NONE)
		return refused(p, a->serial, reason, a->json);
	while (mm_place_busy(p)) {
		mm_line_run(l, NULL, 0, WAIT_MS);
		if (mm_run_stopped)
			mm_line_stop(l, p);
	}
	mm_report_unit(&out, l->conf, p, a->json);
	mm_run_put(&out);
	return mm_report_exit(p);
}

static enum mm_err
enter(struct mm_line *l, const struct mm_station_args *a, struct mm_why *why)
{
	char id[MM_DEVICE_ID_MAX + 1];

	MM_TRY(mm_run_clock(l, a, why));
	if (a->operator_badge == NULL || !mm_crew_asks(l->crew))
		return MM_OK;
	MM_TRY(mm_crew_who_file(l->crew, a->operator_badge, MM_WORK_OPERATOR,
	    id, why));
	mm_crew_enter(l->crew, id);
	return MM_OK;
}

/* see run.h */
int
mm_run_provision(const struct mm_station_conf *conf,
    const struct mm_station_args *a, enum mm_err *err, struct mm_why *why)
{
	const struct mm_fixture_conf *f = mm_station_fixture(conf, a->fixture);
	static struct mm_line l;
	int status;

	if (f == NULL) {
		*err = MM_FAIL(why, MM_EINPUT, "there is no fixture "
		    "\"%.40s\"", a->fixture);
		return mm_err_exit(*err);
	}
	*err = mm_line_open(&l, conf, &f, 1, why);
	if (*err != MM_OK)
		return mm_err_exit(*err);
	l.sync_due_ms = INT64_MAX; /* one unit does not wait for others */
	*err = enter(&l, a, why);
	status = *err != MM_OK ? mm_err_exit(*err) : one(&l, a);
	mm_line_tell_rest(&l, TELL_MS);
	mm_line_close(&l);
	return status;
}
