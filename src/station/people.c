#include "station/report.h"
#include "station/run.h"

/* What supervisors decide. */

/* That nobody has said who decides does not mean that everybody does. */
static enum mm_err
know_people(struct mm_line *l, const char *what, struct mm_why *why)
{
	enum mm_unit_reason unknown;

	if (mm_crew_unknown(l->crew) != MM_UR_NONE)
		mm_crew_wait(l->crew, l->centre);
	unknown = mm_crew_unknown(l->crew);
	if (unknown == MM_UR_NONE)
		return MM_OK;
	return MM_FAIL(why, MM_EAGAIN, "%s: whether batch %s has supervisors "
	    "is not known yet: %s", what, l->conf->batch,
	    mm_unit_reasons[unknown].what);
}

/* Where a batch names its people, it is one of its supervisors. */
static enum mm_err
ask_supervisor(struct mm_line *l, const struct mm_station_args *a,
    const char *what, struct mm_why *why)
{
	char id[MM_DEVICE_ID_MAX + 1];
	const struct mm_crew_decision d = { what,
		a->serial != NULL && what[0] != 'c' ? a->serial : "", id,
		a->reason };

	MM_TRY(know_people(l, what, why));
	if (!mm_crew_asks(l->crew))
		return !a->over ? MM_OK : mm_crew_decide(l->crew,
		    &(struct mm_crew_decision){ what, d.device, "", a->reason },
		    why);
	if (a->supervisor_badge == NULL)
		return MM_FAIL(why, MM_EPOLICY, "%s: the batch has "
		    "supervisors: --supervisor-badge-file and --reason", what);
	MM_TRY(mm_crew_who_file(l->crew, a->supervisor_badge,
	    MM_WORK_SUPERVISOR, id, why));
	return mm_crew_decide(l->crew, &d, why);
}

/* see run.h */
enum mm_err
mm_run_clock(struct mm_line *l, const struct mm_station_args *a,
    struct mm_why *why)
{
	if (a->accept_clock)
		MM_TRY(ask_supervisor(l, a, "clock", why));
	l->accept_clock = a->accept_clock;
	return MM_OK;
}

static enum mm_err
decide_open(struct mm_line *l, const struct mm_station_args *a,
    enum mm_unit_event e, bool *passed, struct mm_why *why)
{
	MM_TRY(mm_line_may_decide(l, a->serial, e, why));
	*passed = mm_book_find(l->book, a->serial)->state == MM_UNIT_PASSED;
	MM_TRY(ask_supervisor(l, a, e == MM_EV_RELEASE ? "release"
	    : a->over ? MM_CREW_SCRAP_OVER : "scrap", why));
	return mm_line_decide(l, a->serial, e, a->over, why);
}

/* What has proved its identity is the centre's to revoke, not a line's. */
static void
say_scrapped(struct mm_buf *out, const struct mm_unit *u, bool passed)
{
	if (passed && u->batch[0] != '\0')
		mm_buf_printf(out, "at the centre an operator scraps it, for "
		    "it has proved its identity:\n  mintmark batch scrap %s %s "
		    "--reason TEXT\n", u->batch, u->serial);
}

static int
decide(const struct mm_station_conf *conf, const struct mm_station_args *a,
    enum mm_unit_event e, enum mm_err *err, struct mm_why *why)
{
	struct mm_buf out = MM_BUF_INIT(1024);
	static struct mm_line l;
	const struct mm_unit *u;
	bool passed = false;

	*err = mm_line_open(&l, conf, NULL, 0, why);
	if (*err != MM_OK)
		return mm_err_exit(*err);
	*err = decide_open(&l, a, e, &passed, why);
	if (*err == MM_OK) {
		u = mm_book_find(l.book, a->serial);
		mm_report_decided(&out, u, a->json);
		if (!a->json)
			say_scrapped(&out, u, passed && e == MM_EV_SCRAP);
		mm_run_put(&out);
	}
	mm_line_close(&l);
	return mm_err_exit(*err);
}

/* see run.h */
int
mm_run_release(const struct mm_station_conf *conf,
    const struct mm_station_args *a, enum mm_err *err, struct mm_why *why)
{
	return decide(conf, a, MM_EV_RELEASE, err, why);
}

/* see run.h */
int
mm_run_scrap(const struct mm_station_conf *conf,
    const struct mm_station_args *a, enum mm_err *err, struct mm_why *why)
{
	return decide(conf, a, MM_EV_SCRAP, err, why);
}
