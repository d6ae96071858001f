#include "client/problem.h"

#include <string.h>

static enum mm_err
code_of(long status)
{
	for (unsigned i = 1; i < MM_ERR_COUNT; i++)
		if (mm_err_http((enum mm_err)i) == status)
			return (enum mm_err)i;
	return status < 400 ? MM_EBUG : status < 500 ? MM_EINPUT : MM_EAGAIN;
}

/* The type says it where one status has several; but whatever the server's
 * fault is, to come again is what can be done. */
static enum mm_err
code_of_problem(long status, const char *title)
{
	for (unsigned i = 1; title != NULL && status < 500 &&
	     i < MM_ERR_COUNT; i++)
		if (mm_err_http((enum mm_err)i) == status &&
		    strcmp(mm_err_slug((enum mm_err)i), title) == 0)
			return (enum mm_err)i;
	return code_of(status);
}

/* see problem.h */
enum mm_err
mm_problem_fail(long status, const json_t *answer, struct mm_why *why)
{
	const char *detail = json_string_value(
	    json_object_get(answer, "detail"));
	const char *title = json_string_value(json_object_get(answer, "title"));

	return MM_FAIL(why, code_of_problem(status, title), "%s",
	    detail ? detail : title ? title : "the server refused");
}

/* see problem.h */
const char *
mm_problem_reason(const json_t *answer)
{
	const char *reason = json_string_value(
	    json_object_get(answer, "reason"));

	return reason != NULL ? reason : "";
}
