#ifndef MM_STATION_RECORD_H
#define MM_STATION_RECORD_H

#include "station/line.h"

/*
 * The birth record of a unit, as JSON, one file a device under records/ in the
 * station's folder, named by its serial in small letters.  What is in "proved"
 * can be recomputed from the record; "observed" is what the station saw;
 * "claimed" what the device says of itself.  docs/line.md has it by member.
 */
/* Written whole and on the disk when it returns.  receipt: the centre's. */
MM_MUST enum mm_err mm_record_write(const struct mm_line *l,
    const struct mm_place *p, const json_t *receipt, struct mm_why *why);
/* Where the record of a serial is; MM_ELIMIT. */
MM_MUST enum mm_err mm_record_path(const struct mm_station_conf *conf,
    const char *serial, char *out, size_t outn, struct mm_why *why);

#endif
