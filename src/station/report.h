#ifndef MM_STATION_REPORT_H
#define MM_STATION_REPORT_H

#include "base/json.h"
#include "station/line.h"

/* What a place's last unit came to, for people or, as JSON, for programs; one
 * line.  Also of a scan that was refused: then unit is what was scanned. */
void mm_report_unit(struct mm_buf *out, const struct mm_station_conf *conf,
    const struct mm_place *p, bool json);
void mm_report_refused(struct mm_buf *out, const struct mm_place *p,
    const char *serial, enum mm_unit_reason reason, bool json);
/* Of a place whose unit has its label: a second one is said to be one, for the
 * first is somewhere. */
const char *mm_report_labelled(const struct mm_place *p);
/* A label that was asked for again. */
void mm_report_label(struct mm_buf *out, const char *serial,
    enum mm_unit_reason reason, bool json);
/* The work order was extended. */
void mm_report_order(struct mm_buf *out, bool json);
/* What a unit is, once a supervisor has decided of it. */
void mm_report_decided(struct mm_buf *out, const struct mm_unit *u, bool json);
void mm_report_failure(struct mm_buf *out, enum mm_err err,
    const struct mm_why *why, bool json);
/* reason, exit, what, to_do: members of an object that is open. */
void mm_report_reason(struct mm_json *j, enum mm_unit_reason reason);
/* The exit status of what a unit came to. */
int mm_report_exit(const struct mm_place *p);

#endif
