#ifndef MM_CORE_DESK_DEVICES_H
#define MM_CORE_DESK_DEVICES_H

#include "core/desk_schema.h"

/*
 * What putting one device (desk_devices.c) and importing many (desk_import.c)
 * say of one in the ledger.
 */
struct mm_device_texts {
	char spki[65], detail[65];
};
/* The entry's fields, of a row with its salt; texts are the entry's as long as
 * it is used. */
void mm_device_entry(struct mm_entry *e, struct mm_device_texts *t,
    const struct mm_login *by, const struct mm_device *dev);

#endif
