#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static const struct {
	short http, exit;
	const char *slug;
} info[MM_ERR_COUNT] = {
#define X(code, http, exit, slug) [code] = { http, exit, slug },
	MM_ERRORS(X)
#undef X
};

/* see err.h */
enum mm_err
mm_fail_at(struct mm_why *why, enum mm_err code, const char *at,
    const char *fmt, ...)
{
	va_list ap;

	if (why == NULL || why->code != MM_OK)
		return code;
	why->code = code;
	why->at = at;
	va_start(ap, fmt);
	vsnprintf(why->text, sizeof(why->text), fmt, ap);
	va_end(ap);
	return code;
}

/* see err.h */
_Noreturn void
mm_bug_at(const char *at, const char *cond)
{
	fprintf(stderr, "mintmark: broken invariant at %s: %s\n", at, cond);
	abort();
}

/* see err.h */
int
mm_err_http(enum mm_err code)
{
	return info[code].http;
}

/* see err.h */
int
mm_err_exit(enum mm_err code)
{
	return info[code].exit;
}

/* see err.h */
const char *
mm_err_slug(enum mm_err code)
{
	return info[code].slug;
}

/* see err.h */
enum mm_err
mm_err_from_byte(unsigned byte)
{
	return byte < MM_ERR_COUNT ? (enum mm_err)byte : MM_EBUG;
}
