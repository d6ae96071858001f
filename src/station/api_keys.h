#ifndef MM_STATION_API_KEYS_H
#define MM_STATION_API_KEYS_H

#include <sys/types.h>
#include <time.h>

#include "station/conf.h"

/*
 * Keys of programs that use the station's API over the line's network.  A key
 * is 32 random bytes, shown once when it is made; the file api-keys in the
 * station's folder has a name and its SHA-256 a line, so that whoever reads it
 * has no key.
 */
#define MM_API_KEYS_MOST 32
#define MM_API_KEY_TEXT  57 /* "mmk_", 52 digits, NUL */

struct mm_api_keys {
	char path[PATH_MAX + 16];
	struct timespec read_at; /* its last change, then */
	ino_t inode;
	size_t n;
	struct {
		char name[MM_NAME_MAX + 1];
		uint8_t hash[32];
	} key[MM_API_KEYS_MOST];
};
MM_MUST enum mm_err mm_api_keys_open(struct mm_api_keys *k,
    const struct mm_station_conf *conf, struct mm_why *why);
/*
 * Whose key it is, or NULL; in a time that does not tell how much of it is
 * right.  A file that has changed is read again: a key that was removed is
 * none from then on.
 */
const char *mm_api_keys_find(struct mm_api_keys *k, struct mm_bytes key);
/* Makes one and writes its text; MM_ECONFLICT: the name has one. */
MM_MUST enum mm_err mm_api_keys_make(struct mm_api_keys *k, const char *name,
    char text[MM_API_KEY_TEXT], struct mm_why *why);
MM_MUST enum mm_err mm_api_keys_remove(
    struct mm_api_keys *k, const char *name, struct mm_why *why);

#endif
