#ifndef MM_STATION_RUN_H
#define MM_STATION_RUN_H

#include <signal.h>

#include "station/args.h"
#include "station/line.h"

/* The commands.  Each prints its results and returns an exit status; *err is
 * set, with why, if it could not even begin. */
/* adopt, too */
int mm_run_provision(const struct mm_station_conf *conf,
    const struct mm_station_args *a, enum mm_err *err, struct mm_why *why);
int mm_run_line(const struct mm_station_conf *conf,
    const struct mm_station_args *a, enum mm_err *err, struct mm_why *why);
int mm_run_status(const struct mm_station_conf *conf,
    const struct mm_station_args *a, enum mm_err *err, struct mm_why *why);

int mm_run_enrol(const struct mm_station_conf *conf,
    const struct mm_station_args *a, enum mm_err *err, struct mm_why *why);
int mm_run_import(const struct mm_station_conf *conf,
    const struct mm_station_args *a, enum mm_err *err, struct mm_why *why);
/* A work order's file: as mm_run_import, without printing. */
struct mm_buf;
MM_MUST enum mm_err mm_import_take(const struct mm_station_conf *conf,
    struct mm_bytes json, struct mm_buf *said, struct mm_why *why);
int mm_run_export(const struct mm_station_conf *conf,
    const struct mm_station_args *a, enum mm_err *err, struct mm_why *why);
int mm_run_sync(const struct mm_station_conf *conf,
    const struct mm_station_args *a, enum mm_err *err, struct mm_why *why);
int mm_run_release(const struct mm_station_conf *conf,
    const struct mm_station_args *a, enum mm_err *err, struct mm_why *why);
int mm_run_scrap(const struct mm_station_conf *conf,
    const struct mm_station_args *a, enum mm_err *err, struct mm_why *why);
int mm_run_label(const struct mm_station_conf *conf,
    const struct mm_station_args *a, enum mm_err *err, struct mm_why *why);
int mm_run_report(const struct mm_station_conf *conf,
    const struct mm_station_args *a, enum mm_err *err, struct mm_why *why);
int mm_run_fixtures(const struct mm_station_conf *conf,
    const struct mm_station_args *a, enum mm_err *err, struct mm_why *why);
int mm_run_selftest(const struct mm_station_conf *conf,
    const struct mm_station_args *a, enum mm_err *err, struct mm_why *why);
int mm_run_blink(const struct mm_station_conf *conf,
    const struct mm_station_args *a, enum mm_err *err, struct mm_why *why);
int mm_run_api_key(const struct mm_station_conf *conf,
    const struct mm_station_args *a, enum mm_err *err, struct mm_why *why);

/* people.c: --accept-clock, by a supervisor where there are any. */
MM_MUST enum mm_err mm_run_clock(struct mm_line *l,
    const struct mm_station_args *a, struct mm_why *why);

/* Set by SIGTERM and SIGINT: units are stopped, then it ends. */
extern volatile sig_atomic_t mm_run_stopped;
void mm_run_put(struct mm_buf *text);

#endif
