#include <string.h>

#include "base/time.h"
#include "station/shift.h"

/* What the person at the line does next: the first of these that is so. */
static const char *const names[MM_NEXTS] = {
	[MM_NEXT_STOP] = "stop",
	[MM_NEXT_BADGE] = "badge",
	[MM_NEXT_SEE] = "see",
	[MM_NEXT_SCAN] = "scan",
	[MM_NEXT_OUT] = "out",
	[MM_NEXT_WAIT] = "wait",
	[MM_NEXT_INSERT] = "insert",
};

/* see shift.h */
const char *
mm_next_name(enum mm_next next)
{
	return names[next];
}

/* see shift.h */
enum mm_unit_reason
mm_shift_stopped(const struct mm_shift *s)
{
	if (s->line.broken != MM_OK)
		return MM_UR_JOURNAL;
	if (mm_line_mirror(&s->line) != MM_UR_NONE)
		return MM_UR_MIRROR;
	if (mm_crew_unknown(s->line.crew) != MM_UR_NONE)
		return mm_crew_unknown(s->line.crew);
	if (s->stopped_for == MM_UR_NONE && s->syncs &&
	    mm_unsynced_stops(&s->unsynced, mm_now_ms()))
		return MM_UR_UNSYNCED;
	return s->stopped_for;
}

/* see shift.h */
bool
mm_shift_sync_late(const struct mm_shift *s)
{
	return s->unsynced.limit_s > 0 && s->unsynced.units > 0 &&
	       mm_now_ms() - s->unsynced.since_ms > s->unsynced.limit_s * 500;
}

/* see shift.h */
enum mm_next
mm_shift_next(const struct mm_shift *s, const struct mm_place **place)
{
	static const struct {
		const char *tile;
		enum mm_next next;
	} order[] = {
		{ "failed", MM_NEXT_SEE },
		{ "ready", MM_NEXT_SCAN },
		{ "passed", MM_NEXT_OUT },
		{ "working", MM_NEXT_WAIT },
	};

	*place = NULL;
	if (mm_shift_stopped(s) != MM_UR_NONE)
		return MM_NEXT_STOP;
	if (mm_crew_asks(s->line.crew) &&
	    mm_crew_operator(s->line.crew)[0] == '\0')
		return MM_NEXT_BADGE;
	for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++)
		for (unsigned p = 0; p < s->line.nplaces; p++)
			if (strcmp(mm_shift_tile(s, p), order[i].tile) == 0) {
				*place = &s->line.place[p];
				return order[i].next;
			}
	return MM_NEXT_INSERT;
}
