#ifndef MM_BASE_SETTINGS_CENTRE_H
#define MM_BASE_SETTINGS_CENTRE_H

#include "base/settings.h"

/*
 * What production wants besides mm_settings_check of who has issuers, and so a
 * server: URLs that last, two users.  A station's signer has neither.
 */
MM_MUST enum mm_err mm_settings_check_centre(const struct mm_settings *s,
    struct mm_why *why);

#endif
