#ifndef MM_BASE_CONF_VALUE_H
#define MM_BASE_CONF_VALUE_H

#include "base/conf.h"

/*
 * One value of a configuration key, from text.  For conf*.c only.
 * folder is what a relative MM_CONF_PATH is relative to.
 */
MM_MUST enum mm_err mm_conf_value_set(const struct mm_conf_key *key,
    void *settings, const char *text, const char *folder, struct mm_why *why);
/* A preset: as above, but a list's items are separated by commas. */
MM_MUST enum mm_err mm_conf_value_preset(const struct mm_conf_key *key,
    void *settings, const char *folder, struct mm_why *why);
/* What the type is called in the reference: "number", "text", ... */
const char *mm_conf_value_type(const struct mm_conf_key *key);

#endif
