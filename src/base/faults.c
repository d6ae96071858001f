#include "base/faults.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Whether variable is PLACE:N and this is the place's N-th pass. */
static bool
due(const char *variable, const char *place, atomic_long *passed)
{
	const char *at = getenv(variable);
	size_t n = strlen(place);

	if (at == NULL || strncmp(at, place, n) != 0 || at[n] != ':')
		return false;
	return atomic_fetch_add(passed, 1) + 1 == atol(at + n + 1);
}

/* see faults.h */
void
mm_die_at(const char *place)
{
	static atomic_long died, hung;
	const struct timespec hour = { .tv_sec = 3600 };

	if (due("MINTMARK_DIE_AT", place, &died))
		raise(SIGKILL);
	if (!due("MINTMARK_HANG_AT", place, &hung))
		return;
	for (;;)
		(void)nanosleep(&hour, NULL);
}
