#ifndef MM_STATION_FOLDER_H
#define MM_STATION_FOLDER_H

#include "pki/key.h"
#include "station/driver.h"

/* A device that is a folder of files, for driver files. */
struct mm_folder {
	const struct mm_fixture_conf *conf;
	struct mm_driver_job job; /* all of it borrowed */
	char dir[PATH_MAX];
	EVP_PKEY *key; /* of the job's serial; NULL: not loaded */
};
/* The job's effect, as long as that takes; MM_EINPUT and others: the folder
 * is not as it was left, or cannot be written. */
MM_MUST enum mm_err mm_folder_do(struct mm_folder *b,
    struct mm_driver_answer *out, struct mm_why *why);

#endif
