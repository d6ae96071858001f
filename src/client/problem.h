#ifndef MM_CLIENT_PROBLEM_H
#define MM_CLIENT_PROBLEM_H

#include <jansson.h>

#include "base/err.h"

/*
 * What a status of 400 and above of the REST API means: the code that the
 * server had, and its detail as words.  answer may be NULL (it was no JSON).
 */
MM_MUST enum mm_err mm_problem_fail(long status, const json_t *answer,
    struct mm_why *why);
/* The reason that it names (docs/reference/problems.md); "" none. */
const char *mm_problem_reason(const json_t *answer);

#endif
