#include "station/report.h"
#include "station/run.h"

enum { WAIT_MS = 100 };

/* What came of the label of a unit, once it is known. */
struct told {
	bool over;
	enum mm_unit_reason reason;
};

static void
printed(void *ctx, const struct mm_unit *u, enum mm_unit_reason reason)
{
	struct told *t = ctx;

	(void)u;
	t->over = true;
	t->reason = reason;
}

/* see run.h */
int
mm_run_label(const struct mm_station_conf *conf,
    const struct mm_station_args *a, enum mm_err *err, struct mm_why *why)
{
	struct mm_buf out = MM_BUF_INIT(4096);
	struct told told = { false, MM_UR_NONE };
	static struct mm_line l;

	*err = mm_line_open(&l, conf, NULL, 0, why);
	if (*err != MM_OK)
		return mm_err_exit(*err);
	l.printed = printed;
	l.ctx = &told;
	*err = mm_line_print(&l, a->serial, why);
	/* its own limit ends it, and says what is known then */
	while (*err == MM_OK && !told.over)
		mm_line_run(&l, NULL, 0, WAIT_MS);
	mm_line_close(&l);
	if (*err != MM_OK)
		return mm_err_exit(*err);
	mm_report_label(&out, a->serial, told.reason, a->json);
	mm_run_put(&out);
	return mm_unit_reasons[told.reason].exit;
}
