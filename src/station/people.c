#include <stdio.h>

#include "base/json.h"
#include "station/run.h"

/* What supervisors decide. */

static void
say(const struct mm_unit *u, bool json)
{
	struct mm_buf out = MM_BUF_INIT(1024);
	struct mm_json j = mm_json_over(&out);

	if (json) {
		mm_json_open(&j, '{');
		mm_json_str(&j, "device", u->serial);
		mm_json_str(&j, "result", mm_unit_state_names[u->state]);
		mm_json_close(&j, '}');
		mm_buf_text(&out, "\n");
	} else {
		mm_buf_printf(&out, "%s %s\n", u->serial,
		    mm_unit_state_names[u->state]);
	}
	mm_run_put(&out);
}

static int
decide(const struct mm_station_conf *conf, const struct mm_station_args *a,
    enum mm_unit_event e, enum mm_err *err, struct mm_why *why)
{
	static struct mm_line l;

	*err = mm_line_open(&l, conf, NULL, 0, why);
	if (*err != MM_OK)
		return mm_err_exit(*err);
	*err = mm_line_decide(&l, a->serial, e, why);
	if (*err == MM_OK)
		say(mm_book_find(l.book, a->serial), a->json);
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
