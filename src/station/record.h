#ifndef MM_STATION_RECORD_H
#define MM_STATION_RECORD_H

#include "station/line.h"

/*
 * The birth record of a unit (line/birth.h), one file a device under records/
 * in the station's folder, named by its serial in small letters.  It is also
 * where the station finds a unit again that its journal has no rows of any
 * more.
 */
struct mm_record_from {
	struct mm_bytes receipt, confirmation; /* JSON; n 0: none */
	struct mm_bytes chain;                 /* PEM */
};
/* Written whole and on the disk when it returns. */
MM_MUST enum mm_err mm_record_write(const struct mm_line *l,
    const struct mm_place *p, const struct mm_record_from *from,
    struct mm_why *why);
/* The unit as its record has it.  MM_ENOTFOUND: there is none; MM_EINPUT,
 * MM_EPOLICY: it is none of a station's. */
MM_MUST enum mm_err mm_record_find(const struct mm_station_conf *conf,
    const char *serial, struct mm_unit *out, struct mm_why *why);
bool mm_record_is_there(const struct mm_station_conf *conf,
    const char *serial);
/* Where the record of a serial is; MM_ELIMIT. */
MM_MUST enum mm_err mm_record_path(const struct mm_station_conf *conf,
    const char *serial, char *out, size_t outn, struct mm_why *why);

#endif
