#include "port/posix_openssl.h"

#include <time.h>

static int64_t
mono_ms(void *ctx)
{
	struct timespec t;

	(void)ctx;
	if (clock_gettime(CLOCK_MONOTONIC, &t) != 0)
		return 0;
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static bool
now_s(void *ctx, int64_t *at_s)
{
	(void)ctx;
	*at_s = (int64_t)time(NULL);
	return true;
}

/* see posix_openssl.h */
struct mmd_clock
mmd_posix_clock(void)
{
	return (struct mmd_clock){ mono_ms, now_s, NULL };
}
