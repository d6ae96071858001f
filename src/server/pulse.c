#include "server/pulse.h"

/* see pulse.h */
void
mm_pulse_begin(struct mm_pulse *p)
{
	*p = (struct mm_pulse){ 0 };
}

/* see pulse.h */
void
mm_pulse_beat(struct mm_pulse *p)
{
	p->beating = true;
	p->silent_ms = 0;
}

/* see pulse.h */
void
mm_pulse_pass(struct mm_pulse *p, int64_t passed_ms)
{
	p->silent_ms += passed_ms < 2 * MM_PULSE_EVERY_MS ? passed_ms :
							  MM_PULSE_EVERY_MS;
}

/* see pulse.h */
bool
mm_pulse_lost(const struct mm_pulse *p, int64_t limit_s)
{
	int64_t limit_ms = limit_s * 1000;

	if (!p->beating)
		limit_ms *= MM_PULSE_START;
	return limit_ms > 0 && p->silent_ms > limit_ms;
}
