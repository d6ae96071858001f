#ifndef MM_SERVER_CEILINGS_H
#define MM_SERVER_CEILINGS_H

#include "pki/profile.h"

/*
 * What is used up of profiles' per_minute and per_day where another CA signs:
 * counted by who asks it, in a file of its own, so that a new beginning
 * begins no ceiling anew.  A profile without ceilings is not counted.
 */
struct mm_ceilings;
/* folder is the caller's alone, and locked.  A file that cannot be read is
 * MM_EINPUT and not a fresh one. */
MM_MUST enum mm_err mm_ceilings_open(const char *folder,
    const struct mm_config *c, struct mm_ceilings **out, struct mm_why *why);
void mm_ceilings_free(struct mm_ceilings **owner);
/* One more, which is in the file when this returns; MM_EPOLICY: a ceiling is
 * reached.  Other failures count nothing. */
MM_MUST enum mm_err mm_ceilings_spend(struct mm_ceilings *all,
    const struct mm_profile *p, int64_t now_s, struct mm_why *why);
/* Nothing was made of what was spent then.  A minute or a day that is over has
 * nothing to give back to, and the one after it gets nothing of it. */
void mm_ceilings_give_back(struct mm_ceilings *all,
    const struct mm_profile *p, int64_t spent_s);

#endif
