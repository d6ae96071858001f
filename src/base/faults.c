#include "base/faults.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/time.h"

/* N of the variable's "PLACE:N"; 0 if it names another place. */
static long
number_for(const char *variable, const char *place)
{
	const char *at = getenv(variable);
	size_t n = strlen(place);

	if (at == NULL || strncmp(at, place, n) != 0 || at[n] != ':')
		return 0;
	return atol(at + n + 1);
}

/* Whether this is the N-th pass of the variable's "PLACE:N". */
static bool
due(const char *variable, const char *place, atomic_long *passed)
{
	long at = number_for(variable, place);

	return at > 0 && atomic_fetch_add(passed, 1) + 1 == at;
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

/* see faults.h; busy: a sleep would be longer than asked for. */
void
mm_slow_at(const char *place)
{
	long us = number_for("MINTMARK_SLOW_AT", place);
	int64_t until = us > 0 ? mm_mono_us() + us : 0;

	while (us > 0 && mm_mono_us() < until)
		;
}
